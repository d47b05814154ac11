"""The compiled interpreter of the tables: one function, one signature, no state outside its arguments.

Live entities have a slot of a few cache lines, reused when they leave; what is kept of every entity (end, attributes,
marks) lies in rows beside it. An entity has at most one event at work: the end of its step, or its first clock when
that comes earlier. The order of work at one time: entities that can go on (in the order in which they were let go),
lots to start, then events by (class, row), then arrivals.
"""

# The compiled functions take arrays whose types Numba infers.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import math

import numpy as np

from cartsight.simulation.draws import absorb, law_quantile, uniform
from cartsight.simulation.event_list import drop_first, push
from cartsight.simulation.jit import helper, inlined, kernel
from cartsight.simulation.state import (
    BATCHES,
    CAPACITY_CHANGE,
    CHILD,
    CHILDREN,
    CHILDREN_STARTED,
    CLASS,
    CLASS_NOW,
    CLASS_SHIFT,
    CLOCK,
    CLOCK_PUSHED,
    CLOCK_TIME,
    CULPRIT,
    CULPRIT_GROUP,
    DELAYED,
    EVENTS,
    EXPIRY,
    HAZARD_TIME,
    HEALTH,
    HEAP,
    HELD,
    IDLE,
    JOINING,
    KIND,
    LIVE,
    LOGGED,
    MODE,
    NEXT,
    ORDERED,
    ORIGIN,
    PARENT,
    PATIENT,
    PATIENTS,
    PC,
    PREVIOUS,
    QUEUED,
    QUEUEING,
    READY_FIRST,
    READY_LAST,
    ROW,
    ROW_MASK,
    ROW_SHIFT,
    ROWS,
    RUNNING,
    SERVER,
    SLOTS,
    SOURCE,
    SPAWN_BY,
    SPAWN_ENTRY,
    SPAWN_NUMBER,
    SPAWN_ROW,
    STEP_END,
    STEP_TIME,
    TICKET,
    UNUSED,
    UPCOMING,
    VERSION,
    VERSION_MASK,
    WANTED,
)  # fmt: skip
from cartsight.simulation.tables import (
    ARM,
    BAD_ROUTE,
    BUSY,
    BY_ATTRIBUTE,
    CAPACITY,
    CHANCE,
    CLASS_KIND,
    CLASS_VALUE,
    DEADLINE,
    DELAY,
    DISARM,
    DRAIN,
    EFFECT,
    EFFECTS,
    EVENT_CAP,
    EXPIRED,
    FIRE_GOTO,
    FIRE_STATE,
    FIRST_FREE,
    FIXED,
    FREE,
    FROM_ATTRIBUTE,
    FROM_CONSTANT,
    FROM_ENTITY,
    FROM_LAW,
    GATE,
    GROW,
    HAZARD,
    IN_STATE,
    JOIN,
    JUMP,
    LAW,
    MARK,
    NEAREST,
    NO_REVIEW,
    OCCURRENCE,
    OK,
    ON_HAND,
    OP,
    ORDER_UP_TO,
    PRIORITY,
    PUT,
    QUEUE,
    RECEIVED,
    RETRY,
    SECOND_LAW,
    SEIZE,
    SEIZES,
    SET,
    SIZE_ATTRIBUTES,
    SIZE_CLASSES,
    SIZE_DYNAMIC_ATTRIBUTES,
    SIZE_DYNAMIC_MARKS,
    SIZE_MARKS,
    SIZE_OCCURRENCES,
    SPAWN,
    STATE,
    STOCK_OUT,
    STUCK,
    SWITCH,
    TAKE,
    TAKEN,
    TEST,
    WAITED,
    WAITING,
    A,
    B,
    C,
    D,
    E,
)

INF = math.inf
IDLE_CHANGES = 100_000


@inlined
def effect_sum(effect_attribute, effect_beta, first, count, attribute, base):
    """Return the sum of beta x attribute."""
    total = 0.0
    for i in range(first, first + count):
        total += effect_beta[i] * attribute[base + effect_attribute[i]]
    return total


@inlined
def next_occurrence(counts, slot, counter):
    """Return how often the entity has drawn at this step before, and count the draw."""
    if counter < 0:
        return 0
    seen = np.int64(counts[slot, counter])
    counts[slot, counter] = seen + 1
    return seen


@inlined
def make_ready(slot, L, reg):
    """Append an entity to the list of those that can go on now."""
    L[slot, NEXT] = -1
    L[slot, MODE] = RUNNING
    if reg[READY_FIRST] < 0:
        reg[READY_FIRST] = slot
    else:
        L[reg[READY_LAST], NEXT] = slot
    reg[READY_LAST] = slot


@helper
def go_on_first(slot, pc, L, reg):
    """Put an entity first among those that can go on now, at step `pc`."""
    L[slot, PC] = pc
    L[slot, MODE] = RUNNING
    L[slot, NEXT] = reg[READY_FIRST]
    if reg[READY_FIRST] < 0:
        reg[READY_LAST] = slot
    reg[READY_FIRST] = slot


# Queues -------------------------------------------------------------------------------------------------------------


@inlined
def join_queue(queue, slot, L, F, first, last):
    """Insert by ticket, from the end of the queue."""
    before = last[queue]
    ticket = F[slot, TICKET]
    while before >= 0 and F[before, TICKET] > ticket:
        before = L[before, PREVIOUS]
    after = first[queue] if before < 0 else L[before, NEXT]
    L[slot, PREVIOUS] = before
    L[slot, NEXT] = after
    L[slot, QUEUED] = queue
    L[slot, MODE] = QUEUEING
    if before < 0:
        first[queue] = slot
    else:
        L[before, NEXT] = slot
    if after < 0:
        last[queue] = slot
    else:
        L[after, PREVIOUS] = slot


@inlined
def leave_queue(slot, L, first, last):
    """Unlink from the queue in which the entity waits."""
    queue = L[slot, QUEUED]
    before = L[slot, PREVIOUS]
    after = L[slot, NEXT]
    if before < 0:
        first[queue] = after
    else:
        L[before, NEXT] = after
    if after < 0:
        last[queue] = before
    else:
        L[after, PREVIOUS] = before
    L[slot, QUEUED] = -1


@inlined
def first_waiting(lowest, classes, first):
    """Return the next entity to serve in the queues from `lowest`, one per class, or -1."""
    for queue in range(lowest, lowest + classes):
        if first[queue] >= 0:
            return first[queue]
    return -1


