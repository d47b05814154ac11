"""The state of a run: every array that an interpreter changes, how it starts, how it grows, how it is closed."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cartsight.simulation.tables import (
    BUSY,
    CAPACITY,
    DOWN,
    DRAIN,
    ON_HAND,
    QUEUE,
    RESOURCE_STATISTICS,
    SIZE_CLASSES,
    SIZE_DYNAMIC_MARKS,
    SIZE_INITIAL_STATUS,
    SIZE_MARKS,
    SIZE_OCCURRENCES,
    SPAWN,
    STOCK_OUT,
    STOCK_STATISTICS,
    UNITS,
    WAITING,
    EntityInputs,
    ModelTables,
)

Int16 = npt.NDArray[np.int16]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
Float = npt.NDArray[np.float64]

# Columns of the integers of a live entity.
(
    ROW, PC, VERSION, MODE, PREVIOUS, NEXT, QUEUED, CLASS, HEALTH, HELD, WANTED,
    SERVER, _1, _2, _3, SOURCE, _5, _6, _7, KIND, PARENT, CHILDREN, CLASS_NOW,
) = range(23)  # fmt: skip
INTEGERS = 23
# SOURCE packs the group, the server's unit and the row of the SEIZE.
UNIT_SHIFT = 20
SEIZE_SHIFT = 40
PART_MASK = (1 << 20) - 1
# Columns of the floats of a live entity; TICKET orders a queue, ORDERED are doses expected of a lot.
STEP_TIME, CLOCK_TIME, CLOCK_PUSHED, ORIGIN, HAZARD_TIME, TICKET, ORDERED, BREAK_TIME = range(8)
FLOATS = 8
# Columns of a unit: product last made (-1: none), runs of it in a row, what it does, resource, breakdowns so far.
UNIT_PRODUCT, UNIT_RUN, UNIT_STATE, UNIT_RESOURCE, UNIT_BREAKS = range(5)
UNIT_COLUMNS = 5
IDLE_UNIT, BUSY_UNIT, DOWN_UNIT = range(3)
# Times of a unit: when it was taken, running time left to its breakdown (negative: not drawn yet).
UNIT_TAKEN, UNIT_LEFT = range(2)
# Columns of a dose record: row of the taker, row of the lot, doses, stock.
DOSE_TAKER, DOSE_LOT, DOSE_COUNT, DOSE_STOCK = range(4)
# Columns of a batch record: doses put, doses lost and how: 1 expired, 2 withdrawn.
BATCH_DOSES, BATCH_LOST, BATCH_HOW = range(3)
# What set-ups need of an entity: its product, the entry of the changeover matrix still to be drawn (-1: none), the
# resource whose server is being changed over (-1: none).
PRODUCT, CHANGE, CHANGING = range(3)
MEMORY = 3
# What an entity is doing.
RUNNING, DELAYED, QUEUEING, JOINING = range(4)
# Kinds of entity; a lot has the number of its stock.
PATIENT, CHILD = -1, -2
# Registers: scalars of the run.
(
    READY_FIRST, READY_LAST, EVENTS, HEAP, CULPRIT, CULPRIT_GROUP, ROWS, LOGGED, UNUSED, SLOTS, LIVE, PATIENTS,
    IDLE, CHILDREN_STARTED, BATCHES, UPCOMING, SPAWN_ENTRY, SPAWN_BY, SPAWN_ROW, SPAWN_NUMBER, DOSED,
) = range(21)  # fmt: skip
REGISTERS = 21
# Columns of a dynamic entity's integers: stock or CHILD, number within the stock, row of the parent.
DYNAMIC = 3

# Classes of events, in the order in which they happen at one time; arrivals come last.
CAPACITY_CHANGE, REPAIRED, EXPIRY, STEP_END, CLOCK = range(5)
# Packing of (class, row, version) into the order of an event.
CLASS_SHIFT = 60
ROW_SHIFT = 28
VERSION_MASK = (1 << 28) - 1
ROW_MASK = (1 << 32) - 1


class RunState(NamedTuple):
    """Arrays of a run, in the order of the kernel's arguments.

    Rows hold what is kept of every entity: arrivals first, then lots and children as they start. Slots hold the
    entities in the system and are reused. `times` and `orders` are the event list.
    """

    registers: Int64
    clock_and_ticket: Float
    returned: Int64
    end_time: Float
    status: Int16
    slot_of: Int32
    attribute: Float
    marks: Float
    dynamic: Int32
    dynamic_start: Float
    log_row: Int32
    log_code: Int16
    log_time: Float
    integers: Int64
    floats: Float
    keys: UInt64
    clocks: Float
    counts: Int16
    memory: Int64
    times: Float
    orders: Int64
    capacity: Int64
    free: Int64
    waiting: Int64
    first: Int64
    last: Int64
    down: Int64
    units: Int64
    unit_time: Float
    statistics: Float
    drained: Float
    change_at: Int64
    change_shift: Float
    capacity_since: Float
    on_hand: Int64
    on_order: Float
    short: Int64
    lots_started: Int64
    to_start: Int64
    review: npt.NDArray[np.bool_]
    stock_statistics: Float
    head: Int64
    batch_row: Int64
    batch_left: Int64
    batch_expiry: Float
    batch_stock: Int64
    following: Int64
    batch_record: Int64
    batch_time: Float
    dose_record: Int32
    dose_time: Float
    counter: Float


def initial_state(T: ModelTables, inputs: EntityInputs, window: tuple[float, float]) -> RunState:
    """Return the state on day 0: initial stock on hand, the first change of every calendar ahead."""
    n = inputs.time.size
    size = T.sizes
    resources, stocks = T.initial_capacity.size, T.stock_rule.shape[0]
    batches = T.initial_stock.size
    has_dynamic = stocks > 0 or bool((T.program[:, 0] == SPAWN).any())
    dynamic_room = batches + 64 if has_dynamic else 0
    batch_room = batches + 64 if stocks else 0
    slots = 64 + n // 16
    clipped = min(max(0.0, window[0]), window[1])
    registers = np.zeros(REGISTERS, np.int64)
    registers[[READY_FIRST, READY_LAST, UNUSED, SPAWN_ENTRY]] = -1
    registers[ROWS] = n + batches
    registers[BATCHES] = batches
    queues = (resources + stocks) * int(size[SIZE_CLASSES])
    units = np.zeros((T.initial_product.size, UNIT_COLUMNS), np.int64)
    units[:, UNIT_PRODUCT] = T.initial_product
    units[:, UNIT_RESOURCE] = np.repeat(np.arange(resources), T.server_rule[:, UNITS])
    dose_room = batches + 64 + n // 4 if stocks else 0
    marks = n * int(size[SIZE_MARKS]) + dynamic_room * int(size[SIZE_DYNAMIC_MARKS])
    state = RunState(
        registers=registers,
        clock_and_ticket=np.zeros(2),
        returned=np.zeros(8, np.int64),
        end_time=np.full(n + dynamic_room, np.nan),
        status=np.zeros(n + dynamic_room, np.int16),
        slot_of=np.full(n + dynamic_room, -1, np.int32),
        attribute=np.concatenate((inputs.attribute, np.tile(T.default_attribute, dynamic_room))),
        marks=np.full(marks, np.nan),
        dynamic=np.full((dynamic_room, DYNAMIC), -1, np.int32),
        dynamic_start=np.zeros(dynamic_room),
        log_row=np.empty(0, np.int32),
        log_code=np.empty(0, np.int16),
        log_time=np.empty(0),
        integers=np.zeros((slots, INTEGERS), np.int64),
        floats=np.zeros((slots, FLOATS)),
        keys=np.zeros(slots, np.uint64),
        clocks=np.zeros((slots, 3 * T.clock_rule.shape[0])),
        counts=np.zeros((slots, int(size[SIZE_OCCURRENCES])), np.int16),
        memory=np.zeros((slots, MEMORY if units.size else 0), np.int64),
        times=np.empty(0),
        orders=np.empty(0, np.int64),
        capacity=T.initial_capacity.copy(),
        free=T.initial_capacity.astype(np.int64),
        waiting=np.zeros(resources, np.int64),
        first=np.full(queues, -1, np.int64),
        last=np.full(queues, -1, np.int64),
        down=np.zeros(resources, np.int64),
        units=units,
        unit_time=np.full((units.shape[0], 2), -1.0),
        statistics=np.zeros((resources, RESOURCE_STATISTICS)),
        drained=np.tile([0.0, clipped], (resources, 1)),
        change_at=np.full(resources, -1, np.int64),
        change_shift=np.zeros(resources),
        capacity_since=np.tile([0.0, clipped], (resources, 1)),
        on_hand=np.bincount(T.initial_stock, T.initial_doses, minlength=stocks).astype(np.int64)
        if stocks
        else np.zeros(0, np.int64),
        on_order=np.zeros(stocks),
        short=np.zeros(stocks, np.int64),
        lots_started=np.zeros(stocks, np.int64),
        to_start=np.zeros(stocks, np.int64),
        review=np.ones(stocks, np.bool_),
        stock_statistics=np.zeros((stocks, STOCK_STATISTICS)),
        head=np.full(stocks, -1, np.int64),
        batch_row=np.zeros(batch_room, np.int64),
        batch_left=np.zeros(batch_room, np.int64),
        batch_expiry=np.zeros(batch_room),
        batch_stock=np.zeros(batch_room, np.int64),
        following=np.full(batch_room, -1, np.int64),
        batch_record=np.zeros((batch_room, 3), np.int64),
        batch_time=np.full((batch_room, 2), np.nan),
        dose_record=np.zeros((dose_room, 4), np.int32),
        dose_time=np.zeros(dose_room),
        counter=T.counter_start.copy(),
    )
    events = _first_changes(T, state) + _initial_batches(T, state, n, clipped)
    # A sorted list is a heap.
    events.sort()
    heap_room = len(events) + 64 + n // 8
    times, orders = np.empty(heap_room), np.empty(heap_room, np.int64)
    for i, (time, order) in enumerate(events):
        times[i], orders[i] = time, order
    registers[HEAP] = len(events)
    return state._replace(times=times, orders=orders)


def _first_changes(T: ModelTables, state: RunState) -> list[tuple[float, int]]:
    events = []
    for r, (start, count, loop) in enumerate(T.calendar_rule.tolist()):
        if count > 1:
            state.change_at[r] = start + 1
        elif loop >= 0:
            state.change_at[r], state.change_shift[r] = loop, T.calendar_period[r]
        else:
            continue
        events.append((float(T.change_time[state.change_at[r]] + state.change_shift[r]), r << ROW_SHIFT))
    return events


def _initial_batches(T: ModelTables, state: RunState, n: int, clipped: float) -> list[tuple[float, int]]:
    count = T.initial_stock.size
    state.status[n : n + count] = T.sizes[SIZE_INITIAL_STATUS]
    state.end_time[n : n + count] = 0.0
    state.dynamic[:count, 0] = T.initial_stock
    state.batch_row[:count] = np.arange(n, n + count)
    state.batch_left[:count] = T.initial_doses
    state.batch_expiry[:count] = T.initial_shelf_life
    state.batch_stock[:count] = T.initial_stock
    state.batch_record[:count, BATCH_DOSES] = T.initial_doses
    state.batch_time[:count, 0] = 0.0
    events = []
    for s in range(state.head.size):
        batches = sorted((T.initial_shelf_life[b], b) for b in range(count) if T.initial_stock[b] == s)
        for (_, b), (_, after) in pairwise(batches):
            state.following[b] = after
        if batches:
            state.head[s] = batches[0][1]
        events += [(float(life), (EXPIRY << CLASS_SHIFT) | (b << ROW_SHIFT)) for life, b in batches if life < math.inf]
        state.stock_statistics[s, ON_HAND + 1] = -state.on_hand[s] * clipped
        if state.on_hand[s] == 0:
            state.stock_statistics[s, STOCK_OUT + 1] = -clipped
    return events


def _longer(array: npt.NDArray[np.generic], size: int, fill: float) -> npt.NDArray[np.generic]:
    new = np.full((size, *array.shape[1:]), fill, array.dtype)
    new[: len(array)] = array
    return new


def grow(T: ModelTables, inputs: EntityInputs, state: RunState) -> RunState:
    """Return the state with more room in the arrays that are full, the rest untouched."""
    n = inputs.time.size
    registers = state.registers
    new: dict[str, Any] = {}

    def longer(size: int, *names: str, fill: float = 0) -> None:
        for name in names:
            new[name] = _longer(getattr(state, name), size, fill)

    if registers[HEAP] + 8 > state.times.size:
        longer(state.times.size * 3 // 2, "times", "orders")
    if registers[SLOTS] == state.keys.size:
        longer(state.keys.size * 3 // 2, "integers", "floats", "keys", "clocks", "counts", "memory")
    if registers[LOGGED] == state.log_row.size:
        longer(max(1024 + n // 2, state.log_row.size * 3 // 2), "log_row", "log_code", "log_time")
    if state.batch_row.size and registers[BATCHES] == state.batch_row.size:
        names = ("batch_row", "batch_left", "batch_expiry", "batch_stock", "following", "batch_record")
        longer(state.batch_row.size * 2, *names)
        longer(state.batch_row.size * 2, "batch_time", fill=math.nan)
    if state.dose_time.size:
        needed = dose_room_needed(int(registers[DOSED]), int(registers[LIVE]), int(registers[BATCHES]))
        if needed > state.dose_time.size:
            longer(max(needed, state.dose_time.size * 3 // 2) + 64, "dose_record", "dose_time")
    room = state.dynamic_start.size
    if room and registers[ROWS] - n == room:
        more = 2 * room
        longer(n + more, "end_time", fill=math.nan)
        longer(n + more, "status")
        longer(n + more, "slot_of", fill=-1)
        longer(more, "dynamic", "dynamic_start")
        new["attribute"] = np.concatenate((state.attribute, np.tile(T.default_attribute, more - room)))
        longer(state.marks.size + (more - room) * int(T.sizes[SIZE_DYNAMIC_MARKS]), "marks", fill=math.nan)
    return state._replace(**new)


def dose_room_needed(dosed: int, live: int, batches: int) -> int:
    """Return a bound on the dose records after one more step.

    A record ends either a taking or a batch, and no more can take than are in the system.
    """
    return dosed + live + batches + 8


def close(T: ModelTables, state: RunState, window: tuple[float, float]) -> None:
    """Add to the integrals what lies between their last change and the last event."""
    now = float(state.clock_and_ticket[0])
    clipped = min(max(now, window[0]), window[1])
    use, stock = state.statistics, state.stock_statistics
    over = np.maximum(-(state.free + state.down), 0)
    # Lots may be left that wait for what never comes, with what they hold.
    busy = state.capacity - state.free - state.down
    slots = state.slot_of[: int(state.registers[ROWS])]
    slots = slots[slots >= 0]
    queue = state.integers[slots[state.integers[slots, MODE] == QUEUEING], QUEUED] // T.sizes[SIZE_CLASSES]
    takers = np.bincount(queue[queue >= state.free.size] - state.free.size, minlength=state.on_hand.size)
    for i, day in enumerate((now, clipped)):
        use[:, DRAIN + i] += over * (day - state.drained[:, i])
        use[:, BUSY + i] += busy * day
        use[:, QUEUE + i] += state.waiting * day
        stock[:, WAITING + i] += takers * day
        use[:, DOWN + i] += state.down * day
        use[:, CAPACITY + i] += state.capacity * (day - state.capacity_since[:, i])
        stock[:, ON_HAND + i] += state.on_hand * day
        stock[:, STOCK_OUT + i] += (state.on_hand == 0) * day
