"""Stage 1 over the years ahead: which plants, technology, material, transport and lines, ordered when.

A facility-location programme with modular capacity on aggregated yearly flows: binaries "plant s runs process k with at least
size n by orders up to year t", flows by region, plant, process and year. Orders become lines after the lead time (a part of a
year counts as that part of the year's capacity). Money is discounted to the start of the first year; equipment is paid when
ordered and credited at the end with what is left of its life. Patients who cannot be made are lost at their price.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.planning.capacity_modules import module
from cartsight.planning.mixed_integer import MipModel
from cartsight.planning.plan_file import whole_years
from cartsight.planning.plan_problems import PlannedProcess
from cartsight.planning.recourse import SHIPMENTS

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Horizon:
    """The years ahead.

    Attributes
    ----------
    demand : tuple of float
        Referrals of each year over those of the problem.
    lead_time_years : float
    orders_before_start : int
        Years before the first in which orders can be placed.
    discount_rate : float
        Per year.
    may_close : bool
    """

    demand: tuple[float, ...] = (1.0,)
    lead_time_years: float = 0.0
    orders_before_start: int = 0
    discount_rate: float = 0.0
    may_close: bool = False

    def discount(self, year: float) -> float:
        """Return the weight of money paid at the start of a year (the first is 0; before it, more than one)."""
        return float((1.0 + self.discount_rate) ** -year)


@dataclass(frozen=True, slots=True, eq=False)
class ExpansionPlan:
    """The best plan found for the years ahead, and the proof.

    Attributes
    ----------
    process : tuple of int
        By plant: the process it runs, -1 where it never opens.
    ordered_lines : array of int, shape (order years, plants)
        Lines ordered by the end of each order year, existing ones included; the first rows are the years before the start.
    usable_lines : array, shape (years, plants)
        Lines running in each year; those that start within it by the part of the year.
    mode : tuple of str
        Modes in use, with the share of patients: "air 0.82".
    served : array, shape (years,)
        Patients made, of those collected.
    objective, bound, gap : float
        Present value; the gap is relative.
    costs : dict
        Present value by kind: plants, equipment, making and transport, patients lost.
    seconds : float
    """

    process: tuple[int, ...]
    ordered_lines: Int
    usable_lines: Float
    mode: tuple[str, ...]
    served: Float
    objective: float
    bound: float
    gap: float
    costs: dict[str, float]
    seconds: float


@dataclass(slots=True)
class _Level:
    """One size of a plant with a process; columns say whether it is ordered by the end of each order year."""

    lines: int
    more_lines: int
    more_batches: float
    ordered: list[int]


def plan_expansion(
    processes: Sequence[PlannedProcess],
    horizon: Horizon,
    *,
    safety: float,
    lost_patient: float,
    one_process: bool = True,
    time_limit: float,
    most_levels: int = 12,
    relative_gap: float = 2e-3,
) -> ExpansionPlan:
    """Return the cheapest plan by present value.

    Parameters
    ----------
    processes : sequence of PlannedProcess
        On the same plants and regions.
    horizon : Horizon
    safety : float
        Square-root safety capacity.
    lost_patient : float
        Price of a collected patient who is not made.
    one_process : bool
        All plants run the same process.
    time_limit : float
        Seconds; the gap says how far it got.
    most_levels : int
        Sizes considered per plant and process: every module count up to this many, else as many evenly spaced.
    relative_gap : float
        The search ends at this gap.

    Raises
    ------
    InputError
        No plan was found in time.
    """
    began = time.perf_counter()
    if one_process:
        plans = _one_by_one(processes, horizon, safety, lost_patient, time_limit, most_levels, relative_gap)
        return replace(plans, seconds=time.perf_counter() - began)
    start = None
    if len(processes) > 1:
        start = _one_by_one(processes, horizon, safety, lost_patient, time_limit / 2, most_levels, relative_gap)
    programme = _Programme(processes, horizon, safety, most_levels)
    programme.build(lost_patient)
    found = programme.solve(relative_gap, time_limit - (time.perf_counter() - began), start)
    return replace(found, seconds=time.perf_counter() - began)


def _one_by_one(
    processes: Sequence[PlannedProcess],
    horizon: Horizon,
    safety: float,
    lost_patient: float,
    time_limit: float,
    most_levels: int,
    relative_gap: float,
) -> ExpansionPlan:
    """Return the best plan with one process for all plants: by rising relaxed bound, until no bound is below the best plan."""
    deadline = time.perf_counter() + time_limit
    candidates = []
    for k in range(len(processes)):
        programme = _Programme(processes, horizon, safety, most_levels, only=k)
        programme.build(lost_patient)
        relaxed = programme.model.solve(relaxed=True)
        candidates.append((MILLION * relaxed.objective + programme.fixed, k, programme))
    candidates.sort(key=lambda item: item[:2])
    best: ExpansionPlan | None = None
    bounds = []
    for place, (bound, _, programme) in enumerate(candidates):
        if best is not None and bound >= best.objective * (1.0 - relative_gap):
            bounds.append(bound)
            continue
        # The most promising ones get most of the time.
        left = (deadline - time.perf_counter()) / min(len(candidates) - place, 2)
        found = programme.solve(relative_gap, max(left, 0.5), None)
        bounds.append(max(bound, found.bound))
        if best is None or found.objective < best.objective:
            best = found
    assert best is not None
    floor = min(*bounds, best.objective)
    return replace(best, bound=floor, gap=(best.objective - floor) / max(abs(best.objective), 1e-9))


MILLION = 1e6


class _Programme:
    def __init__(
        self,
        processes: Sequence[PlannedProcess],
        horizon: Horizon,
        safety: float,
        most_levels: int,
        only: int | None = None,
    ) -> None:
        self.processes, self.horizon, self.safety, self.most_levels = processes, horizon, safety, most_levels
        self.model = MipModel()
        self.considered = range(len(processes)) if only is None else (only,)
        self.plants = len(processes[0].problem.plants)
        self.regions = len(processes[0].problem.regions)
        self.years = len(horizon.demand)
        self.before = horizon.orders_before_start
        self.whole, self.part = whole_years(horizon.lead_time_years)
        # Later orders would never run.
        self.orders = max(self.before + self.years - self.whole, 1)
        self.levels: dict[tuple[int, int], list[_Level]] = {}
        self.flow: dict[tuple[int, int, int, int], int] = {}
        self.lost: list[list[int]] = []
        self.kinds: dict[str, list[tuple[int, float]]] = {
            k: [] for k in ("plants", "equipment", "making and transport", "patients lost")
        }
        self.fixed = 0.0

    def add(self, model: MipModel, kind: str, column: int, cost: float) -> None:
        model.cost[column] += cost / MILLION
        self.kinds[kind].append((column, cost))

    def running(self, ordered: list[int], year: int) -> list[tuple[int, float]]:
        """Return (column, part of the year) that say how far an order runs in a year."""
        shares = ((year - self.whole, 1.0 - self.part), (year - self.whole - 1, self.part))
        return [(ordered[o + self.before], share) for o, share in shares if share > 0.0 and o + self.before >= 0]

    def sizes(self, k: int, s: int) -> list[int]:
        process = self.processes[k]
        step, plant = process.lines_per_module, process.problem.plants[s]
        existing, most = process.existing_lines[s] // step, plant.maximum_lines // step
        if most <= self.most_levels:
            counts = set(range(1, most + 1))
        else:
            counts = {max(1, round(most * (i + 1) / self.most_levels)) for i in range(self.most_levels)} | {1}
        return sorted(n * step for n in counts | ({existing} if existing else set()))

    def solve(self, relative_gap: float, time_limit: float, start: ExpansionPlan | None) -> ExpansionPlan:
        """Solve, from a plan or from nothing but what exists, so that there always is an answer with a gap."""
        values = np.full(len(self.model.cost), np.nan)
        for column in np.flatnonzero(self.model.integer):
            values[column] = self.model.lower[column]
        if start is not None:
            for (k, s), levels in self.levels.items():
                for level in levels:
                    on = (start.ordered_lines[:, s] >= level.lines) & (start.process[s] == k)
                    values[level.ordered] = on
        result = self.model.solve(relative_gap=relative_gap, absolute_gap=1e-7, time_limit=time_limit, start=values)
        if not result.has_solution:
            raise InputError(f"the years ahead: {result.status} within {time_limit:.0f} s", field="years")
        return self.plan(result.values, result.objective, result.bound, result.gap, result.seconds)

    def build(self, lost_patient: float) -> None:
        """Write the programme."""
        model = self.model
        for k in self.considered:
            for s in range(self.plants):
                if self.processes[k].allowed[s]:
                    self._plant(model, k, s)
        for s in range(self.plants):
            for o in range(self.orders):
                first = [levels[0].ordered[o] for (_, plant), levels in self.levels.items() if plant == s and levels]
                model.row(first, [1.0] * len(first), upper=1.0)
        for t in range(self.years):
            self._year(model, t, lost_patient)

    def _plant(self, model: MipModel, k: int, s: int) -> None:
        """The sizes of one plant with one process: nested, never shrinking unless closing is allowed, paid from the start."""
        process, horizon = self.processes[k], self.horizon
        plant, existing = process.problem.plants[s], process.existing_lines[s]
        levels: list[_Level] = []
        lines, batches = 0, 0.0
        for size in self.sizes(k, s):
            full = module(process.problem, size, self.safety).batches_per_year
            ordered = [model.column(0.0, 0.0, 1.0, integer=True) for _ in range(self.orders)]
            levels.append(_Level(size, size - lines, full - batches, ordered))
            lines, batches = size, full
        for n, level in enumerate(levels):
            for o, column in enumerate(level.ordered):
                if level.lines <= existing and (o == 0 or not horizon.may_close):
                    model.lower[column] = 1.0
                if n:
                    model.row([column, levels[n - 1].ordered[o]], [1.0, -1.0], upper=0.0)
                if o and not horizon.may_close:
                    model.row([column, level.ordered[o - 1]], [1.0, -1.0], lower=0.0)
            for t in range(self.years):
                yearly = plant.line_per_year * level.more_lines + (plant.fixed_per_year if n == 0 else 0.0)
                running = self.running(level.ordered, t)
                for column, share in running:
                    self.add(model, "plants", column, share * yearly * horizon.discount(t))
                if level.lines <= existing and t <= self.whole:
                    # What exists runs before the first order could; what is not in `running` is counted here.
                    self.fixed += (1.0 - sum(share for _, share in running)) * yearly * horizon.discount(t)
            if level.lines > existing:
                self._equipment(model, process, level)
        self.levels[k, s] = levels

    def _equipment(self, model: MipModel, process: PlannedProcess, level: _Level) -> None:
        price = process.equipment_per_line * level.more_lines
        if price == 0.0:
            return
        for o, column in enumerate(level.ordered):
            year = o - self.before
            used = max(self.years - max(year + self.horizon.lead_time_years, 0.0), 0.0)
            left = max(1.0 - used / process.equipment_life_years, 0.0)
            cost = price * (self.horizon.discount(year) - left * self.horizon.discount(self.years))
            if self.horizon.may_close:
                bought = model.column()
                columns, values = ([bought, column], [1.0, -1.0])
                if o:
                    columns, values = [*columns, level.ordered[o - 1]], [*values, 1.0]
                model.row(columns, values, lower=0.0)
                # Equipment of closed lines is lost: no credit at the end.
                self.add(model, "equipment", bought, price * self.horizon.discount(year))
                continue
            self.add(model, "equipment", column, cost)
            if o:
                self.add(model, "equipment", level.ordered[o - 1], -cost)

    def _year(self, model: MipModel, t: int, lost_patient: float) -> None:
        discount, factor = self.horizon.discount(t), self.horizon.demand[t]
        lost = []
        arrivals: list[list[int]] = [[] for _ in range(self.regions)]
        weights: list[list[float]] = [[] for _ in range(self.regions)]
        for (k, s), levels in self.levels.items():
            if not levels:
                continue
            problem = self.processes[k].problem
            made = []
            open_terms = self.running(levels[0].ordered, t)
            existing = self.processes[k].existing_lines[s] > 0
            for r in range(self.regions):
                if not math.isfinite(problem.shipping[r, s]):
                    continue
                demand = factor * float(problem.demand[r])
                cost = problem.load.batches * problem.batch_cost + SHIPMENTS * float(problem.shipping[r, s])
                cost += lost_patient * (float(problem.lost_share[r, s]) + problem.relative_loss)
                column = model.column()
                self.add(model, "making and transport", column, cost * discount)
                self.flow[k, s, r, t] = column
                made.append(column)
                arrivals[r].append(column)
                # Flows are in patients of the first process, so that regions balance whatever the process.
                weights[r].append(float(self.processes[0].problem.demand[r]) / float(problem.demand[r]))
                if not existing:
                    model.row([column, *(c for c, _ in open_terms)], [1.0, *(-demand for _ in open_terms)], upper=0.0)
            columns, values = list(made), [problem.load.batches] * len(made)
            owned = 0.0
            for level in levels:
                terms = self.running(level.ordered, t)
                columns += [column for column, _ in terms]
                values += [-share * level.more_batches for _, share in terms]
                if level.lines <= self.processes[k].existing_lines[s]:
                    owned += (1.0 - sum(share for _, share in terms)) * level.more_batches
            model.row(columns, values, upper=owned)
        for r in range(self.regions):
            demand = factor * float(self.processes[0].problem.demand[r])
            column = model.column()
            self.add(model, "patients lost", column, lost_patient * discount)
            model.row([*arrivals[r], column], [*weights[r], 1.0], lower=demand, upper=demand)
            lost.append(column)
        self.lost.append(lost)

    def plan(self, values: Float, objective: float, bound: float, gap: float, seconds: float) -> ExpansionPlan:
        process = [-1] * self.plants
        ordered = np.zeros((self.orders, self.plants), dtype=np.int64)
        usable = np.zeros((self.years, self.plants))
        for (k, s), levels in self.levels.items():
            for level in levels:
                on = np.array([round(values[column]) for column in level.ordered])
                if on.any():
                    process[s] = k
                    ordered[:, s] += level.more_lines * on
                for t in range(self.years):
                    terms = self.running(level.ordered, t)
                    usable[t, s] += level.more_lines * sum(share * round(values[column]) for column, share in terms)
                    if level.lines <= self.processes[k].existing_lines[s]:
                        usable[t, s] += level.more_lines * (1.0 - sum(share for _, share in terms))
        modes: dict[str, float] = {}
        for (k, s, r, _), column in self.flow.items():
            problem = self.processes[k].problem
            name = (
                problem.modes[int(problem.lane_mode[r, s])].name if problem.lane_mode is not None else "the arm's own"
            )
            modes[name] = modes.get(name, 0.0) + float(values[column])
        everyone = max(sum(modes.values()), 1e-9)
        demand = np.array([factor * float(self.processes[0].problem.demand.sum()) for factor in self.horizon.demand])
        lost = np.array([sum(values[column] for column in columns) for columns in self.lost])
        costs = {
            kind: float(sum(cost * values[column] for column, cost in terms)) for kind, terms in self.kinds.items()
        }
        costs["plants"] += self.fixed
        total, floor = MILLION * objective + self.fixed, MILLION * bound + self.fixed
        return ExpansionPlan(
            tuple(process), ordered, usable,
            tuple(f"{name} {flow / everyone:.2f}" for name, flow in modes.items() if flow > 1e-6),
            1.0 - lost / demand, total, floor, max(total - floor, 0.0) / max(abs(total), 1e-9) if gap < math.inf else math.inf,
            costs, seconds,
        )  # fmt: skip
