"""Pathways: nobody is lost, arms share their patients, and every count reconciles with the events behind it."""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.scenario import Scenario
from cartsight.simulation.pathways import check_arm, compile_arm, generate_patients, observation_window, run_flow
from cartsight.simulation.pathways import trajectory as t
from tests.scenario_builder import build, minimal_scenario, number, per_year, probability

ARMS = ("autologous", "allogeneic", "in_vivo", "other_care")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build(minimal_scenario())


@pytest.mark.parametrize("arm", ARMS)
def test_every_counted_patient_ends_once_and_events_lie_in_between(scenario: Scenario, arm: str) -> None:
    window = observation_window(scenario)
    everyone = generate_patients(scenario, 3, window)
    flow = run_flow(scenario, arm, 3, patients=everyone)
    trajectories = flow.trajectories
    assert len(trajectories) == int(everyone.counted.sum())
    ended = np.bincount(trajectories.status, minlength=len(trajectories.statuses))
    assert ended.sum() == len(trajectories)
    assert (trajectories.end_day >= 0).all()
    assert np.isfinite(trajectories.end_day).all()
    infused = trajectories.infused
    if arm == "other_care":
        assert not infused.any()
        return
    np.testing.assert_array_equal(~np.isnan(trajectories.day[t.INFUSION]), infused)
    np.testing.assert_allclose(trajectories.day[t.INFUSION][infused], trajectories.end_day[infused])
    before = trajectories.event_day <= trajectories.end_day[trajectories.event_patient] + 1e-9
    later_visits = np.isin(
        np.array(trajectories.event_kinds)[trajectories.event_kind], [t.REDOSING_VISIT, t.DOSE_TAKEN, t.SHIPMENT]
    )
    assert (before | later_visits).all()
    assert (trajectories.courses[infused] >= 1).all()


def test_arms_share_patients_and_the_steps_they_share(scenario: Scenario) -> None:
    flows = {arm: run_flow(scenario, arm, 5).trajectories for arm in ARMS}
    first = flows["autologous"]
    for trajectories in flows.values():
        np.testing.assert_array_equal(trajectories.patients.identity, first.patients.identity)
        np.testing.assert_array_equal(trajectories.patients.age, first.patients.age)
    step = next(name for name in first.day if name.startswith("step: "))
    for trajectories in flows.values():
        both = ~np.isnan(first.day[step]) & ~np.isnan(trajectories.day[step])
        np.testing.assert_array_equal(first.day[step][both], trajectories.day[step][both])


def test_the_plant_record_reconciles_with_the_events(scenario: Scenario) -> None:
    flow = run_flow(scenario, "autologous", 7)
    plant = flow.plant
    assert plant is not None
    # Batches in the window are those of all patients, so the counted patients' batches come close but not exactly.
    started = flow.trajectories.events(t.BATCH_STARTED)[0].size
    assert abs(plant.started - started) < 0.2 * started
    assert plant.failed <= plant.started
    assert plant.infused <= plant.released
    lots = run_flow(scenario, "allogeneic", 7).plant
    assert lots is not None
    assert lots.doses_taken >= lots.infused * 0.9


def test_failure_shares_are_the_stated_ones_whatever_the_patient_effect() -> None:
    raw = minimal_scenario()
    process = raw["arms"]["autologous"]["process"]
    process["manufacturing_failure"] = probability(0.2)
    process["patient_sd"] = number(1.5, "log_odds")
    process["odds_ratio_if_worsened"] = number(1.0, "odds_ratio")
    raw["analysis"]["patients"] = 6000
    flow = run_flow(build(raw), "autologous", 11)
    first = flow.trajectories.events(t.BATCH_STARTED)[0]
    failed = flow.trajectories.events(t.BATCH_FAILED)[0]
    had_batch = np.bincount(first, minlength=len(flow.trajectories)) > 0
    failures = np.bincount(failed, minlength=len(flow.trajectories))
    starts = np.bincount(first, minlength=len(flow.trajectories))
    # The share of first batches that fail: patients with a failure have failed their first batch.
    share = float((failures > 0)[had_batch].mean())
    again = float(((failures > 1) & (starts > 1)).sum() / max(int(((failures > 0) & (starts > 1)).sum()), 1))
    error = np.sqrt(0.2 * 0.8 / had_batch.sum())
    assert abs(share - 0.2) < 0.02 + 4 * error
    assert again > share + 0.05  # a patient whose cells failed once is likelier to fail again


