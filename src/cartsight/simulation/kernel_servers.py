"""Compiled parts of the kernel: queues, servers and what they remember, routing."""

# The compiled functions take arrays whose types Numba infers.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import math

import numpy as np

from cartsight.core.streams import stable_hash
from cartsight.simulation.draws import absorb, quantile_of, uniform
from cartsight.simulation.jit import helper, inlined
from cartsight.simulation.state import (
    BREAK_TIME,
    BUSY_UNIT,
    CHANGE,
    CHANGING,
    CHILDREN,
    CLASS,
    CLASS_NOW,
    CLOCK_PUSHED,
    CLOCK_TIME,
    DOWN_UNIT,
    HAZARD_TIME,
    HELD,
    IDLE_UNIT,
    KIND,
    MODE,
    NEXT,
    ORDERED,
    ORIGIN,
    PARENT,
    PART_MASK,
    PC,
    PREVIOUS,
    PRODUCT,
    QUEUED,
    QUEUEING,
    READY_FIRST,
    READY_LAST,
    RUNNING,
    SERVER,
    SOURCE,
    TICKET,
    UNIT_BREAKS,
    UNIT_LEFT,
    UNIT_PRODUCT,
    UNIT_RESOURCE,
    UNIT_RUN,
    UNIT_SHIFT,
    UNIT_STATE,
    UNIT_TAKEN,
    VERSION,
    WANTED,
)
from cartsight.simulation.tables import (
    BREAKDOWN,
    BREAKDOWNS,
    BUSY,
    BY_ATTRIBUTE,
    CAMPAIGN,
    CAPACITY,
    CHANGEOVER,
    CHANGEOVERS,
    DOWN,
    DRAIN,
    FIRST_FREE,
    FIXED,
    NEAREST,
    PRODUCTS,
    QUEUE,
    SEIZES,
    SETUP,
    UNIT_FIRST,
    UNITS,
)

INF = math.inf
RUNNING_TIME = np.uint64(stable_hash("running time to breakdown"))
REPAIR_TIME = np.uint64(stable_hash("repair"))


@inlined
def clear_slot(slot, born, now, counters, clock_count, L, F, counts, clocks):
    """Make a slot that of an entity which is born: nothing held, wanted, counted or armed."""
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
    F[slot, BREAK_TIME] = INF
    for i in range(counters):
        counts[slot, i] = 0
    for k in range(clock_count):
        clocks[slot, 3 * k] = -1.0
        clocks[slot, 3 * k + 2] = INF


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


# Servers --------------------------------------------------------------------------------------------------------------


@inlined
def drain(r, now, clipped, free, down, drained, statistics):
    """Integrate the servers still busy beyond the capacity of a shrunken pool."""
    over = free[r] + down[r]
    if over < 0:
        statistics[r, DRAIN] -= over * (now - drained[r, 0])
        statistics[r, DRAIN + 1] -= over * (clipped - drained[r, 1])
    drained[r, 0] = now
    drained[r, 1] = clipped


@helper
def change_servers(r, now, clipped, free, down, drained, capacity, capacity_since, change_at, change_shift,
                   change_capacity, calendar_rule, calendar_period, statistics):  # fmt: skip
    """Change the servers on duty to what the calendar says, and return its next change (-1: none)."""
    at = change_at[r]
    drain(r, now, clipped, free, down, drained, statistics)
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
    return at