# Resources ----------------------------------------------------------------------------------------------------------


@inlined
def drain(r, now, clipped, free, drained, statistics):
    """Integrate the servers still busy beyond the capacity of a shrunken pool."""
    if free[r] < 0:
        statistics[r, DRAIN] -= free[r] * (now - drained[r, 0])
        statistics[r, DRAIN + 1] -= free[r] * (clipped - drained[r, 1])
    drained[r, 0] = now
    drained[r, 1] = clipped


@inlined
def take_servers(slot, now, clipped, inside, L, free, statistics):
    """Give an entity the servers it wants, which are free."""
    held = L[slot, HELD]
    for i in range(held, held + L[slot, WANTED]):
        r = L[slot, SERVER + i]
        free[r] -= 1
        statistics[r, BUSY] -= now
        statistics[r, BUSY + 1] -= clipped
        statistics[r, SEIZES] += 1.0
        statistics[r, SEIZES + 1] += inside
    L[slot, HELD] = held + L[slot, WANTED]
    L[slot, WANTED] = 0


@inlined
def blocking_server(slot, L, free):
    """Return the first wanted resource without a free server, or -1."""
    held = L[slot, HELD]
    for i in range(held, held + L[slot, WANTED]):
        if free[L[slot, SERVER + i]] <= 0:
            return L[slot, SERVER + i]
    return -1


@inlined
def wait_for(r, slot, now, clipped, classes, L, F, first, last, waiting, statistics):
    """Join the queue of a resource."""
    join_queue(r * classes + L[slot, CLASS_NOW], slot, L, F, first, last)
    waiting[r] += 1
    statistics[r, QUEUE] -= now
    statistics[r, QUEUE + 1] -= clipped


@inlined
def stop_waiting(r, slot, now, clipped, L, first, last, waiting, statistics):
    """Leave the queue of a resource."""
    leave_queue(slot, L, first, last)
    waiting[r] -= 1
    statistics[r, QUEUE] += now
    statistics[r, QUEUE + 1] += clipped


@inlined
def serve(r, now, clipped, inside, classes, L, F, first, last, free, waiting, statistics, reg):
    """Offer free servers to the queue; one who needs another busy resource too moves to that queue."""
    while free[r] > 0 and waiting[r] > 0:
        slot = first_waiting(r * classes, classes, first)
        stop_waiting(r, slot, now, clipped, L, first, last, waiting, statistics)
        other = blocking_server(slot, L, free)
        if other < 0:
            take_servers(slot, now, clipped, inside, L, free, statistics)
            L[slot, PC] += 1
            make_ready(slot, L, reg)
        else:
            wait_for(other, slot, now, clipped, classes, L, F, first, last, waiting, statistics)


@inlined
def give_back(slot, group, now, clipped, L, free, drained, statistics, returned):
    """Return the servers seized from `group` (all when -1); list them in `returned` and return how many."""
    held = L[slot, HELD]
    count = 0
    keep = 0
    for i in range(held):
        r = L[slot, SERVER + i]
        if group < 0 or L[slot, SOURCE + i] == group:
            if free[r] < 0:
                drain(r, now, clipped, free, drained, statistics)
            free[r] += 1
            statistics[r, BUSY] += now
            statistics[r, BUSY + 1] += clipped
            returned[count] = r
            count += 1
        else:
            L[slot, SERVER + keep] = r
            L[slot, SOURCE + keep] = L[slot, SOURCE + i]
            keep += 1
    L[slot, HELD] = keep
    return count


@inlined
def choose(group_rule, candidate, route, g, attribute, base, free, waiting, capacity):
    """Return the number of the candidate that group `g` sends an entity to, or -1 when an attribute is out of range."""
    rule = group_rule[g, 0]
    if rule == FIXED:
        return 0
    start = group_rule[g, 2]
    count = group_rule[g, 3]
    rows = group_rule[g, 5]
    if rule in (BY_ATTRIBUTE, NEAREST):
        value = attribute[base + group_rule[g, 1]]
        limit = rows if rows > 0 else count
        if not (0.0 <= value < limit):
            return -1
        line = np.int64(value)
        if rule == BY_ATTRIBUTE:
            return line if rows == 0 else route[group_rule[g, 4] + line]
        line = group_rule[g, 4] + line * count
        for i in range(line, line + count):
            r = candidate[start + route[i]]
            if free[r] > 0 or waiting[r] < group_rule[g, 6]:
                return route[i]
        return route[line]
    if rule == FIRST_FREE:
        for i in range(count):
            if free[candidate[start + i]] > 0:
                return i
    best = 0
    least = INF
    for i in range(count):
        r = candidate[start + i]
        servers = capacity[r] if capacity[r] > 0 else 1
        load = (waiting[r] + capacity[r] - free[r]) / servers
        if load < least:
            least = load
            best = i
    return best


# Clocks -------------------------------------------------------------------------------------------------------------


@helper
def hazard_due(clock_rule, clock_break, clock_rate, k, state, factor, origin, now, left):
    """Return when a hazard with budget `left` at `now` fires."""
    pieces = clock_rule[k, 5]
    first = clock_rule[k, 4]
    rates = clock_rule[k, 6] + state * pieces
    if pieces == 1:
        rate = clock_rate[rates] * factor
        return now + left / rate if rate > 0.0 else INF
    age = now - origin
    j = pieces - 1
    while j > 0 and clock_break[first + j] > age:
        j -= 1
    while True:
        rate = clock_rate[rates + j] * factor
        if j == pieces - 1:
            return max(now, origin + age + left / rate) if rate > 0.0 else INF
        end = clock_break[first + j + 1]
        used = rate * (end - age)
        if used >= left and rate > 0.0:
            return max(now, origin + age + left / rate)
        left -= used
        age = end
        j += 1


@helper
def hazard_used(clock_rule, clock_break, clock_rate, k, state, factor, origin, start, now):
    """Return the integral of a hazard from `start` to `now`."""
    pieces = clock_rule[k, 5]
    first = clock_rule[k, 4]
    rates = clock_rule[k, 6] + state * pieces
    if pieces == 1:
        return clock_rate[rates] * factor * (now - start)
    age = start - origin
    until = now - origin
    total = 0.0
    for j in range(pieces):
        low = clock_break[first + j]
        high = clock_break[first + j + 1] if j + 1 < pieces else INF
        low = age if age > low else low
        high = until if until < high else high
        if high > low:
            total += clock_rate[rates + j] * factor * (high - low)
    return total


