"""What a release specification does: probabilities of the states, producer's and consumer's risk, with their errors.

Names. *Joint*: probability per lot started of both being bad and being released (consumer) or being good and rejected
(producer). *Conditional*: consumer's risk given release, P(bad | released); producer's risk given a good lot,
P(rejected | good). The other two conditionals are given by their own names, because both readings are in use.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.evidence.quality.release.course import Course, follow_attempts
from cartsight.evidence.quality.release.lots import Lots, draw_patients, generate_lots
from cartsight.evidence.quality.release.quadrature import (
    JointPass,
    closed_form_attribute,
    exact_risk,
    joint_pass_probability,
)
from cartsight.evidence.quality.release.specification import STATES, ReleaseSpecification

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """A probability with its Monte Carlo standard error, or the bound of its quadrature error."""

    probability: float
    standard_error: float


@dataclass(frozen=True)
class ConsumersRisk:
    """Bad lots released. `conditional` is given release; `given_bad` is the share of bad lots that are released."""

    joint: float
    conditional: float
    given_bad: float
    joint_standard_error: float
    conditional_standard_error: float
    conditional_on: str = "released"


@dataclass(frozen=True)
class ProducersRisk:
    """Good lots rejected. `conditional` is given a good lot; `given_rejected` is the share of rejections that hit good lots."""

    joint: float
    conditional: float
    given_rejected: float
    joint_standard_error: float
    conditional_standard_error: float
    conditional_on: str = "good"


@dataclass(frozen=True)
class AttributeRisk:
    """One attribute by itself: truth, first result, confirmed failure, and where its variance comes from.

    `variance_shares` splits the variance of one reportable result on the attribute's scale.
    """

    name: str
    true_bad: Estimate
    first_out: Estimate
    confirmed: Estimate
    invalid: Estimate
    bad_accepted: Estimate
    good_rejected: Estimate
    alone: Estimate
    variance_shares: dict[str, float]


@dataclass(frozen=True)
class SafetyRisk:
    """A safety test: lots contaminated, stopped, stopped by mistake, released contaminated, and found after release."""

    name: str
    contaminated: Estimate
    positive: Estimate
    false_alarm: Estimate
    released_contaminated: Estimate
    positive_after_release: Estimate
    detected_if_contaminated: Estimate


@dataclass(frozen=True)
class ReleaseRisk:
    """The result for one specification.

    Attributes
    ----------
    states : dict
        Final states of a lot, summing to one.
    visited : dict
        Probability of passing through a state on the way (retest, confirmation, unexplained first result).
    true_bad, rejected, released : Estimate
        Completed lots that are truly bad; failures confirmed; released in specification.
    joint_pass : JointPass or None
        Exact probability that every first result is inside, where all errors are normal on the scales.
    days : dict
        Mean and quartiles of the days from start to disposition of released lots, one attempt.
    cost_per_lot : float
        Mean of run and tests of one lot started.
    dose : dict
        Quartiles at infusion of released lots, empty without a dose attribute.
    course : Course
        What a patient gets over all attempts: shares, days and costs with remakes.
    """

    method: str
    lots: int
    seed: int
    states: dict[str, Estimate]
    visited: dict[str, Estimate]
    true_bad: Estimate
    rejected: Estimate
    released: Estimate
    consumers_risk: ConsumersRisk
    producers_risk: ProducersRisk
    attributes: tuple[AttributeRisk, ...]
    safety: tuple[SafetyRisk, ...]
    joint_pass: JointPass | None
    days: dict[str, float]
    cost_per_lot: float
    dose: dict[str, float]
    warnings: tuple[str, ...]
    course: Course | None = None


def share(event: Bool) -> Estimate:
    """Return the share of lots with an event; a zero count keeps the error of the rule of succession, not 0."""
    n = event.size
    p = float(np.mean(event))
    shrunk = (p * n + 0.5) / (n + 1.0)
    return Estimate(p, math.sqrt(shrunk * (1.0 - shrunk) / n))


def _ratio(top: Bool, bottom: Bool) -> Estimate:
    n = int(np.count_nonzero(bottom))
    if n == 0:
        return Estimate(math.nan, math.nan)
    return share(top[bottom])


def evaluate(specification: ReleaseSpecification, seed: int | None = None, lots: int | None = None) -> ReleaseRisk:
    """Return probabilities and risks of a specification.

    One normal attribute without counting, retests or safety tests is integrated exactly; everything else is simulated
    lot by lot.

    Raises
    ------
    InputError
        Fewer than 1 000 lots.
    """
    seed = specification.seed if seed is None else seed
    count = specification.lots if lots is None else lots
    if count < 1000:
        raise InputError("too few lots for a probability", field="lots", found=count, allowed="1 000 or more")
    patients = draw_patients(specification, count, seed)
    made = generate_lots(specification, patients, seed)
    course = follow_attempts(specification, patients, made, seed)
    return replace(summarise(specification, made, seed), course=course)


def summarise(specification: ReleaseSpecification, made: Lots, seed: int) -> ReleaseRisk:
    """Return probabilities and risks from generated lots, exact ones where a closed form exists."""
    released = made.in_state("in_specification")
    states = {name: share(made.in_state(name)) for name in STATES}
    visited = {
        "retest_pending": share(made.retested),
        "unexplained_out_of_specification": share(made.unexplained),
        "confirmed_out_of_specification": share(made.confirmed),
    }
    true_bad, rejected, released_share = share(made.bad), share(made.confirmed), share(released)
    consumers, producers = risks(made)
    method = "simulation"
    attribute = closed_form_attribute(specification)
    if attribute is not None:
        exact = exact_risk(attribute)
        method = "quadrature"

        def known(value: float) -> Estimate:
            return Estimate(value, exact.error)

        true_bad = known(exact.bad_released + exact.bad_rejected)
        rejected = known(exact.good_rejected + exact.bad_rejected)
        released_share = known(exact.good_released + exact.bad_released)
        good = exact.good_released + exact.good_rejected
        consumers = ConsumersRisk(
            exact.bad_released,
            _over(exact.bad_released, released_share.probability),
            _over(exact.bad_released, true_bad.probability),
            exact.error,
            exact.error,
        )
        producers = ProducersRisk(
            exact.good_rejected,
            _over(exact.good_rejected, good),
            _over(exact.good_rejected, rejected.probability),
            exact.error,
            exact.error,
        )
        visited["confirmed_out_of_specification"] = rejected
        states = _exact_states(specification, released_share, rejected, states)
    return ReleaseRisk(
        method=method,
        lots=made.state.size,
        seed=seed,
        states=states,
        visited=visited,
        true_bad=true_bad,
        rejected=rejected,
        released=released_share,
        consumers_risk=consumers,
        producers_risk=producers,
        attributes=tuple(_attribute(specification, made, j) for j in range(len(specification.attributes))),
        safety=tuple(_safety(made, j) for j in range(len(specification.safety))),
        joint_pass=_joint_pass(specification, seed),
        days=_quartiles(made.decision_day[released]),
        cost_per_lot=float(np.mean(made.cost)),
        dose={} if specification.dose_attribute is None else _quartiles(made.dose[released]),
        warnings=remarks(specification),
    )


def risks(made: Lots) -> tuple[ConsumersRisk, ProducersRisk]:
    """Return consumer's and producer's risk of generated lots."""
    released = made.in_state("in_specification")
    bad_released, good_rejected = made.bad & released, made.good & made.confirmed
    joint_c, joint_p = share(bad_released), share(good_rejected)
    given_release, given_good = _ratio(made.bad, released), _ratio(made.confirmed, made.good)
    return (
        ConsumersRisk(
            joint_c.probability,
            given_release.probability,
            _ratio(released, made.bad).probability,
            joint_c.standard_error,
            given_release.standard_error,
        ),
        ProducersRisk(
            joint_p.probability,
            given_good.probability,
            _ratio(made.good, made.confirmed).probability,
            joint_p.standard_error,
            given_good.standard_error,
        ),
    )


def _exact_states(
    specification: ReleaseSpecification, released: Estimate, rejected: Estimate, simulated: dict[str, Estimate]
) -> dict[str, Estimate]:
    policy = specification.disposition
    if math.isfinite(policy.as_of_day):
        return simulated
    zero = Estimate(0.0, 0.0)
    attribute = specification.attributes[0]
    use = 0.0 if attribute.never_use else policy.use_out_of_specification
    failed = rejected.probability
    states = dict.fromkeys(STATES, zero)
    states["in_specification"] = released
    states["used_out_of_specification"] = Estimate(use * failed, rejected.standard_error)
    left = "remade" if specification.process.attempts > 1 else "confirmed_out_of_specification"
    states[left] = Estimate((1.0 - use) * failed, rejected.standard_error)
    return states


def _attribute(specification: ReleaseSpecification, made: Lots, j: int) -> AttributeRisk:
    attribute, record = specification.attributes[j], made.attributes[j]
    assay = attribute.assay
    parts = {
        "site": attribute.site_sd**2,
        "donor": attribute.donor_sd**2,
        "run": attribute.run_sd**2,
        "thaw": attribute.post_thaw_sd**2 if attribute.tested_after_thaw else 0.0,
        "lab": assay.lab_sd**2,
        "session": assay.session_sd**2 / assay.sessions,
        "replicate": assay.replicate_sd**2 / (assay.sessions * assay.replicates),
        "counting": _counting_variance(specification, j),
    }
    total = sum(parts.values())
    others = np.zeros_like(record.confirmed)
    for i, other in enumerate(made.attributes):
        if i != j:
            others |= other.confirmed
    return AttributeRisk(
        name=attribute.name,
        true_bad=share(~record.good),
        first_out=share(record.first_out),
        confirmed=share(record.confirmed),
        invalid=share(record.invalid),
        bad_accepted=share(~record.good & record.passed),
        good_rejected=share(record.good & record.confirmed),
        alone=share(record.confirmed & ~others),
        variance_shares={name: (value / total if total > 0 else math.nan) for name, value in parts.items()},
    )


def _counting_variance(specification: ReleaseSpecification, j: int) -> float:
    """Return the variance of counting at the median lot on the scale (delta method)."""
    attribute = specification.attributes[j]
    assay = attribute.assay
    n = assay.sessions * assay.replicates
    if assay.counted == "binomial":
        p = float(attribute.scale.share(attribute.true_mu))
        return 1.0 / (assay.events * p * (1.0 - p)) / n
    if assay.counted == "poisson":
        expected = max(float(attribute.scale.inverse(attribute.true_mu)) * assay.amount, 1e-12)
        return (1.0 / expected if attribute.scale.name == "log" else expected / assay.amount**2) / n
    return 0.0


def _safety(made: Lots, j: int) -> SafetyRisk:
    record = made.safety[j]
    released = made.in_state("in_specification")
    return SafetyRisk(
        name=record.name,
        contaminated=share(record.contaminated),
        positive=share(record.positive),
        false_alarm=share(record.positive & ~record.contaminated),
        released_contaminated=share(record.contaminated & released),
        positive_after_release=share((record.positive | record.positive_later) & released),
        detected_if_contaminated=_ratio(record.positive, record.contaminated),
    )


def _joint_pass(specification: ReleaseSpecification, seed: int) -> JointPass | None:
    """Return the exact probability that all first results are inside, when every reported result is normal."""
    from cartsight.evidence.quality.release.quadrature import acceptance_on_scale

    limited = [j for j, a in enumerate(specification.attributes) if not a.limits.open]
    if len(limited) < 2 or specification.covariates:
        return None
    chosen = [specification.attributes[j] for j in limited]
    for attribute in chosen:
        assay = attribute.assay
        averaged = assay.sessions * assay.replicates > 1
        normal = not averaged or (attribute.scale.name, assay.result) in (
            ("identity", "mean"),
            ("log", "geometric_mean"),
        )
        censored = math.isfinite(assay.detection_limit)
        if not normal or assay.counted or censored or attribute.name == specification.dose_attribute:
            return None
    covariance = np.zeros((len(chosen), len(chosen)))
    for level in ("site", "donor", "run"):
        sd = np.array([getattr(attribute, f"{level}_sd") for attribute in chosen])
        matrix = specification.level_correlation(level)[np.ix_(limited, limited)]
        covariance += np.outer(sd, sd) * matrix
    extra = [a.assay.result_sd**2 + (a.post_thaw_sd**2 if a.tested_after_thaw else 0.0) for a in chosen]
    covariance += np.diag(extra)
    sd = np.sqrt(np.diag(covariance))
    if np.any(sd == 0):
        return None
    edges = [acceptance_on_scale(attribute) for attribute in chosen]
    centre = np.array([attribute.true_mu + attribute.assay.bias for attribute in chosen])
    lower = (np.array([edge[0] for edge in edges]) - centre) / sd
    upper = (np.array([edge[1] for edge in edges]) - centre) / sd
    return joint_pass_probability(lower, upper, np.round(covariance / np.outer(sd, sd), 14), seed)


def _quartiles(values: Float) -> dict[str, float]:
    known = values[np.isfinite(values)]
    if known.size == 0:
        return {}
    q25, q50, q75 = np.quantile(known, [0.25, 0.5, 0.75])
    return {"mean": float(np.mean(known)), "p25": float(q25), "median": float(q50), "p75": float(q75)}


def _over(top: float, bottom: float) -> float:
    return top / bottom if bottom > 0 else math.nan


def remarks(specification: ReleaseSpecification) -> tuple[str, ...]:
    """Return what a reviewer would ask about the specification."""
    words = []
    for attribute in specification.attributes:
        assay = attribute.assay
        if attribute.limits.open:
            words.append(f"{attribute.name}: no limit is in force, so it is reported and decides nothing")
        if assay.retest.results and assay.retest.rule == "mean_with_first":
            words.append(
                f"{attribute.name}: the retest rule averages an unexplained first failure with the retest; guidance on "
                "out-of-specification results does not accept that as an explanation"
            )
        if math.isfinite(attribute.limits.lower) and 0 < assay.detection_limit > attribute.limits.lower:
            words.append(f"{attribute.name}: the detection limit lies above the lower limit, so good lots near it fail")
        if math.isfinite(attribute.limits.upper) and assay.detection_limit > attribute.limits.upper:
            words.append(f"{attribute.name}: the detection limit lies above the upper limit, so every lot fails")
        if not attribute.limits.open and assay.result_sd == 0 and assay.counted is None:
            words.append(f"{attribute.name}: no assay error is stated, so every decision is right by assumption")
        if assay.result_sd > attribute.true_sd > 0:
            words.append(f"{attribute.name}: the assay varies more than the lots do")
    known = specification.process.days + max(
        [a.assay.days for a in specification.attributes]
        + [test.read_day for test in specification.safety if not test.after_release],
        default=0.0,
    )
    if specification.disposition.as_of_day < known:
        words.append(
            f"as_of_day {specification.disposition.as_of_day:g} lies before the first results (day {known:g}): only retests are held "
            "open, all other lots are shown as they will end"
        )
    if specification.sampled_fraction > 0.1:
        words.append(f"the planned tests use {specification.sampled_fraction:.0%} of the product")
    for test in specification.safety:
        if test.after_release:
            words.append(f"{test.name}: the result arrives after release (conditional release)")
        if test.detection.sensitivity == 1.0 and test.prior > 0:
            words.append(f"{test.name}: every organism in the sample is taken to grow (sensitivity 1)")
    if len(specification.attributes) > 1 and not specification.correlation:
        words.append("no correlation is stated, so attributes fail independently")
    return tuple(words)
