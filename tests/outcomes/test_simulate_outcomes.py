"""Rules of the outcomes stage, patient by patient, and bad input."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import trajectory_builder as tb
from scenario_builder import build, days, number, probability, utility

from cartsight.core.errors import InputError
from cartsight.outcomes import CAUSES_OF_DEATH, Outcomes, PatientDraws, simulate_outcomes
from cartsight.simulation.pathways import trajectory as t

ARMS = ("autologous", "allogeneic", "in_vivo", "other_care")


def equal(a: Outcomes, b: Outcomes) -> bool:
    for field in dataclasses.fields(Outcomes):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, dict):
            if not all(np.array_equal(x[k], y[k]) for k in x):
                return False
        elif isinstance(x, np.ndarray):
            if not np.array_equal(x, y, equal_nan=x.dtype.kind == "f"):
                return False
        elif x != y:
            return False
    return True


@pytest.mark.parametrize("arm", ARMS)
def test_same_seed_same_result_with_and_without_shared_draws(arm: str) -> None:
    flow, scenario = tb.trajectories(modality=arm), build()
    shared = PatientDraws(flow.patients, 7)
    first = simulate_outcomes(flow, scenario, arm, 7)
    assert equal(first, simulate_outcomes(flow, scenario, arm, 7, draws=shared))
    assert equal(first, simulate_outcomes(flow, scenario, arm, 7, draws=shared))
    assert not equal(first, simulate_outcomes(flow, scenario, arm, 8))


def test_a_patient_s_outcome_does_not_depend_on_the_others() -> None:
    flow, scenario = tb.trajectories(300), build()
    whole = simulate_outcomes(flow, scenario, "autologous", 7)
    half = np.arange(0, 300, 2)
    people = t.Patients(*(getattr(flow.patients, f.name)[half] for f in dataclasses.fields(t.Patients)))
    part = dataclasses.replace(
        flow,
        patients=people,
        status=flow.status[half],
        end_day=flow.end_day[half],
        day={k: v[half] for k, v in flow.day.items()},
        worsened=flow.worsened[half],
        out_of_specification=flow.out_of_specification[half],
        expressed=flow.expressed[half],
        bridged=flow.bridged[half],
        courses=flow.courses[half],
        lot_effect=flow.lot_effect[half],
    )
    alone = simulate_outcomes(part, scenario, "autologous", 7)
    assert np.array_equal(alone.life_years, whole.life_years[half])
    assert np.array_equal(alone.qalys_discounted, whole.qalys_discounted[half])


def test_died_while_waiting_dies_on_the_exit_day() -> None:
    flow = tb.trajectories()
    result = simulate_outcomes(flow, build(), "autologous", 1)
    died = flow.has_status(t.DIED)
    assert died.any()
    assert np.array_equal(result.death_day[died], flow.end_day[died])
    assert np.all(result.death_cause[died] == 1)
    assert not np.any(result.death_cause[~died] == 1)


def test_order_of_days_and_what_never_happens_is_infinite() -> None:
    for arm in ARMS:
        flow = tb.trajectories(2000, modality=arm)
        r = simulate_outcomes(flow, build(), arm, 1)
        assert np.all(r.exit_day >= 0.0)
        assert np.all(r.death_day >= r.exit_day)
        assert np.all(r.death_day[~np.isfinite(r.death_day)] == np.inf)
        assert np.all((r.relapse_day >= r.progression_day) | ~np.isfinite(r.relapse_day))
        relapsed = np.isfinite(r.relapse_day)
        assert np.array_equal(r.relapse_day[relapsed], r.progression_day[relapsed])
        for day in (r.progression_day, r.relapse_day, r.relapse_care_day):
            assert np.all(np.isinf(day) | (day < r.survival_days))
            assert np.all(np.isinf(day[~r.infused]))
        assert np.all(r.survival_days == np.minimum(r.death_day, r.horizon_days))
        assert np.array_equal(np.isnan(r.infusion_day), ~r.infused)
        assert not np.any(r.cured & (r.response != 2))
        assert not np.any(r.cured & np.isfinite(r.relapse_day))
        assert not np.any(r.retreated & ~relapsed)
        assert not np.any(r.responded_again & ~r.retreated)
        assert sum(r.deaths_by_cause().values()) == len(r)
        assert tuple(r.deaths_by_cause()) == CAUSES_OF_DEATH


def test_second_course_only_in_arms_that_offer_it() -> None:
    scenario = build()
    flow = tb.trajectories(2000, modality="allogeneic")
    again = simulate_outcomes(flow, scenario, "allogeneic", 1)
    assert again.retreated.sum() > 20
    assert np.all(
        again.relapse_care_day[again.retreated & ~again.responded_again]
        == again.relapse_day[again.retreated & ~again.responded_again]
    )
    later = again.responded_again & np.isfinite(again.relapse_care_day)
    assert np.all(again.relapse_care_day[later] > again.relapse_day[later])
    without = simulate_outcomes(tb.trajectories(2000), scenario, "autologous", 1)
    assert not without.retreated.any() and without.adverse_events_second_course == {}


def test_redosing_moves_the_clock_of_response() -> None:
    flow = tb.trajectories(2000, modality="in_vivo")
    r = simulate_outcomes(flow, build(), "in_vivo", 1)
    twice = r.infused & np.isfinite(flow.day[t.REDOSING_VISIT])
    assert twice.any()
    assert r.last_course_day[twice] == pytest.approx(r.infusion_day[twice] + 21.0)
    failed = twice & (r.response == 0) & np.isfinite(r.progression_day)
    assert r.progression_day[failed] == pytest.approx(r.infusion_day[failed] + 21.0 + 30.0)


def test_horizon_truncates_everything() -> None:
    flow = tb.trajectories(1000)
    short = simulate_outcomes(flow, build(analysis={"horizon_years": 1}), "autologous", 1)
    long = simulate_outcomes(flow, build(), "autologous", 1)
    assert short.life_years.max() == 1.0
    assert short.life_years == pytest.approx(np.minimum(long.life_years, 1.0))
    assert np.all(short.qalys <= long.qalys + 1e-12)
    assert np.all(np.isinf(short.death_day[short.death_cause == 0]))


def test_qalys_of_one_stay_by_hand() -> None:
    """Without age decline and adverse events a cured patient has waiting and remission, nothing else."""
    flat = {"per_year": number(0.0, "ratio"), "per_year_squared": number(0.0, "ratio")}
    never = {"probability": probability(0.0)}
    scenario = build(
        population={"utility_by_age": flat},
        analysis={"discount_rate_effects": 0.0},
        arms={
            "autologous": {
                "toxicity": {"events": dict.fromkeys(("CRS grade 3+", "ICANS grade 3+", "prolonged cytopenia"), never)}
            }
        },
    )
    flow = tb.trajectories(1000, infusion_day=50.0)
    r = simulate_outcomes(flow, scenario, "autologous", 1)
    cured = r.cured
    years = r.survival_days / 365.25
    wait = 50.0 / 365.25
    assert r.qalys[cured] == pytest.approx(0.7 * wait + 0.82 * (years[cured] - wait))
    failed = r.infused & (r.response == 0) & np.isfinite(r.progression_day)
    start = 80.0 / 365.25
    assert r.qalys[failed] == pytest.approx(0.7 * start + 0.55 * (years[failed] - start))
    elsewhere = ~r.infused & (r.exit_day < r.survival_days)
    assert r.qalys[elsewhere] == pytest.approx(0.7 * wait + 0.6 * (years[elsewhere] - wait))


def test_adverse_events_cost_utility_while_they_last() -> None:
    certain = {"probability": probability(1.0), "utility_loss": utility(0.4), "lasts": days(36.525)}
    flat = {"per_year": number(0.0, "ratio"), "per_year_squared": number(0.0, "ratio")}
    base = build(population={"utility_by_age": flat}, analysis={"discount_rate_effects": 0.0})
    with_event = build(
        population={"utility_by_age": flat},
        analysis={"discount_rate_effects": 0.0},
        arms={"autologous": {"toxicity": {"events": {"CRS grade 3+": certain}}}},
    )
    flow = tb.trajectories(2000)
    before = simulate_outcomes(flow, base, "autologous", 1)
    after = simulate_outcomes(flow, with_event, "autologous", 1)
    fresh = after.infused & ~before.adverse_events["CRS grade 3+"] & (after.survival_days > after.infusion_day + 37.0)
    assert before.qalys[fresh] - after.qalys[fresh] == pytest.approx(0.04)
    assert np.array_equal(before.life_years, after.life_years)
    assert np.array_equal(before.qalys[~before.infused], after.qalys[~before.infused])


def test_negative_utilities_are_allowed() -> None:
    low = build(population={"other_care": {"utility": utility(-0.2)}})
    r = simulate_outcomes(tb.trajectories(500, modality="other_care"), low, "other_care", 1)
    assert r.qalys.min() < 0.0


def test_certain_non_relapse_mortality_kills_at_the_infusion() -> None:
    scenario = build(arms={"autologous": {"efficacy": {"non_relapse_mortality": probability(1.0)}}})
    flow = tb.trajectories(300)
    r = simulate_outcomes(flow, scenario, "autologous", 1)
    assert np.array_equal(r.death_day[r.infused], r.infusion_day[r.infused])


@pytest.mark.parametrize("arm", ARMS)
def test_no_patients_and_nobody_infused(arm: str) -> None:
    nobody = simulate_outcomes(tb.trajectories(0, modality=arm), build(), arm, 1)
    assert len(nobody) == 0 and nobody.qalys.shape == (0,)
    lost = simulate_outcomes(tb.trajectories(30, modality=arm, infused_share=0.0), build(), arm, 1)
    assert not lost.infused.any() and np.all(lost.qalys > 0.0)


def test_bad_input() -> None:
    flow, scenario = tb.trajectories(50), build()
    with pytest.raises(InputError, match=r"unknown arm.*Did you mean 'autologous'"):
        simulate_outcomes(flow, scenario, "autologus", 1)
    with pytest.raises(InputError, match="without a product"):
        simulate_outcomes(flow, scenario, "other_care", 1)
    with pytest.raises(InputError, match="draws"):
        simulate_outcomes(flow, scenario, "autologous", 1, draws=PatientDraws(flow.patients, 2))
    others = tb.trajectories(40, people=tb.patients(40))
    with pytest.raises(InputError, match="draws"):
        simulate_outcomes(flow, scenario, "autologous", 1, draws=PatientDraws(others.patients, 1))


def test_draws_follow_their_patients() -> None:
    flow = tb.trajectories(50)
    draws = PatientDraws(flow.patients, 2)
    assert draws.for_patients(flow.patients) is draws
    fewer = tb.patients(20)
    assert len(draws.for_patients(fewer)) == 20
    assert np.array_equal(draws.for_patients(fewer).uniform("cure"), draws.uniform("cure")[:20])
    with pytest.raises(ValueError, match="read-only"):
        draws.uniform("cure")[0] = 0.5


def test_columns_hold_every_patient() -> None:
    r = simulate_outcomes(tb.trajectories(40), build(), "autologous", 1)
    columns = r.columns()
    assert {"death_day", "qalys_discounted", "adverse_events: CRS grade 3+"} <= columns.keys()
    assert all(column.shape == (40,) for column in columns.values())
