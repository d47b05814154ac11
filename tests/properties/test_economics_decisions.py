"""Properties of the frontier and of decisions under uncertainty."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cartsight.comparison import (
    cost_effectiveness_acceptability_curve,
    expected_loss_curves,
    expected_value_of_partial_perfect_information,
    expected_value_of_perfect_information,
    rank_probabilities,
)
from cartsight.economics import cost_effectiveness_frontier, net_monetary_benefit, price_at_threshold

Float = npt.NDArray[np.float64]

whole = st.integers(-20, 20).map(float)


@st.composite
def strategies_table(draw: st.DrawFn) -> tuple[list[str], Float, Float]:
    count = draw(st.integers(2, 8))
    costs = draw(arrays(np.float64, count, elements=whole))
    effects = draw(arrays(np.float64, count, elements=whole))
    return [f"s{i}" for i in range(count)], costs, effects


@settings(max_examples=75)
@given(strategies_table())
def test_the_frontier_is_what_some_willingness_to_pay_chooses(table: tuple[list[str], Float, Float]) -> None:
    """Independent rule: the frontier attains the best net benefit at every threshold, each member at some."""
    names, costs, effects = table
    rows = cost_effectiveness_frontier(names, costs, effects)
    kept = [row for row in rows if row.status.value in {"reference", "on_frontier"}]
    thresholds = [0.0] + [row.icer for row in kept if row.icer is not None]
    thresholds += [0.5 * (a + b) for a, b in zip(thresholds, [*thresholds[1:], thresholds[-1] + 1.0], strict=True)]
    best = net_monetary_benefit(costs, effects, np.array(thresholds)).max(axis=1)
    reached = net_monetary_benefit([row.cost for row in kept], [row.effect for row in kept], np.array(thresholds))
    assert reached.max(axis=1) == pytest.approx(best, rel=1e-9, abs=1e-9)
    for column in range(len(kept)):
        assert np.any(np.isclose(reached[:, column], best, rtol=1e-9, atol=1e-9))


@settings(max_examples=75)
@given(strategies_table())
def test_ratios_rise_and_every_strategy_has_one_status(table: tuple[list[str], Float, Float]) -> None:
    names, costs, effects = table
    rows = cost_effectiveness_frontier(names, costs, effects)
    assert sorted(row.strategy for row in rows) == sorted(names)
    assert sum(row.status.value == "reference" for row in rows) == 1
    ratios = [row.icer for row in rows if row.icer is not None]
    assert all(a <= b * (1 + 1e-9) for a, b in pairwise(ratios))
    assert all(ratio > 0.0 for ratio in ratios)
    for row in rows:
        assert (row.icer is not None) == (row.status.value == "on_frontier")
        assert bool(row.dominated_by) == row.status.value.endswith("dominated")


@settings(max_examples=30)
@given(strategies_table(), st.integers(-50, 50), st.integers(1, 5))
def test_shifting_all_costs_or_scaling_keeps_the_statuses(
    table: tuple[list[str], Float, Float], shift: int, scale: int
) -> None:
    names, costs, effects = table
    before = {row.strategy: row.status for row in cost_effectiveness_frontier(names, costs, effects)}
    after = {row.strategy: row.status for row in cost_effectiveness_frontier(names, costs * scale + shift, effects)}
    assert before == after


@st.composite
def draws(draw: st.DrawFn) -> tuple[Float, Float]:
    shape = (draw(st.integers(2, 30)), draw(st.integers(2, 4)))
    return draw(arrays(np.float64, shape, elements=whole)), draw(arrays(np.float64, shape, elements=whole))


@settings(max_examples=40)
@given(draws(), st.lists(st.floats(0.0, 100.0), min_size=1, max_size=5))
def test_probabilities_sum_to_one_and_the_least_loss_is_evpi(table: tuple[Float, Float], wtp: list[float]) -> None:
    costs, effects = table
    curve = cost_effectiveness_acceptability_curve(costs, effects, wtp)
    assert curve.probability.sum(axis=1) == pytest.approx(np.ones(len(wtp)))
    loss = expected_loss_curves(costs, effects, wtp)
    perfect = expected_value_of_perfect_information(costs, effects, wtp)
    assert np.all(loss.loss >= 0.0)
    assert loss.loss.min(axis=1) == pytest.approx(perfect.value, abs=1e-9)


@settings(max_examples=30)
@given(draws())
def test_rank_tables_are_doubly_stochastic(table: tuple[Float, Float]) -> None:
    ranks = rank_probabilities(table[0])
    assert ranks.sum(axis=0) == pytest.approx(np.ones(ranks.shape[0]))
    assert ranks.sum(axis=1) == pytest.approx(np.ones(ranks.shape[0]))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(40, 200), st.integers(2, 4))
def test_partial_information_lies_between_nothing_and_everything(seed: int, size: int, arms: int) -> None:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=size)
    effects = generator.normal(size=(size, arms)) + np.outer(x, generator.normal(size=arms))
    costs = 1000.0 * generator.normal(size=(size, arms))
    perfect = expected_value_of_perfect_information(costs, effects, [0.0, 1000.0, 5000.0])
    partial = expected_value_of_partial_perfect_information(costs, effects, x, [0.0, 1000.0, 5000.0])
    assert np.all(partial.value >= 0.0)
    assert np.all(partial.value <= perfect.value)


@settings(max_examples=30)
@given(
    st.floats(0.0, 1e6),
    st.floats(-5.0, 5.0),
    st.floats(0.0, 1e6),
    st.floats(0.01, 2.0),
    st.floats(0.0, 3e5),
)
def test_at_the_threshold_price_net_benefits_agree(
    cost: float, gain: float, comparator_cost: float, paid: float, wtp: float
) -> None:
    price = float(price_at_threshold(cost, gain, comparator_cost, 0.0, price=1e5, cost_per_unit_of_price=paid, wtp=wtp))
    new_cost = cost + paid * (price - 1e5)
    assert wtp * gain - new_cost == pytest.approx(-comparator_cost, abs=1e-3)
