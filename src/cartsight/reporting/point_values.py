"""A run at the point values: checked, and at other numbers of patients or another seed where asked."""

from __future__ import annotations

from typing import Any

from cartsight.comparison.checking import check_arms
from cartsight.comparison.single_arm import ArmRun, run_arms
from cartsight.core.errors import InputError
from cartsight.scenario import Scenario


def run_point_values(
    scenario: Scenario, *, arms: tuple[str, ...] = (), patients: int | None = None, seed: int | None = None
) -> tuple[Scenario, dict[str, ArmRun], tuple[str, ...]]:
    """Return the scenario as run, the arms' runs on the same patients, and warnings.

    Parameters
    ----------
    scenario : Scenario
    arms : tuple of str
        Names of the arms to run; all when empty.
    patients, seed : int, optional
        Replace the settings of the scenario's analysis.

    Raises
    ------
    InputError
        A setting out of its range, or a pathway that cannot work.
    """
    from pydantic import ValidationError

    changes: dict[str, Any] = {k: v for k, v in {"patients": patients, "seed": seed}.items() if v is not None}
    try:
        changed = scenario.with_analysis(**changes) if changes else scenario
    except ValidationError as error:
        first = error.errors()[0]
        field = "analysis." + ".".join(str(part) for part in first["loc"])
        raise InputError(first["msg"], field=field, found=first.get("input")) from None
    warnings = check_arms(changed).warnings
    return changed, run_arms(changed, changed.analysis.seed, arms or None), warnings
