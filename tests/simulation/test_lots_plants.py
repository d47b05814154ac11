"""Plants of lots: release testing, people, calendar, added lines, cleaning, breakdowns, learning. Arithmetic by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.core.errors import InputError
from cartsight.simulation import FlowResult, compile_model
from cartsight.simulation.pathways import check_arm, generate_patients, observation_window, run_flow
from cartsight.simulation.pathways import lot_plants as plants
from cartsight.simulation.pathways.build import build_model
from cartsight.simulation.pathways.flow import simulate_patients
from cartsight.simulation.pathways.plant import PlantRecord
from tests.lots_floor_builder import with_lots
from tests.scenario_builder import Raw, build, days, lot_process, merged, minimal_scenario, money, number, probability

Float = npt.NDArray[np.float64]


def lots_raw(lines: int = 1, run: float = 2.0, testing: float = 10.0, **changes: Any) -> Raw:
    """Return a scenario whose order policy asks for forty lots on the first day; all times are certain."""
    base: Raw = {
        **lot_process(0.0),
        "lines": lines,
        "manufacturing": days(run),
        "release_testing": days(testing),
        "failure": probability(0.0),
        "rejection": probability(0.0),
        "shelf_life": days(5000),
        "reorder_point": 1500,
        "order_up_to": 1600,
        "initial_stock": 0,
    }
    raw = with_lots(merged(base, changes))
    raw["analysis"]["patients"] = 60
    return raw


def whole_run(raw: Raw, arm: str = "allogeneic") -> FlowResult:
    """Return everything that happened, the run-out included."""
    scenario = build(raw)
    window = observation_window(scenario)
    compiled = compile_model(build_model(scenario, arm, window))
    return simulate_patients(scenario, compiled, generate_patients(scenario, 3, window), 3, window)


def times(result: FlowResult, mark: str) -> Float:
    """Return when lots passed a mark, in order."""
    found = result.lots.mark(mark)
    return np.sort(found[~np.isnan(found)])


def record(raw: Raw) -> PlantRecord:
    """Return what the plants did in the window."""
    plant = run_flow(build(raw), "allogeneic", 3).plant
    assert plant is not None
    return plant


def starts(raw: Raw) -> Float:
    """Return the days of the first forty starts."""
    return times(whole_run(raw), "lot started")[:40]


def test_a_plant_that_limits_nothing_is_no_plant() -> None:
    plain = minimal_scenario()
    neutral = minimal_scenario()
    wide = {"quality_control_lanes": 5000, "operator_teams": 5000, "quality_control_instruments": 5000}
    for arm, section in (("allogeneic", {}), ("in_vivo", wide)):
        neutral["arms"][arm]["lots"]["plant"] = section
        one, two = run_flow(build(plain), arm, 11), run_flow(build(neutral), arm, 11)
        assert one.plant is not None and two.plant is not None
        np.testing.assert_array_equal(one.trajectories.end_day, two.trajectories.end_day)
        assert (one.plant.started, one.plant.released, one.plant.doses_taken) == (
            two.plant.started,
            two.plant.released,
            two.plant.doses_taken,
        )
        for name, value in one.plant.counts.items():
            assert two.plant.counts[name] == value, name


def test_one_lane_releases_a_lot_every_ten_days() -> None:
    unlimited = times(whole_run(lots_raw()), "lot released")[:40]
    np.testing.assert_allclose(unlimited, 12.0 + 2.0 * np.arange(40), atol=1e-6)
    one = times(whole_run(lots_raw(plant={"quality_control_lanes": 1})), "lot released")[:40]
    np.testing.assert_allclose(one, 12.0 + 10.0 * np.arange(40), atol=1e-6)
    # Two lanes but one instrument: the instrument binds.
    section = {"quality_control_lanes": 2, "quality_control_instruments": 1}
    np.testing.assert_allclose(times(whole_run(lots_raw(plant=section)), "lot released")[:40], one, atol=1e-6)


def test_a_lot_in_bulk_is_tested_on_a_lane_too() -> None:
    lots: Raw = {
        **lots_raw(plant={"quality_control_lanes": 1})["arms"]["allogeneic"]["lots"],
        "drug_substance": {
            "kind": "viral",
            "volume": number(100, "litres"),
            "titre": number(1e6, "transducing_units_per_millilitre"),
            "recovery": probability(0.5),
            "testing": days(5),
        },
        "fill": {"amount_per_dose": number(1e9, "transducing_units"), "loss": probability(0.0)},
    }
    del lots["doses_per_lot"]
    raw = with_lots(lots, "in_vivo")
    raw["analysis"]["patients"] = 60
    released = times(whole_run(raw, "in_vivo"), "lot released")
    # One lane works 5 + 10 days for every lot, in whatever order.
    assert released[-1] >= 15.0 * released.size
    assert released[0] >= 2.0 + 5.0 + 10.0
    assert np.all(np.diff(released) >= 10.0 - 1e-6)


def test_each_plant_has_its_own_lanes() -> None:
    released = times(whole_run(lots_raw(sites=2, plant={"quality_control_lanes": 1})), "lot released")[:40]
    np.testing.assert_allclose(released, np.repeat(12.0 + 10.0 * np.arange(20), 2), atol=1e-6)


def test_one_reviewer_releases_a_lot_every_fifteen_days() -> None:
    section = {"quality_assurance_reviewers": 1}
    released = times(whole_run(lots_raw(plant=section, quality_assurance_review=days(15))), "lot released")[:40]
    np.testing.assert_allclose(released, 27.0 + 15.0 * np.arange(40), atol=1e-6)
    # Without a limit on reviewers the review only takes its time.
    released = times(whole_run(lots_raw(quality_assurance_review=days(15))), "lot released")[:40]
    np.testing.assert_allclose(released, 27.0 + 2.0 * np.arange(40), atol=1e-6)


def test_two_teams_run_two_of_three_lines() -> None:
    expected = np.repeat(2.0 * np.arange(20), 2)
    np.testing.assert_allclose(starts(lots_raw(lines=3, plant={"operator_teams": 2})), expected, atol=1e-6)
    # Half of four teams are trained.
    trained = {"operator_teams": 4, "operators_trained": probability(0.5)}
    np.testing.assert_allclose(starts(lots_raw(lines=3, plant=trained)), expected, atol=1e-6)


def test_shifts_say_when_runs_start() -> None:
    shift = {"days": ["mon"], "from_hour": 0, "to_hour": 12, "teams": 1}
    np.testing.assert_allclose(starts(lots_raw(plant={"operator_shifts": [shift]})), 7.0 * np.arange(40), atol=1e-6)


def test_a_closed_week_delays_the_next_start_and_not_the_run_in_progress() -> None:
    result = whole_run(lots_raw(run=3.0, plant={"outages": [[7.0, 14.0]]}))
    expected = np.concatenate([[0.0, 3.0, 6.0], 14.0 + 3.0 * np.arange(37)])
    np.testing.assert_allclose(times(result, "lot started")[:40], expected, atol=1e-6)
    assert times(result, "lot released")[2] == pytest.approx(6.0 + 3.0 + 10.0)


def test_weekends_without_starts_and_the_yearly_shutdown() -> None:
    weekend = starts(lots_raw(run=1.0, plant={"closed_to_starts": ["sat", "sun"]}))
    expected = (7.0 * np.arange(8)[:, None] + np.arange(5)).ravel()
    np.testing.assert_allclose(weekend, expected, atol=1e-6)
    # One lot every ten days; the shutdown of days 355 to 375 moves the starts of days 360 and 370.
    shut = starts(lots_raw(run=10.0, plant={"yearly_shutdown_days": 20}))
    assert shut[35] == pytest.approx(350.0)
    assert shut[36] == pytest.approx(375.0)


def test_media_fills_close_lines_and_are_counted() -> None:
    raw = lots_raw(run=10.0, plant={"media_fills": {"per_year": 1, "days": 8}})
    # Half a year in, from day 182 (365 / 2 rounded): the start of day 190 is the first that could be late.
    begun = starts(raw)
    assert begun[18] == pytest.approx(180.0)
    assert not np.any((begun >= 182.0) & (begun < 190.0))
    plant = record(raw)
    assert plant.counts["media fills"] == pytest.approx(plant.years)


def test_lines_open_ramp_up_and_are_added_after_the_lead_time() -> None:
    late = starts(lots_raw(run=10.0, plant={"opens_on_day": 35.0}))
    np.testing.assert_allclose(late, 35.0 + 10.0 * np.arange(40), atol=1e-6)
    ramp = starts(lots_raw(lines=2, run=10.0, plant={"ramp_up": [[0.0, 1], [25.0, 2]]}))
    np.testing.assert_allclose(ramp[:6], [0.0, 10.0, 20.0, 25.0, 30.0, 35.0], atol=1e-6)
    added = {"second line": {"decided_on_day": 5.0, "lead_time": days(20), "lines": 1}}
    raw = lots_raw(run=10.0, plant={"expansions": added})
    np.testing.assert_allclose(starts(raw)[:6], [0.0, 10.0, 20.0, 25.0, 30.0, 35.0], atol=1e-6)
    plant = record(raw)
    window = observation_window(build(raw))
    expected = 2.0 - max(0.0, 25.0 - window.start) / (window.end - window.start)
    assert plant.lines == pytest.approx(expected)
    assert plant.counts["line years"] == pytest.approx(expected * plant.years)


def test_clean_down_holds_the_line_after_every_run_lost_or_not() -> None:
    raw = lots_raw(run=10.0, clean_down=days(2), failure=probability(0.5))
    result = whole_run(raw)
    np.testing.assert_allclose(times(result, "lot started")[:40], 12.0 * np.arange(40), atol=1e-6)
    assert 5 < np.count_nonzero(result.lots.ended("failed")) < np.count_nonzero(result.lots.ended("cleaned"))
    counts = record(raw).counts
    assert counts["cleanings"] > 0
    held = counts["line days held"]
    # Both ends of the window cut a run or a cleaning.
    assert held - counts["line days in runs"] == pytest.approx(2.0 * counts["cleanings"], abs=4.0)


def test_each_plant_cleans_its_own_line() -> None:
    begun = starts(lots_raw(sites=2, run=10.0, clean_down=days(2)))
    np.testing.assert_allclose(begun, np.repeat(12.0 * np.arange(20), 2), atol=1e-6)


def test_a_repair_holds_a_line_of_the_plant_that_broke_down() -> None:
    broken = {"between": days(30), "repair": days(5), "run_lost": probability(0.0)}
    plain = lots_raw(sites=2, run=10.0, reorder_point=40_000, order_up_to=48_000)
    raw = lots_raw(sites=2, run=10.0, reorder_point=40_000, order_up_to=48_000, plant={"breakdown": broken})
    window = observation_window(build(raw))
    open_days = 2.0 * (window.end - window.start)
    assert record(plain).counts["line days held"] == pytest.approx(open_days)
    counts = record(raw).counts
    repair_days = counts["line days held"] - counts["line days in runs"]
    assert counts["line days held"] == pytest.approx(open_days)
    # The line of a plant is repaired for as many days as there were repairs, but for those that the window cuts.
    assert repair_days == pytest.approx(5.0 * counts["repairs"], abs=20.0)
    # Poisson, four standard errors: one line in thirty days at each of two plants, under repair or not.
    expected = open_days / 30.0
    assert counts["repairs"] == pytest.approx(expected, abs=4.0 * math.sqrt(expected) + 2.0)


def test_breakdowns_cost_the_exponential_share_of_runs() -> None:
    broken = {"between": days(20), "repair": days(1), "run_lost": probability(1.0)}
    raw = lots_raw(lines=20, run=10.0, plant={"breakdown": broken}, reorder_point=40_000, order_up_to=48_000)
    result = whole_run(raw)
    lost = np.count_nonzero(~np.isnan(result.lots.mark("run lost to a breakdown")))
    begun = times(result, "lot started").size
    share = 1.0 - math.exp(-10.0 / 20.0)
    # Binomial: four standard errors.
    assert lost / begun == pytest.approx(share, abs=4.0 * math.sqrt(share * (1.0 - share) / begun))
    counts = record(raw).counts
    assert counts["repairs"] > 0
    assert counts["runs lost to breakdowns"] > 0
    # Lost runs end early, by an exponential time that is cut at ten days.
    failed = result.lots.ended("failed")
    held = (result.lots.end_time - result.lots.mark("lot started"))[failed]
    assert held.max() <= 10.0 + 1e-6
    mean = 20.0 - 10.0 * math.exp(-0.5) / share
    assert held.mean() == pytest.approx(mean, abs=4.0 * 3.0 / math.sqrt(held.size))


def test_runs_grow_shorter_with_the_doublings_of_lots_started() -> None:
    learning = {
        "batches_before": 1,
        "doublings_at_most": 3,
        "ratio_of_manufacturing_time": number(0.8, "ratio"),
    }
    begun = starts(lots_raw(run=10.0, learning=learning))
    # The first lot is the second that the plant makes: one doubling.
    doublings = np.minimum(np.log2(2.0 + np.arange(39)), 3.0)
    np.testing.assert_allclose(np.diff(begun), 10.0 * 0.8**doublings, rtol=1e-9)


def test_failures_fall_with_learning() -> None:
    learning = {"batches_before": 1, "doublings_at_most": 8, "odds_ratio_of_failure": number(0.5, "odds_ratio")}
    plain = whole_run(lots_raw(failure=probability(0.5))).lots
    learned = whole_run(lots_raw(failure=probability(0.5), learning=learning)).lots
    assert np.count_nonzero(learned.ended("failed")) < 0.5 * np.count_nonzero(plain.ended("failed"))


def test_pools_are_in_the_record_the_costs_and_the_load() -> None:
    section = {"quality_control_lanes": 2, "operator_teams": 1, "quality_assurance_reviewers": 3}
    raw = with_lots({**lot_process(), "sites": 2, "plant": section, "quality_assurance_review": days(5)})
    raw["arms"]["allogeneic"]["costs"]["activities"] = {
        "lanes": {
            "driver": "quality control lane years",
            "kind": "other",
            "amount": merged(money(1.0), {"value": 300_000.0, "unit": "usd_2024/year"}),
        }
    }
    scenario = build(raw)
    plant = run_flow(scenario, "allogeneic", 3).plant
    assert plant is not None
    assert {"quality control", "operators", "quality assurance"} <= {use.name for use in plant.resources}
    assert plant.counts["quality control lane years"] == pytest.approx(4.0 * plant.years)
    assert plant.counts["operator team years"] == pytest.approx(2.0 * plant.years)
    assert plant.counts["reviewer years"] == pytest.approx(6.0 * plant.years)
    assert {"line", "quality control", "operators", "quality assurance"} <= set(plant.waiting_days)
    offered = check_arm(scenario, "allogeneic").offered
    assert any(name.startswith("quality control/") for name in offered)
    assert any(name.startswith("operators/") for name in offered)

    from cartsight.economics.cost_of_goods import cost_of_goods, reconcile
    from cartsight.scenario.arms import LotArm

    arm = scenario.arms["allogeneic"]
    assert isinstance(arm, LotArm)
    goods = cost_of_goods(arm, plant)
    assert {line.name: line.total for line in goods.lines}["lanes"] == pytest.approx(300_000 * 4.0 * plant.years)
    table = reconcile(goods, plant)
    assert sum(row.cents for row in table.rows) == table.budget_cents


def test_too_few_lanes_are_refused_before_the_run() -> None:
    raw = minimal_scenario()
    raw["arms"]["allogeneic"]["lots"] |= {"plant": {"quality_control_lanes": 1}, "release_testing": days(400)}
    with pytest.raises(InputError, match="quality control"):
        check_arm(build(raw), "allogeneic")


@settings(max_examples=8, deadline=None)
@given(lanes=st.integers(1, 6), testing=st.floats(1.0, 40.0), run=st.floats(1.0, 15.0))
def test_one_more_lane_never_lowers_the_doses_received(lanes: int, testing: float, run: float) -> None:
    by_day: list[Float] = []
    for places in (lanes, lanes + 1):
        raw = lots_raw(lines=3, run=run, testing=testing, plant={"quality_control_lanes": places})
        by_day.append(times(whole_run(raw), "lot released")[:40])
    assert np.all(by_day[1] <= by_day[0] + 1e-6)


SHARED = {"other_use_fraction": probability(0.3), "campaign": days(30)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"plant": {"quality_assurance_reviewers": 1}}, "quality_assurance_review is needed"),
        ({"plant": {"ramp_up": [[0.0, 1], [30.0, 2]]}}, "ramp_up"),
        ({"plant": {"operators_trained": probability(0.5)}}, "operators_trained"),
        ({"plant": {"outages": [[9.0, 3.0]]}}, "outage"),
        ({"plant": {"quality_control_lane": 1}}, "quality_control_lane"),
        ({"shared": SHARED, "plant": {"closed_to_starts": ["sun"]}}, "shared"),
        ({"shared": SHARED, "clean_down": days(1)}, "shared"),
        ({"shared": SHARED, "sites": 2, "plant": {"quality_control_lanes": 1}}, "sites = 1"),
    ],
)
def test_what_cannot_be_is_refused(changes: Raw, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(lots_raw(**changes))


def test_a_plant_without_limits_adds_no_pool() -> None:
    arm = build(lots_raw(plant={"outages": [[1.0, 2.0]]})).arms["allogeneic"]
    assert arm.modality == "allogeneic"
    assert plants.pools_of(arm.lots) == []
