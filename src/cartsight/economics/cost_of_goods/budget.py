"""The plants' budget: what they spend in the observation window, line by line, over what they made.

Fixed cost (site, lines, capital, staff, quality overhead of every licensed site) runs whether a line is busy or idle;
variable cost is posted per batch or lot started, finished, shipped and so on, so a failure late in the run has sunk all
of it. The total is the plants' spending in the window; only the denominator differs between cost per started, released
and infused.
"""

from __future__ import annotations

import math
from dataclasses import replace

from cartsight.core.errors import InputError, nearest
from cartsight.core.units import DAYS_PER_YEAR
from cartsight.economics.capital import capital_of_a_line, capital_of_a_site
from cartsight.economics.cost_of_goods.result import CostLine, CostOfGoods
from cartsight.scenario.activity_costs import Activity, Staff
from cartsight.scenario.arms import AllogeneicArm, AutologousArm, InVivoArm
from cartsight.scenario.cost_drivers import Carrier
from cartsight.scenario.cost_drivers import driver as find_driver
from cartsight.scenario.plant_costs import LotCosts, PlantCosts
from cartsight.simulation.pathways.plant import PlantRecord

CATEGORY_OF_KIND: dict[str, str] = {
    "quality assurance": "quality overhead",
    "logistics": "shipping",
    "facility": "site",
}
"""Category that the lines of a kind are added to, where it is not called as the kind."""

_USED_BY: dict[str, Carrier] = {"quality control": "finished", "quality assurance": "finished"}
"""Which batches bear the used part of a fixed cost, by the resource whose use it follows; line days for the others."""

_LINES, _CAPITAL, _POSTS = "lines", "capital", "staff"


def cost_of_goods(arm: AutologousArm | AllogeneicArm | InVivoArm, plant: PlantRecord) -> CostOfGoods:
    """Return the cost of goods of an arm from what its plants did.

    Parameters
    ----------
    arm : arm of the scenario at a parameter draw, money in the analysis's unit
    plant : PlantRecord

    Returns
    -------
    CostOfGoods

    Raises
    ------
    InputError
        An activity's driver is not counted for this arm; the message lists those that are.
    """
    costs = arm.costs
    fixed = {
        "site": costs.site_per_year.x * plant.sites * plant.years,
        "lines": costs.line_per_year.x * plant.lines * plant.years,
        "quality overhead": costs.quality_overhead_per_site_year.x * plant.sites * plant.years,
    }
    if isinstance(arm, AutologousArm):
        own = arm.costs
        variable = {
            "materials": own.materials_per_batch.x * plant.started,
            "vector": own.vector_per_batch.x * plant.started,
            "labour": own.labour_per_batch.x * plant.started,
            "quality control": own.quality_control_per_batch.x * (plant.started - plant.failed),
        }
    else:
        lot = arm.costs
        variable = {
            "materials": lot.materials_per_lot.x * plant.started,
            "vector": lot.vector_per_lot.x * plant.started,
            "labour": lot.labour_per_lot.x * plant.started,
            "quality control": lot.quality_control_per_lot.x * (plant.started - plant.failed),
            "fill and storage": lot.fill_and_storage_per_dose.x * plant.doses_received,
        }
        if lot.donor_per_lot is not None:
            variable["donor"] = lot.donor_per_lot.x * plant.started
    variable["shipping"] = costs.shipping_per_shipment.x * plant.shipments
    idle = fixed["lines"] * (1.0 - min(plant.own_utilisation("line"), 1.0))
    lines = _section_lines(fixed | variable, arm, plant)
    categories = fixed | variable
    fixed_total, variable_total = sum(fixed.values()), sum(variable.values())
    idle_parts = {_LINES: idle}
    extra = (*_supply_lines(arm, plant), *_itemised_lines(costs, plant))
    if extra:
        for line in extra:
            name = CATEGORY_OF_KIND.get(line.kind, line.kind)
            categories[name] = categories.get(name, 0.0) + line.total
            part = idle_part(line)
            if part is not None:
                idle_parts[part] = idle_parts.get(part, 0.0) + line.idle
        fixed_total = math.fsum([fixed_total, *(line.total for line in extra if line.fixed)])
        variable_total = math.fsum([variable_total, *(line.total for line in extra if not line.fixed)])
        idle = math.fsum(idle_parts.values())
        lines += extra
    return CostOfGoods(
        categories=categories,
        fixed=fixed_total,
        variable=variable_total,
        idle=idle,
        started=plant.started,
        released=plant.released,
        infused=plant.infused,
        years=plant.years,
        lines=lines,
        idle_parts=idle_parts,
    )


