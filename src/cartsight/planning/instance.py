"""A network instance: collection sites, candidate plants, lanes and dated patients; what every choice costs and takes.

The model is that of Triantafyllou, Bernardi, Lakelin, Shah & Papathanasiou 2022, doi:10.1038/s41598-022-21290-5, in a
reduced form of our own (docs/method/network_planning.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

HORIZON_DAYS = 130
MAKING_DAYS = 7
QUALITY_CONTROL_DAYS = 7
RETURN_LIMIT_DAYS = 18
MATERIAL_COST = 10_476.0
QUALITY_CONTROL_COST = 9_312.0
VARIABLE_COST_PER_DAY = {
    "m1": 20_920.0,
    "m2": 156_900.0,
    "m3": 52_300.0,
    "m4": 20_920.0,
    "m5": 156_900.0,
    "m6": 52_300.0,
    "m7": 313_800.0,
}
"""Fixed operating cost per open plant and day where a file has none: m1 to m6 as published; m7 is our assumption (twice m2)."""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkInstance:
    """Patients of a quarter, the plants that may be opened, and the lanes between them. Money has no stated currency.

    Attributes
    ----------
    collection_sites, hospitals : tuple of str
        Equally many; hospital i belongs to collection site i.
    modes : tuple of str
        Modes of transport.
    sites : tuple of str
        Candidate plants.
    patients : tuple of str
    site_cost_per_day : array, shape (sites,)
        Charged on every day of the horizon when the plant is open.
    lines : array of int, shape (sites,)
        Batches that may be in making at once.
    days_out, days_back : array of int, shape (modes,)
    cost_out : array, shape (collection sites, sites, modes)
        Per shipment, collection site to plant.
    cost_back : array, shape (sites, hospitals, modes)
        Per shipment, plant to hospital.
    patient_site, patient_day : array of int, shape (patients,)
        Collection site, and day on which leukapheresis starts.
    leukapheresis_days, making_days, quality_control_days : int
        Making holds a line; quality control does not.
    return_limit_days : int
        Longest time from the start of leukapheresis to the return, waiting at the plant apart.
    horizon_days : int
        Days charged; every patient is back by its end.
    material_cost, quality_control_cost : float
        Per patient.
    remarks : tuple of str
        What the file left open and how it was filled.
    """

    name: str
    collection_sites: tuple[str, ...]
    hospitals: tuple[str, ...]
    modes: tuple[str, ...]
    sites: tuple[str, ...]
    patients: tuple[str, ...]
    site_cost_per_day: Float
    lines: Int
    days_out: Int
    days_back: Int
    cost_out: Float
    cost_back: Float
    patient_site: Int
    patient_day: Int
    leukapheresis_days: int = 1
    making_days: int = MAKING_DAYS
    quality_control_days: int = QUALITY_CONTROL_DAYS
    return_limit_days: int = RETURN_LIMIT_DAYS
    horizon_days: int = HORIZON_DAYS
    material_cost: float = MATERIAL_COST
    quality_control_cost: float = QUALITY_CONTROL_COST
    remarks: tuple[str, ...] = ()

    def return_days(self, out: int, back: int) -> int:
        """Return days from the start of leukapheresis to the return, without waiting, for a pair of modes."""
        fixed = self.leukapheresis_days + self.making_days + self.quality_control_days
        return fixed + int(self.days_out[out]) + int(self.days_back[back])

    @property
    def site_cost(self) -> Float:
        """Cost of an open plant over the horizon, shape (sites,)."""
        return self.site_cost_per_day * self.horizon_days


@dataclass(frozen=True, slots=True)
class Lane:
    """A pair of modes between a collection site and a plant that no other pair of the same arrival day beats.

    Attributes
    ----------
    offset : int
        Days from the start of leukapheresis to the arrival at the plant.
    return_days : int
        Days from the start of leukapheresis to the return, without waiting.
    cost : float
        Both shipments.
    """

    out: int
    back: int
    offset: int
    return_days: int
    cost: float


def lanes(instance: NetworkInstance) -> list[list[tuple[Lane, ...]]]:
    """Return the undominated lanes, by collection site and plant, by rising offset.

    A later arrival at the plant is never removed for being dearer or cheaper: with busy lines the day itself matters.
    """
    table: list[list[tuple[Lane, ...]]] = []
    for c in range(len(instance.collection_sites)):
        row: list[tuple[Lane, ...]] = []
        for m in range(len(instance.sites)):
            best: dict[int, Lane] = {}
            for out in range(len(instance.modes)):
                for back in range(len(instance.modes)):
                    days = instance.return_days(out, back)
                    if days > instance.return_limit_days:
                        continue
                    offset = instance.leukapheresis_days + int(instance.days_out[out])
                    cost = float(instance.cost_out[c, m, out] + instance.cost_back[m, c, back])
                    lane = Lane(out, back, offset, days, cost)
                    held = best.get(offset)
                    if held is None or (cost, days) < (held.cost, held.return_days):
                        best[offset] = lane
            row.append(tuple(best[offset] for offset in sorted(best)))
        table.append(row)
    return table
