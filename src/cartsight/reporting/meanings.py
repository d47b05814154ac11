"""One sentence per chart that says what it shows, computed from the results document."""

from __future__ import annotations

from typing import Any

from cartsight.reporting.answer import by_expected_net_benefit, net_benefit_at_threshold
from cartsight.reporting.formatting import days, exact_money, list_of, money, percent, plain_number


def meanings(document: dict[str, Any]) -> dict[str, str]:
    """Return {chart: sentence}; a chart that the run cannot support has none."""
    found = {
        "benefit": _benefit(document),
        "flow": _flow(document),
        "days": _days(document),
        "incidence": _incidence(document),
        "survival": _survival(document),
        "states": _states(document),
        "costs": _costs(document),
        "goods": _goods(document),
        "bearers": _bearers(document),
        "plane": _plane(document),
        "frontier": _frontier(document),
        "acceptability": _acceptability(document),
        "loss": _loss(document),
        "prices": _prices(document),
        "tornado": _tornado(document),
        "evppi": _evppi(document),
        "evppi_groups": _evppi_groups(document),
        "validation": _validation(document),
        "convergence": _convergence(document),
        "resources": _resources(document),
    }
    return {name: text for name, text in found.items() if text}


def _labels(document: dict[str, Any]) -> dict[str, str]:
    return {arm["name"]: arm["label"] for arm in document["arms"]}


