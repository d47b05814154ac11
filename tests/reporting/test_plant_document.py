"""The plant part of the results document: causes, waits and counts that add up."""

from __future__ import annotations

from typing import Any

import pytest

from cartsight.comparison.single_arm import run_arms
from cartsight.reporting.arm_document import arm_document
from cartsight.scenario import load_scenario


@pytest.fixture(scope="module")
def plant() -> dict[str, Any]:
    scenario = load_scenario("plant-floor-example").with_analysis(patients=500)
    name = "autologous-central"
    document = arm_document(run_arms(scenario, 3, (name,))[name], None)
    found: dict[str, Any] = document["plant"]
    return found


def test_causes_add_up_to_the_batches_out_of_specification(plant: dict[str, Any]) -> None:
    causes = plant["causes_out_of_specification"]
    assert causes and sum(causes.values()) == plant["out_of_specification"]


def test_waits_and_counts_are_named_and_not_negative(plant: dict[str, Any]) -> None:
    assert {"line", "quality control"} <= set(plant["waiting_days_per_batch"])
    assert all(days >= 0.0 for days in plant["waiting_days_per_batch"].values())
    assert plant["counts"]["batches started"] == plant["started"]
    assert all(count >= 0.0 for count in plant["counts"].values())
