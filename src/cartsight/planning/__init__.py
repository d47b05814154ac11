"""Choose a network: optimise it with a stated gap, then prove it in the simulation."""

from cartsight.planning.demand_scenarios import Uncertainties
from cartsight.planning.instance import NetworkInstance
from cartsight.planning.instance_file import load_instance
from cartsight.planning.instance_solve import NetworkSolution, NoSolutionError, solve_instance
from cartsight.planning.network import NetworkOptions, NetworkStudy, predicted, study_network
from cartsight.planning.network_inputs import NetworkProblem, network_problem
from cartsight.planning.replay import Replay, replay

__all__ = [
    "NetworkInstance",
    "NetworkOptions",
    "NetworkProblem",
    "NetworkSolution",
    "NetworkStudy",
    "NoSolutionError",
    "Replay",
    "Uncertainties",
    "load_instance",
    "network_problem",
    "predicted",
    "replay",
    "solve_instance",
    "study_network",
]
