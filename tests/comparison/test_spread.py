"""The three spreads recover what was put in, and say when they cannot."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cartsight.comparison import (
    bootstrap_ratio_interval,
    fieller_interval,
    optimal_patients_per_draw,
    paired_difference,
    shrink_draw_means,
    split_variance,
    split_variance_crossed,
    split_variance_of_means,
)
from cartsight.core.errors import InputError


def nested(draws: int, patients: int, between: float, within: float, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    centre = 5.0 + math.sqrt(between) * generator.standard_normal((draws, 1))
    return centre + math.sqrt(within) * generator.standard_normal((draws, patients))


def test_balanced_split_is_the_textbook_anova() -> None:
    outcomes = np.array([[1.0, 3.0], [5.0, 7.0], [6.0, 10.0]])
    split = split_variance(outcomes)
    mean_square_within = (2.0 + 2.0 + 8.0) / 3.0
    mean_square_between = 2.0 * np.var([2.0, 6.0, 8.0], ddof=1)
    assert split.mean == pytest.approx(16.0 / 3.0)
    assert split.between_patients_variance == pytest.approx(mean_square_within)
    assert split.between_draws_estimate == pytest.approx((mean_square_between - mean_square_within) / 2.0)
    assert split.standard_error == pytest.approx(np.std([2.0, 6.0, 8.0], ddof=1) / 3**0.5)


def test_split_is_unbiased_and_its_interval_covers() -> None:
    """300 runs with B = 0.5 and W = 9: the mean of the estimates within four errors, coverage near 95 %."""
    splits = [split_variance(nested(40, 20, 0.5, 9.0, seed)) for seed in range(300)]
    estimates = np.array([split.between_draws_estimate for split in splits])
    assert estimates.mean() == pytest.approx(0.5, abs=4.0 * estimates.std() / 300**0.5)
    assert np.mean([s.between_patients_variance for s in splits]) == pytest.approx(9.0, rel=0.02)
    covered = np.mean([s.between_draws_low <= 0.5 <= s.between_draws_high for s in splits])
    assert 0.91 <= covered <= 0.99
    errors = np.array([s.standard_error for s in splits])
    spread = np.std([s.mean for s in splits], ddof=1)
    assert errors.mean() == pytest.approx(spread, rel=0.15)


def test_no_parameter_uncertainty_is_reported_as_unresolved_and_not_as_certainty() -> None:
    splits = [split_variance(nested(30, 10, 0.0, 4.0, seed)) for seed in range(40)]
    negative = [split for split in splits if split.between_draws_estimate < 0.0]
    assert negative
    for split in negative:
        assert not split.resolved
        assert split.between_draws_variance == 0.0
        assert split.between_draws_high >= 0.0
    with pytest.raises(InputError, match="pilot"):
        optimal_patients_per_draw(negative[0], cost_per_draw=1.0, cost_per_patient=1.0)


def test_same_patients_in_every_draw_need_the_crossed_split() -> None:
    """200 runs with B = 0.05, P = 9, I = 1: the crossed split is unbiased, the nested one goes far below."""
    crossed, nested_estimates = [], []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        outcomes = (
            5.0
            + math.sqrt(0.05) * generator.standard_normal((30, 1))
            + 3.0 * generator.standard_normal((1, 25))
            + generator.standard_normal((30, 25))
        )
        crossed.append(split_variance_crossed(outcomes))
        nested_estimates.append(split_variance(outcomes).between_draws_estimate)
    estimates = np.array([split.between_draws_estimate for split in crossed])
    assert estimates.mean() == pytest.approx(0.05, abs=4.0 * estimates.std() / 200**0.5)
    assert np.mean(nested_estimates) < -0.2
    assert np.mean([split.between_patients_variance for split in crossed]) == pytest.approx(10.0, rel=0.06)
    expected_error = 0.05 / 30 + 9.0 / 25 + 1.0 / (30 * 25)
    assert np.mean([split.monte_carlo_variance for split in crossed]) == pytest.approx(expected_error, rel=0.06)
    assert np.var([split.mean for split in crossed], ddof=1) == pytest.approx(expected_error, rel=0.3)
    covered = np.mean([split.between_draws_low <= 0.05 <= split.between_draws_high for split in crossed])
    assert 0.90 <= covered <= 0.99


def test_unequal_patients_per_draw() -> None:
    generator = np.random.default_rng(8)
    sizes = generator.integers(5, 60, 3000)
    centres = 2.0 + generator.standard_normal(3000)
    groups = [centre + 3.0 * generator.standard_normal(size) for centre, size in zip(centres, sizes, strict=True)]
    split = split_variance_of_means([g.mean() for g in groups], [g.var(ddof=1) for g in groups], sizes)
    assert split.between_draws_variance == pytest.approx(1.0, rel=0.15)
    assert split.between_patients_variance == pytest.approx(9.0, rel=0.03)


def test_shrunken_draws_carry_parameter_uncertainty_alone() -> None:
    outcomes = nested(2000, 8, 1.0, 16.0, seed=3)
    split = split_variance(outcomes)
    shrunken = shrink_draw_means(outcomes.mean(axis=1), split)
    assert shrunken.mean() == pytest.approx(split.mean)
    assert shrunken.var(ddof=1) == pytest.approx(split.between_draws_variance)
    assert outcomes.mean(axis=1).var(ddof=1) > 2.5 * split.between_draws_variance


def test_optimal_allocation_beats_its_neighbours() -> None:
    split = split_variance(nested(5000, 20, 1.0, 25.0, seed=1))
    best = optimal_patients_per_draw(split, cost_per_draw=4.0, cost_per_patient=1.0)
    exact = math.sqrt(4.0 * split.between_patients_variance / split.between_draws_variance)
    assert best == round(exact)

    def error(n: int) -> float:
        return (split.between_draws_variance + split.between_patients_variance / n) * (4.0 + n)

    assert error(best) <= min(error(best - 1), error(best + 1))


def test_common_random_numbers_give_zero_for_identical_arms() -> None:
    values = np.random.default_rng(2).normal(size=50)
    result = paired_difference(values, values)
    assert (result.mean, result.standard_error, result.low, result.high) == (0.0, 0.0, 0.0, 0.0)
    assert result.probability_positive == 0.5
    assert math.isinf(result.variance_ratio)
    assert result.correlation == pytest.approx(1.0)


def test_pairing_gains_what_the_correlation_promises() -> None:
    generator = np.random.default_rng(2)
    shared = generator.normal(size=20_000)
    first = shared + 0.5 * generator.normal(size=20_000) + 0.1
    second = shared + 0.5 * generator.normal(size=20_000)
    result = paired_difference(first, second)
    assert result.variance_ratio == pytest.approx(2.5 / 0.5, rel=0.05)
    assert result.correlation == pytest.approx(0.8, abs=0.01)
    assert result.error_low < 0.1 < result.error_high
    assert result.low < result.error_low < result.error_high < result.high


def test_fieller_covers_and_the_bootstrap_agrees() -> None:
    hits = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        effect = 1.0 + generator.normal(size=100)
        cost = 30.0 + 10.0 * generator.normal(size=100) + 5.0 * effect
        interval = fieller_interval(cost, effect)
        hits += interval.bounded and interval.low <= 35.0 <= interval.high
    assert 0.90 <= hits / 200 <= 0.99
    boot = bootstrap_ratio_interval(cost, effect, seed=1)
    assert boot.bounded
    assert (boot.low, boot.high) == (
        pytest.approx(interval.low, rel=0.1),
        pytest.approx(interval.high, rel=0.1),
    )
    assert boot.ratio == interval.ratio == pytest.approx(cost.mean() / effect.mean())


def test_a_denominator_that_may_be_zero_has_no_interval() -> None:
    generator = np.random.default_rng(1)
    effect, cost = generator.normal(size=200), 10.0 + generator.normal(size=200)
    for interval in (fieller_interval(cost, effect), bootstrap_ratio_interval(cost, effect, seed=1)):
        assert not interval.bounded
        assert math.isnan(interval.low) and math.isnan(interval.high)
        assert interval.denominator_low < 0.0 < interval.denominator_high


def test_bad_input() -> None:
    with pytest.raises(InputError):
        split_variance(np.zeros((5, 1)))
    with pytest.raises(InputError):
        split_variance(np.zeros((1, 5)))
    with pytest.raises(InputError):
        split_variance_crossed(np.zeros((1, 5)))
    with pytest.raises(InputError):
        paired_difference([1.0, 2.0], [1.0])
    with pytest.raises(InputError):
        fieller_interval([1.0], [1.0])
