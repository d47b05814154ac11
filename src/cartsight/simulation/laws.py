"""Laws as table rows: closed-form inverses where they are cheap, quantile tables of 1 025 knots where they are not."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cartsight.core import distributions as d
from cartsight.core.errors import InputError
from cartsight.simulation.tables import (
    CONSTANT,
    EXPONENTIAL,
    LOGNORMAL,
    NORMAL,
    TABLE,
    TRIANGULAR,
    UNIFORM,
    WEIBULL,
)

Float = npt.NDArray[np.float64]

KNOTS = 1025
SMALLEST_UNIFORM = 2.0**-53
"""Uniforms lie in [2^-53, 1 - 2^-53], so the end knots carry the quantiles there."""


@lru_cache(maxsize=1)
def knot_grid() -> Float:
    """Return the probabilities of the knots: even steps of the normal score, so that both tails are resolved.

    Linear interpolation then errs by about (step^2 / 8) |d2Q/dp2| phi(z)^2. Measured in standard deviations of the law,
    largest error for gamma (shape 2.5), gamma (shape 0.5), beta (2, 5): 3e-4, 7e-4, 7e-5 between the quantiles 1e-4 and
    1 - 1e-4, and 8e-4, 2e-3, 7e-5 out to 1 - 1e-9; the mean is kept to 1e-4.
    """
    from scipy.special import ndtr

    grid = np.unique(ndtr(np.linspace(-8.2, 8.2, KNOTS)))
    grid[0], grid[-1] = 0.0, 1.0
    return grid


def _table(quantile: npt.ArrayLike) -> Float:
    values = np.maximum.accumulate(np.asarray(quantile, dtype=np.float64))
    if not np.isfinite(values).all():
        raise InputError("a law has quantiles that are not finite; its shape is too extreme to tabulate")
    return values


@lru_cache(maxsize=512)
def gamma_knots(shape: float) -> Float:
    """Return the quantiles of the gamma law with unit scale at `knot_grid`."""
    return _table(d.Gamma(shape, 1.0).quantile(np.clip(knot_grid(), SMALLEST_UNIFORM, 1.0 - SMALLEST_UNIFORM)))


@lru_cache(maxsize=512)
def beta_knots(alpha: float, beta: float) -> Float:
    """Return the quantiles of the beta law on [0, 1] at `knot_grid`."""
    return _table(d.Beta(alpha, beta).quantile(np.clip(knot_grid(), SMALLEST_UNIFORM, 1.0 - SMALLEST_UNIFORM)))


class LawTable:
    """Collects the laws of a model and numbers them."""

    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int]] = []
        self.parameter: list[tuple[float, float, float, float]] = []
        self.probabilities: list[Float] = []
        self.values: list[Float] = []
        self._knots = [0, 0]
        self._grid = -1
        self._numbers: dict[object, int] = {}

    def add(self, law: d.Distribution | float, step: str) -> int:
        """Return the number of `law`, adding a row when it is new; `step` names the place in errors."""
        number = self._numbers.get(law)
        if number is not None:
            return number
        number = len(self.code)
        self._numbers[law] = number
        match law:
            case float() | int():
                self._closed(CONSTANT, float(law))
            case d.Constant(value):
                self._closed(CONSTANT, value)
            case d.Exponential(mean):
                self._closed(EXPONENTIAL, mean)
            case d.Uniform(low, high):
                self._closed(UNIFORM, low, high - low)
            case d.Triangular(low, mode, high):
                self._closed(TRIANGULAR, low, mode, high, (mode - low) / (high - low))
            case d.Normal(mu, sigma):
                self._closed(NORMAL, mu, sigma)
            case d.LogNormal(mu, sigma):
                self._closed(LOGNORMAL, mu, sigma)
            case d.Weibull(shape, scale):
                self._closed(WEIBULL, scale, 1.0 / shape)
            case d.Gamma(shape, scale):
                self._knotted(gamma_knots(shape), 0.0, scale)
            case d.Beta(alpha, beta, low, high):
                self._knotted(beta_knots(alpha, beta), low, high - low)
            case d.PERT(low, _, high):
                beta_law = law.as_beta
                self._knotted(beta_knots(beta_law.alpha, beta_law.beta), low, high - low)
            case d.QuantileTable(probabilities, values):
                self._own_knots(np.asarray(probabilities), np.asarray(values))
            case _:
                raise InputError(
                    "not a law that can be drawn by inversion of one uniform",
                    field=step,
                    found=type(law).__name__,
                )
        return number

    def _closed(self, kind: int, p0: float, p1: float = 0.0, p2: float = 0.0, p3: float = 0.0) -> None:
        self.code.append((kind, 0, 0, 0))
        self.parameter.append((p0, p1, p2, p3))

    def _knotted(self, values: Float, shift: float, scale: float) -> None:
        grid = knot_grid()
        if self._grid < 0:
            self._grid = self._knots[0]
            self.probabilities.append(grid)
            self._knots[0] += grid.size
        self._append(self._grid, values, shift, scale)

    def _own_knots(self, probabilities: Float, values: Float) -> None:
        start = self._knots[0]
        self.probabilities.append(probabilities)
        self._knots[0] += probabilities.size
        self._append(start, values, 0.0, 1.0)

    def _append(self, first_probability: int, values: Float, shift: float, scale: float) -> None:
        self.code.append((TABLE, first_probability, self._knots[1], values.size))
        self.parameter.append((shift, scale, 0.0, 0.0))
        self.values.append(values)
        self._knots[1] += values.size
