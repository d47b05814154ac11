"""One colour per arm, the same in every chart: hue by modality, from the colour-blind safe set of Okabe and Ito."""

from __future__ import annotations

from typing import Any

_BY_MODALITY = {
    "autologous": ("#0072B2", "#56B4E9", "#08306B", "#9ECAE1"),
    "allogeneic": ("#D55E00", "#E69F00", "#8C2D04", "#FDAE6B"),
    "in_vivo": ("#009E73", "#66C2A4", "#00441B", "#B2E2CD"),
    "other_care": ("#6E6E6E", "#A6A6A6"),
}
_DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3))
CATEGORIES = (
    "#4477AA",
    "#EE9955",
    "#66AABB",
    "#AA3377",
    "#228833",
    "#CCBB44",
    "#BBBBBB",
    "#555555",
    "#99CCEE",
    "#882255",
    "#DDCC77",
    "#332288",
    "#44AA99",
    "#CC6677",
)
"""For stacked categories: Tol's bright set, toned for areas; always read with white gaps and a legend."""
INK, MUTED, LINE, BAND = "#1a1d21", "#5b6470", "#d8dde3", "#eef1f4"
STEPS = ("#34556F", "#5B7D99", "#88A5BD", "#B3C7D8", "#CFDCE7")
PHASES = {
    "waiting for a line and collection": "#E0A030",
    "waiting for collection": "#E0A030",
    "waiting for a dose in stock": "#E0A030",
    "shipping to the plant": "#9A9A9A",
    "shipping and waiting for a line": "#C9862B",
    "failed batches and remakes": "#B3401A",
    "manufacturing and release testing": "#1F6F5C",
    "delivery and preparation": "#6FB3A2",
}
"""Phases of the way to a product; the care pathway's own steps take the blues of `STEPS`."""
STATE_COLOURS = {
    "in response": "#1F6F5C",
    "in response after transplant": "#5FA38F",
    "in response to a later line": "#A6CFC2",
    "after infusion, before response": "#88A5BD",
    "waiting": "#5B7D99",
    "after relapse or no response": "#E0A030",
    "secondary malignancy": "#AA3377",
    "other care": "#BDBDBD",
    "dead": "#ECEFF2",
}
"""Health states from the bottom of the stack: disease under control, on the way, out of control, dead."""
GOOD, BAD = "#1b7f5c", "#b3401a"


def arm_colours(arms: list[dict[str, Any]]) -> dict[str, str]:
    """Return {arm name: colour}."""
    used: dict[str, int] = {}
    colours = {}
    for arm in arms:
        hues = _BY_MODALITY[arm["modality"]]
        place = used.get(arm["modality"], 0)
        colours[arm["name"]] = hues[place % len(hues)]
        used[arm["modality"]] = place + 1
    return colours


def arm_dashes(arms: list[dict[str, Any]]) -> dict[str, list[int]]:
    """Return {arm name: dash pattern}, so that lines of one hue stay apart in grey print."""
    used: dict[str, int] = {}
    dashes = {}
    for arm in arms:
        place = used.get(arm["modality"], 0)
        dashes[arm["name"]] = list(_DASHES[place % len(_DASHES)])
        used[arm["modality"]] = place + 1
    return dashes
