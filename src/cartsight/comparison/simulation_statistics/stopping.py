"""Sequential stopping: replicate until the half-width of the interval is small enough, of the *difference* of arms.

Stop at the first look with n >= 10 replications at which

    h(n) <= eps / (1 + eps) |mean(n)|     (relative precision)   or   h(n) <= d     (absolute precision),

with h the half-width of the t interval. If |mean - mu| <= eps / (1 + eps) |mean| then |mean - mu| <= eps |mu|, which is
why the stated precision is not used as it stands (Law 2015, Simulation Modeling and Analysis, section 9.4). Coverage is
asymptotic, as the precision tightens: Chow & Robbins 1965 (doi:10.1214/aoms/1177700156) for a fixed width, Nadas 1969
(Ann. Math. Statist. 40:667-671) for a relative one. Looking in growing batches instead of after every run makes fewer
looks, so less of the coverage that a small sample loses to early stopping is lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from cartsight.comparison.simulation_statistics.replications import MeanInterval, checked_level, mean_interval
from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]
LEAST_REPLICATIONS = 10


@dataclass(frozen=True)
class StoppingRule:
    """When to stop replicating.

    Parameters
    ----------
    relative : float, optional
        eps: error relative to the true mean.
    absolute : float, optional
        d: half-width in the unit of the metric. With both, either is enough.
    level : float
    first : int
        Replications before the first look, at least 10.
    most : int
        Give up here and say so.
    growth : float
        The number of replications grows at most by this factor between looks.

    Raises
    ------
    InputError
        No precision, one that is not above zero, too few first replications, or a cap below them.
    """

    relative: float | None = 0.05
    absolute: float | None = None
    level: float = 0.95
    first: int = LEAST_REPLICATIONS
    most: int = 1000
    growth: float = 1.5

    def __post_init__(self) -> None:
        checked_level(self.level)
        if self.relative is None and self.absolute is None:
            raise InputError("stopping needs a relative or an absolute precision")
        for name, value in (("relative", self.relative), ("absolute", self.absolute)):
            if value is not None and not (math.isfinite(value) and value > 0.0):
                raise InputError("a precision must be above zero", field=f"{name} precision", found=value)
        if self.first < LEAST_REPLICATIONS:
            raise InputError("at least 10 replications come before the first look", field="first", found=self.first)
        if self.most < self.first:
            raise InputError(
                "the cap on replications is below the first look",
                field="max-replications", found=self.most, allowed=f"{self.first} or more",
            )  # fmt: skip
        if not self.growth > 1.0:
            raise InputError("the number of replications must grow between looks", field="growth", found=self.growth)

    def wanted_half_width(self, mean: float) -> float:
        """Return the half-width that is small enough at an estimated mean."""
        relative = 0.0 if self.relative is None else self.relative / (1.0 + self.relative) * abs(mean)
        return max(relative, 0.0 if self.absolute is None else self.absolute)

    def met(self, interval: MeanInterval) -> bool:
        """Whether the interval is narrow enough. Identical runs (no spread at all) count as precise."""
        return interval.count >= self.first and interval.half_width <= self.wanted_half_width(interval.mean)


def replications_needed(interval: MeanInterval, rule: StoppingRule) -> float:
    """Return about how many replications in all the rule will need, from the spread seen; infinite at a zero mean.

    The smallest n with t(n - 1) s / sqrt(n) <= wanted half-width, by iteration from the normal quantile.
    """
    wanted = rule.wanted_half_width(interval.mean)
    if interval.standard_deviation == 0.0:
        return float(rule.first)
    if wanted <= 0.0:
        return math.inf
    ratio = (interval.standard_deviation / wanted) ** 2
    tail = (1.0 + interval.level) / 2.0
    n = float(stats.norm.ppf(tail)) ** 2 * ratio
    # From ten replications on the t quantile is so flat in n that the iteration contracts.
    for _ in range(50):
        before = n
        n = float(stats.t.ppf(tail, max(n, rule.first) - 1.0)) ** 2 * ratio
        if abs(n - before) <= 1e-9 * n:
            break
    return float(max(math.ceil(n), rule.first))


@dataclass(frozen=True)
class Look:
    """What was seen at one look: replications so far, and mean and half-width of each comparison."""

    replications: int
    means: tuple[float, ...]
    half_widths: tuple[float, ...]


@dataclass(frozen=True)
class SequentialResult:
    """Outcome of sequential stopping over one or more comparisons.

    Attributes
    ----------
    values : array, shape (replications, columns)
        Everything that was sampled.
    intervals : tuple of MeanInterval
        One per comparison.
    reached : tuple of bool
        Which of them met the rule.
    needed : tuple of float
        Replications in all that each would need, from the spread seen.
    looks : tuple of Look
    """

    values: Float
    intervals: tuple[MeanInterval, ...]
    reached: tuple[bool, ...]
    needed: tuple[float, ...]
    looks: tuple[Look, ...]

    @property
    def replications(self) -> int:
        """Replications run."""
        return int(self.values.shape[0])

    @property
    def all_reached(self) -> bool:
        """Whether every comparison met the rule."""
        return all(self.reached)


def run_until_precise(
    sample: Callable[[int, int], npt.ArrayLike],
    rule: StoppingRule,
    *,
    comparisons: Callable[[Float], Float] | None = None,
) -> SequentialResult:
    """Replicate until every comparison is precise enough, or the cap is reached.

    Parameters
    ----------
    sample : callable
        ``sample(first, last)`` returns replications first to last - 1, shape (last - first, columns); replication i
        must depend on i alone.
    rule : StoppingRule
    comparisons : callable, optional
        Maps the values of shape (n, columns) to the compared quantities of shape (n, comparisons), for example
        differences of arms. By default the columns themselves.

    Raises
    ------
    InputError
        Replications of the wrong shape, or values that are not finite.

    Notes
    -----
    With several comparisons each has the stated level by itself; see `multiple_comparisons` for joint statements.
    """
    n = rule.first
    values = _rows(sample(0, n), n)
    looks: list[Look] = []
    while True:
        compared = values if comparisons is None else np.asarray(comparisons(values), dtype=np.float64)
        intervals = tuple(mean_interval(column, level=rule.level) for column in compared.T)
        looks.append(Look(n, tuple(i.mean for i in intervals), tuple(i.half_width for i in intervals)))
        reached = tuple(rule.met(interval) for interval in intervals)
        needed = tuple(replications_needed(interval, rule) for interval in intervals)
        if all(reached) or n >= rule.most:
            return SequentialResult(values, intervals, reached, needed, tuple(looks))
        open_needs = [need for need, done in zip(needed, reached, strict=True) if not done]
        step = min(max(open_needs) - n, math.ceil((rule.growth - 1.0) * n))
        last = min(rule.most, n + max(5, int(step)))
        values = np.vstack([values, _rows(sample(n, last), last - n)])
        n = last


def _rows(sampled: npt.ArrayLike, count: int) -> Float:
    rows = np.asarray(sampled, dtype=np.float64)
    if rows.ndim == 1:
        rows = rows[:, None]
    if rows.ndim != 2 or rows.shape[0] != count:
        raise InputError("the sample must return one row per replication", found=rows.shape, allowed=f"{count} rows")
    return rows
