"""The years ahead: the programme against enumeration of every plan, and what more choice or more time may do."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from cartsight.planning import NetworkProblem, network_problem
from cartsight.planning.capacity_modules import module
from cartsight.planning.expansion import Horizon, plan_expansion
from cartsight.planning.mixed_integer import MipModel
from cartsight.planning.plan_problems import PlannedProcess
from cartsight.scenario import load_scenario

LOST = 300_000.0


@pytest.fixture(scope="module")
def problem() -> NetworkProblem:
    scenario = load_scenario("lbcl-third-line-us").with_analysis(patients=300)
    base = network_problem(scenario, candidates=["east", "west"], patients_per_year=60.0)
    rng = np.random.default_rng(1)
    plants = tuple(
        replace(plant, maximum_lines=6, site_per_year=site, line_per_year=line)
        for plant, site, line in zip(base.plants, (6e5, 4e5), (3e5, 4e5), strict=True)
    )
    return replace(base, plants=plants, shipping=rng.uniform(500.0, 9_000.0, base.shipping.shape))


def processes(problem: NetworkProblem, existing: tuple[int, int] = (0, 0)) -> list[PlannedProcess]:
    dear = replace(
        problem,
        batch_cost=problem.batch_cost - 9_000.0,
        plants=tuple(replace(plant, line_per_year=plant.line_per_year * 1.2) for plant in problem.plants),
        relative_loss=0.01,
    )
    rows = (("plain", problem, 2, 0.0, existing), ("automated", dear, 3, 500_000.0, (0, 0)))
    return [
        PlannedProcess(name, name, "fresh", each, step, price, 4.0, (True, True), lines, {})
        for name, each, step, price, lines in rows
    ]


def flows_cost(parts: list[PlannedProcess], choice: tuple[int, int], capacity: np.ndarray, factor: float) -> float:
    """Least cost of a year's flows between regions and plants of given capacity, in batches."""
    model = MipModel()
    by_plant: list[list[int]] = [[], []]
    for r in range(len(parts[0].problem.regions)):
        row = [model.column(LOST)]
        for s in range(2):
            each = parts[choice[s]].problem
            cost = each.load.batches * each.batch_cost + 2.0 * each.shipping[r, s] + LOST * each.relative_loss
            row.append(model.column(cost))
            by_plant[s].append(row[-1])
        model.row(row, [1.0] * 3, lower=factor * each.demand[r], upper=factor * each.demand[r])
    for s in range(2):
        load = parts[choice[s]].problem.load.batches
        model.row(by_plant[s], [load] * len(by_plant[s]), upper=float(capacity[s]))
    return model.solve(relaxed=True).objective


def enumerate_plans(parts: list[PlannedProcess], horizon: Horizon, one_process: bool) -> float:
    """Every process by plant, every nested sequence of sizes over the order years."""
    years, before = len(horizon.demand), horizon.orders_before_start
    whole = int(horizon.lead_time_years)
    part = horizon.lead_time_years - whole
    orders = max(before + years - whole, 1)
    cache: dict[tuple[object, ...], float] = {}
    best = np.inf
    for choice in itertools.product(range(len(parts)), repeat=2):
        if one_process and choice[0] != choice[1]:
            continue
        if any(
            any(p.existing_lines[s] for p in parts) and not parts[k].existing_lines[s] for s, k in enumerate(choice)
        ):
            continue  # existing lines keep their process
        paths: list[list[tuple[int, ...]]] = []
        for s, k in enumerate(choice):
            step, existing = parts[k].lines_per_module, parts[k].existing_lines[s]
            sizes = range(existing, parts[k].problem.plants[s].maximum_lines + 1, step)
            nested = itertools.combinations_with_replacement(sizes, orders)
            paths.append([path for path in nested if path[0] >= existing])
        for both in itertools.product(*paths):
            total = 0.0
            for t in range(years):
                discount = (1 + horizon.discount_rate) ** -t
                capacity = np.zeros(2)
                for s, k in enumerate(choice):
                    each, plant = parts[k].problem, parts[k].problem.plants[s]
                    for o, share in ((t - whole, 1.0 - part), (t - whole - 1, part)):
                        lines = both[s][o + before] if o + before >= 0 else parts[k].existing_lines[s]
                        if lines and share:
                            capacity[s] += share * module(each, lines, 1.0).batches_per_year
                            total += discount * share * (plant.fixed_per_year + plant.line_per_year * lines)
                key = (choice, t, *capacity.round(9))
                if key not in cache:
                    cache[key] = flows_cost(parts, choice, capacity, horizon.demand[t])
                total += discount * cache[key]
            for s, k in enumerate(choice):
                last = parts[k].existing_lines[s]
                for o, lines in enumerate(both[s]):
                    year = o - before
                    used = max(years - max(year + horizon.lead_time_years, 0.0), 0.0)
                    left = max(1.0 - used / parts[k].equipment_life_years, 0.0)
                    price = (1 + horizon.discount_rate) ** -year - left * (1 + horizon.discount_rate) ** -years
                    total += parts[k].equipment_per_line * (lines - last) * price
                    last = lines
            best = min(best, total)
    return float(best)


@pytest.mark.parametrize(
    ("horizon", "existing", "one_process"),
    [
        (Horizon(), (0, 0), False),
        (Horizon((1.0, 1.6), 1.0, 1, 0.05), (0, 0), False),
        (Horizon((1.0, 1.6), 1.0, 1, 0.05), (0, 0), True),
        (Horizon((1.0, 1.3, 1.8), 1.5, 1, 0.03), (0, 0), True),
        (Horizon((1.0, 1.8), 1.0, 0, 0.03), (2, 0), True),
        (Horizon((1.0, 2.2), 0.5, 0, 0.0), (0, 2), False),
    ],
)
def test_equals_enumeration(
    problem: NetworkProblem, horizon: Horizon, existing: tuple[int, int], one_process: bool
) -> None:
    parts = processes(problem, existing)
    if one_process and any(existing):
        parts = parts[:1]
    found = plan_expansion(
        parts, horizon, safety=1.0, lost_patient=LOST, one_process=one_process, time_limit=60.0, relative_gap=1e-7
    )
    assert found.objective == pytest.approx(enumerate_plans(parts, horizon, one_process), rel=1e-6)
    assert found.bound <= found.objective
    assert sum(found.costs.values()) == pytest.approx(found.objective, rel=1e-7)


def test_choice_and_time_only_help(problem: NetworkProblem) -> None:
    parts = processes(problem)

    def value(horizon: Horizon, one_process: bool = True) -> float:
        return plan_expansion(
            parts, horizon, safety=1.0, lost_patient=LOST, one_process=one_process, time_limit=60.0, relative_gap=1e-6
        ).objective

    late = Horizon((1.0, 1.6), 2.0, 0, 0.03)
    assert value(late) == pytest.approx(  # nothing can be ready: everyone is lost
        LOST * float(problem.demand.sum()) * (1.0 + 1.6 / 1.03), rel=1e-9
    )
    base = value(replace(late, lead_time_years=1.0, orders_before_start=1))
    assert base <= value(late)
    slack = 1.0 + 1e-5
    assert value(replace(late, lead_time_years=1.0, orders_before_start=1), one_process=False) <= base * slack
    falling = Horizon((2.0, 0.4), 0.0, 0, 0.03)
    assert value(replace(falling, may_close=True)) < value(falling)
