"""The commands `cartsight economics frontier | uncertainty | consistency`, as a user calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError

RUNNER = CliRunner()

HERC = "strategy,cost,effect\nUC,5000,1\nB,10000,2\nD,35000,4\nE,55000,5\nC,25000,3\nA,12000,1.5\n"


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def run_json(*arguments: str) -> dict[str, Any]:
    result = RUNNER.invoke(app, ["economics", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def refuse(*arguments: str) -> InputError:
    result = RUNNER.invoke(app, ["economics", *arguments])
    assert isinstance(result.exception, InputError), (result.exception, result.output)
    return result.exception


def draws_files(folder: Path, draws: int = 200) -> tuple[str, str]:
    generator = np.random.default_rng(21)
    x = generator.normal(size=draws)
    lines, parameters = ["draw,strategy,cost,effect"], ["draw,gain,noise,fixed"]
    for i in range(draws):
        lines.append(f"{i},old,{100_000 + generator.normal():.4f},{2.0}")
        lines.append(f"{i},new,{220_000 + generator.normal():.4f},{3.5 + x[i]:.6f}")
        parameters.append(f"{i}.0,{x[i]},{generator.normal()},1")
    return write(folder, "draws.csv", "\n".join(lines)), write(folder, "parameters.csv", "\n".join(parameters))


def test_frontier_json(tmp_path: Path) -> None:
    out = run_json("frontier", write(tmp_path, "f.csv", HERC))
    rows = {row["strategy"]: row for row in out["strategies"]}
    assert set(rows["B"]) >= {
        "strategy",
        "cost",
        "effect",
        "status",
        "incremental_cost",
        "incremental_effect",
        "icer",
        "compared_with",
    }
    assert {name: row["status"] for name, row in rows.items()} == {
        "UC": "reference",
        "B": "on_frontier",
        "D": "on_frontier",
        "E": "on_frontier",
        "C": "extended_dominated",
        "A": "dominated",
    }
    assert [rows[name]["icer"] for name in "BDE"] == [5000.0, 12500.0, 20000.0]
    assert rows["UC"]["icer"] is None and rows["A"]["icer"] is None and rows["C"]["icer"] is None
    assert rows["D"]["compared_with"] == "B"


def test_frontier_table_fits_a_terminal(tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["economics", "frontier", write(tmp_path, "f.csv", HERC)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "12,500" in result.stdout and "extended" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_semicolons_other_names_and_byte_order_mark(tmp_path: Path) -> None:
    text = "\ufeffStrategy;Total cost;QALYs;note\nA;1;1;x\n\nB;2;2;y, z\n"
    out = run_json("frontier", write(tmp_path, "f.csv", text))
    assert [row["icer"] for row in out["strategies"]] == [None, 1.0]


POPULATION = ("--population-per-year", "100", "--years", "10")


def test_uncertainty_json(tmp_path: Path) -> None:
    draws, parameters = draws_files(tmp_path)
    out = run_json("uncertainty", draws, "--parameters", parameters, "--wtp", "0:300000:5000", *POPULATION)
    assert set(out) >= {"means", "frontier", "ceac", "ceaf", "evpi", "expected_loss", "evppi"}
    grid = [5000.0 * k for k in range(61)]
    for key in ("ceac", "ceaf", "evpi", "expected_loss"):
        assert out[key]["wtp"] == grid
    ceac = out["ceac"]["probability"]
    assert set(ceac) == {"old", "new"}
    assert np.array(ceac["old"]) + np.array(ceac["new"]) == pytest.approx(np.ones(61))
    assert out["ceaf"]["strategy"][0] == "old" and out["ceaf"]["strategy"][-1] == "new"
    loss = np.array([out["expected_loss"]["loss"][name] for name in ("old", "new")])
    assert loss.min(axis=0) == pytest.approx(np.array(out["evpi"]["value"]))
    assert set(out["evppi"]) == {"gain", "noise", "fixed"}
    gain = out["evppi"]["gain"]
    assert gain["wtp"] == grid
    assert np.array(gain["value"]) == pytest.approx(np.array(out["evpi"]["value"]), rel=0.02, abs=20.0)
    assert np.all(np.array(out["evppi"]["noise"]["value"]) < 0.25 * np.max(gain["value"]))
    assert out["evppi"]["fixed"]["value"] == pytest.approx([0.0] * 61, abs=1e-6)
    patients = 100 * (1 - 1.03**-10) / np.log(1.03)
    assert out["evpi"]["population_patients"] == pytest.approx(patients)
    assert out["evpi"]["population_assumption"] == {"patients_per_year": 100.0, "years": 10.0, "discount_rate": 0.03}
    assert np.array(gain["population_value"]) == pytest.approx(patients * np.array(gain["value"]))
    assert {row["strategy"]: row["status"] for row in out["frontier"]} == {
        "old": "reference",
        "new": "on_frontier",
    }


def test_uncertainty_without_parameters_and_with_groups(tmp_path: Path) -> None:
    draws, parameters = draws_files(tmp_path)
    assert run_json("uncertainty", draws, "--wtp", "50000")["evppi"] == {}
    out = run_json("uncertainty", draws, "--parameters", parameters, "--group", "gain+noise", "--wtp", "0,80000")
    assert set(out["evppi"]) == {"gain", "noise", "fixed", "gain+noise"}
    table = RUNNER.invoke(app, ["economics", "uncertainty", draws, "--parameters", parameters], catch_exceptions=False)
    assert table.exit_code == 0
    assert "EVPPI" in table.stdout
    assert max(map(len, table.stdout.splitlines())) <= 100


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    draws, parameters = draws_files(tmp_path, 60)
    arguments = ["economics", "uncertainty", draws, "--parameters", parameters, "--json", "--seed", "5"]
    assert RUNNER.invoke(app, arguments).stdout == RUNNER.invoke(app, arguments).stdout


def test_consistency_json(tmp_path: Path) -> None:
    text = (
        "study,strategy,comparator,cost,qaly,icer\n"
        'Whittington,CAR-T,Clo-M,"666,754",9.28,"45,871"\n'
        'Whittington,Clo-M,,"337,256",2.10,\n'
        'Furzer,CAR-T,SoC,"442,098",14.90,"53,933"\n'
        'Furzer,SoC,,"86,597",5.05,\n'
    )
    out = run_json("consistency", write(tmp_path, "c.csv", text))
    rows = {(row["study"], row["strategy"]): row for row in out["rows"]}
    good = rows["Whittington", "CAR-T"]
    assert good["icer_recomputed"] == pytest.approx(45_891, abs=0.5)
    assert good["flagged"] is False
    assert good["rounding_interval"][0] < 45_871 < good["rounding_interval"][1]
    assert rows["Furzer", "CAR-T"]["flagged"] is True
    assert [(row["study"], row["line"]) for row in out["flagged"]] == [("Furzer", 4)]
    plain = RUNNER.invoke(app, ["economics", "consistency", write(tmp_path, "c.csv", text)], catch_exceptions=False)
    assert "FLAGGED" in plain.stdout


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "empty"),
        ("strategy,cost\nA,1\n", 1, "'effect' is missing"),
        ("strategy,cost,effect\nA,1,1\n", None, "at least two"),
        ("strategy,cost,effect\nA,1,1\nB,many,2\n", 3, "not a number"),
        ("strategy,cost,effect\nA,1,1\n\n\nB,nan,2\n", 5, "not a number"),
        ("strategy,cost,effect\nA,1,1\nB,2\n", 3, "cells"),
        ("strategy,cost,effect\nA,1,1\nA,2,2\n", 3, "twice"),
        ("strategy,cost,effect\nA,1,1\n,2,2\n", 3, "empty"),
        ("strategy,cost,effect\nA,1,1\nB,12,000,2\n", 3, "cells"),
        ("strategy,cost,cost,effect\nA,1,1,1\n", 1, "two columns"),
    ],
)
def test_bad_frontier_files(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    error = refuse("frontier", write(tmp_path, "bad.csv", text))
    assert error.line == line
    assert words in str(error)
    assert "bad.csv" in str(error)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    assert "no such file" in str(refuse("frontier", str(tmp_path / "absent.csv")))
    assert "folder" in str(refuse("frontier", str(tmp_path)))
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"strategy,cost,effect\nA,1,1\n\xff\xfe,2,2\n")
    error = refuse("frontier", str(binary))
    assert "UTF-8" in str(error) and error.line == 3


@pytest.mark.parametrize(
    ("rows", "line", "words"),
    [
        ("1,a,1,1\n1,b,2,2\n2,a,1,1\n2,b,x,2\n", 5, "not a number"),
        ("1,a,1,1\n1,b,2,2\n2,a,1,1\n2,b,inf,2\n", 5, "not a number"),
        ("1,a,1,1\n1,b,2,2\n2,a,1,1\n", None, "has no row"),
        ("1,a,1,1\n1,b,2,2\n2,a,1,1\n2,b,2,2\n2,b,2,2\n", 6, "second row"),
        ("1,a,1,1\n1,b,2,2\n", None, "two draws"),
        ("1,a,1,1\n2,a,2,2\n", None, "two strategies"),
        ("", None, "no rows"),
        ("1,a,1,1\n1,b,2,2\n2,a,1,1\n2,b,2\n", 5, "cells"),
        ("1,a,1,1\n1,b,2,2\n2,a,1,1,9\n2,b,2,2\n", 4, "cells"),
    ],
)
def test_bad_draws(tmp_path: Path, rows: str, line: int | None, words: str) -> None:
    error = refuse("uncertainty", write(tmp_path, "d.csv", "draw,strategy,cost,effect\n" + rows))
    assert error.line == line
    assert words in str(error)


def test_bad_parameters(tmp_path: Path) -> None:
    draws, _ = draws_files(tmp_path, 50)
    cases = {
        "draw,x\n" + "".join(f"{i},{i}\n" for i in range(49)): "no parameters",
        "draw,x\n" + "".join(f"{i},{i}\n" for i in range(51)): "no results",
        "draw,x\n" + "".join(f"{i},{i if i != 7 else 'low'}\n" for i in range(50)): ":9: x: not a number",
        "draw,x,x\n" + "".join(f"{i},{i},1\n" for i in range(50)): "same name",
        "draw,x\n" + "".join(f"{i % 49},{i}\n" for i in range(50)): "twice",
        "draw\n" + "".join(f"{i}\n" for i in range(50)): "no parameter",
    }
    for text, words in cases.items():
        assert words in str(refuse("uncertainty", draws, "--parameters", write(tmp_path, "p.csv", text)))
    few, parameters = draws_files(tmp_path, 30)
    assert "40 draws" in str(refuse("uncertainty", few, "--parameters", parameters))
    assert "--parameters" in str(refuse("uncertainty", draws, "--group", "a+b"))


@pytest.mark.parametrize("wtp", ["a", "0:10", "10:0:1", "0:10:0", "-5:10:1", "nan", "0:1e9:1", "1:2:3:4", ""])
def test_bad_willingness_to_pay(tmp_path: Path, wtp: str) -> None:
    draws, _ = draws_files(tmp_path, 50)
    assert refuse("uncertainty", draws, f"--wtp={wtp}").field == "--wtp"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("study,cost,icer\na,1,2\n", 1, "QALYs are missing"),
        ("study,cost,qaly\na,1,2\n", 1, "printed ICER is missing"),
        ("study,cost,total_cost,qaly,icer\na,1,1,2,3\n", 1, "two columns"),
        ("study,strategy,cost,qaly,icer\na,X,about 3 or 4,2,3\n", 2, "printed number"),
        ("study,strategy,cost,qaly,icer\n", None, "no rows"),
    ],
)
def test_bad_published_tables(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    error = refuse("consistency", write(tmp_path, "c.csv", text))
    assert error.line == line
    assert words in str(error)


def test_the_process_exits_with_two_and_one_message(tmp_path: Path) -> None:
    path = write(tmp_path, "bad.csv", "strategy,cost,effect\nA,1,1\nB,x,2\n")
    done = subprocess.run(
        [sys.executable, "-m", "cartsight", "economics", "frontier", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "bad.csv:3" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--population-per-year", "100"), "belong together"),
        (("--years", "5"), "belong together"),
        (("--population-per-year", "-1", "--years", "5"), "--population-per-year"),
        (("--population-per-year", "nan", "--years", "5"), "--population-per-year"),
        (("--population-per-year", "10", "--years", "-5"), "--years"),
        (("--population-per-year", "10", "--years", "0"), "--years"),
        (("--population-per-year", "10", "--years", "5", "--discount-rate", "-0.1"), "--discount-rate"),
    ],
)
def test_population_of_a_decision_refuses(tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    draws, _ = draws_files(tmp_path)
    result = RUNNER.invoke(app, ["economics", "uncertainty", str(draws), *options])
    assert isinstance(result.exception, InputError)
    assert words in str(result.exception)
