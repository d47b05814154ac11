"""Ten survival models on 10 000 patients, with joint covariance, beside lifelines in the same run.

Run: ``python benchmarks/survival_fits.py [patients]``. Times are wall clock, best of two; ratios are what to quote.
lifelines fits seven of the ten; the other three are timed alone. The log likelihoods are printed beside each other, so
that a quick answer cannot be a wrong one.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from cartsight.evidence.survival import Fit, SurvivalData, fit

MODELS = (
    "exponential",
    "weibull",
    "gompertz",
    "log_logistic",
    "log_normal",
    "generalised_gamma",
    "royston_parmar_2",
    "mixture_cure_weibull",
    "mixture_cure_log_normal",
    "non_mixture_cure_weibull",
)


def patients(n: int) -> SurvivalData:
    """Return simulated patients: 35 % cured, Weibull for the others, staggered censoring."""
    rng = np.random.default_rng(1)
    event_time = np.where(rng.uniform(size=n) < 0.35, np.inf, 9 * rng.weibull(1.2, n))
    stop = rng.uniform(20, 60, n)
    return SurvivalData(np.minimum(event_time, stop), event_time <= stop)


def peers(knots: tuple[float, ...]) -> dict[str, Callable[[], Any]]:
    """Return lifelines' fitters for the models that it has."""
    import lifelines

    return {
        "exponential": lifelines.ExponentialFitter,
        "weibull": lifelines.WeibullFitter,
        "log_logistic": lifelines.LogLogisticFitter,
        "log_normal": lifelines.LogNormalFitter,
        "generalised_gamma": lifelines.GeneralizedGammaFitter,
        "royston_parmar_2": lambda: lifelines.SplineFitter(np.exp(knots)),
        "mixture_cure_weibull": lambda: lifelines.MixtureCureFitter(base_fitter=lifelines.WeibullFitter()),
    }


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the shorter of two runs and its result."""
    best, result = float("inf"), None
    for _ in range(2):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    return best, result


def main() -> None:
    """Print one line per model and the ratios."""
    data = patients(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
    print(f"{data.n} patients, {data.events} events")
    print(f"{'model':26s} {'ours s':>8s} {'lifelines s':>12s} {'ratio':>7s} {'loglik':>13s} {'lifelines':>13s}")
    ours_total = shared_ours = shared_theirs = 0.0
    fits: dict[str, tuple[float, Fit]] = {model: timed(lambda m=model: fit(data, m)) for model in MODELS}
    knots = fits["royston_parmar_2"][1].likelihood.family.knots  # type: ignore[attr-defined]
    rivals = peers(knots)
    for model, (seconds, fitted) in fits.items():
        ours_total += seconds
        line = f"{model:26s} {seconds:8.3f}"
        if model in rivals:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs, other = timed(lambda m=model: rivals[m]().fit(data.time, data.event))
            shared_ours, shared_theirs = shared_ours + seconds, shared_theirs + theirs
            line += (
                f" {theirs:12.3f} {theirs / seconds:7.1f} {fitted.log_likelihood:13.3f} {other.log_likelihood_:13.3f}"
            )
        else:
            line += f" {'-':>12s} {'-':>7s} {fitted.log_likelihood:13.3f} {'-':>13s}"
        print(line, flush=True)
    print(f"ten models: {ours_total:.2f} s")
    print(f"the models that both have: {shared_theirs / shared_ours:.1f} times as fast as lifelines")


if __name__ == "__main__":
    main()
