"""What modifies every clause of a contract: assessment, loss to follow-up, turnover, default, indexation, rates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cartsight.core.errors import InputError

MissingData = Literal["success", "failure", "last"]
MISSING_DATA: tuple[MissingData, ...] = ("success", "failure", "last")
TurnoverRule = Literal["stop", "transfer", "lump_sum"]
TURNOVER_RULES: tuple[TurnoverRule, ...] = ("stop", "transfer", "lump_sum")


def check_share(value: float, field: str) -> None:
    """Refuse anything but a number from 0 to 1."""
    if not (math.isfinite(value) and 0.0 <= value <= 1.0):
        raise InputError("must be a share from 0 to 1", field=field, found=value)


LONGEST_MONTHS = 1200.0


def check_months(value: float, field: str) -> None:
    """Refuse a time that is negative or beyond a hundred years."""
    if not (math.isfinite(value) and 0.0 <= value <= LONGEST_MONTHS):
        raise InputError("must be from 0 to 1 200 months", field=field, found=value)


def check_amount(value: float, field: str) -> None:
    """Refuse anything but a finite number that is not negative."""
    if not (math.isfinite(value) and value >= 0.0):
        raise InputError("must be a finite number, not negative", field=field, found=value)


@dataclass(frozen=True, slots=True)
class Assessment:
    """How the assessed endpoint relates to the clinical state.

    Parameters
    ----------
    sensitivity : float
        Probability that a patient in remission is assessed so.
    specificity : float
        Probability that a living patient who has failed is assessed so. Deaths are never missed.
    payment_delay_months : float
        From the visit to the payment or refund.
    """

    sensitivity: float = 1.0
    specificity: float = 1.0
    payment_delay_months: float = 0.0

    def __post_init__(self) -> None:
        check_share(self.sensitivity, "assessment.sensitivity")
        check_share(self.specificity, "assessment.specificity")
        check_months(self.payment_delay_months, "assessment.payment_delay_months")
        if self.sensitivity + self.specificity < 1.0:
            raise InputError(
                "sensitivity and specificity below one in sum would be better read the other way round",
                field="assessment",
                found=(self.sensitivity, self.specificity),
            )


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Loss to follow-up: a constant hazard while alive."""

    lost_per_year: float = 0.0

    def __post_init__(self) -> None:
        check_amount(self.lost_per_year, "follow_up.lost_per_year")


@dataclass(frozen=True, slots=True)
class Turnover:
    """Patients who change payer.

    Parameters
    ----------
    leaves_per_year : float
        Constant hazard while alive.
    rule : {"stop", "transfer", "lump_sum"}
        What happens to later events: they lapse, the next payer takes them over, or the leaving payer settles
        `lump_sum_share` of every payment still open for a patient who has not failed, and refunds lapse.
    lump_sum_share : float
    """

    leaves_per_year: float = 0.0
    rule: TurnoverRule = "transfer"
    lump_sum_share: float = 1.0

    def __post_init__(self) -> None:
        check_amount(self.leaves_per_year, "turnover.leaves_per_year")
        check_share(self.lump_sum_share, "turnover.lump_sum_share")
        if self.rule not in TURNOVER_RULES:
            raise InputError("unknown rule", field="turnover.rule", found=self.rule, allowed=", ".join(TURNOVER_RULES))


@dataclass(frozen=True, slots=True)
class CounterpartyDefault:
    """Insolvency of a party, common to all patients of a pool; hazards run from infusion.

    Parameters
    ----------
    manufacturer_per_year : float
        After it, refunds are paid at `recovery`.
    payer_per_year : float
        After it, instalments are paid at `recovery`.
    recovery : float
    """

    manufacturer_per_year: float = 0.0
    payer_per_year: float = 0.0
    recovery: float = 0.0

    def __post_init__(self) -> None:
        check_amount(self.manufacturer_per_year, "default.manufacturer_per_year")
        check_amount(self.payer_per_year, "default.payer_per_year")
        check_share(self.recovery, "default.recovery")


@dataclass(frozen=True, slots=True)
class Administration:
    """Cost of running the agreement; no part of the price.

    Parameters
    ----------
    set_up_cost : float
        Once per pool, shared by its patients.
    cost_per_patient_year : float
        Tracking while the patient lives and is followed, until `months` after infusion.
    months : float or None
        None: until the last date of the contract.
    paid_by : {"payer", "manufacturer"}
    """

    set_up_cost: float = 0.0
    cost_per_patient_year: float = 0.0
    months: float | None = None
    paid_by: Literal["payer", "manufacturer"] = "payer"

    def __post_init__(self) -> None:
        check_amount(self.set_up_cost, "administration.set_up_cost")
        check_amount(self.cost_per_patient_year, "administration.cost_per_patient_year")
        if self.months is not None:
            check_months(self.months, "administration.months")
        if self.paid_by not in ("payer", "manufacturer"):
            raise InputError(
                "unknown party", field="administration.paid_by", found=self.paid_by, allowed="payer, manufacturer"
            )


@dataclass(frozen=True, slots=True)
class Terms:
    """All modifiers of a contract.

    Parameters
    ----------
    payer_rate, manufacturer_rate : float
        Discount rates per year, annual compounding, from each infusion.
    indexation_per_year : float
        Instalments grow by this from infusion to their date; refunds do not.
    """

    payer_rate: float = 0.03
    manufacturer_rate: float = 0.03
    indexation_per_year: float = 0.0
    assessment: Assessment = Assessment()
    follow_up: FollowUp = FollowUp()
    turnover: Turnover = Turnover()
    default: CounterpartyDefault = CounterpartyDefault()
    administration: Administration = Administration()

    def __post_init__(self) -> None:
        for name in ("payer_rate", "manufacturer_rate", "indexation_per_year"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > -1.0):
                raise InputError("must be a finite rate per year above -1", field=name, found=value)


DEFAULT_TERMS = Terms()
