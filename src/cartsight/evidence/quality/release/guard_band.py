"""Guard bands: acceptance limits inside the specification, for a stated consumer's risk or the least loss to patients.

One multiple z of the standard deviation of a reportable result is used for all measured attributes. It moves the
acceptance limits inwards by z times that sd on each attribute's scale; it never moves them outwards. Safety tests have no
guard band: a regulator's floor on contaminated lots released is checked, and the day of reading that meets it is found.
Guard bands against a stated risk: JCGM 106:2012, section 8.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from cartsight.core.errors import InputError
from cartsight.evidence.quality.release.lots import Patients, draw_patients, generate_lots
from cartsight.evidence.quality.release.quadrature import closed_form_attribute, exact_risk
from cartsight.evidence.quality.release.specification import ReleaseSpecification, SafetyTest, Target

WIDEST = 3.0
GRID = tuple(round(0.25 * i, 2) for i in range(13))


@dataclass(frozen=True)
class GuardPoint:
    """What a guard band of `multiple` result sd does; probabilities per lot started."""

    multiple: float
    consumers_risk_joint: float
    consumers_risk_conditional: float
    producers_risk_joint: float
    producers_risk_conditional: float
    rejected: float
    expected_loss: float


@dataclass(frozen=True)
class AcceptanceLimit:
    """Acceptance limits of one attribute under a guard band, in reported units."""

    name: str
    band_on_scale: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Choice:
    """A chosen guard band and why."""

    rule: str
    reached: bool
    point: GuardPoint
    limits: tuple[AcceptanceLimit, ...]


@dataclass(frozen=True)
class SafetyFloor:
    """The regulator's floor on contaminated lots released by a safety test, and the reading day that meets it."""

    name: str
    floor: float
    released_contaminated: float
    met: bool
    read_day_needed: float | None


@dataclass(frozen=True)
class GuardBand:
    """The trade-off and the choices that the specification asks for."""

    curve: tuple[GuardPoint, ...]
    for_risk: Choice | None
    for_patients: Choice | None
    safety_floor: tuple[SafetyFloor, ...]
    loss_unit: str


class _Evaluator:
    """Risks as a function of the multiple, on the same lots."""

    def __init__(self, specification: ReleaseSpecification, lots: int, seed: int) -> None:
        self.specification, self.seed = specification, seed
        self.exact = closed_form_attribute(specification) is not None
        self.patients: Patients | None = None if self.exact else draw_patients(specification, lots, seed)

    def at(self, multiple: float) -> GuardPoint:
        changed = self.specification.with_guard_band(multiple)
        try:
            for attribute in changed.attributes:
                low, high = attribute.acceptance
                if not low < high:
                    raise InputError("empty")
        except InputError:
            return self._nothing_accepted(multiple)
        if self.patients is None:
            risk = exact_risk(changed.attributes[0])
            parts = (risk.bad_released, risk.good_rejected, risk.bad_rejected, risk.good_released)
        else:
            made = generate_lots(changed, self.patients, self.seed)
            released, bad = made.in_state("in_specification"), made.out_of_limits
            parts = (
                float(np.mean(bad & released)),
                float(np.mean(made.good & made.confirmed)),
                float(np.mean(bad & made.confirmed)),
                float(np.mean(made.good & released)),
            )
        return self._point(multiple, *parts)

    def _nothing_accepted(self, multiple: float) -> GuardPoint:
        base = self.at(0.0)
        bad = base.consumers_risk_joint + base.rejected - base.producers_risk_joint
        return self._point(multiple, 0.0, 1.0 - bad, bad, 0.0)

    def _point(
        self, multiple: float, bad_released: float, good_rejected: float, bad_rejected: float, good_released: float
    ) -> GuardPoint:
        loss = self.specification.loss
        released, good = bad_released + good_released, good_rejected + good_released
        return GuardPoint(
            multiple,
            bad_released,
            bad_released / released if released > 0 else math.nan,
            good_rejected,
            good_rejected / good if good > 0 else math.nan,
            good_rejected + bad_rejected,
            loss.released_bad * bad_released + loss.rejected_good * good_rejected + loss.rejected_bad * bad_rejected,
        )


