"""A run folder as one xlsx workbook: inputs with sources, results, disaggregated costs and QALYs, frontier, CEAC, draws.

Values are written as numbers, not as text, and not as formulas: the workbook is a copy of the results for readers,
never a second model. Text from a scenario is written as text even where it begins with an equals sign, so that a
spreadsheet program runs nothing. Needs openpyxl, which comes with the extra ``xlsx``.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cartsight.comparison.single_arm import run_arms
from cartsight.core.errors import CartsightError, InputError
from cartsight.reporting.cheers import CITATION, cheers_checklist
from cartsight.reporting.hta_document import qaly_state_means, total_qalys
from cartsight.reporting.run_folder import RESOLVED, read_results
from cartsight.reporting.workbook_reviewer import reviewer_tables
from cartsight.scenario import Scenario

MAXIMUM_ROWS, MAXIMUM_COLUMNS = 1_048_576, 16_384
"""Limits of the xlsx format."""
WIDEST_COLUMN = 60
QALY_TOLERANCE = 1e-9
DRAW_TABLES: tuple[tuple[str, str], ...] = (("draws", "Draws"), ("draw_results", "Draw results"))

_QALY_METRICS = (
    "qalys_per_referred",
    "qalys_undiscounted_per_referred",
    "life_years_per_referred",
    "life_years_discounted_per_referred",
)

Cell = str | float | int | bool | None


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: name, header and rows."""

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def write_workbook(run_folder: Path, target: Path, *, force: bool = False) -> tuple[Sheet, ...]:
    """Write the workbook of a run folder and return its sheets.

    Parameters
    ----------
    run_folder : Path
        Written by `compare` or `run`.
    target : Path
        Ends in ``.xlsx``.
    force : bool
        Replace an existing file.

    Raises
    ------
    InputError
        No run folder, openpyxl is missing, the target exists or cannot be written. Nothing is left half written.
    """
    if target.suffix.lower() != ".xlsx":
        raise InputError("a workbook needs a name that ends in .xlsx", field="--output", found=str(target))
    if target.exists() and (target.is_dir() or not force):
        raise InputError("this file exists already", file=target, hint="Choose another name, or give --force.")
    if not target.absolute().parent.is_dir():
        raise InputError("no such folder", file=target.absolute().parent)
    _openpyxl()
    sheets = workbook_sheets(run_folder)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        _save(sheets, temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror or error}", file=target) from None
    finally:
        temporary.unlink(missing_ok=True)
    return sheets


def workbook_sheets(run_folder: Path) -> tuple[Sheet, ...]:
    """Return all sheets of a run folder, ready to write.

    Raises
    ------
    InputError
        Not a run folder.
    """
    document = read_results(run_folder)
    sheets = [_about(document), _inputs(document), _assumptions(document), _sources(document), _results(document)]
    sheets += [_costs(document), _qalys(run_folder, document)]
    if document["decision"] is not None:
        sheets += _decision(document)
    sheets += [Sheet(*table) for table in reviewer_tables(document)]
    if document["validation"]:
        sheets.append(_validation(document))
    sheets += [sheet for stem, name in DRAW_TABLES if (sheet := _parquet(run_folder, stem, name)) is not None]
    sheets.append(_cheers(document))
    return tuple(sheets)


def _openpyxl() -> Any:
    try:
        import openpyxl
    except ImportError:
        raise InputError(
            "writing xlsx needs openpyxl, which is not installed", hint="Install it with: pip install 'cartsight[xlsx]'"
        ) from None
    return openpyxl


def _save(sheets: Sequence[Sheet], path: Path) -> None:
    openpyxl = _openpyxl()
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = openpyxl.Workbook(write_only=True)
    bold = Font(bold=True)

    def cell(page: Any, value: Cell, font: Any = None) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            value = None
        if isinstance(value, str):
            value = ILLEGAL_CHARACTERS_RE.sub("", value)[:32_767]
        made = WriteOnlyCell(page, value=value)
        if isinstance(value, str):
            # Text that looks like a formula stays text.
            made.data_type = "s"
        if font is not None:
            made.font = font
        return made

    for sheet in sheets:
        page = book.create_sheet(sheet.name)
        page.freeze_panes = "A2"
        for column, width in enumerate(_widths(sheet), start=1):
            page.column_dimensions[get_column_letter(column)].width = width
        page.append([cell(page, text, bold) for text in sheet.header])
        for row in sheet.rows:
            page.append([cell(page, value) for value in row])
    book.save(path)


