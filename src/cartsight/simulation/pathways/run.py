"""One run on a line: which process, how long, whether it yields a product in specification, and why not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cartsight.core.distributions import Constant, Distribution, LogNormal, Normal, QuantileTable, scaled
from cartsight.core.logit_normal import logit_normal_intercept_given
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AutologousArm
from cartsight.scenario.processes import Learning
from cartsight.simulation import steps as s
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.material import FAILURE, OUT_OF_SPECIFICATION, TIME, MaterialEffects
from cartsight.simulation.pathways.versions import ON_FAILURE, ON_OUT_OF_SPECIFICATION

LOG_DAYS, SHORT, EARLY = "log of run days", "harvested below the dose", "harvested early"
LEARNED = "doublings learned"
ALMOST_NEVER = 1e-9
NOT_COMPARABLE = "not comparable"
LOW_DOSE = "low dose"
"""Cause of a run that was harvested at the maximum time below its dose."""


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


@dataclass(frozen=True, slots=True)
class Odds:
    """Chance of success of an average patient and the effects on its log-odds."""

    success: float
    effects: dict[str, float]


def odds_of(arm: AutologousArm, on: str, others: OfPatients, material: MaterialEffects) -> Odds:
    """Return the chance that a batch does not fail, so that the share of first batches that fail is as stated.

    The patient effect (standard normal times `patient_sd`, on the log-odds of failure) is shared by all attempts of a
    patient; the effects of the starting material add to it.
    """
    process = arm.process
    failures = process.manufacturing_failure.x, process.out_of_specification.x
    if arm.processes:
        # A version may fail where the standard process never does.
        failures = _possible(failures)
    failure = failures[0] if on == FAILURE else failures[1]
    if failure in (0.0, 1.0):
        return Odds(1.0 - failure, {})
    intercept = _intercept(arm, on, failures, others, material)
    effects = {
        "starting_material": -process.patient_sd.x,
        "worsened": -math.log(max(process.odds_ratio_if_worsened.x, 1e-6)),
        **others.effects,
    }
    effects |= {name: -beta for name, beta in material.log_effects.get(on, {}).items()}
    if on == OUT_OF_SPECIFICATION and process.harvest_early is not None:
        effects[EARLY] = -math.log(process.harvest_early.odds_ratio_out_of_specification.x)
    if arm.processes:
        effects[ON_FAILURE if on == FAILURE else ON_OUT_OF_SPECIFICATION] = 1.0
    learning = process.learning
    if on == FAILURE and learning is not None and learning.odds_ratio_of_failure is not None:
        effects[LEARNED] = -math.log(learning.odds_ratio_of_failure.x)
    return Odds(1.0 / (1.0 + math.exp(intercept)), effects)


def _intercept(
    arm: AutologousArm, on: str, failures: tuple[float, float], others: OfPatients, material: MaterialEffects
) -> float:
    sd = math.hypot(arm.process.patient_sd.x, others.sd)
    failed, out_of_specification = failures
    if material.log_effects:
        return material.intercept(on, failed, out_of_specification, sd) + others.at_average
    if on == FAILURE:
        return logit_normal_intercept_given(failed, sd, 0.0) + others.at_average
    # only finished batches come to release, and the same patient effect let them be finished
    return logit_normal_intercept_given(out_of_specification, sd, failed) + others.at_average


def version_offset(arm: AutologousArm, name: str, on: str, others: OfPatients, material: MaterialEffects) -> float:
    """Return the log-odds of success of a version against the standard process."""
    version, process = arm.processes[name], arm.process
    if version.manufacturing_failure is None and version.out_of_specification is None:
        return 0.0
    standard = _possible((process.manufacturing_failure.x, process.out_of_specification.x))
    own = _possible(
        (
            (version.manufacturing_failure or process.manufacturing_failure).x,
            (version.out_of_specification or process.out_of_specification).x,
        )
    )
    return _intercept(arm, on, standard, others, material) - _intercept(arm, on, own, others, material)


def _possible(failures: tuple[float, float]) -> tuple[float, float]:
    first, second = (min(max(p, ALMOST_NEVER), 1.0 - ALMOST_NEVER) for p in failures)
    return first, second


def log_law(law: Distribution) -> Distribution:
    """Return the law of the logarithm of a time."""
    if isinstance(law, LogNormal):
        return Normal(law.mu, law.sigma)
    if isinstance(law, Constant):
        # A run of no length, as validation states it to start the clock elsewhere, has no logarithm.
        shortest = math.log(max(law.mean, 1e-9))
        return QuantileTable((0.0, 1.0), (shortest, shortest))
    inner = (np.arange(1024) + 0.5) / 1024
    values = np.log(np.maximum(law.quantile(inner), 1e-9))
    knots = np.concatenate([[0.0], inner, [1.0]])
    return QuantileTable(tuple(knots.tolist()), (float(values[0]), *values.tolist(), float(values[-1])))


def manufacturing(arm: AutologousArm, law: Distribution, name: str, material: MaterialEffects) -> list[s.Step]:
    """Return the steps from the start to the harvest: the days to dose, a shorter run, the maximum."""
    process = arm.process
    effects = dict(material.log_effects.get(TIME, {}))
    shift = material.log_mean_time() if effects else 0.0
    if process.harvest_early is not None:
        effects[EARLY] = math.log(process.harvest_early.ratio_of_manufacturing_time.x)
    if process.learning is not None and process.learning.ratio_of_manufacturing_time is not None:
        effects[LEARNED] = math.log(process.learning.ratio_of_manufacturing_time.x)
    if process.maximum_days is None:
        if shift != 0.0:
            law = scaled(law, math.exp(-shift))
        return [s.Delay(name, law, log_effects=effects)]
    longest = math.log(max(process.maximum_days.x, 1e-9))
    steps: list[s.Step] = [s.Set(LOG_DAYS, log_law(law), name=name)]
    if shift != 0.0:
        steps.append(s.Add(LOG_DAYS, -shift))
    steps += [s.Add(LOG_DAYS, attribute, times=beta) for attribute, beta in effects.items()]
    return [
        *steps,
        s.Set(SHORT, 0.0),
        s.Test(LOG_DAYS, ">", longest, otherwise=f"{name}: dose in time"),
        s.Set(LOG_DAYS, longest),
        s.Set(SHORT, 1.0),
        s.Label(f"{name}: dose in time"),
        s.Delay(f"{name}: to harvest", 1.0, log_effects={LOG_DAYS: 1.0}),
    ]


def learn(learning: Learning | None, plants: int) -> list[s.Step]:
    """Return the steps at a start that count it and set the doublings learned so far at its plant."""
    if learning is None:
        return []
    return [
        s.Count(
            LEARNED,
            into=LEARNED,
            by="site" if plants > 1 else None,
            step=1.0,
            times=1.0 / math.log(2.0),
            function="log",
        ),
        s.Add(LEARNED, -math.log2(learning.batches_before)),
        s.Test(LEARNED, ">", learning.doublings_at_most, otherwise="still learning"),
        s.Set(LEARNED, learning.doublings_at_most),
        s.Label("still learning"),
    ]


def causes(arm: AutologousArm) -> list[s.Step]:
    """Return the steps that name the main cause of an out-of-specification batch, in the log."""
    stated = arm.process.out_of_specification_causes
    steps: list[s.Step] = []
    if arm.process.maximum_days is not None:
        steps += [
            s.Test(SHORT, "==", 1.0, otherwise="not for low dose"),
            s.Mark(cause_mark(LOW_DOSE), log=True, keep="none"),
            s.Jump("cause known"),
            s.Label("not for low dose"),
        ]
    total = sum(share.x for share in stated.values())
    if not stated or total <= 0.0:
        return [*steps, s.Label("cause known")] if steps else []
    chosen = {name: share.x / total for name, share in stated.items() if share.x > 0.0}
    steps.append(s.Switch("cause of out of specification", {f"cause: {name}": share for name, share in chosen.items()}))
    for name in chosen:
        steps += [s.Label(f"cause: {name}"), s.Mark(cause_mark(name), log=True, keep="none"), s.Jump("cause known")]
    return [*steps, s.Label("cause known")]


def cause_mark(name: str) -> str:
    """Return the mark of a cause: "out of specification: viability"."""
    return f"{t.OUT_OF_SPECIFICATION}: {name}"
