"""Levers pulled together: the value of each, alone and in company, from a full two-level factorial.

A lever's Shapley value is its mean contribution over all orders in which the levers may be pulled, so that the values
add up to what all of them do together whatever their interactions (Shapley 1953, doi:10.1515/9781400881970-018). The
two-factor interaction is the mean over the other levers of what two do together beyond the sum of what each does alone
(Box, Hunter & Hunter, Statistics for Experimenters).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]


def settings(levers: int) -> list[tuple[bool, ...]]:
    """Return all settings of so many levers; in setting k, lever i is pulled where bit i of k is set."""
    return [tuple(bool(k >> i & 1) for i in range(levers)) for k in range(2**levers)]


def shapley_values(response: npt.ArrayLike) -> Float:
    """Return the Shapley value of each lever.

    Parameters
    ----------
    response : array, shape (..., 2**n)
        Response at the settings of `settings`, in that order.

    Returns
    -------
    array, shape (..., n)
        Summing to the response with all levers pulled less that with none.
    """
    table = np.asarray(response, dtype=np.float64)
    n = _levers(table)
    values = np.zeros((*table.shape[:-1], n))
    for i in range(n):
        bit = 1 << i
        for k in range(2**n):
            if not k & bit:
                size = bin(k).count("1")
                weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
                values[..., i] += weight * (table[..., k | bit] - table[..., k])
    return values


def alone(response: npt.ArrayLike) -> Float:
    """Return what each lever does when no other is pulled, shape (..., n)."""
    table = np.asarray(response, dtype=np.float64)
    return np.stack([table[..., 1 << i] - table[..., 0] for i in range(_levers(table))], axis=-1)


def last(response: npt.ArrayLike) -> Float:
    """Return what each lever adds when all others are pulled already, shape (..., n)."""
    table = np.asarray(response, dtype=np.float64)
    whole = table.shape[-1] - 1
    return np.stack([table[..., whole] - table[..., whole ^ (1 << i)] for i in range(_levers(table))], axis=-1)


def interactions(response: npt.ArrayLike) -> dict[tuple[int, int], Float]:
    """Return the two-factor interactions by pair of levers, shape (...) each: positive where the two help each other."""
    table = np.asarray(response, dtype=np.float64)
    n = _levers(table)
    found = {}
    for i, j in combinations(range(n), 2):
        a, b = 1 << i, 1 << j
        rest = [k for k in range(2**n) if not k & a and not k & b]
        both = np.stack([table[..., k | a | b] - table[..., k | a] - table[..., k | b] + table[..., k] for k in rest])
        found[i, j] = np.asarray(both.mean(axis=0))
    return found


def strongest_interaction(pairs: dict[tuple[int, int], Float], names: Sequence[str]) -> tuple[str, str, float]:
    """Return the pair of levers whose mean interaction is largest in size, and that interaction."""
    (i, j), value = max(pairs.items(), key=lambda item: abs(float(np.mean(item[1]))))
    return names[i], names[j], float(np.mean(value))


def _levers(table: Float) -> int:
    n = round(math.log2(table.shape[-1])) if table.shape[-1] else 0
    if n < 1 or 2**n != table.shape[-1]:
        raise InputError(
            "a full factorial has two to the power of its levers settings",
            found=table.shape[-1],
            allowed="2, 4, 8, ...",
        )
    return n
