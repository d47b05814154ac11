"""The tables of a run folder: patients at the point values, parameter draws, results of the draws, input numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from cartsight.comparison.results import Comparison
from cartsight.comparison.single_arm import ArmRun
from cartsight.outcomes import CAUSES_OF_DEATH

RESPONSES = ("none", "partial", "complete")


def patient_table(runs: dict[str, ArmRun]) -> pa.Table:
    """Return one row per arm and counted patient: trajectory, outcomes and costs at the point values.

    Days count from the patient's own referral; events that never happened are null. Costs are in the analysis's money,
    ``cost: <category>`` discounted and ``undiscounted cost`` in total.
    """
    return pa.concat_tables([_patients_of(run) for run in runs.values()], promote_options="default")


def _patients_of(run: ArmRun) -> pa.Table:
    trajectories, outcomes, costs = run.trajectories, run.outcomes, run.costs
    patients = trajectories.patients
    regions = np.array(list(run.scenario.population.regions), dtype=object)
    columns: dict[str, Any] = {
        "arm": pa.array([run.name] * len(trajectories)).dictionary_encode(),
        "patient": patients.identity,
        "referral_day": patients.referral_day,
        "region": pa.array(regions[patients.region], type=pa.string()),
        "hospital": patients.hospital,
        "age_years": patients.age,
        "female": patients.female,
        "ended_as": pa.array(np.array(trajectories.statuses, dtype=object)[trajectories.status], type=pa.string()),
        "end_day": trajectories.end_day,
        "worsened": trajectories.worsened,
        "infused_out_of_specification": trajectories.out_of_specification & trajectories.infused,
        "expressed": trajectories.expressed,
        "bridging": trajectories.bridged,
        "courses": trajectories.courses,
    }
    columns |= {f"day: {name}": _nullable(day) for name, day in trajectories.day.items()}
    columns |= {
        "response": pa.array(np.array(RESPONSES, dtype=object)[outcomes.response], type=pa.string()),
        "cured": outcomes.cured,
        "progression_day": _nullable(outcomes.progression_day),
        "death_day": _nullable(outcomes.death_day),
        "cause_of_death": pa.array(np.array(CAUSES_OF_DEATH, dtype=object)[outcomes.death_cause], type=pa.string()),
        "retreated": outcomes.retreated,
        **_later(run),
        "life_years": outcomes.life_years,
        "life_years_discounted": outcomes.life_years_discounted,
        "qalys": outcomes.qalys,
        "qalys_discounted": outcomes.qalys_discounted,
        "cost_discounted": costs.total_discounted,
        "cost_undiscounted": costs.total,
    }
    columns |= {f"cost: {name}": costs.of(name) for name in costs.categories}
    return pa.table(columns)


def _later(run: ArmRun) -> dict[str, Any]:
    later = run.outcomes.later
    if later is None:
        nobody = pa.nulls(len(run.outcomes), pa.float64())
        none = np.zeros(len(run.outcomes), dtype=np.int64)
        return {"later_lines": none, "transplant_day": nobody, "secondary_malignancy_day": nobody}
    lines = [np.isfinite(line.start_day) for line in later.lines.values()]
    return {
        "later_lines": np.sum(lines, axis=0, dtype=np.int64) if lines else np.zeros(len(run.outcomes), dtype=np.int64),
        "transplant_day": _nullable(later.transplant_day),
        "secondary_malignancy_day": _nullable(later.secondary_malignancy_day),
    }


def _nullable(day: Any) -> pa.Array:
    values = np.asarray(day, dtype=np.float64)
    return pa.array(values, mask=~np.isfinite(values))


def draw_table(comparison: Comparison) -> pa.Table:
    """Return one row per parameter draw: the value of every uncertain number, in the field's own unit."""
    parameters = comparison.parameters
    columns: dict[str, Any] = {"draw": np.arange(len(parameters))}
    columns |= {path: parameters.values[:, i] for i, path in enumerate(parameters.paths)}
    return pa.table(columns)


def draw_result_table(comparison: Comparison) -> pa.Table:
    """Return one row per parameter draw and arm: costs and QALYs (as simulated, and without patient noise), metrics."""
    table = comparison.draws
    draws, arms = table.cost.shape
    columns: dict[str, Any] = {
        "draw": np.repeat(np.arange(draws), arms),
        "arm": pa.array(list(table.arms) * draws),
        "patients": np.repeat(table.patients, arms),
        "cost": table.cost.ravel(),
        "qalys": table.effect.ravel(),
        "cost_without_patient_noise": comparison.clean_cost.ravel(),
        "qalys_without_patient_noise": comparison.clean_effect.ravel(),
    }
    columns |= {name: _nullable(table.values[:, :, m].ravel()) for m, name in enumerate(table.metrics)}
    return pa.table(columns)


def number_table(numbers: list[dict[str, Any]]) -> pa.Table:
    """Return the input table of the results document."""
    rows = [{**row, "also_used_at": "; ".join(row["also_used_at"])} for row in numbers]
    return pa.Table.from_pylist(rows)
