"""Lots: made on plant lines, tested, and put into a stock of doses that expires; patients take doses from it."""

from __future__ import annotations

import math

from cartsight.core.distributions import Constant, Normal
from cartsight.core.fitting import from_mean_sd
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AllogeneicArm, InVivoArm, LotProcess
from cartsight.simulation import FlowModel
from cartsight.simulation import steps as s
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.care import bridging_choice, to_infusion
from cartsight.simulation.pathways.patients import Window


def lot_stock(model: FlowModel, lots: LotProcess, window: Window) -> None:
    model.attribute("effect", entity="lot")
    model.attribute("doses", entity="lot")
    names = [f"line/{i + 1}" for i in range(lots.sites)]
    for name in names:
        model.resource(name, lots.lines)
    model.group("line", names, rule="first_free" if len(names) > 1 else "fixed")
    sd = lots.lot_effect_sd.x
    program: list[s.Step] = [
        s.Seize("line"),
        s.Mark("lot started"),
        s.Delay("lot manufacturing", lots.manufacturing.distribution),
        s.Chance("lot succeeds", 1.0 - lots.failure.x, otherwise="lot failed"),
        s.Free("line"),
        s.Delay("lot release testing", lots.release_testing.distribution),
        s.Chance("lot passes release", 1.0 - lots.rejection.x, otherwise=s.End("rejected")),
    ]
    if sd > 0:
        program.append(s.Set("effect", Normal(0.0, sd), name="lot effect"))
    doses: float | str = round(lots.doses_per_lot.x)
    if lots.doses_per_lot_cv is not None and lots.doses_per_lot_cv.x > 0:
        mean = lots.doses_per_lot.x
        yields = from_mean_sd("lognormal", mean, mean * lots.doses_per_lot_cv.x)
        program.append(s.Set("doses", yields, name="doses of a lot"))
        doses = "doses"
    program += [
        s.Mark("lot released"),
        s.Put("lot to stock", "doses", doses, lots.shelf_life.distribution),
        s.End("released"),
        s.Label("lot failed"),
        s.Free("line"),
        s.End("failed"),
    ]
    model.program("lot", program, entity="lot")
    expected = max(lots.doses_per_lot.x, 1.0) * (1.0 - lots.failure.x) * (1.0 - lots.rejection.x)
    initial = [(lots.initial_stock, lots.shelf_life.x)] if lots.initial_stock else []
    model.stock(
        "doses",
        initial=initial,
        reorder_point=float(lots.reorder_point),
        order_up_to=float(lots.order_up_to),
        lot_program="lot",
        doses_per_lot=expected,
        review_until=window.arrivals_end,
    )


def from_stock_steps(
    model: FlowModel, scenario: Scenario, arm: AllogeneicArm | InVivoArm, window: Window
) -> list[s.Step]:
    lot_stock(model, arm.lots, window)
    order: list[s.Step] = [
        *bridging_choice(scenario),
        s.Set("bridging", "will_bridge"),
        s.Take("doses", arm.doses_per_course, copy={"effect": "lot_effect"}, lot_into="lot"),
        s.Mark(t.DOSE_TAKEN, log=True),
        s.Delay("order to delivery", arm.order_to_delivery.distribution),
        s.Mark(t.SHIPMENT, log=True),
        *to_infusion(scenario, arm),
    ]
    if isinstance(arm, AllogeneicArm):
        return [*order, s.End(t.INFUSED)]
    return [*order, s.Label("first dose given"), *_later_doses(arm), *_expression(arm)]


def _later_doses(arm: InVivoArm) -> list[s.Step]:
    """The further doses of a course, whether it is the first course or a later one."""
    steps: list[s.Step] = []
    for number in range(2, arm.doses_per_course + 1):
        assert arm.dose_interval is not None
        steps += [
            s.Delay(f"interval to dose {number}", Constant(arm.dose_interval.x)),
            s.Mark(t.REDOSING_VISIT, log=True),
        ]
    return steps


def _expression(arm: InVivoArm) -> list[s.Step]:
    """The course takes or not; if not, another course follows unless neutralising immunity has set in."""
    redosing = arm.redosing
    no_immunity = math.exp(-redosing.immunity.x * redosing.interval.x)
    return [
        s.Chance("expression", arm.expression.x, otherwise="no expression"),
        s.Set("expressed", 1.0),
        s.Jump("courses complete"),
        s.Label("no expression"),
        s.Retry("redosing", redosing.maximum_courses - 1, to="another course", otherwise="courses complete"),
        s.Label("another course"),
        s.Delay("redosing interval", Constant(redosing.interval.x)),
        s.Chance("no immunity against the vector", no_immunity, otherwise="courses complete"),
        s.Take("doses", arm.doses_per_course, copy={"effect": "lot_effect"}, lot_into="lot"),
        s.Mark(t.DOSE_TAKEN, log=True),
        s.Mark(t.SHIPMENT, log=True),
        s.Mark(t.REDOSING_VISIT, log=True),
        s.Add("courses", 1.0),
        s.Jump("first dose given"),
        s.Label("courses complete"),
        s.End(t.INFUSED),
    ]
