"""The network study: screening, two-stage stochastic programme, proof in the simulation.

A study has one process (the arm's own) or several (technologies and starting materials of a plan). Each is a network problem on the
same plants; the designs of all of them compete on the same futures and the same patients.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.planning.capacity_modules import modules
from cartsight.planning.demand_scenarios import (
    DAYS_PER_QUARTER,
    DemandScenarios,
    Uncertainties,
    draw_futures,
    expected_future,
)
from cartsight.planning.network_inputs import NetworkProblem
from cartsight.planning.proof import Proof, interval, modes_by_region, prove
from cartsight.planning.recourse import RecourseCosts, RecourseProgramme, recourse_costs
from cartsight.planning.screening import NetworkDesign, screen
from cartsight.planning.stochastic import (
    DesignEvaluation,
    ServiceTarget,
    StochasticResult,
    evaluate,
    solve_stochastic,
)
from cartsight.planning.stochastic_values import Optimum, StochasticValues, stochastic_values

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """How the study is run.

    Attributes
    ----------
    draws, samples, out_of_sample : int
        Futures per sample, independent samples (each gives a bound and a design), futures that judge the designs.
    information : int
        Futures of the first sample that are also planned for with foreknowledge, for the value of perfect information.
    processes : int
        Processes of a plan that go beyond the screening.
    longest_hold_days : float
        Longest wait across the end of a quarter.
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
    samples: int = 4
    out_of_sample: int = 1000
    information: int = 50
    processes: int = 2
    longest_hold_days: float = DAYS_PER_QUARTER
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
            ("draws", 2), ("samples", 2), ("out_of_sample", 2), ("information", 1), ("processes", 1), ("top", 1),
            ("first_replications", 3), ("replications", 3),
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


FUTURES_OF_CHOICE = 200
"""Fresh futures on which all designs are compared before the best ones meet all fresh futures."""


@dataclass(frozen=True, slots=True, eq=False)
class Process:
    """A way to make the product, as a network problem with its prices; all processes share plants, regions and prices."""

    name: str
    problem: NetworkProblem
    costs: RecourseCosts


@dataclass(frozen=True, slots=True, eq=False)
class StudiedDesign:
    """A design of one process, with how fresh futures judged it."""

    process: int
    design: NetworkDesign
    evaluation: DesignEvaluation


@dataclass(frozen=True, slots=True, eq=False)
class Screened:
    """What the screening found for one process: the design for the expected year, its cost and its gap."""

    name: str
    design: NetworkDesign
    cost: float
    gap: float


@dataclass(frozen=True, slots=True, eq=False)
class NetworkStudy:
    """Everything a network study found.

    Attributes
    ----------
    processes : list of Process
        Those that went beyond the screening, best first.
    screening : list of Screened
        All processes, by rising cost.
    samples : list of StochasticResult
        One per independent sample, of its best process (`sample_process`).
    designs : list of StudiedDesign
        By rising out-of-sample cost; the first `proof` rows went into the simulation.
    lower_bound, lower_bound_error : float
        Mean of the samples' bounds and its standard error: an estimate of a bound on the true optimum.
    optimality_gap, optimality_gap_error, optimality_gap_high : float
        Extra cost per year of the best design over the bound of a sample, on the same futures, mean over the samples that did
        not propose it; standard error; upper end of a one-sided 95 % interval (Mak, Morton & Wood).
    value_of_stochastic_solution, value_of_stochastic_solution_error : float
        Mean extra cost per year of the design made for the expected future, on fresh futures. NaN with a
        service level, which that design was not asked to meet.
    information : StochasticValues, optional
        Wait and see, stochastic optimum and expected-value design on the first sample. None with a service level.
    prediction_error : list of dict of name to (mean, low, high)
        Simulated minus predicted in the same futures, by design in the simulation.
    """

    processes: list[Process]
    options: NetworkOptions
    screening: list[Screened]
    samples: list[StochasticResult]
    sample_process: list[int]
    designs: list[StudiedDesign]
    lower_bound: float
    lower_bound_error: float
    optimality_gap: float
    optimality_gap_error: float
    optimality_gap_high: float
    value_of_stochastic_solution: float
    value_of_stochastic_solution_error: float
    information: StochasticValues | None
    proof: Proof
    predictions: list[dict[str, float]]
    prediction_error: list[dict[str, tuple[float, float, float]]]
    seconds: dict[str, float]

    @property
    def problem(self) -> NetworkProblem:
        """The problem of the best process."""
        return self.processes[0].problem


