"""Partitioned survival view of the infused: state occupancy from a progression-free and an overall survival curve.

Time zero is the infusion. With PFS(t) and OS(t) the two curves, the share of patients in each state is::

    progression-free   PFS(t)
    progressed         OS(t) - PFS(t)
    dead               1 - OS(t)

and every reward is an integral over these shares: utility x age multiplier x discount factor for QALYs, money
per day for running costs, and minus the increment of a curve for costs at progression and at death. The view
says nothing of how progression and death depend on each other: each curve is fitted and extrapolated by
itself (Woods, Sideris, Palmer, Latimer & Soares 2020, doi:10.1016/j.jval.2020.08.2094; NICE DSU Technical
Support Document 19, 2017). Where the overall curve falls below the progression-free curve, occupancy of the
progressed state is negative: it is reported and left as it is, so that states still sum to overall survival.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.units import DAYS_PER_MONTH, DAYS_PER_YEAR
from cartsight.outcomes.infused_curves import SurvivalCurve
from cartsight.outcomes.quality_of_life import AgeAdjustment, discounted_years
from cartsight.outcomes.result import Outcomes
from cartsight.scenario.arms import ProductArm

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

STEP_DAYS = 7.0
"""Width of the panels on which fitted curves are integrated; Simpson's rule inside each."""
FIRST_PANELS_DAYS = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Panels of the first week: a Weibull hazard with a shape below one is steepest there."""
NEGLIGIBLE_CROSSING = 1e-9


@dataclass(frozen=True, slots=True)
class LateEvent:
    """An event that curves do not show, as a share of the infused with mean dates: transplant, secondary malignancy.

    Attributes
    ----------
    category : str
    share : float
        Of the infused.
    at_days : float
        Mean day since infusion of those who have it.
    cost, per_day, utility_loss : float
        At the event, and while it lasts.
    days : float
        Mean time that it lasts, cut at death.
    """

    category: str
    share: float
    at_days: float
    cost: float
    per_day: float
    utility_loss: float
    days: float


@dataclass(frozen=True, slots=True)
class StateValues:
    """What a day in each state is worth and costs. Money in the scenario's unit, utilities at age of referral.

    Attributes
    ----------
    utility_progression_free, utility_progressed : float
    follow_up_first_year_per_day, follow_up_later_per_day : float
        While progression-free.
    progressed_per_day : float
    at_progression : float
        Per progression; `progressions_of_events` says which share of first events are progressions.
    at_death : float
    progressions_of_events : float
        Share of first events (progression or death) that are progressions, as a trial reports it.
    while_alive : tuple of (share, utility loss, money per day, days)
        Events and treatments that last a stated time from the infusion while the patient lives: adverse
        events (loss of utility), immunoglobulin (money per day).
    later_lines_per_day, later_lines_at_progression : float
        Later lines, spread over the time after progression and over progressions.
    late_events : tuple of LateEvent
    """

    utility_progression_free: float
    utility_progressed: float
    follow_up_first_year_per_day: float = 0.0
    follow_up_later_per_day: float = 0.0
    progressed_per_day: float = 0.0
    at_progression: float = 0.0
    at_death: float = 0.0
    progressions_of_events: float = 1.0
    while_alive: tuple[tuple[float, float, float, float], ...] = ()
    later_lines_per_day: float = 0.0
    later_lines_at_progression: float = 0.0
    late_events: tuple[LateEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where overall survival lies below progression-free survival, which no patient can bring about.

    Attributes
    ----------
    first_month, last_month : float
        Since infusion, within the horizon.
    largest_gap : float
        Largest PFS - OS.
    negative_life_years : float
        Undiscounted area between the curves while they are crossed (negative occupancy, per patient).
    """

    first_month: float
    last_month: float
    largest_gap: float
    negative_life_years: float


