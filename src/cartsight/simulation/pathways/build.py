"""From a scenario and an arm to a flow model: the pathway pieces that all modalities share, and what differs.

Every arm runs: the steps of the care pathway, its own way to a product, lymphodepletion if it has one, infusion in a
bed. While a patient waits, three clocks compete (death, becoming ineligible, worsening), all scaled by one frailty.
"""

from __future__ import annotations

import math

from cartsight.core.distributions import Constant, Normal
from cartsight.core.logit_normal import logit_normal_intercept
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AllogeneicArm, AutologousArm, InVivoArm, LotProcess, OtherCareArm, Site
from cartsight.scenario.numbers import OddsRatio, Probability
from cartsight.simulation import Calendar, FlowModel, Goto, SetState
from cartsight.simulation import steps as s
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.patients import Window

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SHUTDOWN_STARTS = 355.0
"""Day of the year on which a yearly shutdown starts (around the turn of the year)."""


def build_model(scenario: Scenario, arm_name: str, window: Window, extra_wait_days: float = 0.0) -> FlowModel:
    """Return the flow model of one arm.

    Parameters
    ----------
    scenario : Scenario
        At one parameter draw.
    arm_name : str
        Key of the arm.
    window : Window
        Lots start for stock until arrivals end.
    extra_wait_days : float
        Waiting added for every patient before the way to the product (a question of validation and sensitivity).
    """
    arm = scenario.arms[arm_name]
    model = FlowModel(f"{scenario.name} / {arm_name}")
    for name in ("region", "hospital", "frailty", "starting_material"):
        model.attribute(name)
    for name in (
        "worsened",
        "out_of_specification",
        "expressed",
        "will_bridge",
        "bridging",
        "courses",
        "lot_effect",
        "site",
        "lot",
    ):
        model.attribute(name)
    _clocks(model, scenario)
    steps = _care_pathway(scenario, arm.modality, extra_wait_days)
    match arm:
        case OtherCareArm():
            steps.append(s.End(t.OTHER_CARE))
        case AutologousArm():
            _beds(model, scenario)
            steps += _autologous(model, scenario, arm, window)
        case AllogeneicArm() | InVivoArm():
            _beds(model, scenario)
            steps += _from_stock(model, scenario, arm, window)
    model.program("patient", steps)
    return model


def _clocks(model: FlowModel, scenario: Scenario) -> None:
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


def _disarm(scenario: Scenario) -> list[s.Step]:
    states = scenario.population.health_states
    worsening = [f"worsening from {name}" for name, state in states.items() if state.worsening is not None]
    return [s.Disarm(clock) for clock in ("death while waiting", "becoming ineligible", *worsening)]


def _care_pathway(scenario: Scenario, modality: str, extra_wait_days: float) -> list[s.Step]:
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


def _beds(model: FlowModel, scenario: Scenario) -> None:
    beds = scenario.care_pathway.infusion_bed.beds_per_hospital
    _per_hospital(model, scenario, "infusion bed", beds)


def _per_hospital(
    model: FlowModel, scenario: Scenario, group: str, capacity: int, calendar: Calendar | None = None
) -> None:
    names = []
    for region_name, region in scenario.population.regions.items():
        for number in range(region.hospitals):
            names.append(f"{group}/{region_name} {number + 1}")
            model.resource(names[-1], capacity, calendar=calendar)
    model.group(group, names, rule="by_attribute", attribute="hospital")


def _note_state(scenario: Scenario, at: str) -> list[s.Step]:
    """Set the attribute `worsened` from the health state."""
    first = next(iter(scenario.population.health_states))
    return [
        s.Set("worsened", 1.0),
        s.InState(first, otherwise=f"state noted {at}"),
        s.Set("worsened", 0.0),
        s.Label(f"state noted {at}"),
    ]


def _bridging(scenario: Scenario) -> list[s.Step]:
    bridging = scenario.care_pathway.bridging
    if bridging is None:
        return []
    return [
        s.Chance("bridging therapy", bridging.share.x, otherwise="no bridging therapy"),
        s.Set("will_bridge", 1.0),
        s.Label("no bridging therapy"),
    ]


def _to_infusion(scenario: Scenario, arm: AutologousArm | AllogeneicArm | InVivoArm) -> list[s.Step]:
    """A bed is booked from the start of lymphodepletion and held until discharge; the clocks stop at the infusion."""
    steps: list[s.Step] = [s.Seize("infusion bed")]
    if arm.lymphodepletion is not None:
        steps += [s.Delay("lymphodepletion", arm.lymphodepletion.distribution), s.Mark(t.LYMPHODEPLETION, log=True)]
    steps += _note_state(scenario, "at infusion")
    steps += [s.Mark(t.INFUSION, log=True, keep="first"), s.Add("courses", 1.0)]
    steps += _disarm(scenario)
    stay = scenario.care_pathway.infusion_bed.stay.distribution
    return [*steps, s.Delay("stay", stay), s.Free("infusion bed")]


def _calendar(site: Site, window: Window) -> Calendar | None:
    """Return when a site's lines take new starts; runs in progress go on through closed days."""
    open_days = [i for i, day in enumerate(WEEKDAYS) if day not in site.closed_to_starts]
    outages: list[tuple[float, float]] = list(site.outages)
    if site.yearly_shutdown_days:
        years = int(window.arrivals_end / 365.0) + 3
        outages += [
            (year * 365.0 + SHUTDOWN_STARTS, year * 365.0 + SHUTDOWN_STARTS + site.yearly_shutdown_days)
            for year in range(years)
        ]
    if len(open_days) == 7:
        return Calendar(outages=tuple(outages)) if outages else None
    weekly = Calendar.weekdays(*open_days)
    return Calendar(windows=weekly.windows, outages=tuple(outages))


