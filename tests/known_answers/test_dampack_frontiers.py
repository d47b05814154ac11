"""Two teaching frontiers, to the cent.

Sources: the HIV screening example of the R package dampack, vignette "basic_cea" (after Paltiel et al. 2006,
doi:10.7326/0003-4819-145-11-200612050-00004), costs in dollars and quality-adjusted life-months; and the
example of the University of York Health Economics Resource Centre course in the same package's tests. The
vignette's inputs are exact and no printed ratio was seen, so that half a cent is rounding of the expected
values here.
"""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.economics import FrontierStatus, cost_effectiveness_frontier

HALF_A_CENT = 0.005


def test_hiv_screening_frontier() -> None:
    names = ["no screening", "one time", "5 years", "3 years", "annual"]
    costs = [26000.0, 27000.0, 28020.0, 28440.0, 29440.0]
    months = np.array([277.25, 277.57, 277.78, 277.83, 277.76])
    rows = {row.strategy: row for row in cost_effectiveness_frontier(names, costs, months / 12.0)}
    assert rows["no screening"].status is FrontierStatus.REFERENCE
    assert rows["one time"].icer == pytest.approx(37_500.00, abs=HALF_A_CENT)
    assert rows["5 years"].icer == pytest.approx(58_285.71, abs=HALF_A_CENT)
    assert rows["3 years"].icer == pytest.approx(100_800.00, abs=HALF_A_CENT)
    assert rows["annual"].status is FrontierStatus.DOMINATED
    assert rows["annual"].icer is None


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (2, 0, 5, 1, 4, 3)])
def test_herc_frontier_in_any_order(order: tuple[int, ...]) -> None:
    table = [
        ("UC", 5000, 1),
        ("B", 10000, 2),
        ("D", 35000, 4),
        ("E", 55000, 5),
        ("C", 25000, 3),
        ("A", 12000, 1.5),
    ]
    names, costs, effects = zip(*[table[i] for i in order], strict=True)
    rows = cost_effectiveness_frontier(names, costs, effects)
    assert [row.strategy for row in rows] == ["UC", "B", "A", "C", "D", "E"]
    by_name = {row.strategy: row for row in rows}
    assert by_name["B"].icer == 5000.0
    assert by_name["D"].icer == 12500.0
    assert by_name["E"].icer == 20000.0
    assert by_name["C"].status is FrontierStatus.EXTENDED_DOMINATED
    assert by_name["C"].dominated_by == ("B", "D")
    assert by_name["A"].status is FrontierStatus.DOMINATED
    assert by_name["A"].compared_with == "B"
