"""What the plants did during the observation window: batches and lots, how busy each resource was, what stock did.

`DRIVERS` names what may be counted in a plant (`PlantRecord.counts`), with meaning and unit; the table itself lives
with the scenario, which states costs per one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cartsight.scenario.cost_drivers import DRIVERS, Driver

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

__all__ = ["DRIVERS", "FATES", "BatchTable", "Driver", "PlantRecord", "ResourceUse", "StoreUse"]

FATES: tuple[str, ...] = (
    "failed",
    "abandoned",
    "discarded",
    "released",
    "infused",
    "infused out of specification",
)
"""What becomes of a batch or lot: failed in the run; abandoned, since its patient died or left before release;
discarded after release testing; released but not infused (for lots: released to stock); infused in specification;
infused out of specification."""


@dataclass(frozen=True, slots=True)
class BatchTable:
    """Every batch or lot started in the window, in order of start.

    Arrays of shape (n,): `start_day` from the start of the simulation, `patient` (row in the arrivals; -1 for lots),
    `fate` (index into `FATES`), `run_days` (length of a run that was lost; the expected length for the others).
    """

    start_day: Float
    patient: Int
    fate: Int
    run_days: Float

    def __len__(self) -> int:
        return int(self.start_day.size)

    def has_fate(self, *names: str) -> npt.NDArray[np.bool_]:
        """Return which batches met one of the fates."""
        return np.isin(self.fate, [FATES.index(name) for name in names])


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """A group of like resources over the window. Utilisation is busy time over capacity time."""

    name: str
    units: int
    capacity: float
    utilisation: float
    mean_queue_days: float


@dataclass(frozen=True, slots=True)
class StoreUse:
    """A store of doses over the window; what left the central store for depots counts as taken from it."""

    name: str
    received: float
    taken: float
    expired: float
    out_of_stock_fraction: float
    orders_waited: float
    mean_on_hand: float


@dataclass(frozen=True, slots=True)
class PlantRecord:
    """Counts and loads in the observation window, whoever caused them (counted patients or not).

    `started`, `failed`, `out_of_specification` and `released` are batches (one patient) or lots (many doses).
    `counts` holds the drivers of `DRIVERS` that this run counted, by name; `batches` is given where costs are stated
    by activity. `lines` is their mean over the window where lines are added. `causes` counts out-of-specification
    batches by main cause; `waiting_days` is the mean wait of a started batch for each resource, supply and courier.
    """

    years: float
    sites: int
    lines: float
    started: int
    failed: int
    out_of_specification: int
    released: int
    infused: int
    shipments: int
    doses_received: float = 0.0
    doses_taken: float = 0.0
    doses_expired: float = 0.0
    stock_out_fraction: float = 0.0
    resources: tuple[ResourceUse, ...] = field(default_factory=tuple)
    counts: dict[str, float] = field(default_factory=dict)
    batches: BatchTable | None = None
    stores: tuple[StoreUse, ...] = ()
    causes: dict[str, int] = field(default_factory=dict)
    waiting_days: dict[str, float] = field(default_factory=dict)

    def utilisation(self, name: str) -> float:
        """Return the utilisation of a group of resources; 0 when there is none of that name."""
        return next((use.utilisation for use in self.resources if use.name == name), 0.0)

    def own_utilisation(self, name: str) -> float:
        """Return the utilisation of what is left of a group of resources beside batches of other products."""
        busy = self.utilisation(name)
        others = self.counts.get("line days of other products", 0.0) if name == "line" else 0.0
        if others <= 0.0 or busy <= 0.0:
            return busy
        held = self.counts["line days held"]
        left = (held + others) / busy - others
        return held / left if left > 0.0 else 1.0
