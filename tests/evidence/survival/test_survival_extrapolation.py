"""Model averages, early cuts, smoothed hazards, model names and what the data classes refuse."""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.core.errors import CartsightError, InputError
from cartsight.evidence.survival import (
    DEFAULT_MODELS,
    BackgroundRates,
    SurvivalData,
    Weibull,
    average_models,
    early_cut_validation,
    fit,
    kaplan_meier,
    log_rank,
    parse_model,
    smoothed_hazard,
)
from cartsight.evidence.survival.smoothed_hazard import boundary_kernel


@pytest.fixture(scope="module")
def sample() -> SurvivalData:
    rng = np.random.default_rng(17)
    time, stop = 10 * rng.weibull(1.5, 500), rng.uniform(8, 30, 500)
    return SurvivalData(np.minimum(time, stop), time <= stop)


def test_every_default_model_fits_and_speaks(sample: SurvivalData) -> None:
    for name in DEFAULT_MODELS:
        fitted = fit(sample, name)
        assert fitted.name == name
        assert fitted.decrement < 1e-6
        assert len(fitted.parameters) == len(fitted.coefficient_names) == fitted.coefficients.size
        assert fitted.citation()
        assert fitted.law().survival(5.0) == pytest.approx(kaplan_meier(sample).survival_at(5.0)[0], abs=0.12)


def test_akaike_weights_and_draws(sample: SurvivalData) -> None:
    fits = [fit(sample, m) for m in ("exponential", "weibull", "log_normal")]
    average = average_models(fits)
    assert average.weights.sum() == pytest.approx(1)
    ratio = average.weights[1] / average.weights[2]
    assert ratio == pytest.approx(np.exp((fits[2].aic - fits[1].aic) / 2), rel=1e-9)
    times = np.array([5.0, 20.0])
    values, chosen = average.survival_draws(times, 2000, np.random.default_rng(3))
    assert values.mean(axis=0) == pytest.approx(average.law().survival(times), abs=0.01)
    assert np.bincount(chosen, minlength=3) / 2000 == pytest.approx(average.weights, abs=0.03)
    with pytest.raises(InputError, match="same data"):
        average_models([fits[0], fit(sample.subset(np.arange(100)), "weibull")])


def test_early_cut_predicts_what_came(sample: SurvivalData) -> None:
    good, bad = early_cut_validation(sample, 6.0, ["weibull", "exponential"], [8.0, 12.0, 16.0])
    assert good.inside.all()
    assert good.largest_error < bad.largest_error
    assert np.all(np.diff(good.predicted) < 0)
    early, rows = sample.cut(6.0)
    assert early.time.max() <= 6.0
    assert rows.all()
    assert early.events == int((sample.event & (sample.time <= 6.0)).sum())
    (failed,) = early_cut_validation(sample, 0.05, ["generalised_gamma"])
    assert failed.error and np.isnan(failed.predicted).all()


def test_smoothed_hazard_follows_a_constant_and_integrates() -> None:
    rng = np.random.default_rng(2)
    time, stop = rng.exponential(10, 4000), np.full(4000, 20.0)
    smooth = smoothed_hazard(SurvivalData(np.minimum(time, stop), time <= stop), bandwidth=3.0)
    assert smooth.hazard == pytest.approx(np.full(101, 0.1), rel=0.25)
    assert np.nanmean((smooth.low <= 0.1) & (smooth.high >= 0.1)) > 0.8
    grid = np.linspace(-1, 1, 20001)
    for q in (0.0, 0.3, 0.7, 1.0):
        inside = grid[grid <= q]
        weight = boundary_kernel(inside, np.array(q), np.array(1.0))
        width = inside[1] - inside[0]
        assert weight.sum() * width == pytest.approx(1.0, abs=1e-3)
        # Order (0, 2): the first moment vanishes, which is what removes the bias at the boundary.
        assert (weight * inside).sum() * width == pytest.approx(0.0, abs=1e-3)
    assert boundary_kernel(np.array(0.5), np.array(1.0), np.array(1.0)) == pytest.approx(0.75 * 0.75)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Weibull", "weibull"),
        ("log-normal", "log_normal"),
        ("loglogistic", "log_logistic"),
        ("generalized gamma", "generalised_gamma"),
        ("mixture-cure", "mixture_cure_weibull"),
        ("weibull_mixture_cure", "mixture_cure_weibull"),
        ("non-mixture-cure-log-normal", "non_mixture_cure_log_normal"),
        ("spline3", "royston_parmar_3"),
        ("mixture_cure_rp2", "mixture_cure_royston_parmar_2"),
    ],
)
def test_model_names(text: str, name: str) -> None:
    assert str(parse_model(text)) == name


def test_unknown_model_names_the_nearest() -> None:
    with pytest.raises(InputError, match="weibull"):
        parse_model("weibul")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "no subjects"),
        (([1, np.nan], [1, 0]), "not a finite number"),
        (([1, -2], [1, 0]), "negative time"),
        (([0, 2], [1, 0]), "event at time 0"),
        (([1, 2], [1, 2]), "neither 0 nor 1"),
        (([1, 2], [1]), "different lengths"),
        (([1, 2], [1, 0], [0, 3]), "entry at or after"),
        (([1, 2], [1, 1], [0, 0], [0.5, np.nan]), "ends where or before"),
        (([1, 2], [1, 0], [0, 0], [], [0, 1]), "not positive"),
    ],
)
def test_data_that_is_refused(arguments: tuple[list[float], ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SurvivalData(*[np.array(a) for a in arguments])


def test_fits_that_are_refused(sample: SurvivalData) -> None:
    with pytest.raises(InputError, match="coefficients"):
        fit(SurvivalData(np.array([1.0, 2.0]), np.array([1, 0])), "weibull")
    with pytest.raises(InputError, match="collinear"):
        fit(sample, "weibull", covariates=np.ones(sample.n))
    with pytest.raises(InputError, match="one row per subject"):
        fit(sample, "weibull", covariates=np.ones(3))
    with pytest.raises(InputError, match="need a cure model"):
        fit(sample, "weibull", cure_covariates=np.arange(sample.n))
    with pytest.raises(InputError, match="different lengths"):
        fit(sample, "weibull", background=BackgroundRates(np.ones(3), np.ones(3)))
    with pytest.raises(InputError, match="wrong number of covariate values"):
        fit(sample, "weibull").law([1.0])
    with pytest.raises(InputError, match="at least two groups"):
        log_rank([sample])
    with pytest.raises(InputError, match="horizon"):
        kaplan_meier(sample).restricted_mean(1e6)
    with pytest.raises(InputError, match="shape"):
        Weibull(1.0, -1.0)
    with pytest.raises(CartsightError):
        fit(SurvivalData(np.full(30, 2.0), np.ones(30)), "royston_parmar_3")


def test_interval_censoring_has_no_kaplan_meier() -> None:
    data = SurvivalData(np.array([1.0, 2.0]), np.array([1, 1]), upper=np.array([1.5, np.nan]))
    with pytest.raises(InputError, match="no Kaplan-Meier"):
        kaplan_meier(data)
