"""Reading published cost-effectiveness rows from CSV, whatever their columns are called.

Two layouts are read. *Long*: one row per strategy, with the study, the strategy, its cost and its QALYs as
printed, and the printed ICER on the rows that have one. *Wide*: one row per comparison, with the comparator's
cost and QALYs (or the increments) in columns of their own. Both may be mixed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cartsight.core.errors import InputError
from cartsight.economics.published_numbers import (
    PrintedNumber,
    Verdict,
    is_blank,
    read_printed_number,
    read_verdict,
)
from cartsight.economics.result_tables import records


@dataclass(frozen=True)
class PublishedRow:
    """One row of a published table; None where nothing is printed."""

    line: int
    study: str
    strategy: str
    comparator: str | None
    cost: PrintedNumber | None
    qaly: PrintedNumber | None
    comparator_cost: PrintedNumber | None
    comparator_qaly: PrintedNumber | None
    incremental_cost: PrintedNumber | None
    incremental_qaly: PrintedNumber | None
    icer: PrintedNumber | None
    verdict: Verdict | None


_NUMBER_COLUMNS = (
    "cost",
    "qaly",
    "comparator_cost",
    "comparator_qaly",
    "incremental_cost",
    "incremental_qaly",
    "icer",
)
_STUDY_WORDS = {
    "study",
    "studies",
    "reference",
    "references",
    "author",
    "authors",
    "paper",
    "source",
    "publication",
}
_STRATEGY_WORDS = {"strategy", "treatment", "intervention", "arm", "product", "therapy", "option"}
_COMPARATOR_WORDS = {"comparator", "comparison", "control", "versus", "vs", "compared", "comp", "reference"}
_INCREMENT_WORDS = {"incremental", "increment", "delta", "inc", "incr", "difference", "diff", "d", "Δ"}
_COST_WORDS = {"cost", "costs"}
_QALY_WORDS = {"qaly", "qalys", "effect", "effects", "qalm", "ly", "lys", "evlyg"}


def column_role(name: str) -> str | None:
    """Return the role of a column from its header, or None for a column that is not used.

    Roles are "study", "strategy", "comparator" and the seven numbers: "cost", "qaly", "comparator_cost",
    "comparator_qaly", "incremental_cost", "incremental_qaly", "icer". Words decide: a header with "icer", or
    with cost *and* QALY, is the ratio; cost or QALY with "comparator" or "incremental" (delta, difference) is
    what it says.
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("Δ", " delta ").replace("∆", " delta "))
    words = {word for word in re.split(r"[^a-z]+", spaced.lower()) if word}
    words |= {stem for word in words for stem in (word.removeprefix("delta"), word.removeprefix("d")) if stem != word}
    if any(word.startswith("delta") or word in {"dcost", "dqaly", "dc", "de"} for word in words):
        words.add("delta")
    cost = bool(words & _COST_WORDS) or "dc" in words
    qaly = bool(words & _QALY_WORDS) or "de" in words
    if words & {"icer", "icur"} or (cost and qaly) or {"ratio"} & words:
        return "icer"
    if cost or qaly:
        measure = "cost" if cost else "qaly"
        if words & _INCREMENT_WORDS:
            return f"incremental_{measure}"
        return f"comparator_{measure}" if words & _COMPARATOR_WORDS else measure
    for role, known in (
        ("study", _STUDY_WORDS),
        ("strategy", _STRATEGY_WORDS),
        ("comparator", _COMPARATOR_WORDS),
    ):
        if words & known:
            return role
    return None


def _roles(header: list[str], path: Path) -> dict[str, int]:
    at: dict[str, int] = {}
    for position, name in enumerate(header):
        role = column_role(name)
        if role is None:
            continue
        if role in at:
            if role in {"study", "strategy", "comparator"}:
                continue
            raise InputError(
                f"two columns could both be the {role.replace('_', ' ')}",
                file=path,
                line=1,
                found=f"{header[at[role]]}, {name}",
                hint="Keep one of them",
            )
        at[role] = position
    levels = {"cost", "qaly"} <= at.keys()
    increments = {"incremental_cost", "incremental_qaly"} <= at.keys()
    if not (levels or increments):
        raise InputError(
            "the columns with cost and QALYs are missing",
            file=path,
            line=1,
            found=", ".join(header),
            allowed="cost and qaly, or incremental_cost and incremental_qaly",
        )
    if "icer" not in at:
        raise InputError(
            "the column with the printed ICER is missing",
            file=path,
            line=1,
            found=", ".join(header),
            allowed="a column called icer",
        )
    return at


def read_published_rows(path: Path) -> tuple[PublishedRow, ...]:
    """Return the rows of a published table with their numbers as printed.

    Raises
    ------
    InputError
        With file and line: unreadable file, missing or doubtful columns, a cell that is not a printed number,
        a study that names the same strategy twice on rows without a comparator, no rows.
    """
    rows = records(path)
    _, header = next(rows, (0, []))
    at = _roles(header, path)
    result: list[PublishedRow] = []
    study = ""
    for line, cells in rows:
        numbers: dict[str, PrintedNumber | None] = dict.fromkeys(_NUMBER_COLUMNS)
        verdict = None
        for role in _NUMBER_COLUMNS:
            text = cells[at[role]] if role in at else ""
            if role == "icer":
                verdict = read_verdict(text)
                if verdict is not None:
                    continue
            try:
                numbers[role] = read_printed_number(text)
            except InputError as error:
                raise error.located(file=path, line=line, field=header[at[role]]) from None
        if "study" in at:
            # A merged cell of a published table leaves the rows below it blank.
            study = cells[at["study"]] or study
        name = cells[at["strategy"]] if "strategy" in at else ""
        against = cells[at["comparator"]] if "comparator" in at else ""
        result.append(
            PublishedRow(
                line=line,
                study=study,
                strategy=name or f"row {line}",
                comparator=None if is_blank(against) else against,
                verdict=verdict,
                **numbers,
            )
        )
    if not result:
        raise InputError("the file has a header and no rows", file=path)
    return tuple(result)
