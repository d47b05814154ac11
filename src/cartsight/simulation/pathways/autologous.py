"""The way to an autologous product: collection, a run on a closed line, release, and what follows a failure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cartsight.core.distributions import Constant
from cartsight.core.logit_normal import logit_normal_intercept
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AutologousArm
from cartsight.scenario.numbers import OddsRatio, Probability
from cartsight.simulation import FlowModel, Goto
from cartsight.simulation import steps as s
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.care import bridging_choice, note_state, per_hospital, to_infusion
from cartsight.simulation.pathways.patients import Window
from cartsight.simulation.pathways.plants import OPERATORS, QUALITY_ASSURANCE, autologous_plants, limited


@dataclass(frozen=True, slots=True)
class OfPatients:
    """What else in patients makes batches fail: log-odds of success by attribute, their value and sd in the average patient."""

    effects: dict[str, float]
    at_average: float
    sd: float


def of_patients(scenario: Scenario, arm: AutologousArm) -> OfPatients:
    """Return the effects of frailty, age and sex on batches of an arm."""
    stated = arm.process.failure_log_odds
    if stated is None:
        return OfPatients({}, 0.0, 0.0)
    population = scenario.population
    effects: dict[str, float] = {}
    at_average, variance = 0.0, 0.0
    frailty_sd, age, female = population.frailty_sd.x, population.age.distribution, population.female.x
    if stated.frailty is not None and frailty_sd > 0.0:
        # the attribute is the log of the factor on hazards, of mean -sd^2 / 2
        effects["frailty"] = -stated.frailty.x / frailty_sd
        at_average += effects["frailty"] * -0.5 * frailty_sd**2
        variance += stated.frailty.x**2
    if stated.age is not None:
        effects["age"] = -stated.age.x
        at_average += effects["age"] * age.mean
        variance += stated.age.x**2 * age.variance
    if stated.female is not None:
        effects["female"] = -stated.female.x
        at_average += effects["female"] * female
        variance += stated.female.x**2 * female * (1.0 - female)
    return OfPatients(effects, at_average, math.sqrt(variance))


def success_of_average_patient(
    probability: Probability, sd: float, odds_ratio_if_worsened: OddsRatio, patients: OfPatients
) -> tuple[float, dict[str, float]]:
    """Return the probability of success of an average patient and the effects, so that the share who fail is as stated.

    The patient effect (standard normal times `sd`, on the log-odds of failure) is shared by all attempts of a patient.
    """
    failure = probability.x
    if failure in (0.0, 1.0):
        return 1.0 - failure, {}
    intercept = float(logit_normal_intercept(failure, math.hypot(sd, patients.sd))) + patients.at_average
    effects = {"starting_material": -sd, "worsened": -math.log(max(odds_ratio_if_worsened.x, 1e-6))}
    return 1.0 / (1.0 + math.exp(intercept)), {**effects, **patients.effects}


def autologous_steps(model: FlowModel, scenario: Scenario, arm: AutologousArm, window: Window) -> list[s.Step]:
    process, collection = arm.process, arm.collection
    autologous_plants(model, scenario, arm, window)
    per_hospital(model, scenario, "leukapheresis place", collection.beds_per_hospital)
    fresh = process.starting_material == "fresh"
    sd = process.patient_sd.x
    worse, others = process.odds_ratio_if_worsened, of_patients(scenario, arm)
    for name in others.effects:
        if name not in model.attributes:
            model.attribute(name)
    finishes, finish_effects = success_of_average_patient(process.manufacturing_failure, sd, worse, others)
    passes, pass_effects = success_of_average_patient(process.out_of_specification, sd, worse, others)
    reserve: list[s.Step] = [s.Seize("line", into="site")]
    expiry_on: list[s.Step] = []
    expiry_off: list[s.Step] = []
    if fresh:
        assert process.fresh_window is not None
        model.clock("starting material expiry", Goto("expired"), law=Constant(process.fresh_window.x), armed=False)
        expiry_on, expiry_off = [s.Arm("starting material expiry")], [s.Disarm("starting material expiry")]
    remake_from = "collect" if fresh else "start batch"
    again: list[s.Step] = []
    if process.remake_wait is not None:
        again = [s.Label("wait"), s.Delay("wait for a remake", process.remake_wait.distribution), s.Jump(remake_from)]
        remake_from = "wait"
    team_on: list[s.Step] = [s.Seize(OPERATORS)] if limited(arm, OPERATORS) else []
    team_off: list[s.Step] = [s.Free(OPERATORS)] if team_on else []
    review: list[s.Step] = []
    if process.quality_assurance_review is not None:
        review = [s.Delay("quality assurance review", process.quality_assurance_review.distribution)]
        if limited(arm, QUALITY_ASSURANCE):
            review = [s.Seize(QUALITY_ASSURANCE), *review, s.Free(QUALITY_ASSURANCE)]
    collect: list[s.Step] = [
        *bridging_choice(scenario),
        s.Label("collect"),
        *(reserve if fresh else []),
        s.Delay("wait for collection", collection.wait_for_slot.distribution),
        s.Seize("leukapheresis place"),
        s.Delay("leukapheresis", collection.time.distribution),
        s.Free("leukapheresis place"),
        s.Mark(t.LEUKAPHERESIS, log=True),
        s.Chance("collection succeeds", 1.0 - collection.failure.x, otherwise="collection failed"),
        s.Set("bridging", "will_bridge"),
        *expiry_on,
        s.Delay("shipping to the plant", process.shipping_out.distribution),
        s.Mark(t.SHIPMENT, log=True),
        s.Label("start batch"),
        *([] if fresh else reserve),
        *expiry_off,
    ]
    make: list[s.Step] = [
        *team_on,
        *note_state(scenario, "at start"),
        s.Mark(t.BATCH_STARTED, log=True),
        s.Delay("manufacturing", process.manufacturing.distribution),
        s.Chance("manufacturing succeeds", finishes, otherwise="batch failed", logit_effects=finish_effects),
        *team_off,
        s.Free("line"),
        s.Seize("quality control"),
        s.Delay("release testing", process.release_testing.distribution),
        s.Free("quality control"),
        *review,
        s.Chance("in specification", passes, otherwise="out of specification", logit_effects=pass_effects),
        s.Label("released"),
        s.Mark(t.PRODUCT_RELEASED, log=True),
        s.Delay("shipping to the hospital", process.shipping_back.distribution),
        s.Mark(t.SHIPMENT, log=True),
        *to_infusion(scenario, arm),
        s.End(t.INFUSED),
    ]
    trouble: list[s.Step] = [
        s.Label("batch failed"),
        s.Mark(t.BATCH_FAILED, log=True),
        *team_off,
        s.Free("line"),
        s.Label("remake"),
        s.Retry("remake", process.attempts - 1, to=remake_from, otherwise=s.End(t.NO_PRODUCT)),
        s.Label("out of specification"),
        s.Mark(t.OUT_OF_SPECIFICATION, log=True),
        s.Chance("infused out of specification", process.infuse_out_of_specification.x, otherwise="remake"),
        s.Delay("approval out of specification", process.out_of_specification_approval.distribution),
        s.Set("out_of_specification", 1.0),
        s.Jump("released"),
        s.Label("collection failed"),
        *([s.Free("line")] if fresh else []),
        s.Retry("collect again", collection.attempts - 1, to="collect", otherwise=s.End(t.NOT_COLLECTED)),
    ]
    if fresh:
        trouble += [s.Label("expired"), s.Jump("remake")]
    trouble += again
    return [*collect, *make, *trouble]
