"""Scenario analyses: the same as running each change whole, paired on the same patients, errors for slips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cartsight.comparison.scenario_analyses import (
    ScenarioAnalysis,
    changed_scenario,
    read_analyses,
    standard_analyses,
)
from cartsight.comparison.scenario_table import run_scenario_table, touches_the_flow
from cartsight.comparison.single_arm import run_arms
from cartsight.core.errors import InputError
from tests.scenario_builder import build, minimal_scenario

SCENARIO = build(analysis={"patients": 150})


def test_every_row_is_the_whole_comparison_run_with_the_change() -> None:
    analyses = standard_analyses(SCENARIO)
    table = run_scenario_table(SCENARIO, analyses)
    assert [row.name for row in table.rows] == ["base case", *(change.name for change in analyses)]
    for change, row in zip(analyses, table.rows[1:], strict=True):
        runs = run_arms(changed_scenario(SCENARIO, change), 7, extra_wait_days=change.extra_wait_days)
        for arm in row.arms:
            assert arm.cost == runs[arm.arm].cost.mean(), (change.name, arm.arm)
            assert arm.qalys == runs[arm.arm].effect.mean(), (change.name, arm.arm)


def test_standard_analyses_are_those_reviewers_ask_for() -> None:
    names = [change.name for change in standard_analyses(SCENARIO)]
    assert names == [
        "discount 0 %",
        "discount 1.5 %",
        "discount 3.5 %",
        "horizon 5 years",
        "horizon 10 years",
        "horizon 20 years",
        "horizon lifetime",
        "products at cost",
        "no cure",
        "prices -25 %",
        "prices -50 %",
        "no wait",
        "wait +30 days",
    ]


def test_directions_that_must_hold() -> None:
    rows = {row.name: {arm.arm: arm for arm in row.arms} for row in run_scenario_table(SCENARIO).rows}
    base = rows["base case"]
    for arm in ("autologous", "allogeneic", "in_vivo"):
        assert rows["discount 0 %"][arm].qalys > base[arm].qalys > rows["discount 3.5 %"][arm].qalys
        assert rows["horizon 5 years"][arm].qalys < rows["horizon 10 years"][arm].qalys <= base[arm].qalys
        assert rows["no cure"][arm].qalys < base[arm].qalys
        assert rows["prices -50 %"][arm].cost < rows["prices -25 %"][arm].cost < base[arm].cost
        assert rows["prices -50 %"][arm].qalys == base[arm].qalys
    assert rows["no wait"]["autologous"].qalys > base["autologous"].qalys > rows["wait +30 days"]["autologous"].qalys


def test_changes_are_paired_and_zero_in_the_base_case() -> None:
    table = run_scenario_table(SCENARIO, [ScenarioAnalysis("nothing", "", analysis={"horizon_years": 40.0})])
    base, same = table.rows
    assert all(arm.change == 0.0 and arm.change_error == 0.0 for arm in (*base.arms, *same.arms))
    reference = next(arm for arm in base.arms if arm.arm == table.reference_arm)
    assert reference.incremental_net_benefit == 0.0
    assert reference.incremental_error == 0.0
    cheaper = run_scenario_table(
        SCENARIO, [ScenarioAnalysis("half", "", values={"arms.in_vivo.price.per_patient": 100_000.0})]
    ).rows[1]
    arm = next(arm for arm in cheaper.arms if arm.arm == "in_vivo")
    # Only who is infused, and when, makes the saving differ between patients: its error is far below that of the whole.
    assert 0.0 < arm.change_error < 0.3 * arm.incremental_error
    assert arm.change > 0.0


def test_a_change_of_the_decision_is_flagged() -> None:
    gift = {f"arms.{arm}.price.per_patient": 0.0 for arm in ("autologous", "allogeneic", "in_vivo")}
    dear = {f"arms.{arm}.price.per_patient": 5e6 for arm in ("autologous", "allogeneic", "in_vivo")}
    rows = run_scenario_table(SCENARIO, [ScenarioAnalysis("gift", "", gift), ScenarioAnalysis("dear", "", dear)]).rows
    assert rows[2].best == "other_care"
    assert rows[1].best != "other_care"
    assert any(row.decision_changes for row in rows[1:])
    assert not rows[0].decision_changes


@pytest.mark.parametrize(
    ("path", "touches"),
    [
        ("arms.autologous.price.per_patient", False),
        ("arms.autologous.efficacy.complete_response", False),
        ("arms.autologous.process.manufacturing", True),
        ("arms.autologous.lymphodepletion", True),
        ("arms.in_vivo.expression", True),
        ("population.other_care.survival.median", False),
        ("population.health_states.fit.death", True),
        ("care_pathway.steps.consult.time", True),
        ("care_pathway.steps.consult.cost", False),
    ],
)
def test_what_touches_the_flow(path: str, touches: bool) -> None:
    assert touches_the_flow(path) is touches


def write(folder: Path, text: str) -> Path:
    path = folder / "analyses.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_own_analyses(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [scenarios.cheap-vivo]
        description = "In vivo at a tenth"
        values = { "arms.in_vivo.price.per_patient" = 20000 }
        [scenarios.short]
        analysis = { horizon_years = 3 }
        extra_wait_days = 10
        """,
    )
    analyses = read_analyses(path)
    assert [change.name for change in analyses] == ["cheap-vivo", "short"]
    assert analyses[1].extra_wait_days == 10.0
    rows = run_scenario_table(SCENARIO, analyses).rows
    assert rows[1].description == "In vivo at a tenth"
    assert max(arm.qalys for arm in rows[2].arms) < 3.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no scenario analyses"),
        ("[scenario.a]\nextra_wait_days = 1", "unknown table.*scenarios"),
        ("[scenarios.a]\n", "changes nothing"),
        ("[scenarios.a]\nvalue = { x = 1 }", "unknown key.*values"),
        ('[scenarios.a]\nvalues = { "arms.in_vivo.expression" = "high" }', "must be a number"),
        ("[scenarios.a]\nvalues = { arms.in_vivo.expression = 1 }", "must be a number.*Quote the path"),
        ("[scenarios.a]\nextra_wait_days = -1", "not negative"),
        ("[scenarios.a]\nanalysis = { seed = 3 }", "cannot be changed"),
        ("[scenarios.a]\nanalysis = { horizon_year = 3 }", "horizon_years"),
        ("[scenarios.a]\ndescription = 3\nextra_wait_days = 1", "must be text"),
        ("[scenarios\n", "not valid TOML"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_analyses(write(tmp_path, text))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (ScenarioAnalysis("a", "", {"arms.in_vivo.prices.per_patient": 1.0}), "no number at this field path.*price"),
        (ScenarioAnalysis("a", "", {"arms.in_vivo.expression": 1.5}), "out of bounds"),
        (ScenarioAnalysis("a", "", {}, {"horizon_years": -1}), "greater than 0"),
        (ScenarioAnalysis("base case", ""), "its own name"),
    ],
)
def test_changes_that_are_not_possible(change: ScenarioAnalysis, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_scenario_table(SCENARIO, [change])


def test_one_arm_is_no_comparison() -> None:
    raw = minimal_scenario()
    raw["arms"] = {"autologous": raw["arms"]["autologous"]}
    with pytest.raises(InputError, match="at least two arms"):
        run_scenario_table(build(raw))


def test_the_flow_is_run_again_only_where_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    table = run_scenario_table(SCENARIO, [ScenarioAnalysis("half price", "", {"arms.in_vivo.price.per_patient": 1e5})])
    monkeypatch.setattr(
        "cartsight.comparison.scenario_table.run_arms", lambda *a, **k: pytest.fail("the flow ran again")
    )
    again = run_scenario_table(SCENARIO, [ScenarioAnalysis("half price", "", {"arms.in_vivo.price.per_patient": 1e5})])
    np.testing.assert_equal([arm.cost for arm in table.rows[1].arms], [arm.cost for arm in again.rows[1].arms])
