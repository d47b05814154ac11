"""The clauses of an agreement that concern one patient at a time: one small class each.

Amounts are a share of the contract's price or money of their own. Months count from infusion.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.economics.contracts.cohort import ENDPOINTS, ContractCohort, Endpoint
from cartsight.economics.contracts.settlement import MONTHS_PER_YEAR, Due, Settlement
from cartsight.economics.contracts.terms import MISSING_DATA, MissingData, check_amount, check_months, check_share

Float = npt.NDArray[np.float64]

MOST_OF_PRICE = 2.0
"""A larger share is a percentage that was meant as a fraction."""


@dataclass(frozen=True, slots=True)
class Clause(ABC):
    """A clause: what falls due for each patient, what comes back, and what it does to the price."""

    name: str

    kind: ClassVar[str]

    def price_factor(self, cohort: ContractCohort) -> Float | float:
        """Return by what the clause multiplies the price of each patient."""
        return 1.0

    def payments(self, settlement: Settlement) -> Iterator[Due]:
        """Yield what falls due to the manufacturer."""
        return iter(())

    def refunds(self, settlement: Settlement) -> Iterator[Due]:
        """Yield what falls due to the payer (negative amounts)."""
        return iter(())


def check_endpoint(endpoint: str, field: str = "endpoint") -> None:
    """Refuse an unknown endpoint."""
    if endpoint not in ENDPOINTS:
        raise InputError("unknown endpoint", field=field, found=endpoint, allowed=", ".join(ENDPOINTS))


def check_missing(rule: str) -> None:
    """Refuse an unknown rule for missing data."""
    if rule not in MISSING_DATA:
        raise InputError("unknown rule", field="missing_data", found=rule, allowed=", ".join(MISSING_DATA))


@dataclass(frozen=True, slots=True)
class Sized(Clause):
    """A clause with a size: a share of the price, or an amount."""

    share: float | None = None
    amount: float | None = None

    def __post_init__(self) -> None:
        if (self.share is None) == (self.amount is None):
            raise InputError("state either share or amount", field=self.name, found=(self.share, self.amount))
        if self.share is not None:
            check_amount(self.share, f"{self.name}: share")
            if self.share > MOST_OF_PRICE:
                raise InputError(
                    "is more than twice the price",
                    field=f"{self.name}: share",
                    found=self.share,
                    hint="A share is a fraction of the price: 0.52 for 52 %.",
                )
        if self.amount is not None:
            check_amount(self.amount, f"{self.name}: amount")

    def size(self, price: Float) -> Float:
        """Return the amount per patient."""
        if self.share is not None:
            return price * self.share
        assert self.amount is not None
        return np.full(price.shape, self.amount)


@dataclass(frozen=True, slots=True)
class UpFront(Sized):
    """A payment at infusion, owed whatever happens; at `month` when it is only deferred."""

    month: float = 0.0
    kind: ClassVar[str] = "up_front"

    def __post_init__(self) -> None:
        Sized.__post_init__(self)
        check_months(self.month, f"{self.name}: month")

    def payments(self, settlement: Settlement) -> Iterator[Due]:
        """Yield the one payment."""
        amount = self.size(settlement.price)
        yield Due(self.month / MONTHS_PER_YEAR, amount, full=amount)


@dataclass(frozen=True, slots=True)
class Milestone(Sized):
    """A payment for every patient who counts as a success at a date.

    Parameters
    ----------
    month : float
        Months after infusion.
    endpoint : {"remission", "survival", "complete_response"}
    window_months : float
        The visit falls evenly within this time after `month`.
    missing_data : {"failure", "success", "last"}
    """

    month: float = 0.0
    endpoint: Endpoint = "remission"
    window_months: float = 0.0
    missing_data: MissingData = "failure"
    kind: ClassVar[str] = "milestone"

    def __post_init__(self) -> None:
        Sized.__post_init__(self)
        check_months(self.month, f"{self.name}: month")
        check_months(self.window_months, f"{self.name}: window_months")
        check_endpoint(self.endpoint)
        check_missing(self.missing_data)

    def payments(self, settlement: Settlement) -> Iterator[Due]:
        """Yield the payment of the successes."""
        status = settlement.assess(
            self.endpoint, self.month, self.missing_data, window_months=self.window_months, visit=self.name
        )
        full = self.size(settlement.price)
        amount = np.where(status.success, full, 0.0)
        yield Due(settlement.paid_at(status.years), amount, status.observed, self.endpoint, full)


@dataclass(frozen=True, slots=True)
class Annuity(Sized):
    """Equal instalments that stop for good at the first visit where the patient does not count as a success.

    Parameters
    ----------
    share, amount : float
        All instalments together.
    payments_count : int
    interval_months, first_month : float
        The first instalment at month 0 is paid at infusion without an assessment.
    stop_on : Endpoint or None
        The endpoint whose failure stops the payments; None for instalments owed whatever happens.
    missing_data : {"failure", "success", "last"}
    """

    payments_count: int = 5
    interval_months: float = 12.0
    first_month: float = 0.0
    stop_on: Endpoint | None = "remission"
    missing_data: MissingData = "failure"
    kind: ClassVar[str] = "annuity"

    def __post_init__(self) -> None:
        Sized.__post_init__(self)
        if self.payments_count < 1 or self.payments_count > 1200:
            raise InputError("must be from 1 to 1200", field=f"{self.name}: payments", found=self.payments_count)
        if not (math.isfinite(self.interval_months) and self.interval_months > 0.0):
            raise InputError("must be above zero", field=f"{self.name}: interval_months", found=self.interval_months)
        check_months(self.first_month, f"{self.name}: first_month")
        check_months(self.months[-1], f"{self.name}: last payment")
        if self.stop_on is not None:
            check_endpoint(self.stop_on, "stop_on")
        check_missing(self.missing_data)

    @property
    def months(self) -> tuple[float, ...]:
        """Dates of the instalments."""
        return tuple(self.first_month + k * self.interval_months for k in range(self.payments_count))

    def payments(self, settlement: Settlement) -> Iterator[Due]:
        """Yield the instalments."""
        each = self.size(settlement.price) / self.payments_count
        running = np.ones(each.shape, dtype=np.bool_)
        for month in self.months:
            if self.stop_on is None or month == 0.0:
                yield Due(month / MONTHS_PER_YEAR, np.where(running, each, 0.0), full=each)
                continue
            status = settlement.assess(self.stop_on, month, self.missing_data, visit=self.name)
            running = running & status.success
            amount = np.where(running, each, 0.0)
            yield Due(settlement.paid_at(status.years), amount, status.observed, self.stop_on, each)


Decline = Literal["none", "linear"]


@dataclass(frozen=True, slots=True)
class Refund(Sized):
    """Money back for failure: at one assessment, or under a warranty at any time until a date.

    Parameters
    ----------
    share, amount : float
        Refund for a failure (at once, before any decline). Never more than was paid for the patient.
    endpoint : Endpoint
    month : float or None
        Assessed once, at this date.
    until_month : float or None
        Warranty: every failure until this date.
    decline : {"none", "linear"}
        A linear warranty falls from `share` at infusion to nothing at `until_month`.
    steps : tuple of (month, share)
        A warranty in steps: the share holds for failures until its month; in place of share and decline.
    visit_every_months : float
        Failures are found at the next of these visits; 0: at once.
    missing_data : {"success", "failure", "last"}
        A patient lost before failing: no refund (success, last) or refund at the loss (failure).
    """

    endpoint: Endpoint = "remission"
    month: float | None = None
    until_month: float | None = None
    decline: Decline = "none"
    steps: tuple[tuple[float, float], ...] = ()
    visit_every_months: float = 0.0
    missing_data: MissingData = "success"
    kind: ClassVar[str] = "refund"

    def __post_init__(self) -> None:
        Sized.__post_init__(self)
        check_endpoint(self.endpoint)
        check_missing(self.missing_data)
        check_months(self.visit_every_months, f"{self.name}: visit_every_months")
        if 0.0 < self.visit_every_months < 0.1:
            raise InputError(
                "visits are at least 0.1 months apart, or 0 for at once",
                field=f"{self.name}: visit_every_months",
                found=self.visit_every_months,
            )
        if (self.month is None) == (self.until_month is None):
            raise InputError(
                "state either month (assessed once) or until_month (warranty)",
                field=self.name,
                found=(self.month, self.until_month),
            )
        for field, value in (("month", self.month), ("until_month", self.until_month)):
            if value is not None:
                check_months(value, f"{self.name}: {field}")
        if self.until_month == 0.0:
            raise InputError("a warranty needs some time", field=f"{self.name}: until_month", found=self.until_month)
        if self.decline not in ("none", "linear"):
            raise InputError(
                "unknown decline", field=f"{self.name}: decline", found=self.decline, allowed="none, linear"
            )
        if self.steps:
            months, shares = [m for m, _ in self.steps], [s for _, s in self.steps]
            if self.until_month is None or months != sorted(set(months)) or months[-1] != self.until_month:
                raise InputError("steps must rise and end at until_month", field=f"{self.name}: steps", found=months)
            for share in shares:
                check_share(share, f"{self.name}: steps")
            if shares != sorted(shares, reverse=True):
                raise InputError("a warranty must not grow with time", field=f"{self.name}: steps", found=shares)

    def weight(self, years: Float) -> Float:
        """Return the part of the full refund owed for a failure at each time, shape of `years`."""
        assert self.until_month is not None
        until = self.until_month / MONTHS_PER_YEAR
        within = years <= until
        if self.steps:
            ends = np.array([m for m, _ in self.steps]) / MONTHS_PER_YEAR
            shares = np.array([s for _, s in self.steps] + [0.0])
            return np.asarray(shares[np.searchsorted(ends, years, side="left")])
        if self.decline == "linear":
            return np.where(within, 1.0 - np.minimum(years, until) / until, 0.0)
        return np.where(within, 1.0, 0.0)

    def refunds(self, settlement: Settlement) -> Iterator[Due]:
        """Yield the refunds."""
        full = self.size(settlement.price)
        if self.month is not None:
            status = settlement.assess(self.endpoint, self.month, self.missing_data, visit=self.name)
            amount = np.where(status.success, 0.0, -full)
            yield Due(settlement.paid_at(status.years), amount, status.observed)
            return
        assert self.until_month is not None
        until = self.until_month / MONTHS_PER_YEAR
        end = settlement.cohort.event_years(self.endpoint)
        found = end
        if self.visit_every_months > 0.0:
            step = self.visit_every_months / MONTHS_PER_YEAR
            with np.errstate(invalid="ignore"):
                found = np.where(np.isfinite(end), np.ceil(end / step) * step, np.inf)
        fails = end <= until
        specificity = settlement.terms.assessment.specificity
        if self.endpoint != "survival" and specificity < 1.0:
            recognised = settlement.cohort.uniform(f"recognised {self.name}") < specificity
            death = settlement.cohort.death_years
            if death is not None:
                recognised |= death <= found
            fails = fails & recognised
        owed = fails
        when = np.where(fails, found, 0.0)
        observed: npt.NDArray[np.bool_] | bool = True
        lost = settlement.lost_years
        if lost is not None:
            unseen = (lost < found) & (lost <= until)
            observed = ~unseen
            if self.missing_data == "failure":
                owed = fails | unseen
                when = np.where(unseen, lost, when)
            else:
                owed = fails & ~unseen
        at = np.where(owed, when, 0.0)
        failure = np.where(owed, np.minimum(end, when), 0.0)
        amount = np.where(owed, -full * self.weight(failure), 0.0)
        yield Due(settlement.paid_at(at), amount, observed)


@dataclass(frozen=True, slots=True)
class FlatRebate(Clause):
    """A rebate on the price that depends on nothing: the yardstick of every other clause."""

    share: float = 0.0
    kind: ClassVar[str] = "flat_rebate"

    def __post_init__(self) -> None:
        check_share(self.share, f"{self.name}: share")

    def price_factor(self, cohort: ContractCohort) -> float:
        """Return 1 - share."""
        return 1.0 - self.share


@dataclass(frozen=True, slots=True)
class OutOfSpecification(Clause):
    """What is paid for a product out of specification that is infused nevertheless: a share of every amount."""

    share: float = 0.0
    kind: ClassVar[str] = "out_of_specification"

    def __post_init__(self) -> None:
        check_share(self.share, f"{self.name}: share")

    def price_factor(self, cohort: ContractCohort) -> Float | float:
        """Return `share` for products out of specification, else one."""
        off = cohort.out_of_specification
        return 1.0 if off is None else np.where(off, self.share, 1.0)


@dataclass(frozen=True, slots=True)
class FreeRemake(Sized):
    """Batches made again after a failure: the first `free` are free, each further one costs its size at infusion."""

    free: int = 1
    kind: ClassVar[str] = "free_remake"

    def __post_init__(self) -> None:
        Sized.__post_init__(self)
        if self.free < 0:
            raise InputError("cannot be negative", field=f"{self.name}: free", found=self.free)

    def payments(self, settlement: Settlement) -> Iterator[Due]:
        """Yield the charge for remakes beyond the free ones."""
        remakes = settlement.cohort.remakes
        if remakes is not None:
            yield Due(0.0, self.size(settlement.price) * np.maximum(remakes - self.free, 0))
