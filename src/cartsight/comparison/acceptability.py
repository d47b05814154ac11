"""Decision uncertainty by willingness to pay: acceptability curves and frontier, expected loss, ranks.

Sources: Fenwick, Claxton & Sculpher 2001, doi:10.1002/hec.635 (CEAC and CEAF); Alarid-Escudero et al. 2019,
doi:10.1016/j.jval.2019.02.008 (expected loss curves).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.economics.frontier import frontier_order
from cartsight.economics.net_benefit import checked_draws, checked_willingness_to_pay, net_monetary_benefit

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.intp]


def probability_best(net_benefit: npt.ArrayLike) -> Float:
    """Return the probability that each arm has the highest net benefit.

    Parameters
    ----------
    net_benefit : array_like, shape (draws, arms)

    Returns
    -------
    array of float64, shape (arms,)
        Sums to one. A draw in which k arms tie for the highest net benefit counts 1/k for each of them.
    """
    benefit = np.asarray(net_benefit, dtype=np.float64)
    best = benefit == benefit.max(axis=1, keepdims=True)
    return np.asarray((best / best.sum(axis=1, keepdims=True)).mean(axis=0), dtype=np.float64)


@dataclass(frozen=True)
class AcceptabilityCurve:
    """Cost-effectiveness acceptability curves.

    Attributes
    ----------
    wtp : array, shape (w,)
    probability : array, shape (w, arms)
        Probability of being the most cost-effective arm; every row sums to one, ties are split evenly.
    standard_error : array, shape (w, arms)
        Monte Carlo standard error sqrt(p (1 - p) / draws).
    tied_draws : array, shape (w,)
        Share of draws in which two or more arms tie for the highest net benefit.
    """

    wtp: Float
    probability: Float
    standard_error: Float
    tied_draws: Float


def cost_effectiveness_acceptability_curve(
    costs: npt.ArrayLike, effects: npt.ArrayLike, wtp: npt.ArrayLike
) -> AcceptabilityCurve:
    """Return the acceptability curves of all arms on a grid of willingness to pay.

    Parameters
    ----------
    costs, effects : array_like, shape (draws, arms)
        Row i comes from the same parameter draw in every arm.
    wtp : array_like, shape (w,)

    Raises
    ------
    InputError
        When shapes differ, values are not finite, or there are fewer than two draws or arms.
    """
    cost, effect = checked_draws(costs, effects)
    grid = checked_willingness_to_pay(wtp)
    probability = np.empty((grid.size, cost.shape[1]))
    tied = np.empty(grid.size)
    for row, threshold in enumerate(grid):
        benefit = net_monetary_benefit(cost, effect, float(threshold))
        best = benefit == benefit.max(axis=1, keepdims=True)
        count = best.sum(axis=1, keepdims=True)
        probability[row] = (best / count).mean(axis=0)
        tied[row] = np.mean(count > 1)
    error = np.sqrt(probability * (1.0 - probability) / cost.shape[0])
    return AcceptabilityCurve(grid, probability, error, tied)


@dataclass(frozen=True)
class AcceptabilityFrontier:
    """Acceptability frontier: the arm with the highest *expected* net benefit, and its probability.

    Attributes
    ----------
    wtp : array, shape (w,)
    best : array of int, shape (w,)
        Position of the arm with the highest mean net benefit; the first of equals.
    probability : array, shape (w,)
        Probability that this arm is the most cost-effective one. It need not be the highest of the curves.
    switches_at : array, shape (k,)
        Willingness to pay at which the best arm changes, exact: the ICERs along the frontier of the means.
    """

    wtp: Float
    best: Int
    probability: Float
    switches_at: Float


def cost_effectiveness_acceptability_frontier(
    costs: npt.ArrayLike, effects: npt.ArrayLike, wtp: npt.ArrayLike
) -> AcceptabilityFrontier:
    """Return the acceptability frontier; arguments and errors as `cost_effectiveness_acceptability_curve`."""
    cost, effect = checked_draws(costs, effects)
    curve = cost_effectiveness_acceptability_curve(cost, effect, wtp)
    mean_cost, mean_effect = cost.mean(axis=0), effect.mean(axis=0)
    best = net_monetary_benefit(mean_cost, mean_effect, curve.wtp).argmax(axis=1)
    order = frontier_order(mean_cost, mean_effect)
    ratios = np.diff(mean_cost[order]) / np.diff(mean_effect[order])
    return AcceptabilityFrontier(
        wtp=curve.wtp,
        best=best,
        probability=curve.probability[np.arange(best.size), best],
        switches_at=np.asarray(ratios, dtype=np.float64),
    )


@dataclass(frozen=True)
class ExpectedLoss:
    """Expected loss: mean net benefit forgone by choosing an arm when another was better, per patient.

    Attributes
    ----------
    wtp : array, shape (w,)
    loss : array, shape (w, arms)
        At least zero. The lowest loss at each willingness to pay is the expected value of perfect
        information.
    standard_error : array, shape (w, arms)
    """

    wtp: Float
    loss: Float
    standard_error: Float


def expected_loss_curves(costs: npt.ArrayLike, effects: npt.ArrayLike, wtp: npt.ArrayLike) -> ExpectedLoss:
    """Return the expected loss of every arm; takes what `cost_effectiveness_acceptability_curve` takes."""
    cost, effect = checked_draws(costs, effects)
    grid = checked_willingness_to_pay(wtp)
    loss = np.empty((grid.size, cost.shape[1]))
    error = np.empty_like(loss)
    for row, threshold in enumerate(grid):
        benefit = net_monetary_benefit(cost, effect, float(threshold))
        forgone = benefit.max(axis=1, keepdims=True) - benefit
        loss[row] = forgone.mean(axis=0)
        error[row] = forgone.std(axis=0, ddof=1) / np.sqrt(cost.shape[0])
    return ExpectedLoss(grid, loss, error)


def rank_probabilities(net_benefit: npt.ArrayLike) -> Float:
    """Return the probability of each rank for each arm.

    Parameters
    ----------
    net_benefit : array_like, shape (draws, arms)

    Returns
    -------
    array of float64, shape (arms, arms)
        Entry [a, k] is the probability that arm a ranks k + 1 (rank 1 is the highest net benefit). Rows and
        columns sum to one; arms that tie share the ranks they occupy evenly.
    """
    benefit = np.asarray(net_benefit, dtype=np.float64)
    draws, arms = benefit.shape
    result = np.zeros((arms, arms))
    for arm in range(arms):
        above = (benefit > benefit[:, [arm]]).sum(axis=1)
        equal = (benefit == benefit[:, [arm]]).sum(axis=1)
        for rank in range(arms):
            holds = (rank >= above) & (rank < above + equal)
            result[arm, rank] = float(np.sum(holds / equal)) / draws
    return result
