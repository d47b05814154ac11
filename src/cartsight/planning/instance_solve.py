"""Solve a network instance: which plants, and for every patient which plant, lane, start and return."""

from __future__ import annotations

import heapq
import math
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import CartsightError, InputError
from cartsight.planning.infeasible import explain
from cartsight.planning.instance import NetworkInstance
from cartsight.planning.instance_model import ReducedModel, build_model, check_lanes, smallest_pool
from cartsight.planning.plant_sets import search_sets

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

TIME_LIMIT_SECONDS = 110.0
PROVEN_GAP = 1e-9


class NoSolutionError(CartsightError):
    """The time limit came before any solution."""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkSolution:
    """The best network found and the proof of how good it is.

    Attributes
    ----------
    status : str
        "optimal" (to a thousandth of the money unit or a relative 1e-9) or "time limit".
    objective, bound, gap : float
        Total cost, proven lower bound, (objective - bound) / objective.
    opened : array of int
        Numbers of the open plants.
    lines : int
        Lines of the open plants.
    plant, out, back : array of int, shape (patients,)
        Plant and modes of each patient.
    arrival_day, start_day, return_day : array of int, shape (patients,)
        Arrival at the plant, start of making, return to the hospital.
    site_cost, transport_cost, material_cost, quality_control_cost : float
        Parts of the objective.
    seconds : float
        Wall-clock time, model building included.
    method : str
        How optimality was proven.
    """

    instance: NetworkInstance
    hold_days: int
    status: str
    objective: float
    bound: float
    gap: float
    opened: Int
    plant: Int
    out: Int
    back: Int
    arrival_day: Int
    start_day: Int
    return_day: Int
    site_cost: float
    transport_cost: float
    material_cost: float
    quality_control_cost: float
    seconds: float
    method: str

    @property
    def opened_sites(self) -> tuple[str, ...]:
        """Names of the open plants."""
        return tuple(self.instance.sites[m] for m in self.opened)

    @property
    def lines(self) -> int:
        """Lines of the open plants."""
        return int(self.instance.lines[self.opened].sum())

    @property
    def cost_per_therapy(self) -> float:
        """Objective over patients."""
        return self.objective / len(self.instance.patients)

    @property
    def return_days(self) -> Int:
        """Days from the start of leukapheresis to the return, shape (patients,)."""
        return np.asarray(self.return_day - self.instance.patient_day)

    @property
    def waits(self) -> Int:
        """Days of waiting at the plant, shape (patients,)."""
        return np.asarray(self.start_day - self.arrival_day)

    def occupancy(self, plant: int) -> Int:
        """Return the lines busy at a plant on days 0 to the horizon, shape (horizon + 1,)."""
        busy = np.zeros(self.instance.horizon_days + 1, dtype=np.int64)
        for start in self.start_day[self.plant == plant]:
            busy[start : start + self.instance.making_days] += 1
        return busy

    def utilisation(self, plant: int) -> float:
        """Return the share of line-days charged that were busy."""
        capacity = int(self.instance.lines[plant]) * self.instance.horizon_days
        return float(self.occupancy(plant).sum()) / capacity if capacity else math.nan


