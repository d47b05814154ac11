"""Maximum likelihood and means where the answer is a formula; nested laws; exact identities.

No tolerance here stands for a model error: 1e-6 relative covers the optimiser's stopping rule (Newton
decrement below 1e-7), 1e-9 covers rounding.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cartsight.evidence.survival import (
    Exponential,
    GeneralisedGamma,
    Gompertz,
    LogLogistic,
    LogNormal,
    MixtureCure,
    NonMixtureCure,
    RoystonParmar,
    SurvivalData,
    Weibull,
    aalen_johansen,
    fit,
    kaplan_meier,
)

T = np.array([0.01, 0.3, 1.0, 2.5, 7.0, 20.0])


@pytest.fixture(scope="module")
def sample() -> SurvivalData:
    rng = np.random.default_rng(20)
    time, stop = 6 * rng.weibull(1.4, 400), rng.uniform(3, 15, 400)
    entry = np.where(rng.uniform(size=400) < 0.3, rng.uniform(0, 2, 400), 0.0)
    exit_ = np.minimum(time, stop)
    keep = exit_ > entry
    return SurvivalData(exit_[keep], (time <= stop)[keep], entry[keep])


def test_exponential_maximum_and_information(sample: SurvivalData) -> None:
    fitted = fit(sample, "exponential")
    exposure = float(np.sum(sample.time - sample.entry))
    assert fitted.parameters["rate"] == pytest.approx(sample.events / exposure, rel=1e-9)
    # The observed information of the log rate is the number of events.
    assert fitted.covariance[0, 0] == pytest.approx(1 / sample.events, rel=1e-6)
    assert fitted.log_likelihood == pytest.approx(sample.events * (np.log(sample.events / exposure) - 1), rel=1e-12)


def test_weights_count_subjects(sample: SurvivalData) -> None:
    twice = SurvivalData(sample.time, sample.event, sample.entry, weight=np.full(sample.n, 2.0))
    one, two = fit(sample, "weibull"), fit(twice, "weibull")
    assert two.parameters == pytest.approx(one.parameters, rel=1e-6)
    assert two.covariance == pytest.approx(one.covariance / 2, rel=1e-5)


def test_spline_without_inner_knots_is_the_weibull(sample: SurvivalData) -> None:
    weibull, spline = fit(sample, "weibull"), fit(sample, "royston_parmar_0")
    assert spline.log_likelihood == pytest.approx(weibull.log_likelihood, rel=1e-10)
    shape, scale = weibull.parameters["shape"], weibull.parameters["scale"]
    assert spline.parameters["gamma_1"] == pytest.approx(shape, rel=1e-5)
    assert spline.parameters["gamma_0"] == pytest.approx(-shape * np.log(scale), rel=1e-5)
    law = RoystonParmar(np.array([-shape * np.log(scale), shape]), (-1.0, 2.0))
    assert law.survival(T) == pytest.approx(Weibull(scale, shape).survival(T), rel=1e-12)
    assert law.hazard(T) == pytest.approx(Weibull(scale, shape).hazard(T), rel=1e-12)


@pytest.mark.parametrize(
    ("law", "nested"),
    [
        (GeneralisedGamma(1.2, 0.7, 1.0), Weibull(np.exp(1.2), 1 / 0.7)),
        (GeneralisedGamma(1.2, 0.7, 0.0), LogNormal(1.2, 0.7)),
        (GeneralisedGamma(1.2, 1.0, 1.0), Exponential(np.exp(-1.2))),
    ],
)
def test_generalised_gamma_nests(law: GeneralisedGamma, nested: Weibull) -> None:
    assert law.survival(T) == pytest.approx(nested.survival(T), rel=1e-11)
    assert law.hazard(T) == pytest.approx(nested.hazard(T), rel=1e-10)
    assert law.mean() == pytest.approx(nested.mean(), rel=1e-9)


def test_generalised_gamma_is_stacys() -> None:
    # scipy's gengamma(a, c, scale) is Stacy's: c = Q / sigma, a = 1 / Q^2, scale = exp(mu) Q^(2 sigma / Q).
    mu, sigma, q = 0.8, 0.6, 0.45
    other = stats.gengamma(1 / q**2, q / sigma, scale=np.exp(mu) * q ** (2 * sigma / q))
    law = GeneralisedGamma(mu, sigma, q)
    assert law.survival(T) == pytest.approx(other.sf(T), rel=1e-9)
    assert law.density(T) == pytest.approx(other.pdf(T), rel=1e-9)
    assert law.mean() == pytest.approx(other.mean(), rel=1e-9)


def test_likelihood_of_the_larger_model_is_not_smaller(sample: SurvivalData) -> None:
    gamma = fit(sample, "generalised_gamma").log_likelihood
    assert gamma >= fit(sample, "weibull").log_likelihood - 1e-7
    assert gamma >= fit(sample, "log_normal").log_likelihood - 1e-7
    assert fit(sample, "royston_parmar_2").log_likelihood >= fit(sample, "weibull").log_likelihood - 1e-7
    assert fit(sample, "mixture_cure_weibull").log_likelihood >= fit(sample, "weibull").log_likelihood - 1e-5


@pytest.mark.parametrize(
    ("law", "reference"),
    [
        (Weibull(3.0, 1.5), stats.weibull_min(1.5, scale=3.0)),
        (LogNormal(1.0, 0.8), stats.lognorm(0.8, scale=np.e)),
        (LogLogistic(3.0, 2.5), stats.fisk(2.5, scale=3.0)),
        (Gompertz(0.1, 0.2), stats.gompertz(0.5, scale=5.0)),
    ],
)
def test_laws_against_scipy(law: Weibull, reference: stats.rv_continuous) -> None:
    assert law.survival(T) == pytest.approx(reference.sf(T), rel=1e-10)
    assert law.density(T) == pytest.approx(reference.pdf(T), rel=1e-10)
    assert law.mean() == pytest.approx(reference.mean(), rel=1e-8)
    assert law.quantile([0.9, 0.5, 0.01]) == pytest.approx(reference.isf([0.9, 0.5, 0.01]), rel=1e-10)


def test_restricted_mean_of_exponential_and_of_cure() -> None:
    assert Exponential(0.3).restricted_mean(5) == pytest.approx((1 - np.exp(-1.5)) / 0.3, rel=1e-12)
    # The contract survival of section 3.2 of the oracle: S = 0.4 + 0.6 exp(-t).
    law = MixtureCure(0.4, Exponential(1.0))
    assert law.restricted_mean(2) == pytest.approx(0.8 + 0.6 * (1 - np.exp(-2)), rel=1e-12)
    assert law.survival([0.5, 1.0, 1.5]) == pytest.approx(0.4 + 0.6 * np.exp(-np.array([0.5, 1, 1.5])), rel=1e-14)


def test_gompertz_and_cure_limits() -> None:
    assert Gompertz(0.1, -0.05).cure_fraction == pytest.approx(np.exp(-2))
    assert Gompertz(0.1, -0.05).survival(np.inf) == pytest.approx(np.exp(-2), rel=1e-12)
    assert Gompertz(0.1, 0.0).survival(3.0) == pytest.approx(np.exp(-0.3), rel=1e-14)
    assert NonMixtureCure(0.25, Weibull(2.0, 1.0)).survival(np.inf) == pytest.approx(0.25)
    # With an exponential kernel the non-mixture hazard is Gompertz's with a negative shape.
    gompertz = Gompertz(-np.log(0.25) * 0.5, -0.5)
    assert NonMixtureCure(0.25, Exponential(0.5)).survival(T) == pytest.approx(gompertz.survival(T), rel=1e-12)


def test_cumulative_incidences_and_survival_add_up() -> None:
    rng = np.random.default_rng(3)
    time, code = np.ceil(rng.exponential(10, 300)), rng.integers(0, 4, 300)
    causes = aalen_johansen(time, code)
    anything = kaplan_meier(SurvivalData(time, code > 0))
    assert sum(c.incidence for c in causes) == pytest.approx(1 - anything.survival, abs=1e-12)
    # With a single cause the incidence is one minus Kaplan-Meier and so is its variance (Greenwood).
    (only,) = aalen_johansen(time, code > 0)
    below = anything.survival > 0
    assert only.variance[below] == pytest.approx(anything.survival[below] ** 2 * anything.log_variance[below], rel=1e-9)


def test_restricted_mean_standard_error_against_the_jackknife() -> None:
    rng = np.random.default_rng(9)
    time, stop = rng.exponential(5, 150), rng.uniform(2, 12, 150)
    data = SurvivalData(np.minimum(time, stop), time <= stop)
    tau = 6.0
    _, standard_error = kaplan_meier(data).restricted_mean(tau)
    keep = ~np.eye(150, dtype=bool)
    means = np.array([kaplan_meier(data.subset(row)).restricted_mean(tau)[0] for row in keep])
    jackknife = np.sqrt(149 / 150 * np.sum((means - means.mean()) ** 2))
    # The two estimators agree to order 1/n.
    assert standard_error == pytest.approx(jackknife, rel=0.03)
