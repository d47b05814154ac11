"""The Sick-Sicker model, with the values meant and with the swap that a published vignette contains.

Source: the R package dampack, vignette "dsa_generation" (the four-state teaching model of its authors): 75
annual cycles counted at their ends, cycle 0 unrewarded, 3 %. The vignette passes cost and utility of the
states Sick and Sicker to the model in each other's place, which turns the decision: as written treatment A is
on the frontier and B extended-dominated, as meant B is and A is dominated. The totals were computed from
those inputs (no printed answer was seen), to the cent and to 1e-5 QALY.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from cartsight.economics import FrontierRow, FrontierStatus, cost_effectiveness_frontier, discount_factor

Float = npt.NDArray[np.float64]

CYCLES = 75
P_HEALTHY_SICK, P_SICK_HEALTHY, P_SICK_SICKER = 0.15, 0.5, 0.105
RATE_DEATH, HAZARD_RATIO_SICK, HAZARD_RATIO_SICKER = 0.002, 3.0, 10.0
HAZARD_RATIO_TREATMENT_B = 0.6


def totals(progression: float, costs: list[float], utilities: list[float]) -> tuple[float, float]:
    """Return discounted cost and QALYs; moves between living states are conditional on survival."""
    die = 1.0 - np.exp(-RATE_DEATH * np.array([1.0, HAZARD_RATIO_SICK, HAZARD_RATIO_SICKER]))
    moves = np.array(
        [
            [1.0 - P_HEALTHY_SICK, P_HEALTHY_SICK, 0.0],
            [P_SICK_HEALTHY, 1.0 - P_SICK_HEALTHY - progression, progression],
            [0.0, 0.0, 1.0],
        ]
    )
    alive = np.array([1.0, 0.0, 0.0])
    occupied = np.empty((CYCLES, 3))
    for cycle in range(CYCLES):
        alive = (alive * (1.0 - die)) @ moves
        occupied[cycle] = alive
    weights: Float = discount_factor(np.arange(1, CYCLES + 1), 0.03)
    return float(weights @ occupied @ np.array(costs)), float(weights @ occupied @ np.array(utilities))


def frontier(as_written: bool) -> dict[str, FrontierRow]:
    sick, sicker = (15000.0, 4000.0) if as_written else (4000.0, 15000.0)
    better, worse = (0.5, 0.75) if as_written else (0.75, 0.5)
    slowed = 1.0 - (1.0 - P_SICK_SICKER) ** HAZARD_RATIO_TREATMENT_B
    # Only the untreated strategy uses the swapped costs: the treatments overwrite them with the right ones.
    results = [
        totals(P_SICK_SICKER, [2000.0, sick, sicker], [1.0, better, worse]),
        totals(P_SICK_SICKER, [2000.0, 16000.0, 27000.0], [1.0, 0.95, worse]),
        totals(slowed, [2000.0, 17000.0, 28000.0], [1.0, better, worse]),
    ]
    costs, qalys = zip(*results, strict=True)
    return {row.strategy: row for row in cost_effectiveness_frontier(["none", "A", "B"], costs, qalys)}


def test_as_written_in_the_vignette() -> None:
    rows = frontier(as_written=True)
    assert (rows["none"].cost, rows["none"].effect) == (
        pytest.approx(112_005.36, abs=0.005),
        pytest.approx(21.66567, abs=5e-6),
    )
    assert (rows["A"].cost, rows["A"].effect) == (
        pytest.approx(276_350.35, abs=0.005),
        pytest.approx(23.31164, abs=5e-6),
    )
    assert (rows["B"].cost, rows["B"].effect) == (
        pytest.approx(248_990.23, abs=0.005),
        pytest.approx(22.49849, abs=5e-6),
    )
    assert rows["B"].status is FrontierStatus.EXTENDED_DOMINATED
    assert rows["A"].icer == pytest.approx(99_846.78, abs=0.005)


def test_with_the_values_meant() -> None:
    rows = frontier(as_written=False)
    assert rows["none"].cost == pytest.approx(148_620.93, abs=0.005)
    assert rows["none"].effect == pytest.approx(20.83350, abs=5e-6)
    assert rows["A"].effect == pytest.approx(21.56504, abs=5e-6)
    assert rows["B"].effect == pytest.approx(22.33080, abs=5e-6)
    assert rows["A"].status is FrontierStatus.DOMINATED
    assert rows["A"].compared_with == "B"
    assert rows["B"].icer == pytest.approx(67_033.36, abs=0.005)
