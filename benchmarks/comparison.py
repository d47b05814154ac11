"""`compare` at full size: 4 arms x 2 000 patients x 1 000 parameter draws; time by stage, memory, both cores.

Usage: python benchmarks/comparison.py [draws]
"""

from __future__ import annotations

import os
import resource
import sys
import time


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
    started, cpu = time.perf_counter(), time.process_time()
    comparison = compare(scenario, draws=draws, patients=2000, one_way=False, validate=False)
    wall = time.perf_counter() - started
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
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
    print(
        f"peak memory                      {own + workers * child:8.0f} MB (parent {own:.0f}, largest worker {child:.0f}); bar 1000"
    )


if __name__ == "__main__":
    main()