@helper
def use_hazards(clock_rule, clock_break, clock_rate, slot, now, L, F, clocks):
    """Take from the budgets of running hazards what was used since they were last brought up to date."""
    start = F[slot, HAZARD_TIME]
    if now > start:
        for k in range(clock_rule.shape[0]):
            if clock_rule[k, 0] == HAZARD and clocks[slot, 3 * k] >= 0.0:
                used = hazard_used(
                    clock_rule,
                    clock_break,
                    clock_rate,
                    k,
                    L[slot, HEALTH],
                    clocks[slot, 3 * k + 1],
                    F[slot, ORIGIN],
                    start,
                    now,
                )
                left = clocks[slot, 3 * k] - used
                clocks[slot, 3 * k] = left if left > 0.0 else 0.0
    F[slot, HAZARD_TIME] = now


@inlined
def first_clock(clock_rule, slot, F, clocks):
    """Set the time of the first clock of an entity."""
    soonest = INF
    for k in range(clock_rule.shape[0]):
        if clocks[slot, 3 * k + 2] < soonest:
            soonest = clocks[slot, 3 * k + 2]
    F[slot, CLOCK_TIME] = soonest


@helper
def rescale_hazards(
    clock_rule, clock_break, clock_rate, effect_attribute, effect_beta, slot, now, L, F, clocks, attribute, base
):
    """Find when running hazards fire after a change of state or of an attribute."""
    for k in range(clock_rule.shape[0]):
        if clock_rule[k, 0] == HAZARD and clocks[slot, 3 * k] >= 0.0:
            factor = 1.0
            if clock_rule[k, 9] > 0:
                factor = math.exp(
                    effect_sum(effect_attribute, effect_beta, clock_rule[k, 8], clock_rule[k, 9], attribute, base)
                )
            clocks[slot, 3 * k + 1] = factor
            clocks[slot, 3 * k + 2] = hazard_due(
                clock_rule,
                clock_break,
                clock_rate,
                k,
                L[slot, HEALTH],
                factor,
                F[slot, ORIGIN],
                now,
                clocks[slot, 3 * k],
            )
    first_clock(clock_rule, slot, F, clocks)


@helper
def arm(
    clock_rule,
    clock_break,
    clock_rate,
    clock_slot,
    effect_attribute,
    effect_beta,
    law_code,
    law_parameter,
    knot_probability,
    knot_value,
    k,
    slot,
    now,
    key,
    L,
    F,
    clocks,
    counts,
    attribute,
    base,
):
    """Start clock `k` anew, with a new draw."""
    u = uniform(key, clock_slot[k], next_occurrence(counts, slot, clock_rule[k, 10]))
    factor = 1.0
    if clock_rule[k, 9] > 0:
        factor = math.exp(
            effect_sum(effect_attribute, effect_beta, clock_rule[k, 8], clock_rule[k, 9], attribute, base)
        )
    clocks[slot, 3 * k + 1] = factor
    if clock_rule[k, 0] == DEADLINE:
        clocks[slot, 3 * k] = 0.0
        clocks[slot, 3 * k + 2] = (
            now + law_quantile(law_code, law_parameter, knot_probability, knot_value, clock_rule[k, 7], u) * factor
        )
    else:
        budget = -math.log1p(-u)
        clocks[slot, 3 * k] = budget
        clocks[slot, 3 * k + 2] = hazard_due(
            clock_rule, clock_break, clock_rate, k, L[slot, HEALTH], factor, F[slot, ORIGIN], now, budget
        )


@helper
def disarm(k, slot, clocks):
    """Stop clock `k`."""
    clocks[slot, 3 * k] = -1.0
    clocks[slot, 3 * k + 2] = INF


# Gates --------------------------------------------------------------------------------------------------------------


@helper
def next_open(gate_rule, gate_period, window_open, window_close, g, now):
    """Return the first time from `now` on at which a gate is open."""
    start = gate_period[g, 0]
    if now < start:
        first = gate_rule[g, 0]
        for i in range(first, first + gate_rule[g, 1]):
            if window_close[i] > now:
                return max(now, window_open[i])
        now = start
    first = gate_rule[g, 2]
    count = gate_rule[g, 3]
    if count == 0:
        return INF
    period = gate_period[g, 1]
    shift = math.floor((now - start) / period) * period
    for i in range(first, first + count):
        if window_close[i] + shift > now:
            return max(now, window_open[i] + shift)
    return window_open[first] + shift + period


# Stocks -------------------------------------------------------------------------------------------------------------


@helper
def change_on_hand(s, doses, now, clipped, on_hand, statistics):
    """Add doses (or take, when negative) and keep the integrals of stock and of stock-out time."""
    before = on_hand[s]
    on_hand[s] = before + doses
    statistics[s, ON_HAND] -= doses * now
    statistics[s, ON_HAND + 1] -= doses * clipped
    if before == 0 and doses > 0:
        statistics[s, STOCK_OUT] += now
        statistics[s, STOCK_OUT + 1] += clipped
    elif before > 0 and before + doses == 0:
        statistics[s, STOCK_OUT] -= now
        statistics[s, STOCK_OUT + 1] -= clipped


@helper
def add_batch(s, batch, head, following, expiry):
    """Link a batch into the list of its stock, by expiry then by order of receipt."""
    before = -1
    at = head[s]
    while at >= 0 and expiry[at] <= expiry[batch]:
        before = at
        at = following[at]
    following[batch] = at
    if before < 0:
        head[s] = batch
    else:
        following[before] = batch


@helper
def take_doses(s, need, head, following, left):
    """Take from the first batches to expire, and return the first of them."""
    source = head[s]
    while need > 0:
        batch = head[s]
        part = min(need, left[batch])
        left[batch] -= part
        need -= part
        if left[batch] == 0:
            head[s] = following[batch]
    return source


@inlined
def class_now(program, pc, slot, L, classes, attribute, base):
    """Return the priority class that step `pc` gives an entity."""
    kind = program[pc, CLASS_KIND]
    if kind == FROM_ENTITY:
        return L[slot, CLASS]
    if kind == FROM_CONSTANT:
        return program[pc, CLASS_VALUE]
    value = attribute[base + program[pc, CLASS_VALUE]]
    return np.int64(min(max(value, 0.0), classes - 1.0))


