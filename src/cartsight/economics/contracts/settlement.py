"""What clauses see of the patients, and how each amount due becomes a payment under the contract's modifiers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cartsight.economics.contracts.cohort import ContractCohort, Endpoint
from cartsight.economics.contracts.ledger import REGISTRY, PaymentBlock
from cartsight.economics.contracts.terms import MissingData, Terms

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Code = npt.NDArray[np.int8]

MONTHS_PER_YEAR = 12.0
# Dates computed in two ways differ by rounding; a refund on the day of the payment may return it.
_SAME_DAY = 1e-9


@dataclass(frozen=True, eq=False, slots=True)
class Due:
    """An amount that falls due under a clause, before turnover, default and indexation.

    Parameters
    ----------
    years : float or array
        After infusion.
    amount : array, shape (pools, patients)
        A refund is negative.
    observed : bool array or bool
    endpoint : Endpoint or None
        What the payment depends on; None when it is owed whatever happens.
    full : float or array
        The payment for a patient who meets the condition: what a lump sum settles.
    """

    years: Float | float
    amount: Float
    observed: Bool | bool = True
    endpoint: Endpoint | None = None
    full: Float | float = 0.0


@dataclass(frozen=True, eq=False, slots=True)
class Status:
    """Result of an assessment of all patients at one date.

    Parameters
    ----------
    years : float or array
        Date of the visit.
    success : bool array
    observed : bool array or bool
        False where the patient was lost and the missing-data rule spoke.
    """

    years: Float | float
    success: Bool
    observed: Bool | bool


class Settlement:
    """The patients of a contract seen through its modifiers.

    Parameters
    ----------
    cohort : ContractCohort
    terms : Terms
    price : array, shape (pools, patients)
        Price of each patient after rebates that scale it.
    """

    def __init__(self, cohort: ContractCohort, terms: Terms, price: Float) -> None:
        self.cohort = cohort
        self.terms = terms
        self.price = price

    @cached_property
    def lost_years(self) -> Float | None:
        """Time at which the registry loses each patient; None when it loses nobody."""
        rate = self.terms.follow_up.lost_per_year
        if rate == 0.0:
            return None
        lost = -np.log(self.cohort.uniform("lost to follow-up")) / rate
        death = self.cohort.death_years
        return lost if death is None else np.where(lost < death, lost, np.inf)

    @cached_property
    def leaves_years(self) -> Float | None:
        """Time at which each patient changes payer; None when nobody does."""
        rate = self.terms.turnover.leaves_per_year
        if rate == 0.0:
            return None
        leaves = -np.log(self.cohort.uniform("changes payer")) / rate
        death = self.cohort.death_years
        return leaves if death is None else np.where(leaves < death, leaves, np.inf)

    def assess(
        self, endpoint: Endpoint, month: float, missing: MissingData, *, window_months: float = 0.0, visit: str = ""
    ) -> Status:
        """Return whether each patient counts as a success at a visit.

        The visit falls evenly within `window_months` after `month`. Who was lost before counts by `missing`: as
        success, as failure, or as last seen.
        """
        years: Float | float = month / MONTHS_PER_YEAR
        if window_months > 0.0:
            years = years + self.cohort.uniform(f"visit {visit}") * (window_months / MONTHS_PER_YEAR)
        end = self.cohort.event_years(endpoint)
        success = end > years
        assessment = self.terms.assessment
        if endpoint != "survival" and (assessment.sensitivity < 1.0 or assessment.specificity < 1.0):
            # One uniform for both errors: a patient who fails earlier is never assessed more kindly.
            error = self.cohort.uniform(f"assessment {visit} {month:g}")
            mistaken = error < 1.0 - assessment.specificity
            death = self.cohort.death_years
            if death is not None:
                mistaken &= death > years
            success = np.where(success, error < assessment.sensitivity, mistaken)
        lost_years = self.lost_years
        if lost_years is None:
            return Status(years, success, True)
        lost = lost_years < years
        if missing == "last":
            success = np.where(lost, end > lost_years, success)
        elif missing == "success":
            success = success | lost
        else:
            success = success & ~lost
        return Status(years, success, ~lost)

    def paid_at(self, years: Float | float) -> Float | float:
        """Return the date of a payment that follows a visit."""
        return years + self.terms.assessment.payment_delay_months / MONTHS_PER_YEAR

    def payments(self, clause: str, due: Due) -> Iterator[PaymentBlock]:
        """Yield what payers really pay of an amount due: indexed, solvent, by the payer of the day."""
        amount, full = due.amount, due.full
        years = due.years
        growth = self.terms.indexation_per_year
        if growth != 0.0:
            factor = (1.0 + growth) ** np.asarray(years)
            amount, full = amount * factor, full * factor
        default = self.terms.default
        if default.payer_per_year > 0.0:
            amount = amount * self._solvent("payer default", default.payer_per_year, years)
        leaves = self.leaves_years
        if leaves is None:
            yield PaymentBlock(clause, years, amount, 0, due.observed)
            return
        left = leaves < years
        rule = self.terms.turnover.rule
        if rule == "transfer":
            yield PaymentBlock(clause, years, amount, left.astype(np.int8), due.observed)
            return
        yield PaymentBlock(clause, years, np.where(left, 0.0, amount), 0, due.observed)
        if rule == "lump_sum":
            open_then = left if due.endpoint is None else left & (self.cohort.event_years(due.endpoint) > leaves)
            # Valued as written in the contract, without growth that the payer will not see.
            settled = due.full * self.terms.turnover.lump_sum_share
            amount = np.where(open_then, settled, 0.0)
            if default.payer_per_year > 0.0:
                amount = amount * self._solvent("payer default", default.payer_per_year, leaves)
            yield PaymentBlock(clause, np.where(left, leaves, 0.0), amount, 0, True)

    def refunds(self, clause: str, due: Due, before: list[PaymentBlock]) -> Iterator[PaymentBlock]:
        """Yield what comes back of a refund due.

        At its date no more comes back than was paid for the patient by then; what is still owed is set off against
        later payments. Otherwise a patient who fails before an instalment would cost more than one who fails after.
        """
        years = due.years
        owed = -due.amount
        payer: Code | int = 0
        leaves = self.leaves_years
        if leaves is not None:
            left = leaves < years
            if self.terms.turnover.rule == "transfer":
                payer = left.astype(np.int8)
            else:
                owed = np.where(left, 0.0, owed)
        default = self.terms.default
        if default.manufacturer_per_year > 0.0:
            owed = owed * self._solvent("manufacturer default", default.manufacturer_per_year, years)
        paid = np.zeros(self.cohort.shape)
        for block in before:
            paid += np.where((block.amount < 0.0) | (block.years <= years + _SAME_DAY), block.amount, 0.0)
        back = np.minimum(owed, np.maximum(paid, 0.0))
        yield PaymentBlock(clause, years, -back, payer, due.observed)
        open_still = owed - back
        if not np.any(open_still > 0.0):
            return
        for block in [b for b in before if np.any(b.amount > 0.0)]:
            later = np.where(block.years > years + _SAME_DAY, np.maximum(block.amount, 0.0), 0.0)
            # An earlier refund may have been set off against this payment already.
            for other in before:
                if other.set_off_from is block:
                    later = np.maximum(later + other.amount, 0.0)
            set_off = np.minimum(open_still, later)
            if np.any(set_off > 0.0):
                open_still = open_still - set_off
                yield PaymentBlock(clause, block.years, -set_off, block.payer, due.observed, set_off_from=block)

    def _solvent(self, party: str, rate: float, years: Float | float) -> Float:
        solvent = -np.log(self.cohort.pool_uniform(party)) / rate >= years
        return np.where(solvent, 1.0, self.terms.default.recovery)

    def administration(self, last_month: float) -> Iterator[PaymentBlock]:
        """Yield set-up and tracking cost: set-up at infusion, tracking in the middle of each year."""
        costs = self.terms.administration
        firm = costs.paid_by == "manufacturer"
        shape = self.cohort.shape
        if costs.set_up_cost > 0.0:
            each = np.full(shape, costs.set_up_cost / shape[1])
            yield PaymentBlock("set-up", 0.0, each, 0, True, REGISTRY, firm)
        if costs.cost_per_patient_year == 0.0:
            return
        end = np.full(shape, (last_month if costs.months is None else costs.months) / MONTHS_PER_YEAR)
        if self.lost_years is not None:
            end = np.minimum(end, self.lost_years)
        if self.cohort.death_years is not None:
            end = np.minimum(end, self.cohort.death_years)
        year = 0
        while np.any(end > year):
            followed = np.clip(end - year, 0.0, 1.0)
            amount = costs.cost_per_patient_year * followed
            leaves = self.leaves_years
            payer: Code | int = 0 if leaves is None else (leaves < year).astype(np.int8)
            yield PaymentBlock("tracking", year + 0.5, amount, payer, True, REGISTRY, firm)
            year += 1
