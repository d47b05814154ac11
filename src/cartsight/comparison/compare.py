"""`compare`: every arm on the same patients, at the point values and over all parameter draws.

The order of work: check and run the point values, run the parameter draws in blocks on all cores, take patient noise
out of the draw means, then decision analysis, one-way sensitivity and validation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.comparison.acceptability import (
    cost_effectiveness_acceptability_curve,
    cost_effectiveness_acceptability_frontier,
    expected_loss_curves,
    rank_probabilities,
)
from cartsight.comparison.checking import check_arms
from cartsight.comparison.conditional_expectation import most_parameters
from cartsight.comparison.metrics import STANDARD
from cartsight.comparison.one_way_runs import run_one_way
from cartsight.comparison.parameter_draws import ParameterDraws, draw_parameters
from cartsight.comparison.patient_noise import without_patient_noise
from cartsight.comparison.results import Comparison, DrawTable, Estimate
from cartsight.comparison.sensitivity import OneWaySensitivity
from cartsight.comparison.single_arm import ArmRun, run_arms
from cartsight.comparison.spread import PairedDifference, paired_difference, shrink_draw_means, split_variance_of_means
from cartsight.comparison.uncertainty_runs import run_uncertainty
from cartsight.comparison.validation import run_validation
from cartsight.comparison.value_of_information import (
    affected_population,
    expected_value_of_perfect_information,
    partial_information_by_parameter,
)
from cartsight.core.errors import InputError
from cartsight.core.units import DAYS_PER_YEAR
from cartsight.economics.frontier import cost_effectiveness_frontier
from cartsight.economics.net_benefit import summarise_net_benefit
from cartsight.economics.pricing import price_patients
from cartsight.economics.threshold_price import price_at_threshold
from cartsight.scenario import Scenario
from cartsight.scenario.arms import as_product

Float = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]

DECISION_YEARS = 5.0
"""How long a decision is taken to hold unless stated: an assumption that every report repeats."""
LONGEST_DECISION_YEARS = 100.0
WTP_GRID = np.arange(0.0, 400_001.0, 5_000.0)
FEWEST_DRAWS_FOR_PARTIAL_INFORMATION = 64
TORNADO_ROWS = 12
SATURATED = 0.98
"""Utilisation of lines at which a queue hardly empties."""


def compare(
    scenario: Scenario,
    *,
    draws: int | None = None,
    patients: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    one_way: bool = True,
    validate: bool = True,
    decision_years: float = DECISION_YEARS,
    progress: Progress | None = None,
) -> Comparison:
    """Compare all arms of a scenario.

    Parameters
    ----------
    scenario : Scenario
        From `load_scenario`.
    draws, patients, seed : int, optional
        Replace the settings of the scenario's analysis.
    workers : int, optional
        Worker processes; all cores by default. Results do not depend on it.
    one_way, validate : bool
        Whether to run the one-way sensitivity and the validation targets.
    decision_years : float
        How long the decision stays relevant: an assumption, for the value of information of the population.
    progress : callable, optional
        Called with (stage, done, in all).

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        A pathway that cannot work: a queue that never empties, a resource that nobody frees, a broken number.
    """
    changes: dict[str, Any] = {
        name: value for name, value in {"draws": draws, "patients": patients, "seed": seed}.items() if value is not None
    }
    if changes:
        scenario = scenario.with_analysis(**changes)
    population = population_of_decision(scenario, decision_years)
    tell = progress or (lambda stage, done, total: None)
    seconds: dict[str, float] = {}

    clock = time.perf_counter()
    warnings = check_arms(scenario).warnings
    base = run_arms(scenario, scenario.analysis.seed)
    seconds["point values"] = time.perf_counter() - clock

    clock = time.perf_counter()
    parameters = draw_parameters(scenario, scenario.analysis.draws, scenario.analysis.seed)
    runs = run_uncertainty(
        scenario, parameters, workers=workers, progress=lambda done, total: tell("parameter draws", done, total)
    )
    seconds["parameter draws"] = time.perf_counter() - clock
    seconds["flow, all workers"] = runs.flow_seconds
    seconds["outcomes and pricing, all workers"] = runs.pricing_seconds

    clock = time.perf_counter()
    cost, effect = clean_draws(runs.table)
    economics = decision_analysis(scenario, cost, effect, base, parameters, runs.table)
    economics["population"] = population
    estimates = summarise_metrics(runs.table, base)
    seconds["decision analysis"] = time.perf_counter() - clock

    clock = time.perf_counter()
    tornado = None
    if one_way and len(scenario.arms) > 1:
        tell("one-way sensitivity", 0, 1)
        tornado = _one_way(scenario, cost, effect, parameters, workers)
        tell("one-way sensitivity", 1, 1)
    seconds["one-way sensitivity"] = time.perf_counter() - clock

    clock = time.perf_counter()
    validation: tuple[Any, ...] = ()
    if validate and scenario.validation:
        tell("validation", 0, 1)
        validation = run_validation(scenario, scenario.analysis.seed)
        tell("validation", 1, 1)
    seconds["validation"] = time.perf_counter() - clock
    return Comparison(
        scenario=scenario,
        seed=scenario.analysis.seed,
        arms=tuple(scenario.arms),
        base=base,
        draws=runs.table,
        parameters=parameters,
        clean_cost=cost,
        clean_effect=effect,
        estimates=estimates,
        economics=economics,
        one_way=tornado,
        validation=validation,
        warnings=(*warnings, *saturated_lines(runs.table)),
        seconds=seconds,
    )


def population_of_decision(scenario: Scenario, years: float = DECISION_YEARS) -> dict[str, float]:
    """Return whom a decision about the scenario settles: its referrals while the decision holds, discounted.

    Referrals arrive evenly; they are discounted at the rate for costs, because a value of information is money.

    Raises
    ------
    InputError
        Years that are not above zero.
    """
    if not (np.isfinite(years) and 0.0 < years <= LONGEST_DECISION_YEARS):
        raise InputError(
            "the lifetime of a decision is out of range",
            field="decision_years",
            found=years,
            allowed=f"above 0, at most {LONGEST_DECISION_YEARS:g} years",
        )
    per_year = scenario.referrals_per_day * DAYS_PER_YEAR
    rate = scenario.analysis.discount_rate_costs
    patients = affected_population(incidence_per_year=per_year, horizon_years=years, discount_rate=rate)
    return {"years": years, "patients_per_year": per_year, "discount_rate": rate, "patients": patients}


def clean_draws(table: DrawTable) -> tuple[Float, Float]:
    """Return mean costs and effects of the draws, each (draws, arms), with patient noise taken out."""
    arms = len(table.arms)
    means = np.hstack([table.cost, table.effect])
    noise = (table.covariance / table.patients[:, None, None]).mean(axis=0)
    clean = without_patient_noise(means, noise)
    return clean[:, :arms], clean[:, arms:]


def saturated_lines(table: DrawTable) -> tuple[str, ...]:
    """Return a warning for every arm whose lines are never idle in some parameter draws.

    The check of a scenario loads its resources at the point values. A draw with longer processes or more patients may
    still overload them; its queue then grows through the window, and its results depend on the length of the window.
    """
    used = table.values[:, :, table.metrics.index("line_utilisation")]
    warnings = []
    for a, arm in enumerate(table.arms):
        share = float(np.mean(used[:, a] >= SATURATED))
        if share > 0.0:
            warnings.append(
                f"arms.{arm}: lines are busy at least {SATURATED:.0%} of the time in {share:.1%} of the parameter draws: "
                "waiting there grows through the window and depends on its length"
            )
    return tuple(warnings)


def summarise_metrics(table: DrawTable, base: dict[str, ArmRun]) -> dict[str, dict[str, Estimate]]:
    """Return {arm: {metric: estimate}} with the three spreads of each."""
    estimates: dict[str, dict[str, Estimate]] = {}
    for a, arm in enumerate(table.arms):
        rows = {}
        for m, metric in enumerate(STANDARD):
            values = table.values[:, a, m]
            within = table.patient_variance[:, a, m]
            count = table.patient_count[:, a, m]
            point = metric.value(base[arm])
            known = values[~np.isnan(values)]
            if known.size == 0:
                rows[metric.name] = Estimate(np.nan, np.nan, np.nan, np.nan, np.nan, point)
                continue
            if known.size < 2:
                rows[metric.name] = Estimate(float(known[0]), np.nan, np.nan, np.nan, np.nan, point)
                continue
            patient_sd = np.nan
            spread = known
            if not np.isnan(within).any() and not np.isnan(values).any():
                split = split_variance_of_means(values, within, count)
                spread = shrink_draw_means(values, split)
                patient_sd = float(np.sqrt(split.between_patients_variance))
            low, high = np.quantile(spread, [0.025, 0.975])
            error = float(known.std(ddof=1) / np.sqrt(known.size))
            rows[metric.name] = Estimate(float(known.mean()), float(low), float(high), patient_sd, error, point)
        estimates[arm] = rows
    return estimates


def decision_analysis(
    scenario: Scenario,
    cost: Float,
    effect: Float,
    base: dict[str, ArmRun],
    parameters: ParameterDraws,
    table: DrawTable | None = None,
) -> dict[str, Any]:
    """Return frontier, net benefit, acceptability, losses, value of information, paired differences, threshold prices.

    Parameters
    ----------
    scenario, base, parameters
        The scenario, its runs at the point values and its parameter draws.
    cost, effect : array, shape (draws, arms)
        Draw means with patient noise taken out: what is decided on.
    table : DrawTable, optional
        The draw means as they came out. Monte Carlo errors rest on them, because the noise that was taken out of the
        spread is still in the mean; and so does partial information, because a regression averages noise out by itself
        and would lose a part of the signal in draws that were pulled together. Without it, the cleaned draws serve.
    """
    raw_cost, raw_effect = (cost, effect) if table is None else (table.cost, table.effect)
    arms = list(scenario.arms)
    threshold = scenario.analysis.decision_threshold
    reference = arms.index(scenario.reference_arm)
    results: dict[str, Any] = {"threshold": threshold, "reference_arm": scenario.reference_arm}
    means = {"cost": cost.mean(axis=0), "effect": effect.mean(axis=0)}
    if len(arms) > 1:
        results["frontier"] = cost_effectiveness_frontier(arms, means["cost"], means["effect"])
    if len(parameters) < 2 or len(arms) < 2:
        return results
    grid = np.unique(np.append(WTP_GRID, [*scenario.analysis.willingness_to_pay, threshold]))
    results["wtp"] = grid
    results["net_benefit"] = {
        w: summarise_net_benefit(cost, effect, w, comparator=reference)
        for w in sorted({*scenario.analysis.willingness_to_pay, threshold})
    }
    results["acceptability"] = cost_effectiveness_acceptability_curve(cost, effect, grid)
    results["acceptability_frontier"] = cost_effectiveness_acceptability_frontier(cost, effect, grid)
    results["expected_loss"] = expected_loss_curves(cost, effect, grid)
    results["ranks"] = rank_probabilities(threshold * effect - cost)
    results["evpi"] = expected_value_of_perfect_information(cost, effect, grid)
    benefit, raw_benefit = threshold * effect - cost, threshold * raw_effect - raw_cost
    results["differences"] = {
        arm: {
            "cost": _difference(cost, raw_cost, a, reference),
            "effect": _difference(effect, raw_effect, a, reference),
            "net_benefit": _difference(benefit, raw_benefit, a, reference),
        }
        for a, arm in enumerate(arms)
        if a != reference
    }
    if len(parameters) >= FEWEST_DRAWS_FOR_PARTIAL_INFORMATION and parameters.paths:
        columns = {path: parameters.values[:, i] for i, path in enumerate(parameters.paths)}
        influence = _influence(scenario, cost, effect, parameters)
        partial = partial_information_by_parameter(
            raw_cost,
            raw_effect,
            columns,
            threshold,
            groups=parameter_groups(influence, most_parameters(len(parameters))),
            seed=scenario.analysis.seed,
        )
        limit = expected_value_of_perfect_information(cost, effect, threshold).value
        results["evppi"] = {name: replace(item, value=np.minimum(item.value, limit)) for name, item in partial.items()}
    results["threshold_prices"] = _threshold_prices(scenario, cost, effect, base, reference)
    return results


def _difference(clean: Float, raw: Float, arm: int, reference: int) -> PairedDifference:
    """Return one arm minus the reference: the interval of the cleaned draws, the Monte Carlo error of the raw ones."""
    decided = paired_difference(clean[:, arm], clean[:, reference])
    simulated = paired_difference(raw[:, arm], raw[:, reference])
    return replace(
        decided,
        standard_error=simulated.standard_error,
        error_low=simulated.error_low,
        error_high=simulated.error_high,
        correlation=simulated.correlation,
        variance_ratio=simulated.variance_ratio,
    )


def parameter_groups(influence: dict[str, float], most: int) -> dict[str, list[str]]:
    """Return groups that one study would inform: an arm's efficacy, its process, its costs, the population.

    A regression on few draws carries few parameters: of a larger group the `most` most influential are taken, and the
    name says so; what is left out can only add to its value.
    """
    groups: dict[str, list[str]] = {}
    for path in influence:
        parts = path.split(".")
        name = f"{parts[1]}: {parts[2]}" if parts[0] == "arms" and len(parts) > 3 else parts[0]
        groups.setdefault(name, []).append(path)
    named: dict[str, list[str]] = {}
    for name, members in groups.items():
        kept = sorted(members, key=lambda path: (-influence[path], path))[:most]
        if len(kept) < 2:
            continue
        share = "all" if len(kept) == len(members) else f"the {len(kept)} most influential of {len(members)}"
        named[f"{share} of {name}"] = kept
    return named


def _threshold_prices(
    scenario: Scenario, cost: Float, effect: Float, base: dict[str, ArmRun], reference: int
) -> dict[str, dict[str, Any]]:
    """Return the price at which each arm equals the reference at each willingness to pay (point values).

    Times the price is paid per referred patient (discounted), retreatment included = what the cost falls by at a price of
    zero, over the price. Only where price is charged.
    """
    if scenario.analysis.perspective != "payer":
        return {}
    names = list(scenario.arms)
    comparator = base[names[reference]]
    prices: dict[str, dict[str, Any]] = {}
    for name in names:
        arm = as_product(scenario.arms[name])
        if arm is None or name == names[reference] or arm.price.per_patient.x <= 0:
            continue
        price = arm.price.per_patient.x
        run = base[name]
        free = scenario.with_values({f"arms.{name}.price.per_patient": 0.0})
        without = price_patients(run.trajectories, run.outcomes, free, name)
        paid = float(run.cost.mean() - without.total_discounted.mean()) / price
        if paid <= 0:
            continue
        grid = np.array(scenario.analysis.willingness_to_pay)
        values = price_at_threshold(
            float(base[name].cost.mean()),
            float(base[name].effect.mean()),
            float(comparator.cost.mean()),
            float(comparator.effect.mean()),
            price=price,
            cost_per_unit_of_price=paid,
            wtp=grid,
        )
        prices[name] = {"price": price, "wtp": grid.tolist(), "price_at_threshold": np.atleast_1d(values).tolist()}
    return prices


def _one_way(
    scenario: Scenario, cost: Float, effect: Float, parameters: ParameterDraws, workers: int | None
) -> OneWaySensitivity | None:
    """Move alone the parameters that go most with the difference in net benefit over the draws (rank correlation)."""
    if len(parameters) < 3 or not parameters.paths:
        return None
    best, comparator = _leading_pair(scenario, cost, effect)
    arms = list(scenario.arms)
    pair = (arms[best], arms[comparator])
    repeated = scenario.repeated_in()

    def touches(path: str) -> bool:
        places = (path, *repeated.get(path, ()))
        return any(not place.startswith("arms.") or place.split(".")[1] in pair for place in places)

    influence = {path: value for path, value in _influence(scenario, cost, effect, parameters).items() if touches(path)}
    ranked = sorted(influence, key=lambda path: (-influence[path], path))
    return run_one_way(scenario, tuple(ranked[:TORNADO_ROWS]), *pair, scenario.analysis.seed, workers=workers)


def _leading_pair(scenario: Scenario, cost: Float, effect: Float) -> tuple[int, int]:
    """Return the arm with the highest expected net benefit, and the reference (or the second when that is the first)."""
    benefit = (scenario.analysis.decision_threshold * effect - cost).mean(axis=0)
    order = np.argsort(-benefit, kind="stable")
    best = int(order[0])
    reference = list(scenario.arms).index(scenario.reference_arm)
    return best, reference if reference != best else int(order[1])


def _influence(scenario: Scenario, cost: Float, effect: Float, parameters: ParameterDraws) -> dict[str, float]:
    """Return |rank correlation| of each parameter with the difference in net benefit of the leading pair."""
    benefit = scenario.analysis.decision_threshold * effect - cost
    best, comparator = _leading_pair(scenario, cost, effect)
    difference = _ranks(benefit[:, best] - benefit[:, comparator])
    return {
        path: abs(float(np.mean(_ranks(parameters.values[:, column]) * difference)))
        for column, path in enumerate(parameters.paths)
    }


def _ranks(values: Float) -> Float:
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)
    return np.asarray((ranks - ranks.mean()) / max(float(ranks.std()), 1e-300))
