"""Charts of patients: days by phase, time to infusion with competing exits, survival on two clocks."""

from __future__ import annotations

from typing import Any

import altair as alt

from cartsight.reporting.charts.style import BARS, PANEL, arm_axis, arm_colour_scale, points, svg
from cartsight.reporting.palette import PHASES, STEPS, arm_dashes

SHORTEST_SHOWN_DAYS = 0.05
SETTLED = 0.002


def phase_colours(document: dict[str, Any]) -> dict[str, str]:
    """Return {phase: colour} of the phases that take any time, in the order of the pathway."""
    found: dict[str, str] = {}
    steps = 0
    for phase in _phase_order(document):
        if phase in PHASES:
            found[phase] = PHASES[phase]
        else:
            found[phase] = STEPS[steps % len(STEPS)]
            steps += 1
    return found


def _phase_order(document: dict[str, Any]) -> list[str]:
    order: dict[str, None] = {}
    for arm in document["arms"]:
        order |= {row["phase"]: None for row in arm["days_spent"] if row["mean_days"] >= SHORTEST_SHOWN_DAYS}
    known = [phase for phase in PHASES if phase in order]
    return [phase for phase in order if phase not in PHASES] + known


def days_chart(document: dict[str, Any]) -> str | None:
    """Return stacked bars of the mean days that the infused spent in each phase; None when nobody is infused."""
    colours, rows, totals = phase_colours(document), [], []
    for arm in document["arms"]:
        start = 0.0
        for phase in arm["days_spent"]:
            end = start + phase["mean_days"]
            if phase["phase"] in colours and end > start:
                middle, text = (start + end) / 2, f"{phase['mean_days']:.0f}"
                rows.append(
                    {
                        "arm": arm["label"],
                        "phase": phase["phase"],
                        "start": start,
                        "end": end,
                        "middle": middle,
                        "text": text,
                    }
                )
            start = end
        if arm["days_spent"]:
            totals.append({"arm": arm["label"], "end": start, "text": f"{start:.0f} days"})
    if not rows:
        return None
    total = max(row["end"] for row in totals)
    infused = {**document, "arms": [arm for arm in document["arms"] if arm["days_spent"]]}
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    x = alt.X(
        "start:Q",
        title="Mean days since referral, infused patients",
        scale=alt.Scale(domain=[0, total * 1.12], nice=False),
    )
    bars = (
        alt.Chart(points(rows))
        .mark_bar(stroke="white", strokeWidth=1.2, height=26)
        .encode(x=x, x2="end:Q", y=arm_axis(infused), color=alt.Color("phase:N", scale=scale, legend=None))
    )
    labels = (
        alt.Chart(points([row for row in rows if row["end"] - row["start"] >= max(1.0, 0.035 * total)]))
        .mark_text(color="white", fontWeight="bold", fontSize=11)
        .encode(x="middle:Q", y=arm_axis(infused), text="text:N")
    )
    ends = (
        alt.Chart(points(totals))
        .mark_text(align="left", dx=6, fontWeight="bold")
        .encode(x="end:Q", y=arm_axis(infused), text="text:N")
    )
    chart = (bars + labels + ends).properties(width=BARS, height=alt.Step(40))
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
    last = _settled_day(document)
    ceiling = max((row["share"] for row in (*infused, *lost)), default=1.0)
    top = min(1.0, -(-ceiling * 10 // 1) / 10)

    def panel(rows: list[dict[str, Any]], title: str) -> alt.Chart:
        chosen = [row for row in rows if (row["arm"] in with_product or not with_product) and row["day"] <= last]
        return (
            alt.Chart(points(chosen), title=title)
            .mark_line(strokeWidth=2.2)
            .encode(
                x=alt.X(
                    "day:Q",
                    title="Days since referral",
                    axis=alt.Axis(grid=False, tickCount=7),
                    scale=alt.Scale(domain=[0, last], nice=False),
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


def _settled_day(document: dict[str, Any]) -> float:
    """Return the day after which no arm's incidences move any more, so that the chart shows where they do."""
    for last in (90.0, 120.0, 180.0, 270.0):
        moved = 0.0
        for arm in document["arms"]:
            curve = arm["curves"]["time_to_infusion"]
            here = curve["days"].index(last)
            moved = max(moved, abs(curve["still_waiting"][here] - curve["still_waiting"][-1]))
        if moved <= SETTLED:
            return last
    return 365.0


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
