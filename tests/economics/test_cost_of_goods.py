"""Costs by activity, staff and capital: what they add up to, who bears them, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.economics.capital import annual_capital_charge
from cartsight.economics.cost_of_goods import (
    CostOfGoods,
    LinearCost,
    SteppedCost,
    break_even_volume,
    cost_of_goods,
    linear_cost,
    reconcile,
    stepped_cost,
)
from cartsight.planning.network_inputs import network_problem
from cartsight.scenario import Scenario, load_scenario
from cartsight.scenario.cost_drivers import FIXED_DRIVERS
from cartsight.simulation.pathways import run_flow
from cartsight.simulation.pathways.plant import FATES, BatchTable, PlantRecord, ResourceUse
from cartsight.studies import autologous_manufacturing
from tests.scenario_builder import allogeneic, autologous, build, minimal_scenario, money, number

Raw = dict[str, Any]
ZERO = {"materials_per_batch": 0, "labour_per_batch": 0, "quality_control_per_batch": 0}


def amount(value: float, per: str) -> Raw:
    return number(value, f"usd_2024/{per}")


def with_costs(costs: Raw, modality: str = "autologous") -> Scenario:
    """Return the small scenario with one arm whose costs are changed."""
    arm = {"autologous": autologous, "allogeneic": allogeneic}[modality]()
    arm["costs"] = {**arm["costs"], **costs}
    raw = minimal_scenario()
    raw["arms"] = {modality: arm}
    raw["analysis"] = {**raw["analysis"], "reference_arm": modality}
    return build(raw)


def goods_of(scenario: Scenario, seed: int = 3) -> tuple[CostOfGoods, PlantRecord]:
    name = next(iter(scenario.arms))
    flow = run_flow(scenario, name, seed, keep_batches=True)
    assert flow.plant is not None
    return cost_of_goods(scenario.arms[name], flow.plant), flow.plant  # type: ignore[arg-type]


CAPITAL: Raw = {
    "line_equipment": {"closed device": {"purchase_cost": amount(200_000, "unit"), "number": 2}},
    "site_equipment": {"laboratory": {"purchase_cost": amount(1e6, "unit")}},
    "lang_factor": number(5.0, "ratio"),
    "equipment_life": number(10, "years"),
    "interest_rate": number(0.08, "fraction"),
}


def test_activities_that_restate_the_section_cost_the_same() -> None:
    """The same costs, once as fields and once as activities: same total, same rows, another seed of nothing."""
    fields, plant = goods_of(with_costs({}))
    zeros = {name: money(0) for name in ZERO}
    restated = {
        "medium": {"driver": "batches started", "kind": "materials", "amount": amount(20_000, "batch")},
        "work": {"driver": "batches started", "kind": "labour", "amount": amount(15_000, "batch")},
        "tests": {"driver": "batches finished", "kind": "quality control", "amount": amount(10_000, "batch")},
    }
    activities, same_plant = goods_of(with_costs({**zeros, "activities": restated}))
    assert same_plant.counts == plant.counts  # costs never move a draw
    assert activities.total == pytest.approx(fields.total, rel=1e-12)
    assert activities.fixed == pytest.approx(fields.fixed, rel=1e-12)
    assert activities.idle == pytest.approx(fields.idle, rel=1e-12)
    assert activities.by_kind == pytest.approx(fields.by_kind, rel=1e-12)
    first, second = reconcile(fields, plant), reconcile(activities, same_plant)
    assert {row.name: row.cents for row in first.rows} == pytest.approx(
        {row.name: row.cents for row in second.rows}, abs=len(fields.lines)
    )


def test_without_activities_nothing_changes() -> None:
    """Sums are taken exactly as for a scenario that knows no activities."""
    goods, plant = goods_of(with_costs({}))
    assert goods.total == sum(goods.categories.values())
    assert goods.fixed == 20e6 * 1 * plant.years + 500_000.0 * 30 * plant.years + 4e6 * 1 * plant.years
    assert goods.idle == goods.categories["lines"] * (1.0 - min(plant.utilisation("line"), 1.0))
    assert set(goods.categories) == {
        "site", "lines", "quality overhead", "materials", "vector", "labour", "quality control", "shipping"
    }  # fmt: skip


def test_every_batch_has_one_fate_and_counts_agree_with_the_log() -> None:
    goods, plant = goods_of(with_costs({}))
    assert plant.batches is not None
    assert len(plant.batches) == plant.started == plant.counts["batches started"]
    assert np.isin(plant.batches.fate, range(len(FATES))).all()
    infused = int(plant.batches.has_fate("infused", "infused out of specification").sum())
    # Batches started in the window against infusions in it: the same up to what is under way at its two ends.
    assert abs(infused - plant.infused) < 0.1 * plant.infused
    failed = int(plant.batches.has_fate("failed").sum())
    assert abs(failed - plant.failed) <= 5
    assert goods.started == plant.started


def test_staff_cost_does_not_depend_on_the_work_and_idle_hours_show() -> None:
    staff = {
        "operators": {
            "head_count_per_shift": 40, "shifts_per_week": 14, "hours_per_shift": 8.0,
            "cost_per_hour": amount(85, "hour"), "cover": number(1.2, "ratio"),
        }
    }  # fmt: skip

    def run(hours: float) -> tuple[CostOfGoods, PlantRecord]:
        work = {
            "hands-on": {
                "driver": "batches started", "kind": "labour", "hours": number(hours, "hours"), "staff": "operators"
            }
        }  # fmt: skip
        return goods_of(with_costs({"labour_per_batch": money(0), "staff": staff, "activities": work}))

    few, plant = run(10.0)
    many, _ = run(80.0)
    on_duty = 40 * 14 * 8.0 * 365.25 / 7.0
    paid = on_duty * 1.2 * 85.0 * plant.years
    line = next(line for line in few.lines if line.staff)
    assert line.total == pytest.approx(paid)
    assert few.total == pytest.approx(many.total)
    used = 10.0 * plant.started / (on_duty * plant.years)
    assert line.used == pytest.approx(used)
    assert few.idle_parts["staff"] == pytest.approx(paid * (1.0 - used))
    assert many.idle_parts["staff"] < few.idle_parts["staff"]
    table = reconcile(few, plant)
    row = table.row("idle staff")
    assert row is not None
    assert row.cents / 100 == pytest.approx(paid * (1.0 - used), abs=0.02)


def test_capital_comes_to_its_annuity_and_stands_in_for_the_capital_of_the_fields() -> None:
    goods, plant = goods_of(with_costs({"site_per_year": money(0), "line_per_year": money(0), "capital": CAPITAL}))
    a_line = annual_capital_charge(5.0 * 400_000, 0.08, 10)
    a_site = annual_capital_charge(5.0 * 1e6, 0.08, 10)
    assert goods.categories["capital"] == pytest.approx(plant.years * (30 * a_line + a_site))
    assert goods.idle_parts["capital"] == pytest.approx(
        goods.categories["capital"] * (1.0 - min(plant.utilisation("line"), 1.0))
    )
    assert reconcile(goods, plant).difference_cents == 0


def test_a_batch_lost_after_testing_has_sunk_more_than_one_lost_in_the_run() -> None:
    scenario = with_costs({}).with_values({"arms.autologous.process.infuse_out_of_specification": 0.0})
    goods, plant = goods_of(scenario)
    lost = {loss.step: loss for loss in reconcile(goods, plant).sunk}
    early, late = lost["during the run"], lost["after release testing"]
    assert late.each > early.each
    # Materials, vector and labour are gone in both; tests and the way out are what the run's failures save.
    assert early.variable / early.count == pytest.approx(55_000 + 2_000 * shipped(plant), rel=0.02)
    assert late.variable / late.count == pytest.approx(65_000 + 2_000 * shipped(plant), rel=0.03)


def shipped(plant: PlantRecord) -> float:
    """Return shipments over the batches that the shipments are shared by, as one each and one more for those that left."""
    assert plant.batches is not None
    left = plant.batches.has_fate("released", "infused", "infused out of specification").sum()
    return plant.shipments / (len(plant.batches) + float(left))


def test_reconciliation_by_hand() -> None:
    """Three batches: one infused, one lost after testing, one failed at half time; every amount worked out on paper."""
    table = BatchTable(
        np.array([0.0, 1.0, 2.0]), np.arange(3), np.array([FATES.index(f) for f in ("infused", "discarded", "failed")]),
        np.array([10.0, 10.0, 5.0]),
    )  # fmt: skip
    counts = {"site years": 1.0, "line years": 1.0, "line days in runs": 25.0, "batches started": 3.0}
    plant = PlantRecord(
        years=1.0, sites=1, lines=1, started=3, failed=1, out_of_specification=1, released=1, infused=1, shipments=4,
        resources=(ResourceUse("line", 1, 1.0, 0.5, 0.0),), counts=counts, batches=table,
    )  # fmt: skip
    arm = with_costs(
        {
            "site_per_year": money(0), "quality_overhead_per_site_year": money(100), "line_per_year": money(1_000),
            "materials_per_batch": money(10), "vector_per_batch": money(20), "labour_per_batch": money(0),
            "quality_control_per_batch": money(7), "shipping_per_shipment": money(3),
        }
    ).arms["autologous"]  # fmt: skip
    goods = cost_of_goods(arm, plant)  # type: ignore[arg-type]
    assert goods.total == 100 + 1000 + 30 + 60 + 14 + 12
    rows = {row.name: row.cents for row in reconcile(goods, plant).rows}
    # Half of the fixed 1100 is idle. The other 550 goes by line days 10, 10, 5; shipments by 2, 1, 1.
    assert rows == {
        "infused in specification": 22_000 + 3_000 + 700 + 600,
        "lost after release testing": 22_000 + 3_000 + 700 + 300,
        "failed in the run": 11_000 + 3_000 + 300,
        "idle lines": 50_000,
        "idle sites and quality overhead": 5_000,
    }


def test_lots_spread_over_their_doses() -> None:
    goods, plant = goods_of(with_costs({}, "allogeneic"))
    table = reconcile(goods, plant)
    rows = {row.name: row for row in table.rows}
    assert sum(row.cents for row in table.rows) == table.budget_cents
    assert rows["doses taken for patients"].count == plant.doses_taken
    assert plant.batches is not None
    assert len(plant.batches) == plant.started
    assert rows["failed in the run"].count == plant.batches.has_fate("failed").sum()


def test_lot_drivers_are_refused_for_batches_and_named() -> None:
    scenario = with_costs(
        {"activities": {"donor": {"driver": "lots started", "kind": "other", "amount": amount(1, "lot")}}}
    )
    with pytest.raises(InputError, match="do not count this cost driver") as caught:
        goods_of(scenario)
    assert caught.value.field == "costs.activities.donor.driver"
    assert "batches started" in str(caught.value.hint)


def test_vector_lots_are_paid_when_ordered_and_expired_ones_are_a_row() -> None:
    study = load_scenario(Path(autologous_manufacturing.__file__).parent / "supply.toml").with_analysis(patients=200)
    arm = study.arms["autologous-central"]
    flow = run_flow(study, "autologous-central", 4, keep_batches=True)
    plant = flow.plant
    assert plant is not None
    supply = arm.supplies["vector"]  # type: ignore[union-attr]
    assert supply.cost_per_lot is not None
    # As if a quarter of the vector received had expired.
    received = plant.counts["vector units received"] or 8.0
    counts = plant.counts | {
        "vector lots ordered": 3.0, "vector units received": received, "vector units expired": received / 4.0
    }  # fmt: skip
    plant = replace(plant, counts=counts)
    goods = cost_of_goods(arm, plant)  # type: ignore[arg-type]
    bought = 3.0 * supply.cost_per_lot.x
    assert goods.categories["vector"] == pytest.approx(bought)
    table = reconcile(goods, plant)
    row = table.row("supplies expired")
    assert row is not None
    assert row.cents / 100 == pytest.approx(bought / 4.0, abs=0.01)
    assert table.difference_cents == 0
    both = study.with_values({"arms.autologous-central.costs.vector_per_batch": 15_000.0})
    with pytest.raises(InputError, match="both state the vector"):
        cost_of_goods(both.arms["autologous-central"], plant)  # type: ignore[arg-type]


def test_a_network_study_refuses_costs_that_it_does_not_read() -> None:
    costs = {"activities": {"x": {"driver": "site years", "kind": "other", "amount": money(1)}}}
    with pytest.raises(InputError, match="not by activity"):
        network_problem(with_costs(costs))


def activity(**more: Any) -> Raw:
    return {"activities": {"x": {"driver": "batches started", "kind": "other", **more}}}


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        ({"capital": CAPITAL}, "line_per_year and capital both state capital"),
        ({"capital": CAPITAL, "line_per_year": money(0)}, "site_per_year and capital both state capital"),
        (
            {"activities": {"m": {"driver": "batches started", "kind": "materials", "amount": amount(1, "batch")}}},
            "materials_per_batch and activities.m both state materials",
        ),
        (activity(), "either amount or hours"),
        (activity(amount=amount(1, "batch"), hours=number(1, "hours")), "either amount or hours"),
        (activity(amount=amount(1, "lot")), "per lot does not fit"),
        (activity(hours=number(1, "hours")), "either cost_per_hour or staff"),
        (activity(hours=number(1, "hours"), staff="nobody"), "unknown role"),
        ({"activities": {"x": {"driver": "batch started", "kind": "other", "amount": money(1)}}}, "batches started"),
        ({"capital": {**CAPITAL, "lang_factor": number(0.9, "ratio")}}, "1 at least"),
        ({"capital": {**CAPITAL, "direct_factors": {"piping": number(0.3, "ratio")}}}, "either lang_factor or direct"),
        ({"capital": {**CAPITAL, "equipment_life": number(0, "years")}}, "life must be above 0"),
        (
            {"capital": {**CAPITAL, "rooms": {"B": {"cost_per_square_metre": money(9e3), "area_per_line": number(20, "square_metres")}}}},
            "contains the buildings",
        ),
    ],
)  # fmt: skip
def test_things_stated_twice_or_not_at_all_are_refused(costs: Raw, words: str) -> None:
    with pytest.raises(InputError) as caught:
        with_costs(costs)
    assert words in str(caught.value)


def test_activities_take_part_in_draws_and_in_conversion() -> None:
    scenario = with_costs(
        {"activities": {"tax": {"driver": "site years", "kind": "facility", "amount": number(9e5, "eur_2020/year")}},
         "site_per_year": money(0)}
    )  # fmt: skip
    path = "arms.autologous.costs.activities.tax.amount"
    assert scenario.numbers()[path].quantity.unit == "usd_2024"
    moved = scenario.with_values({path: 123.0})
    goods, plant = goods_of(moved)
    assert next(line for line in goods.lines if line.name == "tax").total == pytest.approx(123.0 * plant.years)


def test_break_even_is_where_the_two_curves_cross() -> None:
    volume = break_even_volume(1e6, 50_000, 9e6, 30_000)
    assert volume == 400.0
    small, large = LinearCost(1e6, 50_000), LinearCost(9e6, 30_000)
    assert float(small.per_infused(volume)) == pytest.approx(float(large.per_infused(volume)))
    assert float(small.per_infused(100)) < float(large.per_infused(100))
    assert float(small.per_infused(900)) > float(large.per_infused(900))
    assert break_even_volume(1e6, 30_000, 9e6, 50_000) is None
    assert break_even_volume(1e6, 30_000, 9e6, 30_000) is None
    assert large.at_most(40_000) == pytest.approx(900)
    assert large.at_most(30_000) is None
    with pytest.raises(InputError):
        break_even_volume(math.nan, 1, 2, 3)


def test_stepped_cost_buys_whole_lines_and_sites() -> None:
    cost = SteppedCost(1e6, 2e5, 40_000, infused_per_line_year=25, lines_per_site=4)
    assert cost.lines([1, 25, 26, 100, 101]).tolist() == [1, 1, 2, 4, 5]
    assert cost.sites([100, 101]).tolist() == [1, 2]
    assert float(cost.per_infused(100)) == pytest.approx((1e6 + 4 * 2e5) / 100 + 40_000)
    everywhere = SteppedCost(1e6, 2e5, 40_000, 25, 4, fewest_sites=10)
    assert everywhere.sites(1).tolist() == 10
    assert everywhere.lines(1).tolist() == 10
    with pytest.raises(InputError):
        cost.per_infused(0)


def test_curves_of_a_run_pass_through_the_run() -> None:
    goods, plant = goods_of(with_costs({}))
    volume = goods.infused / goods.years
    assert float(linear_cost(goods).per_infused(volume)) == pytest.approx(goods.per_infused)
    grown = stepped_cost(goods, plant, utilisation=plant.utilisation("line"))
    # At the run's own utilisation the same lines are needed, so the same cost comes out.
    assert grown.lines(volume) == plant.lines
    assert float(grown.per_infused(volume)) == pytest.approx(goods.per_infused)


def test_fixed_drivers_are_those_that_run_idle() -> None:
    assert {"site years", "line years"} <= set(FIXED_DRIVERS)
    assert "batches started" not in FIXED_DRIVERS


def test_other_work_on_the_lines_bears_its_part() -> None:
    goods, plant = goods_of(with_costs({}))
    held = plant.counts["line days held"]
    shared = replace(plant, counts=plant.counts | {"line days in runs": 0.75 * held})
    alone, beside = reconcile(goods, plant), reconcile(goods, shared)
    row = beside.row("other work on the lines")
    assert row is not None
    assert alone.row("other work on the lines") is None
    used = sum(line.total - line.idle for line in goods.lines if line.fixed)
    assert row.cents / 100 == pytest.approx(0.25 * used, abs=0.05)
    assert row.variable_cents == 0
    assert beside.difference_cents == 0
