"""CSV and Excel files into the result table, through a mapping where the headers are not ours."""

from __future__ import annotations

import csv
import datetime
import io
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.results_table.mapping import ColumnMapping
from cartsight.evidence.quality.results_table.table import (
    COLUMNS,
    MISSING,
    Dropped,
    Result,
    ResultTable,
    checked_bytes,
    parse_date,
    parse_value,
    settle,
    source_of,
)


def read_spreadsheet(path: Path | str, mapping: ColumnMapping | None = None) -> ResultTable:
    """Read a CSV (comma, semicolon or tab) or .xlsx file.

    Parameters
    ----------
    path : path
    mapping : ColumnMapping, optional
        Without one, the headers must be the names of the result table's columns.

    Raises
    ------
    InputError
        Unreadable files and missing columns. Cells that cannot be used drop their row into the report instead.
    """
    mapping = mapping or ColumnMapping()
    content = checked_bytes(path)
    excel = Path(path).suffix.lower() in (".xlsx", ".xlsm")
    rows = _excel(content, path, mapping) if excel else _csv(content, path, mapping)
    first = mapping.header_line - 1
    if len(rows) <= first:
        raise InputError("the file ends before its header line", file=path, found=len(rows))
    header = [cell.strip() for cell in rows[first]]
    places = _places(header, mapping, path)
    body = [(first + 2 + i, row) for i, row in enumerate(rows[first + 1 :]) if any(cell.strip() for cell in row)]
    if not body:
        raise InputError("the file has a header and no rows", file=path)
    results: list[Result] = []
    dropped: list[Dropped] = []
    name = Path(path).name
    for line, row in body:
        cells = {column: row[i].strip() if i < len(row) else "" for column, i in places.items()}
        if mapping.wide:
            for head, wide in mapping.wide.items():
                index = header.index(head)
                cell = row[index].strip() if index < len(row) else ""
                entry = {**cells, "attribute": wide.attribute, "unit": wide.unit, "value": cell}
                _add(entry, mapping, name, line, results, dropped)
        else:
            _add(cells, mapping, name, line, results, dropped)
    return settle(results, dropped, [source_of(path, content, len(body) * max(len(mapping.wide), 1))])


def _places(header: Sequence[str], mapping: ColumnMapping, path: Path | str) -> dict[str, int]:
    lower = {cell.lower(): i for i, cell in reversed(list(enumerate(header)))}
    places = {}
    for column in COLUMNS:
        named = mapping.columns.get(column)
        if named is not None:
            if named.lower() not in lower:
                raise InputError(
                    f"column {named!r} is missing", file=path, line=mapping.header_line, found=", ".join(header),
                    hint=nearest(named, header),
                )  # fmt: skip
            places[column] = lower[named.lower()]
        elif column in lower:
            places[column] = lower[column]
    for head in mapping.wide:
        if head not in header:
            raise InputError(
                f"column {head!r} is missing", file=path, line=mapping.header_line, found=", ".join(header),
                hint=nearest(head, header),
            )  # fmt: skip
    needed = ("batch",) if mapping.wide else ("batch", "attribute", "value", "unit")
    for column in needed:
        if column not in places and column not in mapping.constants:
            raise InputError(
                f"column {column!r} is missing",
                file=path,
                line=mapping.header_line,
                found=", ".join(header),
                hint="Name it in the mapping file under [columns], or under [constants] when it is the same for all rows.",
            )
    return places


def _add(
    cells: dict[str, str],
    mapping: ColumnMapping,
    source: str,
    line: int,
    results: list[Result],
    dropped: list[Dropped],
) -> None:
    cells = {**mapping.constants, **{key: text for key, text in cells.items() if text or key not in mapping.constants}}

    def drop(reason: str, found: str) -> None:
        dropped.append(Dropped(source, line, reason, found[:80]))

    raw = cells.get("value", "")
    if raw.strip().lower() in MISSING:
        return drop("no value", raw)
    parsed = parse_value(raw, mapping.decimal_comma)
    if parsed is None:
        return drop("value is not a number", raw)
    value, sign = parsed
    for column in ("batch", "attribute", "unit"):
        if not cells.get(column, ""):
            return drop(f"no {column}", raw)
    date = parse_date(cells.get("date", ""), mapping.date_format)
    if date is None:
        return drop("date cannot be read", cells["date"])
    whole = {}
    for column, default in (("replicate", 1), ("events", 0)):
        text = cells.get(column, "") or str(default)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not number >= 0 or number != int(number):
            return drop(f"{column} is not a whole number", text)
        whole[column] = int(number)
    unit = cells["unit"]
    if unit in mapping.units:
        value, unit = value * mapping.units[unit].factor, mapping.units[unit].to
    censored = cells.get("censored", "") or sign
    if censored not in ("", "<", ">"):
        return drop("censored is neither < nor >", censored)
    attribute = mapping.attributes.get(cells["attribute"], cells["attribute"])
    results.append(
        Result(
            batch=cells["batch"],
            attribute=attribute,
            value=value,
            unit=unit,
            donor=cells.get("donor", ""),
            site=cells.get("site", ""),
            run=cells.get("run", ""),
            lab=cells.get("lab", ""),
            assay=cells.get("assay", ""),
            replicate=whole["replicate"],
            specification=cells.get("specification", ""),
            date=date,
            censored=censored,
            events=whole["events"],
            source=source,
            line=line,
        )
    )
    return None


def _csv(content: bytes, path: Path | str, mapping: ColumnMapping) -> list[list[str]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            "the file is not UTF-8 text", file=path, hint=f"Byte {error.start} cannot be read; save it as UTF-8."
        ) from None
    lines = text.splitlines()
    head = lines[min(mapping.header_line, len(lines)) - 1]
    separator = mapping.separator or max(",;\t", key=head.count)
    try:
        return list(csv.reader(io.StringIO(text), delimiter=separator))
    except (csv.Error, TypeError) as error:
        raise InputError(f"the file is not a table: {error}", file=path) from None


def _excel(content: bytes, path: Path | str, mapping: ColumnMapping) -> list[list[str]]:
    try:
        import openpyxl
    except ImportError:
        raise InputError(
            "reading Excel files needs openpyxl", file=path, hint="Install cartsight[assays], or save the sheet as CSV."
        ) from None
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError):
        raise InputError("this is not an Excel workbook (.xlsx)", file=path) from None
    if mapping.sheet is not None and mapping.sheet not in book.sheetnames:
        raise InputError(
            "no such sheet", file=path, found=mapping.sheet, allowed=", ".join(book.sheetnames),
            hint=nearest(mapping.sheet, book.sheetnames),
        )  # fmt: skip
    sheet = book[mapping.sheet] if mapping.sheet is not None else book.worksheets[0]
    return [[_cell(value, mapping) for value in row] for row in sheet.iter_rows(values_only=True)]


def _cell(value: object, mapping: ColumnMapping) -> str:
    """Return a cell as text in the mapping's own notation: a number or a date of the workbook is not ambiguous."""
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        return value.strftime(mapping.date_format) if mapping.date_format is not None else value.date().isoformat()
    if isinstance(value, float):
        text = str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else str(value)
        return text.replace(".", ",") if mapping.decimal_comma else text
    return str(value)
