"""Statistics of simulation: stopping, contrasts, allocation of runs, selection with its guarantee."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.comparison.simulation_statistics import (
    RunCosts,
    StoppingRule,
    ThreeLevelSplit,
    cheapest_allocation,
    contrasts_with_reference,
    dunnett_intervals,
    holm,
    incidence_band,
    mean_interval,
    replications_needed,
    run_costs,
    run_until_precise,
    select_best,
    split_three_levels,
)
from cartsight.comparison.spread import optimal_patients_per_draw, split_variance_of_means
from cartsight.core.errors import InputError


def normals(seed: int, mean: float, deviation: float):
    """Replication i as a function of i alone."""

    def sample(first: int, last: int) -> np.ndarray:
        return np.array([np.random.default_rng([seed, i]).normal(mean, deviation) for i in range(first, last)])

    return sample


# --- sequential stopping ---------------------------------------------------------------------------------------------


def test_stopping_meets_the_rule_or_says_that_it_did_not() -> None:
    rule = StoppingRule(relative=0.05, most=400)
    precise = run_until_precise(normals(1, 10.0, 3.0), rule)
    interval = precise.intervals[0]
    assert precise.all_reached
    assert interval.half_width <= 0.05 / 1.05 * abs(interval.mean)
    assert precise.replications == len(precise.values) == precise.looks[-1].replications
    hopeless = run_until_precise(normals(1, 0.0, 3.0), rule)
    assert not hopeless.all_reached
    assert hopeless.replications == 400
    assert hopeless.needed[0] > 400


def test_the_difference_is_the_target_and_common_random_numbers_save_runs() -> None:
    def arms(shared: float):
        def sample(first: int, last: int) -> np.ndarray:
            rows = []
            for i in range(first, last):
                g = np.random.default_rng([7, i])
                common, own = g.normal(0, 5.0), g.normal(0, 0.5, 2)
                other = g.normal(0, 5.0)
                rows.append([20 + common + own[0], 21 + shared * common + (1 - shared) * other + own[1]])
            return np.array(rows)

        return sample

    def difference(values: np.ndarray) -> np.ndarray:
        return values[:, 1:] - values[:, :1]

    rule = StoppingRule(relative=0.2, most=1500)
    paired = run_until_precise(arms(1.0), rule, comparisons=difference)
    independent = run_until_precise(arms(0.0), rule, comparisons=difference)
    assert paired.all_reached
    assert not independent.all_reached
    assert independent.replications > 10 * paired.replications


def test_an_absolute_precision_or_identical_runs_also_stop() -> None:
    assert run_until_precise(normals(3, 0.0, 1.0), StoppingRule(relative=None, absolute=0.3)).all_reached
    same = run_until_precise(lambda a, b: np.zeros(b - a), StoppingRule())
    assert same.replications == 10
    assert same.all_reached


def test_coverage_of_sequential_intervals_is_near_its_level() -> None:
    # Asymptotic theory: at a 10 % precision of mean 10, sd 4 (about 75 runs) coverage is close to 95 %.
    # 300 studies: standard error of the share 1.3 %; early stopping costs a percent or two.
    inside = 0
    rule = StoppingRule(relative=0.1, most=2000)
    for study in range(300):
        g = np.random.default_rng([11, study])
        result = run_until_precise(lambda a, b, g=g: g.normal(10.0, 4.0, b - a), rule)
        inside += result.intervals[0].low <= 10.0 <= result.intervals[0].high
    assert 0.90 <= inside / 300 <= 0.985


@given(st.floats(-50, 50), st.floats(0.1, 20), st.floats(0.02, 0.5))
@settings(max_examples=20, deadline=None)
def test_the_predicted_number_of_runs_meets_the_rule(mean: float, deviation: float, relative: float) -> None:
    z = np.random.default_rng(5).normal(size=12)
    z = (z - z.mean()) / z.std(ddof=1)
    interval = mean_interval(mean + deviation * z)
    rule = StoppingRule(relative=relative)
    n = replications_needed(interval, rule)
    if not math.isfinite(n) or n > 1e8:
        return
    from scipy import stats

    reach = stats.t.ppf(0.975, n - 1) * interval.standard_deviation / math.sqrt(n)
    assert reach <= rule.wanted_half_width(interval.mean) * (1 + 1e-6)


@pytest.mark.parametrize(
    "arguments",
    [
        {"relative": 0.0}, {"relative": math.nan}, {"relative": None}, {"absolute": -1.0}, {"first": 5}, {"most": 4},
        {"growth": 1.0}, {"level": 1.0},
    ],
)  # fmt: skip
def test_bad_rules_are_refused(arguments: dict) -> None:
    with pytest.raises(InputError):
        StoppingRule(**arguments)


def test_bad_replications_are_refused() -> None:
    with pytest.raises(InputError, match="finite"):
        run_until_precise(lambda a, b: np.full(b - a, np.nan), StoppingRule())
    with pytest.raises(InputError, match="one row per replication"):
        run_until_precise(lambda a, b: np.zeros(3), StoppingRule())
    with pytest.raises(InputError, match="two replications"):
        mean_interval([1.0])


# --- contrasts -------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_holm_keeps_the_order_and_lies_between_raw_and_bonferroni(p_values: list[float]) -> None:
    adjusted, p = holm(p_values), np.array(p_values)
    assert np.all(adjusted >= p - 1e-15)
    assert np.all(adjusted <= np.minimum(1.0, p.size * p) + 1e-12)
    order = np.argsort(p, kind="stable")
    assert np.all(np.diff(adjusted[order]) >= 0)


def test_contrasts_are_paired_and_joint_intervals_are_wider() -> None:
    g = np.random.default_rng(1)
    common = g.normal(0, 4, 30)
    x = np.column_stack([common, common + 1 + g.normal(0, 0.3, 30), common + g.normal(0, 0.3, 30)])
    first, second = contrasts_with_reference(x)
    assert first.difference.mean == pytest.approx(float((x[:, 1] - x[:, 0]).mean()))
    assert first.joint_low < first.difference.error_low < first.difference.error_high < first.joint_high
    assert first.holm_p_value < 1e-10 < second.holm_p_value
    assert first.difference.variance_ratio > 50
    identical = contrasts_with_reference(np.column_stack([common, common]))[0]
    assert identical.p_value == 1.0
    # Independent seeds: Dunnett's pooled interval is far wider, since the common part does not cancel.
    _, low, high = dunnett_intervals(x)
    assert high[0] - low[0] > 5 * (first.joint_high - first.joint_low)
    with pytest.raises(InputError):
        contrasts_with_reference(x[:, :1])


# --- three levels of variance ----------------------------------------------------------------------------------------


def three_levels(b: float, r: float, w: float, draws: int, repeats: int, n: int, seed: int) -> ThreeLevelSplit:
    g = np.random.default_rng(seed)
    y = (
        g.normal(0, math.sqrt(b), (draws, 1, 1))
        + g.normal(0, math.sqrt(r), (draws, repeats, 1))
        + g.normal(0, math.sqrt(w), (draws, repeats, n))
    )
    return split_three_levels(y.mean(axis=2), y.var(axis=2, ddof=1), n)


def test_the_three_variances_come_back() -> None:
    # Standard deviations of the estimates over studies of this size: 0.27 (B), 0.06 (R), 0.16 (W); averaged over 20.
    found = [three_levels(4.0, 1.0, 25.0, 200, 4, 60, seed) for seed in range(20)]
    assert np.mean([s.parameters_estimate for s in found]) == pytest.approx(4.0, abs=0.5)
    assert np.mean([s.replications_estimate for s in found]) == pytest.approx(1.0, abs=0.1)
    assert np.mean([s.patients for s in found]) == pytest.approx(25.0, abs=0.3)
    assert sum(s.parameters_low <= 4.0 <= s.parameters_high for s in found) >= 16
    spread = np.std([s.mean for s in found], ddof=1)
    assert 0.5 < spread / np.mean([s.standard_error for s in found]) < 1.6


def test_no_common_part_is_reported_as_unresolved_or_small() -> None:
    found = three_levels(1.0, 0.0, 25.0, 100, 3, 40, 3)
    assert found.replications < 0.2
    assert found.replications_resolved == (found.replications_estimate > 0)


def split_of(b: float, r: float, w: float) -> ThreeLevelSplit:
    outer = split_variance_of_means([0.0, 1.0, 3.0], [1.0, 1.0, 1.0], 2)
    return ThreeLevelSplit(0.0, 0.1, b, r, w, b, r, 0.0, 1.0, r > 0, outer, 3, 2, 10.0)


def work(split: ThreeLevelSplit, costs: RunCosts, r: int, n: int) -> float:
    return (split.parameters + split.replications / r + split.patients / (r * n)) * (
        costs.per_draw + r * (costs.per_replication + costs.per_patient * n)
    )


@given(
    st.floats(0.1, 10), st.floats(0.0, 10), st.floats(0.1, 1000), st.floats(0.001, 10), st.floats(0.001, 1),
    st.floats(1e-5, 1e-3),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_no_other_allocation_is_much_cheaper(b: float, r: float, w: float, c0: float, c1: float, c2: float) -> None:
    split, costs = split_of(b, r, w), RunCosts(c0, c1, c2)
    best = cheapest_allocation(split, costs, standard_error=0.01 * math.sqrt(b))
    assert best.standard_error <= 0.01 * math.sqrt(b) * (1 + 1e-9)
    reached = work(split, costs, best.replications_per_draw, best.patients_per_replication)
    others = [work(split, costs, i, n) for i in (1, 2, 3, 5, 10, 30) for n in (2, 5, 20, 100, 1000, 10_000)]
    # Whole numbers of replications and patients cost a little against the continuous optimum.
    assert reached <= 1.02 * min(others)


def test_the_allocation_is_the_closed_form_and_the_two_level_one_without_replications() -> None:
    best = cheapest_allocation(split_of(1.0, 4.0, 100.0), RunCosts(9.0, 1.0, 0.01), standard_error=0.05)
    assert (best.replications_per_draw, best.patients_per_replication) == (6, 50)  # sqrt(9 x 4 / 1), sqrt(100 x 25)
    split = split_of(2.0, 0.0, 50.0)
    plain = cheapest_allocation(split, RunCosts(1.0, 0.5, 0.001), standard_error=0.05)
    two_level = optimal_patients_per_draw(
        split_variance_of_means(*two_level_means(2.0, 50.0)), cost_per_draw=1.5, cost_per_patient=0.001
    )
    assert plain.replications_per_draw == 1
    assert plain.patients_per_replication == pytest.approx(math.sqrt(1.5 / 0.001 * 25), abs=1)
    assert two_level == pytest.approx(plain.patients_per_replication, abs=1)


def two_level_means(b: float, w: float) -> tuple[list[float], list[float], int]:
    n, spread = 10, math.sqrt((b + w / 10) / 2)
    return [-spread, spread], [w, w], n


def test_costs_are_found_from_timings_and_bad_ones_refused() -> None:
    # 0.5 s per draw, 0.1 s per run and 1 ms per patient; one timing of each was disturbed.
    costs = run_costs([0.5, 0.5, 3.0], [0.2, 0.2, 0.9], 100, [1.1, 7.0, 1.1], 1000)
    assert (costs.per_draw, costs.per_replication, costs.per_patient) == pytest.approx((0.5, 0.1, 0.001))
    assert run_costs([0.1], [0.4], 10, [0.3], 100).per_patient == pytest.approx(0.003)
    with pytest.raises(InputError, match="more patients"):
        run_costs([0.1], [0.1], 10, [0.1], 10)
    with pytest.raises(InputError, match="measured times"):
        run_costs([], [0.1], 10, [0.1], 20)
    with pytest.raises(InputError, match="no variance between draws"):
        cheapest_allocation(split_of(0.0, 1.0, 1.0), costs, standard_error=0.1)
    with pytest.raises(InputError):
        cheapest_allocation(split_of(1.0, 1.0, 1.0), costs, standard_error=0.0)
    with pytest.raises(InputError):
        split_three_levels([[1.0, 2.0]], [[1.0, 1.0]], 10)


# --- selection of the best -------------------------------------------------------------------------------------------


def correct_selections(covariance: np.ndarray, studies: int, seed: int, delta: float = 1.0) -> tuple[float, float]:
    """Return the share of correct selections in the slippage configuration, and the mean number of runs."""
    k = covariance.shape[0]
    root = np.linalg.cholesky(covariance)
    means = np.zeros(k)
    means[0] = delta
    right, runs = 0, 0
    for study in range(studies):
        g = np.random.default_rng([seed, study])

        def sample(i: int, alive: tuple[int, ...], g=g) -> np.ndarray:
            return (means + root @ g.normal(size=k))[list(alive)]

        found = select_best(sample, k, indifference=delta, alpha=0.1, first_stage=10)
        right += found.best == 0
        runs += found.total_replications
    return right / studies, runs / studies


def test_the_guarantee_holds_in_the_least_favourable_means() -> None:
    # alpha = 0.10, 250 studies: the standard error at 0.90 is 1.9 %, so below 0.84 is more than 3 of them.
    unequal = np.diag([4.0, 1.0, 2.0, 6.0])
    share, independent = correct_selections(unequal, 250, 1)
    assert share >= 0.84
    deviation = np.sqrt(np.diag(unequal))
    shared = 0.8 * np.outer(deviation, deviation) + 0.2 * unequal
    share, common = correct_selections(shared, 250, 2)
    assert share >= 0.84
    assert common < 0.6 * independent


def test_selection_minimises_and_stops_sampling_the_eliminated() -> None:
    def sample(i: int, alive: tuple[int, ...]) -> np.ndarray:
        g = np.random.default_rng([3, i])
        return (np.array([5.0, 1.0, 4.0, 1.3]) + g.normal(size=4))[list(alive)]

    found = select_best(sample, 4, indifference=0.2, maximise=False)
    assert found.best == 1
    assert found.replications[0] < found.replications[1]
    assert found.eliminated_after[1] == 0
    assert found.total_replications == found.replications.sum()
    assert found.means[0] == pytest.approx(5.0, abs=1.0)


@pytest.mark.parametrize(
    "arguments",
    [{"indifference": 0.0}, {"indifference": 1.0, "alpha": 0.7}, {"indifference": 1.0, "first_stage": 1}],
)
def test_bad_selections_are_refused(arguments: dict) -> None:
    with pytest.raises(InputError):
        select_best(lambda i, alive: np.zeros(len(alive)), 3, **arguments)
    with pytest.raises(InputError):
        select_best(lambda i, alive: np.zeros(1), 1, indifference=1.0)
    with pytest.raises(InputError, match="finite"):
        select_best(lambda i, alive: np.full(len(alive), np.nan), 2, indifference=1.0)


# --- competing events ------------------------------------------------------------------------------------------------


def test_incidence_bands_hold_the_mean_and_stay_between_zero_and_one() -> None:
    g = np.random.default_rng(1)
    parts = g.dirichlet([6, 1, 1, 0.3], size=(12, 3)).transpose(0, 2, 1)
    band = incidence_band(parts, [10.0, 20.0, 30.0])
    total = sum(band.mean[name] for name in ("infused", "died", "other", "waiting"))
    assert np.allclose(total, 1.0)
    for name, mean in band.mean.items():
        assert np.all((band.low[name] <= mean) & (mean <= band.high[name]))
        assert np.all((band.low[name] >= 0) & (band.high[name] <= 1))
    with pytest.raises(InputError):
        incidence_band(parts[:1], [10.0, 20.0, 30.0])
