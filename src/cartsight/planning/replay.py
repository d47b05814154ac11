"""Replay a network solution in the event engine with constant times: does the plan cost and last what it says?

The plan (plant, modes, waiting) is given to the engine; lines, starts, returns and money are the engine's own. A batch
that finds no free line waits, and then comes back late, so that an overfull plan cannot pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.planning.instance import NetworkInstance
from cartsight.planning.instance_solve import NetworkSolution
from cartsight.simulation import Arrivals, FlowModel, FlowResult, compile_model, simulate, steps

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

RETURNED = "returned"


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What the simulation made of a plan.

    Attributes
    ----------
    cost : float
        Money spent in the simulation: open plants over the horizon, and what each patient's batch posted on its way.
    return_day : array, shape (patients,)
    largest_occupancy : array of int, shape (plants,)
        Most lines busy at once.
    late_patients : int
        Patients back on another day than planned, or never.
    overfull_plants : tuple of str
        Plants with more busy lines than they have.
    matches : bool
        Same cost to the cent, every patient back on the planned day, no plant overfull.
    """

    cost: float
    return_day: Float
    largest_occupancy: Int
    late_patients: int
    overfull_plants: tuple[str, ...]
    matches: bool


def replay(instance: NetworkInstance, solution: NetworkSolution) -> Replay:
    """Run a solution through the event engine.

    Parameters
    ----------
    instance : NetworkInstance
    solution : NetworkSolution
        A plan for this instance.

    Returns
    -------
    Replay
    """
    result = _run(instance, solution)
    batch_costs = result.patients.attribute("cost")[result.patients.ended(RETURNED)]
    cost = math.fsum([*instance.site_cost[solution.opened], *batch_costs])
    back = result.patients.mark("back")
    late = int(np.count_nonzero(~(np.abs(back - solution.return_day) < 1e-9)))
    started, ended = result.patients.mark("start of making"), result.patients.mark("end of making")
    occupancy = np.zeros(len(instance.sites), dtype=np.int64)
    for m in range(len(instance.sites)):
        here = solution.plant == m
        occupancy[m] = _most_at_once(started[here], ended[here])
    lines = np.zeros_like(instance.lines)
    lines[solution.opened] = instance.lines[solution.opened]
    overfull = tuple(instance.sites[m] for m in np.flatnonzero(occupancy > lines))
    matches = late == 0 and not overfull and abs(cost - solution.objective) < 0.005
    return Replay(cost, back, occupancy, late, overfull, matches)


def flow_model(instance: NetworkInstance, opened: Int, longest_wait: int) -> FlowModel:
    """Return the flow of one patient's cells through lanes and lines, with constant times."""
    model = FlowModel(f"replay of {instance.name}")
    for name in ("plant", "out", "back", "wait", "cost out", "cost back", "cost"):
        model.attribute(name)
    lines = [f"line/{instance.sites[m]}" for m in opened]
    for name, m in zip(lines, opened, strict=True):
        model.resource(name, int(instance.lines[m]))
    model.group("line", lines, rule="by_attribute", attribute="plant")
    program: list[steps.Step] = [
        steps.Delay("leukapheresis", float(instance.leukapheresis_days)),
        *_by_number("out", "transport to the plant", instance.days_out.tolist()),
        steps.Add("cost", "cost out"),
        *_by_number("wait", "waiting at the plant", list(range(longest_wait + 1))),
        steps.Seize("line"),
        steps.Mark("start of making"),
        steps.Add("cost", instance.material_cost),
        steps.Delay("making", float(instance.making_days)),
        steps.Mark("end of making"),
        steps.Free("line"),
        steps.Delay("quality control", float(instance.quality_control_days)),
        steps.Add("cost", instance.quality_control_cost),
        *_by_number("back", "transport to the hospital", instance.days_back.tolist()),
        steps.Add("cost", "cost back"),
        steps.Mark("back"),
        steps.End(RETURNED),
    ]
    model.program("patient", program)
    return model


def _by_number(attribute: str, name: str, days: list[int]) -> list[steps.Step]:
    """A delay of ``days[attribute]`` days, by tests instead of arithmetic, so that whole days stay whole."""
    program: list[steps.Step] = []
    for number, length in enumerate(days):
        after = f"after {name} {number}"
        program += [
            steps.Test(attribute, "==", float(number), otherwise=after),
            steps.Delay(f"{name} {number}", float(length)),
            steps.Label(after),
        ]
    return program


def _run(instance: NetworkInstance, solution: NetworkSolution) -> FlowResult:
    position = {int(m): i for i, m in enumerate(solution.opened)}
    c, m = instance.patient_site, solution.plant
    attributes: dict[str, Float | float] = {
        "plant": np.array([position[int(plant)] for plant in m], dtype=np.float64),
        "out": solution.out.astype(np.float64),
        "back": solution.back.astype(np.float64),
        "wait": solution.waits.astype(np.float64),
        "cost out": instance.cost_out[c, m, solution.out],
        "cost back": instance.cost_back[m, c, solution.back],
    }
    model = flow_model(instance, solution.opened, int(solution.waits.max()))
    arrivals = Arrivals(instance.patient_day.astype(np.float64), attributes=attributes)
    return simulate(compile_model(model), arrivals, seed=0)


def _most_at_once(start: Float, end: Float) -> int:
    """Return the most intervals [start, end) that overlap; one that ends as another starts does not."""
    if not start.size:
        return 0
    times = np.concatenate([start, end])
    change = np.concatenate([np.ones(start.size), -np.ones(end.size)])
    order = np.lexsort((change, times))
    return int(np.cumsum(change[order]).max())
