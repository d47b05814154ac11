"""The two-stage programme against enumeration of all designs, and the order of what uncertainty costs."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from cartsight.planning import NetworkProblem, Uncertainties, network_problem
from cartsight.planning.capacity_modules import modules
from cartsight.planning.demand_scenarios import DemandScenarios, draw_futures, expected_future
from cartsight.planning.recourse import RecourseCosts, recourse_costs
from cartsight.planning.screening import NetworkDesign
from cartsight.planning.stochastic import ServiceTarget, evaluate, solve_stochastic
from cartsight.planning.stochastic_values import Optimum, stochastic_values
from cartsight.scenario import load_scenario

WILD = Uncertainties(
    demand_cv=0.4, quarter_cv=0.3, disruption_probability=0.15, region_disruption_probability=0.1,
    courier_delay_probability=0.2, courier_delay_days=6.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def problem() -> NetworkProblem:
    scenario = load_scenario("lbcl-third-line-us").with_analysis(patients=300)
    base = network_problem(scenario, candidates=["east", "west"], patients_per_year=90.0)
    rng = np.random.default_rng(3)
    plants = tuple(
        replace(plant, maximum_lines=most, site_per_year=site, line_per_year=line, region="coast")
        for plant, most, site, line in zip(base.plants, (5, 3), (5e5, 2e5), (9e5, 1.2e6), strict=True)
    )
    return replace(base, plants=plants, shipping=rng.uniform(500.0, 30_000.0, base.shipping.shape))


def every_design(problem: NetworkProblem) -> list[NetworkDesign]:
    designs = []
    sizes = [[None, *modules(problem, s, 1.0)] for s in range(2)]
    for pair in itertools.product(*sizes):
        fixed = sum(
            plant.fixed_per_year + plant.line_per_year * size.lines
            for plant, size in zip(problem.plants, pair, strict=True)
            if size is not None
        )
        lines = np.array([0 if size is None else size.lines for size in pair])
        capacity = np.array([0.0 if size is None else size.batches_per_year for size in pair])
        designs.append(NetworkDesign(lines, capacity, fixed, "enumerated"))
    return designs


@pytest.mark.parametrize("service", [None, ServiceTarget(0.75, 0.25)])
def test_every_design_times_exact_recourse(problem: NetworkProblem, service: ServiceTarget | None) -> None:
    futures = draw_futures(problem, WILD, 8, 5, "test")
    costs = recourse_costs(problem, None, 0.15, 30.0)
    designs = every_design(problem)
    judged = [(design, evaluate(problem, costs, design, futures)) for design in designs]
    if service is not None:
        # What counts for the service is the fewest patients that can be lost, whatever that costs.
        fewest = replace(costs, lost_patient=1e9)
        judged = [
            (d, e)
            for d, e in judged
            if evaluate(problem, fewest, d, futures).worst_service(service.tail) >= service.level - 1e-6
        ]
    best = min(e.mean for _, e in judged)
    found = solve_stochastic(
        problem,
        costs,
        futures,
        1.0,
        first=[designs[-1]],
        service=service,
        time_limit=60.0,
        origin="test",
        relative_gap=1e-7,
    )
    assert found.objective == pytest.approx(best, rel=1e-6)
    assert found.bound <= best * (1 + 1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_wait_and_see_recourse_expected_value(problem: NetworkProblem, seed: int) -> None:
    """WS <= RP <= EEV on the same futures, all found exactly."""
    futures = draw_futures(problem, WILD, 6, seed, "test")
    costs = recourse_costs(problem, None, 0.15)
    largest = every_design(problem)[-1]

    def best(sample: DemandScenarios) -> Optimum[NetworkDesign]:
        found = solve_stochastic(
            problem, costs, sample, 1.0, first=[largest], time_limit=30.0, origin="test", relative_gap=1e-7
        )
        return Optimum(found.design, found.objective, found.bound)

    values = stochastic_values(
        6,
        lambda i: best(futures.only(i)),
        best(futures),
        best(expected_future(problem)).decision,
        lambda design: evaluate(problem, costs, design, futures).cost,
    )
    slack = 1e-6 * values.recourse_problem
    assert values.wait_and_see <= values.recourse_problem + slack
    assert values.recourse_problem <= values.expected_value_solution + slack
    assert (values.by_future[:, 0] <= values.by_future[:, 1:].min(axis=1) + slack).all()
    assert (
        values.perfect_information > 1e-3 * values.recourse_problem
    )  # demand varies by 40 %, so knowing it is worth much
    assert values.gap <= 1e-6


def test_newsvendor(problem: NetworkProblem) -> None:
    """One plant, lognormal demand, nothing but serve or lose: the marginal line is worth its price, and
    E min(D, K) = m Phi((ln K - mu - s^2) / s) + K (1 - Phi((ln K - mu) / s))."""
    from scipy.stats import norm

    one = replace(
        problem,
        plants=(replace(problem.plants[0], maximum_lines=12),),
        shipping=np.full((len(problem.regions), 1), 1_000.0),
        lost_share=np.zeros((len(problem.regions), 1)),
        load=replace(problem.load, remakes=0.0, saved_by_remake=0.0),
    )
    plain = RecourseCosts(400_000.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    only_demand = Uncertainties(
        demand_cv=0.3, demand_correlation=1.0, quarter_cv=0.0, disruption_probability=0.0,
        region_disruption_probability=0.0, courier_delay_probability=0.0,
    )  # fmt: skip
    options = modules(one, 0, 0.0)
    capacity = np.array([option.batches_per_year for option in options]) / one.load.batches
    plant = one.plants[0]
    fixed = plant.fixed_per_year + plant.line_per_year * np.array([option.lines for option in options])
    each = one.load.batches * one.batch_cost + 2_000.0
    mean = float(one.demand.sum())
    s = np.sqrt(np.log1p(0.3**2))
    mu = np.log(mean) - s**2 / 2
    z = (np.log(capacity) - mu) / s
    served = mean * norm.cdf(z - s) + capacity * (1 - norm.cdf(z))
    cost = fixed + each * served + 400_000.0 * (mean - served)
    designs = [
        NetworkDesign(np.array([o.lines]), np.array([o.batches_per_year]), float(f), "by hand")
        for o, f in zip(options, fixed, strict=True)
    ]
    many = draw_futures(one, only_demand, 1500, 1, "newsvendor")
    best = int(cost.argmin())
    for n in (best - 2, best, best + 2):
        judged = evaluate(one, plain, designs[n], many)
        assert judged.mean == pytest.approx(cost[n], abs=4 * judged.standard_error)
    # On a sample: the cheapest size by the same sums, and the size whose worst tenth is served as asked,
    # K = level / mean(1 / D over the worst tenth) while K is below all of these.
    futures = draw_futures(one, only_demand, 60, 2, "newsvendor")
    demand = futures.demand.sum(axis=(1, 2))
    sums = fixed + np.mean(
        each * np.minimum(demand, capacity[:, None]) + 400_000.0 * np.maximum(demand - capacity[:, None], 0.0), axis=1
    )
    found = solve_stochastic(
        one, plain, futures, 0.0, first=designs[-1:], time_limit=20.0, origin="t", relative_gap=1e-7
    )
    assert found.design.lines[0] == options[int(sums.argmin())].lines
    assert found.objective == pytest.approx(float(sums.min()), rel=1e-6)
    worst = np.sort(demand)[-6:]
    needed = 0.9 / np.mean(1.0 / worst)
    assert needed < worst.min()
    served_size = options[int(np.argmax(capacity >= needed))].lines
    assert served_size > found.design.lines[0] or sums.argmin() >= np.argmax(capacity >= needed)
    tight = solve_stochastic(
        one, replace(plain, lost_patient=0.0), futures, 0.0, first=designs[-1:], service=ServiceTarget(0.9, 0.1),
        time_limit=20.0, origin="t", relative_gap=1e-7,
    )  # fmt: skip
    assert tight.design.lines[0] == served_size
