"""How long outcomes and prices of one arm take at one parameter draw, and what keeping the random draws
saves.

    python benchmarks/outcomes.py [patients]

Peers in the same run: the same stage with its random numbers made anew for every draw, and the same
background deaths drawn through the general life-table class.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import trajectory_builder as tb
from scenario_builder import build

from cartsight.economics.pricing import cost_ledger, price_patients
from cartsight.outcomes import PatientDraws, simulate_outcomes

REPEATS = 60


def milliseconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return the best and the median of repeated runs."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return min(times), statistics.median(times)


def main(patients: int) -> None:
    """Print the times."""
    scenario = build()
    print(f"{patients} patients, one arm, one parameter draw; best and median of {REPEATS} runs, ms")
    print(f"{'arm':12s} {'outcomes':>15s} {'pricing':>15s} {'us/patient':>11s} {'fresh draws':>11s} ratio")
    for arm in scenario.arms:
        flow = tb.trajectories(patients, modality=arm)
        draws = PatientDraws(flow.patients, 1)
        outcomes = simulate_outcomes(flow, scenario, arm, 1, draws=draws)
        kept = milliseconds(lambda: simulate_outcomes(flow, scenario, arm, 1, draws=draws))  # noqa: B023
        price = milliseconds(lambda: price_patients(flow, outcomes, scenario, arm))  # noqa: B023
        anew = milliseconds(lambda: simulate_outcomes(flow, scenario, arm, 1))  # noqa: B023
        per_patient = 1e3 * (kept[0] + price[0]) / patients
        print(
            f"{arm:12s} {kept[0]:7.2f} {kept[1]:7.2f} {price[0]:7.2f} {price[1]:7.2f} {per_patient:11.2f} "
            f"{anew[0]:11.2f} {anew[0] / kept[0]:6.1f}"
        )
    flow = tb.trajectories(patients)
    draws = PatientDraws(flow.patients, 1)
    outcomes = simulate_outcomes(flow, scenario, "autologous", 1, draws=draws)
    ledger = milliseconds(lambda: cost_ledger(flow, outcomes, scenario, "autologous"))[0]
    print(f"dated cost ledger of the autologous arm, on request only: {ledger:.1f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
