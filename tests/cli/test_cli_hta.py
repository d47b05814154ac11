"""The commands of the group hta, as a user calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scenario_builder import minimal_scenario, probability
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError

RUNNER = CliRunner()
FEW = ["--patients", "80"]


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


def run_json(*arguments: str) -> dict[str, Any]:
    result = RUNNER.invoke(app, ["hta", *arguments, "--json", "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return dict(json.loads(result.stdout))


def run_text(*arguments: str) -> str:
    result = RUNNER.invoke(app, ["hta", *arguments, "--quiet"], catch_exceptions=False, env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output
    assert max(len(line) for line in result.stdout.splitlines()) <= 100
    return result.stdout


def refuse(*arguments: str) -> InputError:
    result = RUNNER.invoke(app, ["hta", *arguments])
    assert isinstance(result.exception, InputError), (result.exception, result.output)
    return result.exception


def test_partitioned(scenario: str) -> None:
    found = run_json("partitioned", scenario, *FEW, "--arm", "autologous", "--follow-up-months", "24", "--seed", "3")
    assert found["seed"] == 3
    (arm,) = found["arms"]
    assert arm["arm"] == "autologous"
    assert {row["quantity"] for row in arm["extrapolated"]["agreement"]} == {
        "life_years",
        "life_years_discounted",
        "qalys",
        "cost",
    }
    shares = arm["complete_follow_up"]["occupancy"]
    for i in range(len(shares["months"])):
        assert sum(shares[state][i] for state in ("progression-free", "progressed", "dead")) == pytest.approx(1.0)
    assert arm["complete_follow_up"]["totals"]["life_years"] == pytest.approx(
        sum(arm["patients"]["life_years"].values()), rel=1e-3
    )
    text = run_text("partitioned", scenario, *FEW, "--model", "weibull")
    assert "weibull for progression-free" in text
    assert text.count("time zero at the infusion") == 3


def test_partitioned_warns_on_stderr(scenario: str) -> None:
    result = RUNNER.invoke(
        app,
        ["hta", "partitioned", scenario, "--arm", "autologous", "--model", "exponential", "--follow-up-months", "12"],
        catch_exceptions=False,
    )
    assert "warning: autologous: curves cut at 12 months and extrapolated apart" in result.stderr
    assert "warning" not in result.stdout


def test_partitioned_refuses(scenario: str) -> None:
    assert "in_vivo" in str(refuse("partitioned", scenario, "--arm", "in-vivo"))
    assert "unknown survival model" in str(refuse("partitioned", scenario, *FEW, "--model", "weibul"))
    assert "--patients" in str(refuse("partitioned", scenario, "--patients", "3"))


def test_severity(scenario: str) -> None:
    found = run_json("severity", scenario, *FEW)
    shortfall = found["shortfall"]
    assert found["current_care"] == "other_care"
    assert found["discount_rate"] == 0.035
    assert shortfall["absolute"] == pytest.approx(shortfall["without_disease"] - shortfall["with_disease"])
    assert shortfall["proportional"] == pytest.approx(shortfall["absolute"] / shortfall["without_disease"])
    assert shortfall["weight"] in {1.0, 1.2, 1.7}
    assert {arm["arm"] for arm in found["arms"]} == {"autologous", "allogeneic", "in_vivo"}
    assert "PMG36" in found["remarks"][0]
    assert "Proportional shortfall" in run_text("severity", scenario, *FEW, "--current-care", "autologous")
    assert "unknown arm" in str(refuse("severity", scenario, "--current-care", "none"))


def test_scenarios(scenario: str) -> None:
    Path("own.toml").write_text(
        '[scenarios.cheap]\ndescription = "cheap"\nvalues = { "arms.in_vivo.price.per_patient" = 1000 }\n',
        encoding="utf-8",
    )
    found = run_json("scenarios", scenario, *FEW, "--file", "own.toml", "--only", "cheap", "--only", "no cure")
    assert [row["name"] for row in found["rows"]] == ["base case", "no cure", "cheap"]
    base, _, cheap = found["rows"]
    arm = {row["arm"]: row for row in cheap["arms"]}["in_vivo"]
    assert arm["cost"] < {row["arm"]: row for row in base["arms"]}["in_vivo"]["cost"]
    assert set(arm) == {
        "arm", "cost", "qalys", "incremental_cost", "incremental_qalys", "icer", "net_benefit", "incremental_net_benefit",
        "incremental_error", "change", "change_error", "status",
    }  # fmt: skip
    text = run_text("scenarios", scenario, *FEW)
    assert "horizon lifetime" in text and "[2] Allogeneic" in text
    assert "no cure" in str(refuse("scenarios", scenario, "--only", "no cures"))
    assert "cannot be read" in str(refuse("scenarios", scenario, "--file", "missing.toml"))


def test_scenarios_and_severity_over_parameter_draws(scenario: str) -> None:
    options = (*FEW, "--draws", "10")
    found = run_json("scenarios", scenario, "--only", "discount 0 %", *options)
    over = found["parameter_draws"]
    assert over["draws"] == 10 and [row["name"] for row in over["rows"]] == ["base case", "discount 0 %"]
    arms = {arm["arm"]: arm for arm in over["rows"][0]["arms"]}
    assert any(arm["low"] < arm["high"] for arm in arms.values())
    assert "Other best" in run_text("scenarios", scenario, "--only", "discount 0 %", *options)
    assert "Over 10 parameter draws" in run_text("severity", scenario, *options)
    for few in ("3", "-1"):
        assert refuse("severity", scenario, *FEW, "--draws", few).field == "--draws"


def test_single_therapy(scenario: str) -> None:
    found = run_json("single-therapy", scenario, *FEW)
    assert found["comparator"] == "other_care"
    rules = [rule["name"] for rule in found["arms"][0]["scenarios"]["rules"]]
    assert rules == ["full credit", "shared savings", "capped offsets"]
    assert "abstract read" in found["remarks"][0]
    assert "was not read" in run_text("single-therapy", scenario, *FEW)


def test_equity(scenario: str) -> None:
    found = run_json("equity", scenario, *FEW, "--aversion", "0", "--aversion", "2", "--age-limit", "60")
    view = found["arms"][0]["view"]
    assert [row["aversion"] for row in view["by_aversion"]] == [0.0, 2.0]
    assert {row["group"] for row in view["groups"]} <= {
        f"north, {band}, {sex}" for band in ("under 60", "60 and over") for sex in ("women", "men")
    }
    assert "remaining QALYs" in run_json("equity", scenario, *FEW, "--remaining")["health"]
    assert "Equivalent" in run_text("equity", scenario, *FEW)
    assert "aversion" in str(refuse("equity", scenario, *FEW, "--aversion", "-1"))


def test_cheers(scenario: str) -> None:
    found = run_json("cheers", scenario)
    assert len(found["items"]) == 28
    assert sum(found["counts"].values()) == 28
    assert "To write:" in run_text("cheers", "lbcl-third-line-us")
    assert "no such scenario" in str(refuse("cheers", "lbcl"))


def test_export_convergence_and_cheers_of_a_run(scenario: str) -> None:
    made = RUNNER.invoke(
        app,
        ["compare", scenario, "--draws", "12", *FEW, "--workers", "1", "--no-report", "-o", "run", "--quiet"],
        catch_exceptions=False,
    )
    assert made.exit_code == 0
    found = run_json("export", "run", "-o", "run.xlsx")
    assert {"Inputs", "Costs", "QALYs", "Frontier", "CEAC", "Draws"} <= {sheet["name"] for sheet in found["sheets"]}
    assert Path("run.xlsx").read_bytes()[:2] == b"PK"
    assert "exists already" in str(refuse("export", "run", "-o", "run.xlsx"))
    assert "Workbook: run.xlsx" in run_text("export", "run", "-o", "run.xlsx", "--force")
    found = run_json("convergence", "run")
    assert found["draws"] == 12
    assert len(found["margin"]["mean"]) == len(found["checkpoints"]) == len(found["evpi"])
    assert "Independent draws" in run_text("convergence", "run", "--wtp", "50000")
    assert run_json("cheers", "run")["counts"]["answered"] > run_json("cheers", scenario)["counts"]["answered"]
    assert "no such run folder" in str(refuse("convergence", "nowhere"))


def test_a_damaged_run_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "results.json").write_text('{"document_version": 1, "arms": [{"name": 3}]}', encoding="utf-8")
    for command in (
        ["cheers", str(folder)],
        ["export", str(folder), "-o", str(tmp_path / "a.xlsx")],
        ["convergence", str(folder)],
    ):
        assert any(word in str(refuse(*command)) for word in ("damaged", "two arms"))
    (folder / "results.json").write_bytes(b"\xff\xfe{")
    assert "not a results document" in str(refuse("cheers", str(folder)))
    assert not (tmp_path / "a.xlsx").exists()


def test_bad_input_is_one_message_and_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cartsight", "hta", "severity", "lbcl-third-line"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "lbcl-third-line-us" in done.stderr
