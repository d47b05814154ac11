"""Offered load of every resource, from routing probabilities: which one binds, and whether its queue can empty.

The load of a group is the arrival rate times the sum over the delays inside its Seize ... Free of visits x mean delay,
plus changeovers and repairs. Time spent waiting for a second resource, or for a gate, while holding a first is not
counted, so the load is a lower bound.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cartsight.core.distributions import Distribution
from cartsight.core.errors import InputError
from cartsight.simulation import steps as s
from cartsight.simulation import tables as t
from cartsight.simulation.compile import CompiledModel
from cartsight.simulation.visits import groups_held, visits_of_lots, visits_per_entity

Float = npt.NDArray[np.float64]


class OverloadWarning(UserWarning):
    """A resource is offered more work than it can do; only clocks that take patients away keep its queue finite."""


@dataclass(frozen=True, slots=True)
class ResourceLoad:
    """Offered load of one resource or, when its group pools them, of the resources of a group.

    Attributes
    ----------
    offered : float
        Servers kept busy on average if nobody had to wait (erlang).
    capacity : float
        Most servers on duty in the long run: work begun before closing is finished, so a pool that is closed to new
        starts part of the week may still do almost as much.
    """

    name: str
    offered: float
    capacity: float

    @property
    def ratio(self) -> float:
        """Offered load per server (rho)."""
        return self.offered / self.capacity if self.capacity > 0 else math.inf


def offered_load(
    compiled: CompiledModel,
    arrivals_per_day: float | Mapping[str, float],
    *,
    attributes: Mapping[str, Float] | None = None,
) -> list[ResourceLoad]:
    """Return the offered load of every resource, the one that binds first.

    Changeovers count as the line meets them when work always waits: the product of a run is independent of that of the
    run before, so that the mean over pairs of products is exact when served in order (campaign 1); campaigns of N runs
    divide the changes by N, a lower bound. A server that breaks down loses its run and is out for the repair: with runs
    of d days, exponential running times of mean R, repairs of mean D and restarts until the run is made, the load of a
    run is (R + D)(e^(d/R) - 1), exact for constant d; other laws of the running time count by their mean.

    Parameters
    ----------
    compiled : CompiledModel
        The model.
    arrivals_per_day : float or mapping of program to float
        Arrival rate, of all programs for patients together when a number.
    attributes : mapping of name to array, optional
        Attributes of the arrivals: they decide routing by attribute and the products of lines with a set-up (else
        candidates and products share evenly) and effects on delays (else the default of the attribute).
    """
    model = compiled.model
    programs = [name for name in compiled.entries if model.entities[name] == "patient"]
    if isinstance(arrivals_per_day, Mapping):
        rates = {name: float(arrivals_per_day.get(name, 0.0)) for name in programs}
    else:
        rates = dict.fromkeys(programs, float(arrivals_per_day) / len(programs))
    given = attributes or {}
    held = groups_held(compiled)
    runs = _runs(compiled, held, given)
    lost = {pc: run.lost for pc, run in runs.items() if run.lost > 0.0}
    visits = sum(rate * visits_per_entity(compiled, compiled.entries[name], lost=lost) for name, rate in rates.items())
    visits = np.asarray(visits, dtype=np.float64)
    visits = visits + visits_of_lots(compiled, visits, lost=lost)
    load = np.zeros(len(compiled.groups))
    own: dict[tuple[int, str], float] = {}
    for pc, row in enumerate(compiled.tables.program.tolist()):
        if row[t.OP] == t.DELAY and visits[pc] > 0:
            load[list(held[pc])] += visits[pc] * _mean_delay(compiled, pc, given)
        elif pc in runs and visits[pc] > 0:
            for (g, name), days in runs[pc].extra_days.items():
                own[g, name] = own.get((g, name), 0.0) + visits[pc] * days
                load[[other for other in held[pc + 1] if other != g]] += visits[pc] * days
    offered = np.zeros(len(compiled.resources))
    pooled: list[ResourceLoad] = []
    for g, name in enumerate(compiled.groups):
        group = model.groups.get(name)
        shares = _candidates(compiled, g, given)
        work = {
            candidate: (load[g] * share + own.get((g, candidate), 0.0)) * (1.0 + _repair_per_day(compiled, candidate))
            for candidate, share in shares.items()
        }
        if not any(work.values()):
            continue
        if group is None or group.rule in ("fixed", "by_attribute"):
            for candidate, days in work.items():
                offered[compiled.resources.index(candidate)] += days
        else:
            capacity = sum(_capacity(compiled, candidate) for candidate in shares)
            pooled.append(ResourceLoad(name, float(sum(work.values())), capacity))
    single = [
        ResourceLoad(name, float(offered[i]), _capacity(compiled, name)) for i, name in enumerate(compiled.resources)
    ]
    return sorted(single + pooled, key=lambda each: -each.ratio)


def check_load(
    compiled: CompiledModel,
    arrivals_per_day: float | Mapping[str, float],
    *,
    attributes: Mapping[str, Float] | None = None,
) -> CompiledModel:
    """Refuse a model whose queue never empties, or warn when only reneging empties it.

    Returns
    -------
    CompiledModel
        The same tables; `warnings` names an overloaded resource.

    Raises
    ------
    InputError
        The binding resource has an offered load of one or more per server and no clock runs that could take waiting
        patients away.
    """
    loads = offered_load(compiled, arrivals_per_day, attributes=attributes)
    if not loads or loads[0].ratio < 1.0 or loads[0].offered == 0.0:
        return compiled
    worst = loads[0]
    found = f"{worst.offered:.3g} servers' work for {worst.capacity:.3g} (load {worst.ratio:.3g} per server)"
    if not compiled.model.clocks:
        raise InputError(
            "the queue never empties: more work arrives than this resource can do",
            field=worst.name,
            found=found,
            allowed="a load below 1 per server",
        )
    message = f"{worst.name}: {found}; only patients who die or leave while waiting keep the queue finite"
    warnings.warn(message, OverloadWarning, stacklevel=2)
    return replace(compiled, warnings=(*compiled.warnings, message))


@dataclass(frozen=True, slots=True)
class _Run:
    """What set-ups and breakdowns do to one visit of a seize.

    `lost` is the probability that the server breaks down before it is given back; `extra_days` are the days by group
    and resource that are held beside the delays which the model's steps count.
    """

    lost: float
    extra_days: Mapping[tuple[int, str], float]


def _runs(compiled: CompiledModel, held: list[frozenset[int]], given: Mapping[str, Float]) -> dict[int, _Run]:
    """Return, by row, the seizes that take servers with a set-up or breakdowns."""
    model, tables = compiled.model, compiled.tables
    runs = {}
    for pc, row in enumerate(tables.program.tolist()):
        if row[t.OP] != t.SEIZE:
            continue
        extra: dict[tuple[int, str], float] = {}
        all_lost = 0.0
        for g in tables.seize_group[row[t.A] : row[t.A] + row[t.B]].tolist():
            for name, share in _candidates(compiled, g, given).items():
                setup, breakdown = model.setups.get(name), model.breakdowns.get(name)
                if setup is None and breakdown is None:
                    continue
                change = _changeover_days(compiled, name, given)
                if breakdown is None:
                    extra[g, name] = share * change
                    continue
                days, running = _hold_days(compiled, pc, g, held, given), _mean(breakdown.running_days)
                lost = -math.expm1(-(days + change) / running) if running > 0.0 else 1.0
                extra[g, name] = share * (running * lost - days * (1.0 - lost))
                all_lost += share * lost
        if extra:
            runs[pc] = _Run(min(all_lost, 1.0), extra)
    return runs


def _hold_days(
    compiled: CompiledModel, pc: int, group: int, held: list[frozenset[int]], given: Mapping[str, Float]
) -> float:
    """Return the mean days from a seize until its group is given back, when nothing breaks down."""
    rows = {at for at, groups in enumerate(held) if group in groups}
    visits = visits_per_entity(compiled, pc + 1, within=rows)
    program = compiled.tables.program
    delays = (at for at in rows if program[at, t.OP] == t.DELAY and visits[at] > 0.0)
    return sum(float(visits[at]) * _mean_delay(compiled, at, given) for at in delays)


def _changeover_days(compiled: CompiledModel, resource: str, given: Mapping[str, Float]) -> float:
    """Return the mean days of set-up per run when work always waits."""
    setup = compiled.model.setups.get(resource)
    if setup is None:
        return 0.0
    days = np.array([[_mean(law) for law in row] for row in setup.changeover])
    shares = np.zeros(setup.products)
    for product, share in _shares(given, setup.attribute, None, setup.products).items():
        if not 0 <= product < setup.products:
            raise InputError(
                "not the number of a product",
                field=setup.attribute,
                found=product,
                allowed=f"0 to {setup.products - 1}",
            )
        shares[product] = share
    changed = np.outer(shares, shares) / setup.campaign
    np.fill_diagonal(changed, shares - shares * (1.0 - shares) / setup.campaign)
    return float(np.sum(changed * days))


def _repair_per_day(compiled: CompiledModel, resource: str) -> float:
    """Return the mean days out of service for each day that a server is held."""
    breakdown = compiled.model.breakdowns.get(resource)
    if breakdown is None:
        return 0.0
    running = _mean(breakdown.running_days)
    return _mean(breakdown.repair_days) / running if running > 0.0 else math.inf


def _candidates(compiled: CompiledModel, g: int, given: Mapping[str, Float]) -> dict[str, float]:
    """Return the resources of a group and the share of its work that each gets; pools share by capacity."""
    name = compiled.groups[g]
    group = compiled.model.groups.get(name)
    if group is None:
        return {name: 1.0}
    if group.rule == "fixed":
        return {group.candidates[0]: 1.0}
    shares: dict[str, float] = {}
    if group.rule == "by_attribute":
        for number, share in _shares(given, group.attribute, group.matrix, len(group.candidates)).items():
            candidate = group.candidates[number]
            shares[candidate] = shares.get(candidate, 0.0) + share
        return shares
    names = list(dict.fromkeys(group.candidates))
    capacity = [_capacity(compiled, candidate) for candidate in names]
    total = sum(capacity)
    return {each: c / total if total > 0.0 else 1.0 / len(names) for each, c in zip(names, capacity, strict=True)}


def _mean_delay(compiled: CompiledModel, pc: int, given: Mapping[str, Float]) -> float:
    name = compiled.row_names[pc]
    for program, steps in compiled.model.programs.items():
        for step in steps:
            if isinstance(step, s.Delay) and step.name == name:
                mean = _mean(step.law)
                if not step.log_effects:
                    return mean
                patient = compiled.model.entities[program] == "patient"
                defaults = compiled.model.attributes if patient else compiled.model.lot_attributes
                score = sum(
                    beta * np.asarray(given.get(attribute, defaults[attribute]) if patient else defaults[attribute])
                    for attribute, beta in step.log_effects.items()
                )
                return mean * float(np.mean(np.exp(score)))
    return 0.0


def _mean(law: Distribution | float) -> float:
    return law.mean if isinstance(law, Distribution) else float(law)


def _shares(
    given: Mapping[str, Float], attribute: str | None, matrix: tuple[tuple[int, ...], ...] | None, count: int
) -> dict[int, float]:
    """Return the share of arrivals that an attribute sends to each candidate."""
    values = given.get(attribute) if attribute is not None else None
    if values is None:
        numbers = [row[0] for row in matrix] if matrix is not None else list(range(count))
    else:
        sites = np.atleast_1d(np.asarray(values)).astype(int).tolist()
        numbers = [matrix[site][0] if matrix is not None else site for site in sites]
    unique, counts = np.unique(numbers, return_counts=True)
    return {int(number): float(c) / len(numbers) for number, c in zip(unique, counts, strict=True)}


def _capacity(compiled: CompiledModel, name: str) -> float:
    resource = compiled.model.resources[name]
    return (
        float(resource.capacity) if resource.calendar is None else resource.calendar.largest_capacity(resource.capacity)
    )
