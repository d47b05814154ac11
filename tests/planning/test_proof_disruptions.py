"""Disruptions in the simulated proof: what does not happen changes nothing, what happens hurts, on the same patients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cartsight.core.distributions import Constant
from cartsight.planning import NetworkProblem, Uncertainties, network_problem
from cartsight.planning.demand_scenarios import DemandScenarios, draw_futures
from cartsight.planning.network_inputs import TransportLaw
from cartsight.planning.proof import SimulatedYear, simulate_design, with_design, with_future
from cartsight.planning.screening import NetworkDesign
from cartsight.scenario import Scenario, load_scenario
from cartsight.simulation.pathways import run_flow

CALM = Uncertainties(disruption_probability=0.0, region_disruption_probability=0.0, courier_delay_probability=0.0)


@pytest.fixture(scope="module")
def problem() -> NetworkProblem:
    scenario = load_scenario("lbcl-third-line-us").with_analysis(patients=300)
    return network_problem(scenario, candidates=["central", "second"], patients_per_year=300.0)


@pytest.fixture(scope="module")
def calm(problem: NetworkProblem) -> DemandScenarios:
    return draw_futures(problem, CALM, 1, 3, "proof")


def design(problem: NetworkProblem) -> tuple[NetworkDesign, np.ndarray]:
    lines = np.array([12, 0])
    return NetworkDesign(lines, 30.0 * lines, 0.0, "by hand"), np.column_stack([problem.demand, 0 * problem.demand])


def simulate(problem: NetworkProblem, futures: DemandScenarios) -> SimulatedYear:
    chosen, assigned = design(problem)
    return simulate_design(problem, chosen, assigned, 7, 0.0, (futures, 0))


def test_a_calm_future_is_the_plain_pathway(problem: NetworkProblem, calm: DemandScenarios) -> None:
    chosen, assigned = design(problem)
    scenario: Scenario = with_design(problem, chosen, assigned, with_future(problem, calm, 0))
    flow = run_flow(scenario, problem.arm_name, 7)
    year = simulate(problem, calm)
    assert year.share_infused == float(flow.trajectories.infused.mean())  # the same patients to the last bit
    unused = replace(calm, outages=calm.outages.copy(), courier_outages=calm.courier_outages.copy())
    unused.outages[0, 2, 1] = [190.0, 250.0]  # of a plant that is not open
    assert simulate(problem, unused) == year


def test_an_outage_makes_patients_wait(problem: NetworkProblem, calm: DemandScenarios) -> None:
    down = replace(calm, outages=calm.outages.copy())
    down.outages[0, 1, 0] = [100.0, 160.0]
    before, after = simulate(problem, calm), simulate(problem, down)
    assert after.line_wait_days > before.line_wait_days + 1.0
    assert after.share_infused < before.share_infused


def test_a_courier_delay_spoils_fresh_cells(problem: NetworkProblem, calm: DemandScenarios) -> None:
    late = replace(calm, courier_outages=calm.courier_outages.copy())
    late.courier_outages[0, 1, :] = [100.0, 130.0]
    before, after = simulate(problem, calm), simulate(problem, late)
    assert after.share_infused < before.share_infused
    assert after.cost_per_infused > before.cost_per_infused
    short = replace(calm, courier_outages=calm.courier_outages.copy())
    short.courier_outages[0, 1, :] = [100.0, 100.2]  # well within the window of three days
    assert simulate(problem, short).share_infused >= after.share_infused


def test_a_slower_mode_takes_its_days(problem: NetworkProblem, calm: DemandScenarios) -> None:
    """The arm's own way out and back takes 1.4 and 1.5 days on average; five days more are five days more."""
    chosen, assigned = design(problem)
    process = problem.arm.process
    own = TransportLaw(
        "own", process.shipping_out.distribution, process.shipping_back.distribution, problem.shipping, 0.0
    )
    slow = TransportLaw(
        "slow", own.out, Constant(process.shipping_back.distribution.mean + 5.0), problem.shipping - 500.0, 0.0
    )
    plenty = replace(chosen, lines=np.array([40, 0]))
    years = []
    for number in (0, 1):
        moded = replace(
            problem, modes=(own, slow), lane_mode=np.full(problem.shipping.shape, number),
            shipping=(own, slow)[number].shipping, lost_share=problem.lost_share,
        )  # fmt: skip
        years.append(simulate_design(moded, plenty, assigned, 7, 0.0, (calm, 0)))
    plain = simulate_design(problem, plenty, assigned, 7, 0.0, (calm, 0))
    assert years[0] == plain
    assert years[1].vein_to_vein_days - years[0].vein_to_vein_days == pytest.approx(5.0, abs=0.5)
    assert years[1].cost_per_year < years[0].cost_per_year
