"""What the starting material does to a run: scores per collection, covariates per patient, and stated shares kept.

The score of an attribute is the number of doublings or steps from its reference. It is a part of the patient, shared by
all collections, plus a part of the collection, so that attempts correlate as stated. Effects are linear in the score on
the log-odds of failure and on the logarithm of the manufacturing time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import numpy.typing as npt

from cartsight.core.distributions import Normal
from cartsight.core.logit_normal import logit_normal_mixture_intercept, logit_normal_mixture_intercept_given
from cartsight.core.normal import normal_quantile
from cartsight.core.streams import Stream
from cartsight.scenario import Scenario
from cartsight.scenario.starting_material import Effects, StartingMaterial
from cartsight.simulation import FlowModel, FlowResult
from cartsight.simulation import steps as s
from cartsight.simulation.pathways.trajectory import LEUKAPHERESIS, Patients

Float = npt.NDArray[np.float64]

TIME, FAILURE, OUT_OF_SPECIFICATION = "time", "failure", "out of specification"
AGE_POINTS = 40
"""Midpoints of equal shares of the age distribution in the quadrature."""


@dataclass(frozen=True, slots=True)
class MaterialEffects:
    """Effects by attribute of the engine, and the mixture over patients that keeps the stated averages.

    `log_effects` maps what is affected to {attribute: effect}; `sd` and `mean` are those of the normal part of the sum,
    `covariance` that between manufacturing failure and out of specification;
    `shifts` and `weights` are the groups of patients (categories, ages).
    """

    log_effects: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    mean: Mapping[str, float] = field(default_factory=dict)
    sd: Mapping[str, float] = field(default_factory=dict)
    covariance: float = 0.0
    shifts: Mapping[str, Float] = field(default_factory=dict)
    weights: Float = field(default_factory=lambda: np.ones(1))

    def intercept(self, on: str, failure: float, out_of_specification: float, patient_sd: float) -> float:
        """Return the log-odds without effects at which the stated averages of first batches hold.

        `failure` is a share of all first batches, `out_of_specification` one of those that were finished: the same
        patients are likelier to fail in both.
        """
        sds = math.hypot(patient_sd, self.sd[FAILURE]), math.hypot(patient_sd, self.sd[OUT_OF_SPECIFICATION])
        shifts = (
            self.shifts[FAILURE] + self.mean[FAILURE],
            self.shifts[OUT_OF_SPECIFICATION] + self.mean[OUT_OF_SPECIFICATION],
        )
        if on == FAILURE:
            return logit_normal_mixture_intercept(failure, sds[0], shifts[0], self.weights)
        covariance = patient_sd**2 + self.covariance
        return logit_normal_mixture_intercept_given(
            out_of_specification, sds, covariance, shifts, self.weights, failure
        )

    def log_mean_time(self) -> float:
        """Return the logarithm of the mean factor on the manufacturing time."""
        groups = self.shifts.get(TIME, np.zeros(1))
        weights = np.broadcast_to(self.weights, groups.shape)
        mixture = float(np.log(weights @ np.exp(groups) / weights.sum()))
        return mixture + self.mean.get(TIME, 0.0) + 0.5 * self.sd.get(TIME, 0.0) ** 2


def score(name: str) -> str:
    """Return the engine's attribute that holds the score of an attribute of the leukapheresis."""
    return f"score of {name}"


def patient_part(name: str) -> str:
    """Return the engine's attribute that holds the patient's part of a score, as a standard normal."""
    return f"patient part of {name}"


def covariates(on: str) -> str:
    """Return the engine's attribute that holds the summed effects of the patient's covariates."""
    return f"covariates on {on}"


def material_effects(scenario: Scenario, material: StartingMaterial | None) -> MaterialEffects:
    """Return the effects of the starting material and the population that they are averaged over."""
    if material is None:
        return MaterialEffects()
    effects: dict[str, dict[str, float]] = {TIME: {}, FAILURE: {}, OUT_OF_SPECIFICATION: {}}
    mean, variance = dict.fromkeys(effects, 0.0), dict.fromkeys(effects, 0.0)
    covariance = 0.0
    for name, attribute in material.leukapheresis.items():
        centre, sd = attribute.score
        covariance += attribute.logit_failure * attribute.logit_out_of_specification * sd**2
        for on, beta in _betas(attribute).items():
            if beta != 0.0:
                effects[on][score(name)] = beta
                mean[on] += beta * centre
                variance[on] += (beta * sd) ** 2
    shifts, weights = _groups(scenario, material)
    for on in effects:
        if np.any(shifts[on] != 0.0):
            effects[on][covariates(on)] = 1.0
    sds = {on: math.sqrt(v) for on, v in variance.items()}
    return MaterialEffects(effects, mean, sds, covariance, shifts, weights)


