"""One row, or none, for each step of a program."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from cartsight.core.distributions import Distribution
from cartsight.core.errors import nearest
from cartsight.simulation import steps as s
from cartsight.simulation import tables as t
from cartsight.simulation.compile.rows import Rows


class Steps(Rows):
    """Adds steps: `add_<step>`."""

    def add(self, step: s.Step) -> None:
        handler = _HANDLERS.get(type(step))
        if handler is None:
            self.fail("not a step", type(step).__name__, "values of cartsight.simulation.steps")
        handler(self, step)

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

    def value(self, value: s.Value) -> tuple[int, int, int, float]:
        """Return (source, attribute, law, constant) of a number, attribute or law."""
        if isinstance(value, str):
            return t.FROM_ATTRIBUTE, self.attribute(value), 0, 0.0
        if isinstance(value, Distribution):
            return t.FROM_LAW, 0, self.laws.add(value, self.step), 0.0
        return t.FROM_CONSTANT, 0, 0, float(value)

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


_HANDLERS: dict[type, Any] = {
    s.Label: Steps.add_label,
    s.End: Steps.add_end,
    s.Delay: Steps.add_delay,
    s.Chance: Steps.add_chance,
    s.Switch: Steps.add_switch,
    s.Seize: Steps.add_seize,
    s.Free: Steps.add_free,
    s.Jump: Steps.add_jump,
    s.Set: Steps.add_set,
    s.Add: Steps.add_set,
    s.Count: Steps.add_count,
    s.Now: Steps.add_now,
    s.Test: Steps.add_test,
    s.InState: Steps.add_in_state,
    s.Retry: Steps.add_retry,
    s.Mark: Steps.add_mark,
    s.Arm: Steps.add_arm,
    s.Disarm: Steps.add_arm,
    s.Gate: Steps.add_gate,
    s.Priority: Steps.add_priority,
    s.State: Steps.add_state,
    s.Take: Steps.add_take,
    s.Put: Steps.add_put,
    s.Withdraw: Steps.add_withdraw,
    s.Spawn: Steps.add_spawn,
    s.Join: Steps.add_join,
}


def logit(p: float) -> float:
    """Return log(p / (1 - p)), infinite at 0 and 1."""
    if p <= 0.0:
        return -math.inf
    return math.inf if p >= 1.0 else math.log(p / (1.0 - p))
