"""`cartsight quality`: option names, JSON keys, and one clear sentence for bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError

runner = CliRunner()

BLOCKS = (
    "252 207 168 113 242 206 146 115; 249 201 187 107 236 197 153 102; 247 193 162 111 246 197 148 104;"
    "250 207 155 108 231 191 159 106; 235 207 140 98 232 186 146 95"
)


def run(*arguments: str) -> dict[str, Any]:
    result = runner.invoke(app, ["quality", *arguments, "--json"])
    assert result.exception is None, result.exception
    return json.loads(result.stdout)


def fails(*arguments: str) -> str:
    result = runner.invoke(app, ["quality", *arguments])
    assert isinstance(result.exception, InputError), (result.exception, result.output)
    return str(result.exception)


def write(path: Path, header: str, *rows: str) -> str:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def turbidimetric(tmp_path: Path) -> str:
    rows = [
        f"{'ST'[j // 4]},{1.5 ** (j % 4)},{value},{block}"
        for block, line in enumerate(BLOCKS.split(";"))
        for j, value in enumerate(line.split())
    ]
    return write(tmp_path / "assay.csv", "preparation,dose,response,block", *rows)


def test_potency_json(turbidimetric: str) -> None:
    factor = str(670 * 16.7 / 25 / (20000 / 40) * 20000)
    found = run("potency", turbidimetric, "--model", "parallel-line", "--design", "rbd", "--assumed-potency", factor)
    potency = found["potencies"][0]
    assert potency["preparation"] == "T"
    assert (potency["potency"], potency["lower"], potency["upper"]) == pytest.approx(
        (19228.5, 18423.4, 20075.2), abs=0.05
    )
    assert {"ratio", "g"} <= set(potency)
    assert found["common_slope"] == pytest.approx(-111.255, abs=5e-4)
    assert found["residual_mean_square"] == pytest.approx(53.9161, abs=5e-5)
    assert found["residual_df"] == 28
    blocks = next(line for line in found["anova"] if line["source"] == "blocks")
    assert set(blocks) >= {"source", "df", "ss", "f", "p"}
    assert blocks["ss"] == pytest.approx(876.75)
    assert {"f_test", "equivalence", "agree"} <= set(found["similarity"])
    assert found["valid"] is True
    assert isinstance(found["warnings"], list)


def test_standard_and_named_assumed_potency(turbidimetric: str) -> None:
    forward = run("potency", turbidimetric, "--design", "rbd")["potencies"][0]
    options = ("--design", "rbd", "--standard", "T", "--assumed-potency", "S=10")
    back = run("potency", turbidimetric, *options)["potencies"][0]
    assert back["preparation"] == "S"
    assert back["potency"] == pytest.approx(10 / forward["ratio"])


def test_suitability_limits_decide(turbidimetric: str) -> None:
    found = run("potency", turbidimetric, "--design", "rbd", "--limit", "interval_width=:1.05")
    assert found["valid"] is False
    failed = [item["name"] for item in found["suitability"] if item["passed"] is False]
    assert failed == ["interval_width"]


def test_single_curve_still_reports_parameters(tmp_path: Path) -> None:
    rows = [
        f"rye,{d},{r}"
        for d, r in [
            (0, 8),
            (0, 7.9),
            (1, 7.5),
            (1, 7.4),
            (2, 6.4),
            (2, 6.0),
            (4, 2.9),
            (4, 2.7),
            (8, 1.0),
            (8, 1.1),
            (16, 0.6),
            (16, 0.5),
        ]
    ]
    path = write(tmp_path / "curve.csv", "preparation,dose,response", *rows)
    found = run("potency", path, "--model", "four-parameter")
    assert found["potencies"] == []
    entry = found["parameters"][0]
    assert set(entry) >= {"preparation", "b", "c", "d", "e", "standard_errors", "ed"}
    assert set(entry["ed"]) == {"10", "50", "90"}
    assert any("no relative potency" in word for word in found["warnings"])


def test_quantal_models(tmp_path: Path) -> None:
    rows = ["S,1,0,12", "S,1.6,3,12", "S,2.5,6,12", "S,4,10,11", "T,1,0,11", "T,1.6,4,12", "T,2.5,8,11", "T,4,10,11"]
    path = write(tmp_path / "quantal.csv", "preparation,dose,responders,total", *rows)
    for model, expected in (("probit", 160.6), ("logit", 162.9), ("gompertz", 158.3)):
        found = run("potency", path, "--model", model, "--assumed-potency", "140")
        assert found["potencies"][0]["potency"] == pytest.approx(expected, abs=0.05)


def test_combine_json(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.csv",
        "estimate,lower,upper,df",
        "18367,17755,19002,20",
        "18003,17415,18610,20",
        "18064,17319,18838,inf",
    )
    found = run("combine", path)
    assert set(found) >= {"weighted", "unweighted", "semi_weighted", "chi_squared", "p_homogeneity", "edition"}
    assert found["weighted"]["df"] is None
    assert run("combine", path, "--edition", "ph-eur-9")["edition"] == "ph-eur-9"


@pytest.fixture
def lots(tmp_path: Path) -> str:
    before, after = [85, 88, 82, 86, 84, 87], [84, 86, 83, 87, 82, 88]
    rows = [f"before,{v},{i}" for i, v in enumerate(before)] + [f"after,{v},{i}" for i, v in enumerate(after)]
    return write(tmp_path / "lots.csv", "group,value,donor", *rows)


def test_comparability_json(lots: str) -> None:
    found = run("comparability", lots, "--margin", "3")
    assert set(found) >= {"mean_difference", "lower", "upper", "p", "power", "lots_needed", "quality_range"}
    assert found["mean_difference"] == pytest.approx(-1 / 3)
    paired = run("comparability", lots, "--margin", "3", "--pair", "donor")
    assert paired["design"] == "paired"
    assert paired["df"] == 5
    ratio = run("comparability", lots, "--margin", "1.25", "--scale", "log")
    assert ratio["ratio_lower"] < ratio["ratio"] < ratio["ratio_upper"]


def test_tolerance_capability_and_charts(lots: str) -> None:
    tolerance = run("tolerance", lots)
    assert tolerance["lower"] < tolerance["mean"] < tolerance["upper"]
    assert tolerance["n"] == 12
    capability = run("capability", lots, "--lsl", "80", "--usl", "92", "--target", "86")
    assert capability["cpk_lower"] < capability["cpk"] < capability["cpk_upper"]
    for kind in ("shewhart", "ewma", "cusum", "westgard"):
        found = run("chart", lots, "--chart", kind, "--target", "70", "--sigma", "2")
        assert found["signals"]
        assert {"index", "value", "rule"} <= set(found["signals"][0])
    means = run("chart", lots, "--chart", "means", "--subgroup", "group")
    assert means["n"] == 2


def test_variance_json_is_reproducible(tmp_path: Path) -> None:
    path = write(
        tmp_path / "v.csv",
        "site,donor,value",
        *[f"{s},{d},{10 + s + 0.3 * d * (-1) ** s + 0.1 * r}" for s in range(3) for d in range(3) for r in range(2)],
    )
    found = run("variance", path, "--structure", "nested", "--seed", "3", "--draws", "400")
    assert list(found["components"]) == ["site", "donor", "residual"]
    assert {"estimate", "lower", "upper", "share", "at_boundary"} <= set(found["components"]["site"])
    assert found == run("variance", path, "--structure", "nested", "--seed", "3", "--draws", "400")


def test_gauge_and_cell_count(tmp_path: Path) -> None:
    rows = [
        f"{p},{o},{10 * p + 0.4 * o + 0.2 * r + 0.05 * p * o}" for p in range(4) for o in range(2) for r in range(2)
    ]
    found = run("gauge", write(tmp_path / "g.csv", "part,operator,value", *rows), "--tolerance", "20")
    assert found["gauge"] == pytest.approx(found["repeatability"] + found["reproducibility"])
    rows = [f"{f},{round(1000 * f + noise)}" for f in (0.1, 0.4, 0.7, 1.0) for noise in (-9, 2, 8)]
    found = run("cell-count", write(tmp_path / "d.csv", "dilution_fraction,count", *rows), "--resamples", "200")
    assert found["slope"] == pytest.approx(1000, rel=0.01)
    assert found["r_squared"] > 0.99


def test_formulae_without_a_file() -> None:
    found = run("oos", "--lower", "0.71", "--upper", "1.41", "--gcv", "0.2", "--bias", "0.12")
    assert found["probability_out_of_specification"] == pytest.approx(0.109514, abs=5e-7)
    found = run("sterility", "--contaminated-share", "0.01", "--containers", "10")
    assert found["detection_by_containers"] == pytest.approx(0.0956, abs=5e-5)


@pytest.mark.parametrize(
    ("header", "rows", "options", "words"),
    [
        ("preparation,dose,response", ["S,1,2", "S,1,3", "T,1,2", "T,1,4"], [], "one dose level"),
        ("preparation,dose,response", ["S,1,2", "S,2,3", "S,1,1", "S,2,4"], [], "no standard"),
        ("preparation,dose,response", ["S,1,-2", "S,2,3", "T,1,1", "T,2,4"], ["--transform", "log"], "above zero"),
        (
            "preparation,dose,response",
            ["S,1,2", "S,1,2", "S,2,3", "S,2,3", "T,1,2", "T,1,2", "T,2,3", "T,2,3"],
            [],
            "zero variance",
        ),
        ("preparation,dose,response", ["S,1,2", "S,2,3", "T,1,2.1", "T,2,3.3"], [], "groups of one"),
        ("preparation,dose,answer", ["S,1,2"], [], "column 'response' is missing"),
        ("preparation,dose,response", ["S,1,two"], [], "needs a number"),
        ("preparation,dose,response", ["S,1"], [], "cells where the header has"),
        ("preparation,dose,response", ["S,1,2", "T,2,3"], ["--standard", "s1"], "standard is not among"),
        ("preparation,dose,response", ["S,1,2", "T,2,3"], ["--model", "paralel-line"], "Did you mean 'parallel-line'"),
        (
            "preparation,dose,response,row,column",
            ["S,1,2,1,1", "S,2,3,1,2", "T,1,2,2,1", "T,2,4,2,2"],
            ["--design", "latin"],
            "Latin square",
        ),
        ("preparation,dose,responders,total", ["S,1,5,3"], ["--model", "probit"], "responders"),
        (
            "preparation,dose,responders,total",
            ["S,1,0,9", "S,2,9,9", "T,1,0,9", "T,2,9,9"],
            ["--model", "logit"],
            "partial response",
        ),
    ],
)
def test_bad_assays_get_one_sentence(
    tmp_path: Path, header: str, rows: list[str], options: list[str], words: str
) -> None:
    assert words in fails("potency", write(tmp_path / "bad.csv", header, *rows), *options)


def test_bad_files_and_options(tmp_path: Path, lots: str) -> None:
    assert "no such file" in fails("potency", str(tmp_path / "none.csv"))
    (tmp_path / "empty.csv").write_text("", encoding="utf-8")
    assert "empty" in fails("tolerance", str(tmp_path / "empty.csv"))
    (tmp_path / "latin1.csv").write_bytes("group,value\nä,1\n".encode("latin-1"))
    assert "UTF-8" in fails("tolerance", str(tmp_path / "latin1.csv"))
    assert "margin" in fails("comparability", lots)
    assert "enclose zero" in fails("comparability", lots, "--lower-margin", "1", "--upper-margin", "2")
    assert "no specification limit" in fails("capability", lots)
    assert "no such chart" in fails("chart", lots, "--chart", "ewm")
    one = write(tmp_path / "one.csv", "group,value", "a,1", "b,2", "b,3")
    assert "groups of one" in fails("comparability", one, "--margin", "1")
    flat = write(tmp_path / "flat.csv", "batch,value", "a,1", "a,1", "b,1", "b,1")
    assert "zero variance" in fails("variance", flat)
    assert "no column" in fails("variance", flat, "--factors", "bach")
    limits = write(tmp_path / "limits.csv", "estimate,lower,upper,df", "2,3,4,10", "2,1,4,10")
    assert "enclose" in fails("combine", limits)


def test_exit_code_is_two_and_the_message_one_line(tmp_path: Path) -> None:
    path = write(tmp_path / "bad.csv", "preparation,dose", "S,1")
    done = subprocess.run(
        [sys.executable, "-m", "cartsight", "quality", "potency", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1


def test_tables_fit_a_terminal(turbidimetric: str, lots: str) -> None:
    for arguments in (["potency", turbidimetric, "--design", "rbd"], ["comparability", lots, "--margin", "3"]):
        result = runner.invoke(app, ["quality", *arguments, "--quiet"], env={"COLUMNS": "100"})
        assert result.exit_code == 0
        assert max(len(line) for line in result.stdout.splitlines()) <= 100


def test_every_json_says_which_program_data_and_seed(tmp_path: Path) -> None:
    import hashlib

    import cartsight

    file = tmp_path / "v.csv"
    file.write_text("value,batch\n" + "\n".join(f"{(7 * k) % 11},{k // 4}" for k in range(20)))
    for arguments in (["variance", str(file), "--seed", "3"], ["tolerance", str(file)], ["chart", str(file)]):
        result = CliRunner().invoke(app, ["quality", *arguments, "--json", "--quiet"], catch_exceptions=False)
        audit = json.loads(result.stdout)["audit"]
        assert audit["cartsight_version"] == cartsight.__version__
        assert audit["files"] == [{"name": "v.csv", "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}]
        if arguments[0] == "variance":
            assert audit["seed"] == 3


def test_equal_responses_and_equal_replicates_of_curves_are_a_sentence(tmp_path: Path) -> None:
    def written(name: str, doses: list[float], law: Callable[[float], float]) -> str:
        rows = [f"{p},{d},{law(d)}" for p in "ST" for d in doses for _ in range(3)]
        (tmp_path / name).write_text("preparation,dose,response\n" + "\n".join(rows))
        return str(tmp_path / name)

    flat = written("flat.csv", [1.0, 2.0, 4.0], lambda d: 5.0)
    steep = written("steep.csv", [1.0, 2.0, 4.0, 8.0, 16.0, 32.0], lambda d: 10 / (1 + (4 / d) ** 2))
    for file, model in ((flat, "parallel-line"), (flat, "slope-ratio"), (steep, "weibull")):
        result = CliRunner().invoke(app, ["quality", "potency", file, "--model", model])
        assert isinstance(result.exception, InputError) and "zero variance" in str(result.exception)
