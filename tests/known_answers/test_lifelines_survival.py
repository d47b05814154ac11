"""lifelines 0.30 as a second implementation of estimates and fits.

Tolerances: estimates of the same closed formula agree to rounding (1e-9); maximum likelihood estimates agree
to 1e-4 relative, the accuracy to which lifelines' optimiser stops; log likelihoods to 1e-6 relative.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from cartsight.evidence.survival import (
    SurvivalData,
    aalen_johansen,
    fit,
    kaplan_meier,
    log_rank,
    nelson_aalen,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import lifelines
    from lifelines.datasets import load_rossi, load_waltons
    from lifelines.statistics import multivariate_logrank_test

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def waltons() -> SurvivalData:
    table = load_waltons()
    return SurvivalData(table["T"].to_numpy(float), table["E"].to_numpy())


@pytest.fixture(scope="module")
def truncated() -> SurvivalData:
    rng = np.random.default_rng(5)
    # Whole-number times force ties among events, censorings and entries.
    time = np.ceil(rng.weibull(1.3, 600) * 20)
    entry = np.floor(rng.uniform(0, 12, 600))
    keep = time > entry
    event = rng.uniform(size=600) < 0.7
    return SurvivalData(time[keep], event[keep], entry[keep])


def test_kaplan_meier_with_ties(waltons: SurvivalData) -> None:
    theirs = lifelines.KaplanMeierFitter().fit(waltons.time, waltons.event)
    ours = kaplan_meier(waltons)
    t = ours.time
    assert ours.survival == pytest.approx(theirs.survival_function_at_times(t).to_numpy(), abs=1e-9)
    limits = theirs.confidence_interval_survival_function_.loc[t].to_numpy()
    inner = ours.survival > 0
    assert ours.low[inner] == pytest.approx(limits[inner, 0], abs=1e-9)
    assert ours.high[inner] == pytest.approx(limits[inner, 1], abs=1e-9)
    assert ours.median.value == theirs.median_survival_time_


def test_kaplan_meier_left_truncated_with_ties(truncated: SurvivalData) -> None:
    theirs = lifelines.KaplanMeierFitter().fit(truncated.time, truncated.event, entry=truncated.entry)
    ours = kaplan_meier(truncated)
    assert ours.survival == pytest.approx(theirs.survival_function_at_times(ours.time).to_numpy(), abs=1e-9)


def test_nelson_aalen(truncated: SurvivalData) -> None:
    theirs = lifelines.NelsonAalenFitter(nelson_aalen_smoothing=False).fit(
        truncated.time, truncated.event, entry=truncated.entry
    )
    ours = nelson_aalen(truncated)
    assert ours.cumulative_hazard == pytest.approx(theirs.cumulative_hazard_at_times(ours.time).to_numpy(), abs=1e-9)


def test_log_rank_of_three_groups() -> None:
    rng = np.random.default_rng(11)
    time, event, arm = (
        np.ceil(rng.weibull(1.1, 300) * 15),
        rng.uniform(size=300) < 0.8,
        rng.integers(0, 3, 300),
    )
    ours = log_rank([SurvivalData(time[arm == k], event[arm == k]) for k in range(3)])
    theirs = multivariate_logrank_test(time, arm, event)
    assert ours.chi_squared == pytest.approx(theirs.test_statistic, rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.p_value, rel=1e-8)


def test_aalen_johansen_without_ties() -> None:
    rng = np.random.default_rng(2)
    # lifelines breaks ties at random, so the comparison uses data without any.
    time, code = rng.exponential(10, 250), rng.integers(0, 3, 250)
    ours = aalen_johansen(time, code)
    for incidence in ours:
        theirs = lifelines.AalenJohansenFitter().fit(time, code, event_of_interest=incidence.cause)
        expected = theirs.cumulative_density_.iloc[:, 0].reindex(incidence.time).to_numpy()
        assert incidence.incidence == pytest.approx(expected, abs=1e-9)
        # lifelines computes the same delta-method variance; its first steps differ by rounding only.
        variance = theirs.variance_.reindex(incidence.time).to_numpy().ravel()
        # With nobody left at risk its last variance is NaN under some versions of pandas.
        known = np.isfinite(variance)
        assert known[:-1].all()
        assert incidence.variance[5:][known[5:]] == pytest.approx(variance[5:][known[5:]], rel=1e-6)


PAIRS = {
    "exponential": ("ExponentialFitter", lambda p: {"rate": 1 / p["lambda_"]}),
    "weibull": ("WeibullFitter", lambda p: {"scale": p["lambda_"], "shape": p["rho_"]}),
    "log_normal": ("LogNormalFitter", lambda p: {"mu": p["mu_"], "sigma": p["sigma_"]}),
    "log_logistic": ("LogLogisticFitter", lambda p: {"scale": p["alpha_"], "shape": p["beta_"]}),
    "generalised_gamma": (
        "GeneralizedGammaFitter",
        lambda p: {"mu": p["mu_"], "sigma": np.exp(p["ln_sigma_"]), "Q": p["lambda_"]},
    ),
}


@pytest.mark.parametrize("model", PAIRS)
def test_univariate_fits_on_waltons(model: str, waltons: SurvivalData) -> None:
    name, translate = PAIRS[model]
    theirs = getattr(lifelines, name)().fit(waltons.time, waltons.event)
    ours = fit(waltons, model)
    assert ours.log_likelihood == pytest.approx(theirs.log_likelihood_, rel=1e-6)
    for parameter, value in translate(dict(theirs.params_)).items():
        assert ours.parameters[parameter] == pytest.approx(value, rel=1e-4)
    assert ours.aic == pytest.approx(theirs.AIC_, rel=1e-6)
    if model != "generalised_gamma":
        # The standard errors of lifelines are on its natural scale: compare after the delta method.
        se = dict(zip(ours.parameter_names, ours.standard_errors, strict=True))
        first = {
            "exponential": "lambda_",
            "weibull": "rho_",
            "log_normal": "sigma_",
            "log_logistic": "beta_",
        }[model]
        expected = theirs.summary.loc[first, "se(coef)"] / theirs.params_[first]
        last = ours.parameter_names[-1]
        assert se[last] == pytest.approx(expected, rel=1e-4)


def test_left_truncated_weibull(truncated: SurvivalData) -> None:
    theirs = lifelines.WeibullFitter().fit(truncated.time, truncated.event, entry=truncated.entry)
    ours = fit(truncated, "weibull")
    assert ours.log_likelihood == pytest.approx(theirs.log_likelihood_, rel=1e-6)
    assert ours.parameters["shape"] == pytest.approx(theirs.rho_, rel=1e-4)


def test_interval_censored_log_normal() -> None:
    rng = np.random.default_rng(8)
    time = rng.lognormal(1.5, 0.6, 300)
    low, high = np.floor(time), np.floor(time) + 1
    seen = low < 12
    theirs = lifelines.LogNormalFitter().fit_interval_censoring(
        np.where(seen, np.maximum(low, 1e-10), 12.0), np.where(seen, high, np.inf)
    )
    ours = fit(SurvivalData(np.where(seen, low, 12.0), seen, upper=np.where(seen, high, np.nan)), "log_normal")
    assert ours.parameters["mu"] == pytest.approx(theirs.mu_, rel=1e-4)
    assert ours.parameters["sigma"] == pytest.approx(theirs.sigma_, rel=1e-4)


@pytest.mark.parametrize("model", ["weibull", "log_normal", "log_logistic"])
def test_accelerated_failure_time_regression_on_rossi(model: str) -> None:
    table = load_rossi()
    names = ["fin", "age", "prio"]
    theirs = {
        "weibull": lifelines.WeibullAFTFitter,
        "log_normal": lifelines.LogNormalAFTFitter,
        "log_logistic": lifelines.LogLogisticAFTFitter,
    }[model]().fit(table[[*names, "week", "arrest"]].astype(float), "week", "arrest")
    data = SurvivalData(table["week"].to_numpy(float), table["arrest"].to_numpy())
    ours = fit(data, model, covariates=table[names].to_numpy(float), covariate_names=names)
    assert ours.log_likelihood == pytest.approx(theirs.log_likelihood_, rel=1e-6)
    assert ours.log_likelihood >= theirs.log_likelihood_ - 1e-6
    location = {"weibull": "lambda_", "log_normal": "mu_", "log_logistic": "alpha_"}[model]
    se = dict(zip(ours.parameter_names, ours.standard_errors, strict=True))
    for name in names:
        # lifelines stops a hundredth of a standard error short of the maximum on this flat likelihood.
        assert abs(ours.parameters[name] - theirs.params_[location][name]) < 0.01 * se[name]
        assert se[name] == pytest.approx(theirs.standard_errors_[location][name], rel=5e-3)


def test_spline_with_the_same_knots(waltons: SurvivalData) -> None:
    knots = np.array([10.0, 50.0, 75.0])
    theirs = lifelines.SplineFitter(knots).fit(waltons.time, waltons.event)
    ours = fit(waltons, "royston_parmar_1", knots=tuple(np.log(knots)))
    assert ours.log_likelihood == pytest.approx(theirs.log_likelihood_, rel=1e-6)
    t = np.array([15.0, 30.0, 50.0, 60.0])
    assert ours.law().survival(t) == pytest.approx(theirs.survival_function_at_times(t).to_numpy(), abs=1e-4)


def test_mixture_cure_weibull() -> None:
    rng = np.random.default_rng(4)
    cured = rng.uniform(size=500) < 0.35
    time = np.where(cured, np.inf, 8 * rng.weibull(1.4, 500))
    stop = rng.uniform(20, 50, 500)
    data = SurvivalData(np.minimum(time, stop), time <= stop)
    theirs = lifelines.MixtureCureFitter(base_fitter=lifelines.WeibullFitter()).fit(data.time, data.event)
    ours = fit(data, "mixture_cure_weibull")
    assert ours.log_likelihood == pytest.approx(theirs.log_likelihood_, rel=1e-6)
    assert ours.parameters["cure_fraction"] == pytest.approx(theirs.cured_fraction_, rel=1e-4)
