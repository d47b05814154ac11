"""Distributions: inversion, moments, and the constructors from what papers print."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cartsight.core.distributions import (
    PERT,
    Beta,
    Constant,
    Dirichlet,
    Distribution,
    Exponential,
    Gamma,
    LogNormal,
    Normal,
    QuantileTable,
    Triangular,
    Uniform,
    Weibull,
    scaled,
)
from cartsight.core.errors import InputError
from cartsight.core.fitting import (
    from_events,
    from_mean_interval,
    from_mean_sd,
    from_median_iqr,
    from_quartiles,
    from_range,
)
from cartsight.core.normal import normal_quantile

LAWS: list[tuple[Distribution, object]] = [
    (Exponential(3.0), stats.expon(scale=3.0)),
    (Uniform(1.0, 4.0), stats.uniform(1.0, 3.0)),
    (Triangular(1.0, 2.0, 5.0), stats.triang(0.25, 1.0, 4.0)),
    (Normal(2.0, 0.7), stats.norm(2.0, 0.7)),
    (LogNormal(0.4, 0.5), stats.lognorm(0.5, scale=math.exp(0.4))),
    (Gamma(2.5, 1.3), stats.gamma(2.5, scale=1.3)),
    (Beta(2.0, 5.0), stats.beta(2.0, 5.0)),
    (Beta(2.0, 5.0, 1.0, 3.0), stats.beta(2.0, 5.0, 1.0, 2.0)),
    (PERT(0.0, 3.0, 10.0), stats.beta(1 + 4 * 0.3, 1 + 4 * 0.7, 0.0, 10.0)),
    (Weibull(1.7, 2.0), stats.weibull_min(1.7, scale=2.0)),
]


@pytest.mark.parametrize(("law", "reference"), LAWS, ids=lambda x: getattr(x, "kind", ""))
def test_quantiles_and_moments_agree_with_scipy(law: Distribution, reference: object) -> None:
    u = np.linspace(1e-6, 1 - 1e-6, 2001)
    np.testing.assert_allclose(law.quantile(u), reference.ppf(u), rtol=1e-9, atol=1e-12)
    assert law.mean == pytest.approx(reference.mean(), rel=1e-12)
    assert law.variance == pytest.approx(reference.var(), rel=1e-10)
    low, high = law.support
    assert low <= law.quantile(1e-9) <= law.quantile(1 - 1e-9) <= high


def test_normal_quantile_has_the_printed_accuracy_of_as241() -> None:
    u = np.concatenate([10.0 ** -np.arange(1, 300, 7.0), np.linspace(0.001, 0.999, 999), [1 - 1e-12]])
    np.testing.assert_allclose(normal_quantile(u), stats.norm.ppf(u), rtol=3e-15, atol=1e-15)
    # The two test values printed with the algorithm (Wichura 1988, table 1).
    assert float(normal_quantile(0.25)) == pytest.approx(-0.6744897501960817, rel=1e-15)
    assert float(normal_quantile(1e-20)) == pytest.approx(-9.262340089798408, rel=1e-15)


@given(
    mean=st.floats(0.05, 0.95),
    share=st.floats(0.02, 0.6),
    kind=st.sampled_from(["normal", "lognormal", "gamma", "beta", "weibull", "uniform"]),
)
@settings(max_examples=80, deadline=None)
def test_mean_and_sd_come_back(mean: float, share: float, kind: str) -> None:
    sd = share * math.sqrt(mean * (1 - mean)) if kind == "beta" else share * mean
    law = from_mean_sd(kind, mean, sd)
    assert law.mean == pytest.approx(mean, rel=1e-8)
    assert law.sd == pytest.approx(sd, rel=1e-6)


@given(
    low=st.floats(0.05, 0.5),
    width=st.floats(0.01, 0.4),
    kind=st.sampled_from(["normal", "lognormal", "gamma", "beta", "weibull", "uniform"]),
)
@settings(max_examples=60, deadline=None)
def test_quartiles_come_back(low: float, width: float, kind: str) -> None:
    law = from_quartiles(kind, low, low + width)
    assert float(law.quantile(0.25)) == pytest.approx(low, rel=1e-5)
    assert float(law.quantile(0.75)) == pytest.approx(low + width, rel=1e-5)


@pytest.mark.parametrize("kind", ["normal", "lognormal", "weibull", "gamma"])
def test_median_is_kept_and_the_ratio_or_width_of_the_quartiles(kind: str) -> None:
    law = from_median_iqr(kind, 22.0, 15.0, 28.0)
    assert law.median == pytest.approx(22.0, rel=1e-9)
    q1, q3 = law.quantile(np.array([0.25, 0.75]))
    assert (q3 - q1 if kind == "normal" else q3 / q1) == pytest.approx(13.0 if kind == "normal" else 28 / 15, rel=1e-7)


def test_an_interval_comes_back() -> None:
    assert from_mean_interval("lognormal", 0.6, 0.4, 0.9).interval() == pytest.approx((0.4, 0.9))
    assert from_mean_interval("normal", 3.0, 2.0, 4.0).interval() == pytest.approx((2.0, 4.0))
    assert from_mean_interval("beta", 0.3, 0.2, 0.45).interval() == pytest.approx((0.2, 0.45), rel=1e-5)


def test_zero_events_are_not_zero_risk() -> None:
    law = from_events(0, 33)
    assert law.mean == pytest.approx(0.5 / 34)
    assert law.interval()[1] > 0.06
    exact = stats.beta(38.5, 943.5)
    assert from_events(38, 981).interval() == pytest.approx(exact.interval(0.95))


def test_ranges_and_tables() -> None:
    assert from_range("pert", 2.0, 1.0, 5.0) == PERT(1.0, 2.0, 5.0)
    sample = QuantileTable.from_sample([3.0, 1.0, 2.0])
    assert sample.median == 2.0
    assert sample.mean == pytest.approx(2.0)
    shares = Dirichlet((2.0, 3.0, 5.0)).quantile(np.random.default_rng(1).uniform(size=(4000, 3)))
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(shares.mean(axis=0), [0.2, 0.3, 0.5], atol=0.01)


@given(factor=st.floats(0.01, 100))
@settings(max_examples=20, deadline=None)
def test_scaling_a_law_scales_every_quantile(factor: float) -> None:
    u = np.array([0.01, 0.5, 0.97])
    table = QuantileTable((0.0, 0.4, 1.0), (1.0, 2.0, 7.0))
    for law in [*(law for law, _ in LAWS), Constant(2.0), table]:
        np.testing.assert_allclose(scaled(law, factor).quantile(u), factor * law.quantile(u), rtol=1e-10)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Exponential(-1.0),
        lambda: Normal(float("nan"), 1.0),
        lambda: Uniform(2.0, 1.0),
        lambda: Triangular(3.0, 2.0, 5.0),
        lambda: PERT(1.0, 1.0, 1.0),
        lambda: Beta(0.0, 1.0),
        lambda: QuantileTable((0.0, 0.5), (1.0, 2.0)),
        lambda: QuantileTable((0.0, 1.0), (2.0, 1.0)),
        lambda: Dirichlet((1.0,)),
        lambda: from_mean_sd("beta", 0.5, 0.6),
        lambda: from_mean_sd("cauchy", 1.0, 1.0),
        lambda: from_median_iqr("lognormal", 10.0, 12.0, 15.0),
        lambda: from_events(5, 3),
        lambda: from_mean_interval("lognormal", 1.0, -1.0, 2.0),
    ],
)
def test_impossible_laws_are_refused_with_a_message(make: object) -> None:
    with pytest.raises(InputError):
        make()
