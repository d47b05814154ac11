"""From release numbers to patients: the central plant of the lymphoma scenario with failures derived from a specification."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cartsight.comparison.parameter_draws import ParameterDraws, draw_parameters
from cartsight.comparison.single_arm import run_arms
from cartsight.core.normal import normal_quantile
from cartsight.core.streams import Stream
from cartsight.evidence.quality.release import ReleaseSpecification, read_release_specification
from cartsight.evidence.quality.release.calibration import PathwayNumbers, pathway_numbers
from cartsight.scenario import Scenario, load_scenario
from cartsight.scenario.arms import AutologousArm

ARM = "autologous-central"
SCENARIO, RELEASE = (Path(__file__).parent / name for name in ("scenario.toml", "release.toml"))

ERROR_LOG_SD, PLACE_LOG_SD, LOT_LOG_SD = 0.30, 0.45, 0.15
"""Sd of the log of what multiplies assay errors, differences between laboratories and sites, and between lots."""


@dataclass(frozen=True)
class World:
    """One parameter draw: scenario, seed of its patients, release specification, and its numbers for the pathway."""

    scenario: Scenario
    seed: int
    specification: ReleaseSpecification
    numbers: PathwayNumbers


@dataclass(frozen=True)
class PatientResult:
    """Means per referred patient, in the scenario's money."""

    qalys: float
    cost: float
    net_benefit: float
    infused: float
    infused_out_of_specification: float


def worlds(draws: int, seed: int, patients: int | None = None, lots: int | None = None) -> tuple[World, ...]:
    """Return the study's worlds: scenario parameters and release variances drawn together, one row each."""
    scenario = load_scenario(SCENARIO)
    if patients is not None:
        scenario = scenario.with_analysis(patients=patients)
    specification = read_release_specification(RELEASE)
    if lots is not None:
        specification = replace(specification, lots=lots)
    parameters: ParameterDraws = draw_parameters(scenario, draws, seed)
    found = []
    for k in range(draws):
        spec = draw_variances(specification, seed, k)
        found.append(
            World(
                scenario.with_values(parameters.at(k), known=True),
                parameters.patient_seed(k),
                spec,
                pathway_numbers(spec, seed=seed),
            )
        )
    return tuple(found)


def draw_variances(specification: ReleaseSpecification, seed: int, draw: int) -> ReleaseSpecification:
    """Return the specification with its standard deviations multiplied by log-normal factors."""
    stream = Stream(seed, "study 4A release draw", [draw])

    def factor(name: str, sd: float) -> float:
        return float(np.exp(sd * normal_quantile(stream(name)))[0])

    changed = []
    for a in specification.attributes:
        error, lab = factor(f"{a.name} error", ERROR_LOG_SD), factor(f"{a.name} lab", PLACE_LOG_SD)
        lot = factor(f"{a.name} lot", LOT_LOG_SD)
        assay = replace(
            a.assay,
            lab_sd=a.assay.lab_sd * lab,
            session_sd=a.assay.session_sd * error,
            replicate_sd=a.assay.replicate_sd * error,
        )
        site = a.site_sd * factor(f"{a.name} site", PLACE_LOG_SD)
        changed.append(replace(a, assay=assay, site_sd=site, donor_sd=a.donor_sd * lot, run_sd=a.run_sd * lot))
    return replace(specification, attributes=tuple(changed))


def after(probability: float, odds_ratio: float) -> float:
    """Return a probability after an odds ratio."""
    return probability * odds_ratio / (1.0 - probability + probability * odds_ratio)


def response_lost(response: float, odds_ratio: float, failed_good: float) -> float:
    """Return the response that one truly bad product loses.

    The odds ratio is that of products *called* out of specification; the truly good ones among them lose nothing, so the bad
    ones lose more than the average.
    """
    return (response - after(response, odds_ratio)) / max(1.0 - failed_good, 0.05)


def relabelled_odds_ratio(response: float, odds_ratio: float, before: float, now: float) -> float:
    """Return the odds ratio of products called out of specification when the share of truly good ones among them changes.

    A better assay moves good products to the other side of the limit; it does not change how they work.

    Parameters
    ----------
    response : float
        Of products in specification.
    odds_ratio : float
        Of products called out of specification while a share `before` of them is truly good.
    before, now : float
    """
    if before == now:
        return odds_ratio
    left = response - response_lost(response, odds_ratio, before) * (1.0 - now)
    left = min(max(left, 1e-6), 1.0 - 1e-6)
    return left / (1.0 - left) * (1.0 - response) / response


def follow(
    world: World,
    numbers: PathwayNumbers,
    *,
    released_bad_change: float = 0.0,
    manufacturing_failure: float | None = None,
    out_of_specification: float | None = None,
    infuse_out_of_specification: float | None = None,
    extra_wait_days: float = 0.0,
) -> PatientResult:
    """Return what patients get when lots fail as `numbers` say.

    Parameters
    ----------
    world : World
    numbers : PathwayNumbers
    released_bad_change : float
        Change of the share of released lots that are truly bad, against the world as it is. Such a lot loses what a truly bad
        product out of specification loses; the scenario's response is that of the world as it is, and the share of truly good
        products among those out of specification (`failed_good`) moves the odds ratio of the rest.
    manufacturing_failure, out_of_specification : float, optional
        Replace those of `numbers`.
    infuse_out_of_specification : float, optional
        Replaces the scenario's policy.
    extra_wait_days : float
        Added to every patient's way to the product.
    """
    arm = world.scenario.arms[ARM]
    assert isinstance(arm, AutologousArm)
    process, efficacy = f"arms.{ARM}.process", f"arms.{ARM}.efficacy"
    ratio = arm.process.odds_ratio_response_out_of_specification.x
    good = world.numbers.failed_good
    complete, overall = arm.efficacy.complete_response.x, arm.efficacy.overall_response.x
    values = {
        f"{process}.manufacturing_failure": (
            numbers.manufacturing_failure if manufacturing_failure is None else manufacturing_failure
        ),
        f"{process}.out_of_specification": (
            numbers.out_of_specification if out_of_specification is None else out_of_specification
        ),
        f"{process}.patient_sd": numbers.patient_sd,
        f"{process}.odds_ratio_if_worsened": numbers.odds_ratio_if_worsened,
        f"{efficacy}.complete_response": complete - released_bad_change * response_lost(complete, ratio, good),
        f"{efficacy}.overall_response": overall - released_bad_change * response_lost(overall, ratio, good),
        f"{process}.odds_ratio_response_out_of_specification": relabelled_odds_ratio(
            complete, ratio, good, numbers.failed_good
        ),
    }
    if infuse_out_of_specification is not None:
        values[f"{process}.infuse_out_of_specification"] = infuse_out_of_specification
    changed = world.scenario.with_values(values)
    run = run_arms(changed, world.seed, (ARM,), extra_wait_days=extra_wait_days)[ARM]
    qalys, cost = float(run.effect.mean()), float(run.cost.mean())
    return PatientResult(
        qalys=qalys,
        cost=cost,
        net_benefit=world.scenario.analysis.decision_threshold * qalys - cost,
        infused=float(run.outcomes.infused.mean()),
        infused_out_of_specification=float((run.trajectories.out_of_specification & run.outcomes.infused).mean()),
    )
