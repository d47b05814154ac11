"""Clauses that look at all patients of a payer together: volume, spending cap, subscription, pooled failures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.economics.contracts.clauses import Clause, Sized, check_endpoint, check_missing
from cartsight.economics.contracts.cohort import ContractCohort, Endpoint
from cartsight.economics.contracts.ledger import PaymentBlock
from cartsight.economics.contracts.settlement import Due, Settlement
from cartsight.economics.contracts.terms import MissingData, check_amount, check_months, check_share

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PriceVolume(Clause):
    """Prices that fall with the number of patients treated in a year of the agreement.

    Parameters
    ----------
    tiers : tuple of (above, rebate)
        From the patient after `above` in a year on, the rebate holds; rebates rise.
    applies_to : {"marginal", "all"}
        Only the patients above the threshold, or, once it is reached, all patients of the year.
    """

    tiers: tuple[tuple[float, float], ...] = ()
    applies_to: Literal["marginal", "all"] = "marginal"
    kind: ClassVar[str] = "price_volume"

    def __post_init__(self) -> None:
        if not self.tiers:
            raise InputError("needs at least one tier", field=f"{self.name}: tiers")
        above = [a for a, _ in self.tiers]
        rebates = [r for _, r in self.tiers]
        for value in above:
            check_amount(value, f"{self.name}: tiers: above")
        for rebate in rebates:
            check_share(rebate, f"{self.name}: tiers: rebate")
        if above != sorted(set(above)) or rebates != sorted(rebates):
            raise InputError("thresholds and rebates must rise", field=f"{self.name}: tiers", found=self.tiers)
        if self.applies_to not in ("marginal", "all"):
            raise InputError(
                "unknown", field=f"{self.name}: applies_to", found=self.applies_to, allowed="marginal, all"
            )

    def price_factor(self, cohort: ContractCohort) -> Float:
        """Return one minus the rebate of each patient."""
        start = cohort.start_years
        year = np.floor(start).astype(np.int64)
        order = np.argsort(start, axis=1, kind="stable")
        sorted_years = np.take_along_axis(year, order, axis=1)
        # Number within its year: place in line less the place of the first patient of that year.
        place = np.broadcast_to(np.arange(start.shape[1]), start.shape)
        new = np.ones(start.shape, dtype=np.bool_)
        new[:, 1:] = sorted_years[:, 1:] != sorted_years[:, :-1]
        first = np.maximum.accumulate(np.where(new, place, 0), axis=1)
        number = np.empty(start.shape)
        np.put_along_axis(number, order, (place - first + 1).astype(np.float64), axis=1)
        if self.applies_to == "all":
            for y in np.unique(year):
                mine = year == y
                number = np.where(mine, mine.sum(axis=1, keepdims=True), number)
        above = np.array([a for a, _ in self.tiers])
        rebates = np.array([0.0] + [r for _, r in self.tiers])
        return np.asarray(1.0 - rebates[np.searchsorted(above, number, side="left")])


@dataclass(frozen=True, slots=True)
class SpendingCap(Clause):
    """The manufacturer returns what a payer's pool pays above a cap in a year of the agreement, at the year's end."""

    per_year: float = 0.0
    kind: ClassVar[str] = "cap"

    def __post_init__(self) -> None:
        check_amount(self.per_year, f"{self.name}: per_year")

    def claw_backs(self, cohort: ContractCohort, blocks: list[PaymentBlock]) -> Iterator[PaymentBlock]:
        """Yield the returns of each year, spread over patients in proportion to what was paid for them in it."""
        start = cohort.start_years
        dates = [np.floor(start + block.years + 1e-9) for block in blocks]
        last = int(max((float(d.max()) for d in dates), default=0.0))
        for year in range(last + 1):
            paid = np.zeros(start.shape)
            for block, date in zip(blocks, dates, strict=True):
                paid += np.where(date == year, block.amount, 0.0)
            total = paid.sum(axis=1, keepdims=True)
            excess = np.maximum(total - self.per_year, 0.0)
            if not np.any(excess > 0.0):
                continue
            weight = np.maximum(paid, 0.0)
            share = excess / np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
            yield PaymentBlock(self.name, (year + 1.0) - start - 1e-6, -weight * share)


@dataclass(frozen=True, slots=True)
class Subscription(Clause):
    """A fixed fee a year whatever the number of patients, as a price per patient at the volume that comes.

    Parameters
    ----------
    amount_per_year : float
    patients_per_year : float
        Volume the payer expects.
    volume_ratio : float
        Patients who really come over those expected; the fee per patient is divided by it.
    """

    amount_per_year: float = 0.0
    patients_per_year: float = 1.0
    volume_ratio: float = 1.0
    kind: ClassVar[str] = "subscription"

    def __post_init__(self) -> None:
        check_amount(self.amount_per_year, f"{self.name}: amount_per_year")
        for field in ("patients_per_year", "volume_ratio"):
            value = getattr(self, field)
            if not (math.isfinite(value) and value > 0.0):
                raise InputError("must be above zero", field=f"{self.name}: {field}", found=value)

    def payments(self, settlement: Settlement) -> Iterator[Due]:
        """Yield the fee per patient at infusion."""
        each = self.amount_per_year / (self.patients_per_year * self.volume_ratio)
        yield Due(0.0, np.full(settlement.price.shape, each))


@dataclass(frozen=True, slots=True)
class PooledFailure(Sized):
    """A refund when more than a threshold share of the pool has failed at a date.

    Parameters
    ----------
    share, amount : float
        Refund per failure that counts.
    threshold : float
        Share of failures the payer accepts.
    month : float
    endpoint : Endpoint
    basis : {"excess", "all"}
        Failures above the threshold count, or all of them once it is passed.
    missing_data : {"success", "failure", "last"}
    """

    threshold: float = 0.0
    month: float = 12.0
    endpoint: Endpoint = "remission"
    basis: Literal["excess", "all"] = "excess"
    missing_data: MissingData = "success"
    kind: ClassVar[str] = "pooled_failure"

    def __post_init__(self) -> None:
        Sized.__post_init__(self)
        check_share(self.threshold, f"{self.name}: threshold")
        check_months(self.month, f"{self.name}: month")
        check_endpoint(self.endpoint)
        check_missing(self.missing_data)
        if self.basis not in ("excess", "all"):
            raise InputError("unknown basis", field=f"{self.name}: basis", found=self.basis, allowed="excess, all")

    def counted(self, failures: Float, patients: int) -> Float:
        """Return how many failures are refunded when `failures` of `patients` have failed."""
        allowed = self.threshold * patients
        over = failures > allowed + 1e-9
        return np.where(over, failures - (allowed if self.basis == "excess" else 0.0), 0.0)

    def refunds(self, settlement: Settlement) -> Iterator[Due]:
        """Yield the refund, spread over the patients who failed."""
        status = settlement.assess(self.endpoint, self.month, self.missing_data, visit=self.name)
        failed = ~status.success
        failures = failed.sum(axis=1, keepdims=True).astype(np.float64)
        per_failure = self.counted(failures, failed.shape[1]) / np.maximum(failures, 1.0)
        amount = np.where(failed, -self.size(settlement.price) * per_failure, 0.0)
        yield Due(settlement.paid_at(status.years), amount, status.observed)
