"""Cost drivers counted from a flow, and what became of every batch or lot."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cartsight.scenario.arms import AutologousArm, Site
from cartsight.simulation import FlowResult
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.patients import Window
from cartsight.simulation.pathways.plant import FATES, BatchTable, Float, Int, PlantRecord


def count_drivers(
    arm: object, plant: PlantRecord, result: FlowResult, leukaphereses: int, hospitals: int
) -> dict[str, float]:
    """Return the drivers that every run counts, by their name in `DRIVERS`; counts over the window, fixed ones in years."""
    counts: dict[str, float] = {
        "site years": plant.sites * plant.years,
        "line years": plant.lines * plant.years,
        "line days held": _busy(result, "line"),
        "line days in runs": _busy(result, "line"),
        "patients infused": plant.infused,
        "shipments": plant.shipments,
    }
    made = "batches" if isinstance(arm, AutologousArm) else "lots"
    counts |= {
        f"{made} started": plant.started,
        f"{made} failed": plant.failed,
        f"{made} finished": plant.started - plant.failed,
        f"{made} out of specification": plant.out_of_specification,
        f"{made} released": plant.released,
    }
    if not isinstance(arm, AutologousArm):
        return counts | {
            "doses received": plant.doses_received,
            "doses taken": plant.doses_taken,
            "doses expired": plant.doses_expired,
        }
    counts["leukaphereses"] = leukaphereses
    counts["quality control lane days"] = _busy(result, "quality control")
    if arm.process.quality_assurance_review is not None:
        counts["batches reviewed"] = plant.started - plant.failed
    for name, field in (
        ("quality control lane years", "quality_control_lanes"),
        ("operator team years", "operator_teams"),
        ("reviewer years", "quality_assurance_reviewers"),
    ):
        stated = [(getattr(site, field), number) for site, number in _plants(arm, hospitals)]
        if all(places is not None for places, _ in stated):
            counts[name] = plant.years * sum(places * number for places, number in stated)
    return counts


def _plants(arm: AutologousArm, hospitals: int) -> list[tuple[Site, int]]:
    if arm.at_every_hospital is not None:
        return [(arm.at_every_hospital, hospitals)]
    return [(site, 1) for site in (arm.sites or {}).values()]


def _busy(result: FlowResult, kind: str) -> float:
    names = [name for name in result.resource_names if name.split("/", 1)[0] == kind]
    return float(sum(result.resource(name, window=True).busy for name in names))


def autologous_batches(result: FlowResult, window: Window, run_days_mean: float) -> BatchTable:
    """Return every batch started in the window and what became of it, whenever that was.

    A batch's events are those of its patient from its start to the patient's next start. A run that was not lost counts
    as `run_days_mean` long: its end is not in the log.
    """
    log = result.patients.log
    # The log is in order of events, ties included, so a stable sort by patient gives each patient's own story.
    story = np.argsort(log.entity, kind="stable")
    patient, day = log.entity[story].astype(np.int64), log.time[story]
    kind = log.code[story]

    def is_kind(name: str) -> npt.NDArray[np.bool_]:
        return kind == log.names.index(name) if name in log.names else np.zeros(kind.size, dtype=np.bool_)

    starts = is_kind(t.BATCH_STARTED)
    batch = np.cumsum(starts) - 1
    start_patient, start_day = patient[starts], day[starts]
    # Events before a patient's first start would fall to the batch of the patient before.
    own = batch >= 0
    own[own] = start_patient[batch[own]] == patient[own]

    def of(name: str) -> tuple[Int, Float]:
        chosen = is_kind(name) & own
        return batch[chosen], day[chosen]

    fate = np.full(start_day.size, FATES.index("released"), dtype=np.int64)
    run_days = np.full(start_day.size, run_days_mean)
    rejected, _ = of(t.OUT_OF_SPECIFICATION)
    released, _ = of(t.PRODUCT_RELEASED)
    infused, _ = of(t.INFUSION)
    failed, failed_day = of(t.BATCH_FAILED)
    out = np.zeros(start_day.size, dtype=np.bool_)
    out[rejected] = True
    left = np.zeros(start_day.size, dtype=np.bool_)
    left[released] = True
    given = np.zeros(start_day.size, dtype=np.bool_)
    given[infused] = True
    fate[~left] = FATES.index("abandoned")
    fate[~left & out] = FATES.index("discarded")
    fate[given & ~out] = FATES.index("infused")
    fate[given & out] = FATES.index("infused out of specification")
    fate[failed] = FATES.index("failed")
    run_days[failed] = failed_day - start_day[failed]
    return _in_window(BatchTable(start_day, start_patient, fate, run_days), window)


def lots_made(result: FlowResult, window: Window, run_days_mean: float) -> BatchTable:
    """Return every lot started in the window and what became of it."""
    lots = result.lots
    start = lots.mark("lot started")
    rows = np.flatnonzero(~np.isnan(start))
    failed = lots.ended("failed")[rows]
    fate = np.full(rows.size, FATES.index("released"), dtype=np.int64)
    fate[lots.ended("rejected")[rows]] = FATES.index("discarded")
    fate[failed] = FATES.index("failed")
    lost_on_line = failed
    if "run finished" in (name for name, _ in lots.mark_names):
        # Lots that are lost later, in filling, held their line to the end of the run.
        lost_on_line = failed & np.isnan(lots.mark("run finished")[rows])
    run_days = np.where(lost_on_line, lots.end_time[rows] - start[rows], run_days_mean)
    order = np.argsort(start[rows], kind="stable")
    table = BatchTable(start[rows], np.full(rows.size, -1, dtype=np.int64), fate, run_days)
    return _in_window(_take(table, order), window)


def _in_window(table: BatchTable, window: Window) -> BatchTable:
    rows = np.flatnonzero((table.start_day >= window.start) & (table.start_day < window.end))
    return _take(table, rows[np.argsort(table.start_day[rows], kind="stable")])


def _take(table: BatchTable, rows: npt.NDArray[np.intp]) -> BatchTable:
    return BatchTable(table.start_day[rows], table.patient[rows], table.fate[rows], table.run_days[rows])
