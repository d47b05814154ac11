"""Checks of a model before it runs: names, ranges, and that every path frees what it seized and ends."""

from __future__ import annotations

import math
from collections.abc import Mapping

from cartsight.core.distributions import Distribution
from cartsight.core.errors import InputError
from cartsight.simulation import steps as s
from cartsight.simulation import tables as t
from cartsight.simulation.compile import CompiledModel, build_tables, successors
from cartsight.simulation.load import check_load
from cartsight.simulation.model import FlowModel


def compile_model(
    model: FlowModel, *, check: bool = True, arrivals_per_day: float | Mapping[str, float] | None = None
) -> CompiledModel:
    """Return the tables of `model`.

    Parameters
    ----------
    model : FlowModel
        The model.
    check : bool
        Check it first. A model that differs from a checked one only in numbers may skip this.
    arrivals_per_day : float or mapping of program to float, optional
        With it and `check`, the offered load of every resource is checked too (`check_load`).

    Raises
    ------
    InputError
        An unknown name (always); with `check` also: a name drawn at by two steps, a probability outside [0, 1], a law
        that can be negative, a step that no path reaches, a path that never ends, servers that a path keeps to its
        end, frees without holding or seizes twice.
    """
    if check:
        check_steps(model)
    compiled = build_tables(model)
    if check:
        check_paths(compiled)
        if arrivals_per_day is not None:
            compiled = check_load(compiled, arrivals_per_day)
    return compiled


def _number(value: float, problem: str, field: str, allowed: str, low: float, high: float) -> None:
    if not (isinstance(value, (int, float)) and low <= value <= high):
        raise InputError(problem, field=field, found=value, allowed=allowed)


def _not_negative(law: object, field: str) -> None:
    if isinstance(law, Distribution):
        low = law.support[0]
        if not low >= 0.0:
            raise InputError(
                "a time or a number of doses cannot be negative", field=field, found=law, allowed="support from 0"
            )
    elif isinstance(law, (int, float)):
        _number(law, "a time or a number of doses cannot be negative", field, "zero or more", 0.0, math.inf)


def check_steps(model: FlowModel) -> None:
    """Check names and numbers of each step by itself."""
    drawn: dict[str, str] = {}
    for program, steps in model.programs.items():
        for step in steps:
            name = getattr(step, "name", None)
            field = f"{program}.{name or type(step).__name__}"
            draws = isinstance(step, (s.Delay, s.Chance, s.Switch, s.Put, s.Spawn, s.Seize)) or (
                isinstance(step, (s.Set, s.Add)) and isinstance(step.value, Distribution)
            )
            if draws and isinstance(name, str):
                if name in drawn:
                    raise InputError(
                        "two steps draw under one name, so their draws would be equal",
                        field=field,
                        found=name,
                        hint=f"the other is in program {drawn[name]!r}; rename one",
                    )
                drawn[name] = program
            match step:
                case s.Delay(law=law):
                    _not_negative(law, field)
                case s.Put(doses=doses, shelf_life=life):
                    _not_negative(doses, field)
                    _not_negative(life, field)
                case s.Chance(probability=p):
                    _number(p, "a probability must lie between 0 and 1", field, "[0, 1]", 0.0, 1.0)
                case s.Switch(branches=branches):
                    for p in branches.values():
                        _number(p, "a probability must lie between 0 and 1", field, "[0, 1]", 0.0, 1.0)
            for effects in (getattr(step, "log_effects", {}), getattr(step, "logit_effects", {})):
                for attribute, beta in effects.items():
                    if not math.isfinite(beta):
                        raise InputError("an effect must be finite", field=f"{field}.{attribute}", found=beta)
    for clock in model.clocks.values():
        if clock.name in drawn:
            raise InputError("a clock and a step draw under one name", field=f"clock.{clock.name}", found=clock.name)
        _not_negative(clock.law, f"clock.{clock.name}")
    for name, setup in model.setups.items():
        for i, row in enumerate((setup.first, *setup.changeover)):
            for j, law in enumerate(row):
                _not_negative(law, f"setup.{name} from {'none' if i == 0 else i - 1} to {j}")
    for name, breakdown in model.breakdowns.items():
        _not_negative(breakdown.running_days, f"breakdown.{name}.running_days")
        _not_negative(breakdown.repair_days, f"breakdown.{name}.repair_days")


