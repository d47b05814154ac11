"""Scenarios of ICER (the US institute) for single or short-term therapies: who keeps the savings of a cure.

A one-time therapy is credited with the care that its comparator would have needed year after year (cost
offsets). Besides the full credit, two scenarios give part of it back to the health system::

    full credit       k p = wtp dQ + S
    shared savings    k p = wtp dQ + S / 2
    capped offsets    k p = wtp dQ + sum_y v_y min(s_y, cap)

with p the price, k how often it is paid per patient (discounted), dQ the gain in QALYs, s_y the offset in year
y, v_y its discount factor and S = sum_y v_y s_y. Years in which the therapy costs more than its comparator are
charged in full in every scenario; S is shared only when it is a saving.

Read: ICER's press release of 12 November 2019, which announces two scenarios of shared savings
(https://icer.org/news-insights/press-releases/final_potential_cures_methods/), and the abstract of "Will ICER's 'shared
savings' approach decrease value-based prices most for the most severe diseases?" (Value in Health; Wang, Sharma, Spurrier,
Nordyke and others), which applies them two ways, 50/50 shared savings and a cost-offset cap of 150 000 US dollars a year, and
prints what they take from a cure of three diseases: the known answers of the tests. ICER's own technical text was not read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.units import DAYS_PER_YEAR
from cartsight.economics.ledger import CostLedger

Float = npt.NDArray[np.float64]

SHARED_FRACTION = 0.5
YEARLY_CAP_USD = 150_000.0
BASIS = (
    "The half and the cap of 150 000 US dollars a year are those of a published application of ICER's two scenarios "
    "(Value in Health, abstract read); ICER announced the scenarios on 12 November 2019, its technical text was not read."
)


@dataclass(frozen=True, slots=True)
class SavingsRule:
    """One scenario of who keeps the savings.

    Attributes
    ----------
    name : str
        ``full credit``, ``shared savings`` or ``capped offsets``.
    credited : float
        Discounted offsets credited to the therapy, per patient.
    value_based_price : float
        Price at which the therapy's net benefit over its comparator is zero.
    icer : float or None
        Cost per QALY at the present price with only the credited offsets counted; None when no QALY is gained.
    """

    name: str
    credited: float
    value_based_price: float
    icer: float | None


@dataclass(frozen=True, eq=False, slots=True)
class SingleTherapyScenarios:
    """The three scenarios of one therapy against one comparator.

    Attributes
    ----------
    offsets_by_year, discounted_by_year : array, shape (years,)
        Comparator's cost less the therapy's cost other than the product, in each year after referral.
    incremental_qalys, paid_per_patient, price, wtp : float
    rules : tuple of SavingsRule
    remark : str
        Where the half and the cap come from.
    """

    offsets_by_year: Float
    discounted_by_year: Float
    incremental_qalys: float
    paid_per_patient: float
    price: float
    wtp: float
    shared_fraction: float
    yearly_cap: float
    rules: tuple[SavingsRule, ...]
    remark: str = BASIS


def cost_by_year(ledger: CostLedger, years: int, *, without: tuple[str, ...] = ()) -> Float:
    """Return mean undiscounted cost per patient in each year after referral, shape (years,).

    Parameters
    ----------
    ledger : CostLedger
        Of all patients of an arm, days from each patient's referral.
    years : int
    without : tuple of str
        Categories to leave out.
    """
    kept = ledger.select(name for name in ledger.categories if name not in without)
    found = kept.by_year()
    result = np.zeros(max(years, found.size))
    result[: found.size] = found / ledger.patients
    return result


def single_therapy_scenarios(
    comparator_by_year: npt.ArrayLike,
    other_by_year: npt.ArrayLike,
    *,
    incremental_qalys: float,
    paid_per_patient: float,
    price: float,
    wtp: float,
    discount_rate: float,
    shared_fraction: float = SHARED_FRACTION,
    yearly_cap: float = YEARLY_CAP_USD,
) -> SingleTherapyScenarios:
    """Return price and cost per QALY under full credit, shared savings and capped offsets.

    Parameters
    ----------
    comparator_by_year, other_by_year : array_like, shape (years,)
        Undiscounted mean cost per patient of the comparator, and of the therapy without its product.
    incremental_qalys : float
        Discounted.
    paid_per_patient : float
        k: how often the price is paid per patient, discounted; above zero.
    price, wtp : float
    discount_rate : float
        For costs; a year is discounted at its middle.
    shared_fraction : float
        Share of the savings credited to the therapy under shared savings.
    yearly_cap : float
        Largest offset credited in one year, in the money of the costs.

    Raises
    ------
    InputError
        Years do not match, a number is not finite or out of range.
    """
    comparator = np.asarray(comparator_by_year, dtype=np.float64)
    other = np.asarray(other_by_year, dtype=np.float64)
    if comparator.ndim != 1 or comparator.shape != other.shape or comparator.size == 0:
        raise InputError("both strategies need a cost for the same years", found=(comparator.shape, other.shape))
    if not (np.all(np.isfinite(comparator)) and np.all(np.isfinite(other)) and math.isfinite(incremental_qalys)):
        raise InputError("costs and QALYs must be finite numbers")
    for name, value, low, high in (
        ("paid_per_patient", paid_per_patient, 1e-12, math.inf),
        ("price", price, 0.0, math.inf),
        ("wtp", wtp, 0.0, math.inf),
        ("discount_rate", discount_rate, 0.0, 1.0),
        ("shared_fraction", shared_fraction, 0.0, 1.0),
        ("yearly_cap", yearly_cap, 0.0, math.inf),
    ):
        if not (math.isfinite(value) and low <= value <= high):
            raise InputError("out of range", field=name, found=value, allowed=f"{low:g} to {high:g}")
    offsets = comparator - other
    factor = (1.0 + discount_rate) ** -(np.arange(offsets.size) + 0.5)
    discounted = offsets * factor
    full = float(discounted.sum())
    credited = {
        "full credit": full,
        "shared savings": shared_fraction * full if full > 0.0 else full,
        "capped offsets": float((np.minimum(offsets, yearly_cap) * factor).sum()),
    }
    rules = tuple(
        SavingsRule(
            name,
            amount,
            (wtp * incremental_qalys + amount) / paid_per_patient,
            (price * paid_per_patient - amount) / incremental_qalys if incremental_qalys > 0.0 else None,
        )
        for name, amount in credited.items()
    )
    return SingleTherapyScenarios(
        offsets_by_year=offsets,
        discounted_by_year=discounted,
        incremental_qalys=incremental_qalys,
        paid_per_patient=paid_per_patient,
        price=price,
        wtp=wtp,
        shared_fraction=shared_fraction,
        yearly_cap=yearly_cap,
        rules=rules,
    )


def years_of(horizon_days: float) -> int:
    """Return how many years of 365.25 days a horizon touches."""
    return max(1, math.ceil(horizon_days / DAYS_PER_YEAR - 1e-9))
