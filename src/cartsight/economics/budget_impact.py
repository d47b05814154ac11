"""Budget impact: what a payer spends in each calendar year after a product's launch, and what it no longer spends.

Two worlds on the same patients: referrals that go on arriving from launch (and those who had been waiting for it) go
through the product's flow, or through the comparator's. Uptake is not a stated share: it is who got through the plants,
the beds and the waiting list by each date. Money is undiscounted and falls into the year it is spent in (Sullivan et
al. 2014, ISPOR good practice, doi:10.1016/j.jval.2013.08.2291).

A running cost is booked year by year of its stay, in the calendar year of the middle of each piece.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.streams import Stream, patient_ids
from cartsight.core.units import DAYS_PER_YEAR
from cartsight.economics.contracts.cohort import simulated_patients
from cartsight.economics.contracts.contract import Contract, run_contract
from cartsight.economics.pricing import CATEGORIES, cost_ledger
from cartsight.outcomes import simulate_outcomes
from cartsight.scenario import Scenario
from cartsight.scenario.arms import as_product
from cartsight.simulation.pathways import run_flow
from cartsight.simulation.pathways.patients import RUN_OUT_DAYS, Window, generate_patients
from cartsight.simulation.pathways.trajectory import Patients

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

MOST_YEARS = 30


@dataclass(frozen=True, eq=False, slots=True)
class LaunchPopulation:
    """Everybody referred from the launch on.

    Parameters
    ----------
    scenario : Scenario
        Without warm-up, since nothing runs before the launch.
    patients : Patients
        In order of referral; those within the years are counted.
    years : int
    incident, prevalent : int
        Counted patients of each kind.
    """

    scenario: Scenario
    patients: Patients
    years: int
    incident: int
    prevalent: int


@dataclass(frozen=True, eq=False, slots=True)
class ArmBudget:
    """Spending of one world by calendar year after launch.

    Parameters
    ----------
    arm : str
    referred, treated, waiting : int array, shape (years,)
        Referred and infused in the year; referred by its end, alive, and still on the pathway.
    product_gross : array, shape (years,)
        Price times products, retreatments included.
    product_net : array, shape (years,)
        Under the contract; equal to `product_gross` without one.
    by_category : dict of str to array, shape (years,)
        Other costs.
    product_after : float
        Instalments less refunds that fall due after the last year for patients treated within the years.
    """

    arm: str
    referred: Int
    treated: Int
    waiting: Int
    product_gross: Float
    product_net: Float
    by_category: dict[str, Float]
    product_after: float

    @property
    def other_costs(self) -> Float:
        """All costs but the product, shape (years,)."""
        return np.asarray(sum(self.by_category.values()))

    @property
    def total(self) -> Float:
        """Spending, shape (years,)."""
        return self.product_net + self.other_costs


def launch_population(
    scenario: Scenario, seed: int, years: int, *, prevalent: int = 0, prevalent_within_days: float = DAYS_PER_YEAR
) -> LaunchPopulation:
    """Return the patients referred in the years after launch.

    Parameters
    ----------
    scenario : Scenario
    seed : int
    years : int
        From 1 to 30.
    prevalent : int
        Patients already there at launch, spread over regions as referrals are.
    prevalent_within_days : float
        Their referrals come evenly within this time.

    Raises
    ------
    InputError
        Years or patients out of range.
    """
    if not 1 <= years <= MOST_YEARS:
        raise InputError("must be a whole number of years", field="years", found=years, allowed=f"1 to {MOST_YEARS}")
    if not 0 <= prevalent <= 1_000_000:
        raise InputError("must be a number of patients", field="prevalent", found=prevalent, allowed="0 to 1 000 000")
    if not (math.isfinite(prevalent_within_days) and 0.0 <= prevalent_within_days <= years * DAYS_PER_YEAR):
        raise InputError("must lie within the years", field="prevalent_within_days", found=prevalent_within_days)
    end = years * DAYS_PER_YEAR
    incident = generate_patients(scenario, seed, Window(0.0, end, end + RUN_OUT_DAYS))
    changed = scenario.with_analysis(
        warm_up_days=0.0, patients=int(min(max(math.ceil(scenario.referrals_per_day * end), 50), 1_000_000))
    )
    patients = incident
    if prevalent:
        patients = _joined(incident, _prevalent(scenario, seed, prevalent, prevalent_within_days))
    return LaunchPopulation(changed, patients, years, int(incident.counted.sum()), prevalent)


def _prevalent(scenario: Scenario, seed: int, count: int, within_days: float) -> Patients:
    population = scenario.population
    identity = patient_ids("prevalent at launch", population.indication, count)
    stream = Stream(seed, "patient", identity)
    regions = list(population.regions.values())
    rates = np.array([region.referrals_per_year.x for region in regions])
    region = np.searchsorted(np.cumsum(rates) / rates.sum(), stream("region"), side="right")
    region = np.minimum(region, len(regions) - 1).astype(np.int64)
    hospitals = np.array([r.hospitals for r in regions])
    first = np.concatenate([[0], np.cumsum(hospitals)[:-1]])
    age = population.age.distribution.quantile(stream("age"))
    return Patients(
        identity=identity,
        referral_day=stream("referral gap") * within_days,
        region=region,
        hospital=first[region] + (stream("hospital") * hospitals[region]).astype(np.int64),
        age=np.clip(age, population.minimum_age, population.maximum_age),
        female=stream("sex") < population.female.x,
        counted=np.ones(count, dtype=np.bool_),
    )


def _joined(a: Patients, b: Patients) -> Patients:
    day = np.concatenate([a.referral_day, b.referral_day])
    identity = np.concatenate([a.identity, b.identity])
    order = np.lexsort((identity, day))
    return Patients(
        identity=identity[order],
        referral_day=day[order],
        region=np.concatenate([a.region, b.region])[order],
        hospital=np.concatenate([a.hospital, b.hospital])[order],
        age=np.concatenate([a.age, b.age])[order],
        female=np.concatenate([a.female, b.female])[order],
        counted=np.concatenate([a.counted, b.counted])[order],
    )


def arm_budget(
    population: LaunchPopulation, arm_name: str, seed: int, *, contract: Contract | None = None
) -> ArmBudget:
    """Return what a world with this arm spends by calendar year.

    Parameters
    ----------
    population : LaunchPopulation
    arm_name : str
    seed : int
    contract : Contract, optional
        Replaces the price at infusion by dated payments; administration borne by the payer is a cost category.
        Retreatment is charged at the list price outside it.
    """
    scenario, years = population.scenario, population.years
    flow = run_flow(scenario, arm_name, seed, patients=population.patients)
    path = flow.trajectories
    outcomes = simulate_outcomes(path, scenario, arm_name, seed)
    ledger = cost_ledger(path, outcomes, scenario, arm_name)
    referral = path.patients.referral_day

    def by_year(days: Float, amounts: Float | None = None) -> Float:
        year = np.floor(days / DAYS_PER_YEAR).astype(np.int64)
        inside = (year >= 0) & (year < years)
        weights = None if amounts is None else amounts[inside]
        return np.bincount(year[inside], weights=weights, minlength=years).astype(np.float64)

    day = referral[ledger.patient] + ledger.time_days
    categories = {
        name: by_year(day[ledger.category == code], ledger.amount[ledger.category == code])
        for code, name in enumerate(CATEGORIES)
    }
    gross = categories.pop("product")
    product = as_product(scenario.arms[arm_name])
    again = ledger.category == CATEGORIES.index("retreatment")
    if product is not None and np.any(again):
        second = by_year(day[again]) * product.price.per_patient.x
        categories["retreatment"] = categories["retreatment"] - second
    else:
        second = np.zeros(years)
    net, after = gross, 0.0
    if contract is not None and np.any(outcomes.infused):
        assert product is not None
        source = simulated_patients(path, outcomes, assessment_days=product.efficacy.assessment.x)
        paid = run_contract(contract, source.all(seed, first_year=0.0))
        within = (paid.start_years < years)[0]
        net = np.zeros(years)
        administration = np.zeros(years)
        for block in paid.blocks:
            if block.borne_by_manufacturer:
                continue
            date = (block.years + paid.start_years)[0] * DAYS_PER_YEAR
            flow_of = by_year(date, block.amount[0])
            if block.counterparty == "manufacturer":
                net = net + flow_of
                late = within & (date >= years * DAYS_PER_YEAR)
                after += float(block.amount[0][late].sum())
            else:
                administration = administration + flow_of
        categories["contract administration"] = administration
    infusion = np.nan_to_num((referral + outcomes.infusion_day)[outcomes.infused])
    ends = np.minimum(outcomes.exit_day, outcomes.survival_days) + referral
    at = np.arange(1, years + 1)[:, None] * DAYS_PER_YEAR
    return ArmBudget(
        arm=arm_name,
        referred=by_year(referral).astype(np.int64),
        treated=by_year(infusion).astype(np.int64),
        waiting=((referral < at) & (ends > at)).sum(axis=1),
        product_gross=gross + second,
        product_net=net + second,
        by_category=categories,
        product_after=after,
    )


@dataclass(frozen=True, slots=True)
class BudgetYear:
    """One calendar year after launch, in the scenario's money.

    Parameters
    ----------
    year : int
        1 is the first.
    referred, patients_treated, waiting : int
    gross_product_cost, net_product_cost : float
        At the price, and under the contract.
    other_costs : float
        All other care in the world with the product.
    displaced : float
        What the same patients cost in the world with the comparator.
    net : float
        net_product_cost + other_costs - displaced.
    cumulative_net : float
    cap_exceeded : bool or None
        Whether net product cost lies above the stated cap.
    """

    year: int
    referred: int
    patients_treated: int
    waiting: int
    gross_product_cost: float
    net_product_cost: float
    other_costs: float
    displaced: float
    net: float
    cumulative_net: float
    cap_exceeded: bool | None


def budget_years(new: ArmBudget, comparator: ArmBudget | None, *, cap: float | None = None) -> list[BudgetYear]:
    """Return the budget impact of one world over another, year by year.

    Parameters
    ----------
    new : ArmBudget
    comparator : ArmBudget or None
        None when nothing is displaced.
    cap : float, optional
        Yearly budget for the product.
    """
    displaced = np.zeros(new.treated.size) if comparator is None else comparator.total
    net = new.total - displaced
    return [
        BudgetYear(
            year=k + 1,
            referred=int(new.referred[k]),
            patients_treated=int(new.treated[k]),
            waiting=int(new.waiting[k]),
            gross_product_cost=float(new.product_gross[k]),
            net_product_cost=float(new.product_net[k]),
            other_costs=float(new.other_costs[k]),
            displaced=float(displaced[k]),
            net=float(net[k]),
            cumulative_net=float(net[: k + 1].sum()),
            cap_exceeded=None if cap is None else bool(new.product_net[k] > cap),
        )
        for k in range(new.treated.size)
    ]


def comparator_of(scenario: Scenario, arm_name: str) -> str | None:
    """Return the arm that care without the product is taken from: other care, else the reference arm, else none."""
    for name, arm in scenario.arms.items():
        if arm.modality == "other_care" and name != arm_name:
            return name
    return scenario.reference_arm if scenario.reference_arm != arm_name else None
