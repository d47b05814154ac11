"""One arm at one parameter draw, through every stage: flow, outcomes, cost of goods, patient costs."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.economics.cost_of_goods import CostOfGoods, cost_of_goods
from cartsight.economics.pricing import PatientCosts, price_patients
from cartsight.outcomes import Outcomes, PatientDraws, simulate_outcomes
from cartsight.scenario import Scenario
from cartsight.scenario.arms import as_product
from cartsight.simulation.pathways import ArmFlow, generate_patients, observation_window, run_flow
from cartsight.simulation.pathways.plant import PlantRecord
from cartsight.simulation.pathways.trajectory import Trajectories

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ArmRun:
    """Everything about one arm at one parameter draw."""

    name: str
    scenario: Scenario
    trajectories: Trajectories
    outcomes: Outcomes
    costs: PatientCosts
    plant: PlantRecord | None
    goods: CostOfGoods | None

    @property
    def cost(self) -> Float:
        """Discounted cost of each patient, shape (n,), in the analysis's perspective."""
        return self.costs.total_discounted

    @property
    def effect(self) -> Float:
        """Discounted QALYs of each patient, shape (n,)."""
        return self.outcomes.qalys_discounted


@dataclass(slots=True)
class Clock:
    """Seconds spent in the flow and in everything after it."""

    flow: float = 0.0
    pricing: float = 0.0


def price_arm(scenario: Scenario, arm_name: str, flow: ArmFlow, seed: int, draws: PatientDraws | None = None) -> ArmRun:
    """Return outcomes, cost of goods and patient costs of a flow: run once, price many.

    The scenario may differ from the one the flow was run with in anything that does not touch the flow: prices, unit
    costs, utilities, efficacy, discount rates, horizon.
    """
    outcomes = simulate_outcomes(flow.trajectories, scenario, arm_name, seed, draws=draws)
    arm = as_product(scenario.arms[arm_name])
    goods = cost_of_goods(arm, flow.plant) if arm is not None and flow.plant is not None else None
    at_cost = None
    if scenario.analysis.perspective == "health_system_at_cost" and goods is not None:
        at_cost = goods.per_infused
    costs = price_patients(flow.trajectories, outcomes, scenario, arm_name, product_cost_per_infused=at_cost)
    return ArmRun(arm_name, scenario, flow.trajectories, outcomes, costs, flow.plant, goods)


def run_arms(
    scenario: Scenario,
    seed: int,
    arms: tuple[str, ...] | None = None,
    *,
    extra_wait_days: float = 0.0,
    clock: Clock | None = None,
) -> dict[str, ArmRun]:
    """Return the runs of the arms on the same patients and the same random numbers."""
    clock = clock or Clock()
    started = time.perf_counter()
    patients = generate_patients(scenario, seed, observation_window(scenario))
    draws = PatientDraws(patients.rows(np.flatnonzero(patients.counted)), seed)
    clock.flow += time.perf_counter() - started
    runs = {}
    for name in arms or tuple(scenario.arms):
        started = time.perf_counter()
        flow = run_flow(scenario, name, seed, patients=patients, extra_wait_days=extra_wait_days)
        middle = time.perf_counter()
        runs[name] = price_arm(scenario, name, flow, seed, draws)
        clock.flow += middle - started
        clock.pricing += time.perf_counter() - middle
    return runs
