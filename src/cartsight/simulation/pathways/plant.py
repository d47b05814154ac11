"""What the plants did during the observation window: batches and lots, how busy each resource was, what stock did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

Carrier = Literal["started", "finished", "failed", "out of specification", "released", "infused", "doses", "capacity"]


@dataclass(frozen=True, slots=True)
class Driver:
    """Something that is counted in the window and that a cost may be stated per one of.

    `unit` is what one is (a denominator of a money unit), `carrier` which batches or lots bear its cost: "started" is
    all of them, "doses" the doses that left, "capacity" the lines over time (a fixed cost: busy or idle).
    """

    meaning: str
    unit: str
    carrier: Carrier

    @property
    def fixed(self) -> bool:
        """Whether its cost runs whatever is made."""
        return self.carrier == "capacity"


DRIVERS: dict[str, Driver] = {
    "site years": Driver("licensed sites times years", "site_year", "capacity"),
    "line years": Driver("lines times years, busy or idle", "line", "capacity"),
    "quality control lane years": Driver("places in release testing times years", "unit", "capacity"),
    "operator team years": Driver("operator teams on duty times years, where a site states them", "unit", "capacity"),
    "reviewer years": Driver("batch record reviewers times years, where a site states them", "unit", "capacity"),
    "batches started": Driver("batches for one patient started", "batch", "started"),
    "batches failed": Driver("batches that yielded no product", "batch", "failed"),
    "batches finished": Driver("batches started less batches failed", "batch", "finished"),
    "batches out of specification": Driver("finished batches that failed a release test", "batch", "out of specification"),
    "batches released": Driver("batches that left the plant, out of specification included", "batch", "released"),
    "batches reviewed": Driver("batch records reviewed", "batch", "finished"),
    "lots started": Driver("lots of many doses started", "lot", "started"),
    "lots failed": Driver("lots that yielded nothing", "lot", "failed"),
    "lots finished": Driver("lots started less lots failed", "lot", "finished"),
    "lots out of specification": Driver("finished lots that failed release", "lot", "out of specification"),
    "lots released": Driver("lots released to stock", "lot", "released"),
    "doses received": Driver("doses received in stock", "dose", "released"),
    "doses taken": Driver("doses taken from stock for patients", "dose", "doses"),
    "doses expired": Driver("doses expired in stock", "dose", "doses"),
    "patients infused": Driver("patients infused", "patient", "infused"),
    "leukaphereses": Driver("leukaphereses, failed ones included", "visit", "started"),
    "shipments": Driver("shipments of cells, batches or doses", "shipment", "released"),
    "line days in runs": Driver("days that lines were held for runs", "line_day", "started"),
    "quality control lane days": Driver("days that places in release testing were held", "day", "finished"),
    "quality control tests": Driver("release tests done, repeats included", "unit", "finished"),
    "vector lots received": Driver("vector lots received at the plant", "lot", "started"),
    "vector lots expired": Driver("vector lots or remainders discarded at expiry", "lot", "started"),
    "changeovers": Driver("changeovers of a line between products or processes", "unit", "started"),
    "cleanings": Driver("clean-downs of a line between runs", "unit", "started"),
    "media fills": Driver("media fills, as simulated process runs", "unit", "capacity"),
    "repairs": Driver("repairs of lines and instruments", "unit", "started"),
}
"""What may be counted in a plant, by name. A run counts those that its arm's features have."""

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
    `fate` (index into `FATES`), `run_days` (line held until the run failed; NaN for runs that finished).
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
class PlantRecord:
    """Counts and loads in the observation window, whoever caused them (counted patients or not).

    `started`, `failed`, `out_of_specification` and `released` are batches (one patient) or lots (many doses).
    `counts` holds the drivers of `DRIVERS` that this run counted, by name; `batches` is given where costs are stated
    by activity.
    """

    years: float
    sites: int
    lines: int
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

    def utilisation(self, name: str) -> float:
        """Return the utilisation of a group of resources; 0 when there is none of that name."""
        return next((use.utilisation for use in self.resources if use.name == name), 0.0)