def _betas(effects: Effects) -> dict[str, float]:
    return {
        TIME: effects.log_time,
        FAILURE: effects.logit_failure,
        OUT_OF_SPECIFICATION: effects.logit_out_of_specification,
    }


def _groups(scenario: Scenario, material: StartingMaterial) -> tuple[dict[str, Float], Float]:
    """Return the shift of every group of patients (category x category x age), and its share."""
    parts: list[list[tuple[float, dict[str, float]]]] = [
        [(category.share.x, _betas(category)) for category in categories.values()]
        for categories in material.patient.values()
    ]
    if material.age is not None:
        population = scenario.population
        middles = (np.arange(AGE_POINTS) + 0.5) / AGE_POINTS
        ages = np.clip(population.age.distribution.quantile(middles), population.minimum_age, population.maximum_age)
        steps = (ages - material.age.reference.x) / material.age.step.x
        betas = _betas(material.age)
        parts.append([(1.0 / AGE_POINTS, {on: beta * float(n) for on, beta in betas.items()}) for n in steps])
    shifts: dict[str, list[float]] = {TIME: [], FAILURE: [], OUT_OF_SPECIFICATION: []}
    weights = []
    for group in product(*parts):
        weights.append(math.prod(share for share, _ in group))
        for on, values in shifts.items():
            values.append(sum(betas[on] for _, betas in group))
    weight = np.asarray(weights)
    return {on: np.asarray(values) for on, values in shifts.items()}, weight / weight.sum()


def declare_material(model: FlowModel, material: StartingMaterial | None) -> None:
    """Declare the columns that `material_columns` fills and that the steps of a collection set."""
    if material is None:
        return
    for on in (TIME, FAILURE, OUT_OF_SPECIFICATION):
        model.attribute(covariates(on))
    for name in material.leukapheresis:
        model.attribute(score(name))
        model.attribute(patient_part(name))


def collected(material: StartingMaterial | None) -> list[s.Step]:
    """Return the steps that draw what was collected, at every collection anew."""
    if material is None:
        return []
    steps: list[s.Step] = []
    for name, attribute in material.leukapheresis.items():
        mean, sd = attribute.score
        correlation = attribute.same_patient_correlation.x
        own = sd * math.sqrt(1.0 - correlation)
        steps.append(s.Set(score(name), patient_part(name), times=sd * math.sqrt(correlation)))
        steps.append(
            s.Add(score(name), Normal(mean, own), name=f"leukapheresis: {name}")
            if own > 0.0
            else s.Add(score(name), mean)
        )
    return steps


def material_columns(scenario: Scenario, material: StartingMaterial, everyone: Patients, seed: int) -> dict[str, Float]:
    """Return the arrival attributes of everyone: patient parts of the scores, and the effects of the covariates."""
    stream = Stream(seed, "patient", everyone.identity)
    columns = {patient_part(name): normal_quantile(stream(patient_part(name))) for name in material.leukapheresis}
    total = {on: np.zeros(len(everyone)) for on in (TIME, FAILURE, OUT_OF_SPECIFICATION)}
    for name, row in categories_of(material, everyone, seed).items():
        betas = [_betas(category) for category in material.patient[name].values()]
        for on in total:
            total[on] += np.asarray([beta[on] for beta in betas])[row]
    if material.age is not None:
        steps = (everyone.age - material.age.reference.x) / material.age.step.x
        for on, beta in _betas(material.age).items():
            total[on] += beta * steps
    return columns | {covariates(on): values for on, values in total.items()}


def material_record(material: StartingMaterial, everyone: Patients, result: FlowResult, seed: int) -> dict[str, Float]:
    """Return, for the counted patients, each attribute at the last collection and the number of each category.

    Attributes are in their own unit, NaN for patients who were never collected.
    """
    rows = np.flatnonzero(everyone.counted)
    collected_day = result.patients.mark(LEUKAPHERESIS)[rows]
    record = {}
    for name, attribute in material.leukapheresis.items():
        value = np.asarray(attribute.value_of(result.patients.attribute(score(name))[rows]), dtype=np.float64)
        record[f"leukapheresis: {name}"] = np.where(np.isnan(collected_day), np.nan, value)
    for name, row in categories_of(material, everyone, seed).items():
        record[f"patient: {name}"] = row[rows].astype(np.float64)
    return record


def categories_of(material: StartingMaterial, everyone: Patients, seed: int) -> dict[str, npt.NDArray[np.int64]]:
    """Return the category of every patient, by covariate, as its number in file order."""
    stream = Stream(seed, "patient", everyone.identity)
    found = {}
    for name, categories in material.patient.items():
        share = np.asarray([category.share.x for category in categories.values()])
        upper = np.cumsum(share / share.sum())
        found[name] = np.minimum(np.searchsorted(upper, stream(f"covariate: {name}"), side="right"), share.size - 1)
    return found
