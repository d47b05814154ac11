"""Replications of a scenario at its point values: how precise is a difference between arms as a simulation result?

Replication i has its own patients and random numbers, the same for every arm. This is Monte Carlo error only;
parameter uncertainty is `compare`'s, and `variance_pilot` puts the two side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cartsight.comparison.executor import Executor, ProcessExecutor, SerialExecutor, default_workers
from cartsight.comparison.metrics import metric as known_metric
from cartsight.comparison.parameter_draws import draw_parameters
from cartsight.comparison.simulation_statistics.allocation import (
    RunCosts,
    ThreeLevelSplit,
    run_costs,
    split_three_levels,
)
from cartsight.comparison.simulation_statistics.multiple_comparisons import Contrast, contrasts_with_reference
from cartsight.comparison.simulation_statistics.replications import MeanInterval, mean_interval
from cartsight.comparison.simulation_statistics.stopping import SequentialResult, StoppingRule, run_until_precise
from cartsight.comparison.simulation_statistics.time_to_infusion import IncidenceBand, incidence_band, incidence_of
from cartsight.comparison.single_arm import run_arms
from cartsight.core.errors import InputError, nearest
from cartsight.core.ranking_and_selection import Selection, select_best
from cartsight.core.streams import entity_key, stable_hash
from cartsight.scenario import Scenario

Float = npt.NDArray[np.float64]
INCIDENCE_DAYS = (14.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 270.0, 365.0)
WORTH_PROCESSES_SECONDS = 6.0
"""Expected work of a batch from which worker processes pay for their start."""


def replication_seed(seed: int, replication: int) -> int:
    """Return the seed of the patients and all draws of a replication; keyed, so no replication depends on another."""
    key = entity_key(seed, stable_hash("replication"), np.array([replication], dtype=np.uint64))
    return int(key[0] >> np.uint64(1))


@dataclass(frozen=True, slots=True)
class _Batch:
    scenario: Scenario
    arms: tuple[str, ...]
    metric: str
    seed: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _BatchResult:
    values: Float
    incidence: Float
    patients: int


def run_batch(batch: _Batch) -> _BatchResult:
    """Run the replications of a batch: values (n, arms) and incidence (n, arms, 4, days)."""
    chosen = known_metric(batch.metric)
    values, curves, patients = [], [], 0
    for replication in range(batch.first, batch.last):
        runs = run_arms(batch.scenario, replication_seed(batch.seed, replication), batch.arms)
        values.append([chosen.value(run) for run in runs.values()])
        curves.append([incidence_of(run.trajectories, INCIDENCE_DAYS) for run in runs.values()])
        patients += sum(len(run.trajectories) for run in runs.values())
    return _BatchResult(np.array(values), np.array(curves), patients)


class ScenarioSampler:
    """Replications of a scenario on demand; what was run is kept.

    Parameters
    ----------
    scenario : Scenario
    arms : tuple of str
    metric : str
    seed : int
    workers : int, optional
        Worker processes for large batches; all cores by default. Results do not depend on it.
    progress : callable, optional
        Called with the number of replications done.
    """

    def __init__(
        self,
        scenario: Scenario,
        arms: tuple[str, ...],
        metric: str,
        seed: int,
        *,
        workers: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._batch = _Batch(scenario, arms, metric, seed, 0, 0)
        self._workers = default_workers() if workers is None else workers
        self._progress = progress
        self._seconds_each = 0.0
        self._curves: list[Float] = []
        self.patients = 0

    def __call__(self, first: int, last: int) -> Float:
        """Return replications first to last - 1, shape (last - first, arms)."""
        parts: list[_BatchResult] = []
        for result in self._executor(last - first).map_blocks(run_batch, self._blocks(first, last)):
            parts.append(result)
            self.patients += result.patients
            if self._progress is not None:
                self._progress(first + sum(len(part.values) for part in parts))
        self._curves += [part.incidence for part in parts]
        return np.concatenate([part.values for part in parts])

    @property
    def incidence(self) -> Float:
        """Incidence curves of everything run, shape (replications, arms, 4, days)."""
        return np.concatenate(self._curves)

    def timed(self) -> None:
        """Measure one replication, to decide whether processes pay."""
        began = time.perf_counter()
        run_batch(replace(self._batch, first=0, last=1))
        self._seconds_each = time.perf_counter() - began

    def _executor(self, count: int) -> Executor:
        if self._workers > 1 and count * self._seconds_each >= WORTH_PROCESSES_SECONDS:
            return ProcessExecutor(min(self._workers, count))
        return SerialExecutor()

    def _blocks(self, first: int, last: int) -> list[_Batch]:
        size = max(1, round(1.0 / max(self._seconds_each, 1e-3)))
        return [replace(self._batch, first=i, last=min(i + size, last)) for i in range(first, last, size)]


@dataclass(frozen=True)
class ScenarioReplications:
    """What `replicate` found.

    Attributes
    ----------
    arms : tuple of str
        With a value of the metric; the reference first.
    without_value : tuple of str
        Arms for which the metric does not exist (vein-to-vein without a vein).
    metric, unit : str
    seed : int
    rule : StoppingRule
    levels : tuple of MeanInterval
        Of each arm.
    contrasts : tuple of Contrast
        Of each further arm minus the first; empty for a single arm.
    sequence : SequentialResult
        Of the differences, or of the level for a single arm.
    incidence : dict of str to IncidenceBand
    patients : int
        Simulated, over arms and replications.
    """

    arms: tuple[str, ...]
    without_value: tuple[str, ...]
    metric: str
    unit: str
    seed: int
    rule: StoppingRule
    levels: tuple[MeanInterval, ...]
    contrasts: tuple[Contrast, ...]
    sequence: SequentialResult
    incidence: dict[str, IncidenceBand]
    patients: int


def replicate(
    scenario: Scenario,
    *,
    arms: Sequence[str] = (),
    metric: str = "qalys_per_referred",
    rule: StoppingRule | None = None,
    seed: int | None = None,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> ScenarioReplications:
    """Replicate a scenario until the differences between its arms are precise.

    Parameters
    ----------
    scenario : Scenario
    arms : sequence of str, optional
        All by default. The reference is the first named, else ``analysis.reference_arm``, else the first of the file.
    metric : str
    rule : StoppingRule, optional
        Applied to every difference from the reference, or to the level when there is one arm.
    seed : int, optional
    workers : int, optional
    progress : callable, optional

    Raises
    ------
    InputError
        An unknown arm or metric, or a metric that has no value in the chosen arms.
    """
    rule = rule or StoppingRule()
    seed = scenario.analysis.seed if seed is None else seed
    chosen = known_metric(metric)
    ordered = ordered_arms(scenario, arms)
    first = run_batch(_Batch(scenario, ordered, metric, seed, 0, 1)).values[0]
    kept = tuple(arm for arm, value in zip(ordered, first, strict=True) if np.isfinite(value))
    if not kept:
        raise InputError("the metric has no value in these arms", field="metric", found=metric, allowed=None)
    sampler = ScenarioSampler(scenario, kept, metric, seed, workers=workers, progress=progress)
    sampler.timed()
    sequence = run_until_precise(sampler, rule, comparisons=_differences if len(kept) > 1 else None)
    values = sequence.values
    curves = sampler.incidence
    return ScenarioReplications(
        arms=kept,
        without_value=tuple(arm for arm in ordered if arm not in kept),
        metric=metric,
        unit=scenario.analysis.money if chosen.unit == "money" else chosen.unit,
        seed=seed,
        rule=rule,
        levels=tuple(mean_interval(column, level=rule.level) for column in values.T),
        contrasts=contrasts_with_reference(values, 0, level=rule.level) if len(kept) > 1 else (),
        sequence=sequence,
        incidence={arm: incidence_band(curves[:, a], INCIDENCE_DAYS, level=rule.level) for a, arm in enumerate(kept)},
        patients=sampler.patients,
    )


def ordered_arms(scenario: Scenario, arms: Sequence[str]) -> tuple[str, ...]:
    """Return the arms to run, the reference first.

    Raises
    ------
    InputError
        An arm that the scenario does not have.
    """
    for arm in arms:
        if arm not in scenario.arms:
            raise InputError(
                "unknown arm",
                field="arm",
                found=arm,
                allowed=", ".join(scenario.arms),
                hint=nearest(arm, scenario.arms),
            )
    if arms:
        return tuple(dict.fromkeys(arms))
    reference = scenario.analysis.reference_arm or next(iter(scenario.arms))
    return (reference, *(arm for arm in scenario.arms if arm != reference))


def _differences(values: Float) -> Float:
    return values[:, 1:] - values[:, :1]


def select_best_arm(
    scenario: Scenario,
    metric: str,
    *,
    indifference: float,
    arms: Sequence[str] = (),
    alpha: float = 0.05,
    maximise: bool = True,
    seed: int | None = None,
) -> tuple[str, Selection]:
    """Return the best arm by a metric at the point values (procedure KN on common random numbers) and the record of it.

    Raises
    ------
    InputError
        An unknown arm or metric, fewer than two arms, or an arm without a value of the metric.
    """
    known_metric(metric)
    names = ordered_arms(scenario, arms)
    seed = scenario.analysis.seed if seed is None else seed

    def sample(replication: int, alive: tuple[int, ...]) -> Float:
        chosen = tuple(names[i] for i in alive)
        return np.asarray(run_batch(_Batch(scenario, chosen, metric, seed, replication, replication + 1)).values[0])

    found = select_best(sample, len(names), indifference=indifference, alpha=alpha, maximise=maximise)
    return names[found.best], found


@dataclass(frozen=True)
class VariancePilot:
    """A pilot run: three variances, and what draws, replications and patients cost here."""

    split: ThreeLevelSplit
    costs: RunCosts


def variance_pilot(
    scenario: Scenario,
    arm: str,
    metric: str,
    *,
    reference: str | None = None,
    draws: int = 24,
    replications: int = 3,
    seed: int | None = None,
) -> VariancePilot:
    """Run a small nested design and time its parts.

    Parameters
    ----------
    scenario : Scenario
    arm : str
    metric : str
        One that is a mean over patients, with every patient in its denominator.
    reference : str, optional
        With it the result is the difference arm - reference, patient by patient on common random numbers.
    draws, replications : int
        Of the pilot.
    seed : int, optional

    Raises
    ------
    InputError
        Unknown names, or a metric that is no mean over all patients.
    """
    chosen = known_metric(metric)
    if chosen.patient is None:
        raise InputError("this metric is no mean over patients, so they have no variance", field="metric", found=metric)
    names = tuple(dict.fromkeys(ordered_arms(scenario, [arm] if reference is None else [arm, reference])))
    seed = scenario.analysis.seed if seed is None else seed
    parameters = draw_parameters(scenario, draws, seed)
    means, within, counts = (np.zeros((draws, replications)) for _ in range(3))
    setting_up, short, long = [], [], []
    for d in range(draws):
        began = time.perf_counter()
        moved = scenario.with_values(parameters.at(d), known=True)
        setting_up.append(time.perf_counter() - began)
        for r in range(replications):
            began = time.perf_counter()
            runs = run_arms(moved, replication_seed(seed, d * replications + r), names)
            patients = [chosen.patient(runs[name]) for name in names]
            y = patients[0] if reference is None else patients[0] - patients[-1]
            if np.isnan(y).any():
                raise InputError(
                    "this metric leaves some patients out; choose one per referred patient",
                    field="metric",
                    found=metric,
                )
            means[d, r], within[d, r], counts[d, r] = y.mean(), y.var(ddof=1), y.size
            short.append(time.perf_counter() - began)
    # Longer runs on the same parameters separate the cost of a patient from that of a run.
    longer = scenario.with_analysis(patients=10 * scenario.analysis.patients)
    followed = 0
    for r in range(3):
        began = time.perf_counter()
        runs = run_arms(longer, replication_seed(seed, draws * replications + r), names)
        long.append(time.perf_counter() - began)
        followed += len(runs[names[0]].trajectories)
    costs = run_costs(setting_up, short, float(counts.mean()), long, followed / 3)
    return VariancePilot(split_three_levels(means, within, counts), costs)
