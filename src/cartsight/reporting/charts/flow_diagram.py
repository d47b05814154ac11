"""The flow diagram: from referral to infusion, a ribbon as broad as the share that is left, and where the rest went."""

from __future__ import annotations

from typing import Any

from cartsight.reporting.charts.style import FONT, escaped
from cartsight.reporting.formatting import percent
from cartsight.reporting.palette import INK, MUTED, arm_colours

WIDTH, RIGHT = 920, 74
RIBBON = 80.0
TOP = 40.0
DROP = 22.0
LINE_HEIGHT = 13.5
SMALLEST_NAMED = 0.005
LOST = "#c4cad2"


def flow_diagram(document: dict[str, Any], arm: dict[str, Any]) -> str:
    """Return the diagram of one arm as an inline SVG."""
    colour = arm_colours(document["arms"])[arm["name"]]
    stages = arm["flow"]["stages"]
    gap = (WIDTH - RIGHT - 6) / max(len(stages) - 1, 1)
    lost_after = [_losses(arm, stage["name"]) for stage in stages]
    lines = max((sum(len(_wrapped(text, gap)) for text in texts) for texts in lost_after), default=0)
    height = TOP + RIBBON + DROP + 10 + lines * LINE_HEIGHT
    parts = []
    for i, stage in enumerate(stages):
        x, h = 3 + i * gap, RIBBON * stage["share"]
        if i + 1 < len(stages):
            kept = RIBBON * stages[i + 1]["share"]
            parts.append(
                f'<rect x="{x:.1f}" y="{TOP:.1f}" width="{gap:.1f}" height="{max(kept, 0.5):.1f}" fill="{colour}" opacity="0.25"/>'
            )
            if h - kept > 0.05:
                parts.append(_lost_ribbon(x, gap, kept, h))
                parts += _texts(lost_after[i], x + 0.16 * gap, gap)
        parts.append(f'<rect x="{x - 2:.1f}" y="{TOP:.1f}" width="5" height="{max(h, 1):.1f}" fill="{colour}"/>')
        parts.append(_text(x - 2, TOP - 24, stage["name"], size=11, colour=MUTED))
        parts.append(_text(x - 2, TOP - 8, percent(stage["share"]), size=13, colour=INK, weight=600))
    description = f"{arm['label']}: " + ", ".join(f"{s['name']} {percent(s['share'])}" for s in stages)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escaped(description)}" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" style="width:100%;aspect-ratio:{WIDTH}/{height:.0f}" '
        f'font-family="{escaped(FONT)}">{"".join(parts)}</svg>'
    )


def _losses(arm: dict[str, Any], stage: str) -> list[str]:
    rows = [row for row in arm["flow"]["losses"] if row["after"] == stage]
    named = [f"{percent(row['share'])} {row['reason']}" for row in rows if row["share"] >= SMALLEST_NAMED]
    rest = sum(row["share"] for row in rows if row["share"] < SMALLEST_NAMED)
    return named + ([f"{percent(rest)} other reasons"] if rest >= 0.0005 else [])


def _lost_ribbon(x: float, gap: float, kept: float, height: float) -> str:
    """Return the part that bends down: from the stage's bar to the lane of losses, as broad as its share."""
    top, bottom = TOP + kept, TOP + height
    lane = TOP + RIBBON + DROP
    right = x + 0.16 * gap
    breadth = max(bottom - top, 0.6)
    bend = min(0.5 * gap, breadth + 14)
    return (
        f'<path d="M{x:.1f},{top:.1f} C{right + bend:.1f},{top:.1f} {right + breadth:.1f},{top + 10:.1f} {right + breadth:.1f},{lane:.1f} '
        f'L{right:.1f},{lane:.1f} C{right:.1f},{bottom + 8:.1f} {right - 0.1 * gap:.1f},{bottom:.1f} {x:.1f},{bottom:.1f} Z" fill="{LOST}"/>'
    )


def _texts(texts: list[str], x: float, gap: float) -> list[str]:
    y = TOP + RIBBON + DROP + 14
    found = []
    for text in texts:
        for line in _wrapped(text, gap):
            found.append(_text(x, y, line, size=11, colour=INK))
            y += LINE_HEIGHT
    return found


def _wrapped(text: str, gap: float) -> list[str]:
    limit = max(10, int(gap / 6.2))
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > limit:
            lines.append(line)
            line = "  " + word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def _text(x: float, y: float, text: str, *, size: float, colour: str, weight: int = 400) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" font-weight="{weight}" '
        f'xml:space="preserve">{escaped(text)}</text>'
    )
