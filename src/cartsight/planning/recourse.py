"""What a network does when the year turns out so: assign, overtime, hold to the next quarter, remake, cancel.

One linear programme by future, with the design only in right-hand sides, so that its duals give a cut on the cost of every
other design (L-shaped method: Van Slyke & Wets 1969, doi:10.1137/0117061).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.planning.demand_scenarios import QUARTERS, DemandScenarios
from cartsight.planning.mixed_integer import MipModel
from cartsight.planning.network_inputs import DAYS_PER_YEAR, NetworkProblem

Float = npt.NDArray[np.float64]

SHIPMENTS = 2


@dataclass(frozen=True, slots=True)
class RecourseCosts:
    """Prices of what a network can do in the year.

    Attributes
    ----------
    lost_patient : float
        Per collected patient who is cancelled or lost while held.
    overtime_share : float
        Capacity that overtime can add.
    overtime_per_batch : float
        On top of the batch.
    hold_per_quarter : float
        Per patient held.
    kept_in_hold : float
        Share of held patients who can still be treated a quarter later.
    """

    lost_patient: float
    overtime_share: float
    overtime_per_batch: float
    hold_per_quarter: float
    kept_in_hold: float


def recourse_costs(problem: NetworkProblem, lost_patient: float | None, overtime_share: float) -> RecourseCosts:
    """Return the prices that the scenario implies.

    A lost patient costs the product's price unless stated; overtime doubles labour; held patients cost the waiting of the
    scenario and are lost at its rates of death and ineligibility in the first health state.
    """
    scenario, arm = problem.scenario, problem.arm
    state = next(iter(scenario.population.health_states.values()))
    days = DAYS_PER_YEAR / QUARTERS
    return RecourseCosts(
        lost_patient=arm.price.per_patient.x if lost_patient is None else lost_patient,
        overtime_share=overtime_share,
        overtime_per_batch=arm.costs.labour_per_batch.x,
        hold_per_quarter=scenario.population.waiting_cost_per_month.x * 12.0 / QUARTERS,
        kept_in_hold=math.exp(-(state.death.x + state.ineligibility.x) * days),
    )


@dataclass(frozen=True, slots=True, eq=False)
class YearOutcome:
    """The best recourse of one future.

    Attributes
    ----------
    cost : float
        Variable cost of the year, lost patients included.
    lost : float
        Patients lost.
    assigned : array, shape (regions, plants)
        Patients made.
    overtime_batches, held : float
    intercept : float
    slope : array, shape (plants,)
        cost >= intercept + slope . capacity, for every capacity in batches per year.
    """

    cost: float
    lost: float
    assigned: Float
    overtime_batches: float
    held: float
    intercept: float
    slope: Float


class RecourseProgramme:
    """The linear programme of a year; solve it for one future and capacity after another."""

    def __init__(self, problem: NetworkProblem, costs: RecourseCosts, *, count_lost_only: bool = False) -> None:
        self.problem, self.costs, self.count_lost_only = problem, costs, count_lost_only
        regions, plants = len(problem.regions), len(problem.plants)
        self.lanes = [(r, s) for r in range(regions) for s in range(plants) if math.isfinite(problem.shipping[r, s])]
        model = MipModel()
        self.assign = [[model.column() for _ in self.lanes] for _ in range(QUARTERS)]
        self.overtime = [[model.column() for _ in range(plants)] for _ in range(QUARTERS)]
        self.hold = [[model.column() for _ in range(regions)] for _ in range(QUARTERS - 1)]
        self.cancel = [[model.column() for _ in range(regions)] for _ in range(QUARTERS)]
        self.balance, self.capacity, self.overtime_limit = [], [], []
        for q in range(QUARTERS):
            for r in range(regions):
                columns = [c for c, (region, _) in zip(self.assign[q], self.lanes, strict=True) if region == r]
                columns.append(self.cancel[q][r])
                values = [1.0] * len(columns)
                if q < QUARTERS - 1:
                    columns.append(self.hold[q][r])
                    values.append(1.0)
                if q > 0:
                    columns.append(self.hold[q - 1][r])
                    values.append(-costs.kept_in_hold)
                self.balance.append(model.row(columns, values, lower=0.0, upper=0.0))
            for s in range(plants):
                columns = [c for c, (_, plant) in zip(self.assign[q], self.lanes, strict=True) if plant == s]
                values = [1.0] * len(columns)
                self.capacity.append(model.row([*columns, self.overtime[q][s]], [*values, -1.0], upper=0.0))
            for s in range(plants):
                self.overtime_limit.append(model.row([self.overtime[q][s]], [1.0], upper=0.0))
        self.columns, self.rows = len(model.cost), len(model.row_lower)
        self.highs: Any = model.loaded(relaxed=True)

    def year(self, futures: DemandScenarios, i: int, capacity: Float) -> YearOutcome:
        """Return the best recourse in future `i` with `capacity` batches per year, shape (plants,)."""
        cost = self._cost(float(futures.batches[i]))
        self.highs.changeColsCost(self.columns, np.arange(self.columns, dtype=np.int32), cost)
        share = futures.available[i] / (QUARTERS * float(futures.batches[i]))
        patients = (share * capacity[None, :]).reshape(-1)
        upper, lower = np.zeros(self.rows), np.full(self.rows, -np.inf)
        upper[self.balance] = lower[self.balance] = futures.demand[i].reshape(-1)
        upper[self.capacity] = patients
        upper[self.overtime_limit] = self.costs.overtime_share * patients
        self.highs.changeRowsBounds(self.rows, np.arange(self.rows, dtype=np.int32), lower, upper)
        self.highs.run()
        solution = self.highs.getSolution()
        value, dual = np.asarray(solution.col_value), np.asarray(solution.row_dual)
        plants = len(self.problem.plants)
        price = (dual[self.capacity] + self.costs.overtime_share * dual[self.overtime_limit]).reshape(QUARTERS, plants)
        assigned = np.zeros(self.problem.shipping.shape)
        made = value[np.array(self.assign)].sum(axis=0)
        for (r, s), amount in zip(self.lanes, made, strict=True):
            assigned[r, s] = amount
        held = float(value[np.array(self.hold)].sum())
        return YearOutcome(
            cost=float(value @ cost),
            lost=float(value[np.array(self.cancel)].sum()) + (1.0 - self.costs.kept_in_hold) * held,
            assigned=assigned,
            overtime_batches=float(value[np.array(self.overtime)].sum()) * float(futures.batches[i]),
            held=held,
            intercept=float(dual[self.balance] @ futures.demand[i].reshape(-1)),
            slope=np.asarray((price * share).sum(axis=0)),
        )

    def _cost(self, batches: float) -> Float:
        cost = np.zeros(self.columns)
        lost = 1.0 if self.count_lost_only else self.costs.lost_patient
        cost[np.array(self.cancel)] = lost
        cost[np.array(self.hold)] = (1.0 - self.costs.kept_in_hold) * lost
        if self.count_lost_only:
            return cost
        cost[np.array(self.hold)] += self.costs.hold_per_quarter
        cost[np.array(self.overtime)] = self.costs.overtime_per_batch * batches
        lanes = np.array([self.problem.shipping[r, s] for r, s in self.lanes])
        cost[np.array(self.assign)] = batches * self.problem.batch_cost + SHIPMENTS * lanes
        return cost
