"""How all charts look, and how an Altair chart becomes an inline SVG."""

from __future__ import annotations

import io
import re
from typing import Any

import altair as alt

from cartsight.reporting.formatting import currency_symbol
from cartsight.reporting.palette import INK, LINE, MUTED, arm_colours

FONT = "Arial, 'Liberation Sans', Helvetica, sans-serif"
"""Charts are laid out with the widths of these letters, so they are also drawn with them."""
WIDTH = 850
PANEL = 352
BARS = 610
_MEASURED_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
_ID = re.compile(r'\b(id="|url\(#|href="#)([A-Za-z][\w-]*)')
_SIZE = re.compile(r'<svg\b[^>]*?\swidth="([\d.]+)" height="([\d.]+)" viewBox="([^"]+)"')


def points(rows: list[dict[str, Any]]) -> alt.InlineData:
    """Return rows as the data of a chart, without pandas."""
    return alt.InlineData(values=rows)


def arm_colour_scale(document: dict[str, Any]) -> alt.Color:
    """Return the colour encoding of the arms; the legend stands above the figure in HTML."""
    colours = arm_colours(document["arms"])
    labels = [arm["label"] for arm in document["arms"]]
    scale = alt.Scale(domain=labels, range=[colours[arm["name"]] for arm in document["arms"]])
    return alt.Color("arm:N", scale=scale, legend=None)


def arm_axis(document: dict[str, Any], **more: Any) -> alt.Y:
    """Return a vertical axis of arm labels in the order of the scenario."""
    labels = [arm["label"] for arm in document["arms"]]
    return alt.Y(
        "arm:N",
        sort=labels,
        title=None,
        axis=alt.Axis(domain=False, ticks=False, labelPadding=8, labelColor=INK),
        **more,
    )


def thousands_format(unit: str) -> str:
    """Return a Vega expression that labels an axis of money in thousands or millions."""
    symbol = currency_symbol(unit).replace("'", "")
    size = "abs(datum.value)"
    return (
        f"(datum.value < 0 ? '−' : '') + '{symbol}' + ({size} >= 1e6 ? format({size} / 1e6, '.2~f') + 'm' : "
        f"{size} >= 1e3 ? format({size} / 1e3, ',.3~f') + 'k' : format({size}, '.3~f'))"
    )


def money_axis(unit: str, **more: Any) -> alt.Axis:
    """Return an axis of money."""
    return alt.Axis(labelExpr=thousands_format(unit), **more)


def svg(chart: alt.TopLevelMixin, name: str, description: str) -> str:
    """Return an Altair chart as an inline SVG that scales with its container.

    Parameters
    ----------
    chart : Altair chart
    name : str
        Unique in the page; prefixes the ids inside, which several inline SVGs would otherwise share.
    description : str
        What the chart shows, for readers who cannot see it.
    """
    buffer = io.StringIO()
    chart.configure(**_configuration()).save(buffer, format="svg")
    return embedded(buffer.getvalue(), name, description)


def embedded(text: str, name: str, description: str) -> str:
    """Return an SVG file's text ready to stand in a page."""
    text = text.strip()
    # The counter in these ids runs on from chart to chart, so the same chart would differ from one run to the next.
    places: dict[str, int] = {}
    text = _ID.sub(lambda m: f"{m.group(1)}{name}-{places.setdefault(m.group(2), len(places))}", text)
    text = text.replace(_MEASURED_FONT, FONT.replace("'", "&apos;"))
    found = _SIZE.match(text)
    if found is not None:
        width, height, box = found.groups()
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" style="width:100%;max-width:{width}px;aspect-ratio:{width}/{height}"'
        text = head + text[found.end() :]
    text = re.sub(
        r' role="graphics-(?:object|symbol)"| aria-roledescription="[^"]*"| aria-hidden="true"| aria-label="[^"]*"',
        "",
        text,
    )
    return text.replace("<svg ", f'<svg role="img" aria-label="{escaped(description)}" ', 1)


def escaped(text: str) -> str:
    """Return text safe inside an attribute or element."""
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


def _configuration() -> dict[str, Any]:
    axis = {
        "labelFont": _MEASURED_FONT,
        "titleFont": _MEASURED_FONT,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titleColor": MUTED,
        "labelColor": MUTED,
        "gridColor": "#eceff2",
        "domainColor": LINE,
        "tickColor": LINE,
        "titlePadding": 8,
        "labelLimit": 320,
        "labelFlush": False,
    }
    return {
        "background": "transparent",
        "font": _MEASURED_FONT,
        "view": {"stroke": None},
        "axis": axis,
        "legend": {
            "labelFont": _MEASURED_FONT,
            "titleFont": _MEASURED_FONT,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "titleColor": MUTED,
            "labelColor": INK,
            "labelLimit": 260,
            "symbolSize": 110,
        },
        "title": {
            "font": _MEASURED_FONT,
            "fontSize": 13,
            "fontWeight": 600,
            "color": INK,
            "anchor": "start",
            "offset": 8,
        },
        "text": {"font": _MEASURED_FONT, "fontSize": 12, "color": INK},
        "header": {"labelFont": _MEASURED_FONT, "titleFont": _MEASURED_FONT},
    }
