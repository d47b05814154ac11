"""Expected visits to the steps of a model, from routing probabilities: they solve v = e + P' v over (step, retries)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

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
NONE_LOST: Mapping[int, float] = {}


def visits_per_entity(
    compiled: CompiledModel,
    entry: int,
    *,
    lost: Mapping[int, float] = NONE_LOST,
    within: Collection[int] | None = None,
) -> Float:
    """Return the expected visits to every step of an entity that enters at `entry`, without clocks, shape (rows,).

    Tests of attributes and states count as even odds; effects on probabilities are left out.

    Parameters
    ----------
    compiled : CompiledModel
        The model.
    entry : int
        Row of the first step.
    lost : mapping of row to probability
        How often a seize ends in the breakdown of the server it took.
    within : collection of rows, optional
        Count only until one of these rows is left for another.
    """
    numbers, edges = _explore(compiled, entry, lost, within, counted=True)
    if len(numbers) > MOST_STATES:
        numbers, edges = _explore(compiled, entry, lost, within, counted=False)
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
    compiled: CompiledModel,
    entry: int,
    lost: Mapping[int, float],
    within: Collection[int] | None,
    *,
    counted: bool,
) -> tuple[dict[State, int], list[tuple[int, int, float]]]:
    """Number the states (step, retries used) that can be reached, and list the moves between them."""
    rows = compiled.tables.program.tolist()
    first: State = (entry, ())
    numbers = {first: 0}
    edges: list[tuple[int, int, float]] = []
    pending = [first]
    while pending and (len(numbers) <= MOST_STATES or not counted):
        pc, used = pending.pop()
        for target, p, after in _moves(compiled, rows[pc], pc, used, lost, counted):
            if p > 0.0 and (within is None or target in within):
                state = (target, after)
                if state not in numbers:
                    numbers[state] = len(numbers)
                    pending.append(state)
                edges.append((numbers[pc, used], numbers[state], p))
    return numbers, edges


def _moves(
    compiled: CompiledModel,
    row: list[int],
    pc: int,
    used: tuple[tuple[int, int], ...],
    lost: Mapping[int, float],
    counted: bool,
) -> list[tuple[int, float, tuple[tuple[int, int], ...]]]:
    tables = compiled.tables
    op = row[t.OP]
    if op == t.END:
        return []
    if op == t.CHANCE:
        p = float(tables.step_value[pc, 0])
        return [(pc + 1, p, used), (row[t.B], 1.0 - p, used)]
    if op == t.SEIZE and pc in lost:
        return [(pc + 1, 1.0 - lost[pc], used), (row[t.EXTRA], lost[pc], used)]
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


def groups_held(compiled: CompiledModel) -> list[frozenset[int]]:
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


def visits_of_lots(compiled: CompiledModel, visits: Float, *, lost: Mapping[int, float] = NONE_LOST) -> Float:
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
        per_lot = visits_per_entity(compiled, compiled.entries[stock.lot_program], lost=lost)
        put = sum(
            per_lot[pc] * _mean_doses(compiled, pc) * _depot_share(compiled, row[t.A], number)
            for pc, row in enumerate(rows)
            if row[t.OP] == t.PUT
        )
        if doses > 0 and put > 0:
            total += per_lot * doses / put
    for pc, row in enumerate(rows):
        if row[t.OP] == t.SPAWN and visits[pc] > 0:
            total += visits[pc] * visits_per_entity(compiled, row[t.A], lost=lost)
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
