"""The logit-normal mean against adaptive quadrature, and the intercept that inverts it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from cartsight.core.errors import InputError
from cartsight.core.logit_normal import logit_normal_intercept, logit_normal_intercept_given, logit_normal_mean


@pytest.mark.parametrize(("sd", "tolerance"), [(0.3, 1e-13), (1.0, 1e-13), (2.0, 1e-9), (2.5, 1e-7), (5.0, 5e-5)])
@pytest.mark.parametrize("intercept", [-6.0, -1.0, 0.2, 2.0])
def test_mean_against_adaptive_quadrature(intercept: float, sd: float, tolerance: float) -> None:
    exact, _ = quad(lambda z: expit(intercept + sd * z) * norm.pdf(z), -12.0, 12.0, epsabs=1e-13, limit=500)
    assert float(logit_normal_mean(intercept, sd)) == pytest.approx(exact, abs=tolerance)


@pytest.mark.parametrize("probability", [1e-6, 0.001, 0.07, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("sd", [0.0, 0.1, 1.0, 3.0, 8.0])
def test_intercept_inverts_the_mean(probability: float, sd: float) -> None:
    intercept = logit_normal_intercept(probability, sd)
    assert float(logit_normal_mean(intercept, sd)) == pytest.approx(probability, abs=1e-12)


def test_without_a_random_effect_the_intercept_is_the_logit() -> None:
    assert float(logit_normal_intercept(0.2, 0.0)) == pytest.approx(math.log(0.25), abs=1e-14)


def test_the_intercept_moves_away_from_zero() -> None:
    assert logit_normal_intercept(0.2, 1.0) < logit_normal_intercept(0.2, 0.0) < 0.0
    assert logit_normal_intercept(0.8, 1.0) > logit_normal_intercept(0.8, 0.0) > 0.0


def test_certain_probabilities_and_arrays() -> None:
    result = logit_normal_intercept([0.0, 0.5, 1.0], 1.0)
    assert result.shape == (3,)
    assert result[0] == -np.inf and result[1] == pytest.approx(0.0, abs=1e-12) and result[2] == np.inf


@pytest.mark.parametrize(
    ("probability", "sd"), [(1.2, 0.5), (-0.1, 0.5), (float("nan"), 0.5), (0.5, -1.0), (0.5, math.inf)]
)
def test_bad_input(probability: float, sd: float) -> None:
    with pytest.raises(InputError):
        logit_normal_intercept(probability, sd)


def test_an_effect_shared_with_an_earlier_failure_keeps_the_stated_share() -> None:
    # 400 000 draws: standard error of the share below 0.0006
    rng = np.random.default_rng(3)
    z = rng.standard_normal(400_000)
    first, second, sd = 0.08, 0.10, 1.5
    spared = rng.random(z.size) > 1.0 / (1.0 + np.exp(-(float(logit_normal_intercept(first, sd)) + sd * z)))
    shift = logit_normal_intercept_given(second, sd, first)
    failed = rng.random(z.size) < 1.0 / (1.0 + np.exp(-(shift + sd * z)))
    assert float(np.mean(failed[spared])) == pytest.approx(second, abs=0.0025)
    assert shift > float(logit_normal_intercept(second, sd))
    assert logit_normal_intercept_given(second, 0.0, first) == pytest.approx(float(np.log(0.1 / 0.9)))
