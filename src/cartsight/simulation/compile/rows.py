"""Rows of the program table and the names that they refer to: what every part of compiling shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from cartsight.core.errors import InputError, nearest
from cartsight.core.streams import stable_hash
from cartsight.simulation import steps as s
from cartsight.simulation import tables as t
from cartsight.simulation.laws import LawTable
from cartsight.simulation.model import FlowModel

ATTRIBUTE_CLASSES = 8
"""Priority classes kept when a class is read from an attribute; larger values are served with the last class."""

IN_PROGRESS = "in progress"
INITIAL_STOCK = "initial stock"

draw_slot = lru_cache(maxsize=65_536)(stable_hash)


@dataclass(slots=True)
class Pending:
    """A branch whose target is filled once all labels are known: into a row, or into `branch_target`."""

    program: str
    row: list[int] | None
    column: int
    target: s.Branch
    step: str


class Rows:
    """Rows so far, and numbers of names."""

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
        self.pending: list[Pending] = []
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

    def columns(self, name: str) -> tuple[int, int]:
        """Return the columns of an attribute of patients and of lots (-1: not declared for them)."""
        found = self.attributes["patient"].get(name, -1), self.attributes["lot"].get(name, -1)
        if max(found) < 0:
            self.attribute(name, "patient")
        return found

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
        self.pending.append(Pending(self.program, row, column, target, self.step))

    def drawn(self, name: str) -> None:
        self.slots[-1] = (draw_slot(name), draw_slot(name + "/second"))
