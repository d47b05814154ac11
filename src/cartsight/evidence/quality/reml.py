"""Restricted (and full) maximum likelihood of random-effects models, with profile-likelihood intervals.

Fisher scoring on the variances with step halving; a variance that the scoring pushes below zero is set to
zero and released again if the likelihood rises there (Searle, Casella & McCulloch 1992, Variance Components,
chapter 6).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize, stats

from cartsight.core.errors import InputError
from cartsight.evidence.quality.random_effects import RandomEffectsStudy

Float = npt.NDArray[np.float64]

LARGEST_STUDY = 3000
ITERATIONS = 200


@dataclass(frozen=True)
class LikelihoodEstimate:
    """Maximum of the (restricted) likelihood.

    Attributes
    ----------
    components : ndarray, shape (terms + 1,)
        Variances, residual last; exactly 0.0 at the boundary.
    mean, mean_standard_error : float
    deviance : float
        -2 log (restricted) likelihood.
    """

    components: Float
    mean: float
    mean_standard_error: float
    deviance: float


@dataclass(frozen=True)
class _Point:
    """Deviance at one vector of variances, with what the score needs."""

    deviance: float
    projection: Float
    inverse: Float
    residual: Float
    mean: float
    mean_variance: float
    error: float


class _Likelihood:
    def __init__(self, study: RandomEffectsStudy, reml: bool) -> None:
        if len(study.y) > LARGEST_STUDY:
            raise InputError(
                "too many responses for a likelihood fit",
                file=study.file,
                found=len(study.y),
                allowed=f"up to {LARGEST_STUDY}",
            )
        self.reml = reml
        self.shift = float(study.y.mean())
        self.n = len(study.y)
        self.variance = float(study.y.var())
        # responses in one cell of all factors differ by residual alone: their mean and spread hold all there
        # is
        codes = np.column_stack([factor.codes for factor in study.factors])
        cells, owner = np.unique(codes, axis=0, return_inverse=True)
        owner = owner.reshape(-1)
        counts = np.bincount(owner).astype(np.float64)
        self.y = np.bincount(owner, study.y - self.shift) / counts
        self.within_df = self.n - len(cells)
        self.within_ss = float(np.sum((study.y - self.shift - self.y[owner]) ** 2))
        self.log_counts = float(np.log(counts).sum())
        self.share = 1.0 / counts
        self.matrices = [np.eye(factor.levels)[column] for factor, column in zip(study.factors, cells.T, strict=True)]
        self.kernels = [matrix @ matrix.T for matrix in self.matrices]

    def at(self, components: Float) -> _Point:
        """Evaluate -2 log likelihood at the variances `components` (residual last, above zero)."""
        v = np.diag(components[-1] * self.share)
        for value, kernel in zip(components[:-1], self.kernels, strict=True):
            if value > 0:
                v += value * kernel
        factor = linalg.cholesky(v, lower=True, check_finite=False)
        log_det = 2 * float(np.log(np.diag(factor)).sum()) + self.log_counts
        log_det += self.within_df * math.log(components[-1])
        inverse, _ = linalg.lapack.dpotri(factor, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        ones = inverse.sum(axis=1)
        information = float(ones.sum())
        mean = float(ones @ self.y) / information
        projection = inverse - np.outer(ones, ones) / information
        residual = projection @ self.y
        deviance = log_det + float(self.y @ residual) + self.within_ss / float(components[-1])
        if self.reml:
            deviance += math.log(information) + (self.n - 1) * math.log(2 * math.pi)
        else:
            deviance += self.n * math.log(2 * math.pi)
        return _Point(deviance, projection, inverse, residual, mean, 1 / information, float(components[-1]))

    def step(self, point: _Point, free: list[int]) -> tuple[Float, Float]:
        """Return (score, expected information), each twice that of the log likelihood, for the `free`
        components."""
        p = point.projection if self.reml else point.inverse
        k = len(self.matrices)
        spread = {i: p @ self.matrices[i] for i in free if i < k}
        score = np.empty(len(free))
        information = np.empty((len(free), len(free)))
        for a, i in enumerate(free):
            if i < k:
                trace = float(np.sum(self.matrices[i] * spread[i]))
                score[a] = float(np.sum((self.matrices[i].T @ point.residual) ** 2)) - trace
            else:
                score[a] = float(self.share @ point.residual**2) - float(self.share @ np.diag(p))
                score[a] += (self.within_ss / point.error - self.within_df) / point.error
            for b, j in enumerate(free[: a + 1]):
                if i < k and j < k:
                    value = float(np.sum((self.matrices[j].T @ spread[i]) ** 2))
                elif i < k or j < k:
                    value = float(np.sum(self.share[:, None] * spread[min(i, j)] ** 2))
                else:
                    value = float(self.share @ (p**2) @ self.share) + self.within_df / point.error**2
                information[a, b] = information[b, a] = value
        return score, information

    def maximise(self, start: Float, held: frozenset[int], tolerance: float) -> tuple[Float, _Point]:
        """Maximise over all components not `held`, none below zero (the residual stays above)."""
        current = start.copy()
        total = self.variance
        k = len(self.matrices)
        movable = [i for i in range(k + 1) if i not in held]
        zero = {i for i in movable if i < k and current[i] <= 0}
        point = self.at(current)
        for _ in range(ITERATIONS):
            free = [i for i in movable if i not in zero]
            score, information = self.step(point, free)
            move = np.asarray(np.linalg.lstsq(information, score, rcond=None)[0], dtype=np.float64)
            size, dropped = 1.0, None
            for a, i in enumerate(free):
                floor = 0.0 if i < k else 1e-3 * current[i]
                if current[i] + size * move[a] < floor:
                    size = (current[i] - floor) / -move[a]
                    dropped = i if i < k else dropped
            candidate, new = self._try(current, free, move, size, dropped, point)
            if new is None:
                break
            change = float(np.max(np.abs(candidate[free] - current[free]))) if free else 0.0
            gain = point.deviance - new.deviance
            current, point = candidate, new
            zero |= {i for i in free if i < k and current[i] <= 0}
            if change < tolerance * total and gain < max(tolerance, 1e-9):
                released = self._release(point, zero, current, total)
                if not released:
                    break
                zero -= released
        return current, point

    def _try(
        self, current: Float, free: list[int], move: Float, size: float, dropped: int | None, point: _Point
    ) -> tuple[Float, _Point | None]:
        while size > 1e-12:
            candidate = current.copy()
            candidate[free] = np.maximum(current[free] + size * move, 0.0)
            if dropped is not None:
                candidate[dropped] = 0.0
            new = self.at(candidate)
            if new.deviance <= point.deviance + 1e-10 * (1 + abs(point.deviance)):
                return candidate, new
            size /= 2
            dropped = None
        return current, None

    def _release(self, point: _Point, zero: set[int], current: Float, total: float) -> set[int]:
        """Return the components at zero along which the likelihood rises, moved slightly off it."""
        released = set()
        for i in sorted(zero):
            score, _ = self.step(point, [i])
            if score[0] > 1e-6 / total:
                current[i] = 1e-6 * total
                released.add(i)
        return released


def fit_likelihood(study: RandomEffectsStudy, *, reml: bool = True, start: Float | None = None) -> LikelihoodEstimate:
    """Return the maximum (restricted) likelihood estimates of the variance components.

    Parameters
    ----------
    study : RandomEffectsStudy
    reml : bool
        Restricted likelihood (the default) or full.
    start : ndarray, optional
        Starting variances, for example the mean-square estimates; values below zero are lifted.
    """
    likelihood = _Likelihood(study, reml)
    total = likelihood.variance
    terms = len(study.factors) + 1
    first = np.full(terms, total / terms) if start is None else np.maximum(start, 1e-3 * total)
    components, point = likelihood.maximise(first, frozenset(), 1e-12)
    return LikelihoodEstimate(components, point.mean + likelihood.shift, math.sqrt(point.mean_variance), point.deviance)


def profile_interval(
    study: RandomEffectsStudy,
    index: int,
    fit: LikelihoodEstimate,
    *,
    confidence: float = 0.95,
    reml: bool = True,
) -> tuple[float, float]:
    """Return the profile-likelihood interval of one component (residual: the last index).

    The rise of the deviance is compared with chi-squared on one degree of freedom; the lower limit is 0
    when zero itself
    is within it, as for a component at the boundary.
    """
    likelihood = _Likelihood(study, reml)
    critical = float(stats.chi2.ppf(confidence, 1))
    estimate = float(fit.components[index])
    residual = float(fit.components[-1])
    last = len(fit.components) - 1

    def rise(variance: float, warm: Float) -> tuple[float, Float]:
        begin = warm.copy()
        begin[index] = variance
        # components at zero start a little above, since holding one variance may lift another
        begin[:-1] = np.maximum(begin[:-1], 1e-4 * residual)
        begin[index] = variance
        components, point = likelihood.maximise(begin, frozenset({index}), 1e-6)
        return max(point.deviance - fit.deviance, 0.0), components

    def limit(upward: bool) -> float:
        inside, warm = estimate, fit.components
        factor = 1.6 if upward else 1 / 1.6
        outside = max(estimate, 0.05 * residual) * factor
        value, found = rise(outside, warm)
        while value < critical:
            inside, warm = outside, found
            outside *= factor
            if not 1e-9 * residual < outside < 1e9 * residual:
                return outside
            value, found = rise(outside, warm)
        state = {"warm": warm}

        def gap(log_variance: float) -> float:
            height, state["warm"] = rise(math.exp(log_variance), state["warm"])
            return math.sqrt(height) - math.sqrt(critical)

        near = max(inside, 1e-9 * residual)
        if near == estimate and estimate > 0:
            near = estimate * (1 + 1e-6 if upward else 1 - 1e-6)
        low, high = sorted((math.log(near), math.log(outside)))
        return math.exp(float(optimize.brentq(gap, low, high, xtol=1e-5, rtol=1e-10)))

    upper = limit(True)
    if index < last and (estimate <= 0 or rise(0.0, fit.components)[0] <= critical):
        return 0.0, upper
    return limit(False), upper
