"""The answer: three sentences, a verdict only with its threshold and perspective, and a price that really turns it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cartsight.comparison.results import Comparison
from cartsight.comparison.single_arm import run_arms
from cartsight.reporting.answer import answer, by_expected_net_benefit, price_that_turns


def test_three_sentences_with_threshold_perspective_and_evidence(document: dict[str, Any]) -> None:
    sentences = document["answer"]["sentences"]
    assert len(sentences) == 3
    assert sentences[0].startswith("At $150,000 per QALY, for the payer and over 40 years")
    assert "of the parameter draws" in sentences[0]
    assert "95% interval" in sentences[1]
    assert "Monte Carlo error" in sentences[1]
    assert "assumptions or figures not read in their source" in sentences[2]
    assert "figures for tests" in sentences[2]
    text = " ".join(sentences).lower()
    assert "cost-effective" not in text
    assert "nan" not in text.split()


def test_best_arm_has_the_highest_expected_net_benefit(document: dict[str, Any]) -> None:
    row = next(r for r in document["decision"]["net_benefit"] if r["wtp"] == document["decision"]["threshold"])
    best = max(row["arms"], key=lambda name: row["arms"][name]["mean"])
    assert document["answer"]["best_arm"] == best == by_expected_net_benefit(document)[0]
    assert document["answer"]["probability_best"] == document["decision"]["probability_best"][best]


def test_close_probabilities_are_called_close(document: dict[str, Any]) -> None:
    changed = copy.deepcopy(document)
    best, second = by_expected_net_benefit(changed)[:2]
    changed["decision"]["probability_best"] = dict.fromkeys(changed["decision"]["probability_best"], 0.0) | {
        best: 0.52,
        second: 0.48,
    }
    said = answer(changed)
    assert said["close"]
    assert "which is close" in said["sentences"][0]
    changed["decision"]["probability_best"] |= {best: 0.4, second: 0.6}
    assert "although" in answer(changed)["sentences"][0]
    changed["decision"]["probability_best"] |= {best: 0.9, second: 0.1}
    assert not answer(changed)["close"]


def test_monte_carlo_error_is_admitted(document: dict[str, Any]) -> None:
    changed = copy.deepcopy(document)
    changed["decision"]["convergence"]["chance_of_wrong_arm"] = 0.3
    assert "Monte Carlo error alone" in answer(changed)["sentences"][0]


def test_difference_is_turned_when_the_reference_is_best(document: dict[str, Any]) -> None:
    changed = copy.deepcopy(document)
    decision = changed["decision"]
    best, second = by_expected_net_benefit(changed)[:2]
    decision["reference_arm"] = best
    part = {"mean": -2.0, "low": -3.0, "high": -1.0, "standard_error": 0.5}
    decision["differences"] = {second: dict.fromkeys(("effect", "cost", "net_benefit"), part)}
    assert "+2.00 QALYs (95% interval 1.00 to 3.00" in answer(changed)["sentences"][1]


def test_the_price_that_turns_makes_net_benefits_equal(comparison: Comparison, document: dict[str, Any]) -> None:
    """Re-running both arms at that price gives the same net benefit, to rounding."""
    best = document["answer"]["best_arm"]
    found = price_that_turns(document, best)
    assert found is not None
    scenario = comparison.scenario.with_values({f"arms.{found['arm']}.price.per_patient": found["price"]})
    runs = run_arms(scenario, comparison.seed, (found["arm"], found["against"]))
    threshold = scenario.analysis.decision_threshold
    one, two = (threshold * run.effect.mean() - run.cost.mean() for run in runs.values())
    assert one == pytest.approx(two, abs=1e-3)


def test_no_price_is_named_where_none_is_charged(document: dict[str, Any]) -> None:
    changed = copy.deepcopy(document)
    changed["analysis"]["perspective"] = "health_system_at_cost"
    assert price_that_turns(changed, document["answer"]["best_arm"]) is None
    assert "makes products at cost" in answer(changed)["sentences"][0]


@pytest.mark.parametrize(
    ("unit", "value", "said"),
    [
        ("probability", 0.412, "past 0.412 probability"),
        ("days", 2436.0, "past 80 months"),
        ("usd_2024", 81_640.0, "past $81,600"),
    ],
)
def test_turning_point_is_named_in_its_unit(document: dict[str, Any], unit: str, value: float, said: str) -> None:
    changed = copy.deepcopy(document)
    row = changed["decision"]["one_way"]["rows"][0]
    row |= {"switches_at": value, "unit": unit, "label": "the number"}
    sentence = answer(changed)["sentences"][2]
    assert f"the number {said}" in sentence
    assert "no number moved alone" not in sentence
