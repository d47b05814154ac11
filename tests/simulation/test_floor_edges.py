"""Edges of the floor: point-of-care plants, nothing to count, what is lost on the way of a later course, and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from cartsight.economics.cost_of_goods import cost_of_goods
from cartsight.simulation.pathways import run_flow
from tests.scenario_builder import Raw, build, days, minimal_scenario, number, probability


def point_of_care(**site: Any) -> Raw:
    """Return the autologous arm of the tests with a plant of eight lines at each of the four hospitals."""
    raw = minimal_scenario(analysis={"warm_up_days": 1})
    arm = raw["arms"]["autologous"]
    del arm["sites"]
    arm["at_every_hospital"] = {"lines": 8, "quality_control_lanes": 20, **site}
    return raw


def test_every_hospital_that_will_run_a_version_makes_comparability_lots() -> None:
    raw = point_of_care(processes=["standard", "fast"])
    plan = {"starts_on_day": 50, "lots": 3, "days_per_lot": days(10), "study": days(30), "divergence": probability(0)}
    raw["arms"]["autologous"]["processes"] = {"fast": {"manufacturing": days(3), "comparability": plan}}
    with_version = build(raw)
    plant = run_flow(with_version, "autologous", 1).plant
    assert plant is not None
    assert plant.counts["comparability lots"] == 4 * 3
    held, in_runs = plant.counts["line days held"], plant.counts["line days in runs"]
    assert held - in_runs == pytest.approx(4 * 3 * 10)


def test_a_cost_per_repair_stands_when_nothing_broke() -> None:
    raw = point_of_care(breakdown={"between": days(1e6), "repair": days(1), "run_lost": probability(0)})
    amount = number(1000, "usd_2024/unit")
    raw["arms"]["autologous"]["costs"]["activities"] = {
        "service": {"driver": "repairs", "kind": "other", "amount": amount}
    }
    scenario = build(raw)
    plant = run_flow(scenario, "autologous", 1).plant
    assert plant is not None and plant.counts["repairs"] == 0
    arm = scenario.arms["autologous"]
    assert next(line.total for line in cost_of_goods(arm, plant).lines if line.name == "service") == 0.0  # type: ignore[arg-type]
