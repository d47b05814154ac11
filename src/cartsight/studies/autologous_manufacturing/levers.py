"""Question 2: what vector supply and donor variability cost, and what each lever on them would shift, alone and together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.comparison.single_arm import ArmRun, run_arms
from cartsight.core.logit_normal import logit_normal_mean, logit_normal_mixture_intercept
from cartsight.core.streams import Stream
from cartsight.scenario import Scenario, load_scenario
from cartsight.scenario.arms import AutologousArm
from cartsight.scenario.numbers import Duration, Frozen, MoneyPerBatch, MoneyPerYear, Probability, Rate, Ratio
from cartsight.scenario.starting_material import LeukapheresisAttribute, VariableAttribute
from cartsight.scenario.supplies import SecondSource, Supply, SupplySource
from cartsight.simulation.pathways.material import FAILURE, OUT_OF_SPECIFICATION, MaterialEffects, material_effects
from cartsight.studies.answers import Answer, Figure, Progress
from cartsight.studies.autologous_manufacturing.networks import demand
from cartsight.studies.draws import over_blocks, scenario_draws
from cartsight.studies.factorial import alone, interactions, settings, shapley_values
from cartsight.studies.intervals import interval_chart, span
from cartsight.studies.study_numbers import draw_study_numbers, read_study_numbers

Float = npt.NDArray[np.float64]

QUESTION = (
    "How much of cost and delay is vector supply and donor variability, and what would standardisation, supplier consolidation, "
    "cheaper vector, a second source or a safety stock each shift, alone and together?"
)
SCENARIO, NUMBERS = (Path(__file__).parent / name for name in ("supply.toml", "levers.toml"))
ARM = "autologous-central"
LEVERS = ("standardisation", "supplier consolidation", "cheaper vector", "second source", "safety stock")
STANDARDISE, CONSOLIDATE, CHEAPER, SECOND, SAFETY = range(len(LEVERS))
RESPONSES = (
    "cost per infused patient",
    "days from referral to infusion",
    "infused of referred",
    "net benefit per referred",
)
COST, DAYS, SHARE, BENEFIT = range(len(RESPONSES))
LONGEST_DAYS = 3650.0
BUFFER_DAYS = 30.0
"""Use that the reorder levels hold above the mean use of a lead time."""

ASSUMPTIONS = (
    "Outages of the vector maker are drawn per parameter draw (a Poisson process), so intervals hold both what is not known and the luck "
    "of the years that are simulated.",
    "The second source is qualified from the first day, makes the vector of the first and takes its orders during an outage.",
    "Standardisation narrows the spread between collections around the same median and the patient effect that repeat attempts share; "
    "what an average patient's batch does is left as it is, so failures fall only because fewer collections are poor.",
    "Reorder levels follow use and mean lead time in each draw, with a month of use above them; the lever of a safety stock adds one lot.",
)


class LeverNumbers(Frozen):
    """What the levers change and what they cost."""

    outages_per_year: Rate
    outage_days: Duration
    vector_price_cut: Probability
    second_source_premium: Ratio
    second_source_share: Probability
    second_source_per_year: MoneyPerYear
    kits_discount: Probability
    standardisation_per_batch: MoneyPerBatch
    standardised_spread: Ratio
    holding_per_year: Probability


@dataclass(frozen=True, slots=True)
class Block:
    """One parameter draw of the question."""

    scenario: Scenario
    numbers: LeverNumbers
    seed: int


def read_levers(money: str) -> LeverNumbers:
    """Return the numbers of the levers at their point values, with amounts in `money`."""
    return read_study_numbers(NUMBERS, LeverNumbers, money)


def outages(rate_per_day: float, days: float, seed: int, name: str) -> tuple[tuple[float, float], ...]:
    """Return the outages of a maker over the simulation: gaps exponential, each of `days`."""
    if rate_per_day <= 0.0 or days <= 0.0:
        return ()
    found: list[tuple[float, float]] = []
    now = 0.0
    stream = Stream(seed, "study 1A outage", np.arange(64, dtype=np.uint64))
    for u in stream(name):
        start = now - math.log1p(-float(u)) / rate_per_day
        if start >= LONGEST_DAYS:
            break
        now = start + days
        found.append((start, now))
    return tuple(found)


def _arm(scenario: Scenario) -> AutologousArm:
    arm = scenario.arms[ARM]
    assert isinstance(arm, AutologousArm)
    return arm


def ordered_as_used(supply: Supply, runs_per_day: float) -> Supply:
    """Return the supply with reorder levels for a use: the mean use of a lead time, a buffer, and a lot at a time."""
    source = supply.source
    hold = 0.0 if source.quality_control_hold is None else source.quality_control_hold.distribution.mean
    needed = runs_per_day * (source.lead_time.distribution.mean + hold + BUFFER_DAYS)
    level = math.ceil(needed)
    return supply.model_copy(
        update={
            "reorder_point": level,
            "order_up_to": level + max(1, math.ceil(0.9 * source.expected_units)),
            "initial_stock": level,
        }
    )


def with_levers(scenario: Scenario, numbers: LeverNumbers, pulled: Sequence[bool], seed: int) -> Scenario:
    """Return the scenario with outages of the vector maker and some levers pulled."""
    arm = _arm(scenario)
    runs = sum(demand(scenario.referrals_per_day * 365.25).starts_per_day)
    supplies = {name: ordered_as_used(supply, runs) for name, supply in arm.supplies.items()}
    process, costs, material = arm.process, arm.costs, arm.starting_material
    vector = supplies["vector"]
    source = vector.source
    rate, length = numbers.outages_per_year.x, numbers.outage_days.x
    source = source.model_copy(update={"outages": outages(rate, length, seed, "first")})
    assert vector.cost_per_lot is not None
    price = vector.cost_per_lot.x
    update: dict[str, Any] = {"source": source}
    if pulled[CHEAPER]:
        price *= 1.0 - numbers.vector_price_cut.x
    yearly = 0.0
    if pulled[SECOND]:
        dearer = vector.cost_per_lot.at(price * (1.0 + numbers.second_source_premium.x))
        fields = {name: getattr(vector.source, name) for name in SupplySource.model_fields}
        fields["outages"] = outages(rate, length, seed, "second")
        update["second_source"] = SecondSource(**fields, share=numbers.second_source_share, cost_per_lot=dearer)
        yearly += numbers.second_source_per_year.x
    if pulled[SAFETY]:
        more = math.ceil(source.expected_units)
        update |= {"reorder_point": vector.reorder_point + more, "order_up_to": vector.order_up_to + more}
        update["initial_stock"] = vector.initial_stock + more
        yearly += numbers.holding_per_year.x * price
    update["cost_per_lot"] = vector.cost_per_lot.at(price)
    supplies["vector"] = vector.model_copy(update=update)
    if pulled[CONSOLIDATE]:
        kits = supplies["kits"]
        # The supplier that keeps the orders makes what both made.
        alone_source = kits.source.model_copy(update={"lots_at_once": 2 * (kits.source.lots_at_once or 1)})
        supplies["kits"] = kits.model_copy(update={"source": alone_source, "second_source": None})
        cheaper = costs.materials_per_batch.x * (1.0 - numbers.kits_discount.x)
        costs = costs.model_copy(update={"materials_per_batch": costs.materials_per_batch.at(cheaper)})
    if pulled[STANDARDISE]:
        arm = standardised(scenario, numbers.standardised_spread.x)
        process, material = arm.process, arm.starting_material
        labour = costs.labour_per_batch.x + numbers.standardisation_per_batch.x
        costs = costs.model_copy(update={"labour_per_batch": costs.labour_per_batch.at(labour)})
    if yearly > 0.0:
        overhead = costs.quality_overhead_per_site_year
        costs = costs.model_copy(
            update={"quality_overhead_per_site_year": overhead.at(overhead.x + yearly / len(arm.plants))}
        )
    changed = arm.model_copy(
        update={"supplies": supplies, "process": process, "costs": costs, "starting_material": material}
    )
    return _only(scenario, changed)


def _only(scenario: Scenario, arm: AutologousArm) -> Scenario:
    analysis = scenario.analysis.model_copy(update={"reference_arm": None, "correlations": ()})
    return scenario.model_copy(update={"arms": {ARM: arm}, "analysis": analysis})


def standardised(scenario: Scenario, spread: float) -> AutologousArm:
    """Return the arm with `spread` times the spread between collections and between patients.

    The log-odds of failure of a reference batch stay; the population shares follow from the narrower mixture. With no
    spread at all every batch is the reference batch.
    """
    arm = _arm(scenario)
    before = material_effects(scenario, arm.starting_material)
    material = arm.starting_material if spread > 0.0 else None
    if material is not None:
        narrower = {name: _narrower(attribute, spread) for name, attribute in material.leukapheresis.items()}
        material = material.model_copy(update={"leukapheresis": narrower})
    after = material_effects(scenario, material)
    process = arm.process
    patient_sd = process.patient_sd.x
    update: dict[str, Any] = {"patient_sd": process.patient_sd.at(patient_sd * spread)}
    for name, on in (("manufacturing_failure", FAILURE), ("out_of_specification", OUT_OF_SPECIFICATION)):
        number = getattr(process, name)
        sd, shifts, weights = _mixture(before, on, patient_sd)
        level = logit_normal_mixture_intercept(number.x, sd, shifts, weights)
        sd, shifts, weights = _mixture(after, on, patient_sd * spread)
        update[name] = number.at(float(weights @ logit_normal_mean(level + shifts, sd) / weights.sum()))
    time = math.exp(after.log_mean_time() - before.log_mean_time())
    update["manufacturing"] = process.manufacturing.at(process.manufacturing.x * time)
    return arm.model_copy(update={"process": process.model_copy(update=update), "starting_material": material})


def _mixture(effects: MaterialEffects, on: str, patient_sd: float) -> tuple[float, Float, Float]:
    """Return sd of the normal part, shifts and weights of the groups of patients."""
    shifts = effects.shifts.get(on, np.zeros(1)) + effects.mean.get(on, 0.0)
    return math.hypot(patient_sd, effects.sd.get(on, 0.0)), shifts, np.broadcast_to(effects.weights, shifts.shape)


def _narrower(attribute: LeukapheresisAttribute, spread: float) -> LeukapheresisAttribute:
    value = attribute.value
    assert value.cv is not None
    log_sd = spread * math.sqrt(math.log1p(value.cv**2))
    fields = {name: item for name, item in value.model_dump().items() if item is not None}
    narrow = VariableAttribute.model_validate({**fields, "cv": math.sqrt(math.expm1(log_sd**2))}).at(value.x)
    return attribute.model_copy(update={"value": narrow})


def unlimited_vector(scenario: Scenario) -> Scenario:
    """Return the scenario with vector always at hand, at the price per run of a lot that never fails or expires."""
    arm = _arm(scenario)
    vector = arm.supplies["vector"]
    assert vector.cost_per_lot is not None
    per_run = vector.cost_per_lot.x / vector.source.expected_units
    supplies = {name: supply for name, supply in arm.supplies.items() if name != "vector"}
    costs = arm.costs.model_copy(update={"vector_per_batch": arm.costs.vector_per_batch.at(per_run)})
    return _only(scenario, arm.model_copy(update={"supplies": supplies, "costs": costs}))


def free_vector(scenario: Scenario) -> Scenario:
    """Return the scenario with vector always at hand and for nothing."""
    changed = unlimited_vector(scenario)
    arm = _arm(changed)
    costs = arm.costs.model_copy(update={"vector_per_batch": arm.costs.vector_per_batch.at(0.0)})
    return _only(changed, arm.model_copy(update={"costs": costs}))


def responses(run: ArmRun, threshold: float) -> list[float]:
    """Return the responses of the study: cost of goods per infused, days to infusion, share infused, net benefit."""
    assert run.goods is not None
    infused = run.trajectories.infused
    return [
        run.goods.per_infused,
        float(run.trajectories.day["infusion"][infused].mean()),
        float(infused.mean()),
        float(threshold * run.effect.mean() - run.cost.mean()),
    ]


COUNTERFACTUALS = ("vector always at hand", "vector free and at hand", "no differences between donors")


def run_block(block: Block) -> Float:
    """Return the responses of every setting and counterfactual at one draw, shape (2**levers + 3, responses)."""
    threshold = block.scenario.analysis.decision_threshold
    worlds = [with_levers(block.scenario, block.numbers, pulled, block.seed) for pulled in settings(len(LEVERS))]
    base = worlds[0]
    worlds += [unlimited_vector(base), free_vector(base), _only(base, standardised(base, 0.0))]
    return np.array([responses(run_arms(world, block.seed, (ARM,))[ARM], threshold) for world in worlds])


def supply_and_donors(
    draws: int, seed: int, progress: Progress, patients: int | None = None
) -> tuple[Answer, LeverNumbers]:
    """Return the answer to question 2, and the numbers it used; `patients` replaces the scenario's."""
    scenario = load_scenario(SCENARIO)
    if patients is not None:
        scenario = scenario.with_analysis(patients=patients)
    numbers = read_levers(scenario.analysis.money)
    drawn = draw_study_numbers(numbers, draws, seed, "1A levers")
    blocks = [
        Block(draw.scenario, own, draw.seed)
        for draw, own in zip(scenario_draws(scenario, draws, seed), drawn, strict=True)
    ]
    found = over_blocks(run_block, blocks, "supply and donors", progress)
    return _answer(scenario, np.stack(found)), numbers


