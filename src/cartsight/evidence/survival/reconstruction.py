"""Individual times from a published Kaplan-Meier figure.

The algorithm of Guyot, Ades, Ouwens & Welton 2012 (doi:10.1186/1471-2288-12-9): within each interval of the
at-risk table, the number censored is the unknown that makes the Kaplan-Meier equations, run forward over
the digitised curve, arrive at the next published number at risk. Censorings are spread evenly over the
interval. In the last interval, which has no next number, censoring goes on at the mean rate of the earlier
intervals or, when the total number of events is published, is adjusted until the events add up to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.evidence.survival.digitised import Clicks, clean_at_risk, clean_clicks
from cartsight.evidence.survival.kaplan_meier import kaplan_meier, number_at_risk
from cartsight.evidence.survival.observations import Float, SurvivalData

_ROUNDS = 200


@dataclass(frozen=True)
class Diagnostics:
    """How well the reconstructed data give back what was published.

    Attributes
    ----------
    largest_survival_error, mean_survival_error : float
        Of |S reconstructed - S clicked| over the cleaned clicks.
    largest_error_time : float
        Where the largest is.
    risk_time, at_risk_published, at_risk_reconstructed : arrays
        Numbers at risk, one per published time.
    events_published : int or None
    events_reconstructed : int
    """

    largest_survival_error: float
    mean_survival_error: float
    largest_error_time: float
    risk_time: Float
    at_risk_published: Float
    at_risk_reconstructed: Float
    events_published: int | None
    events_reconstructed: int

    @property
    def at_risk_errors(self) -> Float:
        """Reconstructed minus published numbers at risk."""
        return np.asarray(self.at_risk_reconstructed - self.at_risk_published)

    @property
    def events_error(self) -> int | None:
        """Reconstructed minus published total of events; None when none was given."""
        return None if self.events_published is None else self.events_reconstructed - self.events_published


@dataclass(frozen=True)
class Reconstruction:
    """Reconstructed individual data, the repairs made to the clicks, and diagnostics."""

    data: SurvivalData
    diagnostics: Diagnostics
    repairs: tuple[str, ...]

    @staticmethod
    def citation() -> str:
        """Return the source of the method."""
        return "Guyot, Ades, Ouwens & Welton 2012, BMC Med Res Methodol 12:9, doi:10.1186/1471-2288-12-9"


def reconstruct(
    click_time: npt.ArrayLike,
    click_survival: npt.ArrayLike,
    risk_time: npt.ArrayLike,
    risk_number: npt.ArrayLike,
    total_events: int | None = None,
) -> Reconstruction:
    """Return individual data whose Kaplan-Meier curve is the digitised one.

    Parameters
    ----------
    click_time, click_survival : arrays, shape (k,)
        Points read off the curve, in any order; survival as a fraction or in percent.
    risk_time, risk_number : arrays, shape (m,)
        The published at-risk table, from time 0 on.
    total_events : int, optional
        Published number of events.

    Returns
    -------
    Reconstruction

    Raises
    ------
    InputError
        For missing, rising or fractional numbers at risk, a table that does not start at 0, clicks that no
        repair can excuse (see `digitised.clean_clicks`), or more events than patients.
    """
    repairs: list[str] = []
    risk_t, risk_n = clean_at_risk(risk_time, risk_number)
    clicks = clean_clicks(click_time, click_survival, float(risk_t[-1]), repairs)
    if total_events is not None and not (0 <= total_events <= risk_n[0] and int(total_events) == total_events):
        raise InputError(
            "the total number of events lies between 0 and the number at risk at 0",
            field="events",
            found=total_events,
            allowed=f"0 to {int(risk_n[0])}",
        )
    lower = np.searchsorted(clicks.time, risk_t, side="left")
    state = _State(clicks, risk_t, risk_n, lower)
    state.fill(total_events)
    data = state.individuals()
    fitted = kaplan_meier(data)
    error = np.abs(_curve_through(fitted.time, fitted.survival, clicks.time) - clicks.survival)
    # The foot of a vertical is what the curve has fallen to; clicks higher on it lie on the curve by
    # construction.
    error[np.append(np.diff(clicks.time) == 0, False)] = 0.0
    worst = int(np.argmax(error))
    diagnostics = Diagnostics(
        float(error[worst]),
        float(error.mean()),
        float(clicks.time[worst]),
        risk_t,
        risk_n,
        number_at_risk(data, risk_t),
        None if total_events is None else int(total_events),
        data.events,
    )
    return Reconstruction(data, diagnostics, tuple(repairs))


class _State:
    """Events and censorings per click while the at-risk intervals are matched one after another."""

    def __init__(self, clicks: Clicks, risk_t: Float, risk_n: Float, lower: npt.NDArray[np.intp]) -> None:
        self.clicks, self.risk_t, self.risk_n, self.lower = clicks, risk_t, risk_n, lower
        k = clicks.time.size
        self.events = np.zeros(k, dtype=np.int64)
        self.censored = np.zeros(k, dtype=np.int64)
        self.censor_times: list[list[float]] = [[] for _ in risk_t]
        self.at_risk = int(risk_n[0])
        self.curve = 1.0

    def fill(self, total_events: int | None) -> None:
        last = len(self.risk_t) - 1
        for i in range(last):
            self._match_interval(i)
        self._last_interval(last, total_events)

    def _span(self, i: int) -> tuple[int, int]:
        stop = int(self.lower[i + 1]) if i + 1 < len(self.risk_t) else self.clicks.time.size
        return int(self.lower[i]), stop

    def _match_interval(self, i: int) -> None:
        start, stop = self._span(i)
        target = int(self.risk_n[i + 1])
        end = float(self.risk_t[i + 1])
        s_now = self.curve
        s_next = float(self.clicks.survival[stop - 1]) if stop > start else s_now
        guess = round(s_next / s_now * self.at_risk - target) if s_now > 0 else 0
        best: tuple[int, int] | None = None
        n_censored = int(np.clip(guess, 0, max(self.at_risk - target, 0)))
        tried: set[int] = set()
        for _ in range(_ROUNDS):
            if n_censored in tried:
                break
            tried.add(n_censored)
            left = self._run(start, stop, self.risk_t[i], end, n_censored)[0]
            gap = left - target
            if best is None or abs(gap) < abs(best[1]):
                best = (n_censored, gap)
            if gap == 0:
                break
            n_censored = int(np.clip(n_censored + gap, 0, self.at_risk))
        assert best is not None
        # The events follow the curve; whatever the search left over is a diagnostic, not hidden by forcing
        # the table.
        self._commit(i, start, stop, self.risk_t[i], end, best[0])

    def _last_interval(self, i: int, total_events: int | None) -> None:
        start, stop = self._span(i)
        begin, end = float(self.risk_t[i]), float(self.clicks.time[-1])
        if stop <= start or end <= begin:
            self._commit(i, start, stop, begin, max(end, begin), 0)
            return
        before = int(self.censored.sum())
        elapsed = begin - float(self.risk_t[0])
        n_censored = round(before / elapsed * (end - begin)) if elapsed > 0 else 0
        n_censored = int(np.clip(n_censored, 0, self.at_risk))
        if total_events is not None:
            wanted = total_events - int(self.events.sum())
            n_censored = self._censoring_for(start, stop, begin, end, wanted, n_censored)
        self._commit(i, start, stop, begin, end, n_censored)

    def _censoring_for(self, start: int, stop: int, begin: float, end: float, wanted: int, guess: int) -> int:
        """Return the number censored for which the events of the last interval come nearest to `wanted`.

        More censoring leaves fewer at risk and so fewer events for the same curve: a monotone search, by
        bisection.
        """
        low, high = 0, self.at_risk
        best, best_gap = guess, abs(self._run(start, stop, begin, end, guess)[1] - wanted)
        while low <= high:
            middle = (low + high) // 2
            events = self._run(start, stop, begin, end, middle)[1]
            if abs(events - wanted) < best_gap:
                best, best_gap = middle, abs(events - wanted)
            if events == wanted:
                return middle
            if events > wanted:
                low = middle + 1
            else:
                high = middle - 1
        return best

    def _spread(self, begin: float, end: float, count: int) -> Float:
        return np.asarray(begin + np.arange(1, count + 1) * (end - begin) / (count + 1))

    def _run(self, start: int, stop: int, begin: float, end: float, n_censored: int) -> tuple[int, int]:
        """Return the number at risk at the end and the events of an interval, without keeping them."""
        left, _, events, _ = self._walk(start, stop, begin, end, n_censored)
        return left, int(events.sum())

    def _walk(
        self, start: int, stop: int, begin: float, end: float, n_censored: int
    ) -> tuple[int, float, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        size = stop - start
        times = self._spread(begin, end, n_censored)
        # Censorings before the first click of the interval, then between clicks, then after the last.
        place = np.searchsorted(self.clicks.time[start:stop], times, side="left")
        counts = np.bincount(place, minlength=size + 1)
        at_risk, curve = self.at_risk - int(counts[0]), self.curve
        events = np.zeros(size, dtype=np.int64)
        for j in range(size):
            s = float(self.clicks.survival[start + j])
            if at_risk > 0 and curve > 0 and s < curve:
                # Rounding is carried by `curve`, the curve that the rounded events really make.
                d = min(round(at_risk * (1 - s / curve)), at_risk)
                if d > 0:
                    events[j] = d
                    curve *= 1 - d / at_risk
                    at_risk -= d
            at_risk = max(at_risk - int(counts[j + 1]), 0)
        return at_risk, curve, events, counts

    def _commit(self, i: int, start: int, stop: int, begin: float, end: float, n_censored: int) -> None:
        _, curve, events, _ = self._walk(start, stop, begin, end, n_censored)
        kept = min(n_censored, self.at_risk - int(events.sum()))
        self.events[start:stop] = events
        if stop > start:
            self.censored[start] += kept
        self.censor_times[i] = list(self._spread(begin, end, n_censored)[:kept])
        self.at_risk = self.at_risk - int(events.sum()) - kept
        self.curve = curve

    def individuals(self) -> SurvivalData:
        """Return one row per patient; whoever is left at the end is censored there."""
        event_times = np.repeat(self.clicks.time, self.events)
        censor_times = np.array([t for part in self.censor_times for t in part])
        end = max(float(self.clicks.time[-1]), float(self.risk_t[-1]))
        left = int(self.risk_n[0]) - event_times.size - censor_times.size
        time = np.concatenate([event_times, censor_times, np.full(left, end)])
        event = np.concatenate([np.ones(event_times.size, dtype=bool), np.zeros(censor_times.size + left, dtype=bool)])
        order = np.lexsort((~event, time))
        return SurvivalData(time[order], event[order])


def _curve_through(time: Float, survival: Float, at: Float) -> Float:
    padded = np.concatenate([[1.0], survival])
    return np.asarray(padded[np.searchsorted(time, at, side="right")])
