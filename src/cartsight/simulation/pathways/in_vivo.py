"""What only products that work in the body do: fill and finish after the drug substance, courses, and redosing."""

from __future__ import annotations

import math

from cartsight.core.distributions import Constant
from cartsight.scenario.arms import InVivoArm
from cartsight.simulation import steps as s
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.depots import doses_of_a_later_course


def later_doses(arm: InVivoArm) -> list[s.Step]:
    """The further doses of a course, whether it is the first course or a later one."""
    steps: list[s.Step] = []
    for number in range(2, arm.doses_per_course + 1):
        assert arm.dose_interval is not None
        steps += [
            s.Delay(f"interval to dose {number}", Constant(arm.dose_interval.x)),
            s.Mark(t.REDOSING_VISIT, log=True),
        ]
    return steps


def expression(arm: InVivoArm) -> list[s.Step]:
    """The course takes or not; if not, another course follows unless neutralising immunity has set in."""
    redosing = arm.redosing
    no_immunity = math.exp(-redosing.immunity.x * redosing.interval.x)
    return [
        s.Chance("expression", arm.expression.x, otherwise="no expression"),
        s.Set("expressed", 1.0),
        s.Jump("courses complete"),
        s.Label("no expression"),
        s.Retry("redosing", redosing.maximum_courses - 1, to="another course", otherwise="courses complete"),
        s.Label("another course"),
        s.Delay("redosing interval", Constant(redosing.interval.x)),
        s.Chance("no immunity against the vector", no_immunity, otherwise="courses complete"),
        *doses_of_a_later_course(arm),
        s.Mark(t.REDOSING_VISIT, log=True),
        s.Add("courses", 1.0),
        s.Jump("first dose given"),
        s.Label("courses complete"),
        s.End(t.INFUSED),
    ]
