"""The pools of servers of autologous plants, and when they take new starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from cartsight.scenario import Scenario
from cartsight.scenario.arms import AutologousArm, Site
from cartsight.scenario.plant import Pickup, Shift, Weekday
from cartsight.simulation import Calendar, FlowModel
from cartsight.simulation import steps as s
from cartsight.simulation.pathways.care import per_hospital
from cartsight.simulation.pathways.patients import Window

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SHUTDOWN_STARTS = 355.0
"""Day of the year on which a yearly shutdown starts (around the turn of the year)."""

LINE, QUALITY_CONTROL, OPERATORS, QUALITY_ASSURANCE = "line", "quality control", "operators", "quality assurance"
INSTRUMENTS = "quality control instruments"
MATERIAL_STORE, PRODUCT_STORE = "starting material store", "product store"
OPTIONAL_POOLS = (OPERATORS, QUALITY_ASSURANCE, INSTRUMENTS, MATERIAL_STORE, PRODUCT_STORE)

ROUTE, TODAY = "row of plants", "today"
ON_LINE = ": on a line"
"""End of the mark of what takes a line beside the arm's own batches."""

UNLIMITED = 100_000
"""Servers of a pool that one plant limits and another does not."""

MOST_BLOCKS = 4
"""Media fills close the lines of a plant in at most so many turns."""


def starts_calendar(site: Site, window: Window) -> Calendar | None:
    """Return when a site's lines take new starts; runs in progress go on through closed days."""
    open_days = [i for i, day in enumerate(WEEKDAYS) if day not in site.closed_to_starts]
    years = int(window.arrivals_end / 365.0) + 3
    outages: list[tuple[float, ...]] = list(site.outages)
    if site.yearly_shutdown_days:
        outages += [
            (year * 365.0 + SHUTDOWN_STARTS, year * 365.0 + SHUTDOWN_STARTS + site.yearly_shutdown_days)
            for year in range(years)
        ]
    outages += media_fill_days(site, years)
    changes = line_changes(site)
    if len(open_days) == 7:
        return Calendar(outages=tuple(outages), changes=changes) if outages or changes else None
    weekly = Calendar.weekdays(*open_days)
    return Calendar(windows=weekly.windows, outages=tuple(outages), changes=changes)


