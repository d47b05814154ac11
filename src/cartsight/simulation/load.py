"""Offered load of every resource, from routing probabilities: which one binds, and whether its queue can empty.

Expected visits to each step solve v = e + P' v over states (step, retries used). The load of a group is the arrival
rate times the sum over the delays inside its Seize ... Free of visits x mean delay. Time spent waiting for a second
resource, or for a gate, while holding a first is not counted, so the load is a lower bound.
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
from cartsight.simulation.compile import CompiledModel, successors

Float = npt.NDArray[np.float64]
MOST_STATES = 1_500
State = tuple[int, tuple[tuple[int, int], ...]]


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

    Parameters
    ----------
    compiled : CompiledModel
        The model.
    arrivals_per_day : float or mapping of program to float
        Arrival rate, of all programs for patients together when a number.
    attributes : mapping of name to array, optional
        Attributes of the arrivals: they decide routing by attribute (else candidates share evenly) and effects on
        delays (else the default of the attribute).
    """
    model = compiled.model
    programs = [name for name in compiled.entries if model.entities[name] == "patient"]
    if isinstance(arrivals_per_day, Mapping):
        rates = {name: float(arrivals_per_day.get(name, 0.0)) for name in programs}
    else:
        rates = dict.fromkeys(programs, float(arrivals_per_day) / len(programs))
    given = attributes or {}
    load = np.zeros(len(compiled.groups))
    held = _held(compiled)
    visits = sum(rate * visits_per_entity(compiled, compiled.entries[name]) for name, rate in rates.items())
    visits = np.asarray(visits, dtype=np.float64)
    visits = visits + _lots(compiled, visits)
    for pc, row in enumerate(compiled.tables.program.tolist()):
        if row[t.OP] == t.DELAY and visits[pc] > 0:
            load[list(held[pc])] += visits[pc] * _mean_delay(compiled, pc, given)
    offered = np.zeros(len(compiled.resources))
    pooled: list[ResourceLoad] = []
    for g, name in enumerate(compiled.groups):
        group = model.groups.get(name)
        if load[g] == 0:
            continue
        if group is None:
            offered[compiled.resources.index(name)] += load[g]
        elif group.rule == "fixed":
            offered[compiled.resources.index(group.candidates[0])] += load[g]
        elif group.rule == "by_attribute":
            for number, share in _shares(given, group.attribute, group.matrix, len(group.candidates)).items():
                offered[compiled.resources.index(group.candidates[number])] += load[g] * share
        else:
            capacity = sum(_capacity(compiled, candidate) for candidate in dict.fromkeys(group.candidates))
            pooled.append(ResourceLoad(name, float(load[g]), capacity))
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


def visits_per_entity(compiled: CompiledModel, entry: int) -> Float:
    """Return the expected visits to every step of an entity that enters at `entry`, without clocks, shape (rows,).

    Tests of attributes and states count as even odds; effects on probabilities are left out.
    """
    numbers, edges = _explore(compiled, entry, counted=True)
    if len(numbers) > MOST_STATES:
        numbers, edges = _explore(compiled, entry, counted=False)
    matrix = np.eye(len(numbers))
    for here, there, p in edges:
        matrix[there, here] -= p
    start = np.zeros(len(numbers))
    start[0] = 1.0
    try:
        expected = np.linalg.solve(matrix, start)
    except np.linalg.LinAlgError:
        raise InputError("a path never ends", field=compiled.row_names[entry]) from None
    visits = np.zeros(len(compiled.row_names))
    for (pc, _), number in numbers.items():
        visits[pc] += expected[number]
    return visits


def _explore(
    compiled: CompiledModel, entry: int, *, counted: bool
) -> tuple[dict[State, int], list[tuple[int, int, float]]]:
    """Number the states (step, retries used) that can be reached, and list the moves between them."""
    rows = compiled.tables.program.tolist()
    first: State = (entry, ())
    numbers = {first: 0}
    edges: list[tuple[int, int, float]] = []
    pending = [first]
    while pending and (len(numbers) <= MOST_STATES or not counted):
        pc, used = pending.pop()
        for target, p, after in _moves(compiled, rows[pc], pc, used, counted):
            if p > 0.0:
                state = (target, after)
                if state not in numbers:
                    numbers[state] = len(numbers)
                    pending.append(state)
                edges.append((numbers[pc, used], numbers[state], p))
    return numbers, edges


