"""The literature tables as one searchable table, read once from the package with the csv module."""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from cartsight.core.errors import InputError, nearest
from cartsight.core.units import unit as known_unit
from cartsight.evidence.literature.bibliography import Source, read_bibliography
from cartsight.evidence.literature.rows import EvidenceRow, ExcludedRow
from cartsight.evidence.literature.vocabulary import INTERVAL_MEANING, PRICE_YEAR_BASES, STATISTICS, STATUSES

FOLDER = Path(__file__).parent
THEMES = (
    "biology",
    "logistics_and_access",
    "manufacturing",
    "outcomes_and_costs",
    "quality",
    "regulation_strategy",
)
TEXT_UNITS = frozenset({"text", "calendar_date"})


class EvidenceTable:
    """All rows of the literature tables, their sources, and the rows that were left out.

    Parameters
    ----------
    rows : iterable of EvidenceRow
    sources : dict of str to Source
    excluded : iterable of ExcludedRow

    Raises
    ------
    InputError
        Two rows share an id.
    """

    def __init__(
        self, rows: Iterable[EvidenceRow], sources: dict[str, Source], excluded: Iterable[ExcludedRow] = ()
    ) -> None:
        self._rows: dict[str, EvidenceRow] = {}
        for row in rows:
            if row.id in self._rows:
                raise InputError("evidence id given twice", found=row.id)
            self._rows[row.id] = row
        self._sources = dict(sources)
        self.excluded: tuple[ExcludedRow, ...] = tuple(excluded)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[EvidenceRow]:
        return iter(self._rows.values())

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._rows

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids, in table order."""
        return tuple(self._rows)

    @property
    def sources(self) -> tuple[Source, ...]:
        """All sources, by key."""
        return tuple(self._sources[key] for key in sorted(self._sources))

    def row(self, row_id: str) -> EvidenceRow:
        """Return the row with this id.

        Raises
        ------
        InputError
            No such row; the message names the nearest ids, or why the row was left out.
        """
        found = self._rows.get(row_id)
        if found is not None:
            return found
        for excluded in self.excluded:
            if excluded.id == row_id:
                raise InputError(
                    f"evidence row {row_id} was left out of the tables: {excluded.reason}",
                    hint="See `cartsight evidence list --excluded`",
                )
        raise InputError("no evidence row has this id", found=row_id, hint=self._nearest(row_id))

    def _nearest(self, row_id: str) -> str:
        by_plain = {_plain_id(known): known for known in self._rows}
        wanted = _plain_id(row_id)
        close = [wanted] if wanted in by_plain else difflib.get_close_matches(wanted, by_plain, n=3, cutoff=0.6)
        if not close:
            return "Find one with `cartsight evidence search WORDS`"
        return "Did you mean " + " or ".join(repr(by_plain[name]) for name in close) + "?"

    def source(self, key: str) -> Source:
        """Return the source with this BibTeX key; InputError with the nearest key when there is none."""
        if key in self._sources:
            return self._sources[key]
        raise InputError("no source has this key", found=key, hint=nearest(key, self._sources))

    def select(
        self, *, unit: str | None = None, theme: str | None = None, status: str | None = None
    ) -> list[EvidenceRow]:
        """Return the rows of a unit, theme and status, in table order.

        Raises
        ------
        InputError
            Unknown theme or status.
        """
        _known("theme", theme, THEMES)
        _known("status", status, STATUSES)
        return [
            row
            for row in self
            if (unit is None or row.unit == unit)
            and (theme is None or row.theme == theme)
            and (status is None or row.status == status)
        ]

    def search(
        self, text: str, *, unit: str | None = None, theme: str | None = None, status: str | None = None
    ) -> list[EvidenceRow]:
        """Return the rows that match the words of `text`, best first.

        A row matches a word that stands anywhere in it, whatever the case. Rows that match every word are
        returned; when there are none, the rows that match the most words. Within these, words in the quantity
        count most, then the population, then the source and the rest.

        Raises
        ------
        InputError
            `text` holds no word; unknown theme or status.
        """
        words = text.lower().split()
        if not words:
            raise InputError("search needs at least one word", found=text)
        scored = [(*_score(row, words), row) for row in self.select(unit=unit, theme=theme, status=status)]
        most = max((hits for hits, _, _ in scored), default=0)
        if most == 0:
            return []
        ranked = sorted((item for item in scored if item[0] == most), key=lambda item: -item[1])
        return [row for _, _, row in ranked]


def _plain_id(row_id: str) -> str:
    """An id without case and leading zeros, so that ``ec1`` finds ``EC001``."""
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", row_id.lower())


def _known(name: str, value: str | None, options: Iterable[str]) -> None:
    choices = sorted(options)
    if value is not None and value not in choices:
        raise InputError(f"unknown {name}", found=value, allowed=", ".join(choices), hint=nearest(value, choices))


def _score(row: EvidenceRow, words: list[str]) -> tuple[int, int]:
    weighted = (
        (8, row.id.lower()),
        (4, row.quantity.lower()),
        (3, row.applies_to.lower()),
        (1, f"{row.source.title} {row.source_detail} {row.denominator} {row.unit} {row.statistic}".lower()),
        (1, f"{row.caution} {row.note}".lower()),
    )
    hits = score = 0
    for word in words:
        weight = max((weight for weight, text in weighted if word in text), default=0)
        hits += weight > 0
        score += weight
    return hits, score


@lru_cache(maxsize=1)
def load_evidence() -> EvidenceTable:
    """Return the literature tables shipped with the package; read once, then cached."""
    return read_tables(FOLDER)


def read_tables(folder: Path) -> EvidenceTable:
    """Read ``sources.bib``, one CSV per theme and ``excluded.csv`` from a folder.

    Raises
    ------
    InputError
        A cell outside its vocabulary, a number that is none, an unknown unit or source; file and line named.
    """
    sources = read_bibliography(folder / "sources.bib")
    rows = [row for theme in THEMES for row in _read_theme(folder / f"{theme}.csv", theme, sources)]
    with (folder / "excluded.csv").open(encoding="utf-8", newline="") as file:
        excluded = [ExcludedRow(**record) for record in csv.DictReader(file)]
    return EvidenceTable(rows, sources, excluded)


def _read_theme(path: Path, theme: str, sources: dict[str, Source]) -> Iterator[EvidenceRow]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        for record in reader:
            try:
                yield _row(record, theme, sources)
            except InputError as error:
                raise error.located(file=path, line=reader.line_num) from error


def _row(record: dict[str, str], theme: str, sources: dict[str, Source]) -> EvidenceRow:
    known_unit(record["unit"])
    _known("interval", record["interval"], INTERVAL_MEANING)
    _known("statistic", record["statistic"], STATISTICS)
    _known("status", record["status"], STATUSES)
    _known("price_year_basis", record["price_year_basis"], PRICE_YEAR_BASES)
    source = sources.get(record["source_key"])
    if source is None:
        raise InputError("unknown source", field="source_key", found=record["source_key"])
    is_text = record["unit"] in TEXT_UNITS
    return EvidenceRow(
        id=record["id"],
        theme=theme,
        quantity=record["quantity"],
        value=(record["value"] or None) if is_text else _number(record, "value"),
        low=_number(record, "low"),
        high=_number(record, "high"),
        unit=record["unit"],
        denominator=record["denominator"],
        interval=record["interval"],
        events=_whole(record, "events"),
        sample_size=_whole(record, "sample_size"),
        statistic=record["statistic"],
        applies_to=record["applies_to"],
        source=source,
        source_detail=record["source_detail"],
        locator=record["locator"],
        status=record["status"],
        price_year=_whole(record, "price_year"),
        price_year_basis=record["price_year_basis"],
        factor=_number(record, "factor") or 1.0,
        original_value=record["original_value"],
        original_low=record["original_low"],
        original_high=record["original_high"],
        original_unit=record["original_unit"],
        caution=record["caution"],
        note=record["note"],
    )


def _number(record: dict[str, str], column: str) -> float | None:
    text = record[column]
    if text == "":
        return None
    try:
        number = float(text)
    except ValueError:
        raise InputError("not a number", field=column, found=text) from None
    if not math.isfinite(number):
        raise InputError("not a finite number", field=column, found=text)
    return number


def _whole(record: dict[str, str], column: str) -> int | None:
    text = record[column]
    if text == "":
        return None
    if not text.isdigit():
        raise InputError("not a whole number", field=column, found=text)
    return int(text)
