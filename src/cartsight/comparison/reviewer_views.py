"""Views of the arms that reviewers ask for, on one run at the point values: severity, one-time therapy, equity.

Each joins a method of the economics room to the arms' runs; the methods and their sources are there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.comparison.single_arm import ArmRun, run_arms
from cartsight.core.errors import InputError, nearest
from cartsight.economics.equity import (
    AGE_EDGES,
    AVERSIONS,
    EquityView,
    equity_view,
    patient_groups,
    qalys_before,
)
from cartsight.economics.pricing import cost_ledger
from cartsight.economics.severity import (
    ARA_BRAZIER_2010,
    MANUAL,
    NICE_DISCOUNT_RATE,
    QalyShortfall,
    population_qalys,
    qaly_shortfall,
)
from cartsight.economics.single_therapy_scenarios import (
    SingleTherapyScenarios,
    cost_by_year,
    single_therapy_scenarios,
    years_of,
)
from cartsight.evidence.life_tables import life_table
from cartsight.scenario import Scenario
from cartsight.scenario.arms import as_product

Float = npt.NDArray[np.float64]

LIFETIME_YEARS = 100.0


@dataclass(frozen=True, slots=True)
class WeightedArm:
    """One arm against established practice with and without the severity weight.

    Attributes
    ----------
    incremental_cost, incremental_qalys : float
    icer, weighted_icer : float or None
        None unless cost and QALYs both rise.
    net_benefit, weighted_net_benefit : float
        Incremental, at the decision threshold.
    """

    arm: str
    incremental_cost: float
    incremental_qalys: float
    icer: float | None
    weighted_icer: float | None
    net_benefit: float
    weighted_net_benefit: float


@dataclass(frozen=True, slots=True)
class SeverityView:
    """Shortfall of the patients under established practice, and what its weight does to every arm.

    Attributes
    ----------
    shortfall_error : float
        Monte Carlo standard error of the absolute shortfall.
    remarks : tuple of str
        Where the inputs are not those that NICE prescribes.
    """

    current_care: str
    patients: int
    discount_rate: float
    shortfall: QalyShortfall
    shortfall_error: float
    threshold: float
    arms: tuple[WeightedArm, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, eq=False, slots=True)
class SingleTherapyArm:
    """The scenarios of one arm against the comparator."""

    arm: str
    comparator: str
    scenarios: SingleTherapyScenarios


@dataclass(frozen=True, slots=True)
class EquityArm:
    """Who gains from one arm instead of the reference arm."""

    arm: str
    reference: str
    view: EquityView


def established_practice(scenario: Scenario, name: str | None = None) -> str:
    """Return the arm that stands for established practice: `name`, else care without a product, else the reference.

    Raises
    ------
    InputError
        Unknown arm.
    """
    if name is not None:
        if name not in scenario.arms:
            raise InputError(
                "unknown arm", found=name, allowed=", ".join(scenario.arms), hint=nearest(name, scenario.arms)
            )
        return name
    without = [arm for arm in scenario.arms if as_product(scenario.arms[arm]) is None]
    return without[0] if without else scenario.reference_arm


def severity_view(scenario: Scenario, *, current_care: str | None = None, seed: int | None = None) -> SeverityView:
    """Return the QALY shortfall under established practice with the weights of NICE.

    The arms are run with both rates at 3.5 % and to the death of every patient, whatever the scenario's analysis says:
    shortfalls count the remaining lifetime.

    Raises
    ------
    InputError
        Unknown arm, or a pathway that cannot work.
    """
    care = established_practice(scenario, current_care)
    changed = scenario.with_analysis(
        discount_rate_costs=NICE_DISCOUNT_RATE, discount_rate_effects=NICE_DISCOUNT_RATE, horizon_years=LIFETIME_YEARS
    )
    runs = run_arms(changed, scenario.analysis.seed if seed is None else seed)
    base = runs[care]
    mortality = scenario.population.background_mortality
    table = life_table(mortality.life_table, mortality.year)
    patients = base.trajectories.patients
    without = population_qalys(table, patients.age, patients.female, discount_rate=NICE_DISCOUNT_RATE)
    shortfall = qaly_shortfall(float(without.mean()), float(base.effect.mean()))
    threshold = scenario.analysis.decision_threshold
    arms = []
    for name, run in runs.items():
        if name == care:
            continue
        more, gain = float(run.cost.mean() - base.cost.mean()), float(run.effect.mean() - base.effect.mean())
        worth = more > 0.0 and gain > 0.0
        arms.append(
            WeightedArm(
                arm=name,
                incremental_cost=more,
                incremental_qalys=gain,
                icer=more / gain if worth else None,
                weighted_icer=more / (shortfall.weight * gain) if worth else None,
                net_benefit=threshold * gain - more,
                weighted_net_benefit=threshold * shortfall.weight * gain - more,
            )
        )
    return SeverityView(
        current_care=care,
        patients=len(base.outcomes),
        discount_rate=NICE_DISCOUNT_RATE,
        shortfall=shortfall,
        shortfall_error=_error(without - base.effect),
        threshold=threshold,
        arms=tuple(arms),
        remarks=_severity_remarks(scenario, care, shortfall),
    )


def _severity_remarks(scenario: Scenario, care: str, shortfall: QalyShortfall) -> tuple[str, ...]:
    mortality = scenario.population.background_mortality
    remarks = [
        f"Cut-offs and weights: {MANUAL}.",
        f"General population: life table {mortality.life_table} {mortality.year}, utilities of {ARA_BRAZIER_2010.citation}; NICE "
        "asks for the life tables of England and the norms of Hernandez Alava et al. 2022.",
        f"Established practice is the arm {care!r}, all referred patients counted.",
    ]
    near = shortfall.to_next_cut_off
    if (near["absolute"] is not None and near["absolute"] < 1.0) or (
        near["proportional"] is not None and near["proportional"] < 0.02
    ):
        remarks.append(
            "The shortfall lies within 1 QALY or 2 points of the next cut-off: the weight hangs on the inputs above."
        )
    if not mortality.life_table.startswith(("uk", "england")):
        remarks.append("The scenario is not set in England: the weight illustrates the rule, it is not a NICE result.")
    return tuple(remarks)


def single_therapy_view(
    scenario: Scenario,
    *,
    comparator: str | None = None,
    seed: int | None = None,
    runs: dict[str, ArmRun] | None = None,
) -> tuple[SingleTherapyArm, ...]:
    """Return the scenarios for single or short-term therapies of every arm with a product and a price.

    `runs` are the arms at the point values where they have been run already.

    Raises
    ------
    InputError
        Unknown comparator, a perspective without prices, or no arm to look at.
    """
    if scenario.analysis.perspective != "payer":
        raise InputError(
            "value-based prices need the payer perspective",
            field="analysis.perspective",
            found=scenario.analysis.perspective,
        )
    against = established_practice(scenario, comparator)
    if runs is None:
        runs = run_arms(scenario, scenario.analysis.seed if seed is None else seed)
    years = years_of(scenario.analysis.horizon_years * 365.25)
    base = runs[against]
    comparator_years = _by_year(base, years, ())
    found = []
    for name, run in runs.items():
        product = as_product(scenario.arms[name])
        if product is None or name == against or product.price.per_patient.x <= 0.0:
            continue
        price = product.price.per_patient.x
        paid = float(run.costs.of("product").mean()) / price
        if paid <= 0.0:
            continue
        other = _by_year(run, years, ("product",))
        size = max(other.size, comparator_years.size)
        found.append(
            SingleTherapyArm(
                name,
                against,
                single_therapy_scenarios(
                    np.pad(comparator_years, (0, size - comparator_years.size)),
                    np.pad(other, (0, size - other.size)),
                    incremental_qalys=float(run.effect.mean() - base.effect.mean()),
                    paid_per_patient=paid,
                    price=price,
                    wtp=scenario.analysis.decision_threshold,
                    discount_rate=scenario.analysis.discount_rate_costs,
                ),
            )
        )
    if not found:
        raise InputError("no arm has a product with a price to look at", field="arms", found=list(scenario.arms))
    return tuple(found)


def _by_year(run: ArmRun, years: int, without: tuple[str, ...]) -> Float:
    ledger = cost_ledger(run.trajectories, run.outcomes, run.scenario, run.name)
    return cost_by_year(ledger, years, without=without)


def equity_views(
    scenario: Scenario,
    *,
    aversions: Sequence[float] = AVERSIONS,
    age_edges: Sequence[float] = AGE_EDGES,
    lifetime: bool = True,
    seed: int | None = None,
    runs: dict[str, ArmRun] | None = None,
) -> tuple[EquityArm, ...]:
    """Return who gains from each arm instead of the reference arm, by region, age and sex.

    Parameters
    ----------
    scenario : Scenario
        With at least two arms.
    aversions : sequence of float
        Values of Atkinson's eta.
    age_edges : sequence of float
        Limits between age groups, years.
    lifetime : bool
        Count QALYs lived before the referral; else health is what remains from referral on.
    seed : int, optional
    runs : dict of str to ArmRun, optional
        The arms at the point values where they have been run already.

    Raises
    ------
    InputError
        One arm only, age limits that do not rise, negative aversion.
    """
    if len(scenario.arms) < 2:
        raise InputError("an equity view compares at least two arms", field="arms", found=list(scenario.arms))
    if runs is None:
        runs = run_arms(scenario, scenario.analysis.seed if seed is None else seed)
    reference = runs[scenario.reference_arm]
    patients = reference.trajectories.patients
    names, group = patient_groups(
        patients.region, list(scenario.population.regions), patients.age, patients.female, age_edges
    )
    before = qalys_before(patients.age, patients.female) if lifetime else None
    # Undiscounted: health lived and health to come are levels of one life, not present values.
    return tuple(
        EquityArm(
            name,
            reference.name,
            equity_view(reference.outcomes.qalys, run.outcomes.qalys, names, group, before=before, aversions=aversions),
        )
        for name, run in runs.items()
        if name != reference.name
    )


def _error(values: Float) -> float:
    return float(values.std(ddof=1) / math.sqrt(values.size)) if values.size > 1 else math.nan
