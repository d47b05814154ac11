"""Stage 2: two-stage stochastic programme by cuts, its sample-average estimate with error, and the value of it.

Minimise fixed cost + mean recourse cost over a sample of futures (`cartsight.planning.cuts`); optionally the mean service in
the worst share of futures is held above a level (conditional value at risk: Rockafellar & Uryasev 2000,
doi:10.21314/JOR.2000.038). The sample optimum is biased low; a fresh sample judges the design (Mak, Morton & Wood 1999,
doi:10.1016/S0167-6377(98)00054-6).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.planning.cuts import Cut, TwoStage, solve_by_cuts
from cartsight.planning.demand_scenarios import DemandScenarios
from cartsight.planning.mixed_integer import MipModel
from cartsight.planning.network_inputs import NetworkProblem
from cartsight.planning.recourse import RecourseCosts, RecourseProgramme
from cartsight.planning.screening import NetworkDesign, design_columns

Float = npt.NDArray[np.float64]

RELATIVE_GAP = 1e-3
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
    relaxed_bound : float
        Bound before the search for whole designs.
    rounds, cuts : int
        Whole designs tried, and cuts.
    seconds : float
    """

    design: NetworkDesign
    objective: float
    bound: float
    gap: float
    relaxed_bound: float
    rounds: int
    cuts: int
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
    overtime_batches, held, not_remade : float
        Means per year.
    """

    cost: Float
    service: Float
    assigned: Float
    spent: float
    overtime_batches: float
    held: float
    not_remade: float

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
    assigned = np.array([year.assigned.sum() for year in years])
    worth = costs.lost_patient * (lost + problem.relative_loss * assigned)
    return DesignEvaluation(
        cost=design.fixed_cost + cost,
        service=1.0 - lost / futures.demand.sum(axis=(1, 2)),
        assigned=np.mean([year.assigned for year in years], axis=0),
        spent=design.fixed_cost + float((cost - worth).mean()),
        overtime_batches=float(np.mean([year.overtime_batches for year in years])),
        held=float(np.mean([year.held for year in years])),
        not_remade=float(np.mean([year.not_remade for year in years])),
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
    relative_gap: float = RELATIVE_GAP,
) -> StochasticResult:
    """Return the best design for a sample of futures.

    Parameters
    ----------
    first : sequence of NetworkDesign
        Designs whose cuts start the search.
    service : ServiceTarget, optional
    time_limit : float
        In seconds; the gap says how far it got.
    relative_gap : float
        The search ends at this gap.
    """
    n = len(futures)
    model = MipModel()
    columns = design_columns(model, problem, safety)
    model.cost = [cost / MILLION for cost in model.cost]
    outcome = [[model.column(1.0 / n) for _ in range(n)]]
    programmes = [RecourseProgramme(problem, costs)]
    scales = [MILLION]
    if service is not None:
        programmes.append(RecourseProgramme(problem, costs, count_lost_only=True))
        outcome.append(_service_rows(model, futures, service))
        scales.append(1.0)
    plants = len(problem.plants)
    decision = np.zeros((2 * plants, len(model.cost)))
    for s, (chosen, sizes) in enumerate(zip(columns.chosen, columns.sizes, strict=True)):
        decision[s, chosen] = [module.batches_per_year for module in sizes]
        decision[plants + s, chosen] = 1.0

    def recourse(i: int, x: Float) -> list[Cut]:
        years = (programme.year(futures, i, x[:plants], x[plants:]) for programme in programmes)
        return [Cut(year.cost / scale, year.slope / scale) for year, scale in zip(years, scales, strict=True)]

    def meets(quantities: Float) -> bool:
        return service is None or _meets(service, quantities[1], futures)

    starts = []
    for design in first:
        values = np.zeros(len(model.cost))
        columns.fill(values, design)
        starts.append(values)
    found = solve_by_cuts(
        TwoStage(model, decision, outcome, recourse, meets, columns.chosen),
        starts=starts,
        time_limit=time_limit,
        relative_gap=relative_gap,
    )
    if not found.values.size:
        if found.infeasible:
            raise InputError("no design reaches the service level", field="service", found=service and service.level)
        raise InputError("no design was found in time", field="time-limit", found=time_limit)
    design = columns.design(problem, found.values, origin)
    return StochasticResult(
        design, MILLION * found.objective, MILLION * found.bound, found.gap, MILLION * found.relaxed_bound,
        found.rounds, found.cuts, found.seconds,
    )  # fmt: skip


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
