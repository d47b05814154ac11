"""What compiling gives: the tables and the names of their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cartsight.simulation import tables as t
from cartsight.simulation.model import FlowModel


@dataclass(frozen=True, slots=True)
class CompiledModel:
    """Tables of a model and the names of their rows, in the order of the numbers in the tables."""

    model: FlowModel
    tables: t.ModelTables
    statuses: tuple[str, ...]
    attributes: tuple[str, ...]
    lot_attributes: tuple[str, ...]
    marks: tuple[tuple[str, str], ...]
    lot_marks: tuple[tuple[str, str], ...]
    log_names: tuple[str, ...]
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    stocks: tuple[str, ...]
    depots: tuple[str, ...]
    counters: Mapping[str, tuple[int, int]]
    clocks: tuple[str, ...]
    entries: Mapping[str, int]
    row_names: tuple[str, ...]
    warnings: tuple[str, ...] = field(default=())
