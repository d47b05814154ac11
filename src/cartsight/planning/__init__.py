"""Choose a network: optimise it with a stated gap, then prove it in the simulation."""

from cartsight.planning.demand_scenarios import Uncertainties
from cartsight.planning.expansion import ExpansionPlan, Horizon, plan_expansion
from cartsight.planning.instance import NetworkInstance
from cartsight.planning.instance_file import load_instance
from cartsight.planning.instance_solve import NetworkSolution, NoSolutionError, solve_instance
from cartsight.planning.network import NetworkOptions, NetworkStudy, study_network
from cartsight.planning.network_inputs import NetworkProblem, network_problem
from cartsight.planning.plan_file import NetworkPlan, find_plan, load_plan, plan_schema, shipped_plans
from cartsight.planning.plan_problems import PlannedStudy, in_year, planned_scenario, planned_study
from cartsight.planning.replay import Replay, replay

__all__ = [
    "ExpansionPlan",
    "Horizon",
    "NetworkInstance",
    "NetworkOptions",
    "NetworkPlan",
    "NetworkProblem",
    "NetworkSolution",
    "NetworkStudy",
    "NoSolutionError",
    "PlannedStudy",
    "Replay",
    "Uncertainties",
    "find_plan",
    "in_year",
    "load_instance",
    "load_plan",
    "network_problem",
    "plan_expansion",
    "plan_schema",
    "planned_scenario",
    "planned_study",
    "replay",
    "shipped_plans",
    "solve_instance",
    "study_network",
]
