"""What it is worth to know more: expected value of perfect and of partial perfect information.

EVPI = E[max_d NB(d, theta)] - max_d E[NB(d, theta)]; EVPPI replaces NB(d, theta) by its expectation given the
parameters of interest, estimated by regression on the draws already made.

Sources: Claxton 1999, doi:10.1016/S0167-6296(98)00039-3; Strong, Oakley & Brennan 2014,
doi:10.1177/0272989X13505910; Rothery et al. 2020 (ISPOR task force), doi:10.1016/j.jval.2020.01.004.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.comparison.conditional_expectation import Regression, regress
from cartsight.core.errors import InputError, nearest
from cartsight.economics.discounting import discounted_integral
from cartsight.economics.net_benefit import checked_draws, checked_willingness_to_pay, net_monetary_benefit

Float = npt.NDArray[np.float64]

_SIMULATED_FITS = 100
_ROWS_OF_SIMULATED_FITS = 250


@dataclass(frozen=True)
class PerfectInformation:
    """Expected value of perfect information per patient.

    Attributes
    ----------
    wtp : array, shape (w,)
    value : array, shape (w,)
        In money per patient, at least zero.
    standard_error : array, shape (w,)
        Monte Carlo standard error. Where two arms have nearly the same mean, the estimate is also biased
        downwards, by at most a fraction of the standard error of their difference.
    best : array of int, shape (w,)
        Arm that is chosen under current information.
    """

    wtp: Float
    value: Float
    standard_error: Float
    best: npt.NDArray[np.intp]


def expected_value_of_perfect_information(
    costs: npt.ArrayLike, effects: npt.ArrayLike, wtp: npt.ArrayLike
) -> PerfectInformation:
    """Return the EVPI per patient on a grid of willingness to pay.

    Parameters
    ----------
    costs, effects : array_like, shape (draws, arms)
        Expected cost and effect per patient in each parameter draw. Noise between patients that is left in a
        draw counts as uncertainty and inflates the result; see `comparison.spread`.
    wtp : float or array_like, shape (w,)

    Raises
    ------
    InputError
        When shapes differ, values are not finite, or there are fewer than two draws or arms.
    """
    cost, effect = checked_draws(costs, effects)
    grid = checked_willingness_to_pay(wtp)
    value, error = np.empty(grid.size), np.empty(grid.size)
    best = np.empty(grid.size, dtype=np.intp)
    for row, threshold in enumerate(grid):
        benefit = net_monetary_benefit(cost, effect, float(threshold))
        best[row] = int(benefit.mean(axis=0).argmax())
        loss = benefit.max(axis=1) - benefit[:, best[row]]
        value[row] = loss.mean()
        error[row] = loss.std(ddof=1) / np.sqrt(loss.size)
    return PerfectInformation(grid, value, error, best)


def affected_population(
    *, incidence_per_year: float, horizon_years: float, discount_rate: float, prevalent: float = 0.0
) -> float:
    """Return the discounted number of patients whose treatment the decision settles.

    prevalent + incidence x integral of (1 + r)^(-t) over the horizon: patients arrive evenly through each
    year.

    Parameters
    ----------
    incidence_per_year : float
        New patients a year.
    horizon_years : float
        Years for which the decision stays relevant: a judgement, to be reported with the result.
    discount_rate : float
        Rate per year under annual compounding.
    prevalent : float
        Patients who wait at time zero.

    Returns
    -------
    float
        Multiply a value per patient by it to get the value for the population.

    Raises
    ------
    InputError
        When a number of patients or the horizon is negative.
    """
    for name, number in (
        ("incidence_per_year", incidence_per_year),
        ("horizon_years", horizon_years),
        ("prevalent", prevalent),
    ):
        if not np.isfinite(number) or number < 0.0:
            raise InputError("must be a finite number of at least 0", field=name, found=number)
    arriving = discounted_integral(0.0, horizon_years, incidence_per_year, discount_rate=discount_rate)
    return prevalent + float(arriving)


@dataclass(frozen=True)
class PartialInformation:
    """Expected value of partial perfect information per patient, for one parameter or one group.

    Attributes
    ----------
    parameters : tuple of str
    wtp : array, shape (w,)
    value : array, shape (w,)
        In money per patient, between zero and the EVPI of the same draws.
    standard_error : array, shape (w,)
        From the sampling of the parameters and from the uncertainty of the regression (Strong et al. 2014).
    regression_bias : array, shape (w,)
        Estimate of how much noise in the fits moves `value`, mostly upwards. It is not subtracted.
    method : str
        The smoother used.
    effective_parameters : float
        Largest effective number of regression coefficients.
    """

    parameters: tuple[str, ...]
    wtp: Float
    value: Float
    standard_error: Float
    regression_bias: Float
    method: str
    effective_parameters: float


def expected_value_of_partial_perfect_information(
    costs: npt.ArrayLike,
    effects: npt.ArrayLike,
    parameters: npt.ArrayLike,
    wtp: npt.ArrayLike,
    *,
    names: Sequence[str] = (),
    seed: int = 1,
) -> PartialInformation:
    """Return the EVPPI of one parameter, or of a group learned together, by regression.

    Parameters
    ----------
    costs, effects : array_like, shape (draws, arms)
    parameters : array_like, shape (draws,) or (draws, p)
        Values of the parameters of interest in the same draws.
    wtp : float or array_like, shape (w,)
    names : sequence of str
        Names for the result.
    seed : int
        Seed of the simulated fits behind the standard error.

    Returns
    -------
    PartialInformation

    Raises
    ------
    InputError
        As `expected_value_of_perfect_information` and `regress`: at least 40 draws, not too large a group.

    Notes
    -----
    Costs and effects are regressed once each; net benefit is linear in them, so that a whole grid of
    willingness to pay shares the fits. Groups are fitted with additive splines and polynomial interactions up
    to total degree 4 (fewer for large groups): an interaction of higher order is missed, which biases the
    value downwards.
    """
    cost, effect = checked_draws(costs, effects)
    grid = checked_willingness_to_pay(wtp)
    fit = regress(parameters, np.hstack([(effect - effect[:, [0]])[:, 1:], (cost - cost[:, [0]])[:, 1:]]))
    limit = expected_value_of_perfect_information(cost, effect, grid).value
    return _value_of_fit(fit, grid, limit, tuple(names), seed)


def _value_of_fit(fit: Regression, grid: Float, limit: Float, names: tuple[str, ...], seed: int) -> PartialInformation:
    """Return the value behind a fit of effects, then costs, each less those of arm 0."""
    draws = fit.fitted.shape[0]
    generator = np.random.Generator(np.random.PCG64(seed))
    rows = generator.choice(draws, min(draws, _ROWS_OF_SIMULATED_FITS), replace=False)
    coefficients = fit.sample_coefficients(_SIMULATED_FITS, generator)
    fitted = np.ascontiguousarray(fit.fitted.T)
    exact_on_rows = fitted[:, rows]
    centre = fitted.mean(axis=1)
    noisy = np.stack(
        [centre[r] + coefficients[:, :, r] @ fit.basis[rows].T for r in range(fitted.shape[0])],
    )
    value, error, bias = np.empty(grid.size), np.empty(grid.size), np.empty(grid.size)
    for row, threshold in enumerate(grid):
        benefit = _incremental(fitted, float(threshold))
        means = benefit.mean(axis=1)
        chosen = int(means.argmax())
        gain = np.maximum(benefit.max(axis=0), 0.0)
        if means[chosen] > 0.0:
            gain = gain - benefit[chosen]
        value[row] = gain.mean()
        simulated = _gain(_incremental(noisy, float(threshold)))
        bias[row] = float(simulated.mean() - _gain(_incremental(exact_on_rows, float(threshold))))
        error[row] = np.sqrt(gain.var(ddof=1) / draws + simulated.var(ddof=1))
    return PartialInformation(
        parameters=names,
        wtp=grid,
        # The regression can overshoot by rounding or noise; no parameter is worth more than all of them.
        value=np.minimum(np.maximum(value, 0.0), limit),
        standard_error=error,
        regression_bias=bias,
        method=fit.method,
        effective_parameters=float(fit.effective_parameters.max()),
    )


def _incremental(responses: Float, threshold: float) -> Float:
    """Return net benefit less that of arm 0, shape (arms - 1, ...), from effects, then costs, on axis 0."""
    arms = responses.shape[0] // 2
    return np.asarray(threshold * responses[:arms] - responses[arms:], dtype=np.float64)


def _gain(benefit: Float) -> Float:
    """Return E[max] - max E over the last axis of incremental benefit, shape (arms - 1, ..., rows)."""
    best = np.maximum(benefit.max(axis=0), 0.0).mean(axis=-1)
    return np.asarray(best - np.maximum(benefit.mean(axis=-1).max(axis=0), 0.0), dtype=np.float64)


def partial_information_by_parameter(
    costs: npt.ArrayLike,
    effects: npt.ArrayLike,
    parameters: Mapping[str, npt.ArrayLike],
    wtp: npt.ArrayLike,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    seed: int = 1,
) -> dict[str, PartialInformation]:
    """Return the EVPPI of every parameter, and of every named group.

    Parameters
    ----------
    costs, effects : array_like, shape (draws, arms)
    parameters : mapping of str to array_like, shape (draws,)
    wtp : float or array_like, shape (w,)
    groups : mapping of str to sequences of parameter names, optional
        Parameters that one study would inform together.
    seed : int

    Returns
    -------
    dict of str to PartialInformation
        Parameters in the order given, then groups.

    Raises
    ------
    InputError
        Also when a group names an unknown parameter, or has the name of a parameter.
    """
    cost, effect = checked_draws(costs, effects)
    grid = checked_willingness_to_pay(wtp)
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in parameters.items()}
    wanted: dict[str, tuple[str, ...]] = {name: (name,) for name in columns}
    for group, members in (groups or {}).items():
        if group in wanted:
            raise InputError("a group needs a name of its own", field="groups", found=group)
        for member in members:
            if member not in columns:
                raise InputError(
                    "unknown parameter in a group",
                    field=f"groups.{group}",
                    found=member,
                    hint=nearest(member, columns),
                )
        if not members:
            raise InputError("a group needs at least one parameter", field=f"groups.{group}")
        wanted[group] = tuple(members)
    increments = np.hstack([(effect - effect[:, [0]])[:, 1:], (cost - cost[:, [0]])[:, 1:]])
    limit = expected_value_of_perfect_information(cost, effect, grid).value
    result = {}
    for name, members in wanted.items():
        fit = regress(np.column_stack([columns[m] for m in members]), increments)
        result[name] = _value_of_fit(fit, grid, limit, members, seed)
    return result
