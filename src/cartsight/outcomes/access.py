"""Access: who reaches the infusion, when, and where the others were lost.

Death, ineligibility and every other exit compete with the infusion. Each patient is followed until one of
them happens, so the Aalen-Johansen estimate of the cumulative incidence (Aalen & Johansen 1978, Scand J Stat
5:141) is the share of the referred who have been infused by then. One minus Kaplan-Meier with exits as
censoring would be larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.simulation.pathways.trajectory import DIED, INFUSION, LEUKAPHERESIS, Trajectories

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles over the patients concerned; NaN when there are none."""

    patients: int
    lower_quartile: float
    median: float
    upper_quartile: float
    mean: float


@dataclass(frozen=True, eq=False, slots=True)
class CumulativeIncidence:
    """Cumulative incidence from referral of infusion, of death while waiting and of every other exit.

    `days` has shape (k,), the three incidences and `still_waiting` too; together they are one at every time.
    """

    days: Float
    infused: Float
    died_waiting: Float
    left: Float
    still_waiting: Float


@dataclass(frozen=True, eq=False, slots=True)
class Access:
    """Access metrics of one arm.

    Parameters
    ----------
    referred, collected, infused : int
        Patients; `collected` had at least one leukapheresis (zero in arms that need none).
    share_infused_of_referred, share_infused_of_collected : float
        NaN where the denominator is zero.
    share_out_of_specification : float
        Of the infused.
    time_to_infusion_days : Spread
        From referral, of the infused.
    vein_to_vein_days : Spread
        From the last leukapheresis to the infusion, of the infused who were collected.
    brain_to_vein_days : Spread
        From the end of `decision_step` to the infusion, of the infused.
    decision_step : str or None
        The care-pathway step that ends in the decision to treat; None counts from referral.
    endings : dict
        Patients by how their pathway ended, most frequent first: where patients were lost.
    """

    referred: int
    collected: int
    infused: int
    share_infused_of_referred: float
    share_infused_of_collected: float
    share_out_of_specification: float
    time_to_infusion_days: Spread
    vein_to_vein_days: Spread
    brain_to_vein_days: Spread
    decision_step: str | None
    endings: dict[str, int]


def spread(values: Float) -> Spread:
    """Return median and quartiles (linear interpolation) of values, NaN left out."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        nan = float("nan")
        return Spread(0, nan, nan, nan, nan)
    low, middle, high = np.quantile(known, (0.25, 0.5, 0.75)).tolist()
    return Spread(int(known.size), low, middle, high, float(known.mean()))


def access_metrics(trajectories: Trajectories, decision_step: str | None = None) -> Access:
    """Return the access metrics of one arm.

    Parameters
    ----------
    trajectories : Trajectories
        n patients.
    decision_step : str, optional
        Care-pathway step whose end is the decision to treat. Left out: ``eligibility`` where the pathway has
        a step of that name, else brain-to-vein counts from referral.

    Raises
    ------
    InputError
        A decision step that the trajectories do not hold.
    """
    infused = trajectories.infused
    infusion = _infusion_day(trajectories, infused)
    nowhere = np.full(len(trajectories), np.nan)
    collection = trajectories.day.get(LEUKAPHERESIS, nowhere)
    collected = np.isfinite(collection)
    decided, decision = _decision(trajectories, decision_step)
    referred, given, taken = len(trajectories), int(infused.sum()), int(collected.sum())
    return Access(
        referred=referred,
        collected=taken,
        infused=given,
        share_infused_of_referred=_share(given, referred),
        share_infused_of_collected=_share(int((infused & collected).sum()), taken),
        share_out_of_specification=_share(int((infused & trajectories.out_of_specification).sum()), given),
        time_to_infusion_days=spread(infusion[infused]),
        vein_to_vein_days=spread((infusion - collection)[infused]),
        brain_to_vein_days=spread((infusion - decision)[infused]),
        decision_step=decided,
        endings=endings(trajectories),
    )


def endings(trajectories: Trajectories) -> dict[str, int]:
    """Return the number of patients by how their pathway ended, most frequent first."""
    counts = np.bincount(trajectories.status, minlength=len(trajectories.statuses))
    order = np.argsort(-counts, kind="stable")
    return {trajectories.statuses[code]: int(counts[code]) for code in order if counts[code] > 0}


def cumulative_incidence(trajectories: Trajectories, days: Sequence[float] | Float) -> CumulativeIncidence:
    """Return the shares of the referred infused, dead, gone and waiting by each of `days` from referral.

    Raises
    ------
    InputError
        A day that is negative or not finite, or no patient.
    """
    at = np.atleast_1d(np.asarray(days, dtype=np.float64))
    if at.ndim != 1 or not np.all(np.isfinite(at) & (at >= 0.0)):
        raise InputError("days must be finite and not negative", field="days", found=days)
    n = len(trajectories)
    if n == 0:
        raise InputError("there are no patients")
    infused = trajectories.infused
    died = trajectories.has_status(DIED)
    exit_day = np.where(infused, _infusion_day(trajectories, infused), trajectories.end_day)

    def share(who: Bool) -> Float:
        return np.searchsorted(np.sort(exit_day[who]), at, side="right") / n

    parts = [share(infused), share(died), share(~(infused | died))]
    waiting = 1.0 - parts[0] - parts[1] - parts[2]
    return CumulativeIncidence(at, parts[0], parts[1], parts[2], waiting)


def _infusion_day(trajectories: Trajectories, infused: Bool) -> Float:
    return np.where(infused, trajectories.day.get(INFUSION, trajectories.end_day), np.nan)


def _decision(trajectories: Trajectories, decision_step: str | None) -> tuple[str | None, Float]:
    steps = {name.removeprefix("step: "): name for name in trajectories.day if name.startswith("step: ")}
    if decision_step is None:
        if "eligibility" not in steps:
            return None, np.zeros(len(trajectories))
        decision_step = "eligibility"
    if decision_step not in steps:
        raise InputError(
            "the trajectories hold no such step",
            field="decision_step",
            found=decision_step,
            allowed=", ".join(steps) or None,
            hint=nearest(decision_step, steps),
        )
    return decision_step, trajectories.day[steps[decision_step]]


def _share(part: int, whole: int) -> float:
    return part / whole if whole > 0 else float("nan")
