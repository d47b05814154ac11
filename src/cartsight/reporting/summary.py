"""The results document: everything a comparison found, as plain JSON types under documented keys.

It is what ``--json`` prints, what results.json holds, and the only input of the HTML report. The keys are described in
docs/guide/json_output.md and are stable within a `DOCUMENT_VERSION`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import cartsight
from cartsight.comparison.citing import citations, input_table
from cartsight.comparison.results import Comparison
from cartsight.comparison.single_arm import ArmRun
from cartsight.comparison.validation import ValidationResult
from cartsight.reporting.answer import answer
from cartsight.reporting.arm_document import arm_document
from cartsight.reporting.decision_document import decision_document
from cartsight.reporting.hta_document import hta_document
from cartsight.reporting.labels import label_of
from cartsight.reporting.limits import not_modelled
from cartsight.reporting.plain_types import plain
from cartsight.scenario import Scenario

DOCUMENT_VERSION = 1


def summarise(
    comparison: Comparison,
    *,
    reviewer: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Return the results document of a finished comparison.

    Parameters
    ----------
    comparison : Comparison
        From `cartsight.comparison.compare.compare`.
    reviewer : bool
        Also fit and extrapolate partitioned survival curves, and run scenario table and severity over the first parameter
        draws: about as long as the comparison itself. The other views for reviewers are always there.
    workers, progress
        Of those draws.

    Returns
    -------
    dict
        Plain JSON types only; NaN and infinities are None. Two runs with the same seed differ in ``timing`` alone.
    """
    scenario = comparison.scenario
    document = _frame(scenario, comparison.seed, "compare", len(comparison.parameters))
    document["arms"] = [arm_document(comparison.base[name], comparison.estimates[name]) for name in comparison.arms]
    document["decision"] = decision_document(comparison)
    if len(comparison.arms) > 1:
        started = time.perf_counter()
        views = hta_document(
            scenario,
            comparison.base,
            partitioned=reviewer,
            parameters=comparison.parameters if reviewer else None,
            workers=workers,
            progress=progress,
        )
        del views["qalys_by_state"]
        document["reviewer"] = views
        comparison.seconds["views for reviewers"] = time.perf_counter() - started
    document["validation"] = [_validation_row(result) for result in comparison.validation]
    document["warnings"] = [*comparison.warnings, *_without_width(comparison)]
    document["timing"] = {"seconds": dict(comparison.seconds)}
    return _finished(document)


def summarise_point_values(
    scenario: Scenario,
    runs: dict[str, ArmRun],
    *,
    seed: int,
    warnings: tuple[str, ...] = (),
    seconds: dict[str, float] | None = None,
) -> dict[str, Any]:
    """Return the results document of a run at the point values: no draws, no intervals, no decision analysis."""
    document = _frame(scenario, seed, "run", 0)
    document["arms"] = [arm_document(run, None) for run in runs.values()]
    document["decision"] = None
    document["validation"] = []
    document["warnings"] = list(warnings)
    document["timing"] = {"seconds": dict(seconds or {})}
    return _finished(document)


def _frame(scenario: Scenario, seed: int, kind: str, draws: int) -> dict[str, Any]:
    cited = citations(scenario)
    return {
        "document_version": DOCUMENT_VERSION,
        "cartsight_version": cartsight.__version__,
        "kind": kind,
        "scenario": {
            "name": scenario.name,
            "title": scenario.title,
            "description": " ".join(scenario.description.split()),
            "indication": scenario.population.indication,
            "population": " ".join(scenario.population.description.split()),
            "hash": scenario.content_hash(),
        },
        "analysis": _analysis(scenario, draws),
        "seed": seed,
        "answer": None,
        "arms": [],
        "decision": None,
        "reviewer": None,
        "validation": [],
        "assumptions": _labelled(scenario, cited["assumptions"]),
        "numbers": _numbers(scenario),
        "sources": cited["sources"],
        "evidence_rows": {key: cited["evidence_rows"][key] for key in sorted(cited["evidence_rows"])},
        "methods": cited["methods"],
        "not_modelled": not_modelled(scenario),
        "warnings": [],
        "timing": {},
    }


