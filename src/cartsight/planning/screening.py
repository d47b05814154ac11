"""Stage 1: facility location with modular capacity on aggregated yearly flows, everything as expected."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.planning.capacity_modules import Module, modules
from cartsight.planning.mixed_integer import MipModel, MipResult
from cartsight.planning.network_inputs import NetworkProblem
from cartsight.planning.recourse import SHIPMENTS

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class NetworkDesign:
    """Lines by plant, 0 where a plant stays closed.

    Attributes
    ----------
    lines : array of int, shape (plants,)
    capacity : array, shape (plants,)
        Batches per year that the plants carry without long queues.
    fixed_cost : float
        Open plants and lines, per year.
    origin : str
        Which model proposed it.
    """

    lines: Int
    capacity: Float
    fixed_cost: float
    origin: str

    def as_text(self, problem: NetworkProblem) -> str:
        """Return the design as "plant lines, plant lines"."""
        return ", ".join(f"{problem.plants[s].name} {n}" for s, n in enumerate(self.lines) if n > 0)


@dataclass(slots=True)
class DesignColumns:
    """The first-stage columns: one binary by plant and size."""

    sizes: list[list[Module]]
    chosen: list[list[int]]

    def capacity(self, values: Float) -> Float:
        """Return batches per year by plant, fractional choices mixed, shape (plants,)."""
        return np.array(
            [
                sum(module.batches_per_year * values[column] for module, column in zip(options, columns, strict=True))
                for options, columns in zip(self.sizes, self.chosen, strict=True)
            ]
        )

    def fill(self, values: Float, design: NetworkDesign) -> None:
        """Write a design into a vector of column values."""
        for s, columns in enumerate(self.chosen):
            for module, column in zip(self.sizes[s], columns, strict=True):
                values[column] = float(module.lines == design.lines[s])

    def design(self, problem: NetworkProblem, values: Float, origin: str) -> NetworkDesign:
        """Return the design in a solution."""
        lines = np.zeros(len(problem.plants), dtype=np.int64)
        capacity = np.zeros(len(problem.plants))
        fixed = 0.0
        for s, columns in enumerate(self.chosen):
            for module, column in zip(self.sizes[s], columns, strict=True):
                if values[column] > 0.5:
                    lines[s], capacity[s] = module.lines, module.batches_per_year
                    fixed += problem.plants[s].fixed_per_year + problem.plants[s].line_per_year * module.lines
        return NetworkDesign(lines, capacity, fixed, origin)


def design_columns(model: MipModel, problem: NetworkProblem, safety: float) -> DesignColumns:
    """Add the first stage: at most one size by plant; of identical plants the first named is the larger."""
    sizes = [modules(problem, s, safety) for s in range(len(problem.plants))]
    chosen = []
    for plant, options in zip(problem.plants, sizes, strict=True):
        columns = [
            model.column(plant.fixed_per_year + plant.line_per_year * module.lines, 0.0, 1.0, integer=True)
            for module in options
        ]
        if columns:
            model.row(columns, [1.0] * len(columns), lower=1.0 if plant.existing_lines else 0.0, upper=1.0)
        chosen.append(columns)
    for a in range(len(problem.plants)):
        for b in range(a + 1, len(problem.plants)):
            if sizes[a] and _alike(problem, a, b):
                larger = [float(module.lines) for module in sizes[a]]
                smaller = [-float(module.lines) for module in sizes[b]]
                model.row([*chosen[a], *chosen[b]], [*larger, *smaller], lower=0.0)
                break
    return DesignColumns(sizes, chosen)


def _alike(problem: NetworkProblem, a: int, b: int) -> bool:
    first, second = problem.plants[a], problem.plants[b]
    same = replace(first, name="", region="") == replace(second, name="", region="")
    # Plants of different regions fail with different neighbours, so that one is not the twin of the other.
    same &= first.region == second.region
    lanes = (problem.shipping[:, a] == problem.shipping[:, b]) & (problem.lost_share[:, a] == problem.lost_share[:, b])
    return same and bool(lanes.all())


def screen(
    problem: NetworkProblem, safety: float, *, time_limit: float, demand_factor: float = 1.0, lost_patient: float = 0.0
) -> tuple[NetworkDesign, MipResult]:
    """Return the cheapest design that serves the expected demand times a factor, and the solver's result with its gap.

    Raises
    ------
    InputError
        The candidates cannot serve the expected demand.
    """
    model = MipModel()
    columns = design_columns(model, problem, safety)
    regions, plants = len(problem.regions), len(problem.plants)
    flow: dict[tuple[int, int], int] = {}
    for r in range(regions):
        for s in range(plants):
            if np.isfinite(problem.shipping[r, s]):
                cost = problem.load.batches * problem.batch_cost + SHIPMENTS * float(problem.shipping[r, s])
                cost += lost_patient * (float(problem.lost_share[r, s]) + problem.relative_loss)
                flow[r, s] = model.column(cost)
                demand = demand_factor * float(problem.demand[r])
                model.row([flow[r, s], *columns.chosen[s]], [1.0, *[-demand] * len(columns.chosen[s])], upper=0.0)
        here = [flow[r, s] for s in range(plants) if (r, s) in flow]
        demand = demand_factor * float(problem.demand[r])
        model.row(here, [1.0] * len(here), lower=demand, upper=demand)
    for s in range(plants):
        here = [flow[r, s] for r in range(regions) if (r, s) in flow]
        room = [-module.batches_per_year / problem.load.batches for module in columns.sizes[s]]
        model.row([*here, *columns.chosen[s]], [*[1.0] * len(here), *room], upper=0.0)
    result = model.solve(relative_gap=1e-4, absolute_gap=1.0, time_limit=time_limit)
    if result.status == "infeasible":
        room_in_all = sum(options[-1].batches_per_year for options in columns.sizes if options) / problem.load.batches
        raise InputError(
            "the candidate plants cannot serve the expected demand",
            field="maximum_lines",
            found=f"{demand_factor * problem.demand.sum():.0f} patients per year",
            allowed=f"about {room_in_all:.0f} at the most lines of every plant, each region over its own lanes",
        )
    if not result.has_solution:
        raise InputError(f"screening found no design within {time_limit:.0f} s", field="time-limit")
    return columns.design(problem, result.values, "screening"), result
