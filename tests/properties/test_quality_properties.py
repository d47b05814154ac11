"""What must hold for every assay and every sample, checked on random ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.evidence.quality import build_study, compare, equivalence_power, lots_needed, tolerance_interval
from cartsight.evidence.quality.expected_mean_squares import combine_mean_squares, component_weights, random_anova
from cartsight.evidence.quality.out_of_specification import out_of_specification_probability
from cartsight.evidence.quality.potency import (
    Assay,
    curve_potency,
    fieller,
    parallel_line,
    quantal_potency,
    slope_ratio,
)
from cartsight.evidence.quality.tolerance import one_sided_factor, two_sided_factor

seeds = st.integers(0, 2**32 - 1)


def line_assay(seed: int, ratio: float = 1.3, sd: float = 0.3, replicates: int = 3, unit: float = 1.0) -> Assay:
    rng = np.random.default_rng(seed)
    dose = np.tile(np.repeat([1.0, 2.0, 4.0], replicates), 2)
    prep = np.repeat([0, 1], 3 * replicates)
    y = 5 + 2 * np.log(dose * np.where(prep == 1, ratio, 1.0)) + rng.normal(0, sd, len(dose))
    return Assay(("S", "T"), prep.astype(np.intp), dose * unit, y, np.ones(len(y)), (), np.arange(2, len(y) + 2))


def swapped(assay: Assay) -> Assay:
    return Assay(**{**assay.__dict__, "preparations": ("T", "S"), "preparation": 1 - assay.preparation})


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_swapping_standard_and_test_inverts_a_parallel_line_potency(seed: int) -> None:
    forward = parallel_line(line_assay(seed)).potencies[0]
    back = parallel_line(swapped(line_assay(seed))).potencies[0]
    assert back.ratio == pytest.approx(1 / forward.ratio, rel=1e-9)
    assert back.lower == pytest.approx(1 / forward.upper, rel=1e-9)
    assert back.upper == pytest.approx(1 / forward.lower, rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(seeds, st.floats(1e-6, 1e6))
def test_potency_is_invariant_to_dose_unit_and_order(seed: int, unit: float) -> None:
    assay = line_assay(seed)
    expected = parallel_line(assay)
    scaled = parallel_line(line_assay(seed, unit=unit))
    order = np.random.default_rng(seed).permutation(len(assay.dose))
    shuffled = Assay(
        **{
            **assay.__dict__,
            **{name: getattr(assay, name)[order] for name in ("preparation", "dose", "response", "weight", "line")},
        }
    )
    for other in (scaled, parallel_line(shuffled)):
        assert other.potencies[0].ratio == pytest.approx(expected.potencies[0].ratio, rel=1e-8)
        assert other.potencies[0].upper == pytest.approx(expected.potencies[0].upper, rel=1e-8)
        assert other.common_slope == pytest.approx(expected.common_slope, rel=1e-8)
        assert other.valid == expected.valid


@settings(max_examples=10, deadline=None)
@given(seeds)
def test_swapping_inverts_slope_ratio_and_quantal_potencies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assay = line_assay(seed)
    linear = Assay(
        **{**assay.__dict__, "response": 1 + assay.dose * (1 + 0.5 * assay.preparation) + rng.normal(0, 0.1, 18)}
    )
    forward, back = slope_ratio(linear).potencies[0], slope_ratio(swapped(linear)).potencies[0]
    assert back.ratio == pytest.approx(1 / forward.ratio, rel=1e-9)
    assert back.lower == pytest.approx(1 / forward.upper, rel=1e-8)
    n = np.full(8, 20.0)
    dose = np.tile([1.0, 2.0, 4.0, 8.0], 2)
    p = 1 / (1 + np.exp(-2 * np.log(dose / 3)))
    r = np.clip(rng.binomial(20, p).astype(float), 1, 19)
    prep = np.repeat([0, 1], 4).astype(np.intp)
    quantal = Assay(("S", "T"), prep, dose, r / n, np.ones(8), (), np.arange(2, 10), responders=r, total=n)
    try:
        one = quantal_potency(quantal, "probit").potencies[0]
    except ValueError:
        return
    two = quantal_potency(swapped(quantal), "probit").potencies[0]
    assert two.ratio == pytest.approx(1 / one.ratio, rel=1e-6)
    if one.g < 1:
        assert two.upper == pytest.approx(1 / one.lower, rel=1e-6)


def sigmoid_assay(seed: int, sign: float, ratio: float) -> Assay:
    rng = np.random.default_rng(seed)
    dose = np.tile(np.repeat(2.0 ** np.arange(-4, 5), 3), 2)
    prep = np.repeat([0, 1], 27)
    x = np.log(dose * np.where(prep == 1, ratio, 1.0))
    y = 0.2 + 2.0 / (1 + np.exp(-sign * 1.5 * x)) + rng.normal(0, 0.04, len(dose))
    return Assay(("S", "T"), prep.astype(np.intp), dose, y, np.ones(len(y)), (), np.arange(2, len(y) + 2))


@settings(max_examples=6, deadline=None)
@given(seeds, st.sampled_from([1.0, -1.0]), st.floats(0.5, 2.0))
def test_four_parameter_recovers_the_ratio_for_rising_and_falling_curves(seed: int, sign: float, ratio: float) -> None:
    assay = sigmoid_assay(seed, sign, ratio)
    result = curve_potency(assay)
    potency = result.potencies[0]
    # five standard errors
    width = math.log(potency.upper / potency.lower) / 2
    assert abs(math.log(potency.ratio / ratio)) < 2.6 * width
    back = curve_potency(swapped(assay)).potencies[0]
    assert back.ratio == pytest.approx(1 / potency.ratio, rel=1e-5)


def test_fieller_limits_cover_the_true_ratio() -> None:
    """200 simulated assays: coverage of a 95 % interval within four standard errors of 0.95."""
    inside = 0
    for seed in range(200):
        potency = parallel_line(line_assay(seed, ratio=1.3, sd=0.6)).potencies[0]
        inside += potency.lower <= 1.3 <= potency.upper
    assert abs(inside / 200 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 200)


def test_p_values_of_non_parallelism_are_uniform_under_the_null() -> None:
    p = [next(x.p for x in parallel_line(line_assay(s)).anova if x.source == "non-parallelism") for s in range(200)]
    ranks = np.sort(p)
    # Kolmogorov-Smirnov critical value at 0.1 %
    assert np.max(np.abs(ranks - (np.arange(200) + 0.5) / 200)) < 1.95 / math.sqrt(200)


@given(
    st.floats(-5, 5),
    st.floats(0.5, 5),
    st.floats(0.001, 0.5),
    st.floats(0.0001, 0.01),
    st.floats(-0.9, 0.9),
    st.floats(1, 3),
)
def test_fieller_limits_solve_its_equation(n: float, d: float, vn: float, vd: float, rho: float, t: float) -> None:
    c = rho * math.sqrt(vn * vd)
    interval = fieller(n, d, vn, vd, c, t)
    assert interval.bounded
    for m in (interval.lower, interval.upper):
        left, right = (n - m * d) ** 2, t * t * (vn - 2 * m * c + m * m * vd)
        assert left == pytest.approx(right, rel=1e-6, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(seeds, st.floats(-3, 3), st.floats(0.1, 10))
def test_equivalence_test_moves_with_the_data(seed: int, shift: float, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0.2, 1, 6), rng.normal(0, 1, 7)
    first = compare(x, y, -1.5, 1.5)
    second = compare(shift + scale * x, shift + scale * y, -1.5 * scale, 1.5 * scale)
    assert second.p == pytest.approx(first.p, rel=1e-8)
    assert second.power == pytest.approx(first.power, rel=1e-8, abs=1e-12)
    assert compare(-x, -y, -1.5, 1.5).p == pytest.approx(first.p, rel=1e-8)
    assert first.equivalent == (first.lower > -1.5 and first.upper < 1.5)


@pytest.mark.parametrize(("n", "difference"), [(3, 0.0), (6, 0.3), (12, 0.6)])
def test_equivalence_power_against_simulation(n: int, difference: float) -> None:
    rng = np.random.default_rng(n)
    runs = 20_000
    from scipy import stats

    mean = rng.normal(difference, math.sqrt(2 / n), runs)
    s = np.sqrt(rng.chisquare(2 * n - 2, runs) / (2 * n - 2))
    half = stats.t.isf(0.05, 2 * n - 2) * s * math.sqrt(2 / n)
    share = float(np.mean((mean - half > -1.5) & (mean + half < 1.5)))
    power = equivalence_power(difference, 1.0, 2 / n, 2 * n - 2, -1.5, 1.5, 0.05)
    assert power == pytest.approx(share, abs=4.5 * math.sqrt(0.25 / runs))


def test_equivalence_p_values_reach_their_level_at_the_margin() -> None:
    assert equivalence_power(1.5, 0.2, 2 / 20, 38, -1.5, 1.5, 0.05) == pytest.approx(0.05, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.2, 2.0), st.floats(-0.7, 0.7), st.booleans())
def test_lots_needed_is_the_smallest_number(sd: float, difference: float, paired: bool) -> None:
    n = lots_needed(difference, sd, -1.0, 1.0, paired=paired)
    assert n is not None

    def power(size: int) -> float:
        factor, df = (1 / size, size - 1) if paired else (2 / size, 2 * size - 2)
        return equivalence_power(difference, sd, factor, df, -1.0, 1.0, 0.05)

    assert power(n) >= 0.8
    assert n == 2 or power(n - 1) < 0.8
    assert lots_needed(1.0, sd, -1.0, 1.0) is None


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 200), st.sampled_from([0.8, 0.95, 0.99]), st.sampled_from([0.8, 0.95]))
def test_tolerance_factors_are_ordered(n: int, coverage: float, confidence: float) -> None:
    assert two_sided_factor(n, coverage, confidence) > one_sided_factor(n, coverage, confidence) * 0.999
    assert two_sided_factor(n + 1, coverage, confidence) < two_sided_factor(n, coverage, confidence)
    assert one_sided_factor(n, coverage, confidence) > one_sided_factor(n, coverage - 0.1, confidence)


def test_tolerance_interval_has_its_confidence() -> None:
    from scipy import stats

    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(120):
        result = tolerance_interval(rng.normal(0, 1, 8), coverage=0.9, confidence=0.9)
        covered += stats.norm.cdf(result.upper) - stats.norm.cdf(result.lower) >= 0.9
    assert abs(covered / 120 - 0.9) < 4 * math.sqrt(0.09 / 120)


def test_modified_large_sample_interval_covers() -> None:
    """Balanced one-way layout, 6 groups of 4: coverage near nominal (the method is slightly conservative)."""
    rng = np.random.default_rng(4)
    groups = [str(i) for i in range(6) for _ in range(4)]
    inside = 0
    for _ in range(300):
        y = np.repeat(rng.normal(0, 1, 6), 4) + rng.normal(0, 1, 24)
        anova = random_anova(build_study(y, {"group": groups}))
        interval = combine_mean_squares(anova, component_weights(anova)[0], 0.9)
        inside += interval.lower <= 1 <= interval.upper
    assert 0.9 - 4 * math.sqrt(0.09 / 300) < inside / 300 <= 1.0


@given(st.floats(0.05, 0.6), st.floats(-0.3, 0.3), st.integers(1, 5))
def test_out_of_specification_is_a_probability_and_falls_with_precision(gcv: float, bias: float, n: int) -> None:
    p = out_of_specification_probability(0.5, 2.0, relative_bias=bias, gcv=gcv, replicates=n)
    q = out_of_specification_probability(0.5, 2.0, relative_bias=bias, gcv=gcv, replicates=n + 1)
    assert 0 <= q <= p <= 1
