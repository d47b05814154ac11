"""The network study: screening, two-stage stochastic programme, proof in the simulation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.planning.capacity_modules import modules
from cartsight.planning.demand_scenarios import Uncertainties, draw_futures, expected_future
from cartsight.planning.network_inputs import NetworkProblem
from cartsight.planning.proof import Proof, prove
from cartsight.planning.recourse import RecourseCosts, recourse_costs
from cartsight.planning.screening import NetworkDesign, screen
from cartsight.planning.stochastic import (
    DesignEvaluation,
    ServiceTarget,
    StochasticResult,
    evaluate,
    solve_stochastic,
)

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """How the study is run.

    Attributes
    ----------
    draws, samples, out_of_sample : int
        Futures per sample, independent samples (each gives a bound and a design), futures that judge the designs.
    safety : float
        Square-root safety capacity of a plant.
    top, replications : int
        Designs that go into the simulation, and replications at most.
    indifference : float
        Smallest difference worth detecting, as a share of the net cost per referred patient.
    time_limit : float
        Seconds for the optimisation, shared between its parts.
    """

    draws: int = 50
    samples: int = 3
    out_of_sample: int = 200
    safety: float = 1.0
    lost_patient: float | None = None
    overtime_share: float = 0.15
    service: float | None = None
    tail: float = 0.10
    top: int = 4
    first_replications: int = 8
    replications: int = 16
    indifference: float = 0.01
    time_limit: float = 180.0
    uncertainties: Uncertainties = field(default_factory=Uncertainties)

    def __post_init__(self) -> None:
        for name, least in (
            ("draws", 2), ("samples", 2), ("out_of_sample", 2), ("top", 1), ("first_replications", 3), ("replications", 3)
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise InputError(f"must be at least {least}", field=name.replace("_", "-"), found=getattr(self, name))
        for name in ("safety", "overtime_share"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise InputError("must be zero or more", field=name.replace("_", "-"), found=getattr(self, name))
        for name in ("time_limit", "indifference"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise InputError("must be above zero", field=name.replace("_", "-"), found=getattr(self, name))
        if self.lost_patient is not None and not 0.0 <= self.lost_patient < math.inf:
            raise InputError("must be zero or more", field="lost-patient", found=self.lost_patient)
        if self.replications < self.first_replications:
            raise InputError("fewer replications than the first block", field="replications", found=self.replications)


@dataclass(frozen=True, slots=True, eq=False)
class StudiedDesign:
    """A design with what the optimiser said of it and how fresh futures judged it."""

    design: NetworkDesign
    evaluation: DesignEvaluation


@dataclass(frozen=True, slots=True, eq=False)
class NetworkStudy:
    """Everything a network study found.

    Attributes
    ----------
    screening_gap : float
    samples : list of StochasticResult
        One per independent sample.
    designs : list of StudiedDesign
        By rising out-of-sample cost; the first `proof` rows went into the simulation.
    lower_bound, lower_bound_error : float
        Mean of the samples' bounds and its standard error: an estimate of a bound on the true optimum.
    optimality_gap, optimality_gap_error : float
        Best out-of-sample cost minus that bound, per year, and the standard error of the difference.
    value_of_stochastic_solution, value_of_stochastic_solution_error : float
        Mean extra cost per year of the design made for the expected future, on the same fresh futures. NaN with a
        service level, which that design was not asked to meet.
    """

    problem: NetworkProblem
    options: NetworkOptions
    costs: RecourseCosts
    screening: NetworkDesign
    screening_gap: float
    samples: list[StochasticResult]
    designs: list[StudiedDesign]
    lower_bound: float
    lower_bound_error: float
    optimality_gap: float
    optimality_gap_error: float
    value_of_stochastic_solution: float
    value_of_stochastic_solution_error: float
    proof: Proof
    seconds: dict[str, float]


def study_network(
    problem: NetworkProblem, options: NetworkOptions, progress: Callable[[str], None] = lambda text: None
) -> NetworkStudy:
    """Run the three stages.

    Parameters
    ----------
    problem : NetworkProblem
    options : NetworkOptions
    progress : callable
        Receives a line of text at each stage.

    Raises
    ------
    InputError
        The candidates cannot serve the demand, or the service level is out of reach.
    """
    seed = problem.scenario.analysis.seed
    clock = time.perf_counter()
    seconds: dict[str, float] = {}

    def lap(stage: str) -> None:
        nonlocal clock
        seconds[stage] = time.perf_counter() - clock
        clock = time.perf_counter()

    costs = recourse_costs(problem, options.lost_patient, options.overtime_share)
    service = None if options.service is None else ServiceTarget(options.service, options.tail)
    progress("screening")
    screened, screening = screen(problem, options.safety, time_limit=options.time_limit / 6)
    lap("screening")
    slice_of_time = options.time_limit * 5 / 6 / (options.samples + 1)
    progress("the design for the expected future")
    mean_value = solve_stochastic(
        problem, costs, expected_future(problem), options.safety,
        first=[screened], time_limit=slice_of_time, origin="expected future",
    )  # fmt: skip
    samples: list[StochasticResult] = []
    start = [screened, mean_value.design]
    for number in range(options.samples):
        progress(f"sample {number + 1} of {options.samples}: {options.draws} futures")
        futures = draw_futures(problem, options.uncertainties, options.draws, seed, f"sample {number}")
        samples.append(
            solve_stochastic(
                problem, costs, futures, options.safety,
                first=[*start, *(result.design for result in samples), _largest(problem, screened, options.safety)],
                service=service, time_limit=slice_of_time, origin=f"sample {number + 1}",
            )
        )  # fmt: skip
    lap("stochastic programme")
    progress(f"judging the designs on {options.out_of_sample} fresh futures")
    fresh = draw_futures(problem, options.uncertainties, options.out_of_sample, seed, "out of sample")
    distinct: dict[tuple[int, ...], NetworkDesign] = {}
    for design in (*(result.design for result in samples), mean_value.design, screened):
        distinct.setdefault(tuple(design.lines.tolist()), design)
    studied = [StudiedDesign(design, evaluate(problem, costs, design, fresh)) for design in distinct.values()]
    of_mean = next(s for s in studied if (s.design.lines == mean_value.design.lines).all()).evaluation
    studied.sort(key=lambda item: item.evaluation.mean)
    own = {tuple(result.design.lines.tolist()) for result in samples}
    best = next(item for item in studied if tuple(item.design.lines.tolist()) in own)
    bounds = np.array([result.bound for result in samples])
    lower, lower_error = float(bounds.mean()), float(bounds.std(ddof=1) / math.sqrt(bounds.size))
    extra = of_mean.cost - best.evaluation.cost
    if service is not None:
        extra = np.full_like(extra, math.nan)
    lap("out of sample")
    top = [best, *(item for item in studied if item is not best)][: options.top]
    progress(f"proving {len(top)} designs in the simulation")
    typical = best.evaluation.mean / float(problem.referrals.sum())
    typical += costs.lost_patient * (1.0 - problem.load.infused)
    proof = prove(
        problem,
        [item.design for item in top],
        [item.evaluation.assigned for item in top],
        futures=draw_futures(problem, options.uncertainties, options.replications, seed, "simulation"),
        not_infused_cost=costs.lost_patient,
        indifference=options.indifference * typical,
        first=options.first_replications,
        most=options.replications,
    )
    lap("simulation")
    return NetworkStudy(
        problem=problem,
        options=options,
        costs=costs,
        screening=screened,
        screening_gap=screening.gap,
        samples=samples,
        designs=[*top, *(item for item in studied if item not in top)],
        lower_bound=lower,
        lower_bound_error=lower_error,
        optimality_gap=best.evaluation.mean - lower,
        optimality_gap_error=math.hypot(best.evaluation.standard_error, lower_error),
        value_of_stochastic_solution=float(extra.mean()),
        value_of_stochastic_solution_error=float(extra.std(ddof=1) / math.sqrt(extra.size)),
        proof=proof,
        seconds=seconds,
    )


def _largest(problem: NetworkProblem, screened: NetworkDesign, safety: float) -> NetworkDesign:
    """Every plant at its most lines: a feasible start for any service level that can be reached at all."""

    options = [modules(problem, s, safety)[-1] for s in range(len(problem.plants))]
    fixed = sum(
        plant.fixed_per_year + plant.line_per_year * module.lines
        for plant, module in zip(problem.plants, options, strict=True)
    )
    return NetworkDesign(
        np.array([module.lines for module in options]),
        np.array([module.batches_per_year for module in options]),
        fixed,
        "every plant at its most lines",
    )


def predicted(study: NetworkStudy, item: StudiedDesign) -> dict[str, float]:
    """Return what the optimiser expects of a design: the figures that the simulation then checks."""
    problem = study.problem
    served = float(item.evaluation.service.mean())
    infused = problem.load.infused * served
    patients = infused * float(problem.referrals.sum())
    return {
        "cost_per_infused": item.evaluation.spent / patients if patients > 0 else math.nan,
        "cost_per_year": item.evaluation.spent,
        "share_infused": infused,
        "vein_to_vein_days": problem.load.vein_to_vein_days,
    }
