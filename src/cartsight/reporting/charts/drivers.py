"""Charts of what drives the answer: one-way sensitivity and the value of learning parameters."""

from __future__ import annotations

from typing import Any

import altair as alt

from cartsight.reporting.charts.style import WIDTH, money_axis, points, svg
from cartsight.reporting.formatting import general
from cartsight.reporting.labels import short_label
from cartsight.reporting.palette import INK, MUTED

LOW, HIGH = "#7B8FA6", "#2B4C7E"
LABEL_SPACE = 330


def tornado_chart(document: dict[str, Any]) -> str | None:
    """Return the tornado on the difference in net benefit, each end labelled with the value of the parameter."""
    one_way = document["decision"]["one_way"]
    if one_way is None or not one_way["rows"]:
        return None
    unit, base = document["analysis"]["money"], one_way["base_incremental"]
    rows, order = [], []
    for row in one_way["rows"]:
        name = short_label(row["label"], 52)
        order.append(name)
        for end, value, result in (
            ("low", row["low"], row["incremental_low"]),
            ("high", row["high"], row["incremental_high"]),
        ):
            rows.append(
                {
                    "parameter": name,
                    "end": f"{end} end of its interval",
                    "start": base,
                    "result": result,
                    "text": general(_three(value)),
                    "right": result >= base,
                }
            )
    label_axis = alt.Axis(labelLimit=LABEL_SPACE, domain=False, ticks=False, labelPadding=8, labelColor=INK)
    y = alt.Y("parameter:N", sort=order, title=None, axis=label_axis)
    ends = [row["result"] for row in rows] + [base, 0.0]
    pad = 0.13 * (max(ends) - min(ends) or 1.0)
    x = alt.X(
        "start:Q",
        title="Difference in net benefit per referred patient",
        axis=money_axis(unit, tickCount=5),
        scale=alt.Scale(domain=[min(ends) - pad, max(ends) + pad], nice=False),
    )
    colour = alt.Color(
        "end:N",
        scale=alt.Scale(domain=["low end of its interval", "high end of its interval"], range=[LOW, HIGH]),
        legend=alt.Legend(title="Parameter at the", orient="top", direction="horizontal"),
    )
    bars = alt.Chart(points(rows)).mark_bar(height=15).encode(x=x, x2="result:Q", y=y, color=colour)
    right = (
        alt.Chart(points([row for row in rows if row["right"]]))
        .mark_text(align="left", dx=4, fontSize=10.5, color=MUTED)
        .encode(x="result:Q", y=y, text="text:N")
    )
    left = (
        alt.Chart(points([row for row in rows if not row["right"]]))
        .mark_text(align="right", dx=-4, fontSize=10.5, color=MUTED)
        .encode(x="result:Q", y=y, text="text:N")
    )
    zero = alt.Chart(points([{"at": 0}])).mark_rule(color=INK, strokeDash=[4, 3]).encode(x="at:Q")
    middle = alt.Chart(points([{"at": base}])).mark_rule(color=INK).encode(x="at:Q")
    chart = (zero + bars + middle + left + right).properties(width=WIDTH - LABEL_SPACE, height=alt.Step(24))
    return svg(chart, "tornado", "One-way sensitivity of the difference in net benefit")


def evppi_chart(document: dict[str, Any], kind: str) -> str | None:
    """Return bars of the value of perfect information on each parameter, or each group (`kind`)."""
    evppi = document["decision"]["evppi"]
    if evppi is None:
        return None
    rows = [
        {
            "name": short_label(row["label"], 52),
            "value": row["value"],
            "low": max(row["value"] - 1.96 * row["standard_error"], 0.0),
            "high": row["value"] + 1.96 * row["standard_error"],
        }
        for row in evppi[kind][:10]
    ]
    if not rows or max(row["value"] for row in rows) <= 0.0:
        return None
    unit = document["analysis"]["money"]
    label_axis = alt.Axis(labelLimit=LABEL_SPACE, domain=False, ticks=False, labelPadding=8, labelColor=INK)
    y = alt.Y("name:N", sort=[row["name"] for row in rows], title=None, axis=label_axis)
    base = alt.Chart(points(rows))
    bars = base.mark_bar(height=15, color=HIGH).encode(
        x=alt.X("value:Q", title="Value of knowing it exactly, per patient", axis=money_axis(unit, tickCount=5)), y=y
    )
    spans = base.mark_rule(color=MUTED, strokeWidth=1.4).encode(x="low:Q", x2="high:Q", y=y)
    chart = (bars + spans).properties(width=WIDTH - LABEL_SPACE, height=alt.Step(24))
    return svg(chart, f"evppi-{kind}", f"Expected value of partial perfect information by {kind}")


def _three(value: float) -> float:
    return float(f"{value:.3g}")
