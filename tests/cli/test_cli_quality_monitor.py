"""`cartsight quality monitor`: what it predicts, what it refuses, and in which words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError
from tests.culture_files import write_cultures

runner = CliRunner()


def run_json(*arguments: str) -> dict[str, Any]:
    result = runner.invoke(app, ["quality", "monitor", *arguments, "--json", "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


def refused(*arguments: str) -> str:
    result = runner.invoke(app, ["quality", "monitor", *arguments])
    assert isinstance(result.exception, InputError), result.output
    return str(result.exception)


@pytest.fixture(scope="module")
def cultures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_cultures(tmp_path_factory.mktemp("cultures"), 80, 3)


def test_finished_and_running_batches_are_judged(cultures: tuple[Path, Path]) -> None:
    found = run_json(str(cultures[0]), "--value-per-day", "5000", "--loss-of-good-batch", "20000")
    assert (found["finished"], found["running"], found["day"]) == (77, 3, 4.0)
    assert found["signals"] == ["glucose", "lactate"]
    assert found["warning"]["area_under_curve"] > 0.9
    assert found["harvest_day"]["error_days"] < 0.6 * found["harvest_day"]["sd_days"]
    running = [batch for batch in found["batches"] if batch["status"] == "running"]
    assert all(0.0 < batch["failure_probability"] < 1.0 and batch["predicted_harvest_day"] > 0 for batch in running)
    stopping = found["stopping"]
    # threshold L / (L + v d), fixed before the outcomes are seen; of the batches that would have ended, days left
    left = stopping["threshold"] * 5000 / (1 - stopping["threshold"])
    assert 20000 / left == pytest.approx(found_days_left(cultures[0]), rel=1e-9)
    assert stopping["rightly"] + stopping["wrongly"] == pytest.approx(stopping["stopped"])
    slow = [b["failure_probability"] for b in found["batches"] if b["status"] == "failed"]
    assert sum(slow) / len(slow) > 0.5


def found_days_left(file: Path) -> float:
    """Return the mean of harvest day less 4, over finished batches."""
    rows = [line.split(",") for line in file.read_text().splitlines()[1:]]
    ends = {row[0]: float(row[5]) for row in rows if row[5]}
    return sum(max(end - 4.0, 0.0) for end in ends.values()) / len(ends)


def test_less_is_known_earlier(cultures: tuple[Path, Path]) -> None:
    late = run_json(str(cultures[0]))
    early = run_json(str(cultures[0]), "--until", "1")
    assert early["day"] == 1.0
    assert early["warning"]["area_under_curve"] < late["warning"]["area_under_curve"]
    assert early["stopping"] is None


def test_spectra_stand_for_the_signal_they_are_calibrated_against(cultures: tuple[Path, Path]) -> None:
    found = run_json(str(cultures[0]), "--spectra", str(cultures[1]), "--calibrate", "glucose", "--derivative", "1")
    assert found["spectra"]["signal"] == "glucose"
    assert found["spectra"]["q_squared"] > 0.5
    assert found["signals"] == ["glucose (spectra)", "lactate"]


def test_a_trajectory_unlike_the_good_ones_is_outside_and_says_where(tmp_path: Path) -> None:
    file, _ = write_cultures(tmp_path, 60, 5)
    lines = file.read_text().splitlines()
    lines = [_spoiled(line) if line.startswith("B059,3,") else line for line in lines]
    file.write_text("\n".join(lines))
    batch = next(b for b in run_json(str(file))["batches"] if b["batch"] == "B059")
    assert batch["outside"] is True
    assert batch["drivers"][0] == "lactate, day 3"


def _spoiled(line: str) -> str:
    cells = line.split(",")
    return ",".join([*cells[:3], f"{float(cells[3]) + 15}", *cells[4:]])


def test_the_table_names_every_batch(cultures: tuple[Path, Path]) -> None:
    result = runner.invoke(app, ["quality", "monitor", str(cultures[0])], catch_exceptions=False)
    assert result.exit_code == 0
    assert "B079" in result.output and "Failure: area under the curve" in result.output


HEADER = "batch,day,glucose,failed,harvest_day\n"


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("batch,glucose\na,1\n", [], "column 'day' is missing"),
        (HEADER + "a,1,5,0,7\n", [], "one batch cannot be compared"),
        (HEADER + "a,1,5,0,7\na,1,5,0,7\nb,1,4,1,8\n", [], "measured twice"),
        (HEADER + "a,1,5,0,7\na,2,5,1,7\nb,1,4,1,8\nb,2,4,1,8\n", [], "two outcomes"),
        (HEADER + "a,1,5,perhaps,7\nb,1,4,1,8\n", [], "yes or no"),
        (HEADER + "a,1,5,0,7\nb,2,4,1,8\n", [], "measured in every batch"),
        (HEADER + "a,1,,0,7\nb,1,4,1,8\n", [], "signal 'glucose' is missing"),
        (HEADER + "a,1,5,,\nb,1,4,,\n", [], "no batch is finished"),
        (HEADER + "a,1,5,0,7\nb,1,4,1,8\n", ["--signals", "glucos"], "Did you mean"),
        (HEADER + "a,1,5,0,7\nb,1,4,1,8\n", ["--until", "0"], "up to that of the judgement"),
        (HEADER + "a,1,5,0,7\nb,1,4,1,8\n", ["--value-per-day", "3"], "needs both"),
        (HEADER + "a,1,5,0,7\nb,1,4,1,8\n", ["--calibrate", "glucose"], "belong together"),
        ("batch,day,failed\na,1,0\nb,1,1\n", [], "no signal"),
        (HEADER + "a,1,5,0,7\nb,1,4,1,8\n", ["--seed", "-1"], "whole number from 0"),
        (HEADER + "a,1,5,0,7\nb,1,4,1,8\n", ["--until", "nan"], "finite number"),
    ],
)
def test_bad_files_get_a_sentence(tmp_path: Path, content: str, options: list[str], words: str) -> None:
    file = tmp_path / "c.csv"
    file.write_text(content)
    assert words in refused(str(file), *options)


def test_too_little_to_learn_from_is_said_and_not_computed(tmp_path: Path) -> None:
    file = tmp_path / "c.csv"
    file.write_text(HEADER + "a,1,5,0,7\nb,1,4,1,8\nc,1,6,0,7\n")
    result = runner.invoke(app, ["quality", "monitor", str(file), "--json"], catch_exceptions=False)
    document = json.loads(result.stdout)
    assert document["warning"] is None and document["control"] is None and document["harvest_day"] is None
    words = " ".join(document["warnings"])
    assert "two of each are needed" in words and "seven are needed" in words and "five are needed" in words