def _moves(
    compiled: CompiledModel, row: list[int], pc: int, used: tuple[tuple[int, int], ...], counted: bool
) -> list[tuple[int, float, tuple[tuple[int, int], ...]]]:
    tables = compiled.tables
    op = row[t.OP]
    if op == t.END:
        return []
    if op == t.CHANCE:
        p = float(tables.step_value[pc, 0])
        return [(pc + 1, p, used), (row[t.B], 1.0 - p, used)]
    if op == t.SWITCH:
        shares = np.diff(tables.branch_cumulative[row[t.A] : row[t.A] + row[t.B]], prepend=0.0)
        return [(int(tables.branch_target[row[t.A] + i]), float(p), used) for i, p in enumerate(shares)]
    if op in (t.TEST, t.IN_STATE):
        return [(pc + 1, 0.5, used), (row[t.D] if op == t.TEST else row[t.B], 0.5, used)]
    if op == t.JUMP:
        return [(row[t.A], 1.0, used)]
    if op == t.RETRY:
        if not counted:
            again = row[t.C] / (row[t.C] + 1.0)
            return [(row[t.A], again, used), (row[t.B], 1.0 - again, used)]
        times = dict(used)
        if times.get(pc, 0) >= row[t.C]:
            return [(row[t.B], 1.0, used)]
        times[pc] = times.get(pc, 0) + 1
        return [(row[t.A], 1.0, tuple(sorted(times.items())))]
    return [(pc + 1, 1.0, used)]


def _held(compiled: CompiledModel) -> list[frozenset[int]]:
    """Return the groups held at every step; checked models hold the same on every path to a step."""
    rows = compiled.tables.program.tolist()
    targets = compiled.tables.branch_target.tolist()
    held: dict[int, frozenset[int]] = {}
    broken = [row[t.EXTRA] for row in rows if row[t.OP] == t.SEIZE and row[t.EXTRA] >= 0]
    pending = [(pc, frozenset[int]()) for pc in compiled.entries.values()]
    pending += [
        (pc, frozenset()) for action, pc in compiled.tables.clock_rule[:, 1:3].tolist() if action == t.FIRE_GOTO
    ] + [(pc, frozenset()) for pc in broken]
    while pending:
        pc, before = pending.pop()
        if pc in held:
            continue
        held[pc] = before
        row = rows[pc]
        named = frozenset(compiled.tables.seize_group[row[t.A] : row[t.A] + row[t.B]].tolist())
        if row[t.OP] == t.SEIZE:
            before = before | named
        elif row[t.OP] == t.FREE:
            before = before - named if named else frozenset()
        pending += [(q, before) for q in successors(row, pc, targets) if row[t.OP] != t.SEIZE or q == pc + 1]
    return [held.get(pc, frozenset()) for pc in range(len(rows))]


def _lots(compiled: CompiledModel, visits: Float) -> Float:
    """Return the visits of lots: as many as replace the doses that patients take, and of children."""
    model, tables = compiled.model, compiled.tables
    rows = tables.program.tolist()
    total = np.zeros_like(visits)
    for number, name in enumerate(compiled.stocks):
        stock = model.stocks[name]
        if stock.lot_program is None or stock.reorder_point is None:
            continue
        doses = sum(
            visits[pc] * row[t.B] * _depot_share(compiled, row[t.A], number)
            for pc, row in enumerate(rows)
            if row[t.OP] == t.TAKE
        )
        per_lot = visits_per_entity(compiled, compiled.entries[stock.lot_program])
        put = sum(
            per_lot[pc] * _mean_doses(compiled, pc) * _depot_share(compiled, row[t.A], number)
            for pc, row in enumerate(rows)
            if row[t.OP] == t.PUT
        )
        if doses > 0 and put > 0:
            total += per_lot * doses / put
    for pc, row in enumerate(rows):
        if row[t.OP] == t.SPAWN and visits[pc] > 0:
            total += visits[pc] * visits_per_entity(compiled, row[t.A])
    return total


def _depot_share(compiled: CompiledModel, depot: int, stock: int) -> float:
    """Return the share of a TAKE or PUT that goes to a stock: depots count as even, by row of their matrix."""
    depots = compiled.model.depot_groups.get(compiled.depots[depot])
    if depots is None:
        return float(depot == stock)
    numbers = range(len(depots.stocks)) if depots.matrix is None else [row[0] for row in depots.matrix]
    chosen = [depots.stocks[i] == compiled.stocks[stock] for i in numbers]
    return sum(chosen) / len(chosen)


def _mean_doses(compiled: CompiledModel, pc: int) -> float:
    name = compiled.row_names[pc]
    for program in compiled.model.programs.values():
        for step in program:
            if isinstance(step, s.Put) and step.name == name:
                if isinstance(step.doses, Distribution):
                    return step.doses.mean
                if isinstance(step.doses, str):
                    model = compiled.model
                    stocks = (
                        model.depot_groups[step.stock].stocks if step.stock in model.depot_groups else (step.stock,)
                    )
                    return model.stocks[stocks[0]].doses_per_lot
                return float(step.doses)
    return 0.0


def _mean_delay(compiled: CompiledModel, pc: int, given: Mapping[str, Float]) -> float:
    name = compiled.row_names[pc]
    for program, steps in compiled.model.programs.items():
        for step in steps:
            if isinstance(step, s.Delay) and step.name == name:
                mean = step.law.mean if isinstance(step.law, Distribution) else float(step.law)
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
