"""The pools of servers of autologous plants, and when they take new starts."""

from __future__ import annotations

from cartsight.scenario import Scenario
from cartsight.scenario.arms import AutologousArm, Site
from cartsight.simulation import Calendar, FlowModel
from cartsight.simulation.pathways.care import per_hospital
from cartsight.simulation.pathways.patients import Window

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SHUTDOWN_STARTS = 355.0
"""Day of the year on which a yearly shutdown starts (around the turn of the year)."""

OPERATORS, QUALITY_ASSURANCE = "operators", "quality assurance"

UNLIMITED = 100_000
"""Servers of a pool that one plant limits and another does not."""


def starts_calendar(site: Site, window: Window) -> Calendar | None:
    """Return when a site's lines take new starts; runs in progress go on through closed days."""
    open_days = [i for i, day in enumerate(WEEKDAYS) if day not in site.closed_to_starts]
    outages: list[tuple[float, float]] = list(site.outages)
    if site.yearly_shutdown_days:
        years = int(window.arrivals_end / 365.0) + 3
        outages += [
            (year * 365.0 + SHUTDOWN_STARTS, year * 365.0 + SHUTDOWN_STARTS + site.yearly_shutdown_days)
            for year in range(years)
        ]
    if len(open_days) == 7:
        return Calendar(outages=tuple(outages)) if outages else None
    weekly = Calendar.weekdays(*open_days)
    return Calendar(windows=weekly.windows, outages=tuple(outages))


def limited(arm: AutologousArm, pool: str) -> bool:
    """Whether any plant of the arm limits a pool that may be left unlimited."""
    plants = [arm.at_every_hospital] if arm.at_every_hospital is not None else list((arm.sites or {}).values())
    return any(servers_of(site, pool) is not None for site in plants)


def servers_of(site: Site, pool: str) -> int | None:
    match pool:
        case "line":
            return site.lines
        case "quality control":
            return site.quality_control_lanes
        case "operators":
            return site.operator_teams
        case _:
            return site.quality_assurance_reviewers


def autologous_plants(model: FlowModel, scenario: Scenario, arm: AutologousArm, window: Window) -> None:
    """Declare the pools of every plant; a run takes a line by region and all else at the same plant."""
    pools = ["line", "quality control"] + [pool for pool in (OPERATORS, QUALITY_ASSURANCE) if limited(arm, pool)]
    if arm.at_every_hospital is not None:
        site = arm.at_every_hospital
        for pool in pools:
            calendar = starts_calendar(site, window) if pool == "line" else None
            per_hospital(model, scenario, pool, servers_of(site, pool) or UNLIMITED, calendar)
        return
    assert arm.sites is not None
    for pool in pools:
        names = [f"{pool}/{name}" for name in arm.sites]
        for name, site in zip(names, arm.sites.values(), strict=True):
            calendar = starts_calendar(site, window) if pool == "line" else None
            model.resource(name, servers_of(site, pool) or UNLIMITED, calendar=calendar)
        if pool != "line":
            model.group(pool, names, rule="by_attribute", attribute="site")
        elif len(names) == 1:
            model.group(pool, names, rule="fixed")
        else:
            model.group(pool, names, rule="nearest", attribute="region", matrix=_preferences(scenario, arm.sites))


def _preferences(scenario: Scenario, sites: dict[str, Site]) -> list[list[int]]:
    rows = []
    for region in scenario.population.regions:
        row = [i for i, site in enumerate(sites.values()) if site.serves is None or region in site.serves]
        # Rows of a preference matrix are equally long; asking a site again changes nothing.
        rows.append(row + row[:1] * (len(sites) - len(row)))
    return rows
