"""CSV files compressed by gzip read as the plain ones do; damaged ones are one message."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError

PATIENTS = "months,died\n" + "".join(f"{1 + i % 17},{i % 2}\n" for i in range(400))
STRATEGIES = "strategy,cost,effect\nUC,5000,1\nB,10000,2\nC,25000,3\n"
DRAWS = "draw,strategy,cost,effect\n" + "".join(f"{i},A,{i % 7},1\n{i},B,{100 + i % 11},2\n" for i in range(300))

CASES = {
    ("survival", "km"): PATIENTS,
    ("economics", "frontier"): STRATEGIES,
    ("economics", "uncertainty"): DRAWS,
}


def run(arguments: list[str]) -> Any:
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("command", list(CASES), ids=" ".join)
def test_compressed_as_plain(command: tuple[str, str], tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.csv", tmp_path / "a.csv.gz"
    plain.write_text(CASES[command])
    packed.write_bytes(gzip.compress(CASES[command].encode()))
    answers = [run([*command, str(path), "--json"]) for path in (plain, packed)]
    assert [answer.exit_code for answer in answers] == [0, 0], answers[1].output
    first, second = (json.loads(answer.stdout) for answer in answers)
    for answer in (first, second):
        answer.pop("file", None)
    assert first == second


@pytest.mark.parametrize("command", list(CASES), ids=" ".join)
def test_cut_off_file(command: tuple[str, str], tmp_path: Path) -> None:
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(CASES[command].encode())[:-9])
    answer = run([*command, str(packed)])
    assert isinstance(answer.exception, InputError)
    assert "damaged or cut off" in str(answer.exception)
