"""What a network does when the year turns out so: assign, overtime, hold to the next quarter, remake or not, cancel.

One linear programme by future, with the design only in right-hand sides, so that its duals give a cut on the cost of every
other design (`cartsight.planning.cuts`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.planning.demand_scenarios import DAYS_PER_QUARTER, QUARTERS, DemandScenarios
from cartsight.planning.mixed_integer import MipModel
from cartsight.planning.network_inputs import DAYS_PER_YEAR, NetworkProblem

Float = npt.NDArray[np.float64]

SHIPMENTS = 2
SMALLEST_REMADE = 1e-6
"""A smaller share of remakes counts as none, so that the programme stays well scaled."""


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
        Share of held patients who can still be treated after the hold.
    longest_hold_days : float
        Who waits longer is cancelled: of a quarter's patients only those of its last days can be held over its end.
    """

    lost_patient: float
    overtime_share: float
    overtime_per_batch: float
    hold_per_quarter: float
    kept_in_hold: float
    longest_hold_days: float = DAYS_PER_QUARTER


def recourse_costs(
    problem: NetworkProblem,
    lost_patient: float | None,
    overtime_share: float,
    longest_hold_days: float = DAYS_PER_QUARTER,
) -> RecourseCosts:
    """Return the prices that the scenario implies.

    A lost patient costs the product's price unless stated; overtime doubles labour; held patients cost the waiting of the
    scenario and are lost at its rates of death and ineligibility in the first health state, over the longest hold.
    """
    if not 0.0 <= longest_hold_days <= DAYS_PER_QUARTER:
        raise InputError(
            "must be between 0 and one quarter",
            field="longest-hold",
            found=longest_hold_days,
            allowed=f"0 to {DAYS_PER_QUARTER:.1f} days",
        )
    scenario, arm = problem.scenario, problem.arm
    state = next(iter(scenario.population.health_states.values()))
    return RecourseCosts(
        lost_patient=arm.price.per_patient.x if lost_patient is None else lost_patient,
        overtime_share=overtime_share,
        overtime_per_batch=arm.costs.labour_per_batch.x,
        hold_per_quarter=scenario.population.waiting_cost_per_month.x * 12.0 * longest_hold_days / DAYS_PER_YEAR,
        kept_in_hold=math.exp(-(state.death.x + state.ineligibility.x) * longest_hold_days),
        longest_hold_days=longest_hold_days,
    )


@dataclass(frozen=True, slots=True, eq=False)
class YearOutcome:
    """The best recourse of one future.

    Attributes
    ----------
    cost : float
        Variable cost of the year, lost patients included.
    lost : float
        Patients lost: cancelled, lost while held, lost to a courier delay or because a failed batch was not remade.
    assigned : array, shape (regions, plants)
        Patients made.
    overtime_batches, held, not_remade : float
    slope : array, shape (2 x plants,)
        cost' >= cost + slope . (decision' - decision) for every decision: capacities in batches per year, then which
        plants are open.
    """

    cost: float
    lost: float
    assigned: Float
    overtime_batches: float
    held: float
    not_remade: float
    slope: Float


