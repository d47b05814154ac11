"""What may follow in the long run: later lines after a failure, transplant, secondary malignancy.

Later lines follow each other in the scenario's order. At each failure the patient receives the next line with its share, or
leaves treatment for good. Between responses the disease is out of control, and only then does the clock of
`survival_after_relapse` run: with D the time that it gives, death of the disease falls on the day on which the patient has
spent D days without control. With exponential laws this is the competing-risks Markov chain; with others it is semi-Markov.
A line therefore never brings death of the disease forward, and a line that nobody answers changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.outcomes.draws import PatientDraws
from cartsight.outcomes.event_times import death_within_a_year, event_times
from cartsight.scenario.arms import ProductArm
from cartsight.scenario.long_term import SecondaryMalignancy, Transplant
from cartsight.scenario.survival import SurvivalLaw

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

IN_LATER_RESPONSE, TRANSPLANT, SECONDARY_MALIGNANCY = (
    "in response to a later line",
    "transplant",
    "secondary malignancy",
)

SMALLEST_SHARE = 1e-300
"""Survival below this is a cumulative hazard that nobody reaches."""


@dataclass(frozen=True, eq=False, slots=True)
class LineCourse:
    """One later line of n patients.

    Attributes
    ----------
    start_day : array, shape (n,)
        Days from referral; infinite for patients who never receive it.
    responded : bool array, shape (n,)
    failure_day : array, shape (n,)
        End of the response, or the assessment that finds none; infinite where the response lasts, or where the line was
        not given. May lie after the patient's death.
    """

    start_day: Float
    responded: Bool
    failure_day: Float


@dataclass(frozen=True, eq=False, slots=True)
class LaterCourse:
    """Later lines by name, transplant and secondary malignancy of n patients.

    Attributes
    ----------
    lines : dict of str to LineCourse
        In the order in which they are given.
    transplant_day, secondary_malignancy_day : array, shape (n,)
        Days from referral; infinite when it does not happen before death and the horizon.
    """

    lines: dict[str, LineCourse]
    transplant_day: Float
    secondary_malignancy_day: Float

    @classmethod
    def empty(cls, n: int) -> LaterCourse:
        """Return the course of n patients to whom nothing of this happens."""
        return cls({}, np.full(n, np.inf), np.full(n, np.inf))

    def cut(self, survival_days: Float) -> LaterCourse:
        """Return the course without what would begin on or after the day of death or the horizon."""
        lines = {}
        for name, line in self.lines.items():
            given = line.start_day < survival_days
            lines[name] = LineCourse(
                np.where(given, line.start_day, np.inf),
                line.responded & given,
                np.where(given, line.failure_day, np.inf),
            )
        days = (self.transplant_day, self.secondary_malignancy_day)
        transplant, malignancy = (np.where(day < survival_days, day, np.inf) for day in days)
        return LaterCourse(lines, transplant, malignancy)

    def columns(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the course as named columns of length n."""
        table: dict[str, npt.NDArray[np.generic]] = {
            "transplant_day": self.transplant_day,
            "secondary_malignancy_day": self.secondary_malignancy_day,
        }
        for name, line in self.lines.items():
            table[f"later line {name}: start_day"] = line.start_day
            table[f"later line {name}: responded"] = line.responded
            table[f"later line {name}: failure_day"] = line.failure_day
        return table


def has_later_course(arm: ProductArm) -> bool:
    """Return whether the arm states later lines, a transplant or a secondary malignancy."""
    return arm.after_relapse is not None or arm.transplant is not None or arm.secondary_malignancy is not None


