"""Release of one normal attribute in closed form: the bivariate normal of true value and reported result.

True value T ~ N(mu, sigma^2), result R = T + bias + e with e ~ N(0, s^2). With limits for the truth and acceptance limits
for the result, each joint probability is a one-dimensional integral of the normal density times a difference of normal
distribution functions. Joint pass probabilities over correlated attributes: the multivariate normal rectangle (Genz 1992,
doi:10.1080/10618600.1992.10477010), and one integral for equal correlations (Dunnett & Sobel 1955, doi:10.1093/biomet/42.1-2.258).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import integrate, stats
from scipy.special import ndtr

from cartsight.core.errors import InputError
from cartsight.evidence.quality.release.specification import Attribute, ReleaseSpecification

Float = npt.NDArray[np.float64]
REACH = 10.0


@dataclass(frozen=True)
class ExactRisk:
    """Joint probabilities of truth and decision; `error` bounds the quadrature error of each."""

    good_released: float
    good_rejected: float
    bad_released: float
    bad_rejected: float
    error: float


def closed_form_attribute(specification: ReleaseSpecification) -> Attribute | None:
    """Return the attribute when the release of the specification is one normal decision, else None."""
    if len(specification.attributes) != 1 or specification.safety or specification.covariates:
        return None
    attribute = specification.attributes[0]
    plain = (
        normal_result(attribute)
        and attribute.assay.invalid_probability == 0.0
        and specification.process.termination_probability == 0.0
        and not attribute.effects
        and attribute.name != specification.dose_attribute
        and attribute.true_sd > 0
    )
    return attribute if plain else None


def normal_result(attribute: Attribute) -> bool:
    """Return whether one reportable result decides and is normal on the scale given the true value."""
    assay = attribute.assay
    averages_on_scale = (
        assay.sessions * assay.replicates == 1
        or (attribute.scale.name == "identity" and assay.result == "mean")
        or (attribute.scale.name == "log" and assay.result == "geometric_mean")
    )
    return (
        averages_on_scale
        and assay.counted is None
        and not math.isfinite(assay.detection_limit)
        and assay.retest.results == 0
    )


def acceptance_on_scale(attribute: Attribute) -> tuple[float, float]:
    """Return the acceptance limits on the scale, widened to the edges of rounding.

    A result rounded to step d is at or above a limit L exactly when it was at or above the smallest multiple of d that is
    not below L, less d/2.
    """
    low, high = attribute.acceptance
    step = attribute.assay.rounding
    if step > 0:
        low = (math.ceil(low / step - 1e-9) - 0.5) * step if math.isfinite(low) else low
        high = (math.floor(high / step + 1e-9) + 0.5) * step if math.isfinite(high) else high
    return attribute.scale.transform(low), attribute.scale.transform(high)


def exact_risk(attribute: Attribute) -> ExactRisk:
    """Return the four joint probabilities of an attribute with normal truth and normal error on its scale."""
    mu, sigma = attribute.true_mu, attribute.true_sd
    s, bias = attribute.assay.result_sd, attribute.assay.bias
    low, high = attribute.true_limits
    accept_low, accept_high = acceptance_on_scale(attribute)
    a, b = (low - mu) / sigma, (high - mu) / sigma

    def released(z: float) -> float:
        centre = mu + sigma * z + bias
        if s == 0.0:
            return 1.0 if accept_low <= centre <= accept_high else 0.0
        return float(ndtr((accept_high - centre) / s) - ndtr((accept_low - centre) / s))

    edges = [(edge - bias - mu) / sigma for edge in (accept_low, accept_high) if math.isfinite(edge)]
    step = s / sigma
    breaks = sorted({e + k * step for e in edges for k in (-8.0, -4.0, -1.0, 0.0, 1.0, 4.0, 8.0)})

    def integral(start: float, stop: float) -> tuple[float, float]:
        start, stop = max(start, -REACH), min(stop, REACH)
        if start >= stop:
            return 0.0, 0.0
        cuts = [start, *(x for x in breaks if start < x < stop), stop]
        total, error = 0.0, 0.0
        for left, right in itertools.pairwise(cuts):
            part, uncertain = integrate.quad(
                lambda z: released(z) * math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi), left, right, epsabs=1e-13
            )
            total, error = total + part, error + uncertain
        return total, error

    good = float(ndtr(b) - ndtr(a))
    good_released, e1 = integral(a, b)
    below, e2 = integral(-math.inf, a)
    above, e3 = integral(b, math.inf)
    bad_released = below + above
    return ExactRisk(good_released, good - good_released, bad_released, 1.0 - good - bad_released, e1 + e2 + e3)


@dataclass(frozen=True)
class JointPass:
    """Probability that every attribute passes, with its numerical error."""

    probability: float
    error: float
    method: str


def joint_pass_probability(lower: npt.ArrayLike, upper: npt.ArrayLike, correlation: Float, seed: int = 1) -> JointPass:
    """Return P(lower < Z < upper) for standard normals with a correlation matrix.

    Parameters
    ----------
    lower, upper : array_like, shape (k,)
        Limits in standard deviations from the mean; infinite on an open side.
    correlation : array, shape (k, k)
    seed : int
        Of the lattice shifts of Genz's rule, for unequal correlations in more than two dimensions.

    Raises
    ------
    InputError
        Shapes that disagree, or a matrix that is no correlation matrix.
    """
    a, b = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    matrix = np.asarray(correlation, dtype=np.float64)
    k = a.size
    if b.shape != a.shape or matrix.shape != (k, k):
        raise InputError("limits and correlation matrix must agree in size", found=(a.shape, b.shape, matrix.shape))
    if (
        not np.allclose(np.diag(matrix), 1.0)
        or not np.allclose(matrix, matrix.T)
        or np.linalg.eigvalsh(matrix).min() < -1e-9
    ):
        raise InputError("not a correlation matrix", found=matrix.tolist())
    off = matrix[~np.eye(k, dtype=bool)]
    if k == 1:
        return JointPass(float(ndtr(b[0]) - ndtr(a[0])), 0.0, "closed form")
    if np.ptp(off) == 0.0 and 0.0 <= off[0] < 1.0:
        rho = float(off[0])

        def conditional(z: float) -> float:
            shift, scale = math.sqrt(rho) * z, math.sqrt(1.0 - rho)
            return float(np.prod(ndtr((b - shift) / scale) - ndtr((a - shift) / scale)) * stats.norm.pdf(z))

        value, error = integrate.quad(conditional, -REACH, REACH, epsabs=1e-12, limit=200)
        return JointPass(float(value), float(error), "one-dimensional quadrature (equal correlations)")
    law = stats.multivariate_normal(  # type: ignore[call-overload]
        mean=np.zeros(k), cov=matrix, allow_singular=True, seed=seed, abseps=1e-6, releps=1e-6
    )
    value = float(law.cdf(b, lower_limit=a))
    return JointPass(min(max(value, 0.0), 1.0), 1e-6, "multivariate normal (Genz)")
