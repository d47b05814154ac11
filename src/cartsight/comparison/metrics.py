"""The metrics of a run, by name, with title and unit. One registry for tables, reports and validation.

Metrics count from referral (intention to treat) unless the name says infused. Medians of waiting are over those who
got there; read them beside the cumulative incidence with death as a competing event.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.comparison.lot_metrics import LOT_METRICS
from cartsight.comparison.single_arm import ArmRun
from cartsight.core.errors import InputError, nearest
from cartsight.core.units import DAYS_PER_MONTH, DAYS_PER_YEAR
from cartsight.outcomes.response import COMPLETE_RESPONSE
from cartsight.simulation.pathways import trajectory as t

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metric:
    """A named result of one arm.

    `value` reads it off a run. `patient` gives one value per patient (NaN: not in the denominator) for metrics that are
    a mean over patients, so that patient noise in them is known; None for medians and plant figures.
    """

    name: str
    title: str
    unit: str
    value: Callable[[ArmRun], float]
    patient: Callable[[ArmRun], Float] | None = None


def _mean(values: Float) -> float:
    return float(np.mean(values)) if values.size else math.nan


def _median(values: Float) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else math.nan


def _day(run: ArmRun, mark: str) -> Float:
    return run.trajectories.day.get(mark, np.full(len(run.trajectories), np.nan))


def collected(run: ArmRun) -> npt.NDArray[np.bool_]:
    """Whether each patient was leukapheresed, or had a dose set aside in arms without leukapheresis."""
    if t.LEUKAPHERESIS in run.trajectories.day:
        return ~np.isnan(_day(run, t.LEUKAPHERESIS))
    return ~np.isnan(_day(run, t.DOSE_TAKEN))


def _vein_to_vein(run: ArmRun) -> Float:
    return _day(run, t.INFUSION) - _day(run, t.LEUKAPHERESIS)


def _decision_day(run: ArmRun) -> Float:
    names = [name for name in run.trajectories.day if name.startswith("step: ")]
    chosen = next((name for name in names if "eligib" in name), names[-1] if names else None)
    return _day(run, chosen) if chosen is not None else np.zeros(len(run.trajectories))


def _infused_survival(run: ArmRun, months: float) -> float:
    return _known_mean(_alive_after_infusion(run, months))


def _infused_progression_free(run: ArmRun, months: float) -> float:
    chosen = run.trajectories.infused
    if not chosen.any():
        return math.nan
    first = np.minimum(run.outcomes.progression_day[chosen], run.outcomes.death_day[chosen])
    return float(np.mean(first - run.outcomes.infusion_day[chosen] > months * DAYS_PER_MONTH))


def _median_infused_survival_months(run: ArmRun) -> float:
    chosen = run.trajectories.infused
    if not chosen.any():
        return math.nan
    since = run.outcomes.death_day[chosen] - run.outcomes.infusion_day[chosen]
    middle = float(np.median(since))
    return middle / DAYS_PER_MONTH


def _referred_survival(run: ArmRun, months: float) -> float:
    return float(np.mean(run.outcomes.death_day > months * DAYS_PER_MONTH))


def _of_infused(values: npt.NDArray[np.generic], run: ArmRun) -> Float:
    return np.where(run.trajectories.infused, values.astype(np.float64), np.nan)


def _known_mean(values: Float) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _infused_mean(values: Float, run: ArmRun) -> float:
    return _mean(values[run.trajectories.infused])


def _collected_infused(run: ArmRun) -> Float:
    return np.where(collected(run), run.trajectories.infused.astype(np.float64), np.nan)


def _alive_after_infusion(run: ArmRun, months: float) -> Float:
    return _of_infused(run.outcomes.death_day - run.outcomes.infusion_day > months * DAYS_PER_MONTH, run)


def _years_after_infusion_each(run: ArmRun) -> Float:
    return _of_infused((run.outcomes.survival_days - run.outcomes.infusion_day) / DAYS_PER_YEAR, run)


def _batch_share(run: ArmRun, part: str) -> float:
    plant = run.plant
    if plant is None or plant.started == 0:
        return math.nan
    if part == "failed":
        return plant.failed / plant.started
    finished = plant.started - plant.failed
    return plant.out_of_specification / finished if finished > 0 else math.nan


def _goods(run: ArmRun, name: str) -> float:
    return float(getattr(run.goods, name)) if run.goods is not None else math.nan


def _idle_share(run: ArmRun) -> float:
    return run.goods.idle / run.goods.total if run.goods is not None and run.goods.total > 0 else math.nan


def _complete(run: ArmRun) -> Float:
    return _of_infused(run.outcomes.response == COMPLETE_RESPONSE, run)


def _line_use(run: ArmRun) -> float:
    return run.plant.utilisation("line") if run.plant is not None else math.nan


def _payer_product(run: ArmRun) -> Float:
    return run.costs.of("product")


STANDARD: tuple[Metric, ...] = (
    Metric("share_infused_of_referred", "Infused, of those referred", "probability", lambda r: _mean(r.trajectories.infused.astype(float)), lambda r: r.trajectories.infused.astype(float)),
    Metric("share_infused_of_collected", "Infused, of those collected", "probability", lambda r: _known_mean(_collected_infused(r)), _collected_infused),
    Metric("died_while_waiting_share", "Died while waiting", "probability", lambda r: _mean(r.trajectories.has_status(t.DIED).astype(float)), lambda r: r.trajectories.has_status(t.DIED).astype(float)),
    Metric("median_referral_to_leukapheresis_days", "Referral to leukapheresis, median", "days", lambda r: _median(_day(r, t.LEUKAPHERESIS))),
    Metric("median_referral_to_infusion_days", "Referral to infusion, median of infused", "days", lambda r: _median(_day(r, t.INFUSION))),
    Metric("median_brain_to_vein_days", "Decision to infusion, median of infused", "days", lambda r: _median(_day(r, t.INFUSION) - _decision_day(r))),
    Metric("median_vein_to_vein_days", "Leukapheresis to infusion, median of infused", "days", lambda r: _median(_vein_to_vein(r))),
    Metric("manufacturing_failure_share_of_batches", "Manufacturing failure, of batches or lots started", "probability", lambda r: _batch_share(r, "failed")),
    Metric("out_of_specification_share_of_released", "Out of specification, of batches or lots finished", "probability", lambda r: _batch_share(r, "out")),
    Metric("infused_out_of_specification_share", "Infused out of specification, of infused", "probability", lambda r: _known_mean(_of_infused(r.trajectories.out_of_specification, r)), lambda r: _of_infused(r.trajectories.out_of_specification, r)),
    Metric("line_utilisation", "Line utilisation", "fraction", _line_use),
    Metric("complete_response_share", "Complete response, of infused", "probability", lambda r: _known_mean(_complete(r)), _complete),
    Metric("one_year_mortality_from_referral", "Dead at one year from referral", "probability", lambda r: 1.0 - _referred_survival(r, 12.0), lambda r: (r.outcomes.death_day <= DAYS_PER_YEAR).astype(float)),
    Metric("overall_survival_referred_at_24_months", "Alive at 2 years from referral", "probability", lambda r: _referred_survival(r, 24.0), lambda r: (r.outcomes.death_day > 24 * DAYS_PER_MONTH).astype(float)),
    Metric("overall_survival_referred_at_60_months", "Alive at 5 years from referral", "probability", lambda r: _referred_survival(r, 60.0), lambda r: (r.outcomes.death_day > 60 * DAYS_PER_MONTH).astype(float)),
    Metric("overall_survival_infused_at_24_months", "Alive at 2 years from infusion", "probability", lambda r: _known_mean(_alive_after_infusion(r, 24.0)), lambda r: _alive_after_infusion(r, 24.0)),
    Metric("overall_survival_infused_at_60_months", "Alive at 5 years from infusion", "probability", lambda r: _known_mean(_alive_after_infusion(r, 60.0)), lambda r: _alive_after_infusion(r, 60.0)),
    Metric("life_years_per_referred", "Life-years per referred patient", "life_years", lambda r: _mean(r.outcomes.life_years), lambda r: r.outcomes.life_years),
    Metric("life_years_discounted_per_referred", "Life-years, discounted", "life_years", lambda r: _mean(r.outcomes.life_years_discounted), lambda r: r.outcomes.life_years_discounted),
    Metric("qalys_per_referred", "QALYs per referred patient, discounted", "qaly", lambda r: _mean(r.outcomes.qalys_discounted), lambda r: r.outcomes.qalys_discounted),
    Metric("qalys_undiscounted_per_referred", "QALYs, undiscounted", "qaly", lambda r: _mean(r.outcomes.qalys), lambda r: r.outcomes.qalys),
    Metric("life_years_per_infused", "Life-years after infusion, per infused patient", "life_years", lambda r: _known_mean(_years_after_infusion_each(r)), _years_after_infusion_each),
    Metric("cost_per_referred", "Cost per referred patient, discounted", "money", lambda r: _mean(r.cost), lambda r: r.cost),
    Metric("cost_undiscounted_per_referred", "Cost per referred patient, undiscounted", "money", lambda r: _mean(r.costs.total), lambda r: r.costs.total),
    Metric("product_cost_per_referred", "Product, per referred patient", "money", lambda r: _mean(_payer_product(r)), _payer_product),
    Metric("cost_of_goods_per_infused", "Cost of goods per infused patient", "money", lambda r: _goods(r, "per_infused")),
    Metric("cost_of_goods_per_released", "Cost of goods per batch or lot released", "money", lambda r: _goods(r, "per_released")),
    Metric("cost_of_goods_per_started", "Cost of goods per batch or lot started", "money", lambda r: _goods(r, "per_started")),
    Metric("idle_share_of_cost_of_goods", "Idle lines, share of cost of goods", "fraction", _idle_share),
)  # fmt: skip

_BY_NAME = {metric.name: metric for metric in STANDARD}
_EXTRA: dict[str, tuple[str, str, Callable[[ArmRun], float]]] = {
    "median_overall_survival_infused_months": (
        "Median survival from infusion",
        "months",
        _median_infused_survival_months,
    ),
    "qalys_per_infused": (
        "QALYs per infused patient, discounted",
        "qaly",
        lambda r: _infused_mean(r.outcomes.qalys_discounted, r),
    ),
    "share_not_infused": (
        "Not infused, of those referred",
        "probability",
        lambda r: 1.0 - _mean(r.trajectories.infused.astype(float)),
    ),
    "overall_response_share": (
        "Overall response, of infused",
        "probability",
        lambda r: _infused_mean((r.outcomes.response > 0).astype(float), r),
    ),
}
_EXTRA |= LOT_METRICS
_LANDMARK = re.compile(
    r"^(overall_survival_infused|progression_free_survival_infused|overall_survival_referred)_at_(\d+)_months$"
)
_LANDMARK_FUNCTIONS = {
    "overall_survival_infused": ("Alive at {m} months from infusion", _infused_survival),
    "progression_free_survival_infused": (
        "Alive without progression at {m} months from infusion",
        _infused_progression_free,
    ),
    "overall_survival_referred": ("Alive at {m} months from referral", _referred_survival),
}


def metric(name: str) -> Metric:
    """Return the metric called `name`; landmarks take any number of months, as in ``overall_survival_infused_at_18_months``.

    Raises
    ------
    InputError
        No metric has this name; the message gives the nearest.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name in _EXTRA:
        title, unit, value = _EXTRA[name]
        return Metric(name, title, unit, value)
    landmark = _LANDMARK.match(name)
    if landmark:
        title, function = _LANDMARK_FUNCTIONS[landmark.group(1)]
        months = float(landmark.group(2))
        return Metric(name, title.format(m=landmark.group(2)), "probability", lambda run: function(run, months))
    known = [*_BY_NAME, *_EXTRA, *(f"{stem}_at_12_months" for stem in _LANDMARK_FUNCTIONS)]
    raise InputError("no metric has this name", found=name, hint=nearest(name, known))


def metric_names() -> tuple[str, ...]:
    """Return the names of all metrics; landmarks stand for any number of months."""
    return (*_BY_NAME, *_EXTRA, *(f"{stem}_at_<m>_months" for stem in _LANDMARK_FUNCTIONS))
