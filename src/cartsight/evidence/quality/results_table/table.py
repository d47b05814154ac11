"""The tidy result table: one row per reported result, and the report of what was dropped and why."""

from __future__ import annotations

import datetime
import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cartsight.core.errors import InputError

COLUMNS = (
    "batch", "donor", "site", "run", "lab", "assay", "attribute", "value", "unit", "replicate", "specification", "date",
    "censored", "events",
)  # fmt: skip
REQUIRED = ("batch", "attribute", "value", "unit")
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", ".", "-", "n.d.", "nd", "not tested", "pending"})
LARGEST_FILE_BYTES = 50_000_000
GROUPED = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?")
"""A number with a decimal comma whose points group thousands."""


@dataclass(frozen=True)
class Result:
    """One reported result.

    Attributes
    ----------
    batch, donor, site, run, lab, assay, attribute, unit, specification : str
        Identifiers as reported; empty where unknown.
    value : float
        In `unit`. For a censored result, the limit that was reported.
    replicate : int
    date : str
        ISO 8601 date, empty where unknown.
    censored : {"", "<", ">"}
    events : int
        Events behind a gated share or a count (0: unknown); the floor of its precision.
    source, line : str, int
        Where the result was read.
    """

    batch: str
    attribute: str
    value: float
    unit: str
    donor: str = ""
    site: str = ""
    run: str = ""
    lab: str = ""
    assay: str = ""
    replicate: int = 1
    specification: str = ""
    date: str = ""
    censored: str = ""
    events: int = 0
    source: str = ""
    line: int = 0

    @property
    def identity(self) -> tuple[str | int, ...]:
        """What makes a result unique."""
        return (
            self.batch, self.donor, self.site, self.run, self.lab, self.assay, self.attribute, self.replicate, self.date,
        )  # fmt: skip


@dataclass(frozen=True)
class Dropped:
    """A row that did not become a result."""

    source: str
    line: int
    reason: str
    found: str


@dataclass(frozen=True)
class Source:
    """A file as it was read."""

    name: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class ResultTable:
    """Results with everything that happened on the way: sources, dropped rows, remarks."""

    results: tuple[Result, ...]
    dropped: tuple[Dropped, ...] = ()
    sources: tuple[Source, ...] = ()
    remarks: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.results)

    def joined(self, other: ResultTable) -> ResultTable:
        """Return both tables as one, duplicates across them settled."""
        return settle(
            [*self.results, *other.results],
            [*self.dropped, *other.dropped],
            [*self.sources, *other.sources],
            [*self.remarks, *other.remarks],
        )


def checked_bytes(path: Path | str) -> bytes:
    """Return a file's bytes, or raise InputError with the reason in a sentence."""
    path = Path(path)
    if not path.exists():
        raise InputError("no such file", file=path)
    if path.is_dir():
        raise InputError("this is a folder, not a file", file=path)
    if (size := path.stat().st_size) > LARGEST_FILE_BYTES:
        raise InputError(
            f"the file is too large for a result table ({size / 1e6:.0f} MB)",
            file=path,
            allowed=f"up to {LARGEST_FILE_BYTES / 1e6:.0f} MB",
            hint="Split it, or export fewer columns.",
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"the file cannot be read ({error.strerror})", file=path) from None
    if not content.strip():
        raise InputError("the file is empty", file=path)
    return content


def source_of(path: Path | str, content: bytes, rows: int) -> Source:
    """Return the record of a source file."""
    return Source(Path(path).name, hashlib.sha256(content).hexdigest(), rows)


def parse_value(cell: str, decimal_comma: bool = False) -> tuple[float, str] | None:
    """Return (value, censoring) of a reported cell such as ``12.5``, ``<0.1`` or ``> 95 %``; None when it is no number."""
    text = cell.strip().replace("\u2264", "<").replace("\u2265", ">").rstrip("%").strip()
    censored = ""
    if text[:1] in "<>":
        censored, text = text[0] if text else "", text[1:].lstrip("= ").strip()
    if decimal_comma:
        # a point groups thousands; 87.5 under a decimal comma is no number, and never 875
        if "." in text and not GROUPED.fullmatch(text):
            return None
        text = text.replace(".", "").replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        return None
    return (value, censored) if math.isfinite(value) else None


