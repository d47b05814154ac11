"""Partial least squares against its theory and scikit-learn, batch control's false alarms, calibration of warnings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.evidence.quality.process_analytics import (
    cross_validate,
    cross_validated_warning,
    fit_batch_model,
    fit_partial_least_squares,
    judge,
    left_out_verdicts,
    predict_harvest_day,
    unfold,
    value_of_stopping,
)
from cartsight.evidence.quality.process_analytics.batch_control import prediction_error_limit
from cartsight.evidence.quality.process_analytics.early_warning import fit_logistic, warning_quality
from cartsight.evidence.quality.process_analytics.partial_least_squares import derivative, standard_normal_variate


def spectra(n: int = 60, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Two overlapping bands on a drifting base line; the response is the first one's concentration."""
    rng = np.random.default_rng(seed)
    axis = np.linspace(0, 1, 80)
    glucose, lactate = rng.uniform(1, 6, n), rng.uniform(0, 20, n)
    bands = np.exp(-((axis - 0.45) ** 2) / 0.005), np.exp(-((axis - 0.55) ** 2) / 0.005)
    x = np.outer(glucose, bands[0]) + 0.3 * np.outer(lactate, bands[1]) + rng.normal(0, 0.5, (n, 1)) * (1 + axis)
    return x + rng.normal(0, 0.02, x.shape), glucose


def test_all_components_are_least_squares() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(30, 5)), rng.normal(size=30)
    design = np.column_stack([np.ones(30), x])
    expected = np.linalg.lstsq(design, y, rcond=None)[0]
    model = fit_partial_least_squares(x, y, 5)
    assert [model.intercept, *model.coefficients] == pytest.approx(expected.tolist(), abs=1e-10)


def test_scores_are_orthogonal_and_explained_variance_rises() -> None:
    x, y = spectra()
    model = fit_partial_least_squares(x, y, 5)
    gram = model.scores.T @ model.scores
    assert np.abs(gram - np.diag(np.diag(gram))).max() < 1e-8 * np.diag(gram).max()
    assert np.all(np.diff(model.explained) > 0)


@pytest.mark.parametrize("components", [1, 2, 4])
def test_agrees_with_scikit_learn(components: int) -> None:
    regression = pytest.importorskip("sklearn.cross_decomposition").PLSRegression
    x, y = spectra()
    other = regression(n_components=components, scale=True).fit(x, y)
    ours = fit_partial_least_squares(x, y, components)
    assert ours.predict(x) == pytest.approx(other.predict(x).ravel(), abs=1e-8)


def test_cross_validation_finds_the_rank_and_an_honest_error() -> None:
    x, y = spectra()
    found = cross_validate(x, y, np.arange(60), scale=False)
    assert 3 <= found.components <= 5
    assert found.q_squared > 0.99
    fresh_x, fresh_y = spectra(200, seed=9)
    model = fit_partial_least_squares(x, y, found.components, scale=False)
    fresh = float(np.sqrt(np.mean((model.predict(fresh_x) - fresh_y) ** 2)))
    assert found.error == pytest.approx(fresh, rel=0.5)


def test_noise_predicts_nothing() -> None:
    rng = np.random.default_rng(3)
    found = cross_validate(rng.normal(size=(40, 10)), rng.normal(size=40), np.arange(40))
    assert found.q_squared < 0.1


def test_preprocessing() -> None:
    x, _ = spectra()
    snv = standard_normal_variate(3.0 * x + 2.0)
    assert snv == pytest.approx(standard_normal_variate(x))
    line = np.tile(np.arange(30.0), (2, 1))
    assert derivative(line, 5) == pytest.approx(np.ones((2, 30)))


