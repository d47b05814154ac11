"""Study 3C: every question answered with computed figures, an interval, a chart and what would change it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError
from cartsight.scenario import load_scenario
from cartsight.studies import StudyResult, find_study, study_codes
from cartsight.studies.commercial_models import larger
from cartsight.studies.commercial_models.agreements import contracts_at
from cartsight.studies.commercial_models.patients import COMPARATOR, PRODUCT, study_draw
from cartsight.studies.commercial_models.study import SCENARIO
from cartsight.studies.commercial_models.verdict import Rule, apply, rules
from cartsight.studies.page import study_page

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def result() -> StudyResult:
    # Two draws of the population question cost most of the study; the question itself is tested below.
    monkey = pytest.MonkeyPatch()
    monkey.setattr(larger, "MOST_DRAWS", 2)
    monkey.setattr(larger, "MULTIPLES", (1.0, 2.0))
    try:
        return find_study("3c").run(draws=4)
    finally:
        monkey.undo()


def test_every_question_has_figures_a_chart_and_what_would_change_it(result: StudyResult) -> None:
    assert [answer.question for answer in result.answers] == list(find_study("3C").questions)
    for answer in result.answers:
        assert answer.figures and answer.rows and answer.would_change and answer.weakest
        assert answer.chart.startswith("<svg") and "aria-label" in answer.chart
        assert any(figure.low is not None for figure in answer.figures)
        for figure in answer.figures:
            assert math.isfinite(figure.value)
            if figure.low is not None and figure.high is not None:
                assert figure.low <= figure.high
        assert "nan" not in answer.answer
    assert result.assumptions and result.sources


def test_page_and_json(result: StudyResult) -> None:
    page = study_page(result)
    assert page.count("<svg") == 3 and "<script" not in page
    document = json.loads(json.dumps(result.as_dict(charts=False), allow_nan=False))
    assert len(document["answers"]) == 3 and "chart" not in document["answers"][0]


def test_one_break_even_price_whatever_question_asks(result: StudyResult) -> None:
    verdicts, larger = ({figure.label: figure for figure in answer.figures} for answer in result.answers[1:])
    shared = [label.removeprefix("break-even price, ") for label in larger if label.startswith("break-even price")]
    assert len(shared) == 2
    for rule in shared:
        first, second = verdicts[f"price worth paying, {rule}"], larger[f"break-even price, {rule}"]
        assert (second.value, second.low, second.high) == (first.value, first.low, first.high)


def test_eight_contracts_for_two_payers_in_two_worlds(result: StudyResult) -> None:
    rows = result.answers[0].rows
    assert len(rows) == 8 * 2 * 2 and len(contracts_at(1.0)) == 8
    small = {(r["contract"], r["world"]): r["SD over pools"] for r in rows if r["payer"] == "small"}
    large = {(r["contract"], r["world"]): r["SD over pools"] for r in rows if r["payer"] == "large"}
    assert all(large[key] < small[key] for key in small)


def test_verdict_identities() -> None:
    scenario = load_scenario(SCENARIO)
    draw = study_draw(scenario, 7)
    new, old = draw.value[PRODUCT, 0.03], draw.value[COMPARATOR, 0.03]
    rule = rules()[0]
    found = apply(rule, draw)
    gain = new.qalys - old.qalys
    # At the price worth paying net benefit is zero, and cost per QALY at the list price is net benefit read backwards.
    assert rule.threshold * gain - (new.other_cost - old.other_cost) == pytest.approx(found.price * new.paid)
    assert found.ratio == pytest.approx(rule.threshold - found.net_benefit / gain)
    dearer = apply(Rule("x", 0.03, 300_000.0), draw)
    assert dearer.price > found.price and dearer.ratio == pytest.approx(found.ratio)
    assert apply(Rule("y", 0.03, 150_000.0, severity=True), draw).price >= found.price
    # The parts are those of the ordinary run.
    assert draw.value[PRODUCT, 0.015].qalys > new.qalys > draw.value[PRODUCT, 0.035].qalys


def test_capacity_that_grows_treats_more() -> None:
    scenario = load_scenario(SCENARIO)
    price = scenario.arms[PRODUCT].price.per_patient.x  # type: ignore[union-attr]
    one = larger._figures(larger.larger_population(scenario, 1.0, capacity=False), 7, price)
    stuck = larger._figures(larger.larger_population(scenario, 2.0, capacity=False), 7, price)
    grown = larger._figures(larger.larger_population(scenario, 2.0, capacity=True), 7, price)
    assert one["treated"] <= stuck["treated"] < grown["treated"]
    assert grown["referred"] == pytest.approx(2 * one["referred"], rel=0.05)
    assert grown["treated"] == pytest.approx(2 * one["treated"], rel=0.1)


def test_command(tmp_path: Path) -> None:
    listed = RUNNER.invoke(app, ["study", "list", "--json"], catch_exceptions=False)
    assert [s["code"] for s in json.loads(listed.stdout)["studies"]] == list(study_codes())
    wrong = RUNNER.invoke(app, ["study", "9Z"])
    assert isinstance(wrong.exception, InputError) and "3C" in str(wrong.exception)
    few = RUNNER.invoke(app, ["study", "3C", "--draws", "1"])
    assert isinstance(few.exception, InputError)
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    taken = RUNNER.invoke(app, ["study", "3C", "--output", str(file)])
    assert isinstance(taken.exception, InputError)


def test_command_writes_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: StudyResult) -> None:
    from dataclasses import replace

    from cartsight.studies.commercial_models import study as module

    monkeypatch.setattr(module, "STUDY", replace(module.STUDY, run=lambda **_: result))
    target = tmp_path / "out"
    done = RUNNER.invoke(app, ["study", "3C", "--output", str(target), "--json"], catch_exceptions=False)
    assert done.exit_code == 0 and json.loads(done.stdout)["code"] == "3C"
    assert (target / "study.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert json.loads((target / "study.json").read_text(encoding="utf-8"))["code"] == "3C"
