"""Question 1: where evidence is strong enough for outcome agreements, and what blocks them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from cartsight.economics.contracts import (
    Administration,
    Contract,
    FollowUp,
    OutOfSpecification,
    SimulatedPatients,
    Turnover,
    certainty_equivalent_cost,
    load_contract,
    registry_information,
    run_cohort_size,
    run_contract,
)
from cartsight.reporting.charts.style import points, svg
from cartsight.reporting.palette import CATEGORIES, INK
from cartsight.studies.answers import Answer, Figure, Progress
from cartsight.studies.commercial_models.patients import (
    PRODUCT,
    PRODUCTS,
    SUCCESS_MONTH,
    StudyPatients,
)
from cartsight.studies.intervals import span

CONTRACTS = Path(__file__).parent / "contracts"
SMALL, LARGE = 15, 1000
REGISTRY_PATIENTS, FUTURE_PATIENTS = 300, 3000.0
RISK_AVERSION = 1.0
LOST_PER_YEAR = 0.10
LEAVES_PER_YEAR = {"small": 0.15, "large": 0.03}
SET_UP_COST, TRACKING_PER_YEAR = 150_000.0, 2_000.0

QUESTION = (
    "Where is evidence strong enough for outcomes-based, annuity and value-based agreements, and what blocks them?"
)

ASSUMPTIONS = (
    f"A small payer treats {SMALL} patients a year, a large one {LARGE}: sizes of the rebate simulations, not of any payer.",
    f"Patients lost to follow-up: {LOST_PER_YEAR:.0%} a year; no rate was read.",
    f"Members who change payer: {LEAVES_PER_YEAR['small']:.0%} a year of a small, {LEAVES_PER_YEAR['large']:.0%} of a large "
    "payer; no rate was read. Instalments and refunds lapse when they leave.",
    f"An agreement costs {SET_UP_COST:,.0f} to set up and {TRACKING_PER_YEAR:,.0f} per patient and year to track; no "
    "figure was read.",
    "Risk aversion of 1 (absolute aversion times the price) for payers; firm discounts at 8 %, payers at 3 %.",
    "What is known of success at 18 months is what a trial would leave unknown whose size gives the spread over the "
    "scenario's parameter draws.",
)


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    title: str
    payer: str
    world: str
    net: float
    sd: float
    low: float
    high: float
    premium: float
    administration: float
    firm: float


def contracts_at(price: float) -> list[tuple[str, Contract]]:
    """Return the eight contracts at a price; products out of specification are not paid, as in the scenario."""
    found = []
    for path in sorted(CONTRACTS.glob("*.toml")):
        read = load_contract(path)
        clauses = (*read.contract.clauses, OutOfSpecification("out of specification", 0.0))
        found.append((read.title, replace(read.contract, price=price, clauses=clauses)))
    return found


def _worlds(contract: Contract, payer: str) -> dict[str, Contract]:
    depends = bool(contract.endpoints)
    costs = Administration(SET_UP_COST, TRACKING_PER_YEAR) if depends else Administration()
    real = contract.with_terms(
        follow_up=FollowUp(LOST_PER_YEAR),
        turnover=Turnover(LEAVES_PER_YEAR[payer], "stop"),
        administration=costs,
    )
    return {"ideal": contract, "turnover, data loss, tracking": real}


def _net_by_draw(study: StudyPatients) -> dict[str, list[float]]:
    """Return the expected net price as a share of the list price for each draw."""
    shares: dict[str, list[float]] = {}
    for draw in study.draws:
        for title, contract in contracts_at(draw.price[PRODUCT]):
            ledger = run_contract(contract, draw.infused[PRODUCT].all(study.seed))
            shares.setdefault(title, []).append(float(ledger.present_value().mean()) / contract.price)
    return shares


def agreements(study: StudyPatients, progress: Progress) -> Answer:
    """Return the answer to question 1."""
    price = study.base.price[PRODUCT]
    source = study.base.infused[PRODUCT]
    shares = _net_by_draw(study)
    items = contracts_at(price)
    trial = effective_trial(study, PRODUCT)
    rows: list[_Row] = []
    for place, (title, contract) in enumerate(items):
        for payer, size in (("small", SMALL), ("large", LARGE)):
            for world, changed in _worlds(contract, payer).items():
                found = run_cohort_size(
                    changed,
                    source,
                    size,
                    study.seed,
                    trial_patients=trial,
                    pools=2000 if size == SMALL else 400,
                )
                mean = float(found.payer_cost.mean())
                premium = certainty_equivalent_cost(found.payer_cost, RISK_AVERSION / price) - mean
                rows.append(
                    _Row(
                        contract.name,
                        title,
                        payer,
                        world,
                        found.present_value.mean,
                        found.present_value.sd,
                        found.present_value.low_95,
                        found.present_value.high_95,
                        premium,
                        mean - found.present_value.mean,
                        float(found.revenue.mean()),
                    )
                )
        progress("contracts", place + 1, len(items))
    evidence = [_evidence(study, arm) for arm in PRODUCTS]
    return _answer(study, price, shares, rows, evidence)


def effective_trial(study: StudyPatients, arm: str) -> int:
    """Return the size of a trial that would leave success at 18 months as uncertain as the parameter draws do."""
    success = np.array([_success(draw.infused[arm]) for draw in study.draws])
    mean, variance = float(success.mean()), float(success.var(ddof=1))
    return int(np.clip(mean * (1.0 - mean) / max(variance, 1e-9), 1, 100_000))


def _success(patients: SimulatedPatients) -> float:
    return float((patients.remission_end_years > SUCCESS_MONTH / 12.0).mean())


def _evidence(study: StudyPatients, arm: str) -> dict[str, Any]:
    """Return how well success is known in an arm, and what a registry would be worth."""
    success = [_success(draw.infused[arm]) for draw in study.draws]
    base = _success(study.base.infused[arm])
    trial = effective_trial(study, arm)
    good, bad = study.base.net_benefit[arm]
    against = study.base.comparator_net_benefit
    # At the price at which success as it is known is just enough, since far from it no registry changes the decision.
    indifferent = (good - bad) * base
    found = registry_information(
        success=base,
        trial_patients=trial,
        registry_patients=REGISTRY_PATIENTS,
        future_patients=FUTURE_PATIENTS,
        value_of_success=good - bad,
        cost_of_success=indifferent,
        cost_of_failure=indifferent,
    )
    low, high = span(success)
    return {
        "arm": arm,
        "trial": trial,
        "success at 18 months": base,
        "low": low,
        "high": high,
        "needed": (against - bad) / (good - bad),
        "value of registry per future patient": found.per_patient,
    }


def _answer(
    study: StudyPatients,
    price: float,
    shares: dict[str, list[float]],
    rows: list[_Row],
    evidence: list[dict[str, Any]],
) -> Answer:
    def cell(title: str, payer: str, ideal: bool) -> _Row:
        return next(r for r in rows if r.title == title and r.payer == payer and (r.world == "ideal") == ideal)

    two = next(r.title for r in rows if r.name == "4-two-instalments")
    annuity = next(r.title for r in rows if r.name == "6-annuity")
    small, large = cell(two, "small", True), cell(two, "large", True)
    hard, easy = cell(annuity, "small", False), cell(annuity, "small", True)
    real_small, real_large = cell(two, "small", False), cell(two, "large", False)
    figures = [Figure(f"net price, {title}", float(np.mean(v)), *span(v), unit="share") for title, v in shares.items()]
    figures += [
        Figure(f"in remission at 18 months, {e['arm']}", e["success at 18 months"], e["low"], e["high"], "share")
        for e in evidence
    ]
    figures += [
        Figure(
            f"value of a registry of 300 per future patient at the break-even price, {e['arm']}",
            e["value of registry per future patient"],
            unit="USD",
        )
        for e in evidence
    ]
    figures += [
        Figure(f"share in remission the list price needs, {e['arm']}", e["needed"], unit="share") for e in evidence
    ]
    best = evidence[0]
    strong = [e for e in evidence if not e["low"] <= e["needed"] <= e["high"]]
    weak = [e for e in evidence if e not in strong]
    found = "; ".join(
        f"{e['success at 18 months']:.0%} ({e['low']:.0%} to {e['high']:.0%}) under {e['arm']}, where the list price needs "
        f"{e['needed']:.0%} for a positive net benefit"
        for e in evidence
    )
    text = (
        f"The same product costs a payer between {min(np.mean(v) for v in shares.values()):.0%} and "
        f"{max(np.mean(v) for v in shares.values()):.0%} of its list price under the eight contracts, but beside the flat "
        f"rebate of equal expected value none of them saves anything: what differs is who bears what. In remission at 18 months "
        f"are, of the infused, {found}. Evidence settles the question where the interval excludes the share needed: for "
        f"{' and '.join(e['arm'] for e in strong) or 'none of the products'}"
        + (f", not for {' and '.join(e['arm'] for e in weak)}. " if weak else ". ")
        + "At the price at which each would just be worth it, a registry of "
        + f"{REGISTRY_PATIENTS} patients is worth "
        + ", ".join(f"{e['value of registry per future patient']:,.0f} USD ({e['arm']})" for e in evidence)
        + " per future patient: there an agreement buys information. "
        + f"For two instalments the net price has a standard deviation of {small.sd:,.0f} USD a patient for a payer with {SMALL} "
        f"patients and {large.sd:,.0f} with {LARGE:,}: the first is mostly chance, the second mostly what evidence worth a "
        f"trial of {best['trial']:,} patients leaves unknown. What blocks the agreements is not that risk, for which a small payer "
        f"of risk aversion 1 would give {small.premium:,.0f} USD a patient, but administration "
        f"({real_small.administration:,.0f} USD a patient for the small payer, {real_large.administration:,.0f} for the large "
        f"one) and members who leave: under the annuity the small payer's expected payment falls from {easy.net:,.0f} to "
        f"{hard.net:,.0f} USD, which the firm loses."
    )
    table = tuple(
        {
            "contract": r.title,
            "payer": r.payer,
            "world": r.world,
            "net price (PV)": r.net,
            "SD over pools": r.sd,
            "payer's risk premium": r.premium,
            "administration": r.administration,
            "firm's revenue (PV, 8 %)": r.firm,
        }
        for r in rows
    )
    break_even = real_small.administration / max(small.premium, 1e-9)
    patients_needed = SET_UP_COST / max(price * 0.01, 1.0)
    change = (
        f"A payer who treats at least {patients_needed:,.0f} patients under one agreement spends 1 % of the price or less on setting it up: "
        "pooling small payers, or one registry for several agreements, removes the first obstacle.",
        "If obligations moved with the member (transfer in place of stop) the firm would lose nothing to turnover and the "
        "annuity would keep its ideal value.",
        f"A small payer would have to be {break_even:,.0f} times as averse to risk before the spread of the net price mattered as "
        "much as administration.",
        "A firm that discounts as its payers do would lose nothing by waiting: at 8 % against 3 % every deferred dollar shrinks.",
    )
    return Answer(
        QUESTION,
        text,
        tuple(figures),
        table,
        _chart(price, rows),
        change,
        (
            "rates of turnover, loss to follow-up and tracking cost: assumed, no row was read",
            "success of the allogeneic and in vivo products (trials of 33 and 5 patients; the scenario states wide priors)",
            "payers' risk aversion",
        ),
    )


def _chart(price: float, rows: list[_Row]) -> str:
    records = [
        {
            "contract": r.title,
            "panel": f"{r.payer} payer, {SMALL if r.payer == 'small' else LARGE:,} patients",
            "world": r.world,
            "mean": r.net / price,
            "low": r.low / price,
            "high": r.high / price,
        }
        for r in rows
    ]
    order = list(dict.fromkeys(r.title for r in rows))
    worlds = list(dict.fromkeys(r.world for r in rows))
    base = alt.Chart(points(records)).encode(
        y=alt.Y(
            "contract:N",
            sort=order,
            title=None,
            axis=alt.Axis(domain=False, ticks=False, labelColor=INK, labelLimit=330),
        ),
        yOffset=alt.YOffset("world:N", sort=worlds),
        color=alt.Color(
            "world:N",
            sort=worlds,
            scale=alt.Scale(range=list(CATEGORIES[:2])),
            legend=alt.Legend(title=None, orient="top"),
        ),
    )
    rule = base.mark_rule(strokeWidth=3, opacity=0.45).encode(
        x=alt.X("low:Q", title="Net price / list price, 95 % of pools", axis=alt.Axis(format=".0%", tickCount=5)),
        x2="high:Q",
    )
    dot = base.mark_circle(size=60, opacity=1).encode(x="mean:Q")
    chart = (rule + dot).properties(width=230, height=alt.Step(13))
    faceted = chart.facet(column=alt.Column("panel:N", title=None, sort="descending"))
    return svg(
        faceted,
        "agreements",
        "Net price of eight contracts for a small and a large payer, ideal and with turnover and data loss",
    )
