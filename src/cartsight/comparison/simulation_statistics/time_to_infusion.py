"""Time to infusion over replications, with death as a competing event.

The mean wait of those infused leaves out who died waiting, and more so where waits are longer; the cumulative
incidence counts everyone referred (`outcomes.cumulative_incidence`, followed to completion, so nothing is censored).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from cartsight.comparison.simulation_statistics.replications import checked_level
from cartsight.core.errors import InputError
from cartsight.outcomes import cumulative_incidence
from cartsight.simulation.pathways.trajectory import Trajectories

Float = npt.NDArray[np.float64]
EVENTS = ("infused", "died", "other")


@dataclass(frozen=True)
class IncidenceBand:
    """Shares of the referred by day, with pointwise t intervals over replications.

    Attributes
    ----------
    days : array, shape (d,)
        From referral.
    mean, low, high : dict of str to array, shape (d,)
        By event ("infused", "died" while waiting, "other" endings) and "waiting" for who is left; cut at 0 and 1.
    replications : int
    level : float
    """

    days: Float
    mean: dict[str, Float]
    low: dict[str, Float]
    high: dict[str, Float]
    replications: int
    level: float


def incidence_of(trajectories: Trajectories, days: Sequence[float] | Float) -> Float:
    """Return the shares infused, died, otherwise gone and still waiting by each day, shape (4, d)."""
    found = cumulative_incidence(trajectories, days)
    return np.vstack([found.infused, found.died_waiting, found.left, found.still_waiting])


def incidence_band(curves: npt.ArrayLike, days: Sequence[float] | Float, *, level: float = 0.95) -> IncidenceBand:
    """Return mean and pointwise interval of replicated incidence curves.

    Parameters
    ----------
    curves : array_like, shape (replications, 4, d)
        Each from `incidence_of`.
    days : array_like, shape (d,)
    level : float

    Raises
    ------
    InputError
        Fewer than two replications, or shapes that do not fit.
    """
    checked_level(level)
    x = np.asarray(curves, dtype=np.float64)
    at = np.asarray(days, dtype=np.float64)
    if x.ndim != 3 or x.shape[0] < 2 or x.shape[1:] != (4, at.size):
        raise InputError("incidence bands need curves of shape (replications, 4, days)", found=x.shape)
    n = x.shape[0]
    mean = x.mean(axis=0)
    reach = float(stats.t.ppf((1.0 + level) / 2.0, n - 1)) * x.std(axis=0, ddof=1) / np.sqrt(n)
    names = (*EVENTS, "waiting")
    low, high = np.clip(mean - reach, 0.0, 1.0), np.clip(mean + reach, 0.0, 1.0)
    return IncidenceBand(
        at,
        {name: mean[i] for i, name in enumerate(names)},
        {name: low[i] for i, name in enumerate(names)},
        {name: high[i] for i, name in enumerate(names)},
        n,
        level,
    )