@helper
def holds(comparison, x, y):
    """Return whether a comparison holds."""
    if comparison == 0:
        return x < y
    if comparison == 1:
        return x <= y
    if comparison == 2:
        return x == y
    if comparison == 3:
        return x != y
    if comparison == 4:
        return x > y
    return x >= y


@helper
def hand_out(program, copy_from, copy_to, s, taker, now, clipped, inside, arrivals, width, dynamic_width, L, first, last, attribute,
             short, on_hand, head, following, batch_left, batch_row, statistics):  # fmt: skip
    """Give the first in the queue of a stock its doses."""
    pc = L[taker, PC]
    need = program[pc, B]
    leave_queue(taker, L, first, last)
    short[s] -= need
    batch = take_doses(s, need, head, following, batch_left)
    change_on_hand(s, -need, now, clipped, on_hand, statistics)
    statistics[s, TAKEN] += need
    statistics[s, TAKEN + 1] += need * inside
    row = L[taker, ROW]
    base = row * width if row < arrivals else arrivals * width + (row - arrivals) * dynamic_width
    lot = batch_row[batch] - arrivals
    source = arrivals * width + lot * dynamic_width
    for i in range(program[pc, C], program[pc, C] + program[pc, D]):
        attribute[base + copy_to[i]] = attribute[source + copy_from[i]]
    if program[pc, E] >= 0:
        attribute[base + program[pc, E]] = lot


@helper
def serve_stock(program, copy_from, copy_to, resources, s, now, clipped, inside, arrivals, width, dynamic_width, classes, L, first, last, attribute,
                short, on_hand, head, following, batch_left, batch_row, statistics, reg):  # fmt: skip
    """Serve the queue of a stock in strict order while there are doses for its first."""
    lowest = (resources + s) * classes
    while True:
        taker = first_waiting(lowest, classes, first)
        if taker < 0 or on_hand[s] < program[L[taker, PC], B]:
            break
        statistics[s, WAITING] += now
        statistics[s, WAITING + 1] += clipped
        hand_out(program, copy_from, copy_to, s, taker, now, clipped, inside, arrivals, width, dynamic_width, L, first, last, attribute,
                 short, on_hand, head, following, batch_left, batch_row, statistics)  # fmt: skip
        L[taker, PC] += 1
        make_ready(taker, L, reg)


# The interpreter ----------------------------------------------------------------------------------------------------


