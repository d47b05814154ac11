"""The lot generator: (patient covariates, process, site, seed) to attributes, decision, dates, costs and dose.

Every draw is keyed by what it is for (`cartsight.core.streams`), so that a lot keeps its true attributes and its errors
when a limit, a replicate or a test is added: two specifications are compared on the same lots. A remake keeps the effects
of site and donor and draws a new run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.logit_normal import logit_normal_intercept
from cartsight.core.normal import normal_quantile
from cartsight.core.streams import Stream, UInt64, stable_hash
from cartsight.evidence.quality.release.measurement import measure
from cartsight.evidence.quality.release.specification import (
    LEVELS,
    STATES,
    ReleaseSpecification,
    SafetyTest,
    cholesky,
)

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Int8 = npt.NDArray[np.int8]

STATE_CODE = {name: code for code, name in enumerate(STATES)}


@dataclass(frozen=True)
class Patients:
    """Whose lots are made.

    Attributes
    ----------
    identity : array of uint64, shape (n,)
        Donor; attempts of one patient share it.
    covariates : dict of arrays, shape (n,)
        Values of the covariates that the specification names.
    site, lab : array of uint64, shape (n,)
        Identity of the plant and of the testing laboratory; lots of one site share its effect.
    """

    identity: UInt64
    covariates: dict[str, Float]
    site: UInt64
    lab: UInt64

    def __len__(self) -> int:
        return int(self.identity.size)


@dataclass(frozen=True)
class AttributeRecord:
    """One attribute of every lot.

    Attributes
    ----------
    true : array, shape (n,)
        True value that the test refers to, in reported units (the planned samples already taken from a dose).
    reported : array, shape (n,)
        First reportable result, rounded; NaN where no valid run exists.
    at_infusion : array, shape (n,)
        True value after thaw, and after all samples for the dose.
    good : array of bool
        The true value lies within the limits.
    invalid, first_out, confirmed, passed : array of bool
        No valid result; first valid result out; failure confirmed; accepted.
    """

    name: str
    true: Float
    reported: Float
    at_infusion: Float
    good: Bool
    invalid: Bool
    first_out: Bool
    confirmed: Bool
    passed: Bool


@dataclass(frozen=True)
class SafetyRecord:
    """One safety test of every lot: truth, and the signal by the read day."""

    name: str
    contaminated: Bool
    positive: Bool
    positive_later: Bool


@dataclass(frozen=True)
class Lots:
    """Lots of one attempt.

    Attributes
    ----------
    attributes, safety : tuples of records
    state : array of int8, shape (n,)
        Index into `STATES`.
    bad : array of bool
        Completed, and truly out of a limit or contaminated.
    good : array of bool
        Completed, and truly within all limits and not contaminated.
    out_of_limits : array of bool
        Completed, and a measured attribute is truly out of a limit, contamination aside.
    confirmed : array of bool
        Failure confirmed, whatever followed.
    unexplained : array of bool
        A first result was out and the retest did not confirm it.
    retested : array of bool
        Some attribute went through a retest.
    first_result_day, decision_day : array, shape (n,)
        Days from the start of the run: all first results known; disposition.
    cost : array, shape (n,)
        Of run and tests.
    dose : array, shape (n,)
        At infusion, all samples taken; NaN without a dose attribute.
    """

    attributes: tuple[AttributeRecord, ...]
    safety: tuple[SafetyRecord, ...]
    state: Int8
    bad: Bool
    good: Bool
    out_of_limits: Bool
    confirmed: Bool
    unexplained: Bool
    retested: Bool
    first_result_day: Float
    decision_day: Float
    cost: Float
    dose: Float

    def in_state(self, name: str) -> Bool:
        """Return which lots ended in a state."""
        return np.asarray(self.state == STATE_CODE[name])

    def attribute(self, name: str) -> AttributeRecord:
        """Return the record of an attribute."""
        return next(record for record in self.attributes if record.name == name)


def draw_patients(
    specification: ReleaseSpecification,
    count: int,
    seed: int,
    laws: Mapping[str, Callable[[Float], Float]] | None = None,
) -> Patients:
    """Return `count` patients with covariates from the stated distributions, each with a site and lab of its own.

    Independent sites and labs give the probabilities of a lot from a site and lab drawn at random. `laws` replace the
    specification's distribution of a covariate by a quantile function (of the patients of a simulation).
    """
    identity = np.arange(count, dtype=np.uint64)
    stream = Stream(seed, "release patient", identity)
    covariates: dict[str, Float] = {}
    for covariate in specification.covariates:
        u = stream(f"covariate {covariate.name}")
        if laws is not None and covariate.name in laws:
            covariates[covariate.name] = np.asarray(laws[covariate.name](u), dtype=np.float64)
        elif covariate.probability is not None:
            covariates[covariate.name] = (u < covariate.probability).astype(np.float64)
        else:
            covariates[covariate.name] = covariate.mean + covariate.sd * normal_quantile(u)
    return Patients(identity, covariates, identity.copy(), identity.copy())


def named_places(names: npt.ArrayLike) -> UInt64:
    """Return stable identities of sites or laboratories from their names."""
    text = np.asarray(names, dtype=object)
    known = {str(name): stable_hash(str(name)) for name in set(text.ravel().tolist())}
    return np.array([known[str(name)] for name in text.ravel()], dtype=np.uint64).reshape(text.shape)


def generate_lots(
    specification: ReleaseSpecification,
    patients: Patients,
    seed: int,
    attempt: int = 1,
    attempts_left: int | None = None,
) -> Lots:
    """Return one lot per patient, decided.

    Parameters
    ----------
    specification : ReleaseSpecification
    patients : Patients
    seed : int
    attempt : int
        1 for the first lot of a patient; sites and donors keep their effects over attempts.
    attempts_left : int, optional
        Attempts after this one (default: from the specification's `process.attempts`).

    Raises
    ------
    InputError
        A covariate of the specification is missing, or the attempt is below 1.
    """
    if attempt < 1:
        raise InputError("attempts count from 1", found=attempt)
    left = specification.process.attempts - attempt if attempts_left is None else attempts_left
    n = len(patients)
    lot = Stream(seed, "release lot", patients.identity)
    effects = _effects(specification, patients, seed, attempt)
    terminated = _terminated(specification, patients, seed, attempt)
    retest_ml = np.zeros(n)
    cost = np.full(n, specification.process.cost)
    harvest = specification.process.days
    first_day = np.full(n, harvest)
    last_day = np.full(n, harvest)
    records = []
    for j, attribute in enumerate(specification.attributes):
        latent = attribute.mu + effects[:, j]
        if attribute.name == specification.dose_attribute:
            latent = latent + math.log1p(-specification.sampled_fraction)
        thaw = attribute.post_thaw_shift + attribute.post_thaw_sd * normal_quantile(
            lot(f"{attribute.name}: thaw", attempt)
        )
        thawed = latent + thaw
        tested = thawed if attribute.tested_after_thaw else latent
        found = measure(attribute, tested, lot, Stream(seed, "release lab", patients.lab), attempt)
        low, high = attribute.true_limits
        records.append(
            AttributeRecord(
                name=attribute.name,
                true=attribute.scale.inverse(tested),
                reported=found.reported,
                at_infusion=attribute.scale.inverse(thawed),
                good=(tested >= low) & (tested <= high),
                invalid=found.invalid,
                first_out=found.first_out,
                confirmed=found.confirmed,
                passed=found.passed,
            )
        )
        assay = attribute.assay
        cost += assay.cost * found.runs
        first_day = np.maximum(first_day, harvest + assay.days * found.first_runs)
        last_day = np.maximum(last_day, harvest + assay.days * found.first_runs + assay.retest.days * found.first_out)
        retest_ml += assay.sample_ml * assay.replicates * assay.sessions * (found.runs - 1.0)
    safety = []
    for test in specification.safety:
        safety.append(_safety(test, lot, attempt))
        cost += test.cost
        if not test.after_release:
            first_day = np.maximum(first_day, harvest + test.read_day)
            last_day = np.maximum(last_day, harvest + test.read_day)
    return _decide(
        specification,
        lot,
        attempt,
        left,
        terminated,
        tuple(records),
        tuple(safety),
        retest_ml,
        cost,
        first_day,
        last_day,
    )


def _decide(
    specification: ReleaseSpecification,
    lot: Stream,
    attempt: int,
    left: int,
    terminated: Bool,
    records: tuple[AttributeRecord, ...],
    safety: tuple[SafetyRecord, ...],
    retest_ml: Float,
    cost: Float,
    first_day: Float,
    last_day: Float,
) -> Lots:
    n = terminated.size
    no = np.zeros(n, dtype=np.bool_)
    positive, contaminated, unusable = no.copy(), no.copy(), no.copy()
    for test, safe in zip(specification.safety, safety, strict=True):
        contaminated |= safe.contaminated
        if not test.after_release:
            positive |= safe.positive
    within, confirmed, invalid, unexplained, retested = ~no, positive.copy(), no.copy(), no.copy(), no.copy()
    for attribute, record in zip(specification.attributes, records, strict=True):
        within &= record.good
        confirmed |= record.confirmed
        invalid |= record.invalid
        retest = attribute.assay.retest.results > 0
        unexplained |= record.first_out & record.passed
        retested |= record.first_out & retest
        if attribute.never_use:
            unusable |= record.confirmed
    completed = ~terminated
    good = within & ~contaminated & completed
    bad = completed & ~good
    confirmed &= completed
    # a confirmed failure decides, whatever else stayed without a valid result
    invalid &= completed & ~confirmed
    policy = specification.disposition
    used = (
        confirmed & ~positive & ~unusable & (lot("use out of specification", attempt) < policy.use_out_of_specification)
    )
    remade = (terminated | ((confirmed | invalid) & ~used)) if left > 0 else no
    state = np.full(n, STATE_CODE["in_specification"], dtype=np.int8)
    state[invalid] = STATE_CODE["invalid_assay"]
    state[confirmed] = STATE_CODE["confirmed_out_of_specification"]
    state[terminated] = STATE_CODE["terminated"]
    state[remade] = STATE_CODE["remade"]
    state[used] = STATE_CODE["used_out_of_specification"]
    decision = last_day + policy.review_days + policy.approval_days * used
    pending = completed & retested & (first_day <= policy.as_of_day) & (decision > policy.as_of_day)
    state[pending] = STATE_CODE["retest_pending"]
    dose = np.full(n, math.nan)
    if specification.dose_attribute is not None:
        dose = next(record.at_infusion for record in records if record.name == specification.dose_attribute)
        if specification.product_volume_ml > 0:
            planned = specification.product_volume_ml - specification.sampled_ml
            dose = dose * np.maximum(1.0 - retest_ml / planned, 0.0)
    return Lots(
        attributes=records,
        safety=safety,
        state=state,
        bad=bad,
        good=good,
        out_of_limits=completed & ~within,
        confirmed=confirmed,
        unexplained=unexplained & completed,
        retested=retested & completed,
        first_result_day=np.where(terminated, specification.process.days, first_day),
        decision_day=np.where(terminated, specification.process.days, decision),
        cost=np.where(terminated, specification.process.cost, cost),
        dose=np.where(terminated, math.nan, dose),
    )


def donor_effects(specification: ReleaseSpecification, patients: Patients, seed: int) -> Float:
    """Return the standard normal donor effects of every attribute, shape (n, k), correlated as stated."""
    return _level(specification, "donor", Stream(seed, "release donor", patients.identity), 0)


def _level(specification: ReleaseSpecification, level: str, stream: Stream, occurrence: int) -> Float:
    raw = np.column_stack(
        [normal_quantile(stream(f"{level}: {attribute.name}", occurrence)) for attribute in specification.attributes]
    )
    if level in specification.correlation:
        raw = raw @ cholesky(specification.correlation[level], level).T
    return np.asarray(raw)


def _effects(specification: ReleaseSpecification, patients: Patients, seed: int, attempt: int) -> Float:
    """Return everything that moves a lot from the median lot, on each attribute's scale, shape (n, k)."""
    total = np.zeros((len(patients), len(specification.attributes)))
    if not specification.attributes:
        return total
    streams = {
        "site": (Stream(seed, "release site", patients.site), 0),
        "donor": (Stream(seed, "release donor", patients.identity), 0),
        "run": (Stream(seed, "release run", patients.identity), attempt),
    }
    for level in LEVELS:
        sd = np.array([getattr(attribute, f"{level}_sd") for attribute in specification.attributes])
        if np.any(sd > 0):
            total += sd * _level(specification, level, *streams[level])
    for j, attribute in enumerate(specification.attributes):
        for name, effect in attribute.effects.items():
            total[:, j] += effect * _covariate(patients, name)
    return total


def _covariate(patients: Patients, name: str) -> Float:
    if name not in patients.covariates:
        raise InputError(
            "the patients lack a covariate", found=name, allowed=", ".join(patients.covariates) or "none given"
        )
    return patients.covariates[name]


def _terminated(specification: ReleaseSpecification, patients: Patients, seed: int, attempt: int) -> Bool:
    process = specification.process
    if process.termination_probability == 0.0:
        return np.zeros(len(patients), dtype=np.bool_)
    intercept = float(logit_normal_intercept(process.termination_probability, process.termination_donor_sd))
    donor = normal_quantile(Stream(seed, "release donor", patients.identity)("termination"))
    eta = intercept + process.termination_donor_sd * donor
    for name, effect in process.termination_effects.items():
        eta = eta + effect * _covariate(patients, name)
    u = Stream(seed, "release run", patients.identity)("termination", attempt)
    return np.asarray(u < 0.5 * (1.0 + np.tanh(0.5 * eta)))


def _safety(test: SafetyTest, lot: Stream, attempt: int) -> SafetyRecord:
    contaminated = lot(f"{test.name}: contaminated", attempt) < test.prior
    load = test.organisms_per_ml * np.exp(test.organisms_log_sd * normal_quantile(lot(f"{test.name}: load", attempt)))
    holds = lot(f"{test.name}: sample", attempt) < -np.expm1(-load * test.sample_ml)
    signal = lot(f"{test.name}: detection", attempt)
    grows = contaminated & holds & (signal < test.detection.sensitivity)
    quantile = normal_quantile(np.clip(signal / test.detection.sensitivity, 1e-15, 1 - 1e-15))
    day = test.detection.median_days * np.exp(test.detection.log_sd * quantile)
    mistaken = lot(f"{test.name}: false positive", attempt) < test.false_positive
    by_read = grows & (day <= test.read_day)
    positive = by_read | mistaken
    return SafetyRecord(test.name, contaminated, positive, grows & ~positive)
