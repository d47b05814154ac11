"""`simulate`: check the arrivals, run an interpreter of the tables, name the results."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import CartsightError, InputError, nearest
from cartsight.core.streams import MASK, mix, stable_hash
from cartsight.simulation import tables as t
from cartsight.simulation.arrivals import Arrivals, codes
from cartsight.simulation.compile import CompiledModel
from cartsight.simulation.result import Batches, Doses, Entities, FlowResult, Log, Lots
from cartsight.simulation.state import (
    BATCH_DOSES,
    BATCH_HOW,
    BATCH_LOST,
    BATCHES,
    CULPRIT,
    CULPRIT_GROUP,
    DOSE_COUNT,
    DOSE_LOT,
    DOSE_STOCK,
    DOSE_TAKER,
    DOSED,
    EVENTS,
    LOGGED,
    ROWS,
    RunState,
    close,
    grow,
    initial_state,
)

Float = npt.NDArray[np.float64]
EVENTS_PER_PATIENT = 2_000
EVENTS_AT_LEAST = 2_000_000


class SimulationError(CartsightError):
    """A run that cannot end: the cap on events was reached, or entities wait for what never comes."""


def simulate(
    compiled: CompiledModel,
    arrivals: Arrivals,
    *,
    seed: int,
    window: tuple[float, float] = (0.0, math.inf),
    max_events: int | None = None,
    antithetic: bool = False,
) -> FlowResult:
    """Run the compiled kernel until every patient that arrives has left.

    Releases the GIL, keeps no state, and depends on nothing but its arguments.

    Parameters
    ----------
    compiled : CompiledModel
        From `compile_model`.
    arrivals : Arrivals
        Who arrives when.
    seed : int
        Seed of all draws.
    window : (float, float)
        Days between which the ``window=True`` statistics of resources and stocks are taken.
    max_events : int, optional
        Cap on interpreted steps and events; by default 2 000 per patient, at least two million.
    antithetic : bool
        Use 1 - u for every uniform u: the mean of a run and its antithetic run has the same expectation and, where
        the outcome rises or falls with every draw, a smaller variance than that of two independent runs.

    Raises
    ------
    InputError
        Arrivals that are not finite, before day 0, or whose columns do not fit the model.
    SimulationError
        The cap was reached, or entities wait for what never comes.
    """
    return interpreted(run_kernel, compiled, arrivals, seed, window, max_events, antithetic)


def simulate_reference(
    compiled: CompiledModel,
    arrivals: Arrivals,
    *,
    seed: int,
    window: tuple[float, float] = (0.0, math.inf),
    max_events: int | None = None,
    antithetic: bool = False,
) -> FlowResult:
    """Run the plain Python interpreter of the same tables: the same trajectories, a hundred times slower."""
    from cartsight.simulation.reference import run_reference

    return interpreted(run_reference, compiled, arrivals, seed, window, max_events, antithetic)


def run_kernel(
    tables: t.ModelTables, inputs: t.EntityInputs, window: tuple[float, float], limit: int
) -> tuple[int, RunState]:
    """Run the compiled interpreter, giving it larger arrays when it asks for them."""
    from cartsight.simulation.kernel import interpret

    state = initial_state(tables, inputs, window)
    # With NUMBA_DISABLE_JIT the same code runs on NumPy scalars, which warn where integers wrap.
    with np.errstate(over="ignore"):
        while True:
            outcome = int(interpret(*tables, *inputs, *state, window[0], window[1], limit))
            if outcome != t.GROW:
                break
            state = grow(tables, inputs, state)
    close(tables, state, window)
    return outcome, state


def interpreted(
    interpret: Callable[[t.ModelTables, t.EntityInputs, tuple[float, float], int], tuple[int, RunState]],
    compiled: CompiledModel,
    arrivals: Arrivals,
    seed: int,
    window: tuple[float, float],
    max_events: int | None,
    antithetic: bool = False,
) -> FlowResult:
    """Run `interpret` on the tables and arrivals and name what it returns."""
    inputs, order = entity_inputs(compiled, arrivals, seed, antithetic)
    n = inputs.time.size
    if not window[0] <= window[1]:
        raise InputError("the observation window must not end before it starts", found=window)
    limit = max(EVENTS_AT_LEAST, EVENTS_PER_PATIENT * n) if max_events is None else int(max_events)
    window = float(window[0]), float(window[1])
    outcome, state = interpret(compiled.tables, inputs, window, limit)
    if outcome != t.OK:
        _stopped(compiled, outcome, state, limit)
    return _named(compiled, inputs, order, state, window)


def entity_inputs(
    compiled: CompiledModel, arrivals: Arrivals, seed: int, antithetic: bool = False
) -> tuple[t.EntityInputs, npt.NDArray[np.int64] | None]:
    """Return the arrivals as arrays sorted by (time, id), and the order (None: they were sorted)."""
    time = np.ascontiguousarray(arrivals.time, dtype=np.float64)
    if time.ndim != 1:
        raise InputError("arrivals: times must be a one-dimensional array", found=time.shape)
    n = time.size
    if n and not (np.isfinite(time).all() and time.min() >= 0.0):
        bad = int(np.flatnonzero(~(np.isfinite(time) & (time >= 0.0)))[0])
        raise InputError(
            "arrivals: times must be finite and not before day 0", field=f"time[{bad}]", found=float(time[bad])
        )
    if arrivals.identity is None:
        identity = np.arange(n, dtype=np.uint64)
    else:
        identity = np.ascontiguousarray(arrivals.identity, dtype=np.uint64)
        if identity.shape != (n,):
            raise InputError("arrivals: ids must be as many as the times", found=identity.shape, allowed=str((n,)))
    order = None
    if n and not (np.diff(time) > 0).all():
        order = np.lexsort((identity, time))
        if (order == np.arange(n)).all():
            order = None
    program = arrivals.program
    patient_programs = {k: v for k, v in compiled.entries.items() if compiled.model.entities[k] == "patient"}
    if program is None:
        if len(patient_programs) != 1:
            raise InputError(
                "arrivals: the model has several programs for patients, so say which",
                allowed=", ".join(patient_programs),
            )
        program = next(iter(patient_programs))
    entry = codes(program, patient_programs, n, "program")
    states = {name: i for i, name in enumerate(compiled.model.states)}
    state = np.zeros(n, np.int32) if arrivals.state is None else codes(arrivals.state, states, n, "health state")
    attribute = _attributes(compiled, arrivals, n)
    if order is not None:
        time, identity, entry, state = time[order], identity[order], entry[order], state[order]
        attribute = attribute[order]
    return (
        t.EntityInputs(
            time,
            identity,
            entry,
            state,
            attribute.reshape(-1),
            _kind_states(compiled, seed),
            np.array([MASK if antithetic else 0], dtype=np.uint64),
        ),
        order,
    )


def _attributes(compiled: CompiledModel, arrivals: Arrivals, n: int) -> Float:
    attribute = np.empty((n, len(compiled.attributes)))
    given = arrivals.attributes
    for name in given:
        if name not in compiled.attributes:
            raise InputError(
                "arrivals: unknown attribute",
                found=name,
                allowed=", ".join(compiled.attributes),
                hint=nearest(name, compiled.attributes),
            )
    for i, (name, default) in enumerate(compiled.model.attributes.items()):
        column = np.asarray(given.get(name, default), dtype=np.float64)
        if column.ndim and column.shape != (n,):
            raise InputError(
                "arrivals: an attribute must be as long as the times", field=name, found=column.shape, allowed=str((n,))
            )
        if name in given and not np.isfinite(column).all():
            raise InputError("arrivals: attributes must be finite", field=name)
        attribute[:, i] = column
    return attribute


def _kind_states(compiled: CompiledModel, seed: int) -> npt.NDArray[np.uint64]:
    """Return the key state after seed and kind: patients, the lots of each stock, children, servers by resource."""
    kinds = ["patient", *(f"lot/{name}" for name in compiled.stocks), "child"]
    kinds += [f"server/{name}" for name in compiled.resources]
    words = np.array([stable_hash(kind) for kind in kinds], dtype=np.uint64)
    return _absorb(_absorb(np.zeros(len(kinds), dtype=np.uint64), np.uint64(seed & MASK)), words)


def _absorb(state: npt.NDArray[np.uint64], word: Any) -> npt.NDArray[np.uint64]:
    from cartsight.core.streams import GOLDEN

    return mix((state ^ word) + np.uint64(GOLDEN))


def _stopped(compiled: CompiledModel, outcome: int, state: RunState, limit: int) -> NoReturn:
    day = float(state.clock_and_ticket[0])
    culprit = int(state.registers[CULPRIT])
    step = compiled.row_names[culprit] if 0 <= culprit < len(compiled.row_names) else "a clock or a calendar"
    if outcome == t.EVENT_CAP:
        raise SimulationError(
            f"{compiled.model.name}: stopped after {limit:,} steps on day {day:.1f}, at {step!r}: a queue that never "
            "empties or a loop that never ends"
        )
    if outcome == t.BAD_ROUTE:
        group = compiled.groups[int(state.registers[CULPRIT_GROUP])]
        raise InputError("an attribute is not the number of a candidate of the group", field=group, found=step)
    if outcome == t.BAD_PRODUCT:
        resource = compiled.resources[int(state.registers[CULPRIT_GROUP])]
        raise InputError("an attribute is not the number of a product of the set-up", field=resource, found=step)
    if outcome == t.BAD_DEPOT:
        depots = compiled.depots[int(state.registers[CULPRIT_GROUP])]
        raise InputError(
            "an attribute is not the number of a stock, or of a row, of the depots", field=depots, found=step
        )
    if outcome == t.BAD_COUNTER:
        raise InputError("an attribute is not the number of a value of the counter", field=step)
    if outcome == t.BAD_FUNCTION:
        raise InputError(
            "a function has no value here", field=step, allowed="log of a number above zero, reciprocal of one not zero"
        )
    raise SimulationError(
        f"{compiled.model.name}: on day {day:.1f} entities wait for a resource, stock or child that never comes"
    )


def _named(
    compiled: CompiledModel,
    inputs: t.EntityInputs,
    order: npt.NDArray[np.int64] | None,
    state: RunState,
    window: tuple[float, float],
) -> FlowResult:
    n = inputs.time.size
    m = int(state.registers[ROWS]) - n
    logged = int(state.registers[LOGGED])
    log_row, log_code = state.log_row[:logged].copy(), state.log_code[:logged].copy()
    log_time = state.log_time[:logged].copy()
    end_time, status, attribute, marks = state.end_time, state.status, state.attribute, state.marks
    dynamic, dynamic_start = state.dynamic, state.dynamic_start
    width, dynamic_width = len(compiled.attributes), len(compiled.lot_attributes)
    mark_width, dynamic_mark_width = len(compiled.marks), len(compiled.lot_marks)
    split = attribute[: n * width].reshape(n, width), marks[: n * mark_width].reshape(n, mark_width)
    patient_end, patient_status = end_time[:n], status[:n]
    start = inputs.time
    of_patient = log_row < n
    log_entity = log_row[of_patient]
    if order is not None:
        back = np.empty(n, dtype=np.int64)
        back[order] = np.arange(n)
        start, patient_end, patient_status = start[back], patient_end[back], patient_status[back]
        split = split[0][back], split[1][back]
        log_entity = order[log_entity].astype(np.int32)
    patients = Entities(
        start,
        patient_end,
        patient_status,
        compiled.statuses,
        split[0],
        compiled.attributes,
        split[1],
        compiled.marks,
        Log(log_entity, log_code[of_patient], log_time[of_patient], compiled.log_names),
    )
    of_lot = ~of_patient
    parent = dynamic[:m, 2].copy()
    if order is not None:
        arriving = (parent >= 0) & (parent < n)
        parent[arriving] = order[parent[arriving]]
    lots = Lots(
        dynamic_start[:m].copy(),
        end_time[n : n + m].copy(),
        status[n : n + m].copy(),
        compiled.statuses,
        attribute[n * width : n * width + m * dynamic_width].reshape(m, dynamic_width).copy(),
        compiled.lot_attributes,
        marks[n * mark_width : n * mark_width + m * dynamic_mark_width].reshape(m, dynamic_mark_width).copy(),
        compiled.lot_marks,
        Log((log_row[of_lot] - n).astype(np.int32), log_code[of_lot], log_time[of_lot], compiled.log_names),
        dynamic[:m, 0].copy(),
        dynamic[:m, 1].copy(),
        parent,
        compiled.stocks,
    )
    return FlowResult(
        patients,
        lots,
        window,
        float(state.clock_and_ticket[0]),
        int(state.registers[EVENTS]),
        state.statistics,
        compiled.resources,
        state.stock_statistics,
        {name: int(state.on_hand[i]) for i, name in enumerate(compiled.stocks)},
        _doses(compiled, state, n, order),
        _batches(compiled, state, n),
        {name: state.counter[first : first + count] for name, (first, count) in compiled.counters.items()},
    )


def _doses(compiled: CompiledModel, state: RunState, n: int, order: npt.NDArray[np.int64] | None) -> Doses:
    dosed = int(state.registers[DOSED])
    record = state.dose_record[:dosed]
    taker = record[:, DOSE_TAKER]
    patient = np.where(taker < n, taker, -1).astype(np.int32)
    if order is not None:
        patient = np.where(patient >= 0, order[patient], -1).astype(np.int32)
    return Doses(
        patient,
        np.where(taker < n, -1, taker - n).astype(np.int32),
        record[:, DOSE_LOT] - np.int32(n),
        record[:, DOSE_COUNT].copy(),
        state.dose_time[:dosed].copy(),
        record[:, DOSE_STOCK].copy(),
        compiled.stocks,
    )


def _batches(compiled: CompiledModel, state: RunState, n: int) -> Batches:
    count = int(state.registers[BATCHES])
    lost, how = state.batch_record[:count, BATCH_LOST], state.batch_record[:count, BATCH_HOW]
    return Batches(
        (state.batch_row[:count] - n).astype(np.int32),
        state.batch_stock[:count].astype(np.int32),
        state.batch_time[:count, 0].copy(),
        state.batch_record[:count, BATCH_DOSES].astype(np.int32),
        state.batch_expiry[:count].copy(),
        np.where(how == 1, lost, 0).astype(np.int32),
        np.where(how == 2, lost, 0).astype(np.int32),
        state.batch_left[:count].astype(np.int32),
        state.batch_time[:count, 1].copy(),
        compiled.stocks,
    )


def warm_up() -> float:
    """Compile the kernel, or load it from the cache, and return the seconds that it took."""
    from time import perf_counter

    from cartsight.simulation.compile import build_tables
    from cartsight.simulation.model import FlowModel
    from cartsight.simulation.steps import End

    began = perf_counter()
    model = FlowModel("warm-up")
    model.program("patient", [End("done")])
    simulate(build_tables(model), Arrivals(np.zeros(1)), seed=0)
    return perf_counter() - began
