"""Statistics of simulation against closed forms, printed tables and models with a known steady state."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.comparison.simulation_statistics import (
    StoppingRule,
    batch_means,
    dunnett_critical_value,
    holm,
    mean_interval,
    mser,
    replications_needed,
    welch_plot,
    without_warm_up,
)
from cartsight.core.distributions import Exponential
from cartsight.core.errors import InputError
from cartsight.simulation import Arrivals, FlowModel, compile_model, poisson_arrivals, simulate
from cartsight.simulation import steps as s


def test_t_interval_of_a_small_sample() -> None:
    # 1..5: mean 3, s^2 = 2.5, t(0.975; 4) = 2.776445 (printed tables: 2.776).
    found = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.half_width == pytest.approx(2.776445 * math.sqrt(2.5 / 5), abs=1e-6)
    assert (found.mean, found.count) == (3.0, 5)


def test_replications_needed_is_stein_like() -> None:
    # s = 1 and a half-width of 0.5: the smallest n with t(n - 1) / sqrt(n) <= 0.5 is 18 (17: 0.514; 18: 0.497).
    z = np.array([-1.0, 1.0] * 5)
    interval = mean_interval(z / z.std(ddof=1))
    assert replications_needed(interval, StoppingRule(relative=None, absolute=0.5)) == 18


def test_holm_by_hand() -> None:
    # 4 x 0.01, 3 x 0.02 -> 0.06, 2 x 0.04 -> 0.08, then max(0.08, 1 x 0.05); in the order given.
    assert holm([0.04, 0.01, 0.05, 0.02]) == pytest.approx([0.08, 0.04, 0.08, 0.06])


@pytest.mark.parametrize(
    ("comparisons", "degrees", "printed"),
    # Dunnett 1964 (Biometrics 20:482), table of two-sided 5 % points for equal groups.
    [(1, 10, 2.23), (2, 10, 2.57), (3, 10, 2.76), (2, 20, 2.38), (3, 20, 2.54), (5, 20, 2.73), (2, math.inf, 2.21),
     (3, math.inf, 2.35), (5, math.inf, 2.51), (3, 5, 3.29), (4, 5, 3.48)],
)  # fmt: skip
def test_dunnett_table(comparisons: int, degrees: float, printed: float) -> None:
    assert dunnett_critical_value(comparisons, degrees) == pytest.approx(printed, abs=0.006)


# --- MSER ------------------------------------------------------------------------------------------------------------


def direct_mser(series: np.ndarray) -> tuple[int, np.ndarray]:
    y = series[: series.size // 5 * 5].reshape(-1, 5).mean(axis=1)
    n = y.size
    values = np.array([np.sum((y[d:] - y[d:].mean()) ** 2) / (n - d) ** 2 for d in range(n - 4)])
    return int(np.argmin(values)), values


@given(st.integers(0, 10_000), st.integers(50, 400), st.floats(-1e6, 1e6))
@settings(max_examples=25, deadline=None)
def test_mser_is_its_definition(seed: int, m: int, shift: float) -> None:
    g = np.random.default_rng(seed)
    series = shift + g.normal(size=m) + 5 * np.exp(-np.arange(m) / 30)
    found = mser(series)
    cut, values = direct_mser(series - shift)
    assert found.statistic == pytest.approx(values, rel=1e-6, abs=1e-9)
    assert found.batches == cut
    assert found.mean == pytest.approx(shift + (series - shift)[cut * 5 : m // 5 * 5].mean(), rel=1e-9, abs=1e-6)


def test_a_step_is_cut_exactly_where_it_ends() -> None:
    # 100 observations at 10, then 400 at 0 with unit-free alternation: the first 20 batches are the transient.
    series = np.concatenate([np.full(100, 10.0), np.tile([-1.0, 1.0], 200)])
    found = mser(series)
    assert (found.observations, found.batches, found.total_batches, found.accepted) == (100, 20, 100, True)
    assert found.mean == pytest.approx(0.0, abs=0.02)
    assert without_warm_up(series).size == 400


def test_a_trend_without_end_is_refused() -> None:
    drift = np.arange(500) ** 2 / 500 + np.random.default_rng(1).normal(size=500)
    assert not mser(drift).accepted
    with pytest.raises(InputError, match="second half"):
        without_warm_up(drift)


def test_a_stationary_series_is_hardly_cut() -> None:
    cuts = [mser(np.random.default_rng([2, i]).normal(size=2000)).batches / 400 for i in range(60)]
    assert np.median(cuts) < 0.1
    assert np.mean([cut <= 0.5 for cut in cuts]) > 0.9


def test_first_order_autoregression_loses_its_bias() -> None:
    # X_i = 0.9 X_(i-1) + e from X_0 = 50: bias of the mean of 1 000 is 50 x 0.9 / (1 - 0.9) / 1 000 = 0.45.
    raw, cut, refused = [], [], 0
    for i in range(60):
        e = np.random.default_rng([4, i]).normal(size=1000)
        x = np.empty(1000)
        value = 50.0
        for j in range(1000):
            value = 0.9 * value + e[j]
            x[j] = value
        raw.append(x.mean())
        if mser(x).accepted:
            cut.append(without_warm_up(x).mean())
        else:
            refused += 1
    assert refused <= 6  # by chance the last batches agree too well; that is what the refusal is for
    error = np.std(cut, ddof=1) / math.sqrt(len(cut))  # about 0.04
    assert np.mean(raw) == pytest.approx(0.45, abs=4 * error)
    assert abs(np.mean(cut)) < 0.15
    assert error < 0.08


# --- batch means -----------------------------------------------------------------------------------------------------


def autoregression(seed: int, m: int, rho: float) -> np.ndarray:
    from scipy.signal import lfilter

    e = np.random.default_rng(seed).normal(size=m + 500)
    return lfilter([1.0], [1.0, -rho], e)[500:]


def test_batch_means_find_the_variance_of_an_autoregression() -> None:
    # m Var(mean) -> 1 / (1 - rho)^2 = 4 for rho = 0.5. 80 series of 4 000 in 20 batches.
    found = [batch_means(autoregression(i, 4000, 0.5)) for i in range(80)]
    variance = np.mean([f.interval.standard_error**2 * 4000 for f in found])
    assert variance == pytest.approx(4.0, rel=0.15)  # standard error of the average: sqrt(2 / 19 / 80) = 3.6 %
    assert np.mean([f.interval.low <= 0 <= f.interval.high for f in found]) > 0.85
    assert np.mean([f.independent for f in found]) > 0.85


def test_batches_too_short_are_told() -> None:
    assert not batch_means(autoregression(1, 200, 0.98), batches=20).independent
    with pytest.raises(InputError):
        batch_means(np.zeros(15))
    assert batch_means(np.ones(100)).interval.half_width == 0.0


# --- Welch -----------------------------------------------------------------------------------------------------------


def test_welch_by_hand() -> None:
    # Two replications with average 1..8, window 2: edges average 1 and 3 points, the middle 5.
    series = np.array([np.arange(1, 9) - 1.0, np.arange(1, 9) + 1.0])
    found = welch_plot(series, 2)
    assert found.average == pytest.approx(np.arange(1, 9))
    assert found.smoothed == pytest.approx([1, 2, 3, 4, 5, 6])
    curved = welch_plot((np.arange(1, 9) ** 2)[None, :].astype(float), 2)
    assert curved.smoothed == pytest.approx([1, 14 / 3, 11, 18, 27, 38])
    for window in (-1, 3):
        with pytest.raises(InputError):
            welch_plot(series, window)
    with pytest.raises(InputError):
        welch_plot([[1.0, math.nan, 2.0, 3.0]], 0)


# --- the engine's own steady state -----------------------------------------------------------------------------------


def test_a_queue_that_starts_empty_meets_its_exact_mean_after_the_cut() -> None:
    """M/M/1, load 0.8, mean service 1 day: exact mean wait in queue 4 days; from empty, the first waits are short."""
    m = FlowModel("M/M/1")
    m.resource("server", 1)
    m.program(
        "patient",
        [s.Mark("asked"), s.Seize("server"), s.Mark("served"), s.Delay("service", Exponential(1.0)),
         s.Free("server"), s.End("done")],
    )  # fmt: skip
    model = compile_model(m)
    waits = []
    for replication in range(30):
        days = poisson_arrivals("north", 0.8, 6000.0, seed=replication)[:4500]
        result = simulate(model, Arrivals(days), seed=replication)
        waits.append(result.patients.mark("served") - result.patients.mark("asked"))
    series = np.array(waits)
    transient = series[:, :20].mean()
    assert transient < 3.0  # not yet warm
    average = series.mean(axis=0)
    found = mser(average)
    assert found.accepted
    assert 0 < found.observations < 2250
    means = series[:, found.observations :].mean(axis=1)
    interval = mean_interval(means, level=0.999)
    assert interval.low <= 4.0 <= interval.high
    assert interval.half_width < 1.2
    # The smoothed curve starts low and ends near 4.
    plot = welch_plot(series, 200)
    assert plot.smoothed[0] < 1.0
    assert plot.smoothed[2000:].mean() == pytest.approx(4.0, abs=0.6)