def test_more_lines_never_delay_and_sicker_patients_are_lost_more() -> None:
    raw = minimal_scenario()
    base = run_flow(build(raw), "autologous", 13).trajectories
    raw["population"]["health_states"]["fit"]["death"] = per_year(1.5)
    sicker = run_flow(build(raw), "autologous", 13).trajectories
    assert sicker.infused.sum() < base.infused.sum()
    assert sicker.has_status(t.DIED).sum() > base.has_status(t.DIED).sum()
    waited = run_flow(build(minimal_scenario()), "autologous", 13, extra_wait_days=60).trajectories
    assert waited.infused.sum() < base.infused.sum()


def test_immunity_against_the_vector_stops_redosing() -> None:
    raw = minimal_scenario()
    arm = raw["arms"]["in_vivo"]
    arm["expression"] = probability(0.3)
    arm["redosing"]["maximum_courses"] = 3
    arm["redosing"]["immunity"] = per_year(0.0)
    free = run_flow(build(raw), "in_vivo", 17).trajectories
    arm["redosing"]["immunity"] = per_year(1000.0)
    immune = run_flow(build(raw), "in_vivo", 17).trajectories
    assert (immune.courses <= 1).all()
    assert free.courses.max() == 3
    # Three independent courses at 0.3: 1 - 0.7^3 express.
    share = free.expressed[free.infused].mean()
    error = np.sqrt(0.657 * 0.343 / free.infused.sum())
    assert abs(share - 0.657) < 4 * error
    assert immune.expressed[immune.infused].mean() < share


@pytest.mark.parametrize("arm", ARMS)
def test_checks_pass_on_every_modality(scenario: Scenario, arm: str) -> None:
    compiled = compile_arm(scenario, arm)
    assert len(compiled.row_names) > 3
    assert all(load < 1 for load in check_arm(scenario, arm).offered.values())


def test_overload_is_an_error_unless_it_is_the_question() -> None:
    raw = minimal_scenario()
    raw["care_pathway"]["infusion_bed"]["beds_per_hospital"] = 1
    raw["population"]["regions"]["north"]["hospitals"] = 1
    with pytest.raises(InputError, match="never empties") as caught:
        check_arm(build(raw), "autologous")
    assert "infusion bed" in str(caught.value)
    raw["analysis"]["allow_overload"] = True
    load = check_arm(build(raw), "autologous")
    assert any("never empties" in warning for warning in load.warnings)


def plant_with(**changes: object) -> Scenario:
    raw = minimal_scenario()
    (site,) = raw["arms"]["autologous"]["sites"].values()
    site.update(changes)
    if "quality_assurance_reviewers" in changes:
        raw["arms"]["autologous"]["process"]["quality_assurance_review"] = number(2.0, "days", law="lognormal", cv=0.3)
    return build(raw)


def test_operators_and_quality_assurance_bind_like_lines_do() -> None:
    free = run_flow(plant_with(), "autologous", 19)
    few_teams = run_flow(plant_with(operator_teams=9), "autologous", 19)
    assert few_teams.plant is not None and free.plant is not None
    assert few_teams.plant.utilisation("operators") > 0.6
    release = t.PRODUCT_RELEASED
    assert np.nanmean(few_teams.trajectories.day[release]) > np.nanmean(free.trajectories.day[release])
    reviewed = run_flow(plant_with(quality_assurance_reviewers=3), "autologous", 19)
    assert reviewed.plant is not None
    assert reviewed.plant.utilisation("quality assurance") > 0.3
    assert all(load < 1 for load in check_arm(plant_with(operator_teams=12), "autologous").offered.values())


def test_weekends_shutdowns_and_outages_delay_starts() -> None:
    free = run_flow(plant_with(), "autologous", 23).trajectories
    started = t.BATCH_STARTED
    closed = run_flow(
        plant_with(closed_to_starts=["sat", "sun"], yearly_shutdown_days=14, outages=[[500.0, 540.0]]),
        "autologous",
        23,
    ).trajectories
    rows, days = closed.events(started)
    absolute = closed.patients.referral_day[rows] + days
    assert (absolute % 7 < 5).all()
    assert not ((absolute >= 500) & (absolute < 540)).any()
    assert not ((absolute % 365 >= 355) | ((absolute > 365) & (absolute % 365 < 4))).any()
    both = ~np.isnan(free.day[started]) & ~np.isnan(closed.day[started])
    assert closed.day[started][both].mean() > free.day[started][both].mean()