def _widths(sheet: Sheet) -> list[float]:
    shown = sheet.rows[:200]
    widths = []
    for column, title in enumerate(sheet.header):
        longest = max([len(title), *(len(_text(row[column])) for row in shown)], default=8)
        widths.append(float(min(max(longest + 2, 8), WIDEST_COLUMN)))
    return widths


def _text(value: Cell) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value if value is not None else "")


def _sheet(name: str, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> Sheet:
    made = Sheet(name, tuple(header), tuple(tuple(_cell(value) for value in row) for row in rows))
    if len(made.rows) + 1 > MAXIMUM_ROWS or len(made.header) > MAXIMUM_COLUMNS:
        raise InputError(
            f"the table {name!r} does not fit into a spreadsheet",
            found=f"{len(made.rows)} rows, {len(made.header)} columns",
            allowed=f"{MAXIMUM_ROWS} rows, {MAXIMUM_COLUMNS} columns",
            hint="Read the Parquet tables of the run folder instead.",
        )
    return made


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Sequence):
        return "; ".join(_text(_cell(item)) for item in value)
    return str(value)


def _about(document: Mapping[str, Any]) -> Sheet:
    scenario, analysis = document["scenario"], document["analysis"]
    answer = document.get("answer") or {}
    rows: list[tuple[str, Any]] = [
        ("Scenario", scenario["title"]),
        ("Name and hash", f"{scenario['name']}, {scenario['hash']}"),
        ("Kind of run", document["kind"]),
        ("cartsight version", document["cartsight_version"]),
        ("Seed", document["seed"]),
        ("Parameter draws", analysis["draws"]),
        ("Patients per arm and draw", analysis["patients"]),
        ("Perspective", analysis["perspective"]),
        ("Money", analysis["money"]),
        ("Horizon, years from referral", analysis["horizon_years"]),
        ("Discount rate, costs", analysis["discount_rate_costs"]),
        ("Discount rate, effects", analysis["discount_rate_effects"]),
        ("Decision threshold, money per QALY", analysis["decision_threshold"]),
        ("Reference arm", analysis["reference_arm"]),
    ]
    rows += [("Answer", sentence) for sentence in answer.get("sentences") or ()]
    rows += [("Warning", warning) for warning in document["warnings"]]
    rows.append(
        ("How to read", "Means and intervals are over parameter draws; 'base' is at the point values. Numbers are copies of "
         "results.json and the Parquet tables; nothing here recalculates.")
    )  # fmt: skip
    return _sheet("About", ("Item", "Value"), rows)


def _inputs(document: Mapping[str, Any]) -> Sheet:
    cited = {source["key"]: source["citation"] for source in document["sources"]}
    keys = ("path", "label", "value", "unit", "low_95", "high_95", "uncertainty", "origin", "verified", "statement",
            "evidence_id", "source")  # fmt: skip
    rows = [
        [
            *(row.get(key) for key in keys),
            cited.get(row.get("source") or "", ""),
            row.get("held_fixed_because"),
            row.get("also_used_at"),
        ]
        for row in document["numbers"]
    ]
    header = ("Field", "Label", "Value", "Unit", "Low 95 %", "High 95 %", "Uncertainty", "Origin", "Read in source", "Statement",
              "Evidence row", "Source", "Citation", "Held fixed because", "Also used at")  # fmt: skip
    return _sheet("Inputs", header, rows)


def _assumptions(document: Mapping[str, Any]) -> Sheet:
    keys = ("label", "path", "value", "unit", "statement", "origin")
    return _sheet(
        "Assumptions",
        ("Label", "Field", "Value", "Unit", "Statement", "Origin"),
        ([row.get(key) for key in keys] for row in document["assumptions"]),
    )


def _sources(document: Mapping[str, Any]) -> Sheet:
    rows = ((row["key"], row["citation"], row["evidence_ids"]) for row in document["sources"])
    return _sheet("Sources", ("Key", "Citation", "Evidence rows"), rows)


