"""Net benefit: what a strategy is worth at a stated willingness to pay, with its uncertainty.

NMB = lambda E - C and NHB = E - C / lambda (Stinnett & Mullahy 1998, doi:10.1177/0272989X98018002S09). Unlike
a ratio, net benefit has a mean, an interval and a Monte Carlo error on every quadrant of the plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.economics.frontier import Quadrant

Float = npt.NDArray[np.float64]


def checked_draws(costs: npt.ArrayLike, effects: npt.ArrayLike) -> tuple[Float, Float]:
    """Return costs and effects as arrays of shape (draws, arms), or raise `InputError` with what is wrong."""
    cost = np.asarray(costs, dtype=np.float64)
    effect = np.asarray(effects, dtype=np.float64)
    if cost.ndim != 2 or cost.shape != effect.shape:
        raise InputError(
            "costs and effects need the same shape (draws, arms)", found=f"{cost.shape} and {effect.shape}"
        )
    if cost.shape[0] < 2 or cost.shape[1] < 2:
        raise InputError("an uncertainty analysis needs at least two draws and two strategies", found=f"{cost.shape}")
    if not (np.all(np.isfinite(cost)) and np.all(np.isfinite(effect))):
        raise InputError("costs and effects must be finite numbers in every draw")
    return cost, effect


def checked_willingness_to_pay(wtp: npt.ArrayLike) -> Float:
    """Return the grid as a 1-d array of finite numbers of at least 0, or raise `InputError`."""
    grid = np.atleast_1d(np.asarray(wtp, dtype=np.float64))
    if grid.ndim != 1 or grid.size == 0 or not np.all(np.isfinite(grid)) or np.any(grid < 0.0):
        raise InputError(
            "willingness to pay must be finite and not negative", field="wtp", found=wtp, allowed="0 or more"
        )
    return grid


def net_monetary_benefit(costs: npt.ArrayLike, effects: npt.ArrayLike, wtp: npt.ArrayLike) -> Float:
    """Return lambda x effect - cost.

    Parameters
    ----------
    costs, effects : array_like, shape (..., arms)
        Cost in money and effect in units (QALYs) per patient.
    wtp : float or array_like, shape (w,)
        Willingness to pay in money per unit of effect.

    Returns
    -------
    array of float64
        Shape (..., arms) for a scalar `wtp`, (w, ..., arms) for a grid; in money.
    """
    cost = np.asarray(costs, dtype=np.float64)
    effect = np.asarray(effects, dtype=np.float64)
    grid = np.asarray(wtp, dtype=np.float64)
    grid = grid.reshape(grid.shape + (1,) * effect.ndim) if grid.ndim else grid
    return np.asarray(grid * effect - cost, dtype=np.float64)


def net_health_benefit(costs: npt.ArrayLike, effects: npt.ArrayLike, wtp: npt.ArrayLike) -> Float:
    """Return effect - cost / lambda, in units of effect; shapes as `net_monetary_benefit`, `wtp` above 0."""
    grid = np.asarray(wtp, dtype=np.float64)
    if np.any(grid <= 0.0):
        raise InputError("net health benefit needs a willingness to pay above zero", field="wtp", found=wtp)
    effect = np.asarray(effects, dtype=np.float64)
    grid = grid.reshape(grid.shape + (1,) * effect.ndim) if grid.ndim else grid
    return np.asarray(effect - np.asarray(costs, dtype=np.float64) / grid, dtype=np.float64)


@dataclass(frozen=True)
class DrawSummary:
    """Mean over parameter draws, its Monte Carlo standard error, and the central interval of the draws.

    The interval tells how uncertain the quantity is; the standard error tells how precisely the draws pin its
    mean.
    """

    mean: float
    standard_error: float
    standard_deviation: float
    low: float
    high: float
    level: float = 0.95


def summarise_draws(values: npt.ArrayLike, level: float = 0.95) -> DrawSummary:
    """Return the `DrawSummary` of independent draws, shape (draws,).

    Raises
    ------
    InputError
        When there are fewer than two draws or `level` is not between 0 and 1.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size < 2:
        raise InputError("a summary needs at least two draws", found=f"shape {x.shape}")
    if not 0.0 < level < 1.0:
        raise InputError("the level of an interval lies between 0 and 1", field="level", found=level)
    low, high = np.quantile(x, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    deviation = float(np.std(x, ddof=1))
    return DrawSummary(
        mean=float(np.mean(x)),
        standard_error=deviation / float(np.sqrt(x.size)),
        standard_deviation=deviation,
        low=float(low),
        high=float(high),
        level=level,
    )


@dataclass(frozen=True)
class NetBenefitSummary:
    """Net monetary benefit per arm at one willingness to pay, and paired differences from a comparator."""

    wtp: float
    per_arm: tuple[DrawSummary, ...]
    comparator: int
    incremental: tuple[DrawSummary, ...]
    probability_better: tuple[float, ...]


def summarise_net_benefit(
    costs: npt.ArrayLike, effects: npt.ArrayLike, wtp: float, *, comparator: int = 0, level: float = 0.95
) -> NetBenefitSummary:
    """Return net monetary benefit with interval and Monte Carlo error, and paired differences from one arm.

    Parameters
    ----------
    costs, effects : array_like, shape (draws, arms)
        Row i of both comes from the same parameter draw in every arm.
    wtp : float
        Willingness to pay.
    comparator : int
        Position of the arm that the others are compared with.
    level : float
        Level of the intervals.

    Returns
    -------
    NetBenefitSummary
        `probability_better[a]` is the share of draws in which arm a beats the comparator; a tie counts one
        half.
    """
    cost, effect = checked_draws(costs, effects)
    benefit = net_monetary_benefit(cost, effect, float(checked_willingness_to_pay(wtp)[0]))
    difference = benefit - benefit[:, [comparator]]
    better = np.mean(difference > 0.0, axis=0) + 0.5 * np.mean(difference == 0.0, axis=0)
    arms = range(benefit.shape[1])
    return NetBenefitSummary(
        wtp=float(wtp),
        per_arm=tuple(summarise_draws(benefit[:, a], level) for a in arms),
        comparator=comparator,
        incremental=tuple(summarise_draws(difference[:, a], level) for a in arms),
        probability_better=tuple(float(p) for p in better),
    )


@dataclass(frozen=True)
class CostEffectivenessPlane:
    """Paired increments against one arm, shape (draws, arms), and shares of draws per quadrant."""

    comparator: int
    incremental_cost: Float
    incremental_effect: Float
    quadrant_share: tuple[dict[str, float], ...]


def cost_effectiveness_plane(
    costs: npt.ArrayLike, effects: npt.ArrayLike, *, comparator: int = 0
) -> CostEffectivenessPlane:
    """Return the points of the cost-effectiveness plane against one arm.

    Points on an axis go to the side of dominance, as in `quadrant_of`; the comparator's own points are all
    `equal`.
    """
    cost, effect = checked_draws(costs, effects)
    more = cost - cost[:, [comparator]]
    gain = effect - effect[:, [comparator]]
    equal = (more == 0.0) & (gain == 0.0)
    dominant = (more <= 0.0) & (gain >= 0.0) & ~equal
    dominated = (more >= 0.0) & (gain <= 0.0) & ~equal
    masks = {
        Quadrant.DOMINANT: dominant,
        Quadrant.DOMINATED: dominated,
        Quadrant.MORE_COSTLY_MORE_EFFECTIVE: (more > 0.0) & (gain > 0.0),
        Quadrant.LESS_COSTLY_LESS_EFFECTIVE: (more < 0.0) & (gain < 0.0),
        Quadrant.EQUAL: equal,
    }
    shares = tuple(
        {quadrant.value: float(np.mean(mask[:, a])) for quadrant, mask in masks.items()} for a in range(cost.shape[1])
    )
    return CostEffectivenessPlane(comparator, more, gain, shares)
