"""Charts of the decision: net benefit, cost-effectiveness plane, acceptability, expected loss, convergence."""

from __future__ import annotations

from typing import Any

import altair as alt

from cartsight.reporting.answer import net_benefit_at_threshold
from cartsight.reporting.charts.style import BARS, PANEL, WIDTH, arm_axis, arm_colour_scale, money_axis, points, svg
from cartsight.reporting.formatting import exact_money, thousands
from cartsight.reporting.palette import INK, LINE, MUTED, arm_dashes


def net_benefit_chart(document: dict[str, Any]) -> str | None:
    """Return mean net benefit at the threshold with its interval, one line per arm."""
    summaries = net_benefit_at_threshold(document)
    if not summaries:
        return None
    unit = document["analysis"]["money"]
    labels = {arm["name"]: arm["label"] for arm in document["arms"]}
    rows = [
        {"arm": labels[name], "mean": s["mean"], "low": s["low"], "high": s["high"], "text": thousands(s["mean"], unit)}
        for name, s in summaries.items()
    ]
    x = alt.X(
        "low:Q",
        title=f"Net benefit per referred patient at {exact_money(document['decision']['threshold'], unit)} per QALY",
        axis=money_axis(unit, tickCount=7),
        scale=alt.Scale(zero=False),
    )
    base = alt.Chart(points(rows)).encode(y=arm_axis(document), color=arm_colour_scale(document))
    zero = alt.Chart(points([{"at": 0}])).mark_rule(color=MUTED, strokeWidth=1).encode(x="at:Q")
    span = base.mark_rule(strokeWidth=5, opacity=0.35, strokeCap="round").encode(x=x, x2="high:Q")
    dot = base.mark_circle(size=120, opacity=1).encode(x="mean:Q")
    text = base.mark_text(dy=-13, fontWeight="bold").encode(x="mean:Q", text="text:N")
    halo = base.mark_text(dy=-13, fontWeight="bold", stroke="white", strokeWidth=4, strokeJoin="round").encode(
        x="mean:Q", text="text:N", color=alt.value("white")
    )
    chart = (zero + span + dot + halo + text).properties(width=BARS, height=alt.Step(44))
    return svg(chart, "benefit", "Mean net benefit with 95 % interval by arm")


def plane_chart(document: dict[str, Any]) -> str | None:
    """Return the cost-effectiveness plane against the reference arm with the decision threshold as a line."""
    plane = document["decision"]["plane"]
    if plane is None:
        return None
    unit, threshold = document["analysis"]["money"], document["decision"]["threshold"]
    labels = {arm["name"]: arm["label"] for arm in document["arms"]}
    rows, means = [], []
    for name, cloud in plane["arms"].items():
        rows += [
            {"arm": labels[name], "effect": e, "cost": c}
            for e, c in zip(cloud["incremental_qalys"], cloud["incremental_cost"], strict=True)
        ]
        means.append(
            {"arm": labels[name], "effect": cloud["mean_incremental_qalys"], "cost": cloud["mean_incremental_cost"]}
        )
    effects, costs = [row["effect"] for row in rows], [row["cost"] for row in rows]
    left, right = min(*effects, 0.0), max(*effects, 0.0)
    bottom, top = min(*costs, 0.0), max(*costs, 0.0)
    pad_x, pad_y = 0.05 * (right - left or 1.0), 0.05 * (top - bottom or 1.0)
    left, right, bottom, top = left - pad_x, right + pad_x, bottom - pad_y, top + pad_y
    ends = [{"effect": e, "cost": threshold * e} for e in (max(left, bottom / threshold), min(right, top / threshold))]
    x = alt.X(
        "effect:Q",
        title=f"QALYs gained against {labels[plane['reference_arm']]}",
        scale=alt.Scale(domain=[left, right], nice=False),
    )
    y = alt.Y(
        "cost:Q", title="Additional cost", axis=money_axis(unit), scale=alt.Scale(domain=[bottom, top], nice=False)
    )
    zero_x = alt.Chart(points([{"at": 0}])).mark_rule(color=MUTED).encode(x="at:Q")
    zero_y = alt.Chart(points([{"at": 0}])).mark_rule(color=MUTED).encode(y="at:Q")
    line = alt.Chart(points(ends)).mark_line(color=INK, strokeDash=[5, 4], strokeWidth=1.4).encode(x=x, y=y)
    at = 0.8
    place = {key: ends[0][key] + at * (ends[1][key] - ends[0][key]) for key in ("effect", "cost")}
    named = alt.Chart(points([{**place, "text": f"{exact_money(threshold, unit)} per QALY"}])).encode(
        x=x, y=y, text="text:N"
    )
    where = {"align": "left", "baseline": "top", "dx": 8, "dy": 6, "fontSize": 12}
    label = named.mark_text(**where, color="white", stroke="white", strokeWidth=4) + named.mark_text(**where, color=INK)
    cloud_marks = (
        alt.Chart(points(rows)).mark_circle(size=16, opacity=0.35).encode(x=x, y=y, color=arm_colour_scale(document))
    )
    centre = (
        alt.Chart(points(means))
        .mark_point(shape="diamond", filled=True, size=190, stroke="white", strokeWidth=1.5, opacity=1)
        .encode(x=x, y=y, color=arm_colour_scale(document))
    )
    chart = (zero_x + zero_y + cloud_marks + line + label + centre).properties(width=WIDTH - 110, height=380)
    return svg(chart, "plane", "Cost-effectiveness plane: difference in QALYs and cost of every parameter draw")


