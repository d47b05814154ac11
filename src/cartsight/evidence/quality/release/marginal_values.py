"""What one change of an assay, a site, a laboratory or a safety test is worth, on the same lots before and after."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cartsight.evidence.quality.release.lots import Lots, Patients, draw_patients, generate_lots
from cartsight.evidence.quality.release.quadrature import closed_form_attribute, exact_risk
from cartsight.evidence.quality.release.specification import Attribute, ReleaseSpecification, SafetyTest

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Change:
    """A difference after minus before, with the paired Monte Carlo standard error."""

    difference: float
    standard_error: float


@dataclass(frozen=True)
class MarginalValue:
    """What one change does, per lot started unless said otherwise.

    Attributes
    ----------
    action, subject : str
        What is changed, and of which attribute or test.
    rejected, bad_released, good_rejected, wrong_decisions : Change
        Probabilities; a wrong decision is either of the two before it.
    expected_loss : Change
        In the unit of the stated loss.
    cost : Change
        Cost of run and tests.
    days_to_release : Change
        Of lots released in both.
    patient_days_saved_per_100_lots : float
        Days times lots, positive when release comes sooner.
    patients_kept_per_1000_lots : float
        Patients not lost while waiting, from the stated daily hazard.
    contaminated_released : Change
        Lots contaminated and released.
    """

    action: str
    subject: str
    rejected: Change
    bad_released: Change
    good_rejected: Change
    wrong_decisions: Change
    expected_loss: Change
    cost: Change
    days_to_release: Change
    patient_days_saved_per_100_lots: float
    patients_kept_per_1000_lots: float
    contaminated_released: Change


def marginal_values(
    specification: ReleaseSpecification, *, lots: int | None = None, seed: int | None = None
) -> tuple[MarginalValue, ...]:
    """Return the value of each change that applies to the specification.

    Per limited attribute: one more replicate, half the assay error, no site variance, no laboratory variance. Per safety
    test with a rapid alternative: that alternative. Where one normal attribute decides, differences are exact.
    """
    seed = specification.seed if seed is None else seed
    patients = draw_patients(specification, lots or min(specification.lots, 30_000), seed)
    before = generate_lots(specification, patients, seed)
    return tuple(
        _compare(specification, changed, action, subject, patients, before, seed)
        for action, subject, changed in changes(specification)
    )


def changes(specification: ReleaseSpecification) -> list[tuple[str, str, ReleaseSpecification]]:
    """Return (action, subject, changed specification) for every change that applies."""
    found = []
    for attribute in specification.attributes:
        if attribute.limits.open:
            continue
        for action, changed in _attribute_changes(attribute):
            found.append((action, attribute.name, specification.with_attribute(changed)))
    for test in specification.safety:
        if test.rapid is not None:
            safety = tuple(rapid_test(t) if t.name == test.name else t for t in specification.safety)
            found.append(("rapid test", test.name, replace(specification, safety=safety)))
    return found


def rapid_test(test: SafetyTest) -> SafetyTest:
    """Return the test replaced by its rapid alternative."""
    assert test.rapid is not None
    rapid = test.rapid
    return replace(
        test,
        detection=rapid.detection,
        read_day=rapid.read_day,
        false_positive=rapid.false_positive,
        sample_ml=rapid.sample_ml,
        cost=rapid.cost,
        rapid=None,
    )


def _attribute_changes(attribute: Attribute) -> list[tuple[str, Attribute]]:
    assay = attribute.assay
    found = []
    if assay.replicate_sd > 0 or assay.counted:
        found.append(("one more replicate", replace(attribute, assay=replace(assay, replicates=assay.replicates + 1))))
    if assay.result_sd > 0 or assay.counted:
        # half the error of a count takes four times the events
        halved = replace(
            assay.halved(), events=4 * assay.events, amount=4.0 * assay.amount if assay.counted else assay.amount
        )
        found.append(("half the assay error", replace(attribute, assay=halved)))
    if attribute.site_sd > 0:
        found.append(("no site variance", replace(attribute, site_sd=0.0)))
    if assay.lab_sd > 0:
        found.append(("no laboratory variance", replace(attribute, assay=replace(assay, lab_sd=0.0))))
    return found


def _paired(after: npt.NDArray[np.generic], before: npt.NDArray[np.generic]) -> Change:
    difference = after.astype(np.float64) - before.astype(np.float64)
    n = difference.size
    if n == 0:
        return Change(math.nan, math.nan)
    error = float(np.std(difference) / math.sqrt(n))
    if before.dtype == np.bool_:
        # no verdict that changed in n lots is no proof that none ever would: one in 2 n, as for a share of zero
        error = max(error, math.sqrt(0.5) / n)
    return Change(float(np.mean(difference)), error)


def _compare(
    specification: ReleaseSpecification,
    changed: ReleaseSpecification,
    action: str,
    subject: str,
    patients: Patients,
    before: Lots,
    seed: int,
) -> MarginalValue:
    after = generate_lots(changed, patients, seed)
    old, new = _events(before), _events(after)
    loss = specification.loss
    weights = (loss.released_bad, loss.rejected_good, loss.rejected_bad)
    loss_old, loss_new = (
        sum(w * e.astype(np.float64) for w, e in zip(weights, (x[1], x[2], x[3]), strict=True)) for x in (old, new)
    )
    values = {
        "rejected": _paired(new[0], old[0]),
        "bad_released": _paired(new[1], old[1]),
        "good_rejected": _paired(new[2], old[2]),
        "wrong_decisions": _paired(new[1] | new[2], old[1] | old[2]),
        "expected_loss": _paired(np.asarray(loss_new), np.asarray(loss_old)),
    }
    was, now = closed_form_attribute(specification), closed_form_attribute(changed)
    if was is not None and now is not None:
        a, b = exact_risk(was), exact_risk(now)
        error = a.error + b.error
        released, rejected = b.bad_released - a.bad_released, b.good_rejected - a.good_rejected
        found = b.bad_rejected - a.bad_rejected
        values = {
            "rejected": Change(rejected + found, error),
            "bad_released": Change(released, error),
            "good_rejected": Change(rejected, error),
            "wrong_decisions": Change(released + rejected, error),
            "expected_loss": Change(weights[0] * released + weights[1] * rejected + weights[2] * found, error),
        }
    both = before.in_state("in_specification") & after.in_state("in_specification")
    days = _paired(after.decision_day[both], before.decision_day[both])
    saved = -days.difference * float(np.mean(both)) if both.any() else 0.0
    kept = -math.expm1(-specification.loss.waiting_hazard_per_day * abs(days.difference)) if both.any() else 0.0
    return MarginalValue(
        action=action,
        subject=subject,
        **values,
        cost=_paired(after.cost, before.cost),
        days_to_release=days,
        patient_days_saved_per_100_lots=100.0 * saved,
        patients_kept_per_1000_lots=1000.0 * math.copysign(kept, saved) * float(np.mean(both)) if saved else 0.0,
        contaminated_released=_paired(_contaminated_released(after), _contaminated_released(before)),
    )


Events = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]


def _events(lots: Lots) -> Events:
    released = lots.in_state("in_specification")
    return (
        lots.confirmed,
        lots.bad & released,
        lots.good & lots.confirmed,
        lots.bad & lots.confirmed,
    )


def _contaminated_released(lots: Lots) -> npt.NDArray[np.bool_]:
    found = np.zeros(lots.state.size, dtype=np.bool_)
    for record in lots.safety:
        found |= record.contaminated
    return np.asarray(found & lots.in_state("in_specification"))