@kernel
def interpret(
    program, step_value, slot_hash, law_code, law_parameter, knot_probability, knot_value,
    effect_attribute, effect_beta, branch_cumulative, branch_target, seize_group, copy_from, copy_to,
    group_rule, candidate, route, initial_capacity, calendar_rule, calendar_period, change_time,
    change_capacity, gate_rule, gate_period, window_open, window_close, clock_rule, clock_slot,
    clock_break, clock_rate, stock_rule, stock_level, initial_stock, initial_doses, initial_shelf_life,
    mark_rule, default_attribute, sizes,
    arrival_time, arrival_identity, arrival_entry, arrival_state, arrival_attribute, kind_state,
    registers, clock_and_ticket, returned, end_time, status, slot_of, attribute, marks, dynamic, dynamic_start,
    log_row, log_code, log_time, L, F, keys, clocks, counts, times, orders,
    capacity, free, waiting, first, last, statistics, drained, change_at, change_shift, capacity_since,
    on_hand, on_order, short, lots_started, to_start, review, stock_statistics, head,
    batch_row, batch_left, batch_expiry, batch_stock, following,
    window_start, window_end, event_limit,
):  # fmt: skip
    """Interpret the tables (`ModelTables`) on the arrivals (`EntityInputs`) from a `RunState` on, in place.

    Stops at the end, at an error, or when an array of the state is full (GROW); called again with larger arrays it
    goes on where it stopped. No array is replaced inside, which keeps reference counting out of the loop.
    """
    arrivals = arrival_time.size
    classes = sizes[SIZE_CLASSES]
    width = sizes[SIZE_ATTRIBUTES]
    dynamic_width = sizes[SIZE_DYNAMIC_ATTRIBUTES]
    mark_width = sizes[SIZE_MARKS]
    dynamic_mark_width = sizes[SIZE_DYNAMIC_MARKS]
    counters = sizes[SIZE_OCCURRENCES]
    clock_count = clock_rule.shape[0]
    resources = initial_capacity.size
    stocks = stock_rule.shape[0]
    slot_room = keys.size
    heap_room = times.size
    dynamic_room = dynamic_start.size
    log_room = log_row.size
    batch_room = batch_row.size
    P = program
    reg = registers

    rows = reg[ROWS]
    logged = reg[LOGGED]
    unused = reg[UNUSED]
    slots = reg[SLOTS]
    live = reg[LIVE]
    patients = reg[PATIENTS]
    heap = reg[HEAP]
    events = reg[EVENTS]
    idle_changes = reg[IDLE]
    children_started = reg[CHILDREN_STARTED]
    batches = reg[BATCHES]
    upcoming = reg[UPCOMING]
    spawn_entry = reg[SPAWN_ENTRY]
    spawn_by = reg[SPAWN_BY]
    spawn_row = reg[SPAWN_ROW]
    spawn_number = reg[SPAWN_NUMBER]
    now = clock_and_ticket[0]
    tickets = clock_and_ticket[1]
    clipped = min(max(now, window_start), window_end)
    inside = 1.0 if window_start <= now < window_end else 0.0
    outcome = OK

    while True:
        if (
            heap + 8 > heap_room
            or (slots == slot_room and unused < 0)
            or (dynamic_room > 0 and rows - arrivals == dynamic_room)
        ):
            outcome = GROW
            break
        slot = -1
        born = -1  # the stock of a lot that starts, CHILD or PATIENT
        birth = False
        if spawn_entry >= 0:
            birth = True
            born = CHILD
        elif reg[READY_FIRST] >= 0:
            slot = reg[READY_FIRST]
            reg[READY_FIRST] = L[slot, NEXT]
        else:
            for s in range(stocks):
                if review[s]:
                    review[s] = False
                    rule = stock_rule[s, 0]
                    if rule != NO_REVIEW and (patients > 0 or upcoming < arrivals):
                        level = stock_level[s, 0]
                        planned = stock_level[s, 2]
                        target = stock_level[s, 1]
                        if now >= stock_level[s, 3]:
                            level = -1.0
                            target = 0.0 if rule == ORDER_UP_TO else 1.0
                        position = on_hand[s] + on_order[s] + planned * to_start[s] - short[s]
                        while position <= level:
                            need = target - position if rule == ORDER_UP_TO else target
                            lots = np.int64(math.ceil(need / planned))
                            to_start[s] += lots
                            position += lots * planned
                if to_start[s] > 0:
                    to_start[s] -= 1
                    birth = True
                    born = s
                    break
        if not birth and slot < 0:
            # Nothing more happens now: the next event, or an arrival before it.
            if live == 0 and upcoming >= arrivals:
                break
            if upcoming < arrivals and (heap == 0 or arrival_time[upcoming] < times[0]):
                now = arrival_time[upcoming]
                clipped = min(max(now, window_start), window_end)
                inside = 1.0 if window_start <= now < window_end else 0.0
                birth = True
                born = PATIENT
                events += 1
            elif heap == 0:
                outcome = STUCK
                break
            else:
                time = times[0]
                order = orders[0]
                heap = drop_first(times, orders, heap)
                kind = order >> CLASS_SHIFT
                row = (order >> ROW_SHIFT) & ROW_MASK
                if kind in (STEP_END, CLOCK):
                    slot = int(slot_of[row])
                    if slot < 0:
                        continue
                    if kind == STEP_END:
                        if L[slot, MODE] != DELAYED or L[slot, VERSION] != order & VERSION_MASK:
                            continue
                    elif F[slot, CLOCK_TIME] != time:
                        continue
                    idle_changes = 0
                now = time
                clipped = min(max(now, window_start), window_end)
                inside = 1.0 if window_start <= now < window_end else 0.0
                events += 1
                if events > event_limit:
                    outcome = EVENT_CAP
                    reg[CULPRIT] = -1
                    break
                if kind == CAPACITY_CHANGE:
                    r = row
                    slot = -1
                    at = change_at[r]
                    drain(r, now, clipped, free, drained, statistics)
                    statistics[r, CAPACITY] += capacity[r] * (now - capacity_since[r, 0])
                    statistics[r, CAPACITY + 1] += capacity[r] * (clipped - capacity_since[r, 1])
                    capacity_since[r, 0] = now
                    capacity_since[r, 1] = clipped
                    free[r] += change_capacity[at] - capacity[r]
                    capacity[r] = change_capacity[at]
                    at += 1
                    if at == calendar_rule[r, 0] + calendar_rule[r, 1]:
                        at = calendar_rule[r, 2]
                        change_shift[r] += calendar_period[r]
                    change_at[r] = at
                    if at >= 0:
                        heap = push(times, orders, heap, change_time[at] + change_shift[r], r << ROW_SHIFT)
                    serve(r, now, clipped, inside, classes, L, F, first, last, free, waiting, statistics, reg)
                    idle_changes += 1
                    if idle_changes > IDLE_CHANGES and upcoming >= arrivals:
                        outcome = STUCK
                        break
                    continue
                if kind == EXPIRY:
                    batch = row
                    slot = -1
                    doses = batch_left[batch]
                    if doses > 0:
                        s = batch_stock[batch]
                        before = -1
                        at = head[s]
                        while at != batch:
                            before = at
                            at = following[at]
                        if before < 0:
                            head[s] = following[batch]
                        else:
                            following[before] = following[batch]
                        batch_left[batch] = 0
                        change_on_hand(s, -doses, now, clipped, on_hand, stock_statistics)
                        stock_statistics[s, EXPIRED] += doses
                        stock_statistics[s, EXPIRED + 1] += doses * inside
                        review[s] = True
                    continue
                row = L[slot, ROW]
                base = row * width if row < arrivals else arrivals * width + (row - arrivals) * dynamic_width
                if kind == CLOCK:
                    k = 0
                    while clocks[slot, 3 * k + 2] != now:
                        k += 1
                    if clock_rule[k, 1] == FIRE_STATE:
                        use_hazards(clock_rule, clock_break, clock_rate, slot, now, L, F, clocks)
                        L[slot, HEALTH] = clock_rule[k, 2]
                        disarm(k, slot, clocks)
                        rescale_hazards(
                            clock_rule,
                            clock_break,
                            clock_rate,
                            effect_attribute,
                            effect_beta,
                            slot,
                            now,
                            L,
                            F,
                            clocks,
                            attribute,
                            base,
                        )
                        if clock_rule[k, 0] == HAZARD:
                            arm(
                                clock_rule,
                                clock_break,
                                clock_rate,
                                clock_slot,
                                effect_attribute,
                                effect_beta,
                                law_code,
                                law_parameter,
                                knot_probability,
                                knot_value,
                                k,
                                slot,
                                now,
                                keys[slot],
                                L,
                                F,
                                clocks,
                                counts,
                                attribute,
                                base,
                            )
                            first_clock(clock_rule, slot, F, clocks)
                        # The step goes on; its end may now come before the next clock, or after it.
                        if L[slot, MODE] == DELAYED and F[slot, STEP_TIME] <= F[slot, CLOCK_TIME]:
                            L[slot, VERSION] = (L[slot, VERSION] + 1) & VERSION_MASK
                            heap = push(
                                times,
                                orders,
                                heap,
                                F[slot, STEP_TIME],
                                STEP_END << CLASS_SHIFT | row << ROW_SHIFT | L[slot, VERSION],
                            )
                        elif F[slot, CLOCK_TIME] < INF:
                            L[slot, VERSION] = (L[slot, VERSION] + 1) & VERSION_MASK
                            heap = push(
                                times, orders, heap, F[slot, CLOCK_TIME], CLOCK << CLASS_SHIFT | row << ROW_SHIFT
                            )
                            F[slot, CLOCK_PUSHED] = F[slot, CLOCK_TIME]
                        continue
                    # Cancel what it does, give back what it holds, and go elsewhere.
                    if L[slot, MODE] == QUEUEING:
                        queue = L[slot, QUEUED]
                        if queue < resources * classes:
                            stop_waiting(queue // classes, slot, now, clipped, L, first, last, waiting, statistics)
                        else:
                            s = queue // classes - resources
                            leave_queue(slot, L, first, last)
                            short[s] -= P[L[slot, PC], B]
                            stock_statistics[s, WAITING] += now
                            stock_statistics[s, WAITING + 1] += clipped
                            review[s] = True
                            serve_stock(program, copy_from, copy_to, resources, s, now, clipped, inside, arrivals, width, dynamic_width, classes, L, first, last,
                                        attribute, short, on_hand, head, following, batch_left, batch_row, stock_statistics,
                                        reg)  # fmt: skip
                    L[slot, WANTED] = 0
                    L[slot, MODE] = RUNNING
                    disarm(k, slot, clocks)
                    first_clock(clock_rule, slot, F, clocks)
                    count = give_back(slot, -1, now, clipped, L, free, drained, statistics, returned)
                    for i in range(count):
                        serve(
                            returned[i], now, clipped, inside, classes, L, F, first, last, free, waiting,
                            statistics, reg,
                        )  # fmt: skip
                    if clock_rule[k, 1] == FIRE_GOTO:
                        L[slot, PC] = clock_rule[k, 2]
                    else:
                        L[slot, PC] = -1 - clock_rule[k, 2]
                else:
                    L[slot, PC] += 1

        if birth:
            if unused >= 0:
                slot = unused
                unused = L[slot, NEXT]
            else:
                slot = slots
                slots += 1
            live += 1
            L[slot, HELD] = 0
            L[slot, WANTED] = 0
            L[slot, CLASS] = 0
            L[slot, CHILDREN] = 0
            L[slot, PARENT] = -1
            L[slot, VERSION] = 0
            L[slot, MODE] = RUNNING
            L[slot, KIND] = born
            F[slot, ORDERED] = 0.0
            F[slot, ORIGIN] = now
            F[slot, HAZARD_TIME] = now
            F[slot, CLOCK_TIME] = INF
            F[slot, CLOCK_PUSHED] = INF
            for i in range(counters):
                counts[slot, i] = 0
            for k in range(clock_count):
                clocks[slot, 3 * k] = -1.0
                clocks[slot, 3 * k + 2] = INF
            if born == PATIENT:
                row = upcoming
                upcoming += 1
                patients += 1
                base = row * width
                L[slot, PC] = arrival_entry[row]
                L[slot, HEALTH] = arrival_state[row]
                keys[slot] = absorb(kind_state[0], arrival_identity[row])
                for k in range(clock_count):
                    if clock_rule[k, 3] == 1:
                        arm(
                            clock_rule,
                            clock_break,
                            clock_rate,
                            clock_slot,
                            effect_attribute,
                            effect_beta,
                            law_code,
                            law_parameter,
                            knot_probability,
                            knot_value,
                            k,
                            slot,
                            now,
                            keys[slot],
                            L,
                            F,
                            clocks,
                            counts,
                            attribute,
                            base,
                        )
                if clock_count > 0:
                    first_clock(clock_rule, slot, F, clocks)
            else:
                row = rows
                rows += 1
                base = arrivals * width + (row - arrivals) * dynamic_width
                for i in range(dynamic_width):
                    attribute[base + i] = default_attribute[i]
                for i in range(dynamic_mark_width):
                    marks[arrivals * mark_width + (row - arrivals) * dynamic_mark_width + i] = np.nan
                end_time[row] = np.nan
                status[row] = 0
                dynamic_start[row - arrivals] = now
                dynamic[row - arrivals, 0] = born
                L[slot, HEALTH] = 0
                if born == CHILD:
                    L[slot, PC] = P[spawn_entry, A]
                    L[slot, PARENT] = spawn_row
                    dynamic[row - arrivals, 1] = children_started
                    dynamic[row - arrivals, 2] = spawn_row
                    source = (
                        spawn_row * width
                        if spawn_row < arrivals
                        else arrivals * width + (spawn_row - arrivals) * dynamic_width
                    )
                    for i in range(P[spawn_entry, C], P[spawn_entry, C] + P[spawn_entry, D]):
                        attribute[base + copy_to[i]] = attribute[source + copy_from[i]]
                    # Keyed by the parent's draw and the number of the child, not by how many others there are.
                    L[spawn_by, CHILDREN] += 1
                    keys[slot] = absorb(
                        absorb(absorb(kind_state[1 + stocks], keys[spawn_by]), slot_hash[spawn_entry, 0]),
                        np.uint64(spawn_number),
                    )
                    children_started += 1
                    spawn_entry = -1
                else:
                    L[slot, PC] = stock_rule[born, 1]
                    dynamic[row - arrivals, 1] = lots_started[born]
                    dynamic[row - arrivals, 2] = -1
                    keys[slot] = absorb(kind_state[1 + born], np.uint64(lots_started[born]))
                    lots_started[born] += 1
                    F[slot, ORDERED] = stock_level[born, 2]
                    on_order[born] += stock_level[born, 2]
            L[slot, ROW] = row
            slot_of[row] = slot
            if born == CHILD:
                make_ready(slot, L, reg)
                continue

        # Let the entity go on until it waits, ends, or gives way to its child.
        row = L[slot, ROW]
        arriving = row < arrivals
        base = row * width if arriving else arrivals * width + (row - arrivals) * dynamic_width
        pc = L[slot, PC]
        while pc >= 0:
            if heap + 8 > heap_room:
                go_on_first(slot, pc, L, reg)
                break
            events += 1
            if events > event_limit:
                break
            op = P[pc, OP]

            if op == DELAY:
                u = uniform(keys[slot], slot_hash[pc, 0], next_occurrence(counts, slot, P[pc, OCCURRENCE]))
                days = law_quantile(law_code, law_parameter, knot_probability, knot_value, P[pc, LAW], u)
                if P[pc, EFFECTS] > 0:
                    days *= math.exp(
                        effect_sum(effect_attribute, effect_beta, P[pc, EFFECT], P[pc, EFFECTS], attribute, base)
                    )
                F[slot, STEP_TIME] = now + days
                L[slot, MODE] = DELAYED
                break

            elif op == CHANCE:
                u = uniform(keys[slot], slot_hash[pc, 0], next_occurrence(counts, slot, P[pc, OCCURRENCE]))
                p = step_value[pc, 0]
                if P[pc, EFFECTS] > 0:
                    p = 1.0 / (
                        1.0
                        + math.exp(
                            -(
                                step_value[pc, 1]
                                + effect_sum(
                                    effect_attribute, effect_beta, P[pc, EFFECT], P[pc, EFFECTS], attribute, base
                                )
                            )
                        )
                    )
                pc = pc + 1 if u < p else P[pc, B]

            elif op == SEIZE:
                held = L[slot, HELD]
                bad = False
                for i in range(P[pc, B]):
                    g = seize_group[P[pc, A] + i]
                    chosen = choose(group_rule, candidate, route, g, attribute, base, free, waiting, capacity)
                    if chosen < 0:
                        bad = True
                        reg[CULPRIT_GROUP] = g
                        break
                    if i == 0 and P[pc, C] >= 0:
                        attribute[base + P[pc, C]] = chosen
                    L[slot, SERVER + held + i] = candidate[group_rule[g, 2] + chosen]
                    L[slot, SOURCE + held + i] = g
                if bad:
                    outcome = BAD_ROUTE
                    break
                L[slot, WANTED] = P[pc, B]
                other = blocking_server(slot, L, free)
                if other < 0:
                    take_servers(slot, now, clipped, inside, L, free, statistics)
                    pc += 1
                else:
                    L[slot, CLASS_NOW] = class_now(program, pc, slot, L, classes, attribute, base)
                    tickets += 1.0
                    F[slot, TICKET] = tickets
                    wait_for(other, slot, now, clipped, classes, L, F, first, last, waiting, statistics)
                    break

            elif op == FREE:
                count = 0
                if P[pc, B] == 0:
                    count = give_back(slot, -1, now, clipped, L, free, drained, statistics, returned)
                else:
                    for i in range(P[pc, A], P[pc, A] + P[pc, B]):
                        count += give_back(
                            slot, seize_group[i], now, clipped, L, free, drained, statistics, returned[count:]
                        )
                for i in range(count):
                    serve(
                        returned[i], now, clipped, inside, classes, L, F, first, last, free, waiting,
                        statistics, reg,
                    )  # fmt: skip
                pc += 1

            elif op == MARK:
                m = P[pc, A]
                if mark_rule[m, 2] >= 0 and logged == log_room:
                    go_on_first(slot, pc, L, reg)
                    outcome = GROW
                    break
                at = row * mark_width if arriving else arrivals * mark_width + (row - arrivals) * dynamic_mark_width
                if mark_rule[m, 0] >= 0 and math.isnan(marks[at + mark_rule[m, 0]]):
                    marks[at + mark_rule[m, 0]] = now
                if mark_rule[m, 1] >= 0:
                    marks[at + mark_rule[m, 1]] = now
                if mark_rule[m, 2] >= 0:
                    log_row[logged] = row
                    log_code[logged] = mark_rule[m, 2]
                    log_time[logged] = now
                    logged += 1
                pc += 1

            elif op == JUMP:
                pc = P[pc, A]

            elif op == RETRY:
                counter = P[pc, OCCURRENCE]
                if counts[slot, counter] < P[pc, C]:
                    counts[slot, counter] += 1
                    pc = P[pc, A]
                else:
                    pc = P[pc, B]

            elif op == SWITCH:
                u = uniform(keys[slot], slot_hash[pc, 0], next_occurrence(counts, slot, P[pc, OCCURRENCE]))
                at = P[pc, A]
                while u >= branch_cumulative[at]:
                    at += 1
                pc = branch_target[at]

            elif op == SET:
                amount = step_value[pc, 0]
                if P[pc, B] == FROM_ATTRIBUTE:
                    amount = attribute[base + P[pc, C]]
                elif P[pc, B] == FROM_LAW:
                    u = uniform(keys[slot], slot_hash[pc, 0], next_occurrence(counts, slot, P[pc, OCCURRENCE]))
                    amount = law_quantile(law_code, law_parameter, knot_probability, knot_value, P[pc, LAW], u)
                amount *= step_value[pc, 1]
                if P[pc, EFFECTS] > 0:
                    amount *= math.exp(
                        effect_sum(effect_attribute, effect_beta, P[pc, EFFECT], P[pc, EFFECTS], attribute, base)
                    )
                if P[pc, E] == 1:
                    use_hazards(clock_rule, clock_break, clock_rate, slot, now, L, F, clocks)
                if P[pc, D] == 1:
                    attribute[base + P[pc, A]] += amount
                else:
                    attribute[base + P[pc, A]] = amount
                if P[pc, E] == 1:
                    rescale_hazards(
                        clock_rule,
                        clock_break,
                        clock_rate,
                        effect_attribute,
                        effect_beta,
                        slot,
                        now,
                        L,
                        F,
                        clocks,
                        attribute,
                        base,
                    )
                pc += 1

            elif op == TEST:
                x = attribute[base + P[pc, A]]
                y = step_value[pc, 0] if P[pc, C] < 0 else attribute[base + P[pc, C]]
                pc = pc + 1 if holds(P[pc, B], x, y) else P[pc, D]

            elif op == IN_STATE:
                pc = pc + 1 if L[slot, HEALTH] == P[pc, A] else P[pc, B]

            elif op == STATE:
                if L[slot, HEALTH] != P[pc, A]:
                    if clock_count > 0:
                        use_hazards(clock_rule, clock_break, clock_rate, slot, now, L, F, clocks)
                    L[slot, HEALTH] = P[pc, A]
                    if clock_count > 0:
                        rescale_hazards(
                            clock_rule,
                            clock_break,
                            clock_rate,
                            effect_attribute,
                            effect_beta,
                            slot,
                            now,
                            L,
                            F,
                            clocks,
                            attribute,
                            base,
                        )
                pc += 1

            elif op == ARM:
                use_hazards(clock_rule, clock_break, clock_rate, slot, now, L, F, clocks)
                arm(
                    clock_rule,
                    clock_break,
                    clock_rate,
                    clock_slot,
                    effect_attribute,
                    effect_beta,
                    law_code,
                    law_parameter,
                    knot_probability,
                    knot_value,
                    P[pc, A],
                    slot,
                    now,
                    keys[slot],
                    L,
                    F,
                    clocks,
                    counts,
                    attribute,
                    base,
                )
                first_clock(clock_rule, slot, F, clocks)
                pc += 1

            elif op == DISARM:
                disarm(P[pc, A], slot, clocks)
                first_clock(clock_rule, slot, F, clocks)
                pc += 1

            elif op == GATE:
                opens = next_open(gate_rule, gate_period, window_open, window_close, P[pc, A], now)
                if opens > now:
                    F[slot, STEP_TIME] = opens
                    L[slot, MODE] = DELAYED
                    break
                pc += 1

            elif op == PRIORITY:
                L[slot, CLASS] = class_now(program, pc, slot, L, classes, attribute, base)
                pc += 1

            elif op == TAKE:
                s = P[pc, A]
                L[slot, CLASS_NOW] = class_now(program, pc, slot, L, classes, attribute, base)
                tickets += 1.0
                F[slot, TICKET] = tickets
                L[slot, PC] = pc
                join_queue((resources + s) * classes + L[slot, CLASS_NOW], slot, L, F, first, last)
                short[s] += P[pc, B]
                review[s] = True
                lowest = (resources + s) * classes
                if first_waiting(lowest, classes, first) == slot and on_hand[s] >= P[pc, B]:
                    hand_out(program, copy_from, copy_to, s, slot, now, clipped, inside, arrivals, width, dynamic_width, L, first, last,
                             attribute, short, on_hand, head, following, batch_left, batch_row,
                             stock_statistics)  # fmt: skip
                    L[slot, MODE] = RUNNING
                    pc += 1
                else:
                    stock_statistics[s, WAITING] -= now
                    stock_statistics[s, WAITING + 1] -= clipped
                    stock_statistics[s, WAITED] += 1.0
                    stock_statistics[s, WAITED + 1] += inside
                    break

            elif op == PUT:
                if batches == batch_room:
                    go_on_first(slot, pc, L, reg)
                    outcome = GROW
                    break
                s = P[pc, A]
                seen = next_occurrence(counts, slot, P[pc, OCCURRENCE])
                amount = step_value[pc, 0]
                if P[pc, B] == FROM_ATTRIBUTE:
                    amount = attribute[base + P[pc, C]]
                elif P[pc, B] == FROM_LAW:
                    amount = law_quantile(
                        law_code,
                        law_parameter,
                        knot_probability,
                        knot_value,
                        P[pc, LAW],
                        uniform(keys[slot], slot_hash[pc, 0], seen),
                    )
                life = step_value[pc, 1]
                if P[pc, D] == FROM_ATTRIBUTE:
                    life = attribute[base + P[pc, E]]
                elif P[pc, D] == FROM_LAW:
                    life = law_quantile(
                        law_code,
                        law_parameter,
                        knot_probability,
                        knot_value,
                        P[pc, SECOND_LAW],
                        uniform(keys[slot], slot_hash[pc, 1], seen),
                    )
                doses = np.int64(math.floor(amount + 0.5))
                if F[slot, ORDERED] > 0.0:
                    on_order[L[slot, KIND]] -= F[slot, ORDERED]
                    review[L[slot, KIND]] = True
                    F[slot, ORDERED] = 0.0
                if doses > 0:
                    batch = batches
                    batches += 1
                    batch_row[batch] = row
                    batch_left[batch] = doses
                    batch_expiry[batch] = now + life
                    batch_stock[batch] = s
                    add_batch(s, batch, head, following, batch_expiry)
                    change_on_hand(s, doses, now, clipped, on_hand, stock_statistics)
                    stock_statistics[s, RECEIVED] += doses
                    stock_statistics[s, RECEIVED + 1] += doses * inside
                    if now + life < INF:
                        heap = push(times, orders, heap, now + life, EXPIRY << CLASS_SHIFT | batch << ROW_SHIFT)
                    serve_stock(program, copy_from, copy_to, resources, s, now, clipped, inside, arrivals, width, dynamic_width, classes, L, first, last,
                                attribute, short, on_hand, head, following, batch_left, batch_row, stock_statistics,
                                reg)  # fmt: skip
                review[s] = True
                pc += 1

            elif op == SPAWN:
                spawn_entry = pc
                spawn_by = slot
                spawn_row = row
                spawn_number = next_occurrence(counts, slot, P[pc, OCCURRENCE])
                pc += 1
                go_on_first(slot, pc, L, reg)
                break

            elif op == JOIN:
                if L[slot, CHILDREN] > 0:
                    L[slot, MODE] = JOINING
                    break
                pc += 1

            else:
                pc = -1 - P[pc, A]

        if events > event_limit:
            outcome = EVENT_CAP
            reg[CULPRIT] = pc
            break
        if outcome != OK:
            reg[CULPRIT] = pc
            break
        if pc >= 0:
            # The entity waits: for the end of a step if that comes before its first clock, else for the clock.
            L[slot, PC] = pc
            if L[slot, MODE] == DELAYED and F[slot, STEP_TIME] <= F[slot, CLOCK_TIME]:
                L[slot, VERSION] = (L[slot, VERSION] + 1) & VERSION_MASK
                heap = push(
                    times,
                    orders,
                    heap,
                    F[slot, STEP_TIME],
                    STEP_END << CLASS_SHIFT | row << ROW_SHIFT | L[slot, VERSION],
                )
            elif L[slot, MODE] != RUNNING and F[slot, CLOCK_TIME] != F[slot, CLOCK_PUSHED]:
                F[slot, CLOCK_PUSHED] = F[slot, CLOCK_TIME]
                if F[slot, CLOCK_TIME] < INF:
                    heap = push(times, orders, heap, F[slot, CLOCK_TIME], CLOCK << CLASS_SHIFT | row << ROW_SHIFT)
            continue

        # The entity leaves.
        count = give_back(slot, -1, now, clipped, L, free, drained, statistics, returned)
        for i in range(count):
            serve(returned[i], now, clipped, inside, classes, L, F, first, last, free, waiting, statistics, reg)
        end_time[row] = now
        status[row] = -1 - pc
        slot_of[row] = -1
        if L[slot, KIND] == PATIENT:
            patients -= 1
        elif L[slot, KIND] >= 0:
            s = L[slot, KIND]
            on_order[s] -= F[slot, ORDERED]
            review[s] = True
        parent = L[slot, PARENT]
        if parent >= 0 and slot_of[parent] >= 0:
            waiter = np.int64(slot_of[parent])
            L[waiter, CHILDREN] -= 1
            if L[waiter, CHILDREN] == 0 and L[waiter, MODE] == JOINING:
                L[waiter, PC] += 1
                make_ready(waiter, L, reg)
        L[slot, NEXT] = unused
        unused = slot
        live -= 1

    reg[ROWS] = rows
    reg[LOGGED] = logged
    reg[UNUSED] = unused
    reg[SLOTS] = slots
    reg[LIVE] = live
    reg[PATIENTS] = patients
    reg[HEAP] = heap
    reg[EVENTS] = events
    reg[IDLE] = idle_changes
    reg[CHILDREN_STARTED] = children_started
    reg[BATCHES] = batches
    reg[UPCOMING] = upcoming
    reg[SPAWN_ENTRY] = spawn_entry
    reg[SPAWN_BY] = spawn_by
    reg[SPAWN_ROW] = spawn_row
    reg[SPAWN_NUMBER] = spawn_number
    clock_and_ticket[0] = now
    clock_and_ticket[1] = tickets
    return outcome