def first_transplants(
    transplant: Transplant,
    draws: PatientDraws,
    rows: Int,
    last_course: Float,
    relapse: Float,
    law: SurvivalLaw,
    hazard_ratio: Float,
    until: Float,
) -> tuple[Float, Float, Float]:
    """Return relapse, transplant and treatment-related death of the treated, days from referral.

    Parameters
    ----------
    transplant : Transplant
    draws : PatientDraws
    rows : array, shape (m,)
        The treated among the patients.
    last_course, relapse, hazard_ratio : array, shape (m,)
        Relapse is infinite for those who never relapse.
    law : SurvivalLaw
        Of the relapse.
    until : array, shape (m,)
        Death or horizon, before which the transplant must fall; minus infinity for patients without a response.

    Returns
    -------
    relapse, transplant_day, death_day : arrays, shape (m,)
        A transplant divides the cumulative hazard of relapse that is left by the hazard ratio: the time at which
        H0 + (E - H0) / HR is reached, with H0 the hazard passed at the transplant.
    """
    day = last_course + transplant.after.x
    chosen = (
        (draws.uniform("transplant")[rows] < transplant.share_in_first_response.x) & (relapse > day) & (day < until)
    )
    exponential = draws.exponential("relapse")[rows] / np.where(hazard_ratio > 0.0, hazard_ratio, 1.0)
    moved = last_course + _slowed(law, exponential, transplant)
    relapse = np.where(chosen & np.isfinite(relapse), moved, relapse)
    toxic = day + death_within_a_year(
        transplant.treatment_related_mortality.x, draws.exponential("transplant-related mortality")[rows]
    )
    return relapse, np.where(chosen, day, np.inf), np.where(chosen, toxic, np.inf)


def _slowed(law: SurvivalLaw, exponential: Float, transplant: Transplant) -> Float:
    """Return the time to failure when the hazard is multiplied from `transplant.after` on."""
    ratio = transplant.hazard_ratio_of_relapse.x
    if ratio == 0.0:
        return np.full(exponential.shape, np.inf)
    passed = -math.log(max(law.survival(transplant.after.x), SMALLEST_SHARE))
    return event_times(law, passed + np.maximum(exponential - passed, 0.0) / ratio)


def later_lines(
    arm: ProductArm,
    draws: PatientDraws,
    rows: Int,
    failure: Float,
    uncontrolled_days: Float,
    until: Float,
    transplanted: Float,
) -> tuple[dict[str, LineCourse], Float, Float, Float]:
    """Return the later lines of the treated, and the deaths that follow from them.

    Parameters
    ----------
    arm : ProductArm
    draws : PatientDraws
    rows : array, shape (m,)
        The treated among the patients.
    failure : array, shape (m,)
        Day on which the product, and its second course where there was one, has failed; infinite for never.
    uncontrolled_days : array, shape (m,)
        Time with the disease out of control that each patient survives.
    until : array, shape (m,)
        Death from other causes, or the horizon.
    transplanted : array, shape (m,)
        Day of the transplant in the first response, infinite without one.

    Returns
    -------
    lines : dict of str to LineCourse
        Arrays of shape (m,).
    disease_death, treatment_death, transplant_day : array, shape (m,)
    """
    death = failure + uncontrolled_days
    treatment_death = np.full(failure.shape, np.inf)
    lines: dict[str, LineCourse] = {}
    if arm.after_relapse is None:
        return lines, death, treatment_death, transplanted
    now = failure.copy()
    in_treatment = np.isfinite(failure)
    transplant = arm.transplant
    for name, line in arm.after_relapse.lines.items():
        ends = np.minimum(np.minimum(until, death), treatment_death)
        given = in_treatment & (now < ends) & (draws.uniform(f"later line: {name}")[rows] < line.share.x)
        responded = given & (draws.uniform(f"response to later line: {name}")[rows] < line.response.x)
        exponential = draws.exponential(f"failure of later line: {name}")[rows]
        lasts = event_times(line.time_to_failure, exponential)
        if line.treatment_related_mortality is not None:
            toxic = now + death_within_a_year(
                line.treatment_related_mortality.x, draws.exponential(f"mortality of later line: {name}")[rows]
            )
            treatment_death = np.where(given, np.minimum(treatment_death, toxic), treatment_death)
        if transplant is not None and transplant.share_in_later_response is not None:
            day = now + transplant.after.x
            chosen = responded & (lasts > transplant.after.x) & ~np.isfinite(transplanted)
            chosen &= day < np.minimum(until, treatment_death)
            step = f"transplant in later line: {name}"
            chosen &= draws.uniform(step)[rows] < transplant.share_in_later_response.x
            lasts = np.where(chosen & np.isfinite(lasts), _slowed(line.time_to_failure, exponential, transplant), lasts)
            toxic = day + death_within_a_year(
                transplant.treatment_related_mortality.x, draws.exponential("transplant-related mortality")[rows]
            )
            treatment_death = np.where(chosen, np.minimum(treatment_death, toxic), treatment_death)
            transplanted = np.where(chosen, day, transplanted)
        fails = np.where(given, now + np.where(responded, lasts, line.assessment.x), np.inf)
        lines[name] = LineCourse(np.where(given, now, np.inf), responded, fails)
        death = np.where(responded, death + lasts, death)
        now = np.where(given, fails, now)
        in_treatment = given & np.isfinite(fails)
    return lines, death, treatment_death, transplanted


