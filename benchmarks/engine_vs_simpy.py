"""The engine against SimPy: the reference flow on identical draws, in one run, with identical trajectories.

    python benchmarks/engine_vs_simpy.py [patients]

Prints patients per second of each, their ratio (the bar is 50), nanoseconds per event beside the floor of the event
list alone, marginal memory per patient, and two threads against one.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy
from engine_flow import LOGICAL_EVENTS, arrivals, draws, flow

from cartsight.simulation import Arrivals, simulate, warm_up
from cartsight.simulation.event_list import drop_first, push
from cartsight.simulation.jit import kernel

SEED = 20_260_701


def simpy_run(given: Arrivals, drawn: dict[str, Any], patients: int) -> tuple[list[str], list[float], list[float]]:
    """Return end status, end day and infusion day of each patient from SimPy processes on the given draws."""
    hospitals, sites = max(1, patients // 200), max(1, patients // 2000)
    env = simpy.Environment()
    apheresis = [simpy.Resource(env, 1) for _ in range(hospitals)]
    bed = [simpy.Resource(env, 3) for _ in range(hospitals)]
    suite = [simpy.Resource(env, 17) for _ in range(sites)]
    lane = [simpy.Resource(env, 7) for _ in range(sites)]
    status, ended, infused = [""] * patients, [0.0] * patients, [float("nan")] * patients
    table = {name: values.tolist() for name, values in drawn.items()}
    times, hospital_of = given.time.tolist(), np.asarray(given.attributes["hospital"]).astype(int).tolist()

    def path(i: int) -> Generator[Any, Any, str]:
        hospital = hospital_of[i]
        site = hospital % sites
        with apheresis[hospital].request() as slot:
            yield slot
            yield env.timeout(table["apheresis"][i])
        yield env.timeout(table["to suite"][i])
        tests = 0
        for attempt in range(2):
            with suite[site].request() as line:
                yield line
                yield env.timeout(table["manufacture"][attempt][i])
            if table["manufactured"][attempt][i] >= 0.93:
                continue
            with lane[site].request() as tester:
                yield tester
                yield env.timeout(table["release test"][tests][i])
            tests += 1
            if table["within specification"][tests - 1][i] < 0.95:
                break
        else:
            return "lost"
        yield env.timeout(table["to hospital"][i])
        with bed[hospital].request() as place:
            yield place
            infused[i] = env.now
            watches[i].interrupt()
            yield env.timeout(table["admission"][i])
        return "infused"

    def follow(i: int) -> Generator[Any, Any, None]:
        try:
            status[i] = yield from path(i)
        except simpy.Interrupt:
            status[i] = "dead"
        ended[i] = env.now
        if watches[i].is_alive and status[i] == "lost":
            watches[i].interrupt()

    def watch(i: int, walk: simpy.Process) -> Generator[Any, Any, None]:
        try:
            yield env.timeout(table["clock"][i])
            walk.interrupt()
        except simpy.Interrupt:
            pass

    watches: list[simpy.Process] = [None] * patients  # type: ignore[list-item]

    def refer() -> Generator[Any, Any, None]:
        for i in range(patients):
            yield env.timeout(times[i] - env.now)
            watches[i] = env.process(watch(i, env.process(follow(i))))

    env.process(refer())
    env.run()
    return status, ended, infused


def best(work: Callable[[], Any], repeats: int) -> float:
    """Return the least CPU seconds of several runs."""
    least = float("inf")
    for _ in range(repeats):
        gc.collect()
        began = time.process_time()
        work()
        least = min(least, time.process_time() - began)
    return least


@kernel
def event_list_only(times: Any, orders: Any, count: int, turns: int, gaps: Any) -> float:  # type: ignore[misc]
    """Pop and push with a constant number of pending events: what no event engine can avoid."""
    from_list = 0.0
    for i in range(turns):
        now = times[0]
        count = drop_first(times, orders, count)
        count = push(times, orders, count, now + gaps[i & 4095], i << 28)
        from_list += now
    return from_list


def marginal_bytes() -> float:
    """Return the growth of peak memory per patient, inputs and results included, from 10 000 to 20 000 patients."""
    peaks = []
    for n in (10_000, 20_000):
        model, given = flow(n), arrivals(n, SEED)
        simulate(model, given, seed=SEED)
        gc.collect()
        tracemalloc.start()
        given = arrivals(n, SEED)
        tracemalloc.reset_peak()
        simulate(model, given, seed=SEED)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return (peaks[1] - peaks[0]) / 10_000


def wall(threads: int, work: Callable[[], Any], each: int) -> float:
    """Return the wall seconds of `each` runs in every one of `threads` threads."""

    def several() -> None:
        for _ in range(each):
            work()

    pool = [threading.Thread(target=several) for _ in range(threads)]
    began = time.perf_counter()
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    return time.perf_counter() - began


def main(patients: int = 10_000) -> None:
    """Run and print the comparison."""
    print(f"kernel ready in {warm_up():.2f} s (compiled, or loaded from the cache)")
    model, given = flow(patients), arrivals(patients, SEED)
    drawn = draws(patients, SEED)
    result = simulate(model, given, seed=SEED)
    began = time.process_time()
    status, ended, infused = simpy_run(given, drawn, patients)
    slow = time.process_time() - began
    names = np.array(result.patients.statuses)[result.patients.end_status]
    assert names.tolist() == status, "end status differs"
    worst = float(np.abs(result.patients.end_time - np.array(ended)).max())
    same = np.array(infused), result.patients.mark("infusion")
    assert np.array_equal(np.isnan(same[0]), np.isnan(same[1]))
    worst = max(worst, float(np.nanmax(np.abs(same[0] - same[1]))))
    assert worst < 1e-6, f"end times differ by {worst}"
    fast = best(lambda: simulate(model, given, seed=SEED), 20)
    slow = min(slow, best(lambda: simpy_run(given, drawn, patients), 2))
    pending = 2_000
    times = np.sort(np.random.default_rng(1).exponential(1.0, pending))
    room = np.append(times, np.zeros(8)), np.append(np.arange(pending, dtype=np.int64) << 28, np.zeros(8, np.int64))
    gaps = np.random.default_rng(2).exponential(1.0, 4096)
    event_list_only(room[0].copy(), room[1].copy(), pending, 10, gaps)
    turns = 200_000
    floor = best(lambda: event_list_only(room[0].copy(), room[1].copy(), pending, turns, gaps), 5) / turns
    print(
        f"{patients} patients: {result.patients.count()}, the same in both; largest difference of times {worst:.1e} d"
    )
    print(
        f"cartsight {patients / fast:12,.0f} patients/s   {fast / patients / LOGICAL_EVENTS * 1e9:8.0f} ns per logical event"
    )
    print(
        f"SimPy     {patients / slow:12,.0f} patients/s   {slow / patients / LOGICAL_EVENTS * 1e9:8.0f} ns per logical event"
    )
    print(f"ratio     {slow / fast:12.1f}   (bar: 50)")
    print(
        f"event list alone at {pending} pending: {floor * 1e9:.0f} ns per event; stated floor of an engine: 100 to 120 ns"
    )
    print(f"marginal memory: {marginal_bytes():.0f} bytes per patient   (bar: 150)")
    one = wall(1, lambda: simulate(model, given, seed=SEED), 40)
    two = wall(2, lambda: simulate(model, given, seed=SEED), 20)
    print(f"two threads against one, same work: {one / two:.2f} times")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
