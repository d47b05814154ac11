"""One patient at a time in plain Python: the rules of outcomes and costs written a second time, for
comparison.

Nothing is shared with the vectorised stages but the uniforms, the scenario and the life table: laws are
inverted by bisection of their survival function, and every integral is a 24-point Gauss-Legendre sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from cartsight.core.logit_normal import logit_normal_intercept
from cartsight.core.streams import Stream
from cartsight.evidence.life_tables import LifeTable, life_table
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AutologousArm, InVivoArm, OtherCareArm
from cartsight.scenario.long_term import Transplant
from cartsight.scenario.survival import SurvivalLaw
from cartsight.simulation.pathways import trajectory as t

YEAR, MONTH = 365.25, 365.25 / 12.0
NEVER = math.inf
NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)


def integral(f: Callable[[float], float], start: float, end: float) -> float:
    if end <= start:
        return 0.0
    middle, half = 0.5 * (start + end), 0.5 * (end - start)
    return half * sum(w * f(middle + half * x) for x, w in zip(NODES, WEIGHTS, strict=True))


def time_of(survival: Callable[[float], float], target: float) -> float:
    """Return the time at which a falling survival function reaches `target`; never where it stays above."""
    if survival(1e9) > target:
        return NEVER
    low, high = 0.0, 1.0
    while survival(high) > target:
        low, high = high, 2.0 * high
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if survival(middle) > target else (low, middle)
    return 0.5 * (low + high)


def law_time(law: SurvivalLaw, u: float, hazard_ratio: float = 1.0) -> float:
    return time_of(lambda day: law.survival(day) ** hazard_ratio, 1.0 - u)


def _slowed(law: SurvivalLaw, u: float, hazard_ratio: float, plan: Transplant) -> float:
    """Return the time to failure when the hazard is multiplied from the transplant on, by bisection of survival."""
    ratio = plan.hazard_ratio_of_relapse.x
    at_transplant = law.survival(plan.after.x) ** hazard_ratio

    def survival(day: float) -> float:
        free = law.survival(day) ** hazard_ratio
        return free if day <= plan.after.x else at_transplant * (free / at_transplant) ** ratio

    return time_of(survival, 1.0 - u)


@dataclass
class Patient:
    """What became of one patient."""

    death: float = NEVER
    cause: str = "background mortality"
    response: int = 0
    life_years: float = 0.0
    qalys_discounted: float = 0.0
    cost: float = 0.0
    cost_discounted: float = 0.0
    stays: list[tuple[float, float, float]] = field(default_factory=list)


def follow(row: int, flow: t.Trajectories, scenario: Scenario, arm_name: str, seed: int) -> Patient:
    """Return outcomes and costs of the patient in one row, under the payer's perspective."""
    people, population = flow.patients, scenario.population
    arm = scenario.arms[arm_name]
    table = life_table(population.background_mortality.life_table, population.background_mortality.year)
    stream = Stream(seed, "patient", people.identity[row : row + 1])

    def u(step: str, occurrence: int = 0) -> float:
        return float(stream(step, occurrence)[0])

    age = float(people.age[row])
    horizon = scenario.analysis.horizon_years * YEAR
    infused = bool(flow.infused[row])
    leaves = float(flow.day[t.INFUSION][row] if infused else flow.end_day[row])
    me = Patient()
    one_time: list[tuple[float, float]] = []
    per_day: list[tuple[float, float, float]] = []
    relapse = care = aplasia = aplasia_again = NEVER
    events: list[tuple[float, str]] = []
    transplanted = onset = NEVER
    killed: list[float] = []
    answers: list[tuple[float, float, float]] = []
    remission_from = leaves
    natural = _natural(
        table,
        age,
        bool(people.female[row]),
        population.background_mortality.standardised_mortality_ratio.x,
        u("background death"),
        leaves,
    )
    deaths = [(natural, "background mortality")]
    if flow.statuses[int(flow.status[row])] == t.DIED:
        deaths = [(leaves, "while waiting")]
    elif not infused:
        deaths.append((leaves + law_time(population.other_care.survival, u("death in other care")), "in other care"))
    else:
        assert not isinstance(arm, OtherCareArm)
        efficacy = arm.efficacy
        visit = float(flow.day.get(t.REDOSING_VISIT, np.full(len(flow), np.nan))[row])
        course = leaves if math.isnan(visit) else max(leaves, visit)
        worsened = bool(flow.worsened[row])
        effect = efficacy.odds_ratio_if_worsened.x if worsened else 1.0
        if isinstance(arm, AutologousArm) and flow.out_of_specification[row]:
            effect *= arm.process.odds_ratio_response_out_of_specification.x
        sd = 0.0 if isinstance(arm, AutologousArm) else arm.lots.lot_effect_sd.x

        def chance(p: float, odds_ratio: float) -> float:
            odds = math.exp(float(logit_normal_intercept(p, sd))) * odds_ratio
            return odds / (1.0 + odds)

        def respond(draw: float, odds_ratio: float) -> int:
            if draw < chance(efficacy.complete_response.x, odds_ratio):
                return 2
            return 1 if draw < chance(efficacy.overall_response.x, odds_ratio) else 0

        if flow.expressed[row]:
            me.response = respond(u("response"), effect * math.exp(flow.lot_effect[row]))
        ratio = efficacy.hazard_ratio_if_worsened.x if worsened else 1.0
        toxic = leaves + _non_relapse(efficacy.non_relapse_mortality.x, u("non-relapse mortality"))
        if me.response == 0:
            care = remission_from = course + efficacy.assessment.x
        else:
            remission_from = course
            cured = me.response == 2 and efficacy.cure is not None
            if not (cured and u("cure") < efficacy.cure.among_complete_responders.x):  # type: ignore[union-attr]
                relapse = care = course + law_time(efficacy.relapse, u("relapse"), ratio)
        plan = arm.transplant
        if plan is not None and me.response > 0:
            day = course + plan.after.x
            if day < min(relapse, natural, toxic, horizon) and u("transplant") < plan.share_in_first_response.x:
                transplanted = day
                if relapse < NEVER:
                    relapse = care = course + _slowed(efficacy.relapse, u("relapse"), ratio, plan)
                killed.append(day + _non_relapse(plan.treatment_related_mortality.x, u("transplant-related mortality")))
        for name, event in arm.toxicity.events.items():
            if u(f"adverse event: {name}") < event.probability.x:
                events.append((leaves, name))
        apl = arm.toxicity.b_cell_aplasia
        if apl is not None and flow.expressed[row] and u("b-cell aplasia") < apl.probability.x:
            aplasia = leaves
        again = arm.retreatment
        if again is not None and relapse < min(natural, toxic, horizon, *killed) and u("retreatment") < again.share.x:
            takes = not isinstance(arm, InVivoArm) or u("expression at retreatment") < arm.expression.x
            if takes and respond(u("response to retreatment"), effect * again.odds_ratio_of_response.x):
                care = relapse + law_time(efficacy.relapse, u("relapse after retreatment"), ratio)
            toxic = min(toxic, relapse + _non_relapse(efficacy.non_relapse_mortality.x, u("non-relapse mortality", 1)))
            for name, event in arm.toxicity.events.items():
                if u(f"adverse event: {name}", 1) < event.probability.x:
                    events.append((relapse, name))
            if apl is not None and u("b-cell aplasia", 1) < apl.probability.x:
                aplasia_again = relapse
            second = arm.price.per_patient.x + arm.hospital.infusion_and_stay.x
            second += 0.0 if arm.hospital.lymphodepletion is None else arm.hospital.lymphodepletion.x
            one_time.append((relapse, second))
        deaths.append((toxic, "non-relapse mortality"))
        if care < NEVER:
            after = law_time(efficacy.survival_after_relapse, u("death after relapse"))
            disease = care + after
            now = care
            for name, line in {} if arm.after_relapse is None else arm.after_relapse.lines.items():
                others = min(natural, toxic, horizon)
                if now >= min(others, disease, *killed, NEVER) or u(f"later line: {name}") >= line.share.x:
                    break
                one_time.append((now, line.cost_at_start.x))
                if line.treatment_related_mortality is not None:
                    p = line.treatment_related_mortality.x
                    killed.append(now + _non_relapse(p, u(f"mortality of later line: {name}")))
                fails = now + line.assessment.x
                if u(f"response to later line: {name}") < line.response.x:
                    lasts = law_time(line.time_to_failure, u(f"failure of later line: {name}"))
                    if plan is not None and plan.share_in_later_response is not None and transplanted == NEVER:
                        day = now + plan.after.x
                        able = lasts > plan.after.x and day < min(others, *killed, NEVER)
                        if able and u(f"transplant in later line: {name}") < plan.share_in_later_response.x:
                            transplanted = day
                            if lasts < NEVER:
                                lasts = _slowed(line.time_to_failure, u(f"failure of later line: {name}"), 1.0, plan)
                            p = plan.treatment_related_mortality.x
                            killed.append(day + _non_relapse(p, u("transplant-related mortality")))
                    fails = now + lasts
                    answers.append((now, fails, line.utility_in_response.x))
                    disease += lasts
                if line.cost_per_month is not None:
                    longest = NEVER if line.paid_for_at_most is None else line.paid_for_at_most.x
                    per_day.append((now, min(fails, now + longest), line.cost_per_month.x / MONTH))
                now = fails
                if fails == NEVER:
                    break
            deaths.append((disease, "disease after infusion"))
        deaths += [(day, "transplant or later line") for day in killed]
        new = arm.secondary_malignancy
        if new is not None and new.probability.x > 0.0:
            hazard = -math.log(1.0 - new.probability.x) / new.within.x
            onset = leaves - math.log(1.0 - u("secondary malignancy")) / hazard
            deaths.append((onset + law_time(new.survival, u("death of secondary malignancy")), "secondary malignancy"))
    me.death, me.cause = min(deaths)
    if me.death > horizon:
        me.death, me.cause = NEVER, "alive at the horizon"
    end = min(me.death, horizon)
    me.life_years = end / YEAR

    # Quality of life
    by_age = population.utility_by_age
    effects = scenario.analysis.discount_rate_effects

    def weighed(utility: float, start: float, stop: float) -> float:
        return integral(
            lambda y: utility * by_age.multiplier(age, age + y) * (1.0 + effects) ** -y,
            start / YEAR,
            min(stop, end) / YEAR,
        )

    waits_until = remission_from if infused else leaves
    me.qalys_discounted = weighed(population.waiting_utility.x, 0.0, waits_until)
    if infused:
        assert not isinstance(arm, OtherCareArm)
        me.qalys_discounted += weighed(arm.long_term.utility_remission.x, remission_from, care)
        me.qalys_discounted += weighed(arm.long_term.utility_relapsed.x, care, end)
        for start, name in events:
            if start < end:
                event = arm.toxicity.events[name]
                me.qalys_discounted -= weighed(event.utility_loss.x, start, start + event.lasts.x)
        for start, stop, utility in answers:
            me.qalys_discounted += weighed(utility - arm.long_term.utility_relapsed.x, start, stop)
        if plan is not None:
            me.qalys_discounted -= weighed(plan.utility_loss.x, transplanted, transplanted + plan.lasts.x)
        if new is not None:
            lasts = NEVER if new.lasts is None else new.lasts.x
            me.qalys_discounted -= weighed(new.utility_loss.x, onset, onset + lasts)
    else:
        me.qalys_discounted += weighed(population.other_care.utility.x, leaves, end)

    # Money
    for kind, price in _event_prices(scenario, arm).items():
        rows, days = flow.events(kind)
        one_time += [(float(day), price) for day in days[rows == row]]
    per_day.append((0.0, leaves, population.waiting_cost_per_month.x / MONTH))
    if me.death < NEVER:
        last = arm.end_of_life_cost.x if isinstance(arm, OtherCareArm) else arm.long_term.end_of_life_cost.x
        one_time.append((me.death, last))
    bridging = scenario.care_pathway.bridging
    if bridging is not None and flow.bridged[row] and not isinstance(arm, OtherCareArm):
        known = [flow.day[f"step: {step}"][row] for step in scenario.care_pathway.steps if f"step: {step}" in flow.day]
        collected = flow.day[t.LEUKAPHERESIS][row]
        start = collected if not math.isnan(collected) else max(day for day in known if not math.isnan(day))
        per_day.append((start, leaves, bridging.cost_per_month.x / MONTH))
    if not infused:
        other = population.other_care
        if leaves < end:
            one_time.append((leaves, 0.0 if other.cost_at_start is None else other.cost_at_start.x))
            per_day.append((leaves, end, other.cost_per_month.x / MONTH))
    else:
        assert not isinstance(arm, OtherCareArm)
        long = arm.long_term
        if arm.price.paid_if_out_of_specification or not flow.out_of_specification[row]:
            one_time.append((leaves, arm.price.per_patient.x))
        one_time.append((leaves, arm.hospital.infusion_and_stay.x))
        one_time += [(start, arm.toxicity.events[name].cost.x) for start, name in events]
        per_day.append((leaves, min(care, leaves + YEAR), long.follow_up_cost_first_year.x / YEAR))
        per_day.append((leaves + YEAR, care, long.follow_up_cost_per_year_later.x / YEAR))
        if care < end:
            one_time.append((care, long.relapse_care_cost_at_start.x))
            per_day.append((care, end, long.relapse_care_cost_per_month.x / MONTH))
        for start, stop, _ in answers:
            rate = long.follow_up_cost_per_year_later.x / YEAR - long.relapse_care_cost_per_month.x / MONTH
            per_day.append((start, stop, rate))
        if plan is not None:
            one_time.append((transplanted, plan.cost.x))
        if new is not None:
            one_time.append((onset, new.cost_at_start.x))
            if new.cost_per_month is not None:
                per_day.append(
                    (onset, onset + (NEVER if new.lasts is None else new.lasts.x), new.cost_per_month.x / MONTH)
                )
        apl = arm.toxicity.b_cell_aplasia
        if apl is not None:
            monthly = apl.immunoglobulin_cost_per_month.x / MONTH
            per_day.append((aplasia, aplasia + apl.lasts.x, monthly))
            free_from = aplasia_again if aplasia == NEVER else max(aplasia_again, aplasia + apl.lasts.x)
            if aplasia_again < NEVER:
                per_day.append((free_from, aplasia_again + apl.lasts.x, monthly))
    costs = scenario.analysis.discount_rate_costs
    for rate, name in ((0.0, "cost"), (costs, "cost_discounted")):
        total = sum(amount * (1.0 + rate) ** (-day / YEAR) for day, amount in one_time if day <= end)
        for start, stop, amount in per_day:
            total += amount * integral(lambda day, rate=rate: (1.0 + rate) ** (-day / YEAR), start, min(stop, end))  # type: ignore[misc]
        setattr(me, name, total)
    return me