def _finished(document: dict[str, Any]) -> dict[str, Any]:
    finished: dict[str, Any] = plain(document)
    finished["warnings"] += _own_warnings(finished)
    finished["answer"] = plain(answer(finished))
    return finished


def _analysis(scenario: Scenario, draws: int) -> dict[str, Any]:
    analysis = scenario.analysis
    return {
        "perspective": analysis.perspective,
        "money": analysis.money,
        "horizon_years": analysis.horizon_years,
        "discount_rate_costs": analysis.discount_rate_costs,
        "discount_rate_effects": analysis.discount_rate_effects,
        "willingness_to_pay": list(analysis.willingness_to_pay),
        "decision_threshold": analysis.decision_threshold,
        "patients": analysis.patients,
        "warm_up_days": analysis.warm_up_days,
        "draws": draws,
        "sampling": analysis.sampling,
        "correlations": [
            {"first": pair.first, "second": pair.second, "rho": pair.rho, "reason": pair.reason}
            for pair in analysis.correlations
        ],
        "reference_arm": scenario.reference_arm,
        "referrals_per_year": scenario.referrals_per_day * 365.25,
    }


def _labelled(scenario: Scenario, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    labels = {name: arm.label for name, arm in scenario.arms.items()}
    return [{**row, "label": label_of(row["path"], labels)} for row in rows]


def _numbers(scenario: Scenario) -> list[dict[str, Any]]:
    repeated: dict[str, list[str]] = {}
    for path, target in _repeats(scenario.model_dump(mode="json", exclude_none=True), ""):
        repeated.setdefault(target, []).append(path)
    rows = _labelled(scenario, input_table(scenario))
    return [{**row, "also_used_at": repeated.get(row["path"], [])} for row in rows]


def _repeats(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield (field path, path it repeats) of the numbers that share another one's value and draw."""
    if isinstance(node, dict):
        if isinstance(node.get("same_as"), str):
            yield path, node["same_as"]
        for key, item in node.items():
            yield from _repeats(item, f"{path}.{key}" if path else key)


def _validation_row(result: ValidationResult) -> dict[str, Any]:
    return {
        "key": result.key,
        "label": result.label,
        "arm": result.arm,
        "metric": result.metric,
        "unit": result.unit,
        "published": result.published,
        "low": result.low,
        "high": result.high,
        "tolerance": result.tolerance,
        "model": result.model,
        "passes": result.passes,
        "evidence_id": result.evidence_id,
        "source": result.source,
        "verified": result.verified,
        "note": result.note,
    }


def _without_width(comparison: Comparison) -> list[str]:
    """Return a warning for each interval that has no width although the draws differ: noise hid all of their spread."""
    found = []
    for place, arm in enumerate(comparison.arms):
        for metric, what, raw in (
            ("qalys_per_referred", "QALYs", comparison.draws.effect),
            ("cost_per_referred", "costs", comparison.draws.cost),
        ):
            estimate = comparison.estimates[arm][metric]
            spread = float(np.ptp(raw[:, place]))
            if spread > 0.0 and estimate.high - estimate.low <= 1e-9 * spread:
                found.append(
                    f"{comparison.scenario.arms[arm].label}: parameter uncertainty of {what} is lost in the noise of finite "
                    "patients, so that its interval has no width. It is not zero: run more draws with more patients."
                )
    return found


def _own_warnings(document: dict[str, Any]) -> list[str]:
    """Return what a reader of the numbers must know about how they were run."""
    found = []
    draws = document["analysis"]["draws"]
    if document["kind"] == "compare" and draws < 100:
        found.append(f"Only {draws} parameter draws: ends of intervals and probabilities are rough below about 100.")
    decision = document["decision"]
    if decision is not None and decision["convergence"] is not None:
        chance = decision["convergence"]["chance_of_wrong_arm"]
        if chance is not None and chance > 0.05:
            found.append(
                f"The Monte Carlo error leaves a chance of {100 * chance:.0f} % that another arm has the highest expected net benefit: run more draws."
            )
    unverified = [row for row in document["numbers"] if not row["verified"]]
    if unverified:
        found.append(
            f"{len(unverified)} figures are cited from rows that nobody has read in their source; they are listed with the assumptions."
        )
    return found