def study_network(
    problem: NetworkProblem | Sequence[tuple[str, NetworkProblem]],
    options: NetworkOptions,
    progress: Callable[[str], None] = lambda text: None,
) -> NetworkStudy:
    """Run the three stages.

    Parameters
    ----------
    problem : NetworkProblem, or sequence of (name, NetworkProblem)
        Several: processes on the same plants and regions.
    options : NetworkOptions
    progress : callable
        Receives a line of text at each stage.

    Raises
    ------
    InputError
        The candidates cannot serve the demand, or the service level is out of reach.
    """
    named = [("the arm's own", problem)] if isinstance(problem, NetworkProblem) else list(problem)
    seed = named[0][1].scenario.analysis.seed
    clock = time.perf_counter()
    seconds: dict[str, float] = {}

    def lap(stage: str) -> None:
        nonlocal clock
        seconds[stage] = time.perf_counter() - clock
        clock = time.perf_counter()

    progress("screening")
    processes, screening = _screen(named, options)
    lap("screening")
    service = None if options.service is None else ServiceTarget(options.service, options.tail)
    slices = options.time_limit * 0.65 / (len(processes) * (options.samples + 0.5))
    mean_value: list[NetworkDesign] = []
    starts: list[list[NetworkDesign]] = []
    for process in processes:
        progress(f"the design for the expected future ({process.name})")
        first = [s.design for s in screening if s.name == process.name]
        first += _for_more_demand(process, options)
        found = solve_stochastic(
            process.problem, process.costs, expected_future(process.problem), options.safety,
            first=first, time_limit=slices / 2, origin="expected future",
        )  # fmt: skip
        mean_value.append(found.design)
        starts.append([*first, found.design])
    samples: list[StochasticResult] = []
    sample_process: list[int] = []
    futures_of: list[list[DemandScenarios]] = []
    everything: list[tuple[int, NetworkDesign]] = []
    for number in range(options.samples):
        progress(f"sample {number + 1} of {options.samples}: {options.draws} futures")
        here = [
            draw_futures(p.problem, options.uncertainties, options.draws, seed, f"sample {number}") for p in processes
        ]
        results = [
            solve_stochastic(
                process.problem, process.costs, futures, options.safety,
                first=[*start, _largest(process.problem, options.safety)], service=service, time_limit=slices,
                origin=f"sample {number + 1}",
            )
            for process, futures, start in zip(processes, here, starts, strict=True)
        ]  # fmt: skip
        for start, result in zip(starts, results, strict=True):
            start.append(result.design)
        everything += [(k, result.design) for k, result in enumerate(results)]
        best_of = min(range(len(results)), key=lambda k: results[k].objective)
        # One programme over all processes: its optimum and its bound are the least of theirs.
        bound = min(result.bound for result in results)
        result = results[best_of]
        samples.append(replace(result, bound=bound, gap=max(result.objective - bound, 0.0) / result.objective))
        sample_process.append(best_of)
        futures_of.append(here)
    lap("stochastic programme")
    progress(f"judging the designs on {options.out_of_sample} fresh futures")
    fresh = [
        draw_futures(p.problem, options.uncertainties, options.out_of_sample, seed, "out of sample") for p in processes
    ]
    expected = _best_expected(processes, mean_value)
    studied = _judged(
        processes, [*everything, expected, *((k, start[0]) for k, start in enumerate(starts))], fresh, options, seed
    )
    proposed = {(k, tuple(design.lines.tolist())) for k, design in everything}
    best = next(item for item in studied if (item.process, tuple(item.design.lines.tolist())) in proposed)
    bounds = np.array([result.bound for result in samples])
    gap, gap_error, gap_high = _gap(processes, best, samples, sample_process, futures_of)
    process = processes[expected[0]]
    extra = evaluate(process.problem, process.costs, expected[1], fresh[expected[0]]).cost
    extra = (
        extra
        - evaluate(
            processes[best.process].problem, processes[best.process].costs, best.design, fresh[best.process]
        ).cost
    )
    if service is not None:
        extra = np.full_like(extra, math.nan)
    lap("out of sample")
    information = None
    if service is None:
        progress("the value of perfect information")
        information = _information(processes, options, samples[0], sample_process[0], expected, futures_of[0])
    lap("perfect information")
    top = [best, *(item for item in studied if item is not best)][: options.top]
    progress(f"proving {len(top)} designs in the simulation")
    typical = best.evaluation.mean / float(processes[best.process].problem.referrals.sum())
    typical += processes[0].costs.lost_patient * (1.0 - processes[best.process].problem.load.infused)
    to_prove = [
        draw_futures(p.problem, options.uncertainties, options.replications, seed, "simulation") for p in processes
    ]
    proof = prove(
        [processes[item.process].problem for item in top],
        [item.design for item in top],
        [item.evaluation.assigned for item in top],
        futures=[to_prove[item.process] for item in top],
        not_infused_cost=processes[0].costs.lost_patient,
        indifference=options.indifference * typical,
        first=options.first_replications,
        most=options.replications,
    )
    predictions, errors = _against_simulation(processes, top, to_prove, proof)
    lap("simulation")
    return NetworkStudy(
        processes=processes,
        options=options,
        screening=screening,
        samples=samples,
        sample_process=sample_process,
        designs=[*top, *(item for item in studied if not any(item is other for other in top))],
        lower_bound=float(bounds.mean()),
        lower_bound_error=float(bounds.std(ddof=1) / math.sqrt(bounds.size)),
        optimality_gap=gap,
        optimality_gap_error=gap_error,
        optimality_gap_high=gap_high,
        value_of_stochastic_solution=float(extra.mean()),
        value_of_stochastic_solution_error=float(extra.std(ddof=1) / math.sqrt(extra.size)),
        information=information,
        proof=proof,
        predictions=predictions,
        prediction_error=errors,
        seconds=seconds,
    )


