"""From a `FlowModel` to tables: resolve names to numbers, lay out variable-length rows end to end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from cartsight.core.distributions import Distribution
from cartsight.core.errors import InputError, nearest
from cartsight.core.streams import stable_hash
from cartsight.simulation import steps as s
from cartsight.simulation import tables as t
from cartsight.simulation.laws import LawTable
from cartsight.simulation.model import RULES, Clock, Depots, FlowModel, Goto, Group, Rates, SetState

ATTRIBUTE_CLASSES = 8
"""Priority classes kept when a class is read from an attribute; larger values are served with the last class."""

IN_PROGRESS = "in progress"
INITIAL_STOCK = "initial stock"

_slot = lru_cache(maxsize=65_536)(stable_hash)


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """Tables of a model and the names of their rows, in the order of the numbers in the tables."""

    model: FlowModel
    tables: t.ModelTables
    statuses: tuple[str, ...]
    attributes: tuple[str, ...]
    lot_attributes: tuple[str, ...]
    marks: tuple[tuple[str, str], ...]
    lot_marks: tuple[tuple[str, str], ...]
    log_names: tuple[str, ...]
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    stocks: tuple[str, ...]
    depots: tuple[str, ...]
    counters: Mapping[str, tuple[int, int]]
    clocks: tuple[str, ...]
    entries: Mapping[str, int]
    row_names: tuple[str, ...]
    warnings: tuple[str, ...] = field(default=())


def build_tables(model: FlowModel) -> CompiledModel:
    """Return the tables of `model` with every name resolved; `compile_model` adds the checks."""
    return _Builder(model).build()


@dataclass(slots=True)
class _Pending:
    """A branch whose target is filled once all labels are known: into a row, or into `branch_target`."""

    program: str
    row: list[int] | None
    column: int
    target: s.Branch
    step: str


class _Builder:
    def __init__(self, model: FlowModel) -> None:
        self.model = model
        self.laws = LawTable()
        self.rows: list[list[int]] = []
        self.values: list[tuple[float, float]] = []
        self.slots: list[tuple[int, int]] = []
        self.names: list[str] = []
        self.ends: dict[str, int] = {}
        self.statuses: dict[str, int] = {IN_PROGRESS: 0, INITIAL_STOCK: 1}
        self.effect_attribute: list[int] = []
        self.effect_beta: list[float] = []
        self.branch_cumulative: list[float] = []
        self.branch_target: list[int] = []
        self.seize_group: list[int] = []
        self.copy_from: list[int] = []
        self.copy_to: list[int] = []
        self.marks: dict[str, list[tuple[str, str]]] = {"patient": [], "lot": []}
        self.mark_rows: list[tuple[int, int, int]] = []
        self.log_names: list[str] = []
        self.entries: dict[str, int] = {}
        self.labels: dict[str, dict[str, int]] = {}
        self.pending: list[_Pending] = []
        self.entity = "patient"
        self.program = ""
        self.step = ""
        self.classes = 1
        self.attributes = {
            "patient": {name: i for i, name in enumerate(model.attributes)},
            "lot": {name: i for i, name in enumerate(model.lot_attributes)},
        }
        self.resources = {name: i for i, name in enumerate(model.resources)}
        self.groups = {name: i for i, name in enumerate([*model.resources, *model.groups])}
        self.stocks = {name: i for i, name in enumerate(model.stocks)}
        self.depots = {name: i for i, name in enumerate([*model.stocks, *model.depot_groups])}
        self.counters: dict[str, tuple[int, int]] = {}
        first = 0
        for name, (count, _) in model.counters.items():
            self.counters[name] = (first, count)
            first += count
        self.seizes: dict[str, str] = {}
        self.clocks = {name: i for i, name in enumerate(model.clocks)}
        self.gates = {name: i for i, name in enumerate(model.gates)}
        self.states = {name: i for i, name in enumerate(model.states)}
        self.clock_attributes = {name for clock in model.clocks.values() for name in clock.log_effects}

    # Names -------------------------------------------------------------------------------------------------------

    def fail(self, problem: str, found: Any = None, allowed: str | None = None, hint: str | None = None) -> NoReturn:
        raise InputError(problem, field=self.step or None, found=found, allowed=allowed, hint=hint)

    def find(self, table: Mapping[str, int], name: str, what: str) -> int:
        number = table.get(name)
        if number is None:
            known = ", ".join(list(table)[:6]) or "none is declared"
            self.fail(f"unknown {what}", name, known, nearest(str(name), table))
        return number

    def attribute(self, name: str, entity: str | None = None) -> int:
        return self.find(self.attributes[entity or self.entity], name, f"{entity or self.entity} attribute")

    def effects(self, effects: Mapping[str, float]) -> tuple[int, int]:
        start = len(self.effect_attribute)
        for name, beta in effects.items():
            self.effect_attribute.append(self.attribute(name))
            self.effect_beta.append(float(beta))
        return start, len(effects)

    def status(self, name: str) -> int:
        return self.statuses.setdefault(name, len(self.statuses))

    def class_of(self, priority: int | str | None) -> tuple[int, int]:
        if priority is None:
            return t.FROM_ENTITY, 0
        if isinstance(priority, str):
            self.classes = max(self.classes, ATTRIBUTE_CLASSES)
            return t.FROM_ATTRIBUTE, self.attribute(priority)
        if priority != int(priority) or not 0 <= priority < 1000:
            self.fail("a priority class is a whole number from 0, served first, to 999", priority)
        self.classes = max(self.classes, int(priority) + 1)
        return t.FROM_CONSTANT, int(priority)

    def copies(self, copy: Mapping[str, str], source: str, destination: str) -> tuple[int, int]:
        start = len(self.copy_from)
        for origin, target in copy.items():
            self.copy_from.append(self.attribute(origin, source))
            self.copy_to.append(self.attribute(target, destination))
        return start, len(copy)

    # Rows --------------------------------------------------------------------------------------------------------

    def row(self, op: int, name: str, **columns: int) -> list[int]:
        row = [0] * t.PROGRAM_COLUMNS
        row[t.OP], row[t.OCCURRENCE], row[t.EXTRA] = op, -1, -1
        self.rows.append(row)
        self.values.append((0.0, 0.0))
        self.slots.append((0, 0))
        self.names.append(name)
        return row

    def branch(self, row: list[int] | None, column: int, target: s.Branch) -> None:
        """Fill the target of a branch once all labels of the program are known."""
        self.pending.append(_Pending(self.program, row, column, target, self.step))

    def build(self) -> CompiledModel:
        model = self.model
        if not model.programs:
            raise InputError("the model has no program", field=model.name)
        for name, program in model.programs.items():
            self.program, self.entity = name, model.entities[name]
            self.entries[name] = len(self.rows)
            self.labels[name] = {}
            for number, step in enumerate(program, start=1):
                self.step = f"{name}.{getattr(step, 'name', None) or f'step {number} ({type(step).__name__})'}"
                self.add(step)
            if not program or not isinstance(program[-1], (s.End, s.Jump, s.Switch, s.Retry)):
                self.step = name
                self.fail("the last step of a program must be an End, Jump, Switch or Retry")
        spawns = [(row, row[t.A]) for row in self.rows if row[t.OP] == t.SPAWN]
        names = list(model.programs)
        for row, number in spawns:
            row[t.A] = self.entries[names[number]]
        clock = self.build_clocks()
        for pending in self.pending:
            self.step = pending.step
            pc = self.target(pending.program, pending.target)
            if pending.row is None:
                self.branch_target[pending.column] = pc
            else:
                pending.row[pending.column] = pc
        occurrences = self.count_occurrences(clock)
        return self.assemble(clock, occurrences)

    def target(self, program: str, target: s.Branch) -> int:
        if isinstance(target, s.End):
            row = self.ends.get(target.status)
            if row is None:
                row = self.ends[target.status] = len(self.rows)
                self.row(t.END, f"end: {target.status}")[t.A] = self.status(target.status)
            return row
        labels = self.labels[program]
        if target not in labels:
            self.fail(
                "unknown label", target, ", ".join(labels) or "the program has no labels", nearest(target, labels)
            )
        return labels[target]

    def add(self, step: s.Step) -> None:
        handler = _HANDLERS.get(type(step))
        if handler is None:
            self.fail("not a step", type(step).__name__, "values of cartsight.simulation.steps")
        handler(self, step)

    def drawn(self, name: str) -> None:
        self.slots[-1] = (_slot(name), _slot(name + "/second"))

    def add_label(self, step: s.Label) -> None:
        if step.name in self.labels[self.program]:
            self.fail("two labels with one name", step.name)
        self.labels[self.program][step.name] = len(self.rows)

    def add_end(self, step: s.End) -> None:
        self.row(t.END, f"end: {step.status}")[t.A] = self.status(step.status)

    def add_delay(self, step: s.Delay) -> None:
        row = self.row(t.DELAY, step.name)
        row[t.LAW] = self.laws.add(step.law, self.step)
        row[t.EFFECT], row[t.EFFECTS] = self.effects(step.log_effects)
        self.drawn(step.name)

    def add_chance(self, step: s.Chance) -> None:
        row = self.row(t.CHANCE, step.name)
        row[t.EFFECT], row[t.EFFECTS] = self.effects(step.logit_effects)
        self.values[-1] = (step.probability, logit(step.probability) if step.logit_effects else 0.0)
        self.drawn(step.name)
        self.branch(row, t.B, step.otherwise)

    def add_switch(self, step: s.Switch) -> None:
        row = self.row(t.SWITCH, step.name)
        row[t.A], row[t.B] = len(self.branch_target), len(step.branches)
        self.drawn(step.name)
        total = 0.0
        for target, probability in step.branches.items():
            total += probability
            self.branch_cumulative.append(total)
            self.branch_target.append(0)
            self.branch(None, len(self.branch_target) - 1, target)
        if abs(total - 1.0) > 1e-9:
            self.fail("the probabilities of a switch must sum to one", total)
        self.branch_cumulative[-1] = 1.0

    def add_seize(self, step: s.Seize) -> None:
        groups = (step.groups,) if isinstance(step.groups, str) else step.groups
        if not 1 <= len(groups) <= t.MAX_HELD:
            self.fail("a seize takes from one to four groups", groups)
        row = self.row(t.SEIZE, f"seize {' + '.join(groups)}")
        row[t.A], row[t.B] = len(self.seize_group), len(groups)
        self.seize_group.extend(self.find(self.groups, name, "resource or group") for name in groups)
        for name in groups:
            routed = self.model.groups.get(name)
            if routed is not None and routed.attribute is not None:
                self.same_column(routed.attribute)
        row[t.C] = -1 if step.into is None else self.attribute(step.into)
        row[t.CLASS_KIND], row[t.CLASS_VALUE] = self.class_of(step.priority)
        self.remembering(step, groups, row)

    def remembering(self, step: s.Seize, groups: tuple[str, ...], row: list[int]) -> None:
        """Check what a seize needs when servers that it may take have a set-up or break down."""
        model = self.model
        reach = [model.groups[name].candidates if name in model.groups else (name,) for name in groups]
        for a, b in pairwise(sorted(name for names in reach for name in set(names))):
            if a == b and (a in model.setups or a in model.breakdowns):
                self.fail("one resource in two of the groups of a seize cannot have a set-up or breakdowns", a)
        set_up = [[name for name in names if name in model.setups] for names in reach]
        if sum(map(bool, set_up)) > 1:
            self.fail("a seize takes at most one server with a set-up", [name for names in set_up for name in names])
        for name in (name for names in set_up for name in names):
            self.attribute(model.setups[name].attribute)
        breaking = [name for names in reach for name in names if name in model.breakdowns]
        if breaking and step.breakdown is None:
            self.fail(
                "servers of this resource break down: say with `breakdown` where the entity then goes", breaking[0]
            )
        if step.breakdown is not None:
            if not breaking:
                self.fail("no server that this step takes breaks down", groups, "a resource with FlowModel.breakdown")
            self.branch(row, t.EXTRA, step.breakdown)
        if any(set_up):
            name = step.name or f"seize {' + '.join(groups)}"
            laws = [law for names in set_up for n in names for row in model.setups[n].changeover for law in row]
            if name in self.seizes and any(isinstance(law, Distribution) for law in laws):
                self.fail(
                    "two steps draw changeovers under one name, so their draws would be equal",
                    name,
                    hint=f"the other is in program {self.seizes[name]!r}; give one a `name`",
                )
            self.seizes[name] = self.program
            self.drawn(name)

    def same_column(self, name: str) -> None:
        """Refuse a group whose routing attribute is not the same column for the entity that seizes it."""
        owner = "patient" if name in self.attributes["patient"] else "lot"
        if self.attribute(name) != self.attributes[owner].get(name):
            self.fail("patients and lots share this group, but its attribute is another column for each", name)

    def add_free(self, step: s.Free) -> None:
        row = self.row(t.FREE, f"free {' + '.join(step.groups) or 'all'}")
        row[t.A], row[t.B] = len(self.seize_group), len(step.groups)
        self.seize_group.extend(self.find(self.groups, name, "resource or group") for name in step.groups)

    def add_jump(self, step: s.Jump) -> None:
        self.branch(self.row(t.JUMP, "jump"), t.A, step.to)

    def add_set(self, step: s.Set | s.Add) -> None:
        adds = isinstance(step, s.Add)
        name = step.name or f"{'add to' if adds else 'set'} {step.attribute}"
        row = self.row(t.SET, name)
        row[t.A] = self.attribute(step.attribute)
        row[t.D] = int(adds)
        row[t.E] = int(self.entity == "patient" and step.attribute in self.clock_attributes)
        row[t.EFFECT], row[t.EFFECTS] = self.effects(step.log_effects)
        row[t.EXTRA] = self.function(step.function)
        row[t.B], row[t.C], row[t.LAW], value = self.value(step.value)
        self.values[-1] = (value, step.times)
        if row[t.B] == t.FROM_LAW:
            if step.name is None:
                self.fail("a step that draws needs a name", type(step).__name__)
            self.drawn(step.name)

    def function(self, name: str) -> int:
        if name not in t.FUNCTIONS:
            self.fail("unknown function of a value", name, ", ".join(t.FUNCTIONS), nearest(str(name), t.FUNCTIONS))
        return t.FUNCTIONS.index(name)

    def add_count(self, step: s.Count) -> None:
        if step.counter not in self.counters:
            self.find(dict.fromkeys(self.counters, 0), step.counter, "counter")
        first, count = self.counters[step.counter]
        if (step.by is None) != (count == 1):
            self.fail("a counter with several values needs `by`, one with a single value does not", step.by)
        row = self.store(f"count {step.counter}", step.into, step.function)
        row[t.B], row[t.LAW], row[t.SECOND_LAW] = t.FROM_COUNTER, first, count
        row[t.C] = -1 if step.by is None else self.attribute(step.by)
        self.values[-1] = (float(step.step), step.times)

    def add_now(self, step: s.Now) -> None:
        self.store(f"day into {step.attribute}", step.attribute, step.function)[t.B] = t.FROM_TIME
        self.values[-1] = (0.0, step.times)

    def store(self, name: str, attribute: str | None, function: str) -> list[int]:
        """Return a SET row for an attribute (or none: only what comes with it)."""
        row = self.row(t.SET, name)
        row[t.A] = -1 if attribute is None else self.attribute(attribute)
        row[t.E] = int(self.entity == "patient" and attribute in self.clock_attributes)
        row[t.EXTRA] = self.function(function)
        return row

    def value(self, value: s.Value) -> tuple[int, int, int, float]:
        """Return (source, attribute, law, constant) of a number, attribute or law."""
        if isinstance(value, str):
            return t.FROM_ATTRIBUTE, self.attribute(value), 0, 0.0
        if isinstance(value, Distribution):
            return t.FROM_LAW, 0, self.laws.add(value, self.step), 0.0
        return t.FROM_CONSTANT, 0, 0, float(value)

    def add_test(self, step: s.Test) -> None:
        if step.op not in t.COMPARISONS:
            self.fail("unknown comparison", step.op, " ".join(t.COMPARISONS))
        row = self.row(t.TEST, f"{step.attribute} {step.op} {step.value}")
        row[t.A], row[t.B] = self.attribute(step.attribute), t.COMPARISONS.index(step.op)
        if isinstance(step.value, str):
            row[t.C] = self.attribute(step.value)
        else:
            row[t.C] = -1
            self.values[-1] = (float(step.value), 0.0)
        self.branch(row, t.D, step.otherwise)

    def add_in_state(self, step: s.InState) -> None:
        row = self.row(t.IN_STATE, f"in state {step.state}")
        row[t.A] = self.find(self.states, step.state, "health state")
        self.branch(row, t.B, step.otherwise)

    def add_retry(self, step: s.Retry) -> None:
        row = self.row(t.RETRY, step.name)
        if step.limit != int(step.limit) or not 0 <= step.limit < 30_000:
            self.fail("the limit of a retry must be a whole number from 0 to 29 999", step.limit)
        row[t.C] = int(step.limit)
        self.branch(row, t.A, step.to)
        self.branch(row, t.B, step.otherwise)

    def add_mark(self, step: s.Mark) -> None:
        if step.keep not in ("last", "first", "both", "none"):
            self.fail("unknown kind of mark", step.keep, "last, first, both or none")
        columns, stored = self.marks[self.entity], [-1, -1, -1]
        for i, kind in enumerate(("first", "last")):
            if step.keep in (kind, "both"):
                if (step.name, kind) not in columns:
                    columns.append((step.name, kind))
                stored[i] = columns.index((step.name, kind))
        if step.log:
            if step.name not in self.log_names:
                self.log_names.append(step.name)
            stored[2] = self.log_names.index(step.name)
        self.row(t.MARK, f"mark {step.name}")[t.A] = len(self.mark_rows)
        self.mark_rows.append((stored[0], stored[1], stored[2]))

    def add_arm(self, step: s.Arm | s.Disarm) -> None:
        if self.entity != "patient":
            self.fail("only arriving entities have clocks")
        row = self.row(t.ARM if isinstance(step, s.Arm) else t.DISARM, f"{type(step).__name__.lower()} {step.clock}")
        row[t.A] = self.find(self.clocks, step.clock, "clock")

    def add_gate(self, step: s.Gate) -> None:
        self.row(t.GATE, f"gate {step.gate}")[t.A] = self.find(self.gates, step.gate, "gate")

    def add_priority(self, step: s.Priority) -> None:
        row = self.row(t.PRIORITY, "priority")
        row[t.CLASS_KIND], row[t.CLASS_VALUE] = self.class_of(step.value)

    def add_state(self, step: s.State) -> None:
        self.row(t.STATE, f"state {step.state}")[t.A] = self.find(self.states, step.state, "health state")

    def add_take(self, step: s.Take) -> None:
        if step.doses != int(step.doses) or step.doses < 1:
            self.fail("doses to take must be a whole number from 1", step.doses)
        row = self.row(t.TAKE, f"take {step.stock}")
        row[t.A], row[t.B] = self.depot(step.stock), int(step.doses)
        if step.into is not None:
            if step.stock not in self.model.depot_groups:
                self.fail("`into` receives the number of the depot, and this is a single stock", step.stock)
            row[t.EXTRA] = self.attribute(step.into)
        row[t.C], row[t.D] = self.copies(step.copy, "lot", self.entity)
        row[t.E] = -1 if step.lot_into is None else self.attribute(step.lot_into)
        row[t.CLASS_KIND], row[t.CLASS_VALUE] = self.class_of(step.priority)

    def depot(self, name: str) -> int:
        number = self.find(self.depots, name, "stock or depots")
        if name in self.model.depot_groups:
            self.attribute(self.model.depot_groups[name].attribute)
        return number

    def add_withdraw(self, step: s.Withdraw) -> None:
        if self.entity != "lot":
            self.fail("only a lot can withdraw what is left of it")
        row = self.row(t.WITHDRAW, f"withdraw from {step.stock}")
        row[t.A] = self.find(self.stocks, step.stock, "stock")
        row[t.E] = -1 if step.into is None else self.attribute(step.into)

    def add_put(self, step: s.Put) -> None:
        row = self.row(t.PUT, step.name)
        row[t.A] = self.depot(step.stock)
        # B, C: source and attribute of the doses; D, E: of the shelf life.
        row[t.B], row[t.C], row[t.LAW], doses = self.value(step.doses)
        row[t.D], row[t.E], row[t.SECOND_LAW], life = self.value(step.shelf_life)
        self.values[-1] = (doses, life)
        self.drawn(step.name)

    def add_spawn(self, step: s.Spawn) -> None:
        row = self.row(t.SPAWN, step.name)
        self.drawn(step.name)
        row[t.A] = self.find({name: i for i, name in enumerate(self.model.programs)}, step.program, "program")
        if self.model.entities[step.program] != "lot":
            self.fail("a child follows a program with entity='lot'", step.program)
        row[t.C], row[t.D] = self.copies(step.copy, self.entity, "lot")

    def add_join(self, step: s.Join) -> None:
        self.row(t.JOIN, "join")

    # Clocks ------------------------------------------------------------------------------------------------------

    def build_clocks(self) -> dict[str, Any]:
        self.entity = "patient"
        rows: list[list[int]] = []
        breaks: list[float] = []
        rates: list[float] = []
        slots: list[int] = []
        for name, clock in self.model.clocks.items():
            self.step = f"clock {name}"
            row = [0] * 11
            self.act(clock, row)
            row[3] = int(clock.armed)
            row[4] = len(breaks)
            row[6] = len(rates)
            if clock.hazard_per_day is not None:
                row[0] = t.HAZARD
                days, table = self.hazard(clock)
                breaks += days
                rates += table
                row[5] = len(days)
            else:
                row[0] = t.DEADLINE
                assert clock.law is not None
                row[7] = self.laws.add(clock.law, self.step)
            row[8], row[9] = self.effects(clock.log_effects)
            rows.append(row)
            slots.append(_slot(name))
        return {"rows": rows, "breaks": breaks, "rates": rates, "slots": slots}

    def act(self, clock: Clock, row: list[int]) -> None:
        match clock.on_fire:
            case s.End(status):
                row[1], row[2] = t.FIRE_END, self.status(status)
            case Goto(label):
                places = [p for p in self.labels if self.model.entities[p] == "patient" and label in self.labels[p]]
                if len(places) != 1:
                    known = [
                        n for p, names in self.labels.items() if self.model.entities[p] == "patient" for n in names
                    ]
                    self.fail(
                        "the label that a clock goes to must exist in exactly one patient program",
                        label,
                        ", ".join(known),
                        nearest(label, known),
                    )
                row[1] = t.FIRE_GOTO
                row[2] = self.labels[places[0]][label]
            case SetState(state):
                row[1], row[2] = t.FIRE_STATE, self.find(self.states, state, "health state")
            case _:
                self.fail("unknown action of a clock", clock.on_fire, "End, Goto or SetState")

    def hazard(self, clock: Clock) -> tuple[list[float], list[float]]:
        given = clock.hazard_per_day
        by_state: Mapping[str, Rates]
        if isinstance(given, Mapping):
            for state in given:
                self.find(self.states, state, "health state")
            by_state = given
        else:
            assert given is not None
            by_state = dict.fromkeys(self.states, given)
        pieces = {state: _pieces(rate) for state, rate in by_state.items()}
        days = sorted({day for piece in pieces.values() for day, _ in piece} | {0.0})
        table: list[float] = []
        for state in self.states:
            piece = pieces.get(state, [(0.0, 0.0)])
            if piece[0][0] != 0.0 or any(b[0] <= a[0] for a, b in pairwise(piece)):
                self.fail("pieces of a hazard start at day 0 and rise", [day for day, _ in piece])
            for day in days:
                rate = next(r for d, r in reversed(piece) if d <= day)
                if not 0.0 <= rate < math.inf:
                    self.fail("a hazard must be zero or more per day", rate)
                table.append(rate)
        return days, table

    # Occurrence counters -----------------------------------------------------------------------------------------

    def successors(self, pc: int) -> list[int]:
        row = self.rows[pc]
        return successors(row, pc, self.branch_target)

    def count_occurrences(self, clock: dict[str, Any]) -> int:
        """Number a counter for each step that can be reached twice.

        Every cycle holds a branch to an earlier row, so what is reachable from no such target happens once.
        """
        starts = [q for pc in range(len(self.rows)) for q in self.successors(pc) if q <= pc]
        starts += [row[2] for row in clock["rows"] if row[1] == t.FIRE_GOTO]
        starts += [row[t.EXTRA] for row in self.rows if row[t.OP] == t.SEIZE and row[t.EXTRA] >= 0]
        repeated: set[int] = set()
        while starts:
            pc = starts.pop()
            if pc not in repeated:
                repeated.add(pc)
                starts += self.successors(pc)
        count = 0
        for pc, row in enumerate(self.rows):
            op = row[t.OP]
            draws = op in (t.DELAY, t.CHANCE, t.SWITCH, t.PUT, t.SPAWN) or (op == t.SET and row[t.B] == t.FROM_LAW)
            draws = draws or (op == t.SEIZE and self.slots[pc][0] != 0)
            if op == t.RETRY or (draws and pc in repeated):
                row[t.OCCURRENCE] = count
                count += 1
        for row in clock["rows"]:
            row[10] = count
            count += 1
        return count

    # Arrays ------------------------------------------------------------------------------------------------------

    def build_groups(self) -> tuple[list[list[int]], list[int], list[int]]:
        rows: list[list[int]] = []
        candidates: list[int] = []
        route: list[int] = []
        for name, number in self.resources.items():
            rows.append([t.FIXED, 0, len(candidates), 1, 0, 0, 0])
            candidates.append(number)
            del name
        for name, group in self.model.groups.items():
            self.step = f"group {name}"
            rows.append(self.group(group, candidates, route))
        return rows, candidates, route

    def group(self, group: Group, candidates: list[int], route: list[int]) -> list[int]:
        if group.rule not in RULES:
            self.fail("unknown rule", group.rule, ", ".join(RULES), nearest(group.rule, RULES))
        if not group.candidates:
            self.fail("a group needs candidates")
        row = [RULES.index(group.rule), 0, len(candidates), len(group.candidates), len(route), 0, group.overflow]
        candidates.extend(self.find(self.resources, name, "resource") for name in group.candidates)
        if group.rule in ("by_attribute", "nearest"):
            if group.attribute is None:
                self.fail("this rule needs an attribute", group.rule)
            row[1] = self.attribute(group.attribute, "patient" if group.attribute in self.model.attributes else "lot")
        width = 1 if group.rule == "by_attribute" else len(group.candidates)
        if group.rule == "nearest" and group.matrix is None:
            self.fail("rule 'nearest' needs a matrix: for each origin, the candidates from near to far")
        for line in group.matrix or ():
            if len(line) != width or not all(0 <= i < len(group.candidates) for i in line):
                self.fail(f"each row of the matrix needs {width} candidate number(s)", line)
            route.extend(line)
            row[5] += 1
        return row

    def columns(self, name: str) -> tuple[int, int]:
        """Return the columns of an attribute of patients and of lots (-1: not declared for them)."""
        found = self.attributes["patient"].get(name, -1), self.attributes["lot"].get(name, -1)
        if max(found) < 0:
            self.attribute(name, "patient")
        return found

    def build_servers(self, most: Sequence[int]) -> tuple[list[list[int]], list[int], list[float], list[int]]:
        """Return (server_rule, setup_law, setup_mean, initial_product) of resources with at `most` so many servers."""
        rows: list[list[int]] = []
        laws: list[int] = []
        means: list[float] = []
        initial: list[int] = []
        model = self.model
        for name in [*model.setups, *model.breakdowns]:
            self.step = f"{'setup' if name in model.setups else 'breakdown'} {name}"
            self.find(self.resources, name, "resource")
        for name, number in self.resources.items():
            row = [len(initial), 0, 0, len(laws), 0, -1, -1, -1, -1]
            setup, breakdown = model.setups.get(name), model.breakdowns.get(name)
            self.step = f"setup {name}"
            if setup is not None:
                row[t.PRODUCTS], row[t.CAMPAIGN] = setup.products, setup.campaign
                row[t.PRODUCT_OF_PATIENT], row[t.PRODUCT_OF_LOT] = self.columns(setup.attribute)
                for law in (law for line in (setup.first, *setup.changeover) for law in line):
                    means.append(law.mean if isinstance(law, Distribution) else float(law))
                    laws.append(-1 if law == 0.0 else self.laws.add(law, self.step))
            if setup is not None or breakdown is not None:
                row[t.UNITS] = most[number]
                made = setup.initial if setup is not None else (-1,)
                if len(made) not in (1, most[number]):
                    self.fail("the initial products are one for all servers, or one for each", len(made))
                initial += list(made) * (most[number] if len(made) == 1 else 1)
            self.step = f"breakdown {name}"
            if breakdown is not None:
                row[t.BREAKDOWN] = self.laws.add(breakdown.running_days, self.step)
                row[t.REPAIR_LAW] = self.laws.add(breakdown.repair_days, self.step)
            rows.append(row)
        return rows, laws, means, initial

    def build_depots(self, candidates: list[int], route: list[int]) -> list[list[int]]:
        """Return `depot_rule`, one row per stock and then per choice, and append its candidates and matrix rows."""
        rows = []
        for name in self.depots:
            depots = self.model.depot_groups.get(name)
            self.step = f"depots {name}"
            rows.append([0, 1, -1, -1, 0, 0, 0] if depots is None else self.depot_row(depots, candidates, route))
        return rows

    def depot_row(self, depots: Depots, candidates: list[int], route: list[int]) -> list[int]:
        if not depots.stocks:
            self.fail("depots need stocks")
        row = [len(candidates), len(depots.stocks), *self.columns(depots.attribute), len(route), 0, 0]
        candidates.extend(self.find(self.stocks, name, "stock") for name in depots.stocks)
        for line in depots.matrix or ():
            if not line or len(line) != len((depots.matrix or ())[0]):
                self.fail("the rows of the matrix of depots need equal lengths from 1", line)
            if not all(0 <= i < len(depots.stocks) for i in line):
                self.fail("the matrix of depots holds numbers of its stocks", line, f"0 to {len(depots.stocks) - 1}")
            route.extend(line)
            row[5] += 1
            row[6] = len(line)
        return row

    def build_stocks(self) -> tuple[list[list[int]], list[list[float]], list[tuple[int, int, float]]]:
        rows, levels, initial = [], [], []
        for name, stock in self.model.stocks.items():
            self.step = f"stock {name}"
            rule, quantity, entry = t.NO_REVIEW, 0.0, 0
            if stock.reorder_point is not None:
                if (stock.order_up_to is None) == (stock.order_quantity is None):
                    self.fail("a reviewed stock needs either order_up_to or order_quantity")
                if stock.lot_program is None:
                    self.fail("a reviewed stock needs a lot program")
                if stock.order_up_to is not None:
                    rule, quantity = t.ORDER_UP_TO, stock.order_up_to
                    if quantity <= stock.reorder_point:
                        self.fail("order_up_to must exceed the reorder point", quantity)
                else:
                    assert stock.order_quantity is not None
                    rule, quantity = t.FIXED_QUANTITY, stock.order_quantity
                    if quantity <= 0:
                        self.fail("order_quantity must be above zero", quantity)
                if not stock.doses_per_lot > 0:
                    self.fail("doses_per_lot must be above zero", stock.doses_per_lot)
            if stock.lot_program is not None:
                entry = self.find(self.entries, stock.lot_program, "program")
                if self.model.entities[stock.lot_program] != "lot":
                    self.fail("the lot program of a stock needs entity='lot'", stock.lot_program)
            rows.append([rule, entry, 0])
            levels.append([stock.reorder_point or 0.0, quantity, stock.doses_per_lot, stock.review_until])
            for doses, life in stock.initial:
                if doses < 1 or not life > 0:
                    self.fail("an initial batch is (doses from 1, shelf life left above 0)", (doses, life))
                initial.append((self.stocks[name], doses, life))
        return rows, levels, initial

    def assemble(self, clock: dict[str, Any], occurrences: int) -> CompiledModel:
        model = self.model
        group, candidates, route = self.build_groups()
        depots = self.build_depots(candidates, route)
        stock, level, initial = self.build_stocks()
        self.step = ""
        calendar, period, change_time, change_capacity, capacity = _calendars(model)
        most = [
            max([initial, *change_capacity[start : start + count]])
            for initial, (start, count, _) in zip(capacity, calendar, strict=True)
        ]
        servers, setup_law, setup_mean, initial_product = self.build_servers(most)
        gates, gate_period, opens, closes = _gates(model)
        laws = self.laws
        empty = np.empty(0)
        tables = t.ModelTables(
            program=_int(self.rows, t.PROGRAM_COLUMNS),
            step_value=_float(self.values, 2),
            slot_hash=np.array(self.slots, dtype=np.uint64).reshape(-1, 2),
            law_code=_int(laws.code, 4),
            law_parameter=_float(laws.parameter, 4),
            knot_probability=np.concatenate(laws.probabilities) if laws.probabilities else empty,
            knot_value=np.concatenate(laws.values) if laws.values else empty,
            effect_attribute=_int(self.effect_attribute),
            effect_beta=_float(self.effect_beta),
            branch_cumulative=_float(self.branch_cumulative),
            branch_target=_int(self.branch_target),
            seize_group=_int(self.seize_group),
            copy_from=_int(self.copy_from),
            copy_to=_int(self.copy_to),
            group_rule=_int(group, 7),
            candidate=_int(candidates),
            route=_int(route),
            server_rule=_int(servers, t.SERVER_COLUMNS),
            setup_law=_int(setup_law),
            setup_mean=_float(setup_mean),
            initial_product=_int(initial_product),
            depot_rule=_int(depots, t.DEPOT_COLUMNS),
            counter_start=_float([start for count, start in model.counters.values() for _ in range(count)]),
            initial_capacity=_int(capacity),
            calendar_rule=_int(calendar, 3),
            calendar_period=_float(period),
            change_time=_float(change_time),
            change_capacity=_int(change_capacity),
            gate_rule=_int(gates, 4),
            gate_period=_float(gate_period, 2),
            window_open=_float(opens),
            window_close=_float(closes),
            clock_rule=_int(clock["rows"], 11),
            clock_slot=np.array(clock["slots"], dtype=np.uint64),
            clock_break=_float(clock["breaks"]),
            clock_rate=_float(clock["rates"]),
            stock_rule=_int(stock, 3),
            stock_level=_float(level, 4),
            initial_stock=_int([row[0] for row in initial]),
            initial_doses=_int([row[1] for row in initial]),
            initial_shelf_life=_float([row[2] for row in initial]),
            mark_rule=_int(self.mark_rows, 3),
            default_attribute=_float(list(model.lot_attributes.values())),
            sizes=_int(
                [
                    self.classes,
                    len(self.states),
                    occurrences,
                    len(model.attributes),
                    len(model.lot_attributes),
                    len(self.marks["patient"]),
                    len(self.marks["lot"]),
                    self.statuses[INITIAL_STOCK],
                ]
            ),
        )
        return CompiledModel(
            model=model,
            tables=tables,
            statuses=tuple(self.statuses),
            attributes=tuple(model.attributes),
            lot_attributes=tuple(model.lot_attributes),
            marks=tuple(self.marks["patient"]),
            lot_marks=tuple(self.marks["lot"]),
            log_names=tuple(self.log_names),
            groups=tuple(self.groups),
            resources=tuple(self.resources),
            stocks=tuple(self.stocks),
            depots=tuple(self.depots),
            counters=dict(self.counters),
            clocks=tuple(self.clocks),
            entries=dict(self.entries),
            row_names=tuple(self.names),
        )


_HANDLERS: dict[type, Any] = {
    s.Label: _Builder.add_label,
    s.End: _Builder.add_end,
    s.Delay: _Builder.add_delay,
    s.Chance: _Builder.add_chance,
    s.Switch: _Builder.add_switch,
    s.Seize: _Builder.add_seize,
    s.Free: _Builder.add_free,
    s.Jump: _Builder.add_jump,
    s.Set: _Builder.add_set,
    s.Add: _Builder.add_set,
    s.Count: _Builder.add_count,
    s.Now: _Builder.add_now,
    s.Test: _Builder.add_test,
    s.InState: _Builder.add_in_state,
    s.Retry: _Builder.add_retry,
    s.Mark: _Builder.add_mark,
    s.Arm: _Builder.add_arm,
    s.Disarm: _Builder.add_arm,
    s.Gate: _Builder.add_gate,
    s.Priority: _Builder.add_priority,
    s.State: _Builder.add_state,
    s.Take: _Builder.add_take,
    s.Put: _Builder.add_put,
    s.Withdraw: _Builder.add_withdraw,
    s.Spawn: _Builder.add_spawn,
    s.Join: _Builder.add_join,
}


def successors(row: Sequence[int], pc: int, branch_target: Sequence[int]) -> list[int]:
    """Return the rows that can follow row `pc` without a clock."""
    op = row[t.OP]
    if op == t.END:
        return []
    if op == t.JUMP:
        return [row[t.A]]
    if op == t.RETRY:
        return [row[t.A], row[t.B]]
    if op == t.SWITCH:
        return list(branch_target[row[t.A] : row[t.A] + row[t.B]])
    if op in (t.CHANCE, t.IN_STATE):
        return [pc + 1, row[t.B]]
    if op == t.TEST:
        return [pc + 1, row[t.D]]
    if op == t.SEIZE and row[t.EXTRA] >= 0:
        return [pc + 1, row[t.EXTRA]]
    return [pc + 1]


def logit(p: float) -> float:
    """Return log(p / (1 - p)), infinite at 0 and 1."""
    if p <= 0.0:
        return -math.inf
    return math.inf if p >= 1.0 else math.log(p / (1.0 - p))


def _pieces(rate: Rates) -> list[tuple[float, float]]:
    if isinstance(rate, (int, float)):
        return [(0.0, float(rate))]
    return [(float(day), float(value)) for day, value in rate]


def _int(values: Iterable[Any], columns: int = 0) -> npt.NDArray[np.int64]:
    array = np.array(values, dtype=np.int64)
    return array.reshape(-1, columns) if columns else array.reshape(-1)


def _float(values: Iterable[Any], columns: int = 0) -> npt.NDArray[np.float64]:
    array = np.array(values, dtype=np.float64)
    return array.reshape(-1, columns) if columns else array.reshape(-1)


def _calendars(
    model: FlowModel,
) -> tuple[list[list[int]], list[float], list[float], list[int], list[int]]:
    rows: list[list[int]] = []
    periods: list[float] = []
    times: list[float] = []
    capacities: list[int] = []
    initial: list[int] = []
    for resource in model.resources.values():
        if resource.calendar is None:
            rows.append([0, 0, -1])
            periods.append(0.0)
            initial.append(resource.capacity)
            continue
        changes, loop, period = resource.calendar.expand(resource.capacity)
        start = len(times)
        rows.append([start, len(changes), loop if loop < 0 else start + loop])
        periods.append(period)
        times += [day for day, _ in changes]
        capacities += [capacity for _, capacity in changes]
        initial.append(changes[0][1])
    return rows, periods, times, capacities, initial


def _gates(model: FlowModel) -> tuple[list[list[int]], list[list[float]], list[float], list[float]]:
    rows: list[list[int]] = []
    periods: list[list[float]] = []
    opens: list[float] = []
    closes: list[float] = []
    for calendar in model.gates.values():
        once, repeated, start, period = calendar.open_windows()
        rows.append([len(opens), len(once), len(opens) + len(once), len(repeated)])
        periods.append([start, period])
        opens += [day for day, _ in once + repeated]
        closes += [day for _, day in once + repeated]
    return rows, periods, opens, closes
