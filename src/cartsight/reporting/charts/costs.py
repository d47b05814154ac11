"""Charts of money: what the payer spends by category, and what a product costs to make beside its price."""

from __future__ import annotations

from typing import Any

import altair as alt

from cartsight.reporting.charts.style import BARS, arm_axis, money_axis, points, svg
from cartsight.reporting.formatting import thousands
from cartsight.reporting.palette import CATEGORIES, INK

GROUPS: dict[str, tuple[str, ...]] = {
    "product": ("product",),
    "before infusion": ("pathway steps", "waiting care", "collection", "bridging"),
    "infusion and stay": ("lymphodepletion", "infusion and stay", "redosing visits"),
    "adverse events": ("adverse events", "immunoglobulin"),
    "follow-up": ("follow-up",),
    "relapse care": ("relapse care", "retreatment"),
    "later lines, transplant, new cancers": ("later lines", "transplant", "secondary malignancy"),
    "other care": ("other care",),
    "end of life": ("end of life",),
}
"""Cost categories as the chart groups them; the table beside it has all of them."""


def cost_groups(arm: dict[str, Any]) -> dict[str, float]:
    """Return the discounted mean cost per referred patient by group of `GROUPS`."""
    by_category = {row["category"]: row["discounted"] for row in arm["cost_categories"]}
    known = {category for members in GROUPS.values() for category in members}
    groups = {name: sum(by_category.get(category, 0.0) for category in members) for name, members in GROUPS.items()}
    rest = sum(amount for category, amount in by_category.items() if category not in known)
    return groups | ({"other": rest} if rest else {})


def cost_chart(document: dict[str, Any]) -> str:
    """Return stacked bars of the discounted cost per referred patient."""
    title = "Discounted cost per referred patient, at the point values"
    return _stacked(document, _cost_stacks(document), "costs", title, "Cost per referred patient by category and arm")


def cost_of_goods_chart(document: dict[str, Any]) -> str | None:
    """Return stacked bars of the cost of goods per infused patient; None when no arm makes a product."""
    stacks = _goods_stacks(document)
    if not stacks:
        return None
    kept = {**document, "arms": [arm for arm in document["arms"] if arm["label"] in stacks]}
    title = "Cost of goods per infused patient, at the point values"
    return _stacked(kept, stacks, "goods", title, "Cost of goods per infused patient by category and arm")


def cost_colours(document: dict[str, Any]) -> dict[str, str]:
    """Return {group: colour} of the cost chart, for its legend."""
    return _colours(_cost_stacks(document))


def cost_of_goods_colours(document: dict[str, Any]) -> dict[str, str]:
    """Return {category: colour} of the cost of goods chart, for its legend."""
    return _colours(_goods_stacks(document))


def _cost_stacks(document: dict[str, Any]) -> dict[str, dict[str, float]]:
    return {arm["label"]: cost_groups(arm) for arm in document["arms"]}


def _goods_stacks(document: dict[str, Any]) -> dict[str, dict[str, float]]:
    made = [arm for arm in document["arms"] if arm["cost_of_goods"] is not None and arm["cost_of_goods"]["infused"]]
    return {
        arm["label"]: {row["category"]: row["per_infused"] for row in arm["cost_of_goods"]["categories"]}
        for arm in made
    }


def _colours(stacks: dict[str, dict[str, float]]) -> dict[str, str]:
    order = dict.fromkeys(key for parts in stacks.values() for key, amount in parts.items() if amount > 0)
    return {key: CATEGORIES[i % len(CATEGORIES)] for i, key in enumerate(order)}


def _stacked(
    document: dict[str, Any], stacks: dict[str, dict[str, float]], name: str, title: str, description: str
) -> str:
    unit, colours = document["analysis"]["money"], _colours(stacks)
    rows: list[dict[str, Any]] = []
    totals: list[dict[str, Any]] = []
    for arm, parts in stacks.items():
        start = 0.0
        for key in colours:
            end = start + parts.get(key, 0.0)
            if end > start:
                rows.append({"arm": arm, "part": key, "start": start, "end": end})
            start = end
        totals.append({"arm": arm, "end": start, "text": thousands(start, unit)})
    top = max(row["end"] for row in totals) or 1.0
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    x = alt.X(
        "start:Q", title=title, axis=money_axis(unit, tickCount=6), scale=alt.Scale(domain=[0, top * 1.12], nice=False)
    )
    bars = (
        alt.Chart(points(rows))
        .mark_bar(stroke="white", strokeWidth=1.2, height=26)
        .encode(x=x, x2="end:Q", y=arm_axis(document), color=alt.Color("part:N", scale=scale, legend=None))
    )
    ends = (
        alt.Chart(points(totals))
        .mark_text(align="left", dx=6, color=INK, fontWeight="bold")
        .encode(x="end:Q", y=arm_axis(document), text="text:N")
    )
    return svg((bars + ends).properties(width=BARS, height=alt.Step(40)), name, description)
