"""Discounting: factors at event dates, and closed integrals of rates of cost or utility over time.

Annual compounding at rate r weighs an amount at t years by (1 + r)^(-t). The same curve written continuously
is exp(-delta t) with delta = ln(1 + r), so that an integral over time needs no cycle length and no half-cycle
correction. Guidance: NICE PMG36 (3.5 % and 1.5 % a year), Sanders et al. 2016, doi:10.1001/jama.2016.12195 (3
%).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]

DAYS_PER_YEAR = 365.25

_SERIES_BELOW = 0.5
_SERIES_TERMS = 16


def _valid_rate(discount_rate: npt.ArrayLike) -> Float:
    rate = np.asarray(discount_rate, dtype=np.float64)
    if not np.all(np.isfinite(rate)) or np.any(rate <= -1.0):
        raise InputError(
            "a discount rate must be a finite number above -1",
            field="discount_rate",
            found=discount_rate,
            allowed="for example 0.03 for 3 % a year",
        )
    return rate


def continuous_rate(discount_rate: npt.ArrayLike) -> Float:
    """Return the continuous rate delta = ln(1 + r) that equals annual compounding at `discount_rate`."""
    return np.asarray(np.log1p(_valid_rate(discount_rate)), dtype=np.float64)


def discount_factor(time_years: npt.ArrayLike, discount_rate: npt.ArrayLike) -> Float:
    """Return the weight (1 + r)^(-t) of an amount that falls due at `time_years`.

    Parameters
    ----------
    time_years : array_like
        Years after time zero, any shape.
    discount_rate : array_like
        Rate per year under annual compounding, above -1; broadcasts with `time_years`.

    Returns
    -------
    array of float64
        Dimensionless factors, one at t = 0.

    Raises
    ------
    InputError
        When the rate is not a finite number above -1.
    """
    exponent = -continuous_rate(discount_rate) * np.asarray(time_years, dtype=np.float64)
    return np.asarray(np.exp(exponent), dtype=np.float64)


def present_value(amount: npt.ArrayLike, time_years: npt.ArrayLike, discount_rate: npt.ArrayLike) -> Float:
    """Return `amount` x `discount_factor`: the value at time zero of each dated amount (not summed)."""
    return np.asarray(np.asarray(amount, dtype=np.float64) * discount_factor(time_years, discount_rate))


def _mean_weight(x: Float) -> Float:
    """Return the integral of exp(-x u) for u in [0, 1]: (1 - e^-x) / x, and 1 at x = 0."""
    safe = np.where(x == 0.0, 1.0, x)
    return np.where(x == 0.0, 1.0, -np.expm1(-safe) / safe)


def _first_moment_weight(x: Float) -> Float:
    """Return the integral of u exp(-x u) for u in [0, 1]: (1 - e^-x (1 + x)) / x^2, and 1/2 at x = 0."""
    small = np.abs(x) < _SERIES_BELOW
    safe = np.where(small, 1.0, x)
    direct = (_mean_weight(safe) - np.exp(-safe)) / safe
    # The closed form cancels for small x; the power series sum (-x)^k / (k! (k + 2)) does not.
    near = np.where(small, x, 0.0)
    series = np.zeros_like(near)
    for k in range(_SERIES_TERMS, -1, -1):
        series = series * -near + 1.0 / (math.factorial(k) * (k + 2))
    return np.where(small, series, direct)


def discounted_integral(
    start_years: npt.ArrayLike,
    end_years: npt.ArrayLike,
    rate_at_start: npt.ArrayLike,
    rate_at_end: npt.ArrayLike | None = None,
    *,
    discount_rate: npt.ArrayLike,
) -> Float:
    """Return the discounted integral of a rate that is constant or changes linearly between two times.

    With h the length of the interval, a and b the rates at its ends, delta = ln(1 + r) and x = delta h::

        exp(-delta t0) h [ a phi_1(x) + (b - a) psi(x) ],
        phi_1(x) = (1 - e^-x) / x,   psi(x) = (1 - e^-x (1 + x)) / x^2

    which is exact, also as r goes to 0 where it becomes the trapezium h (a + b) / 2.

    Parameters
    ----------
    start_years, end_years : array_like
        Ends of the interval in years after time zero; an end before the start counts as an empty interval.
    rate_at_start : array_like
        Units per year at the start: 1 for life-years, a utility for QALYs, money per year for a running cost.
    rate_at_end : array_like, optional
        Units per year at the end; `rate_at_start` when left out.
    discount_rate : array_like
        Rate per year under annual compounding, above -1.

    Returns
    -------
    array of float64
        Discounted units, with the broadcast shape of the arguments.

    Raises
    ------
    InputError
        When the discount rate is not a finite number above -1.
    """
    start = np.asarray(start_years, dtype=np.float64)
    length = np.maximum(np.asarray(end_years, dtype=np.float64) - start, 0.0)
    delta = continuous_rate(discount_rate)
    first = np.asarray(rate_at_start, dtype=np.float64)
    x = delta * length
    inside = first * _mean_weight(x)
    if rate_at_end is not None:
        inside = inside + (np.asarray(rate_at_end, dtype=np.float64) - first) * _first_moment_weight(x)
    return np.asarray(np.exp(-delta * start) * length * inside, dtype=np.float64)


def discounted_life_years(survival_years: npt.ArrayLike, discount_rate: npt.ArrayLike) -> Float:
    """Return (1 - (1 + r)^(-T)) / ln(1 + r) for each survival time T in years; T itself when r = 0."""
    return discounted_integral(0.0, survival_years, 1.0, discount_rate=discount_rate)


def discounted_area(times_years: npt.ArrayLike, values: npt.ArrayLike, discount_rate: float) -> Float:
    """Return the discounted area under a curve given at increasing times and linear between them.

    Parameters
    ----------
    times_years : array_like, shape (k,)
        Strictly increasing years.
    values : array_like, shape (..., k)
        Units per year at those times, for example survival, or utility x occupancy.
    discount_rate : float
        Rate per year under annual compounding.

    Returns
    -------
    array of float64, shape (...)

    Raises
    ------
    InputError
        When there are fewer than two times or they do not increase.
    """
    times = np.asarray(times_years, dtype=np.float64)
    curve = np.asarray(values, dtype=np.float64)
    if times.ndim != 1 or times.size < 2 or np.any(np.diff(times) <= 0.0):
        raise InputError("a curve needs at least two strictly increasing times", field="times_years", found=times)
    pieces = discounted_integral(times[:-1], times[1:], curve[..., :-1], curve[..., 1:], discount_rate=discount_rate)
    return np.asarray(pieces.sum(axis=-1), dtype=np.float64)


def annuity_present_value(
    payment: npt.ArrayLike, payments: int, discount_rate: npt.ArrayLike, *, in_advance: bool = False
) -> Float:
    """Return the value at time zero of equal yearly payments that are certain.

    Parameters
    ----------
    payment : array_like
        Amount of each payment.
    payments : int
        How many, one a year.
    discount_rate : array_like
        Rate per year under annual compounding.
    in_advance : bool
        True when the first payment falls at time zero (annuity due), else after one year (ordinary annuity).

    Returns
    -------
    array of float64
        payment x (1 - (1 + r)^(-n)) / r, times (1 + r) in advance; payment x n when r = 0.

    Raises
    ------
    InputError
        When `payments` is negative or the rate is not above -1.
    """
    if payments < 0:
        raise InputError("the number of payments cannot be negative", field="payments", found=payments)
    rate = _valid_rate(discount_rate)
    delta = np.log1p(rate)
    safe = np.where(rate == 0.0, 1.0, rate)
    factor = np.where(rate == 0.0, float(payments), -np.expm1(-delta * payments) / safe)
    if in_advance:
        factor = factor * (1.0 + rate)
    return np.asarray(np.asarray(payment, dtype=np.float64) * factor, dtype=np.float64)
