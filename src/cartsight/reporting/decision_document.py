"""The decision's part of the results document: frontier, differences, net benefit, acceptability, value of information."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from cartsight.comparison.convergence import decision_convergence, running_mean
from cartsight.comparison.results import Comparison
from cartsight.comparison.sensitivity import tornado_table
from cartsight.core.units import DAYS_PER_YEAR
from cartsight.reporting.labels import label_of

PLANE_POINTS = 500
"""Draws shown on the cost-effectiveness plane; all of them are in the table of draws."""
EVPPI_ROWS = 15


def decision_document(comparison: Comparison) -> dict[str, Any]:
    """Return the decision analysis with arms by name; keys are present and null where too few draws were made."""
    economics, arms = comparison.economics, list(comparison.arms)
    labels = {name: arm.label for name, arm in comparison.scenario.arms.items()}
    document: dict[str, Any] = {
        "threshold": economics["threshold"],
        "reference_arm": economics["reference_arm"],
        "frontier": [asdict(row) for row in economics["frontier"]] if "frontier" in economics else None,
        "differences": _differences(economics),
        "net_benefit": _net_benefit(economics, arms),
        "probability_best": None,
        "ranks": None,
        "acceptability": None,
        "acceptability_frontier": None,
        "expected_loss": None,
        "evpi": None,
        "evppi": _evppi(economics, labels),
        "plane": _plane(comparison),
        "one_way": _one_way(comparison, labels),
        "threshold_prices": _threshold_prices(economics),
        "convergence": _convergence(comparison),
    }
    if "wtp" in economics:
        document |= _by_willingness_to_pay(comparison, arms)
    return document


def _differences(economics: dict[str, Any]) -> dict[str, Any] | None:
    if "differences" not in economics:
        return None
    return {
        arm: {name: asdict(difference) for name, difference in parts.items()}
        for arm, parts in economics["differences"].items()
    }


def _net_benefit(economics: dict[str, Any], arms: list[str]) -> list[dict[str, Any]] | None:
    if "net_benefit" not in economics:
        return None
    rows = []
    for wtp, summary in economics["net_benefit"].items():
        rows.append(
            {
                "wtp": float(wtp),
                "arms": {
                    name: {
                        **asdict(summary.per_arm[a]),
                        "incremental": asdict(summary.incremental[a]),
                        "probability_better_than_reference": summary.probability_better[a],
                    }
                    for a, name in enumerate(arms)
                },
            }
        )
    return rows


def _by_willingness_to_pay(comparison: Comparison, arms: list[str]) -> dict[str, Any]:
    economics = comparison.economics
    grid = economics["wtp"]
    here = int(np.flatnonzero(grid == economics["threshold"])[0])
    curve, frontier = economics["acceptability"], economics["acceptability_frontier"]
    loss, evpi = economics["expected_loss"], economics["evpi"]
    population = economics.get("population")
    return {
        "probability_best": {name: float(curve.probability[here, a]) for a, name in enumerate(arms)},
        "ranks": {name: economics["ranks"][a].tolist() for a, name in enumerate(arms)},
        "acceptability": {
            "wtp": grid,
            "probability": {name: curve.probability[:, a] for a, name in enumerate(arms)},
            "standard_error": {name: curve.standard_error[:, a] for a, name in enumerate(arms)},
        },
        "acceptability_frontier": {
            "wtp": frontier.wtp,
            "arm": [arms[i] for i in frontier.best],
            "probability": frontier.probability,
            "switches_at": frontier.switches_at,
        },
        "expected_loss": {"wtp": loss.wtp, "loss": {name: loss.loss[:, a] for a, name in enumerate(arms)}},
        "evpi": {
            "wtp": evpi.wtp,
            "value": evpi.value,
            "standard_error": evpi.standard_error,
            "at_threshold": float(evpi.value[here]),
            "at_threshold_standard_error": float(evpi.standard_error[here]),
            "per_year_of_referrals": float(evpi.value[here]) * comparison.scenario.referrals_per_day * DAYS_PER_YEAR,
            "referrals_per_year": comparison.scenario.referrals_per_day * DAYS_PER_YEAR,
            "population": None
            if population is None
            else {
                **population,
                "at_threshold": float(evpi.value[here]) * population["patients"],
                "at_threshold_standard_error": float(evpi.standard_error[here]) * population["patients"],
                "assumption": f"the decision holds for {population['years']:g} years and settles the care of all "
                "patients referred in them",
            },
        },
    }


def _evppi(economics: dict[str, Any], labels: dict[str, str]) -> dict[str, Any] | None:
    if "evppi" not in economics:
        return None
    population = economics.get("population")
    patients = np.nan if population is None else population["patients"]
    rows = [
        {
            "name": name,
            "label": label_of(name, labels),
            "parameters": list(item.parameters),
            "value": float(item.value[0]),
            "standard_error": float(item.standard_error[0]),
            "population_value": float(item.value[0]) * patients,
            "regression_bias": float(item.regression_bias[0]),
        }
        for name, item in economics["evppi"].items()
    ]
    single = [row for row in rows if len(row["parameters"]) == 1 and row["name"] == row["parameters"][0]]
    groups = [row for row in rows if row not in single]

    def order(row: dict[str, Any]) -> tuple[float, str]:
        return -row["value"], row["name"]

    return {
        "wtp": economics["threshold"],
        "parameters": sorted(single, key=order)[:EVPPI_ROWS],
        "groups": sorted(groups, key=order)[:EVPPI_ROWS],
        "parameters_in_all": len(single),
        "groups_in_all": len(groups),
    }


def _plane(comparison: Comparison) -> dict[str, Any] | None:
    draws = comparison.clean_cost.shape[0]
    if draws < 2 or len(comparison.arms) < 2:
        return None
    reference = comparison.arms.index(comparison.economics["reference_arm"])
    shown = np.unique(np.linspace(0, draws - 1, min(draws, PLANE_POINTS)).astype(np.int64))
    more = comparison.clean_cost - comparison.clean_cost[:, [reference]]
    gain = comparison.clean_effect - comparison.clean_effect[:, [reference]]
    return {
        "reference_arm": comparison.economics["reference_arm"],
        "draws": draws,
        "draws_shown": int(shown.size),
        "arms": {
            name: {
                "incremental_qalys": np.round(gain[shown, a], 4),
                "incremental_cost": np.round(more[shown, a], 0),
                "mean_incremental_qalys": float(gain[:, a].mean()),
                "mean_incremental_cost": float(more[:, a].mean()),
            }
            for a, name in enumerate(comparison.arms)
            if a != reference
        },
    }


def _one_way(comparison: Comparison, labels: dict[str, str]) -> dict[str, Any] | None:
    result = comparison.one_way
    if result is None:
        return None
    # The runs were made with the comparator first, so the order of the pair is found from the decision itself.
    pair = _pair(comparison)
    numbers = comparison.scenario.numbers()
    rows = [
        {
            **row,
            "label": label_of(str(row["parameter"]), labels),
            "unit": numbers[str(row["parameter"])].quantity.unit,
        }
        for row in tornado_table(result)
    ]
    return {
        "arm": pair[0],
        "comparator": pair[1],
        "wtp": comparison.economics["threshold"],
        "base_incremental": result.base_incremental,
        "rows": rows,
    }


def _pair(comparison: Comparison) -> tuple[str, str]:
    arms = list(comparison.arms)
    benefit = comparison.economics["threshold"] * comparison.clean_effect - comparison.clean_cost
    order = np.argsort(-benefit.mean(axis=0), kind="stable")
    best, second = arms[int(order[0])], arms[int(order[1])]
    reference = comparison.economics["reference_arm"]
    return best, reference if reference != best else second


def _threshold_prices(economics: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {
            "price": item["price"],
            "against": economics["reference_arm"],
            "at_decision_threshold": _at(economics["threshold"], item["wtp"], item["price_at_threshold"]),
            "rows": [
                {"wtp": wtp, "price_at_threshold": value}
                for wtp, value in zip(item["wtp"], item["price_at_threshold"], strict=True)
            ],
        }
        for name, item in economics.get("threshold_prices", {}).items()
    }


def _at(threshold: float, wtp: list[float], prices: list[float]) -> float | None:
    """Return the price at the decision threshold: prices at which two arms are equal are linear in willingness to pay."""
    if threshold in wtp:
        return prices[wtp.index(threshold)]
    if len(wtp) < 2:
        return None
    slope = (prices[-1] - prices[0]) / (wtp[-1] - wtp[0])
    return prices[0] + slope * (threshold - wtp[0])


def _convergence(comparison: Comparison) -> dict[str, Any] | None:
    draws = comparison.clean_cost.shape[0]
    if draws < 2 or len(comparison.arms) < 2:
        return None
    threshold = comparison.economics["threshold"]
    decision = decision_convergence(comparison.clean_cost, comparison.clean_effect, threshold)
    benefit = threshold * comparison.clean_effect - comparison.clean_cost
    order = np.argsort(-benefit.mean(axis=0), kind="stable")
    running = running_mean(benefit[:, order[0]] - benefit[:, order[1]])
    return {
        "first": comparison.arms[int(order[0])],
        "second": comparison.arms[int(order[1])],
        "draws": running.draws,
        "margin": running.mean,
        "low": running.low,
        "high": running.high,
        "margin_standard_error": decision.margin_standard_error,
        "chance_of_wrong_arm": decision.chance_of_wrong_arm,
        "stable_since": decision.stable_since,
    }
