"""What every patient costs the payer, from the flow and the outcomes: run once, price many.

One-time costs are posted at the day of their event. Costs that run over a stay are money per day, integrated
over the stay under discounting in closed form. Both use (1 + r)^(-t) with t in years from the patient's
referral. Nothing after a patient's death or the horizon is charged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.core.units import DAYS_PER_MONTH, DAYS_PER_YEAR
from cartsight.economics.cost_items import Payments, Stays
from cartsight.economics.later_costs import later_payments, later_stays
from cartsight.economics.ledger import CostLedger
from cartsight.outcomes.quality_of_life import NEGLIGIBLE
from cartsight.outcomes.result import Outcomes
from cartsight.scenario import Scenario
from cartsight.scenario.arms import InVivoArm, OtherCareArm, ProductArm, as_product
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.trajectory import Trajectories

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

CATEGORIES: tuple[str, ...] = (
    "pathway steps",
    "waiting care",
    "collection",
    "bridging",
    "product",
    "lymphodepletion",
    "infusion and stay",
    "adverse events",
    "immunoglobulin",
    "redosing visits",
    "follow-up",
    "relapse care",
    "retreatment",
    "later lines",
    "transplant",
    "secondary malignancy",
    "other care",
    "end of life",
)
_CODE = {name: code for code, name in enumerate(CATEGORIES)}


@dataclass(frozen=True, eq=False, slots=True)
class PatientCosts:
    """Costs of the n patients of one arm, in the scenario's money, per patient and category.

    Parameters
    ----------
    categories : tuple of str
        k names.
    amount, discounted : array, shape (k, n)
        Undiscounted, and valued at the patient's referral.
    """

    categories: tuple[str, ...]
    amount: Float
    discounted: Float

    @property
    def total(self) -> Float:
        """Undiscounted cost per patient, shape (n,)."""
        return np.asarray(self.amount.sum(axis=0))

    @property
    def total_discounted(self) -> Float:
        """Discounted cost per patient, shape (n,)."""
        return np.asarray(self.discounted.sum(axis=0))

    def of(self, category: str, *, discounted: bool = True) -> Float:
        """Return the cost of one category per patient, shape (n,).

        Raises
        ------
        InputError
            Unknown category.
        """
        if category not in self.categories:
            raise InputError(
                "unknown cost category",
                found=category,
                allowed=", ".join(self.categories),
                hint=nearest(category, self.categories),
            )
        table = self.discounted if discounted else self.amount
        return np.asarray(table[self.categories.index(category)])

    def means(self, *, discounted: bool = True) -> dict[str, float]:
        """Return the mean cost per referred patient by category."""
        mean = (self.discounted if discounted else self.amount).mean(axis=1)
        return dict(zip(self.categories, mean.tolist(), strict=True))


def price_patients(
    trajectories: Trajectories,
    outcomes: Outcomes,
    scenario: Scenario,
    arm_name: str,
    *,
    product_cost_per_infused: float | None = None,
) -> PatientCosts:
    """Return the costs of every patient of an arm.

    Parameters
    ----------
    trajectories, outcomes : the flow and what became of its n patients
    scenario : Scenario
        At one parameter draw; prices may differ from those the outcomes were simulated with.
    arm_name : str
    product_cost_per_infused : float, optional
        Cost of goods per infused patient. Needed under perspective "health_system_at_cost", where it is
        charged in place of the price.

    Returns
    -------
    PatientCosts

    Raises
    ------
    InputError
        Unknown arm, tables of different lengths or arms, or no cost of goods under "health_system_at_cost".
    """
    payments, stays = _items(trajectories, outcomes, scenario, arm_name, product_cost_per_infused)
    rate = scenario.analysis.discount_rate_costs
    delta = math.log1p(rate) / DAYS_PER_YEAR
    n, k = len(outcomes), len(CATEGORIES)
    # One sum over (category, patient) for all payments and one for all stays: few passes over few arrays.
    cell, sizes = _cells(payments, n)
    paid = np.repeat([item.amount for item in payments], sizes)
    day = np.concatenate([item.day for item in payments])
    amount = _sums(cell, paid, k * n)
    discounted = _sums(cell, paid * np.exp(-delta * day), k * n)
    cell, sizes = _cells(stays, n)
    per_day = np.repeat([stay.per_day for stay in stays], sizes)
    start = np.concatenate([stay.start for stay in stays])
    length = np.concatenate([stay.end for stay in stays]) - start
    amount += _sums(cell, per_day * length, k * n)
    discounted += _sums(cell, per_day * _discounted_days(start, length, delta), k * n)
    return PatientCosts(CATEGORIES, amount.reshape(k, n), discounted.reshape(k, n))


def cost_ledger(
    trajectories: Trajectories,
    outcomes: Outcomes,
    scenario: Scenario,
    arm_name: str,
    *,
    product_cost_per_infused: float | None = None,
) -> CostLedger:
    """Return the dated costs behind `price_patients`, one row per cost, days from each patient's referral.

    A running cost gets one row per started year of follow-up. Its day is the one at which the row's amount
    has the same present value as the stay it stands for, so ``ledger.discounted(rate)`` sums to the
    discounted totals at the scenario's rate; without discounting it is the middle of the piece.

    Parameters and errors are those of `price_patients`.
    """
    payments, stays = _items(trajectories, outcomes, scenario, arm_name, product_cost_per_infused)
    delta = math.log1p(scenario.analysis.discount_rate_costs) / DAYS_PER_YEAR
    columns: list[tuple[Int, Float, Int, Float]] = []
    for item in payments:
        amounts = np.full(item.patient.shape, item.amount)
        columns.append((item.patient, item.day, _codes(item.category, item.patient), amounts))
    for stay in stays:
        for patient, start, end in _by_year(stay):
            length = end - start
            weighted = _discounted_days(start, length, delta)
            day = -np.log(weighted / length) / delta if delta >= NEGLIGIBLE else start + 0.5 * length
            columns.append((patient, day, _codes(stay.category, patient), stay.per_day * length))
    patient, day, category, amount = (np.concatenate(column) for column in zip(*columns, strict=True))
    keep = amount != 0.0
    order = np.lexsort((category[keep], day[keep], patient[keep]))
    return CostLedger(
        patient[keep][order],
        day[keep][order],
        category[keep][order],
        amount[keep][order],
        CATEGORIES,
        len(outcomes),
    )


def _cells(items: Sequence[Payments | Stays], n: int) -> tuple[Int, list[int]]:
    """Return the place of every row in a flat table of shape (categories, n), and the rows of each item."""
    sizes = [item.patient.size for item in items]
    first = np.repeat([_CODE[item.category] * n for item in items], sizes)
    return first + np.concatenate([item.patient for item in items]), sizes


def _sums(cell: Int, weights: Float, size: int) -> Float:
    return np.asarray(np.bincount(cell, weights=weights, minlength=size), dtype=np.float64)


def _codes(category: str, patient: Int) -> Int:
    return np.full(patient.shape, _CODE[category], dtype=np.int64)


def _discounted_days(start: Float, length: Float, delta: float) -> Float:
    """Return the integral of exp(-delta t) from `start` over `length` days."""
    if delta < NEGLIGIBLE:
        return length
    return np.asarray(np.exp(-delta * start) * -np.expm1(-delta * length) / delta)


def _by_year(stay: Stays) -> Iterator[tuple[Int, Float, Float]]:
    """Yield the pieces of a stay that fall into each year from referral."""
    if not stay.patient.size:
        return
    first = int(np.floor(stay.start.min() / DAYS_PER_YEAR))
    last = int(np.ceil(stay.end.max() / DAYS_PER_YEAR))
    for year in range(first, last):
        start = np.maximum(stay.start, year * DAYS_PER_YEAR)
        end = np.minimum(stay.end, (year + 1) * DAYS_PER_YEAR)
        inside = end > start
        yield stay.patient[inside], start[inside], end[inside]


def _items(
    trajectories: Trajectories,
    outcomes: Outcomes,
    scenario: Scenario,
    arm_name: str,
    cost_per_infused: float | None,
) -> tuple[list[Payments], list[Stays]]:
    if arm_name not in scenario.arms:
        raise InputError(
            "unknown arm",
            found=arm_name,
            allowed=", ".join(scenario.arms),
            hint=nearest(arm_name, scenario.arms),
        )
    if len(trajectories) != len(outcomes):
        raise InputError("trajectories and outcomes count different patients", found=(len(trajectories), len(outcomes)))
    if outcomes.arm_name != arm_name:
        raise InputError("these outcomes belong to another arm", found=outcomes.arm_name, allowed=arm_name)
    arm = scenario.arms[arm_name]
    product = as_product(arm)
    payments = [*_pathway_events(trajectories, outcomes, scenario, product)]
    stays = [*_before_and_elsewhere(trajectories, outcomes, scenario, product)]
    elsewhere = scenario.population.other_care.cost_at_start
    if elsewhere is not None:
        who = _never_infused_alive(outcomes)
        payments.append(Payments("other care", who, outcomes.exit_day[who], elsewhere.x))
    dead = np.flatnonzero(outcomes.dead)
    end_of_life = arm.end_of_life_cost.x if isinstance(arm, OtherCareArm) else arm.long_term.end_of_life_cost.x
    payments.append(Payments("end of life", dead, outcomes.death_day[dead], end_of_life))
    if product is not None:
        unit_cost = _product_unit_cost(scenario, product, cost_per_infused)
        payments += _treatment(trajectories, outcomes, scenario, product, unit_cost)
        stays += _after_treatment(outcomes, product)
        if outcomes.later is not None:
            payments += later_payments(outcomes.later, product)
            stays += later_stays(outcomes, outcomes.later, product)
    return payments, stays


def _product_unit_cost(scenario: Scenario, arm: ProductArm, cost_per_infused: float | None) -> float:
    if scenario.analysis.perspective == "payer":
        return arm.price.per_patient.x
    if cost_per_infused is None or not math.isfinite(cost_per_infused) or cost_per_infused < 0.0:
        raise InputError(
            "perspective health_system_at_cost needs the cost of goods per infused patient",
            field="product_cost_per_infused",
            found=cost_per_infused,
            allowed="a finite amount of money, not negative",
        )
    return cost_per_infused


def _pathway_events(
    trajectories: Trajectories, outcomes: Outcomes, scenario: Scenario, arm: ProductArm | None
) -> Iterator[Payments]:
    """Yield the costs of logged events: care-pathway steps, collection, lymphodepletion, redosing visits."""
    prices: dict[str, tuple[str, float]] = {}
    for name, step in scenario.care_pathway.steps.items():
        if step.cost is not None:
            prices[f"step: {name}"] = ("pathway steps", step.cost.x)
    if arm is not None:
        if arm.hospital.leukapheresis is not None:
            prices[t.LEUKAPHERESIS] = ("collection", arm.hospital.leukapheresis.x)
        if arm.hospital.lymphodepletion is not None:
            prices[t.LYMPHODEPLETION] = ("lymphodepletion", arm.hospital.lymphodepletion.x)
        if isinstance(arm, InVivoArm):
            prices[t.REDOSING_VISIT] = ("redosing visits", arm.redosing.visit_cost.x)
    for kind, (category, amount) in prices.items():
        patient, day = trajectories.events(kind)
        # The flow of an in vivo course runs on to its last dose; the dead do not come to it.
        counts = day <= outcomes.survival_days[patient]
        yield Payments(category, patient[counts], day[counts], amount)


def _never_infused_alive(outcomes: Outcomes) -> Int:
    return np.flatnonzero(~outcomes.infused & (outcomes.exit_day < outcomes.survival_days))


def _before_and_elsewhere(
    trajectories: Trajectories, outcomes: Outcomes, scenario: Scenario, arm: ProductArm | None
) -> Iterator[Stays]:
    """Yield the running costs of waiting, of bridging therapy and of other care."""
    population = scenario.population
    everyone = np.arange(len(outcomes))
    until = np.minimum(outcomes.exit_day, outcomes.survival_days)
    per_day = population.waiting_cost_per_month.x / DAYS_PER_MONTH
    yield Stays("waiting care", everyone, np.zeros(len(outcomes)), until, per_day)
    bridging = scenario.care_pathway.bridging
    if bridging is not None and arm is not None:
        start = bridging_start_day(trajectories, scenario)
        who = np.flatnonzero(trajectories.bridged & (start < until))
        yield Stays("bridging", who, start[who], until[who], bridging.cost_per_month.x / DAYS_PER_MONTH)
    who = _never_infused_alive(outcomes)
    per_day = population.other_care.cost_per_month.x / DAYS_PER_MONTH
    yield Stays("other care", who, outcomes.exit_day[who], outcomes.survival_days[who], per_day)


def bridging_start_day(trajectories: Trajectories, scenario: Scenario) -> Float:
    """Return the day bridging starts: the last leukapheresis, or the last care-pathway step (the order).

    Patients who reached neither get their exit day, so that bridging has no length.
    """
    start = np.full(len(trajectories), np.nan)
    for name in scenario.care_pathway.steps:
        step = trajectories.day.get(f"step: {name}")
        if step is not None:
            start = np.fmax(start, step)
    collected = trajectories.day.get(t.LEUKAPHERESIS)
    if collected is not None:
        start = np.where(np.isnan(collected), start, collected)
    return np.where(np.isnan(start), trajectories.end_day, start)


def _treatment(
    trajectories: Trajectories, outcomes: Outcomes, scenario: Scenario, arm: ProductArm, unit_cost: float
) -> Iterator[Payments]:
    """Yield the one-time costs of the infused."""
    infused = np.flatnonzero(outcomes.infused & (outcomes.infusion_day <= outcomes.horizon_days))
    day = outcomes.infusion_day[infused]
    charged = infused
    if scenario.analysis.perspective == "payer" and not arm.price.paid_if_out_of_specification:
        charged = infused[~trajectories.out_of_specification[infused]]
    yield Payments("product", charged, outcomes.infusion_day[charged], unit_cost)
    yield Payments("infusion and stay", infused, day, arm.hospital.infusion_and_stay.x)
    relapse_care = np.flatnonzero(np.isfinite(outcomes.relapse_care_day))
    at_start = arm.long_term.relapse_care_cost_at_start.x
    yield Payments("relapse care", relapse_care, outcomes.relapse_care_day[relapse_care], at_start)
    for name, event in arm.toxicity.events.items():
        flag = outcomes.adverse_events.get(name)
        if flag is not None:
            who = np.flatnonzero(flag & (outcomes.infusion_day <= outcomes.horizon_days))
            yield Payments("adverse events", who, outcomes.infusion_day[who], event.cost.x)
        again = outcomes.adverse_events_second_course.get(name)
        if again is not None:
            who = np.flatnonzero(again)
            yield Payments("adverse events", who, outcomes.relapse_day[who], event.cost.x)
    if arm.retreatment is not None:
        who = np.flatnonzero(outcomes.retreated)
        hospital = arm.hospital.infusion_and_stay.x
        if arm.hospital.lymphodepletion is not None:
            hospital += arm.hospital.lymphodepletion.x
        yield Payments("retreatment", who, outcomes.relapse_day[who], unit_cost + hospital)


def _after_treatment(outcomes: Outcomes, arm: ProductArm) -> Iterator[Stays]:
    """Yield the running costs of the infused: follow-up, relapse care, immunoglobulin."""
    survival, care = outcomes.survival_days, arm.long_term
    infused = np.flatnonzero(outcomes.infused & (outcomes.infusion_day < survival))
    start = outcomes.infusion_day[infused]
    end = np.minimum(outcomes.relapse_care_day[infused], survival[infused])
    year = np.minimum(start + DAYS_PER_YEAR, end)
    yield Stays("follow-up", infused, start, year, care.follow_up_cost_first_year.x / DAYS_PER_YEAR)
    later = end > year
    per_day = care.follow_up_cost_per_year_later.x / DAYS_PER_YEAR
    yield Stays("follow-up", infused[later], year[later], end[later], per_day)
    if outcomes.later is None:
        relapsed = np.flatnonzero(outcomes.relapse_care_day < survival)
        per_day = care.relapse_care_cost_per_month.x / DAYS_PER_MONTH
        yield Stays("relapse care", relapsed, outcomes.relapse_care_day[relapsed], survival[relapsed], per_day)
    aplasia = arm.toxicity.b_cell_aplasia
    if aplasia is None:
        return
    per_day = aplasia.immunoglobulin_cost_per_month.x / DAYS_PER_MONTH
    first = np.flatnonzero(outcomes.aplasia & (outcomes.infusion_day < survival))
    start = outcomes.infusion_day[first]
    yield Stays("immunoglobulin", first, start, np.minimum(start + aplasia.lasts.x, survival[first]), per_day)
    second = np.flatnonzero(outcomes.aplasia_second_course)
    if second.size:
        # Aplasia of the first course may not have ended at the second; nobody gets immunoglobulin twice.
        start = outcomes.relapse_day[second]
        still = np.where(outcomes.aplasia[second], outcomes.infusion_day[second] + aplasia.lasts.x, start)
        end = np.minimum(start + aplasia.lasts.x, survival[second])
        yield Stays("immunoglobulin", second, np.minimum(np.maximum(start, still), end), end, per_day)
