"""Several processes for one product: which a batch gets, what must be shown first, and changing lines between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from cartsight.core.distributions import Constant, Distribution
from cartsight.core.errors import InputError
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AutologousArm
from cartsight.scenario.plant import Site
from cartsight.scenario.processes import STANDARD, Comparability
from cartsight.simulation import FlowModel
from cartsight.simulation import steps as s
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.plants import LINE, ON_LINE

PRODUCT = "product"
"""Number of what a line makes: 0 the standard process, then the further processes, then other products."""

OPEN, DIFFERS_AT_START, DIFFERS_NOW = "version open", "differed at the start", "differs now"
ON_FAILURE, ON_OUT_OF_SPECIFICATION = "process on failure", "process on out of specification"
DECIDED = "comparability decided"
COMPARABILITY_LOT = "comparability lot made"


def number_of(arm: AutologousArm, version: str) -> int:
    """Return the number of a process or of another product."""
    return [STANDARD, *arm.processes, *arm.other_products].index(version)


def has_products(arm: AutologousArm) -> bool:
    """Whether lines make more than the standard process."""
    return bool(arm.processes or arm.other_products)


def before_line(arm: AutologousArm) -> bool:
    """Whether every plant runs the same processes, so that the process is chosen before the line."""
    return len({site.processes for site in arm.plants}) == 1


def declare_versions(model: FlowModel, arm: AutologousArm) -> None:
    """Declare what the choice of a process and the changeovers need, after the lines."""
    for name, version in arm.processes.items():
        if version.comparability is not None:
            model.counter(f"{name} open")
            model.counter(f"{name} differs")
    if arm.processes:
        for attribute in (OPEN, DIFFERS_AT_START, DIFFERS_NOW, ON_FAILURE, ON_OUT_OF_SPECIFICATION):
            model.attribute(attribute)
    change = arm.changeover
    if change is None or not has_products(arm):
        return
    if arm.processes and not before_line(arm):
        raise InputError(
            "a changeover between processes needs plants that all run the same processes",
            field="changeover",
            allowed="the same `processes` at every plant, or no changeover",
        )
    products = 1 + len(arm.processes) + len(arm.other_products)
    law = change.time.distribution
    matrix = [[Constant(0.0) if i == j else law for j in range(products)] for i in range(products)]
    for name in [name for name in model.resources if name.split("/", 1)[0] == LINE]:
        model.setup(
            name, attribute=PRODUCT, products=products, changeover=matrix, campaign=change.longest_campaign or 1
        )


def choose_process(scenario: Scenario, arm: AutologousArm, at: str) -> list[s.Step]:
    """Return the steps that set the process of the next batch; `at` keeps the names of draws apart."""
    if not arm.processes:
        return []
    if before_line(arm):
        return _choose(scenario, arm, arm.plants[0].processes, at)
    steps: list[s.Step] = [s.Set(PRODUCT, 0.0)]
    for number, site in enumerate(arm.plants):
        if not any(name != STANDARD for name in site.processes):
            continue
        steps += [
            s.Test("site", "==", float(number), otherwise=f"{at}: not plant {number}"),
            *_choose(scenario, arm, site.processes, f"{at}, plant {number}"),
            s.Label(f"{at}: not plant {number}"),
        ]
    return steps


def _choose(scenario: Scenario, arm: AutologousArm, names: Sequence[str], at: str) -> list[s.Step]:
    steps: list[s.Step] = [s.Set(PRODUCT, 0.0)]
    stable = next(iter(scenario.population.health_states))
    for name in names:
        if name == STANDARD:
            continue
        version = arm.processes[name]
        other = f"{at}: not {name}"
        if version.only_worsened:
            steps += [
                s.InState(stable, otherwise=f"{at}: worsened, {name}"),
                s.Jump(other),
                s.Label(f"{at}: worsened, {name}"),
            ]
        if version.comparability is not None:
            steps += [s.Count(f"{name} open", into=OPEN, step=0.0), s.Test(OPEN, ">=", 1.0, otherwise=other)]
        if version.share is not None:
            steps.append(s.Chance(f"{at}: share of {name}", version.share.x, otherwise=other))
        steps += [s.Set(PRODUCT, float(number_of(arm, name))), s.Jump(f"{at}: chosen"), s.Label(other)]
    return [*steps, s.Label(f"{at}: chosen")]


def by_process(
    arm: AutologousArm, what: str, standard: list[s.Step], of_version: Callable[[str], list[s.Step] | None]
) -> list[s.Step]:
    """Return the steps of the process of the batch: those of a version where it states its own, else the standard ones."""
    steps: list[s.Step] = []
    for name in arm.processes:
        own = of_version(name)
        if own is None:
            continue
        steps += [
            s.Test(PRODUCT, "==", float(number_of(arm, name)), otherwise=f"{what}: not {name}"),
            *own,
            s.Jump(f"{what} done"),
            s.Label(f"{what}: not {name}"),
        ]
    return [*steps, *standard, s.Label(f"{what} done")] if steps else standard


def at_start(arm: AutologousArm, offset: Callable[[str, str], float]) -> list[s.Step]:
    """Return the steps at a start: chances and response of the version, and whether a difference is known.

    `offset` gives the log-odds of success of a version against the standard process, on "failure" or "out of
    specification".
    """
    if not arm.processes:
        return []
    steps: list[s.Step] = [s.Set(ON_FAILURE, 0.0), s.Set(ON_OUT_OF_SPECIFICATION, 0.0), s.Set("lot_effect", 0.0)]
    for name, version in arm.processes.items():
        effect = 0.0 if version.odds_ratio_response is None else math.log(version.odds_ratio_response.x)
        steps += [
            s.Test(PRODUCT, "==", float(number_of(arm, name)), otherwise=f"start: not {name}"),
            s.Mark(started_mark(name), log=True, keep="none"),
            s.Set(ON_FAILURE, offset(name, "failure")),
            s.Set(ON_OUT_OF_SPECIFICATION, offset(name, "out of specification")),
            s.Set("lot_effect", effect),
        ]
        if _at_risk(version.comparability):
            steps.append(s.Count(f"{name} differs", into=DIFFERS_AT_START, step=0.0))
        steps.append(s.Label(f"start: not {name}"))
    return steps


def at_release(arm: AutologousArm) -> list[s.Step]:
    """Return the steps that reject batches of a version that was found to differ while they were made."""
    steps: list[s.Step] = []
    for name, version in arm.processes.items():
        if _at_risk(version.comparability):
            steps += [
                s.Test(PRODUCT, "==", float(number_of(arm, name)), otherwise=f"release: not {name}"),
                s.Count(f"{name} differs", into=DIFFERS_NOW, step=0.0),
                s.Test(DIFFERS_NOW, "==", DIFFERS_AT_START, otherwise="rejected for comparability"),
                s.Label(f"release: not {name}"),
            ]
    return steps


def _at_risk(comparability: Comparability | None) -> bool:
    return comparability is not None and comparability.before == "at_risk"


def any_at_risk(arm: AutologousArm) -> bool:
    """Whether batches may be rejected because their process was found to differ."""
    return any(_at_risk(version.comparability) for version in arm.processes.values())


def started_mark(name: str) -> str:
    """Return the mark of the starts of a process."""
    return f"{t.BATCH_STARTED}: {name}"


def comparability_programs(model: FlowModel, arm: AutologousArm, sites: Sequence[Site], line: str, urgent: int) -> None:
    """Declare the comparability lots on the lines of the plants that will run a version, the study and its decision.

    `sites` are all plants in the order of the engine's attribute `site`, at the point of care one per hospital.
    """
    for name, version in arm.processes.items():
        plan = version.comparability
        if plan is None:
            continue
        plants = [number for number, site in enumerate(sites) if name in site.processes]
        product = float(number_of(arm, name))
        _lots(model, f"comparability lots of {name}", plan.lots, plan.days_per_lot.x, line, urgent)
        if plan.further_lots:
            _lots(model, f"further lots of {name}", plan.further_lots, plan.days_per_lot.x, line, urgent)
        opened = s.Count(f"{name} open", step=1.0)
        steps: list[s.Step] = [s.Set(PRODUCT, product), s.Delay(f"{name}: before its lots", plan.starts_on_day)]
        for number in plants:
            steps += [
                s.Set("site", float(number)),
                s.Spawn(
                    f"{name}: lots at {number}",
                    f"comparability lots of {name}",
                    copy={"site": "site", PRODUCT: PRODUCT},
                ),
            ]
        steps += [
            s.Join(),
            *([opened] if plan.before == "at_risk" else []),
            s.Delay(f"{name}: comparability study", plan.study.x),
            s.Chance(f"{name}: comparable", 1.0 - plan.divergence.x, otherwise="differs"),
            *([opened] if plan.before != "at_risk" else []),
            s.Mark(DECIDED),
            s.End(DECIDED),
            s.Label("differs"),
            s.Mark(f"{name} differs"),
            s.Count(f"{name} differs", step=1.0),
            *([s.Count(f"{name} open", step=-1.0)] if plan.before == "at_risk" else []),
        ]
        if plan.further_lots:
            for number in plants:
                steps += [
                    s.Set("site", float(number)),
                    s.Spawn(
                        f"{name}: further lots at {number}",
                        f"further lots of {name}",
                        copy={"site": "site", PRODUCT: PRODUCT},
                    ),
                ]
            steps.append(s.Join())
        if plan.further_time is not None:
            steps.append(s.Delay(f"{name}: second study", plan.further_time.x))
        steps += [opened, s.Mark(DECIDED), s.End(DECIDED)]
        model.program(f"comparability of {name}", steps, entity="lot")
        model.stock(
            f"comparability of {name}",
            reorder_point=0.0,
            order_up_to=1.0,
            lot_program=f"comparability of {name}",
            review_until=1.0,
        )


def _lots(model: FlowModel, program: str, lots: int, days: float, line: str, urgent: int) -> None:
    model.program(
        f"{program}: one",
        [
            s.Seize(line, priority=urgent, name=f"{program}: line"),
            s.Mark(f"{program}{ON_LINE}"),
            s.Delay(f"{program}: days", days),
            s.Free(line),
            s.End(COMPARABILITY_LOT),
        ],
        entity="lot",
    )
    model.program(
        program,
        [
            s.Label("next lot"),
            s.Spawn(f"{program}: start", f"{program}: one", copy={"site": "site", PRODUCT: PRODUCT}),
            s.Join(),
            s.Retry(f"{program}: another", lots - 1, to="next lot", otherwise=s.End("lots made")),
        ],
        entity="lot",
    )


def manufacturing_of(arm: AutologousArm, name: str) -> Distribution | None:
    """Return the version's own law of the manufacturing time."""
    own = arm.processes[name].manufacturing
    return None if own is None else own.distribution


def release_testing_of(arm: AutologousArm, name: str) -> Distribution | None:
    """Return the version's own law of the time of release testing."""
    own = arm.processes[name].release_testing
    return None if own is None else own.distribution
