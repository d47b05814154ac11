"""Network instances to proven optimality, and a network study of a scenario at its full size: seconds and gap.

Run: ``python benchmarks/network.py [--sizes 200,500,1000,2000] [--seeds 2]`` for the published instance format. Every instance is
generated here, written in that format and read back by the loader; costs and lines are random, in the published order of magnitude.
Run: ``python benchmarks/network.py --study [--patients 5000] [--sites 30] [--regions 12] [--draws 50] [--time-limit 180]`` for the three
stages on random plants and lanes around a shipped scenario.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cartsight.planning import NetworkProblem

PLANT_SIZES = (4, 10, 31)
DAYS = 90


def arrival_days(patients: int, profile: str, rng: np.random.Generator) -> np.ndarray:
    """Return collection days in one quarter: profile A uniform, profile B in clusters."""
    if profile == "A":
        return rng.integers(1, DAYS + 1, patients)
    centres = rng.uniform(8, DAYS - 8, 5)
    days = rng.normal(centres[rng.integers(0, centres.size, patients)], 9.0)
    return np.clip(np.rint(days), 1, DAYS).astype(np.int64)


def random_instance_text(
    patients: int,
    profile: str,
    seed: int,
    *,
    plants: int = 6,
    sites: int = 4,
    with_variable_cost: bool = True,
    twins: bool = True,
    extra: str = "",
) -> str:
    """Return an instance file: `patients` in one quarter, twin plants as in the published instances or all different."""
    rng = np.random.default_rng(seed)
    days = arrival_days(patients, profile, rng)
    at = rng.integers(1, sites + 1, patients)
    c = [f"c{i + 1}" for i in range(sites)]
    h = [f"h{i + 1}" for i in range(sites)]
    m = [f"m{i + 1}" for i in range(plants)]
    if twins:
        lines = [PLANT_SIZES[(0, 2, 1)[i % 3]] for i in range(plants)]
        capital = [554.0 * n for n in lines]
        running = [5_200.0 * n for n in lines]
    else:
        lines = [int(n) for n in rng.choice([4, 6, 10, 15, 31], plants)]
        capital = [round(554.0 * n * rng.uniform(0.9, 1.2), 2) for n in lines]
        running = [round(5_200.0 * n * rng.uniform(0.9, 1.2), 2) for n in lines]
    fast = rng.integers(600, 4000, (2, plants, sites))
    slow = np.rint(fast * rng.uniform(0.3, 0.8, fast.shape)).astype(int)
    out = [
        f"{c[i]} {m[k]} j1 {fast[0, k, i]}\n{c[i]} {m[k]} j2 {slow[0, k, i]}"
        for i in range(sites)
        for k in range(plants)
    ]
    back = [
        f"{m[k]} {h[i]} j1 {fast[1, k, i]}\n{m[k]} {h[i]} j2 {slow[1, k, i]}"
        for k in range(plants)
        for i in range(sites)
    ]
    rows = [f"p{i + 1} c{at[i]} {days[i]} 1" for i in range(patients)]
    blocks = [
        f"set c := {' '.join(c)};",
        f"set h := {' '.join(h)};",
        "set j := j1 j2;",
        "set m :=\n" + "\n".join(m) + "\n;",
        "set p := " + " ".join(f"p{i + 1}" for i in range(patients)) + ";",
        _param("CIM", [f"{a} {b}" for a, b in zip(m, capital, strict=True)]),
        _param("CVM", [f"{a} {b}" for a, b in zip(m, running, strict=True)]) if with_variable_cost else "# no CVM",
        _param("FCAP", [f"{a} {b}" for a, b in zip(m, lines, strict=True)]),
        _param("TT1", ["j1 1", "j2 2"]),
        _param("TT3", ["j1 1", "j2 2"]),
        _param("U1", out),
        _param("U3", back),
        _param("INC", rows),
        "param FMAX := 1 ;\nparam FMIN := 0 ;\nparam TAD := 0 ;\nparam TLS := 1 ;",
        extra,
    ]
    return "# random instance\n\n" + "\n\n".join(blocks) + "\n"


def _param(name: str, rows: list[str]) -> str:
    return f"param {name} :=\n" + "\n".join(rows) + "\n;"


def study_problem(patients: float, sites: int, regions: int, seed: int) -> NetworkProblem:
    """Return a study with random plants on a square, regions on the same square and lanes priced by distance."""
    from cartsight.planning import network_problem
    from cartsight.scenario import load_scenario

    scenario = load_scenario("lbcl-third-line-us")
    population, name = scenario.population, "autologous-central"
    rng = np.random.default_rng(seed)
    weight = rng.dirichlet(np.full(regions, 3.0))
    template = next(iter(population.regions.values()))
    total = sum(region.referrals_per_year.x for region in population.regions.values())
    places = {
        f"region {i + 1}": template.model_copy(
            update={
                "referrals_per_year": template.referrals_per_year.at(total * float(w)),
                "hospitals": max(1, round(22 * float(w))),
            }
        )
        for i, w in enumerate(weight)
    }
    arm = scenario.arms[name]
    plants = {key: site.model_copy(update={"serves": None}) for key, site in arm.sites.items()}
    scenario = scenario.model_copy(
        update={
            "population": population.model_copy(update={"regions": places}),
            "arms": {name: arm.model_copy(update={"sites": plants})},
        }
    )
    at, towns = rng.uniform(0.0, 1.0, (sites, 2)), rng.uniform(0.0, 1.0, (regions, 2))
    with tempfile.TemporaryDirectory() as folder:
        table, lanes = Path(folder) / "sites.csv", Path(folder) / "lanes.csv"
        rows = [
            f"s{i + 1},{rng.choice([20, 40, 80, 200])},{1.4e6 * rng.uniform(0.7, 1.5):.0f},{1.4e6 * rng.uniform(0.9, 1.15):.0f},quarter {i % 4}"
            for i in range(sites)
        ]
        table.write_text("\n".join(["site,maximum_lines,site_per_year,line_per_year,region", *rows]), encoding="utf-8")
        rows = [
            f"s{i + 1},{region},{300 + 5000 * float(np.hypot(*(at[i] - towns[r]))):.0f}"
            for i in range(sites)
            for r, region in enumerate(places)
        ]
        lanes.write_text("\n".join(["site,region,shipping", *rows]), encoding="utf-8")
        return network_problem(scenario, name, sites_file=table, lanes_file=lanes, patients_per_year=patients)


def run_study(options: argparse.Namespace) -> None:
    """Print how far the three stages get."""
    from cartsight.planning import NetworkOptions, study_network

    problem = study_problem(options.patients, options.sites, options.regions, 1)
    settings = NetworkOptions(draws=options.draws, time_limit=options.time_limit, information=10, replications=8)
    study = study_network(problem, settings, lambda text: print(text, flush=True))
    print(
        f"{problem.referrals.sum():,.0f} referrals a year, {len(problem.plants)} plants, {len(problem.regions)} regions, {options.draws} futures"
    )
    print("screening gap", f"{study.screening[0].gap:.2%}")
    for result in study.samples:
        print(
            f"sample: {result.objective / 1e6:,.2f} M, bound {result.bound / 1e6:,.2f} M (relaxed {result.relaxed_bound / 1e6:,.2f} M), "
            f"gap {result.gap:.2%}, {result.rounds} designs, {result.cuts} cuts, {result.seconds:.0f} s"
        )
    print(
        f"out of sample {study.designs[0].evaluation.mean / 1e6:,.2f} M; above the bounds {study.optimality_gap / 1e6:,.2f} M "
        f"(95 % at most {study.optimality_gap_high / 1e6:,.2f} M, {study.optimality_gap_high / study.lower_bound:.1%})"
    )
    print(
        "seconds:",
        {stage: round(seconds, 1) for stage, seconds in study.seconds.items()},
        "in all",
        f"{sum(study.seconds.values()):.0f}",
    )


def main() -> None:
    """Print a table of seconds and gaps."""
    from cartsight.core.errors import InputError
    from cartsight.planning import load_instance, replay, solve_instance

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="200,500,1000,2000")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--plain-limit", type=float, default=30.0, help="seconds for the plain programme")
    parser.add_argument("--study", action="store_true", help="the three stages on a scenario instead")
    parser.add_argument("--patients", type=float, default=5000.0)
    parser.add_argument("--sites", type=int, default=30)
    parser.add_argument("--regions", type=int, default=12)
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--time-limit", type=float, default=180.0, help="seconds for the optimisation of the study")
    options = parser.parse_args()
    if options.study:
        run_study(options)
        return
    from cartsight.planning.instance_model import build_model

    print("plain: HiGHS branch and bound on the same reduced programme, without the search over sets")
    print(
        f"{'per year':>8} {'profile':>7} {'plants':>6} {'limit':>5} {'hold':>4} {'seconds':>8} {'plain':>8} {'gap':>8}  result"
    )
    slowest = 0.0
    for size in (int(word) for word in options.sizes.split(",")):
        for profile in "AB":
            for seed in range(options.seeds):
                for plants, twins in ((6, True), (6, False), (12, False)):
                    text = random_instance_text(size // 4, profile, seed, plants=plants, twins=twins)
                    with tempfile.TemporaryDirectory() as folder:
                        path = Path(folder) / f"random{size}{profile}{seed}.dat"
                        path.write_text(text, encoding="utf-8")
                        instance = load_instance(path)
                    for limit, hold in ((None, 0), (2, 0), (3, 0), (None, 3)):
                        head = f"{size:>8} {profile:>7} {plants:>6} {limit or '-':>5} {hold:>4}"
                        try:
                            found = solve_instance(instance, maximum_sites=limit, hold_days=hold)
                        except InputError:
                            print(f"{head} {'':>8} {'':>8} {'':>8}  infeasible")
                            continue
                        same = "replayed to the cent" if replay(instance, found).matches else "REPLAY DIFFERS"
                        plain = build_model(instance, hold, maximum_sites=limit).programme.solve(
                            time_limit=options.plain_limit
                        )
                        plain_seconds = (
                            f"{plain.seconds:.2f}" if plain.status == "optimal" else f">{options.plain_limit:g}"
                        )
                        slowest = max(slowest, found.seconds)
                        print(
                            f"{head} {found.seconds:>8.2f} {plain_seconds:>8} {found.gap:>8.1g}  {found.objective:,.2f} with "
                            f"{len(found.opened)} plants, {same}",
                            flush=True,
                        )
    print(f"slowest: {slowest:.1f} s")


if __name__ == "__main__":
    main()