class RecourseProgramme:
    """The linear programme of a year; solve it for one future and design after another.

    Patients are assigned by quarter, region and plant. A patient takes the expected batches, less those that are not made
    again after a failure (at most the remakes of those assigned). A region sends a closed plant nobody: for whole designs
    that follows from its capacity, for fractional ones it makes the cuts deeper.
    """

    def __init__(self, problem: NetworkProblem, costs: RecourseCosts, *, count_lost_only: bool = False) -> None:
        self.problem, self.costs, self.count_lost_only = problem, costs, count_lost_only
        regions, plants = len(problem.regions), len(problem.plants)
        self.lanes = [(r, s) for r in range(regions) for s in range(plants) if math.isfinite(problem.shipping[r, s])]
        self.lane_region = np.array([r for r, _ in self.lanes])
        self.lane_plant = np.array([s for _, s in self.lanes])
        self.lane_money = SHIPMENTS * problem.shipping[self.lane_region, self.lane_plant]
        self.lane_lost = problem.lost_share[self.lane_region, self.lane_plant]
        model = MipModel()
        quarters = range(QUARTERS)
        self.assign = np.array([[model.column() for _ in self.lanes] for _ in quarters])
        self.overtime = np.array([[model.column() for _ in range(plants)] for _ in quarters])
        self.skipped = np.array([[model.column() for _ in range(plants)] for _ in quarters])
        self.hold = np.array([[model.column() for _ in range(regions)] for _ in quarters[:-1]])
        self.cancel = np.array([[model.column() for _ in range(regions)] for _ in quarters])
        balance, capacity, overtime_limit, remakes, links, longest = [], [], [], [], [], []
        lanes_of_region = [np.flatnonzero(self.lane_region == r) for r in range(regions)]
        lanes_of_plant = [np.flatnonzero(self.lane_plant == s) for s in range(plants)]
        for q in quarters:
            for r in range(regions):
                columns = [*self.assign[q, lanes_of_region[r]].tolist(), int(self.cancel[q, r])]
                values = [1.0] * len(columns)
                if q < QUARTERS - 1:
                    columns.append(int(self.hold[q, r]))
                    values.append(1.0)
                if q > 0:
                    columns.append(int(self.hold[q - 1, r]))
                    values.append(-costs.kept_in_hold)
                balance.append(model.row(columns, values, lower=0.0, upper=0.0))
                if q < QUARTERS - 1:
                    longest.append(model.row([int(self.hold[q, r])], [1.0], upper=0.0))
            for s in range(plants):
                columns = self.assign[q, lanes_of_plant[s]].tolist()
                values = [1.0] * len(columns)
                over, skip = int(self.overtime[q, s]), int(self.skipped[q, s])
                capacity.append(model.row([*columns, over, skip], [*values, -1.0, -1.0], upper=0.0))
                overtime_limit.append(model.row([over], [1.0], upper=0.0))
                # Skipped remakes are counted in patients' worth of capacity, at most the remade share of those assigned;
                # that share differs between futures, and its inverse is written at the first column.
                remakes.append(model.row([skip, *columns], [1.0, *[-1.0] * len(columns)], upper=0.0))
        for lane in range(len(self.lanes)):
            links.append(model.row(self.assign[:, lane].tolist(), [1.0] * QUARTERS, upper=math.inf))
        self.balance, self.capacity, self.overtime_limit = (
            np.array(balance),
            np.array(capacity),
            np.array(overtime_limit),
        )
        self.remakes, self.links, self.longest = np.array(remakes), np.array(links), np.array(longest)
        self.columns, self.rows = len(model.cost), len(model.row_lower)
        self.all_columns = np.arange(self.columns, dtype=np.int32)
        self.all_rows = np.arange(self.rows, dtype=np.int32)
        self.highs: Any = model.loaded(relaxed=True)

    def year(self, futures: DemandScenarios, i: int, capacity: Float, opened: Float | None = None) -> YearOutcome:
        """Return the best recourse in future `i`.

        Parameters
        ----------
        capacity : array, shape (plants,)
            Batches per year.
        opened : array, shape (plants,), optional
            Plants that are open, between 0 and 1. Without it the plants with capacity, and no bound beyond capacity.
        """
        problem, costs = self.problem, self.costs
        plants, batches = len(problem.plants), float(futures.batches[i])
        cost = self._cost(futures, i)
        self.highs.changeColsCost(self.columns, self.all_columns, cost)
        share = futures.available[i] / (QUARTERS * batches)
        patients = (share * capacity[None, :]).reshape(-1)
        upper, lower = np.full(self.rows, np.inf), np.full(self.rows, -np.inf)
        demand = futures.demand[i]
        upper[self.balance] = lower[self.balance] = demand.reshape(-1)
        upper[self.longest] = min(costs.longest_hold_days / DAYS_PER_QUARTER, 1.0) * demand[:-1].reshape(-1)
        upper[self.capacity] = patients
        upper[self.overtime_limit] = costs.overtime_share * patients
        upper[self.remakes] = 0.0
        lane_demand = demand.sum(axis=0)[self.lane_region]
        if opened is not None:
            upper[self.links] = lane_demand * opened[self.lane_plant]
        self.highs.changeRowsBounds(self.rows, self.all_rows, lower, upper)
        remade = float(futures.remade[i])
        scale = 1.0 / max(remade, SMALLEST_REMADE)
        for row, skip in zip(self.remakes.tolist(), self.skipped.reshape(-1).tolist(), strict=True):
            self.highs.changeCoeff(row, skip, scale)
        self.highs.run()
        solution = self.highs.getSolution()
        value, dual = np.asarray(solution.col_value), np.asarray(solution.row_dual)
        price = (dual[self.capacity] + costs.overtime_share * dual[self.overtime_limit]).reshape(QUARTERS, plants)
        open_price: Float = np.zeros(plants)
        if opened is not None:
            open_price = np.asarray(
                np.bincount(self.lane_plant, weights=dual[self.links] * lane_demand, minlength=plants), dtype=np.float64
            )
        assigned = np.zeros(problem.shipping.shape)
        made = value[self.assign]
        assigned[self.lane_region, self.lane_plant] = made.sum(axis=0)
        held, skipped = float(value[self.hold].sum()), float(value[self.skipped].sum())
        return YearOutcome(
            cost=float(value @ cost),
            lost=float(value @ self._lost(futures, i)),
            assigned=assigned,
            overtime_batches=float(value[self.overtime].sum()) * batches,
            held=held,
            not_remade=skipped * scale * float(futures.saved_by_remake[i]),
            slope=np.concatenate([(price * share).sum(axis=0), open_price]),
        )

    def _lost(self, futures: DemandScenarios, i: int) -> Float:
        """Return patients lost per unit of each column."""
        lost = np.zeros(self.columns)
        lost[self.cancel] = 1.0
        lost[self.hold] = 1.0 - self.costs.kept_in_hold
        lost[self.assign] = self.lane_lost[None, :] + futures.lost_to_couriers[i][:, self.lane_region]
        remade = float(futures.remade[i])
        # Without remakes there is nothing to skip: as dear as a patient, and never chosen.
        lost[self.skipped] = float(futures.saved_by_remake[i]) / remade if remade > SMALLEST_REMADE else 1.0
        return lost

    def _cost(self, futures: DemandScenarios, i: int) -> Float:
        lost = self._lost(futures, i)
        if self.count_lost_only:
            return lost
        batches = float(futures.batches[i])
        cost = self.costs.lost_patient * lost
        cost[self.hold] += self.costs.hold_per_quarter
        cost[self.overtime] += self.costs.overtime_per_batch * batches
        worth = self.costs.lost_patient * self.problem.relative_loss
        cost[self.assign] += batches * self.problem.batch_cost + self.lane_money + worth
        if futures.remade[i] > SMALLEST_REMADE:
            cost[self.skipped] -= batches * self.problem.batch_cost
        return cost
