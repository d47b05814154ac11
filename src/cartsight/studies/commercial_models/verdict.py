"""Question 2: one product, one scenario, many rules: the verdict under each, and which choice moves it most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import numpy as np

from cartsight.core.money import convert
from cartsight.economics.severity import qaly_shortfall
from cartsight.economics.single_therapy_scenarios import BASIS, single_therapy_scenarios
from cartsight.reporting.charts.style import money_axis, points, svg
from cartsight.reporting.palette import BAD, GOOD, INK, MUTED
from cartsight.studies.answers import Answer, Figure, Progress
from cartsight.studies.commercial_models.patients import (
    COMPARATOR,
    PRODUCT,
    StudyDraw,
    StudyPatients,
    study_draw,
)
from cartsight.studies.intervals import span

QUESTION = (
    "One-time, potentially curative therapy against rules made for chronic care: what is the verdict on the same scenario "
    "under each rule, and which methodological choice moves it most?"
)
MONEY = "usd_2024"
EARNINGS_PER_YEAR = 60_000.0
GERMAN_EUROS_PER_QALY = 50_000.0
CURE = f"arms.{PRODUCT}.efficacy.cure.among_complete_responders"

ASSUMPTIONS = (
    f"Societal view: a life-year before 67 is worth {EARNINGS_PER_YEAR:,.0f} USD of production; no row was read.",
    f"Germany sets no threshold per QALY; {GERMAN_EUROS_PER_QALY:,.0f} euros stand in so that a verdict can be drawn beside the others.",
    "The US price and US costs are used under every rule: the rules are compared, not the countries.",
    BASIS,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A set of methodological choices.

    Parameters
    ----------
    name : str
    rate : float
        Discount rate of costs and QALYs.
    threshold : float
        Money per QALY.
    severity, societal : bool
        Weigh QALYs by NICE's severity modifier; count production.
    savings : str or None
        "shared savings" or "capped offsets".
    """

    name: str
    rate: float
    threshold: float
    severity: bool = False
    societal: bool = False
    savings: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule applied to one draw: net benefit, cost per (weighted) QALY, price at which net benefit is zero."""

    net_benefit: float
    ratio: float
    price: float


def rules() -> tuple[Rule, ...]:
    """Return the rules, thresholds in the scenario's money."""
    pounds = float(convert(30_000.0, "gbp_2024", MONEY))
    euros = float(convert(GERMAN_EUROS_PER_QALY, "eur_2024", MONEY))
    return (
        Rule("ICER, 150 000 USD", 0.03, 150_000.0),
        Rule("ICER, 100 000 USD", 0.03, 100_000.0),
        Rule("ICER, 150 000 USD, shared savings", 0.03, 150_000.0, savings="shared savings"),
        Rule("ICER, 150 000 USD, capped offsets", 0.03, 150_000.0, savings="capped offsets"),
        Rule("Societal, 150 000 USD", 0.03, 150_000.0, societal=True),
        Rule("Discounting at 1.5 %, 150 000 USD", 0.015, 150_000.0),
        Rule("NICE, 30 000 GBP, no weight", 0.035, pounds),
        Rule("NICE, 30 000 GBP, severity weight", 0.035, pounds, severity=True),
        Rule("NICE, 30 000 GBP, severity, 1.5 %", 0.015, pounds, severity=True),
        Rule("Germany, 50 000 EUR assumed", 0.03, euros),
    )


def severity_weight(draw: StudyDraw) -> float:
    """Return NICE's weight; shortfalls are always computed at 3.5 %."""
    return qaly_shortfall(draw.expected_qalys_without_disease, draw.value[COMPARATOR, 0.035].qalys).weight


