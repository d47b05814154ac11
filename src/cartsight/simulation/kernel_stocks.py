"""Compiled parts of the kernel: stocks of dated doses and the choice between them."""

# The compiled functions take arrays whose types Numba infers.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import math

import numpy as np

from cartsight.simulation.jit import helper, inlined
from cartsight.simulation.kernel_servers import first_waiting, leave_queue, make_ready
from cartsight.simulation.state import (
    BATCH_HOW,
    BATCH_LOST,
    CLASS,
    DOSE_COUNT,
    DOSE_LOT,
    DOSE_STOCK,
    DOSE_TAKER,
    DOSED,
    PC,
    ROW,
)
from cartsight.simulation.tables import (
    CLASS_KIND,
    CLASS_VALUE,
    EXPIRED,
    FROM_CONSTANT,
    FROM_ENTITY,
    ON_HAND,
    ORDER_UP_TO,
    STOCK_OUT,
    TAKEN,
    WAITING,
    WITHDRAWN,
    B,
    C,
    D,
    E,
)


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
def take_doses(s, need, row, now, head, following, left, batch_row, dose_record, dose_time, reg):
    """Take from the first batches to expire, record each part, and return the first of the batches."""
    source = head[s]
    at = reg[DOSED]
    while need > 0:
        batch = head[s]
        part = min(need, left[batch])
        left[batch] -= part
        need -= part
        dose_record[at, DOSE_TAKER] = row
        dose_record[at, DOSE_LOT] = batch_row[batch]
        dose_record[at, DOSE_COUNT] = part
        dose_record[at, DOSE_STOCK] = s
        dose_time[at] = now
        at += 1
        if left[batch] == 0:
            head[s] = following[batch]
    reg[DOSED] = at
    return source


@helper
def expire(s, batch, now, clipped, inside, on_hand, head, following, batch_left, batch_record, batch_time, statistics):
    """Take what is left of a batch out of its stock."""
    doses = batch_left[batch]
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
    batch_record[batch, BATCH_LOST] = doses
    batch_record[batch, BATCH_HOW] = 1
    batch_time[batch, 1] = now
    change_on_hand(s, -doses, now, clipped, on_hand, statistics)
    statistics[s, EXPIRED] += doses
    statistics[s, EXPIRED + 1] += doses * inside


@inlined
def lots_to_start(s, now, stock_rule, stock_level, on_hand, on_order, short, to_start):
    """Return the lots by which the inventory position of a stock under review falls short."""
    rule = stock_rule[s, 0]
    level = stock_level[s, 0]
    planned = stock_level[s, 2]
    target = stock_level[s, 1]
    if now >= stock_level[s, 3]:
        level = -1.0
        target = 0.0 if rule == ORDER_UP_TO else 1.0
    position = on_hand[s] + on_order[s] + planned * to_start[s] - short[s]
    total = np.int64(0)
    while position <= level:
        need = target - position if rule == ORDER_UP_TO else target
        lots = np.int64(math.ceil(need / planned))
        total += lots
        position += lots * planned
    return total


@helper
def withdraw(s, row, now, clipped, inside, on_hand, head, following, batch_left, batch_row, batch_record, batch_time,
             statistics):  # fmt: skip
    """Take what is left of the lot in `row` out of a stock, and return the doses."""
    total = np.int64(0)
    before = -1
    at = head[s]
    while at >= 0:
        after = following[at]
        if batch_row[at] == row:
            total += batch_left[at]
            batch_record[at, BATCH_LOST] = batch_left[at]
            batch_record[at, BATCH_HOW] = 2
            batch_time[at, 1] = now
            batch_left[at] = 0
            if before < 0:
                head[s] = after
            else:
                following[before] = after
        else:
            before = at
        at = after
    if total > 0:
        change_on_hand(s, -total, now, clipped, on_hand, statistics)
        statistics[s, WITHDRAWN] += total
        statistics[s, WITHDRAWN + 1] += total * inside
    return total


@helper
def choose_stock(depot_rule, candidate, route, d, need, arriving, attribute, base, resources, classes, first, on_hand):
    """Return the number of the stock that depots `d` send an entity to, or -1 when an attribute is out of range."""
    column = depot_rule[d, 2] if arriving else depot_rule[d, 3]
    value = attribute[base + column]
    rows = depot_rule[d, 5]
    if not (0.0 <= value < (rows if rows > 0 else depot_rule[d, 1])):
        return -1
    line = np.int64(value)
    if rows == 0:
        return line
    at = depot_rule[d, 4] + line * depot_rule[d, 6]
    for i in range(at, at + depot_rule[d, 6]):
        s = candidate[depot_rule[d, 0] + route[i]]
        if on_hand[s] >= need and first_waiting((resources + s) * classes, classes, first) < 0:
            return route[i]
    return route[at]


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
def hand_out(program, copy_from, copy_to, s, taker, now, clipped, inside, arrivals, width, dynamic_width, L, first, last, attribute,
             short, on_hand, head, following, batch_left, batch_row, dose_record, dose_time, statistics, reg):  # fmt: skip
    """Give the first in the queue of a stock its doses."""
    pc = L[taker, PC]
    need = program[pc, B]
    leave_queue(taker, L, first, last)
    short[s] -= need
    row = L[taker, ROW]
    batch = take_doses(s, need, row, now, head, following, batch_left, batch_row, dose_record, dose_time, reg)
    change_on_hand(s, -need, now, clipped, on_hand, statistics)
    statistics[s, TAKEN] += need
    statistics[s, TAKEN + 1] += need * inside
    base = row * width if row < arrivals else arrivals * width + (row - arrivals) * dynamic_width
    lot = batch_row[batch] - arrivals
    source = arrivals * width + lot * dynamic_width
    for i in range(program[pc, C], program[pc, C] + program[pc, D]):
        attribute[base + copy_to[i]] = attribute[source + copy_from[i]]
    if program[pc, E] >= 0:
        attribute[base + program[pc, E]] = lot


@helper
def serve_stock(program, copy_from, copy_to, resources, s, now, clipped, inside, arrivals, width, dynamic_width, classes, L, first, last, attribute,
                short, on_hand, head, following, batch_left, batch_row, dose_record, dose_time, statistics, reg):  # fmt: skip
    """Serve the queue of a stock in strict order while there are doses for its first."""
    lowest = (resources + s) * classes
    while True:
        taker = first_waiting(lowest, classes, first)
        if taker < 0 or on_hand[s] < program[L[taker, PC], B]:
            break
        statistics[s, WAITING] += now
        statistics[s, WAITING + 1] += clipped
        hand_out(program, copy_from, copy_to, s, taker, now, clipped, inside, arrivals, width, dynamic_width, L, first, last, attribute,
                 short, on_hand, head, following, batch_left, batch_row, dose_record, dose_time, statistics, reg)  # fmt: skip
        L[taker, PC] += 1
        make_ready(taker, L, reg)
