"""Question 1: potency as a matrix: its gain over the best single assay, the lots its evidence needs, what could be accepted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
from scipy import stats

from cartsight.core.streams import Stream
from cartsight.reporting.charts.style import points, svg
from cartsight.reporting.palette import CATEGORIES
from cartsight.scenario.arms import AutologousArm
from cartsight.studies.answers import Answer, Figure, Progress
from cartsight.studies.intervals import span
from cartsight.studies.quality.patients import ARM, World, follow

Float = npt.NDArray[np.float64]

QUESTION = (
    "Where does a potency matrix gain over its best single assay, how many lots does the supporting evidence need, and what "
    "could regulators accept?"
)
ASSAYS: dict[str, tuple[float, float, float]] = {
    "cytotoxicity": (0.3, 0.7, 0.25),
    "interferon release": (0.2, 0.6, 0.20),
    "memory phenotype": (0.2, 0.6, 0.20),
    "CAR expression": (0.1, 0.4, 0.20),
}
"""Range of the correlation of the attribute with clinical potency (assumed), and the assay's coefficient of variation."""
LOT_SD = 0.40
SHARED = (0.0, 0.3, 0.6)
BAD = 0.05
EVIDENCE_LOTS = 30
ALPHA, POWER = 0.05, 0.8
BAD_STEP = 0.5
"""Change of the share of bad lots from which the value of one is taken."""

ASSUMPTIONS = (
    "Clinical potency is one normal quantity that no assay sees; the correlation of each attribute with it is drawn from a wide "
    "uniform range ("
    + "; ".join(f"{name} {low:g} to {high:g}" for name, (low, high, _) in ASSAYS.items())
    + "); none was read.",
    f"Lots differ by {LOT_SD:.0%} (sd of the log) in every attribute; assay coefficients of variation from Q111 to Q116 (not evidence).",
    f"A lot is bad when its clinical potency is among the worst {BAD:.0%}; every rule rejects {BAD:.0%} of all lots, so that rules differ "
    "only in which.",
    "The weights of a matrix are the best ones, known beforehand; weights estimated from few lots find less.",
    "A bad lot that is found is still used where a product out of specification may be infused: only the rest of them count.",
    "What assays share beyond clinical potency (same cells, same day) is a correlation of their remainders of 0, 0.3 or 0.6.",
)


@dataclass(frozen=True)
class MatrixGain:
    """Squared correlation with clinical potency, and the share of bad lots found at equal rejections."""

    best_r: float
    matrix_r: float
    best_found: float
    matrix_found: float


def correlations(validity: Float, shared: float) -> tuple[Float, Float]:
    """Return (correlation of each reported assay with clinical potency, correlation matrix of the reported assays)."""
    error = np.array([math.log1p(cv) for _, _, cv in ASSAYS.values()])[: validity.size]
    reliability = LOT_SD**2 / (LOT_SD**2 + error**2)
    rest = np.sqrt(1.0 - validity**2)
    true = np.outer(validity, validity) + shared * np.outer(rest, rest)
    np.fill_diagonal(true, 1.0)
    scale = np.sqrt(reliability)
    matrix = true * np.outer(scale, scale)
    np.fill_diagonal(matrix, 1.0)
    return validity * scale, matrix


def matrix_correlation(with_potency: Float, matrix: Float) -> float:
    """Return the correlation of the best linear combination with clinical potency."""
    return math.sqrt(min(float(with_potency @ np.linalg.solve(matrix, with_potency)), 1.0))


def bad_found(r: float, bad: float = BAD) -> float:
    """Return the share of bad lots that a measure with correlation `r` rejects, when it rejects as many lots as are bad."""
    z = float(stats.norm.ppf(bad))
    law = stats.multivariate_normal([0.0, 0.0], [[1.0, r], [r, 1.0]])
    return float(law.cdf([z, z])) / bad


def gain(validity: Float, shared: float) -> MatrixGain:
    """Return the gain of the matrix of all given assays over the best of them."""
    single, matrix = correlations(validity, shared)
    best, joint = float(single.max()), matrix_correlation(single, matrix)
    return MatrixGain(best, joint, bad_found(best), bad_found(joint))


def lots_for_association(r: float) -> float:
    """Return the lots that show a correlation above zero, one-sided, by Fisher's z."""
    z = float(stats.norm.ppf(1 - ALPHA) + stats.norm.ppf(POWER))
    return (z / math.atanh(r)) ** 2 + 3.0


