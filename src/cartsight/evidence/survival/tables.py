"""Columns of a user's CSV file, read strictly: every slip is named with its file, line and column."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cartsight.core.errors import InputError, nearest
from cartsight.core.text_files import DAMAGED, damaged, open_bytes
from cartsight.evidence.survival.observations import Bool, Float

LARGEST_FILE_BYTES = 50_000_000
_TRUE = {"1", "1.0", "true", "yes", "y", "event", "dead", "died"}
_FALSE = {"0", "0.0", "false", "no", "n", "censored", "alive"}
_MISSING = {"", "na", "nan", "n/a", "null", "none", "."}


@dataclass(frozen=True)
class Table:
    """A CSV file as text columns, with the line on which each row stands."""

    file: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def text(self, column: str) -> list[str]:
        """Return a column as stripped text."""
        place = self._place(column)
        return [row[place].strip() for row in self.rows]

    def numbers(self, column: str, *, missing: bool = False) -> Float:
        """Return a column as finite numbers; with `missing`, empty cells become NaN instead of an error."""
        values = []
        for cell, line in zip(self.text(column), self.lines, strict=True):
            if cell.lower() in _MISSING:
                if not missing:
                    raise InputError("a number is missing", file=self.file, line=line, field=column, found=cell)
                values.append(math.nan)
                continue
            try:
                value = float(cell)
            except ValueError:
                raise InputError(
                    "text in a column of numbers", file=self.file, line=line, field=column, found=cell
                ) from None
            if not math.isfinite(value):
                raise InputError("a number is not finite", file=self.file, line=line, field=column, found=cell)
            values.append(value)
        return np.array(values)

    def times(self, column: str) -> Float:
        """Return a column of times, none negative."""
        values = self.numbers(column)
        bad = np.flatnonzero(values < 0)
        if bad.size:
            raise InputError(
                "a time is negative",
                file=self.file,
                line=self.lines[bad[0]],
                field=column,
                found=float(values[bad[0]]),
            )
        return values

    def indicator(self, column: str) -> Bool:
        """Return a column of event indicators (1/0, true/false, yes/no) as booleans."""
        out = []
        for cell, line in zip(self.text(column), self.lines, strict=True):
            word = cell.lower()
            if word not in _TRUE | _FALSE:
                raise InputError(
                    "an event indicator is 1 or 0",
                    file=self.file,
                    line=line,
                    field=column,
                    found=cell,
                    allowed="1, 0, true, false, yes, no",
                )
            out.append(word in _TRUE)
        return np.array(out, dtype=bool)

    def first_of(self, names: Sequence[str], what: str) -> str:
        """Return the column that matches one of `names`, ignoring case, spaces, hyphens and underscores."""
        plain = {_plain(column): column for column in self.header}
        for name in names:
            if _plain(name) in plain:
                return plain[_plain(name)]
        raise InputError(
            f"no column holds the {what}",
            file=self.file,
            line=1,
            found=", ".join(self.header),
            allowed=", ".join(names),
        )

    def _place(self, column: str) -> int:
        if column not in self.header:
            raise InputError(
                "unknown column",
                file=self.file,
                line=1,
                field=column,
                allowed=", ".join(self.header[:20]),
                hint=nearest(column, self.header),
            )
        return self.header.index(column)


def read_table(path: Path | str, headerless: tuple[str, ...] = ()) -> Table:
    """Read a CSV file (comma, semicolon or tab; UTF-8, plain or compressed by gzip; one header line).

    Parameters
    ----------
    headerless : tuple of str
        Names for the columns of a file whose first line is numbers already, as digitising programs write it.

    Raises
    ------
    InputError
        For a missing, empty, oversized or non UTF-8 file, a file without rows, duplicate column names or a
        row of the wrong length.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("no such file", file=file)
    size = file.stat().st_size
    if size > LARGEST_FILE_BYTES:
        raise InputError(
            "the file is too large",
            file=file,
            found=f"{size / 1e6:.0f} MB",
            allowed=f"up to {LARGEST_FILE_BYTES // 1_000_000} MB",
        )
    try:
        with open_bytes(file) as stream:
            raw = stream.read(LARGEST_FILE_BYTES + 1)
        if len(raw) > LARGEST_FILE_BYTES:
            raise InputError(
                "the unpacked file is too large", file=file, allowed=f"up to {LARGEST_FILE_BYTES // 1_000_000} MB"
            )
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            "the file is not UTF-8 text",
            file=file,
            found=f"byte {error.start}",
            hint="Save it as CSV in UTF-8",
        ) from None
    except DAMAGED:
        raise damaged(file) from None
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}", file=file) from None
    if "\x00" in content:
        raise InputError("the file is not text", file=file)
    if not content.strip():
        raise InputError("the file is empty", file=file)
    first = content.lstrip().splitlines()[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(content.splitlines(), delimiter=delimiter)
    header: tuple[str, ...] = ()
    rows, lines = [], []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = tuple(cell.strip() for cell in cells)
                if len(header) != len(headerless) or not all(map(_is_number, header)):
                    continue
                header = headerless
            if len(cells) != len(header):
                raise InputError(
                    "a row has the wrong number of cells",
                    file=file,
                    line=reader.line_num,
                    found=len(cells),
                    allowed=str(len(header)),
                )
            rows.append(tuple(cells))
            lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(f"the file is not CSV: {error}", file=file, line=reader.line_num) from None
    repeated = {name for name in header if header.count(name) > 1}
    if repeated:
        raise InputError("two columns have the same name", file=file, line=1, found=sorted(repeated)[0])
    if not rows:
        raise InputError("the file has a header but no rows", file=file)
    return Table(file, header, tuple(rows), tuple(lines))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _plain(name: str) -> str:
    return "".join(ch for ch in name.lower() if ch.isalnum())