def apply(rule: Rule, draw: StudyDraw) -> Verdict:
    """Return the verdict of a rule."""
    new, old = draw.value[PRODUCT, rule.rate], draw.value[COMPARATOR, rule.rate]
    gain = (new.qalys - old.qalys) * (severity_weight(draw) if rule.severity else 1.0)
    other = new.other_cost - old.other_cost
    if rule.societal:
        other -= EARNINGS_PER_YEAR * (draw.working_years[PRODUCT] - draw.working_years[COMPARATOR])
    if rule.savings is not None:
        found = single_therapy_scenarios(
            draw.cost_by_year[COMPARATOR],
            draw.cost_by_year[PRODUCT],
            incremental_qalys=gain,
            paid_per_patient=new.paid,
            price=draw.price[PRODUCT],
            wtp=rule.threshold,
            discount_rate=rule.rate,
        )
        other = -next(r.credited for r in found.rules if r.name == rule.savings)
    product = new.paid * draw.price[PRODUCT]
    return Verdict(
        rule.threshold * gain - other - product,
        (product + other) / gain if gain > 0.0 else float("nan"),
        (rule.threshold * gain - other) / new.paid,
    )


def verdicts(study: StudyPatients, progress: Progress) -> Answer:
    """Return the answer to question 2."""
    all_rules = rules()
    table: list[dict[str, Any]] = []
    figures: list[Figure] = []
    for rule in all_rules:
        base = apply(rule, study.base)
        draws = [apply(rule, draw) for draw in study.draws]
        benefit = np.array([v.net_benefit for v in draws])
        price = [v.price for v in draws]
        low, high = span(price)
        table.append(
            {
                "rule": rule.name,
                "discount rate": rule.rate,
                "threshold": rule.threshold,
                "cost per QALY": base.ratio,
                "net benefit": base.net_benefit,
                "net benefit, low": span(benefit)[0],
                "net benefit, high": span(benefit)[1],
                "P(worth it)": float((benefit > 0).mean()),
                "price worth paying": base.price,
                "price, low": low,
                "price, high": high,
                "worth it at the price": base.net_benefit > 0.0,
            }
        )
        figures.append(Figure(f"price worth paying, {rule.name}", base.price, low, high, "USD"))
    reference = all_rules[0]
    choices = _choices(study, reference)
    progress("verdicts", 1, 1)
    base = apply(reference, study.base)
    by_cure = [value for name, value in choices if name.startswith("cure")]
    cure_range = max(by_cure) - min(by_cure)
    rates = [c for c in choices if c[0].startswith("discounting")]
    discounting = max(rates, key=lambda c: abs(c[1] - base.net_benefit))
    method = max((c for c in choices if not c[0].startswith("cure")), key=lambda c: abs(c[1] - base.net_benefit))
    good = [row["rule"] for row in table if row["worth it at the price"]]
    prices = [float(row["price worth paying"]) for row in table]
    text = (
        f"At its price of {study.base.price[PRODUCT]:,.0f} USD the product costs {base.ratio:,.0f} USD per QALY gained over care without "
        f"cell therapy under the US reference case. {len(good)} of {len(table)} rules call it worth its price"
        + (f" ({'; '.join(good)})" if good else "")
        + f"; the price worth paying runs from {min(prices):,.0f} to {max(prices):,.0f} USD by rule alone. NICE's severity weight is "
        f'{severity_weight(study.base):.1f}. The methodological choice that moves net benefit most is "{method[0]}" '
        f"({method[1] - base.net_benefit:+,.0f} USD per referred patient)"
        + f'; discounting moves it by {discounting[1] - base.net_benefit:+,.0f} USD ("{discounting[0]}"). '
        f"The 95 % interval of the share cured spans {cure_range:,.0f} USD."
    )
    best = max(table, key=lambda row: float(row["price worth paying"]))
    change = (
        f"A net price of {base.price:,.0f} USD ({base.price / study.base.price[PRODUCT]:.0%} of the list price) turns the US reference case.",
        f'At the list price no rule more generous than "{best["rule"]}" ({best["price worth paying"]:,.0f} USD) was tried.',
        *_cure_needed(study, reference),
    )
    return Answer(
        QUESTION,
        text,
        tuple(figures),
        tuple(table),
        _chart(base.net_benefit, choices),
        change,
        (
            "share cured among complete responders (ZUMA-1 plateau, 101 patients) and mortality after it",
            "care without cell therapy: SCHOLAR-1, before bispecific antibodies",
            "value of production and the German stand-in threshold: assumed",
        ),
    )


