"""Profile likelihood of a cured fraction, and when not to believe it.

A cure model always returns a number. It means something only where follow-up reaches a plateau, so the
point estimate is withheld ("refused") when any of these holds, each stated in `reasons`:

1. the profile interval reaches 0: the best fit without cured patients is not rejected at the interval's level
   (twice the log likelihood difference at most the chi-squared quantile with one degree of freedom; since 0
   is on the boundary this test is conservative, towards refusing);
2. the profile interval reaches 1;
3. the profile interval is wider than `WIDEST_INTERVAL` = 0.5;
4. no plateau: at the longest follow-up more than `LARGEST_UNCURED_SHARE` = 0.10 of the uncured are, by the
   fitted law, still to have their event (compare Maller & Zhou 1994, doi:10.1080/01621459.1994.10476889).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import chi2

from cartsight.core.errors import InputError
from cartsight.evidence.survival.composite_laws import MixtureCure, NonMixtureCure
from cartsight.evidence.survival.fitting import CURE_BOUNDARY, Fit, climb
from cartsight.evidence.survival.likelihood import Likelihood
from cartsight.evidence.survival.observations import Float

WIDEST_INTERVAL = 0.5
LARGEST_UNCURED_SHARE = 0.10
_LOWEST, _HIGHEST = 1e-3, 0.999


@dataclass(frozen=True)
class CureProfile:
    """Profile of the cured fraction.

    Attributes
    ----------
    estimate : float
        The maximum, whether or not it is to be believed.
    low, high : float
        Profile likelihood interval; 0 or 1 when it reaches them.
    level : float
    fraction, log_likelihood : arrays, shape (k,)
        The profile: fractions visited, and the log likelihood maximised over everything else.
    uncured_at_end : float
        Share of the uncured still event free at the longest follow-up, by the fitted law.
    reasons : tuple of str
        Why the point estimate is refused; empty when it is reported.
    """

    estimate: float
    low: float
    high: float
    level: float
    fraction: Float
    log_likelihood: Float
    uncured_at_end: float
    reasons: tuple[str, ...]

    @property
    def reported(self) -> float | None:
        """The estimate, or None when it is refused."""
        return None if self.reasons else self.estimate


def cure_profile(fitted: Fit, *, level: float = 0.95) -> CureProfile:
    """Return the profile likelihood of a fit's cured fraction.

    Raises
    ------
    InputError
        When the model has no cure or its cured fraction depends on covariates (there is then no single
        fraction).
    """
    if not fitted.has_cure:
        raise InputError("this model has no cured fraction", field="model", found=fitted.name)
    if fitted.likelihood.cure_covariates.shape[1]:
        raise InputError("the cured fraction depends on covariates: there is no single one to profile")
    threshold = float(chi2.ppf(level, 1)) / 2
    free = np.ones(fitted.coefficients.size, dtype=bool)
    free[0] = False
    visited: dict[float, float] = {float(fitted.coefficients[0]): fitted.log_likelihood}

    def at(eta: float, start: Float) -> tuple[float, Float]:
        begin = start.copy()
        begin[0] = eta
        beta, value = climb(fitted.likelihood, begin, free)
        visited[eta] = value
        return value, beta

    top = fitted.log_likelihood
    estimate = float(expit(fitted.coefficients[0]))
    without = _best_without_cure(fitted)
    low = 0.0
    # A maximum at the boundary, or a rival without cure within the threshold, settles the lower end.
    if top - without > threshold and fitted.coefficients[0] > -CURE_BOUNDARY:
        low = _end(fitted, at, top - threshold, float(logit(_LOWEST)), 0.0)
    high = 1.0
    if fitted.coefficients[0] < CURE_BOUNDARY:
        high = _end(fitted, at, top - threshold, float(logit(_HIGHEST)), 1.0)
    etas = np.array(sorted(visited))
    uncured = _uncured_at_end(fitted)
    profile = CureProfile(
        estimate, low, high, level, np.asarray(expit(etas)), np.array([visited[e] for e in etas]), uncured, ()
    )
    return CureProfile(**{**profile.__dict__, "reasons": _reasons(profile)})


def _best_without_cure(fitted: Fit) -> float:
    """Return the log likelihood of the limit pi -> 0 (mixture: the uncured law alone)."""
    if fitted.model.cure == "non_mixture":
        return -np.inf
    base = fitted.likelihood
    plain = Likelihood(base.data, base.family, "none", base.covariates, base.cure_covariates, base.background)
    starts = [
        fitted.coefficients[1:],
        *(np.concatenate([s, np.zeros(base.covariates.shape[1])]) for s in base.family.starts(base.data)),
    ]
    return max(climb(plain, start)[1] for start in starts)


def _end(
    fitted: Fit,
    at: Callable[[float, Float], tuple[float, Float]],
    target: float,
    limit: float,
    boundary: float,
) -> float:
    """Walk from the top of the profile until it falls below `target`; return the crossing or the boundary."""
    eta, beta, value = float(fitted.coefficients[0]), fitted.coefficients, fitted.log_likelihood
    sign = 1.0 if limit > eta else -1.0
    if abs(eta) > abs(limit):
        # At a boundary the profile is flat; the walk starts where it can begin to fall.
        eta = -limit
        value, beta = at(eta, beta)
        if value < target:
            return float(expit(_crossing(at, float(fitted.coefficients[0]), fitted.log_likelihood, eta, target, beta)))
    se = float(fitted.standard_errors[0])
    stride = float(np.clip(se, 0.1, 1.0)) if se > 0 else 0.5
    for _ in range(60):
        step = eta + sign * stride
        if (limit - step) * sign < 0:
            step = limit
        next_value, next_beta = at(step, beta)
        if next_value < target:
            return float(expit(_crossing(at, eta, fitted.log_likelihood, step, target, beta)))
        if step == limit:
            return boundary
        eta, value, beta = step, next_value, next_beta
        stride *= 1.3
    return boundary


def _crossing(
    at: Callable[[float, Float], tuple[float, Float]],
    inside: float,
    top: float,
    outside: float,
    target: float,
    beta: Float,
) -> float:
    """Return where the profile crosses `target`: bisection guided by the signed root of the deviance."""
    goal = float(np.sqrt(2 * (top - target)))

    def root(eta: float, start: Float) -> tuple[float, Float]:
        value, moved = at(eta, start)
        return (float(np.sqrt(2 * max(top - value, 0.0))) if np.isfinite(value) else 1e3), moved

    a, b = inside, outside
    ra, beta = root(a, beta)
    rb, _ = root(b, beta)
    for k in range(25):
        share = (goal - ra) / (rb - ra) if k % 3 < 2 and rb > ra else 0.5
        middle = a + float(np.clip(share, 0.02, 0.98)) * (b - a)
        r, moved = root(middle, beta)
        if abs(r - goal) < 1e-4 or abs(b - a) < 1e-6:
            return middle
        if r <= goal:
            a, ra, beta = middle, r, moved
        else:
            b, rb = middle, r
    return 0.5 * (a + b)


def _uncured_at_end(fitted: Fit) -> float:
    law = fitted.law(_mean(fitted.likelihood.covariates))
    end = fitted.data.last_time
    part = law.uncured if isinstance(law, MixtureCure) else law.kernel if isinstance(law, NonMixtureCure) else law
    return float(part.survival(end))


def _mean(covariates: Float) -> Float:
    return covariates.mean(axis=0) if covariates.shape[1] else np.empty(0)


def _reasons(p: CureProfile) -> tuple[str, ...]:
    percent = f"{100 * p.level:g} %"
    reasons = []
    if p.low <= 0:
        reasons.append(f"the {percent} profile interval reaches 0: the data do not tell a cure from none")
    if p.high >= 1:
        reasons.append(f"the {percent} profile interval reaches 1")
    if p.high - p.low > WIDEST_INTERVAL:
        reasons.append(
            f"flat profile: its {percent} interval is {p.high - p.low:.2f} wide, more than {WIDEST_INTERVAL}"
        )
    if p.uncured_at_end > LARGEST_UNCURED_SHARE:
        reasons.append(
            f"no plateau: {100 * p.uncured_at_end:.0f} % of the uncured would be event free at the longest "
            f"follow-up, more than {100 * LARGEST_UNCURED_SHARE:.0f} %"
        )
    return tuple(reasons)