@dataclass(frozen=True, eq=False, slots=True)
class PartitionedSurvival:
    """Results per infused patient, discounted to the infusion.

    Attributes
    ----------
    progression_free, overall : SurvivalCurve
    life_years : dict of str to float
        Undiscounted, by state: ``progression-free``, ``progressed``.
    life_years_discounted, qalys : dict of str to float
        Discounted, by state; `qalys` also has ``adverse events`` (a loss).
    costs : dict of str to float
        Discounted: ``follow-up``, ``relapse care``, ``immunoglobulin``, ``end of life``; with them ``later lines``,
        ``transplant`` and ``secondary malignancy``.
    crossing : Crossing or None
    """

    progression_free: SurvivalCurve
    overall: SurvivalCurve
    life_years: dict[str, float]
    life_years_discounted: dict[str, float]
    qalys: dict[str, float]
    costs: dict[str, float]
    crossing: Crossing | None

    @property
    def totals(self) -> dict[str, float]:
        """Sums over states: life-years, discounted life-years, QALYs, costs."""
        return {
            "life_years": math.fsum(self.life_years.values()),
            "life_years_discounted": math.fsum(self.life_years_discounted.values()),
            "qalys": math.fsum(self.qalys.values()),
            "cost": math.fsum(self.costs.values()),
        }


def state_values(arm: ProductArm, outcomes: Outcomes, *, cost_of_second_course: float = 0.0) -> StateValues:
    """Return the utilities and costs of a scenario's arm as a partitioned survival model takes them.

    Shares that curves do not hold (adverse events, immunoglobulin, progressions among first events, second
    courses) are those of the simulated infused patients, as a trial would report them.

    Parameters
    ----------
    arm : ProductArm
    outcomes : Outcomes
        Of the same arm, with infused patients.
    cost_of_second_course : float
        Product and hospital of a second course, charged at progression for the share who were treated again.
    """
    infused = outcomes.infused & (outcomes.infusion_day < outcomes.horizon_days)
    n = int(infused.sum())
    progressed = np.isfinite(outcomes.progression_day[infused])
    first_events = int(np.sum(progressed | outcomes.dead[infused]))
    care = arm.long_term
    lasting = [
        (
            float(np.mean(flag[infused])),
            arm.toxicity.events[name].utility_loss.x,
            0.0,
            arm.toxicity.events[name].lasts.x,
        )
        for name, flag in outcomes.adverse_events.items()
    ]
    aplasia = arm.toxicity.b_cell_aplasia
    if aplasia is not None:
        per_day = aplasia.immunoglobulin_cost_per_month.x / DAYS_PER_MONTH
        lasting.append((float(np.mean(outcomes.aplasia[infused])), 0.0, per_day, aplasia.lasts.x))
    second = float(outcomes.retreated[infused].sum()) / max(int(progressed.sum()), 1)
    values = StateValues(
        utility_progression_free=care.utility_remission.x,
        utility_progressed=care.utility_relapsed.x,
        follow_up_first_year_per_day=care.follow_up_cost_first_year.x / DAYS_PER_YEAR,
        follow_up_later_per_day=care.follow_up_cost_per_year_later.x / DAYS_PER_YEAR,
        progressed_per_day=care.relapse_care_cost_per_month.x / DAYS_PER_MONTH,
        at_progression=care.relapse_care_cost_at_start.x + second * cost_of_second_course,
        at_death=care.end_of_life_cost.x,
        progressions_of_events=float(progressed.sum()) / first_events if first_events and n else 0.0,
        while_alive=tuple(lasting),
    )
    return values if outcomes.later is None else _with_later_course(values, arm, outcomes, infused)


