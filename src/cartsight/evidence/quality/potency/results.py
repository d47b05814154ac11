"""What every kind of assay reports, in one shape."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from cartsight.core.errors import InputError
from cartsight.evidence.quality.potency.linear_model import AnovaLine

SIMILARITY_RULES = ("f-test", "equivalence", "both")


def exponential(x: float) -> float:
    """Return e to the x, infinity where that is too large to hold: a limit that does not exist in
    practice."""
    return math.inf if x > 709.0 else math.exp(x)


@dataclass(frozen=True)
class Rules:
    """What is decided before the data are looked at.

    Attributes
    ----------
    confidence : float
        Level of the potency limits.
    significance : float
        Level of the tests of validity (regression, non-parallelism, non-linearity).
    equivalence_confidence : float
        Level of the intervals of the equivalence test of similarity (0.90 is two one-sided tests at 5 %).
    ratio_limits : (float, float)
        Limits for the ratio of a parameter (test / standard). The default 0.80 to 1.25 is a convention; the
        limits of a real assay come from its own history (USP <1032>, <1034>).
    asymptote_margin : float
        Largest difference of lower asymptotes, as a fraction of the standard's range.
    similarity : {"f-test", "equivalence", "both"}
        Which verdict decides `valid`: Ph. Eur. 5.3 uses tests, USP <1032> prefers equivalence.
    """

    confidence: float = 0.95
    significance: float = 0.05
    equivalence_confidence: float = 0.90
    ratio_limits: tuple[float, float] = (0.8, 1.25)
    asymptote_margin: float = 0.2
    similarity: str = "f-test"

    def __post_init__(self) -> None:
        for name in ("confidence", "significance", "equivalence_confidence"):
            value = getattr(self, name)
            if not 0.0 < value < 1.0:
                raise InputError("must lie between 0 and 1", field=name, found=value)
        low, high = self.ratio_limits
        if not 0.0 < low < 1.0 < high:
            raise InputError("equivalence limits of a ratio must enclose 1 and be above zero", found=self.ratio_limits)
        if self.asymptote_margin <= 0:
            raise InputError("must be above zero", field="asymptote_margin", found=self.asymptote_margin)
        if self.similarity not in SIMILARITY_RULES:
            raise InputError("no such rule of similarity", found=self.similarity, allowed=", ".join(SIMILARITY_RULES))


@dataclass(frozen=True)
class Potency:
    """Potency of one test preparation: `potency` = `ratio` x assumed potency; limits are NaN when
    unbounded."""

    preparation: str
    ratio: float
    potency: float
    lower: float
    upper: float
    g: float
    assumed_potency: float
    ratio_lower: float
    ratio_upper: float
    lower_percent_of_estimate: float
    upper_percent_of_estimate: float


def potency_of(preparation: str, ratio: float, lower: float, upper: float, g: float, assumed: float) -> Potency:
    """Return the potency from a ratio and its limits."""
    return Potency(
        preparation,
        ratio,
        ratio * assumed,
        lower * assumed,
        upper * assumed,
        g,
        assumed,
        lower,
        upper,
        100.0 * lower / ratio if ratio else math.nan,
        100.0 * upper / ratio if ratio else math.nan,
    )


@dataclass(frozen=True)
class SignificanceTest:
    """Similarity as the absence of a significant difference."""

    statistic: str
    value: float
    df: int
    residual_df: float
    p: float
    similar: bool


@dataclass(frozen=True)
class Equivalence:
    """One compared quantity: similar when its interval lies inside the limits."""

    preparation: str
    quantity: str
    estimate: float
    lower: float
    upper: float
    lower_limit: float
    upper_limit: float
    similar: bool


@dataclass(frozen=True)
class Similarity:
    """Both kinds of verdict, side by side."""

    f_test: SignificanceTest
    equivalence: tuple[Equivalence, ...]
    equivalence_confidence: float
    equivalent: bool
    agree: bool
    rule: str
    similar: bool


def judge_similarity(test: SignificanceTest, comparisons: tuple[Equivalence, ...], rules: Rules) -> Similarity:
    """Put the two verdicts side by side and let the rule chosen beforehand decide."""
    equivalent = all(comparison.similar for comparison in comparisons)
    verdicts = {"f-test": test.similar, "equivalence": equivalent, "both": test.similar and equivalent}
    return Similarity(
        test,
        comparisons,
        rules.equivalence_confidence,
        equivalent,
        test.similar == equivalent,
        rules.similarity,
        verdicts[rules.similarity],
    )


@dataclass(frozen=True)
class Outlier:
    """A response that lies far from its fitted value. It is reported and never dropped."""

    line: int
    preparation: str
    dose: float
    response: float
    rule: str
    statistic: float
    critical: float
    p: float


@dataclass(frozen=True)
class Suitability:
    """One number on the fitness of the system (the standard) or of a sample; `passed` is None without a
    limit."""

    scope: str
    name: str
    value: float
    lower_limit: float = math.nan
    upper_limit: float = math.nan
    passed: bool | None = None


@dataclass(frozen=True)
class PotencyResult:
    """The whole analysis of one assay.

    `common_slope` is per unit of ln dose (parallel-line, quantal), NaN for slope-ratio assays (see
    `slopes`) and
    the Hill slope b for curves. `residual_mean_square` is on the scale of the transformed response.
    """

    model: str
    design: str
    transform: str
    standard: str
    n: int
    missing: int
    potencies: tuple[Potency, ...]
    common_slope: float
    common_slope_standard_error: float
    residual_mean_square: float
    residual_df: float
    anova: tuple[AnovaLine, ...]
    similarity: Similarity | None
    valid: bool
    warnings: tuple[str, ...]
    outliers: tuple[Outlier, ...] = ()
    suitability: tuple[Suitability, ...] = ()
    slopes: tuple[tuple[str, float, float], ...] = ()
    details: dict[str, object] = field(default_factory=dict)


def disagreement(similarity: Similarity) -> str | None:
    """Return a sentence when the two kinds of similarity disagree."""
    if similarity.agree:
        return None
    if similarity.f_test.similar:
        return (
            f"similarity: the test finds no significant difference (p = {similarity.f_test.p:.3f}), but the "
            f"{100 * similarity.equivalence_confidence:.0f} % intervals leave the equivalence limits: "
            f"the assay is too "
            "imprecise, or the preparations too different, to show similarity"
        )
    return (
        f"similarity: the test finds a significant difference (p = {similarity.f_test.p:.3f}), but the "
        f"{100 * similarity.equivalence_confidence:.0f} % intervals lie inside the equivalence limits: "
        f"the difference "
        "is real but small"
    )
