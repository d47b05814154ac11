"""Costs of what follows in the long run: later lines, transplant, secondary malignancy, care between responses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cartsight.core.units import DAYS_PER_MONTH, DAYS_PER_YEAR
from cartsight.economics.cost_items import Payments, Stays
from cartsight.outcomes.later_course import LaterCourse, uncontrolled_stays
from cartsight.outcomes.result import Outcomes
from cartsight.scenario.arms import ProductArm


def later_payments(later: LaterCourse, arm: ProductArm) -> Iterator[Payments]:
    """Yield the cost at the start of each later line, of each transplant and at each onset of a secondary malignancy."""
    if arm.after_relapse is not None:
        for name, course in later.lines.items():
            who = np.flatnonzero(np.isfinite(course.start_day))
            amount = arm.after_relapse.lines[name].cost_at_start.x
            yield Payments("later lines", who, course.start_day[who], amount)
    if arm.transplant is not None:
        who = np.flatnonzero(np.isfinite(later.transplant_day))
        yield Payments("transplant", who, later.transplant_day[who], arm.transplant.cost.x)
    if arm.secondary_malignancy is not None:
        who = np.flatnonzero(np.isfinite(later.secondary_malignancy_day))
        amount = arm.secondary_malignancy.cost_at_start.x
        yield Payments("secondary malignancy", who, later.secondary_malignancy_day[who], amount)


def later_stays(outcomes: Outcomes, later: LaterCourse, arm: ProductArm) -> Iterator[Stays]:
    """Yield the running costs of later lines, of responses to them, of relapse care between them, of a new cancer.

    A response to a later line is followed up at the rate of later years; relapse care is charged while the disease is out
    of control.
    """
    survival, care = outcomes.survival_days, arm.long_term
    for patient, start, end in uncontrolled_stays(outcomes.relapse_care_day, later, survival):
        yield Stays("relapse care", patient, start, end, care.relapse_care_cost_per_month.x / DAYS_PER_MONTH)
    for name, course in later.lines.items():
        assert arm.after_relapse is not None
        line = arm.after_relapse.lines[name]
        who = np.flatnonzero(course.responded)
        end = np.minimum(course.failure_day[who], survival[who])
        yield Stays("follow-up", who, course.start_day[who], end, care.follow_up_cost_per_year_later.x / DAYS_PER_YEAR)
        if line.cost_per_month is None:
            continue
        who = np.flatnonzero(np.isfinite(course.start_day))
        longest = np.inf if line.paid_for_at_most is None else line.paid_for_at_most.x
        start = course.start_day[who]
        end = np.minimum(np.minimum(course.failure_day[who], survival[who]), start + longest)
        yield Stays("later lines", who, start, end, line.cost_per_month.x / DAYS_PER_MONTH)
    malignancy = arm.secondary_malignancy
    if malignancy is None or malignancy.cost_per_month is None:
        return
    who = np.flatnonzero(np.isfinite(later.secondary_malignancy_day))
    start = later.secondary_malignancy_day[who]
    longest = np.inf if malignancy.lasts is None else malignancy.lasts.x
    end = np.minimum(start + longest, survival[who])
    yield Stays("secondary malignancy", who, start, end, malignancy.cost_per_month.x / DAYS_PER_MONTH)