def _with_later_course(values: StateValues, arm: ProductArm, outcomes: Outcomes, infused: Bool) -> StateValues:
    """Return the values with what follows a failure as averages: a state has one utility and one cost."""
    later, survival = outcomes.later, outcomes.survival_days
    assert later is not None
    progressed = infused & np.isfinite(outcomes.progression_day)
    days = max(float(np.sum(survival[progressed] - outcomes.progression_day[progressed])), 1e-9)
    care = arm.long_term
    gain = per_day = at_progression = answered = 0.0
    for name, course in later.lines.items():
        assert arm.after_relapse is not None
        line = arm.after_relapse.lines[name]
        ends = np.minimum(course.failure_day, survival)
        responding = float(np.sum((ends - course.start_day)[course.responded]))
        answered += responding / days
        gain += (line.utility_in_response.x - care.utility_relapsed.x) * responding / days
        given = np.isfinite(course.start_day)
        at_progression += line.cost_at_start.x * float(given.sum()) / max(int(progressed.sum()), 1)
        if line.cost_per_month is not None:
            longest = np.inf if line.paid_for_at_most is None else line.paid_for_at_most.x
            paid = float(np.sum(np.minimum(ends - course.start_day, longest)[given]))
            per_day += line.cost_per_month.x / DAYS_PER_MONTH * paid / days
    follow_up = care.follow_up_cost_per_year_later.x / DAYS_PER_YEAR
    events = []
    transplant, malignancy = arm.transplant, arm.secondary_malignancy
    if transplant is not None:
        events.append(
            ("transplant", later.transplant_day, transplant.cost.x, 0.0, transplant.utility_loss.x, transplant.lasts.x)
        )
    if malignancy is not None:
        monthly = 0.0 if malignancy.cost_per_month is None else malignancy.cost_per_month.x
        lasts = np.inf if malignancy.lasts is None else malignancy.lasts.x
        parts = (malignancy.cost_at_start.x, monthly / DAYS_PER_MONTH, malignancy.utility_loss.x, lasts)
        events.append(("secondary malignancy", later.secondary_malignancy_day, *parts))
    return replace(
        values,
        utility_progressed=values.utility_progressed + gain,
        progressed_per_day=values.progressed_per_day * (1.0 - answered) + follow_up * answered,
        later_lines_per_day=per_day,
        later_lines_at_progression=at_progression,
        late_events=tuple(_late_event(*event, outcomes, infused) for event in events),
    )


def _late_event(
    category: str,
    day: Float,
    cost: float,
    per_day: float,
    loss: float,
    lasts: float,
    outcomes: Outcomes,
    infused: Bool,
) -> LateEvent:
    who = np.flatnonzero(infused & np.isfinite(day))
    if not who.size:
        return LateEvent(category, 0.0, 0.0, cost, per_day, loss, 0.0)
    return LateEvent(
        category=category,
        share=who.size / int(infused.sum()),
        at_days=float(np.mean(day[who] - outcomes.infusion_day[who])),
        cost=cost,
        per_day=per_day,
        utility_loss=loss,
        days=float(np.mean(np.minimum(outcomes.survival_days[who] - day[who], lasts))),
    )