@helper
def take_unit(r, slot, now, inside, L, F, capacity, server_rule, setup_law, setup_mean, units, unit_time, memory,
              statistics):  # fmt: skip
    """Choose a free server in service: set up for the product if there is one, else the least mean changeover."""
    first = server_rule[r, UNIT_FIRST]
    products = server_rule[r, PRODUCTS]
    matrix = server_rule[r, CHANGEOVER]
    product = memory[slot, PRODUCT]
    best = -1
    least = 0.0
    for unit in range(first, first + capacity[r]):
        if units[unit, UNIT_STATE] == IDLE_UNIT:
            cost = 0.0
            if products > 0:
                made = units[unit, UNIT_PRODUCT]
                cost = -1.0 if made == product else setup_mean[matrix + (made + 1) * products + product]
            if best < 0 or cost < least:
                best = unit
                least = cost
    units[best, UNIT_STATE] = BUSY_UNIT
    if products > 0:
        made = units[best, UNIT_PRODUCT]
        entry = matrix + (made + 1) * products + product
        if setup_law[entry] >= 0:
            memory[slot, CHANGE] = entry
            memory[slot, CHANGING] = r
        if made == product:
            units[best, UNIT_RUN] += 1
        else:
            units[best, UNIT_PRODUCT] = product
            units[best, UNIT_RUN] = 1
            if made >= 0:
                statistics[r, CHANGEOVERS] += 1.0
                statistics[r, CHANGEOVERS + 1] += inside
    unit_time[best, UNIT_TAKEN] = now
    if server_rule[r, BREAKDOWN] >= 0:
        due = now + unit_time[best, UNIT_LEFT]
        if due < F[slot, BREAK_TIME]:
            F[slot, BREAK_TIME] = due
        if due < F[slot, CLOCK_TIME]:
            F[slot, CLOCK_TIME] = due
    return best


@helper
def next_of_campaign(slot, r, L, memory, capacity, server_rule, units):
    """Return who goes on with a campaign of a free server in the queue of `slot`, the first in line, else `slot`."""
    first = server_rule[r, UNIT_FIRST]
    for unit in range(first, first + capacity[r]):
        if (
            units[unit, UNIT_STATE] == IDLE_UNIT
            and units[unit, UNIT_PRODUCT] >= 0
            and units[unit, UNIT_RUN] < server_rule[r, CAMPAIGN]
        ):
            other = slot
            while other >= 0:
                if memory[other, PRODUCT] == units[unit, UNIT_PRODUCT]:
                    return other
                other = L[other, NEXT]
    return slot


@helper
def next_breakdown(slot, L, F, server_rule, unit_time):
    """Set when the first server that an entity holds breaks down."""
    soonest = INF
    for i in range(L[slot, HELD]):
        if server_rule[L[slot, SERVER + i], BREAKDOWN] >= 0:
            unit = L[slot, SOURCE + i] >> UNIT_SHIFT & PART_MASK
            due = unit_time[unit, UNIT_TAKEN] + unit_time[unit, UNIT_LEFT]
            if due < soonest:
                soonest = due
    F[slot, BREAK_TIME] = soonest


@helper
def fail_unit(slot, now, clipped, inside, L, F, free, down, drained, server_rule, units, unit_time, statistics):
    """Put the server of an entity that breaks down now out of service; return what SOURCE held of it."""
    i = 0
    while True:
        r = L[slot, SERVER + i]
        source = L[slot, SOURCE + i]
        unit = source >> UNIT_SHIFT & PART_MASK
        if (
            server_rule[r, BREAKDOWN] >= 0
            and unit_time[unit, UNIT_TAKEN] + unit_time[unit, UNIT_LEFT] == F[slot, BREAK_TIME]
        ):
            break
        i += 1
    drain(r, now, clipped, free, down, drained, statistics)
    down[r] += 1
    units[unit, UNIT_STATE] = DOWN_UNIT
    units[unit, UNIT_BREAKS] += 1
    statistics[r, BUSY] += now
    statistics[r, BUSY + 1] += clipped
    statistics[r, DOWN] -= now
    statistics[r, DOWN + 1] -= clipped
    statistics[r, BREAKDOWNS] += 1.0
    statistics[r, BREAKDOWNS + 1] += inside
    L[slot, HELD] -= 1
    for j in range(i, L[slot, HELD]):
        L[slot, SERVER + j] = L[slot, SERVER + j + 1]
        L[slot, SOURCE + j] = L[slot, SOURCE + j + 1]
    return source