def idle_part(line: CostLine) -> str | None:
    """Return what of a fixed line stands idle: lines, capital or staff; None for sites and for variable lines."""
    if not line.fixed:
        return None
    if line.kind == "capital":
        return _CAPITAL
    if line.staff:
        return _POSTS
    return {"line years": _LINES, "site years": None}.get(line.driver, _POSTS)


_SECTION: dict[str, tuple[str, str]] = {
    "site": ("facility", "site years"),
    "lines": ("facility", "line years"),
    "quality overhead": ("quality assurance", "site years"),
    "materials": ("materials", "{made} started"),
    "vector": ("vector", "{made} started"),
    "labour": ("labour", "{made} started"),
    "quality control": ("quality control", "{made} finished"),
    "fill and storage": ("other", "doses received"),
    "donor": ("materials", "{made} started"),
    "shipping": ("logistics", "shipments"),
}
"""Kind and driver of the fields of a section of costs."""


def _section_lines(
    totals: dict[str, float], arm: AutologousArm | AllogeneicArm | InVivoArm, plant: PlantRecord
) -> tuple[CostLine, ...]:
    made = "batches" if isinstance(arm, AutologousArm) else "lots"
    counts = {
        "site years": plant.sites * plant.years,
        "line years": plant.lines * plant.years,
        f"{made} started": float(plant.started),
        f"{made} finished": float(plant.started - plant.failed),
        "doses received": plant.doses_received,
        "shipments": float(plant.shipments),
    }
    lines = []
    for name, total in totals.items():
        kind, driver = _SECTION[name]
        driver = driver.format(made=made)
        count = counts[driver]
        lines.append(_line(name, kind, driver, count, total / count if count > 0 else 0.0, total, plant))
    return tuple(lines)


def _line(
    name: str, kind: str, driver: str, count: float, unit_cost: float, total: float, plant: PlantRecord
) -> CostLine:
    rule = find_driver(driver)
    if not rule.fixed:
        return CostLine(name, kind, driver, count, unit_cost, total, False, 1.0, ((rule.carrier, 1.0),))
    used = min(plant.own_utilisation(rule.resource), 1.0)
    carrier = _USED_BY.get(rule.resource, "line days")
    return CostLine(name, kind, driver, count, unit_cost, total, True, used, ((carrier, 1.0),))


def _itemised_lines(costs: PlantCosts | LotCosts, plant: PlantRecord) -> tuple[CostLine, ...]:
    lines = []
    activities, staff = costs.activities or {}, costs.staff or {}
    for name, activity in activities.items():
        if activity.staff is not None:
            continue
        count = _count(plant, activity.driver, f"costs.activities.{name}.driver")
        if activity.amount is not None:
            cost = activity.amount.x
        else:
            assert activity.hours is not None and activity.cost_per_hour is not None
            cost = activity.hours.x * activity.cost_per_hour.x
        lines.append(_line(name, activity.kind, activity.driver, count, cost, cost * count, plant))
    for role, post in staff.items():
        work = {name: activity for name, activity in activities.items() if activity.staff == role}
        lines.append(_staff_line(role, post, work, plant))
    if costs.capital is not None:
        for name, driver, estimate in (
            ("capital of lines", "line years", capital_of_a_line(costs.capital) if costs.capital.of_lines else None),
            ("capital of sites", "site years", capital_of_a_site(costs.capital) if costs.capital.of_sites else None),
        ):
            if estimate is not None:
                count = {"line years": plant.lines, "site years": plant.sites}[driver] * plant.years
                charge = estimate.annual_charge
                lines.append(_line(name, "capital", driver, count, charge, charge * count, plant))
    return tuple(lines)


