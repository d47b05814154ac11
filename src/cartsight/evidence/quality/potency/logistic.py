"""Dose-response curves with their derivatives, in the parameters of Ritz et al. 2015
(doi:10.1371/journal.pone.0146021).

u = exp(b (ln x - ln e)); four-parameter: c + (d - c) / (1 + u); five-parameter: c + (d - c) / (1 + u)^f;
Weibull type 1: c + (d - c) exp(-u). c is the lower and d the upper asymptote; with b > 0 the response falls
from d at dose 0, with b < 0 it rises from c.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A family of curves: `shapes` are the parameters besides the asymptotes c and d."""

    name: str
    parameters: tuple[str, ...]

    @property
    def asymmetric(self) -> bool:
        """Whether the curve has the exponent f."""
        return "f" in self.parameters

    def share(self, log_dose: Float, b: float, log_e: float, log_f: float = 0.0) -> tuple[Float, Float]:
        """Return (h, dh) with response = c + (d - c) h: h of shape (n,), and dh/d(b, ln e, ln f) of shape
        (n, 3).

        A dose of 0 enters as ln dose = -inf.
        """
        zero = np.isneginf(log_dose)
        finite = np.where(zero, 0.0, log_dose - log_e)
        z = np.clip(b * finite, -700.0, 700.0)
        if self.name == "weibull":
            u = np.exp(np.minimum(z, 40.0))
            h = np.exp(-u)
            dz = -u * h
            df = np.zeros_like(h)
        else:
            f = float(np.exp(np.clip(log_f, -30.0, 30.0))) if self.asymmetric else 1.0
            log_one_plus_u = np.logaddexp(0.0, z)
            h = np.exp(-f * log_one_plus_u)
            dz = -f * expit(z) * h
            df = -f * log_one_plus_u * h if self.asymmetric else np.zeros_like(h)
        gradient = np.column_stack([dz * finite, -dz * b, df])
        if zero.any():
            h = np.where(zero, 1.0 if b > 0 else 0.0, h)
            gradient[zero] = 0.0
        return h, gradient

    def effective_dose(self, share: float, b: float, log_e: float, log_f: float = 0.0) -> tuple[float, Float]:
        """Return (ln dose, gradient over b, ln e, ln f) at which a `share` of the full effect from dose 0
        is reached."""
        remaining = 1.0 - share if b > 0 else share
        if self.name == "weibull":
            log_u = float(np.log(-np.log(remaining)))
            d_log_f = 0.0
        else:
            f = float(np.exp(np.clip(log_f, -30.0, 30.0))) if self.asymmetric else 1.0
            # u = remaining^(-1/f) - 1, by way of its logarithm so that no f overflows it
            exponent = -np.log(remaining) / f
            log_u = float(exponent + np.log(-np.expm1(-exponent)))
            d_log_f = float(-exponent / -np.expm1(-exponent)) if self.asymmetric else 0.0
        return log_e + log_u / b, np.array([-log_u / b**2, 1.0, d_log_f / b])


FOUR_PARAMETER = Curve("four-parameter", ("b", "c", "d", "e"))
FIVE_PARAMETER = Curve("five-parameter", ("b", "c", "d", "e", "f"))
WEIBULL = Curve("weibull", ("b", "c", "d", "e"))
CURVES = {curve.name: curve for curve in (FOUR_PARAMETER, FIVE_PARAMETER, WEIBULL)}
