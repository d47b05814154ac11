"""The views for reviewers as plain objects: what `cartsight hta --json` prints, and what a report may show."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from cartsight.comparison.parameter_draws import ParameterDraws
from cartsight.comparison.partitioned_view import PartitionedView, partitioned_view
from cartsight.comparison.reviewer_draws import FEWEST_DRAWS, reviewer_draws
from cartsight.comparison.reviewer_views import SeverityView, equity_views, severity_view, single_therapy_view
from cartsight.comparison.scenario_analyses import standard_analyses
from cartsight.comparison.scenario_table import run_scenario_table
from cartsight.comparison.single_arm import ArmRun
from cartsight.core.errors import InputError
from cartsight.outcomes.partitioned_survival import PartitionedSurvival, occupancy
from cartsight.outcomes.qaly_breakdown import qalys_by_state
from cartsight.reporting.plain_types import plain
from cartsight.scenario import Scenario
from cartsight.scenario.arms import as_product

REVIEWER_DRAWS = 64
"""Parameter draws of a comparison that are run again for the intervals of scenario table and severity."""
OCCUPANCY_MONTHS = (0, 6, 12, 24, 36, 60, 120, 240)


def hta_document(
    scenario: Scenario,
    base: dict[str, ArmRun],
    *,
    partitioned: bool = True,
    parameters: ParameterDraws | None = None,
    draws: int = REVIEWER_DRAWS,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Return all views of a scenario, with plain JSON types only.

    Parameters
    ----------
    scenario : Scenario
        With at least two arms.
    base : dict of str to ArmRun
        Its arms at the point values, as in `Comparison.base`.
    partitioned : bool
        Whether to fit and extrapolate curves: seconds for each arm.
    parameters : ParameterDraws, optional
        Those of a comparison: the first `draws` of them give intervals to scenario table and severity. Without them
        these are point values.
    workers : int, optional
        Worker processes of the draws.
    progress : callable, optional
        Called with (draws done, draws in all).

    Returns
    -------
    dict
        ``partitioned`` (one entry per arm with infused patients; null when not asked for), ``severity``, ``scenarios``,
        ``single_therapy`` (null without prices), ``equity``, ``qalys_by_state``, ``parameter_draws`` (null without),
        ``left_out``: views that the scenario does not support, with the reason.
    """
    left_out: dict[str, str] = {}

    def view(name: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except InputError as error:
            left_out[name] = str(error)
            return None

    priced = scenario.analysis.perspective == "payer" and any(
        arm.price.per_patient.x > 0.0 for arm in map(as_product, scenario.arms.values()) if arm is not None
    )
    seen = None
    if partitioned:
        infusing = [run for run in base.values() if run.outcomes.infused.any()]
        every = [view(f"partitioned: {run.name}", partial(partitioned_view, run)) for run in infusing]
        seen = [partitioned_document(found) for found in every if found is not None]
    severity = view("severity", lambda: severity_view(scenario))
    document = {
        "partitioned": seen,
        "severity": None if severity is None else severity_document(severity),
        "scenarios": view("scenarios", lambda: asdict(run_scenario_table(scenario))),
        "single_therapy": view(
            "single_therapy", lambda: [asdict(arm) for arm in single_therapy_view(scenario, runs=base)]
        )
        if priced
        else None,
        "equity": view("equity", lambda: [asdict(arm) for arm in equity_views(scenario, runs=base)]),
        "qalys_by_state": {name: qaly_state_means(run) for name, run in base.items()},
        "parameter_draws": None,
        "left_out": left_out,
    }
    if parameters is not None and parameters.paths and min(len(parameters), draws) >= FEWEST_DRAWS:
        document["parameter_draws"] = view(
            "parameter_draws",
            lambda: asdict(
                reviewer_draws(
                    scenario,
                    standard_analyses(scenario),
                    current_care=None if severity is None else severity.current_care,
                    draws=draws,
                    parameters=parameters,
                    workers=workers,
                    progress=progress,
                )
            ),
        )
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
