"""Edges of the floor: point-of-care plants, nothing to count, what is lost on the way of a later course, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.economics.cost_of_goods import cost_of_goods, reconcile
from cartsight.simulation.pathways import check_arm, run_flow
from cartsight.simulation.pathways.plant import PlantRecord
from tests.lots_floor_builder import allogeneic_floor, with_lots
from tests.scenario_builder import Raw, build, days, merged, minimal_scenario, number, probability


def point_of_care(**site: Any) -> Raw:
    """Return the autologous arm of the tests with a plant of eight lines at each of the four hospitals."""
    raw = minimal_scenario(analysis={"warm_up_days": 1})
    arm = raw["arms"]["autologous"]
    del arm["sites"]
    arm["at_every_hospital"] = {"lines": 8, "quality_control_lanes": 20, **site}
    return raw


def test_every_hospital_that_will_run_a_version_makes_comparability_lots() -> None:
    raw = point_of_care(processes=["standard", "fast"])
    plan = {"starts_on_day": 50, "lots": 3, "days_per_lot": days(10), "study": days(30), "divergence": probability(0)}
    raw["arms"]["autologous"]["processes"] = {"fast": {"manufacturing": days(3), "comparability": plan}}
    with_version = build(raw)
    plant = run_flow(with_version, "autologous", 1).plant
    assert plant is not None
    assert plant.counts["comparability lots"] == 4 * 3
    held, in_runs = plant.counts["line days held"], plant.counts["line days in runs"]
    assert held - in_runs == pytest.approx(4 * 3 * 10)


def test_a_cost_per_repair_stands_when_nothing_broke() -> None:
    raw = point_of_care(breakdown={"between": days(1e6), "repair": days(1), "run_lost": probability(0)})
    amount = number(1000, "usd_2024/unit")
    raw["arms"]["autologous"]["costs"]["activities"] = {
        "service": {"driver": "repairs", "kind": "other", "amount": amount}
    }
    scenario = build(raw)
    plant = run_flow(scenario, "autologous", 1).plant
    assert plant is not None and plant.counts["repairs"] == 0
    arm = scenario.arms["autologous"]
    assert next(line.total for line in cost_of_goods(arm, plant).lines if line.name == "service") == 0.0  # type: ignore[arg-type]


def allogeneic(**lots: Any) -> Raw:
    raw = minimal_scenario()
    raw["arms"]["allogeneic"]["lots"] = merged(raw["arms"]["allogeneic"]["lots"], lots)
    return raw


def test_a_shared_line_is_paid_for_by_the_part_of_the_time_that_is_left() -> None:
    shared = {"other_use_fraction": probability(0.5), "campaign": days(5)}
    raw = allogeneic(
        shared=shared,
        manufacturing=days(1),
        fill_line={"lines": 2, "time": days(1), "failure": probability(0), "shared": shared},
    )
    scenario = build(raw)
    plant = run_flow(scenario, "allogeneic", 1).plant
    assert plant is not None
    # Three lines and two fill lines, half of the time; runs of a day that end within a campaign add at most a few days.
    assert plant.counts["line years"] == pytest.approx(1.5, rel=0.05)
    assert plant.counts["fill line years"] == pytest.approx(1.0, rel=0.05)
    goods = cost_of_goods(scenario.arms["allogeneic"], plant)  # type: ignore[arg-type]
    assert goods.categories["lines"] == pytest.approx(1e6 * plant.counts["line years"])


def test_surges_that_overlap_are_lost_once_in_the_offered_load() -> None:
    def load(surges: list[list[float]]) -> float:
        shared = {"other_use_fraction": probability(0.3), "campaign": days(10), "surges": surges}
        return check_arm(build(allogeneic(shared=shared)), "allogeneic").offered["line"]

    assert load([[300, 400], [350, 450]]) == pytest.approx(load([[300, 450]]))


def test_doses_of_later_courses_are_lost_at_thaw_as_those_of_the_first() -> None:
    raw = minimal_scenario()
    arm = raw["arms"]["in_vivo"]
    arm["expression"] = probability(0.0)
    arm["redosing"] |= {"maximum_courses": 3, "immunity": number(0, "per_day")}
    arm["lots"] |= {"initial_stock": 20_000, "order_up_to": 20_001, "reorder_point": 1, "thaw_loss": probability(0.5)}
    plant = run_flow(build(raw), "in_vivo", 1).plant
    assert plant is not None
    # Half of all doses taken are lost, whichever course they were for: four standard errors.
    lost, taken = plant.counts["doses lost at thaw"], plant.doses_taken
    assert abs(lost - 0.5 * taken) < 4.0 * np.sqrt(0.25 * taken)


def test_a_bank_that_runs_out_is_a_warning() -> None:
    bank = {
        "master_vials": 1,
        "working_vials": 2,
        "reorder_point": 1,
        "qualification": days(30),
        "qualification_failure": probability(0),
        "doublings": number(20, "count"),
    }
    raw = allogeneic(cell_bank=bank)
    raw["arms"]["allogeneic"]["cell_source"] = "ipsc"
    assert any("cell bank" in warning for warning in check_arm(build(raw), "allogeneic").warnings)
    raw["arms"]["allogeneic"]["lots"]["cell_bank"]["master_vials"] = 100
    assert not any("cell bank" in warning for warning in check_arm(build(raw), "allogeneic").warnings)


def donor_bank(**changes: Any) -> Raw:
    raw = {
        "lots_per_leukapheresis": 4,
        "lead_time": days(30),
        "screening_failure": probability(0.2),
        "shelf_life": days(720),
        "reorder_point": 2,
        "order_up_to": 6,
    }
    return raw | changes


@pytest.mark.parametrize(
    ("lots", "message"),
    [
        ({"donors": donor_bank(yield_sd=number(0.2, "log_scale"))}, "yield_sd needs expansion"),
        ({"donors": donor_bank(screening_failure=probability(1))}, "no donor is ever found"),
        ({"thaw_loss": probability(1)}, "thaw_loss must be below 1"),
        ({"failure": probability(1)}, "no lot is ever released"),
    ],
)
def test_what_could_do_nothing_or_never_end_is_refused(lots: Raw, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(allogeneic(**lots))


def test_a_coefficient_of_variation_beside_fill_is_refused() -> None:
    raw = with_lots(allogeneic_floor(doses_per_lot_cv=number(0.2, "ratio")))
    with pytest.raises(InputError, match="doses_per_lot_cv goes with doses_per_lot"):
        build(raw)


def supply(**changes: Any) -> Raw:
    source = {
        "units_per_lot": number(100, "count"),
        "lead_time": days(20),
        "failure": probability(0),
        "shelf_life": days(700),
    }
    return merged({"source": source, "reorder_point": 100, "order_up_to": 300, "initial_stock": 200}, changes)


def test_supplies_refuse_what_would_do_nothing() -> None:
    lose = {"vector": supply(stock_out="lose", rebooking=days(2))}
    build(arms={"autologous": {"supplies": lose}})
    fresh = {"starting_material": "fresh", "fresh_window": days(3)}
    with pytest.raises(InputError, match="cryopreserved"):
        build(arms={"autologous": {"supplies": lose, "process": fresh}})
    with pytest.raises(InputError, match="rebooking belongs"):
        build(arms={"autologous": {"supplies": {"vector": supply(rebooking=days(2))}}})
    with pytest.raises(InputError, match="every lot fails"):
        build(arms={"autologous": {"supplies": {"vector": supply(source={"failure": probability(1)})}}})


def test_two_supplies_with_reserves_keep_their_shelf_lives_and_units_apart() -> None:
    class_of = {"allocation": "reserve", "reserve": 3}
    supplies = {
        "short": supply(source={"shelf_life": days(5)}, **class_of),
        "long": supply(source={"shelf_life": days(700)}, **class_of),
    }
    # Nobody worsens, so nothing is taken from a reserve: it is refilled when it expires.
    never = {"health_states": {"fit": {"worsening": number(0, "per_year")}}}
    plant = run_flow(build(population=never, arms={"autologous": {"supplies": supplies}}), "autologous", 1).plant
    assert plant is not None
    assert plant.counts["long units expired"] == 0.0
    # Every start takes one unit of each; a start that waits for one holds the other already.
    for name in supplies:
        assert plant.counts[f"{name} units used"] == pytest.approx(plant.started, abs=10)
    short = plant.counts
    assert short["short units received"] == pytest.approx(
        short["short units used"] + short["short units expired"], abs=100
    )


def test_a_stream_of_events_too_long_for_one_run_is_refused() -> None:
    raw = point_of_care(breakdown={"between": days(0.01), "repair": days(0), "run_lost": probability(0)})
    with pytest.raises(InputError, match="more in one run than are simulated"):
        run_flow(build(raw), "autologous", 1)


def test_a_run_of_no_length_has_a_maximum_too() -> None:
    process = {"manufacturing": days(0), "maximum_days": days(9)}
    plant = run_flow(build(arms={"autologous": {"process": process}}), "autologous", 1).plant
    assert plant is not None and plant.started > 0
    assert plant.causes.get("low dose", 0) == 0


def test_another_product_pays_for_the_line_days_of_its_batches() -> None:
    def goods(batches: float) -> tuple[float, PlantRecord]:
        other = {"second": {"batches_per_year": number(batches, "per_year"), "manufacturing": days(5)}}
        scenario = build(arms={"autologous": {"other_products": other}})
        plant = run_flow(scenario, "autologous", 1, keep_batches=True).plant
        assert plant is not None
        result = cost_of_goods(scenario.arms["autologous"], plant)  # type: ignore[arg-type]
        assert reconcile(result, plant).difference_cents == 0
        return result.categories["lines"], plant

    cost, plant = goods(300)
    taken = plant.counts["line days of other products"]
    # Poisson batches of five days each: four standard errors.
    assert abs(taken - 300 * 5 * plant.years) < 4 * 5 * np.sqrt(300 * plant.years)
    window = plant.years * 365.0
    assert cost == pytest.approx(500_000 * plant.years * (30 - taken / window), rel=2e-3)
    # What is left is used by the product's own runs.
    own = plant.counts["line days in runs"] / (30 * window - taken)
    assert plant.own_utilisation("line") == pytest.approx(own, rel=2e-3)
    alone, _ = goods(0)
    assert cost < alone == 500_000 * 30 * plant.years


def test_orders_that_wait_at_the_central_store_count_beside_depots() -> None:
    far = {"referrals_per_year": number(400, "per_year"), "hospitals": 4}
    depot = {"regions": ["north"], "reorder_point": 100, "order_up_to": 300, "initial_stock": 300}
    depot |= {"transport": days(1), "delivery": days(1)}
    raw = allogeneic(depots={"near": depot}, initial_stock=0, reorder_point=1, order_up_to=41)
    raw["population"]["regions"]["far"] = far
    raw["analysis"]["allow_overload"] = True
    plant = run_flow(build(raw), "allogeneic", 1).plant
    assert plant is not None
    central, near = plant.stores
    assert near.orders_waited == 0 and plant.stock_out_fraction > 0.3
    # Some of those who waited at the central store are consignments; patients of the far region are the rest.
    waited = plant.counts["dose orders that waited"]
    assert 0.1 * plant.counts["dose orders"] < waited <= central.orders_waited


def test_lines_that_are_added_break_down_too() -> None:
    breakdown = {"between": days(100), "repair": days(1), "run_lost": probability(0)}
    hall = {"hall": {"decided_on_day": 0, "lead_time": days(0), "lines": 8}}

    def repairs(**site: Any) -> float:
        plant = run_flow(build(point_of_care(breakdown=breakdown, **site)), "autologous", 1).plant
        assert plant is not None
        expected = plant.lines * plant.years * 365.0 / 100.0
        assert abs(plant.counts["repairs"] - expected) < 4.0 * np.sqrt(expected)
        return plant.counts["repairs"]

    assert repairs(expansions=hall) > 1.5 * repairs()
