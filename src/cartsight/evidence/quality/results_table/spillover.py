"""Spillover between the channels of a cytometer: measured = true x S, with a row of S for each dye.

FCS 3.1 files state S in ``$SPILLOVER`` (older ones in ``SPILL`` or ``SPILLOVER``): the number of channels, their names, and
the matrix by rows. Compensation solves for the true signals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest

Float = npt.NDArray[np.float64]
KEYWORDS = ("spillover", "spill", "comp")
WORST_CONDITION = 1e6


@dataclass(frozen=True)
class Spillover:
    """What the dye of each channel gives in every channel; `matrix[i][j]` is dye i in channel j, 1 on the diagonal."""

    channels: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        n = len(self.channels)
        if n < 2 or len(set(self.channels)) != n:
            raise InputError("spillover needs two channels or more, each once", found=", ".join(self.channels))
        if len(self.matrix) != n or any(len(row) != n for row in self.matrix):
            raise InputError(f"the spillover matrix must have {n} rows of {n} numbers", field="compensation.matrix")
        values = np.array(self.matrix)
        if not np.all(np.isfinite(values)) or np.any(np.diag(values) <= 0.0):
            raise InputError(
                "the spillover matrix needs finite numbers and a diagonal above zero", field="compensation"
            )
        if np.linalg.cond(values) > WORST_CONDITION:
            raise InputError("the spillover matrix cannot be inverted: two dyes look the same", field="compensation")

    def remove(self, signals: Float) -> Float:
        """Return true signals, shape (events, channels), from measured ones."""
        return np.asarray(np.linalg.solve(np.array(self.matrix).T, signals.T).T)


Compensation: TypeAlias = Literal["file", "none"] | Spillover | None


def compensation_of(stated: Any, file: str) -> Compensation:
    """Return what the `compensation` key of a gates file says."""
    if stated is None:
        return None
    if stated == "file":
        return "file"
    if stated == "none":
        return "none"
    if not isinstance(stated, Mapping):
        raise InputError(
            "unknown compensation", file=file, field="compensation", found=stated,
            allowed='"file", "none", or a table with channels and matrix', hint=nearest(str(stated), ["file", "none"]),
        )  # fmt: skip
    for key in stated:
        if key not in ("channels", "matrix"):
            raise InputError("unknown key", file=file, field=f"compensation.{key}", allowed="channels, matrix")
    channels, matrix = stated.get("channels"), stated.get("matrix")
    if not isinstance(channels, list) or not isinstance(matrix, list):
        raise InputError("channels and matrix are both needed", file=file, field="compensation")
    try:
        rows = tuple(tuple(float(value) for value in row) for row in matrix)
        return Spillover(tuple(str(channel) for channel in channels), rows)
    except (TypeError, ValueError):
        raise InputError("the spillover matrix is rows of numbers", file=file, field="compensation.matrix") from None
    except InputError as error:
        raise error.located(file=file) from None


def spillover_of_file(text: Mapping[str, str]) -> Spillover | None:
    """Return the spillover that the keywords of an FCS file state, None when there is none.

    Raises
    ------
    InputError
        A keyword that is no matrix.
    """
    keys = {key.lower().lstrip("$"): value for key, value in text.items()}
    stated = next((keys[name] for name in KEYWORDS if keys.get(name, "").strip()), None)
    if stated is None:
        return None
    parts = [part.strip() for part in stated.split(",")]
    try:
        n = int(parts[0])
        numbers = [float(part) for part in parts[1 + n :]]
    except (ValueError, IndexError):
        raise InputError("the spillover keyword of the file is no matrix", field="$SPILLOVER", found=stated) from None
    if n < 1 or len(numbers) != n * n or any(not math.isfinite(x) for x in numbers):
        raise InputError(
            f"the spillover keyword of the file needs {n} x {n} numbers", field="$SPILLOVER", found=len(numbers)
        )
    rows = tuple(tuple(numbers[i * n : (i + 1) * n]) for i in range(n))
    if n == 1 or rows == tuple(tuple(float(i == j) for j in range(n)) for i in range(n)):
        return None
    return Spillover(tuple(parts[1 : 1 + n]), rows)


def compensated(
    events: Float,
    channels: Sequence[str],
    stains: Mapping[str, str],
    text: Mapping[str, str],
    used: Set[str],
    how: Compensation,
) -> tuple[Float, tuple[str, ...]]:
    """Return events with spillover taken out as stated, and remarks.

    Parameters
    ----------
    events : array, shape (n, channels)
    channels : sequence of str
    stains : mapping
        Stain -> channel; either name may be used in a matrix.
    text : mapping
        Keywords of the file.
    used : set of str
        Channels that gates use.
    how : {"file", "none"}, Spillover or None
    """
    if how == "none":
        return events, ()
    spillover = how if isinstance(how, Spillover) else spillover_of_file(text)
    if spillover is None:
        return events, (("the file states no spillover, so none was taken out",) if how == "file" else ())
    names = [stains.get(channel, channel) for channel in spillover.channels]
    for channel in names:
        if channel not in channels:
            raise InputError(
                "the spillover matrix names a channel that the file lacks", field="compensation", found=channel,
                allowed=", ".join(channels), hint=nearest(channel, channels),
            )  # fmt: skip
    if how is None:
        if not used & set(names):
            return events, ()
        raise InputError(
            "the file states spillover between channels that the gates use",
            field="compensation",
            found=", ".join(sorted(used & set(names))),
            allowed='compensation = "file" (take it out) or "none" (the events are compensated already)',
        )
    columns = [list(channels).index(channel) for channel in names]
    clean = events.copy()
    clean[:, columns] = spillover.remove(events[:, columns])
    return clean, (f"spillover between {', '.join(names)} taken out",)
