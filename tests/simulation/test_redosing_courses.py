"""A later in vivo course is a whole course: as many doses, visits and days as the first."""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.simulation.pathways import run_flow
from cartsight.simulation.pathways import trajectory as t
from tests.scenario_builder import build, days, minimal_scenario, per_year, probability


@pytest.mark.parametrize("doses", [1, 3])
def test_a_second_course_has_the_doses_and_the_intervals_of_the_first(doses: int) -> None:
    raw = minimal_scenario()
    arm = raw["arms"]["in_vivo"]
    arm["doses_per_course"] = doses
    arm["dose_interval"] = days(4.0)
    arm["expression"] = probability(0.0)
    arm["redosing"]["maximum_courses"] = 2
    arm["redosing"]["interval"] = days(28.0)
    arm["redosing"]["immunity"] = per_year(0.0)
    flow = run_flow(build(raw), "in_vivo", 3).trajectories
    infused = flow.infused
    assert (flow.courses[infused] == 2).all()
    visits = np.bincount(flow.events(t.REDOSING_VISIT)[0], minlength=len(flow))
    # Every dose but the first one of the first course, which is the infusion.
    np.testing.assert_array_equal(visits[infused], 2 * doses - 1)
    shipments = np.bincount(flow.events(t.SHIPMENT)[0], minlength=len(flow))
    np.testing.assert_array_equal(shipments[infused], 2)
    last = flow.day[t.REDOSING_VISIT][infused] - flow.day[t.INFUSION][infused]
    stay = last - 28.0 - 2 * 4.0 * (doses - 1)
    # What is left is the stay after the first infusion, before the first interval starts.
    assert (stay > 0.0).all()
