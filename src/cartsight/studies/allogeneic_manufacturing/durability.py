"""Question 3: the durability that makes allogeneic equal to autologous, and manufacturing decisions that could buy it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.comparison.single_arm import ArmRun, price_arm, run_arms
from cartsight.scenario import Scenario, load_scenario
from cartsight.scenario.arms import AllogeneicArm, LotProcess
from cartsight.simulation.pathways import generate_patients, observation_window, run_flow
from cartsight.studies.allogeneic_manufacturing.many_sites import ARM, with_lots
from cartsight.studies.answers import Answer, Figure, Progress
from cartsight.studies.draws import ScenarioDraw, over_blocks, scenario_draws
from cartsight.studies.intervals import interval_chart, span

Float = npt.NDArray[np.float64]

QUESTION = "Which durability makes allogeneic equal to autologous in net benefit, and which manufacturing decisions could buy that durability?"
SCENARIO = Path(__file__).parent / "scenario.toml"
AUTOLOGOUS = "autologous-central"
CURE = f"arms.{ARM}.efficacy.cure.among_complete_responders"
PERSPECTIVES = ("health_system_at_cost", "payer")
STEPS = 14
SLOPE = 0.1

ASSUMPTIONS = (
    "Durability is the share of complete responders whose disease does not come back; response, toxicity and everything else of the "
    "allogeneic arm stay as they are in each draw.",
    "At cost both products cost what making them costs; for a payer both cost their prices in the scenario (no allogeneic price exists).",
    "A decision is charged what it does to the cost of goods and to waiting; what it must give back is the gain in durable responses at "
    "which net benefit is unchanged. Only the effect of doublings on response is also assumed as a number.",
)


def _arm(scenario: Scenario) -> AllogeneicArm:
    arm = scenario.arms[ARM]
    assert isinstance(arm, AllogeneicArm)
    return arm


def fewer_doublings(lots: LotProcess) -> LotProcess:
    """Return lots grown one doubling less."""
    assert lots.expansion is not None and lots.expansion.doublings is not None
    number = lots.expansion.doublings
    return lots.model_copy(
        update={"expansion": lots.expansion.model_copy(update={"doublings": number.at(number.x - 1.0)})}
    )


def fewer_doublings_alone(lots: LotProcess) -> LotProcess:
    """Return lots grown one doubling less, without its assumed effect on response."""
    fewer = fewer_doublings(lots)
    assert fewer.expansion is not None and fewer.expansion.effect_per_doubling is not None
    none = fewer.expansion.effect_per_doubling.at(0.0)
    return fewer.model_copy(update={"expansion": fewer.expansion.model_copy(update={"effect_per_doubling": none})})


def further_edit(lots: LotProcess) -> LotProcess:
    """Return lots with one more knock-out (cells that hide from the host), at the yield of the first."""
    assert lots.expansion is not None
    edits = {**lots.expansion.edits, "B2M": lots.expansion.edits["TRAC"]}
    return lots.model_copy(update={"expansion": lots.expansion.model_copy(update={"edits": edits})})


def chosen_donors(lots: LotProcess) -> LotProcess:
    """Return lots from the better half of the donors: twice as many are screened."""
    assert lots.donors is not None
    failure = lots.donors.screening_failure
    stricter = failure.at(1.0 - 0.5 * (1.0 - failure.x))
    return lots.model_copy(update={"donors": lots.donors.model_copy(update={"screening_failure": stricter})})


def stricter_release(lots: LotProcess) -> LotProcess:
    """Return lots of which a fifth more is rejected at release, for potency."""
    return lots.model_copy(update={"rejection": lots.rejection.at(1.0 - 0.8 * (1.0 - lots.rejection.x))})


DECISIONS: dict[str, Callable[[LotProcess], LotProcess]] = {
    "one doubling less": fewer_doublings_alone,
    "one more edit": further_edit,
    "the better half of donors": chosen_donors,
    "a fifth more lots rejected for potency": stricter_release,
}
SECOND_DOSE = "a second dose for everyone"
NAMES = (*DECISIONS, SECOND_DOSE)


def net_benefit(run: ArmRun, threshold: float) -> float:
    """Return the mean net benefit per referred patient."""
    return float(threshold * run.effect.mean() - run.cost.mean())


def equal_cure(benefit: Callable[[float], float], target: float) -> float:
    """Return the cure share at which a rising net benefit reaches the target: 0 below, infinity above its range."""
    if benefit(0.0) >= target:
        return 0.0
    if benefit(1.0) < target:
        return math.inf
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if benefit(middle) < target else (low, middle)
    return 0.5 * (low + high)


def _doubled(scenario: Scenario) -> Scenario:
    arm = _arm(scenario).model_copy(update={"doses_per_course": 2})
    return with_lots(scenario.model_copy(update={"arms": {**scenario.arms, ARM: arm}}), None)


def run_block(draw: ScenarioDraw) -> tuple[Float, Float, float]:
    """Return one draw: equal cure by perspective and own cure; decisions x (cost, net benefit, gain needed); doublings."""
    scenario, seed = draw.scenario, draw.seed
    threshold = scenario.analysis.decision_threshold
    patients = generate_patients(scenario, seed, observation_window(scenario))
    base = with_lots(scenario, None)
    flow = run_flow(base, ARM, seed, patients=patients)
    other = run_flow(scenario, AUTOLOGOUS, seed, patients=patients)
    own = scenario.numbers()[CURE].x
    equal = []
    for perspective in PERSPECTIVES:
        analysis = base.analysis.model_copy(update={"perspective": perspective})
        world = base.model_copy(update={"analysis": analysis})
        autologous = scenario.model_copy(update={"analysis": analysis})
        target = net_benefit(price_arm(autologous, AUTOLOGOUS, other, seed), threshold)

        def benefit(cure: float, world: Scenario = world) -> float:
            return net_benefit(price_arm(world.with_values({CURE: cure}), ARM, flow, seed), threshold)

        equal.append(equal_cure(benefit, target))
    start = price_arm(base, ARM, flow, seed)
    before = net_benefit(start, threshold)
    higher = price_arm(base.with_values({CURE: min(own + SLOPE, 1.0)}), ARM, flow, seed)
    slope = (net_benefit(higher, threshold) - before) / (min(own + SLOPE, 1.0) - own)
    assert start.goods is not None
    table = []
    for name in NAMES:
        world = _doubled(scenario) if name == SECOND_DOSE else with_lots(scenario, DECISIONS[name])
        run = run_arms(world, seed, (ARM,))[ARM]
        assert run.goods is not None
        change = net_benefit(run, threshold) - before
        table.append(
            [run.goods.per_infused - start.goods.per_infused, change, -change / slope if slope > 0 else math.nan]
        )
    with_effect = run_arms(with_lots(scenario, fewer_doublings), seed, (ARM,))[ARM]
    return np.array([*equal, own]), np.array(table), net_benefit(with_effect, threshold) - before


def durability(draws: int, seed: int, progress: Progress, patients: int | None = None) -> Answer:
    """Return the answer to question 3; `patients` replaces the scenario's."""
    scenario = load_scenario(SCENARIO)
    if patients is not None:
        scenario = scenario.with_analysis(patients=patients)
    found = over_blocks(run_block, scenario_draws(scenario, draws, seed), "durability", progress)
    equal = np.stack([result[0] for result in found])
    table = np.stack([result[1] for result in found])
    return _answer(scenario, equal, table, np.array([result[2] for result in found]))