def _answer(scenario: Scenario, table: Float) -> Answer:
    """Return the answer from responses of shape (draws, settings, responses)."""
    money = scenario.analysis.money
    factorial = np.moveaxis(table[:, : 2 ** len(LEVERS), :], 1, -1)
    values = shapley_values(factorial)
    single = alone(factorial)
    pairs = {key: value.mean(axis=0) for key, value in interactions(factorial).items()}
    base, at_hand, free, alike = table[:, 0], table[:, -3], table[:, -2], table[:, -1]
    units = (money, "days", "share", money)
    figures = [
        Figure(f"today: {name}", float(base[:, j].mean()), *span(base[:, j]), units[j])
        for j, name in enumerate(RESPONSES)
    ]
    for label, other in zip(COUNTERFACTUALS, (at_hand, free, alike), strict=True):
        figures += [
            Figure(
                f"{label}: change of {name}",
                float((other - base)[:, j].mean()),
                *span((other - base)[:, j]),
                units[j] if j != SHARE else "share",
            )
            for j, name in enumerate(RESPONSES)
        ]
    rows: list[dict[str, Any]] = []
    for i, lever in enumerate(LEVERS):
        row: dict[str, Any] = {"lever": lever}
        for j, name in enumerate(RESPONSES):
            low, high = span(values[:, j, i])
            row |= {
                name: float(values[:, j, i].mean()),
                f"{name}, low": low,
                f"{name}, high": high,
                f"{name}, alone": float(single[:, j, i].mean()),
            }
        row["draws in which it pays"] = float(np.mean(values[:, BENEFIT, i] > 0.0))
        rows.append(row)
    all_pulled = factorial[..., -1] - factorial[..., 0]
    order = sorted(rows, key=lambda row: -row[RESPONSES[BENEFIT]])
    (first, second), strongest = max(pairs.items(), key=lambda item: abs(float(item[1][BENEFIT])))
    together = "help" if float(strongest[BENEFIT]) > 0.0 else "replace"
    vector_cost = float((base[:, COST] - free[:, COST]).mean())
    answer = (
        f"Vector is {vector_cost / base[:, COST].mean():.0%} of the cost of an infused patient ({vector_cost:,.0f} of "
        f"{base[:, COST].mean():,.0f} {money}), of which {float((base[:, COST] - at_hand[:, COST]).mean()):,.0f} is failed and expired "
        f"lots and lines that stand idle for want of it; its shortages cost "
        f"{float((base[:, DAYS] - at_hand[:, DAYS]).mean()):.1f} days to infusion and "
        f"{float((at_hand[:, SHARE] - base[:, SHARE]).mean()):.1%} of referred patients on average, nothing in "
        f"{float(np.mean(at_hand[:, SHARE] - base[:, SHARE] < 0.002)):.0%} of draws and up to "
        f"{float((at_hand[:, SHARE] - base[:, SHARE]).max()):.1%} in the worst: it is a rare event that few averages show. Differences "
        f"between donors cost {float((base[:, COST] - alike[:, COST]).mean()):,.0f} {money} and "
        f"{float((alike[:, SHARE] - base[:, SHARE]).mean()):.2%} of patients: with {_shares(scenario)} of batches failing there is little "
        f"to gain. Per referred patient the levers are worth, in company of the others (Shapley), "
        + ", ".join(f"{row['lever']} {row[RESPONSES[BENEFIT]]:,.0f}" for row in order)
        + f" {money} of net benefit; all together {float(all_pulled[:, BENEFIT].mean()):,.0f}. The strongest interaction is between "
        f"{LEVERS[first]} and {LEVERS[second]} ({float(strongest[BENEFIT]):,.0f}): they {together} each other."
    )
    return Answer(
        question=QUESTION,
        answer=answer,
        figures=tuple(figures),
        rows=tuple(rows),
        chart=_chart(values, money),
        would_change=_would_change(table, values, money),
        weakest=(
            "how often and for how long a vector maker stops: no rate was read, and it decides the value of a second source",
            "lead time, lot failure and price of vector lots (assumed; titre and recovery are cited)",
            "effect of cell counts on failure and growth: sizes are ours around cited shares of causes",
            "what standardisation leaves of the spread between collections: no trial was read",
            f"intervals rest on {table.shape[0]} parameter draws",
        ),
    )


