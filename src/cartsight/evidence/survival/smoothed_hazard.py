"""Kernel estimate of the hazard with boundary kernels (Mueller & Wang 1994, doi:10.2307/2533197)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.evidence.survival.kaplan_meier import event_table, normal_quantile
from cartsight.evidence.survival.observations import Float, SurvivalData


@dataclass(frozen=True)
class SmoothedHazard:
    """Hazard per unit of time on a grid, with a pointwise interval on the log scale."""

    time: Float
    hazard: Float
    low: Float
    high: Float
    bandwidth: float
    level: float


def smoothed_hazard(
    data: SurvivalData,
    times: npt.ArrayLike | None = None,
    *,
    bandwidth: float | None = None,
    level: float = 0.95,
) -> SmoothedHazard:
    """Return the Epanechnikov kernel estimate of the hazard from the Nelson-Aalen increments d / Y.

    Within a bandwidth of 0 or of the last event time the kernel is Mueller & Wang's boundary kernel, which
    integrates to 1 over what is left of its support; a negative estimate there is set to 0.

    Parameters
    ----------
    times : array, optional
        Where to estimate; default 101 points from 0 to the last event.
    bandwidth : float, optional
        Half width of the kernel; default R / (2 D^0.2), R the last event time and D the number of events (a
        rule of thumb of the order of the pilot in the R package muhaz; report it and vary it).

    Raises
    ------
    InputError
        For fewer than two events, or a bandwidth that is not positive or exceeds half the range.
    """
    z = normal_quantile(level)
    table = event_table(data)
    if table.time.size < 2:
        raise InputError("a smoothed hazard needs at least two event times", found=int(table.time.size))
    end = float(table.time[-1])
    b = end / (2 * float(table.events.sum()) ** 0.2) if bandwidth is None else float(bandwidth)
    if not 0 < b <= end / 2:
        raise InputError(
            "a bandwidth is positive and at most half the last event time",
            field="bandwidth",
            found=b,
            allowed=f"0 to {end / 2:g}",
        )
    t = np.linspace(0, end, 101) if times is None else np.atleast_1d(np.asarray(times, dtype=np.float64))
    kernel = (
        boundary_kernel(
            (t[:, None] - table.time) / b,
            np.clip(t / b, 0, 1)[:, None],
            np.clip((end - t) / b, 0, 1)[:, None],
        )
        / b
    )
    hazard = np.maximum(kernel @ (table.events / table.at_risk), 0.0)
    variance = kernel**2 @ (table.events / table.at_risk**2)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        spread = np.exp(z * np.sqrt(variance) / hazard)
        low, high = hazard / spread, hazard * spread
    outside = (t < 0) | (t > end)
    hazard, low, high = (np.where(outside, np.nan, v) for v in (hazard, low, high))
    return SmoothedHazard(t, hazard, low, high, b, level)


def boundary_kernel(u: Float, left: Float, right: Float) -> Float:
    """Return Mueller & Wang's kernel of order (0, 2), mu = 1, at u = (t - x) / b.

    Parameters
    ----------
    left, right : arrays
        Distances of t from 0 and from the end in bandwidths, cut at 1; both 1 gives the Epanechnikov kernel.
    """
    at_right = right < left
    q = np.where(at_right, right, left)
    v = np.where(at_right, -u, u)
    value = 12 / (1 + q) ** 4 * (v + 1) * (v * (1 - 2 * q) + (3 * q**2 - 2 * q + 1) / 2)
    return np.asarray(np.where((v >= -1) & (v <= q), value, 0.0))
