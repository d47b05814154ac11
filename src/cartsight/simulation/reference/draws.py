"""Uniforms by key, and the functions that turn them into draws, in plain Python."""

from __future__ import annotations

import math

from cartsight.core.normal import (
    CENTRAL_CONSTANT,
    CENTRAL_DENOMINATOR,
    CENTRAL_LIMIT,
    CENTRAL_NUMERATOR,
    MIDDLE_DENOMINATOR,
    MIDDLE_LIMIT,
    MIDDLE_NUMERATOR,
    MIDDLE_SHIFT,
    TAIL_DENOMINATOR,
    TAIL_NUMERATOR,
)
from cartsight.core.streams import GOLDEN, MASK, MIX_1, MIX_2, UNIFORM_SCALE


def absorb(state: int, word: int) -> int:
    """Absorb a 64-bit word into a key."""
    x = ((state ^ word) + GOLDEN) & MASK
    x = ((x ^ (x >> 30)) * MIX_1) & MASK
    x = ((x ^ (x >> 27)) * MIX_2) & MASK
    return x ^ (x >> 31)


def uniform(key: int, slot: int, occurrence: int, flip: int = 0) -> float:
    """Return the uniform of a key, slot and occurrence."""
    return (((absorb(absorb(key, slot), occurrence) ^ flip) >> 12) + 0.5) * UNIFORM_SCALE


def _ratio(x: float, numerator: tuple[float, ...], denominator: tuple[float, ...]) -> float:
    top, bottom = numerator[7], denominator[7]
    for i in range(6, -1, -1):
        top, bottom = top * x + numerator[i], bottom * x + denominator[i]
    return top / bottom


def normal_quantile(p: float) -> float:
    """Return the standard normal quantile (Wichura 1988, AS 241)."""
    q = p - 0.5
    if abs(q) <= CENTRAL_LIMIT:
        return q * _ratio(CENTRAL_CONSTANT - q * q, CENTRAL_NUMERATOR, CENTRAL_DENOMINATOR)
    r = math.sqrt(-math.log(p if q < 0.0 else 1.0 - p))
    if r <= MIDDLE_LIMIT:
        z = _ratio(r - MIDDLE_SHIFT, MIDDLE_NUMERATOR, MIDDLE_DENOMINATOR)
    else:
        z = _ratio(r - MIDDLE_LIMIT, TAIL_NUMERATOR, TAIL_DENOMINATOR)
    return -z if q < 0.0 else z


def exp(x: float) -> float:
    """Return e to the x, infinite where Python would raise."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf
