"""Inversion of survival laws: S(T) = exp(-E) for every law, with a cured share and a hazard ratio."""

from __future__ import annotations

import numpy as np
import pytest
from scenario_builder import days, number, probability

from cartsight.core.errors import InputError
from cartsight.outcomes.event_times import event_times
from cartsight.scenario.survival import SurvivalLaw

LAWS = [
    ("exponential", None),
    ("weibull", 0.6),
    ("weibull", 1.8),
    ("log_logistic", 1.3),
    ("lognormal", 1.1),
    ("gompertz", 0.05),
    ("gompertz", 2.5),
]
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


def test_gompertz_by_hand() -> None:
    # Shape ln 3: the hazard at the median is three times that at day 0, S(t) = 2^-((3^(t/m) - 1) / 2).
    one = law("gompertz", np.log(3.0))
    assert [one.survival(t) for t in (0.0, 150.0, 300.0, 450.0)] == pytest.approx([1.0, 0.5, 2.0**-4, 2.0**-13])
    times = event_times(one, np.log(2.0) * np.array([0.0, 1.0, 4.0, 13.0]))
    assert times == pytest.approx([0.0, 150.0, 300.0, 450.0])
    early, late = (-np.diff(np.log([one.survival(t), one.survival(t + 1e-4)]))[0] for t in (0.0, 150.0))
    assert late / early == pytest.approx(3.0, rel=1e-4)
    assert event_times(law("gompertz", np.log(3.0), cured=0.2), np.array([-np.log(0.6)])) == pytest.approx([150.0])


def test_gompertz_tends_to_the_exponential_and_does_not_overflow() -> None:
    times = event_times(law("gompertz", 0.05), VARIATES)
    assert times[:5] == pytest.approx(event_times(law("exponential", None), VARIATES)[:5], rel=0.03)
    assert law("gompertz", 20.0).survival(1e6) == 0.0
    assert np.isinf(event_times(law("gompertz", 20.0), np.array([np.inf]))[0])


@pytest.mark.parametrize("shape", [0.0, -0.5])
def test_gompertz_of_falling_hazard_is_refused(shape: float) -> None:
    with pytest.raises(ValueError, match="out of bounds"):
        law("gompertz", shape)
