"""Scenario analyses: named changes of the analysis or of numbers, at the point values, on the same patients.

Every row is the whole comparison run again with one thing changed. Patients and random numbers stay the same, so
that the change of net benefit between two rows is paired patient by patient and has its own Monte Carlo error.
The flow is run again only where a change can touch it: prices, efficacy, unit costs, discount rates and horizons
are priced on the flow that is there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.comparison.scenario_analyses import ScenarioAnalysis, changed_scenario, standard_analyses
from cartsight.comparison.single_arm import ArmRun, price_arm, run_arms
from cartsight.core.errors import InputError
from cartsight.economics.frontier import cost_effectiveness_frontier
from cartsight.outcomes import PatientDraws
from cartsight.scenario import Scenario
from cartsight.simulation.pathways import ArmFlow, generate_patients, observation_window, run_flow

Float = npt.NDArray[np.float64]

_AFTER_THE_FLOW = (
    "efficacy",
    "toxicity",
    "long_term",
    "price",
    "hospital",
    "costs",
    "retreatment",
    "after_relapse",
    "transplant",
    "secondary_malignancy",
)
BASE_CASE = ScenarioAnalysis("base case", "As the scenario states it")

_POPULATION_AFTER_THE_FLOW = (
    "background_mortality",
    "other_care",
    "utility_by_age",
    "waiting_utility",
    "waiting_cost_per_month",
)


@dataclass(frozen=True, slots=True)
class ScenarioArm:
    """One arm in one scenario analysis, per referred patient.

    Attributes
    ----------
    cost, qalys : float
        Discounted means.
    incremental_cost, incremental_qalys : float
        Against the reference arm.
    icer : float or None
        Pairwise, against the reference arm; only where cost and QALYs both rise or both fall.
    net_benefit, incremental_net_benefit : float
        At the decision threshold.
    incremental_error : float
        Monte Carlo standard error of `incremental_net_benefit`, paired by patient.
    change, change_error : float
        Of `incremental_net_benefit` from the base case, and its Monte Carlo standard error.
    status : str
        On the fully incremental frontier.
    """

    arm: str
    cost: float
    qalys: float
    incremental_cost: float
    incremental_qalys: float
    icer: float | None
    net_benefit: float
    incremental_net_benefit: float
    incremental_error: float
    change: float
    change_error: float
    status: str


@dataclass(frozen=True, slots=True)
class ScenarioRow:
    """The comparison under one scenario analysis.

    Attributes
    ----------
    best : str
        Arm with the highest net benefit at the threshold.
    decision_changes : bool
        Another arm than in the base case is best.
    """

    name: str
    description: str
    threshold: float
    best: str
    decision_changes: bool
    arms: tuple[ScenarioArm, ...]


@dataclass(frozen=True, slots=True)
class ScenarioTable:
    """The base case (first row) and all scenario analyses."""

    reference_arm: str
    patients: int
    money: str
    rows: tuple[ScenarioRow, ...]


def run_scenario_table(
    scenario: Scenario, analyses: Sequence[ScenarioAnalysis] | None = None, *, seed: int | None = None
) -> ScenarioTable:
    """Return the base case and every scenario analysis, at the point values on the same patients.

    Parameters
    ----------
    scenario : Scenario
        With at least two arms.
    analyses : sequence of ScenarioAnalysis, optional
        `standard_analyses` by default.
    seed : int, optional

    Raises
    ------
    InputError
        One arm only, two analyses of one name, or a change that is not possible.
    """
    if len(scenario.arms) < 2:
        raise InputError("a scenario table compares at least two arms", field="arms", found=list(scenario.arms))
    chosen = standard_analyses(scenario) if analyses is None else tuple(analyses)
    names = [change.name for change in chosen]
    twice = [name for name in names if names.count(name) > 1]
    if twice or BASE_CASE.name in names:
        raise InputError("every scenario analysis needs its own name", found=twice[0] if twice else BASE_CASE.name)
    every = [(change, changed_scenario(scenario, change)) for change in chosen]
    used = scenario.analysis.seed if seed is None else seed
    engine = AnalysisEngine(scenario, used)
    base = engine.run(BASE_CASE, scenario)
    reference = scenario.reference_arm
    rows = [_row(BASE_CASE, scenario, base, base, scenario, reference, None)]
    for change, changed in every:
        rows.append(_row(change, changed, engine.run(change, changed), base, scenario, reference, rows[0].best))
    return ScenarioTable(reference, len(next(iter(base.values())).outcomes), scenario.analysis.money, tuple(rows))


class AnalysisEngine:
    """Runs scenario analyses; keeps the flows of the base case for all that do not touch the flow."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._seed = seed
        patients = generate_patients(scenario, seed, observation_window(scenario))
        self._draws = PatientDraws(patients.rows(np.flatnonzero(patients.counted)), seed)
        self._flows: dict[str, ArmFlow] = {
            name: run_flow(scenario, name, seed, patients=patients) for name in scenario.arms
        }

    def run(
        self, change: ScenarioAnalysis, changed: Scenario, arms: tuple[str, ...] | None = None
    ) -> dict[str, ArmRun]:
        """Return the runs of the arms under a change that has been made to the scenario."""
        names = tuple(self._flows) if arms is None else arms
        if change.extra_wait_days > 0.0 or any(touches_the_flow(path) for path in change.values):
            return run_arms(changed, self._seed, names, extra_wait_days=change.extra_wait_days)
        return {name: price_arm(changed, name, self._flows[name], self._seed, self._draws) for name in names}


