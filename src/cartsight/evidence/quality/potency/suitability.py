"""System suitability (the standard and the error) and sample suitability (each test preparation).

The numbers are always reported; they pass or fail only against limits that the user states beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.potency.assay import Assay
from cartsight.evidence.quality.potency.results import Potency, Suitability

Float = npt.NDArray[np.float64]

NAMES = (
    "standard_slope",
    "standard_dynamic_range",
    "residual_sd",
    "largest_replicate_cv",
    "potency",
    "ratio",
    "interval_width",
    "g",
)
QUANTAL_NAMES = ("standard_slope", "potency", "ratio", "interval_width", "g")


def linear_suitability(
    assay: Assay,
    y: Float,
    slopes: Sequence[tuple[str, float, float]],
    potencies: Sequence[Potency],
    residual_mean_square: float,
    limits: Mapping[str, tuple[float, float]],
) -> tuple[Suitability, ...]:
    """Return the suitability numbers of an assay with a slope per preparation.

    `standard_dynamic_range` is the largest over the smallest mean response of the standard,
    `interval_width` the upper
    over the lower limit of a potency, `largest_replicate_cv` a coefficient of variation on the measured
    scale.
    """
    means = []
    cvs = []
    treatment = assay.treatment
    for cell in np.unique(treatment):
        members = treatment == cell
        values = assay.response[members]
        if (assay.preparation[members] == 0).all():
            means.append(float(values.mean()))
        if len(values) > 1 and values.mean() > 0:
            cvs.append(float(values.std(ddof=1) / values.mean()))
    dynamic = max(means) / min(means) if means and min(means) > 0 else math.nan
    numbers = [
        ("system", "standard_slope", slopes[0][1] if slopes else math.nan),
        ("system", "standard_dynamic_range", dynamic),
        ("system", "residual_sd", math.sqrt(residual_mean_square)),
        ("system", "largest_replicate_cv", max(cvs) if cvs else math.nan),
    ]
    return judged([*numbers, *potency_numbers(potencies)], limits, NAMES)


def quantal_suitability(
    slope: float, potencies: Sequence[Potency], limits: Mapping[str, tuple[float, float]]
) -> tuple[Suitability, ...]:
    """Return the suitability numbers of a quantal assay: counts have no replicate or residual spread of their own."""
    return judged([("system", "standard_slope", slope), *potency_numbers(potencies)], limits, QUANTAL_NAMES)


def potency_numbers(potencies: Sequence[Potency]) -> list[tuple[str, str, float]]:
    """Return (scope, name, value) of each test preparation."""
    numbers = []
    for potency in potencies:
        width = potency.upper / potency.lower if potency.lower and potency.lower > 0 else math.inf
        numbers += [
            (potency.preparation, "potency", potency.potency),
            (potency.preparation, "ratio", potency.ratio),
            (potency.preparation, "interval_width", width),
            (potency.preparation, "g", potency.g),
        ]
    return numbers


def judged(
    numbers: Sequence[tuple[str, str, float]], limits: Mapping[str, tuple[float, float]], names: Sequence[str]
) -> tuple[Suitability, ...]:
    """Return each number with its verdict where a limit was stated beforehand.

    Raises
    ------
    InputError
        A limit for a number that the model does not have.
    """
    unknown = [name for name in limits if name not in names]
    if unknown:
        raise InputError(
            "no such suitability number",
            found=unknown[0],
            allowed=", ".join(names),
            hint=nearest(unknown[0], names),
        )
    found = []
    for scope, name, value in numbers:
        if name in limits:
            low, high = limits[name]
            found.append(Suitability(scope, name, value, low, high, bool(low <= value <= high)))
        else:
            found.append(Suitability(scope, name, value))
    return tuple(found)
