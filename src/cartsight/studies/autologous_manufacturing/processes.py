"""Question 3: what several approved processes for one product cost and gain: two days beside nine, comparability included."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.comparison.single_arm import ArmRun, run_arms
from cartsight.scenario import Scenario, load_scenario
from cartsight.scenario.arms import AutologousArm
from cartsight.scenario.processes import ProcessVersion
from cartsight.studies.answers import Answer, Figure, Progress
from cartsight.studies.draws import ScenarioDraw, over_blocks, scenario_draws
from cartsight.studies.intervals import interval_chart, span

Float = npt.NDArray[np.float64]

QUESTION = (
    "What do several approved processes for one product cost and gain: a two-day beside a nine-day process in one plant, with the "
    "comparability burden?"
)
SCENARIO = Path(__file__).parent / "processes.toml"
ARM, VERSION = "autologous-central", "two-day"
OPTIONS = (
    "nine-day only",
    "two-day for worsened patients",
    "two-day for half",
    "two-day for all, once licensed",
    "two-day for all, licensed from the start",
)
NINE, WORSENED, HALF, ALL, LICENSED = range(len(OPTIONS))
LOWER, HIGHER = 0.8, 1.25
"""Odds ratios of response between which the break-even is found."""
RESPONSES = ("cost", "days", "share", "benefit", "busy", "qalys")
COST, DAYS, SHARE, BENEFIT, BUSY, QALYS = range(len(RESPONSES))

ASSUMPTIONS = (
    "Three years of referrals from the day on which the comparability lots start count; in the last option the two-day process is "
    "licensed before the first patient, which is what the plant looks like once the burden is paid.",
    "Lines stay as they are: what a shorter run frees is reported as idle capacity and its worth, not sold.",
    "Both processes give the same product under one label and price of goods; a difference of response between them is a number of the "
    "scenario, at parity with a range either way.",
)


def _arm(scenario: Scenario) -> AutologousArm:
    arm = scenario.arms[ARM]
    assert isinstance(arm, AutologousArm)
    return arm


def with_option(scenario: Scenario, option: int, odds_ratio_response: float | None = None) -> Scenario:
    """Return the scenario with one arm and one way of using the two processes."""
    arm = _arm(scenario)
    version = arm.processes[VERSION]
    if odds_ratio_response is not None and version.odds_ratio_response is not None:
        version = version.model_copy(
            update={"odds_ratio_response": version.odds_ratio_response.at(odds_ratio_response)}
        )
    assert arm.sites is not None
    versions: dict[str, ProcessVersion] = {VERSION: version}
    sites = arm.sites
    if option == NINE:
        versions = {}
        sites = {name: site.model_copy(update={"processes": ()}) for name, site in sites.items()}
    elif option == WORSENED:
        versions[VERSION] = version.model_copy(update={"only_worsened": True})
    elif option == HALF:
        half = arm.process.infuse_out_of_specification.at(0.5)
        versions[VERSION] = version.model_copy(update={"share": half})
    elif option == LICENSED:
        versions[VERSION] = version.model_copy(update={"comparability": None})
    analysis = scenario.analysis.model_copy(update={"reference_arm": None, "correlations": ()})
    return scenario.model_copy(
        update={"arms": {ARM: arm.model_copy(update={"processes": versions, "sites": sites})}, "analysis": analysis}
    )


def responses(run: ArmRun, threshold: float) -> list[float]:
    """Return cost of goods per infused, days to infusion, share infused, net benefit, lines busy and QALYs."""
    assert run.goods is not None and run.plant is not None
    infused = run.trajectories.infused
    return [
        run.goods.per_infused,
        float(run.trajectories.day["infusion"][infused].mean()),
        float(infused.mean()),
        float(threshold * run.effect.mean() - run.cost.mean()),
        run.plant.utilisation("line"),
        float(run.effect.mean()),
    ]


def run_block(draw: ScenarioDraw) -> Float:
    """Return responses of every option, then of the licensed one at both odds ratios, shape (options + 2, responses)."""
    threshold = draw.scenario.analysis.decision_threshold
    worlds = [with_option(draw.scenario, option) for option in range(len(OPTIONS))]
    worlds += [with_option(draw.scenario, LICENSED, ratio) for ratio in (LOWER, HIGHER)]
    return np.array([responses(run_arms(world, draw.seed, (ARM,))[ARM], threshold) for world in worlds])


def two_processes(draws: int, seed: int, progress: Progress, patients: int | None = None) -> Answer:
    """Return the answer to question 3; `patients` replaces the scenario's."""
    scenario = load_scenario(SCENARIO)
    if patients is not None:
        scenario = scenario.with_analysis(patients=patients)
    found = over_blocks(run_block, scenario_draws(scenario, draws, seed), "two processes", progress)
    return _answer(scenario, np.stack(found))


def break_even_odds_ratio(lower: float, higher: float, target: float) -> float:
    """Return the odds ratio of response at which the net benefit is `target`, linear in its logarithm.

    Parameters
    ----------
    lower, higher : float
        Net benefit at `LOWER` and at `HIGHER`.
    """
    slope = (higher - lower) / (math.log(HIGHER) - math.log(LOWER))
    return math.exp(math.log(LOWER) + (target - lower) / slope) if slope > 0.0 else math.nan


