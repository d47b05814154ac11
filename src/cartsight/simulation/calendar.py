"""Calendars: weekly patterns, outages and expansions, expanded to changes with a repeating tail.

Day 0 is the start of the simulation. Capacity falls by draining: work in progress is finished, nothing new starts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cartsight.core.errors import InputError

WEEK = 7.0


@dataclass(frozen=True, slots=True)
class Calendar:
    """When a resource or a gate is open.

    Parameters
    ----------
    windows : tuple of (open, close) or (open, close, servers), optional
        Open windows in each period, in days from its start, for example ``((0, 5),)`` for Monday to Friday.
        With a number, at most so many servers are on duty in it. Without windows it is always open.
    outages : tuple of (start, end) or (start, end, servers lost)
        Absolute days; without a number all servers are lost.
    changes : tuple of (day, capacity)
        New full capacity from a day on (expansion, ramp-up, closure).
    period_days : float
        Length of the pattern, 7 by default.
    first_day : float
        Day of the pattern on which the simulation starts: 2 starts on a Wednesday.
    """

    windows: tuple[tuple[float, ...], ...] = ()
    outages: tuple[tuple[float, ...], ...] = ()
    changes: tuple[tuple[float, int], ...] = ()
    period_days: float = WEEK
    first_day: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.period_days) and self.period_days > 0):
            raise InputError("calendar: the period must be above zero days", found=self.period_days)
        last = 0.0
        for window in self.windows:
            if len(window) not in (2, 3) or not last <= window[0] < window[1] <= self.period_days:
                raise InputError(
                    "calendar: windows must be in order, not overlap and lie within the period",
                    found=self.windows,
                    allowed=f"0 <= open < close <= {self.period_days:g}",
                )
            if len(window) == 3 and window[2] < 0:
                raise InputError("calendar: a window cannot have a negative number of servers", found=window)
            last = window[1]
        for outage in self.outages:
            if len(outage) not in (2, 3) or not 0 <= outage[0] < outage[1] < math.inf:
                raise InputError(
                    "calendar: an outage is (start, end) or (start, end, servers lost)",
                    found=outage,
                    allowed="0 <= start < end, finite",
                )
            if len(outage) == 3 and outage[2] < 0:
                raise InputError("calendar: an outage cannot lose a negative number of servers", found=outage)
        for day, capacity in self.changes:
            if not (0 <= day < math.inf and capacity >= 0):
                raise InputError("calendar: a change is (day >= 0, capacity >= 0)", found=(day, capacity))

    @classmethod
    def weekdays(cls, *days: int, opens: float = 0.0, closes: float = 1.0, first_day: float = 0.0) -> Calendar:
        """Return a calendar open on the given days (Monday 0) from `opens` to `closes`, as fractions of the day."""
        windows: list[tuple[float, float]] = []
        for day in sorted(set(days)):
            if not 0 <= day <= 6:
                raise InputError("calendar: a day of the week is 0 (Monday) to 6", found=day)
            start, end = day + opens, day + closes
            if windows and windows[-1][1] == start:
                windows[-1] = (windows[-1][0], end)
            else:
                windows.append((start, end))
        return cls(tuple(windows), first_day=first_day)

    def _repeats_from(self) -> float:
        """Start of the repeating part: the first whole period after the last absolute entry."""
        last = max([0.0, *(o[1] for o in self.outages), *(day for day, _ in self.changes)])
        return self.period_days * math.ceil(last / self.period_days)

    def _breaks(self, until: float) -> list[float]:
        points = {0.0, until}
        points.update(t for o in self.outages for t in o[:2])
        points.update(day for day, _ in self.changes)
        shift = self.first_day % self.period_days
        periods = math.ceil(until / self.period_days) + 1
        for k in range(periods + 1):
            for window in self.windows:
                points.update(k * self.period_days + edge - shift for edge in window[:2])
        return sorted(t for t in points if 0.0 <= t <= until)

    def capacity_at(self, day: float, full: int) -> int:
        """Return the servers on duty at `day` of a resource with `full` servers at the start."""
        capacity = full
        for start, new in sorted(self.changes):
            if start <= day:
                capacity = new
        if self.windows:
            phase = (day + self.first_day) % self.period_days
            on_duty = next((window for window in self.windows if window[0] <= phase < window[1]), None)
            if on_duty is None:
                return 0
            if len(on_duty) == 3:
                capacity = min(capacity, int(on_duty[2]))
        for outage in self.outages:
            if outage[0] <= day < outage[1]:
                capacity = 0 if len(outage) == 2 else max(0, capacity - int(outage[2]))
        return capacity

    def expand(self, full: int) -> tuple[list[tuple[float, int]], int, float]:
        """Return (changes, index from which they repeat or -1, period) for a resource of `full` servers.

        The first change is at day 0. Repeats are shifted by one period each round.
        """
        start = self._repeats_from()
        end = start + self.period_days if self.windows else start
        breaks = self._breaks(end)
        changes: list[tuple[float, int]] = []
        loop = -1
        for left, right in zip(breaks, [*breaks[1:], math.inf], strict=True):
            if self.windows and left >= end:
                break
            # The middle of the piece: floating-point edges cannot fall on the wrong side.
            middle = 0.5 * (left + right) if right < math.inf else left
            capacity = self.capacity_at(middle, full)
            if self.windows and loop < 0 and left >= start:
                loop = len(changes)
                changes.append((left, capacity))
            elif not changes or changes[-1][1] != capacity:
                changes.append((left, capacity))
        return changes, loop, self.period_days

    def open_windows(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]], float, float]:
        """Return (windows before the repeating part, windows of one repeat, start of the repeats, period)."""
        changes, loop, period = self.expand(1)
        start = self._repeats_from()
        if loop < 0:
            ends = [day for day, _ in changes[1:]] + [math.inf]
            once = [(day, end) for (day, capacity), end in zip(changes, ends, strict=True) if capacity > 0]
            return once, [], math.inf, period

        def intervals(part: list[tuple[float, int]], end: float) -> list[tuple[float, float]]:
            ends = [day for day, _ in part[1:]] + [end] * bool(part)
            return [(day, stop) for (day, capacity), stop in zip(part, ends, strict=True) if capacity > 0]

        return intervals(changes[:loop], start), intervals(changes[loop:], start + period), start, period

    def largest_capacity(self, full: int) -> int:
        """Return the largest capacity that keeps coming back in the long run."""
        changes, loop, _ = self.expand(full)
        return max(capacity for _, capacity in changes[loop:]) if loop >= 0 else changes[-1][1]