def lots_for_superiority(best: float, joint: float) -> float:
    """Return the lots that show the matrix above its best single assay: dependent correlations (Steiger 1980).

    The two measures correlate best / joint, because the best assay is part of the optimal combination.
    """
    if joint - best < 1e-9:
        return math.inf
    between = best / joint
    middle = 0.5 * (best + joint)
    covariance = (between * (1 - 2 * middle**2) - 0.5 * middle**2 * (1 - 2 * middle**2 - between**2)) / (
        1 - middle**2
    ) ** 2
    z = float(stats.norm.ppf(1 - ALPHA) + stats.norm.ppf(POWER))
    return z * z * 2.0 * (1.0 - covariance) / (math.atanh(joint) - math.atanh(best)) ** 2 + 3.0


def power_of_evidence(r: float, lots: int) -> float:
    """Return the power of `lots` to show a correlation above zero."""
    return float(stats.norm.sf(stats.norm.ppf(1 - ALPHA) - math.atanh(r) * math.sqrt(lots - 3.0)))


def false_acceptance(lots: int, seed: int, shared: float = 0.3, repeats: int = 2000) -> tuple[float, float]:
    """Return how often a useless matrix passes: (one prespecified sum, the best of all sums chosen after the data).

    All assays are unrelated to the outcome; sums of every subset are tried; each is tested one-sided at `ALPHA`.
    """
    rng = np.random.default_rng(seed)
    k = len(ASSAYS)
    common = rng.normal(size=(repeats, lots, 1))
    data = math.sqrt(shared) * common + math.sqrt(1 - shared) * rng.normal(size=(repeats, lots, k))
    outcome = rng.normal(size=(repeats, lots))
    outcome -= outcome.mean(axis=1, keepdims=True)
    limit = float(stats.t.ppf(1 - ALPHA, lots - 2))
    critical = limit / math.sqrt(lots - 2 + limit * limit)
    best = np.full(repeats, -1.0)
    for size in range(1, k + 1):
        for chosen in itertools.combinations(range(k), size):
            total = data[:, :, list(chosen)].sum(axis=2)
            total = total - total.mean(axis=1, keepdims=True)
            r = np.sum(total * outcome, axis=1) / np.sqrt(np.sum(total**2, axis=1) * np.sum(outcome**2, axis=1))
            best = np.maximum(best, r)
    prespecified = float(np.mean(r > critical))
    return prespecified, float(np.mean(best > critical))


