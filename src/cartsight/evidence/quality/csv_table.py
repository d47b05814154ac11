"""A small CSV table with line numbers, so that every complaint about a file can say where."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cartsight.core.errors import InputError, nearest

LARGEST_FILE_BYTES = 20_000_000
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "."})


@dataclass(frozen=True)
class CsvTable:
    """The cells of one CSV file as text, each row with its line number.

    Attributes
    ----------
    file : str
        Name of the file, for messages.
    header : tuple of str
        Column names, stripped and in lower case.
    rows : tuple of tuple of str
        Cells, one tuple per data line.
    lines : tuple of int
        Line number of each row in the file.
    """

    file: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def has(self, column: str) -> bool:
        """Return whether the column exists."""
        return column.lower() in self.header

    def require(self, columns: Iterable[str]) -> None:
        """Raise InputError for the first of `columns` that is missing."""
        for column in columns:
            if not self.has(column):
                raise InputError(
                    f"column {column!r} is missing",
                    file=self.file,
                    line=1,
                    found=", ".join(self.header),
                    hint=nearest(column, self.header),
                )

    def text(self, column: str) -> list[str]:
        """Return a column of names; an empty cell is an error."""
        self.require([column])
        index = self.header.index(column.lower())
        values = [row[index].strip() for row in self.rows]
        for value, line in zip(values, self.lines, strict=True):
            if not value:
                raise InputError(f"column {column!r} has an empty cell", file=self.file, line=line)
        return values

    def numbers(self, column: str, *, missing: bool = False) -> list[float]:
        """Return a column of finite numbers; with `missing`, empty cells become NaN instead of an error."""
        self.require([column])
        index = self.header.index(column.lower())
        values: list[float] = []
        for row, line in zip(self.rows, self.lines, strict=True):
            cell = row[index].strip()
            if cell.lower() in MISSING:
                if not missing:
                    raise InputError(f"column {column!r} needs a number", file=self.file, line=line, found=cell)
                values.append(math.nan)
                continue
            try:
                value = float(cell)
            except ValueError:
                hint = "Write a decimal point, not a comma." if "," in cell else None
                raise InputError(
                    f"column {column!r} needs a number", file=self.file, line=line, found=cell, hint=hint
                ) from None
            if not math.isfinite(value):
                raise InputError(f"column {column!r} needs a finite number", file=self.file, line=line, found=cell)
            values.append(value)
        return values


def read_csv_table(path: Path | str, required: Sequence[str] = ()) -> CsvTable:
    """Read a small comma- or semicolon-separated file in UTF-8.

    Parameters
    ----------
    path : path
        File to read; lines that start with ``#`` and empty lines are skipped.
    required : sequence of str
        Columns that must exist.

    Raises
    ------
    InputError
        Missing, empty, too large, not UTF-8, ragged, or without a required column.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("no such file", file=path)
    if path.is_dir():
        raise InputError("this is a folder, not a CSV file", file=path)
    size = path.stat().st_size
    if size > LARGEST_FILE_BYTES:
        raise InputError(
            f"the file is too large for an assay table ({size / 1e6:.0f} MB)",
            file=path,
            allowed=f"up to {LARGEST_FILE_BYTES / 1e6:.0f} MB",
            hint="Aggregate or select the results first.",
        )
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            "the file is not UTF-8 text",
            file=path,
            hint=f"Byte {error.start} cannot be read; save it as UTF-8.",
        ) from None
    except OSError as error:
        raise InputError(f"the file cannot be read ({error.strerror})", file=path) from None
    return _parse(content, str(path), required)


def _parse(content: str, file: str, required: Sequence[str]) -> CsvTable:
    kept = [
        (number, line)
        for number, line in enumerate(content.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not kept:
        raise InputError("the file is empty", file=file)
    first = kept[0][1]
    delimiter = max(",;\t", key=first.count) if any(mark in first for mark in ",;\t") else ","
    numbers = [number for number, _ in kept]
    try:
        cells = list(csv.reader(io.StringIO("\n".join(line for _, line in kept)), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InputError(f"the file is not a well-formed CSV table ({error})", file=file) from None
    if len(cells) != len(kept):
        raise InputError("a quoted cell runs over several lines", file=file)
    header = tuple(name.strip().lower() for name in cells[0])
    duplicates = {name for name in header if header.count(name) > 1}
    if duplicates:
        raise InputError("a column name occurs twice", file=file, line=numbers[0], found=sorted(duplicates)[0])
    for row, line in zip(cells[1:], numbers[1:], strict=True):
        if len(row) != len(header):
            raise InputError(f"the line has {len(row)} cells where the header has {len(header)}", file=file, line=line)
    table = CsvTable(file, header, tuple(tuple(row) for row in cells[1:]), tuple(numbers[1:]))
    table.require(required)
    if not table.rows:
        raise InputError("the file has a header but no data line", file=file)
    return table