def _choices(study: StudyPatients, reference: Rule) -> list[tuple[str, float]]:
    """Return net benefit of the reference rule with one choice changed at a time."""
    pounds = float(convert(30_000.0, "gbp_2024", MONEY))

    def of(name: str, **changes: object) -> tuple[str, float]:
        return name, apply(replace(reference, **changes), study.base).net_benefit  # type: ignore[arg-type]

    found = [
        of("threshold 100 000 USD", threshold=100_000.0),
        of("threshold 30 000 GBP", threshold=pounds),
        of("discounting at 3.5 %", rate=0.035),
        of("discounting at 1.5 %", rate=0.015),
        of("severity weight of NICE", severity=True),
        of("production counted", societal=True),
        of("half of the savings credited", savings="shared savings"),
        of("savings capped", savings="capped offsets"),
    ]
    quantity = study.scenario.numbers()[CURE].quantity
    for name, u in (("cure at its 2.5th percentile", 0.025), ("cure at its 97.5th percentile", 0.975)):
        value = float(np.asarray(quantity.draw(np.array([u])))[0])
        moved = study_draw(study.scenario.with_values({CURE: value}), study.seed)
        found.append((f"{name} ({value:.2f})", apply(reference, moved).net_benefit))
    return found


def _cure_needed(study: StudyPatients, rule: Rule) -> tuple[str, ...]:
    """Return, in words, the cure fraction at which the reference rule turns, if there is one."""

    def benefit(share: float) -> float:
        return apply(rule, study_draw(study.scenario.with_values({CURE: share}), study.seed)).net_benefit

    low, high = 0.02, 0.98
    at = _root(benefit, low, high)
    if at is None:
        sign = "negative" if benefit(high) < 0 else "positive"
        return (
            f"No share of cured complete responders from {low:.0%} to {high:.0%} turns it: net benefit stays {sign}.",
        )
    return (f"It turns when {at:.0%} of complete responders are cured (at the list price).",)


def _root(function: Callable[[float], float], low: float, high: float) -> float | None:
    first, last = function(low), function(high)
    if first * last > 0.0:
        return None
    for _ in range(12):
        middle = 0.5 * (low + high)
        value = function(middle)
        if value * first > 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _chart(base: float, choices: list[tuple[str, float]]) -> str:
    rows: list[dict[str, Any]] = [
        {"choice": name, "from": base, "to": value, "up": value > base} for name, value in choices
    ]
    rows.sort(key=lambda row: -abs(row["to"] - base))
    y = alt.Y(
        "choice:N",
        sort=[r["choice"] for r in rows],
        title=None,
        axis=alt.Axis(domain=False, ticks=False, labelColor=INK),
    )
    bars = (
        alt.Chart(points(rows))
        .mark_bar(height=16)
        .encode(
            y=y,
            x=alt.X("from:Q", title="Net benefit per referred patient with one choice changed", axis=money_axis(MONEY)),
            x2="to:Q",
            color=alt.Color("up:N", scale=alt.Scale(domain=[True, False], range=[GOOD, BAD]), legend=None),
        )
    )
    line = alt.Chart(points([{"at": base}])).mark_rule(color=INK).encode(x="at:Q")
    zero = alt.Chart(points([{"at": 0}])).mark_rule(color=MUTED, strokeDash=[4, 3]).encode(x="at:Q")
    chart = (bars + line + zero).properties(width=460, height=alt.Step(24))
    return svg(chart, "choices", "Net benefit of the reference case with one methodological choice changed at a time")