def media_fill_days(site: Site, years: int) -> list[tuple[float, float, float]]:
    """Return (first day, last day, lines closed): in each campaign the lines take turns."""
    fills = site.media_fills
    if fills is None:
        return []
    blocks = min(MOST_BLOCKS, site.lines)
    shares = [site.lines // blocks + (block < site.lines % blocks) for block in range(blocks)]
    closed = []
    for year in range(years):
        for campaign in range(fills.per_year):
            start = year * 365.0 + round((campaign + 0.5) * 365.0 / fills.per_year)
            for lines in shares:
                closed.append((start, start + fills.days, float(lines)))
                start += fills.days
    return closed


def line_changes(site: Site) -> tuple[tuple[float, int], ...]:
    """Return (day, lines running from then on) where a plant opens late, ramps up or expands; empty otherwise."""
    steps: list[tuple[float, int]] = []
    if site.opens_on_day > 0.0 or site.ramp_up:
        levels = site.ramp_up or ((0.0, site.lines),)
        running = 0
        for after, lines in levels:
            steps.append((site.opens_on_day + after, lines - running))
            running = lines
    else:
        steps.append((0.0, site.lines))
    steps += [
        (expansion.decided_on_day + expansion.lead_time.x, expansion.lines) for expansion in site.expansions.values()
    ]
    if steps == [(0.0, site.lines)]:
        return ()
    total, changes = 0, []
    for day in sorted({0.0, *(day for day, _ in steps)}):
        total = sum(lines for start, lines in steps if start <= day)
        changes.append((day, total))
    return tuple(changes)


def lines_over_time(site: Site, window: Window) -> float:
    """Return the mean number of lines that run over the observation window, closed days included."""
    changes = line_changes(site)
    if not changes:
        return float(site.lines)
    ends = [day for day, _ in changes[1:]] + [math.inf]
    days = sum(
        lines * max(0.0, min(end, window.end) - max(day, window.start))
        for (day, lines), end in zip(changes, ends, strict=True)
    )
    return days / (window.end - window.start)


def weekday_calendar(days: Sequence[Weekday] | None) -> Calendar | None:
    """Return the calendar of some days of the week; None for every day."""
    return None if days is None else Calendar.weekdays(*(WEEKDAYS.index(day) for day in days))


def pickup_calendar(pickup: Pickup) -> Calendar:
    """Return when a courier collects."""
    return Calendar.weekdays(
        *(WEEKDAYS.index(day) for day in pickup.days), opens=pickup.from_hour / 24.0, closes=pickup.cut_off_hour / 24.0
    )


def trained(site: Site, teams: int) -> int:
    """Return the teams that may work on the product."""
    return teams if site.operators_trained is None else max(1, math.floor(teams * site.operators_trained.x + 1e-9))


def shift_calendar(site: Site) -> tuple[int, Calendar]:
    """Return the most teams that are ever on duty together, and who is on duty when."""
    edges = {0.0, 7.0}
    spans: list[tuple[float, float, Shift]] = []
    for shift in site.operator_shifts:
        for name in shift.days:
            day = WEEKDAYS.index(name)
            spans.append((day + shift.from_hour / 24.0, day + shift.to_hour / 24.0, shift))
            edges.update(spans[-1][:2])
    points = sorted(edges)
    windows: list[tuple[float, float, float]] = []
    for left, right in pairwise(points):
        teams = sum(shift.teams for start, end, shift in spans if start <= left and right <= end)
        if teams == 0:
            continue
        on_duty = float(trained(site, teams))
        if windows and windows[-1][1] == left and windows[-1][2] == on_duty:
            windows[-1] = (windows[-1][0], right, on_duty)
        else:
            windows.append((left, right, on_duty))
    return int(max(servers for _, _, servers in windows)), Calendar(windows=tuple(windows))


def limited(arm: AutologousArm, pool: str) -> bool:
    """Whether any plant of the arm limits a pool that may be left unlimited."""
    return any(servers_of(site, pool) is not None for site in arm.plants)


def servers_of(site: Site, pool: str) -> int | None:
    """Return the servers of a pool at full strength; None where it is unlimited."""
    match pool:
        case "line":
            return site.lines + sum(expansion.lines for expansion in site.expansions.values())
        case "quality control":
            return site.quality_control_lanes
        case "operators":
            if site.operator_shifts:
                return shift_calendar(site)[0]
            return None if site.operator_teams is None else trained(site, site.operator_teams)
        case "quality assurance":
            if site.quality_assurance_days is not None:
                return site.quality_assurance_reviewers or UNLIMITED
            return site.quality_assurance_reviewers
        case "quality control instruments":
            return site.quality_control_instruments
        case "starting material store":
            return site.starting_material_places
        case _:
            return site.product_places


def calendar_of(site: Site, pool: str, window: Window) -> Calendar | None:
    """Return when the servers of a pool take new work; None for always."""
    match pool:
        case "line":
            return starts_calendar(site, window)
        case "quality control":
            return weekday_calendar(site.quality_control_days)
        case "operators":
            return shift_calendar(site)[1] if site.operator_shifts else None
        case "quality assurance":
            return weekday_calendar(site.quality_assurance_days)
        case _:
            return None


def pools_of(arm: AutologousArm) -> list[str]:
    """Return the pools that an arm's plants have."""
    return [LINE, QUALITY_CONTROL, *(pool for pool in OPTIONAL_POOLS if limited(arm, pool))]


def autologous_plants(model: FlowModel, scenario: Scenario, arm: AutologousArm, window: Window) -> None:
    """Declare the pools of every plant. The first pool that a batch needs is chosen by region, all else at that plant."""
    pools = pools_of(arm)
    if arm.at_every_hospital is not None:
        site = arm.at_every_hospital
        for pool in pools:
            per_hospital(model, scenario, pool, servers_of(site, pool) or UNLIMITED, calendar_of(site, pool, window))
        return
    assert arm.sites is not None
    for pool in pools:
        names = [f"{pool}/{name}" for name in arm.sites]
        for name, site in zip(names, arm.sites.values(), strict=True):
            model.resource(name, servers_of(site, pool) or UNLIMITED, calendar=calendar_of(site, pool, window))
        if pool != first_pool(arm):
            model.group(pool, names, rule="by_attribute", attribute="site")
        elif len(names) == 1:
            model.group(pool, names, rule="fixed")
        else:
            days = opening_days(arm)
            if days:
                model.attribute(ROUTE)
                model.attribute(TODAY)
            matrix = [row for day in (0.0, *days) for row in _preferences(scenario, arm.sites, day)]
            model.group(pool, names, rule="nearest", attribute=ROUTE if days else "region", matrix=matrix)


def first_pool(arm: AutologousArm) -> str:
    """Return the pool whose choice decides the plant of a batch: cells that wait at a plant have chosen it."""
    return MATERIAL_STORE if limited(arm, MATERIAL_STORE) else LINE


def opening_days(arm: AutologousArm) -> list[float]:
    """Return the days, rising, on which plants open where there is a choice of plants."""
    if arm.sites is None or len(arm.sites) == 1:
        return []
    return sorted({site.opens_on_day for site in arm.sites.values() if site.opens_on_day > 0.0})


def route(scenario: Scenario, arm: AutologousArm, at: str) -> list[s.Step]:
    """Return the steps that choose the row of plants open today; none where all are open from the start."""
    days = opening_days(arm)
    if not days:
        return []
    regions = len(scenario.population.regions)
    # Row 0 to R - 1 before the first opening, R to 2 R - 1 after it, and so on.
    steps: list[s.Step] = [s.Now(TODAY), s.Set(ROUTE, "region")]
    for day in days:
        steps += [s.Test(TODAY, ">=", day, otherwise=f"plants known {at}"), s.Add(ROUTE, float(regions))]
    return [*steps, s.Label(f"plants known {at}")]


def _preferences(scenario: Scenario, sites: dict[str, Site], day: float) -> list[list[int]]:
    rows = []
    for region in scenario.population.regions:
        row = [i for i, site in enumerate(sites.values()) if site.serves is None or region in site.serves]
        opened = [i for i in row if list(sites.values())[i].opens_on_day <= day]
        # Where no plant is open yet, cells wait for the first that opens.
        row = opened or sorted(row, key=lambda i: list(sites.values())[i].opens_on_day)[:1]
        # Rows of a preference matrix are equally long; asking a site again changes nothing.
        rows.append(row + row[:1] * (len(sites) - len(row)))
    return rows