def secondary_malignancies(
    malignancy: SecondaryMalignancy, draws: PatientDraws, rows: Int, infusion: Float
) -> tuple[Float, Float]:
    """Return onset and death of a secondary malignancy, days from referral, shape (m,); infinite for never.

    Onset has a constant hazard from the infusion; it may lie after a death from another cause, which the caller cuts.
    """
    variate = draws.exponential("secondary malignancy")[rows]
    probability = malignancy.probability.x
    if probability <= 0.0:
        after = np.full(infusion.shape, np.inf)
    elif probability >= 1.0:
        after = np.zeros(infusion.shape)
    else:
        after = variate * (malignancy.within.x / -math.log1p(-probability))
    if malignancy.risk_lasts is not None:
        after = np.where(after <= malignancy.risk_lasts.x, after, np.inf)
    onset = infusion + after
    return onset, onset + event_times(malignancy.survival, draws.exponential("death of secondary malignancy")[rows])


@dataclass(frozen=True, eq=False, slots=True)
class UtilityStay:
    """Stays of one kind during which utility differs from that of the patient's state.

    `loss` is taken off it (negative: a gain). Where `instead_of` is above zero the stay is a state of its own, in place of
    one that has this utility.
    """

    kind: str
    patient: Int
    start: Float
    end: Float
    loss: float
    instead_of: float = 0.0


def utility_stays(arm: ProductArm, later: LaterCourse, survival_days: Float) -> Iterator[UtilityStay]:
    """Yield responses to later lines, transplants and secondary malignancies, cut at death and the horizon."""
    relapsed = arm.long_term.utility_relapsed.x
    for name, course in later.lines.items():
        assert arm.after_relapse is not None
        utility = arm.after_relapse.lines[name].utility_in_response.x
        who = np.flatnonzero(course.responded)
        end = np.minimum(course.failure_day[who], survival_days[who])
        yield UtilityStay(IN_LATER_RESPONSE, who, course.start_day[who], end, relapsed - utility, relapsed)
    for kind, day, event in (
        (TRANSPLANT, later.transplant_day, arm.transplant),
        (SECONDARY_MALIGNANCY, later.secondary_malignancy_day, arm.secondary_malignancy),
    ):
        if event is None:
            continue
        who = np.flatnonzero(np.isfinite(day))
        lasts = np.inf if event.lasts is None else event.lasts.x
        yield UtilityStay(kind, who, day[who], np.minimum(day[who] + lasts, survival_days[who]), event.utility_loss.x)


def uncontrolled_stays(
    relapse_care_day: Float, later: LaterCourse, survival_days: Float
) -> Iterator[tuple[Int, Float, Float]]:
    """Yield patients, first and last day of the time after failure that is not spent in response to a later line."""
    start = np.where(relapse_care_day < survival_days, relapse_care_day, np.inf)
    for course in later.lines.values():
        who = np.flatnonzero(course.responded)
        yield _positive(who, start[who], course.start_day[who])
        start[who] = course.failure_day[who]
    who = np.flatnonzero(start < survival_days)
    yield _positive(who, start[who], survival_days[who])


def _positive(patient: Int, start: Float, end: Float) -> tuple[Int, Float, Float]:
    some = end > start
    return patient[some], start[some], end[some]