def _infusing(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [arm for arm in document["arms"] if arm["patients"]["infused"] > 0]


def _benefit(document: dict[str, Any]) -> str | None:
    summaries = net_benefit_at_threshold(document)
    if not summaries:
        return None
    order = by_expected_net_benefit(document)
    labels, unit = _labels(document), document["analysis"]["money"]
    first, second = summaries[order[0]], summaries[order[1]]
    lead = first["mean"] - second["mean"]
    overlap = first["low"] < second["high"]
    return (
        f"{labels[order[0]]} leads {labels[order[1]]} by {money(lead, unit)} of net benefit per referred patient; their 95% "
        f"intervals {'overlap' if overlap else 'do not overlap'}, and the paired differences below, not the overlap, say how sure the order is."
    )


def _flow(document: dict[str, Any]) -> str | None:
    arms = _infusing(document)
    if not arms:
        return None
    best = max(arms, key=lambda arm: arm["flow"]["stages"][-1]["share"])
    worst = min(arms, key=lambda arm: arm["flow"]["stages"][-1]["share"])
    loss = max(worst["flow"]["losses"], key=lambda row: row["share"], default=None)
    if best is worst:
        text = f"{percent(best['flow']['stages'][-1]['share'])} of the referred are infused with {best['label']}"
    else:
        text = (
            f"Of 100 referred patients, {100 * best['flow']['stages'][-1]['share']:.0f} are infused with {best['label']} "
            f"and {100 * worst['flow']['stages'][-1]['share']:.0f} with {worst['label']}"
        )
    if loss is not None:
        text += f", where most are lost after “{loss['after']}” ({percent(loss['share'])} {loss['reason']})"
    return text + "."


def _days(document: dict[str, Any]) -> str | None:
    arms = [arm for arm in document["arms"] if arm["days_spent"]]
    if not arms:
        return None
    total = {arm["label"]: sum(row["mean_days"] for row in arm["days_spent"]) for arm in arms}
    slow = max(arms, key=lambda arm: total[arm["label"]])
    quick = min(arms, key=lambda arm: total[arm["label"]])
    phase = max(slow["days_spent"], key=lambda row: row["mean_days"])
    text = f"{slow['label']} takes {days(total[slow['label']])} days on average, {days(phase['mean_days'])} of them in “{phase['phase']}”"
    if slow is not quick:
        text += f"; {quick['label']} takes {days(total[quick['label']])}"
    return text + ". Patients who were never infused are not in these means."


def _incidence(document: dict[str, Any]) -> str | None:
    arms = _infusing(document)
    if not arms:
        return None
    at = {}
    for arm in arms:
        curve = arm["curves"]["time_to_infusion"]
        at[arm["label"]] = curve["infused"][curve["days"].index(60.0)]
    best, worst = max(at, key=lambda k: at[k]), min(at, key=lambda k: at[k])
    if best == worst:
        return f"Sixty days after referral {percent(at[best])} of the patients are infused with {best}."
    return (
        f"Sixty days after referral {percent(at[best])} of the patients are infused with {best} and {percent(at[worst])} with "
        f"{worst}; curves level off below 100% because death and leaving compete with the infusion."
    )


def _survival(document: dict[str, Any]) -> str | None:
    rows = {
        arm["label"]: arm["metrics"]["overall_survival_referred_at_60_months"]["base"]
        for arm in document["arms"]
        if arm["metrics"]["overall_survival_referred_at_60_months"]["base"] is not None
    }
    if not rows:
        return None
    best, worst = max(rows, key=lambda k: rows[k]), min(rows, key=lambda k: rows[k])
    first = f"Five years after referral {percent(rows[best])} are alive with {best}"
    if best != worst:
        first += f" and {percent(rows[worst])} with {worst}"
    return (
        first
        + ". The right panel leaves out everyone lost on the way and starts later, so it must not be read against the left one."
    )


def _states(document: dict[str, Any]) -> str | None:
    arms = [arm for arm in document["arms"] if arm.get("states") and 60.0 in arm["states"]["months"]]
    if not arms:
        return None
    shares = {arm["label"]: _in_response(arm, arm["states"]["months"].index(60.0)) for arm in arms}
    best = max(shares, key=lambda label: shares[label])
    return (
        "Everybody referred is in exactly one state at any time. "
        f"Five years after referral {percent(shares[best])} are in response with {best}"
        + (
            f", {percent(min(shares.values()))} with {min(shares, key=lambda label: shares[label])}."
            if len(shares) > 1
            else "."
        )
        + " Point values."
    )


def _in_response(arm: dict[str, Any], place: int) -> float:
    return float(
        sum(shares[place] for state, shares in arm["states"]["shares"].items() if state.startswith("in response"))
    )


def _costs(document: dict[str, Any]) -> str | None:
    unit = document["analysis"]["money"]
    totals = {arm["label"]: sum(row["discounted"] for row in arm["cost_categories"]) for arm in document["arms"]}
    if not totals:
        return None
    dear, cheap = max(totals, key=lambda k: totals[k]), min(totals, key=lambda k: totals[k])
    arm = next(arm for arm in document["arms"] if arm["label"] == dear)
    part = max(arm["cost_categories"], key=lambda row: row["discounted"], default=None)
    text = f"{dear} costs most ({money(totals[dear], unit)} per referred patient)"
    if part is not None and totals[dear] > 0:
        text += f", {percent(part['discounted'] / totals[dear])} of it for {part['category']}"
    return text + (f"; {cheap} costs least ({money(totals[cheap], unit)})." if dear != cheap else ".")


def _goods(document: dict[str, Any]) -> str | None:
    arms = [arm for arm in document["arms"] if arm["cost_of_goods"] and arm["cost_of_goods"]["per_infused"]]
    if not arms:
        return None
    unit = document["analysis"]["money"]
    dear = max(arms, key=lambda arm: arm["cost_of_goods"]["per_infused"])
    goods = dear["cost_of_goods"]
    text = f"{dear['label']} costs most to make ({money(goods['per_infused'], unit)} per infused patient"
    if goods["total"] > 0:
        text += f", {percent(goods['idle'] / goods['total'])} of it lines that stand idle"
    text += ")"
    if dear["price"] and dear["price"]["value"]:
        text += f"; its price of {exact_money(dear['price']['value'], unit)} is {plain_number(dear['price']['value'] / goods['per_infused'], 1)} times that"
    return text + ". A price is not a cost of goods: research, launch and margin are in the one and not in the other."


def _bearers(document: dict[str, Any]) -> str | None:
    arms = [arm for arm in document["arms"] if (arm["cost_of_goods"] or {}).get("by_activity")]
    parts = []
    for arm in arms:
        table = arm["cost_of_goods"]["by_activity"]["reconciliation"]
        if not table["budget_cents"]:
            continue
        useful = sum(row["cents"] for row in table["rows"] if row["name"] in _USEFUL_ROWS)
        idle = sum(row["cents"] for row in table["rows"] if row["name"].startswith("idle"))
        parts.append(
            f"{percent(useful / table['budget_cents'])} of the budget went into product taken for patients and "
            f"{percent(idle / table['budget_cents'])} stood idle for {arm['label']}"
        )
    return f"Of what the plants spent, {'; '.join(parts)}. The rest was lost with batches and doses." if parts else None


_USEFUL_ROWS = ("infused in specification", "infused out of specification", "doses taken for patients")


def _plane(document: dict[str, Any]) -> str | None:
    decision = document["decision"]
    if decision is None or decision["plane"] is None:
        return None
    labels, unit = _labels(document), document["analysis"]["money"]
    shares: list[str] = []
    summaries = net_benefit_at_threshold(document)
    for name in decision["plane"]["arms"]:
        chance = percent(summaries[name]["probability_better_than_reference"])
        shares.append(f"{chance} of the draws for {labels[name]}" if not shares else f"{chance} for {labels[name]}")
    return (
        f"Each dot is one parameter draw, each diamond a mean; below the dashed line an arm is worth more than "
        f"{labels[decision['reference_arm']]} at {exact_money(decision['threshold'], unit)} per QALY: {list_of(shares)}."
    )


def _frontier(document: dict[str, Any]) -> str | None:
    decision = document["decision"]
    if decision is None or decision["frontier"] is None:
        return None
    labels, unit = _labels(document), document["analysis"]["money"]
    on = [row for row in decision["frontier"] if row["status"] == "on_frontier"]
    off = [labels[row["strategy"]] for row in decision["frontier"] if "dominated" in row["status"]]
    steps = [
        f"{money(row['icer'], unit)} per QALY for {labels[row['strategy']]} over {labels[row['compared_with']]}"
        for row in on
    ]
    text = (
        f"Along the frontier the cost of a further QALY is {list_of(steps)}"
        if steps
        else "One arm is at least as good and no dearer than all others"
    )
    return text + (f"; {list_of(off)} {'is' if len(off) == 1 else 'are'} dominated." if off else ".")


def _acceptability(document: dict[str, Any]) -> str | None:
    decision = document["decision"]
    if decision is None or decision["acceptability_frontier"] is None:
        return None
    labels, unit = _labels(document), document["analysis"]["money"]
    names = list(dict.fromkeys(decision["acceptability_frontier"]["arm"]))
    switches = [value for value in decision["acceptability_frontier"]["switches_at"] if value is not None]
    parts = [labels[names[0]]] + [
        f"{labels[name]} from {money(at, unit)} per QALY" for name, at in zip(names[1:], switches, strict=False)
    ]
    uncertain = min(decision["acceptability_frontier"]["probability"])
    return (
        f"The arm with the highest expected net benefit (broad line) is {', then '.join(parts)}; its probability of being the best falls "
        f"to {percent(uncertain)} where the choice is least certain."
    )


def _loss(document: dict[str, Any]) -> str | None:
    decision = document["decision"]
    if decision is None or decision["evpi"] is None:
        return None
    unit, evpi = document["analysis"]["money"], decision["evpi"]
    return (
        f"Choosing now forgoes {money(evpi['at_threshold'], unit)} per patient in expectation (Monte Carlo error "
        f"{money(evpi['at_threshold_standard_error'], unit)}), the value of perfect information (broad line): "
        f"{money(evpi['per_year_of_referrals'], unit)} for a year of the {evpi['referrals_per_year']:,.0f} referrals modelled."
    )


def _prices(document: dict[str, Any]) -> str | None:
    decision = document["decision"]
    if decision is None or not decision["threshold_prices"]:
        return None
    labels, unit = _labels(document), document["analysis"]["money"]
    parts = []
    for name, item in decision["threshold_prices"].items():
        at = item["at_decision_threshold"]
        if at is None:
            continue
        parts.append(f"{labels[name]} {money(at, unit)}" if at > 0 else f"{labels[name]} below zero, so at no price")
    against = labels[next(iter(decision["threshold_prices"].values()))["against"]]
    return f"At {exact_money(decision['threshold'], unit)} per QALY an arm is worth as much as {against} at a price of: {list_of(parts)}."


def _tornado(document: dict[str, Any]) -> str | None:
    decision = document["decision"]
    if decision is None or decision["one_way"] is None or not decision["one_way"]["rows"]:
        return None
    one_way, labels, unit = decision["one_way"], _labels(document), document["analysis"]["money"]
    top = one_way["rows"][0]
    turning = [row["label"] for row in one_way["rows"] if row["switches_at"] is not None]
    text = f"{top['label']} moves the lead of {labels[one_way['arm']]} over {labels[one_way['comparator']]} most (by {money(top['swing'], unit)})"
    if turning:
        return text + f"; within their intervals {list_of(turning)} can turn the order."
    return text + "; no number, moved alone within its interval, turns the order."


def _evppi(document: dict[str, Any]) -> str | None:
    decision = document["decision"]
    if decision is None or decision["evppi"] is None or not decision["evppi"]["parameters"]:
        return None
    unit = document["analysis"]["money"]
    top = decision["evppi"]["parameters"][0]
    if top["value"] <= 2 * top["standard_error"]:
        text = "No single parameter is worth more than twice its Monte Carlo error"
    else:
        text = f"Knowing {top['label']} exactly would be worth {money(top['value'], unit, digits=2)} per patient"
    return text + "."


def _evppi_groups(document: dict[str, Any]) -> str | None:
    decision = document["decision"]
    if decision is None or decision["evppi"] is None or not decision["evppi"]["groups"]:
        return None
    top = decision["evppi"]["groups"][0]
    if top["value"] <= 2 * top["standard_error"]:
        return "No group of parameters that one study would inform is worth more than twice its Monte Carlo error."
    value = money(top["value"], document["analysis"]["money"], digits=2)
    return f"A study of {top['label']} ({len(top['parameters'])} numbers) would be worth up to {value} per patient."


def _validation(document: dict[str, Any]) -> str | None:
    rows = document["validation"]
    if not rows:
        return None
    met = sum(row["passes"] for row in rows)
    text = f"{met} of {len(rows)} published figures kept apart from the inputs are met, on criteria stated with each of them"
    return text + ("; the misses stand first." if met < len(rows) else ".")


def _convergence(document: dict[str, Any]) -> str | None:
    decision = document["decision"]
    if decision is None or decision["convergence"] is None:
        return None
    convergence, labels = decision["convergence"], _labels(document)
    chance = convergence["chance_of_wrong_arm"]
    return (
        f"The lead of {labels[convergence['first']]} over {labels[convergence['second']]} has named the same first arm since draw "
        f"{convergence['stable_since']}; the chance that Monte Carlo error alone put it there is {percent(chance) if chance >= 0.0005 else 'below 0.1%'}."
    )


def _resources(document: dict[str, Any]) -> str | None:
    uses = [(use["utilisation"], use["name"], arm["label"]) for arm in document["arms"] for use in arm["resources"]]
    if not uses:
        return None
    share, name, label = max(uses)
    name = {"line": "production line"}.get(name, name)
    return f"The busiest resource is “{name}” of {label}, in use {percent(share)} of the time."