def _shares(scenario: Scenario) -> str:
    process = _arm(scenario).process
    return f"{process.manufacturing_failure.x + process.out_of_specification.x:.1%}"


def _would_change(table: Float, values: Float, money: str) -> tuple[str, ...]:
    benefit = values[:, BENEFIT, :]
    lost = table[:, -3, SHARE] - table[:, 0, SHARE]
    second = benefit[:, SECOND]
    hit = lost > 0.002
    texts = []
    if hit.any() and (~hit).any():
        texts.append(
            f"Outages: where the maker's outage reached patients ({hit.mean():.0%} of draws) a second source is worth "
            f"{float(second[hit].mean()):,.0f} {money} per referred patient, elsewhere {float(second[~hit].mean()):,.0f}."
        )
    texts += [
        "A product with failures as often as cilta-cel's (19 % of 212, LA044) in place of the 4 % here: the value of standardisation grows "
        "with the failures that there are to prevent.",
        "Growth that leaves closed runs of fixed length: a process that harvests when the dose is reached turns poor collections into days.",
    ]
    return tuple(texts)


def _chart(values: Float, money: str) -> str:
    rows = []
    for i, lever in enumerate(LEVERS):
        low, high = span(values[:, BENEFIT, i])
        rows.append({"label": lever, "value": float(values[:, BENEFIT, i].mean()), "low": low, "high": high})
    return interval_chart(
        rows,
        title=f"Net benefit per referred patient, {money} (Shapley value, 95 % over draws)",
        name="levers",
        description="Net benefit of each lever on vector supply and donor variability, in company of the others",
    )
