"""Rows of the report's tables that need more than formatting: the input table by section, links, validation bars."""

from __future__ import annotations

from html import escape as escaped
from typing import Any

from cartsight.core.units import DAYS_PER_YEAR
from cartsight.reporting.formatting import general, is_money, money_words, show
from cartsight.reporting.labels import anchor
from cartsight.reporting.palette import BAD, GOOD, INK, LINE


def number_link(row: dict[str, Any], document: dict[str, Any]) -> str:
    """Return the anchor in the report that says where a number comes from: evidence row, source or assumption."""
    if row["evidence_id"] is not None and row["evidence_id"] in document["evidence_rows"]:
        return f"evidence-{anchor(row['evidence_id'])}"
    if row["source"] is not None and any(source["key"] == row["source"] for source in document["sources"]):
        return f"source-{anchor(row['source'])}"
    return f"origin-{anchor(row['path'])}"


def shown_value(row: dict[str, Any]) -> dict[str, str]:
    """Return value, interval and unit of an input number as text; what is stated per year is shown per year."""
    factor, unit = 1.0, row["unit"]
    if unit == "per_day" and row["path"].endswith("_per_year"):
        factor, unit = DAYS_PER_YEAR, "per_year"
    ends = ""
    if row["low_95"] is not None:
        ends = f"{general(factor * row['low_95'])} to {general(factor * row['high_95'])}"
    words = money_words(unit) if is_money(unit) else unit.replace("_", " ")
    return {"value": general(factor * row["value"]), "interval": ends, "unit": words}


def uncertainty_words(row: dict[str, Any]) -> str:
    """Return the basis of an input number's uncertainty in words."""
    text = row["uncertainty"] or row["held_fixed_because"] or "none stated"
    for level in ("95", "90", "80"):
        text = text.replace(f"confidence {level} ", f"{level}% confidence interval ")
        text = text.replace(f"credible {level} ", f"{level}% credible interval ")
    return str(text)


def input_sections(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the input table cut into population, care pathway and arms: title and rows with labels freed of the arm."""
    labels = {arm["name"]: arm["label"] for arm in document["arms"]}
    sections: dict[str, dict[str, Any]] = {}
    for row in document["numbers"]:
        parts = row["path"].split(".")
        if parts[0] == "arms":
            key, title = parts[1], labels.get(parts[1], parts[1].replace("-", " "))
        else:
            key, title = parts[0], {"population": "Population", "care_pathway": "Care pathway"}.get(parts[0], parts[0])
        section = sections.setdefault(key, {"key": key, "title": title, "rows": []})
        label = row["label"].removeprefix(f"{title}: ")
        section["rows"].append({**row, "short": label[:1].upper() + label[1:]})
    return list(sections.values())


def cost_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the discounted cost per referred patient by category: category and {arm: amount or None}."""
    amounts: dict[str, dict[str, float]] = {}
    for arm in document["arms"]:
        for row in arm["cost_categories"]:
            amounts.setdefault(row["category"], {})[arm["name"]] = row["discounted"]
    names = [arm["name"] for arm in document["arms"]]
    return [{"category": c, "amounts": {name: parts.get(name) for name in names}} for c, parts in amounts.items()]


def validation_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the validation targets, misses first, with the criterion in words and a bar that shows it."""
    labels = {arm["name"]: arm["label"] for arm in document["arms"]}
    rows = []
    for row in sorted(document["validation"], key=lambda item: item["passes"]):
        low, high = _band(row)
        if row["tolerance"] is not None:
            criterion = f"within {100 * row['tolerance']:.0f}%"
        else:
            criterion = f"{show(low, row['unit'])} to {show(high, row['unit'])}"
        rows.append(
            {
                **row,
                "arm_label": labels.get(row["arm"], row["arm"]),
                "criterion": criterion,
                "bar": _bar(row, low, high),
            }
        )
    return rows


def _band(row: dict[str, Any]) -> tuple[float, float]:
    if row["tolerance"] is not None:
        reach = row["tolerance"] * abs(row["published"])
        return row["published"] - reach, row["published"] + reach
    return row["low"], row["high"]


def _bar(row: dict[str, Any], low: float, high: float) -> str:
    """Return a small picture: the band that passes, the published figure as a tick, the model as a dot."""
    if row["model"] is None:
        return ""
    left, right = min(low, row["model"], row["published"]), max(high, row["model"], row["published"])
    pad = 0.08 * (right - left or 1.0)
    left, right = left - pad, right + pad

    def at(value: float) -> float:
        return float(4 + 142 * (value - left) / (right - left))

    colour = GOOD if row["passes"] else BAD
    label = (
        f"passes from {show(low, row['unit'])} to {show(high, row['unit'])}, model {show(row['model'], row['unit'])}"
    )
    return (
        f'<svg class="bar" role="img" aria-label="{escaped(label)}" viewBox="0 0 150 18" width="150" height="18">'
        f'<line x1="2" x2="148" y1="9" y2="9" stroke="{LINE}"/>'
        f'<rect x="{at(low):.1f}" y="4" width="{max(at(high) - at(low), 1.5):.1f}" height="10" fill="{LINE}"/>'
        f'<line x1="{at(row["published"]):.1f}" x2="{at(row["published"]):.1f}" y1="2" y2="16" stroke="{INK}" stroke-width="1.5"/>'
        f'<circle cx="{at(row["model"]):.1f}" cy="9" r="4.2" fill="{colour}" stroke="white"/></svg>'
    )
