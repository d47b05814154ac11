"""The answer in three sentences, computed from the results document.

First: which arm has the highest expected net benefit, at which threshold and from whose perspective, and how likely it
is the best one. Second: by how much, with the interval from parameter uncertainty and the Monte Carlo error. Third:
what would change it, and how weak the evidence is. Nothing is called cost-effective: that is a reader's judgement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cartsight.core.units import DAYS_PER_MONTH, DAYS_PER_YEAR
from cartsight.reporting.formatting import exact_money, general, is_money, list_of, money, percent, plain_number

CLEAR_LEAD = 0.15
"""Below this lead in the probability of being best, the answer says that the arms are close."""
LARGE_CHANCE_OF_WRONG_ARM = 0.05
PERSPECTIVES = {
    "payer": "for the payer",
    "health_system_at_cost": "for a health system that makes products at cost",
}


def answer(document: dict[str, Any]) -> dict[str, Any]:
    """Return the sentences and the facts in them.

    Parameters
    ----------
    document : dict
        The results document, complete but for ``answer``.

    Returns
    -------
    dict
        ``sentences`` (three), ``best_arm``, ``second_arm``, ``probability_best``, ``close``, ``threshold``,
        ``compared_with``, ``price_that_turns``; names are null where there is only one arm, or no parameter draw to judge by.
    """
    if document["decision"] is None or document["decision"]["net_benefit"] is None:
        return _without_uncertainty(document)
    decision = document["decision"]
    labels = {arm["name"]: arm["label"] for arm in document["arms"]}
    probability = decision["probability_best"]
    ordered = by_expected_net_benefit(document)
    best, second = ordered[0], ordered[1]
    likeliest = max(probability, key=lambda name: probability[name])
    rival = likeliest if likeliest != best else max((n for n in probability if n != best), key=lambda n: probability[n])
    close = probability[best] - probability[rival] < CLEAR_LEAD
    compared_with = decision["reference_arm"] if decision["reference_arm"] != best else second
    return {
        "sentences": [
            _which(document, labels, best, rival, close),
            _by_how_much(document, labels, best, compared_with),
            _what_would_change_it(document, labels, best),
        ],
        "best_arm": best,
        "second_arm": second,
        "rival_arm": rival,
        "probability_best": probability[best],
        "close": close,
        "threshold": decision["threshold"],
        "compared_with": compared_with,
        "price_that_turns": price_that_turns(document, best),
    }


def by_expected_net_benefit(document: dict[str, Any]) -> list[str]:
    """Return the names of the arms from the highest mean net benefit at the decision threshold to the lowest."""
    arms = net_benefit_at_threshold(document)
    return sorted(arms, key=lambda name: -arms[name]["mean"])


def net_benefit_at_threshold(document: dict[str, Any]) -> dict[str, Any]:
    """Return {arm: net benefit summary} at the decision threshold; empty without parameter draws."""
    decision = document["decision"]
    if decision is None or decision["net_benefit"] is None:
        return {}
    found: dict[str, Any] = next(row for row in decision["net_benefit"] if row["wtp"] == decision["threshold"])["arms"]
    return found


def setting(document: dict[str, Any]) -> str:
    """Return threshold, perspective and horizon as words: no verdict is given without them."""
    analysis = document["analysis"]
    unit = analysis["money"]
    return (
        f"At {exact_money(analysis['decision_threshold'], unit)} per QALY, {PERSPECTIVES[analysis['perspective']]} "
        f"and over {general(analysis['horizon_years'])} years"
    )


def _which(document: dict[str, Any], labels: dict[str, str], best: str, rival: str, close: bool) -> str:
    probability = document["decision"]["probability_best"]
    arms = len(labels)
    of = "both arms" if arms == 2 else f"the {arms} arms"
    text = (
        f"{setting(document)}, {labels[best]} has the highest expected net benefit of {of} "
        f"and is the best choice in {percent(probability[best])} of the parameter draws"
    )
    if probability[rival] > probability[best]:
        text += f", although {labels[rival]} is best more often ({percent(probability[rival])})"
    elif close:
        text += f", which is close: {labels[rival]} is best in {percent(probability[rival])}"
    elif probability[rival] > 0.005:
        text += f" ({labels[rival]} in {percent(probability[rival])})"
    convergence = document["decision"]["convergence"]
    if convergence is not None and convergence["chance_of_wrong_arm"] > LARGE_CHANCE_OF_WRONG_ARM:
        text += (
            f"; Monte Carlo error alone could have put it first (chance {percent(convergence['chance_of_wrong_arm'])})"
        )
    return text + "."


def _by_how_much(document: dict[str, Any], labels: dict[str, str], best: str, other: str) -> str:
    unit = document["analysis"]["money"]
    difference = _difference(document, best, other)
    if difference is None:
        return f"How far it is ahead of {labels[other]} could not be computed."
    effect, cost, benefit = difference["effect"], difference["cost"], difference["net_benefit"]
    return (
        f"Against {labels[other]}, the difference per referred patient is {_signed(effect['mean'], plain_number)} QALYs "
        f"({_bracket(effect, plain_number)}) and {_signed(cost['mean'], lambda v: money(v, unit))} of cost "
        f"({_bracket(cost, lambda v: money(v, unit))}), together {_signed(benefit['mean'], lambda v: money(v, unit))} "
        f"of net benefit ({_bracket(benefit, lambda v: money(v, unit))})."
    )


def _signed(value: float, show: Callable[[float], str]) -> str:
    return f"+{show(value)}" if value > 0 else show(value)


def _bracket(part: dict[str, Any], show: Callable[[float], str]) -> str:
    return f"95% interval {show(part['low'])} to {show(part['high'])}; Monte Carlo error {show(part['standard_error'])}"


def _difference(document: dict[str, Any], best: str, other: str) -> dict[str, Any] | None:
    """Return best minus other; the document holds differences from the reference arm only, so signs may turn."""
    decision = document["decision"]
    if decision["differences"] is None:
        return None
    if other == decision["reference_arm"]:
        found: dict[str, Any] | None = decision["differences"].get(best)
        return found
    if best == decision["reference_arm"]:
        turned = decision["differences"].get(other)
        return None if turned is None else {name: _negated(part) for name, part in turned.items()}
    return None


def _negated(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "mean": -part["mean"], "low": -part["high"], "high": -part["low"]}


def _what_would_change_it(document: dict[str, Any], labels: dict[str, str], best: str) -> str:
    parts = (_to_learn(document), _turning_point(document), _price(document, labels, best))
    levers = [text for text in parts if text]
    clauses = [f"what would change this: {'; '.join(levers)}"] if levers else []
    if _turning_point(document) is None and document["decision"]["one_way"] is not None:
        against = labels[document["decision"]["one_way"]["comparator"]]
        clauses.append(f"no number moved alone over its interval turns the order against {against}")
    text = "; ".join([*clauses, _evidence(document, best)])
    return text[0].upper() + text[1:] + "."


def _to_learn(document: dict[str, Any]) -> str | None:
    evppi, unit = document["decision"]["evppi"], document["analysis"]["money"]
    if evppi is None or not evppi["parameters"]:
        return None
    top = max([*evppi["parameters"], *evppi["groups"]], key=lambda row: row["value"])
    if top["value"] <= 2 * top["standard_error"]:
        return None
    return f"learning more about {top['label']} (worth {money(top['value'], unit, digits=2)} per patient)"


def _turning_point(document: dict[str, Any]) -> str | None:
    one_way = document["decision"]["one_way"]
    if one_way is None:
        return None
    turning = next((row for row in one_way["rows"] if row["switches_at"] is not None), None)
    if turning is None:
        return None
    value, unit = turning["switches_at"], turning["unit"].replace("_", " ")
    if unit == "days" and abs(value) > DAYS_PER_YEAR:
        return f"{turning['label']} past {value / DAYS_PER_MONTH:.0f} months"
    return f"{turning['label']} past {money(value, turning['unit']) if is_money(turning['unit']) else f'{general(value)} {unit}'}"


def price_that_turns(document: dict[str, Any], best: str) -> dict[str, Any] | None:
    """Return the price at which the order of the best arm and another one turns, at the point values.

    Where the best arm has a price: the price above which the next arm has the higher net benefit. Else: of the arms
    with a price, the one that needs the smallest cut to equal the best. Net benefit falls by the product's discounted
    cost per referred patient over its price for every unit of price.

    Returns
    -------
    dict or None
        ``arm`` whose price moves, ``against``, ``price`` at which both are equal, ``now``. None where prices are not
        charged, or no price above zero does it.
    """
    if document["analysis"]["perspective"] != "payer":
        return None
    threshold = document["analysis"]["decision_threshold"]
    arms = {arm["name"]: arm for arm in document["arms"]}
    benefit = {}
    for name, arm in arms.items():
        effect, cost = arm["metrics"]["qalys_per_referred"]["base"], arm["metrics"]["cost_per_referred"]["base"]
        benefit[name] = threshold * effect - cost
    others = sorted((name for name in arms if name != best), key=lambda name: -benefit[name])
    if not others or benefit[best] < benefit[others[0]]:
        return None
    moving = [(best, others[0])] if _paid_per_price(arms[best]) else [(name, best) for name in others]
    found = []
    for name, against in moving:
        paid = _paid_per_price(arms[name])
        if not paid:
            continue
        now = arms[name]["price"]["value"]
        price = now + (benefit[name] - benefit[against]) / paid
        if price > 0:
            found.append({"arm": name, "against": against, "price": price, "now": now})
    return max(found, key=lambda item: item["price"] / item["now"], default=None)


def _paid_per_price(arm: dict[str, Any]) -> float:
    """Return how often the price is paid per referred patient, discounted; 0 where there is none."""
    if not arm["price"] or not arm["price"]["value"]:
        return 0.0
    return float(arm["metrics"]["product_cost_per_referred"]["base"] or 0.0) / float(arm["price"]["value"])


def _price(document: dict[str, Any], labels: dict[str, str], best: str) -> str | None:
    found, unit = price_that_turns(document, best), document["analysis"]["money"]
    if found is None:
        return None
    price, now = money(found["price"], unit), exact_money(found["now"], unit)
    if found["arm"] == best:
        return f"a price above {price} (now {now}), at which its lead over {labels[found['against']]} is gone"
    return f"a price of {price} instead of {now}, at which {labels[found['arm']]} would equal it"


def _evidence(document: dict[str, Any], best: str) -> str:
    assumed, numbers = len(document["assumptions"]), len(document["numbers"])
    in_vivo = [arm for arm in document["arms"] if arm["modality"] == "in_vivo"]
    thin = in_vivo or [arm for arm in document["arms"] if arm["name"] == best]
    notes = list_of(
        [f"of {arm['label']} the scenario itself says: “{arm['evidence_note'].rstrip('.')}”" for arm in thin]
    )
    return f"{assumed} of {numbers} inputs are assumptions or figures not read in their source, and {notes}"


def _without_uncertainty(document: dict[str, Any]) -> dict[str, Any]:
    """Return sentences for a run that cannot compare: one arm, or fewer than two parameter draws."""
    unit = document["analysis"]["money"]
    threshold = document["analysis"]["decision_threshold"]
    rows = []
    for arm in document["arms"]:
        metrics = arm["metrics"]
        effect, cost = metrics["qalys_per_referred"]["base"], metrics["cost_per_referred"]["base"]
        if effect is not None and cost is not None:
            rows.append((threshold * effect - cost, arm["label"], effect, cost))
    rows.sort(key=lambda row: -row[0])
    if len(rows) > 1:
        first = (
            f"{setting(document)}, {rows[0][1]} has the highest net benefit at the point values of all parameters "
            f"({money(rows[0][0], unit)} per referred patient)."
        )
    elif rows:
        first = f"{setting(document)}, {rows[0][1]} yields {plain_number(rows[0][2])} QALYs at {money(rows[0][3], unit)} per referred patient at the point values of all parameters."
    else:
        first = "No arm has both a cost and an effect."
    second = (
        "No probability or interval comes with this: the scenario was run without parameter draws, so nothing here says how sure the order is."
        if document["kind"] == "run" or document["analysis"]["draws"] < 2
        else "There is nothing to compare: the scenario has one arm."
    )
    assumed, numbers = len(document["assumptions"]), len(document["numbers"])
    third = f"{assumed} of the {numbers} inputs are assumptions or figures not read in their source."
    return {
        "sentences": [first, second, third],
        "best_arm": None,
        "second_arm": None,
        "rival_arm": None,
        "probability_best": None,
        "close": None,
        "threshold": threshold,
        "compared_with": None,
        "price_that_turns": None,
    }