def touches_the_flow(path: str) -> bool:
    """Return whether a number can change who is infused and when, and not only what follows or what it costs."""
    parts = path.split(".")
    if parts[0] == "arms" and len(parts) > 3:
        return parts[2] not in _AFTER_THE_FLOW
    if parts[0] == "population":
        return parts[1] not in _POPULATION_AFTER_THE_FLOW
    return not (parts[0] == "care_pathway" and parts[-1] in {"cost", "cost_per_month"})


def _row(
    change: ScenarioAnalysis,
    changed: Scenario,
    runs: dict[str, ArmRun],
    base: dict[str, ArmRun],
    base_scenario: Scenario,
    reference: str,
    base_best: str | None,
) -> ScenarioRow:
    threshold, base_threshold = changed.analysis.decision_threshold, base_scenario.analysis.decision_threshold
    names = list(runs)
    cost = [float(run.cost.mean()) for run in runs.values()]
    effect = [float(run.effect.mean()) for run in runs.values()]
    status = {row.strategy: row.status for row in cost_effectiveness_frontier(names, cost, effect)}
    benefit = {name: threshold * run.effect - run.cost for name, run in runs.items()}
    before = {name: base_threshold * run.effect - run.cost for name, run in base.items()}
    arms = []
    for position, name in enumerate(names):
        difference = benefit[name] - benefit[reference]
        change_of_each = (
            difference - (before[name] - before[reference]) if _same_patients(runs[name], base[name]) else None
        )
        more = cost[position] - cost[names.index(reference)]
        gain = effect[position] - effect[names.index(reference)]
        arms.append(
            ScenarioArm(
                arm=name,
                cost=cost[position],
                qalys=effect[position],
                incremental_cost=more,
                incremental_qalys=gain,
                icer=more / gain if gain * more > 0.0 else None,
                net_benefit=float(benefit[name].mean()),
                incremental_net_benefit=float(difference.mean()),
                incremental_error=_error(difference),
                change=float(difference.mean() - (before[name] - before[reference]).mean()),
                change_error=math.nan if change_of_each is None else _error(change_of_each),
                status=str(status[name]),
            )
        )
    best = max(arms, key=lambda arm: arm.net_benefit).arm
    return ScenarioRow(
        name=change.name,
        description=change.description,
        threshold=threshold,
        best=best,
        decision_changes=base_best is not None and best != base_best,
        arms=tuple(arms),
    )


def _same_patients(first: ArmRun, second: ArmRun) -> bool:
    one, two = first.trajectories.patients.identity, second.trajectories.patients.identity
    return one.shape == two.shape and bool(np.array_equal(one, two))


def _error(values: Float) -> float:
    return float(values.std(ddof=1) / math.sqrt(values.size)) if values.size > 1 else math.nan
