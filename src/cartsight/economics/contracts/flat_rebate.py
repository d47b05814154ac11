"""A contract against the flat rebate that costs the payer the same: otherwise every contract looks like a saving.

With constant absolute risk aversion a the certainty equivalent of a random cost X is ln(E e^(aX)) / a. It is stated as
A = a x price, so that A = 1 is a payer who would pay 12.5 % of the price to be rid of a cost with a standard deviation
of half the price (Pratt 1964, doi:10.2307/1913738: a x variance / 2 to second order).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.economics.contracts.cohort_sizes import CohortSizeResult

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CertaintyEquivalent:
    """What a party with the stated risk aversion would take for certain in place of the contract.

    Parameters
    ----------
    cohort_size : int
    payer : float
        Certain cost per patient as good as the contract's random cost.
    payer_risk_premium : float
        `payer` less the expected cost: what the flat rebate saves in risk, per patient.
    manufacturer, manufacturer_risk_premium : float
        Certain revenue as good as the contract's, and the expected revenue less it.
    """

    cohort_size: int
    payer: float
    payer_risk_premium: float
    manufacturer: float
    manufacturer_risk_premium: float


@dataclass(frozen=True, slots=True)
class FlatRebateEquivalent:
    """The flat rebate with the same expected present value for the payer.

    Parameters
    ----------
    rebate_share : float
        Of the price; negative when the contract costs more than the price.
    net_price : float
        Paid once at infusion.
    manufacturer_gain : float
        What the flat rebate gives the firm per patient in present value beyond the contract: discounting at its own
        rate, and tracking that it no longer bears.
    administration_saved : float
        Present value of tracking and set-up per patient that the flat rebate does not need.
    risk_aversion : float
        A, dimensionless.
    certainty_equivalents : tuple of CertaintyEquivalent
        One per cohort size.
    """

    rebate_share: float
    net_price: float
    manufacturer_gain: float
    administration_saved: float
    risk_aversion: float
    certainty_equivalents: tuple[CertaintyEquivalent, ...]


def certainty_equivalent_cost(cost: Float, aversion_per_money: float) -> float:
    """Return ln(E e^(aX)) / a of a random cost, its mean when a = 0; the shift keeps the exponential in range."""
    if aversion_per_money == 0.0:
        return float(cost.mean())
    shift = float(cost.max())
    return shift + float(np.log(np.mean(np.exp(aversion_per_money * (cost - shift))))) / aversion_per_money


def flat_rebate_equivalent(
    price: float,
    present_value: float,
    manufacturer_value: float,
    administration: float,
    sizes: list[CohortSizeResult],
    risk_aversion: float,
) -> FlatRebateEquivalent:
    """Return the flat rebate of equal expected value and both parties' certainty equivalents of the contract.

    Parameters
    ----------
    price : float
    present_value : float
        Expected, of the contract for its payers, at the payer's rate.
    manufacturer_value : float
        Expected, of the contract for the firm, at its own rate.
    administration : float
        Present value per patient.
    sizes : list of CohortSizeResult
    risk_aversion : float
        A: absolute risk aversion times the price.
    """
    if not (np.isfinite(risk_aversion) and risk_aversion >= 0.0):
        raise InputError("must be finite and not negative", field="risk.aversion", found=risk_aversion)
    a = risk_aversion / price if price > 0.0 else 0.0
    rows = []
    for result in sizes:
        cost = certainty_equivalent_cost(result.payer_cost, a)
        revenue = -certainty_equivalent_cost(-result.revenue, a)
        rows.append(
            CertaintyEquivalent(
                result.cohort_size,
                cost,
                cost - float(result.payer_cost.mean()),
                revenue,
                float(result.revenue.mean()) - revenue,
            )
        )
    return FlatRebateEquivalent(
        rebate_share=1.0 - present_value / price if price > 0.0 else 0.0,
        net_price=present_value,
        manufacturer_gain=present_value - manufacturer_value,
        administration_saved=administration,
        risk_aversion=risk_aversion,
        certainty_equivalents=tuple(rows),
    )
