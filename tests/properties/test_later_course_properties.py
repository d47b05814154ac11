"""Invariants of later lines, transplant and secondary malignancy over random scenarios."""

from __future__ import annotations

from typing import Any

import numpy as np
import trajectory_builder as tb
from hypothesis import given, settings
from hypothesis import strategies as st
from scenario_builder import build, days, money, months, number, probability, utility

from cartsight.economics.pricing import cost_ledger, price_patients
from cartsight.outcomes import Outcomes, simulate_outcomes
from cartsight.outcomes.later_course import uncontrolled_stays
from cartsight.outcomes.qaly_breakdown import qalys_by_state
from cartsight.outcomes.states import state_occupancy
from cartsight.scenario import Scenario

ARMS = ("autologous", "allogeneic", "in_vivo")
SETTINGS = settings(max_examples=20, deadline=None)
shares = st.floats(0.0, 1.0)


@st.composite
def laws(draw: st.DrawFn) -> dict[str, Any]:
    law = draw(st.sampled_from(("exponential", "weibull", "log_logistic", "lognormal", "gompertz")))
    found: dict[str, Any] = {"law": law, "median": months(draw(st.floats(0.3, 40.0)))}
    if law != "exponential":
        found["shape"] = number(draw(st.floats(0.4, 2.5)), "ratio")
    if draw(st.booleans()):
        found["cured"] = probability(draw(st.floats(0.0, 0.9)))
    return found


@st.composite
def lines(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {
        "label": "a later line",
        "share": probability(draw(shares)),
        "response": probability(draw(shares)),
        "time_to_failure": draw(laws()),
        "assessment": days(draw(st.floats(0.0, 200.0))),
        "utility_in_response": utility(draw(st.floats(0.0, 1.0))),
        "cost_at_start": money(draw(st.floats(0.0, 3e5))),
    }
    if draw(st.booleans()):
        found["cost_per_month"] = money(20_000)
        if draw(st.booleans()):
            found["paid_for_at_most"] = months(draw(st.floats(0.0, 12.0)))
    if draw(st.booleans()):
        found["treatment_related_mortality"] = probability(draw(st.floats(0.0, 0.9)))
    return found


@st.composite
def transplants(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "share_in_first_response": probability(draw(shares)),
        "share_in_later_response": probability(draw(shares)),
        "after": days(draw(st.floats(0.0, 400.0))),
        "hazard_ratio_of_relapse": number(draw(st.sampled_from((0.0, 0.3, 1.0))), "hazard_ratio"),
        "treatment_related_mortality": probability(draw(st.floats(0.0, 0.9))),
        "cost": money(250_000),
        "utility_loss": utility(draw(st.floats(0.0, 0.3))),
        "lasts": days(draw(st.floats(0.0, 500.0))),
    }


def malignancy(share: float, loss: float = 0.2, **more: Any) -> dict[str, Any]:
    return {
        "probability": probability(share),
        "within": months(36),
        "survival": {"law": "exponential", "median": months(20)},
        "utility_loss": utility(loss),
        "cost_at_start": money(30_000),
        "cost_per_month": money(2_000),
        **more,
    }


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "after_relapse": {
            "lines": {f"line {k}": one for k, one in enumerate(draw(st.lists(lines(), min_size=1, max_size=3)))}
        },
        "transplant": draw(transplants()),
        "secondary_malignancy": malignancy(draw(st.floats(0.0, 0.9))),
        "retreatment": {"share": probability(draw(shares)), "odds_ratio_of_response": number(0.7, "odds_ratio")},
    }


def run(scenario: Scenario, arm: str, seed: int, patients: int = 150) -> tuple[Any, Outcomes]:
    flow = tb.trajectories(patients, modality=arm, lot_effect_sd=0.3 if arm != "autologous" else 0.0)
    return flow, simulate_outcomes(flow, scenario, arm, seed)


def of(arm: str, horizon: float = 40.0, **change: Any) -> Scenario:
    return build(analysis={"horizon_years": horizon}, arms={arm: change})


@SETTINGS
@given(tables(), st.sampled_from(ARMS), st.floats(0.5, 80.0), st.integers(0, 2**63 - 1))
def test_everybody_is_somewhere_and_sums_agree(change: dict[str, Any], arm: str, horizon: float, seed: int) -> None:
    scenario = of(arm, horizon, **change)
    flow, r = run(scenario, arm, seed)
    later = r.later
    assert later is not None
    at = np.linspace(0.0, horizon * 12.0 * 0.999, 40)
    occupancy = state_occupancy(r, at)
    np.testing.assert_allclose(sum(occupancy.values()), 1.0, atol=1e-12)
    alive = np.array([np.mean(r.death_day > month * 365.25 / 12.0) for month in at])
    np.testing.assert_allclose(1.0 - occupancy["dead"], alive, atol=1e-12)
    states = qalys_by_state(r, scenario, flow.patients.age)
    np.testing.assert_allclose(sum(states.values()), r.qalys_discounted, rtol=1e-10, atol=1e-10)
    assert np.all(r.qalys_discounted <= r.life_years_discounted + 1e-9)
    costs = price_patients(flow, r, scenario, arm)
    ledger = cost_ledger(flow, r, scenario, arm)
    assert np.all(costs.amount >= 0.0) and np.isfinite(costs.amount).all()
    assert np.isclose(ledger.total(), costs.amount.sum(), rtol=1e-10)
    rate = scenario.analysis.discount_rate_costs
    assert np.isclose(ledger.discounted(rate).total(), costs.total_discounted.sum(), rtol=1e-9)
    assert sum(r.deaths_by_cause().values()) == len(r)


