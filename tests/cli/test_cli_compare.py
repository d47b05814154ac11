"""The commands compare, run, report and warmup, as a user calls them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from scenario_builder import minimal_scenario, probability
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError

RUNNER = CliRunner()
FEW = ["--draws", "3", "--patients", "60", "--workers", "1"]


def toml(value: Any) -> str:
    """Return a value as inline TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value)


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    raw = minimal_scenario()
    raw["arms"]["autologous"]["efficacy"]["complete_response"] = probability(0.5, low=0.4, high=0.6, interval="range")
    path = tmp_path / "small.toml"
    path.write_text("\n".join(f"{key} = {toml(value)}" for key, value in raw.items()), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return "small.toml"


def refuse(*arguments: str) -> InputError:
    result = RUNNER.invoke(app, arguments)
    assert isinstance(result.exception, InputError), (result.exception, result.output)
    return result.exception


def test_compare_writes_a_run_folder_and_speaks(scenario: str, tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["compare", scenario, *FEW, "--output", "out"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "1. At $150,000 per QALY" in result.stdout
    assert "Report: out/report.html" in result.stdout
    assert "warning: Only 3 parameter draws" in result.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"report.html", "results.json", "resolved.json", "manifest.json", "scenario", "tables"}
    assert {path.name for path in (tmp_path / "out" / "tables").iterdir()} == {
        "patients.parquet", "draws.parquet", "draw_results.parquet", "numbers.parquet",
    }  # fmt: skip


def test_json_is_the_document_and_the_folder(scenario: str, tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["compare", scenario, *FEW, "--no-report", "--json", "--quiet", "--seed", "5"])
    document = json.loads(result.stdout)
    assert result.stderr == ""
    folder = tmp_path / document.pop("run_folder")
    assert folder.parent.name == "runs"
    assert not (folder / "report.html").exists()
    assert json.loads((folder / "results.json").read_text(encoding="utf-8")) == document
    assert document["seed"] == 5
    again = json.loads(
        RUNNER.invoke(
            app, ["compare", scenario, *FEW, "--no-report", "--json", "--quiet", "--seed", "5", "--output", "b"]
        ).stdout
    )
    del again["run_folder"]
    assert {**again, "timing": None} == {**document, "timing": None}
    other = json.loads(
        RUNNER.invoke(
            app, ["compare", scenario, *FEW, "--no-report", "--json", "--quiet", "--seed", "6", "--output", "c"]
        ).stdout
    )
    assert other["arms"][0]["metrics"] != document["arms"][0]["metrics"]


def test_run_gives_point_values_of_chosen_arms(scenario: str, tmp_path: Path) -> None:
    words = ["run", scenario, "--arm", "in_vivo", "--arm", "other_care", "--patients", "60", "--output", "p"]
    result = RUNNER.invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert "Point values only: no uncertainty" in result.stdout
    assert "In vivo: " in result.stdout
    document = json.loads((tmp_path / "p" / "results.json").read_text(encoding="utf-8"))
    assert [arm["name"] for arm in document["arms"]] == ["in_vivo", "other_care"]
    assert document["decision"] is None
    assert (tmp_path / "p" / "report.html").exists()
    assert not (tmp_path / "p" / "tables" / "draws.parquet").exists()


def test_report_is_built_from_the_folder_alone(scenario: str, tmp_path: Path) -> None:
    RUNNER.invoke(app, ["compare", scenario, *FEW, "--quiet", "--output", "out"], catch_exceptions=False)
    first = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    (tmp_path / scenario).unlink()
    result = RUNNER.invoke(app, ["report", "out", "--output", "copy.html", "--json"], catch_exceptions=False)
    assert json.loads(result.stdout) == {"report": "copy.html", "run_folder": "out"}
    assert (tmp_path / "copy.html").read_text(encoding="utf-8") == first
    (tmp_path / "out" / "report.html").unlink()
    assert RUNNER.invoke(app, ["report", "out"]).exit_code == 0
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8") == first


def test_warmup(tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["warmup", "--json", "--quiet"], catch_exceptions=False)
    assert math.isfinite(json.loads(result.stdout)["seconds"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--draws", "0"], "analysis.draws"),
        (["--draws", "-5"], "analysis.draws"),
        (["--patients", "3"], "analysis.patients"),
        (["--seed", "-1"], "analysis.seed"),
        (["--workers", "0"], "--workers"),
        (["--decision-years", "0"], "--decision-years"),
        (["--decision-years", "nan"], "--decision-years"),
        (["--output", "small.toml"], "exists already"),
        (["--output", "small.toml/run"], "a part of the path is a file"),
    ],
)
def test_bad_options_are_one_message_and_leave_nothing(
    scenario: str, tmp_path: Path, words: list[str], message: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    error = refuse("compare", scenario, "--quiet", *words)
    assert message in str(error)
    assert "\n" not in str(error)
    assert sorted(tmp_path.rglob("*")) == before


def test_unknown_names(scenario: str) -> None:
    assert "Did you mean 'in_vivo'" in str(refuse("run", scenario, "--arm", "in_vvo"))
    assert "no such scenario" in str(refuse("compare", "no-such-thing"))
    assert "no such run folder" in str(refuse("report", "nowhere"))
