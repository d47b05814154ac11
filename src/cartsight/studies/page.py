"""A study as one HTML page and one JSON file."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from cartsight.core.errors import InputError
from cartsight.reporting.palette import INK, LINE, MUTED
from cartsight.studies.answers import Answer, Figure, StudyResult

_STYLE = f"""
body {{ font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif; color: {INK}; margin: 0 auto;
  max-width: 50rem; padding: 1.5rem 1rem 4rem; }}
h1 {{ font-size: 1.7rem; line-height: 1.2; }} h2 {{ font-size: 1.25rem; margin-top: 3rem; line-height: 1.3; }}
p.note, caption, figcaption, footer {{ color: {MUTED}; font-size: 0.9rem; text-align: left; }}
table {{ border-collapse: collapse; font-size: 0.88rem; margin: 1rem 0; }}
div.wide {{ overflow-x: auto; }}
td, th {{ border-bottom: 1px solid {LINE}; padding: 0.25rem 0.7rem 0.25rem 0; text-align: right; vertical-align: top; }}
td:first-child, th:first-child {{ text-align: left; }} th {{ font-weight: 600; }}
figure {{ margin: 1rem 0; }} svg {{ height: auto; }}
"""


def number_text(value: Any) -> str:
    """Return a number with as many digits as its size deserves; text as it is."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        size = abs(value)
        return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.3g}"
    return str(value)


def figure_text(figure: Figure) -> str:
    """Return value, interval and unit."""
    if figure.unit in ("share", "probability"):
        text = f"{figure.value:.1%}"
        interval = None if figure.low is None or figure.high is None else f"{figure.low:.1%} to {figure.high:.1%}"
    else:
        text = number_text(figure.value)
        low, high = figure.low, figure.high
        interval = None if low is None or high is None else f"{number_text(low)} to {number_text(high)}"
        text = f"{text} {figure.unit}".strip()
    return text if interval is None else f"{text} ({interval})"


def _table(rows: tuple[dict[str, Any], ...]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(str(key).replace('_', ' '))}</th>" for key in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(number_text(value))}</td>" for value in row.values()) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _items(title: str, items: tuple[str, ...]) -> str:
    if not items:
        return ""
    return f"<p><strong>{escape(title)}</strong></p><ul>" + "".join(f"<li>{escape(i)}</li>" for i in items) + "</ul>"


def _answer(answer: Answer) -> str:
    figures = "".join(
        f"<tr><td>{escape(f.label)}</td><td>{escape(figure_text(f))}</td><td>{escape(f.spread if f.low is not None else '')}</td></tr>"
        for f in answer.figures
    )
    return (
        f"<section><h2>{escape(answer.question)}</h2><p>{escape(answer.answer)}</p><figure>{answer.chart}</figure>"
        f'<div class="wide"><table><thead><tr><th>Figure</th><th>Value</th><th>Interval</th></tr></thead><tbody>{figures}'
        f"</tbody></table></div>{_table(answer.rows)}{_items('What would change the answer', answer.would_change)}"
        f"{_items('Weakest numbers', answer.weakest)}</section>"
    )


def study_page(result: StudyResult) -> str:
    """Return a study as one self-contained HTML page."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Study {escape(result.code)}: {escape(result.title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>Study {escape(result.code)}: {escape(result.title)}</h1><p>{escape(result.summary)}</p>"
        f'<p class="note">Scenario {escape(result.scenario)}, {escape(result.money)}, {result.draws} parameter draws, '
        f"seed {result.seed}.</p>"
        + "".join(_answer(answer) for answer in result.answers)
        + _items("Assumptions of the study, beyond the scenario's own", result.assumptions)
        + _items("Sources", result.sources)
        + "</body></html>\n"
    )


def write_study(result: StudyResult, folder: Path) -> tuple[Path, Path]:
    """Write `study.html` and `study.json` into a folder, made when absent.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    page, data = folder / "study.html", folder / "study.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        page.write_text(study_page(result), encoding="utf-8")
        text = json.dumps(result.as_dict(charts=False), indent=2, ensure_ascii=False, allow_nan=False)
        data.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=folder) from None
    return page, data