@SETTINGS
@given(tables(), st.sampled_from(ARMS), st.integers(0, 2**63 - 1))
def test_lines_follow_each_other_and_fill_the_time_after_failure(change: dict[str, Any], arm: str, seed: int) -> None:
    _, r = run(of(arm, **change), arm, seed)
    assert r.later is not None
    now = r.relapse_care_day
    responding = np.zeros(len(r))
    received = np.isfinite(now)
    for line in r.later.lines.values():
        given_ = np.isfinite(line.start_day)
        assert not np.any(given_ & ~received)
        np.testing.assert_array_equal(line.start_day[given_], now[given_])
        assert np.all(line.failure_day[given_] >= line.start_day[given_])
        assert not np.any(line.responded & ~given_)
        lasted = np.minimum(line.failure_day, r.survival_days) - line.start_day
        responding[line.responded] += lasted[line.responded]
        received, now = given_, line.failure_day
    uncontrolled = np.zeros(len(r))
    for patient, start, end in uncontrolled_stays(r.relapse_care_day, r.later, r.survival_days):
        np.add.at(uncontrolled, patient, end - start)
    after = np.where(np.isfinite(r.relapse_care_day), r.survival_days - r.relapse_care_day, 0.0)
    np.testing.assert_allclose(responding + uncontrolled, after, atol=1e-6)


@SETTINGS
@given(tables(), st.sampled_from(ARMS), st.floats(0.0, 0.45), st.floats(1.0, 2.0), st.integers(0, 2**63 - 1))
def test_more_secondary_malignancy_never_adds_qalys(
    change: dict[str, Any], arm: str, share: float, more: float, seed: int
) -> None:
    # Utilities of the states are 0.55 and above here: the new cancer never turns a year into a loss.
    for line in change["after_relapse"]["lines"].values():
        line["utility_in_response"] = utility(0.6)
    change["transplant"]["utility_loss"] = utility(0.1)
    few, many = (of(arm, **{**change, "secondary_malignancy": malignancy(p)}) for p in (share, share * more))
    (_, one), (_, other) = run(few, arm, seed), run(many, arm, seed)
    assert np.all(other.life_years <= one.life_years + 1e-12)
    assert np.all(other.qalys_discounted <= one.qalys_discounted + 1e-12)
    assert one.later is not None and other.later is not None
    # Onset moves forward; a patient who dies of it earlier was already ill.
    died_earlier = other.death_day < one.death_day
    assert np.all(np.isfinite(other.later.secondary_malignancy_day[died_earlier]))


@SETTINGS
@given(lines(), st.sampled_from(ARMS), st.integers(0, 2**63 - 1))
def test_a_line_without_deaths_of_its_own_shortens_nobodys_life(line: dict[str, Any], arm: str, seed: int) -> None:
    line.pop("treatment_related_mortality", None)
    first = {"label": "first", **line}
    _, without = run(of(arm), arm, seed)
    _, with_line = run(of(arm, after_relapse={"lines": {"new": first}}), arm, seed)
    assert np.all(with_line.life_years >= without.life_years)
    np.testing.assert_array_equal(with_line.relapse_day[without.dead], without.relapse_day[without.dead])


@SETTINGS
@given(st.sampled_from(ARMS), st.integers(0, 2**63 - 1))
def test_tables_that_nobody_uses_change_no_bit(arm: str, seed: int) -> None:
    idle = {
        "label": "idle",
        "share": probability(0.0),
        "response": probability(1.0),
        "time_to_failure": {"law": "exponential", "median": months(5)},
        "assessment": days(60),
        "utility_in_response": utility(0.8),
        "cost_at_start": money(1e6),
    }
    nobody = {
        "share_in_first_response": probability(0.0),
        "after": days(30),
        "hazard_ratio_of_relapse": number(0.1, "hazard_ratio"),
        "treatment_related_mortality": probability(0.5),
        "cost": money(1e6),
        "utility_loss": utility(0.5),
        "lasts": days(100),
    }
    unused = of(arm, after_relapse={"lines": {"idle": idle}}, transplant=nobody, secondary_malignancy=malignancy(0.0))
    flow, plain = run(of(arm), arm, seed)
    _, again = run(unused, arm, seed)
    for name, values in plain.columns().items():
        np.testing.assert_array_equal(again.columns()[name], values, err_msg=name)
    costs, same = price_patients(flow, plain, of(arm), arm), price_patients(flow, again, unused, arm)
    np.testing.assert_array_equal(costs.amount, same.amount)
    np.testing.assert_array_equal(costs.discounted, same.discounted)


def test_a_line_that_nobody_answers_costs_money_and_changes_no_life() -> None:
    deaf = {
        "label": "deaf",
        "share": probability(1.0),
        "response": probability(0.0),
        "time_to_failure": {"law": "exponential", "median": months(5)},
        "assessment": days(60),
        "utility_in_response": utility(0.8),
        "cost_at_start": money(10_000),
    }
    flow, plain = run(of("autologous"), "autologous", 3, 400)
    scenario = of("autologous", after_relapse={"lines": {"deaf": deaf}})
    _, again = run(scenario, "autologous", 3, 400)
    np.testing.assert_array_equal(plain.death_day, again.death_day)
    np.testing.assert_allclose(plain.qalys_discounted, again.qalys_discounted, rtol=1e-12)
    costs = price_patients(flow, again, scenario, "autologous")
    treated = np.isfinite(plain.relapse_care_day)
    assert treated.sum() > 100
    np.testing.assert_array_equal(costs.of("later lines", discounted=False), np.where(treated, 10_000.0, 0.0))