def _answer(scenario: Scenario, equal: Float, table: Float, grown_less: Float) -> Answer:
    money = scenario.analysis.money
    shown = np.where(np.isfinite(equal), equal, 1.0)
    own = equal[:, -1]
    titles = ("both at cost of goods", "both at their prices")
    rows: list[dict[str, Any]] = []
    figures = [
        Figure("share of complete responders cured, allogeneic, today", float(np.median(own)), *span(own), "share")
    ]
    for i, title in enumerate(titles):
        reached = float(np.mean(own >= equal[:, i]))
        rows.append(
            {
                "question": f"durable share that equals autologous, {title}",
                "value": float(np.median(shown[:, i])),
                "low": span(shown[:, i])[0],
                "high": span(shown[:, i])[1],
                "draws in which today's reaches it": reached,
                "draws in which none does": float(np.mean(~np.isfinite(equal[:, i]))),
            }
        )
        figures.append(
            Figure(
                f"durable share that equals autologous, {title} (median)",
                float(np.median(shown[:, i])),
                *span(shown[:, i]),
                "share",
            )
        )
    for i, name in enumerate(NAMES):
        figures += [
            Figure(
                f"{name}: cost per infused patient, change",
                float(np.median(table[:, i, 0])),
                *span(table[:, i, 0]),
                money,
            ),
            Figure(
                f"{name}: gain in durable share that pays for it",
                float(np.nanmedian(table[:, i, 2])),
                *span(table[:, i, 2]),
                "share",
            ),
        ]
        rows.append(
            {
                "question": f"{name}: gain in durable share that pays for it",
                "value": float(np.nanmedian(table[:, i, 2])),
                "low": span(table[:, i, 2])[0],
                "high": span(table[:, i, 2])[1],
                "draws in which today's reaches it": None,
                "draws in which none does": None,
            }
        )
    figures.append(
        Figure(
            "one doubling less, with its assumed effect on response: net benefit, change",
            float(np.median(grown_less)),
            *span(grown_less),
            money,
        )
    )
    at_cost, at_price = rows[0], rows[1]
    dearest = max(range(len(NAMES)), key=lambda i: float(np.nanmedian(table[:, i, 2])))
    gap = float(np.median(shown[:, 0] - own))
    answer = (
        f"At cost of goods an allogeneic product equals the central autologous one when {at_cost['value']:.0%} of complete responders stay "
        f"in remission ({at_cost['low']:.0%} to {at_cost['high']:.0%}); today's {np.median(own):.0%} (two small trials) is enough in "
        f"{at_cost['draws in which today' + chr(39) + 's reaches it']:.0%} of draws. At the prices of the scenario it takes "
        f"{at_price['value']:.0%}. The median distance is {gap * 100:+.0f} points. Manufacturing can buy durability cheaply: "
        + ", ".join(f"{name} pays for itself with {_points(table[:, i, 2])}" for i, name in enumerate(NAMES))
        + f". {NAMES[dearest].capitalize()} has to give back most. One doubling less is the only decision "
        f"with an assumed effect on response as well ({_effect(scenario):+.2f} log-odds per doubling): with it the net benefit moves by "
        f"{np.median(grown_less):,.0f} {money} per referred patient ({span(grown_less)[0]:,.0f} to {span(grown_less)[1]:,.0f}). Cost of goods "
        "is so small beside what a durable response is worth that almost any decision that buys durability is worth making, if it buys any; "
        "that no trial has varied one of them is the gap in the evidence."
    )
    return Answer(
        question=QUESTION,
        answer=answer,
        figures=tuple(figures),
        rows=tuple(rows),
        chart=_chart(table),
        would_change=(
            f"Durability itself: the threshold is {at_cost['value']:.0%} of complete responders at cost; follow-up of the 14 complete "
            "responders on which today's figure rests decides it.",
            "A price: at parity of prices the advantage in cost of goods goes to the maker, and durability has to carry the comparison alone.",
            "Response: with fewer complete responders than autologous, the durable share among them has to be higher for the same patients cured.",
        ),
        weakest=(
            "share of complete responders cured after an allogeneic product: 14 responders, no plateau shown",
            "whether any of the decisions changes durability: no trial varied one",
            "effect of a doubling on response (direction known, size assumed)",
            "no published price of an allogeneic product",
            f"intervals rest on {equal.shape[0]} parameter draws",
        ),
    )


def _points(gain: Float) -> str:
    """Return a gain of the durable share in points; less than one point is not told from nothing."""
    mean = float(np.nanmedian(gain)) * 100.0
    return "less than one point" if mean < 1.0 else f"{mean:.0f} points"


def _effect(scenario: Scenario) -> float:
    expansion = _arm(scenario).lots.expansion
    assert expansion is not None and expansion.effect_per_doubling is not None
    return expansion.effect_per_doubling.x


def _chart(table: Float) -> str:
    rows = []
    for i, name in enumerate(NAMES):
        low, high = span(table[:, i, 2])
        rows.append({"label": name, "value": float(np.nanmedian(table[:, i, 2])), "low": low, "high": high})
    return interval_chart(
        rows,
        title="Gain in durable share of complete responders that pays for the decision (95 % over draws)",
        name="durability",
        description="Gain in the durable share of complete responders at which each manufacturing decision pays for itself",
        order=[str(row["label"]) for row in sorted(rows, key=lambda row: float(str(row["value"])))],
        axis_format="+%",
    )
