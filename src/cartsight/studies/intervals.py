"""Intervals over parameter draws, and the chart that shows one value with its interval per row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt

from cartsight.reporting.charts.style import points, svg
from cartsight.reporting.palette import CATEGORIES, INK


def span(sample: npt.ArrayLike) -> tuple[float, float]:
    """Return the 2.5 and 97.5 percentile over draws; draws without a value are left out."""
    low, high = np.nanquantile(np.asarray(sample, dtype=np.float64), [0.025, 0.975])
    return float(low), float(high)


def interval_chart(
    rows: Sequence[dict[str, Any]],
    *,
    title: str,
    name: str,
    description: str,
    order: Sequence[str] | None = None,
    axis_format: str | None = None,
    width: int = 420,
) -> str:
    """Return the SVG of rows with `label`, `value`, `low` and `high`: a dot, its interval, and a line at zero.

    Parameters
    ----------
    rows : sequence of dict
    title : str
        Of the horizontal axis, with its unit.
    name, description : str
        See `cartsight.reporting.charts.style.svg`.
    order : sequence of str, optional
        Labels from top to bottom; by value, largest first, when absent.
    axis_format : str, optional
        Number format of the axis.
    """
    labels = order or [str(row["label"]) for row in sorted(rows, key=lambda row: -float(row["value"]))]
    axis = alt.Axis() if axis_format is None else alt.Axis(format=axis_format)
    base = alt.Chart(points(list(rows))).encode(
        y=alt.Y(
            "label:N",
            sort=list(labels),
            title=None,
            axis=alt.Axis(domain=False, ticks=False, labelColor=INK, labelLimit=260),
        )
    )
    rule = base.mark_rule(strokeWidth=3, opacity=0.45, color=CATEGORIES[0]).encode(
        x=alt.X("low:Q", title=title, axis=axis), x2="high:Q"
    )
    dot = base.mark_circle(size=70, opacity=1, color=CATEGORIES[0]).encode(x="value:Q")
    zero = alt.Chart(points([{"x": 0.0}])).mark_rule(color=INK, strokeDash=[3, 3]).encode(x="x:Q")
    return svg((zero + rule + dot).properties(width=width, height=alt.Step(28)), name, description)
