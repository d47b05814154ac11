"""Every arm at every parameter draw, in blocks, reduced at once to what the comparison needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.comparison.executor import executor_for
from cartsight.comparison.metrics import STANDARD, Metric
from cartsight.comparison.parameter_draws import ParameterDraws
from cartsight.comparison.results import DrawTable
from cartsight.comparison.single_arm import ArmRun, Clock, run_arms
from cartsight.core.errors import InputError
from cartsight.scenario import Scenario

Float = npt.NDArray[np.float64]
BLOCK = 8
"""Draws per block: about a second of work."""


@dataclass(frozen=True, slots=True)
class _Block:
    scenario: Scenario
    draws: ParameterDraws
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _BlockResult:
    values: Float
    cost: Float
    effect: Float
    covariance: Float
    patient_variance: Float
    patient_count: Float
    patients: npt.NDArray[np.int64]
    flow_seconds: float
    pricing_seconds: float


def run_block(block: _Block) -> _BlockResult:
    """Return the reduced results of the draws of a block."""
    clock = Clock()
    rows = []
    for draw in range(block.first, block.last):
        scenario = block.scenario.with_values(block.draws.at(draw), known=True)
        try:
            runs = run_arms(scenario, block.draws.patient_seed(draw), clock=clock)
        except InputError as error:
            raise InputError(f"parameter draw {draw}: {error.problem}", field=error.field, found=error.found) from None
        rows.append(_reduce(runs))
    return _BlockResult(
        values=np.stack([row[0] for row in rows]),
        cost=np.stack([row[1] for row in rows]),
        effect=np.stack([row[2] for row in rows]),
        covariance=np.stack([row[3] for row in rows]),
        patient_variance=np.stack([row[4] for row in rows]),
        patient_count=np.stack([row[5] for row in rows]),
        patients=np.array([row[6] for row in rows], dtype=np.int64),
        flow_seconds=clock.flow,
        pricing_seconds=clock.pricing,
    )


def _reduce(runs: dict[str, ArmRun]) -> tuple[Float, Float, Float, Float, Float, Float, int]:
    values = np.array([[metric.value(run) for metric in STANDARD] for run in runs.values()])
    cost = np.stack([run.cost for run in runs.values()])
    effect = np.stack([run.effect for run in runs.values()])
    moments = np.array([[_patient_moments(metric, run) for metric in STANDARD] for run in runs.values()])
    covariance = np.cov(np.vstack([cost, effect]))
    return values, cost.mean(axis=1), effect.mean(axis=1), covariance, moments[..., 0], moments[..., 1], cost.shape[1]


def _patient_moments(metric: Metric, run: ArmRun) -> tuple[float, float]:
    """Return the variance between the patients in the denominator of a metric, and their number."""
    if metric.patient is None:
        return np.nan, np.nan
    values = metric.patient(run)
    known = values[~np.isnan(values)]
    return (float(np.var(known, ddof=1)), float(known.size)) if known.size > 1 else (np.nan, np.nan)


@dataclass(frozen=True, slots=True)
class UncertaintyRuns:
    """The table of draws and the time it took, summed over workers."""

    table: DrawTable
    flow_seconds: float
    pricing_seconds: float


def run_uncertainty(
    scenario: Scenario,
    draws: ParameterDraws,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> UncertaintyRuns:
    """Return the results of all arms at all parameter draws.

    Parameters
    ----------
    scenario : Scenario
    draws : ParameterDraws
    workers : int, optional
        Worker processes; all cores by default, 1 runs in this process. Results do not depend on it.
    progress : callable, optional
        Called with (draws done, draws in all).
    """
    total = len(draws)
    blocks = [_Block(scenario, draws, first, min(first + BLOCK, total)) for first in range(0, total, BLOCK)]
    results: list[_BlockResult] = []
    done = 0
    for block, result in zip(blocks, executor_for(workers, len(blocks)).map_blocks(run_block, blocks), strict=True):
        results.append(result)
        done += block.last - block.first
        if progress is not None:
            progress(done, total)
    table = DrawTable(
        arms=tuple(scenario.arms),
        metrics=tuple(metric.name for metric in STANDARD),
        values=np.concatenate([r.values for r in results]),
        cost=np.concatenate([r.cost for r in results]),
        effect=np.concatenate([r.effect for r in results]),
        covariance=np.concatenate([r.covariance for r in results]),
        patient_variance=np.concatenate([r.patient_variance for r in results]),
        patient_count=np.concatenate([r.patient_count for r in results]),
        patients=np.concatenate([r.patients for r in results]),
    )
    return UncertaintyRuns(
        table=table,
        flow_seconds=sum(r.flow_seconds for r in results),
        pricing_seconds=sum(r.pricing_seconds for r in results),
    )
