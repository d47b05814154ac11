"""The way to an autologous product: collection, a run on a closed line, release, and what follows a failure.

Every piece of the plant's floor adds its steps only where the scenario states it, and draws under names of its own:
what is absent shifts no draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from cartsight.core.distributions import Constant
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AutologousArm
from cartsight.scenario.plant import Pickup
from cartsight.simulation import FlowModel, Goto
from cartsight.simulation import steps as s
from cartsight.simulation.pathways import background as b
from cartsight.simulation.pathways import plants as p
from cartsight.simulation.pathways import run as r
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways import versions as v
from cartsight.simulation.pathways.care import bridging_choice, note_state, per_hospital, to_infusion
from cartsight.simulation.pathways.material import (
    FAILURE,
    OUT_OF_SPECIFICATION,
    collected,
    declare_material,
    material_effects,
)
from cartsight.simulation.pathways.patients import Window
from cartsight.simulation.pathways.supplies import RESERVE_ROW, after_stock_out, declare_supplies, take_supplies

CLASS = "queue class"
CELLS_READY, CELLS_GONE = "cells ready for the courier", "cells with the courier"
PRODUCT_READY, PRODUCT_GONE = "product ready for the courier", "product with the courier"
BREAKDOWN, BREAKDOWN_RATE = "breakdown in a run", "log rate of lost runs"


def autologous_steps(model: FlowModel, scenario: Scenario, arm: AutologousArm, window: Window) -> list[s.Step]:
    """Declare the plants of an arm and return the steps of a patient from collection to infusion."""
    process = arm.process
    p.autologous_plants(model, scenario, arm, window)
    v.declare_versions(model, arm)
    b.background(model, scenario, arm, window)
    declare_material(model, arm.starting_material)
    declare_supplies(model, arm.supplies, window)
    days = p.weekday_calendar(arm.collection.days)
    per_hospital(model, scenario, "leukapheresis place", arm.collection.beds_per_hospital, days)
    for name, wanted in (
        (CLASS, _classes(arm)),
        (r.LOG_DAYS, process.maximum_days is not None),
        (r.SHORT, process.maximum_days is not None),
        (r.EARLY, process.harvest_early is not None),
        (BREAKDOWN_RATE, bool(b.breakdown_hazard(scenario, arm))),
        (r.LEARNED, process.learning is not None),
    ):
        if wanted:
            model.attribute(name)
    if process.learning is not None:
        plants = len(b.plants_of(scenario, arm))
        model.counter(r.LEARNED, values=plants, start=process.learning.batches_before)
    fresh = process.starting_material == "fresh"
    if fresh:
        assert process.fresh_window is not None
        model.clock("starting material expiry", Goto("expired"), law=Constant(process.fresh_window.x), armed=False)
    for gate, pickup in (
        ("pickup from the hospital", process.pickup_from_hospital),
        ("pickup from the plant", process.pickup_from_plant),
    ):
        if pickup is not None:
            model.gate(gate, p.pickup_calendar(pickup))
    return [
        *_collect(scenario, arm),
        *_start(model, scenario, arm),
        *_run(model, scenario, arm),
        *_release(scenario, arm),
        *_failures(model, scenario, arm),
    ]


def _classes(arm: AutologousArm) -> bool:
    """Whether patients differ in their class in a queue."""
    return arm.process.priority == "worsened_first" or any(
        supply.allocation != "first_in_line" for supply in arm.supplies.values()
    )


def _line(scenario: Scenario, arm: AutologousArm, at: str) -> list[s.Step]:
    """Return the steps that take a line: `into` keeps the number of the plant."""
    steps: list[s.Step] = []
    if _classes(arm):
        first = next(iter(scenario.population.health_states))
        reserve = any(supply.reserve for supply in arm.supplies.values())
        steps = [
            s.Set(CLASS, float(b.WORSENED_FIRST)),
            *([s.Set(RESERVE_ROW, 1.0)] if reserve else []),
            s.InState(first, otherwise=f"class noted {at}"),
            s.Set(CLASS, float(b.IN_LINE)),
            *([s.Set(RESERVE_ROW, 0.0)] if reserve else []),
            s.Label(f"class noted {at}"),
        ]
    priority: int | str | None = None
    if arm.process.priority == "worsened_first":
        priority = CLASS
    elif b.needed(arm):
        priority = b.IN_LINE
    into = "site" if p.first_pool(arm) == p.LINE else None
    steps += [*p.route(scenario, arm, at)] if into is not None else []
    if v.before_line(arm):
        steps += v.choose_process(scenario, arm, f"process {at}")
    return [*steps, s.Seize(p.LINE, priority=priority, into=into, name=f"line {at}")]


def _pool(arm: AutologousArm, pool: str) -> tuple[list[s.Step], list[s.Step]]:
    """Return the steps that take and give back a server of a pool; none where it is unlimited everywhere."""
    return ([s.Seize(pool)], [s.Free(pool)]) if p.limited(arm, pool) else ([], [])


def _pickup(gate: str, pickup: Pickup | None, ready: str, gone: str) -> list[s.Step]:
    if pickup is None:
        return []
    return [s.Mark(ready, log=True, keep="none"), s.Gate(gate), s.Mark(gone, log=True, keep="none")]


def _collect(scenario: Scenario, arm: AutologousArm) -> list[s.Step]:
    process, collection = arm.process, arm.collection
    fresh = process.starting_material == "fresh"
    return [
        *bridging_choice(scenario),
        s.Label("collect"),
        *(_line(scenario, arm, "at booking") if fresh else []),
        s.Delay("wait for collection", collection.wait_for_slot.distribution),
        s.Seize("leukapheresis place"),
        s.Delay("leukapheresis", collection.time.distribution),
        s.Free("leukapheresis place"),
        s.Mark(t.LEUKAPHERESIS, log=True),
        s.Chance("collection succeeds", 1.0 - collection.failure.x, otherwise="collection failed"),
        *collected(arm.starting_material),
        s.Set("bridging", "will_bridge"),
        *([s.Arm("starting material expiry")] if fresh else []),
        *_pickup("pickup from the hospital", process.pickup_from_hospital, CELLS_READY, CELLS_GONE),
        s.Delay("shipping to the plant", process.shipping_out.distribution),
        s.Mark(t.SHIPMENT, log=True),
        s.Label("start batch"),
    ]


def _start(model: FlowModel, scenario: Scenario, arm: AutologousArm) -> list[s.Step]:
    """From the cells at the plant to a line with everything that a run needs."""
    fresh = arm.process.starting_material == "fresh"
    stored = p.limited(arm, p.MATERIAL_STORE)
    steps: list[s.Step] = []
    if stored:
        steps += [*p.route(scenario, arm, "on arrival"), s.Seize(p.MATERIAL_STORE, into="site")]
    if not fresh:
        steps += _line(scenario, arm, "on arrival")
    if arm.supplies:
        steps += take_supplies(model, arm.supplies, CLASS, on_line=fresh)
        if not fresh:
            steps.append(s.Label("supplied"))
    if stored:
        steps.append(s.Free(p.MATERIAL_STORE))
    if fresh:
        steps.append(s.Disarm("starting material expiry"))
    if not v.before_line(arm):
        steps += v.choose_process(scenario, arm, "process at the plant")
    return steps


def _run(model: FlowModel, scenario: Scenario, arm: AutologousArm) -> list[s.Step]:
    process = arm.process
    material = material_effects(scenario, arm.starting_material)
    others = r.of_patients(scenario, arm)
    for name in others.effects:
        if name not in model.attributes:
            model.attribute(name)
    team_on, team_off = _pool(arm, p.OPERATORS)
    finishes = r.odds_of(arm, FAILURE, others, material)
    hands_on: list[s.Step] = []
    harvest: list[s.Step] = []
    if process.hands_on_start is not None:
        hands_on = [s.Delay("hands-on work at the start", process.hands_on_start.distribution), *team_off]
        if process.hands_on_harvest is not None:
            harvest = [*team_on, s.Delay("hands-on work at harvest", process.hands_on_harvest.distribution), *team_off]
    store_on, _ = _pool(arm, p.PRODUCT_STORE)
    broken_on, broken_off = _breakdown_clock(model, scenario, arm)

    def own_run(name: str) -> list[s.Step] | None:
        law = v.manufacturing_of(arm, name)
        return None if law is None else r.manufacturing(arm, law, f"manufacturing: {name}", material)

    return [
        *team_on,
        *note_state(scenario, "at start"),
        *v.at_start(arm, lambda name, on: r.version_offset(arm, name, on, others, material)),
        *_early(arm),
        *r.learn(process.learning, len(b.plants_of(scenario, arm))),
        s.Mark(t.BATCH_STARTED, log=True),
        *broken_on,
        *hands_on,
        *v.by_process(
            arm,
            "manufacturing",
            r.manufacturing(arm, process.manufacturing.distribution, "manufacturing", material),
            own_run,
        ),
        *harvest,
        *broken_off,
        s.Chance("manufacturing succeeds", finishes.success, otherwise="batch failed", logit_effects=finishes.effects),
        *([s.Test(r.SHORT, "==", 0.0, otherwise="batch failed")] if _fails_at_maximum(arm) else []),
        *(team_off if process.hands_on_start is None else []),
        *store_on,
        *b.clean_after_run(arm),
        s.Free(p.LINE),
    ]


def _fails_at_maximum(arm: AutologousArm) -> bool:
    return arm.process.maximum_days is not None and arm.process.at_maximum == "fail"


def _early(arm: AutologousArm) -> list[s.Step]:
    policy = arm.process.harvest_early
    if policy is None:
        return []
    return [
        s.Set(r.EARLY, "worsened"),
        # A version's own effect is set at the start; without versions the last batch's is replaced.
        *([] if arm.processes else [s.Set("lot_effect", 0.0)]),
        s.Add("lot_effect", "worsened", times=math.log(policy.odds_ratio_response.x)),
    ]


def _breakdown_clock(model: FlowModel, scenario: Scenario, arm: AutologousArm) -> tuple[list[s.Step], list[s.Step]]:
    rates = b.breakdown_hazard(scenario, arm)
    if not rates:
        return [], []
    model.clock(BREAKDOWN, Goto("run lost"), hazard_per_day=1.0, log_effects={BREAKDOWN_RATE: 1.0}, armed=False)
    plants = len(b.plants_of(scenario, arm))
    on: list[s.Step] = []
    same = len(rates) == plants and len(set(rates.values())) == 1
    if same:
        on = [s.Set(BREAKDOWN_RATE, math.log(next(iter(rates.values())))), s.Arm(BREAKDOWN)]
    else:
        for number, rate in rates.items():
            on += [
                s.Test("site", "==", float(number), otherwise=f"not plant {number}"),
                s.Set(BREAKDOWN_RATE, math.log(rate)),
                s.Arm(BREAKDOWN),
                s.Label(f"not plant {number}"),
            ]
    return on, [s.Disarm(BREAKDOWN)]


def _release(scenario: Scenario, arm: AutologousArm) -> list[s.Step]:
    process = arm.process
    material = material_effects(scenario, arm.starting_material)
    passes = r.odds_of(arm, OUT_OF_SPECIFICATION, r.of_patients(scenario, arm), material)
    testing: tuple[str, ...] = (p.QUALITY_CONTROL,)
    if p.limited(arm, p.INSTRUMENTS):
        testing = (p.QUALITY_CONTROL, p.INSTRUMENTS)
    review: list[s.Step] = []
    if process.quality_assurance_review is not None:
        review_on, review_off = _pool(arm, p.QUALITY_ASSURANCE)
        review = [
            *review_on,
            s.Delay("quality assurance review", process.quality_assurance_review.distribution),
            *review_off,
        ]
    _, store_off = _pool(arm, p.PRODUCT_STORE)
    below = process.maximum_days is not None and process.at_maximum == "harvest"

    def own_testing(name: str) -> list[s.Step] | None:
        law = v.release_testing_of(arm, name)
        return None if law is None else [s.Delay(f"release testing: {name}", law)]

    return [
        s.Seize(testing if len(testing) > 1 else testing[0]),
        *v.by_process(
            arm, "release testing", [s.Delay("release testing", process.release_testing.distribution)], own_testing
        ),
        s.Free(*testing),
        *review,
        *v.at_release(arm),
        *([s.Test(r.SHORT, "==", 0.0, otherwise="out of specification")] if below else []),
        s.Chance("in specification", passes.success, otherwise="out of specification", logit_effects=passes.effects),
        s.Label("released"),
        s.Mark(t.PRODUCT_RELEASED, log=True),
        *_pickup("pickup from the plant", process.pickup_from_plant, PRODUCT_READY, PRODUCT_GONE),
        *store_off,
        s.Delay("shipping to the hospital", process.shipping_back.distribution),
        s.Mark(t.SHIPMENT, log=True),
        *to_infusion(scenario, arm),
        s.End(t.INFUSED),
    ]


def _failures(model: FlowModel, scenario: Scenario, arm: AutologousArm) -> list[s.Step]:
    process, collection = arm.process, arm.collection
    fresh = process.starting_material == "fresh"
    _, team_off = _pool(arm, p.OPERATORS)
    _, store_off = _pool(arm, p.PRODUCT_STORE)
    again = "collect" if fresh else "start batch"
    to = "next attempt" if process.remake_wait is not None or process.enough_stored_cells is not None else again
    discarded = "discarded" if store_off else "remake"
    steps: list[s.Step] = [
        s.Label("batch failed"),
        s.Mark(t.BATCH_FAILED, log=True),
        *(team_off if process.hands_on_start is None else []),
        *_again(b.clean_after_run(arm)),
        s.Free(p.LINE),
        s.Label("remake"),
    ]
    if process.stop_after_failure is not None:
        goes_on = 1.0 - process.stop_after_failure.x
        steps.append(s.Chance("tried again after a failure", goes_on, otherwise=s.End(t.NO_PRODUCT)))
    steps += [
        s.Retry("remake", process.attempts - 1, to=to, otherwise=s.End(t.NO_PRODUCT)),
        s.Label("out of specification"),
        s.Mark(t.OUT_OF_SPECIFICATION, log=True),
        *r.causes(arm),
        s.Chance("infused out of specification", process.infuse_out_of_specification.x, otherwise=discarded),
        s.Delay("approval out of specification", process.out_of_specification_approval.distribution),
        s.Set("out_of_specification", 1.0),
        s.Jump("released"),
    ]
    if v.any_at_risk(arm):
        steps += [
            s.Label("rejected for comparability"),
            s.Mark(t.OUT_OF_SPECIFICATION, log=True),
            s.Mark(r.cause_mark(r.NOT_COMPARABLE), log=True, keep="none"),
            s.Jump(discarded),
        ]
    if store_off:
        steps += [s.Label("discarded"), *store_off, s.Jump("remake")]
    steps += [
        s.Label("collection failed"),
        *([s.Free(p.LINE)] if fresh else []),
        s.Retry("collect again", collection.attempts - 1, to="collect", otherwise=s.End(t.NOT_COLLECTED)),
    ]
    if fresh:
        steps += [s.Label("expired"), s.Jump("remake")]
    if to == "next attempt":
        steps.append(s.Label(to))
        if process.remake_wait is not None:
            steps.append(s.Delay("wait for a remake", process.remake_wait.distribution))
        if process.enough_stored_cells is not None:
            steps.append(s.Chance("enough stored cells", process.enough_stored_cells.x, otherwise="collect"))
        steps.append(s.Jump(again))
    if b.breakdown_hazard(scenario, arm):
        # The clock has given everything back.
        steps += [
            s.Label("run lost"),
            s.Mark(t.BATCH_FAILED, log=True),
            s.Mark(b.RUN_LOST, log=True, keep="none"),
            s.Jump("remake"),
        ]
    if arm.supplies and not fresh:

        def line_again(at: str) -> list[s.Step]:
            line = _line(scenario, arm, at)
            if not p.limited(arm, p.MATERIAL_STORE):
                return line
            return [*p.route(scenario, arm, at), s.Seize(p.MATERIAL_STORE, into="site"), *line]

        steps += after_stock_out(arm.supplies, CLASS, line_again, on_line=False, lost="start batch")
    return steps


def _again(steps: Sequence[s.Step]) -> list[s.Step]:
    """Return steps of a failed run with names of their own: two steps must not draw under one name."""
    from dataclasses import replace

    return [
        replace(step, name=f"{step.name}, failed") if isinstance(step, (s.Spawn, s.Delay)) else step for step in steps
    ]
