"""The event list: a 4-ary heap of (time, order) pairs in two arrays.

`order` packs (class, row, version) into 63 bits, so that events at one time come in the same order whatever the
history of insertions. A cancelled event stays and is recognised as stale when it comes up.
"""

# The compiled functions take arrays whose types Numba infers.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from cartsight.simulation.jit import inlined


@inlined
def push(times, orders, count, time, order):
    """Add an event; the arrays have room. Return the new count."""
    hole = count
    while hole > 0:
        parent = (hole - 1) >> 2
        above = times[parent]
        if above < time or (above == time and orders[parent] < order):
            break
        times[hole] = above
        orders[hole] = orders[parent]
        hole = parent
    times[hole] = time
    orders[hole] = order
    return count + 1


@inlined
def drop_first(times, orders, count):
    """Remove the first event, which the caller has read at index 0. Return the new count."""
    count -= 1
    time = times[count]
    order = orders[count]
    hole = 0
    while True:
        child = 4 * hole + 1
        if child >= count:
            break
        last = child + 4 if child + 4 < count else count
        best = child
        best_time = times[child]
        for i in range(child + 1, last):
            if times[i] < best_time or (times[i] == best_time and orders[i] < orders[best]):
                best = i
                best_time = times[i]
        if time < best_time or (time == best_time and order < orders[best]):
            break
        times[hole] = best_time
        orders[hole] = orders[best]
        hole = best
    times[hole] = time
    orders[hole] = order
    return count
