"""FCS compensation and polygon gates, on synthetic files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError
from cartsight.evidence.quality.results_table import Spillover, read_compensation, read_fcs, read_gates
from cartsight.evidence.quality.results_table.flow_cytometry import Polygon
from cartsight.evidence.quality.results_table.spillover import compensation_of, spillover_of_file

flowio = pytest.importorskip("flowio")

MATRIX = np.array([[1.0, 0.3], [0.1, 1.0]])
GATES = """
[gates.car]
attribute = "car_positive"
ranges = { "FL2-A" = [250, 100000] }
"""


def sample(
    folder: Path, keyword: str | None = "2,FL1-A,FL2-A,1,0.3,0.1,1", name: str = "lot.fcs"
) -> tuple[Path, float]:
    """Write cells bright in FL1, of which 40 % are also bright in FL2, as a cytometer with spillover sees them."""
    rng = np.random.default_rng(2)
    positive = rng.random(2000) < 0.4
    true = np.column_stack([rng.normal(1000, 30, 2000), np.where(positive, 500.0, 10.0)])
    events = np.column_stack([rng.normal(100, 5, 2000), true @ MATRIX])
    buffer = io.BytesIO()
    keywords = {} if keyword is None else {"SPILLOVER": keyword}
    flowio.create_fcs(buffer, events.ravel().tolist(), ["FSC-A", "FL1-A", "FL2-A"], ["", "CD3", "CAR"], keywords)
    (folder / name).write_bytes(buffer.getvalue())
    return folder / name, 100.0 * float(positive.mean())


def gates_file(folder: Path, text: str = GATES, compensation: str = "") -> Path:
    (folder / "gates.toml").write_text(compensation + "\n" + text)
    return folder / "gates.toml"


@pytest.mark.parametrize(
    "stated",
    ['compensation = "file"', '[compensation]\nchannels = ["CD3", "CAR"]\nmatrix = [[1, 0.3], [0.1, 1]]'],
)
def test_spillover_is_taken_out_before_gating(tmp_path: Path, stated: str) -> None:
    file, percent = sample(tmp_path)
    gates = gates_file(tmp_path, compensation=stated)
    table = read_fcs(file, read_gates(gates), compensation=read_compensation(gates))
    assert table.results[0].value == pytest.approx(percent)
    assert "taken out" in table.remarks[0]
    # without it every cell looks positive: 1000 x 0.3 in FL2
    raw = read_fcs(file, read_gates(gates), compensation="none")
    assert raw.results[0].value == pytest.approx(100.0)


def test_a_choice_is_asked_for_only_where_it_matters(tmp_path: Path) -> None:
    file, _ = sample(tmp_path)
    with pytest.raises(InputError, match="states spillover between channels that the gates use"):
        read_fcs(file, read_gates(gates_file(tmp_path)))
    scatter = read_gates(gates_file(tmp_path, '[gates.cells]\nranges = { "FSC-A" = [50, 150] }'))
    assert read_fcs(file, scatter).results[0].value == 100.0
    plain, _ = sample(tmp_path, None, "plain.fcs")
    gates = gates_file(tmp_path)
    assert read_fcs(plain, read_gates(gates)).results
    said = read_fcs(plain, read_gates(gates), compensation="file")
    assert "states no spillover" in said.remarks[0]


@pytest.mark.parametrize(
    ("keyword", "words"),
    [
        ("two,FL1-A,FL2-A,1,0.3,0.1,1", "is no matrix"),
        ("2,FL1-A,FL2-A,1,0.3,0.1", "needs 2 x 2 numbers"),
        ("2,FL1-A,FL9-A,1,0.3,0.1,1", "names a channel that the file lacks"),
        ("2,FL1-A,FL2-A,1,1,1,1", "cannot be inverted"),
    ],
)
def test_a_damaged_keyword_is_a_sentence(tmp_path: Path, keyword: str, words: str) -> None:
    file, _ = sample(tmp_path, keyword)
    with pytest.raises(InputError, match=words):
        read_fcs(file, read_gates(gates_file(tmp_path)), compensation="file")


def test_an_identity_matrix_is_no_spillover() -> None:
    assert spillover_of_file({"$SPILLOVER": "2,A,B,1,0,0,1"}) is None
    assert spillover_of_file({"spill": "2,A,B,1,0.2,0,1"}) == Spillover(("A", "B"), ((1.0, 0.2), (0.0, 1.0)))


def test_compensation_undoes_what_the_dyes_did() -> None:
    rng = np.random.default_rng(1)
    matrix = np.eye(4) + 0.15 * rng.random((4, 4)) * (1 - np.eye(4))
    true = 1000 * rng.random((50, 4))
    spillover = Spillover(("a", "b", "c", "d"), tuple(tuple(row) for row in matrix.tolist()))
    assert np.allclose(spillover.remove(true @ matrix), true)


@pytest.mark.parametrize(
    "stated",
    ["files", {"channels": ["A", "B"]}, {"channels": ["A", "B"], "matrix": [[1, 2]]}, {"rows": 1}, {"channels": ["A", "B"], "matrix": [["x", 1], [1, 1]]}],
)  # fmt: skip
def test_bad_compensation_in_the_gates_file(stated: object) -> None:
    with pytest.raises(InputError):
        compensation_of(stated, "gates.toml")


def test_polygons_hold_what_is_inside(tmp_path: Path) -> None:
    triangle = Polygon(("x", "y"), ((0.0, 0.0), (10.0, 0.0), (0.0, 10.0)))
    x, y = np.array([1.0, 6.0, 4.9, -1.0]), np.array([1.0, 6.0, 4.9, 1.0])
    assert triangle.holds(x, y).tolist() == [True, False, True, False]
    # area by counting: 200 000 points in the unit square, an L of area 0.75
    ell = Polygon(("x", "y"), ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.5, 0.5), (0.5, 1.0), (0.0, 1.0)))
    rng = np.random.default_rng(3)
    share = float(ell.holds(rng.random(200_000), rng.random(200_000)).mean())
    assert share == pytest.approx(0.75, abs=0.004)
    file, percent = sample(tmp_path, None)
    text = '[gates.car]\npolygon = { channels = ["CD3", "CAR"], points = [[0, 600], [5000, 600], [5000, 5000], [0, 5000]] }'
    found = read_fcs(file, read_gates(gates_file(tmp_path, text)))
    # 1000 x 0.3 + 500 = 800 for positive cells, 310 for the others
    assert found.results[0].value == pytest.approx(percent)


@pytest.mark.parametrize(
    "text",
    [
        "[gates.a]\nattribute = 'x'",
        '[gates.a]\npolygon = { channels = ["x"], points = [[0, 0], [1, 0], [0, 1]] }',
        '[gates.a]\npolygon = { channels = ["x", "y"], points = [[0, 0], [1, 0]] }',
        '[gates.a]\npolygon = { channels = ["x", "y"], points = [[0, 0], [1, 0], [0]] }',
        "gate = 1",
    ],
)
def test_bad_gates_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        read_gates(gates_file(tmp_path, text))


def test_the_command_line_takes_the_choice_from_the_gates_file(tmp_path: Path) -> None:
    file, _ = sample(tmp_path)
    gates = gates_file(tmp_path, compensation='compensation = "file"')
    result = CliRunner().invoke(
        app, ["quality", "data", "report", str(file), "--gates", str(gates), "--json"], catch_exceptions=False
    )
    assert result.exit_code == 0 and "taken out" in result.output
