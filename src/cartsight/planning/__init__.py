"""Choose a network: optimise it with a stated gap, then prove it in the simulation."""

from cartsight.planning.instance import NetworkInstance
from cartsight.planning.instance_file import load_instance
from cartsight.planning.instance_solve import NetworkSolution, NoSolutionError, solve_instance
from cartsight.planning.replay import Replay, replay

__all__ = [
    "NetworkInstance",
    "NetworkSolution",
    "NoSolutionError",
    "Replay",
    "load_instance",
    "replay",
    "solve_instance",
]
