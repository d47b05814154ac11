"""Futures a network may meet: demand by region and quarter, yield of the process, disruption of plants.

What the scenario states as uncertain (failures, out of specification) is drawn from it; the spread of demand and the
chance of a disruption are stated by the caller. Columns are keyed by name, so that a further plant moves no other draw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.normal import normal_quantile
from cartsight.core.streams import Stream
from cartsight.planning.network_inputs import DAYS_PER_YEAR, NetworkProblem
from cartsight.scenario.numbers import Probability

Float = npt.NDArray[np.float64]

QUARTERS = 4
DAYS_PER_QUARTER = DAYS_PER_YEAR / QUARTERS


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
    region_disruption_probability : float
        Per region and quarter; it strikes all plants of the region at once.
    disruption_share : float
        Capacity of the quarter lost in a disruption: the plant takes no new starts for this share of its days.
    courier_delay_probability : float
        Per region and quarter: nothing is collected from its hospitals for `courier_delay_days`.
    courier_delay_days : float
    """

    demand_cv: float = 0.20
    demand_correlation: float = 0.5
    quarter_cv: float = 0.10
    disruption_probability: float = 0.02
    disruption_share: float = 0.67
    region_disruption_probability: float = 0.005
    courier_delay_probability: float = 0.05
    courier_delay_days: float = 3.0

    def __post_init__(self) -> None:
        for name in (
            "demand_correlation", "disruption_probability", "disruption_share",
            "region_disruption_probability", "courier_delay_probability",
        ):  # fmt: skip
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError("must be between 0 and 1", field=name.replace("_", "-"), found=getattr(self, name))
        for name in ("demand_cv", "quarter_cv"):
            if not 0.0 <= getattr(self, name) <= 3.0:
                raise InputError("must be between 0 and 3", field=name.replace("_", "-"), found=getattr(self, name))
        if not 0.0 <= self.courier_delay_days <= 90.0:
            raise InputError("must be between 0 and 90 days", field="courier-delay-days", found=self.courier_delay_days)


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
    remade : array, shape (futures,)
        Share of the batches that are made again after a failure.
    saved_by_remake : array, shape (futures,)
        Infused thanks to a remake, per collected patient.
    lost_to_couriers : array, shape (futures, quarters, regions)
        Lost to a courier delay, per collected patient of the quarter.
    outages : array, shape (futures, quarters, plants, 2)
        First and last day without new starts, from the start of the year; NaN without a disruption.
    courier_outages : array, shape (futures, quarters, regions, 2)
        First and last day without collections; NaN without a delay.
    """

    demand: Float
    batches: Float
    available: Float
    manufacturing_failure: Float
    out_of_specification: Float
    remade: Float
    saved_by_remake: Float
    lost_to_couriers: Float
    outages: Float
    courier_outages: Float

    def __len__(self) -> int:
        return int(self.batches.size)

    def only(self, i: int) -> DemandScenarios:
        """Return one future alone."""
        return DemandScenarios(**{field.name: getattr(self, field.name)[i : i + 1] for field in fields(self)})


def expected_future(problem: NetworkProblem) -> DemandScenarios:
    """Return the one future in which everything is as expected, without disruption."""
    regions, plants = len(problem.regions), len(problem.plants)
    demand = np.broadcast_to(problem.demand / QUARTERS, (1, QUARTERS, regions))
    process = problem.arm.process
    failure, out = np.array([process.manufacturing_failure.x]), np.array([process.out_of_specification.x])
    batches, remade, saved = _yield(problem, failure, out)
    return DemandScenarios(
        demand.copy(), batches, np.ones((1, QUARTERS, plants)), failure, out, remade, saved,
        np.zeros((1, QUARTERS, regions)), np.full((1, QUARTERS, plants, 2), np.nan), np.full((1, QUARTERS, regions, 2), np.nan),
    )  # fmt: skip


def draw_futures(
    problem: NetworkProblem, uncertainties: Uncertainties, count: int, seed: int, name: str
) -> DemandScenarios:
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
    outages = _plant_outages(problem, uncertainties, stream, count)
    couriers = np.full((count, QUARTERS, len(problem.regions), 2), np.nan)
    length = uncertainties.courier_delay_days
    for r, region in enumerate(problem.regions):
        for q in range(QUARTERS):
            late = stream(f"courier delay/{region}", q) < uncertainties.courier_delay_probability
            couriers[late, q, r] = _window(q, stream(f"courier delay starts/{region}", q)[late], length)
    struck = ~np.isnan(couriers[..., 0])
    process = problem.arm.process
    path = f"arms.{problem.arm_name}.process"
    failure = _drawn(process.manufacturing_failure, stream, f"{path}.manufacturing_failure")
    out = _drawn(process.out_of_specification, stream, f"{path}.out_of_specification")
    batches, remade, saved = _yield(problem, failure, out)
    again = _again(problem, failure, out)
    return DemandScenarios(
        demand=demand,
        batches=batches,
        available=np.where(np.isnan(outages[..., 0]), 1.0, 1.0 - uncertainties.disruption_share),
        manufacturing_failure=failure,
        out_of_specification=out,
        remade=remade,
        saved_by_remake=saved,
        lost_to_couriers=struck * _lost_per_delay(problem, length, again)[:, None, None],
        outages=outages,
        courier_outages=couriers,
    )


def _plant_outages(problem: NetworkProblem, uncertainties: Uncertainties, stream: Stream, count: int) -> Float:
    """Return first and last day of the outage of each quarter and plant; a region's outage strikes its plants at once."""
    outages = np.full((count, QUARTERS, len(problem.plants), 2), np.nan)
    length = uncertainties.disruption_share * DAYS_PER_QUARTER
    for s, plant in enumerate(problem.plants):
        for q in range(QUARTERS):
            down = stream(f"disruption/{plant.name}", q) < uncertainties.disruption_probability
            starts = stream(f"disruption starts/{plant.name}", q)
            if plant.region:
                together = (
                    stream(f"disruption of the region/{plant.region}", q) < uncertainties.region_disruption_probability
                )
                starts = np.where(together, stream(f"disruption of the region starts/{plant.region}", q), starts)
                down |= together
            outages[down, q, s] = _window(q, starts[down], length)
    return outages


