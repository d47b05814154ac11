"""What a million patients cost: one sweep on every backend, in one run, with the same results asserted.

    python benchmarks/scaling.py [patients per draw] [draws]

Prints wall seconds with the start of the workers, work per million patients (flow, outcomes and costs), and the ratio to
serial. The machine is whatever it is: read the ratios.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cartsight.comparison.executor import make_executor
from cartsight.comparison.sweep import plan_sweep, run_sweep
from cartsight.scenario import load_scenario
from cartsight.simulation import warm_up

SCENARIO = "lbcl-third-line-us"
VARY = "arms.autologous-central.price.per_patient"
WORKERS = 2


def available() -> list[str]:
    """Return the backends that can run here."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        print("dask: not installed, left out (needs the extra [cluster])")
        return ["serial", "threads", "processes"]
    return ["serial", "threads", "processes", "dask"]


def run_task_once(scenario: Any) -> None:
    """Run one block in this process."""
    plan = plan_sweep(scenario, {VARY: [scenario.numbers()[VARY].x]}, draws=1)
    with tempfile.TemporaryDirectory() as folder:
        run_sweep(plan, Path(folder) / "sweep", make_executor("serial"))


def main(patients: int = 2_000, draws: int = 96) -> None:
    """Run the sweep on each backend and print the table."""
    warm_up()
    scenario = load_scenario(SCENARIO).with_analysis(patients=patients)
    plan = plan_sweep(scenario, {VARY: [scenario.numbers()[VARY].x]}, draws=draws, block=8)
    print(
        f"{SCENARIO}: {len(scenario.arms)} arms x {draws} draws x about {patients} patients, {len(plan.blocks())} blocks"
    )
    print(
        f"{os.cpu_count()} cores, load at start {os.getloadavg()[0]:.1f}, {multiprocessing.get_start_method()} default"
    )
    print(
        f"{'backend':<12}{'workers':>8}{'wall s':>9}{'work s':>9}{'core-h per 1e6':>16}{'wall s per 1e6':>16}{'to serial':>11}"
    )
    # Imports and the kernel are loaded before the clock starts; workers load their own, and that counts.
    run_task_once(scenario)
    serial: float | None = None
    first: Any = None
    for backend in available():
        count = 1 if backend == "serial" else WORKERS
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            summary = run_sweep(plan, Path(folder) / "sweep", make_executor(backend, count))
            wall = time.perf_counter() - began
        cases = json.dumps(summary["cases"])
        first = first or cases
        assert cases == first, f"{backend} gives other results"
        serial = serial or wall
        millions = summary["patients_simulated"] / 1e6
        print(
            f"{backend:<12}{count:>8}{wall:>9.1f}{summary['seconds_of_work']:>9.1f}"
            f"{summary['core_hours_per_million_patients']:>16.3f}{wall / millions:>16.0f}{serial / wall:>10.2f}x"
        )
    print("the same results from every backend")


if __name__ == "__main__":
    main(*(int(value) for value in sys.argv[1:3]))
