"""Keyed draws and inverse distribution functions, compiled: the arithmetic of `core.streams` and `core.normal`."""

# The compiled functions take arrays whose types Numba infers.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import math

import numpy as np

from cartsight.core import normal as nq
from cartsight.core import streams
from cartsight.simulation.jit import helper, inlined
from cartsight.simulation.tables import (
    CONSTANT,
    EXPONENTIAL,
    LOGNORMAL,
    NORMAL,
    TRIANGULAR,
    UNIFORM,
    WEIBULL,
)

GOLDEN = np.uint64(streams.GOLDEN)
MIX_1 = np.uint64(streams.MIX_1)
MIX_2 = np.uint64(streams.MIX_2)
SHIFT_1, SHIFT_2, SHIFT_3, SHIFT_4 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(12)
SCALE = streams.UNIFORM_SCALE

CENTRAL_LIMIT, CENTRAL_CONSTANT = nq.CENTRAL_LIMIT, nq.CENTRAL_CONSTANT
MIDDLE_LIMIT, MIDDLE_SHIFT = nq.MIDDLE_LIMIT, nq.MIDDLE_SHIFT
A0, A1, A2, A3, A4, A5, A6, A7 = nq.CENTRAL_NUMERATOR
B0, B1, B2, B3, B4, B5, B6, B7 = nq.CENTRAL_DENOMINATOR
C0, C1, C2, C3, C4, C5, C6, C7 = nq.MIDDLE_NUMERATOR
D0, D1, D2, D3, D4, D5, D6, D7 = nq.MIDDLE_DENOMINATOR
E0, E1, E2, E3, E4, E5, E6, E7 = nq.TAIL_NUMERATOR
F0, F1, F2, F3, F4, F5, F6, F7 = nq.TAIL_DENOMINATOR


@inlined
def absorb(state, word):
    """Absorb one 64-bit word into a key; wraps."""
    x = (state ^ word) + GOLDEN
    x = (x ^ (x >> SHIFT_1)) * MIX_1
    x = (x ^ (x >> SHIFT_2)) * MIX_2
    return x ^ (x >> SHIFT_3)


@inlined
def uniform(key, slot, occurrence, flip):
    """Return the uniform u of a key, slot and occurrence, or exactly 1 - u when `flip` is all ones (antithetic)."""
    state = absorb(absorb(key, slot), np.uint64(occurrence)) ^ flip
    return (np.float64(state >> SHIFT_4) + 0.5) * SCALE


@inlined
def normal_quantile(p):
    """Return the standard normal quantile (Wichura 1988, AS 241)."""
    q = p - 0.5
    if abs(q) <= CENTRAL_LIMIT:
        r = CENTRAL_CONSTANT - q * q
        top = ((((((A7 * r + A6) * r + A5) * r + A4) * r + A3) * r + A2) * r + A1) * r + A0
        bottom = ((((((B7 * r + B6) * r + B5) * r + B4) * r + B3) * r + B2) * r + B1) * r + B0
        return q * (top / bottom)
    r = math.sqrt(-math.log(p if q < 0.0 else 1.0 - p))
    if r <= MIDDLE_LIMIT:
        r = r - MIDDLE_SHIFT
        top = ((((((C7 * r + C6) * r + C5) * r + C4) * r + C3) * r + C2) * r + C1) * r + C0
        bottom = ((((((D7 * r + D6) * r + D5) * r + D4) * r + D3) * r + D2) * r + D1) * r + D0
    else:
        r = r - MIDDLE_LIMIT
        top = ((((((E7 * r + E6) * r + E5) * r + E4) * r + E3) * r + E2) * r + E1) * r + E0
        bottom = ((((((F7 * r + F6) * r + F5) * r + F4) * r + F3) * r + F2) * r + F1) * r + F0
    return -(top / bottom) if q < 0.0 else top / bottom


@inlined
def law_quantile(law_code, law_parameter, knot_probability, knot_value, law, u):
    """Return the quantile at `u` of law number `law`."""
    kind = law_code[law, 0]
    p0 = law_parameter[law, 0]
    if kind == CONSTANT:
        return p0
    p1 = law_parameter[law, 1]
    if kind == LOGNORMAL:
        return math.exp(p0 + p1 * normal_quantile(u))
    if kind == EXPONENTIAL:
        return -p0 * math.log1p(-u)
    if kind == UNIFORM:
        return p0 + p1 * u
    if kind == NORMAL:
        return p0 + p1 * normal_quantile(u)
    if kind == WEIBULL:
        return p0 * math.pow(-math.log1p(-u), p1)
    p2 = law_parameter[law, 2]
    if kind == TRIANGULAR:
        if u < law_parameter[law, 3]:
            return p0 + math.sqrt(u * (p2 - p0) * (p1 - p0))
        return p2 - math.sqrt((1.0 - u) * (p2 - p0) * (p2 - p1))
    first = law_code[law, 1]
    low = 0
    high = law_code[law, 3] - 1
    while high - low > 1:
        middle = (low + high) >> 1
        if knot_probability[first + middle] <= u:
            low = middle
        else:
            high = middle
    left = knot_probability[first + low]
    share = (u - left) / (knot_probability[first + high] - left)
    value = law_code[law, 2]
    below = knot_value[value + low]
    return p0 + p1 * (below + share * (knot_value[value + high] - below))


@helper
def quantile_of(law_code, law_parameter, knot_probability, knot_value, law, u):
    """Return the quantile at `u` of law number `law`, where speed matters less than the size of the kernel."""
    return law_quantile(law_code, law_parameter, knot_probability, knot_value, law, u)
