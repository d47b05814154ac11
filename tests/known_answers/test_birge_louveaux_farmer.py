"""The farmer of Birge & Louveaux (Introduction to Stochastic Programming, section 1.1), through the same cuts and values.

500 acres for wheat, corn and sugar beets; yields 20 % below, at or above the mean with probability 1/3 each. The book gives
a profit of 108 390 for the stochastic optimum (170, 80 and 250 acres), 115 406 with perfect information, 107 240 for the plan
made for mean yields; so EVPI 7 016 and VSS 1 150. Exact values: 115 405.56 and 7 015.56.
"""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.planning.cuts import Cut, TwoStage, solve_by_cuts
from cartsight.planning.mixed_integer import MipModel
from cartsight.planning.stochastic_values import Optimum, StochasticValues, stochastic_values

YIELD = np.array([2.5, 3.0, 20.0])
PLANTING = (150.0, 230.0, 260.0)
WEATHER = (0.8, 1.0, 1.2)


def recourse(weather: float, acres: np.ndarray) -> Cut:
    """Buy and sell after the harvest; the slope is the value of an acre."""
    model = MipModel()
    sold_wheat, sold_corn = model.column(-170.0), model.column(-150.0)
    bought_wheat, bought_corn = model.column(238.0), model.column(210.0)
    beets, beets_above = model.column(-36.0, 0.0, 6000.0), model.column(-10.0)
    harvest = weather * YIELD * acres
    model.row([bought_wheat, sold_wheat], [1.0, -1.0], lower=200.0 - harvest[0])
    model.row([bought_corn, sold_corn], [1.0, -1.0], lower=240.0 - harvest[1])
    model.row([beets, beets_above], [-1.0, -1.0], lower=-harvest[2])
    result = model.solve(relaxed=True)
    return Cut(result.objective, -result.row_duals * weather * YIELD)


def farmer(weathers: tuple[float, ...]) -> Optimum[np.ndarray]:
    model = MipModel()
    acres = [model.column(cost) for cost in PLANTING]
    model.row(acres, [1.0] * 3, upper=500.0)
    outcome = [[model.column(1.0 / len(weathers), lower=-1e6) for _ in weathers]]
    decision = np.zeros((3, len(model.cost)))
    decision[np.arange(3), acres] = 1.0
    found = solve_by_cuts(
        TwoStage(model, decision, outcome, lambda i, x: [recourse(weathers[i], x)]),
        starts=[np.zeros(len(model.cost))], time_limit=20.0, relative_gap=1e-8,
    )  # fmt: skip
    return Optimum(found.values[acres], found.objective, found.bound)


@pytest.fixture(scope="module")
def values() -> StochasticValues:
    return stochastic_values(
        3,
        lambda i: farmer((WEATHER[i],)),
        farmer(WEATHER),
        farmer((1.0,)).decision,
        lambda acres: np.array([PLANTING @ acres + recourse(w, acres).cost for w in WEATHER]),
    )


def test_plan_and_profit() -> None:
    best = farmer(WEATHER)
    np.testing.assert_allclose(best.decision, [170.0, 80.0, 250.0], atol=1e-3)
    assert best.objective == pytest.approx(-108_390.0, abs=0.01)
    assert best.bound == pytest.approx(-108_390.0, abs=0.01)


def test_values(values: StochasticValues) -> None:
    assert values.wait_and_see == pytest.approx(-115_405.56, abs=0.01)
    assert values.recourse_problem == pytest.approx(-108_390.0, abs=0.01)
    assert values.expected_value_solution == pytest.approx(-107_240.0, abs=0.01)
    assert values.perfect_information == pytest.approx(7_015.56, abs=0.01)
    assert values.stochastic_solution == pytest.approx(1_150.0, abs=0.01)
