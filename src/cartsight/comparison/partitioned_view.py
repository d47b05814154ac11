"""The partitioned survival view of an arm beside what its patients did, and a warning where the two disagree.

Two views are made of the same infused patients. With complete follow-up the area between the two Kaplan-Meier
curves *is* the mean time after progression, so that the first view differs from the patients only by what
three states cannot hold: a second remission, time before the response, ages that differ between patients. The
second view sees what a trial sees, curves cut at some follow-up, fits a law to each endpoint by itself and
extrapolates: here the dependence of death on progression, and cure, are lost. The difference between the two
views is therefore the price of separate extrapolation, and that between the first view and the patients the
price of three states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.comparison.single_arm import ArmRun
from cartsight.core.errors import InputError
from cartsight.core.units import DAYS_PER_YEAR
from cartsight.evidence.life_tables import life_table
from cartsight.outcomes.background import background_hazard
from cartsight.outcomes.infused_curves import (
    PopulationBackground,
    SurvivalCurve,
    empirical_curves,
    fitted_curves,
)
from cartsight.outcomes.partitioned_survival import (
    PartitionedSurvival,
    partition,
    state_values,
)
from cartsight.outcomes.qaly_breakdown import qalys_by_state
from cartsight.outcomes.quality_of_life import AgeAdjustment, discounted_years
from cartsight.scenario.arms import as_product

Float = npt.NDArray[np.float64]

TOLERANCE = 0.05
"""Relative difference from the patients above which a quantity is reported as a disagreement."""
QUANTITIES: tuple[str, ...] = ("life_years", "life_years_discounted", "qalys", "cost")
CROSSING_WORTH_A_WARNING = 0.001
"""Smaller gaps between crossed curves are in the results, not among the warnings."""
CURVE_CATEGORIES: tuple[str, ...] = (
    "follow-up",
    "relapse care",
    "retreatment",
    "later lines",
    "transplant",
    "secondary malignancy",
    "immunoglobulin",
    "end of life",
)
"""Cost categories that follow from the two curves; product, hospital and first toxicity are paid at the infusion."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One quantity per infused patient in the patients and in a partitioned survival view.

    Attributes
    ----------
    patients, standard_error : float
        Mean over infused patients from the infusion, and its Monte Carlo standard error.
    partitioned : float
    difference, relative_difference : float
        Partitioned minus patients.
    beyond_tolerance : bool
        Larger than the tolerance, and than twice the Monte Carlo error where the curves are fitted.
    """

    quantity: str
    patients: float
    standard_error: float
    partitioned: float
    difference: float
    relative_difference: float
    beyond_tolerance: bool


@dataclass(frozen=True, eq=False, slots=True)
class PartitionedView:
    """Partitioned survival views of one arm beside its patients; all values per infused patient at the infusion.

    Attributes
    ----------
    background : bool
        Whether the extrapolated curves carry background mortality.
    complete, extrapolated : PartitionedSurvival
        From complete follow-up (Kaplan-Meier), and from laws fitted to cut follow-up.
    complete_rows, extrapolated_rows : tuple of Disagreement
    below_population_from_year : float or None
        Year after infusion from which the fitted hazard of death is below the general population's.
    warnings : tuple of str
    """

    arm: str
    infused: int
    follow_up_months: float
    background: bool
    tolerance: float
    patients_by_state: dict[str, dict[str, float]]
    complete: PartitionedSurvival
    extrapolated: PartitionedSurvival
    complete_rows: tuple[Disagreement, ...]
    extrapolated_rows: tuple[Disagreement, ...]
    below_population_from_year: float | None
    warnings: tuple[str, ...]


def partitioned_view(
    run: ArmRun,
    *,
    model: str = "best",
    follow_up_months: float = 36.0,
    tolerance: float = TOLERANCE,
    background: bool = True,
) -> PartitionedView:
    """Return the partitioned survival views of a run beside its patients.

    Parameters
    ----------
    run : ArmRun
        Of an arm with a product.
    model : str
        Survival model of the extrapolated view; ``"best"`` takes the lowest AIC for each endpoint.
    follow_up_months : float
        Follow-up that the extrapolated view sees.
    tolerance : float
        Relative difference that is still called agreement.
    background : bool
        Extrapolate the excess hazard over the scenario's background mortality (life table x standardised mortality
        ratio), as NICE DSU Technical Support Document 21 advises; else the hazard of all causes.

    Raises
    ------
    InputError
        An arm without infused patients, an unknown model, a tolerance that is not positive.
    """
    if not (math.isfinite(tolerance) and tolerance > 0.0):
        raise InputError("a tolerance must be above zero", field="tolerance", found=tolerance)
    product = as_product(run.scenario.arms[run.name])
    if product is None:
        raise InputError(
            "a partitioned survival view needs an arm with a product", field=f"arms.{run.name}", found="other_care"
        )
    outcomes, analysis = run.outcomes, run.scenario.analysis
    curves = empirical_curves(outcomes)
    infused = outcomes.infused & (outcomes.infusion_day < outcomes.horizon_days)
    wait = outcomes.infusion_day[infused]
    age = run.trajectories.patients.age
    values = state_values(product, outcomes, cost_of_second_course=_second_course_cost(run))
    cohort = AgeAdjustment.of(run.scenario.population.utility_by_age, np.array([age[infused].mean()]))

    def view(pair: tuple[SurvivalCurve, SurvivalCurve]) -> PartitionedSurvival:
        return partition(
            *pair,
            values,
            horizon_days=float((outcomes.horizon_days - wait).max()),
            discount_rate_costs=analysis.discount_rate_costs,
            discount_rate_effects=analysis.discount_rate_effects,
            age_adjustment=cohort,
            wait_days=float(wait.mean()),
            follow_up_days=outcomes.horizon_days - wait,
        )

    complete = view(curves)
    population = _background(run, infused) if background else None
    extrapolated = view(fitted_curves(outcomes, model=model, follow_up_months=follow_up_months, background=population))
    each, by_state = patients_after_infusion(run)
    below = year_below_population(run, extrapolated.overall)
    complete_rows = _rows(each, complete, tolerance, 0.0)
    extrapolated_rows = _rows(each, extrapolated, tolerance, 2.0)
    return PartitionedView(
        arm=run.name,
        infused=int(infused.sum()),
        follow_up_months=follow_up_months,
        background=population is not None,
        tolerance=tolerance,
        patients_by_state=by_state,
        complete=complete,
        extrapolated=extrapolated,
        complete_rows=complete_rows,
        extrapolated_rows=extrapolated_rows,
        below_population_from_year=below,
        warnings=_warnings(
            run, complete, extrapolated, complete_rows, extrapolated_rows, follow_up_months, tolerance, below
        ),
    )


def patients_after_infusion(run: ArmRun) -> tuple[dict[str, Float], dict[str, dict[str, float]]]:
    """Return what the infused patients did, from the infusion on and discounted to it.

    Returns
    -------
    dict of str to array, shape (infused,)
        `QUANTITIES` of each infused patient; costs are those of `CURVE_CATEGORIES`.
    dict
        Means by state or category: ``life_years`` (undiscounted), ``life_years_discounted``, ``qalys``, ``costs``.
    """
    outcomes, analysis = run.outcomes, run.scenario.analysis
    infused = outcomes.infused & (outcomes.infusion_day < outcomes.horizon_days)
    start = outcomes.infusion_day[infused]
    end = outcomes.survival_days[infused]
    progression = np.minimum(outcomes.progression_day[infused], end)
    effect_growth = (1.0 + analysis.discount_rate_effects) ** (start / DAYS_PER_YEAR)
    cost_growth = (1.0 + analysis.discount_rate_costs) ** (start / DAYS_PER_YEAR)
    rate = analysis.discount_rate_effects
    years = {
        "progression-free": (progression - start) / DAYS_PER_YEAR,
        "progressed": (end - progression) / DAYS_PER_YEAR,
    }
    discounted = {
        "progression-free": discounted_years(progression - start, rate),
        "progressed": discounted_years(end - start, rate) - discounted_years(progression - start, rate),
    }
    states = {
        name: values[infused] * effect_growth
        for name, values in qalys_by_state(outcomes, run.scenario, run.trajectories.patients.age).items()
        if name not in {"waiting", "other care"}
    }
    costs = {name: run.costs.of(name)[infused] * cost_growth for name in CURVE_CATEGORIES}
    each = {
        "life_years": np.asarray(sum(years.values())),
        "life_years_discounted": np.asarray(sum(discounted.values())),
        "qalys": np.asarray(sum(states.values())),
        "cost": np.asarray(sum(costs.values())),
    }
    parts = {"life_years": years, "life_years_discounted": discounted, "qalys": states, "costs": costs}
    return each, {kind: {name: float(np.mean(values)) for name, values in part.items()} for kind, part in parts.items()}


def _background(run: ArmRun, infused: npt.NDArray[np.bool_]) -> PopulationBackground | None:
    mortality = run.scenario.population.background_mortality
    if mortality.standardised_mortality_ratio.x == 0.0:
        return None
    patients = run.trajectories.patients
    return PopulationBackground(
        patients.age[infused] + run.outcomes.infusion_day[infused] / DAYS_PER_YEAR,
        patients.female[infused],
        background_hazard(mortality.life_table, mortality.year),
        mortality.standardised_mortality_ratio.x,
    )


def year_below_population(run: ArmRun, curve: SurvivalCurve) -> float | None:
    """Return the first year after infusion in which `curve` has less mortality than the general population.

    The population is made of people of the age and sex of the infused, at the mortality of the scenario's life
    table without its standardised mortality ratio. None when the curve stays above it up to the horizon.
    """
    mortality = run.scenario.population.background_mortality
    table = life_table(mortality.life_table, mortality.year)
    infused = run.outcomes.infused & (run.outcomes.infusion_day < run.outcomes.horizon_days)
    patients = run.trajectories.patients
    age = patients.age[infused] + run.outcomes.infusion_day[infused] / DAYS_PER_YEAR
    years = np.arange(0.0, math.floor(run.outcomes.horizon_days / DAYS_PER_YEAR) + 1.0)
    population = table.survival(age[:, None], patients.female[infused][:, None], years[None, :]).mean(axis=0)
    fitted = curve.survival(years * DAYS_PER_YEAR)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = np.flatnonzero(np.log(fitted[:-1] / fitted[1:]) < np.log(population[:-1] / population[1:]))
    return float(years[below[0]]) if below.size else None


def _second_course_cost(run: ArmRun) -> float:
    """Return product and hospital cost of a second course under the analysis's perspective."""
    product = as_product(run.scenario.arms[run.name])
    if product is None or product.retreatment is None:
        return 0.0
    payer = run.scenario.analysis.perspective == "payer"
    unit = product.price.per_patient.x if payer else (run.goods.per_infused if run.goods is not None else 0.0)
    lymphodepletion = product.hospital.lymphodepletion
    return unit + product.hospital.infusion_and_stay.x + (0.0 if lymphodepletion is None else lymphodepletion.x)


