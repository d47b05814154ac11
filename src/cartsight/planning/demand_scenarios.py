"""Futures a network may meet: demand by region and quarter, yield of the process, disruption of plants.

What the scenario states as uncertain (failures, out of specification) is drawn from it; the spread of demand and the
chance of a disruption are stated by the caller. Columns are keyed by name, so that a further plant moves no other draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.normal import normal_quantile
from cartsight.core.streams import Stream
from cartsight.planning.network_inputs import NetworkProblem
from cartsight.scenario.numbers import Probability

Float = npt.NDArray[np.float64]

QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Uncertainties:
    """How uncertain the year is.

    Attributes
    ----------
    demand_cv : float
        Coefficient of variation of a region's yearly demand.
    demand_correlation : float
        Between regions, on the log scale.
    quarter_cv : float
        Further independent variation of every quarter.
    disruption_probability : float
        Per plant and quarter.
    disruption_share : float
        Capacity of the quarter lost in a disruption.
    """

    demand_cv: float = 0.20
    demand_correlation: float = 0.5
    quarter_cv: float = 0.10
    disruption_probability: float = 0.02
    disruption_share: float = 0.67

    def __post_init__(self) -> None:
        for name in ("demand_correlation", "disruption_probability", "disruption_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError("must be between 0 and 1", field=name.replace("_", "-"), found=getattr(self, name))
        for name in ("demand_cv", "quarter_cv"):
            if not 0.0 <= getattr(self, name) <= 3.0:
                raise InputError("must be between 0 and 3", field=name.replace("_", "-"), found=getattr(self, name))


@dataclass(frozen=True, slots=True, eq=False)
class DemandScenarios:
    """Equally likely futures.

    Attributes
    ----------
    demand : array, shape (futures, quarters, regions)
        Collected patients.
    batches : array, shape (futures,)
        Batches per collected patient.
    available : array, shape (futures, quarters, plants)
        Share of capacity that is up.
    manufacturing_failure, out_of_specification : array, shape (futures,)
        Probabilities behind `batches`.
    """

    demand: Float
    batches: Float
    available: Float
    manufacturing_failure: Float
    out_of_specification: Float

    def __len__(self) -> int:
        return int(self.batches.size)


def expected_future(problem: NetworkProblem) -> DemandScenarios:
    """Return the one future in which everything is as expected, without disruption."""
    demand = np.broadcast_to(problem.demand / QUARTERS, (1, QUARTERS, len(problem.regions)))
    process = problem.arm.process
    return DemandScenarios(
        demand.copy(),
        np.array([problem.load.batches]),
        np.ones((1, QUARTERS, len(problem.plants))),
        np.array([process.manufacturing_failure.x]),
        np.array([process.out_of_specification.x]),
    )


def draw_futures(problem: NetworkProblem, uncertainties: Uncertainties, count: int, seed: int, name: str) -> DemandScenarios:
    """Return `count` futures; `name` keys the sample, so that samples of different names are independent."""
    stream = Stream(seed, f"network future/{name}", np.arange(count, dtype=np.uint64))
    common = normal_quantile(stream("demand, all regions"))
    demand = np.empty((count, QUARTERS, len(problem.regions)))
    for r, region in enumerate(problem.regions):
        own = normal_quantile(stream(f"demand/{region}"))
        z = math.sqrt(uncertainties.demand_correlation) * common + math.sqrt(1 - uncertainties.demand_correlation) * own
        year = _lognormal(z, uncertainties.demand_cv)
        for q in range(QUARTERS):
            quarter = _lognormal(normal_quantile(stream(f"demand/{region}", q + 1)), uncertainties.quarter_cv)
            demand[:, q, r] = problem.demand[r] / QUARTERS * year * quarter
    available = np.ones((count, QUARTERS, len(problem.plants)))
    for s, plant in enumerate(problem.plants):
        for q in range(QUARTERS):
            down = stream(f"disruption/{plant.name}", q) < uncertainties.disruption_probability
            available[down, q, s] = 1.0 - uncertainties.disruption_share
    process = problem.arm.process
    path = f"arms.{problem.arm_name}.process"
    failure = _drawn(process.manufacturing_failure, stream, f"{path}.manufacturing_failure")
    out = _drawn(process.out_of_specification, stream, f"{path}.out_of_specification")
    base = _attempts(problem, process.manufacturing_failure.x, process.out_of_specification.x)
    return DemandScenarios(
        demand, problem.load.batches * _attempts(problem, failure, out) / base, available, failure, out
    )


def _lognormal(z: Float, cv: float) -> Float:
    """Return a lognormal factor of mean one."""
    variance = math.log1p(cv * cv)
    return np.asarray(np.exp(math.sqrt(variance) * z - variance / 2.0))


def _drawn(number: Probability, stream: Stream, path: str) -> Float:
    """Return draws of a number of the scenario, the same value throughout when it has no uncertainty."""
    if not number.quantity.is_uncertain:
        return np.full(stream.keys.shape, number.x)
    return np.asarray(number.quantity.draw(stream(path)))


def _attempts(problem: NetworkProblem, failure: Float | float, out: Float | float) -> Float:
    """Return expected batches per patient whose attempts fail independently, up to the attempts allowed."""
    process = problem.arm.process
    again = np.asarray(failure + (1.0 - failure) * out * (1.0 - process.infuse_out_of_specification.x))
    return np.asarray(sum(again**k for k in range(process.attempts)))