def check_paths(compiled: CompiledModel) -> None:
    """Check that every step is reached, every path ends, and every server is freed on it."""
    tables = compiled.tables
    rows = tables.program.tolist()
    targets = tables.branch_target.tolist()
    following = [successors(row, pc, targets) for pc, row in enumerate(rows)]
    starts = dict.fromkeys(compiled.entries.values(), frozenset[int]())
    for action, pc in tables.clock_rule[:, 1:3].tolist():
        if action == t.FIRE_GOTO:
            starts[pc] = frozenset()
    for row in rows:
        if row[t.OP] == t.SEIZE and row[t.EXTRA] >= 0:
            starts[row[t.EXTRA]] = frozenset()  # a breakdown gives back all that is held
    held: dict[int, frozenset[int]] = {}
    pending = list(starts.items())
    while pending:
        pc, before = pending.pop()
        if pc in held:
            if held[pc] != before:
                _unequal(compiled, pc, held[pc] ^ before)
            continue
        held[pc] = before
        after = _after(compiled, rows[pc], pc, before)
        pending += [(q, after) for q in following[pc] if rows[pc][t.OP] != t.SEIZE or q == pc + 1]
    for pc in range(len(rows)):
        if pc not in held:
            raise InputError("no path reaches this step", field=_place(compiled, pc), found=compiled.row_names[pc])
    _every_path_ends(compiled, rows, following)


def _place(compiled: CompiledModel, pc: int) -> str:
    program = max((entry, name) for name, entry in compiled.entries.items() if entry <= pc)[1]
    return f"{program}.{compiled.row_names[pc]}"


def _names(compiled: CompiledModel, groups: frozenset[int]) -> str:
    return ", ".join(compiled.groups[g] for g in sorted(groups))


def _after(compiled: CompiledModel, row: list[int], pc: int, before: frozenset[int]) -> frozenset[int]:
    if row[t.OP] == t.END and before:
        raise InputError(
            "a path ends while it still holds servers",
            field=_place(compiled, pc),
            found=_names(compiled, before),
            allowed="a Free on every path from the Seize to an End",
        )
    if row[t.OP] not in (t.SEIZE, t.FREE):
        return before
    groups = compiled.tables.seize_group[row[t.A] : row[t.A] + row[t.B]].tolist()
    named = frozenset(groups)
    if row[t.OP] == t.SEIZE:
        if named & before or len(named) < len(groups):
            raise InputError("seizes what is held already", field=_place(compiled, pc), found=_names(compiled, named))
        if len(named | before) > t.MAX_HELD:
            raise InputError(
                "holds more than four servers at once",
                field=_place(compiled, pc),
                found=_names(compiled, named | before),
            )
        return named | before
    if named - before:
        raise InputError("frees what is not held", field=_place(compiled, pc), found=_names(compiled, named - before))
    return before - named if named else frozenset()


def _unequal(compiled: CompiledModel, pc: int, groups: frozenset[int]) -> None:
    raise InputError(
        "is reached both with and without holding servers",
        field=_place(compiled, pc),
        found=_names(compiled, groups),
        allowed="the same servers held on every path to a step",
    )


def _every_path_ends(compiled: CompiledModel, rows: list[list[int]], following: list[list[int]]) -> None:
    ends = {pc for pc, row in enumerate(rows) if row[t.OP] == t.END}
    before: list[list[int]] = [[] for _ in rows]
    for pc, targets in enumerate(following):
        # A step that is never passed leads nowhere.
        possible = targets
        if rows[pc][t.OP] == t.CHANCE and not rows[pc][t.EFFECTS]:
            p = compiled.tables.step_value[pc, 0]
            possible = targets[:1] if p >= 1.0 else targets[1:] if p <= 0.0 else targets
        for q in possible:
            before[q].append(pc)
    reached = set(ends)
    pending = list(ends)
    while pending:
        for pc in before[pending.pop()]:
            if pc not in reached:
                reached.add(pc)
                pending.append(pc)
    for pc in range(len(rows)):
        if pc not in reached:
            raise InputError("no path from this step reaches an End", field=_place(compiled, pc))
