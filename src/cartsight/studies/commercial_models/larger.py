"""Question 3: earlier lines and larger populations: budget, price-volume paths, prices at which payers break even."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np

from cartsight.economics.budget_impact import ArmBudget, arm_budget, budget_years, launch_population
from cartsight.economics.contracts import PriceVolume
from cartsight.economics.contracts.cohort import ContractCohort
from cartsight.evidence.literature import load_evidence
from cartsight.reporting.charts.style import money_axis, points, svg
from cartsight.reporting.palette import CATEGORIES
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AutologousArm
from cartsight.studies.answers import Answer, Figure, Progress
from cartsight.studies.commercial_models.patients import COMPARATOR, PRODUCT, StudyPatients
from cartsight.studies.commercial_models.verdict import apply, rules
from cartsight.studies.intervals import span

QUESTION = (
    "Earlier lines and larger populations: what does it do to budgets, and at which price does each payer break even?"
)
MULTIPLES = (1.0, 2.0, 4.0)
YEARS = 5
MOST_DRAWS = 12
TIERS = ((500.0, 0.15), (1000.0, 0.30), (2000.0, 0.45))
PRECEDENTS = ("EC068", "EC069", "EC072", "EC263", "EC264", "EC283")

ASSUMPTIONS = (
    "A larger population has the efficacy, the costs and the care without cell therapy of the third line: what an earlier line "
    "changes in outcomes is not modelled, so these figures isolate volume and capacity.",
    "Capacity that grows with demand multiplies lines, testing lanes, and places for leukapheresis and infusion.",
    "Rebates of "
    + ", ".join(f"{r:.0%} above {a:,.0f}" for a, r in TIERS)
    + " patients a year are an example of a price-volume path, not an agreement.",
)


def larger_population(scenario: Scenario, multiple: float, *, capacity: bool) -> Scenario:
    """Return the scenario with `multiple` times the referrals, and, where asked, as much more capacity."""
    values = {
        f"population.regions.{name}.referrals_per_year": region.referrals_per_year.quantity.value * multiple
        for name, region in scenario.population.regions.items()
    }
    changed = scenario.with_values(values).with_analysis(allow_overload=True)
    arm = changed.arms[PRODUCT]
    if not capacity or multiple == 1.0 or not isinstance(arm, AutologousArm) or arm.sites is None:
        return changed
    sites = {
        name: site.model_copy(
            update={
                "lines": round(site.lines * multiple),
                "quality_control_lanes": round(site.quality_control_lanes * multiple),
            }
        )
        for name, site in arm.sites.items()
    }
    beds = arm.collection.model_copy(update={"beds_per_hospital": round(arm.collection.beds_per_hospital * multiple)})
    arms = {**changed.arms, PRODUCT: arm.model_copy(update={"sites": sites, "collection": beds})}
    pathway = changed.care_pathway
    if pathway.infusion_bed is not None:
        places = round(pathway.infusion_bed.beds_per_hospital * multiple)
        bed = pathway.infusion_bed.model_copy(update={"beds_per_hospital": places})
        pathway = pathway.model_copy(update={"infusion_bed": bed})
    return changed.model_copy(update={"arms": arms, "care_pathway": pathway})


def _worlds(scenario: Scenario, seed: int) -> tuple[ArmBudget, ArmBudget]:
    population = launch_population(scenario, seed, YEARS)
    return arm_budget(population, PRODUCT, seed), arm_budget(population, COMPARATOR, seed)


def _figures(scenario: Scenario, seed: int, price: float) -> dict[str, float]:
    new, old = _worlds(scenario, seed)
    rows = budget_years(new, old)
    paid = float(new.product_gross.sum()) / price
    net = sum(row.net for row in rows)
    return {
        "treated": float(new.treated.sum()),
        "product": float(new.product_gross.sum()),
        "net": net,
        "neutral price": price - net / paid if paid > 0.0 else float("nan"),
        "waiting": float(new.waiting[-1]),
        "referred": float(new.referred.sum()),
    }


def _mean_price(treated_per_year: float, price: float) -> float:
    """Return the mean price per patient under the tiers at a yearly volume."""
    size = max(round(treated_per_year), 1)
    start = (np.arange(size)[None, :] + 0.5) / size
    factor = PriceVolume("tiers", TIERS).price_factor(ContractCohort(np.full(start.shape, np.inf), start))
    return price * float(np.mean(factor))


def larger_populations(study: StudyPatients, progress: Progress) -> Answer:
    """Return the answer to question 3."""
    price = study.base.price[PRODUCT]
    settings = [(1.0, False)] + [(m, c) for m in MULTIPLES[1:] for c in (False, True)]
    used = min(len(study.samples), MOST_DRAWS)
    results: list[dict[str, Any]] = []
    for place, (multiple, capacity) in enumerate(settings):
        base = _figures(larger_population(study.scenario, multiple, capacity=capacity), study.seed, price)
        draws = []
        for k in range(used):
            moved = larger_population(
                study.scenario.with_values(study.samples[k], known=True), multiple, capacity=capacity
            )
            draws.append(_figures(moved, study.seed, study.draws[k].price[PRODUCT]))
        spread = {key: span([d[key] for d in draws]) for key in base}
        results.append({"multiple": multiple, "capacity": capacity, "base": base, "spread": spread})
        progress("populations", place + 1, len(settings))
    table = []
    for item in results:
        base, spread = item["base"], item["spread"]
        per_year = base["treated"] / YEARS
        table.append(
            {
                "population": f"{item['multiple']:.0f} x",
                "capacity": "grows" if item["capacity"] else "as it is",
                "treated in 5 years": base["treated"],
                "waiting at the end": base["waiting"],
                "product, million": base["product"] / 1e6,
                "net, million": base["net"] / 1e6,
                "net, low": spread["net"][0] / 1e6,
                "net, high": spread["net"][1] / 1e6,
                "budget-neutral price": base["neutral price"],
                "price in the tiers": _mean_price(per_year, price),
                "price that keeps the product's budget": price * results[0]["base"]["treated"] / base["treated"],
            }
        )
    return _answer(study, price, results, table, used)


def _answer(
    study: StudyPatients, price: float, results: list[dict[str, Any]], table: list[dict[str, Any]], used: int
) -> Answer:
    first = results[0]
    stuck = next(r for r in results if r["multiple"] == MULTIPLES[-1] and not r["capacity"])
    grown = next(r for r in results if r["multiple"] == MULTIPLES[-1] and r["capacity"])
    spread_text = f"95 % over {used} parameter draws"
    figures = [
        Figure(
            f"net budget of 5 years, {r['multiple']:.0f} x population, capacity {'grown' if r['capacity'] else 'as it is'}",
            r["base"]["net"] / 1e6,
            r["spread"]["net"][0] / 1e6,
            r["spread"]["net"][1] / 1e6,
            "million USD",
            spread_text,
        )
        for r in results
    ]
    low, high = first["spread"]["neutral price"]
    figures.append(
        Figure("budget-neutral price, third line", first["base"]["neutral price"], low, high, "USD", spread_text)
    )
    prices = {rule.name: apply(rule, study.base).price for rule in rules()[:2]}
    for rule in rules()[:2]:
        spread = span([apply(rule, d).price for d in study.draws])
        figures.append(Figure(f"break-even price, {rule.name}", prices[rule.name], *spread, unit="USD"))
    tier = _mean_price(grown["base"]["treated"] / YEARS, price)
    keep = price * first["base"]["treated"] / grown["base"]["treated"]
    text = (
        f"With {MULTIPLES[-1]:.0f} times the referrals and today's plants {stuck['base']['treated']:,.0f} patients are treated in five years against "
        f"{first['base']['treated']:,.0f} now: {stuck['base']['treated'] / first['base']['treated']:.1f} times as many, "
        f"because capacity binds before the budget does ({stuck['base']['waiting']:,.0f} are waiting at the end). If capacity "
        f"grows with demand, {grown['base']['treated']:,.0f} are treated and the net budget of five years goes from {first['base']['net'] / 1e6:,.0f} to "
        f"{grown['base']['net'] / 1e6:,.0f} million USD ({grown['spread']['net'][0] / 1e6:,.0f} to "
        f"{grown['spread']['net'][1] / 1e6:,.0f}). To keep the product's budget where it is the price would have to fall to "
        f"{keep:,.0f} USD; the example tiers bring it to {tier:,.0f} for one payer who buys it all; a payer of 15 patients "
        f"never reaches a tier and pays the list price. A payer who looks at five years of budget breaks even at "
        f"{first['base']['neutral price']:,.0f} USD a patient; one who values a QALY at 150 000 USD at "
        f"{prices[rules()[0].name]:,.0f}."
    )
    change = (
        "An earlier line with better outcomes than the third raises every break-even price; the share cured is what to measure.",
        f"Tiers counted over a group of payers in place of each alone: {TIERS[0][0]:,.0f} patients a year reach the first.",
        "Plants that do not grow make the budget question moot: the waiting list rations in place of the price, and what "
        "it saves is the care of patients who die or lose eligibility while they wait.",
    )
    return Answer(
        QUESTION,
        text,
        tuple(figures),
        tuple(table),
        _chart(results),
        change,
        (
            "outcomes in earlier lines: those of the third line are used",
            "price of care without cell therapy in the years of bispecific antibodies",
            f"intervals of this question rest on {used} draws",
        ),
    )


def precedents() -> tuple[str, ...]:
    """Return price precedents as the literature tables have them."""
    table = load_evidence()
    found = []
    for key in PRECEDENTS:
        row = table.row(key)
        flag = "" if row.verified else ", not verified"
        value = f"{row.value:,.2f}" if isinstance(row.value, float) and row.value < 10 else f"{row.value:,.0f}"
        found.append(f"Precedent: {row.quantity}, {row.applies_to}: {value} {row.unit} [{key}{flag}].")
    return tuple(found)


def _chart(results: list[dict[str, Any]]) -> str:
    rows = []
    for r in results:
        for growth in ("as it is", "grows with demand"):
            if (growth == "grows with demand") == r["capacity"] or r["multiple"] == 1.0:
                rows.append(
                    {
                        "population": r["multiple"],
                        "capacity": growth,
                        "net": r["base"]["net"],
                        "low": r["spread"]["net"][0],
                        "high": r["spread"]["net"][1],
                    }
                )
    base = alt.Chart(points(rows)).encode(
        x=alt.X(
            "population:Q",
            title="Referrals over those of the third line",
            axis=alt.Axis(values=list(MULTIPLES), grid=False),
        ),
        color=alt.Color(
            "capacity:N",
            title="Capacity",
            scale=alt.Scale(range=list(CATEGORIES[:2])),
            legend=alt.Legend(orient="top"),
        ),
    )
    band = base.mark_area(opacity=0.15).encode(
        y=alt.Y("low:Q", title="Net budget of five years", axis=money_axis("usd_2024", tickCount=5)), y2="high:Q"
    )
    line = base.mark_line(strokeWidth=2.4, point=True).encode(y="net:Q")
    chart = (band + line).properties(width=460, height=280)
    return svg(chart, "larger", "Net budget of five years by population, with and without capacity that grows")
