"""From a `FlowModel` to tables: resolve names to numbers, lay out variable-length rows end to end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.simulation import steps as s
from cartsight.simulation import tables as t
from cartsight.simulation.compile.clocks import Clocks
from cartsight.simulation.compile.compiled import CompiledModel
from cartsight.simulation.compile.order import Order
from cartsight.simulation.compile.resources import Resources, build_calendars, build_gates
from cartsight.simulation.compile.rows import INITIAL_STOCK
from cartsight.simulation.compile.steps import Steps
from cartsight.simulation.compile.stocks import Stocks
from cartsight.simulation.model import FlowModel


def build_tables(model: FlowModel) -> CompiledModel:
    """Return the tables of `model` with every name resolved; `compile_model` adds the checks."""
    return _Builder(model).build()


class _Builder(Steps, Clocks, Resources, Stocks, Order):
    """Adds every program, then lays out the arrays."""

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

    def assemble(self, clock: dict[str, Any], occurrences: int) -> CompiledModel:
        model = self.model
        group, candidates, route = self.build_groups()
        depots = self.build_depots(candidates, route)
        stock, level, initial = self.build_stocks()
        self.step = ""
        calendar, period, change_time, change_capacity, capacity = build_calendars(model)
        most = [
            max([initial, *change_capacity[start : start + count]])
            for initial, (start, count, _) in zip(capacity, calendar, strict=True)
        ]
        servers, setup_law, setup_mean, initial_product = self.build_servers(most)
        gates, gate_period, opens, closes = build_gates(model)
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


def _int(values: Iterable[Any], columns: int = 0) -> npt.NDArray[np.int64]:
    array = np.array(values, dtype=np.int64)
    return array.reshape(-1, columns) if columns else array.reshape(-1)


def _float(values: Iterable[Any], columns: int = 0) -> npt.NDArray[np.float64]:
    array = np.array(values, dtype=np.float64)
    return array.reshape(-1, columns) if columns else array.reshape(-1)
