"""The three spreads of a result: between patients, between parameter draws, and Monte Carlo error.

With Y the outcome of a patient and theta the parameters, Var(Y) = E[Var(Y | theta)] + Var(E[Y | theta]):
variability between patients plus parameter uncertainty. A nested simulation of N draws with n patients each
sees only the mean of a draw, whose variance is B + W / n; one-way analysis of variance takes the two apart
(O'Hagan, Stevenson & Madan 2007, doi:10.1002/hec.1199).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class VarianceSplit:
    """A result split into its three spreads.

    Attributes
    ----------
    mean : float
        Estimate of the expectation over parameters and patients.
    between_patients_variance : float
        W, the expected variance between patients at fixed parameters.
    between_draws_variance : float
        B, the variance of the expected outcome over parameter draws; zero when its estimate is negative.
    between_draws_estimate : float
        The unbiased estimate of B as it came out, which may be negative.
    between_draws_low, between_draws_high : float
        95 % interval of B (Williams 1962), cut at zero.
    monte_carlo_variance : float
        Variance of `mean` caused by finite draws and patients.
    standard_error : float
        Its square root: the Monte Carlo standard error of `mean`.
    draws : int
    patients_per_draw : float
        The effective number when draws hold different numbers of patients.
    resolved : bool
        False when the estimate of B is not above zero: the run holds too few patients per draw to see the
        parameter uncertainty, which is then at most `between_draws_high`, and not zero.
    """

    mean: float
    between_patients_variance: float
    between_draws_variance: float
    between_draws_estimate: float
    between_draws_low: float
    between_draws_high: float
    monte_carlo_variance: float
    standard_error: float
    draws: int
    patients_per_draw: float
    resolved: bool


def split_variance_of_means(
    draw_means: npt.ArrayLike, within_variances: npt.ArrayLike, patients_per_draw: npt.ArrayLike
) -> VarianceSplit:
    """Return the three spreads from the mean and the variance between patients of each draw.

    Parameters
    ----------
    draw_means : array_like, shape (draws,)
        Mean outcome of the patients in each draw.
    within_variances : array_like, shape (draws,)
        Sample variance (divisor n - 1) between the patients of each draw.
    patients_per_draw : int or array_like, shape (draws,)
        Patients n in each draw, at least two.

    Returns
    -------
    VarianceSplit

    Raises
    ------
    InputError
        When there are fewer than two draws, or a draw holds fewer than two patients.

    Notes
    -----
    One-way random-effects analysis of variance; unequal draws use the usual n0. Patients must be independent,
    within a draw given its parameters and between draws. When every draw follows the same patients with the
    same random numbers, use `split_variance_crossed`: this split would subtract patient noise that the draw
    means do not hold. Patients who wait in one queue are not independent either; W / n then understates the
    noise of a draw's mean, and B keeps the rest.
    """
    means = np.asarray(draw_means, dtype=np.float64)
    within = np.asarray(within_variances, dtype=np.float64)
    sizes = np.broadcast_to(np.asarray(patients_per_draw, dtype=np.float64), means.shape)
    if means.ndim != 1 or means.size < 2 or within.shape != means.shape:
        raise InputError("the split of variance needs at least two draws, each with a mean and a variance")
    if np.any(sizes < 2):
        raise InputError("the split of variance needs at least two patients per draw", found=float(sizes.min()))
    draws, total = means.size, float(sizes.sum())
    degrees_between, degrees_within = draws - 1, total - draws
    grand = float(np.sum(sizes * means) / total)
    mean_square_between = float(np.sum(sizes * (means - grand) ** 2) / degrees_between)
    mean_square_within = float(np.sum((sizes - 1.0) * within) / degrees_within)
    effective = float((total - np.sum(sizes**2) / total) / degrees_between)
    estimate = (mean_square_between - mean_square_within) / effective
    low, high = _between_interval(mean_square_between, mean_square_within, degrees_between, degrees_within, effective)
    # The standard error rests on the spread of the draw means, which holds B and W / n together.
    error_variance = float(np.sum(sizes**2 * (means - grand) ** 2) / total**2) * draws / degrees_between
    return VarianceSplit(
        mean=grand,
        between_patients_variance=mean_square_within,
        between_draws_variance=max(estimate, 0.0),
        between_draws_estimate=estimate,
        between_draws_low=low,
        between_draws_high=high,
        monte_carlo_variance=error_variance,
        standard_error=math.sqrt(error_variance),
        draws=draws,
        patients_per_draw=effective,
        resolved=estimate > 0.0,
    )


def split_variance(outcomes: npt.ArrayLike) -> VarianceSplit:
    """Return the three spreads of outcomes of shape (draws, patients); see `split_variance_of_means`."""
    y = np.asarray(outcomes, dtype=np.float64)
    if y.ndim != 2 or y.shape[1] < 2:
        raise InputError("outcomes need the shape (draws, patients) with two patients or more", found=y.shape)
    return split_variance_of_means(y.mean(axis=1), y.var(axis=1, ddof=1), y.shape[1])


def _between_interval(
    mean_square_between: float,
    mean_square_error: float,
    degrees_between: float,
    degrees_error: float,
    count: float,
) -> tuple[float, float]:
    """Return the 95 % interval of a variance component (Williams 1962, Biometrika 49:278), cut at 0."""
    from scipy import stats

    ends = []
    for tail in (0.975, 0.025):
        chi = float(stats.chi2.ppf(tail, degrees_between))
        f_ratio = float(stats.f.ppf(tail, degrees_between, degrees_error))
        numerator = degrees_between * (mean_square_between - f_ratio * mean_square_error)
        ends.append(max(numerator / (count * chi), 0.0))
    return ends[0], ends[1]


def split_variance_crossed(outcomes: npt.ArrayLike) -> VarianceSplit:
    """Return the three spreads when every draw follows the *same* patients with the same random numbers.

    Parameters
    ----------
    outcomes : array_like, shape (draws, patients)
        Row i is draw i, column j the same patient in all draws.

    Returns
    -------
    VarianceSplit
        `between_patients_variance` is the variance between patients at fixed parameters; the Monte Carlo
        variance B / N + P / n + I / (N n) holds the patient noise P that all draws share, which more draws do
        not remove.

    Raises
    ------
    InputError
        With fewer than two draws or patients.

    Notes
    -----
    Two-way random-effects analysis of variance without replication: draws B, patients P and their interaction
    I.
    """
    y = np.asarray(outcomes, dtype=np.float64)
    if y.ndim != 2 or min(y.shape) < 2:
        raise InputError("outcomes need the shape (draws, patients) with two or more of both", found=y.shape)
    draws, patients = y.shape
    grand = float(y.mean())
    of_draw, of_patient = y.mean(axis=1), y.mean(axis=0)
    degrees = draws - 1, (draws - 1) * (patients - 1)
    square_draws = patients * float(np.sum((of_draw - grand) ** 2)) / degrees[0]
    square_patients = draws * float(np.sum((of_patient - grand) ** 2)) / (patients - 1)
    residual = y - of_draw[:, None] - of_patient[None, :] + grand
    interaction = float(np.sum(residual**2)) / degrees[1]
    estimate = (square_draws - interaction) / patients
    shared = max((square_patients - interaction) / draws, 0.0)
    low, high = _between_interval(square_draws, interaction, degrees[0], degrees[1], patients)
    error = max(square_draws + square_patients - interaction, 0.0) / (draws * patients)
    return VarianceSplit(
        mean=grand,
        between_patients_variance=shared + interaction,
        between_draws_variance=max(estimate, 0.0),
        between_draws_estimate=estimate,
        between_draws_low=low,
        between_draws_high=high,
        monte_carlo_variance=error,
        standard_error=math.sqrt(error),
        draws=draws,
        patients_per_draw=float(patients),
        resolved=estimate > 0.0,
    )


def shrink_draw_means(draw_means: npt.ArrayLike, split: VarianceSplit) -> Float:
    """Return draw means pulled to their mean so that their variance is B instead of B + W / n.

    An interval of raw draw means mixes parameter uncertainty with patient noise. The shrunken means m + (x -
    m) sqrt(B / (B + W / n)) have the mean and the variance of the parameter uncertainty alone; their shape is
    that of the raw means. All are equal to the mean when the split is not `resolved`.
    """
    x = np.asarray(draw_means, dtype=np.float64)
    total = float(np.var(x, ddof=1))
    centre = float(np.mean(x))
    if total == 0.0:
        return x.copy()
    return centre + (x - centre) * math.sqrt(min(1.0, split.between_draws_variance / total))


def optimal_patients_per_draw(split: VarianceSplit, *, cost_per_draw: float, cost_per_patient: float) -> int:
    """Return the patients per parameter draw that estimate the mean best for a given computing budget.

    Minimising (B + W / n) / N subject to N (c0 + c1 n) = budget gives n* = sqrt((c0 / c1)(W / B)) (O'Hagan,
    Stevenson & Madan 2007, doi:10.1002/hec.1199).

    Parameters
    ----------
    split : VarianceSplit
        From a pilot run.
    cost_per_draw, cost_per_patient : float
        c0, computing time of a draw before its first patient, and c1, of each patient; both above zero.

    Returns
    -------
    int
        At least two, so that the next run can be split again.

    Raises
    ------
    InputError
        When a cost is not positive, or the pilot did not resolve the variance between draws.
    """
    if cost_per_draw <= 0.0 or cost_per_patient <= 0.0:
        raise InputError("the costs of a draw and of a patient must be positive")
    if not split.resolved:
        raise InputError(
            "the pilot run shows no variance between draws: the best number of patients is not defined",
            hint="run a pilot with more patients per draw",
        )
    best = math.sqrt(cost_per_draw / cost_per_patient * split.between_patients_variance / split.between_draws_variance)
    return max(2, round(best))


@dataclass(frozen=True)
class PairedDifference:
    """The difference of two arms that share their draws.

    Attributes
    ----------
    mean, standard_error : float
        Mean difference and its Monte Carlo standard error.
    error_low, error_high : float
        Interval of the mean from Monte Carlo error alone (Student t).
    low, high : float
        Central interval of the draws: parameter uncertainty.
    probability_positive : float
        Share of draws above zero; ties count one half.
    correlation : float
        Between the arms over draws; NaN when an arm does not vary.
    variance_ratio : float
        Variance of an unpaired difference over that of the paired one: how many times more draws independent
        random numbers would need. Infinite for identical arms.
    """

    mean: float
    standard_error: float
    error_low: float
    error_high: float
    low: float
    high: float
    probability_positive: float
    correlation: float
    variance_ratio: float
    level: float = 0.95


def paired_difference(first: npt.ArrayLike, second: npt.ArrayLike, *, level: float = 0.95) -> PairedDifference:
    """Return `first` minus `second`, draw by draw.

    Parameters
    ----------
    first, second : array_like, shape (draws,)
        Results of two arms on the same draws (or of two arms on the same patients).
    level : float
        Level of both intervals.

    Raises
    ------
    InputError
        When shapes differ or there are fewer than two draws.
    """
    from scipy import stats

    x = np.asarray(first, dtype=np.float64)
    y = np.asarray(second, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size < 2:
        raise InputError("a paired difference needs two arms with the same two or more draws", found=(x.shape, y.shape))
    difference = x - y
    mean, variance = float(np.mean(difference)), float(np.var(difference, ddof=1))
    error = math.sqrt(variance / x.size)
    reach = float(stats.t.ppf((1.0 + level) / 2.0, x.size - 1)) * error
    low, high = np.quantile(difference, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    variance_x, variance_y = float(np.var(x, ddof=1)), float(np.var(y, ddof=1))
    covariance = 0.5 * (variance_x + variance_y - variance)
    scale = math.sqrt(variance_x * variance_y)
    return PairedDifference(
        mean=mean,
        standard_error=error,
        error_low=mean - reach,
        error_high=mean + reach,
        low=float(low),
        high=float(high),
        probability_positive=float(np.mean(difference > 0.0) + 0.5 * np.mean(difference == 0.0)),
        correlation=max(-1.0, min(1.0, covariance / scale)) if scale > 0.0 else math.nan,
        variance_ratio=(variance_x + variance_y) / variance if variance > 0.0 else math.inf,
        level=level,
    )
