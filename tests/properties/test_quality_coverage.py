"""Intervals cover as often as they say, p-values are uniform under the null, power is what simulation shows.

Tolerances are 3.5 binomial standard errors of the number of simulated studies, unless a method is known to be conservative,
which is said beside it.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from cartsight.evidence.quality import capability, combine, equivalence_power
from cartsight.evidence.quality.equivalence import two_one_sided_tests
from cartsight.evidence.quality.potency.assay import Assay
from cartsight.evidence.quality.potency.combination import AssayEstimate
from cartsight.evidence.quality.potency.curves import curve_potency
from cartsight.evidence.quality.potency.parallel_line import parallel_line
from cartsight.evidence.quality.potency.quantal import quantal_potency
from cartsight.evidence.quality.potency.slope_ratio import slope_ratio

RATIO = 1.25


def near(hits: int, studies: int, level: float = 0.95) -> bool:
    return abs(hits / studies - level) <= 3.5 * math.sqrt(level * (1 - level) / studies)


def assay(doses: list[float], replicates: int, responses: np.ndarray, **quantal: np.ndarray) -> Assay:
    n = len(doses) * replicates
    preparation = np.repeat([0, 1], n).astype(np.intp)
    dose = np.tile(np.repeat(doses, replicates), 2)
    return Assay(("S", "T"), preparation, dose, responses, np.ones(2 * n), (), np.arange(2, 2 * n + 2), **quantal)


def amounts(doses: list[float], replicates: int) -> np.ndarray:
    """Return the doses in units of the standard: the test works RATIO times as much."""
    one = np.repeat(doses, replicates)
    return np.concatenate([one, RATIO * one])


def test_slope_ratio_limits_cover() -> None:
    doses, rng, hits = [1.0, 2.0, 3.0], np.random.default_rng(1), 0
    for _ in range(400):
        y = 2.0 + 3.0 * amounts(doses, 4) + rng.normal(0, 0.5, 24)
        found = slope_ratio(assay(doses, 4, y)).potencies[0]
        hits += found.lower <= RATIO <= found.upper
    assert near(hits, 400)


def test_four_parameter_limits_cover() -> None:
    doses, rng, hits = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0], np.random.default_rng(2), 0
    for _ in range(40):
        x = amounts(doses, 3)
        y = 1.0 + 9.0 / (1.0 + (x / 2.0) ** -1.2) + rng.normal(0, 0.3, x.size)
        found = curve_potency(assay(doses, 3, y)).potencies[0]
        hits += found.lower <= RATIO <= found.upper
    # asymptotic limits of a non-linear model: a point or two below nominal is to be expected
    assert hits / 40 >= 0.95 - 0.02 - 3.5 * math.sqrt(0.95 * 0.05 / 40)


def test_probit_limits_cover() -> None:
    doses, rng, hits = [0.5, 1.0, 2.0, 4.0], np.random.default_rng(3), 0
    for _ in range(120):
        p = stats.norm.cdf(-0.5 + 1.5 * np.log(amounts(doses, 1)))
        total = np.full(8, 60.0)
        r = rng.binomial(60, p).astype(float)
        data = assay(doses, 1, r / total, responders=r, total=total)
        found = quantal_potency(data, "probit", natural_response="none").potencies[0]
        hits += found.lower <= RATIO <= found.upper
    assert near(hits, 120)


def test_weighted_combination_covers_and_its_homogeneity_p_is_uniform() -> None:
    rng, hits, p = np.random.default_rng(4), 0, []
    for _ in range(600):
        estimates = []
        for error in (0.04, 0.06, 0.09, 0.05, 0.07):
            middle = math.log(RATIO) + error * rng.normal()
            half = stats.t.ppf(0.975, 1000) * error
            estimates.append(AssayEstimate(math.exp(middle), math.exp(middle - half), math.exp(middle + half), 1000))
        found = combine(estimates)
        hits += found.weighted.lower <= RATIO <= found.weighted.upper
        p.append(found.p_homogeneity)
    assert near(hits, 600)
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_capability_limits_cover() -> None:
    rng, hits = np.random.default_rng(5), 0
    true = 3.0 / (3 * 1.0)
    for _ in range(250):
        found = capability(rng.normal(10.0, 1.0, 40), lsl=7.0, usl=14.0)
        hits += found.cpk_lower <= true <= found.cpk_upper
    # Bissell's interval is a normal approximation: within two points of nominal at n = 40
    assert abs(hits / 250 - 0.95) <= 0.02 + 3.5 * math.sqrt(0.95 * 0.05 / 250)


def test_p_values_of_linearity_and_blocks_are_uniform() -> None:
    doses, rng = [1.0, 2.0, 4.0], np.random.default_rng(6)
    p = []
    for _ in range(150):
        y = 5.0 + 4.0 * np.log(amounts(doses, 4)) + rng.normal(0, 1.0, 24)
        anova = parallel_line(assay(doses, 4, y)).anova
        p.append(next(line.p for line in anova if line.source == "non-linearity"))
    assert stats.kstest(p, "uniform").pvalue > 0.001


@pytest.mark.parametrize("difference", [0.0, 0.3])
def test_paired_power_against_simulation(difference: float) -> None:
    n, sd, studies = 10, 0.6, 4000
    rng = np.random.default_rng(7)
    pairs = rng.normal(difference, sd, (studies, n))
    error = pairs.std(axis=1, ddof=1) / math.sqrt(n)
    reach = stats.t.ppf(0.95, n - 1) * error
    mean = pairs.mean(axis=1)
    seen = float(np.mean((mean - reach > -0.7) & (mean + reach < 0.7)))
    power = equivalence_power(difference, sd, 1.0 / n, n - 1, -0.7, 0.7, 0.05)
    assert power == pytest.approx(seen, abs=3.5 * math.sqrt(seen * (1 - seen) / studies))
    # and the test itself decides as the simulation does
    first = two_one_sided_tests(float(mean[0]), float(error[0]), n - 1, -0.7, 0.7, 0.05)
    assert (first.p < 0.05) == bool((mean - reach > -0.7)[0] and (mean + reach < 0.7)[0])
