"""The standard normal distribution by one rational approximation, the same bits everywhere it is used.

Quantile: Wichura 1988, algorithm AS 241 (PPND16), doi:10.2307/2347330, relative accuracy about 1e-16.
The simulation kernel compiles the same coefficients, so that a draw routes a patient alike in every implementation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

CENTRAL_NUMERATOR = (
    3.3871328727963666080e0,
    1.3314166789178437745e2,
    1.9715909503065514427e3,
    1.3731693765509461125e4,
    4.5921953931549871457e4,
    6.7265770927008700853e4,
    3.3430575583588128105e4,
    2.5090809287301226727e3,
)
CENTRAL_DENOMINATOR = (
    1.0,
    4.2313330701600911252e1,
    6.8718700749205790830e2,
    5.3941960214247511077e3,
    2.1213794301586595867e4,
    3.9307895800092710610e4,
    2.8729085735721942674e4,
    5.2264952788528545610e3,
)
MIDDLE_NUMERATOR = (
    1.42343711074968357734e0,
    4.63033784615654529590e0,
    5.76949722146069140550e0,
    3.64784832476320460504e0,
    1.27045825245236838258e0,
    2.41780725177450611770e-1,
    2.27238449892691845833e-2,
    7.74545014278341407640e-4,
)
MIDDLE_DENOMINATOR = (
    1.0,
    2.05319162663775882187e0,
    1.67638483018380384940e0,
    6.89767334985100004550e-1,
    1.48103976427480074590e-1,
    1.51986665636164571966e-2,
    5.47593808499534494600e-4,
    1.05075007164441684324e-9,
)
TAIL_NUMERATOR = (
    6.65790464350110377720e0,
    5.46378491116411436990e0,
    1.78482653991729133580e0,
    2.96560571828504891230e-1,
    2.65321895265761230930e-2,
    1.24266094738807843860e-3,
    2.71155556874348757815e-5,
    2.01033439929228813265e-7,
)
TAIL_DENOMINATOR = (
    1.0,
    5.99832206555887937690e-1,
    1.36929880922735805310e-1,
    1.48753612908506148525e-2,
    7.86869131145613259100e-4,
    1.84631831751005468180e-5,
    1.42151175831644588870e-7,
    2.04426310338993978564e-15,
)
CENTRAL_LIMIT = 0.425
CENTRAL_CONSTANT = 0.180625
MIDDLE_LIMIT = 5.0
MIDDLE_SHIFT = 1.6

Float = npt.NDArray[np.float64]


def _ratio(x: Float, numerator: tuple[float, ...], denominator: tuple[float, ...]) -> Float:
    top = np.full_like(x, numerator[7])
    bottom = np.full_like(x, denominator[7])
    for i in range(6, -1, -1):
        top = top * x + numerator[i]
        bottom = bottom * x + denominator[i]
    return top / bottom


def normal_quantile(u: npt.ArrayLike) -> Float:
    """Return the quantile of the standard normal at probabilities `u` in (0, 1)."""
    p = np.asarray(u, dtype=np.float64)
    q = p - 0.5
    central = np.abs(q) <= CENTRAL_LIMIT
    safe = np.where(central, q, 0.0)
    z = safe * _ratio(CENTRAL_CONSTANT - safe * safe, CENTRAL_NUMERATOR, CENTRAL_DENOMINATOR)
    if np.all(central):
        return np.asarray(z)
    tail = np.where(q < 0, p, 1.0 - p)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.sqrt(-np.log(np.where(central, 0.5, tail)))
        middle = _ratio(r - MIDDLE_SHIFT, MIDDLE_NUMERATOR, MIDDLE_DENOMINATOR)
        far = _ratio(r - MIDDLE_LIMIT, TAIL_NUMERATOR, TAIL_DENOMINATOR)
        outer = np.where(r <= MIDDLE_LIMIT, middle, far)
        outer = np.where(tail == 0.0, np.inf, outer)
    return np.asarray(np.where(central, z, np.where(q < 0, -outer, outer)))
