"""What the plants did during the observation window: batches and lots, how busy each resource was, what stock did."""

from __future__ import annotations

from dataclasses import dataclass, field


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

    def utilisation(self, name: str) -> float:
        """Return the utilisation of a group of resources; 0 when there is none of that name."""
        return next((use.utilisation for use in self.resources if use.name == name), 0.0)