def _rows(
    each: dict[str, Float], view: PartitionedSurvival, tolerance: float, errors: float
) -> tuple[Disagreement, ...]:
    totals = view.totals
    rows = []
    for name in QUANTITIES:
        patients = float(each[name].mean())
        error = float(each[name].std(ddof=1) / math.sqrt(each[name].size)) if each[name].size > 1 else math.nan
        difference = totals[name] - patients
        relative = difference / abs(patients) if patients != 0.0 else (0.0 if difference == 0.0 else math.inf)
        # Both views are of the same patients: only the fitted one adds an error of its own.
        noise = errors * error if math.isfinite(error) else 0.0
        beyond = abs(relative) > tolerance and abs(difference) > noise
        rows.append(Disagreement(name, patients, error, totals[name], difference, relative, beyond))
    return tuple(rows)


_WORDS = {
    "life_years": "life-years",
    "life_years_discounted": "discounted life-years",
    "qalys": "discounted QALYs",
    "cost": "discounted cost after infusion",
}


def _warnings(
    run: ArmRun,
    complete: PartitionedSurvival,
    extrapolated: PartitionedSurvival,
    complete_rows: tuple[Disagreement, ...],
    extrapolated_rows: tuple[Disagreement, ...],
    follow_up_months: float,
    tolerance: float,
    below_population: float | None,
) -> tuple[str, ...]:
    outcomes = run.outcomes
    infused = outcomes.infused
    warnings = []
    off = [row for row in complete_rows if row.beyond_tolerance]
    if off:
        again = float(np.mean(outcomes.responded_again[infused]))
        warnings.append(
            f"{run.name}: with complete follow-up the partitioned view differs by more than {100 * tolerance:g} % in "
            + _list(off)
            + ". The time in its two states is that of the patients by construction, so the difference is what three "
            f"states cannot hold: second remissions ({100 * again:.1f} % of the infused), {_later_words(run)}time before the "
            "response, one age for everybody, and the same share of progressions among early and late first events."
        )
    off = [row for row in extrapolated_rows if row.beyond_tolerance]
    if off:
        cured = float(np.mean(outcomes.cured[infused]))
        warnings.append(
            f"{run.name}: curves cut at {follow_up_months:g} months and extrapolated apart "
            f"({extrapolated.progression_free.label} for progression-free, {extrapolated.overall.label} for overall "
            f"survival) differ by more than {100 * tolerance:g} % in "
            + _list(off)
            + ". A partitioned view ignores that death depends on progression: the hazard of death after the cut is "
            "read off the curve of everybody, whoever of them has progressed"
            + (
                f"; those still alive are more and more those who never relapse ({100 * cured:.0f} % of the infused)."
                if cured > 0.0
                else "."
            )
        )
    if below_population is not None:
        warnings.append(
            f"{run.name}, extrapolated: the fitted hazard of death falls below that of the general population of the same "
            f"age and sex from year {below_population:g} after infusion. Nothing is capped."
        )
    for name, view in (("complete follow-up", complete), ("extrapolated", extrapolated)):
        if view.crossing is not None and view.crossing.largest_gap > CROSSING_WORTH_A_WARNING:
            gap = view.crossing
            warnings.append(
                f"{run.name}, {name}: overall survival lies below progression-free survival between months "
                f"{gap.first_month:.0f} and {gap.last_month:.0f} (by up to {100 * gap.largest_gap:.1f} points; "
                f"{gap.negative_life_years:.3f} life-years of negative occupancy). The curves are left as they are."
            )
    return tuple(warnings)


def _later_words(run: ArmRun) -> str:
    later, infused = run.outcomes.later, run.outcomes.infused
    if later is None:
        return ""
    answered = np.zeros(infused.shape, dtype=np.bool_)
    for line in later.lines.values():
        answered |= line.responded
    shares = {
        "responses to later lines": answered,
        "transplants": np.isfinite(later.transplant_day),
        "secondary malignancies": np.isfinite(later.secondary_malignancy_day),
    }
    found = [(name, 100 * float(np.mean(flag[infused]))) for name, flag in shares.items()]
    return "".join(f"{name} ({share:.1f} %), " for name, share in found if share > 0.0)


def _list(rows: list[Disagreement]) -> str:
    return ", ".join(
        f"{_WORDS[row.quantity]} ({row.partitioned:,.2f} against {row.patients:,.2f}, {100 * row.relative_difference:+.0f} %)"
        for row in rows
    )
