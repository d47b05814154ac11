"""Kaplan-Meier and Nelson-Aalen estimates, medians, numbers at risk and the restricted mean.

Kaplan & Meier 1958 (doi:10.1080/01621459.1958.10501452); variance of Greenwood 1926; Nelson 1972
(doi:10.1080/00401706.1972.10488991) and Aalen 1978 (doi:10.1214/aos/1176344247); interval of a quantile of
Brookmeyer & Crowley 1982 (doi:10.2307/2530286).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.survival.observations import Float, SurvivalData

Interval = Literal["log-log", "plain"]


@dataclass(frozen=True)
class EventTable:
    """Distinct event times with the weighted numbers of events and at risk just before each."""

    time: Float
    events: Float
    at_risk: Float


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval; NaN where the data do not reach it."""

    value: float
    low: float
    high: float
    level: float = 0.95


@dataclass(frozen=True)
class KaplanMeier:
    """A Kaplan-Meier curve at its distinct event times.

    Attributes
    ----------
    time, survival, low, high : arrays, shape (k,)
        Event times and the curve with its pointwise interval just after each of them.
    log_variance : array, shape (k,)
        Greenwood's sum, the variance of log S.
    events, at_risk : arrays, shape (k,)
        Events at, and subjects at risk just before, each time.
    last_time : float
        Longest follow-up; the curve says nothing after it.
    """

    time: Float
    survival: Float
    low: Float
    high: Float
    log_variance: Float
    events: Float
    at_risk: Float
    last_time: float
    level: float
    interval: Interval

    def survival_at(self, times: npt.ArrayLike) -> Float:
        """Return S(t); NaN beyond the longest follow-up unless the curve has reached 0."""
        return self._at(times, self.survival, 1.0)

    def low_at(self, times: npt.ArrayLike) -> Float:
        """Return the lower pointwise limit at `times`."""
        return self._at(times, self.low, 1.0)

    def high_at(self, times: npt.ArrayLike) -> Float:
        """Return the upper pointwise limit at `times`."""
        return self._at(times, self.high, 1.0)

    def _at(self, times: npt.ArrayLike, curve: Float, before: float) -> Float:
        t = np.atleast_1d(np.asarray(times, dtype=np.float64))
        padded = np.concatenate([[before], curve])
        value = padded[np.searchsorted(self.time, t, side="right")]
        ended_at_zero = self.survival.size > 0 and self.survival[-1] <= 0.0
        return np.asarray(np.where((t > self.last_time) & (not ended_at_zero), np.nan, value))

    def quantile(self, survival: float = 0.5) -> Estimate:
        """Return the first time at which the curve is at or below `survival`, with its interval.

        A limit that the data do not reach is NaN (printed as "not reached").
        """
        return Estimate(
            _first_at_or_below(self.time, self.survival, survival),
            _first_at_or_below(self.time, self.low, survival),
            _first_at_or_below(self.time, self.high, survival),
            self.level,
        )

    @property
    def median(self) -> Estimate:
        """Median time to event with its interval."""
        return self.quantile(0.5)

    def restricted_mean(self, horizon: float | None = None) -> tuple[float, float]:
        """Return the mean time up to `horizon` and its standard error.

        The variance is the sum over event times of (area under the curve after t)^2 d / (Y (Y - d))
        (Klein & Moeschberger 2003, eq. 4.5.2). Default horizon: the longest follow-up.

        Raises
        ------
        InputError
            When `horizon` is not positive or lies beyond the follow-up while the curve is above 0.
        """
        tau = self.last_time if horizon is None else float(horizon)
        if not (np.isfinite(tau) and tau > 0):
            raise InputError("the horizon of a restricted mean must be positive", field="horizon", found=horizon)
        if tau > self.last_time * (1 + 1e-12) and not (self.survival.size and self.survival[-1] <= 0):
            raise InputError(
                "the horizon lies beyond the longest follow-up",
                field="horizon",
                found=tau,
                allowed=f"at most {self.last_time:g}",
            )
        inside = self.time < tau
        edges = np.concatenate([[0.0], self.time[inside], [tau]])
        areas = np.diff(edges) * np.concatenate([[1.0], self.survival[inside]])
        after = np.cumsum(areas[::-1])[::-1][1:]
        d, y = self.events[inside], self.at_risk[inside]
        increments = np.divide(d, y * (y - d), out=np.zeros_like(d), where=y > d)
        return float(areas.sum()), float(np.sqrt(np.sum(after**2 * increments)))

    @staticmethod
    def citation() -> str:
        """Return the source of the method."""
        return "Kaplan & Meier 1958, J Am Stat Assoc 53:457, doi:10.1080/01621459.1958.10501452"


def event_table(data: SurvivalData, event: npt.NDArray[np.bool_] | None = None) -> EventTable:
    """Return events and numbers at risk at the distinct event times.

    A subject is at risk at t when entry < t <= exit: a censoring at t counts as at risk at t, an entry at t
    does not.

    Raises
    ------
    InputError
        For interval-censored rows, which have no event time.
    """
    if data.interval_censored.any():
        raise InputError(
            "interval-censored events have no Kaplan-Meier estimate",
            hint="Fit a parametric law to them instead",
        )
    happened = data.event if event is None else event
    times, place = np.unique(data.time[happened], return_inverse=True)
    events = np.bincount(place, weights=data.weight[happened], minlength=times.size)
    exits, exit_weight = _sorted_tail(data.time, data.weight)
    at_risk = exit_weight[np.searchsorted(exits, times, side="left")]
    late = data.entry > 0
    if late.any():
        entries, entry_weight = _sorted_tail(data.entry[late], data.weight[late])
        at_risk = at_risk - entry_weight[np.searchsorted(entries, times, side="left")]
    return EventTable(times, np.asarray(events, dtype=np.float64), at_risk)


