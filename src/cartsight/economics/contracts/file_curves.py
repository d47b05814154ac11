"""The [curve] tables of a contract file: a law with a cured share, or points."""

from __future__ import annotations

import math
from collections.abc import Callable

from cartsight.core.errors import InputError
from cartsight.economics.contracts.curve import LAWS, MixtureCurve, PointCurve, StatedCurve
from cartsight.economics.contracts.file_table import Table


def read_curve(table: Table) -> StatedCurve:
    """Return the curve of a table.

    Raises
    ------
    InputError
        Neither points nor exactly one rate, scale or median; a number out of range; an unknown key.
    """
    months = table.numbers("months")
    years = table.numbers("years")
    if months is not None or years is not None:
        share = table.numbers("share", "survival")
        if share is None or (months is not None and years is not None):
            raise InputError("points need months (or years) and share", field=table.path("share"))
        times = tuple(m / 12.0 for m in months) if months is not None else years
        assert times is not None
        if times[:1] == (0.0,) and share[:1] == (1.0,):
            # Published tables start with everybody at time 0, which the curve knows.
            times, share = times[1:], share[1:]
        table.finish()
        return _located(lambda: PointCurve(times, share), table)
    law = table.choice("law", LAWS, "distribution", "model", "kind", default="exponential", spellings=_LAW_SPELLINGS)
    cured = table.number("cured", "cure_fraction", "cure", default=0.0)
    shape = table.optional("shape", "sigma", "shape_per_year")
    rate = table.optional("rate_per_year", "rate", "hazard_per_year")
    monthly = table.optional("rate_per_month")
    scale = table.optional("scale_years")
    median = table.optional("median_years")
    median_months = table.optional("median_months")
    table.finish()
    given = [x for x in (rate, monthly, scale, median, median_months) if x is not None]
    if len(given) != 1 and not (cured == 1.0 and not given):
        raise InputError(
            "state exactly one of rate_per_year, rate_per_month, scale_years, median_years, median_months",
            field=table.path("rate_per_year"),
            found=given or None,
        )
    if law != "exponential" and shape is None:
        raise InputError("this law needs a shape", field=table.path("shape"), found=law)
    if given and (given[0] < 0.0 or (given[0] == 0.0 and rate is None and monthly is None)):
        raise InputError("must be above zero", field=table.path("rate_per_year"), found=given[0])
    k = 1.0 if shape is None else shape
    if not 0.01 <= abs(k) <= 100.0:
        raise InputError("must be from 0.01 to 100 in size", field=table.path("shape"), found=k)
    if rate is None and monthly is not None:
        rate = 12.0 * monthly
    if rate is None and scale is not None:
        rate = 1.0 / scale
    if rate is None:
        half = median if median is not None else (median_months or 0.0) / 12.0
        rate = 0.0 if half == 0.0 else _rate_of_median(str(law), half, k)
    final = rate
    return _located(lambda: MixtureCurve(law, final, k, cured), table)  # type: ignore[arg-type]


_LAW_SPELLINGS = {
    "exp": "exponential",
    "constant": "exponential",
    "mixture_cure": "exponential",
    "log-logistic": "log_logistic",
    "loglogistic": "log_logistic",
    "log_normal": "lognormal",
    "log-normal": "lognormal",
}


def _rate_of_median(law: str, median: float, shape: float) -> float:
    """Return the rate of a law whose uncured have the median."""
    if law == "gompertz":
        return math.log(2.0) * shape / math.expm1(shape * median)
    if law == "exponential":
        return math.log(2.0) / median
    if law == "weibull":
        return float(math.log(2.0) ** (1.0 / shape)) / median
    return 1.0 / median


def _located(make: Callable[[], StatedCurve], table: Table) -> StatedCurve:
    try:
        return make()
    except InputError as error:
        raise InputError(
            error.problem, field=table.path(error.field or ""), found=error.found, allowed=error.allowed
        ) from None
