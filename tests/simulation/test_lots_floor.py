"""The floor of lot-made products: starting material, stages, yield, fill, lines. Counts against arithmetic by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cartsight.scenario import Scenario
from cartsight.scenario.arms import LotArm
from cartsight.scenario.expansion import days_for_doublings, doublings_in_culture
from cartsight.scenario.lots import LotProcess
from cartsight.simulation import FlowResult, compile_model
from cartsight.simulation.pathways import check_arm, generate_patients, observation_window, run_flow
from cartsight.simulation.pathways.build import build_model
from cartsight.simulation.pathways.flow import simulate_patients
from tests.lots_floor_builder import allogeneic_floor, cell_bank, expansion, fill, with_lots
from tests.scenario_builder import Raw, build, days, minimal_scenario, number, probability

# Of the engine before any of the fields of this page existed.
STORED = {
    "allogeneic": (10018.969378332318, 63.0771120772609, 315, (9, 0, 1, 8, 309), (320.0, 316.0, 0.0)),
    "in_vivo": (8114.369175536637, 0.0, 318, (12, 1, 2, 9, 348), (360.0, 357.0, 0.0)),
}


def whole_run(raw: Raw, arm: str = "allogeneic", seed: int = 3) -> tuple[Scenario, FlowResult]:
    """Return the scenario and everything that happened, the run-out included."""
    scenario = build(raw)
    window = observation_window(scenario)
    compiled = compile_model(build_model(scenario, arm, window))
    return scenario, simulate_patients(scenario, compiled, generate_patients(scenario, seed, window), seed, window)


def process_of(raw: Raw, arm: str = "allogeneic") -> LotProcess:
    """Return the validated lots of an arm."""
    found = build(raw).arms[arm]
    assert isinstance(found, LotArm)
    return found.lots


@pytest.mark.parametrize("arm", list(STORED))
def test_a_scenario_without_the_new_fields_gives_what_it_gave_before(arm: str) -> None:
    flow = run_flow(build(minimal_scenario()), arm, 11)
    end_day, effect, infused, lots, doses = STORED[arm]
    plant = flow.plant
    assert plant is not None
    assert float(flow.trajectories.end_day.sum()) == pytest.approx(end_day, rel=1e-12)
    assert float(flow.trajectories.lot_effect.sum()) == pytest.approx(effect, rel=1e-12)
    assert int(flow.trajectories.infused.sum()) == infused
    assert (plant.started, plant.failed, plant.out_of_specification, plant.released, plant.shipments) == lots
    assert (plant.doses_received, plant.doses_taken, plant.doses_expired) == doses


def test_yield_by_hand() -> None:
    lots = process_of(with_lots(allogeneic_floor(expansion={"yield_cv": None}, donors=None)))
    # 1e9 x 2^7 x 0.8 x 0.5 x 0.9 x 0.7 cells; x 2 x 0.95 / (4e8 x 1.1) vials; less 16 vials; halved and rounded down.
    cells = 1e9 * 128 * 0.4 * 0.9 * 0.7
    assert lots.mean_amount == pytest.approx(cells)
    vials = cells * 2 * 0.95 / (4e8 * 1.1)
    assert lots.mean_doses == math.floor((vials - 16) / 2) == 61
    assert lots.expansion is not None
    assert lots.expansion.purity == pytest.approx(0.4 * 0.9 / (0.4 * 0.9 + 0.6 * 0.02))


def test_the_vials_of_one_filling_and_the_sample_cut_the_doses() -> None:
    sampling = {
        "sample_size": 20,
        "bad_lots": probability(0.0),
        "defective_in_bad": probability(0.5),
        "defective_in_good": probability(0.0),
    }
    lots = process_of(
        with_lots(
            allogeneic_floor(expansion={"yield_cv": None}, donors=None, fill=fill(maximum_vials=100), sampling=sampling)
        )
    )
    assert lots.mean_doses == math.floor((100 - 16 - 20) / 2) == 32


def test_doublings_slow_down_and_stop_at_the_limit() -> None:
    # Against a fine Euler integration of dP/dt = (1 - P / limit) / doubling_time.
    p, step = 20.0, 1e-4
    for _ in range(int(14 / step)):
        p += step * (1 - p / 45.0) / 1.2
    assert 20.0 + doublings_in_culture(14.0, 1.2, 20.0, 45.0) == pytest.approx(p, abs=1e-3)
    for wanted in (0.5, 3.0, 20.0):
        time = days_for_doublings(wanted, 1.2, 20.0, 45.0)
        assert doublings_in_culture(time, 1.2, 20.0, 45.0) == pytest.approx(wanted)
    assert days_for_doublings(25.0, 1.2, 20.0, 45.0) == math.inf
    assert doublings_in_culture(1e6, 1.2, 20.0, 45.0) == pytest.approx(25.0)
    assert doublings_in_culture(6.0, 1.2) == pytest.approx(5.0)
    # Older banks give fewer doublings in the same culture.
    young, old = (doublings_in_culture(14.0, 1.2, before, 45.0) for before in (0.0, 30.0))
    assert old < young < 14.0 / 1.2


def test_every_lot_of_a_process_without_variability_has_the_doses_of_the_arithmetic() -> None:
    raw = with_lots(allogeneic_floor(expansion={"yield_cv": None}, donors=None))
    _, result = whole_run(raw)
    lots = result.batches
    put = lots.doses[np.isin(lots.lot, np.flatnonzero(result.lots.ended("released")))]
    assert put.size > 5
    assert (put == 61).all()


def test_simulated_doses_agree_with_the_expected_doses() -> None:
    raw = with_lots(
        allogeneic_floor(
            donors={"lots_per_leukapheresis": 1},
            fill=fill(amount_per_dose=number(2e9, "cells"), release_samples=1, retains=0, minimum_doses=10),
            order_up_to=80,
            initial_stock=20,
        )
    )
    raw["analysis"]["patients"] = 4000
    scenario, result = whole_run(raw)
    arm = scenario.arms["allogeneic"]
    assert isinstance(arm, LotArm)
    finished = result.lots.ended("released") | result.lots.ended("rejected")
    # Before release, which is a coin that knows nothing of the doses: doses as filled, partial lots none.
    filled = ~np.isnan(result.lots.mark("lot filled")) & finished
    doses = np.floor(result.lots.attribute("doses")[filled] + 0.5)
    doses = np.where(doses < 10, 0.0, doses)
    assert filled.sum() > 250
    error = doses.std() / math.sqrt(doses.size)
    assert abs(doses.mean() - arm.lots.mean_doses) < 4 * error
    partial = float((result.lots.attribute("partial")[filled] > 0).mean())
    share = arm.lots.partial_share
    assert 0.005 < share < 0.3
    assert abs(partial - share) < 4 * math.sqrt(share * (1 - share) / filled.sum())


def test_partial_lots_are_rejected_or_released_small() -> None:
    small = expansion(starting_cells=number(4e8, "cells"), yield_cv=number(0.5, "ratio"))
    reject = with_lots(allogeneic_floor(expansion=small, fill=fill(minimum_doses=15)))
    release = with_lots(allogeneic_floor(expansion=small, fill=fill(minimum_doses=15, partial_lot="released")))
    for raw in (reject, release):
        raw["analysis"]["patients"] = 800
    rejected, released = run_flow(build(reject), "allogeneic", 3).plant, run_flow(build(release), "allogeneic", 3).plant
    assert rejected is not None and released is not None
    assert rejected.counts["partial lots rejected"] > 0
    assert released.counts["partial lots rejected"] < rejected.counts["partial lots rejected"]
    assert rejected.doses_received / rejected.released > released.doses_received / released.released


def test_lots_of_one_donor_share_what_is_particular_to_the_donor() -> None:
    raw = with_lots(allogeneic_floor(donors={"initial_material": None}))
    raw["analysis"]["patients"] = 2000
    _, result = whole_run(raw)
    taken = result.lots.mark("starting material taken")
    lots = np.flatnonzero(~np.isnan(taken))
    donor = result.lots.attribute("donor_yield")[lots]
    _, counts = np.unique(donor, return_counts=True)
    collected = int(result.lots.ended("donor collected").sum())
    assert counts.max() == 4
    assert (counts[:-1] <= 4).all()
    assert counts.size <= collected
    # A donor with a large yield gives large lots.
    released = result.lots.ended("released")[lots]
    doses = result.lots.attribute("doses")[lots][released]
    assert np.corrcoef(donor[released], np.log(doses))[0, 1] > 0.4
    screened = result.lots.attribute("donors_screened")[result.lots.ended("donor collected")]
    share = collected / screened.sum()
    assert abs(share - 0.8) < 4 * math.sqrt(0.8 * 0.2 / screened.sum())


def test_without_a_bank_there_are_no_lots_and_a_bank_that_is_used_up_limits_them() -> None:
    none = with_lots(
        allogeneic_floor(donors=None, cell_bank=cell_bank(master_vials=0, initial_working_vials=0), initial_stock=0),
        cell_source="ipsc",
    )
    flow = run_flow(build(none), "allogeneic", 3)
    assert flow.plant is not None
    assert (flow.plant.started, flow.plant.infused) == (0, 0)
    few = with_lots(
        allogeneic_floor(donors=None, cell_bank=cell_bank(master_vials=1, initial_working_vials=0, working_vials=2)),
        cell_source="ipsc",
    )
    few["arms"]["allogeneic"]["lots"]["cell_bank"]["qualification_failure"] = probability(0.0)
    _, result = whole_run(few)
    assert int((~np.isnan(result.lots.mark("lot started"))).sum()) == 2
    assert int(result.lots.ended("working bank made").sum()) == 1


def test_a_stage_that_fails_holds_the_line_to_that_point_and_no_longer() -> None:
    stages = {
        "contamination": {"probability": probability(0.3), "found_at": probability(0.25)},
        "editing": {"probability": probability(0.2), "found_at": probability(0.75)},
    }
    small = fill(amount_per_dose=number(2e9, "cells"), release_samples=1, retains=0, minimum_doses=5)
    raw = with_lots(
        allogeneic_floor(
            stage_failures=stages,
            failure=probability(0.0),
            manufacturing=days(20),
            fill=small,
            order_up_to=80,
            lines=12,
        )
    )
    raw["analysis"]["patients"] = 3000
    _, result = whole_run(raw)
    started = ~np.isnan(result.lots.mark("lot started"))
    stage = result.lots.attribute("stage")[started]
    n = stage.size
    assert n > 300
    for number_of, share in ((1, 0.3), (2, 0.7 * 0.2)):
        assert abs(float((stage == number_of).mean()) - share) < 4 * math.sqrt(share * (1 - share) / n)
    held = result.lots.end_time[started] - result.lots.mark("lot started")[started]
    np.testing.assert_allclose(held[stage == 1], 5.0)
    np.testing.assert_allclose(held[stage == 2], 15.0)
    assert result.lots.ended("failed")[started].sum() == (stage > 0).sum()


def in_vivo_floor(**changes: Any) -> Raw:
    """Return the minimal scenario with a viral drug substance that is filled on a line of its own."""
    lots = minimal_scenario()["arms"]["in_vivo"]["lots"]
    del lots["doses_per_lot"]
    lots |= {
        "drug_substance": {
            "kind": "viral",
            "volume": number(5.5, "litres"),
            "titre": number(1.5e7, "transducing_units_per_millilitre"),
            "recovery": probability(0.3),
            "testing": days(5),
        },
        "fill": {
            "amount_per_dose": number(2e8, "transducing_units"),
            "loss": probability(0.0),
        },
        "fill_line": {
            "lines": 1,
            "vials_per_hour": number(10, "count/hour"),
            "hours_per_day": 8.0,
            "changeover": days(1),
            "failure": probability(0.0),
        },
        "order_up_to": 200,
    }
    lots.update(changes)
    return with_lots(lots, "in_vivo")


def test_viral_drug_substance_and_the_time_on_the_fill_line_by_hand() -> None:
    raw = in_vivo_floor()
    # 5 500 ml x 1.5e7 x 0.3 / 2e8 = 123.75.
    assert process_of(raw, "in_vivo").mean_doses == 123
    _, result = whole_run(raw, "in_vivo")
    released = result.lots.ended("released")
    filled = (result.lots.mark("lot filled") - result.lots.mark("filling started"))[released]
    # One day of changeover and 123.75 vials at 80 a day.
    np.testing.assert_allclose(filled, 1.0 + 123.75 / 80.0)
    use = result.resource("fill line/1")
    assert use.seizes == np.count_nonzero(~np.isnan(result.lots.mark("filling started")))
    assert use.busy == pytest.approx(use.seizes * (1.0 + 123.75 / 80.0))


def test_mrna_doses_by_hand() -> None:
    raw = in_vivo_floor(
        drug_substance={
            "kind": "mrna",
            "mass_per_batch": number(5000, "milligrams"),
            "encapsulation": probability(0.9),
            "recovery": probability(0.8),
        },
        fill={"amount_per_dose": number(20, "milligrams"), "overfill": number(0.2, "ratio"), "loss": probability(0.1)},
        order_up_to=500,
    )
    raw["arms"]["in_vivo"]["vector"] = "mrna_lnp"
    # 5000 x 0.9 x 0.8 x 0.9 / (20 x 1.2) = 135.
    assert process_of(raw, "in_vivo").mean_doses == 135


def test_lines_lent_to_vaccines_take_no_starts_meanwhile_and_carry_the_load_in_less_time() -> None:
    shared = {"other_use_fraction": probability(0.5), "campaign": days(30)}
    raw = in_vivo_floor(shared=shared, lines=1)
    _, result = whole_run(raw, "in_vivo")
    started = result.lots.mark("lot started")
    started = started[~np.isnan(started)]
    # The first 30 of every 60 days belong to the other use.
    assert (started % 60.0 >= 30.0 - 1e-9).all()
    alone = check_arm(build(in_vivo_floor(lines=1)), "in_vivo").offered["line/1"]
    lent = check_arm(build(raw), "in_vivo").offered["line/1"]
    assert lent == pytest.approx(2 * alone, rel=0.02)
    surge = dict(shared, surges=[[300.0, 400.0]], other_use_fraction=probability(0.0))
    _, result = whole_run(in_vivo_floor(shared=surge), "in_vivo")
    started = result.lots.mark("lot started")
    assert not ((started >= 300.0) & (started < 400.0)).any()
    first = dict(surge, priority_in_surge="own_product")
    own = run_flow(build(in_vivo_floor(shared=first)), "in_vivo", 3).trajectories
    free = run_flow(build(in_vivo_floor()), "in_vivo", 3).trajectories
    np.testing.assert_array_equal(own.end_day, free.end_day)


def test_cumulative_doublings_beyond_the_reference_lower_the_effect_of_every_lot() -> None:
    old = expansion(effect_per_doubling=number(-0.1, "log_odds"), reference_doublings=number(20, "count"))
    bank = cell_bank()
    lots = allogeneic_floor(donors=None, cell_bank=bank, expansion=old)
    base = allogeneic_floor(donors=None, cell_bank=bank)
    effects = []
    for section in (lots, base):
        _, result = whole_run(with_lots(section, cell_source="ipsc"))
        effects.append(result.lots.attribute("effect")[result.lots.ended("released")])
    # 25 + 7 doublings, 12 beyond the reference.
    np.testing.assert_allclose(effects[0], effects[1] - 1.2)


def test_lots_wait_for_vector_and_media_that_come_in_lots() -> None:
    vector = {
        "source": {
            "units_per_lot": number(2, "count"),
            "lead_time": days(90),
            "failure": probability(0.0),
            "shelf_life": days(3000),
        },
        "reorder_point": 0,
        "order_up_to": 2,
        "initial_stock": 2,
    }
    scarce = with_lots(allogeneic_floor(supplies={"vector": vector}))
    flow = run_flow(build(scarce), "allogeneic", 3)
    free = run_flow(build(with_lots(allogeneic_floor())), "allogeneic", 3)
    assert flow.plant is not None and free.plant is not None
    # Two lots of cells a vector lot, one vector lot at a time every 90 days.
    assert flow.plant.counts["vector units used"] <= 2 * (flow.plant.counts["vector lots received"] + 1)
    assert flow.plant.infused < free.plant.infused
    assert flow.plant.stock_out_fraction > free.plant.stock_out_fraction
