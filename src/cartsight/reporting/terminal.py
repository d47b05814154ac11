"""The comparison in a terminal: arms as columns, stacked in blocks where they do not fit, the answer below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cartsight.reporting.answer import net_benefit_at_threshold
from cartsight.reporting.formatting import (
    MISSING,
    currency_symbol,
    days,
    exact_money,
    is_money,
    list_of,
    money_words,
    percent,
    plain_number,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

LABEL_WIDTH, ARM_WIDTH = 24, 13
ROWS: tuple[tuple[str, str], ...] = (
    ("median_referral_to_infusion_days", "Days to infusion, median"),
    ("share_infused_of_referred", "Infused, of referred"),
    ("overall_survival_referred_at_24_months", "Alive at 2 years"),
    ("overall_survival_referred_at_60_months", "Alive at 5 years"),
    ("life_years_per_referred", "Life-years"),
    ("qalys_per_referred", "QALYs, discounted"),
    ("cost_of_goods_per_infused", "Cost of goods, infused"),
    ("price", "Product price"),
    ("cost_per_referred", "Total cost, discounted"),
    ("line_utilisation", "Lines in use"),
    ("net_benefit", "Net benefit"),
    ("probability_best", "Best, of draws"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A value and the interval under it, as text."""

    value: str
    interval: str


def cell(document: dict[str, Any], arm: dict[str, Any], row: str) -> Cell:
    """Return what stands in the table for an arm and a row of `ROWS`; the interval is in the unit of the value."""
    money = document["analysis"]["money"]
    if row == "price":
        return Cell(exact_money(arm["price"]["value"], money) if arm["price"] else MISSING, "")
    if row == "net_benefit":
        summary = net_benefit_at_threshold(document).get(arm["name"])
        return Cell(MISSING, "") if summary is None else _cell(summary["mean"], summary["low"], summary["high"], money)
    if row == "probability_best":
        chances = document["decision"]["probability_best"] if document["decision"] else None
        return Cell(percent(chances[arm["name"]]) if chances else MISSING, "")
    metric = arm["metrics"][row]
    value = metric["base"] if metric["mean"] is None else metric["mean"]
    return _cell(value, metric["low"], metric["high"], metric["unit"])


def _cell(value: float | None, low: float | None, high: float | None, unit: str) -> Cell:
    if value is None:
        return Cell(MISSING, "")
    scale, decimals, before, after = 1.0, 2, "", ""
    largest = max(abs(v) for v in (value, low, high) if v is not None)
    if unit in ("probability", "fraction"):
        scale, decimals, after = 100.0, 0 if value >= 0.0995 or largest == 0.0 else 1, "%"
    elif unit == "days":
        decimals = 0 if value >= 9.95 else 1
    elif is_money(unit):
        before = currency_symbol(unit)
        scale, decimals, after = (1e-6, 2, "m") if largest >= 999_500 else (1e-3, 0, "k")

    def text(v: float) -> str:
        return plain_number(v * scale, decimals)

    shown = text(value)
    sign, size = ("−", shown[1:]) if shown.startswith("−") else ("", shown)
    ends = f"{text(low)} to {text(high)}" if low is not None and high is not None else ""
    return Cell(f"{sign}{before}{size}{after}", ends)


def print_document(console: Console, document: dict[str, Any], *, report: str | None, folder: str | None) -> None:
    """Print the table of arms, the answer, the validation and where the files are."""
    console.print(f"[bold]{_safe(document['scenario']['title'])}[/bold]", soft_wrap=False)
    for number, table in enumerate(comparison_tables(document, console.width)):
        if number:
            console.print()
        console.print(table)
    console.print(caption(document), style="dim")
    console.print()
    for number, sentence in enumerate(document["answer"]["sentences"], start=1):
        console.print(f"{number}. {_safe(sentence)}")
    validation = validation_line(document)
    if validation:
        console.print()
        console.print(_safe(validation))
    console.print()
    if report is not None:
        console.print(f"Report: {_safe(report)}", soft_wrap=True)
    elif folder is not None:
        console.print(f"Run folder: {_safe(folder)}", soft_wrap=True)


def comparison_tables(document: dict[str, Any], width: int) -> list[Table]:
    """Return one table, or several with the arms spread over them, none wider than `width` columns."""
    from rich.table import Table

    arms = document["arms"]
    fitting = max(1, (width - LABEL_WIDTH) // (ARM_WIDTH + 1))
    blocks = -(-len(arms) // fitting)
    per_table = -(-len(arms) // blocks)
    tables = []
    for first in range(0, len(arms), per_table):
        shown = arms[first : first + per_table]
        table = Table(box=None, padding=(0, 0, 0, 1), pad_edge=False, show_header=True, header_style="bold")
        table.add_column("", width=min(LABEL_WIDTH, max(12, width - ARM_WIDTH - 1)))
        for arm in shown:
            table.add_column(_safe(arm["label"]), width=ARM_WIDTH, justify="right")
        for row, label in ROWS:
            cells = [cell(document, arm, row) for arm in shown]
            if all(c.value == MISSING for c in cells) and row in ("net_benefit", "probability_best"):
                continue
            table.add_row(label, *(f"{c.value}\n[dim]{c.interval}[/dim]" if c.interval else c.value for c in cells))
        tables.append(table)
    return tables


def caption(document: dict[str, Any]) -> str:
    """Return what the numbers of the table are."""
    analysis = document["analysis"]
    threshold = exact_money(analysis["decision_threshold"], analysis["money"])
    unit = money_words(analysis["money"])
    if document["kind"] == "run":
        return f"Point values only: no uncertainty. Per referred patient unless stated; {unit}."
    return (
        f"Mean of {analysis['draws']} parameter draws, 95% interval of the draws below it. Per referred patient unless "
        f"stated; {unit}; net benefit at {threshold} per QALY."
    )


def validation_line(document: dict[str, Any]) -> str | None:
    """Return how many published figures are met, and which are not."""
    rows = document["validation"]
    if not rows:
        return None
    missed = [row["label"] for row in rows if not row["passes"]]
    text = f"Validation: {len(rows) - len(missed)} of {len(rows)} published figures met."
    return text + (f" Missed: {'; '.join(missed)}." if missed else "")


def print_flow(console: Console, document: dict[str, Any]) -> None:
    """Print where the patients of each arm were lost and where the days of the infused went."""
    for arm in document["arms"]:
        ends = list_of([f"{percent(row['share'])} {row['reason']}" for row in arm["statuses"]])
        console.print(f"[bold]{_safe(arm['label'])}[/bold]: {_safe(ends)}.")
        spent = [f"{days(row['mean_days'])} {row['phase']}" for row in arm["days_spent"] if row["mean_days"] >= 0.05]
        if spent:
            console.print(_safe(f"  Mean days of the infused: {list_of(spent)}."), style="dim")


def _safe(text: str) -> str:
    from rich.markup import escape

    return escape(text)