@helper
def unit_draw(law_code, law_parameter, knot_probability, knot_value, law, unit, stocks, name, occurrence, server_rule,
              units, kind_state, flip):  # fmt: skip
    """Return a draw keyed by resource and server."""
    r = units[unit, UNIT_RESOURCE]
    key = absorb(kind_state[2 + stocks + r], np.uint64(unit - server_rule[r, UNIT_FIRST]))
    u = uniform(key, name, occurrence, flip)
    return quantile_of(law_code, law_parameter, knot_probability, knot_value, law, u)


@helper
def end_changeover(slot, now, clipped, memory, statistics):
    """Close the time of a changeover that ends or is cancelled."""
    r = memory[slot, CHANGING]
    statistics[r, SETUP] += now
    statistics[r, SETUP + 1] += clipped
    memory[slot, CHANGING] = -1


@inlined
def take_servers(slot, now, clipped, inside, L, F, free, capacity, server_rule, setup_law, setup_mean, units, unit_time, memory,
                 statistics):  # fmt: skip
    """Give an entity the servers it wants, which are free."""
    held = L[slot, HELD]
    for i in range(held, held + L[slot, WANTED]):
        r = L[slot, SERVER + i]
        free[r] -= 1
        statistics[r, BUSY] -= now
        statistics[r, BUSY + 1] -= clipped
        statistics[r, SEIZES] += 1.0
        statistics[r, SEIZES + 1] += inside
        if units.shape[0] > 0 and server_rule[r, UNITS] > 0:
            unit = take_unit(r, slot, now, inside, L, F, capacity, server_rule, setup_law, setup_mean, units,
                             unit_time, memory, statistics)  # fmt: skip
            L[slot, SOURCE + i] |= unit << UNIT_SHIFT
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
def serve(r, now, clipped, inside, classes, L, F, first, last, free, waiting, capacity, server_rule, setup_law,
          setup_mean, units, unit_time, memory, statistics, reg):  # fmt: skip
    """Offer free servers to the queue; one who needs another busy resource too moves to that queue."""
    while free[r] > 0 and waiting[r] > 0:
        slot = first_waiting(r * classes, classes, first)
        if units.shape[0] > 0 and server_rule[r, CAMPAIGN] > 1:
            slot = next_of_campaign(slot, r, L, memory, capacity, server_rule, units)
        stop_waiting(r, slot, now, clipped, L, first, last, waiting, statistics)
        other = blocking_server(slot, L, free)
        if other < 0:
            take_servers(slot, now, clipped, inside, L, F, free, capacity, server_rule, setup_law, setup_mean, units,
                         unit_time, memory, statistics)  # fmt: skip
            if units.shape[0] == 0 or memory[slot, CHANGE] < 0:
                L[slot, PC] += 1
            make_ready(slot, L, reg)
        else:
            wait_for(other, slot, now, clipped, classes, L, F, first, last, waiting, statistics)


@inlined
def give_back(slot, group, now, clipped, L, free, down, drained, server_rule, units, unit_time, statistics, returned):
    """Return the servers seized from `group` (all when -1); list them in `returned` and return how many."""
    held = L[slot, HELD]
    count = 0
    keep = 0
    for i in range(held):
        r = L[slot, SERVER + i]
        if group < 0 or L[slot, SOURCE + i] & PART_MASK == group:
            if free[r] < 0:
                drain(r, now, clipped, free, down, drained, statistics)
            if units.shape[0] > 0 and server_rule[r, UNITS] > 0:
                unit = L[slot, SOURCE + i] >> UNIT_SHIFT & PART_MASK
                units[unit, UNIT_STATE] = IDLE_UNIT
                left = unit_time[unit, UNIT_LEFT] - (now - unit_time[unit, UNIT_TAKEN])
                unit_time[unit, UNIT_LEFT] = left if left > 0.0 else 0.0
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
