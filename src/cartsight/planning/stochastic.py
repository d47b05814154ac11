"""Stage 2: two-stage stochastic programme by cuts, its sample-average estimate with error, and the value of it.

Minimise fixed cost + mean recourse cost over a sample of futures, with one cut per future and round (L-shaped method,
multicut: Birge & Louveaux 1988, doi:10.1016/0377-2217(88)90159-2); optionally the mean service in the worst share of futures
is held above a level (conditional value at risk: Rockafellar & Uryasev 2000, doi:10.21314/JOR.2000.038). The sample optimum
is biased low; a fresh sample judges the design (Mak, Morton & Wood 1999, doi:10.1016/S0167-6377(98)00054-6).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.planning.demand_scenarios import DemandScenarios
from cartsight.planning.mixed_integer import MipModel
from cartsight.planning.network_inputs import NetworkProblem
from cartsight.planning.recourse import RecourseCosts, RecourseProgramme
from cartsight.planning.screening import DesignColumns, NetworkDesign, design_columns

Float = npt.NDArray[np.float64]

RELATIVE_GAP = 1e-3
RELAXED_ROUNDS = 40
MILLION = 1e6
"""The master programme counts money in millions, so that its coefficients stay near one."""


@dataclass(frozen=True, slots=True)
class ServiceTarget:
    """The mean share of patients served in the worst `tail` of the futures is at least `level`."""

    level: float
    tail: float = 0.10

    def __post_init__(self) -> None:
        if not 0.0 < self.level <= 1.0 or not 0.0 < self.tail <= 1.0:
            raise InputError("must be above 0 and at most 1", field="service", found=(self.level, self.tail))


@dataclass(frozen=True, slots=True, eq=False)
class StochasticResult:
    """The best design found for a sample and the proven bound on that sample.

    Attributes
    ----------
    objective, bound, gap : float
        Expected cost per year on the sample; gap relative to the objective.
    rounds : int
        Rounds of cuts.
    seconds : float
    """

    design: NetworkDesign
    objective: float
    bound: float
    gap: float
    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class DesignEvaluation:
    """A design judged on a sample of futures.

    Attributes
    ----------
    cost : array, shape (futures,)
        Fixed cost and best recourse, lost patients at their price.
    service : array, shape (futures,)
        Share of collected patients served.
    assigned : array, shape (regions, plants)
        Mean patients per year.
    spent : float
        Mean cost without the price of lost patients.
    overtime_batches, held : float
        Means per year.
    """

    cost: Float
    service: Float
    assigned: Float
    spent: float
    overtime_batches: float
    held: float

    @property
    def mean(self) -> float:
        """Mean cost."""
        return float(self.cost.mean())

    @property
    def standard_error(self) -> float:
        """Standard error of the mean cost."""
        return float(self.cost.std(ddof=1) / math.sqrt(self.cost.size)) if self.cost.size > 1 else math.nan

    def worst_service(self, tail: float) -> float:
        """Return the mean service in the worst share `tail` of the futures (conditional value at risk)."""
        ordered = np.sort(self.service)
        weight = np.clip(tail * ordered.size - np.arange(ordered.size), 0.0, 1.0)
        return float((weight * ordered).sum() / weight.sum())


def evaluate(
    problem: NetworkProblem, costs: RecourseCosts, design: NetworkDesign, futures: DemandScenarios
) -> DesignEvaluation:
    """Return cost and service of a design in every future, each with its best recourse."""
    programme = RecourseProgramme(problem, costs)
    years = [programme.year(futures, i, design.capacity) for i in range(len(futures))]
    cost = np.array([year.cost for year in years])
    lost = np.array([year.lost for year in years])
    return DesignEvaluation(
        cost=design.fixed_cost + cost,
        service=1.0 - lost / futures.demand.sum(axis=(1, 2)),
        assigned=np.mean([year.assigned for year in years], axis=0),
        spent=design.fixed_cost + float((cost - costs.lost_patient * lost).mean()),
        overtime_batches=float(np.mean([year.overtime_batches for year in years])),
        held=float(np.mean([year.held for year in years])),
    )


def solve_stochastic(
    problem: NetworkProblem,
    costs: RecourseCosts,
    futures: DemandScenarios,
    safety: float,
    *,
    first: Sequence[NetworkDesign],
    service: ServiceTarget | None = None,
    time_limit: float,
    origin: str,
) -> StochasticResult:
    """Return the best design for a sample of futures.

    Parameters
    ----------
    first : sequence of NetworkDesign
        Designs whose cuts start the search.
    service : ServiceTarget, optional
    time_limit : float
        In seconds; the gap says how far it got.
    """
    began = time.perf_counter()
    n = len(futures)
    model = MipModel()
    columns = design_columns(model, problem, safety)
    model.cost = [cost / MILLION for cost in model.cost]
    theta = [model.column(1.0 / n) for _ in range(n)]
    programme = RecourseProgramme(problem, costs)
    counter = RecourseProgramme(problem, costs, count_lost_only=True) if service is not None else None
    short = _service_rows(model, futures, service) if service is not None else []
    best: NetworkDesign | None = None
    objective, bound, rounds = math.inf, -math.inf, 0

    def add_cuts(capacity: Float) -> tuple[float, Float]:
        mean, lost = 0.0, np.zeros(n)
        for i in range(n):
            year = programme.year(futures, i, capacity)
            mean += year.cost / n
            _cut(model, columns, theta[i], year.intercept / MILLION, year.slope / MILLION)
            if counter is not None:
                fewest = counter.year(futures, i, capacity)
                lost[i] = fewest.cost
                _cut(model, columns, short[i], fewest.intercept, fewest.slope)
        return mean, lost

    def visit(design: NetworkDesign) -> None:
        nonlocal best, objective
        mean, lost = add_cuts(design.capacity)
        total = design.fixed_cost + mean
        meets = service is None or _meets(service, lost, futures)
        if meets and total < objective:
            best, objective = design, total

    for design in first:
        visit(design)
    for _ in range(RELAXED_ROUNDS):
        # Cuts at fractional designs are as valid and much cheaper to come by.
        relaxed = model.solve(relaxed=True)
        if not relaxed.has_solution or time.perf_counter() - began > time_limit / 3:
            break
        before, bound = bound, max(bound, MILLION * relaxed.objective)
        if bound - before <= RELATIVE_GAP / 4 * bound:
            break
        add_cuts(columns.capacity(relaxed.values))
    while True:
        left = time_limit - (time.perf_counter() - began)
        if left <= 0:
            break
        start = np.full(len(model.cost), np.nan)
        if best is not None:
            columns.fill(start, best)
        master = model.solve(
            relative_gap=RELATIVE_GAP / 4, absolute_gap=1e-6, time_limit=left, start=start if best is not None else None
        )
        if master.status == "infeasible":
            raise InputError("no design reaches the service level", field="service", found=service and service.level)
        if math.isfinite(master.bound):
            bound = max(bound, MILLION * master.bound)
        if not master.has_solution or objective - bound <= RELATIVE_GAP * objective:
            break
        rounds += 1
        visit(columns.design(problem, master.values, origin))
        if objective - bound <= RELATIVE_GAP * objective:
            break
    if best is None:
        raise InputError("no design was found in time", field="time-limit", found=time_limit)
    best = NetworkDesign(best.lines, best.capacity, best.fixed_cost, origin)
    gap = max(objective - bound, 0.0) / objective if math.isfinite(bound) else math.inf
    return StochasticResult(best, objective, bound, gap, rounds, time.perf_counter() - began)


def _cut(model: MipModel, columns: DesignColumns, column: int, intercept: float, slope: Float) -> None:
    """Add column >= intercept + slope . capacity."""
    where, values = [column], [1.0]
    for s, (binaries, options) in enumerate(zip(columns.chosen, columns.sizes, strict=True)):
        where += binaries
        values += [-float(slope[s]) * module.batches_per_year for module in options]
    model.row(where, values, lower=intercept)


def _service_rows(model: MipModel, futures: DemandScenarios, service: ServiceTarget) -> list[int]:
    """Add lost patients by future and the bound on their share in the tail; return the columns of lost patients."""
    n = len(futures)
    threshold = model.column(lower=-1.0, upper=1.0)
    short, beyond = [], []
    for demand in futures.demand.sum(axis=(1, 2)):
        lost, excess = model.column(), model.column()
        model.row([excess, lost, threshold], [1.0, -1.0 / float(demand), 1.0], lower=0.0)
        short.append(lost)
        beyond.append(excess)
    model.row([threshold, *beyond], [1.0, *[1.0 / (service.tail * n)] * n], upper=1.0 - service.level)
    return short


def _meets(service: ServiceTarget, lost: Float, futures: DemandScenarios) -> bool:
    shares = np.sort(lost / futures.demand.sum(axis=(1, 2)))[::-1]
    weight = np.clip(service.tail * shares.size - np.arange(shares.size), 0.0, 1.0)
    return float((weight * shares).sum() / weight.sum()) <= 1.0 - service.level + 1e-6