def _results(document: Mapping[str, Any]) -> Sheet:
    keys = ("title", "unit", "mean", "low", "high", "patient_sd", "monte_carlo_error", "base")
    rows = (
        (arm["label"], name, *(metric[key] for key in keys))
        for arm in document["arms"]
        for name, metric in arm["metrics"].items()
    )
    header = (
        "Arm",
        "Metric",
        "Title",
        "Unit",
        "Mean",
        "Low 95 %",
        "High 95 %",
        "Sd between patients",
        "Monte Carlo error",
        "Base",
    )
    return _sheet("Results", header, rows)


def _costs(document: Mapping[str, Any]) -> Sheet:
    rows: list[list[Any]] = []
    for arm in document["arms"]:
        rows += [
            [arm["label"], row["category"], row["discounted"], row["undiscounted"]] for row in arm["cost_categories"]
        ]
        parts = arm["cost_categories"]
        rows.append(
            [arm["label"], "total", *(math.fsum(row[key] for row in parts) for key in ("discounted", "undiscounted"))]
        )
    money = document["analysis"]["money"]
    header = (
        "Arm",
        "Category",
        f"Discounted, {money} per referred patient",
        f"Undiscounted, {money} per referred patient",
    )
    return _sheet("Costs", header, rows)


def _qalys(run_folder: Path, document: Mapping[str, Any]) -> Sheet:
    """QALYs by health state at the point values: from the document where it has them, else run again and checked."""
    header = (
        "Arm",
        "Health state",
        "QALYs per referred patient, discounted",
        "QALYs per referred patient, undiscounted",
    )
    rows: list[list[Any]] = []
    try:
        # Older folders lack the states: theirs come from a second run, which another version may not repeat.
        kept = {arm["name"]: {row["state"]: row for row in arm.get("qalys_by_state", ())} for arm in document["arms"]}
        states = kept if all(kept.values()) else qaly_states(run_folder, document)
    except CartsightError as error:
        states = {}
        rows.append([f"Not available: {error}", None, None, None])
    for arm in document["arms"]:
        for state, value in states.get(arm["name"], {}).items():
            rows.append([arm["label"], state, value["discounted"], value["undiscounted"]])
        base = {name: arm["metrics"][name]["base"] for name in _QALY_METRICS}
        rows.append([arm["label"], "total", base["qalys_per_referred"], base["qalys_undiscounted_per_referred"]])
        rows.append(
            [arm["label"], "life-years", base["life_years_discounted_per_referred"], base["life_years_per_referred"]]
        )
    return _sheet("QALYs", header, rows)


def qaly_states(run_folder: Path, document: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """Return {arm: {health state: discounted and undiscounted QALYs per referred patient}} at the point values.

    The run folder keeps the scenario, not every patient's days in each state: the arms are run again from it with the
    same seed, and the sum over states must be the QALYs of the results.

    Raises
    ------
    InputError
        The scenario of the folder cannot be read, or the run is not the same any more.
    """
    path = run_folder / RESOLVED
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        scenario = Scenario.model_validate(stored["scenario"]).in_money()
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"the resolved scenario cannot be read: {reason}", file=path) from None
    names = tuple(arm["name"] for arm in document["arms"])
    runs = run_arms(scenario, int(document["seed"]), names)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for arm in document["arms"]:
        name = arm["name"]
        found[name] = qaly_state_means(runs[name])
        total, expected = total_qalys(found[name]), arm["metrics"]["qalys_per_referred"]["base"]
        if expected is None or abs(total - expected) > QALY_TOLERANCE * max(1.0, abs(expected)):
            raise InputError(
                "the run cannot be repeated with this version, so that QALYs by state are left out",
                file=path,
                found=f"{total:.6g} QALYs in {name}, {expected} in the results",
            )
    return found


def _decision(document: Mapping[str, Any]) -> list[Sheet]:
    decision = document["decision"]
    labels = {arm["name"]: arm["label"] for arm in document["arms"]}
    sheets = []
    if decision["frontier"]:
        sheets.append(_frontier(decision["frontier"], labels))
    if decision["differences"]:
        sheets.append(_differences(decision["differences"], labels))
    if decision["acceptability"]:
        sheets.append(_acceptability(decision, labels))
    if decision["evppi"]:
        sheets.append(_partial_information(decision["evppi"]))
    if decision["one_way"]:
        table = decision["one_way"]["rows"]
        keys = list(table[0]) if table else ["parameter"]
        sheets.append(_sheet("One-way", keys, ([row.get(key) for key in keys] for row in table)))
    return sheets


