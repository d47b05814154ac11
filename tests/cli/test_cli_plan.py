"""`cartsight plan instance`: JSON keys, tables, messages, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.network import random_instance_text


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cartsight", "plan", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": "/usr/bin:/bin",
            "COLUMNS": "90",
            "PYTHONPATH": ":".join(filter(None, sys.path)),
            "PYTHONUTF8": "1",
        },
    )


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "random.dat"
    path.write_text(random_instance_text(40, "A", 11), encoding="utf-8")
    return str(path)


def test_json_keys_and_replay(file: str) -> None:
    done = run("instance", file, "--max-sites", "2", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    for key in ("objective", "opened_sites", "lines", "cost_per_therapy", "mean_return_days", "gap", "seconds"):
        assert key in answer
    assert answer["status"] == "optimal" and answer["gap"] <= 1e-9
    assert answer["replay_matches"] is True
    assert answer["replay_cost"] == answer["objective"]
    assert len(answer["opened_sites"]) <= 2
    assert answer["cost_per_therapy"] == pytest.approx(answer["objective"] / answer["patients"])
    assert sum(answer["cost"].values()) == pytest.approx(answer["objective"])


def test_table_and_hold(file: str) -> None:
    done = run("instance", file, "--hold", "3")
    assert done.returncode == 0, done.stderr
    assert "the plan holds" in done.stdout
    assert "gap 0" in done.stdout


def test_infeasible_and_malformed_exit_with_two(tmp_path: Path, file: str) -> None:
    path = tmp_path / "crowded.dat"
    path.write_text(random_instance_text(300, "B", 11, plants=1), encoding="utf-8")
    done = run("instance", str(path), "--json")
    assert done.returncode == 2
    assert "infeasible" in done.stderr and "m1" in done.stderr and "days" in done.stderr
    assert done.stdout == ""
    bad = tmp_path / "bad.dat"
    bad.write_text("set c := c1 ;\nparam CIM := m1 x ;\n", encoding="utf-8")
    done = run("instance", str(bad))
    assert done.returncode == 2 and "bad.dat" in done.stderr and "Traceback" not in done.stderr
    assert run("instance", file, "--max-sites", "0").returncode == 2


def test_plan_files_are_listed_and_described() -> None:
    rows = json.loads(run("examples", "--json").stdout)
    assert "lbcl-network-us" in [row["name"] for row in rows]
    assert "technologies" in json.loads(run("schema").stdout)["properties"]


def test_plan_file(tmp_path: Path) -> None:
    done = run(
        "network", "lbcl-network-us", "--patients-per-year", "200", "--draws", "3", "--samples", "2", "--out-of-sample", "5",
        "--information", "2", "--top", "2", "--replications", "3", "--time-limit", "12", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    ahead = answer["years_ahead"]
    # The time allowed is short, so that the gap may be wide; but it is stated, and it is the gap of these two figures.
    assert ahead["gap"] == pytest.approx(1 - ahead["bound"] / ahead["present_value"], abs=1e-6)
    assert len(ahead["served"]) == 5 and all(-1e-6 <= share <= 1 + 1e-6 for share in ahead["served"])
    assert len({plant["process"] for plant in ahead["plants"]}) <= 1  # one licence, one process
    assert {item["process"] for item in answer["screening"]} == {
        f"{level}, {state}" for level in ("partly", "manual", "fully") for state in ("fresh", "frozen")
    }
    assert set(answer["designs"][0]["modes"].values()) <= {"air", "road"}
    assert answer["patients_per_year"] == pytest.approx(300.0)  # 200 grown by half in the fifth year
    assert run("network", "lbcl-network-us", "--candidates", "a").returncode == 2
    bad = tmp_path / "plan.toml"
    bad.write_text('name = "x"\nscenario = "lbcl-third-line-us"\nplant = 3\n', encoding="utf-8")
    done = run("network", str(bad))
    assert done.returncode == 2 and "Did you mean 'plants'" in done.stderr and "Traceback" not in done.stderr


def test_network_json() -> None:
    done = run(
        "network", "lbcl-third-line-us", "--candidates", "central,east", "--draws", "5", "--samples", "2",
        "--out-of-sample", "10", "--information", "5", "--top", "2", "--replications", "3", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["gap"] <= 1e-3 and answer["screening"][0]["gap"] <= 1e-3
    assert answer["draws"] == 5 and answer["candidate_sites"] == 2
    first = answer["designs"][0]
    assert first["simulated"]["cost_per_infused"]["low"] <= first["simulated"]["cost_per_infused"]["high"]
    assert first["prediction_error"]["share_infused"]["mean"] == pytest.approx(
        first["simulated"]["share_infused"]["mean"] - first["predicted"]["share_infused"], abs=1e-9
    )
    known = answer["information"]
    slack = 1 + 2 * known["largest_gap"]
    assert known["wait_and_see"] <= known["recourse_problem"] * slack <= known["expected_value_solution"] * slack**2
    assert known["value_of_perfect_information"] >= -1e-3 * known["recourse_problem"]
    assert any(design["survives"] for design in answer["designs"])
    assert run("network", "lbcl-third-line-us", "--arm", "nope").returncode == 2
    assert run("network", "lbcl-third-line-us", "--draws", "1").returncode == 2
