"""All views for reviewers as one plain document, consistent with the runs they come from."""

from __future__ import annotations

import json

import pytest
from scenario_builder import build, minimal_scenario, probability

from cartsight.comparison.parameter_draws import draw_parameters
from cartsight.comparison.single_arm import run_arms
from cartsight.reporting.hta_document import hta_document, qaly_state_means, total_qalys

SCENARIO = build(analysis={"patients": 100})


def test_one_document_with_all_views() -> None:
    base = run_arms(SCENARIO, 7)
    document = hta_document(SCENARIO, base)
    assert set(document) == {
        "partitioned", "severity", "scenarios", "single_therapy", "equity", "qalys_by_state", "parameter_draws", "left_out",
    }  # fmt: skip
    assert document["parameter_draws"] is None and document["left_out"] == {}
    json.dumps(document, allow_nan=False)
    assert [view["arm"] for view in document["partitioned"]] == ["autologous", "allogeneic", "in_vivo"]
    assert len(document["scenarios"]["rows"]) == 14
    for name, run in base.items():
        row = next(arm for arm in document["scenarios"]["rows"][0]["arms"] if arm["arm"] == name)
        assert row["qalys"] == run.effect.mean()
        assert total_qalys(document["qalys_by_state"][name]) == pytest.approx(run.effect.mean(), rel=1e-12)


def test_without_prices_there_is_no_value_based_price() -> None:
    raw = minimal_scenario()
    raw["arms"] = {name: raw["arms"][name] for name in ("in_vivo", "other_care")}
    scenario = build(raw, analysis={"patients": 60, "perspective": "health_system_at_cost"})
    assert hta_document(scenario, run_arms(scenario, 7))["single_therapy"] is None


def test_states_are_means_over_the_referred() -> None:
    run = run_arms(SCENARIO, 7, ("other_care",))["other_care"]
    states = qaly_state_means(run)
    assert states["in response"] == {"discounted": 0.0, "undiscounted": 0.0}
    assert states["other care"]["undiscounted"] > states["other care"]["discounted"] > 0.0


def test_cheap_views_alone() -> None:
    base = run_arms(SCENARIO, 7)
    document = hta_document(SCENARIO, base, partitioned=False)
    assert document["partitioned"] is None and document["scenarios"] is not None


def test_the_first_draws_of_a_comparison_give_intervals() -> None:
    scenario = build(
        analysis={"patients": 60, "draws": 16},
        arms={"autologous": {"efficacy": {"complete_response": probability(0.5, low=0.3, high=0.7, interval="range")}}},
    )
    parameters = draw_parameters(scenario, 16, 7)
    document = hta_document(
        scenario, run_arms(scenario, 7), partitioned=False, parameters=parameters, draws=12, workers=1
    )
    spread = document["parameter_draws"]
    assert spread["draws"] == 12 and spread["severity"]["draws"] == 12
    assert [row["name"] for row in spread["rows"]] == [row["name"] for row in document["scenarios"]["rows"]]
