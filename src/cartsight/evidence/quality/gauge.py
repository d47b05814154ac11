"""Gauge repeatability and reproducibility of a crossed study (parts by operators, with replicates).

Random-effects analysis of variance with modified-large-sample intervals (Burdick, Borror & Montgomery 2003, J
Qual Technol 35:342). Negative estimates of a component are shown as they are in `estimate` and count as zero
in the percentages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.evidence.quality.csv_table import read_csv_table
from cartsight.evidence.quality.expected_mean_squares import (
    MeanSquare,
    combine_mean_squares,
    component_weights,
    random_anova,
)
from cartsight.evidence.quality.random_effects import build_study

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GaugeComponent:
    """One source: variance with interval, its share of the variance and of the study's spread (sd), in
    percent."""

    source: str
    estimate: float
    lower: float
    upper: float
    sd: float
    percent_contribution: float
    percent_study_variation: float
    percent_tolerance: float


@dataclass(frozen=True)
class GaugeStudy:
    """A gauge study: `repeatability`, `reproducibility`, `gauge`, `part` and `total` are variances, `distinct_categories` is
    1.41 sd(part) / sd(gauge), cut to a whole number."""

    n: int
    parts: int
    operators: int
    interaction_pooled: bool
    p_interaction: float
    components: dict[str, GaugeComponent]
    repeatability: float
    reproducibility: float
    gauge: float
    part: float
    total: float
    distinct_categories: int
    precision_to_tolerance: float
    anova: tuple[MeanSquare, ...]
    warnings: tuple[str, ...]


def gauge_study(
    y: Float,
    part: list[str],
    operator: list[str],
    *,
    tolerance: float | None = None,
    pool_above_p: float = 0.25,
    confidence: float = 0.95,
) -> GaugeStudy:
    """Analyse a gauge study.

    Parameters
    ----------
    y : ndarray, shape (n,)
    part, operator : list of str
    tolerance : float, optional
        Width of the specification, for the percentage of tolerance (6 sd).
    pool_above_p : float
        The part-by-operator interaction joins the residual when its p is above this (0.25 is the AIAG
        custom; 1 never
        pools).
    confidence : float

    Raises
    ------
    InputError
        One part or operator, or no replicates.
    """
    if tolerance is not None and not tolerance > 0:
        raise InputError("the tolerance must be above zero", found=tolerance)
    columns = {"part": part, "operator": operator, "part:operator": []}
    study = build_study(y, columns, "crossed")
    full = random_anova(study)
    p_interaction = next(line.p for line in full if line.source == "part:operator")
    pooled = p_interaction > pool_above_p
    anova = random_anova(build_study(y, {"part": part, "operator": operator}, "crossed")) if pooled else full
    weights = component_weights(anova)
    names = [line.source for line in anova]
    zero = np.zeros(len(names))
    w = {name: weights[i] for i, name in enumerate(names)}
    interaction = w.get("part:operator", zero)
    combos = {
        "repeatability": w["residual"],
        "operator": w["operator"],
        "interaction": interaction,
        "reproducibility": w["operator"] + interaction,
        "gauge": w["operator"] + interaction + w["residual"],
        "part": w["part"],
        "total": w["part"] + w["operator"] + interaction + w["residual"],
    }
    if pooled:
        del combos["interaction"]
    estimates = {name: combine_mean_squares(anova, combo, confidence) for name, combo in combos.items()}
    total = max(estimates["total"].estimate, 1e-300)
    components = {}
    for name, item in estimates.items():
        sd = math.sqrt(max(item.estimate, 0.0))
        components[name] = GaugeComponent(
            name,
            item.estimate,
            item.lower,
            item.upper,
            sd,
            100 * max(item.estimate, 0.0) / total,
            100 * sd / math.sqrt(total),
            100 * 6 * sd / tolerance if tolerance else math.nan,
        )
    gauge_sd = components["gauge"].sd
    operators = len(set(operator))
    warnings = []
    if not study.balanced:
        warnings.append("the study is unbalanced: the intervals are approximate")
    if operators < 5:
        warnings.append(f"{operators} operators hardly identify reproducibility; read its interval")
    for name in ("operator", "interaction", "part"):
        if name in estimates and estimates[name].estimate < 0:
            warnings.append(
                f"{name}: the estimate is negative; variances up to {estimates[name].upper:.4g} are compatible"
            )
    return GaugeStudy(
        len(y),
        len(set(part)),
        operators,
        pooled,
        p_interaction,
        components,
        estimates["repeatability"].estimate,
        estimates["reproducibility"].estimate,
        estimates["gauge"].estimate,
        estimates["part"].estimate,
        estimates["total"].estimate,
        int(math.sqrt(2) * components["part"].sd / gauge_sd) if gauge_sd > 0 else 0,
        6 * gauge_sd / tolerance if tolerance else math.nan,
        anova,
        tuple(warnings),
    )


def read_gauge_study(
    path: Path | str, *, part: str = "part", operator: str = "operator", value: str = "value"
) -> tuple[Float, list[str], list[str]]:
    """Read values, parts and operators from CSV."""
    table = read_csv_table(path, [part, operator, value])
    return np.array(table.numbers(value)), table.text(part), table.text(operator)
