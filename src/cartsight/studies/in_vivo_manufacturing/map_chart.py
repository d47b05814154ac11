"""The map as a chart: equality of dose cost over the duration of effect."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt

from cartsight.reporting.charts.style import points, svg, thousands_format
from cartsight.reporting.palette import CATEGORIES, INK, MUTED
from cartsight.studies.in_vivo_manufacturing.contours import Contour, PlatformMap

Float = npt.NDArray[np.float64]

LOWEST, HIGHEST = 100.0, 1_000_000.0


def map_chart(found: list[PlatformMap], money: str, patients: int) -> str:
    return svg(
        alt.vconcat(*(_panel(item, money, patients) for item in found), spacing=30).resolve_scale(
            color="independent", strokeDash="independent"
        ),
        "durability",
        "Dose cost at which an in vivo arm equals the autologous arm, by doses per course, over the median duration of effect, with the 95 % band",
    )


def _panel(item: PlatformMap, money: str, patients: int) -> alt.LayerChart:
    platform = item.run.platform
    years = platform.durations_years
    x = alt.X(
        "years:Q",
        scale=alt.Scale(type="log", domain=[years[0], years[-1]], nice=False),
        title="Median duration of effect, years",
        axis=alt.Axis(values=list(years), grid=False),
    )
    scale = alt.Scale(type="log", domain=[LOWEST, HIGHEST], nice=False, clamp=True)
    axis = alt.Axis(labelExpr=thousands_format(money), values=[100, 1e3, 1e4, 1e5, 1e6])
    y_title = f"Cost of a dose, {money.split('_')[0].upper()} {money.split('_')[1]}"
    y = alt.Y("cost:Q", scale=scale, axis=axis, title=y_title)
    own = next(line for line in item.contours if line.doses == item.own_doses)
    band = [
        {"years": float(t), "low": max(float(a), LOWEST), "high": min(max(float(b), LOWEST), HIGHEST)}
        for t, a, b in _fine(own)
    ]
    layers: list[alt.Chart] = [
        alt.Chart(points(band)).mark_area(fill=CATEGORIES[0], fillOpacity=0.16).encode(
            x=x, y=alt.Y("low:Q", scale=scale, axis=axis, title=y_title), y2="high:Q"
        )
    ]  # fmt: skip
    lines: list[dict[str, Any]] = []
    names = [f"equal to autologous at cost, {line.doses} a course" for line in item.contours]
    for name, line in zip(names, item.contours, strict=True):
        lines += _points(name, line.years, line.mean)
    price_name, none_name = "equal to autologous at list price", "equal to no cell therapy"
    lines += _points(price_name, item.at_price.years, item.at_price.mean)
    lines += _points(none_name, item.no_therapy.years, item.no_therapy.mean)
    order = [*names, price_name, none_name]
    shades = ["#9ab4d3", CATEGORIES[0], "#1f3a5f"] if len(names) == 3 else [CATEGORIES[0], "#1f3a5f"]
    colours = alt.Scale(domain=order, range=[*shades, CATEGORIES[1], MUTED])
    dashes = alt.Scale(domain=order, range=[[1, 0]] * len(names) + [[6, 3], [2, 2]])
    legend = alt.Legend(title=None, orient="right", symbolStrokeWidth=3)
    layers.append(
        alt.Chart(points(lines)).mark_line(strokeWidth=2.4).encode(
            x=x,
            y=y,
            color=alt.Color("line:N", scale=colours, sort=order, legend=legend),
            strokeDash=alt.StrokeDash("line:N", scale=dashes, sort=order, legend=legend),
        )
    )  # fmt: skip
    marks = [
        {"cost": float(np.median(item.scale)), "text": f"dose at {patients:,} patients a year"},
        {"cost": float(np.median(item.own_cost)), "text": "dose of a plant for the catchment"},
    ]
    rules = alt.Chart(points(marks))
    layers.append(rules.mark_rule(color=INK, strokeDash=[4, 3], opacity=0.6).encode(y=y))
    layers.append(
        rules.mark_text(align="right", dx=-4, dy=-7, color=INK, fontSize=11).encode(
            y=y, x=alt.value(440), text="text:N"
        )
    )
    here = alt.Chart(points([{"years": item.own_years, "text": f"scenario, {item.own_years:.1f} years"}]))
    layers.append(here.mark_rule(color=INK, opacity=0.6).encode(x=x))
    layers.append(
        here.mark_text(align="left", dx=5, dy=8, color=INK, fontSize=11).encode(x=x, y=alt.value(0), text="text:N")
    )
    title = f"{platform.title}: below a line the in vivo arm is worth more"
    return alt.layer(*layers).properties(width=440, height=300, title=title)


def _dense(years: Float, values: Float) -> tuple[Float, Float]:
    """Return a curve on many durations, straight between the map's on the logarithm of duration."""
    log = np.linspace(np.log(years[0]), np.log(years[-1]), 400)
    return np.exp(log), np.interp(log, np.log(years), values)


def _points(name: str, years: Float, values: Float) -> list[dict[str, Any]]:
    t, v = _dense(years, values)
    inside = np.flatnonzero(v >= LOWEST)
    if not inside.size:
        return []
    rows = [{"line": name, "years": float(t[i]), "cost": min(float(v[i]), HIGHEST)} for i in inside]
    first = int(inside[0])
    if first > 0:
        share = (LOWEST - v[first - 1]) / (v[first] - v[first - 1])
        rows.insert(0, {"line": name, "years": float(t[first - 1] + share * (t[first] - t[first - 1])), "cost": LOWEST})
    return rows


def _fine(line: Contour) -> list[tuple[float, float, float]]:
    t, low = _dense(line.years, line.low)
    high = _dense(line.years, line.high)[1]
    return [(float(a), float(b), float(c)) for a, b, c in zip(t, low, high, strict=True) if c > LOWEST]
