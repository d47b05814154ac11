"""Sheets of the workbook for reviewers: scenario analyses, severity, health states over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Row = tuple[str | float | int | bool | None, ...]
Table = tuple[str, tuple[str, ...], tuple[Row, ...]]


def reviewer_tables(document: Mapping[str, Any]) -> Iterator[Table]:
    """Yield name, header and rows of the views that a results document holds; older documents hold none."""
    labels = {arm["name"]: arm["label"] for arm in document["arms"]}
    views = document.get("reviewer") or {}
    draws = views.get("parameter_draws")
    if views.get("scenarios"):
        yield _scenarios(views["scenarios"], draws, labels, document["analysis"]["money"])
    if views.get("severity"):
        yield _severity(views["severity"], draws, labels)
    if all(arm.get("states") for arm in document["arms"]):
        yield _states(document)


def _scenarios(
    table: Mapping[str, Any], draws: Mapping[str, Any] | None, labels: Mapping[str, str], money: str
) -> Table:
    spread = {
        (row["name"], arm["arm"]): (arm["low"], arm["high"], row["probability_decision_changes"])
        for row in (draws["rows"] if draws else ())
        for arm in row["arms"]
    }
    header = (
        "Analysis",
        "What is changed",
        "Arm",
        f"Cost, {money}",
        "QALYs",
        f"Net benefit over {labels[table['reference_arm']]}",
        "Monte Carlo error",
        "Change from the base case",
        "Low, 95 % of draws",
        "High, 95 % of draws",
        "Share of draws in which another arm is best",
        "Best arm",
    )
    rows = tuple(
        (
            row["name"],
            row["description"],
            labels[arm["arm"]],
            arm["cost"],
            arm["qalys"],
            arm["incremental_net_benefit"],
            arm["incremental_error"],
            arm["change"],
            *spread.get((row["name"], arm["arm"]), (None, None, None)),
            labels[row["best"]],
        )
        for row in table["rows"]
        for arm in row["arms"]
    )
    return "Scenario analyses", header, rows


def _severity(view: Mapping[str, Any], draws: Mapping[str, Any] | None, labels: Mapping[str, str]) -> Table:
    found = view["shortfall"]
    over = None if draws is None else draws["severity"]
    nothing = (None, None, None)
    absolute, proportional = (nothing, nothing) if over is None else (over["absolute"], over["proportional"])
    rows: list[Row] = [
        ("Established practice", labels[view["current_care"]], None, None),
        ("QALYs without the disease", found["without_disease"], None, None),
        ("QALYs under established practice", found["with_disease"], None, None),
        ("Absolute shortfall", found["absolute"], absolute[1], absolute[2]),
        ("Proportional shortfall", found["proportional"], proportional[1], proportional[2]),
        ("Weight of NICE", found["weight"], None, None),
    ]
    if over is not None:
        rows += [
            (f"Share of draws with weight {key}", share, None, None)
            for key, share in over["probability_of_weight"].items()
        ]
    rows += [("Remark", remark, None, None) for remark in view["remarks"]]
    return "Severity", ("What", "Value", "Low, 95 % of draws", "High, 95 % of draws"), tuple(rows)


def _states(document: Mapping[str, Any]) -> Table:
    rows = tuple(
        (arm["label"], state, month, share)
        for arm in document["arms"]
        for state, shares in arm["states"]["shares"].items()
        for month, share in zip(arm["states"]["months"], shares, strict=True)
    )
    return "Health states", ("Arm", "Health state", "Months since referral", "Share of the referred"), rows
