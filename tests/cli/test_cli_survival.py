"""`cartsight survival`: JSON keys, tables, and one message with exit code 2 for every slip."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cartsight.__main__ import main


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["cartsight", "survival", *map(str, words)])
    try:
        main()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda *words: run(capsys, monkeypatch, *words)


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    lines = ["months,died,arm,age"]
    for arm, cure, scale in (("A", 0.4, 8.0), ("B", 0.0, 10.0)):
        time = np.where(rng.uniform(size=120) < cure, np.inf, scale * rng.weibull(1.3, 120))
        stop = rng.uniform(24, 60, 120)
        lines += [
            f"{min(t, c):.4f},{int(t <= c)},{arm},{a:.1f}"
            for t, c, a in zip(time, stop, rng.uniform(40, 80, 120), strict=True)
        ]
    file = tmp_path / "trial.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_fit_json(call: Any, trial: Path) -> None:
    code, out, _ = call(
        "fit", trial, "--time", "months", "--event", "died", "--group", "arm",
        "--models", "weibull,log-normal,mixture_cure_weibull", "--json",
    )  # fmt: skip
    assert code == 0
    record = json.loads(out)
    a, b = record["groups"]
    assert (a["group"], a["n"], b["group"], b["n"]) == ("A", 120, "B", 120)
    assert a["median_interval"][0] < a["median"] < a["median_interval"][1]
    assert {"time", "survival", "low", "high", "at_risk"} <= set(a["landmarks"][0])
    names = [m["name"] for m in a["models"]]
    assert names == ["weibull", "log_normal", "mixture_cure_weibull"]
    for m in a["models"] + b["models"]:
        assert {"name", "parameters", "loglik", "aic", "bic"} <= set(m)
        assert m["aic"] == pytest.approx(-2 * m["loglik"] + 2 * len(m["parameters"]))
    cure = a["models"][2]
    assert cure["cure_fraction_interval"][0] < cure["cure_fraction"] < cure["cure_fraction_interval"][1]
    refused = b["models"][2]
    assert refused["cure_fraction"] is None
    assert refused["cure_fraction_interval"][0] == 0
    assert "reaches 0" in refused["cure_fraction_reason"]
    assert record["log_rank"]["p_value"] < 0.01
    assert all(row["hazard"] >= 0 for row in a["smoothed_hazard"]["table"])
    assert a["best_by_aic"] == "mixture_cure_weibull"
    assert sum(m["aic_weight"] for m in a["models"]) == pytest.approx(1)


def test_fit_with_defaults_covariates_background_and_cut(call: Any, trial: Path, tmp_path: Path) -> None:
    text = trial.read_text().splitlines()
    rows = [text[0] + ",rate,total", *(f"{line},0.001,{0.001 * float(line.split(',')[0])}" for line in text[1:])]
    file = tmp_path / "background.csv"
    file.write_text("\n".join(rows), encoding="utf-8")
    code, out, _ = call(
        "fit", file, "--models", "weibull,mixture_cure_weibull", "--covariates", "age", "--background-hazard", "rate",
        "--background-cumulative", "total", "--smr", 1.3, "--cut", 12, "--landmarks", "6,12,24", "--json", "--quiet",
    )  # fmt: skip
    assert code == 0
    (group,) = json.loads(out)["groups"]
    assert [m["time"] for m in group["landmarks"]] == [6, 12, 24]
    assert "age" in group["models"][0]["parameters"]
    assert group["early_cut"][0]["cut"] == 12


def test_fit_tables_fit_a_terminal(call: Any, trial: Path) -> None:
    code, out, _ = call(
        "fit", trial, "--time", "months", "--event", "died", "--models", "exponential,mixture_cure_weibull"
    )
    assert code == 0
    assert "mixture_cure_weibull" in out
    assert max(map(len, out.splitlines())) <= 100


def test_km_json_and_detection_of_columns(call: Any, trial: Path) -> None:
    code, out, err = call("km", trial, "--group", "arm", "--json")
    assert code == 0
    assert "months" in err and "died" in err
    record = json.loads(out)
    assert record["time_column"] == "months"
    group = record["groups"][0]
    assert group["at_risk"][0]["number"] == 120
    assert {"time", "survival", "low", "high", "at_risk", "events"} <= set(group["curve"][0])
    assert group["restricted_mean"]["standard_error"] > 0


def test_reconstruct(call: Any, tmp_path: Path) -> None:
    clicks, risk, output = tmp_path / "clicks.csv", tmp_path / "risk.csv", tmp_path / "patients.csv"
    t = np.linspace(0, 24, 60)
    lines = [f"{a},{100 * np.exp(-0.05 * a):.3f}" for a in t]
    clicks.write_text("x;y\n" + "\n".join(lines).replace(",", ";"), encoding="utf-8")
    risk.write_text("time,at_risk\n0,200\n6,140\n12,95\n18,60\n24,20\n", encoding="utf-8")
    code, out, err = call("reconstruct", clicks, "--at-risk", risk, "--events", 120, "--output", output, "--json")
    assert code == 0
    record = json.loads(out)
    assert record["n"] == 200
    assert record["diagnostics"]["largest_survival_error"] < 0.02
    assert record["diagnostics"]["events_published"] == 120
    assert [row["published"] for row in record["diagnostics"]["at_risk"]] == [200, 140, 95, 60, 20]
    assert "percent" in err and any("percent" in r for r in record["repairs"])
    assert len(output.read_text().splitlines()) == 201
    assert not list(tmp_path.glob("*.part"))
    code, out, _ = call("fit", output, "--models", "exponential", "--json", "--quiet")
    assert json.loads(out)["groups"][0]["models"][0]["parameters"]["rate"] == pytest.approx(0.05, rel=0.05)
    code, out, _ = call("reconstruct", clicks, "--at-risk", risk)
    assert code == 0 and "Numbers at risk" in out
    # A digitiser writes no header.
    clicks.write_text("\n".join(lines), encoding="utf-8")
    code, again, _ = call("reconstruct", clicks, "--at-risk", risk, "--events", 120, "--json", "--quiet")
    assert code == 0 and json.loads(again)["data"] == record["data"]


def test_landmarks(call: Any, tmp_path: Path) -> None:
    file = tmp_path / "published.csv"
    file.write_text(
        "kind,time,survival,low,high\nsurvival,12,0.60,0.50,0.69\nsurvival,24,0.505,0.40,0.59\n"
        "survival,60,0.426,0.328,0.519\nmedian,25.8,,12.8,\n",
        encoding="utf-8",
    )
    code, out, _ = call("landmarks", file, "--model", "mixture_cure_weibull", "--at", "12,60,120", "--json")
    assert code == 0
    record = json.loads(out)
    assert record["degrees_of_freedom"] == 1
    assert record["parameter_intervals"]["cure_fraction"][0] < 0.42 < record["parameter_intervals"]["cure_fraction"][1]
    assert record["landmarks"][2]["time"] == 120
    code, out, _ = call("landmarks", file, "--model", "mixture_cure_weibull")
    assert code == 0 and "chi-squared" in out


GOOD = "time,event,arm\n1,1,a\n2,0,a\n3,1,b\n4,1,b\n5,1,a\n6,1,b\n"


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        (GOOD, ["--time", "tim"], "Did you mean 'time'"),
        (GOOD, ["--event", "arm"], "indicator"),
        (GOOD, ["--group", "side"], "unknown column"),
        (GOOD, ["--models", "weibul"], "unknown survival model"),
        (GOOD, ["--models", ","], "no models"),
        (GOOD, ["--level", "1.5"], "confidence level"),
        (GOOD, ["--interval", "plane"], "unknown kind of interval"),
        (GOOD, ["--landmarks", "six"], "--landmarks"),
        (GOOD, ["--covariates", "arm"], "text in a column of numbers"),
        (GOOD, ["--background-hazard", "time"], "needs both"),
        (GOOD, ["--cut", "99"], "inside the follow-up"),
        (GOOD.replace("3,1,b", "x,1,b"), [], ":4: time: text in a column of numbers"),
        (GOOD.replace("3,1,b", ",1,b"), [], ":4: time: a number is missing"),
        (GOOD.replace("3,1,b", "nan,1,b"), [], "missing"),
        (GOOD.replace("3,1,b", "inf,1,b"), [], "not finite"),
        (GOOD.replace("3,1,b", "-3,1,b"), [], "negative"),
        (GOOD.replace("3,1,b", "0,1,b"), [], "event at time 0"),
        (GOOD.replace("3,1,b", "3,2,b"), [], "indicator"),
        (GOOD.replace("3,1,b", "3,1"), [], "wrong number of cells"),
        ("time,time\n1,1\n2,1\n", ["--event", "time"], "same name"),
        ("time,event\n", [], "no rows"),
        ("time,event\n1,1\n", [], "one row"),
        ("time,event\n1,0\n2,0\n", [], "no events"),
        ("", [], "empty"),
        ("a,b\n1,1\n2,1\n", [], "no column holds the times"),
    ],
)
def test_bad_input_is_one_message(call: Any, tmp_path: Path, content: str, words: list[str], message: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(content, encoding="utf-8")
    code, out, err = call("fit", file, "--quiet", "--models", "exponential", *words)
    assert code == 2
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


def test_bad_files(call: Any, tmp_path: Path) -> None:
    code, _, err = call("km", tmp_path / "none.csv")
    assert code == 2 and "no such file" in err
    binary = tmp_path / "latin.csv"
    binary.write_bytes("time,event\n1,1\n2,\xe9\n".encode("latin-1"))
    code, _, err = call("km", binary)
    assert code == 2 and "not UTF-8" in err
    large = tmp_path / "large.csv"
    with large.open("wb") as handle:
        handle.seek(100_000_000)
        handle.write(b"0")
    code, _, err = call("km", large)
    assert code == 2 and "too large" in err
    risk = tmp_path / "risk.csv"
    risk.write_text("time,at_risk\n0,10\n5,\n", encoding="utf-8")
    clicks = tmp_path / "clicks.csv"
    clicks.write_text("time,survival\n0,1\n5,0.5\n", encoding="utf-8")
    code, _, err = call("reconstruct", clicks, "--at-risk", risk)
    assert code == 2 and ":3:" in err
    risk.write_text("time,at_risk\n0,10\n5,4\n", encoding="utf-8")
    code, _, err = call("reconstruct", clicks, "--at-risk", risk, "--events", 40)
    assert code == 2 and "total number of events" in err
    code, _, err = call("reconstruct", clicks, "--at-risk", risk, "--output", tmp_path / "no" / "out.csv")
    assert code == 2 and "cannot be written" in err


def test_help_is_quick_and_light() -> None:
    code = "import sys; import cartsight.cli.survival; assert not {'numpy', 'scipy', 'pandas'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
