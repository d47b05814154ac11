"""The patients of the study: every arm at the point values and at each parameter draw, priced under several rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.comparison.parameter_draws import draw_parameters
from cartsight.comparison.single_arm import ArmRun, price_arm, run_arms
from cartsight.core.units import DAYS_PER_YEAR
from cartsight.economics.contracts import SimulatedPatients, simulated_patients
from cartsight.economics.discounting import discounted_life_years
from cartsight.economics.pricing import cost_ledger
from cartsight.economics.severity import NICE_DISCOUNT_RATE, population_qalys
from cartsight.economics.single_therapy_scenarios import cost_by_year, years_of
from cartsight.evidence.life_tables import life_table
from cartsight.scenario import Scenario
from cartsight.scenario.arms import as_product
from cartsight.simulation.pathways import ArmFlow
from cartsight.studies.answers import Progress

Float = npt.NDArray[np.float64]

PRODUCT, COMPARATOR = "autologous-central", "other-care"
PRODUCTS: tuple[str, ...] = ("autologous-central", "allogeneic-donor", "in-vivo-lentiviral")
RATES: tuple[float, ...] = (0.03, 0.035, 0.015)
RETIREMENT_AGE = 67.0


@dataclass(frozen=True, slots=True)
class ArmValue:
    """Means per referred patient of one arm at one pair of rates.

    Parameters
    ----------
    other_cost : float
        Without the product.
    paid : float
        Discounted times the price is paid.
    qalys : float
    """

    other_cost: float
    paid: float
    qalys: float


@dataclass(frozen=True, eq=False, slots=True)
class StudyDraw:
    """What the questions need of one parameter draw.

    Parameters
    ----------
    infused : dict of arm to SimulatedPatients
    value : dict of (arm, rate) to ArmValue
    working_years : dict of arm to float
        Discounted (3 %) life-years before `RETIREMENT_AGE` per referred patient.
    cost_by_year : dict of arm to array
        Undiscounted, without the product.
    price : dict of arm to float
    expected_qalys_without_disease : float
        Of people of the same age and sex, at the rate of NICE.
    net_benefit : dict of arm to (success, failure) floats
        Money per infused patient by success at 18 months, at the threshold; NaN where nobody is.
    comparator_net_benefit : float
    """

    infused: dict[str, SimulatedPatients]
    value: dict[tuple[str, float], ArmValue]
    working_years: dict[str, float]
    cost_by_year: dict[str, Float]
    price: dict[str, float]
    expected_qalys_without_disease: float
    net_benefit: dict[str, tuple[float, float]]
    comparator_net_benefit: float


SUCCESS_MONTH = 18.0


def study_draw(scenario: Scenario, seed: int) -> StudyDraw:
    """Return the study's quantities at one set of values."""
    threshold = scenario.analysis.decision_threshold
    runs = run_arms(scenario, seed, (*PRODUCTS, COMPARATOR))
    infused: dict[str, SimulatedPatients] = {}
    value: dict[tuple[str, float], ArmValue] = {}
    price: dict[str, float] = {}
    net_benefit: dict[str, tuple[float, float]] = {}
    for name in PRODUCTS:
        product = as_product(scenario.arms[name])
        assert product is not None
        run = runs[name]
        price[name] = product.price.per_patient.x
        patients = simulated_patients(run.trajectories, run.outcomes, assessment_days=product.efficacy.assessment.x)
        infused[name] = patients
        benefit = (threshold * run.effect - run.cost)[run.outcomes.infused]
        success = patients.remission_end_years > SUCCESS_MONTH / 12.0
        net_benefit[name] = (_mean(benefit[success]), _mean(benefit[~success]))
    for rate in RATES:
        changed = scenario.with_analysis(discount_rate_costs=rate, discount_rate_effects=rate)
        for name in (PRODUCT, COMPARATOR):
            value[name, rate] = _value(_repriced(changed, runs[name], seed), price.get(name, 0.0))
    pair = (PRODUCT, COMPARATOR)
    people = runs[COMPARATOR].trajectories.patients
    mortality = scenario.population.background_mortality
    table = life_table(mortality.life_table, mortality.year)
    normal = population_qalys(table, people.age, people.female, discount_rate=NICE_DISCOUNT_RATE)
    return StudyDraw(
        infused=infused,
        value=value,
        working_years={name: _working_years(runs[name]) for name in pair},
        cost_by_year={name: _cost_by_year(runs[name]) for name in pair},
        price=price,
        expected_qalys_without_disease=float(normal.mean()),
        net_benefit=net_benefit,
        comparator_net_benefit=float((threshold * runs[COMPARATOR].effect - runs[COMPARATOR].cost).mean()),
    )


def _mean(values: Float) -> float:
    return float(values.mean()) if values.size else float("nan")


def _repriced(scenario: Scenario, run: ArmRun, seed: int) -> ArmRun:
    return price_arm(scenario, run.name, ArmFlow(run.trajectories, run.plant), seed)


def _value(run: ArmRun, price: float) -> ArmValue:
    product = run.costs.of("product").mean()
    # A retreatment is mostly product: what of it is not stays with the other costs.
    again = run.costs.of("retreatment").mean()
    hospital = 0.0
    if again > 0.0:
        arm = as_product(run.scenario.arms[run.name])
        assert arm is not None
        stay = arm.hospital.infusion_and_stay.x
        stay += arm.hospital.lymphodepletion.x if arm.hospital.lymphodepletion is not None else 0.0
        hospital = again * stay / (stay + price)
    paid = (product + again - hospital) / price if price > 0.0 else 0.0
    return ArmValue(float(run.cost.mean() - paid * price), float(paid), float(run.effect.mean()))


def _working_years(run: ArmRun) -> float:
    left = np.maximum(RETIREMENT_AGE - run.trajectories.patients.age, 0.0)
    lived = np.minimum(run.outcomes.survival_days / DAYS_PER_YEAR, left)
    return float(discounted_life_years(lived, 0.03).mean())


def _cost_by_year(run: ArmRun) -> Float:
    ledger = cost_ledger(run.trajectories, run.outcomes, run.scenario, run.name)
    years = years_of(run.outcomes.horizon_days)
    return cost_by_year(ledger, years, without=("product", "retreatment"))


@dataclass(frozen=True, eq=False, slots=True)
class StudyPatients:
    """The point values and the parameter draws, all on the same patients.

    With one patient seed the spread over draws is parameter uncertainty alone.
    """

    scenario: Scenario
    seed: int
    base: StudyDraw
    draws: tuple[StudyDraw, ...]
    samples: tuple[dict[str, float], ...]


def study_patients(scenario: Scenario, seed: int, draws: int, progress: Progress) -> StudyPatients:
    """Return the study's patients at the point values and at `draws` parameter draws."""
    parameters = draw_parameters(scenario, draws, seed)
    samples = tuple(parameters.at(k) for k in range(draws))
    base = study_draw(scenario, seed)
    found = []
    for k, sample in enumerate(samples):
        found.append(study_draw(scenario.with_values(sample, known=True), seed))
        progress("parameter draws", k + 1, draws)
    return StudyPatients(scenario, seed, base, tuple(found), samples)
