"""Fits to published landmarks: exact when just identified, honest about what is left to test."""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.evidence.survival import (
    Landmark,
    MixtureCure,
    PopulationMortality,
    PublishedMedian,
    SurvivalData,
    Weibull,
    fit_landmarks,
    kaplan_meier,
)

TRUTH = MixtureCure(0.4, Weibull(10.0, 0.9))


def landmarks_of(law: MixtureCure, times: list[float], half: float = 0.08) -> list[Landmark]:
    return [Landmark(t, s, s - half, s + half) for t in times for s in [float(law.survival(t))]]


def test_just_identified_passes_through_the_points_and_says_so() -> None:
    result = fit_landmarks(landmarks_of(TRUTH, [12, 24, 60]), "mixture_cure_weibull")
    assert result.just_identified
    assert np.isnan(result.p_value)
    assert result.chi_squared == pytest.approx(0, abs=1e-8)
    assert any("just identified" in note for note in result.notes)
    expected = {"cure_fraction": 0.4, "scale": 10.0, "shape": 0.9}
    assert result.parameters == pytest.approx(expected, rel=1e-4)
    low, high = result.parameter_intervals()["cure_fraction"]
    assert low < 0.4 < high < 0.7


def test_a_median_is_one_more_degree_of_freedom() -> None:
    median = float(TRUTH.quantile(0.5))
    result = fit_landmarks(
        landmarks_of(TRUTH, [12, 24, 60]),
        "mixture_cure_weibull",
        median=PublishedMedian(median, 0.6 * median, 1.8 * median),
    )
    assert result.degrees_of_freedom == 1
    assert result.chi_squared == pytest.approx(0, abs=1e-6)
    assert result.p_value == pytest.approx(1, abs=1e-3)
    assert result.parameters["cure_fraction"] == pytest.approx(0.4, rel=1e-3)


@pytest.mark.parametrize("scale", ["cloglog", "logit"])
def test_the_scales_agree_on_consistent_landmarks(scale: str) -> None:
    result = fit_landmarks(landmarks_of(TRUTH, [6, 12, 24, 60]), "mixture_cure_weibull", scale=scale)  # type: ignore[arg-type]
    assert result.parameters["cure_fraction"] == pytest.approx(0.4, rel=1e-4)
    draws = result.draw(500, np.random.default_rng(1))
    sample = result.survival_draws([12.0, 120.0], draws)
    assert sample.shape == (500, 2)
    assert 0.02 < sample[:, 0].std() < 0.06


def test_a_wrong_law_is_rejected() -> None:
    tight = [Landmark(t, s, s - 0.02, s + 0.02) for t in (6.0, 12.0, 24.0, 60.0) for s in [float(TRUTH.survival(t))]]
    assert fit_landmarks(tight, "exponential").p_value < 1e-6


def test_intervals_from_one_curve_have_the_spread_of_refitted_trials() -> None:
    # Fit each trial's own landmarks: the spread of the estimates is what a single fit must claim.
    rng = np.random.default_rng(5)
    estimates, claimed = [], []
    for _ in range(70):
        time = TRUTH.quantile(rng.uniform(size=200))
        data = SurvivalData(np.minimum(time, 72.0), time <= 72.0)
        curve = kaplan_meier(data)
        marks = [
            Landmark(t, float(curve.survival_at(t)[0]), float(curve.low_at(t)[0]), float(curve.high_at(t)[0]))
            for t in (6.0, 12.0, 24.0, 60.0)
        ]
        result = fit_landmarks(marks, "mixture_cure_weibull")
        estimates.append(result.coefficients[0])
        claimed.append(np.sqrt(result.covariance[0, 0]))
    assert np.median(claimed) == pytest.approx(np.std(estimates), rel=0.3)


def test_patients_stand_in_for_intervals_as_a_lower_bound() -> None:
    marks = [Landmark(t, float(TRUTH.survival(t))) for t in (12.0, 24.0, 60.0)]
    result = fit_landmarks(marks, "mixture_cure_exponential", n=101)
    assert any("lower bound" in note for note in result.notes)
    assert result.degrees_of_freedom == 1
    assert result.standard_error[0] == pytest.approx(np.sqrt(result.published[0] * (1 - result.published[0]) / 101))


def test_background_is_taken_out_and_put_back() -> None:
    table = 0.0003 * np.exp(0.08 * np.arange(110))
    person = PopulationMortality(58.0, table)
    observed = [
        Landmark(t, s, s - 0.08, s + 0.08)
        for t in (1.0, 2.0, 5.0)
        for s in [float(MixtureCure(0.45, Weibull(0.9, 1.0)).survival(t) * np.exp(-1.2 * person.cumulative_hazard(t)))]
    ]
    result = fit_landmarks(observed, "mixture_cure_weibull", background=person, standardised_mortality_ratio=1.2)
    assert result.parameters["cure_fraction"] == pytest.approx(0.45, rel=1e-3)
    assert result.law().survival([1.0, 2.0, 5.0]) == pytest.approx([m.survival for m in observed], rel=1e-6)
    assert float(result.law().survival(40.0)) < 0.05


@pytest.mark.parametrize(
    ("marks", "options", "message"),
    [
        ([Landmark(12, 0.5, 0.4, 0.6)], {"model": "mixture_cure_weibull"}, "has 3 parameters"),
        ([Landmark(12, 1.5, 0.4, 0.6)], {"model": "exponential"}, "strictly between"),
        ([Landmark(12, 0.5, 0.6, 0.7)], {"model": "exponential"}, "do not enclose"),
        ([Landmark(12, 0.5)], {"model": "exponential"}, "neither an interval nor"),
        ([Landmark(12, 0.5, 0.4, 0.6), Landmark(24, 0.6, 0.5, 0.7)], {"model": "exponential"}, "rises"),
        ([Landmark(12, 0.5, 0.4, 0.6)], {"model": "weibul"}, "unknown survival model"),
        ([Landmark(12, 0.5, 0.4, 0.6)], {"model": "royston_parmar_1"}, "needs its knots"),
        ([Landmark(12, 0.5, 0.4, 0.6)], {"model": "exponential", "scale": "probit"}, "working scale"),
        ([], {"model": "exponential"}, "no landmarks"),
    ],
)
def test_bad_landmarks(marks: list[Landmark], options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit_landmarks(marks, **options)  # type: ignore[arg-type]
