"""The layout of a random-effects study: one response, several random factors, nested or crossed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.csv_table import read_csv_table

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.intp]

STRUCTURES = ("auto", "nested", "crossed")


@dataclass(frozen=True)
class RandomFactor:
    """One random term: its name and the level of each response (0 .. levels - 1)."""

    name: str
    codes: Int

    @property
    def levels(self) -> int:
        """Number of levels."""
        return int(self.codes.max()) + 1

    @property
    def indicators(self) -> Float:
        """0/1 matrix, shape (n, levels)."""
        return np.asarray(np.eye(self.levels)[self.codes], dtype=np.float64)

    @property
    def balanced(self) -> bool:
        """Whether every level has the same number of responses."""
        counts = np.bincount(self.codes)
        return bool((counts == counts[0]).all())


@dataclass(frozen=True)
class RandomEffectsStudy:
    """Responses with their random terms, from the widest to the narrowest.

    Attributes
    ----------
    y : ndarray, shape (n,)
    factors : tuple of RandomFactor
    structure : {"nested", "crossed"}
    remarks : tuple of str
        What was assumed of the labels.
    """

    y: Float
    factors: tuple[RandomFactor, ...]
    structure: str
    file: str | None = None
    remarks: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the random terms, without the residual."""
        return tuple(factor.name for factor in self.factors)

    @property
    def balanced(self) -> bool:
        """Whether every term, and every pair of crossed terms, has equal counts."""
        if not all(factor.balanced for factor in self.factors):
            return False
        for i, first in enumerate(self.factors):
            for second in self.factors[i + 1 :]:
                table = np.zeros((first.levels, second.levels), dtype=int)
                np.add.at(table, (first.codes, second.codes), 1)
                filled = table[table > 0]
                nested = (table > 0).sum(axis=0).max() == 1
                if not nested and ((table != table[0, 0]).any()):
                    return False
                if nested and (filled != filled[0]).any():
                    return False
        return True


def _codes(labels: Sequence[object]) -> Int:
    order: dict[object, int] = {}
    return np.array([order.setdefault(label, len(order)) for label in labels], dtype=np.intp)


def build_study(
    y: Float, columns: Mapping[str, Sequence[str]], structure: str = "auto", file: str | None = None
) -> RandomEffectsStudy:
    """Return the study of responses `y` with the label columns in `columns`.

    Parameters
    ----------
    y : ndarray, shape (n,)
    columns : mapping of name to labels
        In order, widest first. A name with a colon (``site:donor``) is the interaction of columns named
        before.
    structure : {"auto", "nested", "crossed"}
        "nested": labels of a column are only meaningful inside the columns before it (donor 1 of site A is
        not donor 1
        of site B). "crossed": labels mean the same everywhere. "auto": nested when every column's labels
        occur
        inside one label of the column before, else crossed.

    Raises
    ------
    InputError
        A factor of one level, a factor confounded with the residual, or no variation.
    """
    if structure not in STRUCTURES:
        raise InputError("no such structure", found=structure, allowed=", ".join(STRUCTURES))
    if not columns:
        raise InputError("no factor: name at least one column", file=file)
    plain = {name: list(labels) for name, labels in columns.items() if ":" not in name}
    names = list(plain)
    remarks: tuple[str, ...] = ()
    if structure == "auto":
        chain = all(
            len({(a, b) for a, b in zip(plain[left], plain[right], strict=True)}) == len(set(plain[right]))
            for left, right in pairwise(names)
        )
        structure = "nested" if chain and len(names) > 1 else "crossed"
        if not chain:
            remarks = (
                f"taken as crossed: a label of {', '.join(names[1:])} is the same one wherever it occurs; if it is a new one "
                f"within each {names[0]}, say --structure nested",
            )
    factors = []
    for position, (name, labels) in enumerate(columns.items()):
        if ":" in name:
            keys: list[object] = list(zip(*[plain[part] for part in name.split(":")], strict=True))
        elif structure == "nested":
            keys = list(zip(*[plain[other] for other in names[: position + 1]], strict=True))
        else:
            keys = list(labels)
        factor = RandomFactor(name, _codes(keys))
        if factor.levels < 2:
            raise InputError(
                f"groups of one: factor {name!r} has one level, so its variance cannot be estimated",
                file=file,
                hint="Leave the factor out.",
            )
        if factor.levels == len(y):
            raise InputError(
                f"factor {name!r} has a level for every response: it cannot be told from the residual",
                file=file,
                hint="Leave it out (the residual then contains it), or add replicates.",
            )
        factors.append(factor)
    if float(np.ptp(y)) == 0.0:
        raise InputError("zero variance: all responses are equal", file=file)
    return RandomEffectsStudy(y, tuple(factors), structure, file, remarks)


def read_study(
    path: Path | str, *, value: str = "value", factors: Sequence[str] = (), structure: str = "auto"
) -> RandomEffectsStudy:
    """Read a study from CSV; without `factors`, every column but the value is one, in order.

    Parameters
    ----------
    path : path
    value : str
        Column of the response.
    factors : sequence of str
        Columns, widest first; ``a:b`` is an interaction.
    structure : {"auto", "nested", "crossed"}
    """
    table = read_csv_table(path, [value])
    chosen = list(factors) or [name for name in table.header if name not in (value.lower(), "replicate", "unit")]
    columns: dict[str, list[str]] = {}
    for name in chosen:
        parts = name.split(":")
        for part in parts:
            if not table.has(part):
                raise InputError(
                    f"no column {part!r} for a factor",
                    file=table.file,
                    found=part,
                    allowed=", ".join(table.header),
                    hint=nearest(part, table.header),
                )
        if len(parts) > 1 and any(part not in columns for part in parts):
            raise InputError("name the factors of an interaction before it", file=table.file, found=name)
        columns[name] = table.text(name) if len(parts) == 1 else []
    if not columns:
        raise InputError("the file has no column for a factor", file=table.file, found=", ".join(table.header))
    return build_study(np.array(table.numbers(value)), columns, structure, table.file)