def number_at_risk(data: SurvivalData, times: npt.ArrayLike) -> Float:
    """Return the weighted number at risk just before each of `times` (at 0: everyone who entered at 0)."""
    t = np.atleast_1d(np.asarray(times, dtype=np.float64))
    exits, exit_weight = _sorted_tail(data.time, data.weight)
    count = exit_weight[np.searchsorted(exits, t, side="left")]
    late = data.entry > 0
    if late.any():
        entries, entry_weight = _sorted_tail(data.entry[late], data.weight[late])
        count = count - entry_weight[np.searchsorted(entries, t, side="left")]
    return np.asarray(count)


def kaplan_meier(data: SurvivalData, *, level: float = 0.95, interval: Interval = "log-log") -> KaplanMeier:
    """Return the Kaplan-Meier curve with Greenwood's variance.

    Parameters
    ----------
    data : SurvivalData
        Right-censored, possibly left-truncated and weighted times.
    level : float
        Coverage of the pointwise interval.
    interval : {"log-log", "plain"}
        Scale of the interval: ``log-log`` stays inside [0, 1], ``plain`` is S +- z se(S), cut at 0 and 1.

    Raises
    ------
    InputError
        For interval-censored rows, an unknown interval or a level outside (0, 1).
    """
    z = normal_quantile(level)
    if interval not in ("log-log", "plain"):
        raise InputError(
            "unknown kind of interval",
            field="interval",
            found=interval,
            allowed="log-log, plain",
            hint=nearest(str(interval), ["log-log", "plain"]),
        )
    table = event_table(data)
    d, y = table.events, table.at_risk
    survival = np.cumprod(np.clip(1.0 - d / y, 0.0, 1.0))
    survival[np.isclose(d, y, rtol=1e-12) | (np.minimum.accumulate(y - d) <= 1e-12 * y)] = 0.0
    survival = np.minimum.accumulate(survival) if survival.size else survival
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        log_variance = np.cumsum(np.where(y - d > 1e-12 * y, d / (y * (y - d)), np.inf))
        if interval == "plain":
            half = z * survival * np.sqrt(log_variance)
            low, high = np.clip(survival - half, 0, 1), np.clip(survival + half, 0, 1)
        else:
            spread = z * np.sqrt(log_variance) / np.abs(np.log(survival))
            low, high = survival ** np.exp(spread), survival ** np.exp(-spread)
    gone = survival <= 0
    low, high = np.where(gone, 0.0, low), np.where(gone, 0.0, high)
    return KaplanMeier(
        table.time,
        np.asarray(survival, dtype=np.float64),
        low,
        high,
        np.asarray(log_variance, dtype=np.float64),
        table.events,
        y,
        float(data.time.max()),
        level,
        interval,
    )


@dataclass(frozen=True)
class NelsonAalen:
    """A cumulative hazard at its distinct event times, with its variance and log-scale interval."""

    time: Float
    cumulative_hazard: Float
    variance: Float
    low: Float
    high: Float
    level: float

    def cumulative_hazard_at(self, times: npt.ArrayLike) -> Float:
        """Return the cumulative hazard at `times`."""
        t = np.atleast_1d(np.asarray(times, dtype=np.float64))
        padded = np.concatenate([[0.0], self.cumulative_hazard])
        return np.asarray(padded[np.searchsorted(self.time, t, side="right")])


def nelson_aalen(data: SurvivalData, *, level: float = 0.95) -> NelsonAalen:
    """Return the Nelson-Aalen cumulative hazard: the sum of d / Y, with variance the sum of d / Y^2.

    Tied events at one time are taken as one step of d / Y.
    """
    z = normal_quantile(level)
    table = event_table(data)
    hazard = np.cumsum(table.events / table.at_risk)
    variance = np.cumsum(table.events / table.at_risk**2)
    spread = np.exp(z * np.sqrt(variance) / hazard)
    return NelsonAalen(table.time, hazard, variance, hazard / spread, hazard * spread, level)


def normal_quantile(level: float) -> float:
    """Return the two-sided normal quantile of a confidence level."""
    if not 0 < level < 1:
        raise InputError("a confidence level lies between 0 and 1", field="level", found=level)
    return float(ndtri(0.5 + level / 2))


def _sorted_tail(values: Float, weight: Float) -> tuple[Float, Float]:
    """Return sorted values and, per position, the weight at or after it (one longer than the values)."""
    order = np.argsort(values, kind="stable")
    tail = np.concatenate([np.cumsum(weight[order][::-1])[::-1], [0.0]])
    return values[order], tail


def _first_at_or_below(time: Float, curve: Float, level: float) -> float:
    # A product such as 3/4 * 2/3 must count as having reached 1/2 although it rounds to just above it.
    reached = np.flatnonzero(curve <= level * (1 + 1e-12))
    return float(time[reached[0]]) if reached.size else float("nan")
