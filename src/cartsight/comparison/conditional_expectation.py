"""E[Y | parameters] by penalised regression on the draws of an uncertainty analysis.

A linear smoother with one penalty, written in Demmler-Reinsch coordinates: orthonormal columns u_j with
penalties s_j, so that the fit is sum_j u_j (u_j'y) / (1 + lambda s_j) and lambda by generalised
cross-validation costs a few vector operations. One parameter gets a cubic P-spline of its normal scores;
several get additive P-splines and polynomial interactions; a parameter with few distinct values gets its
group means.

Sources: Eilers & Marx 1996, doi:10.1214/ss/1038425655 (P-splines); Wood 2017, doi:10.1201/9781315370279 (GCV,
posterior of the coefficients); Strong, Oakley & Brennan 2014, doi:10.1177/0272989X13505910 (use for EVPPI).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import eval_hermitenorm, gammaln, ndtri

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]

FEWEST_DRAWS = 40

_FEW_VALUES = 10
_SPLINE_COLUMNS = 18
_GROUP_SPLINE_COLUMNS = 9
# Falling, so that equal scores settle on the smoothest fit.
_LOG_LAMBDA = np.linspace(10.0, -6.0, 49)
_DEPENDENT = 1e-10
_INTERACTION_RATIOS = (1e-3, 1.0, 1e3)


@dataclass(frozen=True)
class Regression:
    """Fitted conditional expectations of several responses.

    Attributes
    ----------
    fitted : array, shape (draws, responses)
    basis : array, shape (draws, k)
        Orthonormal columns.
    shrinkage : array, shape (k, responses)
        1 / (1 + lambda_r s_j).
    coefficients : array, shape (k, responses)
    residual_covariance : array, shape (responses, responses)
    effective_parameters : array, shape (responses,)
    method : str
        "constant", "group_means", "p_spline" or "additive_p_spline_with_interactions".
    """

    fitted: Float
    basis: Float
    shrinkage: Float
    coefficients: Float
    residual_covariance: Float
    effective_parameters: Float
    method: str

    def sample_coefficients(self, samples: int, generator: np.random.Generator) -> Float:
        """Return draws from the posterior of the coefficients, shape (samples, k, responses)."""
        values, vectors = np.linalg.eigh(self.residual_covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        noise = generator.standard_normal((samples, *self.coefficients.shape)) @ root.T
        return np.asarray(self.coefficients + noise * np.sqrt(self.shrinkage), dtype=np.float64)


def most_parameters(draws: int) -> int:
    """Return how many parameters a group may hold with so many draws."""
    return max((min(draws // 10, 400) - 1) // 3, 1)


def normal_scores(values: npt.ArrayLike) -> Float:
    """Return the standard normal quantiles of the ranks, ties at their average rank.

    E[Y | x] is the same function of any increasing transform of x; normal scores keep the knots where the
    draws are, whatever the skewness of a prior.
    """
    from scipy.stats import rankdata

    x = np.asarray(values, dtype=np.float64)
    return np.asarray(ndtri((rankdata(x) - 0.5) / x.size), dtype=np.float64)


def _spline_columns(z: Float, columns: int) -> tuple[Float, Float]:
    """Return a cubic B-spline basis on equal knots over `z`, and its second-difference penalty."""
    from scipy.interpolate import BSpline

    inner = columns - 3
    low, high = float(z.min()), float(z.max())
    step = (high - low) / inner
    knots = low + step * np.arange(-3, inner + 4)
    inside = np.clip(z, low, high - 1e-12 * (high - low))
    basis = BSpline.design_matrix(inside, knots, 3, extrapolate=True).toarray()
    difference = np.diff(np.eye(columns), n=2, axis=0)
    return np.asarray(basis, dtype=np.float64), np.asarray(difference.T @ difference, dtype=np.float64)


def _indicator_columns(x: Float) -> Float:
    values, codes = np.unique(x, return_inverse=True)
    return np.asarray(codes[:, None] == np.arange(values.size), dtype=np.float64)


def _hermite(z: Float, degree: int) -> Float:
    """Return the probabilists' Hermite polynomial with unit variance under a standard normal."""
    return np.asarray(eval_hermitenorm(degree, z) / np.exp(0.5 * gammaln(degree + 1.0)), dtype=np.float64)


