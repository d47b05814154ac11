"""Random floors of lot-made products: doses are conserved, lots follow the rules, and both interpreters agree."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.scenario import Scenario
from cartsight.scenario.arms import LotArm
from cartsight.simulation import compile_model, simulate, simulate_reference
from cartsight.simulation.arrivals import Arrivals
from cartsight.simulation.pathways import generate_patients, observation_window
from cartsight.simulation.pathways.build import build_model
from cartsight.simulation.result import FlowResult
from tests.lots_floor_builder import allogeneic_floor, cell_bank, donors, fill, with_lots
from tests.scenario_builder import Raw, build, days, number, probability
from tests.simulation.test_lots_floor_stores import balance, depots, recall, three_regions

SHARE = st.floats(0.0, 0.6)


@st.composite
def floors(draw: st.DrawFn) -> Raw:
    """Return a scenario with a random choice of the floor's parts and of their sizes."""
    changes: dict[str, Any] = {"shelf_life": days(draw(st.floats(20.0, 200.0)))}
    ipsc = draw(st.booleans())
    if ipsc:
        bank = cell_bank(master_vials=draw(st.integers(0, 3)), working_vials=draw(st.integers(1, 6)))
        changes |= {"donors": None, "cell_bank": bank}
    else:
        changes["donors"] = donors(lots_per_leukapheresis=draw(st.integers(1, 5)))
    if draw(st.booleans()):
        chance = probability(draw(SHARE))
        changes["stage_failures"] = {"culture": {"probability": chance, "found_at": probability(draw(SHARE))}}
    if draw(st.booleans()):
        changes["recall"] = recall(draw(SHARE), draw(st.floats(0.0, 120.0)))
    if draw(st.booleans()):
        changes["depots"] = depots()
    if draw(st.booleans()):
        changes["thaw_loss"] = probability(draw(st.floats(0.0, 0.4)))
    if draw(st.booleans()):
        changes["fill_line"] = {
            "lines": draw(st.integers(1, 2)),
            "vials_per_hour": number(draw(st.floats(1.0, 50.0)), "count/hour"),
            "failure": probability(draw(SHARE)),
        }
    if draw(st.booleans()):
        changes["shared"] = {
            "other_use_fraction": probability(draw(SHARE)),
            "campaign": days(draw(st.floats(1.0, 40.0))),
        }
    small = fill(
        amount_per_dose=number(2e9, "cells"), release_samples=1, retains=0, minimum_doses=draw(st.integers(1, 9))
    )
    raw = with_lots(allogeneic_floor(fill=small, order_up_to=80, initial_stock=20, **changes))
    if ipsc:
        raw["arms"]["allogeneic"]["cell_source"] = "ipsc"
    raw["analysis"]["warm_up_days"] = 50
    return three_regions(raw, patients=150)


def both(scenario: Scenario) -> tuple[FlowResult, FlowResult]:
    """Return the run of the kernel and of the reference interpreter."""
    window = observation_window(scenario)
    people = generate_patients(scenario, 3, window)
    compiled = compile_model(build_model(scenario, "allogeneic", window))
    arrivals = Arrivals(
        people.referral_day,
        people.identity,
        {"region": people.region.astype(float), "hospital": people.hospital.astype(float)},
    )
    ends = (window.start, window.end)
    return simulate(compiled, arrivals, seed=3, window=ends), simulate_reference(
        compiled, arrivals, seed=3, window=ends
    )


@settings(max_examples=40, deadline=None)
@given(floors())
def test_floors_conserve_doses_and_both_interpreters_agree(raw: Raw) -> None:
    scenario = build(raw)
    result, slow = both(scenario)
    entered, accounted = balance(result)
    assert entered == accounted
    np.testing.assert_array_equal(result.patients.end_time, slow.patients.end_time)
    np.testing.assert_array_equal(result.lots.end_time, slow.lots.end_time)
    np.testing.assert_array_equal(result.lots.attribute_values, slow.lots.attribute_values)
    assert result.on_hand == slow.on_hand
    arm = scenario.arms["allogeneic"]
    assert isinstance(arm, LotArm)
    released = ~np.isnan(result.lots.mark("lot released"))
    doses = np.floor(result.lots.attribute("doses")[released] + 0.5)
    assert arm.lots.fill is not None
    assert (doses >= arm.lots.fill.smallest_released()).all()
    started = int(np.count_nonzero(~np.isnan(result.lots.mark("lot started"))))
    if arm.lots.cell_bank is not None:
        bank = arm.lots.cell_bank
        assert started <= bank.initial_working_vials + bank.master_vials * bank.working_vials
    else:
        assert arm.lots.donors is not None
        collected = int(result.lots.ended("donor collected").sum())
        material = arm.lots.donors.initial_material + collected * arm.lots.donors.lots_per_leukapheresis
        assert started <= material