def _screen(
    named: Sequence[tuple[str, NetworkProblem]], options: NetworkOptions
) -> tuple[list[Process], list[Screened]]:
    """Screen every process for the expected year; keep the best ones."""
    screened, problems, failure = [], {}, None
    prices = recourse_costs(named[0][1], options.lost_patient, options.overtime_share, options.longest_hold_days)
    for name, problem in named:
        try:
            design, result = screen(
                problem,
                options.safety,
                time_limit=options.time_limit / 6 / len(named),
                lost_patient=prices.lost_patient,
            )
        except InputError as error:
            failure = error
            continue
        screened.append(Screened(name, design, result.objective, result.gap))
        problems[name] = problem
    if not screened:
        assert failure is not None
        raise failure
    screened.sort(key=lambda item: item.cost)
    kept = [item.name for item in screened[: options.processes]]
    processes = [
        Process(
            name,
            problems[name],
            recourse_costs(problems[name], prices.lost_patient, options.overtime_share, options.longest_hold_days),
        )
        for name in kept
    ]
    return processes, screened


def _for_more_demand(process: Process, options: NetworkOptions) -> list[NetworkDesign]:
    """Designs for more than the expected demand: good starts, since the stochastic optimum hedges."""
    found = []
    for factor in (1.1, 1.25):
        try:
            design, _ = screen(
                process.problem, options.safety, time_limit=options.time_limit / 20, demand_factor=factor,
                lost_patient=process.costs.lost_patient,
            )  # fmt: skip
        except InputError:
            continue
        found.append(design)
    return found


def _best_expected(processes: list[Process], designs: list[NetworkDesign]) -> tuple[int, NetworkDesign]:
    """Return the best of the processes' designs for the expected future."""
    cost = [
        evaluate(p.problem, p.costs, d, expected_future(p.problem)).mean
        for p, d in zip(processes, designs, strict=True)
    ]
    k = int(np.argmin(cost))
    return k, designs[k]


def _judged(
    processes: list[Process],
    proposed: list[tuple[int, NetworkDesign]],
    fresh: list[DemandScenarios],
    options: NetworkOptions,
    seed: int,
) -> list[StudiedDesign]:
    """Return the distinct designs by rising cost: all on futures of choice, the best of them on all fresh futures."""
    distinct: dict[tuple[int, tuple[int, ...]], NetworkDesign] = {}
    for k, design in proposed:
        distinct.setdefault((k, tuple(design.lines.tolist())), design)
    count = min(FUTURES_OF_CHOICE, options.out_of_sample)
    choice = [draw_futures(p.problem, options.uncertainties, count, seed, "choice of designs") for p in processes]

    def judge(k: int, design: NetworkDesign, futures: list[DemandScenarios]) -> StudiedDesign:
        return StudiedDesign(k, design, evaluate(processes[k].problem, processes[k].costs, design, futures[k]))

    first = sorted(
        (judge(k, design, choice) for (k, _), design in distinct.items()), key=lambda item: item.evaluation.mean
    )
    again = [judge(item.process, item.design, fresh) for item in first[: max(options.top, 3)]]
    again.sort(key=lambda item: item.evaluation.mean)
    return [*again, *first[len(again) :]]


def _gap(
    processes: list[Process],
    best: StudiedDesign,
    samples: list[StochasticResult],
    sample_process: list[int],
    futures_of: list[list[DemandScenarios]],
) -> tuple[float, float, float]:
    """Return the estimate of the best design's optimality gap, its standard error and its one-sided 95 % bound."""
    from scipy.stats import t

    process = processes[best.process]
    own = [
        m
        for m, (result, k) in enumerate(zip(samples, sample_process, strict=True))
        if k == best.process and (result.design.lines == best.design.lines).all()
    ][:1]
    rest = [m for m in range(len(samples)) if m not in own]
    gaps = np.array(
        [
            evaluate(process.problem, process.costs, best.design, futures_of[m][best.process]).mean - samples[m].bound
            for m in rest
        ]
    )
    error = float(gaps.std(ddof=1) / math.sqrt(gaps.size)) if gaps.size > 1 else math.nan
    high = float(gaps.mean() + t.ppf(0.95, gaps.size - 1) * error) if gaps.size > 1 else math.nan
    return float(gaps.mean()), error, high


