"""A fit in the terms of a scenario: the same curve, its interval, its joint uncertainty, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from cartsight.core.errors import InputError
from cartsight.evidence.survival import SCENARIO_MODELS, Fit, SurvivalData, best_scenario_law, fit, scenario_law
from cartsight.evidence.survival.scenario_law import SHAPE_LIMITS
from cartsight.scenario.survival import Shape, SurvivalLaw


def sample(n: int, seed: int, cure: float = 0.0, shape: float = 1.6, follow_up: float = 60.0) -> SurvivalData:
    rng = np.random.default_rng(seed)
    time = np.where(rng.uniform(size=n) < cure, np.inf, 10.0 * rng.weibull(shape, n))
    stop = rng.uniform(0.6 * follow_up, follow_up, n)
    return SurvivalData(np.minimum(time, stop), time <= stop)


@pytest.fixture(scope="module")
def with_cure() -> SurvivalData:
    return sample(600, 3, cure=0.35)


@pytest.fixture(scope="module")
def without_cure() -> SurvivalData:
    return sample(400, 4)


@pytest.mark.parametrize("model", SCENARIO_MODELS)
def test_the_scenarios_law_is_the_fitted_curve(model: str, with_cure: SurvivalData, without_cure: SurvivalData) -> None:
    fitted = fit(with_cure if model.startswith("mixture") else without_cure, model)
    law = scenario_law(fitted)
    raw: dict[str, object] = {"law": law.law}
    for name, unit in (("median", "days"), ("shape", "ratio"), ("cured", "probability")):
        if name in law.numbers:
            one = law.numbers[name]
            assert one.low < one.value < one.high
            raw[name] = {"value": one.value, "unit": unit, "assumed": "fitted"}
    stated = SurvivalLaw.model_validate(raw)
    times = np.array([0.5, 3.0, 8.0, 15.0, 40.0])
    assert [stated.survival(t) for t in times] == pytest.approx(fitted.law().survival(times), rel=1e-9, abs=1e-12)
    assert ("cured" in law.numbers) == model.startswith("mixture")
    assert len(law.correlations) == len(law.numbers) * (len(law.numbers) - 1) // 2


def test_exponential_interval_by_hand() -> None:
    # The information of the log rate is the number of events d, so that the log median has the error 1 / sqrt(d).
    data = sample(150, 5, shape=1.0, follow_up=20.0)
    median = scenario_law(fit(data, "exponential")).numbers["median"]
    assert median.value == pytest.approx(np.log(2.0) * data.time.sum() / data.events, rel=1e-6)
    half = 1.959964 / np.sqrt(data.events)
    assert [median.low, median.high] == pytest.approx(median.value * np.exp([-half, half]), rel=1e-4)


def test_weibull_interval_by_the_delta_method_by_hand(without_cure: SurvivalData) -> None:
    # log median = log scale + ln(ln 2) / shape, differentiated by hand.
    fitted = fit(without_cure, "weibull")
    shape = fitted.parameters["shape"]
    gradient = np.array([1.0, -np.log(np.log(2.0)) / shape])
    error = np.sqrt(gradient @ fitted.covariance @ gradient)
    median = scenario_law(fitted).numbers["median"]
    assert np.log(median.high / median.low) == pytest.approx(2 * 1.959964 * error, rel=1e-5)
    covariance = gradient @ fitted.covariance @ np.array([0.0, 1.0])
    pearson = covariance / error / fitted.standard_errors[1]
    # Spearman of a bivariate normal; 20 000 draws leave an error of 0.007.
    assert scenario_law(fitted).correlations[0][2] == pytest.approx(6 / np.pi * np.arcsin(pearson / 2), abs=0.025)


def test_gompertz_correlation_is_that_of_the_draws(without_cure: SurvivalData) -> None:
    fitted = fit(without_cure, "gompertz")
    law = scenario_law(fitted)
    beta = fitted.draw(20_000, np.random.default_rng(9))
    drawn = fitted.law(coefficients=beta).quantile(np.array([0.5]))[:, 0]
    assert law.correlations[0][2] == pytest.approx(spearmanr(drawn, drawn * beta[:, 1]).statistic, abs=0.02)
    median = law.numbers["median"]
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([median.low, median.high], rel=0.02)


def test_intervals_cover_the_truth() -> None:
    # 200 fits: the coverage of a 95 % interval has an error of 1.5 points; three of them either way.
    median, shape = 10.0 * np.log(2.0) ** (1 / 1.6), 1.6
    inside = np.zeros(2)
    for seed in range(200):
        found = scenario_law(fit(sample(120, 1000 + seed, follow_up=20.0), "weibull"), draws=100).numbers
        inside += [
            found["median"].low < median < found["median"].high,
            found["shape"].low < shape < found["shape"].high,
        ]
    assert np.all((inside / 200 > 0.90) & (inside / 200 < 0.995))


def test_bounds_are_those_of_the_scenario() -> None:
    assert (Shape.minimum, Shape.maximum) == SHAPE_LIMITS


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("royston_parmar_1", "spline"),
        ("generalised_gamma", "two shapes"),
        ("non_mixture_cure_weibull", "non-mixture"),
        ("mixture_cure_generalised_gamma", "two shapes"),
    ],
)
def test_what_a_scenario_cannot_state_is_refused(model: str, why: str, with_cure: SurvivalData) -> None:
    with pytest.raises(InputError, match=why) as caught:
        scenario_law(fit(with_cure, model))
    assert "mixture_cure_log_normal" in str(caught.value)


def test_a_hazard_that_need_not_rise_is_no_gompertz() -> None:
    with pytest.raises(InputError, match="rising hazard"):
        scenario_law(fit(sample(300, 8, shape=0.7), "gompertz"))


def test_a_cure_that_the_data_do_not_show_is_no_estimate(without_cure: SurvivalData) -> None:
    with pytest.raises(InputError, match="no estimate"):
        scenario_law(fit(without_cure, "mixture_cure_log_normal"))


def test_covariates_are_refused(without_cure: SurvivalData) -> None:
    x = np.random.default_rng(2).normal(size=without_cure.n)
    with pytest.raises(InputError, match="no covariates"):
        scenario_law(fit(without_cure, "weibull", covariates=x))


def test_a_shape_beyond_the_scenarios_bounds_is_refused() -> None:
    rng = np.random.default_rng(1)
    data = SurvivalData(10.0 * rng.weibull(40.0, 100), np.ones(100, dtype=bool))
    with pytest.raises(InputError, match="shape is outside"):
        scenario_law(fit(data, "weibull"))


def test_the_best_that_can_be_stated_and_what_was_passed_over(without_cure: SurvivalData) -> None:
    fits = [fit(without_cure, name) for name in ("exponential", "weibull", "log_logistic", "mixture_cure_weibull")]
    law, _ = best_scenario_law(fits)
    assert law.fitted.name == min((f for f in fits if not f.has_cure), key=lambda f: f.aic).name == "weibull"
    falling = sample(300, 8, shape=0.7)
    pair: list[Fit] = [fit(falling, "gompertz"), fit(falling, "exponential")]
    law, passed = best_scenario_law(pair)
    assert law.fitted.name == "exponential"
    assert len(passed) == 1
    assert "gompertz" in passed[0]
    with pytest.raises(InputError, match="no model that a scenario can state"):
        best_scenario_law(pair[:1])
