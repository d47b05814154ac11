"""Times to an event as they are observed: right censored, left truncated, interval censored, weighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SurvivalData:
    """Follow-up of `n` subjects, in one time unit.

    Parameters
    ----------
    time : array, shape (n,)
        Time of the event or of censoring; for an interval-censored event, the last time known to be event
        free.
    event : array of bool, shape (n,)
        True when the event was seen (at `time`, or inside the interval that `upper` closes).
    entry : array, shape (n,), optional
        Time at which the subject came under observation (left truncation). Default 0.
    upper : array, shape (n,), optional
        Upper end of the interval that holds an interval-censored event; NaN where the event time is exact.
    weight : array, shape (n,), optional
        Frequency weights. Default 1.

    Raises
    ------
    InputError
        For unequal lengths, no subjects, values that are not finite, negative times, an event at time 0, an
        entry at or after the exit, an interval that ends before it starts, or a weight that is not
        positive.
    """

    time: Float
    event: Bool
    entry: Float = field(default_factory=lambda: np.empty(0))
    upper: Float = field(default_factory=lambda: np.empty(0))
    weight: Float = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        time = np.atleast_1d(np.asarray(self.time, dtype=np.float64))
        n = time.size
        if n == 0:
            raise InputError("no subjects", allowed="at least one row")
        event = _event_indicator(self.event, n)
        entry = _column(self.entry, n, 0.0, "entry")
        upper = _column(self.upper, n, np.nan, "upper")
        weight = _column(self.weight, n, 1.0, "weight")
        upper = np.where(event, upper, np.nan)
        interval = ~np.isnan(upper)
        exact = event & ~interval
        _refuse(~np.isfinite(time), time, "time", "a time that is not a finite number")
        _refuse(time < 0, time, "time", "a negative time")
        _refuse(exact & (time <= 0), time, "time", "an event at time 0 has no likelihood under a continuous law")
        _refuse(~np.isfinite(entry) | (entry < 0), entry, "entry", "an entry time below 0 or not finite")
        late = (entry > 0) & np.where(interval, entry > time, entry >= time)
        _refuse(late, entry, "entry", "an entry at or after the exit")
        _refuse(interval & (upper <= time), upper, "upper", "an interval that ends where or before it starts")
        _refuse(interval & ~np.isfinite(upper), upper, "upper", "an interval without a finite end")
        _refuse(~np.isfinite(weight) | (weight <= 0), weight, "weight", "a weight that is not positive")
        for name, value in (
            ("time", time),
            ("event", event),
            ("entry", entry),
            ("upper", upper),
            ("weight", weight),
        ):
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    @property
    def n(self) -> int:
        """Number of subjects (rows)."""
        return int(self.time.size)

    @property
    def events(self) -> int:
        """Number of rows with an event, exact or interval censored."""
        return int(self.event.sum())

    @property
    def interval_censored(self) -> Bool:
        """Rows whose event is known only to lie in (time, upper]."""
        return np.asarray(~np.isnan(self.upper))

    @property
    def exact_event(self) -> Bool:
        """Rows with an event at a known time."""
        return np.asarray(self.event & np.isnan(self.upper))

    @property
    def last_time(self) -> float:
        """Longest follow-up."""
        return float(max(self.time.max(), np.nanmax(self.upper, initial=0.0)))

    def subset(self, rows: npt.ArrayLike) -> SurvivalData:
        """Return the rows selected by a boolean mask or an index array."""
        chosen = np.asarray(rows)
        return SurvivalData(
            self.time[chosen], self.event[chosen], self.entry[chosen], self.upper[chosen], self.weight[chosen]
        )

    def cut(self, time: float) -> tuple[SurvivalData, Bool]:
        """Return the data as an analysis at follow-up `time` would have seen them, and the rows in it.

        Events after `time` become censored at `time`; subjects who enter at or after it drop out. An
        interval that straddles the cut becomes a censoring at its lower end (nothing had been seen yet).
        """
        if not (np.isfinite(time) and time > 0):
            raise InputError("a cut needs a positive follow-up time", field="cut", found=time)
        keep = np.asarray(self.entry < time)
        straddles = self.interval_censored & (self.upper > time)
        event = self.event & (self.time <= time) & ~straddles
        data = replace(
            self,
            time=np.minimum(self.time, time)[keep],
            event=event[keep],
            entry=self.entry[keep],
            upper=np.where(straddles, np.nan, self.upper)[keep],
            weight=self.weight[keep],
        )
        return data, keep


def pool(parts: Sequence[SurvivalData]) -> SurvivalData:
    """Return several data sets as one."""
    return SurvivalData(
        *(np.concatenate([getattr(p, name) for p in parts]) for name in ("time", "event", "entry", "upper", "weight"))
    )


def _event_indicator(value: npt.ArrayLike, n: int) -> Bool:
    raw = np.atleast_1d(np.asarray(value))
    if raw.size != n:
        raise InputError("time and event have different lengths", field="event", found=int(raw.size), allowed=str(n))
    if raw.dtype != np.bool_:
        numbers = raw.astype(np.float64)
        _refuse(~np.isin(numbers, (0.0, 1.0)), numbers, "event", "an event indicator that is neither 0 nor 1")
        raw = numbers > 0.5
    return np.asarray(raw, dtype=np.bool_)


def _column(value: npt.ArrayLike, n: int, default: float, name: str) -> Float:
    column = np.atleast_1d(np.asarray(value, dtype=np.float64))
    if column.size == 0:
        return np.full(n, default)
    if column.size != n:
        raise InputError(f"time and {name} have different lengths", field=name, found=int(column.size), allowed=str(n))
    return column.copy()


def _refuse(bad: npt.NDArray[np.bool_], values: npt.NDArray[np.float64], name: str, problem: str) -> None:
    rows = np.flatnonzero(bad)
    if rows.size:
        raise InputError(f"{problem} (row {rows[0] + 1} of the data)", field=name, found=float(values[rows[0]]))