def acceptability_chart(document: dict[str, Any]) -> str | None:
    """Return the acceptability curves; the frontier, of the arm with the highest expected net benefit, is drawn broad."""
    curve, frontier = document["decision"]["acceptability"], document["decision"]["acceptability_frontier"]
    if curve is None:
        return None
    unit = document["analysis"]["money"]
    labels = {arm["name"]: arm["label"] for arm in document["arms"]}
    rows = [
        {"arm": labels[name], "wtp": w, "probability": p}
        for name, values in curve["probability"].items()
        for w, p in zip(curve["wtp"], values, strict=True)
    ]
    piece, best = 0, []
    for i, name in enumerate(frontier["arm"]):
        if i and name != frontier["arm"][i - 1]:
            piece += 1
        best.append(
            {"arm": labels[name], "wtp": frontier["wtp"][i], "probability": frontier["probability"][i], "piece": piece}
        )
    x = alt.X("wtp:Q", title="Willingness to pay per QALY", axis=money_axis(unit, grid=False, tickCount=6))
    y = alt.Y(
        "probability:Q",
        title="Probability of being the best arm",
        axis=alt.Axis(format=".0%", tickCount=5),
        scale=alt.Scale(domain=[0, 1]),
    )
    broad = (
        alt.Chart(points(best))
        .mark_line(strokeWidth=9, opacity=0.28, strokeCap="round")
        .encode(x=x, y=y, color=arm_colour_scale(document), detail="piece:N")
    )
    lines = (
        alt.Chart(points(rows))
        .mark_line(strokeWidth=2.2)
        .encode(x=x, y=y, color=arm_colour_scale(document), strokeDash=_dash(document))
    )
    chart = (_threshold_rule(document) + broad + lines).properties(width=WIDTH - 110, height=270)
    return svg(chart, "acceptability", "Probability of being the best arm by willingness to pay")


def expected_loss_chart(document: dict[str, Any]) -> str | None:
    """Return expected loss by willingness to pay; the lowest curve is the value of perfect information."""
    loss = document["decision"]["expected_loss"]
    if loss is None:
        return None
    unit = document["analysis"]["money"]
    labels = {arm["name"]: arm["label"] for arm in document["arms"]}
    evpi = document["decision"]["evpi"]
    here = loss["wtp"].index(document["decision"]["threshold"])
    rows = [
        {"arm": labels[name], "wtp": w, "loss": value}
        for name, values in loss["loss"].items()
        for w, value in zip(loss["wtp"], values, strict=True)
    ]
    floor = [{"wtp": w, "loss": v} for w, v in zip(evpi["wtp"], evpi["value"], strict=True)]
    ceiling = sorted(values[here] for values in loss["loss"].values())[-1] * 1.6
    x = alt.X("wtp:Q", title="Willingness to pay per QALY", axis=money_axis(unit, grid=False, tickCount=6))
    y = alt.Y(
        "loss:Q",
        title="Expected loss per patient",
        axis=money_axis(unit, tickCount=5),
        scale=alt.Scale(domain=[0, max(ceiling, 1.0)], clamp=False),
    )
    broad = (
        alt.Chart(points(floor))
        .mark_line(strokeWidth=9, opacity=0.16, color=INK, strokeCap="round", clip=True)
        .encode(x=x, y=y)
    )
    lines = (
        alt.Chart(points(rows))
        .mark_line(strokeWidth=2.2, clip=True)
        .encode(x=x, y=y, color=arm_colour_scale(document), strokeDash=_dash(document))
    )
    chart = (_threshold_rule(document) + broad + lines).properties(width=WIDTH - 110, height=270)
    return svg(
        chart, "loss", "Expected loss of each arm, and the expected value of perfect information, by willingness to pay"
    )


def convergence_chart(document: dict[str, Any]) -> str | None:
    """Return the running mean of the margin between the two best arms with its Monte Carlo band."""
    convergence = document["decision"]["convergence"]
    if convergence is None or len(convergence["draws"]) < 5:
        return None
    unit = document["analysis"]["money"]
    # The first handful of draws has a band so wide that it would set the scale.
    first = min(8, len(convergence["draws"]) // 3)
    rows = [
        {"draws": d, "margin": m, "low": low, "high": high}
        for d, m, low, high in list(
            zip(convergence["draws"], convergence["margin"], convergence["low"], convergence["high"], strict=True)
        )[first:]
    ]
    x = alt.X(
        "draws:Q",
        title="Parameter draws",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(grid=False, tickCount=6),
    )
    y = alt.Y("low:Q", title="Lead in net benefit", axis=money_axis(unit, tickCount=5))
    base = alt.Chart(points(rows))
    band = base.mark_area(opacity=0.15, color=INK).encode(x=x, y=y, y2="high:Q")
    line = base.mark_line(strokeWidth=2, color=INK).encode(x=x, y="margin:Q")
    zero = alt.Chart(points([{"at": 0}])).mark_rule(color=MUTED, strokeDash=[4, 3]).encode(y="at:Q")
    return svg(
        (zero + band + line).properties(width=PANEL + 120, height=190),
        "convergence",
        "Running mean of the lead by number of draws",
    )


def _threshold_rule(document: dict[str, Any]) -> alt.Chart:
    at = [{"wtp": document["decision"]["threshold"]}]
    return alt.Chart(points(at)).mark_rule(color=LINE, strokeWidth=2).encode(x="wtp:Q")


def _dash(document: dict[str, Any]) -> alt.StrokeDash:
    dashes = arm_dashes(document["arms"])
    labels = [arm["label"] for arm in document["arms"]]
    return alt.StrokeDash(
        "arm:N", scale=alt.Scale(domain=labels, range=[dashes[arm["name"]] for arm in document["arms"]]), legend=None
    )
