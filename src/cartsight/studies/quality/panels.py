"""Charts of study 4A: one row per choice, and panels side by side from what is measured to what patients get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt

from cartsight.reporting.charts.style import points, svg
from cartsight.reporting.palette import CATEGORIES, INK, MUTED

PANEL_WIDTH = 255


@dataclass(frozen=True)
class Panel:
    """One column of intervals: keys of the rows, a title with its unit, the line that means no effect."""

    value: str
    low: str
    high: str
    title: str
    none: float | None = 0.0
    domain: tuple[float, float] | None = None


def interval_panels(
    rows: list[dict[str, Any]], label: str, panels: tuple[Panel, ...], name: str, description: str
) -> str:
    """Return an SVG with a dot and its interval per row in every panel; rows keep their order.

    Parameters
    ----------
    rows : list of dict
    label : str
        Key of the row's name.
    panels : tuple of Panel
    name, description : str
        As in `svg`.
    """
    order = [row[label] for row in rows]
    data = points(
        [{key: row[key] for key in {label, *(k for p in panels for k in (p.value, p.low, p.high))}} for row in rows]
    )
    columns = []
    for i, panel in enumerate(panels):
        axis = alt.Axis(domain=False, ticks=False, labelColor=INK, labelLimit=230) if i == 0 else None
        base = alt.Chart(data).encode(y=alt.Y(f"{label}:N", sort=order, title=None, axis=axis))
        scale = alt.Scale(domain=list(panel.domain)) if panel.domain is not None else alt.Scale(zero=False, nice=True)
        colour = CATEGORIES[i % len(CATEGORIES)]
        layers: list[alt.Chart] = []
        if panel.none is not None:
            zero = (
                alt.Chart(points([{"at": panel.none}]))
                .mark_rule(color=MUTED, strokeDash=[3, 3])
                .encode(x=alt.X("at:Q", scale=scale))
            )
            layers.append(zero)
        layers.append(
            base.mark_rule(strokeWidth=3, opacity=0.45, color=colour).encode(
                x=alt.X(f"{panel.low}:Q", title=panel.title, scale=scale), x2=f"{panel.high}:Q"
            )
        )
        layers.append(base.mark_circle(size=60, opacity=1, color=colour).encode(x=f"{panel.value}:Q"))
        columns.append(alt.layer(*layers).properties(width=PANEL_WIDTH, height=alt.Step(24)))
    return svg(alt.hconcat(*columns, spacing=18), name, description)
