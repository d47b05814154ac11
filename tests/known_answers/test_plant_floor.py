"""The floor of the autologous plant against closed forms and arithmetic by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cartsight.core.logit_normal import logit_normal_mixture_intercept, logit_normal_mixture_intercept_given
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AutologousArm, Site
from cartsight.simulation import FlowResult, compile_model
from cartsight.simulation.pathways import build_model, generate_patients, observation_window, run_flow
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.flow import simulate_patients
from cartsight.simulation.pathways.load import lost_to_closure
from cartsight.simulation.pathways.plants import line_changes, media_fill_days, shift_calendar
from tests.scenario_builder import Raw, build, days, minimal_scenario, number, per_year, probability

RUN, TESTING = 9.0, 9.0


def quiet(process: Raw | None = None, arm: Raw | None = None, *, patients: int = 400, **site: Any) -> Scenario:
    """Return a scenario without attrition, failures or spread in the plant, changed as stated."""
    raw = minimal_scenario()
    for state in raw["population"]["health_states"].values():
        state["death"] = state["ineligibility"] = per_year(0.0)
    raw["analysis"]["patients"] = patients
    mine = raw["arms"]["autologous"]
    mine["process"] |= {
        "manufacturing": days(RUN),
        "release_testing": days(TESTING),
        "manufacturing_failure": probability(0.0),
        "out_of_specification": probability(0.0),
    } | (process or {})
    mine.update(arm or {})
    (plant,) = mine["sites"].values()
    plant |= {"lines": 300, "quality_control_lanes": 300} | site
    return build(raw)


def plant_of(scenario: Scenario) -> Site:
    arm = scenario.arms["autologous"]
    assert isinstance(arm, AutologousArm)
    return arm.plants[0]


def flow_of(scenario: Scenario, seed: int = 5) -> FlowResult:
    window = observation_window(scenario)
    everyone = generate_patients(scenario, seed, window)
    model = compile_model(build_model(scenario, "autologous", window))
    return simulate_patients(scenario, model, everyone, seed, window, arm_name="autologous")


def supply(**changes: Any) -> Raw:
    source = {
        "units_per_lot": number(1, "count"),
        "lead_time": days(20),
        "failure": probability(0.0),
        "shelf_life": days(10_000),
    }
    return {"source": source, "reorder_point": 19, "order_up_to": 20, "initial_stock": 20, **changes}


@pytest.mark.parametrize("base_stock", [15, 20, 25])
def test_base_stock_of_vector_meets_palms_theorem(base_stock: int) -> None:
    # One-for-one orders, Poisson starts, constant lead time: the units on order are Poisson with mean rate x lead time, so
    # a start finds the stock empty with P(N >= S) (Palm 1938; Feeney & Sherbrooke 1966). Starts are Poisson because
    # independent thinning and independent delays keep a Poisson stream Poisson.
    changes = {"reorder_point": base_stock - 1, "order_up_to": base_stock, "initial_stock": base_stock}
    scenario = quiet(arm={"supplies": {"vector": supply(**changes)}}, patients=4000)
    plant = run_flow(scenario, "autologous", 3).plant
    assert plant is not None
    rate = plant.started / (plant.years * 365.25)
    expected = float(stats.poisson.sf(base_stock - 1, rate * 20.0))
    share = plant.counts["starts without vector"] / plant.started
    # Stock-outs come in runs as long as a lead time: about one independent look per 20 days.
    looks = plant.years * 365.25 / 20.0
    assert abs(share - expected) < 4.0 * math.sqrt(expected * (1.0 - expected) / looks) + 0.01
    assert (
        abs(plant.counts["vector share of days without stock"] - float(stats.poisson.sf(base_stock - 1, rate * 20)))
        < 0.12
    )


def test_learning_follows_the_number_made() -> None:
    learning = {"batches_before": 10, "doublings_at_most": 3, "ratio_of_manufacturing_time": number(0.8, "ratio")}
    result = flow_of(quiet({"learning": learning}))
    entity, started = result.patients.log.of(t.BATCH_STARTED)
    _, released_of = result.patients.log.of(t.PRODUCT_RELEASED)
    released = dict(zip(result.patients.log.of(t.PRODUCT_RELEASED)[0].tolist(), released_of.tolist(), strict=True))
    made = np.arange(1, started.size + 1)
    doublings = np.minimum(np.log2((10 + made) / 10), 3.0)
    expected = RUN * 0.8**doublings
    found = np.array([released[e] for e in entity.tolist()]) - started - TESTING
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_breakdowns_and_lost_runs_come_at_their_rates() -> None:
    breakdown = {"between": days(50), "repair": days(2), "run_lost": probability(0.4)}
    scenario = quiet(patients=2000, lines=40, breakdown=breakdown, quality_control_lanes=300)
    plant = run_flow(scenario, "autologous", 7).plant
    assert plant is not None
    expected = 40 / 50 * plant.years * 365.25
    assert abs(plant.counts["repairs"] - expected) < 4.0 * math.sqrt(expected)
    lost = 0.4 / 50 * plant.counts["line days in runs"]
    assert abs(plant.counts["runs lost to breakdowns"] - lost) < 4.0 * math.sqrt(lost)
    assert plant.counts["runs lost to breakdowns"] == plant.failed
    # Busy by repair: lines x repair / between, beside the runs.
    busy = plant.utilisation("line") * 40 * plant.years * 365.25
    assert busy - plant.counts["line days in runs"] == pytest.approx(2.0 * expected, rel=4.0 / math.sqrt(expected))


def test_comparability_opens_a_process_on_the_day_that_adds_up() -> None:
    plan = {
        "starts_on_day": 100,
        "lots": 3,
        "days_per_lot": days(4),
        "study": days(90),
        "divergence": probability(0.0),
        "further_lots": 2,
        "further_time": days(150),
    }

    def first_start(divergence: float, before: str) -> tuple[float, float]:
        version = {
            "manufacturing": days(2),
            "comparability": plan | {"divergence": probability(divergence), "before": before},
        }
        result = flow_of(quiet(arm={"processes": {"fast": version}}, processes=["standard", "fast"]))
        day = result.patients.log.of("batch started: fast")[1]
        rejected = result.patients.log.names
        return float(day.min()), float(
            "out of specification: not comparable" in rejected
            and result.patients.log.of("out of specification: not comparable")[1].size
        )

    opens = 100 + 3 * 4 + 90
    assert opens <= first_start(0.0, "standard")[0] < opens + 15
    later = opens + 2 * 4 + 150
    assert later <= first_start(1.0, "standard")[0] < later + 15
    at_risk, rejected = first_start(1.0, "at_risk")
    assert 100 + 3 * 4 <= at_risk < 100 + 3 * 4 + 15
    assert rejected > 0
    assert first_start(0.0, "at_risk")[1] == 0


def test_changeovers_take_their_time_and_campaigns_save_them() -> None:
    version = {"manufacturing": days(3), "share": probability(0.5)}

    def plant_with(campaign: int | None) -> Any:
        change = {"time": days(1)} | ({} if campaign is None else {"longest_campaign": campaign})
        scenario = quiet(
            arm={"processes": {"fast": version}, "changeover": change}, processes=["standard", "fast"], lines=8
        )
        return run_flow(scenario, "autologous", 11).plant

    single, campaigns = plant_with(None), plant_with(8)
    for plant in (single, campaigns):
        # Each takes a day; those that straddle the ends of the window count in part.
        assert abs(plant.counts["changeover days"] - plant.counts["changeovers"]) <= 16
        fast = plant.counts["batches started by fast"]
        runs = 3.0 * fast + RUN * (plant.started - fast)
        assert plant.counts["line days in runs"] == pytest.approx(runs, abs=2 * 8 * RUN)
    assert campaigns.counts["changeovers"] < 0.8 * single.counts["changeovers"]


def test_stated_shares_and_mean_time_hold_with_effects_of_the_starting_material() -> None:
    raw = minimal_scenario()
    mine = raw["arms"]["autologous"]
    mine["process"] |= {
        "manufacturing_failure": probability(0.12),
        "out_of_specification": probability(0.2),
        "odds_ratio_if_worsened": number(1.0, "odds_ratio"),
        "patient_sd": number(1.0, "log_odds"),
    }
    effects = {
        "ratio_of_manufacturing_time": number(0.9, "ratio"),
        "odds_ratio_manufacturing_failure": number(0.4, "odds_ratio"),
        "odds_ratio_out_of_specification": number(0.5, "odds_ratio"),
    }
    mine["starting_material"] = {
        "leukapheresis": {
            "cd4-cd8-ratio": {
                "value": number(1.0, "ratio", law="lognormal", cv=0.8, centre="median"),
                "per": "doubling",
                "reference": 2.0,
                "same_patient_correlation": number(0.6, "correlation"),
                **effects,
            }
        },
        "patient": {
            "prior-lines": {
                "few": {"share": probability(0.6)},
                "many": {"share": probability(0.4), "odds_ratio_out_of_specification": number(3.0, "odds_ratio")},
            }
        },
        "age": {
            "reference": number(50, "years"),
            "step": number(10, "years"),
            "odds_ratio_manufacturing_failure": number(1.4, "odds_ratio"),
        },
    }
    mine["sites"]["central plant"] = {"lines": 3000, "quality_control_lanes": 3000}
    raw["analysis"]["patients"] = 8000
    raw["care_pathway"]["infusion_bed"]["beds_per_hospital"] = 200
    flow = run_flow(build(raw), "autologous", 17)
    trajectories = flow.trajectories
    first: dict[int, float] = {}
    failed: dict[int, float] = {}
    rejected: dict[int, float] = {}
    for table, kind in ((first, t.BATCH_STARTED), (failed, t.BATCH_FAILED), (rejected, t.OUT_OF_SPECIFICATION)):
        rows, day = trajectories.events(kind)
        for row, on in zip(rows.tolist(), day.tolist(), strict=True):
            table[row] = min(on, table.get(row, math.inf))
    rows, day = trajectories.events(t.BATCH_STARTED)
    second: dict[int, float] = {}
    for row, on in sorted(zip(rows.tolist(), day.tolist(), strict=True), key=lambda item: item[1]):
        if on > first[row]:
            second.setdefault(row, on)
    n = len(first)
    lost = sum(1 for row, on in failed.items() if on <= second.get(row, math.inf))
    assert abs(lost / n - 0.12) < 4.0 * math.sqrt(0.12 * 0.88 / n)
    finished = n - lost
    out = sum(1 for row, on in rejected.items() if on <= second.get(row, math.inf))
    # Patients who leave before release are in the denominator: a few in a hundred.
    assert abs(out / finished - 0.2) < 4.0 * math.sqrt(0.2 * 0.8 / finished) + 0.01
    # The stated mean manufacturing time is that of all runs.
    ratio = trajectories.extra["leukapheresis: cd4-cd8-ratio"]
    assert float(np.nanmedian(ratio)) == pytest.approx(1.0, abs=0.05)
    category = trajectories.extra["patient: prior-lines"]
    many = {row for row in first if category[row] == 1.0}
    share = {
        group: len(group & rejected.keys()) / len(group) for group in (frozenset(many), frozenset(first.keys() - many))
    }
    assert share[frozenset(many)] > 1.5 * share[frozenset(first.keys() - many)]


def test_intercepts_of_mixtures_meet_direct_sampling() -> None:
    rng = np.random.default_rng(3)
    size = 400_000
    group = rng.random(size) < 0.3
    z = rng.standard_normal((2, size))
    first_effect = 1.2 * z[0]
    second_effect = 0.5 * z[0] + 0.8 * z[1]
    covariance, sds = 1.2 * 0.5, (1.2, math.hypot(0.5, 0.8))
    shifts = (np.array([0.0, 0.7]), np.array([0.2, -1.0]))
    a = logit_normal_mixture_intercept(0.1, sds[0], shifts[0], [0.7, 0.3])
    b = logit_normal_mixture_intercept_given(0.25, sds, covariance, shifts, [0.7, 0.3], 0.1)
    shift = np.where(group, shifts[0][1], shifts[0][0]), np.where(group, shifts[1][1], shifts[1][0])
    p_first = 1.0 / (1.0 + np.exp(-(a + shift[0] + first_effect)))
    p_second = 1.0 / (1.0 + np.exp(-(b + shift[1] + second_effect)))
    assert float(p_first.mean()) == pytest.approx(0.1, abs=0.0015)
    assert float((p_second * (1.0 - p_first)).sum() / (1.0 - p_first).sum()) == pytest.approx(0.25, abs=0.002)


def test_openings_ramps_and_expansions_by_hand() -> None:
    site = plant_of(
        quiet(
            lines=10,
            opens_on_day=100,
            ramp_up=[[0, 2], [30, 6], [90, 10]],
            expansions={"hall": {"decided_on_day": 50, "lead_time": days(200), "lines": 5}},
        )
    )
    assert line_changes(site) == ((0.0, 0), (100.0, 2), (130.0, 6), (190.0, 10), (250.0, 15))
    fills = media_fill_days(plant_of(quiet(lines=10, media_fills={"per_year": 2, "days": 3})), 1)
    assert [lines for _, _, lines in fills] == [3.0, 3.0, 2.0, 2.0] * 2
    assert fills[0][:2] == (91.0, 94.0) and fills[1][:2] == (94.0, 97.0)
    shifts = [
        {"days": ["mon", "tue"], "from_hour": 6, "to_hour": 18, "teams": 4},
        {"days": ["tue"], "from_hour": 12, "to_hour": 24, "teams": 3},
    ]
    scenario = quiet({"hands_on_start": days(0.1)}, operator_shifts=shifts, operators_trained=probability(0.5))
    most, calendar = shift_calendar(plant_of(scenario))
    # Half of 4, of 4 + 3 and of 3 teams, rounded down.
    assert most == 3
    assert calendar.windows == ((0.25, 0.75, 2.0), (1.25, 1.5, 2.0), (1.5, 1.75, 3.0), (1.75, 2.0, 1.0))


def test_days_lost_to_a_closure() -> None:
    # A run of 10 days ends inside a closure of 2 with chance 2/10 and then waits 1 day on average.
    assert lost_to_closure(2.0, 10.0) == pytest.approx(0.2)
    # A closure of 30 days costs all of it but the half run that was in progress.
    assert lost_to_closure(30.0, 10.0) == pytest.approx(25.0)
    assert lost_to_closure(10.0, 10.0) == pytest.approx(5.0)