def solve_instance(
    instance: NetworkInstance,
    *,
    maximum_sites: int | None = None,
    hold_days: int = 0,
    time_limit: float = TIME_LIMIT_SECONDS,
    threads: int = 0,
) -> NetworkSolution:
    """Return the cheapest network of an instance, proven optimal unless time runs out.

    Parameters
    ----------
    instance : NetworkInstance
    maximum_sites : int, optional
        Most plants that may open; no limit by default.
    hold_days : int
        Longest wait between arrival at the plant and start. Waiting is free and does not count against the return limit.
    time_limit : float
        In seconds.
    threads : int
        Of the solver; 0: its own choice.

    Raises
    ------
    InputError
        No network serves everyone; the message says which site and days bind.
    NoSolutionError
        The time limit came before any solution.
    """
    began = time.perf_counter()
    if maximum_sites is not None and maximum_sites < 1:
        raise InputError("at least one plant must be allowed", field="max-sites", found=maximum_sites)
    if hold_days < 0:
        raise InputError("a hold cannot be negative", field="hold", found=hold_days)
    if not time_limit > 0:
        raise InputError("the time limit must be above zero", field="time-limit", found=time_limit)
    check_lanes(instance)
    most = len(instance.sites) if maximum_sites is None else min(maximum_sites, len(instance.sites))
    found = search_sets(instance, most, hold_days, time_limit=time_limit, threads=threads)
    if found is not None:
        model, result, bound, complete = found.model, found.result, found.bound, found.complete
        objective, plants = found.objective, np.array(found.plants, dtype=np.int64)
        method = f"Lagrangian bounds of {found.sets} plant sets, {found.programmes} linear programmes"
        infeasible = complete and model is None
    else:
        model = build_model(instance, hold_days, maximum_sites=most)
        columns = list(model.open_column.values())
        model.programme.row(columns, instance.lines.tolist(), lower=smallest_pool(instance, hold_days))
        result = model.programme.solve(time_limit=time_limit, threads=threads)
        objective, bound = result.objective, result.bound
        infeasible = result.status == "infeasible"
        plants = np.flatnonzero(result.values[columns] > 0.5) if result.has_solution else np.empty(0, np.int64)
        method = f"branch and bound, {result.nodes} nodes"
    if infeasible:
        raise explain(instance, most, hold_days)
    if model is None or result is None or not result.has_solution:
        raise NoSolutionError(f"{instance.name}: no solution within {time_limit:g} s; allow more with --time-limit")
    return _solution(instance, model, result.values, plants, hold_days, objective - bound, began, method)


def _solution(
    instance: NetworkInstance,
    model: ReducedModel,
    values: Float,
    plants: Int,
    hold_days: int,
    slack: float,
    began: float,
    method: str,
) -> NetworkSolution:
    n = len(instance.patients)
    plant, out, back = (np.full(n, -1, dtype=np.int64) for _ in range(3))
    waiting_list = {
        g: list(np.flatnonzero((instance.patient_site == group.site) & (instance.patient_day == group.day)))
        for g, group in enumerate(model.groups)
    }
    for (g, m, number), column in model.flow.items():
        lane = model.lanes[model.groups[g].site][m][number]
        for _ in range(round(values[column])):
            patient = waiting_list[g].pop(0)
            plant[patient], out[patient], back[patient] = m, lane.out, lane.back
    arrival = instance.patient_day + instance.leukapheresis_days + instance.days_out[out]
    start = _starts(instance, plant, arrival)
    c = instance.patient_site
    transport = math.fsum(instance.cost_out[c, plant, out]) + math.fsum(instance.cost_back[plant, c, back])
    opened = np.asarray(sorted(plants.tolist()), dtype=np.int64)
    site_cost = math.fsum(instance.site_cost[opened])
    objective = math.fsum([site_cost, transport, n * instance.material_cost, n * instance.quality_control_cost])
    proven = slack <= max(1.5e-3, PROVEN_GAP * objective)
    bound = objective if proven and slack <= 0 else objective - max(slack, 0.0)
    return NetworkSolution(
        instance=instance,
        hold_days=hold_days,
        status="optimal" if proven else "time limit",
        objective=objective,
        bound=bound,
        gap=(objective - bound) / objective if objective > 0 else 0.0,
        opened=opened,
        plant=plant,
        out=out,
        back=back,
        arrival_day=arrival,
        start_day=start,
        return_day=start + instance.making_days + instance.quality_control_days + instance.days_back[back],
        site_cost=site_cost,
        transport_cost=transport,
        material_cost=n * instance.material_cost,
        quality_control_cost=n * instance.quality_control_cost,
        seconds=time.perf_counter() - began,
        method=method,
    )


def _starts(instance: NetworkInstance, plant: Int, arrival: Int) -> Int:
    """Return the earliest starts, first come first started; never later than in the programme's own schedule."""
    start = np.empty_like(arrival)
    order = np.lexsort((np.arange(arrival.size), arrival))
    for m in np.unique(plant):
        free = [0] * int(instance.lines[m])
        for patient in order[plant[order] == m]:
            start[patient] = max(int(arrival[patient]), heapq.heappop(free))
            heapq.heappush(free, int(start[patient]) + instance.making_days)
    return start
