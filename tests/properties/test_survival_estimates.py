"""Invariants of the estimates: units and order do not matter, a reconstruction loses nobody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.evidence.survival import (
    SurvivalData,
    fit,
    kaplan_meier,
    log_rank,
    nelson_aalen,
    number_at_risk,
    reconstruct,
)

seeds = st.integers(0, 100_000)


def data(seed: int, n: int = 60, late: bool = False) -> SurvivalData:
    rng = np.random.default_rng(seed)
    time = np.ceil(rng.weibull(1.2, n) * 12 * 2) / 2
    event = rng.uniform(size=n) < 0.7
    event[0] = True
    entry = np.where(rng.uniform(size=n) < 0.4, np.floor(time / 3), 0.0) if late else np.zeros(n)
    return SurvivalData(time, event, entry)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, late=st.booleans())
def test_curves_fall_limits_enclose_and_order_is_nothing(seed: int, late: bool) -> None:
    sample = data(seed, late=late)
    curve = kaplan_meier(sample)
    assert np.all(np.diff(curve.survival) <= 0)
    assert np.all((curve.low <= curve.survival + 1e-12) & (curve.survival <= curve.high + 1e-12))
    shuffled = kaplan_meier(sample.subset(np.random.default_rng(seed).permutation(sample.n)))
    assert shuffled.survival == pytest.approx(curve.survival, abs=1e-12)
    # Nelson-Aalen lies below -log of Kaplan-Meier.
    hazard = nelson_aalen(sample).cumulative_hazard
    positive = curve.survival > 0
    assert np.all(hazard[positive] <= -np.log(curve.survival[positive]) + 1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_weights_are_repeated_rows(seed: int) -> None:
    sample = data(seed, 40)
    count = np.random.default_rng(seed).integers(1, 4, sample.n)
    weighted = SurvivalData(sample.time, sample.event, weight=count.astype(float))
    repeated = sample.subset(np.repeat(np.arange(sample.n), count))
    assert kaplan_meier(weighted).survival == pytest.approx(kaplan_meier(repeated).survival, abs=1e-12)
    assert fit(weighted, "weibull").log_likelihood == pytest.approx(fit(repeated, "weibull").log_likelihood, rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=seeds, factor=st.floats(0.01, 400))
def test_fits_do_not_depend_on_the_unit_of_time(seed: int, factor: float) -> None:
    sample = data(seed, 80)
    scaled = SurvivalData(factor * sample.time, sample.event)
    for model in ("weibull", "log_normal", "gompertz", "royston_parmar_1"):
        one, other = fit(sample, model), fit(scaled, model)
        shift = sample.events * np.log(factor)
        assert other.log_likelihood == pytest.approx(one.log_likelihood - shift, rel=1e-7, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_log_rank_of_identical_groups_is_zero_and_of_any_is_symmetric(seed: int) -> None:
    a, b = data(seed), data(seed + 1)
    assert log_rank([a, a]).chi_squared == pytest.approx(0, abs=1e-9)
    assert log_rank([a, b]).chi_squared == pytest.approx(log_rank([b, a]).chi_squared, rel=1e-9, abs=1e-12)
    test = log_rank([a, b])
    assert test.observed.sum() == pytest.approx(test.expected.sum(), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, noise=st.floats(0, 0.006), known=st.booleans())
def test_a_reconstruction_loses_nobody(seed: int, noise: float, known: bool) -> None:
    truth = data(seed, 120)
    curve = kaplan_meier(truth)
    t = np.linspace(0, truth.last_time, 70)
    rng = np.random.default_rng(seed)
    s = np.clip(curve.survival_at(t) + rng.normal(0, 1, t.size).clip(-2, 2) * noise, 0, 1)
    risk_time = np.arange(0, truth.last_time, 5.0)
    result = reconstruct(t, s, risk_time, number_at_risk(truth, risk_time), truth.events if known else None)
    assert result.data.n == truth.n
    assert 0 <= result.data.events <= truth.n
    assert np.all(np.diff(kaplan_meier(result.data).survival) <= 0)
    assert result.diagnostics.events_reconstructed == result.data.events
    assert np.max(np.abs(result.diagnostics.at_risk_errors)) <= 3
