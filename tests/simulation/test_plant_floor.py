"""The floor of the autologous plant: nobody is lost, each piece binds where it should, and what is absent changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.scenario import Scenario, load_scenario
from cartsight.simulation.pathways import ArmFlow, check_arm, compile_arm, run_flow
from cartsight.simulation.pathways import trajectory as t
from tests.scenario_builder import Raw, build, days, minimal_scenario, number, per_year, probability, spread_days

WEEK = ["mon", "tue", "wed", "thu", "fri"]


def floor(process: Raw | None = None, arm: Raw | None = None, collection: Raw | None = None, **site: Any) -> Scenario:
    raw = minimal_scenario()
    mine = raw["arms"]["autologous"]
    mine["process"].update(process or {})
    mine["collection"].update(collection or {})
    mine.update(arm or {})
    (plant,) = mine["sites"].values()
    plant.update(site)
    return build(raw)


def source(**changes: Any) -> Raw:
    return {
        "units_per_lot": number(12, "count"),
        "lead_time": days(40),
        "failure": probability(0.0),
        "shelf_life": days(5000),
    } | changes


def absolute(flow: ArmFlow, kind: str) -> Any:
    rows, day = flow.trajectories.events(kind)
    return flow.trajectories.patients.referral_day[rows] + day


def everything() -> Scenario:
    raw = minimal_scenario()
    mine = raw["arms"]["autologous"]
    mine["collection"]["days"] = WEEK
    mine["process"] |= {
        "priority": "worsened_first",
        "hands_on_start": days(0.2),
        "hands_on_harvest": days(0.2),
        "clean_down": days(0.5),
        "pickup_from_hospital": {"days": WEEK, "cut_off_hour": 15},
        "pickup_from_plant": {"days": WEEK, "cut_off_hour": 15},
        "quality_assurance_review": days(1),
        "maximum_days": days(11),
        "out_of_specification_causes": {"viability": probability(0.5), "potency": probability(0.5)},
        "harvest_early": {
            "ratio_of_manufacturing_time": number(0.8, "ratio"),
            "odds_ratio_out_of_specification": number(1.5, "odds_ratio"),
            "odds_ratio_response": number(0.9, "odds_ratio"),
        },
        "enough_stored_cells": probability(0.5),
        "stop_after_failure": probability(0.2),
        "remake_wait": days(3),
        "learning": {"batches_before": 50, "doublings_at_most": 3, "odds_ratio_of_failure": number(0.9, "odds_ratio")},
    }
    mine["starting_material"] = {
        "leukapheresis": {
            "cells": {
                "value": number(5e9, "cells", law="lognormal", cv=0.6),
                "per": "doubling",
                "reference": 5e9,
                "same_patient_correlation": number(0.5, "correlation"),
                "ratio_of_manufacturing_time": number(0.95, "ratio"),
                "odds_ratio_out_of_specification": number(0.8, "odds_ratio"),
            }
        }
    }
    mine["supplies"] = {
        "vector": {
            "source": source(lots_at_once=3, quality_control_hold=days(5)),
            "second_source": source(share=probability(0.5), qualified_on_day=300),
            "reorder_point": 60,
            "order_up_to": 80,
            "initial_stock": 40,
            "allocation": "reserve",
            "reserve": 4,
        },
        "beads": {
            "source": source(),
            "reorder_point": 50,
            "order_up_to": 70,
            "initial_stock": 40,
            "stock_out": "lose",
            "rebooking": days(3),
        },
    }
    mine["processes"] = {
        "fast": {
            "manufacturing": days(3),
            "manufacturing_failure": probability(0.08),
            "out_of_specification": probability(0.1),
            "odds_ratio_response": number(0.8, "odds_ratio"),
            "share": probability(0.5),
            "comparability": {
                "starts_on_day": 50,
                "lots": 2,
                "days_per_lot": days(4),
                "study": days(60),
                "divergence": probability(0.5),
                "further_lots": 2,
                "further_time": days(100),
                "before": "at_risk",
            },
        }
    }
    mine["changeover"] = {"time": days(0.5), "longest_campaign": 3}
    mine["other_products"] = {"second": {"batches_per_year": per_year(60), "manufacturing": spread_days(8)}}
    first = {
        "lines": 20,
        "quality_control_lanes": 30,
        "operator_shifts": [{"days": WEEK, "from_hour": 6, "to_hour": 20, "teams": 4}],
        "operators_trained": probability(0.8),
        "quality_control_instruments": 20,
        "quality_control_days": WEEK,
        "quality_assurance_reviewers": 4,
        "quality_assurance_days": WEEK,
        "starting_material_places": 20,
        "product_places": 30,
        "media_fills": {"per_year": 2, "days": 3},
        "breakdown": {"between": days(200), "repair": days(3), "run_lost": probability(0.5)},
        "expansions": {"hall": {"decided_on_day": 100, "lead_time": days(300), "lines": 4}},
        "processes": ["standard", "fast"],
    }
    second = {
        "lines": 10,
        "quality_control_lanes": 20,
        "opens_on_day": 250,
        "ramp_up": [[0, 3], [60, 10]],
        "processes": ["standard", "fast"],
    }
    mine["sites"] = {"first": first, "second": second}
    return build(raw)


def test_with_every_field_each_patient_ends_once_and_counts_reconcile() -> None:
    scenario = everything()
    compile_arm(scenario, "autologous")
    flow = run_flow(scenario, "autologous", 3)
    trajectories, plant = flow.trajectories, flow.plant
    assert plant is not None
    assert np.bincount(trajectories.status).sum() == len(trajectories)
    assert np.isfinite(trajectories.end_day).all()
    assert trajectories.infused.sum() > 0.5 * len(trajectories)
    assert sum(plant.causes.values()) == plant.out_of_specification
    assert {"viability", "potency"} <= plant.causes.keys()
    # One unit of each supply per start: those of the window, and the few taken before its end and started after it.
    assert abs(plant.counts["vector units used"] - plant.started) <= 5
    assert plant.counts["repairs"] > 0
    assert plant.counts["cleanings"] > 0.9 * plant.started - plant.counts["runs lost to breakdowns"]
    assert 20 < plant.lines < 34
    assert plant.waiting_days["courier to the hospital"] > 0.3
    offered = check_arm(scenario, "autologous").offered
    assert 0.1 < offered["line/first"] < 1.0


def test_the_shipped_example_runs_and_names_its_causes() -> None:
    scenario = load_scenario("plant-floor-example").with_analysis(patients=300)
    flow = run_flow(scenario, "autologous-central", 1)
    assert flow.plant is not None
    assert flow.plant.counts["vector units used"] > 100
    assert flow.plant.counts["batches of other products"] > 0
    assert sum(flow.plant.causes.values()) == flow.plant.out_of_specification


def test_the_shipped_example_runs_at_draws_of_its_parameters() -> None:
    scenario = load_scenario("plant-floor-example").with_analysis(patients=100)
    rng = np.random.default_rng(2)
    for seed in range(3):
        draw = {}
        for path, value in scenario.numbers().items():
            uncertainty = value.quantity.uncertainty
            if path.startswith("arms.autologous-central") and uncertainty is not None:
                draw[path] = float(uncertainty.law.quantile(rng.random(1))[0])
        flow = run_flow(scenario.with_values(draw), "autologous-central", seed)
        assert np.isfinite(flow.trajectories.end_day).all()
        assert flow.plant is not None
        assert sum(flow.plant.causes.values()) == flow.plant.out_of_specification


# Flow of the scenario of the tests before these fields existed, seed 11: started, failed, out of specification, released,
# infused and the sum of the days to each patient's end.
BEFORE = {
    "cryopreserved": ([321, 19, 19, 285, 278], 18660.27233899237),
    "fresh": ([318, 19, 19, 282, 277], 18856.163648811238),
    "every hospital": ([321, 19, 19, 285, 278], 18660.27233899237),
}


@pytest.mark.parametrize("kind", BEFORE)
def test_what_is_absent_changes_nothing(kind: str) -> None:
    raw = minimal_scenario()
    mine = raw["arms"]["autologous"]
    mine["process"]["patient_sd"] = number(0.0, "log_odds")
    if kind == "fresh":
        mine["process"] |= {"starting_material": "fresh", "fresh_window": days(3)}
    if kind == "every hospital":
        del mine["sites"]
        mine["at_every_hospital"] = {"lines": 40, "quality_control_lanes": 40}
    flow = run_flow(build(raw), "autologous", 11)
    plant = flow.plant
    assert plant is not None
    counts, total = BEFORE[kind]
    assert [plant.started, plant.failed, plant.out_of_specification, plant.released, plant.infused] == counts
    assert float(flow.trajectories.end_day.sum()) == pytest.approx(total, rel=1e-12)


def test_fields_at_no_effect_change_no_draw() -> None:
    none = number(1.0, "ratio")
    same = floor(
        {
            "priority": "first_in_line",
            "out_of_specification_causes": {"viability": probability(1.0)},
            "learning": {"batches_before": 10, "doublings_at_most": 2, "ratio_of_manufacturing_time": none},
            "stop_after_failure": probability(0.0),
            "enough_stored_cells": probability(1.0),
            "hands_on_start": days(0),
        },
        {
            "supplies": {
                "vector": {"source": source(), "reorder_point": 5000, "order_up_to": 6000, "initial_stock": 6000}
            }
        },
        media_fills=None,
    )
    base, other = (run_flow(s, "autologous", 7).trajectories for s in (floor(), same))
    assert [base.statuses[i] for i in base.status] == [other.statuses[i] for i in other.status]
    np.testing.assert_allclose(base.end_day, other.end_day, rtol=1e-12)


def test_starts_and_harvests_wait_for_the_shift() -> None:
    shift = [{"days": WEEK, "from_hour": 8, "to_hour": 16, "teams": 9}]
    flow = run_flow(floor({"hands_on_start": days(0.2)}, operator_shifts=shift), "autologous", 19)
    started = absolute(flow, t.BATCH_STARTED)
    assert (started % 7 < 5).all()
    assert ((started % 1 >= 8 / 24 - 1e-9) & (started % 1 < 16 / 24)).all()


def test_couriers_collect_in_their_hours() -> None:
    pickup = {"days": ["tue", "thu"], "from_hour": 9, "cut_off_hour": 15}
    flow = run_flow(
        floor({"pickup_from_hospital": pickup, "shipping_out": days(2)}, collection={"days": ["mon"]}), "autologous", 19
    )
    collected, ready = absolute(flow, t.LEUKAPHERESIS), absolute(flow, "cells with the courier")
    # Collected on a Monday, a day later at the end of the collection; picked up on Tuesday or Thursday in the hours.
    assert ((collected - 1.0) % 7 < 1).all()
    assert np.isin(np.floor(ready % 7), [1, 3]).all()
    assert ((ready % 1 >= 9 / 24 - 1e-9) & (ready % 1 < 15 / 24)).all()
    assert flow.plant is not None
    assert flow.plant.waiting_days["courier to the plant"] > 0.1


def test_a_plant_takes_nobody_before_it_opens() -> None:
    raw = minimal_scenario()
    mine = raw["arms"]["autologous"]
    late = {"lines": 40, "quality_control_lanes": 40, "opens_on_day": 400}
    mine["sites"] = {"late": late, "early": {"lines": 40, "quality_control_lanes": 40}}
    flow = run_flow(build(raw), "autologous", 5)
    mine["sites"]["late"]["opens_on_day"] = 0.0
    both = run_flow(build(raw), "autologous", 5)
    # Neither plant binds: cells that go to the open plant start when they would have started with both open.
    np.testing.assert_allclose(
        flow.trajectories.day[t.BATCH_STARTED], both.trajectories.day[t.BATCH_STARTED], rtol=1e-12
    )
    only = raw["arms"]["autologous"]["sites"] = {"late": late | {"opens_on_day": 400.0}}
    alone = run_flow(build(raw), "autologous", 5)
    assert absolute(alone, t.BATCH_STARTED).min() >= only["late"]["opens_on_day"]


def test_full_stores_hold_lines_and_shipments() -> None:
    free = run_flow(floor(), "autologous", 19)
    few = run_flow(floor(product_places=9), "autologous", 19)
    assert few.plant is not None and free.plant is not None
    assert few.plant.utilisation("product store") > 0.7
    assert few.plant.counts["line days in runs"] > 1.02 * free.plant.counts["line days in runs"]
    assert few.plant.waiting_days["product store"] > 0


def test_clean_down_holds_the_line_and_not_the_product() -> None:
    base = run_flow(floor(), "autologous", 19)
    cleaned = run_flow(floor({"clean_down": days(2)}), "autologous", 19)
    assert base.plant is not None and cleaned.plant is not None
    np.testing.assert_allclose(
        cleaned.trajectories.day[t.PRODUCT_RELEASED], base.trajectories.day[t.PRODUCT_RELEASED], rtol=1e-12
    )
    line = 30 * base.plant.years * 365.25
    extra = (cleaned.plant.utilisation("line") - base.plant.utilisation("line")) * line
    assert extra == pytest.approx(2.0 * cleaned.plant.counts["cleanings"], rel=0.05)
    assert cleaned.plant.counts["line days in runs"] == pytest.approx(base.plant.counts["line days in runs"])


def test_more_vector_never_lowers_what_is_started() -> None:
    # One-for-one orders with a constant lead time: a higher base stock serves every run sooner, path by path.
    started, waited = [], []
    surely = {"manufacturing_failure": probability(0.0), "out_of_specification": probability(0.0)}
    for level in (10, 20, 30, 60):
        supply = {
            "source": source(units_per_lot=number(1, "count")),
            "reorder_point": level - 1,
            "order_up_to": level,
            "initial_stock": level,
        }
        flow = run_flow(floor(surely, arm={"supplies": {"vector": supply}}, lines=500), "autologous", 23)
        started.append(int((~np.isnan(flow.trajectories.day[t.BATCH_STARTED])).sum()))
        assert flow.plant is not None
        waited.append(flow.plant.waiting_days["vector"])
    assert started == sorted(started)
    assert started[-1] > started[0]
    assert waited == sorted(waited, reverse=True)


def test_more_lines_never_start_anybody_later() -> None:
    raw = minimal_scenario()
    for state in raw["population"]["health_states"].values():
        state["death"] = state["ineligibility"] = per_year(0.0)
    mine = raw["arms"]["autologous"]
    mine["process"] |= {"manufacturing": days(9), "manufacturing_failure": probability(0.0), "clean_down": days(1)}
    mine["process"]["out_of_specification"] = probability(0.0)
    before = None
    for lines in (10, 11, 14, 40):
        mine["sites"]["central plant"]["lines"] = lines
        day = run_flow(build(raw), "autologous", 29).trajectories.day[t.BATCH_STARTED]
        if before is not None:
            assert (day[~np.isnan(day)] <= before[~np.isnan(day)] + 1e-9).all()
        before = day


def test_worsened_patients_go_first_when_lines_are_short() -> None:
    first = run_flow(floor({"priority": "worsened_first"}, lines=8), "autologous", 31).trajectories
    in_line = run_flow(floor(lines=8), "autologous", 31).trajectories

    def wait(flow: t.Trajectories) -> float:
        days_waited = flow.day[t.BATCH_STARTED] - flow.day[t.LEUKAPHERESIS]
        return float(np.nanmean(days_waited[flow.worsened]))

    assert wait(first) < wait(in_line) - 1.0


def test_policies_after_a_failure() -> None:
    often = {"manufacturing_failure": probability(0.4)}
    base = run_flow(floor(often), "autologous", 37)
    stopped = run_flow(floor(often | {"stop_after_failure": probability(1.0)}), "autologous", 37)
    collected = run_flow(floor(often | {"enough_stored_cells": probability(0.0)}), "autologous", 37)
    assert base.plant is not None and stopped.plant is not None and collected.plant is not None
    assert stopped.plant.started < base.plant.started
    again = [flow.trajectories.events(t.LEUKAPHERESIS)[0].size for flow in (base, collected)]
    assert again[1] > again[0]


def test_the_longest_run_ends_at_its_maximum() -> None:
    limit = {"maximum_days": days(9.0), "release_testing": days(5)}
    flow = run_flow(floor(limit), "autologous", 41)
    assert flow.plant is not None
    # Half of the runs would take longer.
    assert 0.35 < flow.plant.causes["low dose"] / flow.plant.started < 0.65
    failed = run_flow(floor(limit | {"at_maximum": "fail"}), "autologous", 41).plant
    assert failed is not None
    assert failed.failed > 0.35 * failed.started


@pytest.mark.parametrize(
    ("process", "site", "message"),
    [
        ({}, {"ramp_up": [[0, 4], [10, 8]]}, "last step of ramp_up"),
        ({}, {"operators_trained": probability(0.5)}, "operators_trained is a share"),
        ({}, {"processes": ["fsat"]}, "a plant runs 'fsat'"),
        ({"hands_on_harvest": days(1)}, {}, "needs process.hands_on_start"),
        ({"starting_material": "fresh", "fresh_window": days(3)}, {"starting_material_places": 4}, "cryopreserved"),
        ({"pickup_from_plant": {"from_hour": 12, "cut_off_hour": 9}}, {}, "cut_off_hour must be after"),
    ],
)
def test_what_cannot_be_is_refused_in_words(process: Raw, site: Raw, message: str) -> None:
    with pytest.raises(InputError, match=message):
        floor(process, **site)


def test_a_supply_that_cannot_be_is_refused() -> None:
    supply = {"source": source(), "reorder_point": 20, "order_up_to": 30}
    for change, message in (
        ({"stock_out": "lose"}, "rebooking is needed"),
        ({"reserve": 3}, "belong together"),
        ({"order_up_to": 10}, "order_up_to must be above"),
        ({"source": source(units_per_lot=number(0.2, "count"))}, "at least one run"),
    ):
        with pytest.raises(InputError, match=message):
            floor(arm={"supplies": {"vector": supply | change}})
