"""Chart of who bears a product's cost of goods: batches that were infused, batches that were lost, idle capacity."""

from __future__ import annotations

from typing import Any

import altair as alt

from cartsight.reporting.charts.style import BARS, arm_axis, money_axis, points, svg
from cartsight.reporting.formatting import thousands
from cartsight.reporting.palette import INK

BEARERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "infused": ("#228833", ("infused in specification", "infused out of specification", "doses taken for patients")),
    "released, not infused": ("#99CCEE", ("released, not infused", "doses added to stock")),
    "patient died or left": ("#4477AA", ("abandoned, patient died or left",)),
    "failed in the run": ("#CCBB44", ("failed in the run",)),
    "lost after release testing": ("#AA3377", ("lost after release testing",)),
    "expired": ("#882255", ("doses expired", "supplies expired")),
    "other work on the lines": ("#DDCC77", ("other work on the lines",)),
    "idle lines, staff and capital": ("#BBBBBB", ("idle lines", "idle capital", "idle staff")),
    "idle sites and quality overhead": (
        "#777777",
        ("idle sites and quality overhead", "borne by no batch of the window"),
    ),
}
"""Groups of rows of a reconciliation, with their colour."""


def itemised_arms(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the arms whose cost of goods is stated by activity and that infused somebody."""
    arms = [arm for arm in document["arms"] if (arm["cost_of_goods"] or {}).get("by_activity")]
    return [arm for arm in arms if arm["cost_of_goods"]["infused"]]


def bearers_per_infused(arm: dict[str, Any]) -> dict[str, float]:
    """Return the cost of goods per infused patient by group of `BEARERS`; doses taken from stock count negative."""
    rows = arm["cost_of_goods"]["by_activity"]["reconciliation"]["rows"]
    cents = {row["name"]: row["cents"] for row in rows}
    infused = arm["cost_of_goods"]["infused"]
    return {group: sum(cents.get(name, 0) for name in names) / 100.0 / infused for group, (_, names) in BEARERS.items()}


def bearers_colours(document: dict[str, Any]) -> dict[str, str]:
    """Return {group: colour} of the groups that bear anything, for the legend."""
    shown = {
        group for arm in itemised_arms(document) for group, amount in bearers_per_infused(arm).items() if amount > 0
    }
    return {group: colour for group, (colour, _) in BEARERS.items() if group in shown}


def bearers_chart(document: dict[str, Any]) -> str | None:
    """Return stacked bars of the cost of goods per infused patient by who bears it; None without costs by activity."""
    arms = itemised_arms(document)
    if not arms:
        return None
    kept, unit, colours = {**document, "arms": arms}, document["analysis"]["money"], bearers_colours(document)
    rows: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    for arm in arms:
        start = 0.0
        for group, amount in bearers_per_infused(arm).items():
            if amount > 0:
                rows.append({"arm": arm["label"], "part": group, "start": start, "end": start + amount})
                start += amount
        ends.append({"arm": arm["label"], "end": start, "text": thousands(arm["cost_of_goods"]["per_infused"], unit)})
    top = max(row["end"] for row in ends) or 1.0
    title = "Cost of goods per infused patient, at the point values"
    x = alt.X(
        "start:Q", title=title, axis=money_axis(unit, tickCount=6), scale=alt.Scale(domain=[0, top * 1.12], nice=False)
    )
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    bars = (
        alt.Chart(points(rows))
        .mark_bar(stroke="white", strokeWidth=1.2, height=26)
        .encode(x=x, x2="end:Q", y=arm_axis(kept), color=alt.Color("part:N", scale=scale, legend=None))
    )
    text = (
        alt.Chart(points(ends))
        .mark_text(align="left", dx=6, color=INK, fontWeight="bold")
        .encode(x="end:Q", y=arm_axis(kept), text="text:N")
    )
    chart = (bars + text).properties(width=BARS, height=alt.Step(40))
    return svg(chart, "bearers", "Cost of goods per infused patient by who bears it, by arm")
