"""Compiled parts of the kernel: effects, competing clocks, gates."""

# The compiled functions take arrays whose types Numba infers.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import math

import numpy as np

from cartsight.simulation.draws import quantile_of, uniform
from cartsight.simulation.jit import helper, inlined
from cartsight.simulation.state import BREAK_TIME, CLOCK_TIME, HAZARD_TIME, HEALTH, ORIGIN
from cartsight.simulation.tables import DEADLINE, HAZARD

INF = math.inf


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
    """Set the time of the first clock of an entity, or of the breakdown of a server it holds if that comes first."""
    soonest = F[slot, BREAK_TIME]
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
    flip,
    L,
    F,
    clocks,
    counts,
    attribute,
    base,
):
    """Start clock `k` anew, with a new draw."""
    u = uniform(key, clock_slot[k], next_occurrence(counts, slot, clock_rule[k, 10]), flip)
    factor = 1.0
    if clock_rule[k, 9] > 0:
        factor = math.exp(
            effect_sum(effect_attribute, effect_beta, clock_rule[k, 8], clock_rule[k, 9], attribute, base)
        )
    clocks[slot, 3 * k + 1] = factor
    if clock_rule[k, 0] == DEADLINE:
        clocks[slot, 3 * k] = 0.0
        clocks[slot, 3 * k + 2] = (
            now + quantile_of(law_code, law_parameter, knot_probability, knot_value, clock_rule[k, 7], u) * factor
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


# Gates ----------------------------------------------------------------------------------------------------------------


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
