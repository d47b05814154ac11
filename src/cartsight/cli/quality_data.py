"""`cartsight quality data`: import, report, bridge and export assay results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cartsight.cli.output import Json, Quiet, plain, stderr_console, stdout_console
from cartsight.cli.quality_audit import print_audited

if TYPE_CHECKING:
    from cartsight.evidence.quality.results_table import DataReport, ResultTable

app = typer.Typer(help="Assay results of any laboratory in one tidy table.", no_args_is_help=True)

Files = Annotated[
    list[Path], typer.Argument(help="CSV, .xlsx, ASM .json, .fcs or instrument exports.", show_default=False)
]
MappingFile = Annotated[Path | None, typer.Option("--mapping", help="Mapping file (TOML) for CSV and Excel.")]
Vendor = Annotated[str | None, typer.Option(help="Instrument of the exports (name of an allotropy parser).")]
GatesFile = Annotated[Path | None, typer.Option("--gates", help="Gates and compensation (TOML) for FCS files.")]
Lab = Annotated[str, typer.Option(help="Laboratory of files that do not name one.")]


def register(group: typer.Typer) -> None:
    """Add the group of commands."""
    group.add_typer(app, name="data")


def _read(files: list[Path], mapping: Path | None, vendor: str | None, gates: Path | None, lab: str) -> ResultTable:
    from cartsight.core.errors import InputError
    from cartsight.evidence.quality.results_table import (
        ResultTable,
        read_allotrope,
        read_compensation,
        read_fcs,
        read_gates,
        read_instrument,
        read_mapping,
        read_spreadsheet,
    )

    chosen = read_mapping(mapping) if mapping is not None else None
    table = ResultTable(())
    for file in files:
        suffix = file.suffix.lower()
        if suffix == ".fcs":
            if gates is None:
                raise InputError("FCS files need --gates: cartsight does not gate by itself", file=file)
            found = read_fcs(file, read_gates(gates), lab=lab, compensation=read_compensation(gates))
        elif vendor is not None:
            found = read_instrument(file, vendor, lab)
        elif suffix == ".json":
            found = read_allotrope(file, lab)
        else:
            found = read_spreadsheet(file, chosen)
        table = table.joined(found)
    return table


def _print_report(report: DataReport, quiet: bool) -> None:
    from rich.table import Table

    console = stdout_console()
    table = Table(title=f"{report.kept} results from {report.rows} rows, {report.dropped} dropped")
    table.add_column("attribute", overflow="fold")
    table.add_column("unit")
    for header in ("results", "batches", "labs", "sites", "censored"):
        table.add_column(header, justify="right")
    for item in report.attributes:
        counts = (item.results, item.batches, item.labs, item.sites, item.censored)
        table.add_row(item.attribute, item.unit, *map(str, counts))
    console.print(table)
    if report.dropped_rows:
        table = Table(title="Dropped rows" + (" (first 20)" if report.dropped > 20 else ""))
        for header in ("file", "line", "reason", "found"):
            table.add_column(header, overflow="fold")
        for row in report.dropped_rows[:20]:
            table.add_row(row.source, str(row.line), row.reason, row.found)
        console.print(table)
    words = stderr_console(quiet)
    for remark in report.remarks:
        words.print(f"note: {remark}", markup=False)


@app.command("import")
def import_results(
    files: Files,
    output: Annotated[Path, typer.Option("--output", "-o", help="Tidy table to write: .csv, .parquet or .json (ASM).")],
    mapping: MappingFile = None,
    vendor: Vendor = None,
    gates: GatesFile = None,
    lab: Lab = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Read files into one tidy table, write it, and say what was dropped and why."""
    from cartsight.evidence.quality.results_table import data_report, write_table

    table = _read(files, mapping, vendor, gates, lab)
    written = write_table(table, output)
    report = data_report(table)
    if as_json:
        print_audited({"written": str(written), **plain(report)}, files)
    else:
        _print_report(report, quiet)
        stderr_console(quiet).print(f"written: {written}", markup=False)


@app.command("report")
def report_results(
    files: Files,
    mapping: MappingFile = None,
    vendor: Vendor = None,
    gates: GatesFile = None,
    lab: Lab = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what the files hold, what was dropped and why, and what the table cannot answer."""
    from cartsight.evidence.quality.results_table import data_report

    report = data_report(_read(files, mapping, vendor, gates, lab))
    if as_json:
        print_audited(report, files)
    else:
        _print_report(report, quiet)


@app.command("bridge")
def bridge_results(
    files: Files,
    reference: Annotated[str, typer.Option(help="Batch identifier of the common reference material.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Bridged table to write.")] = None,
    assigned: Annotated[
        list[str] | None, typer.Option(help="Assigned value of the reference: ATTRIBUTE=VALUE (repeatable).")
    ] = None,
    by: Annotated[str, typer.Option(help="What has a calibration of its own: lab, assay, site, run, date.")] = "lab",
    mapping: MappingFile = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Express results relative to a common reference measured by every laboratory."""
    from rich.table import Table

    from cartsight.core.errors import InputError
    from cartsight.evidence.quality.results_table import bridge, write_table

    values: dict[str, float] = {}
    for text in assigned or []:
        name, _, number = text.partition("=")
        try:
            values[name.strip()] = float(number)
        except ValueError:
            raise InputError("needs ATTRIBUTE=VALUE", field="--assigned", found=text) from None
    table = _read(files, mapping, None, None, "")
    done = bridge(table, reference, assigned=values, by=[name.strip() for name in by.split(",")])
    if output is not None:
        write_table(done.table, output)
    if as_json:
        document: dict[str, Any] = {
            "reference": reference,
            "factors": plain(done.factors),
            "effects": plain(done.effects),
            "results": len(done.table),
            "dropped": plain(done.table.dropped),
            "remarks": list(done.remarks),
        }
        print_audited(document, files)
    else:
        grid = Table(title=f"Factors to {reference}")
        for header in ("attribute", "group", "factor", "95 % interval", "n"):
            grid.add_column(header, justify="left" if header in ("attribute", "group") else "right")
        for item in done.factors:
            interval = f"{item.lower:.4g} to {item.upper:.4g}" if item.lower == item.lower else "unknown"
            grid.add_row(
                item.attribute, " / ".join(item.group), f"{item.factor:.4g}", interval, str(item.reference_results)
            )
        stdout_console().print(grid)
        for effect in done.effects:
            stdout_console().print(
                f"{effect.attribute}: sd of ln between groups on {effect.shared_batches} shared batches "
                f"{effect.between_sd_before:.4g} before, {effect.between_sd_after:.4g} after"
            )
    console = stderr_console(quiet)
    for remark in done.remarks:
        console.print(f"note: {remark}", markup=False)


@app.command("export")
def export_results(
    files: Files,
    output: Annotated[Path, typer.Option("--output", "-o", help=".csv, .parquet, or .json (ASM-shaped).")],
    mapping: MappingFile = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write tidy tables in another format."""
    from cartsight.evidence.quality.results_table import write_table

    table = _read(files, mapping, None, None, "")
    written = write_table(table, output)
    if as_json:
        print_audited({"written": str(written), "results": len(table), "dropped": len(table.dropped)}, files)
    else:
        stderr_console(quiet).print(f"written: {written} ({len(table)} results)", markup=False)
