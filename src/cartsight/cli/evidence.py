"""``cartsight evidence``: list, show and search the cited figures that ship with the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cartsight.cli.output import Json, Quiet, print_json, stderr_console, stdout_console

if TYPE_CHECKING:
    from cartsight.evidence.literature import EvidenceRow

app = typer.Typer(help="Cited figures: list, show and search the literature tables.", no_args_is_help=True)

Theme = Annotated[str | None, typer.Option("--theme", help="Only rows of this theme.")]
Status = Annotated[str | None, typer.Option("--status", help="Only rows of this status: read or unverified.")]
UnitOption = Annotated[str | None, typer.Option("--unit", help="Only rows in this unit, for example days.")]


@app.command("list")
def list_rows(
    theme: Theme = None,
    status: Status = None,
    unit: UnitOption = None,
    excluded: bool = typer.Option(False, "--excluded", help="The records that were left out, with the reason."),
    json_output: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the rows of the literature tables, or with --excluded the records that were left out."""
    from cartsight.core.errors import InputError
    from cartsight.evidence.literature import load_evidence

    table = load_evidence()
    if excluded:
        if status is not None or unit is not None:
            raise InputError("--excluded goes with --theme only", found="--status" if status else "--unit")
        table.select(theme=theme)  # refuses an unknown theme
        left_out = [row for row in table.excluded if theme in (None, row.theme)]
        if json_output:
            print_json({"count": len(left_out), "excluded": left_out})
            return
        _print_table(("id", "quantity", "left out because"), [(row.id, row.quantity, row.reason) for row in left_out])
        stderr_console(quiet).print(f"{len(left_out)} records left out of the tables.")
        return
    rows = table.select(unit=unit, theme=theme, status=status)
    if json_output:
        print_json({"count": len(rows), "rows": [row.as_dict() for row in rows]})
        return
    _print_rows(rows)
    stderr_console(quiet).print(
        f"{len(rows)} rows; * marks a figure from memory. `cartsight evidence show ID` says all about one."
    )


@app.command()
def show(
    row_id: str = typer.Argument(..., metavar="ID", help="Id of a row, for example EC001."),
    json_output: Json = False,
) -> None:
    """Show everything about one row: figure, what its interval means, source, and what to beware of."""
    from cartsight.evidence.literature import load_evidence

    row = load_evidence().row(row_id)
    if json_output:
        print_json(row.as_dict())
        return
    lines = [
        ("quantity", row.quantity),
        ("in", row.applies_to),
        ("value", _figure(row)),
        ("of", row.denominator),
        ("statistic", row.statistic.replace("_", " ")),
        ("counted", _counted(row)),
        ("interval", f"{row.interval}: {row.interval_meaning}"),
        ("status", row.status if row.verified else "unverified: from memory, not read in the source named"),
        ("price year", _price_year(row)),
        ("beware", row.caution),
        ("note", row.note),
        ("source", f"{row.source.citation()} (key {row.source.key})"),
        ("recorded as", f"{row.source_detail}. {row.locator}" if row.locator else row.source_detail),
        ("original", _original(row)),
    ]
    _print_pairs(f"{row.id}  ({row.theme})", [(name, text) for name, text in lines if text])


@app.command()
def search(
    words: Annotated[
        list[str],
        typer.Argument(metavar="WORDS...", help="Words to look for, for example: axi-cel overall survival."),
    ],
    theme: Theme = None,
    status: Status = None,
    unit: UnitOption = None,
    json_output: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search the rows, best match first."""
    from cartsight.evidence.literature import load_evidence

    rows = load_evidence().search(" ".join(words), unit=unit, theme=theme, status=status)
    if json_output:
        print_json({"query": " ".join(words), "count": len(rows), "rows": [row.as_dict() for row in rows]})
        return
    if rows:
        _print_rows(rows)
    stderr_console(quiet).print(f"{len(rows)} rows match; * marks a figure from memory.")


def _print_rows(rows: Sequence[EvidenceRow]) -> None:
    _print_table(
        ("id", "quantity", "in", "value", "unit"),
        [(row.id + ("" if row.verified else "*"), row.quantity, row.applies_to, _value(row), row.unit) for row in rows],
    )


def _value(row: EvidenceRow) -> str:
    if isinstance(row.value, float):
        limits = "" if row.low is None and row.high is None else f" ({_limits(row)})"
        return f"{_short(row.value)}{limits}"
    return row.value if row.value is not None else _limits(row)


def _limits(row: EvidenceRow) -> str:
    low = "…" if row.low is None else _short(row.low)
    high = "…" if row.high is None else _short(row.high)
    return f"{low} to {high}"


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 and number == round(number) else f"{number:.10g}"


def _figure(row: EvidenceRow) -> str:
    return f"{_value(row)} {row.unit}" if row.unit not in ("text", "calendar_date") else _value(row)


def _counted(row: EvidenceRow) -> str:
    if row.events is not None and row.sample_size is not None:
        return f"{row.events:,} of {row.sample_size:,}"
    return f"n = {row.sample_size:,}" if row.sample_size is not None else ""


def _price_year(row: EvidenceRow) -> str:
    from cartsight.evidence.literature import PRICE_YEAR_BASES

    return "" if row.price_year is None else f"{row.price_year}. {PRICE_YEAR_BASES[row.price_year_basis]}"


def _original(row: EvidenceRow) -> str:
    limits = (
        f", {row.original_low or '…'} to {row.original_high or '…'}" if row.original_low or row.original_high else ""
    )
    return f"{row.original_value or 'no value'}{limits} [{row.original_unit}]"


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in columns:
        fixed = column == "id"
        table.add_column(
            column,
            no_wrap=fixed,
            overflow="fold",
            ratio=None if fixed else {"value": 2, "unit": 2}.get(column, 3),
        )
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    stdout_console().print(table)


def _print_pairs(title: str, pairs: Sequence[tuple[str, str]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    console = stdout_console()
    console.print(f"[bold]{escape(title)}[/bold]")
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in pairs:
        table.add_row(name, escape(text))
    console.print(table)
