"""Fixed capital investment by factorial estimate, and the annual charge for it.

The purchase cost of the equipment times factors gives the investment: one Lang factor [1]_, or itemised direct factors
(erection, piping, instrumentation, ...) and indirect factors (engineering, contingency, ...) [2]_, [3]_. Clean rooms may
be stated by area instead of by a factor. A cost known at one size is moved to another by the six-tenths rule. The annual
charge is the annuity that pays the investment back with interest over its life, less what is left of it.

References
----------
.. [1] Lang, H. J. (1948). Simplified approach to preliminary cost estimates. Chemical Engineering 55(6), 112-113.
.. [2] Sinnott, R. K. Coulson & Richardson's Chemical Engineering, volume 6, table 6.1.
.. [3] Peters, M. S., Timmerhaus, K. D. Plant Design and Economics for Chemical Engineers, 4th edition, tables 17 and 18.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cartsight.core.errors import InputError
from cartsight.scenario.capital_costs import Capital, Equipment

SIX_TENTHS = 0.6
"""Exponent of cost over capacity where none is known."""


def annuity_factor(interest_rate: float, years: float) -> float:
    """Return the capital recovery factor i / (1 - (1 + i)^-n); 1 / n without interest.

    Parameters
    ----------
    interest_rate : float
        Per year, as a fraction; at least 0.
    years : float
        Life; above 0.

    Raises
    ------
    InputError
        A rate below 0 or a life that is not above 0.
    """
    if not (math.isfinite(interest_rate) and interest_rate >= 0.0):
        raise InputError("the interest rate must be at least 0", field="interest_rate", found=interest_rate)
    if not (math.isfinite(years) and years > 0.0):
        raise InputError("the life must be above 0 years", field="years", found=years)
    if interest_rate == 0.0:
        return 1.0 / years
    # expm1 and log1p keep small rates exact: the factor goes to 1 / n without a jump.
    return interest_rate / -math.expm1(-years * math.log1p(interest_rate))


def annual_capital_charge(investment: float, interest_rate: float, years: float, *, salvage: float = 0.0) -> float:
    """Return the yearly payment that pays an investment back with interest, less its present value at the end.

    Parameters
    ----------
    investment : float
        Money spent at the start.
    interest_rate : float
        Per year, as a fraction.
    years : float
        Life.
    salvage : float
        Money that is left at the end of the life.

    Returns
    -------
    float
        Money per year: (investment - salvage) x annuity factor + salvage x interest rate, the textbook form.
    """
    return (investment - salvage) * annuity_factor(interest_rate, years) + salvage * interest_rate


def scaled_cost(
    reference_cost: float, reference_capacity: float, capacity: float, exponent: float = SIX_TENTHS
) -> float:
    """Return a cost at another capacity: reference cost x (capacity / reference capacity)^exponent.

    Raises
    ------
    InputError
        A capacity that is not above 0.
    """
    for field, size in (("reference_capacity", reference_capacity), ("capacity", capacity)):
        if not (math.isfinite(size) and size > 0.0):
            raise InputError("a capacity must be above 0", field=field, found=size)
    return float(reference_cost * (capacity / reference_capacity) ** exponent)


@dataclass(frozen=True, slots=True)
class CapitalEstimate:
    """An investment by item, in money.

    `items` starts with "equipment" and holds every direct and indirect item; they add up to `fixed_capital`.
    `annual_charge` is zero until a life and an interest rate are given (`capital_cost`).
    """

    items: dict[str, float]
    annual_charge: float = 0.0

    @property
    def equipment(self) -> float:
        """Purchase cost of the equipment."""
        return self.items.get("equipment", 0.0)

    @property
    def fixed_capital(self) -> float:
        """Fixed capital investment."""
        return math.fsum(self.items.values())

    @property
    def lang_factor(self) -> float:
        """Fixed capital investment over the purchase cost of the equipment; NaN without equipment."""
        return self.fixed_capital / self.equipment if self.equipment > 0.0 else math.nan


def lang_estimate(equipment_cost: float, lang_factor: float) -> CapitalEstimate:
    """Return the investment as one factor times the delivered cost of the equipment.

    Parameters
    ----------
    equipment_cost : float
        Delivered cost of all major equipment.
    lang_factor : float
        3.1 solids, 3.6 solids and fluids, 4.7 fluids in process plants (Lang); 2.3 to 8.5 in cell therapy facilities.
    """
    if lang_factor < 1.0:
        raise InputError(
            "a Lang factor contains the equipment itself", field="lang_factor", found=lang_factor, allowed="1 or more"
        )
    return CapitalEstimate({"equipment": equipment_cost, "installation": (lang_factor - 1.0) * equipment_cost})


def factorial_estimate(
    equipment_cost: float,
    direct: Mapping[str, float],
    indirect: Mapping[str, float] | None = None,
    *,
    rooms_cost: float = 0.0,
    indirect_of_equipment: Mapping[str, float] | None = None,
    on_both: Mapping[str, float] | None = None,
) -> CapitalEstimate:
    """Return the investment item by item.

    Parameters
    ----------
    equipment_cost : float
        Delivered cost of all major equipment.
    direct : mapping
        Item to its share of the equipment cost.
    indirect : mapping, optional
        Item to its share of the direct cost (equipment, direct items and rooms), as Coulson and Richardson count.
    rooms_cost : float
        Building by area, in place of a direct factor.
    indirect_of_equipment : mapping, optional
        Item to its share of the equipment cost, as Peters and Timmerhaus count engineering and construction.
    on_both : mapping, optional
        Item to its share of direct and indirect cost together: contractor's fee and contingency of Peters and Timmerhaus.

    Returns
    -------
    CapitalEstimate
    """
    items = {"equipment": equipment_cost} | {name: share * equipment_cost for name, share in direct.items()}
    if rooms_cost:
        items["rooms"] = rooms_cost
    direct_cost = math.fsum(items.values())
    items |= {name: share * direct_cost for name, share in (indirect or {}).items()}
    items |= {name: share * equipment_cost for name, share in (indirect_of_equipment or {}).items()}
    both = math.fsum(items.values())
    items |= {name: share * both for name, share in (on_both or {}).items()}
    return CapitalEstimate(items)


def equipment_cost(equipment: Mapping[str, Equipment]) -> float:
    """Return the purchase cost of a list of equipment, each scaled to its capacity."""
    total = []
    for piece in equipment.values():
        cost = piece.purchase_cost.x
        if piece.capacity is not None and piece.reference_capacity is not None:
            exponent = SIX_TENTHS if piece.exponent is None else piece.exponent.x
            cost = scaled_cost(cost, piece.reference_capacity, piece.capacity, exponent)
        total.append(cost * piece.number)
    return math.fsum(total)


def capital_of_a_line(capital: Capital) -> CapitalEstimate:
    """Return what one more line costs to build, and the annual charge for it."""
    area = {grade: room.area_per_line.x for grade, room in capital.rooms.items() if room.area_per_line is not None}
    return _estimate(capital, equipment_cost(capital.line_equipment), area)


def capital_of_a_site(capital: Capital) -> CapitalEstimate:
    """Return what a site costs to build apart from its lines, and the annual charge for it."""
    area = {grade: room.area_per_site.x for grade, room in capital.rooms.items() if room.area_per_site is not None}
    return _estimate(capital, equipment_cost(capital.site_equipment), area)


def _estimate(capital: Capital, purchase: float, area: Mapping[str, float]) -> CapitalEstimate:
    rate, life = capital.interest_rate.x, capital.equipment_life.x
    salvage = 0.0 if capital.salvage is None else capital.salvage.x * purchase
    if capital.lang_factor is not None:
        estimate = lang_estimate(purchase, capital.lang_factor.x)
        charge = annual_capital_charge(estimate.fixed_capital, rate, life, salvage=salvage)
        return CapitalEstimate(estimate.items, charge)
    rooms = math.fsum(size * capital.rooms[grade].cost_per_square_metre.x for grade, size in area.items())
    direct = {item.replace("_", " "): factor.x for item, factor in (capital.direct_factors or {}).items()}
    indirect = {item.replace("_", " "): factor.x for item, factor in (capital.indirect_factors or {}).items()}
    estimate = factorial_estimate(purchase, direct, indirect, rooms_cost=rooms)
    # The rooms bear their share of the indirect cost and outlive the equipment.
    building = rooms * (1.0 + math.fsum(indirect.values()))
    charge = annual_capital_charge(estimate.fixed_capital - building, rate, life, salvage=salvage)
    if capital.building_life is not None:
        charge += annual_capital_charge(building, rate, capital.building_life.x)
    return CapitalEstimate(estimate.items, charge)
