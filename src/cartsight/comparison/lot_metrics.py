"""Metrics of products made in lots: expiry, service from stock, the reach of bad lots, output of lines."""

from __future__ import annotations

import math
from collections.abc import Callable

from cartsight.comparison.single_arm import ArmRun
from cartsight.simulation.pathways.plant import PlantRecord


def _of(count: Callable[[PlantRecord], float], per: Callable[[PlantRecord], float]) -> Callable[[ArmRun], float]:
    """Return count over per of an arm made in lots; NaN for other arms and where there is nothing to divide by."""

    def value(run: ArmRun) -> float:
        if run.plant is None or not run.plant.stores:
            return math.nan
        base = per(run.plant)
        return count(run.plant) / base if base > 0 else math.nan

    return value


def _left_stock(plant: PlantRecord) -> float:
    return plant.doses_taken + plant.doses_expired + plant.counts.get("doses withdrawn", 0.0)


LOT_METRICS: dict[str, tuple[str, str, Callable[[ArmRun], float]]] = {
    "doses_expired_share": (
        "Doses expired, of doses taken, expired or withdrawn",
        "fraction",
        _of(lambda plant: plant.doses_expired, _left_stock),
    ),
    "doses_withdrawn_share": (
        "Doses withdrawn, of doses taken, expired or withdrawn",
        "fraction",
        _of(lambda plant: plant.counts.get("doses withdrawn", 0.0), _left_stock),
    ),
    "dose_fill_rate": (
        "Orders of doses served at once",
        "fraction",
        _of(
            lambda plant: max(plant.counts["dose orders"] - plant.counts["dose orders that waited"], 0.0),
            lambda plant: plant.counts["dose orders"],
        ),
    ),
    "recall_reach_patients_per_bad_lot": (
        "Patients treated per bad lot released",
        "count",
        _of(
            lambda plant: plant.counts.get("patients treated from bad lots", 0.0),
            lambda plant: plant.counts.get("bad lots released", 0.0),
        ),
    ),
    "doses_per_released_lot": (
        "Doses per released lot",
        "count",
        _of(lambda plant: plant.doses_received, lambda plant: float(plant.released)),
    ),
    "doses_per_line_year": (
        "Doses per line and year",
        "count",
        _of(lambda plant: plant.doses_received, lambda plant: plant.lines * plant.years),
    ),
    "doses_per_fill_line_year": (
        "Doses per fill-finish line and year",
        "count",
        _of(lambda plant: plant.doses_received, lambda plant: plant.counts.get("fill line years", 0.0)),
    ),
}
"""Name: title, unit, value."""
