"""Search the sets of plants, best bound first: a few linear programmes prove which set is best.

For a set S of open plants and any prices beta >= 0 of a line in the window that ends on day t, pricing the line windows
instead of enforcing them gives the Lagrangian bound (Geoffrion 1974, doi:10.1007/BFb0120690)

    F(S) + sum_g n_g min_{m in S, lane} (lane cost + price of its start) - sum_{m in S} lines_m sum_t beta_mt.

It is a closed form, so that one vector of prices bounds every set at once. The duals of the linear programme of the most
promising set are such prices; sets whose bound reaches the best solution are never solved.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.planning.instance import NetworkInstance
from cartsight.planning.instance_model import (
    ReducedModel,
    build_model,
    dominated_plants,
    last_start_day,
    smallest_pool,
)
from cartsight.planning.mixed_integer import MipResult

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

MOST_SETS = 60_000
TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class SetSearch:
    """The best set of plants and the proof.

    Attributes
    ----------
    model, result
        The programme of the best set and its solution; None when no set is feasible (or none was found in time).
    objective, bound : float
        Plants and transport; the bound holds for every set.
    sets, programmes : int
        Sets in question, and linear programmes solved.
    complete : bool
        False when time ran out.
    """

    model: ReducedModel | None
    result: MipResult | None
    plants: tuple[int, ...]
    objective: float
    bound: float
    sets: int
    programmes: int
    complete: bool


def candidate_sets(instance: NetworkInstance, maximum_sites: int, pool: int) -> Bool | None:
    """Return the sets of plants worth a look, shape (sets, plants); None when there are too many to list.

    Left out: sets with fewer than `pool` lines or more than `maximum_sites` plants, and sets that hold a plant without the
    plant that dominates it.
    """
    count = len(instance.sites)
    if sum(math.comb(count, k) for k in range(1, min(maximum_sites, count) + 1)) > MOST_SETS or count > 24:
        return None
    numbers = np.arange(1, 2**count, dtype=np.int64)
    sets = (numbers[:, None] >> np.arange(count)) & 1 == 1
    keep = (sets @ instance.lines >= pool) & (sets.sum(axis=1) <= maximum_sites)
    for worse, better in dominated_plants(instance):
        keep &= ~sets[:, worse] | sets[:, better]
    chosen: Bool = sets[keep]
    return chosen


class _Bounds:
    """Lagrangian bounds of all candidate sets."""

    def __init__(self, instance: NetworkInstance, sets: Bool, hold_days: int, model: ReducedModel) -> None:
        self.instance = instance
        self.sets = sets
        self.fixed = sets @ instance.site_cost
        self.groups, self.lanes = model.groups, model.lanes
        self.size = np.array([group.size for group in self.groups], dtype=np.float64)
        self.hold_days = hold_days
        last = max(group.day for group in self.groups) + instance.return_limit_days
        self.days = last_start_day(instance, last, hold_days) + 2 * instance.making_days + 2
        self.bound = self.at(np.zeros((len(instance.sites), self.days)))

    def at(self, price: Float) -> Float:
        """Return the bound of every set at prices of shape (plants, days)."""
        making, count = self.instance.making_days, len(self.instance.sites)
        cumulative = np.concatenate([np.zeros((count, 1)), np.cumsum(price, axis=1)], axis=1)
        span = self.days - making
        of_start = cumulative[:, making : making + span] - cumulative[:, :span]
        cheapest = np.full((len(self.groups), count), np.inf)
        for g, group in enumerate(self.groups):
            for m in range(count):
                for lane in self.lanes[group.site][m]:
                    day = group.day + lane.offset
                    value = lane.cost + float(of_start[m, day : day + self.hold_days + 1].min())
                    cheapest[g, m] = min(cheapest[g, m], value)
        transport = np.empty(len(self.sets))
        for first in range(0, len(self.sets), 256):
            rows = self.sets[first : first + 256]
            best = np.where(rows[:, None, :], cheapest[None, :, :], np.inf).min(axis=2)
            transport[first : first + 256] = best @ self.size
        return np.asarray(self.fixed + transport - self.sets @ (self.instance.lines * price.sum(axis=1)))

    def tighten(self, model: ReducedModel, duals: Float, plants: list[int]) -> None:
        """Use the duals of the line windows of one set as prices for all sets."""
        price = np.zeros((len(self.instance.sites), self.days))
        for (m, day), row in model.window_row.items():
            price[m, day] = max(-float(duals[row]), 0.0)
        others = [m for m in range(len(self.instance.sites)) if m not in plants]
        if others:
            price[others] = price[plants].min(axis=0)
        self.bound = np.maximum(self.bound, self.at(price))


def search_sets(
    instance: NetworkInstance, maximum_sites: int, hold_days: int, *, time_limit: float, threads: int = 0
) -> SetSearch | None:
    """Return the proven best set of plants, or None when there are too many sets to list."""
    deadline = time.perf_counter() + time_limit
    sets = candidate_sets(instance, maximum_sites, smallest_pool(instance, hold_days))
    if sets is None:
        return None
    if not len(sets):
        return SetSearch(None, None, (), math.nan, math.inf, 0, 0, True)
    bounds = _Bounds(instance, sets, hold_days, build_model(instance, hold_days, plants=[]))
    settled = np.zeros(len(sets), dtype=np.bool_)
    best = SetSearch(None, None, (), math.inf, -math.inf, len(sets), 0, True)
    programmes, complete = 0, True
    while not settled.all():
        i = int(np.where(settled, np.inf, bounds.bound).argmin())
        if bounds.bound[i] >= best.objective - TOLERANCE:
            break
        if time.perf_counter() > deadline:
            complete = False
            break
        settled[i] = True
        plants = np.flatnonzero(sets[i]).tolist()
        model = build_model(instance, hold_days, plants=plants)
        programmes += 1
        relaxed = model.programme.solve(relaxed=True, threads=threads)
        if not relaxed.has_solution:
            _price_overload(bounds, plants, hold_days)
            bounds.bound[i] = math.inf
            continue
        bounds.tighten(model, relaxed.row_duals, plants)
        fixed = float(bounds.fixed[i])
        bounds.bound[i] = max(float(bounds.bound[i]), fixed + relaxed.objective)
        if bounds.bound[i] >= best.objective - TOLERANCE:
            continue
        whole = model.programme.solve(
            absolute_gap=TOLERANCE, time_limit=deadline - time.perf_counter(), threads=threads
        )
        bounds.bound[i] = max(float(bounds.bound[i]), fixed + whole.bound) if whole.status != "infeasible" else math.inf
        complete &= whole.status in ("optimal", "infeasible")
        if whole.has_solution and fixed + whole.objective < best.objective:
            objective = fixed + whole.objective
            best = SetSearch(model, whole, tuple(plants), objective, -math.inf, len(sets), 0, True)
    bound = min(best.objective, float(bounds.bound.min()))
    return SetSearch(best.model, best.result, best.plants, best.objective, bound, len(sets), programmes, complete)


def _price_overload(bounds: _Bounds, plants: list[int], hold_days: int) -> None:
    """Learn from a set with too few lines: price the windows as if leaving a patient out cost more than any plant."""
    penalty = 2.0 * float(bounds.fixed.max()) / max(float(bounds.size.sum()), 1.0) + float(
        bounds.instance.site_cost.max()
    )
    model = build_model(bounds.instance, hold_days, plants=plants, left_out_cost=penalty)
    relaxed = model.programme.solve(relaxed=True)
    if relaxed.has_solution:
        bounds.tighten(model, relaxed.row_duals, plants)
