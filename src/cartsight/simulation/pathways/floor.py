"""What an autologous plant's floor leaves behind: causes, waits by resource, and the counts of what takes lines."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cartsight.scenario import Scenario
from cartsight.scenario.arms import AutologousArm
from cartsight.scenario.supplies import Supply
from cartsight.simulation import FlowResult
from cartsight.simulation.pathways import background as b
from cartsight.simulation.pathways.autologous import CELLS_GONE, CELLS_READY, PRODUCT_GONE, PRODUCT_READY
from cartsight.simulation.pathways.patients import Window
from cartsight.simulation.pathways.plant import PlantRecord
from cartsight.simulation.pathways.plants import LINE, ON_LINE, lines_over_time
from cartsight.simulation.pathways.run import LOW_DOSE, NOT_COMPARABLE, cause_mark
from cartsight.simulation.pathways.supplies import STOCK_OUT, supply_waits
from cartsight.simulation.pathways.versions import COMPARABILITY_LOT, started_mark
from cartsight.simulation.tables import QUEUE

Float = npt.NDArray[np.float64]


def autologous_floor(
    plant: PlantRecord, scenario: Scenario, arm: AutologousArm, result: FlowResult, window: Window
) -> PlantRecord:
    """Return the record with what the stated pieces of the floor count; unchanged where none is stated."""
    counts = dict(plant.counts)
    hospitals = sum(region.hospitals for region in scenario.population.regions.values())
    plants = arm.plants if arm.sites is not None else arm.plants * hospitals
    if any(site.opens_on_day or site.ramp_up or site.expansions for site in arm.plants):
        plant = replace(plant, lines=sum(lines_over_time(site, window) for site in plants))
        counts["line years"] = plant.lines * plant.years
    taken = other_line_days(result, window) if b.needed(arm) else 0.0
    if taken > 0.0 or arm.changeover is not None:
        uses = [result.resource(name, window=True) for name in result.resource_names if name.split("/", 1)[0] == LINE]
        counts["line days in runs"] = sum(use.busy - use.setup for use in uses) - taken
        if arm.other_products:
            # Another product pays for the time that its batches hold a line, this one for the rest.
            others = other_line_days(result, window, [b.batch_of(product) for product in arm.other_products])
            plant = replace(plant, lines=plant.lines - others / (window.end - window.start))
            counts["line years"] = plant.lines * plant.years
            counts["line days held"] -= others
            counts["line days of other products"] = others
        counts["changeovers"] = sum(use.changeovers for use in uses)
        counts["changeover days"] = sum(use.setup for use in uses)
    # Counted where the feature is stated, none included: a cost may be stated per one of them.
    for name, status, stated in (
        ("cleanings", b.CLEANED, arm.process.clean_down is not None),
        ("repairs", b.REPAIRED, any(site.breakdown is not None for site in arm.plants)),
        ("batches of other products", b.OTHER_MADE, bool(arm.other_products)),
        (
            "comparability lots",
            COMPARABILITY_LOT,
            any(version.comparability is not None for version in arm.processes.values()),
        ),
    ):
        if stated:
            counts[name] = float(_ended(result, status, window))
    fills = sum(site.media_fills.per_year * site.lines for site in plants if site.media_fills is not None)
    if fills:
        counts["media fills"] = fills * window.years
    if b.breakdown_hazard(scenario, arm):
        counts["runs lost to breakdowns"] = _logged(result, b.RUN_LOST, window)
    for name in arm.processes:
        counts[f"batches started by {name}"] = _logged(result, started_mark(name), window)
    for name in arm.supplies:
        counts[f"starts without {name}"] = _logged(result, f"{STOCK_OUT}: {name}", window)
    causes = {}
    for name in (*arm.process.out_of_specification_causes, LOW_DOSE, NOT_COMPARABLE):
        if cause_mark(name) in result.patients.log.names:
            causes[name] = int(_logged(result, cause_mark(name), window))
    return replace(plant, counts=counts, causes=causes, waiting_days=waits(plant, arm.supplies, result, window))


def waits(
    plant: PlantRecord,
    supplies: Mapping[str, Supply],
    result: FlowResult,
    window: Window,
    kinds: Collection[str] | None = None,
) -> dict[str, float]:
    """Return the mean days that a started batch or lot waited for each resource, queues of all kinds in the window.

    `kinds` leaves all other kinds of resources out.
    """
    if plant.started == 0:
        return {}
    days: dict[str, float] = {}
    queued = result.resource_statistics[:, QUEUE + 1].tolist()
    for name, total in zip(result.resource_names, queued, strict=True):
        kind = name.split("/", 1)[0]
        if kinds is not None and kind not in kinds:
            continue
        days[kind] = days.get(kind, 0.0) + total
    days |= supply_waits(result, supplies)
    for courier, ready, gone in (
        ("courier to the plant", CELLS_READY, CELLS_GONE),
        ("courier to the hospital", PRODUCT_READY, PRODUCT_GONE),
    ):
        if gone in result.patients.log.names:
            days[courier] = _between(result, ready, gone, window)
    return {name: total / plant.started for name, total in days.items()}


def _between(result: FlowResult, first: str, second: str, window: Window) -> float:
    """Return the days from each first event to the patient's next second event, summed over those in the window."""
    entity, day = result.patients.log.of(first)
    later_entity, later = result.patients.log.of(second)
    order, later_order = np.lexsort((day, entity)), np.lexsort((later, later_entity))
    entity, day = entity[order], day[order]
    later_entity, later = later_entity[later_order], later[later_order]
    # The last first event of the same patient up to each second event.
    keys = np.rec.fromarrays([entity.astype(np.int64), day])
    wanted = np.rec.fromarrays([later_entity.astype(np.int64), later])
    place = np.searchsorted(keys, wanted, side="right") - 1
    inside = (later >= window.start) & (later < window.end)
    return float(np.sum((later - day[place])[inside]))


def _logged(result: FlowResult, name: str, window: Window) -> float:
    if name not in result.patients.log.names:
        return 0.0
    day = result.patients.log.of(name)[1]
    return float(np.count_nonzero((day >= window.start) & (day < window.end)))


def _ended(result: FlowResult, status: str, window: Window) -> int:
    if status not in result.lots.statuses:
        return 0
    day = result.lots.end_time
    return int(np.count_nonzero(result.lots.ended(status) & (day >= window.start) & (day < window.end)))


def other_line_days(result: FlowResult, window: Window, programs: Collection[str] | None = None) -> float:
    """Return the line days in the window that clean-down, repair, comparability and other products took.

    `programs` leaves all others out.
    """
    total = 0.0
    for name, _ in result.lots.mark_names:
        if not name.endswith(ON_LINE) or (programs is not None and name.removesuffix(ON_LINE) not in programs):
            continue
        start = result.lots.mark(name)
        end = np.where(np.isnan(result.lots.end_time), window.end, result.lots.end_time)
        held = np.minimum(end, window.end) - np.maximum(start, window.start)
        total += float(np.sum(np.maximum(held[~np.isnan(start)], 0.0)))
    return total
