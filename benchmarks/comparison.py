"""`compare` at full size: 4 arms x 2 000 patients x 1 000 parameter draws; time by stage, memory, both cores.

Usage: python benchmarks/comparison.py [draws]
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path


class MemoryWatch(threading.Thread):
    """Highest sum of resident memory of this process and all its descendants, sampled ten times a second (Linux)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0.0
        self._running = True

    def run(self) -> None:
        while self._running:
            self.peak = max(self.peak, self._now())
            time.sleep(0.1)

    def stop(self) -> float:
        self._running = False
        return self.peak

    @staticmethod
    def _now() -> float:
        parent: dict[int, int] = {}
        resident: dict[int, float] = {}
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
                number = int(fields["Pid"])
                parent[number] = int(fields["PPid"])
                resident[number] = float(fields.get("VmRSS", "0 kB").split()[0]) / 1024
            except (OSError, KeyError, ValueError):
                continue
        family = {os.getpid()}
        while True:
            more = {child for child, owner in parent.items() if owner in family} - family
            if not more:
                return sum(resident.get(member, 0.0) for member in family)
            family |= more


def main() -> None:
    from cartsight.comparison.compare import compare
    from cartsight.comparison.executor import default_workers
    from cartsight.scenario import load_scenario

    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    scenario = load_scenario("lbcl-third-line-us")
    kept = {name: scenario.arms[name] for name in list(scenario.arms)[:4]}
    scenario = scenario.model_copy(update={"arms": kept, "validation": {}})
    analysis = scenario.analysis.model_copy(update={"reference_arm": next(iter(kept)), "correlations": ()})
    scenario = scenario.model_copy(update={"analysis": analysis})
    watch = MemoryWatch()
    watch.start()
    started, cpu = time.perf_counter(), time.process_time()
    comparison = compare(scenario, draws=draws, patients=2000, one_way=False, validate=False)
    wall = time.perf_counter() - started
    peak = watch.stop()
    workers = min(default_workers(), draws)
    flow = comparison.seconds["flow, all workers"]
    price = comparison.seconds["outcomes and pricing, all workers"]
    runs = draws * len(kept)
    counted = float(comparison.draws.patients.mean())
    print(
        f"{len(kept)} arms x {counted:.0f} counted patients x {draws} draws on {workers} workers ({os.cpu_count()} cores)"
    )
    print(f"wall time                        {wall:8.1f} s   (parent CPU {time.process_time() - cpu:.1f} s)")
    print(f"flow, summed over workers        {flow:8.1f} s   {1e3 * flow / runs:6.2f} ms per arm and draw")
    print(f"outcomes and pricing, summed     {price:8.1f} s   {1e3 * price / runs:6.2f} ms per arm and draw")
    print(f"flow : pricing                   {flow / price:8.1f}")
    print(
        f"core use during parameter draws  {(flow + price) / comparison.seconds['parameter draws'] / workers:8.2f} of {workers}"
    )
    print(f"peak memory, all processes        {peak:8.0f} MB   bar 1000 (pages shared by processes counted in each)")


if __name__ == "__main__":
    main()