def potency_matrix(study: Sequence[World], seed: int, progress: Progress) -> Answer:
    """Return the answer to question 1."""
    rows: list[dict[str, Any]] = []
    gains, singles, needed, superior, power_single, power_matrix = [], [], [], [], [], []
    net, qalys = [], []
    by_count: dict[tuple[float, int], list[float]] = {}
    lots: dict[tuple[float, int], list[float]] = {}
    worth_of_one: list[tuple[float, float]] = []
    for k, world in enumerate(study):
        stream = Stream(seed, "study 4A potency draw", [k])
        validity = np.array([low + (high - low) * float(stream(name)[0]) for name, (low, high, _) in ASSAYS.items()])
        for shared in SHARED:
            order = np.argsort(-validity)
            for count in range(1, validity.size + 1):
                used = np.sort(order[:count])
                single, matrix = correlations(validity, shared)
                r = matrix_correlation(single[used], matrix[np.ix_(used, used)])
                by_count.setdefault((shared, count), []).append(bad_found(r))
                lots.setdefault((shared, count), []).append(lots_for_association(r))
        found = gain(validity, SHARED[1])
        singles.append(found.best_found)
        gains.append(found.matrix_found - found.best_found)
        needed.append(lots_for_association(found.matrix_r))
        superior.append(lots_for_superiority(found.best_r, found.matrix_r))
        power_single.append(power_of_evidence(found.best_r, EVIDENCE_LOTS))
        power_matrix.append(power_of_evidence(found.matrix_r, EVIDENCE_LOTS))
        # bad lots released per lot released, best single against matrix, at the same rejections
        change = -BAD * gains[-1] / (1.0 - BAD)
        base = follow(world, world.numbers)
        arm = world.scenario.arms[ARM]
        assert isinstance(arm, AutologousArm)
        refused = 1.0 - arm.process.infuse_out_of_specification.x
        # response is linear in the share of bad lots, and a large step tells more with the same patients
        better = follow(world, world.numbers, released_bad_change=-BAD_STEP)
        one = (
            refused * (better.net_benefit - base.net_benefit) / BAD_STEP,
            refused * (better.qalys - base.qalys) / BAD_STEP,
        )
        worth_of_one.append(one)
        net.append(one[0] * -change)
        qalys.append(one[1] * -change)
        progress("potency matrix", k + 1, len(study))
    for (shared, count), values in by_count.items():
        low, high = span(values)
        # against the best single assay of the same draw, at the same rejections
        fewer = [BAD * (v - b) / (1.0 - BAD) for v, b in zip(values, by_count[shared, 1], strict=True)]
        benefit = [1000 * one[0] * f for one, f in zip(worth_of_one, fewer, strict=True)]
        net_low, net_high = span(benefit)
        rows.append(
            {
                "assays": count,
                "shared": f"{shared:g}",
                "bad_lots_found": float(np.mean(values)),
                "low": low,
                "high": high,
                "lots_of_evidence": float(np.median(lots[shared, count])),
                "bad_released_fewer_per_1000": 1000 * float(np.mean(fewer)),
                "qalys_gained_per_1000_referred": 1000
                * float(np.mean([one[1] * f for one, f in zip(worth_of_one, fewer, strict=True)])),
                "net_benefit_per_1000_referred": float(np.mean(benefit)),
                "net_low": net_low,
                "net_high": net_high,
            }
        )
    fixed, chosen = false_acceptance(EVIDENCE_LOTS, seed)
    at = {shared: float(np.mean(by_count[shared, 4])) - float(np.mean(by_count[shared, 1])) for shared in SHARED}
    money = study[0].scenario.analysis.money
    g_low, g_high = span(gains)
    answer = (
        f"At equal rejections the best single assay finds {np.mean(singles):.0%} of bad lots and a matrix of four "
        f"{np.mean(singles) + np.mean(gains):.0%}. The gain is {at[0.0]:.0%} when the assays share nothing but potency, "
        f"{at[0.3]:.0%} at a shared remainder of 0.3 and {at[0.6]:.0%} at 0.6: a matrix gains where assays err for different reasons. "
        f"To show that the matrix goes with outcome takes about {np.median(needed):.0f} lots with outcomes; to show that it beats its "
        f"best assay about {np.median(superior):.0f}. With {EVIDENCE_LOTS} lots the power is {np.mean(power_matrix):.0%} for the matrix and "
        f"{np.mean(power_single):.0%} for the best assay; a useless matrix passes in {fixed:.0%} of cases when it is fixed beforehand and "
        f"in {chosen:.0%} when the best of all combinations is picked after the data. So what can be accepted is a matrix whose parts and "
        f"weights are fixed before the outcomes are seen. Per 1 000 referred patients the gain is {1000 * np.mean(qalys):.1f} QALYs."
    )
    n_low, n_high = span(net)
    return Answer(
        question=QUESTION,
        answer=answer,
        figures=(
            Figure("bad lots found, best single assay", float(np.mean(singles)), *span(singles), "share"),
            Figure("gain of the matrix", float(np.mean(gains)), g_low, g_high, "share"),
            Figure("lots to show association with outcome", float(np.median(needed)), *span(needed), "lots"),
            Figure("lots to show the matrix above its best assay", float(np.median(superior)), *span(superior), "lots"),
            Figure(f"power with {EVIDENCE_LOTS} lots, matrix", float(np.mean(power_matrix)), *span(power_matrix)),
            Figure("false acceptance, fixed beforehand", fixed, unit="probability"),
            Figure("false acceptance, chosen after the data", chosen, unit="probability"),
            Figure("net benefit per 1 000 referred", 1000 * float(np.mean(net)), 1000 * n_low, 1000 * n_high, money),
        ),
        rows=tuple(rows),
        chart=_chart(rows, money),
        would_change=(
            "An assay with a correlation above 0.7 with outcome: little is left for a matrix to add.",
            "Assays on the same read-out of the same culture: at a shared remainder of 0.6 most of the gain is gone.",
            "Evidence that lots out of specification respond worse: the value per patient scales with that odds ratio.",
        ),
        weakest=(
            "The correlation of any attribute with clinical potency: no usable estimate was found; the ranges are ours.",
            "Coefficients of variation of potency assays (Q111 to Q113: not evidence).",
            "The response to bad lots (Q038: 13 patients, P = 0.40).",
        ),
    )


def _chart(rows: list[dict[str, Any]], money: str) -> str:
    def lines(value: str, title: str, form: str, legend: alt.Legend | None) -> alt.Chart:
        return (
            alt.Chart(points(rows))
            .mark_line(point=alt.OverlayMarkDef(size=60, opacity=1), strokeWidth=2)
            .encode(
                x=alt.X("assays:O", title="Assays in the matrix, best first", axis=alt.Axis(labelAngle=0)),
                y=alt.Y(f"{value}:Q", title=title, axis=alt.Axis(format=form)),
                color=alt.Color("shared:N", scale=alt.Scale(range=list(CATEGORIES[:3])), legend=legend),
            )
            .properties(width=330, height=220)
        )

    legend = alt.Legend(title="Shared beyond potency", orient="top")
    chart = alt.hconcat(
        lines("bad_lots_found", "Bad lots found at 5 % rejected", ".0%", legend),
        lines("net_benefit_per_1000_referred", f"Gain per 1 000 referred, {money}", "~s", legend),
        spacing=24,
    )
    return svg(
        chart,
        "matrix",
        "Share of bad lots found by matrices of one to four assays at three shared correlations, and what it is worth to patients",
    )
