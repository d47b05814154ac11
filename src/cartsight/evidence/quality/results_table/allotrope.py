"""Allotrope Simple Model: JSON documents (or instrument exports, through allotropy) into the result table, and back.

Shape read: ``<technique> aggregate document`` > ``<technique> document`` > ``measurement aggregate document`` >
``measurement document`` > ``processed data aggregate document`` > quantities ``{"value": ..., "unit": ...}``. The written
document has the same shape; it is ASM-shaped, with no claim to validate against a published manifest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cartsight.core.errors import InputError
from cartsight.evidence.quality.results_table.table import (
    Dropped,
    Result,
    ResultTable,
    checked_bytes,
    parse_date,
    parse_value,
    settle,
    source_of,
)

AGGREGATE = " aggregate document"
CONVERTER = "cartsight"
BEYOND = "results beyond a limit of quantification"
OWN_NAMES = {
    "donor": "donor",
    "site": "site",
    "specification": "specification",
    "lab": "laboratory",
    "run": "run",
    "assay": "assay",
}
"""Columns of the result table and what they are called in custom information."""


def read_allotrope(path: Path | str, lab: str = "") -> ResultTable:
    """Read an ASM JSON file; every processed or calculated quantity of a measurement becomes a result."""
    content = checked_bytes(path)
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError("the file is not UTF-8 text", file=path) from None
    except json.JSONDecodeError as error:
        raise InputError(f"not valid JSON: {error.msg}", file=path, line=error.lineno) from None
    return table_of_allotrope(document, path, content, lab)


def read_instrument(path: Path | str, vendor: str, lab: str = "") -> ResultTable:
    """Read an instrument's text or Excel export through allotropy.

    Parameters
    ----------
    path : path
    vendor : str
        Name of an allotropy parser, for example ``BECKMAN_VI_CELL_BLU``.
    """
    content = checked_bytes(path)
    try:
        from allotropy.exceptions import AllotropeConversionError
        from allotropy.parser_factory import Vendor
        from allotropy.to_allotrope import allotrope_from_file
    except ImportError:
        raise InputError(
            "reading instrument exports needs allotropy", file=path, hint="Install cartsight[assays]."
        ) from None
    from cartsight.core.errors import nearest

    names = [item.name for item in Vendor]
    if vendor.upper() not in names:
        raise InputError("unknown instrument", field="--vendor", found=vendor, hint=nearest(vendor.upper(), names))
    try:
        document = allotrope_from_file(str(path), vendor.upper())
    except AllotropeConversionError as error:
        raise InputError(f"the parser for {vendor} refuses the file: {error}", file=path) from None
    return table_of_allotrope(document, path, content, lab)


def table_of_allotrope(document: Any, path: Path | str, content: bytes, lab: str = "") -> ResultTable:
    """Return the results of a parsed ASM document."""
    if not isinstance(document, Mapping):
        raise InputError("an ASM document is one JSON object", file=path)
    techniques = [key for key in document if key.endswith(AGGREGATE)]
    if not techniques:
        raise InputError("no '<technique> aggregate document' in the file", file=path, found=", ".join(document))
    results: list[Result] = []
    dropped: list[Dropped] = []
    name = Path(path).name
    count = 0
    for key in techniques:
        technique = key.removesuffix(AGGREGATE)
        body = document[key]
        for entry in _list(body, f"{technique} document"):
            for measurement in _list(entry.get("measurement" + AGGREGATE, {}), "measurement document"):
                count += 1
                sample = measurement.get("sample document", {})
                batch = str(sample.get("batch identifier") or sample.get("sample identifier") or "")
                if not batch:
                    dropped.append(Dropped(name, count, "no sample or batch identifier", technique))
                    continue
                date = parse_date(str(measurement.get("measurement time", "")))
                if date is None:
                    dropped.append(Dropped(name, count, "date cannot be read", str(measurement["measurement time"])))
                    continue
                before = len(results)
                own = _own_fields(body, measurement)
                fields = {
                    "assay": technique,
                    "lab": lab,
                    "run": str(measurement.get("measurement identifier", "")),
                    "date": date,
                    "source": name,
                    "line": count,
                } | ({} if own is None else own.fields | ({"lab": lab} if lab else {}))
                for attribute, value, unit, reason in _quantities(measurement):
                    if reason:
                        dropped.append(Dropped(name, count, reason, attribute))
                        continue
                    events = 0 if own is None else own.events.get(attribute, 0)
                    results.append(Result(batch, attribute, value, unit, **fields, events=events))
                for attribute, text in ({} if own is None else own.censored).items():
                    number, _, unit = text.partition(" ")
                    parsed = parse_value(number)
                    if parsed is None:
                        dropped.append(Dropped(name, count, "value is not a number", attribute))
                    else:
                        results.append(Result(batch, attribute, parsed[0], unit, **fields, censored=parsed[1]))
                if len(results) == before and not any(row.line == count for row in dropped):
                    dropped.append(Dropped(name, count, "no processed or calculated quantity", batch))
    if count == 0:
        raise InputError("the document holds no measurement", file=path)
    return settle(results, dropped, [source_of(path, content, count)])


@dataclass(frozen=True)
class _OwnFields:
    """What `allotrope_document` put into custom information: fields of the row, censored results, event counts."""

    fields: dict[str, Any]
    censored: dict[str, str]
    events: dict[str, int]


def _own_fields(body: Any, measurement: Mapping[str, Any]) -> _OwnFields | None:
    """Return the fields of a document that this module wrote, None for anybody else's."""
    system = body.get("data system document", {}) if isinstance(body, Mapping) else {}
    custom = measurement.get("custom information document", {})
    if (
        not isinstance(system, Mapping)
        or system.get("ASM converter name") != CONVERTER
        or not isinstance(custom, Mapping)
    ):
        return None
    fields: dict[str, Any] = {key: str(custom.get(name, "")) for key, name in OWN_NAMES.items()}
    replicate = custom.get("replicate number", 1)
    fields["replicate"] = replicate if isinstance(replicate, int) else 1
    censored, events = custom.get(BEYOND, {}), custom.get("event counts", {})
    return _OwnFields(
        fields,
        {str(k): str(v) for k, v in censored.items()} if isinstance(censored, Mapping) else {},
        {str(k): v for k, v in events.items() if isinstance(v, int)} if isinstance(events, Mapping) else {},
    )


