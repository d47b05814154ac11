"""Cleaning of clicked curves and at-risk tables: what is repaired is reported, what is not is refused.

Repairs: percent turned into fractions; survival outside [0, 1] by at most `OUT_OF_RANGE` pulled to the
edge; times below 0 by at most one percent of the range moved to 0; clicks sorted by time; a missing start
(0, 1) added; rises of at most `LARGEST_RISE` levelled by isotonic regression; the curve held level up to
the last number at risk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from cartsight.core.errors import InputError
from cartsight.evidence.survival.observations import Float

OUT_OF_RANGE = 0.02
LARGEST_RISE = 0.05


@dataclass(frozen=True)
class Clicks:
    """A clean curve: times that do not fall from 0 on, survival that does not rise from 1 on."""

    time: Float
    survival: Float


def clean_clicks(time: npt.ArrayLike, survival: npt.ArrayLike, last_risk_time: float, repairs: list[str]) -> Clicks:
    """Return clean clicks, appending what was changed to `repairs`.

    Raises
    ------
    InputError
        For fewer than two clicks, values that are not numbers, survival far out of range, or rises too
        large to be a slip of the hand.
    """
    t = np.atleast_1d(np.asarray(time, dtype=np.float64))
    s = np.atleast_1d(np.asarray(survival, dtype=np.float64))
    if t.size != s.size:
        raise InputError(
            "clicks need one survival per time", field="clicks", found=f"{t.size} times, {s.size} survivals"
        )
    if t.size < 2:
        raise InputError("a curve needs at least two clicks", field="clicks", found=int(t.size))
    bad = np.flatnonzero(~(np.isfinite(t) & np.isfinite(s)))
    if bad.size:
        raise InputError(f"click {bad[0] + 1} is not a pair of finite numbers", field="clicks")
    if s.max() > 1.5:
        s = s / 100.0
        repairs.append("survival was taken as percent and divided by 100")
    s = _pull_in(s, repairs)
    t = _from_zero(t, repairs)
    # At one time the vertical of a step is clicked from the top down.
    order = np.lexsort((-s, t))
    if np.any(np.diff(t) < 0):
        repairs.append("clicks were sorted by time")
    t, s = t[order], s[order]
    if t[0] > 0 or s[0] < 1:
        t, s = np.concatenate([[0.0], t]), np.concatenate([[1.0], s])
        repairs.append("the start of the curve, survival 1 at time 0, was added")
    first = t == 0
    if np.any(s[first] < 1):
        t, s = t[~first | (s >= 1)], s[~first | (s >= 1)]
        repairs.append("clicks below 1 at time 0 were dropped: no event can happen at time 0")
    s = _level(t, s, repairs)
    if t[-1] < last_risk_time:
        t, s = np.append(t, last_risk_time), np.append(s, s[-1])
        repairs.append(f"the curve was held level from its last click to the last number at risk at {last_risk_time:g}")
    if t[-1] <= 0:
        raise InputError("all clicks are at time 0", field="clicks")
    return Clicks(t, s)


def clean_at_risk(time: npt.ArrayLike, number: npt.ArrayLike) -> tuple[Float, Float]:
    """Return a checked at-risk table; nothing in it is repaired, because every number in it is a count.

    Raises
    ------
    InputError
        For an empty table, a missing number, a table that does not start at time 0, times that do not rise,
        counts that rise, are negative or fractional, or nobody at risk at time 0.
    """
    t = np.atleast_1d(np.asarray(time, dtype=np.float64))
    n = np.atleast_1d(np.asarray(number, dtype=np.float64))
    if t.size == 0 or n.size == 0:
        raise InputError(
            "numbers at risk are missing",
            field="at_risk",
            allowed="at least the number of patients at time 0",
        )
    if t.size != n.size:
        raise InputError(
            "the at-risk table needs one number per time",
            field="at_risk",
            found=f"{t.size} times, {n.size} numbers",
        )
    missing = np.flatnonzero(~(np.isfinite(t) & np.isfinite(n)))
    if missing.size:
        raise InputError(f"row {missing[0] + 1} of the at-risk table is missing or not finite", field="at_risk")
    if t[0] != 0:
        raise InputError(
            "the at-risk table must start at time 0",
            field="at_risk",
            found=float(t[0]),
            hint="Add the number of patients at time 0",
        )
    if np.any(np.diff(t) <= 0):
        raise InputError(
            "the times of the at-risk table must rise",
            field="at_risk",
            found=float(t[1:][np.diff(t) <= 0][0]),
        )
    if np.any(n < 0) or np.any(n != np.floor(n)):
        raise InputError(
            "numbers at risk are whole and not negative",
            field="at_risk",
            found=float(n[(n < 0) | (n != np.floor(n))][0]),
        )
    if n[0] < 1:
        raise InputError("nobody is at risk at time 0", field="at_risk")
    if np.any(np.diff(n) > 0):
        raise InputError(
            "numbers at risk must not rise (left truncation cannot be reconstructed)",
            field="at_risk",
            found=float(n[1:][np.diff(n) > 0][0]),
        )
    return t, n


def _pull_in(s: Float, repairs: list[str]) -> Float:
    over = np.maximum(s - 1, -s)
    if over.max() > OUT_OF_RANGE:
        worst = int(np.argmax(over))
        raise InputError(
            f"survival of click {worst + 1} is out of range",
            field="clicks",
            found=float(s[worst]),
            allowed=f"0 to 1 (up to {OUT_OF_RANGE} outside is repaired)",
        )
    if over.max() > 0:
        repairs.append(f"{int((over > 0).sum())} clicks up to {over.max():.3g} outside [0, 1] were pulled to the edge")
    return np.clip(s, 0, 1)


def _from_zero(t: Float, repairs: list[str]) -> Float:
    if t.min() >= 0:
        return t
    if t.min() < -0.01 * (t.max() - t.min()):
        raise InputError("a click lies at a negative time", field="clicks", found=float(t.min()))
    repairs.append(f"{int((t < 0).sum())} clicks just below time 0 were moved to 0")
    return np.maximum(t, 0)


def _level(t: Float, s: Float, repairs: list[str]) -> Float:
    rise = np.maximum(s - np.minimum.accumulate(s), 0)
    if rise.max() <= 0:
        return s
    if rise.max() > LARGEST_RISE:
        worst = int(np.argmax(rise))
        raise InputError(
            "the clicked curve rises",
            field="clicks",
            found=f"survival {s[worst]:.3f} at time {t[worst]:g}, {rise[worst]:.3f} above an earlier click",
            allowed=f"rises up to {LARGEST_RISE} are levelled",
        )
    levelled = np.asarray(isotonic_regression(s[1:], increasing=False).x)
    changed = int((np.abs(levelled - s[1:]) > 1e-12).sum())
    repairs.append(f"{changed} clicks were levelled by isotonic regression (largest rise {rise.max():.3g})")
    return np.concatenate([s[:1], np.clip(levelled, 0, 1)])