def _answer(scenario: Scenario, table: Float) -> Answer:
    """Return the answer from responses of shape (draws, options + 2, responses)."""
    money = scenario.analysis.money
    mean = table.mean(axis=0)
    base = table[:, NINE]
    lines = sum(site.lines for site in _arm(scenario).plants)
    line_cost = _arm(scenario).costs.line_per_year.x
    rows: list[dict[str, Any]] = []
    for i, option in enumerate(OPTIONS):
        change = table[:, i, BENEFIT] - base[:, BENEFIT]
        low, high = span(change)
        rows.append(
            {
                "option": option,
                "cost per infused": float(mean[i, COST]),
                "days to infusion": float(mean[i, DAYS]),
                "infused of referred": float(mean[i, SHARE]),
                "lines busy": float(mean[i, BUSY]),
                "net benefit over nine-day only": float(change.mean()),
                "low": low,
                "high": high,
                "better in draws": float(np.mean(change > 0.0)),
            }
        )
    figures = []
    for i, option in enumerate(OPTIONS):
        if i == NINE:
            continue
        gap = table[:, i] - base
        figures += [
            Figure(f"{option}: days to infusion, change", float(gap[:, DAYS].mean()), *span(gap[:, DAYS]), "days"),
            Figure(
                f"{option}: net benefit per referred patient, change",
                float(gap[:, BENEFIT].mean()),
                *span(gap[:, BENEFIT]),
                money,
            ),
        ]
    burden = table[:, LICENSED, BENEFIT] - table[:, ALL, BENEFIT]
    figures.append(
        Figure(
            "comparability burden, net benefit per patient referred in three years",
            float(burden.mean()),
            *span(burden),
            money,
        )
    )
    ratios = np.array([break_even_odds_ratio(row[-2, BENEFIT], row[-1, BENEFIT], row[NINE, BENEFIT]) for row in table])
    figures.append(
        Figure(
            "odds ratio of response at which the licensed two-day process only equals the nine-day one",
            float(np.nanmean(ratios)),
            *span(ratios),
        )
    )
    freed = (mean[NINE, BUSY] - mean[LICENSED, BUSY]) * lines
    saved_days = float(mean[NINE, DAYS] - mean[LICENSED, DAYS])
    best = max(range(1, LICENSED), key=lambda i: mean[i, BENEFIT])
    answer = (
        f"Once it is licensed a two-day process infuses {saved_days:.1f} days sooner (the run is seven days shorter, its release tests "
        f"longer), treats {mean[LICENSED, SHARE]:.1%} of referred patients instead of {mean[NINE, SHARE]:.1%} and frees {freed:.0f} of "
        f"{lines} lines, worth {freed * line_cost / 1e6:,.1f} million {money} a year if they can be filled or closed. Per referred patient "
        f"that is {float((table[:, LICENSED, BENEFIT] - base[:, BENEFIT]).mean()):,.0f} {money} of net benefit at equal response. Over the "
        f"three years that start with the comparability lots, most of it is still to come: two-day for all is worth "
        f"{float((table[:, ALL, BENEFIT] - base[:, BENEFIT]).mean()):,.0f}, for half {float((table[:, HALF, BENEFIT] - base[:, BENEFIT]).mean()):,.0f}, "
        f"for worsened patients only {float((table[:, WORSENED, BENEFIT] - base[:, BENEFIT]).mean()):,.0f}; waiting for the decision, lots "
        f"and divergences cost {burden.mean():,.0f} per patient referred in that time. Of the three ways to use both, {OPTIONS[best]} is best "
        f"in the mean; running two processes side by side costs changeovers and a second comparability file and gains only what the faster "
        f"one gains for those who get it. All of it rests on response: an odds ratio of {np.nanmean(ratios):.2f} for the two-day product undoes "
        f"the gain."
    )
    return Answer(
        question=QUESTION,
        answer=answer,
        figures=tuple(figures),
        rows=tuple(rows),
        chart=_chart(rows, money),
        would_change=(
            f"Response of the two-day product: below an odds ratio of {np.nanmean(ratios):.2f} ({span(ratios)[0]:.2f} to "
            f"{span(ratios)[1]:.2f}) against the nine-day product the days are bought too dearly.",
            "Release testing: where tests need expanded cells and take a week longer the seven days are gone; a trial of a two-day process "
            "had a vein-to-vein of two to six weeks (MFG136).",
            "A shorter agency clock: every month less to the decision is worth a month of the licensed gain.",
        ),
        weakest=(
            "response of a two-day product against a longer process: 75 and 80 % at two dose levels of one phase 1 trial (BIO136), no comparison",
            "failure and out of specification of a two-day process in routine: no figure was read",
            "share of comparability studies that find a difference, and what follows (assumed)",
            "what an hour of changeover between processes takes (assumed)",
            f"intervals rest on {table.shape[0]} parameter draws",
        ),
    )


def _chart(rows: list[dict[str, Any]], money: str) -> str:
    shown = [
        {"label": r["option"], "value": r["net benefit over nine-day only"], "low": r["low"], "high": r["high"]}
        for r in rows
        if r["option"] != OPTIONS[NINE]
    ]
    return interval_chart(
        shown,
        title=f"Net benefit per referred patient over nine-day only, {money} (95 % over draws)",
        name="processes",
        description="Net benefit of four ways to use a two-day process against a nine-day process alone",
        order=[row["label"] for row in shown],
    )
