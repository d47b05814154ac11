"""What each part of the plant floor costs the engine: the two-product flow with one feature more at a time.

    python benchmarks/engine_floor.py [patients]

Prints nanoseconds per interpreted step and event (the engine's own count, which grows with the features) in turns with the
plain flow, so read the ratios. Each flow is also run by the plain Python interpreter at a tenth of the size and must give the
same end days to the last bit.
"""

from __future__ import annotations

import sys

import numpy as np
from engine_vs_simpy import best
from two_product_flow import arrivals, flow

from cartsight.simulation import CompiledModel, simulate, simulate_reference, warm_up

SEED = 20_260_701
FEATURES = ("set-up", "counters", "depots", "breakdowns", "recall")


def same_in_both(patients: int, features: tuple[str, ...]) -> bool:
    """Return whether kernel and reference interpreter give the same end days."""
    model, given = flow(patients, *features), arrivals(patients, SEED)
    ends = [run(model, given, seed=SEED).patients.end_time for run in (simulate, simulate_reference)]
    return bool(np.array_equal(ends[0], ends[1]))


def main(patients: int = 10_000) -> None:
    """Run and print the table."""
    print(f"kernel ready in {warm_up():.2f} s (compiled, or loaded from the cache)")
    given = arrivals(patients, SEED)
    rows: list[tuple[str, CompiledModel]] = [("plain", flow(patients))]
    rows += [(name, flow(patients, name)) for name in FEATURES]
    rows.append(("all of them", flow(patients, *FEATURES)))
    for name, _ in rows:
        features = () if name == "plain" else FEATURES if name == "all of them" else (name,)
        assert same_in_both(max(400, patients // 10), features), f"{name}: the interpreters differ"
    seconds = dict.fromkeys((name for name, _ in rows), float("inf"))
    for _ in range(5):
        for name, model in rows:
            seconds[name] = min(seconds[name], best(lambda model=model: simulate(model, given, seed=SEED), 5))  # type: ignore[misc]
    first = 0.0
    for name, model in rows:
        result = simulate(model, given, seed=SEED)
        each = seconds[name] / result.events * 1e9
        first = first or each
        print(f"{name:<12}{result.events:10,} events {each:8.0f} ns per event {each / first:6.2f} times plain")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
