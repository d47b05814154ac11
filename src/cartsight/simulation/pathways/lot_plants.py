"""Plants that make lots: pools of people and release testing, clean-down, breakdowns, and what a plant has learned.

Each piece adds its steps only where the scenario states it, and draws under names of its own: what is absent shifts no
draw. Pools and calendars are those of `plants`, breakdowns those of `background`.
"""

from __future__ import annotations

import math

from cartsight.core.distributions import Distribution, Exponential
from cartsight.scenario.lots import LotProcess
from cartsight.scenario.plant import Site
from cartsight.simulation import FlowModel
from cartsight.simulation import steps as s
from cartsight.simulation.pathways import background as b
from cartsight.simulation.pathways import plants as p
from cartsight.simulation.pathways import run as r
from cartsight.simulation.pathways.patients import Window

SITE = "site"
RUN_DAYS, BREAKDOWN_AFTER, LOG_DAYS = "run days", "days to a breakdown", "log days"
SHORTEST_DAYS = 1e-9
"""Added to a run before its logarithm is taken: a run of no length has none."""


def pools_of(lots: LotProcess) -> list[str]:
    """Return the pools that lots may wait for at their plant, beside lines."""
    if lots.plant is None:
        return []
    stated = [
        pool for pool in (p.OPERATORS, p.QUALITY_ASSURANCE, p.INSTRUMENTS) if p.servers_of(lots.site, pool) is not None
    ]
    return ([p.QUALITY_CONTROL] if lots.plant.limits_quality_control else []) + stated


def lines_taken_otherwise(lots: LotProcess) -> bool:
    """Whether anything but lots takes the lines of a plant."""
    return lots.clean_down is not None or lots.site.breakdown is not None


def _knows_plant(lots: LotProcess) -> bool:
    return bool(pools_of(lots)) or lines_taken_otherwise(lots) or lots.learning is not None


def declare_plant_column(model: FlowModel, lots: LotProcess) -> None:
    """Declare the number of a lot's plant: the first column, as for patients, since groups read one column of both."""
    if _knows_plant(lots):
        model.attribute(SITE, entity="lot")


def declare_plants(model: FlowModel, lots: LotProcess, window: Window) -> None:
    """Declare the pools of every plant beside its lines, and the programs that take lines beside lots."""
    site = lots.site
    for pool in pools_of(lots):
        names = [f"{pool}/{number + 1}" for number in range(lots.sites)]
        for name in names:
            model.resource(name, p.servers_of(site, pool) or p.UNLIMITED, calendar=p.calendar_of(site, pool, window))
        if len(names) == 1:
            model.group(pool, names, rule="fixed")
        else:
            model.group(pool, names, rule="by_attribute", attribute=SITE)
    if lots.learning is not None:
        model.attribute(r.LEARNED, entity="lot")
        model.counter(r.LEARNED, values=lots.sites, start=lots.learning.batches_before)
    if _hazard(lots):
        for name in (RUN_DAYS, BREAKDOWN_AFTER, LOG_DAYS):
            model.attribute(name, entity="lot")
    if not lines_taken_otherwise(lots):
        return
    model.attribute(b.TODAY, entity="lot")
    model.group(b.LINE_AT_PLANT, list(model.groups[p.LINE].candidates), rule="by_attribute", attribute=SITE)
    if lots.clean_down is not None:
        b.holds_a_line(model, "clean-down", lots.clean_down.distribution, b.URGENT, b.CLEANED)
    plants: list[tuple[str, Site]] = [(f"plant {number + 1}", site) for number in range(lots.sites)]
    b.breakdowns(model, plants, window.arrivals_end + b.RUN_OUT_DAYS, window)


def _hazard(lots: LotProcess) -> float:
    """Return the rate per day at which a breakdown costs the run in progress."""
    breakdown = lots.site.breakdown
    return 0.0 if breakdown is None else breakdown.run_lost.x / breakdown.between.x


def _pool(lots: LotProcess, pool: str) -> tuple[list[s.Step], list[s.Step]]:
    return ([s.Seize(pool)], [s.Free(pool)]) if pool in pools_of(lots) else ([], [])


