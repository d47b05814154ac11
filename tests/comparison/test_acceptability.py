"""Acceptability curves, frontier, expected loss and ranks on draws small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.comparison import (
    cost_effectiveness_acceptability_curve,
    cost_effectiveness_acceptability_frontier,
    expected_loss_curves,
    expected_value_of_perfect_information,
    probability_best,
    rank_probabilities,
)
from cartsight.core.errors import InputError

# At a willingness to pay of 10 the net benefits are [[0, 5], [0, -3], [0, 0], [0, 2]].
COSTS = np.array([[0.0, 5.0], [0.0, 13.0], [0.0, 10.0], [0.0, 8.0]])
EFFECTS = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])


def test_curve_counts_draws_and_splits_ties() -> None:
    curve = cost_effectiveness_acceptability_curve(COSTS, EFFECTS, [0.0, 10.0, 100.0])
    assert curve.probability.tolist() == [[1.0, 0.0], [0.375, 0.625], [0.0, 1.0]]
    assert curve.tied_draws.tolist() == [0.0, 0.25, 0.0]
    assert curve.standard_error[1, 0] == pytest.approx((0.375 * 0.625 / 4) ** 0.5)
    assert probability_best(10.0 * EFFECTS - COSTS).tolist() == [0.375, 0.625]


def test_loss_and_information() -> None:
    loss = expected_loss_curves(COSTS, EFFECTS, 10.0)
    assert loss.loss.tolist() == [[7.0 / 4.0, 3.0 / 4.0]]
    perfect = expected_value_of_perfect_information(COSTS, EFFECTS, 10.0)
    assert perfect.value.tolist() == [0.75]
    assert perfect.best.tolist() == [1]


def test_frontier_follows_the_mean_and_not_the_probability() -> None:
    """Arm 1 loses a little in three draws and wins a lot in one: best on average, probability 0.25."""
    costs = np.zeros((4, 2))
    effects = np.array([[0.0, -1.0], [0.0, -1.0], [0.0, -1.0], [0.0, 9.0]])
    frontier = cost_effectiveness_acceptability_frontier(costs, effects, [1.0])
    assert frontier.best.tolist() == [1]
    assert frontier.probability.tolist() == [0.25]


def test_switches_are_the_ratios_of_the_mean_frontier() -> None:
    frontier = cost_effectiveness_acceptability_frontier(COSTS, EFFECTS, np.arange(0.0, 20.0))
    assert frontier.switches_at.tolist() == [9.0]
    assert frontier.best.tolist() == [0] * 10 + [1] * 10


def test_ranks() -> None:
    benefit = np.array([[3.0, 2.0, 1.0], [1.0, 1.0, 5.0]])
    table = rank_probabilities(benefit)
    assert table.tolist() == [[0.5, 0.25, 0.25], [0.0, 0.75, 0.25], [0.5, 0.0, 0.5]]
    assert table.sum(axis=0) == pytest.approx([1.0, 1.0, 1.0])


def test_a_negative_threshold_is_refused() -> None:
    with pytest.raises(InputError, match="willingness"):
        cost_effectiveness_acceptability_curve(COSTS, EFFECTS, [-1.0])
