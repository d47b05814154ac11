"""Aalen-Johansen cumulative incidence with competing events.

Aalen & Johansen 1978, Scand J Stat 5:141. The variance is that of Aalen (Greenwood type, delta method) as
written in Marubini & Valsecchi 1995, eq. 10.12; the interval is taken on the log(-log) scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.evidence.survival.kaplan_meier import event_table, normal_quantile
from cartsight.evidence.survival.observations import Float, SurvivalData


@dataclass(frozen=True)
class CumulativeIncidence:
    """Probability of having had one cause by each time, when other causes compete.

    Attributes
    ----------
    cause : int
        The event code.
    time, incidence, variance, low, high : arrays, shape (k,)
        At the distinct times of any event.
    """

    cause: int
    time: Float
    incidence: Float
    variance: Float
    low: Float
    high: Float
    level: float

    def incidence_at(self, times: npt.ArrayLike) -> Float:
        """Return the cumulative incidence at `times`."""
        t = np.atleast_1d(np.asarray(times, dtype=np.float64))
        return np.asarray(np.concatenate([[0.0], self.incidence])[np.searchsorted(self.time, t, side="right")])


def aalen_johansen(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    *,
    entry: npt.ArrayLike = (),
    weight: npt.ArrayLike = (),
    level: float = 0.95,
) -> tuple[CumulativeIncidence, ...]:
    """Return the cumulative incidence of every cause.

    Parameters
    ----------
    time : array, shape (n,)
        Time of the first event or of censoring.
    event : array of int, shape (n,)
        0 for censored, 1, 2, ... for the cause.
    entry, weight : arrays, shape (n,), optional
        Left truncation and frequency weights.
    level : float
        Coverage of the interval.

    Returns
    -------
    tuple of CumulativeIncidence
        One per cause present, in the order of the codes. With the Kaplan-Meier curve of any event they add
        up to 1.

    Raises
    ------
    InputError
        For codes that are not whole numbers from 0 on, and for everything `SurvivalData` refuses.
    """
    codes = np.atleast_1d(np.asarray(event, dtype=np.float64))
    if not np.all(np.isfinite(codes) & (codes >= 0) & (codes == np.floor(codes))):
        raise InputError("event codes are whole numbers: 0 censored, 1, 2, ... the causes", field="event")
    data = SurvivalData(np.asarray(time), codes > 0, np.asarray(entry), np.empty(0), np.asarray(weight))
    z = normal_quantile(level)
    table = event_table(data)
    d, y = table.events, table.at_risk
    survival = np.cumprod(np.clip(1.0 - d / y, 0.0, 1.0))
    before = np.concatenate([[1.0], survival[:-1]])
    results = []
    for cause in np.unique(codes[codes > 0]):
        rows = codes == cause
        d_cause = np.bincount(
            np.searchsorted(table.time, data.time[rows]), weights=data.weight[rows], minlength=table.time.size
        ).astype(np.float64)
        incidence = np.cumsum(before * d_cause / y)
        variance = _aalen_variance(incidence, before, d, d_cause, y)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            spread = z * np.sqrt(variance) / np.abs(incidence * np.log(incidence))
            low, high = incidence ** np.exp(spread), incidence ** np.exp(-spread)
        low, high = np.nan_to_num(low, nan=0.0), np.where(incidence > 0, np.nan_to_num(high, nan=1.0), 0.0)
        results.append(CumulativeIncidence(int(cause), table.time, incidence, variance, low, high, level))
    return tuple(results)


def _aalen_variance(incidence: Float, before: Float, d: Float, d_cause: Float, y: Float) -> Float:
    """Return Var I(t).

    sum (I(t) - I_j)^2 d/(Y(Y-d)) + sum S^2 d_c (Y-d_c)/Y^3 - 2 sum (I(t) - I_j) S d_c / Y^2
    """
    hazard = np.divide(d, y * (y - d), out=np.zeros_like(d), where=y > d)
    own = before**2 * d_cause * (y - d_cause) / y**3
    cross = before * d_cause / y**2
    a0, a1, a2 = np.cumsum(hazard), np.cumsum(hazard * incidence), np.cumsum(hazard * incidence**2)
    c0, c1 = np.cumsum(cross), np.cumsum(cross * incidence)
    variance = incidence**2 * a0 - 2 * incidence * a1 + a2 + np.cumsum(own) - 2 * (incidence * c0 - c1)
    return np.asarray(np.maximum(variance, 0.0))
