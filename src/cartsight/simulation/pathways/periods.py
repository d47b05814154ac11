"""Which period of calendar time it is, as an attribute: before or after a plant opens, a source is qualified, ..."""

from __future__ import annotations

from collections.abc import Sequence

from cartsight.simulation import Calendar, FlowModel
from cartsight.simulation import steps as s
from cartsight.simulation.pathways.plants import UNLIMITED

PERIOD = "period"
"""Resources of this kind only tell the time; they are left out of plant records and loads."""


def declare_period(model: FlowModel, name: str, days: Sequence[float]) -> None:
    """Declare the periods that begin on `days` (rising, each after the one before) beside the one before them all."""
    names = []
    for number in range(len(days), 0, -1):
        names.append(f"{PERIOD}/{name}/{number}")
        model.resource(names[-1], UNLIMITED, calendar=Calendar(changes=((0.0, 0), (days[number - 1], UNLIMITED))))
    names.append(f"{PERIOD}/{name}/0")
    model.resource(names[-1], UNLIMITED)
    model.group(f"{PERIOD}: {name}", names, rule="first_free")


def read_period(name: str, attribute: str) -> list[s.Step]:
    """Return the steps that set an attribute to the number of days in `declare_period` that have not come yet."""
    # A server is taken from the latest period that is open, and given back at once.
    return [s.Seize(f"{PERIOD}: {name}", into=attribute), s.Free(f"{PERIOD}: {name}")]