def _supply_lines(arm: AutologousArm | AllogeneicArm | InVivoArm, plant: PlantRecord) -> tuple[CostLine, ...]:
    """Lots of vector and other supplies are paid when ordered, failed ones included."""
    if isinstance(arm, AutologousArm):
        supplies, at, stated, field = arm.supplies, "supplies", arm.costs.vector_per_batch.x, "vector_per_batch"
    else:
        supplies, at, stated, field = arm.lots.supplies, "lots.supplies", arm.costs.vector_per_lot.x, "vector_per_lot"
    lines = []
    for name, supply in supplies.items():
        if supply.cost_per_lot is None:
            continue
        is_vector = supply.source.vector_yield is not None or "vector" in name.lower()
        if is_vector and supply.cost_per_lot.x > 0.0 and stated > 0.0:
            raise InputError(
                f"costs.{field} and the cost of a lot both state the vector; set one of them to 0",
                field=f"{at}.{name}.cost_per_lot",
                found=supply.cost_per_lot.x,
            )
        kind = "vector" if is_vector else "materials"
        other = supply.second_source
        dearer = None if other is None else other.cost_per_lot
        ordered = _count(plant, f"{name} lots ordered", f"{at}.{name}.cost_per_lot")
        second = 0.0
        if dearer is not None:
            driver = f"{name} lots from the second source"
            second = _count(plant, driver, f"{at}.{name}.second_source.cost_per_lot")
            line = f"{name} lots from the second source"
            lines.append(_line(line, kind, driver, second, dearer.x, dearer.x * second, plant))
        cost = supply.cost_per_lot.x
        first = ordered - second
        lines.append(_line(f"{name} lots", kind, f"{name} lots ordered", first, cost, cost * first, plant))
    return tuple(lines)


def _staff_line(role: str, post: Staff, work: dict[str, Activity], plant: PlantRecord) -> CostLine:
    """People on duty are paid by the hour of duty; the hours that activities take of them are the used part."""
    count = _count(plant, post.per, f"costs.staff.{role}.per")
    on_duty = post.head_count_per_shift * post.shifts_per_week * post.hours_per_shift * DAYS_PER_YEAR / 7.0
    cover = 1.0 if post.cover is None else post.cover.x
    cost = on_duty * cover * post.cost_per_hour.x
    if not work:
        return replace(_line(role, post.kind, post.per, count, cost, cost * count, plant), staff=True)
    hours: dict[Carrier, float] = {}
    for key, activity in work.items():
        assert activity.hours is not None
        carrier = _line(key, activity.kind, activity.driver, 0.0, 0.0, 0.0, plant).carriers[0][0]
        taken = activity.hours.x * _count(plant, activity.driver, f"costs.activities.{key}.driver")
        hours[carrier] = hours.get(carrier, 0.0) + taken
    worked = math.fsum(hours.values())
    carriers = (
        tuple((carrier, taken / worked) for carrier, taken in hours.items()) if worked > 0 else (("started", 1.0),)
    )
    used = min(worked / (on_duty * count), 1.0) if count > 0 else 0.0
    return CostLine(role, post.kind, post.per, count, cost, cost * count, True, used, carriers, staff=True)


def _count(plant: PlantRecord, driver: str, field: str) -> float:
    if driver not in plant.counts:
        raise InputError(
            "the plants of this arm do not count this cost driver",
            field=field,
            found=driver,
            allowed=", ".join(plant.counts),
            hint=nearest(driver, plant.counts),
        )
    return plant.counts[driver]
