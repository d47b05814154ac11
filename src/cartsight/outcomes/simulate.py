"""After the pathway: response, relapse, death, toxicity and quality of life of every patient of an arm.

A vectorised stage on the trajectory table. The order of events, each from its own keyed draw:

1. died while waiting: the pathway says so. Never infused and alive: other care from the day the pathway
   ended.
2. infused: response from one uniform; cure among complete responders; relapse of the others; no response is
   found at the assessment. Death from the disease follows relapse or no response by its own law.
3. non-relapse mortality: a constant hazard over the year after infusion, whatever the disease does meanwhile.
4. background mortality runs for everybody. Death is the earliest of all clocks; the horizon truncates the
   rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.core.units import DAYS_PER_YEAR
from cartsight.outcomes import result as r
from cartsight.outcomes.background import BackgroundHazard, background_hazard, natural_death_day
from cartsight.outcomes.draws import PatientDraws
from cartsight.outcomes.event_times import death_within_a_year, event_times
from cartsight.outcomes.later_course import (
    LaterCourse,
    LineCourse,
    first_transplants,
    has_later_course,
    later_lines,
    secondary_malignancies,
    utility_stays,
)
from cartsight.outcomes.quality_of_life import AgeAdjustment, discounted_years
from cartsight.outcomes.response import (
    COMPLETE_RESPONSE,
    expressed_at_second_course,
    log_odds_ratio,
    response_intercepts,
    response_shift,
    responses,
)
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AnyArm, AutologousArm, ProductArm, as_product
from cartsight.simulation.pathways.trajectory import DIED, INFUSION, REDOSING_VISIT, Trajectories

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Code = npt.NDArray[np.int8]


def simulate_outcomes(
    trajectories: Trajectories,
    scenario: Scenario,
    arm_name: str,
    seed: int,
    *,
    draws: PatientDraws | None = None,
    background: BackgroundHazard | None = None,
) -> r.Outcomes:
    """Return what became of every patient of an arm.

    Parameters
    ----------
    trajectories : Trajectories
        The flow of the arm, n patients.
    scenario : Scenario
        At one parameter draw.
    arm_name : str
        Key of the arm.
    seed : int
        Seed of the run; the same seed gives a patient the same draws in every arm.
    draws : PatientDraws, optional
        ``PatientDraws(trajectories.patients, seed)``; pass one object to all arms and parameter draws to
        make the random numbers once.
    background : BackgroundHazard, optional
        Replaces the life table that the scenario names.

    Returns
    -------
    Outcomes

    Raises
    ------
    InputError
        Unknown arm, infused patients in an arm without a product, or draws of other patients or another seed.
    """
    arm = _arm(scenario, arm_name)
    if draws is None:
        draws = PatientDraws(trajectories.patients, seed)
    elif draws.seed != seed or not draws.belong_to(trajectories.patients):
        raise InputError("these draws belong to other patients or to another seed", field="draws")
    population = scenario.population
    if background is None:
        mortality = population.background_mortality
        background = background_hazard(mortality.life_table, mortality.year)
    horizon = scenario.analysis.horizon_years * DAYS_PER_YEAR
    n = len(trajectories)

    infused = trajectories.infused
    product = as_product(arm)
    if product is None and infused.any():
        raise InputError("an arm without a product cannot have infused patients", field=f"arms.{arm_name}")
    exit_day = _exit_day(trajectories, infused)
    ratio = population.background_mortality.standardised_mortality_ratio.x
    natural = natural_death_day(trajectories.patients, draws, background, ratio, exit_day)

    death = natural.copy()
    cause = np.full(n, r.BACKGROUND, dtype=np.int8)
    died = trajectories.has_status(DIED)
    death[died], cause[died] = exit_day[died], r.WAITING

    elsewhere = np.flatnonzero(~(infused | died))
    if elsewhere.size:
        law = population.other_care.survival
        ends = exit_day[elsewhere] + event_times(law, draws.exponential("death in other care")[elsewhere])
        _earliest(death, cause, elsewhere, ends, r.OTHER_CARE)

    course = _Course.empty(n)
    if product is not None:
        rows = np.flatnonzero(infused)
        course = _after_infusion(product, trajectories, draws, rows, exit_day[rows], death, cause, horizon, n)

    beyond = death > horizon
    death[beyond], cause[beyond] = np.inf, r.ALIVE
    survival = np.minimum(death, horizon)
    for day in (course.progression, course.relapse, course.relapse_care):
        day[day >= survival] = np.inf
    course.retreated &= np.isfinite(course.relapse)
    course.responded_again &= course.retreated
    if course.later is not None:
        course.later = course.later.cut(survival)

    rate = scenario.analysis.discount_rate_effects
    life_years = survival / DAYS_PER_YEAR
    qalys, qalys_discounted = _qalys(
        scenario, product, trajectories.patients.age, course, infused, exit_day, survival, rate
    )
    return r.Outcomes(
        arm_name=arm_name,
        horizon_days=horizon,
        infused=infused,
        exit_day=exit_day,
        infusion_day=np.where(infused, exit_day, np.nan),
        last_course_day=course.last_course,
        response=course.response,
        cured=course.cured,
        progression_day=course.progression,
        relapse_day=course.relapse,
        relapse_care_day=course.relapse_care,
        death_day=death,
        death_cause=cause,
        adverse_events=course.adverse_events,
        adverse_events_second_course={
            name: flag & course.retreated for name, flag in course.adverse_events_again.items()
        },
        aplasia=course.aplasia,
        aplasia_second_course=course.aplasia_again & course.retreated,
        retreated=course.retreated,
        responded_again=course.responded_again,
        survival_days=survival,
        life_years=life_years,
        life_years_discounted=discounted_years(survival, rate),
        qalys=qalys,
        qalys_discounted=qalys_discounted,
        later=course.later,
    )


@dataclass(slots=True)
class _Course:
    """Working columns of the treatment, shape (n,); filled for the infused."""

    last_course: Float
    response: Code
    cured: Bool
    progression: Float
    relapse: Float
    relapse_care: Float
    aplasia: Bool
    aplasia_again: Bool
    retreated: Bool
    responded_again: Bool
    adverse_events: dict[str, Bool]
    adverse_events_again: dict[str, Bool]
    later: LaterCourse | None = None

    @classmethod
    def empty(cls, n: int) -> _Course:
        never = np.full((3, n), np.inf)
        no = np.zeros((5, n), dtype=np.bool_)
        return cls(
            last_course=np.full(n, np.nan),
            response=np.zeros(n, dtype=np.int8),
            cured=no[0],
            progression=never[0],
            relapse=never[1],
            relapse_care=never[2],
            aplasia=no[1],
            aplasia_again=no[2],
            retreated=no[3],
            responded_again=no[4],
            adverse_events={},
            adverse_events_again={},
        )


def _arm(scenario: Scenario, arm_name: str) -> AnyArm:
    try:
        return scenario.arms[arm_name]
    except KeyError:
        raise InputError(
            "unknown arm",
            found=arm_name,
            allowed=", ".join(scenario.arms),
            hint=nearest(arm_name, scenario.arms),
        ) from None


def _exit_day(trajectories: Trajectories, infused: Bool) -> Float:
    if INFUSION not in trajectories.day:
        return trajectories.end_day
    return np.where(infused, trajectories.day[INFUSION], trajectories.end_day)


def _earliest(death: Float, cause: Code, rows: Int, candidate: Float, code: int) -> None:
    sooner = candidate < death[rows]
    chosen = rows[sooner]
    death[chosen] = candidate[sooner]
    cause[chosen] = code


def _after_infusion(
    arm: ProductArm,
    trajectories: Trajectories,
    draws: PatientDraws,
    rows: Int,
    infusion: Float,
    death: Float,
    cause: Code,
    horizon: float,
    n: int,
) -> _Course:
    """Fill the treatment columns of the infused; bring deaths forward where the disease or toxicity does."""
    efficacy = arm.efficacy
    course = _Course.empty(n)
    last_course = infusion
    if REDOSING_VISIT in trajectories.day:
        last_course = np.fmax(infusion, trajectories.day[REDOSING_VISIT][rows])
    intercepts = response_intercepts(arm)
    shift = response_shift(arm, trajectories, rows)
    able = trajectories.expressed[rows]
    response = responses(draws.log_odds("response")[rows], shift, intercepts, able)
    responded = response > 0

    worsened = np.where(trajectories.worsened[rows], efficacy.hazard_ratio_if_worsened.x, 1.0)
    relapse = last_course + event_times(efficacy.relapse, draws.exponential("relapse")[rows], worsened)
    if efficacy.cure is not None:
        share = efficacy.cure.among_complete_responders.x
        relapse[(response == COMPLETE_RESPONSE) & (draws.uniform("cure")[rows] < share)] = np.inf
    relapse[~responded] = np.inf
    progression = np.where(responded, relapse, last_course + efficacy.assessment.x)
    relapse_care = progression.copy()
    after = event_times(efficacy.survival_after_relapse, draws.exponential("death after relapse")[rows])
    toxicity = efficacy.non_relapse_mortality.x
    non_relapse = infusion + death_within_a_year(toxicity, draws.exponential("non-relapse mortality")[rows])
    transplanted = later_death = np.full(rows.size, np.inf)
    if arm.transplant is not None:
        alive = np.where(responded, np.minimum(np.minimum(death[rows], non_relapse), horizon), -np.inf)
        relapse, transplanted, later_death = first_transplants(
            arm.transplant, draws, rows, last_course, relapse, efficacy.relapse, worsened, alive
        )
        progression = np.where(responded, relapse, progression)
        relapse_care = progression.copy()

    retreatment = arm.retreatment
    if retreatment is not None:
        until = np.minimum(np.minimum(np.minimum(death[rows], non_relapse), later_death), horizon)
        wanted = draws.uniform("retreatment")[rows] < retreatment.share.x
        again = np.flatnonzero(wanted & (relapse < until))
        if again.size:
            patient = rows[again]
            second = responses(
                draws.log_odds("response to retreatment")[patient],
                shift[again] - trajectories.lot_effect[patient] + log_odds_ratio(retreatment.odds_ratio_of_response.x),
                intercepts,
                expressed_at_second_course(arm, draws.uniform("expression at retreatment")[patient]),
            )
            success = second > 0
            remission = event_times(
                efficacy.relapse, draws.exponential("relapse after retreatment")[patient], worsened[again]
            )
            relapse_care[again] += np.where(success, remission, 0.0)
            once_more = draws.exponential("non-relapse mortality", 1)[patient]
            toxic = relapse[again] + death_within_a_year(toxicity, once_more)
            non_relapse[again] = np.minimum(non_relapse[again], toxic)
            course.retreated[patient] = True
            course.responded_again[patient] = success
            course.adverse_events_again, course.aplasia_again = _toxicity(arm, draws, patient, n, 1)

    disease_death = relapse_care + after
    if has_later_course(arm):
        until = np.minimum(np.minimum(np.minimum(death[rows], non_relapse), later_death), horizon)
        lines, disease_death, treatment_death, transplanted = later_lines(
            arm, draws, rows, relapse_care, after, until, transplanted
        )
        later_death = np.minimum(later_death, treatment_death)
        course.later = _for_everybody(lines, transplanted, rows, n)
    _earliest(death, cause, rows, disease_death, r.DISEASE)
    _earliest(death, cause, rows, non_relapse, r.NON_RELAPSE)
    _earliest(death, cause, rows, later_death, r.LATER_TREATMENT)
    if arm.secondary_malignancy is not None and course.later is not None:
        onset, malignancy_death = secondary_malignancies(arm.secondary_malignancy, draws, rows, infusion)
        course.later.secondary_malignancy_day[rows] = onset
        _earliest(death, cause, rows, malignancy_death, r.SECONDARY_MALIGNANCY)
    course.last_course[rows] = last_course
    course.response[rows] = response
    course.cured[rows] = responded & np.isinf(relapse)
    course.progression[rows] = progression
    course.relapse[rows] = relapse
    course.relapse_care[rows] = relapse_care
    course.adverse_events, course.aplasia = _toxicity(arm, draws, rows, n, 0, trajectories.extra.get("bad_lot"))
    course.aplasia &= trajectories.expressed
    return course


def _for_everybody(lines: dict[str, LineCourse], transplanted: Float, rows: Int, n: int) -> LaterCourse:
    """Return the later course of the treated in arrays of all n patients."""
    later = LaterCourse.empty(n)
    later.transplant_day[rows] = transplanted
    for name, line in lines.items():
        whole = LineCourse(np.full(n, np.inf), np.zeros(n, dtype=np.bool_), np.full(n, np.inf))
        whole.start_day[rows], whole.responded[rows], whole.failure_day[rows] = (
            line.start_day,
            line.responded,
            line.failure_day,
        )
        later.lines[name] = whole
    return later


def _toxicity(
    arm: ProductArm, draws: PatientDraws, rows: Int, n: int, occurrence: int, bad_lot: Float | None = None
) -> tuple[dict[str, Bool], Bool]:
    """Return which of the treated patients have each adverse event, and aplasia, after a course."""
    treated = np.zeros(n, dtype=np.bool_)
    treated[rows] = True
    recall = None if isinstance(arm, AutologousArm) else arm.lots.recall
    events = {}
    for name, event in arm.toxicity.events.items():
        probability: Float | float = event.probability.x
        if bad_lot is not None and recall is not None and recall.odds_ratio_of_adverse_events is not None:
            ratio = np.where(bad_lot > 0.0, recall.odds_ratio_of_adverse_events.x, 1.0)
            probability = ratio * probability / (1.0 - probability + ratio * probability)
        events[name] = treated & (draws.uniform(f"adverse event: {name}", occurrence) < probability)
    aplasia = arm.toxicity.b_cell_aplasia
    if aplasia is None:
        return events, np.zeros(n, dtype=np.bool_)
    return events, treated & (draws.uniform("b-cell aplasia", occurrence) < aplasia.probability.x)


def _qalys(
    scenario: Scenario,
    arm: ProductArm | None,
    age: Float,
    course: _Course,
    infused: Bool,
    exit_day: Float,
    survival: Float,
    rate: float,
) -> tuple[Float, Float]:
    """Return undiscounted and discounted QALYs: utility of each stay times its age-adjusted length."""
    population = scenario.population
    adjustment = AgeAdjustment.of(population.utility_by_age, age)
    waiting = population.waiting_utility.x
    # Patients without a response keep the utility of waiting until the assessment: no remission.
    edges = np.empty((3, age.size))
    edges[0] = exit_day
    edges[1] = exit_day
    edges[2] = survival
    remission = 0.0
    last: float | Float = population.other_care.utility.x
    if arm is not None:
        remission = arm.long_term.utility_remission.x
        last = np.where(infused, arm.long_term.utility_relapsed.x, last)
        edges[1] = np.where(infused, course.relapse_care, exit_day)
        remission_starts = np.where(course.response > 0, course.last_course, course.relapse_care)
        edges[0] = np.where(infused, remission_starts, exit_day)
    np.minimum(edges[:2], survival, out=edges[:2])
    ends = starts = losses = np.zeros(0)
    patient = np.zeros(0, dtype=np.int64)
    if arm is not None:
        patient, starts, ends, losses = _utility_losses(arm, course, exit_day, survival)
    results: list[Float] = []
    for discount_rate in (0.0, rate):
        if discount_rate == 0.0 and results:
            results.append(results[0])
            continue
        years = adjustment.weighted_years(edges, discount_rate)
        qalys = waiting * years[0] + remission * (years[1] - years[0]) + last * (years[2] - years[1])
        if patient.size:
            theirs = adjustment.rows(patient)
            lasted = theirs.weighted_years(ends, discount_rate) - theirs.weighted_years(starts, discount_rate)
            qalys = qalys - np.bincount(patient, weights=losses * lasted, minlength=age.size)
        results.append(qalys)
    return results[0], results[1]


def _utility_losses(
    arm: ProductArm, course: _Course, infusion: Float, survival: Float
) -> tuple[Int, Float, Float, Float]:
    """Return patient, start, end and utility loss of adverse events and what follows later, cut at death and horizon."""
    patients, starts, lengths, losses = [], [], [], []
    for flags, start in ((course.adverse_events, infusion), (course.adverse_events_again, course.relapse)):
        for name, flag in flags.items():
            event = arm.toxicity.events[name]
            who = np.flatnonzero(flag & (start < survival))
            patients.append(who)
            starts.append(start[who])
            lengths.append(np.full(who.size, event.lasts.x))
            losses.append(np.full(who.size, event.utility_loss.x))
    patient = np.concatenate(patients)
    start = np.concatenate(starts)
    end = np.minimum(start + np.concatenate(lengths), survival[patient])
    if course.later is None:
        return patient, start, end, np.concatenate(losses)
    stays = list(utility_stays(arm, course.later, survival))
    return (
        np.concatenate([patient, *(stay.patient for stay in stays)]),
        np.concatenate([start, *(stay.start for stay in stays)]),
        np.concatenate([end, *(stay.end for stay in stays)]),
        np.concatenate([*losses, *(np.full(stay.patient.shape, stay.loss) for stay in stays)]),
    )