OPERATORS, QUALITY_ASSURANCE = "operators", "quality assurance"


def _limited(arm: AutologousArm, pool: str) -> bool:
    """Whether any plant of the arm limits a pool that may be left unlimited."""
    plants = [arm.at_every_hospital] if arm.at_every_hospital is not None else list((arm.sites or {}).values())
    return any(_servers(site, pool) is not None for site in plants)


def _servers(site: Site, pool: str) -> int | None:
    match pool:
        case "line":
            return site.lines
        case "quality control":
            return site.quality_control_lanes
        case "operators":
            return site.operator_teams
        case _:
            return site.quality_assurance_reviewers


UNLIMITED = 100_000
"""Servers of a pool that one plant limits and another does not."""


def _autologous_plants(model: FlowModel, scenario: Scenario, arm: AutologousArm, window: Window) -> None:
    """Declare the pools of every plant; a run takes a line by region and all else at the same plant."""
    pools = ["line", "quality control"] + [pool for pool in (OPERATORS, QUALITY_ASSURANCE) if _limited(arm, pool)]
    if arm.at_every_hospital is not None:
        site = arm.at_every_hospital
        for pool in pools:
            calendar = _calendar(site, window) if pool == "line" else None
            _per_hospital(model, scenario, pool, _servers(site, pool) or UNLIMITED, calendar)
        return
    assert arm.sites is not None
    for pool in pools:
        names = [f"{pool}/{name}" for name in arm.sites]
        for name, site in zip(names, arm.sites.values(), strict=True):
            calendar = _calendar(site, window) if pool == "line" else None
            model.resource(name, _servers(site, pool) or UNLIMITED, calendar=calendar)
        if pool != "line":
            model.group(pool, names, rule="by_attribute", attribute="site")
        elif len(names) == 1:
            model.group(pool, names, rule="fixed")
        else:
            model.group(pool, names, rule="nearest", attribute="region", matrix=_preferences(scenario, arm.sites))


def _preferences(scenario: Scenario, sites: dict[str, Site]) -> list[list[int]]:
    rows = []
    for region in scenario.population.regions:
        row = [i for i, site in enumerate(sites.values()) if site.serves is None or region in site.serves]
        # Rows of a preference matrix are equally long; asking a site again changes nothing.
        rows.append(row + row[:1] * (len(sites) - len(row)))
    return rows


def _success(probability: Probability, sd: float, odds_ratio_if_worsened: OddsRatio) -> tuple[float, dict[str, float]]:
    """Return the probability of success of an average patient and the effects, so that the share who fail is as stated.

    The patient effect (standard normal times `sd`, on the log-odds of failure) is shared by all attempts of a patient.
    """
    failure = probability.x
    if failure in (0.0, 1.0):
        return 1.0 - failure, {}
    intercept = float(logit_normal_intercept(failure, sd))
    effects = {"starting_material": -sd, "worsened": -math.log(max(odds_ratio_if_worsened.x, 1e-6))}
    return 1.0 / (1.0 + math.exp(intercept)), effects


def _autologous(model: FlowModel, scenario: Scenario, arm: AutologousArm, window: Window) -> list[s.Step]:
    process, collection = arm.process, arm.collection
    _autologous_plants(model, scenario, arm, window)
    _per_hospital(model, scenario, "leukapheresis place", collection.beds_per_hospital)
    fresh = process.starting_material == "fresh"
    sd = process.patient_sd.x
    finishes, finish_effects = _success(process.manufacturing_failure, sd, process.odds_ratio_if_worsened)
    passes, pass_effects = _success(process.out_of_specification, sd, process.odds_ratio_if_worsened)
    reserve: list[s.Step] = [s.Seize("line", into="site")]
    expiry_on: list[s.Step] = []
    expiry_off: list[s.Step] = []
    if fresh:
        assert process.fresh_window is not None
        model.clock("starting material expiry", Goto("expired"), law=Constant(process.fresh_window.x), armed=False)
        expiry_on, expiry_off = [s.Arm("starting material expiry")], [s.Disarm("starting material expiry")]
    remake_from = "collect" if fresh else "start batch"
    team_on: list[s.Step] = [s.Seize(OPERATORS)] if _limited(arm, OPERATORS) else []
    team_off: list[s.Step] = [s.Free(OPERATORS)] if team_on else []
    review: list[s.Step] = []
    if process.quality_assurance_review is not None:
        review = [s.Delay("quality assurance review", process.quality_assurance_review.distribution)]
        if _limited(arm, QUALITY_ASSURANCE):
            review = [s.Seize(QUALITY_ASSURANCE), *review, s.Free(QUALITY_ASSURANCE)]
    collect: list[s.Step] = [
        *_bridging(scenario),
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
        *_note_state(scenario, "at start"),
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
        *_to_infusion(scenario, arm),
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
    return [*collect, *make, *trouble]


def _lots(model: FlowModel, lots: LotProcess, window: Window) -> None:
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
    program += [
        s.Mark("lot released"),
        s.Put("lot to stock", "doses", round(lots.doses_per_lot.x), lots.shelf_life.distribution),
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


def _from_stock(model: FlowModel, scenario: Scenario, arm: AllogeneicArm | InVivoArm, window: Window) -> list[s.Step]:
    _lots(model, arm.lots, window)
    order: list[s.Step] = [
        *_bridging(scenario),
        s.Set("bridging", "will_bridge"),
        s.Take("doses", arm.doses_per_course, copy={"effect": "lot_effect"}, lot_into="lot"),
        s.Mark(t.DOSE_TAKEN, log=True),
        s.Delay("order to delivery", arm.order_to_delivery.distribution),
        s.Mark(t.SHIPMENT, log=True),
        *_to_infusion(scenario, arm),
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
