"""What a cost may be stated per one of: the vocabulary of cost drivers that a plant's simulation counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from cartsight.core.errors import InputError, nearest

Carrier = Literal[
    "started",
    "finished",
    "failed",
    "out of specification",
    "released",
    "infused",
    "doses taken",
    "doses expired",
    "shipped",
    "line days",
    "capacity",
]


@dataclass(frozen=True, slots=True)
class Driver:
    """Something that is counted in the observation window and that a cost may be stated per one of.

    Attributes
    ----------
    meaning : str
    units : tuple of str
        Denominators of a money unit that fit, the plainest first.
    carrier : str
        Which batches or lots bear the cost: "started" all of them, "shipped" all of them and those that left once more,
        "line days" by the days they held a line; "capacity" is a fixed cost, borne by the time lines are held, the
        rest idle.
    resource : str
        Of a fixed cost: the group of resources whose use says how much of it is idle.
    """

    meaning: str
    units: tuple[str, ...]
    carrier: Carrier
    resource: str = "line"

    @property
    def fixed(self) -> bool:
        """Whether its cost runs whatever is made."""
        return self.carrier == "capacity"


_BATCH = ("batch", "therapy", "patient")
_LOT = ("lot", "batch")
_PIECE = ("unit",)

DRIVERS: dict[str, Driver] = {
    "site years": Driver("licensed sites times years", ("site_year", "year", "site"), "capacity"),
    "line years": Driver(
        "lines times years, busy or idle; of shared lines what the other use leaves", ("line", "year"), "capacity"
    ),
    "quality control lane years": Driver(
        "places in release testing times years", ("unit", "year"), "capacity", "quality control"
    ),
    "operator team years": Driver(
        "operator teams on duty times years, where sites state them", ("unit", "year"), "capacity", "operators"
    ),
    "reviewer years": Driver(
        "reviewers of batch records times years, where sites state them",
        ("unit", "year"),
        "capacity",
        "quality assurance",
    ),
    "batches started": Driver("batches for one patient started", _BATCH, "started"),
    "batches failed": Driver("batches that yielded no product", _BATCH, "failed"),
    "batches finished": Driver("batches started less batches failed", _BATCH, "finished"),
    "batches reviewed": Driver("batch records reviewed", _BATCH, "finished"),
    "batches out of specification": Driver(
        "finished batches that failed a release test", _BATCH, "out of specification"
    ),
    "batches released": Driver("batches that left the plant, out of specification included", _BATCH, "released"),
    "lots started": Driver("lots of many doses started", _LOT, "started"),
    "lots failed": Driver("lots that yielded nothing", _LOT, "failed"),
    "lots finished": Driver("lots started less lots failed", _LOT, "finished"),
    "lots out of specification": Driver("finished lots that failed release", _LOT, "out of specification"),
    "lots released": Driver("lots released to stock", _LOT, "released"),
    "doses received": Driver("doses received in stock", ("dose", "vial"), "released"),
    "doses taken": Driver("doses taken from stock for patients", ("dose", "vial"), "doses taken"),
    "doses expired": Driver("doses that expired in stock", ("dose", "vial"), "doses expired"),
    "patients infused": Driver("patients infused", ("patient", "person"), "infused"),
    "leukaphereses": Driver("leukaphereses, failed ones included", ("visit", "unit"), "started"),
    "shipments": Driver("shipments of cells, batches or doses", ("shipment",), "shipped"),
    "line days in runs": Driver("days that lines were held for runs of the product", ("line_day", "day"), "line days"),
    "line days held": Driver("days that lines were held, by other work as well", ("line_day", "day"), "line days"),
    "quality control lane days": Driver("days that places in release testing were held", ("day",), "finished"),
    "quality control tests": Driver("release tests done, repeats included", _PIECE, "finished"),
    "donors screened": Driver("donors recruited and screened", ("person", "unit"), "started"),
    "donor leukaphereses": Driver("leukaphereses of healthy donors", ("visit", "unit"), "started"),
    "working banks started": Driver("working cell banks made and tested", _PIECE, "started"),
    "bank vials used": Driver("vials of a cell bank that lots started from", ("vial",), "started"),
    "fill line years": Driver(
        "fill-finish lines times years, as line years", ("line", "year"), "capacity", "fill line"
    ),
    "fillings": Driver("fillings on a fill-finish line", _LOT, "finished"),
    "vials filled": Driver("vials filled, samples included", ("vial", "unit"), "finished"),
    "lots recalled": Driver("released lots that were recalled", _LOT, "released"),
    "doses withdrawn": Driver(
        "doses on hand or on their way when their lot was recalled", ("dose", "vial"), "released"
    ),
    "consignments to depots": Driver("consignments from the central store to depots", ("shipment",), "released"),
    "doses lost at thaw": Driver("doses lost at thaw or on the way", ("dose", "vial"), "doses taken"),
    "changeovers": Driver("changeovers of a line between products or processes", _PIECE, "started"),
    "comparability lots": Driver("lots made to compare a version with the standard process", _LOT, "started"),
    "cleanings": Driver("clean-downs of a line between runs", _PIECE, "started"),
    "repairs": Driver("repairs of lines and instruments", _PIECE, "started"),
    "media fills": Driver("media fills, the simulated runs that qualify people and lines", _PIECE, "started"),
}
"""What may be counted in a plant, by name. A run counts those that its arm's features have."""

_SUPPLY: dict[str, Driver] = {
    "lots ordered": Driver("lots of a supply ordered, failed ones included", _LOT, "started"),
    "lots received": Driver("lots of a supply received", _LOT, "started"),
    "lots from the second source": Driver("lots of a supply ordered from its second source", _LOT, "started"),
    "units received": Driver("units of a supply received, each enough for one use", ("unit", "dose"), "started"),
    "units used": Driver("units of a supply used", ("unit", "dose"), "started"),
    "units expired": Driver("units of a supply discarded at expiry", ("unit", "dose"), "started"),
}
_BY_PROCESS = "batches started by "
"""Before the name of one of several processes of an arm."""
_SUPPLY_NAME = re.compile(rf"(.+) ({'|'.join(_SUPPLY)})")
SUPPLY_DRIVERS: tuple[str, ...] = tuple(f"<supply> {what}" for what in _SUPPLY)
"""Drivers that every supply of an arm has under its own name, for example "vector lots ordered"."""


def find_driver(name: str) -> Driver | None:
    """Return the driver of a name, one of a supply's included; None when there is none."""
    if name in DRIVERS:
        return DRIVERS[name]
    if name.startswith(_BY_PROCESS) and len(name) > len(_BY_PROCESS):
        return Driver("batches started by one of several processes", _BATCH, "started")
    found = _SUPPLY_NAME.fullmatch(name)
    return _SUPPLY[found.group(2)] if found is not None else None


def driver(name: str) -> Driver:
    """Return the driver of a name that is known to be one."""
    found = find_driver(name)
    if found is None:
        raise InputError("unknown cost driver", found=name, allowed=driver_names(), hint=nearest(name, DRIVERS))
    return found


def driver_names() -> str:
    """Return all names of drivers, for a message."""
    return ", ".join((*DRIVERS, *SUPPLY_DRIVERS, f"{_BY_PROCESS}<process>"))


def supply_of(name: str) -> str | None:
    """Return the supply whose driver this is, if it is one's."""
    found = _SUPPLY_NAME.fullmatch(name) if name not in DRIVERS else None
    return found.group(1) if found is not None else None


FIXED_DRIVERS: tuple[str, ...] = tuple(name for name, driver in DRIVERS.items() if driver.fixed)
