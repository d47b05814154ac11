"""The views for reviewers as plain objects: what `cartsight hta --json` prints, and what a report may show."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from cartsight.comparison.partitioned_view import PartitionedView, partitioned_view
from cartsight.comparison.reviewer_views import SeverityView, equity_views, severity_view, single_therapy_view
from cartsight.comparison.scenario_table import run_scenario_table
from cartsight.comparison.single_arm import ArmRun
from cartsight.outcomes.partitioned_survival import PartitionedSurvival, occupancy
from cartsight.outcomes.qaly_breakdown import qalys_by_state
from cartsight.reporting.plain_types import plain
from cartsight.scenario import Scenario
from cartsight.scenario.arms import as_product

OCCUPANCY_MONTHS = (0, 6, 12, 24, 36, 60, 120, 240)


def hta_document(scenario: Scenario, base: dict[str, ArmRun]) -> dict[str, Any]:
    """Return all views of a scenario, with plain JSON types only.

    Parameters
    ----------
    scenario : Scenario
        With at least two arms.
    base : dict of str to ArmRun
        Its arms at the point values, as in `Comparison.base`.

    Returns
    -------
    dict
        ``partitioned`` (one entry per arm with infused patients), ``severity``, ``scenarios``, ``single_therapy`` (null
        without prices), ``equity``, ``qalys_by_state``.
    """
    views = [
        partitioned_view(run)
        for name, run in base.items()
        if as_product(scenario.arms[name]) is not None and run.outcomes.infused.any()
    ]
    priced = scenario.analysis.perspective == "payer" and any(
        arm.price.per_patient.x > 0.0 for arm in map(as_product, scenario.arms.values()) if arm is not None
    )
    document = {
        "partitioned": [partitioned_document(view) for view in views],
        "severity": severity_document(severity_view(scenario)),
        "scenarios": asdict(run_scenario_table(scenario)),
        "single_therapy": [asdict(arm) for arm in single_therapy_view(scenario)] if priced else None,
        "equity": [asdict(arm) for arm in equity_views(scenario)],
        "qalys_by_state": {name: qaly_state_means(run) for name, run in base.items()},
    }
    result: dict[str, Any] = plain(document)
    return result


def partitioned_document(view: PartitionedView) -> dict[str, Any]:
    """Return the partitioned survival views of one arm."""
    return {
        "arm": view.arm,
        "infused": view.infused,
        "follow_up_months": view.follow_up_months,
        "background_mortality": view.background,
        "tolerance": view.tolerance,
        "patients": view.patients_by_state,
        "complete_follow_up": {
            **_partition(view.complete),
            "agreement": [asdict(row) for row in view.complete_rows],
        },
        "extrapolated": {
            **_partition(view.extrapolated),
            "agreement": [asdict(row) for row in view.extrapolated_rows],
            "below_population_mortality_from_year": view.below_population_from_year,
        },
        "warnings": list(view.warnings),
    }


def _partition(part: PartitionedSurvival) -> dict[str, Any]:
    shares = occupancy(part.progression_free, part.overall, OCCUPANCY_MONTHS)
    return {
        "progression_free_curve": part.progression_free.label,
        "overall_curve": part.overall.label,
        "life_years": part.life_years,
        "life_years_discounted": part.life_years_discounted,
        "qalys": part.qalys,
        "costs": part.costs,
        "totals": part.totals,
        "occupancy": {"months": list(OCCUPANCY_MONTHS), **shares},
        "crossing": None if part.crossing is None else asdict(part.crossing),
    }


def severity_document(view: SeverityView) -> dict[str, Any]:
    """Return the shortfall, its weight and what the weight does to each arm."""
    return {
        "current_care": view.current_care,
        "counted_patients": view.patients,
        "discount_rate": view.discount_rate,
        "shortfall": asdict(view.shortfall),
        "shortfall_standard_error": view.shortfall_error,
        "to_next_cut_off": view.shortfall.to_next_cut_off,
        "threshold": view.threshold,
        "arms": [asdict(arm) for arm in view.arms],
        "remarks": list(view.remarks),
    }


def qaly_state_means(run: ArmRun) -> dict[str, dict[str, float]]:
    """Return {health state: discounted and undiscounted QALYs per referred patient} of one arm."""
    age = run.trajectories.patients.age
    discounted = qalys_by_state(run.outcomes, run.scenario, age)
    undiscounted = qalys_by_state(run.outcomes, run.scenario, age, discount_rate=0.0)
    return {
        state: {"discounted": float(discounted[state].mean()), "undiscounted": float(undiscounted[state].mean())}
        for state in discounted
    }


def total_qalys(states: dict[str, dict[str, float]]) -> float:
    """Return the discounted QALYs over all states."""
    return math.fsum(state["discounted"] for state in states.values())
