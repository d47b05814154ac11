"""Beside published figures that did not set the model: what the model gives, and whether that passes.

A target passes on a criterion stated with it, before the run: inside the source's interval, or within a tolerance. A
miss is reported as a miss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cartsight.comparison.metrics import metric
from cartsight.comparison.single_arm import ArmRun, run_arms
from cartsight.core.errors import InputError
from cartsight.core.money import convert
from cartsight.core.units import conversion_factor, unit
from cartsight.scenario import Scenario
from cartsight.scenario.analysis import ValidationTarget

FEWEST_PATIENTS = 4000


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """One published figure beside the model's."""

    key: str
    label: str
    arm: str
    metric: str
    unit: str
    published: float
    low: float | None
    high: float | None
    tolerance: float | None
    model: float
    passes: bool
    evidence_id: str | None
    source: str | None
    verified: bool
    note: str | None


def run_validation(scenario: Scenario, seed: int) -> tuple[ValidationResult, ...]:
    """Return every validation target of a scenario with the model's figure at the point values.

    Targets that share their changes share a run; each run has at least `FEWEST_PATIENTS` patients.
    """
    larger = scenario.with_analysis(patients=max(scenario.analysis.patients, FEWEST_PATIENTS))
    runs: dict[tuple[object, ...], ArmRun] = {}

    def run_of(target: ValidationTarget) -> ArmRun:
        arm = target.arm or scenario.reference_arm
        condition = (arm, tuple(sorted(target.change.items())), target.extra_wait_days or 0.0)
        if condition not in runs:
            changed = larger.with_values(target.change) if target.change else larger
            runs[condition] = run_arms(changed, seed, (arm,), extra_wait_days=target.extra_wait_days or 0.0)[arm]
        return runs[condition]

    results = []
    for key, target in scenario.validation.items():
        less = None if target.less is None else run_of(scenario.validation[target.less])
        results.append(_judge(key, target, target.arm or scenario.reference_arm, run_of(target), less))
    return tuple(results)


def _to_unit_of_metric(published: str, metric_unit: str, money: str) -> float:
    """Return the factor from the published unit to the metric's; money passes through the price index tables."""
    if metric_unit != "money":
        return 1.0 if published == metric_unit else conversion_factor(published, metric_unit)
    stated = unit(published)
    if not stated.is_money:
        raise InputError("this metric is an amount of money", found=published, allowed=f"for example {money}")
    return convert(1.0, f"{stated.currency}_{stated.price_year}", money)


def _judge(key: str, target: ValidationTarget, arm: str, run: ArmRun, less: ArmRun | None) -> ValidationResult:
    what = metric(target.metric)
    quantity = target.published.quantity
    factor = _to_unit_of_metric(quantity.unit, what.unit, run.scenario.analysis.money)
    published = quantity.value * factor
    model = what.value(run) - (0.0 if less is None else what.value(less))
    if target.tolerance is not None:
        passes = abs(model - published) <= target.tolerance * abs(published)
        low = high = None
    else:
        assert target.low is not None and target.high is not None
        low, high = target.low * factor, target.high * factor
        passes = low <= model <= high
    return ValidationResult(
        key=key,
        label=target.label,
        arm=arm,
        metric=target.metric,
        unit=what.unit,
        published=published,
        low=low,
        high=high,
        tolerance=target.tolerance,
        model=model,
        passes=bool(passes and not math.isnan(model)),
        evidence_id=quantity.provenance.evidence_id,
        source=quantity.provenance.source_key,
        verified=quantity.provenance.verified,
        note=target.note,
    )
