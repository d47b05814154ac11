"""The results document: plain, complete, the same for the same seed, and true to its own sums."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenario_builder import build

from cartsight.comparison.compare import compare
from cartsight.comparison.results import Comparison
from cartsight.comparison.single_arm import run_arms
from cartsight.reporting.summary import summarise, summarise_point_values

KEYS = {
    "document_version", "cartsight_version", "kind", "scenario", "analysis", "seed", "answer", "arms", "decision",
    "reviewer", "validation", "assumptions", "numbers", "sources", "evidence_rows", "methods", "not_modelled", "warnings", "timing",
}  # fmt: skip
ARM_KEYS = {
    "name", "label", "modality", "description", "evidence_note", "price", "metrics", "patients", "statuses", "flow",
    "days_spent", "curves", "deaths", "states", "later_course", "cost_categories", "cost_of_goods", "qalys_by_state", "plant", "resources",
}  # fmt: skip
DECISION_KEYS = {
    "threshold", "reference_arm", "frontier", "differences", "net_benefit", "probability_best", "ranks", "acceptability",
    "acceptability_frontier", "expected_loss", "evpi", "evppi", "plane", "one_way", "threshold_prices", "convergence",
}  # fmt: skip
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "json_output.md"


def test_keys_are_the_documented_ones(document: dict[str, Any]) -> None:
    assert set(document) == KEYS
    assert all(set(arm) == ARM_KEYS for arm in document["arms"])
    assert set(document["decision"]) == DECISION_KEYS
    metric = document["arms"][0]["metrics"]["qalys_per_referred"]
    assert set(metric) == {"title", "unit", "mean", "low", "high", "patient_sd", "monte_carlo_error", "base"}
    guide = GUIDE.read_text(encoding="utf-8")
    missing = [key for key in (*KEYS, *ARM_KEYS, *DECISION_KEYS, *metric) if f"`{key}`" not in guide]
    assert not missing


def test_document_is_plain_json(document: dict[str, Any]) -> None:
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text) == document
    # The arm without a product has no cost of goods: missing, not zero and not NaN.
    other = next(arm for arm in document["arms"] if arm["modality"] == "other_care")
    assert other["metrics"]["cost_of_goods_per_infused"]["mean"] is None
    assert other["cost_of_goods"] is None
    assert other["price"] is None


def test_same_seed_gives_the_same_document_but_for_times(comparison: Comparison, document: dict[str, Any]) -> None:
    again = summarise(compare(comparison.scenario, workers=1))
    assert {**again, "timing": None} == {**document, "timing": None}


def test_patients_are_conserved(document: dict[str, Any]) -> None:
    for arm in document["arms"]:
        assert math.isclose(sum(row["share"] for row in arm["statuses"]), 1.0, abs_tol=1e-12)
        stages, losses = arm["flow"]["stages"], arm["flow"]["losses"]
        assert stages[0]["share"] == 1.0
        for before, after in itertools.pairwise(stages):
            lost = sum(row["patients"] for row in losses if row["after"] == before["name"])
            assert before["patients"] - lost == after["patients"]
        assert stages[-1]["patients"] + sum(row["patients"] for row in losses) == arm["patients"]["referred"]
        curve = arm["curves"]["time_to_infusion"]
        parts = (curve["infused"], curve["died_waiting"], curve["left"], curve["still_waiting"])
        assert np.allclose(np.sum(parts, axis=0), 1.0, atol=5e-5)


def test_phases_add_up_to_the_time_to_infusion(document: dict[str, Any]) -> None:
    for arm in document["arms"]:
        if arm["patients"]["infused"]:
            spent = sum(row["mean_days"] for row in arm["days_spent"])
            assert math.isclose(spent, arm["patients"]["time_to_infusion_days"]["mean"], rel_tol=1e-9)
        else:
            assert arm["days_spent"] == []


def test_categories_add_up_to_the_totals(document: dict[str, Any]) -> None:
    for arm in document["arms"]:
        total = sum(row["discounted"] for row in arm["cost_categories"])
        assert math.isclose(total, arm["metrics"]["cost_per_referred"]["base"], rel_tol=1e-9)
        qalys = sum(row["discounted"] for row in arm["qalys_by_state"])
        assert math.isclose(qalys, arm["metrics"]["qalys_per_referred"]["base"], rel_tol=1e-9)
        goods = arm["cost_of_goods"]
        if goods is not None:
            assert math.isclose(sum(row["total"] for row in goods["categories"]), goods["total"], rel_tol=1e-9)
            assert math.isclose(goods["fixed"] + goods["variable"], goods["total"], rel_tol=1e-9)
            assert 0.0 <= goods["idle"] <= goods["total"]


def test_decision_is_consistent(document: dict[str, Any]) -> None:
    decision = document["decision"]
    assert np.allclose(np.sum(list(decision["acceptability"]["probability"].values()), axis=0), 1.0)
    assert math.isclose(sum(decision["probability_best"].values()), 1.0)
    lowest = np.min(list(decision["expected_loss"]["loss"].values()), axis=0)
    assert np.allclose(lowest, decision["evpi"]["value"], atol=1e-6)
    assert decision["reference_arm"] not in decision["differences"]
    assert set(decision["plane"]["arms"]) == set(decision["differences"])
    row = next(row for row in decision["net_benefit"] if row["wtp"] == decision["threshold"])
    for name, parts in decision["differences"].items():
        assert math.isclose(
            parts["net_benefit"]["mean"], row["arms"][name]["incremental"]["mean"], rel_tol=1e-9, abs_tol=1e-6
        )


def test_every_number_has_its_origin(document: dict[str, Any]) -> None:
    rows = {row["path"]: row for row in document["numbers"]}
    assert rows["population.female"]["evidence_id"] == "EC183"
    assert "EC183" in document["evidence_rows"]
    assert rows["population.waiting_utility"]["source"] == "crump2017scholar1"
    assert rows["arms.autologous.long_term.utility_remission"]["also_used_at"] == [
        "arms.in_vivo.long_term.utility_remission"
    ]
    assert rows["arms.autologous.price.per_patient"]["label"] == "Autologous: price per patient"
    assert {row["path"] for row in document["assumptions"]} <= set(rows)
    assert document["sources"]
    assert {row["topic"] for row in document["not_modelled"]} >= {"all arms", "autologous", "allogeneic", "in_vivo"}


def test_validation_and_warnings(document: dict[str, Any]) -> None:
    assert {row["key"]: row["passes"] for row in document["validation"]} == {"met": True, "missed": False}
    assert any("parameter draws" in warning for warning in document["warnings"])


@pytest.mark.parametrize("arms", [("autologous",), ("other_care",)])
def test_one_arm_and_one_draw(arms: tuple[str, ...]) -> None:
    removed = {name: None for name in ("autologous", "allogeneic", "in_vivo", "other_care") if name not in arms}
    scenario = build(arms=removed, analysis={"patients": 60, "draws": 1})
    document = summarise(compare(scenario, workers=1))
    assert document["decision"]["net_benefit"] is None
    assert len(document["answer"]["sentences"]) == 3
    assert json.dumps(document, allow_nan=False)


def test_point_values_have_no_interval() -> None:
    scenario = build(analysis={"patients": 60})
    document = summarise_point_values(scenario, run_arms(scenario, 3, ("in_vivo",)), seed=3)
    assert document["kind"] == "run"
    assert document["decision"] is None
    metric = document["arms"][0]["metrics"]["qalys_per_referred"]
    assert metric["mean"] is None
    assert metric["low"] is None
    assert metric["base"] > 0
    assert metric["monte_carlo_error"] > 0
    assert "without parameter draws" in document["answer"]["sentences"][1]


@pytest.mark.parametrize("width", [0.0, 1.0])
def test_interval_without_width_is_warned_of(comparison: Comparison, width: float) -> None:
    arm = comparison.arms[0]
    known = comparison.estimates[arm]["qalys_per_referred"]
    given = replace(known, low=known.mean - width / 2, high=known.mean + width / 2)
    estimates = {**comparison.estimates, arm: {**comparison.estimates[arm], "qalys_per_referred": given}}
    warnings = summarise(replace(comparison, estimates=estimates))["warnings"]
    expected = f"{comparison.scenario.arms[arm].label}: parameter uncertainty of QALYs is lost in the noise"
    assert any(warning.startswith(expected) for warning in warnings) == (width == 0.0)
