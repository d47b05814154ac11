"""Lots: made on plant lines, filled, tested, and put into a stock of doses that expires; patients take doses from it."""

from __future__ import annotations

import math

from cartsight.core.distributions import Distribution, LogNormal, Normal, scaled
from cartsight.core.fitting import from_mean_sd
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AllogeneicArm, InVivoArm, LotProcess
from cartsight.simulation import FlowModel
from cartsight.simulation import steps as s
from cartsight.simulation.pathways import lot_plants as at
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.bank import start_material
from cartsight.simulation.pathways.care import bridging_choice, to_infusion
from cartsight.simulation.pathways.depots import CENTRAL, declare_depots, delivered_doses
from cartsight.simulation.pathways.in_vivo import expression, later_doses
from cartsight.simulation.pathways.patients import Window
from cartsight.simulation.pathways.recall import can_be_bad, declare_recall, inspection, withdraw_when_found
from cartsight.simulation.pathways.shared_lines import FILL_LINE, declare_lines
from cartsight.simulation.pathways.supplies import declare_supplies, stock_of

ROUNDING = 1e-9
"""Guards whole numbers of doses against the last bit of a product."""


def lot_stock(model: FlowModel, lots: LotProcess, window: Window) -> None:
    """Declare the lines, the program of a lot and the central stock of doses."""
    at.declare_plant_column(model, lots)
    model.attribute("effect", entity="lot")
    model.attribute("doses", entity="lot")
    declare_lines(model, lots, window)
    at.declare_plants(model, lots, window)
    declare_recall(model, lots)
    declare_supplies(model, lots.supplies, window)
    traced = bool(lots.depots) or can_be_bad(lots)
    if traced:
        model.attribute("origin", entity="lot")
        # Stock at the start expires a full shelf life later.
        model.attribute("expires_on", default=lots.shelf_life.x, entity="lot")
        model.attribute("shelf_life", entity="lot")
        model.counter("lots released")
    program: list[s.Step] = [
        *start_material(model, lots, window),
        *(s.Take(stock_of(name), supply.units_per_run) for name, supply in lots.supplies.items()),
        *at.start(lots),
        s.Mark("lot started"),
        *_run(model, lots),
        *_fill(model, lots),
        *at.in_testing(lots, s.Delay("lot release testing", lots.release_testing.distribution)),
        *at.review(lots),
        s.Chance("lot passes release", 1.0 - lots.rejection.x, otherwise=s.End("rejected")),
        *_effect(lots),
        *inspection(lots),
        s.Mark("lot released"),
        *(_released_traced(lots) if traced else _released(lots)),
        *withdraw_when_found(lots, CENTRAL, "at the central store"),
        s.End("released"),
        s.Label("lot failed"),
        *at.end_of_run(lots, failed=True),
        s.End("failed"),
        *at.run_lost(lots),
    ]
    if lots.fill_line is not None:
        program += [s.Label("fill failed"), s.Free(FILL_LINE), s.Set("stage", -1.0), s.End("failed")]
    model.program("lot", program, entity="lot")
    expected = max(lots.mean_doses, 1.0) * (1.0 - lots.failure.x) * (1.0 - lots.rejection.x) * lots.further_passes
    initial = [(lots.initial_stock, lots.shelf_life.x)] if lots.initial_stock else []
    model.stock(
        CENTRAL,
        initial=initial,
        reorder_point=float(lots.reorder_point),
        order_up_to=float(lots.order_up_to),
        lot_program="lot",
        doses_per_lot=expected,
        review_until=window.arrivals_end,
    )


def _run(model: FlowModel, lots: LotProcess) -> list[s.Step]:
    """The run on the line. Which stage fails is drawn first, so that a lost lot holds the line to that point only."""
    if lots.stage_failures or lots.fill_line is not None:
        model.attribute("stage", entity="lot")
    steps: list[s.Step] = []
    if lots.stage_failures:
        branches: dict[s.Branch, float] = {}
        left = 1.0
        for name, stage in lots.stage_failures.items():
            branches[f"fails: {name}"] = left * stage.probability.x
            left *= 1.0 - stage.probability.x
        steps += [s.Switch("stage that fails", {"no stage fails": left, **branches})]
        for number, (name, stage) in enumerate(lots.stage_failures.items(), start=1):
            steps += [s.Label(f"fails: {name}"), s.Set("stage", float(number))]
            if stage.found_at.x > 0.0:
                law = scaled(lots.manufacturing.distribution, stage.found_at.x)
                steps += at.run(lots, f"lot run until {name} fails", law)
            steps.append(s.Jump("lot failed"))
        steps.append(s.Label("no stage fails"))
    return [
        *steps,
        *at.run(lots, "lot manufacturing", lots.manufacturing.distribution),
        s.Chance("lot succeeds", 1.0 - lots.failure.x, otherwise="lot failed", logit_effects=at.learned_success(lots)),
        *at.end_of_run(lots),
        *([s.Mark("run finished")] if lots.fill_line is not None else []),
    ]


def _doses_law(lots: LotProcess) -> Distribution | float:
    """Return the law of a lot's filled vials over vials per dose, of an average donor, before caps and samples."""
    assert lots.fill is not None
    per_dose = lots.fill.vials_per_amount / lots.fill.vials_per_dose
    if lots.drug_substance is not None:
        return scaled(lots.drug_substance.amount, max(per_dose, 1e-300))
    mean, sigma = lots.mean_amount * per_dose, lots.yield_sigma
    return LogNormal(math.log(mean) - 0.5 * sigma**2, sigma) if sigma > 0.0 and mean > 0.0 else mean


