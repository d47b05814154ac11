"""What the pathway of every arm shares: the clocks of waiting, the care-pathway steps, bridging, bed and infusion."""

from __future__ import annotations

import math

from cartsight.core.distributions import Constant
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AllogeneicArm, AutologousArm, InVivoArm
from cartsight.simulation import Calendar, FlowModel, SetState
from cartsight.simulation import steps as s
from cartsight.simulation.pathways import trajectory as t


def waiting_clocks(model: FlowModel, scenario: Scenario) -> None:
    population = scenario.population
    states = population.health_states
    model.health_states(*states)
    frail = {"frailty": 1.0}
    model.clock(
        "death while waiting",
        s.End(t.DIED),
        hazard_per_day={k: v.death.x for k, v in states.items()},
        log_effects=frail,
    )
    model.clock(
        "becoming ineligible",
        s.End(t.INELIGIBLE),
        hazard_per_day={k: v.ineligibility.x for k, v in states.items()},
        log_effects=frail,
    )
    bridging = scenario.care_pathway.bridging
    effects = dict(frail)
    if bridging is not None:
        effects["bridging"] = math.log(max(bridging.hazard_ratio_of_worsening.x, 1e-6))
    for name, state in states.items():
        if state.worsening is not None and state.worsens_to is not None:
            rates = {k: state.worsening.x if k == name else 0.0 for k in states}
            model.clock(f"worsening from {name}", SetState(state.worsens_to), hazard_per_day=rates, log_effects=effects)


def disarm_clocks(scenario: Scenario) -> list[s.Step]:
    states = scenario.population.health_states
    worsening = [f"worsening from {name}" for name, state in states.items() if state.worsening is not None]
    return [s.Disarm(clock) for clock in ("death while waiting", "becoming ineligible", *worsening)]


def care_pathway(scenario: Scenario, modality: str, extra_wait_days: float) -> list[s.Step]:
    steps: list[s.Step] = []
    for name, step in scenario.care_pathway.steps.items():
        if modality not in step.modalities:
            continue
        steps += [
            s.Delay(name, step.time.distribution),
            s.Mark(f"step: {name}", log=True),
            s.Chance(f"{name}: stays", 1.0 - step.leaves.x, otherwise=s.End(f"left: {step.because}")),
        ]
    if extra_wait_days > 0:
        steps.append(s.Delay("extra wait", Constant(extra_wait_days)))
    return steps


def infusion_beds(model: FlowModel, scenario: Scenario) -> None:
    beds = scenario.care_pathway.infusion_bed.beds_per_hospital
    per_hospital(model, scenario, "infusion bed", beds)


def per_hospital(
    model: FlowModel, scenario: Scenario, group: str, capacity: int, calendar: Calendar | None = None
) -> None:
    names = []
    for region_name, region in scenario.population.regions.items():
        for number in range(region.hospitals):
            names.append(f"{group}/{region_name} {number + 1}")
            model.resource(names[-1], capacity, calendar=calendar)
    model.group(group, names, rule="by_attribute", attribute="hospital")


def note_state(scenario: Scenario, at: str) -> list[s.Step]:
    """Set the attribute `worsened` from the health state."""
    first = next(iter(scenario.population.health_states))
    return [
        s.Set("worsened", 1.0),
        s.InState(first, otherwise=f"state noted {at}"),
        s.Set("worsened", 0.0),
        s.Label(f"state noted {at}"),
    ]


def bridging_choice(scenario: Scenario) -> list[s.Step]:
    bridging = scenario.care_pathway.bridging
    if bridging is None:
        return []
    return [
        s.Chance("bridging therapy", bridging.share.x, otherwise="no bridging therapy"),
        s.Set("will_bridge", 1.0),
        s.Label("no bridging therapy"),
    ]


def to_infusion(scenario: Scenario, arm: AutologousArm | AllogeneicArm | InVivoArm) -> list[s.Step]:
    """A bed is booked from the start of lymphodepletion and held until discharge; the clocks stop at the infusion."""
    steps: list[s.Step] = [s.Seize("infusion bed")]
    if arm.lymphodepletion is not None:
        steps += [s.Delay("lymphodepletion", arm.lymphodepletion.distribution), s.Mark(t.LYMPHODEPLETION, log=True)]
    steps += note_state(scenario, "at infusion")
    steps += [s.Mark(t.INFUSION, log=True, keep="first"), s.Add("courses", 1.0)]
    steps += disarm_clocks(scenario)
    stay = scenario.care_pathway.infusion_bed.stay.distribution
    return [*steps, s.Delay("stay", stay), s.Free("infusion bed")]
