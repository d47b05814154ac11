"""Charts of patients: days by phase, time to infusion with competing exits, survival on two clocks."""

from __future__ import annotations

from typing import Any

import altair as alt

from cartsight.reporting.charts.style import PANEL, WIDTH, arm_axis, arm_colour_scale, points, svg
from cartsight.reporting.palette import CATEGORIES, arm_dashes

SHORTEST_LABELLED_DAYS = 2.0


def days_chart(document: dict[str, Any]) -> str | None:
    """Return stacked bars of the mean days that the infused spent in each phase; None when nobody is infused."""
    rows, order, total = [], list[str](), 0.0
    for arm in document["arms"]:
        start = 0.0
        for phase in arm["days_spent"]:
            if phase["phase"] not in order:
                order.append(phase["phase"])
            end = start + phase["mean_days"]
            rows.append(
                {
                    "arm": arm["label"],
                    "phase": phase["phase"],
                    "start": start,
                    "end": end,
                    "middle": (start + end) / 2,
                    "text": f"{phase['mean_days']:.0f}",
                    "days": phase["mean_days"],
                }
            )
            start = end
        total = max(total, start)
    if not rows:
        return None
    shown = [row for row in rows if row["days"] > 0]
    used = [phase for phase in order if any(row["phase"] == phase and row["days"] >= 0.05 for row in shown)]
    infused = {**document, "arms": [arm for arm in document["arms"] if arm["days_spent"]]}
    colour = alt.Color(
        "phase:N",
        scale=alt.Scale(domain=used, range=[CATEGORIES[i % len(CATEGORIES)] for i in range(len(used))]),
        legend=alt.Legend(title=None, orient="bottom", columns=2, labelLimit=320),
    )
    kept = [row for row in shown if row["phase"] in used]
    bars = (
        alt.Chart(points(kept))
        .mark_bar(stroke="white", strokeWidth=1.2, height=26)
        .encode(
            x=alt.X(
                "start:Q", title="Mean days since referral, infused patients", scale=alt.Scale(domain=[0, total * 1.08])
            ),
            x2="end:Q",
            y=arm_axis(infused),
            color=colour,
        )
    )
    labels = (
        alt.Chart(points([row for row in kept if row["days"] >= max(SHORTEST_LABELLED_DAYS, 0.035 * total)]))
        .mark_text(color="white", fontWeight="bold", fontSize=11)
        .encode(x="middle:Q", y=arm_axis(infused), text="text:N")
    )
    ends = [{"arm": arm["label"], "end": sum(p["mean_days"] for p in arm["days_spent"])} for arm in infused["arms"]]
    totals = (
        alt.Chart(points([{**row, "text": f"{row['end']:.0f} days"} for row in ends]))
        .mark_text(align="left", dx=6)
        .encode(x="end:Q", y=arm_axis(infused), text="text:N")
    )
    chart = (bars + labels + totals).properties(width=WIDTH - 200, height=alt.Step(40))
    return svg(chart, "days", "Mean days from referral to infusion by phase and arm")


def time_to_infusion_chart(document: dict[str, Any]) -> str:
    """Return the cumulative incidence of infusion and of death while waiting, in two panels."""
    infused, lost = [], []
    for arm in document["arms"]:
        curve = arm["curves"]["time_to_infusion"]
        for i, day in enumerate(curve["days"]):
            infused.append({"arm": arm["label"], "day": day, "share": curve["infused"][i]})
            lost.append({"arm": arm["label"], "day": day, "share": curve["died_waiting"][i] + curve["left"][i]})
    with_product = {row["arm"] for row in infused if row["share"] > 0}
    ceiling = max((row["share"] for row in (*infused, *lost)), default=1.0)
    top = min(1.0, -(-ceiling * 10 // 1) / 10)

    def panel(rows: list[dict[str, Any]], title: str) -> alt.Chart:
        chosen = [row for row in rows if row["arm"] in with_product] or rows
        return (
            alt.Chart(points(chosen), title=title)
            .mark_line(interpolate="step-after", strokeWidth=2.2)
            .encode(
                x=alt.X(
                    "day:Q",
                    title="Days since referral",
                    axis=alt.Axis(values=[0, 60, 120, 180, 240, 300, 360], grid=False),
                ),
                y=alt.Y(
                    "share:Q",
                    title="Share of the referred",
                    axis=alt.Axis(format=".0%", tickCount=5),
                    scale=alt.Scale(domain=[0, top]),
                ),
                color=arm_colour_scale(document),
                strokeDash=_dash(document),
            )
            .properties(width=PANEL, height=250)
        )

    chart = alt.hconcat(panel(infused, "Infused"), panel(lost, "Died while waiting or left"), spacing=28)
    return svg(chart, "incidence", "Cumulative incidence of infusion, and of death or leaving, by arm")


def survival_chart(document: dict[str, Any]) -> str:
    """Return overall survival from referral and from infusion, each with its Monte Carlo band."""
    panels = []
    for key, title, axis in (
        ("overall_survival_from_referral", "All referred patients", "Years since referral"),
        ("overall_survival_from_infusion", "Infused patients only", "Years since infusion"),
    ):
        rows = []
        for arm in document["arms"]:
            curve = arm["curves"][key]
            for i, month in enumerate(curve["months"]):
                if curve["share"][i] is not None:
                    rows.append(
                        {
                            "arm": arm["label"],
                            "year": month / 12.0,
                            "share": curve["share"][i],
                            "low": curve["low"][i],
                            "high": curve["high"][i],
                        }
                    )
        base = alt.Chart(points(rows), title=title)
        x = alt.X("year:Q", title=axis, axis=alt.Axis(values=[0, 2, 4, 6, 8, 10], grid=False))
        y = alt.Y(
            "share:Q", title="Share alive", axis=alt.Axis(format=".0%", tickCount=5), scale=alt.Scale(domain=[0, 1])
        )
        colour = arm_colour_scale(document)
        band = base.mark_area(opacity=0.13).encode(
            x=x, y=alt.Y("low:Q", title="Share alive"), y2="high:Q", color=colour
        )
        line = base.mark_line(strokeWidth=2.2).encode(x=x, y=y, color=colour, strokeDash=_dash(document))
        panels.append((band + line).properties(width=PANEL, height=250))
    return svg(alt.hconcat(*panels, spacing=28), "survival", "Overall survival from referral and from infusion by arm")


def _dash(document: dict[str, Any]) -> alt.StrokeDash:
    dashes = arm_dashes(document["arms"])
    labels = [arm["label"] for arm in document["arms"]]
    return alt.StrokeDash(
        "arm:N", scale=alt.Scale(domain=labels, range=[dashes[arm["name"]] for arm in document["arms"]]), legend=None
    )
