"""Fully incremental analysis: the cost-effectiveness frontier with strong and extended dominance.

A strategy is strongly dominated when another costs no more and achieves no less (and differs in one of the
two), and extended-dominated when a mixture of two others does. What is left, ordered by effect, has rising
incremental ratios (Weinstein 1990; Karlsson & Johannesson 1996, doi:10.2165/00019053-199609020-00003;
Drummond et al. 2015, chapter 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]

# Points on one straight line differ by rounding only; they all stay on the frontier.
_COLLINEAR_TOLERANCE = 1e-12


class FrontierStatus(StrEnum):
    """Where a strategy stands in a fully incremental analysis."""

    REFERENCE = "reference"
    ON_FRONTIER = "on_frontier"
    DOMINATED = "dominated"
    EXTENDED_DOMINATED = "extended_dominated"


@dataclass(frozen=True)
class FrontierRow:
    """One strategy of a fully incremental analysis.

    Attributes
    ----------
    strategy : str
    cost, effect : float
        As given.
    status : FrontierStatus
    incremental_cost, incremental_effect : float or None
        Against `compared_with`; None for the reference.
    icer : float or None
        Incremental cost per unit of effect against the strategy before it on the frontier; None off the
        frontier.
    compared_with : str or None
        On the frontier and under extended dominance: the frontier strategy with the next lower effect. Under
        strong dominance: the cheapest frontier strategy that dominates it, else the first strategy that does.
    dominated_by : tuple of str
        The dominating strategy, or the two whose mixture dominates; empty on the frontier.
    """

    strategy: str
    cost: float
    effect: float
    status: FrontierStatus
    incremental_cost: float | None
    incremental_effect: float | None
    icer: float | None
    compared_with: str | None
    dominated_by: tuple[str, ...] = ()


def _checked(strategies: Sequence[str], costs: npt.ArrayLike, effects: npt.ArrayLike) -> tuple[Float, Float]:
    cost = np.asarray(costs, dtype=np.float64)
    effect = np.asarray(effects, dtype=np.float64)
    if cost.ndim != 1 or cost.shape != effect.shape or len(strategies) != cost.size:
        raise InputError(
            "every strategy needs one cost and one effect",
            found=f"{len(strategies)} strategies, costs {cost.shape}, effects {effect.shape}",
        )
    if cost.size < 2:
        raise InputError("a comparison needs at least two strategies", field="strategy", found=list(strategies))
    for name, values in (("cost", cost), ("effect", effect)):
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise InputError(
                f"the {name} of strategy {strategies[bad[0]]!r} is not a finite number",
                field=name,
                found=float(values[bad[0]]),
            )
    repeated = sorted({name for name in strategies if list(strategies).count(name) > 1})
    if repeated:
        raise InputError("every strategy needs its own name", field="strategy", found=repeated[0])
    return cost, effect


def frontier_order(costs: npt.ArrayLike, effects: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """Return the positions of the strategies on the frontier, from the lowest cost to the highest.

    Ties are settled by the order of the input: of two strategies with equal cost and equal effect the first
    stays.

    Parameters
    ----------
    costs, effects : array_like, shape (arms,)
        Finite numbers of either sign.

    Returns
    -------
    array of int, shape (k,)
        At least one position. Costs and effects both rise strictly along it, and so do the ratios between
        neighbours (or stay equal, where three strategies lie on one line).
    """
    cost = np.asarray(costs, dtype=np.float64)
    effect = np.asarray(effects, dtype=np.float64)
    by_cost = np.lexsort((np.arange(cost.size), -effect, cost))
    kept: list[int] = []
    for index in by_cost:
        if kept and effect[index] <= effect[kept[-1]]:
            continue
        while len(kept) >= 2:
            first_cost, first_effect = cost[kept[-1]] - cost[kept[-2]], effect[kept[-1]] - effect[kept[-2]]
            next_cost, next_effect = cost[index] - cost[kept[-1]], effect[index] - effect[kept[-1]]
            left, right = first_cost * next_effect, next_cost * first_effect
            if left <= right + _COLLINEAR_TOLERANCE * max(abs(left), abs(right)):
                break
            kept.pop()
        kept.append(int(index))
    return np.asarray(kept, dtype=np.intp)


def cost_effectiveness_frontier(
    strategies: Sequence[str], costs: npt.ArrayLike, effects: npt.ArrayLike
) -> tuple[FrontierRow, ...]:
    """Return the fully incremental analysis of mutually exclusive strategies, ordered by cost.

    Parameters
    ----------
    strategies : sequence of str, length arms
        Distinct names.
    costs : array_like, shape (arms,)
        Expected cost per patient, in one currency and price year. May be negative.
    effects : array_like, shape (arms,)
        Expected effect per patient, for example QALYs. May be negative.

    Returns
    -------
    tuple of FrontierRow
        By rising cost; equal costs by falling effect, then in the order given.

    Raises
    ------
    InputError
        When shapes differ, a value is not finite, a name repeats, or there are fewer than two strategies.

    Notes
    -----
    Of strategies with equal cost and equal effect the first given stays on the frontier and the others are
    reported as dominated by it. A strategy on the straight line between two others is not dominated: it is
    optimal at that ratio.
    """
    cost, effect = _checked(strategies, costs, effects)
    frontier = frontier_order(cost, effect)
    position = {int(index): rank for rank, index in enumerate(frontier)}
    rows = []
    for index in np.lexsort((np.arange(cost.size), -effect, cost)):
        i = int(index)
        against, status, by = _standing(i, cost, effect, frontier, position)
        difference_cost = None if against is None else float(cost[i] - cost[against])
        difference_effect = None if against is None else float(effect[i] - effect[against])
        icer = None
        if status is FrontierStatus.ON_FRONTIER and difference_cost is not None and difference_effect:
            icer = difference_cost / difference_effect
        rows.append(
            FrontierRow(
                strategy=strategies[i],
                cost=float(cost[i]),
                effect=float(effect[i]),
                status=status,
                incremental_cost=difference_cost,
                incremental_effect=difference_effect,
                icer=icer,
                compared_with=None if against is None else strategies[against],
                dominated_by=tuple(strategies[j] for j in by),
            )
        )
    return tuple(rows)


def _standing(
    i: int, cost: Float, effect: Float, frontier: npt.NDArray[np.intp], position: dict[int, int]
) -> tuple[int | None, FrontierStatus, tuple[int, ...]]:
    """Return what strategy `i` is compared with, its status, and which strategies dominate it."""
    if i in position:
        rank = position[i]
        if rank == 0:
            return None, FrontierStatus.REFERENCE, ()
        return int(frontier[rank - 1]), FrontierStatus.ON_FRONTIER, ()
    dominators = [int(j) for j in frontier if cost[j] <= cost[i] and effect[j] >= effect[i]]
    if not dominators:
        # The dominating strategy may itself be off the frontier by extended dominance.
        weakly = (cost <= cost[i]) & (effect >= effect[i])
        strictly = weakly & ((cost < cost[i]) | (effect > effect[i]))
        dominators = [int(j) for j in np.flatnonzero(strictly)]
    if dominators:
        return dominators[0], FrontierStatus.DOMINATED, (dominators[0],)
    below = int(frontier[effect[frontier] < effect[i]][-1])
    above = int(frontier[effect[frontier] > effect[i]][0])
    return below, FrontierStatus.EXTENDED_DOMINATED, (below, above)


class Quadrant(StrEnum):
    """Quadrant of the cost-effectiveness plane of one strategy against a comparator."""

    DOMINANT = "dominant"
    DOMINATED = "dominated"
    MORE_COSTLY_MORE_EFFECTIVE = "more_costly_more_effective"
    LESS_COSTLY_LESS_EFFECTIVE = "less_costly_less_effective"
    EQUAL = "equal"


@dataclass(frozen=True)
class PairwiseRow:
    """One strategy against one comparator; `icer` is None where one of the two dominates or both are equal.

    In the quadrant `less_costly_less_effective` the ratio is money saved per unit of effect forgone, and the
    strategy is good value when it lies *above* the threshold.
    """

    strategy: str
    comparator: str
    incremental_cost: float
    incremental_effect: float
    quadrant: Quadrant
    icer: float | None


def quadrant_of(incremental_cost: float, incremental_effect: float) -> Quadrant:
    """Return the quadrant of a point of the plane; an axis belongs to the dominance side."""
    if incremental_cost == 0.0 and incremental_effect == 0.0:
        return Quadrant.EQUAL
    if incremental_cost <= 0.0 and incremental_effect >= 0.0:
        return Quadrant.DOMINANT
    if incremental_cost >= 0.0 and incremental_effect <= 0.0:
        return Quadrant.DOMINATED
    if incremental_cost > 0.0:
        return Quadrant.MORE_COSTLY_MORE_EFFECTIVE
    return Quadrant.LESS_COSTLY_LESS_EFFECTIVE


def pairwise_comparison(
    strategies: Sequence[str], costs: npt.ArrayLike, effects: npt.ArrayLike, comparator: str
) -> tuple[PairwiseRow, ...]:
    """Return every strategy against one comparator, with the quadrant of the cost-effectiveness plane.

    Raises
    ------
    InputError
        As `cost_effectiveness_frontier`, and when `comparator` is not among the strategies.
    """
    cost, effect = _checked(strategies, costs, effects)
    if comparator not in strategies:
        raise InputError(
            "the comparator is not one of the strategies",
            field="comparator",
            found=comparator,
            allowed=", ".join(strategies),
        )
    base = list(strategies).index(comparator)
    rows = []
    for i, strategy in enumerate(strategies):
        if i == base:
            continue
        difference_cost, difference_effect = float(cost[i] - cost[base]), float(effect[i] - effect[base])
        quadrant = quadrant_of(difference_cost, difference_effect)
        has_ratio = quadrant in (Quadrant.MORE_COSTLY_MORE_EFFECTIVE, Quadrant.LESS_COSTLY_LESS_EFFECTIVE)
        rows.append(
            PairwiseRow(
                strategy=strategy,
                comparator=comparator,
                incremental_cost=difference_cost,
                incremental_effect=difference_effect,
                quadrant=quadrant,
                icer=difference_cost / difference_effect if has_ratio else None,
            )
        )
    return tuple(rows)
