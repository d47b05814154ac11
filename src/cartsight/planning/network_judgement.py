"""Designs judged on futures that did not shape them: choice, optimality gap, value of foreknowledge, the simulation."""

from __future__ import annotations

import math
import time

import numpy as np
import numpy.typing as npt

from cartsight.planning.capacity_modules import modules
from cartsight.planning.demand_scenarios import DemandScenarios, draw_futures, expected_future
from cartsight.planning.network_inputs import NetworkProblem
from cartsight.planning.network_study import NetworkOptions, Process, StudiedDesign
from cartsight.planning.proof import Proof, interval, modes_by_region
from cartsight.planning.recourse import RecourseProgramme
from cartsight.planning.screening import NetworkDesign
from cartsight.planning.stochastic import StochasticResult, evaluate, solve_stochastic
from cartsight.planning.stochastic_values import Optimum, StochasticValues, stochastic_values

Float = npt.NDArray[np.float64]

FUTURES_OF_CHOICE = 200
"""Fresh futures on which all designs are compared before the best ones meet all fresh futures."""


def best_expected(processes: list[Process], designs: list[NetworkDesign]) -> tuple[int, NetworkDesign]:
    """Return the best of the processes' designs for the expected future."""
    cost = [
        evaluate(p.problem, p.costs, d, expected_future(p.problem)).mean
        for p, d in zip(processes, designs, strict=True)
    ]
    k = int(np.argmin(cost))
    return k, designs[k]


def judged(
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


def optimality_gap(
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


def value_of_information(
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
                first=[result.design, expected[1]] if number == k == expected[0] else [largest_design(process.problem, options.safety)],
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


def against_simulation(
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


def largest_design(problem: NetworkProblem, safety: float) -> NetworkDesign:
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
