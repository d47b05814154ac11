"""Zidovudine alone against zidovudine with lamivudine: the cohort model of Chancellor et al. 1997.

Source: Chancellor et al. 1997, doi:10.2165/00019053-199712010-00006, as printed in Briggs, Sculpher & Claxton
2006, chapter 2, exercise 2.5, and in the R package rdecision: 44,663 and 50,602 pounds, 8.937 life-years
under combination, 6,276 pounds per life-year. The model is written here from those inputs: annual cycles
counted at their ends, costs at 6 % and life-years undiscounted. rdecision prints 7.996 +- 0.005 life-years
for monotherapy; counting at cycle ends gives 7.9912, within that tolerance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from cartsight.economics import cost_effectiveness_frontier, discount_factor, present_value

Float = npt.NDArray[np.float64]

COUNTS = np.array([[1251, 350, 116, 17], [0, 731, 512, 15], [0, 0, 1312, 437]], dtype=np.float64)
RELATIVE_RISK = 0.509
STATE_COST = np.array([1701 + 1055, 1774 + 1278, 6948 + 2059, 0.0])
ZIDOVUDINE, LAMIVUDINE = 2278.0, 2086.50
YEARS = 20


def transition_matrix(relative_risk: float) -> Float:
    matrix = np.eye(4)
    matrix[:3] = relative_risk * COUNTS / COUNTS.sum(axis=1, keepdims=True)
    for state in range(3):
        matrix[state, state] = 0.0
        matrix[state, state] = 1.0 - matrix[state].sum()
    return matrix


def run(combination: bool) -> tuple[float, float]:
    """Return discounted cost and life-years of one patient who starts in the least severe state."""
    state = np.array([1.0, 0.0, 0.0, 0.0])
    yearly_cost, alive = np.empty(YEARS), np.empty(YEARS)
    for year in range(1, YEARS + 1):
        treated = combination and year <= 2
        state = state @ transition_matrix(RELATIVE_RISK if treated else 1.0)
        alive[year - 1] = state[:3].sum()
        drug = ZIDOVUDINE + (LAMIVUDINE if treated else 0.0)
        yearly_cost[year - 1] = state @ STATE_COST + drug * alive[year - 1]
    at = np.arange(1, YEARS + 1)
    life_years = float(alive @ discount_factor(at, 0.0))
    return float(present_value(yearly_cost, at, 0.06).sum()), life_years


def test_costs_life_years_and_ratio() -> None:
    mono, combination = run(False), run(True)
    assert mono[0] == pytest.approx(44_663.45, abs=0.005)
    assert combination[0] == pytest.approx(50_601.65, abs=0.005)
    assert mono[1] == pytest.approx(7.9912, abs=0.00005)
    assert combination[1] == pytest.approx(8.9374, abs=0.00005)
    rows = cost_effectiveness_frontier(
        ["monotherapy", "combination"], [mono[0], combination[0]], [mono[1], combination[1]]
    )
    assert rows[1].icer == pytest.approx(6_275.96, abs=0.005)
    # The book rounds to whole pounds.
    assert rows[1].icer == pytest.approx(6_276, abs=0.5)