def _frontier(table: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> Sheet:
    keys = (
        "cost",
        "effect",
        "status",
        "incremental_cost",
        "incremental_effect",
        "icer",
        "compared_with",
        "dominated_by",
    )
    header = (
        "Arm",
        "Cost",
        "QALYs",
        "Status",
        "Incremental cost",
        "Incremental QALYs",
        "ICER",
        "Compared with",
        "Dominated by",
    )
    rows = ([labels.get(row["strategy"], row["strategy"]), *(row.get(key) for key in keys)] for row in table)
    return _sheet("Frontier", header, rows)


def _differences(table: Mapping[str, Any], labels: Mapping[str, str]) -> Sheet:
    keys = ("mean", "low", "high", "standard_error", "probability_positive")
    header = (
        "Arm against reference",
        "Difference",
        "Mean",
        "Low 95 %",
        "High 95 %",
        "Monte Carlo error",
        "Probability above zero",
    )
    rows = (
        [labels.get(arm, arm), name, *(part[key] for key in keys)]
        for arm, parts in table.items()
        for name, part in parts.items()
    )
    return _sheet("Differences", header, rows)


def _partial_information(table: Mapping[str, Any]) -> Sheet:
    keys = ("name", "label", "value", "standard_error", "regression_bias", "parameters")
    header = ("Parameter or group", "Label", "EVPPI per patient", "Standard error", "Regression bias", "Parameters")
    return _sheet(
        "EVPPI", header, ([row.get(key) for key in keys] for part in ("groups", "parameters") for row in table[part])
    )


def _acceptability(decision: Mapping[str, Any], labels: Mapping[str, str]) -> Sheet:
    names = list(decision["acceptability"]["probability"])
    frontier, evpi = decision["acceptability_frontier"], decision["evpi"]
    header = ["Willingness to pay"]
    header += [f"Probability best: {labels.get(name, name)}" for name in names]
    header += ["Arm on the acceptability frontier", "Its probability"]
    header += [f"Expected loss: {labels.get(name, name)}" for name in names]
    header += ["EVPI per patient"]
    rows = []
    for i, wtp in enumerate(decision["acceptability"]["wtp"]):
        rows.append(
            [
                wtp,
                *(decision["acceptability"]["probability"][name][i] for name in names),
                labels.get(frontier["arm"][i], frontier["arm"][i]),
                frontier["probability"][i],
                *(decision["expected_loss"]["loss"][name][i] for name in names),
                evpi["value"][i],
            ]
        )
    return _sheet("CEAC", header, rows)


def _validation(document: Mapping[str, Any]) -> Sheet:
    keys = (
        "label",
        "arm",
        "metric",
        "unit",
        "published",
        "low",
        "high",
        "tolerance",
        "model",
        "passes",
        "source",
        "note",
    )
    header = (
        "Figure",
        "Arm",
        "Metric",
        "Unit",
        "Published",
        "Low",
        "High",
        "Tolerance",
        "Model",
        "Passes",
        "Source",
        "Note",
    )
    return _sheet("Validation", header, ([row.get(key) for key in keys] for row in document["validation"]))


def _parquet(run_folder: Path, stem: str, name: str) -> Sheet | None:
    path = run_folder / "tables" / f"{stem}.parquet"
    if not path.is_file():
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot be read: {error}", file=path) from None
    columns = [column.to_pylist() for column in table.columns]
    return _sheet(name, table.column_names, zip(*columns, strict=True))


def _cheers(document: Mapping[str, Any]) -> Sheet:
    rows: list[tuple[Any, ...]] = [
        (item.number, item.section, item.topic, item.asks, item.status, item.answer, item.to_write)
        for item in cheers_checklist(document)
    ]
    rows.append((None, None, None, f"Items paraphrased from: {CITATION}", None, None, None))
    return _sheet("CHEERS 2022", ("Item", "Section", "Topic", "Asks", "Status", "Answer", "Still to write"), rows)