def _fill(model: FlowModel, lots: LotProcess) -> list[s.Step]:
    """From bulk to doses: yield, vials, the fill line, samples, partial lots."""
    fill, line = lots.fill, lots.fill_line
    steps: list[s.Step] = []
    if lots.drug_substance is not None and lots.drug_substance.testing is not None:
        testing = s.Delay("drug substance testing", lots.drug_substance.testing.distribution)
        steps += at.in_testing(lots, testing)
    if fill is not None:
        model.attribute("vials", entity="lot")
        model.attribute("partial", entity="lot")
        effects = {"donor_yield": 1.0} if lots.donors is not None else {}
        steps.append(s.Set("doses", _doses_law(lots), log_effects=effects, name="lot yield"))
        if fill.maximum_vials is not None:
            most = fill.maximum_vials / fill.vials_per_dose
            steps += [
                s.Test("doses", ">", most, otherwise="bulk fits the filling"),
                s.Set("doses", most),
                s.Label("bulk fits the filling"),
            ]
        steps.append(s.Set("vials", "doses", times=float(fill.vials_per_dose)))
    if line is not None:
        steps += [s.Seize(FILL_LINE), s.Mark("filling started")]
        if line.changeover is not None and line.changeover.x > 0.0:
            steps.append(s.Delay("changeover of the fill line", line.changeover.x))
        if line.time is not None:
            steps.append(s.Delay("filling", line.time.distribution))
        else:
            assert line.vials_per_hour is not None
            model.attribute("log_vials", entity="lot")
            per_day = line.vials_per_hour.x * line.hours_per_day
            # At least one vial: the logarithm of none does not exist.
            steps += [
                s.Set("log_vials", "vials"),
                s.Test("log_vials", "<", 1.0, otherwise="vials to fill"),
                s.Set("log_vials", 1.0),
                s.Label("vials to fill"),
                s.Set("log_vials", "log_vials", function="log"),
                s.Delay("filling", 1.0 / max(per_day, 1e-9), log_effects={"log_vials": 1.0}),
            ]
        steps += [s.Chance("filling succeeds", 1.0 - line.failure.x, otherwise="fill failed"), s.Free(FILL_LINE)]
    if fill is not None:
        steps.append(s.Mark("lot filled"))
        used = (fill.release_samples + fill.retains + lots.sampled_vials) / fill.vials_per_dose
        steps += [
            # `Put` rounds to the nearest whole number; doses are rounded down.
            s.Add("doses", -used - 0.5 + ROUNDING),
            s.Test("doses", "<", fill.smallest_released() - 0.5, otherwise="enough doses"),
            s.Set("partial", 1.0),
            s.End("rejected"),
            s.Label("enough doses"),
        ]
    elif lots.doses_per_lot_cv is not None and lots.doses_per_lot_cv.x > 0.0:
        mean = lots.mean_doses
        steps.append(
            s.Set("doses", from_mean_sd("lognormal", mean, mean * lots.doses_per_lot_cv.x), name="doses of a lot")
        )
    return steps


def _effect(lots: LotProcess) -> list[s.Step]:
    """The effect of a lot on response: of the lot itself, of its donor, and of the doublings behind its cells."""
    steps: list[s.Step] = []
    if lots.lot_effect_sd.x > 0:
        steps.append(s.Set("effect", Normal(0.0, lots.lot_effect_sd.x), name="lot effect"))
    if lots.donor_effect_sd > 0:
        steps.append(s.Add("effect", "donor_effect"))
    shift = 0.0 if lots.expansion is None else lots.expansion.response_shift(lots.doublings_before)
    if shift != 0.0:
        steps.append(s.Add("effect", shift))
    return steps


def _doses_put(lots: LotProcess) -> float | str:
    if lots.fill is not None or (lots.doses_per_lot_cv is not None and lots.doses_per_lot_cv.x > 0.0):
        return "doses"
    return round(lots.mean_doses)


def _released(lots: LotProcess) -> list[s.Step]:
    return [s.Put("lot to stock", CENTRAL, _doses_put(lots), lots.shelf_life.distribution)]


def _released_traced(lots: LotProcess) -> list[s.Step]:
    """A lot whose doses may be moved or recalled carries its number and its day of expiry."""
    return [
        s.Count("lots released", into="origin"),
        s.Set("shelf_life", lots.shelf_life.distribution, name="shelf life of the lot"),
        s.Now("expires_on"),
        s.Add("expires_on", "shelf_life"),
        s.Put("lot to stock", CENTRAL, _doses_put(lots), "shelf_life"),
    ]


def from_stock_steps(
    model: FlowModel, scenario: Scenario, arm: AllogeneicArm | InVivoArm, window: Window
) -> list[s.Step]:
    """Return a patient's steps from the order to infusion, from stock made in lots."""
    lot_stock(model, arm.lots, window)
    declare_depots(model, scenario, arm.lots, window)
    order: list[s.Step] = [
        *bridging_choice(scenario),
        s.Set("bridging", "will_bridge"),
        *delivered_doses(arm),
        *to_infusion(scenario, arm),
    ]
    if isinstance(arm, AllogeneicArm):
        return [*order, s.End(t.INFUSED)]
    return [*order, s.Label("first dose given"), *later_doses(arm), *expression(arm)]
