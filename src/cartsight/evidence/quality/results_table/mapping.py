"""A mapping file: which column of somebody's export means what. TOML; keys in docs/guide/quality_data.md."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.results_table.table import COLUMNS, checked_bytes

KEYS = (
    "columns", "constants", "wide", "attributes", "units", "sheet", "header_line", "separator", "decimal_comma",
    "date_format",
)  # fmt: skip


@dataclass(frozen=True)
class UnitChange:
    """Conversion of one reported unit: ``value * factor`` in `to`."""

    to: str
    factor: float


@dataclass(frozen=True)
class WideColumn:
    """A column that holds one attribute (a file with one line per batch)."""

    attribute: str
    unit: str


@dataclass(frozen=True)
class ColumnMapping:
    """How to read a file.

    Attributes
    ----------
    columns : dict
        Column of the result table to the header in the file.
    constants : dict
        Values that hold for the whole file (for example ``lab``).
    wide : dict
        Header to attribute, for files with one line per batch.
    attributes : dict
        Reported attribute names to names in the table.
    units : dict
        Reported unit to its conversion.
    sheet, header_line, separator, decimal_comma, date_format
        Where the header stands and how cells are written.
    """

    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    wide: dict[str, WideColumn] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    units: dict[str, UnitChange] = field(default_factory=dict)
    sheet: str | None = None
    header_line: int = 1
    separator: str | None = None
    decimal_comma: bool = False
    date_format: str | None = None


def read_mapping(path: Path | str) -> ColumnMapping:
    """Read a mapping file; errors name the key."""
    content = checked_bytes(path)
    try:
        values = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError("the file is not UTF-8 text", file=path) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not valid TOML: {error}", file=path) from None
    return build_mapping(values, str(path))


def build_mapping(values: Mapping[str, Any], file: str = "mapping") -> ColumnMapping:
    """Return a mapping from parsed content."""
    for key in values:
        if key not in KEYS:
            raise InputError("unknown key", file=file, field=key, allowed=", ".join(KEYS), hint=nearest(key, KEYS))
    columns = _texts(values, "columns", file)
    constants = _texts(values, "constants", file)
    for section, names in (("columns", columns), ("constants", constants)):
        for name in names:
            if name not in COLUMNS:
                raise InputError(
                    "no such column of the result table", file=file, field=f"{section}.{name}",
                    allowed=", ".join(COLUMNS), hint=nearest(name, COLUMNS),
                )  # fmt: skip
    wide = {}
    for header, entry in _table(values, "wide", file).items():
        place = f"wide.{header}"
        if not isinstance(entry, Mapping) or set(entry) != {"attribute", "unit"}:
            raise InputError("needs attribute and unit", file=file, field=place, found=entry)
        wide[header] = WideColumn(str(entry["attribute"]), str(entry["unit"]))
    units = {}
    for unit, entry in _table(values, "units", file).items():
        if not isinstance(entry, Mapping) or set(entry) != {"to", "factor"} or not _is_number(entry["factor"]):
            raise InputError("needs to and a number factor", file=file, field=f"units.{unit}", found=entry)
        units[unit] = UnitChange(str(entry["to"]), float(entry["factor"]))
    header_line = values.get("header_line", 1)
    if isinstance(header_line, bool) or not isinstance(header_line, int) or header_line < 1:
        raise InputError("a line number from 1 is expected", file=file, field="header_line", found=header_line)
    for key in ("sheet", "separator", "date_format"):
        if key in values and not isinstance(values[key], str):
            raise InputError("a text is expected", file=file, field=key, found=values[key])
    if not isinstance(values.get("decimal_comma", False), bool):
        raise InputError("true or false is expected", file=file, field="decimal_comma", found=values["decimal_comma"])
    return ColumnMapping(
        columns,
        constants,
        wide,
        _texts(values, "attributes", file),
        units,
        values.get("sheet"),
        header_line,
        values.get("separator"),
        bool(values.get("decimal_comma", False)),
        values.get("date_format"),
    )


def _table(values: Mapping[str, Any], key: str, file: str) -> Mapping[str, Any]:
    entry = values.get(key, {})
    if not isinstance(entry, Mapping):
        raise InputError("a table is expected", file=file, field=key, found=entry)
    return entry


def _texts(values: Mapping[str, Any], key: str, file: str) -> dict[str, str]:
    found = {}
    for name, text in _table(values, key, file).items():
        if not isinstance(text, str) or not text.strip():
            raise InputError("a text is expected", file=file, field=f"{key}.{name}", found=text)
        found[name] = text
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value and value != 0
