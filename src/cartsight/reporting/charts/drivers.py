"""Charts of what drives the answer: one-way sensitivity and the value of learning parameters."""

from __future__ import annotations

from typing import Any

import altair as alt

from cartsight.reporting.charts.style import WIDTH, money_axis, points, svg
from cartsight.reporting.formatting import general
from cartsight.reporting.labels import short_label
from cartsight.reporting.palette import INK, MUTED

LOW, HIGH = "#8FA3BA", "#2B4C7E"
LABEL_SPACE = 270
LABEL_LETTERS = 46
SMALLEST_SWING = 0.01


def tornado_chart(document: dict[str, Any]) -> str | None:
    """Return the tornado on the difference in net benefit, each end labelled with the value of the parameter."""
    one_way = document["decision"]["one_way"]
    if one_way is None or not one_way["rows"]:
        return None
    unit, base = document["analysis"]["money"], one_way["base_incremental"]
    largest = one_way["rows"][0]["swing"]
    shown = [row for row in one_way["rows"] if row["swing"] >= SMALLEST_SWING * largest] or one_way["rows"][:1]
    names = _two_lines([(row["parameter"], row["label"]) for row in shown])
    rows = []
    for name, row in zip(names, shown, strict=True):
        ends = {"low": (row["low"], row["incremental_low"]), "high": (row["high"], row["incremental_high"])}
        # Where both ends lie on one side the inner label would stand on the outer bar.
        same_side = (ends["low"][1] >= base) == (ends["high"][1] >= base)
        outer = max(ends, key=lambda end: abs(ends[end][1] - base))
        for end, (value, result) in sorted(ends.items(), key=lambda item: -abs(item[1][1] - base)):
            text = "" if same_side and end != outer else general(_three(value))
            rows.append(
                {"parameter": name, "end": end, "start": base, "result": result, "text": text, "right": result >= base}
            )
    y = _label_axis("parameter:N", names)
    reach = [row["result"] for row in rows] + [base, 0.0]
    pad = 0.12 * (max(reach) - min(reach) or 1.0)
    x = alt.X(
        "start:Q",
        title="Difference in net benefit per referred patient",
        axis=money_axis(unit, tickCount=6),
        scale=alt.Scale(domain=[min(reach) - pad, max(reach) + pad], nice=False),
    )
    scale = alt.Scale(domain=["low", "high"], range=[LOW, HIGH])
    bars = (
        alt.Chart(points(rows))
        .mark_bar(height=16)
        .encode(x=x, x2="result:Q", y=y, color=alt.Color("end:N", scale=scale, legend=None))
    )
    values = [
        alt.Chart(points([row for row in rows if row["right"] is right]))
        .mark_text(align="left" if right else "right", dx=5 if right else -5, fontSize=11, color=MUTED)
        .encode(x="result:Q", y=y, text="text:N")
        for right in (True, False)
    ]
    zero = alt.Chart(points([{"at": 0}])).mark_rule(color=INK, strokeDash=[4, 3]).encode(x="at:Q")
    middle = alt.Chart(points([{"at": base}])).mark_rule(color=INK).encode(x="at:Q")
    chart = alt.layer(zero, bars, middle, *values).properties(width=WIDTH - LABEL_SPACE, height=alt.Step(35))
    return svg(chart, "tornado", "One-way sensitivity of the difference in net benefit")


def evppi_chart(document: dict[str, Any], kind: str) -> str | None:
    """Return bars of the value of perfect information on each parameter, or each group (`kind`)."""
    evppi = document["decision"]["evppi"]
    if evppi is None or not evppi[kind] or evppi[kind][0]["value"] <= 0.0:
        return None
    shown = [row for row in evppi[kind][:10] if row["value"] >= SMALLEST_SWING * evppi[kind][0]["value"]]
    names = _two_lines([(row["name"], row["label"]) for row in shown])
    rows = [
        {
            "name": name,
            "value": row["value"],
            "low": max(row["value"] - 1.96 * row["standard_error"], 0.0),
            "high": row["value"] + 1.96 * row["standard_error"],
        }
        for name, row in zip(names, shown, strict=True)
    ]
    unit = document["analysis"]["money"]
    y = _label_axis("name:N", names)
    base = alt.Chart(points(rows))
    x = alt.X("value:Q", title="Value of knowing it exactly, per patient", axis=money_axis(unit, tickCount=6))
    bars = base.mark_bar(height=16, color=LOW).encode(x=x, y=y)
    spans = base.mark_rule(color=INK, strokeWidth=1.4).encode(x="low:Q", x2="high:Q", y=y)
    chart = (bars + spans).properties(width=WIDTH - LABEL_SPACE, height=alt.Step(35))
    return svg(chart, f"evppi-{kind}", f"Expected value of partial perfect information by {kind}")


def _two_lines(rows: list[tuple[str, str]]) -> list[str]:
    """Return labels of (field path, label) in two lines: whose number it is, then which; all of them different."""
    found: list[str] = []
    for path, label in rows:
        head, colon, tail = label.partition(": ")
        if not colon:
            head, tail = ("Care pathway" if "care_pathway" in path else "Population"), label[:1].lower() + label[1:]
        text = f"{short_label(head, LABEL_LETTERS)}¦{short_label(tail, LABEL_LETTERS)}"
        while text in found:
            text += "\u200b"
        found.append(text)
    return found


def _label_axis(field: str, order: list[str]) -> alt.Y:
    axis = alt.Axis(
        labelLimit=LABEL_SPACE,
        domain=False,
        ticks=False,
        labelPadding=8,
        labelColor=INK,
        labelExpr="split(datum.label, '¦')",
        # Of two lines the first stands at the tick, so both are moved up by half a line.
        labelOffset=-6,
    )
    return alt.Y(field, sort=order, title=None, axis=axis)


def _three(value: float) -> float:
    return float(f"{value:.3g}")
