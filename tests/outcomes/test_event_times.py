"""Inversion of survival laws: S(T) = exp(-E) for every law, with a cured share and a hazard ratio."""

from __future__ import annotations

import numpy as np
import pytest
from scenario_builder import days, number, probability

from cartsight.core.errors import InputError
from cartsight.outcomes.event_times import event_times
from cartsight.scenario.survival import SurvivalLaw

LAWS = [("exponential", None), ("weibull", 0.6), ("weibull", 1.8), ("log_logistic", 1.3), ("lognormal", 1.1)]
VARIATES = np.array([1e-9, 1e-3, 0.1, 0.5, 0.9, 2.0, 5.0, 13.9, 14.1, 20.0])


def law(name: str, shape: float | None, cured: float | None = None) -> SurvivalLaw:
    raw = {"law": name, "median": days(150.0)}
    if shape is not None:
        raw["shape"] = number(shape, "ratio")
    if cured is not None:
        raw["cured"] = probability(cured)
    return SurvivalLaw.model_validate(raw)


@pytest.mark.parametrize(("name", "shape"), LAWS)
def test_survival_at_the_time_is_exp_of_minus_the_variate(name: str, shape: float | None) -> None:
    one = law(name, shape)
    times = event_times(one, VARIATES)
    assert [one.survival(t) for t in times] == pytest.approx(np.exp(-VARIATES), rel=1e-9)
    assert np.all(np.diff(times) > 0)


@pytest.mark.parametrize(("name", "shape"), LAWS)
def test_median_at_ln_2(name: str, shape: float | None) -> None:
    assert event_times(law(name, shape), np.array([np.log(2.0)]))[0] == pytest.approx(150.0, rel=1e-12)


@pytest.mark.parametrize(("name", "shape"), LAWS)
def test_cured_share_never_has_the_event(name: str, shape: float | None) -> None:
    one = law(name, shape, cured=0.3)
    survival = np.array([0.99, 0.8, 0.5, 0.31, 0.2999, 0.1])
    times = event_times(one, -np.log(survival))
    assert [one.survival(t) for t in times[:4]] == pytest.approx(survival[:4], rel=1e-9)
    assert np.all(np.isinf(times[4:]))


@pytest.mark.parametrize(("name", "shape"), LAWS)
@pytest.mark.parametrize("cured", [None, 0.3])
def test_hazard_ratio_is_a_power_of_survival(name: str, shape: float | None, cured: float | None) -> None:
    one = law(name, shape, cured)
    survival = np.array([0.95, 0.7, 0.4])
    times = event_times(one, -np.log(survival), np.array([1.7, 1.7, 1.7]))
    known = np.isfinite(times)
    assert np.array([one.survival(t) for t in times])[known] ** 1.7 == pytest.approx(survival[known], rel=1e-9)


def test_hazard_ratio_zero_means_never() -> None:
    for name, shape in LAWS:
        assert np.all(np.isinf(event_times(law(name, shape), VARIATES, 0.0)))


def test_negative_hazard_ratio_is_refused() -> None:
    with pytest.raises(InputError, match="hazard ratio"):
        event_times(law("exponential", None), VARIATES, -1.0)
