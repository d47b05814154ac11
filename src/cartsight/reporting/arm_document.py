"""One arm's part of the results document: metrics, where patients and days go, curves, costs, resources."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.comparison.lot_metrics import LOT_METRICS
from cartsight.comparison.metrics import STANDARD
from cartsight.comparison.results import Estimate
from cartsight.comparison.single_arm import ArmRun
from cartsight.core.units import DAYS_PER_MONTH
from cartsight.economics.cost_of_goods import CostOfGoods
from cartsight.outcomes import CAUSES_OF_DEATH, Curve, access_metrics, cumulative_incidence, overall_survival
from cartsight.outcomes.qaly_breakdown import STATES, qalys_by_state
from cartsight.outcomes.states import state_occupancy
from cartsight.reporting.goods_document import goods_document
from cartsight.reporting.pathway_flow import days_spent, endings, stages
from cartsight.scenario.arms import as_product

INCIDENCE_DAYS = np.arange(0.0, 366.0, 1.0)
SURVIVAL_MONTHS = np.arange(0.0, 121.0, 2.0)


def arm_document(run: ArmRun, estimates: dict[str, Estimate] | None) -> dict[str, Any]:
    """Return the part of one arm; without `estimates` (a run at the point values) only `base` is given."""
    arm = run.scenario.arms[run.name]
    product = as_product(arm)
    price = None if product is None else {"value": product.price.per_patient.x, "unit": run.scenario.analysis.money}
    return {
        "name": run.name,
        "label": arm.label,
        "modality": arm.modality,
        "description": arm.description.strip(),
        "evidence_note": arm.evidence_note.strip(),
        "price": price,
        "metrics": metrics_document(run, estimates),
        "patients": _patients(run),
        "statuses": endings(run),
        "flow": stages(run),
        "days_spent": days_spent(run),
        "curves": _curves(run),
        "deaths": _deaths(run),
        "states": _states(run),
        "later_course": _later_course(run),
        "cost_categories": _costs(run),
        "qalys_by_state": _qalys(run),
        "cost_of_goods": _goods(run),
        "plant": _plant(run),
        "resources": _resources(run),
    }


def metrics_document(run: ArmRun, estimates: dict[str, Estimate] | None) -> dict[str, Any]:
    """Return {metric name: title, unit, mean, low, high, patient_sd, monte_carlo_error, base}."""
    money = run.scenario.analysis.money
    rows: dict[str, Any] = {}
    for metric in STANDARD:
        row: dict[str, Any] = {"title": metric.title, "unit": money if metric.unit == "money" else metric.unit}
        if estimates is None:
            values = metric.patient(run) if metric.patient is not None else None
            spread = float(np.std(values, ddof=1)) if values is not None and values.size > 1 else math.nan
            size = math.sqrt(values.size) if values is not None and values.size else math.nan
            row |= {
                "mean": None,
                "low": None,
                "high": None,
                "patient_sd": spread,
                "monte_carlo_error": spread / size,
                "base": metric.value(run),
            }
        else:
            estimate = estimates[metric.name]
            row |= {
                "mean": estimate.mean,
                "low": estimate.low,
                "high": estimate.high,
                "patient_sd": estimate.patient_sd,
                "monte_carlo_error": estimate.monte_carlo_error,
                "base": estimate.base,
            }
        rows[metric.name] = row
    return rows


def _patients(run: ArmRun) -> dict[str, Any]:
    found = access_metrics(run.trajectories)
    spread = found.time_to_infusion_days
    return {
        "referred": found.referred,
        "collected": found.collected,
        "infused": found.infused,
        "time_to_infusion_days": {
            "lower_quartile": spread.lower_quartile,
            "median": spread.median,
            "upper_quartile": spread.upper_quartile,
            "mean": spread.mean,
        },
    }


def _curves(run: ArmRun) -> dict[str, Any]:
    incidence = cumulative_incidence(run.trajectories, INCIDENCE_DAYS)
    return {
        "time_to_infusion": {
            "time_zero": "referral",
            "patients": len(run.trajectories),
            "days": incidence.days,
            "infused": _short(incidence.infused),
            "died_waiting": _short(incidence.died_waiting),
            "left": _short(incidence.left),
            "still_waiting": _short(incidence.still_waiting),
        },
        "overall_survival_from_referral": _survival(overall_survival(run.outcomes, SURVIVAL_MONTHS, "referral")),
        "overall_survival_from_infusion": _survival(overall_survival(run.outcomes, SURVIVAL_MONTHS, "infusion")),
    }


def _survival(curve: Curve) -> dict[str, Any]:
    reach = 1.96 * curve.standard_error
    return {
        "time_zero": curve.clock,
        "patients": curve.patients,
        "months": curve.months,
        "share": _short(curve.share),
        "low": _short(np.clip(curve.share - reach, 0.0, 1.0)),
        "high": _short(np.clip(curve.share + reach, 0.0, 1.0)),
        "band": "95 % Monte Carlo interval at the point values",
    }


def _short(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.round(values, 5)


def _deaths(run: ArmRun) -> list[dict[str, Any]]:
    counts = run.outcomes.deaths_by_cause()
    total = max(len(run.outcomes), 1)
    return [{"cause": cause, "share": counts[cause] / total} for cause in CAUSES_OF_DEATH if counts[cause] > 0]


def _states(run: ArmRun) -> dict[str, Any]:
    months = SURVIVAL_MONTHS[run.outcomes.horizon_days >= SURVIVAL_MONTHS * DAYS_PER_MONTH]
    shares = state_occupancy(run.outcomes, months)
    return {
        "time_zero": "referral",
        "months": months,
        "shares": {name: _short(share) for name, share in shares.items() if share.any()},
    }


def _later_course(run: ArmRun) -> dict[str, Any] | None:
    """Return the shares of the infused who get each later line, a transplant, a new cancer; None where none is stated."""
    later, infused = run.outcomes.later, run.outcomes.infused
    arm = as_product(run.scenario.arms[run.name])
    if later is None or arm is None or not infused.any():
        return None
    stated = {} if arm.after_relapse is None else arm.after_relapse.lines
    return {
        "lines": [
            {
                "name": name,
                "label": stated[name].label,
                "treated": float(np.mean(np.isfinite(line.start_day[infused]))),
                "responded": float(np.mean(line.responded[infused])),
            }
            for name, line in later.lines.items()
        ],
        "transplanted": float(np.mean(np.isfinite(later.transplant_day[infused]))),
        "secondary_malignancy": float(np.mean(np.isfinite(later.secondary_malignancy_day[infused]))),
    }


def _costs(run: ArmRun) -> list[dict[str, Any]]:
    discounted, undiscounted = run.costs.means(), run.costs.means(discounted=False)
    return [
        {"category": name, "discounted": discounted[name], "undiscounted": undiscounted[name]}
        for name in run.costs.categories
        if undiscounted[name] != 0.0
    ]


def _qalys(run: ArmRun) -> list[dict[str, Any]]:
    age = run.trajectories.patients.age
    discounted = qalys_by_state(run.outcomes, run.scenario, age)
    undiscounted = qalys_by_state(run.outcomes, run.scenario, age, discount_rate=0.0)
    return [
        {
            "state": state,
            "discounted": float(discounted[state].mean()),
            "undiscounted": float(undiscounted[state].mean()),
        }
        for state in STATES
    ]


def _goods(run: ArmRun) -> dict[str, Any] | None:
    goods = run.goods
    if goods is None:
        return None
    return {
        "unit": run.scenario.analysis.money,
        "years": goods.years,
        "total": goods.total,
        "per_year": goods.per_year,
        "fixed": goods.fixed,
        "variable": goods.variable,
        "idle": goods.idle,
        "started": goods.started,
        "released": goods.released,
        "infused": goods.infused,
        "per_started": goods.per_started,
        "per_released": goods.per_released,
        "per_infused": goods.per_infused,
        "categories": [
            {"category": name, "total": amount, "per_infused": amount / goods.infused if goods.infused else math.nan}
            for name, amount in goods.categories.items()
        ],
        "by_activity": _by_activity(run, goods),
    }


def _by_activity(run: ArmRun, goods: CostOfGoods) -> dict[str, Any] | None:
    """Return the cost of goods line by line for an arm that states its costs by activity."""
    arm = as_product(run.scenario.arms[run.name])
    if arm is None or run.plant is None or run.plant.batches is None or not arm.costs.itemised:
        return None
    return goods_document(arm, goods, run.plant, run.scenario.analysis.money)


def _plant(run: ArmRun) -> dict[str, Any] | None:
    plant = run.plant
    if plant is None:
        return None
    return {
        "made_in": "batches" if run.scenario.arms[run.name].modality == "autologous" else "lots",
        "years": plant.years,
        "sites": plant.sites,
        "lines": plant.lines,
        "started": plant.started,
        "failed": plant.failed,
        "out_of_specification": plant.out_of_specification,
        "released": plant.released,
        "infused": plant.infused,
        "shipments": plant.shipments,
        "doses_received": plant.doses_received,
        "doses_taken": plant.doses_taken,
        "doses_expired": plant.doses_expired,
        "stock_out_fraction": plant.stock_out_fraction,
        "causes_out_of_specification": plant.causes,
        "waiting_days_per_batch": plant.waiting_days,
        "stores": [asdict(store) for store in plant.stores],
        "counts": dict(plant.counts),
        "lot_metrics": {name: value(run) for name, (_, _, value) in LOT_METRICS.items()} if plant.stores else {},
    }


def _resources(run: ArmRun) -> list[dict[str, Any]]:
    if run.plant is None:
        return []
    return [
        {
            "name": use.name,
            "units": use.units,
            "capacity": use.capacity,
            "utilisation": use.utilisation,
            "mean_queue_days": use.mean_queue_days,
        }
        for use in run.plant.resources
    ]