def parse_date(cell: str, style: str | None = None) -> str | None:
    """Return an ISO date from a cell; None when it cannot be read."""
    text = cell.strip()
    if not text:
        return ""
    try:
        if style is not None:
            return datetime.datetime.strptime(text, style).date().isoformat()
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).date().isoformat()
    except ValueError:
        return None


def settle(
    results: Iterable[Result],
    dropped: Iterable[Dropped],
    sources: Iterable[Source],
    remarks: Iterable[str] = (),
) -> ResultTable:
    """Return a table without duplicates: an exact repeat is dropped, a contradiction drops the later row and says so."""
    kept: dict[tuple[str | int, ...], Result] = {}
    out = list(dropped)
    for result in results:
        before = kept.get(result.identity)
        if before is None:
            kept[result.identity] = result
            continue
        same = (before.value, before.unit, before.censored) == (result.value, result.unit, result.censored)
        reason = "repeat of an earlier row" if same else "contradicts an earlier row with the same identifiers"
        out.append(Dropped(result.source, result.line, reason, f"{result.value:g} {result.unit}"))
    found = tuple(kept.values())
    words = list(dict.fromkeys([*remarks, *_unit_remarks(found)]))
    return ResultTable(found, tuple(out), tuple(sources), tuple(words))


def _unit_remarks(results: Iterable[Result]) -> list[str]:
    units: dict[str, Counter[str]] = {}
    for result in results:
        units.setdefault(result.attribute, Counter())[result.unit] += 1
    return [
        f"{attribute}: reported in {len(count)} units ({', '.join(count)}); map them to one before comparing"
        for attribute, count in units.items()
        if len(count) > 1
    ]


@dataclass(frozen=True)
class AttributeReport:
    """What is known about one attribute of a table."""

    attribute: str
    unit: str
    results: int
    batches: int
    labs: int
    sites: int
    replicates: int
    censored: int
    with_events: int
    first_date: str
    last_date: str


@dataclass(frozen=True)
class DataReport:
    """What was read, kept and dropped, and what the table cannot answer."""

    rows: int
    kept: int
    dropped: int
    reasons: dict[str, int]
    dropped_rows: tuple[Dropped, ...]
    empty_columns: tuple[str, ...]
    attributes: tuple[AttributeReport, ...]
    sources: tuple[Source, ...]
    remarks: tuple[str, ...]


def data_report(table: ResultTable) -> DataReport:
    """Return the report of a table."""
    by_attribute: dict[tuple[str, str], list[Result]] = {}
    for result in table.results:
        by_attribute.setdefault((result.attribute, result.unit), []).append(result)
    attributes = tuple(_describe(name, unit, rows) for (name, unit), rows in by_attribute.items())
    empty = tuple(
        column
        for column in COLUMNS
        if column not in REQUIRED and not any(asdict(result)[column] for result in table.results)
    ) if table.results else ()  # fmt: skip
    remarks = list(table.remarks)
    for item in attributes:
        if item.labs <= 1:
            remarks.append(
                f"{item.attribute}: one laboratory or none named, so laboratory and assay cannot be told apart"
            )
        elif item.labs < 5:
            remarks.append(f"{item.attribute}: {item.labs} laboratories hardly identify the variance between them")
        if item.replicates <= 1 and item.results > 1:
            remarks.append(f"{item.attribute}: no replicates, so assay error and lot variance cannot be told apart")
    return DataReport(
        rows=sum(source.rows for source in table.sources),
        kept=len(table.results),
        dropped=len(table.dropped),
        reasons=dict(Counter(item.reason for item in table.dropped)),
        dropped_rows=table.dropped,
        empty_columns=empty,
        attributes=attributes,
        sources=table.sources,
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _describe(name: str, unit: str, rows: list[Result]) -> AttributeReport:
    dates = sorted(row.date for row in rows if row.date)
    return AttributeReport(
        attribute=name,
        unit=unit,
        results=len(rows),
        batches=len({row.batch for row in rows}),
        labs=len({row.lab for row in rows if row.lab}),
        sites=len({row.site for row in rows if row.site}),
        replicates=max(Counter((row.batch, row.lab, row.assay) for row in rows).values()),
        censored=sum(bool(row.censored) for row in rows),
        with_events=sum(row.events > 0 for row in rows),
        first_date=dates[0] if dates else "",
        last_date=dates[-1] if dates else "",
    )


def row_values(result: Result) -> Mapping[str, str | float | int]:
    """Return a result as one row of the exported table."""
    values = asdict(result)
    return {column: values[column] for column in COLUMNS}
