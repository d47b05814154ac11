"""Scenario analyses: what reviewers ask for by default, and a user's own from a TOML file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cartsight.core.errors import InputError, nearest
from cartsight.scenario import Scenario
from cartsight.scenario.loading import read_toml

DISCOUNT_RATES = (0.0, 0.015, 0.03, 0.035)
HORIZONS_YEARS = (5.0, 10.0, 20.0)
LIFETIME_YEARS = 100.0
PRICE_CUTS = (0.25, 0.5)
EXTRA_WAIT_DAYS = 30.0
SETTINGS: tuple[str, ...] = (
    "discount_rate_costs",
    "discount_rate_effects",
    "horizon_years",
    "perspective",
    "decision_threshold",
)
"""Settings of the analysis that a scenario analysis may change."""

_LATE_TABLES = (
    (
        re.compile(r"arms\.[^.]+\.after_relapse\.lines\.[^.]+\.share"),
        "no later lines",
        "Nobody receives a later line after the product has failed",
    ),
    (
        re.compile(r"arms\.[^.]+\.transplant\.share_in_(first|later)_response"),
        "no transplant",
        "No response is consolidated by a transplant",
    ),
    (
        re.compile(r"arms\.[^.]+\.secondary_malignancy\.probability"),
        "no secondary malignancy",
        "No new cancers beyond background mortality",
    ),
)


@dataclass(frozen=True, slots=True)
class ScenarioAnalysis:
    """One row of the table: what is changed.

    Attributes
    ----------
    name, description : str
    values : mapping of str to float
        Field path -> value in the field's own unit.
    analysis : mapping
        Settings among `SETTINGS`.
    extra_wait_days : float
        Added before the product for every patient.
    """

    name: str
    description: str
    values: Mapping[str, float] = field(default_factory=dict)
    analysis: Mapping[str, Any] = field(default_factory=dict)
    extra_wait_days: float = 0.0


def standard_analyses(scenario: Scenario) -> tuple[ScenarioAnalysis, ...]:
    """Return the analyses that reviewers ask for, as far as they apply to the scenario.

    Discount rates of 0, 1.5, 3 and 3.5 %; horizons of 5, 10 and 20 years and a lifetime; the other perspective; no
    cure after cell therapy; no later lines, transplant or secondary malignancy where the scenario has them; prices 25 and 50 % lower; no wait, and a month more. Rows that repeat the base case are
    left out.
    """
    analysis = scenario.analysis
    found: list[ScenarioAnalysis] = []
    for rate in DISCOUNT_RATES:
        if (rate, rate) != (analysis.discount_rate_costs, analysis.discount_rate_effects):
            found.append(
                ScenarioAnalysis(
                    f"discount {100 * rate:g} %",
                    f"Costs and effects discounted at {100 * rate:g} % a year",
                    analysis={"discount_rate_costs": rate, "discount_rate_effects": rate},
                )
            )
    for years in HORIZONS_YEARS:
        if years != analysis.horizon_years:
            text = f"Horizon of {years:g} years from referral"
            found.append(ScenarioAnalysis(f"horizon {years:g} years", text, analysis={"horizon_years": years}))
    if analysis.horizon_years < LIFETIME_YEARS:
        text = f"Everybody followed to death (horizon of {LIFETIME_YEARS:g} years)"
        found.append(ScenarioAnalysis("horizon lifetime", text, analysis={"horizon_years": LIFETIME_YEARS}))
    if analysis.perspective == "payer":
        text = "Products charged at their cost of goods instead of their price"
        found.append(ScenarioAnalysis("products at cost", text, analysis={"perspective": "health_system_at_cost"}))
    else:
        text = "Products charged at their price instead of their cost of goods"
        found.append(ScenarioAnalysis("payer perspective", text, analysis={"perspective": "payer"}))
    numbers = scenario.numbers()
    cures = {path: 0.0 for path in numbers if path.startswith("arms.") and _is_cure(path) and numbers[path].x > 0.0}
    if cures:
        text = "Nobody is cured by cell therapy: all complete responders stay at risk of relapse"
        found.append(ScenarioAnalysis("no cure", text, values=cures))
    for table, name, text in _LATE_TABLES:
        zero = {
            path: 0.0
            for path, number in numbers.items()
            if path.startswith("arms.") and table.fullmatch(path) and number.x > 0.0
        }
        if zero:
            found.append(ScenarioAnalysis(name, text, values=zero))
    prices = {path: number.x for path, number in numbers.items() if path.endswith(".price.per_patient")}
    for cut in PRICE_CUTS:
        if prices:
            found.append(
                ScenarioAnalysis(
                    f"prices -{100 * cut:g} %",
                    f"Every product costs {100 * cut:g} % less",
                    values={path: price * (1.0 - cut) for path, price in prices.items()},
                )
            )
    waits = no_wait_values(scenario)
    if waits:
        text = "All stated durations from referral to infusion are zero; queues for places and losses at steps stay"
        found.append(ScenarioAnalysis("no wait", text, values=waits))
    text = f"{EXTRA_WAIT_DAYS:g} days more before the product for every patient"
    found.append(ScenarioAnalysis(f"wait +{EXTRA_WAIT_DAYS:g} days", text, extra_wait_days=EXTRA_WAIT_DAYS))
    return tuple(found)


def _is_cure(path: str) -> bool:
    return path.endswith((".efficacy.cure.among_complete_responders", ".efficacy.relapse.cured"))


def no_wait_values(scenario: Scenario) -> dict[str, float]:
    """Return zero for every stated duration between referral and infusion: steps, collection, making, transport."""
    numbers = scenario.numbers()
    ends = [".lymphodepletion", ".order_to_delivery"]
    ends += [f".collection.{name}" for name in ("wait_for_slot", "time")]
    ends += [
        f".process.{name}"
        for name in (
            "shipping_out",
            "shipping_back",
            "manufacturing",
            "release_testing",
            "quality_assurance_review",
            "out_of_specification_approval",
        )
    ]
    return {
        path: 0.0
        for path, number in numbers.items()
        if number.x > 0.0
        and number.quantity.unit == "days"
        and (
            (path.startswith("care_pathway.steps.") and path.endswith(".time"))
            or (path.startswith("arms.") and path.endswith(tuple(ends)))
        )
    }


def read_analyses(path: Path) -> tuple[ScenarioAnalysis, ...]:
    """Return the scenario analyses of a TOML file with one table ``[scenarios.<name>]`` each.

    A table has a ``description``, and at least one of ``values`` (field path = value in the field's own unit),
    ``analysis`` (`SETTINGS`) and ``extra_wait_days``.

    Raises
    ------
    InputError
        Unreadable file, no scenarios, an unknown key or a value of the wrong kind.
    """
    raw = read_toml(path)
    unknown = [key for key in raw if key != "scenarios"]
    if unknown:
        raise InputError(
            "unknown table", file=path, field=unknown[0], allowed="scenarios", hint=nearest(unknown[0], ["scenarios"])
        )
    tables = raw.get("scenarios")
    if not isinstance(tables, dict) or not tables:
        raise InputError("holds no scenario analyses", file=path, allowed="tables [scenarios.<name>]")
    return tuple(_analysis_of(name, table, path) for name, table in tables.items())


def _analysis_of(name: str, table: Any, path: Path) -> ScenarioAnalysis:
    place = f"scenarios.{name}"
    keys = ("description", "values", "analysis", "extra_wait_days")
    if not isinstance(table, dict):
        raise InputError("must be a table", file=path, field=place, found=table)
    for key in table:
        if key not in keys:
            raise InputError(
                "unknown key", file=path, field=place, found=key, allowed=", ".join(keys), hint=nearest(key, keys)
            )
    values, analysis, wait = table.get("values", {}), table.get("analysis", {}), table.get("extra_wait_days", 0.0)
    if not (isinstance(values, dict) and isinstance(analysis, dict)):
        raise InputError("values and analysis must be tables", file=path, field=place)
    if not values and not analysis and not wait:
        raise InputError("changes nothing", file=path, field=place, allowed="values, analysis or extra_wait_days")
    for field_path, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            hint = f'Quote the path: "{field_path}.{next(iter(value))}"' if isinstance(value, dict) and value else None
            raise InputError(
                "must be a number", file=path, field=f"{place}.values.{field_path}", found=value, hint=hint
            )
    if isinstance(wait, bool) or not isinstance(wait, int | float) or not (math.isfinite(wait) and wait >= 0):
        raise InputError(
            "must be a number of days, not negative", file=path, field=f"{place}.extra_wait_days", found=wait
        )
    for setting in analysis:
        if setting not in SETTINGS:
            raise InputError(
                "this setting cannot be changed in a scenario analysis",
                file=path,
                field=f"{place}.analysis",
                found=setting,
                allowed=", ".join(SETTINGS),
                hint=nearest(setting, SETTINGS),
            )
    description = table.get("description", "")
    if not isinstance(description, str):
        raise InputError("must be text", file=path, field=f"{place}.description", found=description)
    numbers = {key: float(value) for key, value in values.items()}
    return ScenarioAnalysis(name, description, numbers, dict(analysis), float(wait))


def changed_scenario(scenario: Scenario, change: ScenarioAnalysis) -> Scenario:
    """Return the scenario with one analysis's changes.

    Raises
    ------
    InputError
        No number at a path, a value outside its field's range, or a setting that is not allowed.
    """
    numbers = scenario.numbers()
    for path, value in change.values.items():
        if path not in numbers:
            raise InputError(
                "no number at this field path",
                field=f"scenarios.{change.name}",
                found=path,
                hint=nearest(path, numbers),
            )
        number = numbers[path]
        if not number.minimum <= value <= number.maximum:
            raise InputError(
                "out of bounds",
                field=f"scenarios.{change.name}: {path}",
                found=value,
                allowed=f"{number.minimum:g} to {number.maximum:g} {number.target_unit}",
            )
    moved = scenario.with_values(change.values) if change.values else scenario
    if not change.analysis:
        return moved
    try:
        return moved.with_analysis(**change.analysis)
    except InputError as error:
        place = f"scenarios.{change.name}: {error.field}"
        raise InputError(error.problem, field=place, found=error.found) from None