def partition(
    progression_free: SurvivalCurve,
    overall: SurvivalCurve,
    values: StateValues,
    *,
    horizon_days: float,
    discount_rate_costs: float,
    discount_rate_effects: float,
    age_adjustment: AgeAdjustment | None = None,
    wait_days: float = 0.0,
    follow_up_days: Float | None = None,
) -> PartitionedSurvival:
    """Return occupancy, life-years, QALYs and costs of the three states.

    Parameters
    ----------
    progression_free, overall : SurvivalCurve
        Since infusion.
    values : StateValues
    horizon_days : float
        From the infusion.
    discount_rate_costs, discount_rate_effects : float
        Per year, annual compounding; values are discounted to the infusion.
    age_adjustment : AgeAdjustment, optional
        Of one cohort (shape (1,)), with time zero at referral; none means utilities constant in age.
    wait_days : float
        Days from referral to infusion, which shift the age adjustment.
    follow_up_days : array, optional
        Days from infusion to the end of the analysis for each patient: both curves are weighted with the
        share still inside the horizon. By default everybody is followed for `horizon_days`.

    Returns
    -------
    PartitionedSurvival

    Raises
    ------
    InputError
        Horizon not positive, rates negative.
    """
    if not (math.isfinite(horizon_days) and horizon_days > 0.0):
        raise InputError("the horizon must be above zero days", field="horizon_days", found=horizon_days)
    for name, rate in (("costs", discount_rate_costs), ("effects", discount_rate_effects)):
        if not (math.isfinite(rate) and rate >= 0.0):
            raise InputError("a discount rate must not be negative", field=f"discount_rate_{name}", found=rate)
    lasting = [entry[3] for entry in values.while_alive]
    ends = np.zeros(0) if follow_up_days is None else np.asarray(follow_up_days, dtype=np.float64)
    edges = _edges(progression_free, overall, horizon_days, [np.array([DAYS_PER_YEAR, *lasting]), ends])
    inside = _share_followed(edges, follow_up_days)
    # Both curves on one grid; a panel counts with the share of patients whose analysis still runs.
    pfs = _panel_means(progression_free, edges) * inside
    alive = _panel_means(overall, edges) * inside
    progressed = alive - pfs
    states = {"progression-free": pfs, "progressed": progressed}

    years = np.diff(edges) / DAYS_PER_YEAR
    effect_years = np.diff(discounted_years(edges, discount_rate_effects))
    weighted = np.diff(_weighted_years(edges, discount_rate_effects, age_adjustment, wait_days))
    cost_days = np.diff(discounted_years(edges, discount_rate_costs)) * DAYS_PER_YEAR
    utilities = {
        "progression-free": values.utility_progression_free,
        "progressed": values.utility_progressed,
    }
    early = edges[1:] <= DAYS_PER_YEAR * (1.0 + 1e-12)
    follow_up = np.where(early, values.follow_up_first_year_per_day, values.follow_up_later_per_day)
    events = _falls(progression_free, edges) * inside
    deaths = _falls(overall, edges) * inside
    factor = _event_factor(progression_free, edges, discount_rate_costs)
    death_factor = _event_factor(overall, edges, discount_rate_costs)
    qalys = {name: float(utilities[name] * (share @ weighted)) for name, share in states.items()}
    loss = immunoglobulin = 0.0
    for share, utility_loss, per_day, days in values.while_alive:
        during = edges[1:] <= days * (1.0 + 1e-12)
        loss += share * utility_loss * float(alive[during] @ weighted[during])
        immunoglobulin += share * per_day * float(alive[during] @ cost_days[during])
    qalys["adverse events"] = -loss
    progressions = values.progressions_of_events * float(events @ factor)
    relapse = values.progressed_per_day * float(progressed @ cost_days) + values.at_progression * progressions
    costs = {
        "follow-up": float(pfs @ (follow_up * cost_days)),
        "relapse care": relapse,
        "immunoglobulin": immunoglobulin,
        "end of life": values.at_death * float(deaths @ death_factor),
    }
    if values.later_lines_per_day or values.later_lines_at_progression:
        costs["later lines"] = values.later_lines_per_day * float(progressed @ cost_days)
        costs["later lines"] += values.later_lines_at_progression * progressions
    for event in values.late_events:
        span = np.array([event.at_days, event.at_days + event.days])
        weighted_span = np.diff(_weighted_years(span, discount_rate_effects, age_adjustment, wait_days)).item()
        qalys[event.category] = -event.share * event.utility_loss * weighted_span
        paid = event.cost * math.exp(-math.log1p(discount_rate_costs) * event.at_days / DAYS_PER_YEAR)
        paid += event.per_day * np.diff(discounted_years(span, discount_rate_costs)).item() * DAYS_PER_YEAR
        costs[event.category] = event.share * paid
    return PartitionedSurvival(
        progression_free=progression_free,
        overall=overall,
        life_years={name: float(share @ years) for name, share in states.items()},
        life_years_discounted={name: float(share @ effect_years) for name, share in states.items()},
        qalys=qalys,
        costs=costs,
        crossing=_crossing(edges, pfs, alive),
    )


