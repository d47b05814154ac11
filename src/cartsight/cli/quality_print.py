"""How the statistics of the quality room are printed."""

from __future__ import annotations

import math

from cartsight.cli.output import stderr_console, stdout_console
from cartsight.cli.quality_potency import number


def remarks(words: tuple[str, ...] | list[str], quiet: bool) -> None:
    """Print remarks on stderr."""
    console = stderr_console(quiet)
    for word in words:
        console.print(f"note: {word}", markup=False)


def print_rows(title: str, rows: list[tuple[str, str]]) -> None:
    """Print names and values as a table."""
    from rich.table import Table

    table = Table(title=title, show_header=False)
    table.add_column("name")
    table.add_column("value")
    for name, value in rows:
        table.add_row(name, value)
    stdout_console().print(table)


def print_table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Print a table, numbers to the right."""
    from rich.table import Table

    table = Table(title=title)
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*row)
    stdout_console().print(table)


def interval_text(low: float, high: float) -> str:
    """Return an interval as text."""
    if math.isnan(low) and math.isnan(high):
        return "-"
    return f"{number(low, 5)} to {number(high, 5)}"
