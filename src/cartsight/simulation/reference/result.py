"""What a run of the reference interpreter leaves, in the arrays that the kernel would leave."""

from __future__ import annotations

import math

import numpy as np

from cartsight.simulation import tables as t
from cartsight.simulation.reference.entities import IN_STOCK_QUEUE, QUEUEING, Entity, Stopped
from cartsight.simulation.reference.interpreter import Interpreter
from cartsight.simulation.state import (
    BATCHES,
    CULPRIT,
    CULPRIT_GROUP,
    DOSED,
    EVENTS,
    LOGGED,
    ROWS,
    RunState,
    initial_state,
)


def run_reference(
    tables: t.ModelTables, inputs: t.EntityInputs, window: tuple[float, float], limit: int
) -> tuple[int, RunState]:
    """Interpret the tables, and return what the kernel would."""
    run = Interpreter(tables, inputs, window, limit)
    state = initial_state(tables, inputs, window)
    try:
        run.run()
    except Stopped as stop:
        if stop.outcome == t.OK:  # what is left are lots that wait for a stock which never comes
            return _finished(run, state)
        state.registers[CULPRIT], state.registers[CULPRIT_GROUP] = stop.culprit, stop.group
        state.clock_and_ticket[0] = run.now
        return stop.outcome, state
    return _finished(run, state)


def _finished(run: Interpreter, state: RunState) -> tuple[int, RunState]:
    for entity in run.entities.values():  # lots that wait for what never comes, with what they hold
        for r, _, since, _, _ in entity.held:
            run.integrate(run.use[r], t.BUSY, 1.0, since)
        if entity.mode == QUEUEING:
            run.integrate(run.use[entity.waits_for], t.QUEUE, 1.0, entity.waits_since)
        elif entity.mode == IN_STOCK_QUEUE:
            run.integrate(run.stock_use[entity.waits_for], t.WAITING, 1.0, entity.waits_since)
    n, m = run.arrivals, len(run.started)
    size = run.size
    mark_width = size[t.SIZE_MARKS], size[t.SIZE_DYNAMIC_MARKS]
    end_time, status = np.full(n + m, np.nan), np.zeros(n + m, np.int16)
    attributes: list[float] = []
    marks: list[float] = []
    for row in range(n + m):
        end_time[row], status[row], entity = run.ended.get(row) or (math.nan, 0, run.entities[row])
        attributes += entity.attributes
        marks += [entity.marks.get(i, math.nan) for i in range(mark_width[row >= n])]
    for r in range(len(run.capacity)):
        run.settle_resource(r)
        run.integrate(run.use[r], t.CAPACITY, run.capacity[r], run.capacity_since[r])
        for unit in run.units[r]:
            if unit.state == "down":
                run.integrate(run.use[r], t.DOWN, 1.0, unit.taken)
    for s in range(len(run.batches)):
        run.settle_stock(s)
    state.registers[[ROWS, LOGGED, EVENTS]] = n + m, len(run.log), run.work
    state.registers[[DOSED, BATCHES]] = len(run.doses), len(run.batch_of)
    batches = [batch for _, batch in run.batch_of]
    state.clock_and_ticket[0] = run.now
    return t.OK, state._replace(
        end_time=end_time,
        status=status,
        attribute=np.array(attributes, dtype=np.float64),
        marks=np.array(marks, dtype=np.float64),
        dynamic=np.array([row[1:] for row in run.started], dtype=np.int32).reshape(m, 3),
        dynamic_start=np.array([row[0] for row in run.started], dtype=np.float64),
        log_row=np.array([row[0] for row in run.log], dtype=np.int32),
        log_code=np.array([row[1] for row in run.log], dtype=np.int16),
        log_time=np.array([row[2] for row in run.log], dtype=np.float64),
        statistics=run.use,
        batch_row=np.array([b.lot.row for b in batches if isinstance(b.lot, Entity)], dtype=np.int64),
        batch_stock=np.array([b.stock for b in batches], dtype=np.int64),
        batch_left=np.array([b.left for b in batches], dtype=np.int64),
        batch_expiry=np.array([b.expiry for b in batches]),
        batch_time=np.array([(b.day, b.removed) for b in batches]).reshape(-1, 2),
        batch_record=np.array(
            [(b.doses, b.expired + b.withdrawn, 2 if b.withdrawn else int(b.expired > 0)) for b in batches],
            dtype=np.int64,
        ).reshape(-1, 3),
        dose_record=np.array([d[:4] for d in run.doses], dtype=np.int32).reshape(-1, 4),
        dose_time=np.array([d[4] for d in run.doses], dtype=np.float64),
        counter=np.array(run.counter, dtype=np.float64),
        stock_statistics=run.stock_use,
        on_hand=np.array([run.on_hand(s) for s in range(len(run.batches))], dtype=np.int64),
    )