def occupancy(progression_free: SurvivalCurve, overall: SurvivalCurve, months: npt.ArrayLike) -> dict[str, Float]:
    """Return the share in each state at `months` since infusion; the progressed share is negative at a crossing."""
    days = np.atleast_1d(np.asarray(months, dtype=np.float64)) * DAYS_PER_MONTH
    if not np.all(np.isfinite(days) & (days >= 0.0)):
        raise InputError("months must be finite and not negative", field="months", found=months)
    pfs, alive = progression_free.survival(days), overall.survival(days)
    return {"progression-free": pfs, "progressed": alive - pfs, "dead": 1.0 - alive}


def _edges(first: SurvivalCurve, second: SurvivalCurve, horizon: float, extra: list[Float]) -> Float:
    pieces = [np.array([0.0, horizon]), *extra, np.array(FIRST_PANELS_DAYS)]
    curves = [curve.jumps() for curve in (first, second)]
    pieces += [jumps for jumps in curves if jumps is not None]
    if any(jumps is None for jumps in curves):
        pieces.append(np.arange(0.0, horizon, STEP_DAYS))
    edges = np.unique(np.concatenate(pieces))
    return np.asarray(edges[(edges >= 0.0) & (edges <= horizon)])


def _panel_means(curve: SurvivalCurve, edges: Float) -> Float:
    """Return the mean of S in each panel: exact for a step curve whose jumps are edges, Simpson's rule else."""
    left = curve.survival(edges[:-1])
    if curve.jumps() is not None:
        return left
    return np.asarray((left + 4.0 * curve.survival(0.5 * (edges[:-1] + edges[1:])) + curve.survival(edges[1:])) / 6.0)


def _falls(curve: SurvivalCurve, edges: Float) -> Float:
    return np.asarray(-np.diff(curve.survival(edges)))


def _event_factor(curve: SurvivalCurve, edges: Float, rate: float) -> Float:
    """Return the discount factor of the events in each panel: at its end for steps, at its middle else."""
    at = edges[1:] if curve.jumps() is not None else 0.5 * (edges[:-1] + edges[1:])
    return np.asarray(np.exp(-math.log1p(rate) * at / DAYS_PER_YEAR))


def _share_followed(edges: Float, follow_up_days: Float | None) -> Float:
    middle = 0.5 * (edges[:-1] + edges[1:])
    if follow_up_days is None:
        return np.ones(middle.shape)
    ends = np.sort(np.asarray(follow_up_days, dtype=np.float64))
    return np.asarray(1.0 - np.searchsorted(ends, middle, side="right") / ends.size)


def _weighted_years(edges: Float, rate: float, adjustment: AgeAdjustment | None, wait: float) -> Float:
    if adjustment is None:
        return discounted_years(edges, rate)
    # The adjustment counts time and discounting from referral; both are moved to the infusion.
    growth = math.exp(math.log1p(rate) * wait / DAYS_PER_YEAR)
    return np.asarray(adjustment.weighted_years(edges + wait, rate) * growth)


def _crossing(edges: Float, pfs: Float, alive: Float) -> Crossing | None:
    gap = pfs - alive
    crossed = np.flatnonzero(gap > NEGLIGIBLE_CROSSING)
    if crossed.size == 0:
        return None
    width = np.diff(edges)
    return Crossing(
        first_month=float(edges[crossed[0]] / DAYS_PER_MONTH),
        last_month=float(edges[crossed[-1] + 1] / DAYS_PER_MONTH),
        largest_gap=float(gap.max()),
        negative_life_years=float(-(gap[crossed] @ width[crossed]) / DAYS_PER_YEAR),
    )
