"""One-way sensitivity of a scenario: the parameters that matter most, moved alone, on the same patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.comparison.executor import executor_for
from cartsight.comparison.sensitivity import OneWaySensitivity, one_way_sensitivity
from cartsight.comparison.single_arm import run_arms
from cartsight.scenario import Scenario

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Point:
    scenario: Scenario
    values: dict[str, float]
    arms: tuple[str, ...]
    seed: int


def _net_benefit(point: _Point) -> list[float]:
    scenario = point.scenario.with_values(point.values, known=True)
    runs = run_arms(scenario, point.seed, point.arms)
    threshold = scenario.analysis.decision_threshold
    return [float(threshold * run.effect.mean() - run.cost.mean()) for run in runs.values()]


def run_one_way(
    scenario: Scenario, paths: tuple[str, ...], arm: str, comparator: str, seed: int, *, workers: int | None = None
) -> OneWaySensitivity | None:
    """Return how the net benefit of `arm` over `comparator` answers to each of `paths` alone.

    Every number moves between the 2.5 and 97.5 percentile of its uncertainty, the others at their point values, with
    the same patients and random numbers throughout.
    """
    if not paths or arm == comparator:
        return None
    numbers = scenario.numbers()
    base = {path: numbers[path].x for path in paths}
    ranges = {}
    for path in paths:
        uncertainty = numbers[path].quantity.uncertainty
        assert uncertainty is not None
        low, high = uncertainty.law.interval()
        ranges[path] = (min(low, base[path]), max(high, base[path]))

    def evaluate(design: Float) -> Float:
        points = [
            _Point(scenario, dict(zip(base, row.tolist(), strict=True)), (comparator, arm), seed) for row in design
        ]
        return np.array(list(executor_for(workers, len(points)).map_blocks(_net_benefit, points)))

    return one_way_sensitivity(evaluate, base, ranges, arm=1, comparator=0, points=2)
