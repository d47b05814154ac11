"""Chart of the health states of the referred over time: what a cohort model calls its trace."""

from __future__ import annotations

from typing import Any

import altair as alt

from cartsight.reporting.charts.style import points, svg
from cartsight.reporting.palette import STATE_COLOURS

WIDTH, HEIGHT = 230, 150
COLUMNS = 3


def states_chart(document: dict[str, Any]) -> str | None:
    """Return stacked areas of the share of the referred in each state, one panel per arm; None in older documents."""
    arms = [arm for arm in document["arms"] if arm.get("states")]
    if not arms:
        return None
    names = list(state_colours(document))
    panels = []
    for arm in arms:
        states = arm["states"]
        rows = [
            {"state": name, "order": names.index(name), "year": month / 12.0, "share": shares[i]}
            for name, shares in states["shares"].items()
            for i, month in enumerate(states["months"])
        ]
        panels.append(
            alt.Chart(points(rows), title=arm["label"])
            .mark_area()
            .encode(
                x=alt.X("year:Q", title="Years since referral", axis=alt.Axis(grid=False, tickCount=6)),
                y=alt.Y(
                    "share:Q",
                    title="Share of the referred",
                    stack="zero",
                    axis=alt.Axis(format=".0%", tickCount=3),
                    scale=alt.Scale(domain=[0, 1]),
                ),
                color=alt.Color(
                    "state:N", scale=alt.Scale(domain=names, range=[STATE_COLOURS[n] for n in names]), legend=None
                ),
                order=alt.Order("order:O"),
            )
            .properties(width=WIDTH, height=HEIGHT)
        )
    lines = [alt.hconcat(*panels[i : i + COLUMNS], spacing=24) for i in range(0, len(panels), COLUMNS)]
    return svg(
        alt.vconcat(*lines, spacing=20), "states", "Share of the referred in each health state over time, by arm"
    )


def state_colours(document: dict[str, Any]) -> dict[str, str]:
    """Return {state: colour} of the states that occur, in the order in which they are stacked."""
    found = {name for arm in document["arms"] if arm.get("states") for name in arm["states"]["shares"]}
    return {name: colour for name, colour in STATE_COLOURS.items() if name in found}