def choose_guard_band(
    specification: ReleaseSpecification, *, lots: int | None = None, seed: int | None = None
) -> GuardBand | None:
    """Return the guard-band trade-off, and the band for the stated target and for the stated loss.

    Parameters
    ----------
    specification : ReleaseSpecification
        Its `target` asks for a band that reaches a consumer's risk, its `loss` for the band of least loss.
    lots : int, optional
        Lots simulated per band where there is no closed form (default: at most 20 000).
    seed : int, optional

    Returns
    -------
    GuardBand or None
        None when no measured attribute has both a limit and an assay error.
    """
    if not any(not a.limits.open and a.assay.result_sd > 0 for a in specification.attributes):
        return None
    # the question is the band itself, so bands already in the file are set aside
    bare = replace(specification, attributes=tuple(replace(a, guard_band=0.0) for a in specification.attributes))
    evaluate = _Evaluator(bare, lots or min(specification.lots, 20_000), specification.seed if seed is None else seed)
    curve = tuple(evaluate.at(z) for z in GRID)
    return GuardBand(
        curve=curve,
        for_risk=_for_risk(bare, evaluate, curve, specification.target),
        for_patients=_for_patients(bare, evaluate, curve),
        safety_floor=tuple(
            _floor(test, test.floor_released_contaminated)
            for test in specification.safety
            if test.floor_released_contaminated is not None
        ),
        loss_unit=specification.loss.unit,
    )


def _risk(point: GuardPoint, kind: str) -> float:
    return point.consumers_risk_joint if kind == "joint" else point.consumers_risk_conditional


def _for_risk(
    bare: ReleaseSpecification, evaluate: _Evaluator, curve: tuple[GuardPoint, ...], target: Target | None
) -> Choice | None:
    if target is None:
        return None
    rule = f"smallest band with {target.kind} consumer's risk of at most {target.consumers_risk:g}"
    good = [point for point in curve if _risk(point, target.kind) <= target.consumers_risk]
    if not good:
        return Choice(rule, False, curve[-1], _limits(bare, curve[-1].multiple))
    best = good[0]
    low = max(best.multiple - 0.25, 0.0)
    for _ in range(30 if evaluate.exact else 8):
        if best.multiple - low < 1e-6:
            break
        middle = evaluate.at(0.5 * (low + best.multiple))
        if _risk(middle, target.kind) <= target.consumers_risk:
            best = middle
        else:
            low = middle.multiple
    return Choice(rule, True, best, _limits(bare, best.multiple))


def _for_patients(bare: ReleaseSpecification, evaluate: _Evaluator, curve: tuple[GuardPoint, ...]) -> Choice | None:
    loss = bare.loss
    if not loss.stated:
        return None
    best = min(curve, key=lambda point: point.expected_loss)
    step = 0.125
    for _ in range(8 if evaluate.exact else 4):
        for z in (best.multiple - step, best.multiple + step):
            if 0.0 <= z <= WIDEST:
                point = evaluate.at(z)
                if point.expected_loss < best.expected_loss:
                    best = point
        step *= 0.5
    return Choice(
        f"least expected loss ({loss.unit} per lot), band not below zero", True, best, _limits(bare, best.multiple)
    )


def _limits(bare: ReleaseSpecification, multiple: float) -> tuple[AcceptanceLimit, ...]:
    banded = bare.with_guard_band(multiple)
    return tuple(AcceptanceLimit(a.name, a.guard_band, *a.acceptance) for a in banded.attributes if not a.limits.open)


def detection_probability(test: SafetyTest, read_day: float | None = None) -> float:
    """Return the probability that a contaminated lot is stopped by `read_day`, over loads of contaminated lots."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    load = test.organisms_per_ml * np.exp(test.organisms_log_sd * nodes)
    holds = float(np.sum(-np.expm1(-load * test.sample_ml) * weights) / math.sqrt(2.0 * math.pi))
    seen = holds * test.detection.detected_by(test.read_day if read_day is None else read_day)
    return seen + (1.0 - seen) * test.false_positive


def _floor(test: SafetyTest, floor: float) -> SafetyFloor:
    def missed(day: float) -> float:
        return test.prior * (1.0 - detection_probability(test, day))

    now = missed(0.0 if test.after_release else test.read_day)
    needed: float | None = None
    latest = 60.0
    if missed(0.0) <= floor:
        needed = 0.0
    elif missed(latest) <= floor:
        low, high = 0.0, latest
        while high - low > 1e-4:
            middle = 0.5 * (low + high)
            low, high = (low, middle) if missed(middle) <= floor else (middle, high)
        needed = high
    return SafetyFloor(test.name, floor, now, now <= floor, needed)
