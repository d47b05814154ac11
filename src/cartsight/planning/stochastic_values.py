"""What uncertainty costs: wait and see, the stochastic optimum, the expected-value decision, and their differences.

On one set of equally likely futures, with optima found exactly (Birge & Louveaux 2011, Introduction to Stochastic Programming, 4.3):

    WS <= RP <= EEV,   EVPI = RP - WS,   VSS = EEV - RP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Decision = TypeVar("Decision")


@dataclass(frozen=True, slots=True, eq=False)
class Optimum(Generic[Decision]):
    """A decision that is best for some futures, its mean cost on them, and a proven bound on the least mean cost."""

    decision: Decision
    objective: float
    bound: float


@dataclass(frozen=True, slots=True, eq=False)
class StochasticValues:
    """Mean costs of three ways to decide, on the same futures.

    Attributes
    ----------
    wait_and_see : float
        Every future known before the decision (WS).
    recourse_problem : float
        One decision for all futures, the best (RP).
    expected_value_solution : float
        The decision made for the expected future, judged on all futures (EEV).
    by_future : array, shape (futures, 3)
        Cost of each future under the three.
    gap : float
        Largest gap of an optimum, relative: the order holds to this.
    """

    wait_and_see: float
    recourse_problem: float
    expected_value_solution: float
    by_future: Float
    gap: float

    @property
    def perfect_information(self) -> float:
        """Expected value of perfect information (EVPI)."""
        return self.recourse_problem - self.wait_and_see

    @property
    def stochastic_solution(self) -> float:
        """Value of the stochastic solution (VSS)."""
        return self.expected_value_solution - self.recourse_problem


def stochastic_values(
    count: int,
    best_for_one: Callable[[int], Optimum[Decision]],
    best_for_all: Optimum[Decision],
    expected_value_decision: Decision,
    cost: Callable[[Decision], Float],
) -> StochasticValues:
    """Return WS, RP and EEV.

    Parameters
    ----------
    count : int
        Equally likely futures.
    best_for_one : callable
        The optimum of one future known in advance.
    best_for_all : Optimum
        The optimum of the two-stage programme on these futures.
    expected_value_decision
        The decision made for the expected future.
    cost : callable
        Cost of a decision in every future, with its best recourse; shape (count,).
    """
    alone = [best_for_one(i) for i in range(count)]
    wait_and_see = np.array([optimum.objective for optimum in alone])
    by_future = np.column_stack([wait_and_see, cost(best_for_all.decision), cost(expected_value_decision)])
    gaps = [(o.objective - o.bound) / max(abs(o.objective), 1e-12) for o in (*alone, best_for_all)]
    means = by_future.mean(axis=0)
    return StochasticValues(float(means[0]), float(means[1]), float(means[2]), by_future, max(0.0, *gaps))
