"""The event engine: a declarative flow model, compiled to flat tables, interpreted by one compiled kernel.

``compile_model`` checks a `FlowModel` and turns it into tables; ``simulate`` runs them; ``simulate_reference`` runs the
same tables in plain Python and returns the same trajectories. See docs/method/simulation.md.
"""

from cartsight.simulation import steps
from cartsight.simulation.arrivals import Arrivals, poisson_arrivals
from cartsight.simulation.calendar import Calendar
from cartsight.simulation.checks import compile_model
from cartsight.simulation.compile import CompiledModel
from cartsight.simulation.diagram import mermaid, outline
from cartsight.simulation.load import OverloadWarning, ResourceLoad, check_load, offered_load
from cartsight.simulation.model import FlowModel, Goto, SetState
from cartsight.simulation.result import FlowResult
from cartsight.simulation.run import SimulationError, simulate, simulate_reference, warm_up

__all__ = [
    "Arrivals",
    "Calendar",
    "CompiledModel",
    "FlowModel",
    "FlowResult",
    "Goto",
    "OverloadWarning",
    "ResourceLoad",
    "SetState",
    "SimulationError",
    "check_load",
    "compile_model",
    "mermaid",
    "offered_load",
    "outline",
    "poisson_arrivals",
    "simulate",
    "simulate_reference",
    "steps",
    "warm_up",
]
