"""Compiled parts of the kernel: comparisons, functions of a value, and numbers that a step takes from elsewhere."""

# The compiled functions take arrays whose types Numba infers.
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import math

from cartsight.simulation.draws import law_quantile, uniform
from cartsight.simulation.jit import helper
from cartsight.simulation.tables import EXP, FLOOR, FROM_ATTRIBUTE, FROM_LAW, LOG


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
def applied(function, x):
    """Return a function of a value, NaN where it is not defined."""
    if function == LOG:
        return math.log(x) if x > 0.0 else math.nan
    if function == EXP:
        return math.exp(x)
    if function == FLOOR:
        return float(math.floor(x))
    return 1.0 / x if x != 0.0 else math.nan


@helper
def amount_of(source, column, law, constant, law_code, law_parameter, knot_probability, knot_value, key, word, seen, flip,
              attribute, base):  # fmt: skip
    """Return the doses or the shelf life of a PUT: a constant, an attribute or a draw."""
    if source == FROM_ATTRIBUTE:
        return attribute[base + column]
    if source == FROM_LAW:
        u = uniform(key, word, seen, flip)
        return law_quantile(law_code, law_parameter, knot_probability, knot_value, law, u)
    return constant
