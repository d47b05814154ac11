"""Is the product after a change comparable with the product before it?

Equivalence of means (two one-sided tests, independent lots or split-donor pairs), always with its power and
the number of lots it would need; and the quality range, mean +- k sd of the reference lots, which comes from
a withdrawn FDA draft (2017, biosimilars) and proves little with few lots. Margins are stated before the data
are seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import stats

from cartsight.core.errors import InputError
from cartsight.evidence.quality.equivalence import (
    EquivalenceTest,
    equivalence_power,
    lots_needed,
    two_one_sided_tests,
)
from cartsight.evidence.quality.groups import choose_reference, read_groups, require_spread

Float = npt.NDArray[np.float64]

SCALES = ("linear", "log")


@dataclass(frozen=True)
class QualityRange:
    """Mean +- k sd of the reference lots and how many test lots lie inside."""

    k: float
    lower: float
    upper: float
    inside: int
    of: int
    share: float
    note: str = "quality range as in the withdrawn 2017 FDA draft on biosimilars; descriptive"


@dataclass(frozen=True)
class Comparability:
    """One test group against the reference; every difference is test - reference on `scale`.

    `power` is that of this design if the true difference were `assumed_difference` and the sd as estimated;
    `lots_needed` is per group (or pairs) for `target_power`, `lots_needed_if_sd_is_high` the same with the
    upper
    80 % confidence limit of the sd.
    """

    test: str
    reference: str
    design: str
    scale: str
    n_test: int
    n_reference: int
    mean_test: float
    mean_reference: float
    mean_difference: float
    sd: float
    standard_error: float
    df: float
    lower: float
    upper: float
    p: float
    p_lower: float
    p_upper: float
    lower_margin: float
    upper_margin: float
    alpha: float
    equivalent: bool
    power: float
    assumed_difference: float
    target_power: float
    lots_needed: int | None
    lots_needed_if_sd_is_high: int | None
    ratio: float
    ratio_lower: float
    ratio_upper: float
    welch: EquivalenceTest | None
    p_difference: float
    quality_range: QualityRange
    warnings: tuple[str, ...]


def compare(
    test: Float,
    reference: Float,
    lower_margin: float,
    upper_margin: float,
    *,
    paired: bool = False,
    scale: str = "linear",
    alpha: float = 0.05,
    assumed_difference: float = 0.0,
    target_power: float = 0.8,
    k: float = 3.0,
    names: tuple[str, str] = ("test", "reference"),
) -> Comparability:
    """Compare test lots with reference lots.

    Parameters
    ----------
    test, reference : ndarray
        One value per lot; of equal length and order when `paired`.
    lower_margin, upper_margin : float
        Margins of the mean difference; on the log scale they are ratios, for example 0.8 and 1.25.
    paired : bool
        Split-donor design: both processes from the same leukapheresis.
    scale : {"linear", "log"}
    alpha : float
        Level of each one-sided test; the interval has level 1 - 2 alpha.
    assumed_difference, target_power : float
        For the power statement (a ratio on the log scale when not 0).
    k : float
        Width of the quality range.
    names : (str, str)
        Of the test and the reference.

    Raises
    ------
    InputError
        Groups of one, zero variance, or values at or below zero on the log scale.
    """
    if scale not in SCALES:
        raise InputError("no such scale", found=scale, allowed=", ".join(SCALES))
    if not 0 < target_power < 1:
        raise InputError("the power wanted must lie between 0 and 1", found=target_power)
    if not k > 0:
        raise InputError("the width of the quality range must be above zero", found=k)
    low, high, assumed = lower_margin, upper_margin, assumed_difference
    x, y = test, reference
    for name, values in zip(names, (test, reference), strict=True):
        require_spread(values, f"group {name!r}")
        if scale == "log" and (values <= 0).any():
            raise InputError(f"the log scale needs values above zero in group {name!r}", found=float(values.min()))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError("the margins must be finite", found=(low, high))
    if scale == "log":
        if not (assumed == 0 or (assumed > 0 and math.isfinite(assumed))):
            raise InputError("on the log scale the assumed difference is a ratio above zero", found=assumed)
        if not 0 < low < 1 < high:
            raise InputError("on the log scale the margins are ratios that enclose 1", found=(low, high))
        low, high = math.log(low), math.log(high)
        assumed = math.log(assumed) if assumed > 0 else 0.0
        x, y = np.log(test), np.log(reference)
    welch: EquivalenceTest | None = None
    if paired:
        if len(x) != len(y):
            raise InputError("a paired design needs the same number of values in both groups", found=(len(x), len(y)))
        differences = x - y
        require_spread(differences, "the paired differences")
        sd, df, factor = float(differences.std(ddof=1)), len(differences) - 1, 1 / len(differences)
        mean_difference = float(differences.mean())
    else:
        n1, n2 = len(x), len(y)
        v1, v2 = float(x.var(ddof=1)), float(y.var(ddof=1))
        df, factor = n1 + n2 - 2, 1 / n1 + 1 / n2
        sd = math.sqrt(((n1 - 1) * v1 + (n2 - 1) * v2) / df)
        mean_difference = float(x.mean() - y.mean())
        se2 = v1 / n1 + v2 / n2
        welch_df = se2**2 / ((v1 / n1) ** 2 / (n1 - 1) + (v2 / n2) ** 2 / (n2 - 1))
        welch = two_one_sided_tests(mean_difference, math.sqrt(se2), welch_df, low, high, alpha)
    result = two_one_sided_tests(mean_difference, sd * math.sqrt(factor), df, low, high, alpha)
    power = equivalence_power(assumed, sd, factor, df, low, high, alpha)
    needed = lots_needed(assumed, sd, low, high, alpha=alpha, power=target_power, paired=paired)
    sd_high = sd * math.sqrt(df / float(stats.chi2.ppf(0.2, df)))
    pessimistic = lots_needed(assumed, sd_high, low, high, alpha=alpha, power=target_power, paired=paired)
    centre, spread = float(y.mean()), float(y.std(ddof=1))
    range_low, range_high = centre - k * spread, centre + k * spread
    inside = int(((x >= range_low) & (x <= range_high)).sum())
    if scale == "log":
        range_low, range_high = math.exp(range_low), math.exp(range_high)
    warnings = []
    p_difference = float(2 * stats.t.sf(abs(mean_difference / result.standard_error), df))
    if power < target_power:
        unit = "pairs" if paired else "lots per group"
        shown = "no number of lots" if needed is None else f"{needed} {unit}"
        warnings.append(
            f"the power of this comparison is {power:.2f} if the true difference is {assumed_difference:g}; "
            f"{shown} would reach {target_power:.2f}"
        )
    if not result.equivalent and p_difference >= 0.05:
        warnings.append("no significant difference is not comparability: equivalence has not been shown")
    if welch is not None and welch.equivalent != result.equivalent:
        warnings.append("the verdict depends on the assumption of equal variances (see welch)")
    if len(y) < 10:
        warnings.append(f"the quality range rests on {len(y)} reference lots and has no stated confidence")
    log = scale == "log"
    return Comparability(
        names[0],
        names[1],
        "paired" if paired else "independent",
        scale,
        len(x),
        len(y),
        float(test.mean()),
        float(reference.mean()),
        mean_difference,
        sd,
        result.standard_error,
        df,
        result.lower,
        result.upper,
        result.p,
        result.p_lower,
        result.p_upper,
        low,
        high,
        alpha,
        result.equivalent,
        power,
        assumed,
        target_power,
        needed,
        pessimistic,
        math.exp(mean_difference) if log else math.nan,
        math.exp(result.lower) if log else math.nan,
        math.exp(result.upper) if log else math.nan,
        welch,
        p_difference,
        QualityRange(k, range_low, range_high, inside, len(x), inside / len(x)),
        tuple(warnings),
    )


def compare_file(
    path: Path | str,
    lower_margin: float,
    upper_margin: float,
    *,
    reference: str | None = None,
    group: str = "group",
    value: str = "value",
    pair: str | None = None,
    scale: str = "linear",
    alpha: float = 0.05,
    assumed_difference: float = 0.0,
    target_power: float = 0.8,
    k: float = 3.0,
) -> list[Comparability]:
    """Compare every group of a CSV file with the reference group; see `compare`.

    With `pair`, values are matched by that column (for example ``donor``), each pair once in each group.
    """
    values, labels = read_groups(path, group, value, pair)
    file = str(path)
    names = list(values)
    chosen = choose_reference(names, reference, file)
    for name in names:
        require_spread(values[name], f"group {name!r}", file)
    found = []
    for name in names:
        if name == chosen:
            continue
        x, y = values[name], values[chosen]
        if pair:
            x, y = _match(x, labels[name], y, labels[chosen], name, chosen, file)
        try:
            found.append(
                compare(
                    x,
                    y,
                    lower_margin,
                    upper_margin,
                    paired=pair is not None,
                    scale=scale,
                    alpha=alpha,
                    assumed_difference=assumed_difference,
                    target_power=target_power,
                    k=k,
                    names=(name, chosen),
                )
            )
        except InputError as error:
            raise error.located(file=file) from None
    return found


def _match(
    x: Float, x_labels: list[str], y: Float, y_labels: list[str], test: str, reference: str, file: str
) -> tuple[Float, Float]:
    for name, labels in ((test, x_labels), (reference, y_labels)):
        twice = [label for label in labels if labels.count(label) > 1]
        if twice:
            raise InputError(
                f"pair {twice[0]!r} occurs more than once in group {name!r}",
                file=file,
                hint="Average repeated results of one lot before comparing lots.",
            )
    alone = set(x_labels) ^ set(y_labels)
    if alone:
        raise InputError(
            f"pair {sorted(alone)[0]!r} is in one of the groups {test!r} and {reference!r} only",
            file=file,
            hint="A split-donor comparison needs each donor in both; remove it or analyse without --pair.",
        )
    order = [y_labels.index(label) for label in x_labels]
    return x, y[order]
