"""What takes lines beside the arm's own batches: clean-down, breakdowns, other products, comparability lots.

Each is a program of its own whose draws no patient can shift. Failures and batches of other products come from one
generator per plant, a lot that is started once and starts one child after each gap.
"""

from __future__ import annotations

from collections.abc import Sequence

from cartsight.core.distributions import Distribution, Exponential
from cartsight.core.errors import InputError
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AutologousArm, Site
from cartsight.simulation import FlowModel
from cartsight.simulation import steps as s
from cartsight.simulation.pathways.patients import Window
from cartsight.simulation.pathways.plants import LINE, ON_LINE, lines_over_time
from cartsight.simulation.pathways.versions import PRODUCT, comparability_programs, has_products, number_of

URGENT, OTHER_FIRST, WORSENED_FIRST, IN_LINE = range(4)
"""Classes in the queue for a line: repair and clean-down, other products that go first, worsened patients, the rest."""

LINE_AT_PLANT = "line of a plant"
TODAY = "today"
LONGEST = 29_999
RUN_OUT_DAYS = 365.0
"""Generators go on so long after the last arrival: a run ends when everybody and every lot has left."""

CLEANED, REPAIRED, OTHER_MADE = "cleaned", "repaired", "other product made"
RUN_LOST = "run lost to a breakdown"


def needed(arm: AutologousArm) -> bool:
    """Whether anything but the arm's own batches takes its lines."""
    return bool(
        arm.process.clean_down is not None
        or arm.other_products
        or any(site.breakdown is not None for site in arm.plants)
        or any(version.comparability is not None for version in arm.processes.values())
    )


def plants_of(scenario: Scenario, arm: AutologousArm) -> list[tuple[str, Site]]:
    """Return the plants by name, in the order of the engine's attribute `site`."""
    if arm.sites is not None:
        return list(arm.sites.items())
    assert arm.at_every_hospital is not None
    return [
        (f"{region} {number + 1}", arm.at_every_hospital)
        for region, here in scenario.population.regions.items()
        for number in range(here.hospitals)
    ]


def background(model: FlowModel, scenario: Scenario, arm: AutologousArm, window: Window) -> None:
    """Declare the programs that take lines, and their generators."""
    if not needed(arm):
        return
    # The first columns of patients too: a group and a set-up read the same column of whoever asks.
    model.attribute("site", entity="lot")
    until = window.arrivals_end + RUN_OUT_DAYS
    if has_products(arm):
        model.attribute(PRODUCT, entity="lot")
    model.attribute(TODAY, entity="lot")
    plants = plants_of(scenario, arm)
    if arm.sites is not None:
        model.group(LINE_AT_PLANT, [f"{LINE}/{name}" for name, _ in plants], rule="by_attribute", attribute="site")
    else:
        model.group(LINE_AT_PLANT, list(model.groups[LINE].candidates), rule="by_attribute", attribute="site")
    if arm.process.clean_down is not None:
        holds_a_line(model, "clean-down", arm.process.clean_down.distribution, URGENT, CLEANED)
    breakdowns(model, plants, until, window)
    _other_products(model, arm, plants, until)
    comparability_programs(model, arm, [site for _, site in plants], LINE_AT_PLANT, URGENT)


def _copied(arm: AutologousArm) -> dict[str, str]:
    return {"site": "site", PRODUCT: PRODUCT} if has_products(arm) else {"site": "site"}


def clean_after_run(arm: AutologousArm) -> list[s.Step]:
    """Return the steps before a line is given back: the clean-down asks for it first, and so gets it."""
    if arm.process.clean_down is None:
        return []
    # The child asks for a line only when the parent waits, hence the pause of no length.
    return [
        s.Spawn("clean-down after a run", "clean-down", copy=_copied(arm)),
        s.Delay("hand over to clean-down", 0.0),
    ]


def holds_a_line(
    model: FlowModel, program: str, law: Distribution, priority: int, status: str, after: Sequence[s.Step] = ()
) -> None:
    """Declare a program that takes a line of the plant of its `site` for a time, then ends with `status`."""
    model.program(
        program,
        [
            s.Seize(LINE_AT_PLANT, priority=priority, name=f"{program}: line"),
            s.Mark(f"{program}{ON_LINE}"),
            s.Delay(program, law),
            *after,
            s.Free(LINE_AT_PLANT),
            s.End(status),
        ],
        entity="lot",
    )


def _generator(
    model: FlowModel, name: str, site: int, mean_gap: float, child: str, until: float, product: int | None = None
) -> None:
    if until / mean_gap > 0.95 * LONGEST:
        raise InputError(
            f"{name}: more in one run than are simulated",
            found=round(until / mean_gap),
            allowed=f"at most {LONGEST:,} over {until:,.0f} days",
        )
    copied = {"site": "site"} if product is None else {"site": "site", PRODUCT: PRODUCT}
    model.program(
        name,
        [
            s.Set("site", float(site)),
            *([] if product is None else [s.Set(PRODUCT, float(product))]),
            s.Label("next"),
            s.Delay(f"{name}: gap", Exponential(mean_gap)),
            s.Now(TODAY),
            s.Test(TODAY, "<", until, otherwise=s.End("no more")),
            s.Spawn(f"{name}: start", child, copy=copied),
            s.Retry(f"{name}: again", LONGEST, to="next", otherwise=s.End("no more")),
        ],
        entity="lot",
    )
    # Started once: no review after the first day.
    model.stock(name, reorder_point=0.0, order_up_to=1.0, lot_program=name, review_until=1.0)


def breakdowns(model: FlowModel, plants: Sequence[tuple[str, Site]], until: float, window: Window) -> None:
    """Declare the failures of the lines of every plant, with their repairs."""
    for number, (name, site) in enumerate(plants):
        # As many lines as run on average over the observation window, where lines are added.
        lines = lines_over_time(site, window)
        if site.breakdown is None or lines <= 0.0:
            continue
        repair = f"repair at {name}"
        holds_a_line(model, repair, site.breakdown.repair.distribution, URGENT, REPAIRED)
        _generator(model, f"breakdowns at {name}", number, site.breakdown.between.x / lines, repair, until)


def batch_of(product: str) -> str:
    """Return the program of a batch of another product."""
    return f"batch of {product}"


def _other_products(model: FlowModel, arm: AutologousArm, plants: Sequence[tuple[str, Site]], until: float) -> None:
    for product, other in arm.other_products.items():
        if other.batches_per_year.x <= 0.0:
            continue
        program = batch_of(product)
        cleaning: list[s.Step] = []
        if arm.process.clean_down is not None:
            cleaning = [s.Delay(f"{product}: clean-down", arm.process.clean_down.distribution)]
        first = OTHER_FIRST if other.first else IN_LINE
        holds_a_line(model, program, other.manufacturing.distribution, first, OTHER_MADE, cleaning)
        for number, (name, _) in enumerate(plants):
            if other.sites is None or name in other.sites:
                _generator(
                    model,
                    f"{product} at {name}",
                    number,
                    1.0 / other.batches_per_year.x,
                    program,
                    until,
                    number_of(arm, product),
                )


def breakdown_hazard(scenario: Scenario, arm: AutologousArm) -> dict[int, float]:
    """Return the rate per day at which runs are lost, by plant, where it is above zero."""
    rates: dict[int, float] = {}
    if all(site.breakdown is None for site in arm.plants):
        return rates
    for number, (_, site) in enumerate(plants_of(scenario, arm)):
        if site.breakdown is not None and site.breakdown.run_lost.x > 0.0:
            rates[number] = site.breakdown.run_lost.x / site.breakdown.between.x
    return rates
