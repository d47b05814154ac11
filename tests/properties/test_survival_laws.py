"""Every law is a law: survival falls to its cured fraction, quantiles invert it, hazards integrate to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.evidence.survival import (
    Exponential,
    GeneralisedGamma,
    Gompertz,
    Law,
    LogLogistic,
    LogNormal,
    MixtureCure,
    ModelAverage,
    NonMixtureCure,
    OnBackground,
    PopulationMortality,
    RoystonParmar,
    Weibull,
)

positive = st.floats(0.3, 4.0)
real = st.floats(-1.5, 1.5)
plain = st.one_of(
    st.builds(Exponential, positive),
    st.builds(Weibull, positive, positive),
    st.builds(Gompertz, st.floats(0.05, 1.0), st.floats(-0.3, 0.3)),
    st.builds(LogLogistic, positive, positive),
    st.builds(LogNormal, real, positive),
    st.builds(GeneralisedGamma, real, st.floats(0.3, 1.5), real),
    st.builds(lambda a, b: RoystonParmar(np.array([a, b, 0.02]), (-1.0, 0.5, 2.0)), real, st.floats(0.5, 2)),
)
cured = st.one_of(
    st.builds(MixtureCure, st.floats(0.05, 0.9), plain),
    st.builds(NonMixtureCure, st.floats(0.05, 0.9), plain),
)
table = 0.0003 * np.exp(0.09 * np.arange(110))
laws = st.one_of(
    plain,
    cured,
    st.builds(lambda law, age: OnBackground(law, PopulationMortality(age, table), 1.3), cured, st.floats(20, 80)),
    st.builds(lambda a, b, w: ModelAverage((a, b), (w, 1 - w)), plain, cured, st.floats(0.1, 0.9)),
)
GRID = np.concatenate([[0.0], np.geomspace(1e-3, 40, 60)])


@settings(max_examples=80, deadline=None)
@given(law=laws)
def test_survival_falls_and_hazard_is_its_slope(law: Law) -> None:
    survival = law.survival(GRID)
    assert survival[0] == 1.0
    assert np.all(np.diff(survival) <= 1e-12)
    assert np.all((survival >= 0) & (survival <= 1))
    t, h = np.array([0.5, 2.5, 6.3]), 1e-5
    slope = (law.cumulative_hazard(t + h) - law.cumulative_hazard(t - h)) / (2 * h)
    assert law.hazard(t) == pytest.approx(slope, rel=1e-4, abs=1e-8)
    assert law.density(t) == pytest.approx(law.hazard(t) * law.survival(t), rel=1e-9)
    assert law.citation()


@settings(max_examples=80, deadline=None)
@given(law=laws, u=st.floats(0.02, 0.98))
def test_quantile_inverts_survival(law: Law, u: float) -> None:
    t = float(law.quantile(u))
    if np.isinf(t):
        assert u <= float(law.cure_fraction) + 1e-9
    else:
        assert float(law.survival(t)) == pytest.approx(u, abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(law=laws, horizon=st.floats(0.5, 20))
def test_restricted_mean_is_bounded_and_grows(law: Law, horizon: float) -> None:
    shorter, longer = law.restricted_mean(horizon), law.restricted_mean(1.5 * horizon)
    assert 0 <= shorter <= horizon * (1 + 1e-12)
    assert shorter <= longer + 1e-12
    assert longer <= shorter + 0.5 * horizon * float(law.survival(horizon)) + 1e-9
    assert (
        law.conditional_survival(1.0, horizon)
        == pytest.approx(law.survival(horizon + 1.0) / max(float(law.survival(horizon)), 1e-300), rel=1e-6, abs=1e-9)
        or float(law.survival(horizon)) < 1e-250
    )


@settings(max_examples=30, deadline=None)
@given(law=cured)
def test_survival_at_infinity_is_the_cured_fraction(law: MixtureCure | NonMixtureCure) -> None:
    inner = law.uncured if isinstance(law, MixtureCure) else law.kernel
    gone = 1 - float(inner.cure_fraction)
    floor = float(law.survival(np.inf))
    expected = law.cure + (1 - law.cure) * (1 - gone) if isinstance(law, MixtureCure) else law.cure**gone
    assert floor == pytest.approx(expected, abs=1e-9)


def test_arrays_of_parameters_are_many_laws_at_once() -> None:
    t = np.array([0.5, 1.0, 3.0])
    shape, scale = np.array([[0.8], [1.0], [2.0]]), np.array([[2.0], [3.0], [4.0]])
    together = MixtureCure(np.array([[0.1], [0.2], [0.3]]), Weibull(scale, shape))
    for k in range(3):
        one = MixtureCure(0.1 * (k + 1), Weibull(float(scale[k, 0]), float(shape[k, 0])))
        assert together.survival(t)[k] == pytest.approx(one.survival(t), rel=1e-12)
        assert together.quantile(0.6)[k, 0] == pytest.approx(float(one.quantile(0.6)), rel=1e-9)
    q = np.array([[-0.5], [0.0], [0.7]])
    many = GeneralisedGamma(1.0, 0.8, q)
    for k in range(3):
        one_gamma = GeneralisedGamma(1.0, 0.8, float(q[k, 0]))
        assert many.hazard(t)[k] == pytest.approx(one_gamma.hazard(t), rel=1e-9)
