"""The network study: screening, two-stage stochastic programme, proof in the simulation.

A study has one process (the arm's own) or several (technologies and starting materials of a plan). Each is a network problem on the
same plants; the designs of all of them compete on the same futures and the same patients.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from cartsight.core.errors import InputError
from cartsight.planning.demand_scenarios import DemandScenarios, draw_futures, expected_future
from cartsight.planning.network_inputs import NetworkProblem
from cartsight.planning.network_judgement import (
    FUTURES_OF_CHOICE,
    against_simulation,
    best_expected,
    judged,
    largest_design,
    optimality_gap,
    value_of_information,
)
from cartsight.planning.network_study import NetworkOptions, NetworkStudy, Process, Screened, StudiedDesign
from cartsight.planning.proof import prove
from cartsight.planning.recourse import recourse_costs
from cartsight.planning.screening import NetworkDesign, screen
from cartsight.planning.stochastic import ServiceTarget, StochasticResult, evaluate, solve_stochastic

__all__ = [
    "FUTURES_OF_CHOICE",
    "NetworkOptions",
    "NetworkStudy",
    "Process",
    "Screened",
    "StudiedDesign",
    "study_network",
]


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
                first=[*start, largest_design(process.problem, options.safety)], service=service, time_limit=slices,
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
    expected = best_expected(processes, mean_value)
    studied = judged(
        processes, [*everything, expected, *((k, start[0]) for k, start in enumerate(starts))], fresh, options, seed
    )
    proposed = {(k, tuple(design.lines.tolist())) for k, design in everything}
    best = next(item for item in studied if (item.process, tuple(item.design.lines.tolist())) in proposed)
    bounds = np.array([result.bound for result in samples])
    gap, gap_error, gap_high = optimality_gap(processes, best, samples, sample_process, futures_of)
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
        information = value_of_information(processes, options, samples[0], sample_process[0], expected, futures_of[0])
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
    predictions, errors = against_simulation(processes, top, to_prove, proof)
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
