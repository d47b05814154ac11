"""Intervals over independent replications: the unit of a terminating simulation is the run, not the patient.

Patients of one run wait in the same queues and share lots, so they are not independent; runs with different seeds are.
Differences between arms are taken run by run on common random numbers (`comparison.spread.paired_difference`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MeanInterval:
    """Mean of independent values with a Student t interval.

    Attributes
    ----------
    mean, standard_deviation, standard_error : float
        In the unit of the values.
    half_width, low, high : float
        Of the interval at `level`.
    count : int
        Replications (or batches).
    level : float
    """

    mean: float
    standard_deviation: float
    standard_error: float
    half_width: float
    low: float
    high: float
    count: int
    level: float


def checked_level(level: float) -> float:
    """Return the confidence level, or raise `InputError` when it is not between 0 and 1."""
    if not 0.0 < level < 1.0:
        raise InputError("a confidence level lies between 0 and 1", field="level", found=level)
    return level


def mean_interval(values: npt.ArrayLike, *, level: float = 0.95) -> MeanInterval:
    """Return the mean over replications with its t interval.

    Parameters
    ----------
    values : array_like, shape (n,)
        One value per independent replication, n >= 2.
    level : float

    Raises
    ------
    InputError
        Fewer than two values, a value that is not finite, or a level outside (0, 1).

    Notes
    -----
    Exact for normal values; by the central limit theorem otherwise. A replication's value is itself a mean over
    many patients, so normality is a mild assumption except for medians of few and for rare events.
    """
    checked_level(level)
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size < 2:
        raise InputError("an interval needs at least two replications", found=x.shape)
    if not np.isfinite(x).all():
        raise InputError("the values of replications must be finite", found=float(x[~np.isfinite(x)][0]))
    deviation = float(np.std(x, ddof=1))
    error = deviation / math.sqrt(x.size)
    reach = float(stats.t.ppf((1.0 + level) / 2.0, x.size - 1)) * error
    mean = float(np.mean(x))
    return MeanInterval(mean, deviation, error, reach, mean - reach, mean + reach, int(x.size), level)
