"""Check a scenario before it runs: every number, every pathway, the load on every resource."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cartsight.comparison.citing import input_table
from cartsight.comparison.metrics import metric
from cartsight.comparison.parameter_draws import draw_parameters
from cartsight.core.errors import InputError, nearest
from cartsight.economics.cost_of_goods import cost_of_goods
from cartsight.scenario import Scenario, find_scenario, load_scenario
from cartsight.scenario.arms import OtherCareArm
from cartsight.simulation.pathways import ArmLoad, check_arm, run_flow

DRAWS_TO_CHECK = 64
"""Parameter draws made to see whether the stated correlations can be drawn; a power of two, for Sobol."""


@dataclass(frozen=True, slots=True)
class ArmChecks:
    """Offered load of each arm's resources, and warnings in words."""

    loads: dict[str, ArmLoad]
    warnings: tuple[str, ...]


def check_arms(scenario: Scenario) -> ArmChecks:
    """Compile every arm with all checks and compute the load on its resources.

    Raises
    ------
    InputError
        A pathway that cannot work, or a queue that grows without end; the message names the resource that binds.
    """
    loads = {}
    warnings: list[str] = []
    for name in scenario.arms:
        try:
            loads[name] = check_arm(scenario, name)
            _check_costs(scenario, name)
        except InputError as error:
            field = f"arms.{name}" + (f" ({error.field})" if error.field else "")
            raise InputError(
                error.problem, field=field, found=error.found, allowed=error.allowed, hint=error.hint
            ) from None
        warnings += [f"arms.{name}: {warning}" for warning in loads[name].warnings]
    for key, target in scenario.validation.items():
        try:
            metric(target.metric)
        except InputError as error:
            raise error.located(field=f"validation.{key}.metric") from None
        numbers = scenario.numbers()
        for path in target.change:
            if path not in numbers:
                raise InputError(
                    "no number at this field path",
                    field=f"validation.{key}.change",
                    found=path,
                    hint=nearest(path, numbers),
                )
    # A correlation that names no uncertain number, or that no distribution can have, shows before the first run.
    draw_parameters(scenario, DRAWS_TO_CHECK, scenario.analysis.seed)
    return ArmChecks(loads, tuple(warnings))


def _check_costs(scenario: Scenario, arm_name: str) -> None:
    """Work out the budget of an arm with costs by activity once: which drivers its plants count shows in a run."""
    arm = scenario.arms[arm_name]
    if isinstance(arm, OtherCareArm) or not arm.costs.itemised:
        return
    plant = run_flow(scenario, arm_name, scenario.analysis.seed).plant
    assert plant is not None
    cost_of_goods(arm, plant)


def check_scenario(name_or_path: str | Path, *, seed: int | None = None) -> dict[str, Any]:
    """Return what `cartsight check` prints: counts of origins, numbers without uncertainty, loads and warnings."""
    scenario = load_scenario(name_or_path)
    if seed is not None:
        scenario = scenario.with_analysis(seed=seed)
    try:
        checks = check_arms(scenario)
    except InputError as error:
        raise error.located(file=find_scenario(name_or_path)) from None
    table = input_table(scenario)
    arms = []
    for name, load in checks.loads.items():
        busiest = max(load.offered, key=lambda resource: load.offered[resource], default=None)
        arms.append(
            {
                "name": name,
                "busiest": busiest,
                "load": None if busiest is None else load.offered[busiest],
                "loads": dict(load.offered),
            }
        )
    return {
        "name": scenario.name,
        "title": scenario.title,
        "hash": scenario.content_hash(),
        "numbers": len(table),
        "origins": dict(Counter(row["origin"] for row in table)),
        "unverified": [row["path"] for row in table if not row["verified"]],
        "without_uncertainty": [
            row["path"] for row in table if row["uncertainty"] is None and row["held_fixed_because"] is None
        ],
        "arms": arms,
        "warnings": list(checks.warnings),
    }
