"""Stages of the network study: recourse and its cuts, the stochastic optimum by enumeration, selection, tables, proof."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.core.ranking_and_selection import select_best
from cartsight.economics.cost_of_goods import cost_of_goods
from cartsight.planning import NetworkOptions, NetworkProblem, Uncertainties, network_problem, study_network
from cartsight.planning.capacity_modules import modules, usable_load
from cartsight.planning.demand_scenarios import DAYS_PER_QUARTER, draw_futures, expected_future
from cartsight.planning.network_inputs import autologous_arm
from cartsight.planning.proof import simulate_design, with_design
from cartsight.planning.recourse import RecourseCosts, RecourseProgramme, recourse_costs
from cartsight.planning.screening import NetworkDesign, screen
from cartsight.planning.stochastic import ServiceTarget, evaluate, solve_stochastic
from cartsight.scenario import load_scenario
from cartsight.simulation.pathways import run_flow

PLAIN = RecourseCosts(400_000.0, 0.0, 0.0, 0.0, 0.0)
"""Nothing but assigning and losing patients, so that a year can be worked out by hand."""


@pytest.fixture(scope="module")
def problem() -> NetworkProblem:
    scenario = load_scenario("lbcl-third-line-us").with_analysis(patients=300)
    return network_problem(scenario, candidates=["central", "second"])


def designs_of_one_plant(problem: NetworkProblem) -> list[NetworkDesign]:
    plant = problem.plants[0]
    return [
        NetworkDesign(
            np.array([module.lines, 0]),
            np.array([module.batches_per_year, 0.0]),
            plant.fixed_per_year + plant.line_per_year * module.lines,
            "by hand",
        )
        for module in modules(problem, 0, 1.0)
    ]


def test_recourse_of_one_year_by_hand(problem: NetworkProblem) -> None:
    problem = replace(problem, load=replace(problem.load, remakes=0.0, saved_by_remake=0.0))
    future = expected_future(problem)
    programme = RecourseProgramme(problem, PLAIN)
    demand, batches = float(problem.demand.sum()), problem.load.batches
    each = batches * problem.batch_cost + 2 * float(problem.shipping[0, 0])
    half = programme.year(future, 0, np.array([0.5 * demand * batches, 0.0]))
    assert half.lost == pytest.approx(demand / 2)
    assert half.cost == pytest.approx(demand / 2 * (each + 400_000))
    plenty = programme.year(future, 0, np.array([demand * batches, demand * batches]))
    assert plenty.lost == pytest.approx(0.0, abs=1e-9)
    assert plenty.cost == pytest.approx(demand * each)


def test_hold_and_overtime_only_help(problem: NetworkProblem) -> None:
    futures = draw_futures(problem, Uncertainties(quarter_cv=0.6), 5, 3, "test")
    capacity = np.array([float(problem.demand.sum()), 0.0])
    more = recourse_costs(problem, 400_000.0, 0.15)
    assert 0.5 < more.kept_in_hold < 1.0
    for i in range(5):
        best = RecourseProgramme(problem, more).year(futures, i, capacity)
        no_hold = RecourseProgramme(problem, replace(more, kept_in_hold=0.0)).year(futures, i, capacity)
        nothing = RecourseProgramme(problem, PLAIN).year(futures, i, capacity)
        assert best.cost <= no_hold.cost + 1e-3 <= nothing.cost + 2e-3


def test_cuts_support_the_cost_everywhere(problem: NetworkProblem) -> None:
    futures = draw_futures(
        problem, Uncertainties(disruption_probability=0.2, courier_delay_probability=0.3), 3, 1, "test"
    )
    programme = RecourseProgramme(problem, recourse_costs(problem, None, 0.15))
    rng = np.random.default_rng(0)
    capacities = rng.uniform(0.0, 1.2 * float(problem.demand.sum()), (6, 2))
    opened = rng.uniform(0.0, 1.0, (6, 2))
    for i in range(3):
        for here in zip(capacities, opened, strict=True):
            year = programme.year(futures, i, *here)
            for there in zip(capacities, opened, strict=True):
                other = programme.year(futures, i, *there).cost
                assert other >= year.cost + year.slope @ (np.concatenate(there) - np.concatenate(here)) - 1e-6 * other


def test_remakes_are_skipped_only_when_that_is_worth_it(problem: NetworkProblem) -> None:
    """A remake takes a batch and saves a patient with some chance; when lines are short the batch saves more as a first one."""
    load = replace(problem.load, batches=1.2, remakes=0.2, saved_by_remake=0.1, infused=0.7, collected=0.8)
    one = replace(problem, load=load)
    future = expected_future(one)
    demand = float(one.demand.sum())
    programme = RecourseProgramme(one, PLAIN)
    plenty = programme.year(future, 0, np.array([1.3 * demand, 0.0]))
    assert plenty.not_remade == pytest.approx(0.0, abs=1e-9)
    short = programme.year(future, 0, np.array([demand, 0.0]))
    # One batch each serves everybody, and every second remake (0.1 of 0.2) would have saved a patient; keeping the remakes
    # instead would turn away a sixth.
    assert short.not_remade == pytest.approx(0.1 * demand, rel=1e-6)
    assert short.lost == pytest.approx(0.1 * demand, rel=1e-6)


def test_hold_is_bounded(problem: NetworkProblem) -> None:
    futures = draw_futures(problem, Uncertainties(quarter_cv=0.9, disruption_probability=0.3), 4, 3, "test")
    capacity = np.array([float(problem.demand.sum()), 0.0])
    costs = [recourse_costs(problem, None, 0.0, days) for days in (0.0, 20.0, 60.0)]
    for i in range(4):
        years = [RecourseProgramme(problem, cost).year(futures, i, capacity) for cost in costs]
        assert years[0].held == pytest.approx(0.0, abs=1e-9)
        for year, days in zip(years, (0.0, 20.0, 60.0), strict=True):
            assert year.held <= days / DAYS_PER_QUARTER * futures.demand[i, :-1].sum() + 1e-6
    with pytest.raises(InputError, match="longest-hold"):
        recourse_costs(problem, None, 0.0, 100.0)


def test_plants_of_a_region_go_down_together(problem: NetworkProblem) -> None:
    plants = tuple(replace(plant, region="coast") for plant in problem.plants)
    only_regions = Uncertainties(disruption_probability=0.0, region_disruption_probability=0.3)
    together = draw_futures(replace(problem, plants=plants), only_regions, 50, 3, "test")
    assert (together.available < 1.0).mean() == pytest.approx(0.3, abs=0.08)
    np.testing.assert_array_equal(together.available[:, :, 0], together.available[:, :, 1])
    np.testing.assert_array_equal(together.outages[:, :, 0], together.outages[:, :, 1])
    apart = draw_futures(problem, only_regions, 50, 3, "test")
    assert (apart.available == 1.0).all()  # plants without a region
    np.testing.assert_array_equal(apart.demand, together.demand)
    days = together.outages[~np.isnan(together.outages[..., 0])]
    np.testing.assert_allclose(days[:, 1] - days[:, 0], 0.67 * DAYS_PER_QUARTER)


@pytest.mark.parametrize("service", [None, ServiceTarget(0.98, 0.25)])
def test_stochastic_optimum_equals_enumeration(problem: NetworkProblem, service: ServiceTarget | None) -> None:
    """One plant: every size can be judged on the same sample, and the cheapest that meets the service level wins."""
    one = replace(problem, plants=problem.plants[:1], shipping=problem.shipping[:, :1])
    futures = draw_futures(one, Uncertainties(disruption_probability=0.0), 20, 5, "test")
    costs = recourse_costs(one, None, 0.15)
    options = [
        NetworkDesign(d.lines[:1], d.capacity[:1], d.fixed_cost, d.origin) for d in designs_of_one_plant(problem)
    ]
    judged = [(design, evaluate(one, costs, design, futures)) for design in options]
    fit = [e.mean for _, e in judged if service is None or e.worst_service(service.tail) >= service.level - 1e-9]
    first = [options[-1]]
    found = solve_stochastic(one, costs, futures, 1.0, first=first, service=service, time_limit=30.0, origin="test")
    assert found.objective == pytest.approx(min(fit), rel=1.1e-3)  # the search stops at a gap of 0.001
    assert found.bound <= min(fit) * (1 + 1e-9)
    assert found.gap <= 1e-3


def test_stochastic_design_is_no_worse_than_the_expected_one_on_its_sample(problem: NetworkProblem) -> None:
    futures = draw_futures(problem, Uncertainties(), 10, 5, "test")
    costs = recourse_costs(problem, None, 0.15)
    screened, result = screen(problem, 1.0, time_limit=20.0)
    assert result.gap <= 1e-4
    found = solve_stochastic(problem, costs, futures, 1.0, first=[screened], time_limit=30.0, origin="test")
    assert found.objective <= evaluate(problem, costs, screened, futures).mean + 1.0
    assert found.objective == pytest.approx(evaluate(problem, costs, found.design, futures).mean, rel=1e-9)


def test_screening_says_when_candidates_are_too_small(problem: NetworkProblem) -> None:
    tiny = replace(problem, plants=tuple(replace(plant, maximum_lines=2) for plant in problem.plants))
    with pytest.raises(InputError, match="cannot serve the expected demand"):
        screen(tiny, 1.0, time_limit=10.0)


def test_square_root_safety_capacity() -> None:
    for lines in (1, 5, 40):
        load = usable_load(lines, 1.0)
        assert load + load**0.5 == pytest.approx(lines)
    assert usable_load(7, 0.0) == pytest.approx(7.0)


def test_cost_in_the_proof_is_the_cost_of_goods(problem: NetworkProblem) -> None:
    """With equal plants and one shipping price, costs posted by plant and lane equal the arm's own cost of goods."""
    design = designs_of_one_plant(problem)[14]
    assigned = np.column_stack([problem.demand, np.zeros_like(problem.demand)])
    year = simulate_design(problem, design, assigned, 11, 0.0)
    scenario = with_design(problem, design, assigned, problem.scenario)
    flow = run_flow(scenario, problem.arm_name, 11)
    assert flow.plant is not None
    goods = cost_of_goods(scenario.arms[problem.arm_name], flow.plant)  # type: ignore[arg-type]
    assert year.cost_per_infused == pytest.approx(goods.per_infused, rel=1e-12)
    assert year.share_infused == pytest.approx(float(flow.trajectories.infused.mean()))