def batches(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(8)
    growth = rng.normal(1.0, 0.1, (n, 1)) * time
    lactate = 2.0 * growth + rng.normal(0, 0.3, (n, 8)) + shift * (time > 4)
    return np.stack([growth + rng.normal(0, 0.1, (n, 8)), lactate], axis=2)


def test_batch_model_flags_a_broken_relation_and_keeps_its_false_alarms() -> None:
    model = fit_batch_model(unfold(batches(150, 1)), alpha=0.01)
    assert judge(model, unfold(batches(1000, 2))).outside.mean() < 0.05
    broken = judge(model, unfold(batches(200, 3, shift=3.0)))
    assert broken.outside.mean() > 0.9
    worst = broken.contributions.mean(axis=0).reshape(8, 2)
    assert worst[5:, 1].mean() > 5 * worst[:5].mean()


def test_t_squared_limit_holds_its_level_in_full_rank() -> None:
    # two variables and two components leave no residual: T squared alone, an exact F law
    rng = np.random.default_rng(5)
    alarms = [
        float(np.mean(judge_t(rng.normal(size=(20, 2)), rng.normal(size=(400, 2))))) for _ in range(200)
    ]  # fmt: skip
    assert np.mean(alarms) == pytest.approx(0.05, abs=0.008)


def judge_t(reference: np.ndarray, new: np.ndarray) -> np.ndarray:
    model = fit_batch_model(reference, components=2, alpha=0.05)
    return np.asarray(judge(model, new).t_squared > model.t_squared_limit)


def test_prediction_error_limit_of_equal_variances_is_chi_squared() -> None:
    # k equal variances: SPE is chi-squared with k degrees of freedom; the cube-root approximation is good to 1 %
    assert prediction_error_limit(np.ones(10), 0.01) == pytest.approx(23.209, rel=0.01)


def test_few_batches_raise_more_alarms_than_stated_and_say_so() -> None:
    verdict = left_out_verdicts(unfold(batches(15, 4)), alpha=0.01)
    assert verdict.outside.mean() > 0.01


def warning_data(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    eta = -2.0 + 1.5 * x[:, 0] - 1.0 * x[:, 1]
    return x, rng.random(n) < 1 / (1 + np.exp(-eta))


def test_logistic_recovers_coefficients_and_is_calibrated() -> None:
    x, y = warning_data(5000, 1)
    model = fit_logistic(x, y, penalty=1e-6)
    assert (model.coefficients / model.spread).tolist() == pytest.approx([1.5, -1.0, 0.0], abs=0.15)
    fresh_x, fresh_y = warning_data(5000, 2)
    quality = warning_quality(model.probability(fresh_x), fresh_y)
    assert quality.calibration_slope == pytest.approx(1.0, abs=0.12)
    assert quality.calibration_intercept == pytest.approx(0.0, abs=0.12)


def test_cross_validation_does_not_flatter_noise() -> None:
    rng = np.random.default_rng(3)
    quality = cross_validated_warning(rng.normal(size=(120, 8)), rng.random(120) < 0.3)
    assert quality.area_lower < 0.5 < quality.area_upper + 0.1
    assert quality.brier > 0.95 * quality.brier_of_base_rate


def test_value_of_stopping_by_hand() -> None:
    # threshold 2 / (2 + 1 x 4) = 1/3: batches 1 and 3 are stopped; gain 4 for one, loss 2 for the other, of four
    found = value_of_stopping(
        [0.9, 0.1, 0.5, 0.2], [True, False, False, True], [9, 9, 9, 9], day=5, value_per_day=1.0, loss_of_good_batch=2.0
    )
    assert found.threshold == pytest.approx(1 / 3)
    assert (found.rightly, found.wrongly, found.days_saved) == (0.25, 0.25, 1.0)
    assert found.net_value == pytest.approx((4 - 2) / 4)


def test_harvest_day_from_early_growth() -> None:
    rng = np.random.default_rng(8)
    rate = rng.normal(0.5, 0.05, 80)
    early = np.column_stack([rate * day + rng.normal(0, 0.05, 80) for day in (1, 2, 3, 4)])
    harvest = 5.0 / rate + rng.normal(0, 0.2, 80)
    found = predict_harvest_day(early, harvest)
    assert found.error < 0.6 * float(np.std(harvest))


def test_bad_input() -> None:
    with pytest.raises(InputError, match="does not vary"):
        fit_partial_least_squares(np.ones((5, 2)), np.ones(5), 1)
    with pytest.raises(InputError, match="not finite"):
        fit_partial_least_squares([[1, math.nan], [1, 2], [2, 3]], [1, 2, 3], 1)
    with pytest.raises(InputError, match="out of range"):
        fit_partial_least_squares(np.eye(4), [1, 2, 3, 5], 9)
    with pytest.raises(InputError, match="six reference batches"):
        fit_batch_model(np.ones((3, 2)))
    with pytest.raises(InputError, match="both failed and good"):
        fit_logistic(np.ones((4, 1)), [True] * 4)
    with pytest.raises(InputError, match="two batches"):
        cross_validate(np.eye(4), [1, 2, 3, 5], [1, 1, 1, 1])
