"""A maker of vector that stops for a while: orders wait for it, or go to a second source that works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from cartsight.scenario import Scenario, load_scenario
from cartsight.scenario.supplies import SecondSource, SupplySource
from cartsight.simulation.pathways import run_flow
from cartsight.studies import autologous_manufacturing

ARM = "autologous-central"


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    study = load_scenario(Path(autologous_manufacturing.__file__).parent / "supply.toml")
    return study.with_analysis(patients=600)


def started(scenario: Scenario, source: dict[str, Any], *, second: bool) -> np.ndarray:
    """Return the sorted days of batch starts of the counted patients, from referral."""
    arm: Any = scenario.arms[ARM]
    vector = arm.supplies["vector"]
    changed = vector.source.model_copy(update=source)
    other = None
    if second:
        # Named only for the days on which the first is closed.
        share = vector.source.failure.at(0.0)
        other = SecondSource(**{name: getattr(vector.source, name) for name in SupplySource.model_fields}, share=share)
    supply = vector.model_copy(update={"source": changed, "second_source": other})
    supplied = arm.model_copy(update={"supplies": {"vector": supply}})
    flow = run_flow(scenario.model_copy(update={"arms": {ARM: supplied}}), ARM, 11)
    return np.sort(flow.trajectories.events("batch started")[1])


def test_an_outage_costs_starts_and_a_second_source_that_works_takes_the_orders(scenario: Scenario) -> None:
    whole = started(scenario, {}, second=False)
    # The warm-up is 730 days: the outage reaches counted patients through the lots it holds back.
    outage = ((640.0, 900.0),)
    alone = started(scenario, {"outages": outage}, second=False)
    helped = started(scenario, {"outages": outage}, second=True)
    # Those who would have waited longest die or leave, so it is the number of starts that tells, not their mean day.
    assert alone.size < 0.9 * whole.size
    assert helped.size > alone.size + 50


def test_an_outage_that_never_comes_changes_nothing(scenario: Scenario) -> None:
    whole = started(scenario, {}, second=False)
    later = started(scenario, {"outages": ((30_000.0, 30_100.0),)}, second=False)
    assert np.array_equal(whole, later)


def test_outages_out_of_order_are_refused(scenario: Scenario) -> None:
    arm: Any = scenario.arms[ARM]
    source = arm.supplies["vector"].source
    fields = {name: getattr(source, name) for name in SupplySource.model_fields}
    with pytest.raises(ValidationError, match="in order of time"):
        SupplySource(**{**fields, "outages": ((100.0, 200.0), (150.0, 300.0))})