def _window(quarter: int, uniform: Float, length: float) -> Float:
    """Return first and last day of outages of one length, anywhere within the quarter; shape (outages, 2)."""
    first = quarter * DAYS_PER_QUARTER + uniform * max(DAYS_PER_QUARTER - length, 0.0)
    return np.column_stack([first, first + length])


def _lost_per_delay(problem: NetworkProblem, delay_days: float, again: Float) -> Float:
    """Return the share of a quarter's collected patients that one courier delay costs, shape (futures,).

    Who is collected during the delay waits for its end. Frozen cells keep, and only the patient can be lost; fresh cells
    that would arrive after their window are collected again, which takes one of the patient's attempts.
    """
    process = problem.arm.process
    state = next(iter(problem.scenario.population.health_states.values()))
    hazard = state.death.x + state.ineligibility.x
    if process.starting_material == "cryopreserved":
        share = delay_days / DAYS_PER_QUARTER * (1.0 - math.exp(-hazard * delay_days / 2.0))
        return np.full(again.shape, share)
    assert process.fresh_window is not None
    slack = max(process.fresh_window.x - process.shipping_out.distribution.mean, 0.0)
    spoiled = max(delay_days - slack, 0.0) / DAYS_PER_QUARTER
    gone = 1.0 - math.exp(-hazard * delay_days)
    if process.attempts == 1:
        return np.full(again.shape, spoiled)
    return np.asarray(spoiled * (again + (1.0 - again) * gone))


def _lognormal(z: Float, cv: float) -> Float:
    """Return a lognormal factor of mean one."""
    variance = math.log1p(cv * cv)
    return np.asarray(np.exp(math.sqrt(variance) * z - variance / 2.0))


def _drawn(number: Probability, stream: Stream, path: str) -> Float:
    """Return draws of a number of the scenario, the same value throughout when it has no uncertainty."""
    if not number.quantity.is_uncertain:
        return np.full(stream.keys.shape, number.x)
    return np.asarray(number.quantity.draw(stream(path)))


def _again(problem: NetworkProblem, failure: Float, out: Float) -> Float:
    """Return the probability that a batch has to be made again."""
    return np.asarray(failure + (1.0 - failure) * out * (1.0 - problem.arm.process.infuse_out_of_specification.x))


def _yield(problem: NetworkProblem, failure: Float, out: Float) -> tuple[Float, Float, Float]:
    """Return batches per collected patient, the share of them that are remakes, and the patients that remakes save.

    The levels are those of the arm's own pathway at the scenario's values; futures scale the remakes by the expected number of
    repeats of attempts that fail independently.
    """
    process, load = problem.arm.process, problem.load

    def repeats(failure: Float, out: Float) -> Float:
        again = _again(problem, failure, out)
        return np.asarray(sum((again**k for k in range(1, process.attempts)), np.zeros(again.shape)))

    base = float(repeats(np.array(process.manufacturing_failure.x), np.array(process.out_of_specification.x)))
    ratio = repeats(failure, out) / base if base > 0.0 else np.ones(failure.shape)
    remakes = load.remakes * ratio
    batches = load.batches - load.remakes + remakes
    # A future with twice the failures cannot save more than everyone who is infused.
    saved = np.minimum(load.saved_by_remake * ratio, load.infused / load.collected)
    return batches, remakes / batches, saved
