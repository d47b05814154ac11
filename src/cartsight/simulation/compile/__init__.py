"""From a `FlowModel` to tables: one file per part of the model."""

from cartsight.simulation.compile.builder import build_tables
from cartsight.simulation.compile.compiled import CompiledModel
from cartsight.simulation.compile.order import successors

__all__ = ["CompiledModel", "build_tables", "successors"]