def start(lots: LotProcess) -> list[s.Step]:
    """Return the steps that take a line, then an operator team of its plant for the whole run."""
    team_on, _ = _pool(lots, p.OPERATORS)
    line = s.Seize(
        p.LINE,
        priority=b.IN_LINE if lines_taken_otherwise(lots) else None,
        into=SITE if _knows_plant(lots) else None,
    )
    return [line, *team_on, *r.learn(lots.learning, lots.sites)]


def run(lots: LotProcess, name: str, law: Distribution) -> list[s.Step]:
    """Return the steps of a run, or of a part of one, with what was learned and the breakdown that may cost it."""
    learning = lots.learning
    effects: dict[str, float] = {}
    if learning is not None and learning.ratio_of_manufacturing_time is not None:
        effects[r.LEARNED] = math.log(learning.ratio_of_manufacturing_time.x)
    rate = _hazard(lots)
    if rate <= 0.0:
        return [s.Delay(name, law, log_effects=effects)]
    return [
        s.Set(RUN_DAYS, law, log_effects=effects, name=name),
        s.Add(RUN_DAYS, SHORTEST_DAYS),
        s.Set(LOG_DAYS, RUN_DAYS, function="log"),
        s.Set(BREAKDOWN_AFTER, Exponential(1.0 / rate), name=f"{name}: breakdown"),
        s.Test(BREAKDOWN_AFTER, "<", RUN_DAYS, otherwise=f"{name}: no breakdown"),
        s.Set(LOG_DAYS, BREAKDOWN_AFTER, function="log"),
        s.Delay(f"{name}: until a breakdown", 1.0, log_effects={LOG_DAYS: 1.0}),
        s.Jump("lot lost to a breakdown"),
        s.Label(f"{name}: no breakdown"),
        s.Delay(f"{name}: whole", 1.0, log_effects={LOG_DAYS: 1.0}),
    ]


def learned_success(lots: LotProcess) -> dict[str, float]:
    """Return the effects on the log-odds that a run succeeds."""
    learning = lots.learning
    if learning is None or learning.odds_ratio_of_failure is None:
        return {}
    return {r.LEARNED: -math.log(learning.odds_ratio_of_failure.x)}


def end_of_run(lots: LotProcess, *, failed: bool = False) -> list[s.Step]:
    """Return the steps that give back the team and the line, with its clean-down."""
    _, team_off = _pool(lots, p.OPERATORS)
    clean: list[s.Step] = []
    if lots.clean_down is not None:
        after = ", failed" if failed else ""
        # As after a batch: the clean-down asks for a line while the lot still waits with it, and so gets it.
        clean = [
            s.Spawn(f"clean-down after a run{after}", "clean-down", copy={SITE: SITE}),
            s.Delay(f"hand over to clean-down{after}", 0.0),
        ]
    return [*team_off, *clean, s.Free(p.LINE)]


def run_lost(lots: LotProcess) -> list[s.Step]:
    """Return what follows when a breakdown costs the run."""
    if _hazard(lots) <= 0.0:
        return []
    _, team_off = _pool(lots, p.OPERATORS)
    stage: list[s.Step] = []
    if lots.stage_failures or lots.fill_line is not None:
        stage = [s.Set("stage", 0.0)]
    return [
        s.Label("lot lost to a breakdown"),
        s.Mark(b.RUN_LOST),
        *stage,
        *team_off,
        s.Free(p.LINE),
        s.End("failed"),
    ]


def in_testing(lots: LotProcess, test: s.Delay) -> list[s.Step]:
    """Return a test that holds a quality control lane, and an instrument where plants state them."""
    held = tuple(pool for pool in (p.QUALITY_CONTROL, p.INSTRUMENTS) if pool in pools_of(lots))
    if not held:
        return [test]
    return [s.Seize(held if len(held) > 1 else held[0], name=f"place: {test.name}"), test, s.Free(*held)]


def review(lots: LotProcess) -> list[s.Step]:
    """Return the review of the batch record by a reviewer of the plant."""
    if lots.quality_assurance_review is None:
        return []
    on, off = _pool(lots, p.QUALITY_ASSURANCE)
    return [*on, s.Delay("quality assurance review", lots.quality_assurance_review.distribution), *off]
