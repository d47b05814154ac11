"""The instance loader: what it accepts, and what it says about files it cannot accept."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.network import random_instance_text
from cartsight.core.errors import InputError
from cartsight.planning import load_instance, solve_instance

SMALL = """# two sites, two plants
set c := c1 c2 ; set h := h1 h2;
set j := fast slow ;
set m :=
lyon   # names are free
turin
;
set p := p1 p2
  p3 ;
param CIM := lyon 100.5 turin 90 ; param CVM := lyon 10 turin 10 ;
param FCAP := lyon 1
turin 2 ;
param TT1 := fast 1 slow 2 ;
param TT3 := fast 1 slow 2 ;
param U1 := c1 lyon fast 10 c1 lyon slow 5 c1 turin fast 20 c1 turin slow 9
c2 lyon fast 10 c2 lyon slow 5 c2 turin fast 20 c2 turin slow 9;
param U3 := lyon h1 fast 10 lyon h1 slow 4 lyon h2 fast 10 lyon h2 slow 5
turin h1 fast 1 turin h1 slow 1 turin h2 fast 1 turin h2 slow 1 ;
param INC := p1 c1 1 1
p2 c2
4 1
p3 c1 8 1 ;
param FMAX := 1 ;
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "case.dat"
    path.write_text(text, encoding="utf-8")
    return path


def test_words_over_several_lines_and_free_names(tmp_path: Path) -> None:
    instance = load_instance(written(tmp_path, SMALL))
    assert instance.sites == ("lyon", "turin")
    assert instance.site_cost_per_day.tolist() == [110.5, 100.0]
    assert instance.patient_day.tolist() == [1, 4, 8]
    assert instance.patient_site.tolist() == [0, 1, 0]
    assert instance.cost_out[1, 1].tolist() == [20.0, 9.0]
    assert instance.cost_back[0, 1].tolist() == [10.0, 5.0]
    assert (instance.making_days, instance.quality_control_days, instance.return_limit_days) == (7, 7, 18)


def test_optimum_by_hand(tmp_path: Path) -> None:
    """Turin alone: 130 x 100; patients at 10 each (slow out 9, back 1 either way); p1 and p2 overlap, two lines do."""
    solution = solve_instance(load_instance(written(tmp_path, SMALL)))
    assert solution.opened_sites == ("turin",)
    assert solution.objective == 13_000 + 3 * (9 + 1) + 3 * (10_476 + 9_312)


def test_times_in_the_file_replace_the_published_ones(tmp_path: Path) -> None:
    extra = "param TMFE := 9 ;\nparam TQC := 3 ;\nparam ND := 30 ;\nparam TLS := 2 ;\n"
    instance = load_instance(written(tmp_path, SMALL + extra))
    solution = solve_instance(instance)
    assert (instance.making_days, instance.quality_control_days, instance.return_limit_days) == (9, 3, 30)
    assert set(solution.return_days.tolist()) <= {2 + 9 + 3 + days for days in (2, 3, 4)}
    assert (solution.return_day - solution.start_day >= 9 + 3 + 1).all()


def test_missing_running_cost_takes_the_published_table_and_says_so(tmp_path: Path) -> None:
    text = random_instance_text(20, "A", 1, with_variable_cost=False)
    instance = load_instance(written(tmp_path, text))
    assert instance.site_cost_per_day[0] == pytest.approx(554.0 * 4 + 20_920)
    assert any("default table" in remark for remark in instance.remarks)
    with pytest.raises(InputError, match="no default for plant lyon"):
        load_instance(written(tmp_path, SMALL.replace("param CVM := lyon 10 turin 10 ;", "")))


def test_unknown_parameters_are_named(tmp_path: Path) -> None:
    instance = load_instance(written(tmp_path, SMALL + "param TQCC := 9 ;\n"))
    assert instance.quality_control_days == 7
    assert any("TQCC" in remark and "TQC" in remark for remark in instance.remarks)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("param FCAP := lyon 1", "param FCAP := lyon one", 11, "not a number"),
        ("param FCAP := lyon 1", "param FCAP := lyon 1.5", 11, "whole number"),
        ("lyon 100.5", "lyon nan", 10, "finite"),
        ("lyon 100.5", "lyon -3", 10, "at least 0"),
        ("turin 2 ;", "turin 2 turin 3 ;", 12, "given twice"),
        ("turin 2 ;", ";", 11, "no value for turin"),
        ("turin 2 ;", "turn 2 ;", 12, "Did you mean 'turin'"),
        ("param TT1 :=", "param TT1", 13, "followed by :="),
        ("set j := fast slow ;", "set j := fast slow", 4, "not closed by a semicolon"),
        ("p3 c1 8 1 ;", "p3 c1 8 1", 23, "not closed by a semicolon"),
        ("p3 c1 8 1 ;", "p3 c1 8 ;", 22, "rows have 4 entries"),
        ("p3 c1 8 1 ;", ";", 19, "no row"),
        ("p3 c1 8 1 ;", "p2 c1 8 1 ;", 22, "collected twice"),
        ("p3 c1 8 1 ;", "p3 c1 0 1 ;", 22, "at least 1"),
        ("set h := h1 h2;", "set h := h1;", 2, "equally long"),
        ("set c := c1 c2 ;", "set c := c1 c1 ;", 2, "given twice"),
        ("set j := fast slow ;", "set j := ;", 3, "empty"),
        ("set j :=", "sets j :=", 3, "Did you mean 'set'"),
        ("param FMAX := 1 ;", "param FMAX := 0 ;", 23, "flow limits"),
        ("param FMAX := 1 ;", "param CIM := lyon 1 ;", 23, "given twice"),
    ],
)
def test_complaints_carry_file_and_line(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    assert old in SMALL
    path = written(tmp_path, SMALL.replace(old, new))
    with pytest.raises(InputError) as error:
        load_instance(path)
    assert str(error.value).startswith(f"{path}:{line}: "), error.value
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "holds no data"),
        (b"# only a comment\n", "holds no data"),
        (b"set c := c1 ;\n\xff\xfe", "not a UTF-8"),
        (b"set c := c1\0 ;\n", "not a text file"),
        (b"patient,day\np1,3\n", "must start with"),
        (b"set c := c1 ;\n", "set h (hospitals) is missing"),
        (b"set", "ends inside"),
    ],
)
def test_files_that_are_no_instances(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "bad.dat"
    path.write_bytes(data)
    with pytest.raises(InputError) as error:
        load_instance(path)
    assert message in str(error.value) and str(path) in str(error.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_instance(tmp_path / "absent.dat")
    with pytest.raises(InputError, match="folder"):
        load_instance(tmp_path)
