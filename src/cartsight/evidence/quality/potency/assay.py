"""The data of one bioassay: what was given, what was seen, and how it was laid out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.csv_table import CsvTable, read_csv_table
from cartsight.evidence.quality.potency.linear_model import indicators, least_squares

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.intp]

DESIGNS = ("crd", "rbd", "latin")
BLANK_NAMES = frozenset({"blank", "control", "negative control", "vehicle"})

TRANSFORMS: dict[str, Callable[[Float], Float]] = {
    "none": lambda y: y,
    "log": lambda y: np.log(y),
    "log10": lambda y: np.log10(y),
    "sqrt": lambda y: np.sqrt(y),
    "square": lambda y: np.square(y),
}


@dataclass(frozen=True)
class Assay:
    """One assay, with missing responses already taken out.

    Attributes
    ----------
    preparations : tuple of str
        Names; the standard comes first.
    preparation : ndarray of int, shape (n,)
        Index into `preparations`; -1 for a blank (dose 0 under a blank's name).
    dose : ndarray, shape (n,)
        Dose in the units of the label; 0 for a blank or control.
    response : ndarray, shape (n,)
        Response on the scale it was measured on (for quantal assays: responders / total).
    weight : ndarray, shape (n,)
        Relative weight of each response, 1 unless given.
    nuisance : tuple of (name, ndarray of int)
        Block, or row and column, as level indices.
    line : ndarray of int, shape (n,)
        Line of each response in its file.
    missing : int
        Number of responses left empty.
    responders, total : ndarray or None
        Counts of a quantal assay.
    """

    preparations: tuple[str, ...]
    preparation: Int
    dose: Float
    response: Float
    weight: Float
    nuisance: tuple[tuple[str, Int], ...]
    line: Int
    missing: int = 0
    file: str | None = None
    design: str = "crd"
    responders: Float | None = None
    total: Float | None = None

    @property
    def standard(self) -> str:
        """Name of the standard preparation."""
        return self.preparations[0]

    @property
    def treatment(self) -> Int:
        """Index of the treatment (preparation and dose) of each response; all zero doses are one
        treatment."""
        keys = np.column_stack([np.where(self.dose > 0, self.preparation, -1), self.dose])
        _, index = np.unique(keys, axis=0, return_inverse=True)
        return np.asarray(index, dtype=np.intp).reshape(-1)

    def subset(self, keep: npt.NDArray[np.bool_]) -> Assay:
        """Return the assay with only the responses of `keep`."""
        return Assay(
            self.preparations,
            self.preparation[keep],
            self.dose[keep],
            self.response[keep],
            self.weight[keep],
            tuple((name, levels[keep]) for name, levels in self.nuisance),
            self.line[keep],
            self.missing,
            self.file,
            self.design,
            None if self.responders is None else self.responders[keep],
            None if self.total is None else self.total[keep],
        )

    def transformed(self, transform: str) -> Float:
        """Return the responses on the analysis scale.

        Raises
        ------
        InputError
            Unknown transform, or responses outside its domain.
        """
        if transform not in TRANSFORMS:
            raise InputError(
                "no such transform",
                found=transform,
                allowed=", ".join(TRANSFORMS),
                hint=nearest(transform, TRANSFORMS),
            )
        bad = np.zeros(len(self.response), dtype=bool)
        if transform in ("log", "log10"):
            bad = self.response <= 0
        elif transform == "sqrt":
            bad = self.response < 0
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            bound = "above zero" if transform != "sqrt" else "zero or more"
            raise InputError(
                f"the transform {transform!r} needs responses {bound}; {int(bad.sum())} of them are not",
                file=self.file,
                line=int(self.line[first]),
                found=float(self.response[first]),
                hint="Leave the cell empty if the value was lost, or choose another transform.",
            )
        return TRANSFORMS[transform](self.response)


def read_assay(path: Path | str, *, design: str = "crd", standard: str | None = None, quantal: bool = False) -> Assay:
    """Read an assay from CSV.

    Parameters
    ----------
    path : path
        Columns ``preparation``, ``dose``, and ``response`` (or ``responders`` and ``total``); ``block`` for
        randomised blocks, ``row`` and ``column`` for a Latin square; optional ``weight``. An empty response
        is a missing value.
    design : {"crd", "rbd", "latin"}
        Completely randomised, randomised blocks, Latin square.
    standard : str, optional
        Name of the standard preparation; the first met otherwise.
    quantal : bool
        Read counts instead of a response.

    Raises
    ------
    InputError
        The file cannot serve the design; the message says what to do.
    """
    if design not in DESIGNS:
        raise InputError("no such design", found=design, allowed=", ".join(DESIGNS), hint=nearest(design, DESIGNS))
    wanted = ["preparation", "dose"] + (["responders", "total"] if quantal else ["response"])
    wanted += {"crd": [], "rbd": ["block"], "latin": ["row", "column"]}[design]
    table = read_csv_table(path, wanted)
    names = table.text("preparation")
    dose = np.array(table.numbers("dose"))
    line = np.array(table.lines, dtype=np.intp)
    if (dose < 0).any():
        first = int(np.flatnonzero(dose < 0)[0])
        raise InputError("a dose cannot be negative", file=table.file, line=int(line[first]), found=float(dose[first]))
    preparations = _preparations(names, dose, standard, table.file)
    codes = {name: index for index, name in enumerate(preparations)}
    preparation = np.array([codes.get(name, -1) for name in names], dtype=np.intp)
    responders = total = None
    if quantal:
        responders, total = _counts(table, line)
        response = responders / total
    else:
        response = np.array(table.numbers("response", missing=True))
    weight = np.array(table.numbers("weight")) if table.has("weight") else np.ones(len(table))
    if (weight <= 0).any():
        first = int(np.flatnonzero(weight <= 0)[0])
        raise InputError("a weight must be above zero", file=table.file, line=int(line[first]))
    nuisance = tuple(
        (name, _levels(table.text(name))) for name in {"crd": [], "rbd": ["block"], "latin": ["row", "column"]}[design]
    )
    whole = Assay(
        preparations,
        preparation,
        dose,
        response,
        weight,
        nuisance,
        line,
        0,
        table.file,
        design,
        responders,
        total,
    )
    if design == "latin":
        _check_latin_square(whole)
    seen = ~np.isnan(response)
    if not seen.any():
        raise InputError("every response is empty", file=table.file)
    kept = whole.subset(seen)
    _check_connected(kept)
    return Assay(**{**kept.__dict__, "missing": int((~seen).sum())})


def _preparations(names: list[str], dose: Float, standard: str | None, file: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for name, amount in zip(names, dose, strict=True):
        if amount > 0 or name.lower() not in BLANK_NAMES:
            found.setdefault(name)
    lower: dict[str, str] = {}
    for name in found:
        other = lower.setdefault(name.lower(), name)
        if other != name:
            raise InputError(
                f"two preparations differ in capitals alone: {other!r} and {name!r}",
                file=file,
                hint="Write one name the same way throughout.",
            )
    order = [name for name in found if (dose[[other == name for other in names]] > 0).any()]
    if not order:
        raise InputError("no dose is above zero", file=file)
    if standard is None:
        return tuple(order)
    if standard not in order:
        raise InputError(
            "the standard is not among the preparations of the file",
            file=file,
            found=standard,
            allowed=", ".join(order),
            hint=nearest(standard, order),
        )
    return (standard, *[name for name in order if name != standard])


def _levels(values: list[str]) -> Int:
    _, index = np.unique(np.array(values), return_inverse=True)
    return np.asarray(index, dtype=np.intp)


def _counts(table: CsvTable, line: Int) -> tuple[Float, Float]:
    responders = np.array(table.numbers("responders"))
    total = np.array(table.numbers("total"))
    for r, n, where in zip(responders, total, line, strict=True):
        if n < 1 or r < 0 or r > n or r != math.floor(r) or n != math.floor(n):
            raise InputError(
                "responders and total must be whole numbers with 0 <= responders <= total and total >= 1",
                file=table.file,
                line=int(where),
                found=(float(r), float(n)),
            )
    return responders, total


def _check_connected(assay: Assay) -> None:
    """Raise InputError when a difference between treatments is also one between blocks (or rows, or columns)."""
    blocks = [indicators(_levels_of(levels))[:, 1:] for _, levels in assay.nuisance]
    if not blocks or not any(columns.shape[1] for columns in blocks):
        return
    one = np.ones((len(assay.response), 1))
    treatments = indicators(assay.treatment)

    def rank(*columns: Float) -> int:
        return least_squares(np.column_stack(columns), assay.response, assay.weight).rank

    if rank(treatments, *blocks) < rank(treatments) + rank(one, *blocks) - 1:
        names = " and ".join(f"{name}s" for name, _ in assay.nuisance)
        raise InputError(
            f"treatments are confounded with {names}: some doses or preparations never share one",
            file=assay.file,
            hint="Give the treatments that are compared in the same blocks, or analyse as --design crd.",
        )


def _levels_of(levels: Int) -> Int:
    """Return level indices without gaps, as when every response of a block is missing."""
    _, index = np.unique(levels, return_inverse=True)
    return np.asarray(index, dtype=np.intp).reshape(-1)


def _check_latin_square(assay: Assay) -> None:
    """Every treatment once in every row and column; a lost response keeps its line with an empty cell."""
    rows, columns = assay.nuisance[0][1], assay.nuisance[1][1]
    treatment = assay.treatment
    size = int(treatment.max()) + 1
    advice = (
        "Give each treatment once in every row and column, keep the line of a lost response and leave its "
        "response empty, or analyse as --design rbd or crd."
    )
    if int(rows.max()) + 1 != size or int(columns.max()) + 1 != size:
        raise InputError(
            f"not a Latin square: {size} treatments, {int(rows.max()) + 1} rows, {int(columns.max()) + 1} columns",
            file=assay.file,
            hint=advice,
        )
    for pair, what in (
        ((rows, columns), "a cell of the square"),
        ((treatment, rows), "a treatment in a row"),
        ((treatment, columns), "a treatment in a column"),
    ):
        counts = np.zeros((size, size), dtype=int)
        np.add.at(counts, pair, 1)
        if (counts != 1).any():
            raise InputError(
                f"unbalanced Latin square: {what} occurs "
                f"{int(counts.max() if counts.max() > 1 else counts.min())} times",
                file=assay.file,
                hint=advice,
            )