def _information(
    processes: list[Process],
    options: NetworkOptions,
    result: StochasticResult,
    k: int,
    expected: tuple[int, NetworkDesign],
    futures: list[DemandScenarios],
) -> StochasticValues | None:
    """Return WS, RP and EEV on the first sample, as many of its futures as time allows."""
    began, budget = time.perf_counter(), 0.2 * options.time_limit
    count = min(options.information, options.draws)
    alone: list[Optimum[tuple[int, NetworkDesign]]] = []
    for i in range(count):
        left = budget - (time.perf_counter() - began)
        if left <= 0.0:
            break
        found = []
        for number, process in enumerate(processes):
            own = solve_stochastic(
                process.problem, process.costs, futures[number].only(i), options.safety,
                first=[result.design, expected[1]] if number == k == expected[0] else [_largest(process.problem, options.safety)],
                time_limit=min(left, max(budget / 5, 1.0)), origin="foreknowledge",
            )  # fmt: skip
            found.append(Optimum((number, own.design), own.objective, own.bound))
        best = min(found, key=lambda optimum: optimum.objective)
        alone.append(Optimum(best.decision, best.objective, min(optimum.bound for optimum in found)))
    if not alone:
        return None

    def cost(decision: tuple[int, NetworkDesign]) -> Float:
        number, design = decision
        process = processes[number]
        return evaluate(process.problem, process.costs, design, futures[number]).cost[: len(alone)]

    together = Optimum((k, result.design), result.objective, result.bound)
    return stochastic_values(len(alone), lambda i: alone[i], together, expected, cost)


def _against_simulation(
    processes: list[Process], top: list[StudiedDesign], futures: list[DemandScenarios], proof: Proof
) -> tuple[list[dict[str, float]], list[dict[str, tuple[float, float, float]]]]:
    """Return the optimiser's figures in the simulated futures, and simulated minus predicted, future by future."""
    predictions, errors = [], []
    for item, values, count in zip(top, proof.values, proof.replications, strict=True):
        process = processes[item.process]
        rows = [_predicted(process, item, futures[item.process], i) for i in range(count)]
        columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        predictions.append({name: float(column.mean()) for name, column in columns.items()})
        errors.append({name: interval(values[name] - column) for name, column in columns.items()})
    return predictions, errors


def _predicted(process: Process, item: StudiedDesign, futures: DemandScenarios, i: int) -> dict[str, float]:
    """Return what the optimiser says of a design in one future: the figures that the simulation then checks."""
    problem, costs = process.problem, process.costs
    year = RecourseProgramme(problem, costs).year(futures, i, item.design.capacity)
    collected = float(futures.demand[i].sum())
    referred = collected / problem.load.collected
    made = float(year.assigned.sum())
    share = problem.load.infused * (1.0 - year.lost / collected)
    spent = item.design.fixed_cost + year.cost - costs.lost_patient * (year.lost + problem.relative_loss * made)
    days = problem.load.vein_to_vein_days
    if problem.modes:
        mode = modes_by_region(problem, item.evaluation.assigned)
        weight = year.assigned.sum(axis=1)
        days = float(
            sum(problem.modes[m].vein_to_vein_days * w for m, w in zip(mode, weight, strict=True)) / max(made, 1e-9)
        )
    batches = made * float(futures.batches[i])
    return {
        "cost_per_infused": spent / max(share * referred, 1e-9),
        "cost_per_year": spent,
        "share_infused": share,
        "vein_to_vein_days": days,
        "line_wait_days": year.held * costs.longest_hold_days / max(made, 1e-9),
        "line_utilisation": batches / problem.batches_per_line / max(float(item.design.lines.sum()), 1e-9),
    }


def _largest(problem: NetworkProblem, safety: float) -> NetworkDesign:
    """Every plant at its most lines: a feasible start for any service level that can be reached at all."""
    options = [modules(problem, s, safety) for s in range(len(problem.plants))]
    largest = [sizes[-1] if sizes else None for sizes in options]
    fixed = sum(
        plant.fixed_per_year + plant.line_per_year * size.lines
        for plant, size in zip(problem.plants, largest, strict=True)
        if size is not None
    )
    return NetworkDesign(
        np.array([0 if size is None else size.lines for size in largest]),
        np.array([0.0 if size is None else size.batches_per_year for size in largest]),
        fixed,
        "every plant at its most lines",
    )
