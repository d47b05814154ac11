"""Levers of the in vivo arm: net benefit at every setting, what manufacturing can close, and what is left for repeat courses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.scenario.arms import InVivoArm
from cartsight.studies.factorial import settings
from cartsight.studies.in_vivo_manufacturing.arms import LEVERS, MANUFACTURING, PlatformRuns
from cartsight.studies.intervals import span

Float = npt.NDArray[np.float64]

ALL_LEVERS: tuple[str, ...] = ("dose cost", *LEVERS)
LEVER_NAMES = {"dose cost": "dose cost at scale", **LEVERS}
WIDER = (*MANUFACTURING, "expression")


def lever_table(run: PlatformRuns, scale_cost: Float) -> Float:
    """Return net benefit less that of the autologous arm at every setting of all levers, shape (draws, 2**levers)."""
    rows = []
    for draw, cost in zip(run.draws, scale_cost, strict=True):
        if not draw.levers:
            continue
        reference = run.threshold * draw.autologous_effect - draw.autologous_cost
        row = []
        for pulled in settings(len(ALL_LEVERS)):
            names = frozenset(name for name, on in zip(ALL_LEVERS, pulled, strict=True) if on)
            used = float(cost) if "dose cost" in names else draw.own_dose_cost
            row.append(float(draw.levers[names - {"dose cost"}].net_benefit(used, run.threshold)) - reference)
        rows.append(row)
    return np.array(rows)


def lever_share(shares: Float, names: tuple[str, ...] = MANUFACTURING) -> tuple[float, float, float]:
    """Return some levers' share of the sum of all levers: of the means, and 95 % over draws where the sum is positive."""
    columns = [ALL_LEVERS.index(name) for name in names]
    part, whole = shares[:, columns].sum(axis=1), shares.sum(axis=1)
    usable = whole > 0.0
    low, high = span(part[usable] / whole[usable]) if usable.any() else (0.0, 0.0)
    middle = float(part.mean() / whole.mean())
    return middle, min(low, middle), max(high, middle)


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often courses could be repeated to hold the effect, if all else were as with the autologous arm.

    Parameters
    ----------
    per_year : float
        Money per patient-year in remission at which both arms are equal.
    low, high : float
        95 % of draws.
    course_cost : float
        Doses and visits of a course, dose cost at scale.
    """

    per_year: float
    low: float
    high: float
    course_cost: float

    @property
    def months(self) -> float:
        """Shortest interval between courses, in months; infinite where nothing is left for them."""
        return 12.0 * self.course_cost / self.per_year if self.per_year > 0.0 else float("inf")


HELD = frozenset({"expression", "response", "durability", "toxicity"})


def repeats(run: PlatformRuns, scale_cost: Float) -> Repeats:
    """Return what is left for repeat courses when the in vivo arm has the autologous arm's biology as long as it is repeated."""
    arm = run.scenario.arms[run.platform.in_vivo]
    assert isinstance(arm, InVivoArm)
    left, years, costs = [], [], []
    for draw, cost in zip(run.draws, scale_cost, strict=True):
        if draw.levers:
            held = draw.levers[HELD]
            reference = run.threshold * draw.autologous_effect - draw.autologous_cost
            left.append(float(held.net_benefit(cost, run.threshold)) - reference)
            years.append(held.remission_years)
            costs.append(arm.doses_per_course * (float(cost) + arm.redosing.visit_cost.x))
    money, lasting = np.array(left), np.array(years)
    low, high = span(money / lasting)
    return Repeats(float(money.mean() / lasting.mean()), low, high, float(np.mean(costs)))