def _event_prices(scenario: Scenario, arm: object) -> dict[str, float]:
    prices = {f"step: {k}": s.cost.x for k, s in scenario.care_pathway.steps.items() if s.cost is not None}
    if isinstance(arm, OtherCareArm):
        return prices
    hospital = arm.hospital  # type: ignore[attr-defined]
    for kind, money in (
        (t.LEUKAPHERESIS, hospital.leukapheresis),
        (t.LYMPHODEPLETION, hospital.lymphodepletion),
    ):
        if money is not None:
            prices[kind] = money.x
    if isinstance(arm, InVivoArm):
        prices[t.REDOSING_VISIT] = arm.redosing.visit_cost.x
    return prices


def _natural(table: LifeTable, age: float, female: bool, smr: float, u: float, leaves: float) -> float:
    def alive(day: float) -> float:
        return float(table.survival(age, female, day / YEAR, smr))

    day = time_of(alive, 1.0 - u)
    if day >= leaves:
        return day
    # u is uniform on (0, 1 - alive(leaves)) given an earlier death; spread it over the time after.
    return time_of(alive, alive(leaves) * (1.0 - u - alive(leaves)) / (1.0 - alive(leaves)))


def _non_relapse(probability: float, u: float) -> float:
    if probability == 0.0:
        return NEVER
    day = math.log(1.0 - u) / math.log(1.0 - probability) * YEAR
    return day if day <= YEAR else NEVER
