"""Net benefit, the cost-effectiveness plane and the price at threshold."""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.economics import (
    cost_effectiveness_plane,
    net_health_benefit,
    net_monetary_benefit,
    price_at_threshold,
    summarise_net_benefit,
)


def test_shapes_and_values() -> None:
    costs = np.array([[10.0, 40.0], [20.0, 60.0]])
    effects = np.array([[1.0, 2.0], [1.0, 3.0]])
    assert net_monetary_benefit(costs, effects, 30.0).tolist() == [[20.0, 20.0], [10.0, 30.0]]
    grid = net_monetary_benefit(costs, effects, [0.0, 30.0])
    assert grid.shape == (2, 2, 2)
    assert grid[0].tolist() == (-costs).tolist()
    assert net_health_benefit(costs, effects, 10.0)[0].tolist() == [0.0, -2.0]
    with pytest.raises(InputError):
        net_health_benefit(costs, effects, 0.0)


def test_paired_differences_use_the_pairing() -> None:
    generator = np.random.default_rng(5)
    shared = generator.normal(0.0, 1000.0, 4000)
    costs = np.column_stack([shared, shared + 10.0])
    effects = np.zeros((4000, 2))
    summary = summarise_net_benefit(costs, effects, 50_000.0)
    assert summary.incremental[1].mean == pytest.approx(-10.0)
    assert summary.incremental[1].standard_error == pytest.approx(0.0, abs=1e-10)
    assert summary.per_arm[1].standard_error == pytest.approx(1000.0 / 4000**0.5, rel=0.05)
    assert summary.probability_better == (0.5, 0.0)
    assert summary.per_arm[0].low < summary.per_arm[0].mean < summary.per_arm[0].high


def test_plane_shares_sum_to_one() -> None:
    costs = np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    effects = np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0], [0.0, -1.0, 0.0]])
    plane = cost_effectiveness_plane(costs, effects)
    assert plane.quadrant_share[1] == {
        "dominant": 0.25,
        "dominated": 0.25,
        "more_costly_more_effective": 0.25,
        "less_costly_less_effective": 0.25,
        "equal": 0.0,
    }
    assert plane.quadrant_share[2]["equal"] == 1.0


def test_price_at_threshold_makes_net_benefits_equal() -> None:
    price, paid, other = 400_000.0, 0.85, 60_000.0
    cost = paid * price + other
    wanted = price_at_threshold(
        cost, 6.0, 150_000.0, 3.5, price=price, cost_per_unit_of_price=paid, wtp=[50_000.0, 150_000.0]
    )
    for threshold, answer in zip([50_000.0, 150_000.0], wanted, strict=True):
        new = net_monetary_benefit([paid * answer + other], [6.0], threshold)
        old = net_monetary_benefit([150_000.0], [3.5], threshold)
        assert new[0] == pytest.approx(old[0])
    with pytest.raises(InputError, match="does not depend"):
        price_at_threshold(1.0, 1.0, 1.0, 1.0, price=1.0, cost_per_unit_of_price=0.0, wtp=1.0)


@pytest.mark.parametrize(
    ("costs", "effects"),
    [
        (np.zeros((5, 2)), np.zeros((5, 3))),
        (np.zeros((1, 2)), np.zeros((1, 2))),
        (np.zeros((5, 1)), np.zeros((5, 1))),
        (np.full((5, 2), np.nan), np.zeros((5, 2))),
    ],
)
def test_bad_draws(costs: np.ndarray, effects: np.ndarray) -> None:
    with pytest.raises(InputError):
        summarise_net_benefit(costs, effects, 1.0)
