"""Guyot et al. 2012 (doi:10.1186/1471-2288-12-9): reconstruction of curves whose individual data are known.

The truth is simulated, so no printed figure is involved. Tolerances: 0.02 in survival up to 24 months (the
clicks are about 0.4 months apart and shake by 0.002), 3 % of the median, 0.06 in the log hazard ratio. Among
the last few patients at risk one event is a step of 0.05 or more, which bounds |dS| there.
"""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.evidence.survival import (
    Reconstruction,
    SurvivalData,
    fit,
    kaplan_meier,
    log_rank,
    number_at_risk,
    reconstruct,
)


def simulate(seed: int, n: int = 220, rate: float = 0.06, cure: float = 0.0) -> SurvivalData:
    rng = np.random.default_rng(seed)
    time = np.where(rng.uniform(size=n) < cure, np.inf, rng.exponential(1 / rate, n))
    stop = rng.uniform(8, 40, n)
    return SurvivalData(np.minimum(time, stop), time <= stop)


def digitise(data: SurvivalData, seed: int, noise: float = 0.002) -> tuple[np.ndarray, np.ndarray]:
    """Click along the curve at even times and at every third step, with a hand that shakes."""
    curve = kaplan_meier(data)
    t = np.unique(np.concatenate([np.linspace(0, data.last_time, 90), curve.time[::3]]))
    rng = np.random.default_rng(seed)
    return t, np.clip(curve.survival_at(t) + rng.normal(0, noise, t.size), 0, 1)


def rebuild(data: SurvivalData, seed: int = 1, *, with_events: bool = True, noise: float = 0.002) -> Reconstruction:
    risk_time = np.arange(0, data.last_time, 6.0)
    events = data.events if with_events else None
    return reconstruct(*digitise(data, seed, noise), risk_time, number_at_risk(data, risk_time), events)


@pytest.mark.parametrize("with_events", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_curve_median_and_counts_come_back(seed: int, with_events: bool) -> None:
    truth = simulate(seed)
    result = rebuild(truth, seed, with_events=with_events)
    old, new = kaplan_meier(truth), kaplan_meier(result.data)
    t = np.linspace(1, 24, 40)
    assert np.max(np.abs(old.survival_at(t) - new.survival_at(t))) < 0.02
    assert new.median.value == pytest.approx(old.median.value, rel=0.03)
    assert result.data.n == truth.n
    assert np.max(np.abs(result.diagnostics.at_risk_errors)) <= 1
    assert abs(result.data.events - truth.events) <= (2 if with_events else 4)
    assert result.diagnostics.largest_survival_error < 0.06
    assert result.diagnostics.mean_survival_error < 0.004


@pytest.mark.parametrize("seed", range(3))
def test_hazard_ratio_comes_back(seed: int) -> None:
    arms = simulate(seed, rate=0.05), simulate(100 + seed, rate=0.09)
    copies = tuple(rebuild(a, seed).data for a in arms)

    def log_ratio(pair: tuple[SurvivalData, ...]) -> float:
        rates = [fit(a, "exponential").parameters["rate"] for a in pair]
        return float(np.log(rates[1] / rates[0]))

    assert log_ratio(copies) == pytest.approx(log_ratio(arms), abs=0.06)
    assert log_rank(copies).chi_squared == pytest.approx(log_rank(arms).chi_squared, rel=0.25)


def test_exact_clicks_give_every_event_back() -> None:
    truth = simulate(7)
    curve = kaplan_meier(truth)
    t = np.concatenate([[0.0], curve.time])
    risk_time = np.arange(0, truth.last_time, 4.0)
    result = reconstruct(t, curve.survival_at(t), risk_time, number_at_risk(truth, risk_time), truth.events)
    assert result.data.events == truth.events
    assert all("held level" in repair for repair in result.repairs)
    assert result.diagnostics.events_error == 0
    assert np.array_equal(np.unique(result.data.time[result.data.event]), curve.time)


def test_only_the_number_of_patients_and_events() -> None:
    truth = simulate(3)
    t, s = digitise(truth, 3)
    result = reconstruct(t, s, [0], [truth.n], truth.events)
    assert abs(result.data.events - truth.events) <= 2
    assert kaplan_meier(result.data).median.value == pytest.approx(kaplan_meier(truth).median.value, rel=0.05)


def test_a_plateau_stays_a_plateau() -> None:
    truth = simulate(5, cure=0.4, rate=0.2)
    result = rebuild(truth)
    assert kaplan_meier(result.data).survival[-1] == pytest.approx(kaplan_meier(truth).survival[-1], abs=0.02)


def test_percent_order_and_small_slips_are_repaired_and_said() -> None:
    truth = simulate(2)
    t, s = digitise(truth, 2, noise=0.0)
    s = s.copy()
    s[10] += 0.01
    s[3] = 1.01
    order = np.random.default_rng(0).permutation(t.size)
    risk_time = np.arange(0, 36, 6.0)
    result = reconstruct(t[order], 100 * s[order], risk_time, number_at_risk(truth, risk_time), truth.events)
    text = " ".join(result.repairs)
    for word in ("percent", "pulled", "sorted", "levelled"):
        assert word in text
    assert result.diagnostics.largest_survival_error < 0.03


@pytest.mark.parametrize(
    ("clicks", "risk", "events", "message"),
    [
        (([0, 5], [1, 0.5]), ([], []), None, "numbers at risk are missing"),
        (([0, 5], [1, 0.5]), ([0, 5], [10, np.nan]), None, "row 2 of the at-risk table"),
        (([0, 5], [1, 0.5]), ([1, 5], [10, 4]), None, "must start at time 0"),
        (([0, 5], [1, 0.5]), ([0, 5], [10, 12]), None, "must not rise"),
        (([0, 5], [1, 0.5]), ([0, 5], [10, 4.5]), None, "whole"),
        (([0, 5], [1, 1.2]), ([0], [10]), None, "out of range"),
        (([0, 5, 6], [1, 0.5, 0.8]), ([0], [10]), None, "rises"),
        (([0, -3], [1, 0.5]), ([0], [10]), None, "negative time"),
        (([0], [1]), ([0], [10]), None, "at least two clicks"),
        (([0, np.nan], [1, 0.5]), ([0], [10]), None, "click 2"),
        (([0, 5], [1, 0.5]), ([0], [10]), 11, "total number of events"),
    ],
)
def test_what_cannot_be_repaired_is_refused(
    clicks: tuple[list[float], list[float]],
    risk: tuple[list[float], list[float]],
    events: int | None,
    message: str,
) -> None:
    with pytest.raises(InputError, match=message):
        reconstruct(*clicks, *risk, events)
