"""Values in named groups, read from CSV, with the checks that every comparison needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.csv_table import read_csv_table

Float = npt.NDArray[np.float64]


def read_values(path: Path | str, column: str = "value", *, smallest: int = 2) -> Float:
    """Return one column of numbers; empty cells are an error.

    Raises
    ------
    InputError
        Fewer than `smallest` values, or a missing column.
    """
    table = read_csv_table(path, [column])
    values = np.array(table.numbers(column))
    if len(values) < smallest:
        raise InputError(
            f"{len(values)} value is too few" if len(values) == 1 else f"{len(values)} values are too few",
            file=table.file,
            allowed=f"{smallest} or more",
            hint="A spread cannot be estimated from groups of one." if smallest == 2 else None,
        )
    return values


def read_groups(
    path: Path | str, group: str = "group", value: str = "value", pair: str | None = None
) -> tuple[dict[str, Float], dict[str, list[str]]]:
    """Return the values of each group in order of appearance, and the pair label of each value.

    Parameters
    ----------
    path : path
        CSV with one line per value.
    group, value, pair : str
        Column names; without `pair` the labels are empty lists.
    """
    table = read_csv_table(path, [group, value, *([pair] if pair else [])])
    names, numbers = table.text(group), table.numbers(value)
    labels = table.text(pair) if pair else [""] * len(names)
    values: dict[str, list[float]] = {}
    pairs: dict[str, list[str]] = {}
    for name, number, label in zip(names, numbers, labels, strict=True):
        values.setdefault(name, []).append(number)
        pairs.setdefault(name, []).append(label)
    return {name: np.array(items) for name, items in values.items()}, pairs if pair else {n: [] for n in values}


def choose_reference(names: Sequence[str], reference: str | None, file: str) -> str:
    """Return the reference group: the one named, else the first met."""
    if len(names) < 2:
        raise InputError(f"only one group: {names[0]!r}", file=file, hint="A comparison needs two groups.")
    if reference is None:
        return names[0]
    if reference not in names:
        raise InputError(
            "the reference is not among the groups",
            file=file,
            found=reference,
            allowed=", ".join(names),
            hint=nearest(reference, names),
        )
    return reference


def require_spread(values: Float, what: str, file: str | None = None) -> None:
    """Raise InputError for a group of one or a group without variation."""
    if len(values) < 2:
        raise InputError(
            f"groups of one: {what} has {len(values)} value, so its spread cannot be estimated",
            file=file,
            hint="Add lots; one lot shows nothing about lot-to-lot variation.",
        )
    if float(np.ptp(values)) == 0.0:
        raise InputError(
            f"zero variance: all values of {what} are equal",
            file=file,
            hint="Enter the results before rounding.",
        )
