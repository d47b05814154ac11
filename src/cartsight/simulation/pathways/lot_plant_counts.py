"""What the plants of lots did beside their lines: places and people by the year, cleanings, repairs, waits."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from cartsight.scenario.lots import LotProcess
from cartsight.simulation import FlowResult
from cartsight.simulation.pathways import background as b
from cartsight.simulation.pathways import plants as p
from cartsight.simulation.pathways.floor import other_line_days, waits
from cartsight.simulation.pathways.lot_plants import lines_taken_otherwise, pools_of
from cartsight.simulation.pathways.patients import Window
from cartsight.simulation.pathways.plant import PlantRecord
from cartsight.simulation.pathways.shared_lines import FILL_LINE


def plant_record(plant: PlantRecord, lots: LotProcess, result: FlowResult, window: Window) -> PlantRecord:
    """Return the record with what the stated pieces of the plants count; unchanged where none is stated."""
    counts: dict[str, float] = {}
    site, stated = lots.site, lots.plant
    if stated is not None:
        if lots.shared is None:
            plant = replace(plant, lines=lots.sites * p.lines_over_time(site, window))
        years = window.years * lots.sites
        for name, places in (
            ("quality control lane years", stated.quality_control_lanes),
            ("operator team years", stated.operator_teams),
            ("reviewer years", stated.quality_assurance_reviewers),
        ):
            if places is not None:
                counts[name] = years * places
        if stated.media_fills is not None:
            counts["media fills"] = years * stated.media_fills.per_year * lots.lines
    if p.QUALITY_CONTROL in pools_of(lots):
        counts["quality control lane days"] = _busy(result, p.QUALITY_CONTROL)
    if lines_taken_otherwise(lots):
        counts["line days in runs"] = _busy(result, p.LINE) - other_line_days(result, window)
    if lots.clean_down is not None:
        counts["cleanings"] = _ended(result, b.CLEANED, window)
    if site.breakdown is not None:
        counts["repairs"] = _ended(result, b.REPAIRED, window)
        if site.breakdown.run_lost.x > 0.0:
            day = result.lots.mark(b.RUN_LOST)
            counts["runs lost to breakdowns"] = float(np.count_nonzero((day >= window.start) & (day < window.end)))
    if not pools_of(lots):
        return replace(plant, counts=counts)
    kinds: Collection[str] = (p.LINE, FILL_LINE, *pools_of(lots))
    return replace(plant, counts=counts, waiting_days=waits(plant, lots.supplies, result, window, kinds))


def _busy(result: FlowResult, pool: str) -> float:
    names = [name for name in result.resource_names if name.split("/", 1)[0] == pool]
    return float(sum(result.resource(name, window=True).busy for name in names))


def _ended(result: FlowResult, status: str, window: Window) -> float:
    if status not in result.lots.statuses:
        return 0.0
    day = result.lots.end_time
    return float(np.count_nonzero(result.lots.ended(status) & (day >= window.start) & (day < window.end)))
