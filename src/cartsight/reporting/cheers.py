"""The CHEERS 2022 checklist, filled in as far as a scenario or a run folder answers it.

Husereau D, Drummond M, Augustovski F et al. Consolidated Health Economic Evaluation Reporting Standards 2022
(CHEERS 2022) statement. Value Health 2022;25:3, doi:10.1016/j.jval.2021.11.1351. The 28 items are paraphrased; the
wording of record is the published one. The checklist guides reporting, it does not score quality: an item that a file
cannot answer says what the author has to write, and is never called answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cartsight.comparison.citing import citations, input_table
from cartsight.reporting.limits import not_modelled
from cartsight.scenario import Scenario

CITATION = "Husereau D et al. CHEERS 2022. Value Health 2022;25:3. doi:10.1016/j.jval.2021.11.1351"

Status = Literal["answered", "partly", "open"]


@dataclass(frozen=True, slots=True)
class CheersItem:
    """One item of the checklist.

    Attributes
    ----------
    number : int
        1 to 28.
    section, topic : str
    asks : str
        The item in other words.
    status : {"answered", "partly", "open"}
        ``open``: nothing in the file answers it.
    answer : str
        What the scenario or the results say; empty when open.
    to_write : str
        What the author still has to write; empty when answered.
    """

    number: int
    section: str
    topic: str
    asks: str
    status: Status
    answer: str
    to_write: str


def cheers_checklist(source: Scenario | Mapping[str, Any]) -> tuple[CheersItem, ...]:
    """Return the 28 items, filled from a scenario, or from the results document of a run.

    Parameters
    ----------
    source : Scenario or mapping
        A scenario, or the document that `summarise` and `read_results` give.

    Returns
    -------
    tuple of CheersItem
        In the order of the statement.
    """
    study = _scenario_document(source) if isinstance(source, Scenario) else source
    items = []
    for number, (section, topic, asks, fill) in enumerate(_ITEMS, start=1):
        answer, to_write = fill(study)
        status: Status = "open" if not answer else ("partly" if to_write else "answered")
        items.append(CheersItem(number, section, topic, asks, status, answer, to_write))
    return tuple(items)


def cheers_counts(items: tuple[CheersItem, ...]) -> dict[str, int]:
    """Return how many items are answered, partly answered and open."""
    counts = Counter(item.status for item in items)
    return {"answered": counts["answered"], "partly": counts["partly"], "open": counts["open"]}


Study = Mapping[str, Any]


def _scenario_document(scenario: Scenario) -> dict[str, Any]:
    """Return the keys of a results document that a scenario alone can fill."""
    analysis = scenario.analysis
    return {
        "kind": "scenario",
        "scenario": {
            "name": scenario.name,
            "title": scenario.title,
            "description": " ".join(scenario.description.split()),
            "indication": scenario.population.indication,
            "population": " ".join(scenario.population.description.split()),
            "hash": scenario.content_hash(),
        },
        "analysis": {
            **analysis.model_dump(mode="json"),
            "referrals_per_year": scenario.referrals_per_day * 365.25,
            "reference_arm": scenario.reference_arm,
        },
        "seed": analysis.seed,
        "arms": [
            {"name": name, "label": arm.label, "modality": arm.modality, "evidence_note": arm.evidence_note.strip()}
            for name, arm in scenario.arms.items()
        ],
        "numbers": input_table(scenario),
        "sources": citations(scenario)["sources"],
        "not_modelled": not_modelled(scenario),
        "decision": None,
        "validation": [{"label": target.label, "passes": None} for target in scenario.validation.values()],
    }


Filled = tuple[str, str]


def _money(study: Study, value: float) -> str:
    return f"{value:,.0f} {study['analysis']['money']}"


def _number(study: Study, path: str) -> float | None:
    return next((float(row["value"]) for row in study["numbers"] if row["path"] == path), None)


def _labels(study: Study) -> list[str]:
    return [str(arm["label"]) for arm in study["arms"]]


def _title(study: Study) -> Filled:
    arms = "; ".join(_labels(study))
    return f"Economic evaluation comparing: {arms}. Working title: {study['scenario']['title']}.", ""


def _abstract(study: Study) -> Filled:
    answer = study.get("answer")
    sentences = answer.get("sentences") if isinstance(answer, Mapping) else None
    if sentences:
        text = " ".join(str(sentence["text"] if isinstance(sentence, Mapping) else sentence) for sentence in sentences)
        return text, "Add context and conclusion, and set it as a structured abstract."
    return "", "A structured summary: context, methods, base case and alternative analyses. A run gives the results."


def _objectives(study: Study) -> Filled:
    return study["scenario"][
        "description"
    ], "State the decision, who takes it, and why it matters for policy or practice."


def _plan(study: Study) -> Filled:
    return (
        "",
        "Say whether an analysis plan was written before the analysis and where it can be found. The scenario file "
        f"(hash {study['scenario']['hash']}) can be deposited as one.",
    )


def _population(study: Study) -> Filled:
    parts = [f"{study['scenario']['indication']}: {study['scenario']['population']}"]
    age, female = _number(study, "population.age"), _number(study, "population.female")
    if age is not None:
        parts.append(f"Mean age {age:g} years.")
    if female is not None:
        parts.append(f"{100 * female:.0f} % women.")
    return " ".join(
        parts
    ), "Socioeconomic and ethnic characteristics are not in the scenario: report them or say why not."


def _setting(study: Study) -> Filled:
    regions = sorted(
        {row["path"].split(".")[2] for row in study["numbers"] if row["path"].startswith("population.regions.")}
    )
    text = f"{study['analysis']['referrals_per_year']:,.0f} referrals a year from {len(regions)} region(s): {', '.join(regions)}."
    return (
        text,
        "Name the health system and what in it may influence the findings (coverage, referral, treatment centres).",
    )


def _comparators(study: Study) -> Filled:
    text = " ".join(
        f"{arm['label']} ({arm['modality'].replace('_', ' ')}): {arm['evidence_note']}" for arm in study["arms"]
    )
    return text, "Say why these strategies and not others."


_PERSPECTIVES = {
    "payer": "Payer: products at their price, care at its cost to the payer.",
    "health_system_at_cost": "Health system, with products at their cost of goods instead of their price.",
}


def _perspective(study: Study) -> Filled:
    text = _PERSPECTIVES.get(study["analysis"]["perspective"], study["analysis"]["perspective"])
    return text, "Say why; costs outside this perspective (caregivers, lost work, travel) are not counted."


def _horizon(study: Study) -> Filled:
    return f"{study['analysis']['horizon_years']:g} years from referral.", "Say why it is long enough."


def _discounting(study: Study) -> Filled:
    costs, effects = study["analysis"]["discount_rate_costs"], study["analysis"]["discount_rate_effects"]
    text = f"{100 * costs:g} % a year for costs and {100 * effects:g} % for effects, annual compounding, at the date of each event."
    return text, "Give the guideline that sets the rates; `cartsight hta scenarios` shows 0, 1.5, 3 and 3.5 %."


def _outcomes(study: Study) -> Filled:
    return (
        "Quality-adjusted life-years (main), life-years, share infused and time to infusion from referral with death as a "
        "competing event, response, survival from referral and from infusion, adverse events as losses of utility.",
        "",
    )


def _measurement(study: Study) -> Filled:
    parts = (".efficacy.", ".toxicity.", "health_states", ".survival.")
    rows = [row for row in study["numbers"] if any(part in row["path"] for part in parts)]
    counts = Counter(row["origin"] for row in rows)
    text = (
        f"{len(rows)} numbers on efficacy, toxicity and survival: "
        + _counts(counts)
        + ". Each is listed with its source."
    )
    return text, "Describe how the studies were found and chosen, and how indirect comparisons were made."


def _valuation(study: Study) -> Filled:
    rows = [row for row in study["numbers"] if row["unit"] == "utility"]
    sources = sorted({row["source"] for row in rows if row["source"]})
    text = f"{len(rows)} utilities ({_counts(Counter(row['origin'] for row in rows))}), lowered with age as in the general population."
    if sources:
        text += f" Sources: {', '.join(sources)}."
    return text, "Name instrument, value set and the people asked, from the sources of the utilities."


def _costs(study: Study) -> Filled:
    rows = [row for row in study["numbers"] if _is_money(row["unit"])]
    text = (
        f"{len(rows)} unit costs and prices ({_counts(Counter(row['origin'] for row in rows))}); each is posted at the date of "
        "its event for every patient. Price and cost of goods are kept apart."
    )
    return text, "Describe how resource use was measured where it was not taken from a cited study."


def _is_money(unit: Any) -> bool:
    return isinstance(unit, str) and len(unit) > 7 and unit[3] == "_" and unit[4:8].isdigit()


def _currency(study: Study) -> Filled:
    currency, _, year = str(study["analysis"]["money"]).partition("_")
    text = (
        f"{currency.upper()} of {year}. Amounts of other years and currencies are converted through cited index tables; the "
        "year of each source is in its row."
    )
    return text, ""


def _model(study: Study) -> Filled:
    text = (
        "Patient-level discrete-event simulation from referral to infusion with limited capacity, then response, relapse and "
        "death of each patient on background mortality; other care for those never infused. Open source (Apache-2.0): "
        "cartsight. The scenario file holds every number."
    )
    return text, "Say why a model was needed and where the scenario file can be had."


def _analytics(study: Study) -> Filled:
    origins = Counter(row["origin"] for row in study["numbers"])
    unverified = sum(not row["verified"] for row in study["numbers"])
    text = (
        "Events are drawn with common random numbers for all arms; outcomes and costs are integrated without cycles; survival "
        f"beyond follow-up comes from the laws stated for each arm. {_validation_text(study)}{origins['assumed']} of "
        f"{len(study['numbers'])} numbers are assumed and {unverified} are cited from rows nobody has read; `cartsight cite` "
        "lists them first."
    )
    return text, ""


def _validation_text(study: Study) -> str:
    rows = study["validation"]
    if not rows:
        return ""
    known = [row for row in rows if row["passes"] is not None]
    if not known:
        return f"{len(rows)} published figures that were not used to set the model are compared with it. "
    passed = sum(bool(row["passes"]) for row in known)
    return f"{passed} of {len(known)} published figures that were not used to set the model are met. "


def _heterogeneity(study: Study) -> Filled:
    text = "Patients differ by region, hospital, age, sex, frailty and worsening while waiting; results are means over them."
    return (
        text,
        "Report subgroups if the decision may differ between them (`cartsight hta equity` shows gains by group).",
    )


def _distribution(study: Study) -> Filled:
    return (
        "",
        "Report how effects fall on different people, or that this was not characterised. `cartsight hta equity` gives gains "
        "by region, age and sex with the equally distributed equivalent; social groups are not in the scenario.",
    )


def _uncertainty(study: Study) -> Filled:
    analysis = study["analysis"]
    uncertain = sum(row["uncertainty"] is not None for row in study["numbers"])
    pairs = len(analysis.get("correlations", ()))
    text = (
        f"{uncertain} of {len(study['numbers'])} numbers carry an uncertainty, drawn {analysis['draws']} times "
        f"({str(analysis['sampling']).replace('_', ' ')}, {pairs} stated correlations); variability between patients, parameter "
        "uncertainty and Monte Carlo error are reported apart. One-way and scenario analyses and value of information beside it."
    )
    return text, "Say how structural uncertainty was treated (`cartsight hta scenarios`, `cartsight hta partitioned`)."


def _engagement(study: Study) -> Filled:
    return (
        "",
        "Describe how patients, the public, clinicians or payers took part in the design, or say that nobody did.",
    )


def _parameters(study: Study) -> Filled:
    text = (
        f"All {len(study['numbers'])} numbers with value, unit, distribution, origin and source are in the input table of the "
        f"report and of the workbook (`cartsight hta export`); {len(study['sources'])} sources."
    )
    return text, ""


def _main_results(study: Study) -> Filled:
    rows = (study["decision"] or {}).get("frontier")
    if not rows:
        return (
            "",
            "Report mean costs and outcomes of every strategy, disaggregated, and the most fitting overall measure.",
        )
    labels = {arm["name"]: arm["label"] for arm in study["arms"]}
    parts = []
    for row in rows:
        text = (
            f"{labels.get(row['strategy'], row['strategy'])}: {_money(study, row['cost'])}, {row['effect']:.2f} QALYs"
        )
        status = str(row["status"]).replace("_", " ")
        parts.append(
            text + (f", {_money(study, row['icer'])} per QALY" if row.get("icer") is not None else f" ({status})")
        )
    return "; ".join(parts) + ".", ""


def _effect_of_uncertainty(study: Study) -> Filled:
    decision = study["decision"] or {}
    best = decision.get("probability_best")
    if not best:
        return "", "Report the effect of uncertainty in inputs, of discounting and of the horizon on the findings."
    labels = {arm["name"]: arm["label"] for arm in study["arms"]}
    chances = "; ".join(f"{labels.get(name, name)} {100 * value:.0f} %" for name, value in best.items())
    text = f"Probability of the highest net benefit at {_money(study, decision['threshold'])} per QALY: {chances}."
    evpi = decision.get("evpi")
    if evpi and evpi.get("at_threshold") is not None:
        text += f" Expected value of perfect information {_money(study, evpi['at_threshold'])} per patient."
    return text, "Add the effect of discount rate and horizon from `cartsight hta scenarios`."


def _effect_of_engagement(study: Study) -> Filled:
    return "", "Report what the involvement of patients and others changed, or that there was none."


def _limitations(study: Study) -> Filled:
    text = "Not modelled: " + " ".join(str(row["statement"]) for row in study["not_modelled"])
    return text, "Discuss the findings, their generalisability, ethics and equity, and how they fit current knowledge."


def _funding(study: Study) -> Filled:
    return "", "State the funding and the part that the funder had in design, conduct and reporting."


def _conflicts(study: Study) -> Filled:
    return "", "State the authors' conflicts of interest under the rules of the journal or of the agency."


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {origin}" for origin, number in counts.most_common()) or "none"


_ITEMS: tuple[tuple[str, str, str, Callable[[Study], Filled]], ...] = (
    ("Title", "Title", "Name it an economic evaluation and say what is compared.", _title),
    ("Abstract", "Abstract", "Give a structured summary with context, methods, results and alternative analyses.", _abstract),
    ("Introduction", "Background and objectives", "Give context, question and practical relevance.", _objectives),
    ("Methods", "Health economic analysis plan", "Say whether there was a plan, and where it is.", _plan),
    ("Methods", "Study population", "Describe the population's characteristics.", _population),
    ("Methods", "Setting and location", "Give context that may influence the findings.", _setting),
    ("Methods", "Comparators", "Describe what is compared and why it was chosen.", _comparators),
    ("Methods", "Perspective", "State the perspective and why.", _perspective),
    ("Methods", "Time horizon", "State the horizon and why it fits.", _horizon),
    ("Methods", "Discount rate", "Report the rates and the reason.", _discounting),
    ("Methods", "Selection of outcomes", "Say which outcomes measure benefit and harm.", _outcomes),
    ("Methods", "Measurement of outcomes", "Say how those outcomes were measured.", _measurement),
    ("Methods", "Valuation of outcomes", "Say in whom and how outcomes were valued.", _valuation),
    ("Methods", "Measurement and valuation of resources and costs", "Say how costs were valued.", _costs),
    ("Methods", "Currency, price date and conversion", "Give currency, dates of resources and prices, conversion.", _currency),
    ("Methods", "Rationale and description of model", "Describe the model, why it was used and where it can be had.", _model),
    ("Methods", "Analytics and assumptions", "Describe analysis, extrapolation, assumptions and validation.", _analytics),
    ("Methods", "Characterising heterogeneity", "Say how results for subgroups were estimated.", _heterogeneity),
    ("Methods", "Characterising distributional effects", "Say how effects fall on different people.", _distribution),
    ("Methods", "Characterising uncertainty", "Describe how sources of uncertainty were characterised.", _uncertainty),
    ("Methods", "Engagement with patients and others affected", "Describe who was involved in the design and how.", _engagement),
    ("Results", "Study parameters", "Report all inputs with uncertainty and distributions.", _parameters),
    ("Results", "Summary of main results", "Report mean costs and outcomes and an overall measure.", _main_results),
    ("Results", "Effect of uncertainty", "Report what uncertainty, discounting and horizon do to the findings.", _effect_of_uncertainty),
    ("Results", "Effect of engagement", "Report what involvement changed.", _effect_of_engagement),
    ("Discussion", "Findings, limitations, generalisability, current knowledge", "Discuss them, with ethics and equity.", _limitations),
    ("Other", "Source of funding", "State the funding and the funder's part.", _funding),
    ("Other", "Conflicts of interest", "State conflicts of interest.", _conflicts),
)  # fmt: skip
