"""The two kinds of cost that patients cause: payments on a day, and money per day over a stay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Payments:
    """One-time costs of a category: patients, days and the amount each of them costs."""

    category: str
    patient: Int
    day: Float
    amount: float


@dataclass(frozen=True, eq=False, slots=True)
class Stays:
    """A running cost of a category: patients, first and last day, money per day."""

    category: str
    patient: Int
    start: Float
    end: Float
    per_day: float