def _list(value: Any, key: str) -> list[Any]:
    found = value.get(key, []) if isinstance(value, Mapping) else []
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []


def _quantities(measurement: Mapping[str, Any]) -> Iterator[tuple[str, float, str, str]]:
    for kind in ("processed data", "calculated data"):
        for document in _list(measurement.get(kind + AGGREGATE, {}), kind + " document"):
            # nested "data processing document"s hold settings, not results
            for name, item in document.items():
                if not isinstance(item, Mapping) or "value" not in item:
                    continue
                value = item["value"]
                if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                    yield name, math.nan, "", "value is not a number"
                else:
                    yield name, float(value), str(item.get("unit", "")) or "(unitless)", ""


def allotrope_document(table: ResultTable) -> dict[str, Any]:
    """Return the table as ASM-shaped documents, one aggregate per assay name."""
    by_assay: dict[str, list[Result]] = {}
    for result in table.results:
        by_assay.setdefault(result.assay or "quality control", []).append(result)
    return {assay + AGGREGATE: _aggregate(assay, rows) for assay, rows in by_assay.items()}


def _aggregate(assay: str, rows: list[Result]) -> dict[str, Any]:
    measurements: dict[tuple[str | int, ...], list[Result]] = {}
    for row in rows:
        # what custom information says of a measurement has to hold for all its results
        key = (row.batch, row.date, row.replicate, *(getattr(row, name) for name in OWN_NAMES))
        measurements.setdefault(key, []).append(row)
    documents = []
    for number, found in enumerate(measurements.values(), start=1):
        batch, run, date = found[0].batch, found[0].run, found[0].date
        sample = {"sample identifier": batch, "batch identifier": batch}
        custom = {shown: getattr(found[0], name) for name, shown in OWN_NAMES.items() if getattr(found[0], name)}
        custom["replicate number"] = found[0].replicate
        if events := {row.attribute: row.events for row in found if row.events}:
            custom["event counts"] = events
        measurement: dict[str, Any] = {
            "measurement identifier": run or f"{assay} {number}",
            "sample document": sample,
            "processed data" + AGGREGATE: {
                "processed data document": [
                    {row.attribute: {"value": row.value, "unit": row.unit} for row in found if not row.censored}
                ]
            },
            "custom information document": custom,
        }
        if date:
            measurement["measurement time"] = date
        censored = {row.attribute: f"{row.censored}{row.value!r} {row.unit}" for row in found if row.censored}
        if censored:
            custom[BEYOND] = censored
        documents.append({"measurement" + AGGREGATE: {"measurement document": [measurement]}})
    return {
        "data system document": {"ASM converter name": CONVERTER, "data system instance identifier": "N/A"},
        f"{assay} document": documents,
    }
