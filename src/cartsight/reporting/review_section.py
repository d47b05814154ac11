"""The report's section for reviewers, as the template shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cartsight.reporting.cheers import CITATION, cheers_checklist, cheers_counts
from cartsight.reporting.formatting import thousands


def review_section(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the views for reviewers of a results document, arranged for the template; None where it holds none."""
    views = document.get("reviewer")
    if views is None:
        return None
    draws = views["parameter_draws"]
    severity = views["severity"]
    items = cheers_checklist(document)
    return {
        "intervals": draws is not None,
        "scenarios": None if views["scenarios"] is None else _scenarios(document, views["scenarios"], draws),
        "severity": None if severity is None else {**severity, "draws": None if draws is None else draws["severity"]},
        "single_therapy": views["single_therapy"],
        "partitioned": views["partitioned"],
        "equity": views["equity"],
        "cheers": {"items": items, "counts": cheers_counts(items), "citation": CITATION},
        "left_out": views["left_out"],
    }


def _scenarios(
    document: Mapping[str, Any], table: Mapping[str, Any], draws: Mapping[str, Any] | None
) -> dict[str, Any]:
    unit = document["analysis"]["money"]
    labels = {arm["name"]: arm["label"] for arm in document["arms"]}
    others = [name for name in labels if name != table["reference_arm"]]
    spread = {} if draws is None else {row["name"]: row for row in draws["rows"]}
    rows = []
    for row in table["rows"]:
        arms = {arm["arm"]: arm for arm in row["arms"]}
        over = spread.get(row["name"])
        found = {} if over is None else {arm["arm"]: arm for arm in over["arms"]}
        rows.append(
            {
                "name": row["name"],
                "description": row["description"],
                "base": row["name"] == table["rows"][0]["name"],
                "best": row["best"],
                "changes": row["decision_changes"],
                "other_best": None if over is None else over["probability_decision_changes"],
                "cells": [
                    {
                        "value": arms[name]["incremental_net_benefit"],
                        "change": _signed(arms[name]["change"], unit),
                        "low": None if name not in found else found[name]["low"],
                        "high": None if name not in found else found[name]["high"],
                    }
                    for name in others
                ],
            }
        )
    turns = [row["name"] for row in rows if row["changes"]]
    said = f"another arm is best under {_list(turns)}" if turns else "no row changes which arm is best"
    meaning = f"Incremental net benefit against {labels[table['reference_arm']]} at the decision threshold: {said}."
    return {
        "reference": table["reference_arm"],
        "others": others,
        "rows": rows,
        "draws": None if draws is None else draws["draws"],
        "meaning": meaning,
    }


def _signed(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return ("+" if value > 0 else "") + thousands(value, unit)


def _list(names: list[str]) -> str:
    quoted = [f"“{name}”" for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " and " + quoted[-1]
