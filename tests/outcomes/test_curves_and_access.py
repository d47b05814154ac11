"""Curves on both clocks and access metrics, by hand on small tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
import trajectory_builder as tb
from scenario_builder import build

from cartsight.core.errors import InputError
from cartsight.evidence.survival.competing_events import aalen_johansen
from cartsight.outcomes import (
    access_metrics,
    cumulative_incidence,
    event_free_survival,
    median_months,
    overall_survival,
    progression_free_survival,
    simulate_outcomes,
)
from cartsight.outcomes.access import spread
from cartsight.simulation.pathways import trajectory as t

MONTH = 365.25 / 12.0


def test_overall_survival_counts_the_living_on_both_clocks() -> None:
    r = simulate_outcomes(tb.trajectories(800), build(), "autologous", 1)
    at = [0.0, 6.0, 24.0, 120.0]
    referral = overall_survival(r, at)
    assert referral.share == pytest.approx([np.mean(r.death_day > m * MONTH) for m in at])
    infused = overall_survival(r, at, "infusion")
    since = (r.death_day - r.infusion_day)[r.infused]
    assert infused.share == pytest.approx([np.mean(since > m * MONTH) for m in at])
    assert referral.patients == 800 and infused.patients == int(r.infused.sum())
    assert referral.standard_error[2] == pytest.approx(math.sqrt(referral.share[2] * (1 - referral.share[2]) / 800))


def test_progression_free_is_below_overall_and_event_free_below_both_parts() -> None:
    r = simulate_outcomes(tb.trajectories(800), build(), "autologous", 1)
    at = np.arange(0.0, 120.0, 3.0)
    assert np.all(progression_free_survival(r, at).share <= overall_survival(r, at, "infusion").share)
    assert np.all(event_free_survival(r, at).share <= overall_survival(r, at).share)
    # In the long run only infused patients without progression are free of an event.
    free = r.infused & (np.minimum(r.progression_day, r.death_day) > 117.0 * MONTH)
    assert event_free_survival(r, at).share[-1] == pytest.approx(free.mean())


def test_a_curve_ends_where_the_horizon_cuts_the_follow_up() -> None:
    r = simulate_outcomes(tb.trajectories(200), build(analysis={"horizon_years": 2}), "autologous", 1)
    assert np.isfinite(overall_survival(r, [24.0]).share[0])
    assert np.isnan(overall_survival(r, [24.5]).share[0])
    assert np.isnan(overall_survival(r, [24.0], "infusion").share[0])


def test_nobody_infused_and_median() -> None:
    r = simulate_outcomes(tb.trajectories(201, modality="other_care"), build(), "other_care", 1)
    assert np.isnan(overall_survival(r, [12.0], "infusion").share[0])
    assert math.isnan(median_months(r, "infusion"))
    assert median_months(r) == pytest.approx(np.median(r.death_day) / MONTH)


def test_bad_times_and_clock() -> None:
    r = simulate_outcomes(tb.trajectories(20), build(), "autologous", 1)
    for bad in ([-1.0], [float("nan")], [float("inf")]):
        with pytest.raises(InputError, match="months"):
            overall_survival(r, bad)
    with pytest.raises(InputError, match="clock"):
        overall_survival(r, [1.0], "diagnosis")  # type: ignore[arg-type]


def test_cumulative_incidences_share_out_everybody() -> None:
    flow = tb.trajectories(1000)
    days = np.array([0.0, 20.0, 60.0, 1000.0])
    c = cumulative_incidence(flow, days)
    assert c.infused + c.died_waiting + c.left + c.still_waiting == pytest.approx(np.ones(4))
    assert c.still_waiting[0] == 1.0 and c.still_waiting[-1] == pytest.approx(0.0)
    assert c.infused[-1] == pytest.approx(flow.infused.mean())
    assert c.infused[2] == pytest.approx(np.mean(flow.infused & (flow.end_day <= 60.0)))
    assert np.all(np.diff(c.infused) >= 0)


def test_access_metrics_by_hand() -> None:
    flow = tb.trajectories(1000)
    a = access_metrics(flow)
    infused = flow.infused
    collected = np.isfinite(flow.day[t.LEUKAPHERESIS])
    assert (a.referred, a.infused, a.collected) == (1000, int(infused.sum()), int(collected.sum()))
    assert a.share_infused_of_collected == pytest.approx(infused.sum() / collected.sum())
    assert a.vein_to_vein_days.median == pytest.approx(np.median((flow.end_day - flow.day[t.LEUKAPHERESIS])[infused]))
    assert a.brain_to_vein_days.median == pytest.approx(
        np.median((flow.end_day - flow.day["step: eligibility"])[infused])
    )
    assert a.decision_step == "eligibility"
    assert sum(a.endings.values()) == 1000
    assert list(a.endings.values()) == sorted(a.endings.values(), reverse=True)
    assert access_metrics(flow, "consult").brain_to_vein_days.median > a.brain_to_vein_days.median


def test_access_without_infusions_or_collections() -> None:
    a = access_metrics(tb.trajectories(50, modality="other_care"))
    assert a.infused == 0 and math.isnan(a.share_infused_of_collected) and a.vein_to_vein_days.patients == 0
    stock = access_metrics(tb.trajectories(50, modality="allogeneic"))
    assert stock.collected == 0 and stock.vein_to_vein_days.patients == 0 and stock.brain_to_vein_days.patients > 0


def test_access_bad_input() -> None:
    flow = tb.trajectories(10)
    with pytest.raises(InputError, match="Did you mean 'eligibility'"):
        access_metrics(flow, "eligibilty")
    with pytest.raises(InputError, match="days"):
        cumulative_incidence(flow, [-1.0])
    with pytest.raises(InputError, match="no patients"):
        cumulative_incidence(tb.trajectories(0), [1.0])


def test_spread_leaves_out_nan() -> None:
    s = spread(np.array([1.0, 2.0, np.nan, 3.0]))
    assert (s.patients, s.median, s.mean) == (3, 2.0, 2.0)


def test_cumulative_incidence_is_the_aalen_johansen_estimate() -> None:
    flow = tb.trajectories(400)
    died = flow.has_status(t.DIED)
    code = np.where(flow.infused, 1, np.where(died, 2, 3))
    days = np.array([10.0, 40.0, 80.0])
    ours = cumulative_incidence(flow, days)
    estimates = aalen_johansen(flow.end_day, code)
    for estimate, incidence in zip(estimates, (ours.infused, ours.died_waiting, ours.left), strict=True):
        assert incidence == pytest.approx(estimate.incidence_at(days), abs=1e-12)