def test_selection_keeps_what_it_cannot_tell_when_the_replications_run_out() -> None:
    rng = np.random.default_rng(4)
    common = rng.normal(0.0, 5.0, 60)
    own = rng.normal(0.0, 0.5, (60, 3))

    def alike(i: int, alive: tuple[int, ...]) -> list[float]:
        return [common[i] + own[i, s] for s in alive]

    def apart(i: int, alive: tuple[int, ...]) -> list[float]:
        return [common[i] + own[i, s] + (0.0, 2.0, 4.0)[s] for s in alive]

    found = select_best(apart, 3, indifference=0.5, maximise=False, most=60)
    assert found.survivors == (0,) and found.best == 0
    open_ended = select_best(alike, 3, indifference=1e-4, maximise=False, most=20)
    assert open_ended.survivors == (0, 1, 2)
    assert open_ended.replications.tolist() == [20, 20, 20]
    with pytest.raises(InputError, match="fewer replications"):
        select_best(alike, 3, indifference=1.0, most=5)


def test_whole_study(problem: NetworkProblem) -> None:
    options = NetworkOptions(
        draws=6, samples=2, out_of_sample=12, top=2, first_replications=3, replications=3, time_limit=30.0
    )
    study = study_network(problem, options)
    assert study.screening[0].gap <= 1e-4
    assert study.information is not None and study.information.by_future.shape == (6, 3)
    for errors, values in zip(study.prediction_error, study.proof.measures, strict=True):
        assert set(errors) <= set(values)
        mean, low, high = errors["cost_per_year"]
        assert low <= mean <= high
    assert all(result.gap <= 1e-3 for result in study.samples)
    assert 1 <= len(study.proof.survivors) <= 2
    assert len(study.proof.measures) == min(2, len(study.designs))
    again = study_network(problem, options)
    assert [d.design.lines.tolist() for d in again.designs] == [d.design.lines.tolist() for d in study.designs]
    assert again.proof.measures == study.proof.measures


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("site\n", "no rows"),
        ("name\na\n", "unknown column"),
        ("maximum_lines\n3\n", "missing"),
        ("site,maximum_lines\na,3\na,4\n", "3: site: a plant needs a name of its own"),
        ("site,maximum_lines\na,x\n", "2: maximum_lines: not a number"),
        ("site,maximum_lines\na,2.5\n", "whole number"),
        ("site,line_per_year\na,nan\n", "finite"),
        ("site,line_per_year\na\n", "1 cells"),
    ],
)
def test_bad_tables_of_plants(tmp_path: Path, text: str, message: str) -> None:
    from cartsight.planning.network_inputs import CandidatePlant, _read_plants

    path = tmp_path / "sites.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        _read_plants(path, CandidatePlant("", 10, 1.0, 1.0, 1.0))
    assert message in str(error.value) and "sites.csv" in str(error.value)