def _interaction_degrees(parameters: int, degree: int) -> list[tuple[int, ...]]:
    """Return the exponents of all products of two or more parameters up to a total degree."""
    found = []
    for total in range(2, degree + 1):
        for chosen in itertools.combinations_with_replacement(range(parameters), total):
            exponents = tuple(chosen.count(p) for p in range(parameters))
            if sum(e > 0 for e in exponents) >= 2:
                found.append(exponents)
    return found


def _interaction_count(parameters: int, degree: int) -> int:
    if degree < 2 or parameters < 2:
        return 0
    pairs = parameters * (parameters - 1) // 2
    if degree == 2:
        return pairs
    triples = pairs * (parameters - 2) // 3
    cubic = pairs + 2 * pairs + triples
    if degree == 3:
        return cubic
    quadruples = triples * (parameters - 3) // 4
    return cubic + 3 * pairs + 3 * triples + quadruples


def _group_columns(x: Float) -> tuple[Float, Float, Float]:
    """Return columns for several parameters, and the penalties of smooth part and interactions."""
    draws, parameters = x.shape
    budget = min(draws // 10, 400)
    plans = [
        (_GROUP_SPLINE_COLUMNS, 4),
        (_GROUP_SPLINE_COLUMNS, 3),
        (_GROUP_SPLINE_COLUMNS, 2),
        (4, 2),
        (4, 1),
    ]
    for width, degree in plans:
        if 1 + parameters * (width - 1) + _interaction_count(parameters, degree) <= budget:
            break
    else:
        raise InputError(
            "too many parameters in one group for the number of draws",
            field="parameters",
            found=f"{parameters} parameters, {draws} draws",
            allowed=f"at most {most_parameters(draws)} parameters for so many draws",
        )
    columns: list[Float] = [np.ones((draws, 1))]
    smooth: list[Float] = [np.zeros((1, 1))]
    scores = np.column_stack([normal_scores(x[:, p]) for p in range(parameters)])
    for p in range(parameters):
        distinct = np.unique(x[:, p]).size
        if distinct <= _FEW_VALUES:
            block = _indicator_columns(x[:, p])[:, 1:]
            penalty = np.zeros((block.shape[1], block.shape[1]))
        else:
            full, roughness = _spline_columns(scores[:, p], width)
            # The columns of a B-spline basis sum to one: the first is left to the common intercept.
            block, penalty = full[:, 1:], roughness[1:, 1:]
        columns.append(block)
        smooth.append(penalty)
    exponents = _interaction_degrees(parameters, degree)
    interactions = np.ones((draws, len(exponents)))
    weights = np.empty(len(exponents))
    for k, degrees in enumerate(exponents):
        for p, power in enumerate(degrees):
            if power:
                interactions[:, k] *= _hermite(scores[:, p], power)
        weights[k] = float(sum(degrees)) ** 2
    size = sum(block.shape[1] for block in columns)
    total = size + len(exponents)
    smooth_penalty, interaction_penalty = np.zeros((total, total)), np.zeros((total, total))
    at = 0
    for block_penalty in smooth:
        end = at + block_penalty.shape[0]
        smooth_penalty[at:end, at:end] = block_penalty
        at = end
    interaction_penalty[range(size, total), range(size, total)] = weights
    return np.hstack([*columns, interactions]), smooth_penalty, interaction_penalty


def _orthonormal(columns: Float) -> tuple[Float, Float]:
    """Return orthonormal columns of the same span, and the change of basis that makes them.

    From the Gram matrix of the scaled columns, which is many times faster than a decomposition of the columns
    themselves; directions that are nearly dependent are dropped, so that the loss of digits stays harmless.
    """
    norms = np.sqrt(np.einsum("nk,nk->k", columns, columns))
    scale = np.where(norms > 0.0, 1.0 / np.where(norms > 0.0, norms, 1.0), 0.0)
    squares, directions = np.linalg.eigh((columns.T @ columns) * np.outer(scale, scale))
    kept = squares > _DEPENDENT * squares[-1]
    change = scale[:, None] * directions[:, kept] / np.sqrt(squares[kept])
    return columns @ change, change


def _demmler_reinsch(change: Float, penalty: Float, draws: int) -> tuple[Float, Float]:
    """Return the diagonal penalties of the rotated orthonormal columns, and the rotation."""
    values, rotation = np.linalg.eigh(change.T @ penalty @ change * draws)
    return np.where(values < 1e-9 * max(float(values[-1]), 1e-300), 0.0, values), rotation


def _choose(projections: Float, penalties: Float, outside: Float, draws: int) -> tuple[Float, float]:
    """Return the shrinkage of each response at its own best lambda, and the sum of the log GCV scores.

    `projections` are those of the responses on the columns, `outside` their sums of squares beyond the
    columns.
    """
    shrink = 1.0 / (1.0 + 10.0 ** _LOG_LAMBDA[:, None] * penalties[None, :])
    residual = outside + ((1.0 - shrink) ** 2) @ (projections**2)
    freedom = draws - shrink.sum(axis=1, keepdims=True)
    score = draws * residual / freedom**2
    best = score.argmin(axis=0)
    lowest = score[best, np.arange(projections.shape[1])]
    return shrink[best].T, float(np.sum(np.log(np.maximum(lowest, 1e-300))))


def _basis(x: Float) -> tuple[Float, list[Float], str]:
    """Return columns for the parameters, the penalties to choose from, and the name of the method."""
    if x.shape[1] == 0:
        return np.ones((x.shape[0], 1)), [np.zeros((1, 1))], "constant"
    if x.shape[1] > 1:
        columns, smooth, interaction = _group_columns(x)
        penalties = [smooth + ratio * interaction for ratio in _INTERACTION_RATIOS]
        return columns, penalties, "additive_p_spline_with_interactions"
    if np.unique(x).size <= _FEW_VALUES:
        columns = _indicator_columns(x[:, 0])
        return columns, [np.zeros((columns.shape[1], columns.shape[1]))], "group_means"
    columns, penalty = _spline_columns(normal_scores(x[:, 0]), min(_SPLINE_COLUMNS, max(5, x.shape[0] // 8)))
    return columns, [penalty], "p_spline"


def regress(parameters: npt.ArrayLike, responses: npt.ArrayLike) -> Regression:
    """Return the estimate of E[responses | parameters] at every draw.

    Parameters
    ----------
    parameters : array_like, shape (draws,) or (draws, p)
        The parameters of interest.
    responses : array_like, shape (draws, responses)
        For example incremental costs and effects. The other parameters act as noise.

    Returns
    -------
    Regression

    Raises
    ------
    InputError
        With fewer than 40 draws, values that are not finite, or too many parameters for the draws.
    """
    x = np.asarray(parameters, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    y = np.asarray(responses, dtype=np.float64)
    draws = y.shape[0]
    if x.shape[0] != draws:
        raise InputError("parameters and results hold different numbers of draws", found=(x.shape[0], draws))
    if draws < FEWEST_DRAWS:
        raise InputError(
            "regression on the parameters needs more draws",
            found=draws,
            allowed=f"{FEWEST_DRAWS} draws or more",
        )
    if not np.all(np.isfinite(x)):
        raise InputError("parameters must be finite numbers in every draw", field="parameters")
    x = x[:, [p for p in range(x.shape[1]) if np.any(x[:, p] != x[0, p])]]
    centre = y.mean(axis=0)
    centred = y - centre
    columns, penalties, method = _basis(x)
    plain, change = _orthonormal(columns)
    projections = plain.T @ centred
    outside = np.maximum(np.sum(centred**2, axis=0) - np.sum(projections**2, axis=0), 0.0)
    best_score = np.inf
    for penalty in penalties:
        weights, trial = _demmler_reinsch(change, penalty, draws)
        trial_shrinkage, score = _choose(trial.T @ projections, weights, outside, draws)
        if score < best_score:
            best_score, rotation, shrinkage = score, trial, trial_shrinkage
    basis = plain @ rotation
    coefficients = (rotation.T @ projections) * shrinkage
    fitted = basis @ coefficients
    residuals = centred - fitted
    freedom = shrinkage.sum(axis=0)
    return Regression(
        fitted=centre + fitted,
        basis=basis,
        shrinkage=shrinkage,
        coefficients=coefficients,
        residual_covariance=residuals.T @ residuals / max(draws - float(freedom.mean()), 1.0),
        effective_parameters=freedom,
        method=method,
    )