def test_tables_replace_the_arms_own_costs_and_lanes(tmp_path: Path) -> None:
    scenario = load_scenario("lbcl-third-line-us").with_analysis(patients=100)
    sites, lanes = tmp_path / "sites.csv", tmp_path / "lanes.csv"
    sites.write_text("site,maximum_lines,line_per_year\nhub,60,\nsmall,5,900000\n", encoding="utf-8")
    rows = [f"hub,{region},1500" for region in scenario.population.regions]
    lanes.write_text("\n".join(["site,region,shipping", *rows, "small,rural,200"]) + "\n", encoding="utf-8")
    problem = network_problem(scenario, sites_file=sites, lanes_file=lanes, patients_per_year=500)
    assert [plant.maximum_lines for plant in problem.plants] == [60, 5]
    assert problem.plants[0].line_per_year == problem.arm.costs.line_per_year.x
    assert problem.plants[1].line_per_year == 900_000
    assert problem.referrals.sum() == pytest.approx(500)
    assert np.isinf(problem.shipping[:, 1]).sum() == 3
    lanes.write_text("site,region,shipping\nsmall,rural,200\n", encoding="utf-8")
    with pytest.raises(InputError, match="no lane leads from this region"):
        network_problem(scenario, sites_file=sites, lanes_file=lanes)


def test_arm_must_be_autologous() -> None:
    scenario = load_scenario("lbcl-third-line-us")
    with pytest.raises(InputError, match="Did you mean 'autologous-central'"):
        autologous_arm(scenario, "autologous-centre")
