"""What an option, a design or a label may not do in silence: be ignored, be confounded, or change a value."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError
from cartsight.evidence.quality.potency import Rules, analyse_potency
from cartsight.evidence.quality.release import read_release_specification
from cartsight.evidence.quality.release.risk import remarks
from cartsight.evidence.quality.results_table import Result, ResultTable, data_report, read_allotrope, write_table
from cartsight.evidence.quality.results_table.table import parse_value

LINEAR = "preparation,dose,response\n" + "".join(
    f"{p},{d},{10 * i + 3 * (p == 'T') + e}\n" for p in "ST" for i, d in enumerate((1, 2, 4)) for e in (-1, 0.4, 0.9)
)
QUANTAL = "preparation,dose,responders,total\n" + "".join(
    f"{p},{d},{r},50\n"
    for p, rs in (("S", (6, 16, 24, 42, 44)), ("T", (11, 22, 33, 45, 47)))
    for d, r in zip((2.6, 3.8, 5.1, 7.7, 10.2), rs, strict=True)
)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def run(*words: object) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["quality", *map(str, words), "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize(
    "options",
    [
        ["--fix", "c=0"],
        ["--weight-power", "1"],
        ["--residual", "treatments"],
        ["--blank", "drop"],
        ["--heterogeneity"],
        ["--natural-response", "estimate"],
    ],
)
def test_an_option_without_use_is_refused(tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(InputError, match="has no use for it"):
        run("potency", write(tmp_path / "a.csv", LINEAR), *options)


def test_suitability_limits_decide_a_quantal_assay(tmp_path: Path) -> None:
    file = write(tmp_path / "q.csv", QUANTAL)
    assert run("potency", file, "--model", "probit")["valid"]
    failed = run("potency", file, "--model", "probit", "--limit", "ratio=5:6")
    assert not failed["valid"]
    assert [item["name"] for item in failed["suitability"] if item["passed"] is False] == ["ratio"]
    with pytest.raises(InputError, match="no such suitability number"):
        run("potency", file, "--model", "probit", "--limit", "largest_replicate_cv=0:1")


def test_a_limit_out_of_order_and_a_standard_with_an_assumed_potency(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", LINEAR)
    with pytest.raises(InputError, match="LOW must not be above HIGH"):
        run("potency", file, "--limit", "ratio=2:1")
    with pytest.raises(InputError, match="standard has no assumed potency"):
        run("potency", file, "--assumed-potency", "S=3")
    with pytest.raises(InputError, match="differ in capitals alone"):
        run("potency", write(tmp_path / "b.csv", LINEAR.replace("S,1,", "s,1,", 1)))


def test_blocks_that_hold_one_preparation_each_are_confounded(tmp_path: Path) -> None:
    lines = LINEAR.strip().split("\n")
    confounded = "\n".join([lines[0] + ",block", *(f"{line},{line[0]}" for line in lines[1:])])
    with pytest.raises(InputError, match="confounded with blocks"):
        run("potency", write(tmp_path / "a.csv", confounded), "--design", "rbd")
    # an incomplete block design that is connected is analysed, and a block of missing responses does no harm
    good = [f"{line},b{(i + i // 3) % 3}" for i, line in enumerate(lines[1:])]
    connected = "\n".join([lines[0] + ",block", *good[:-1], "S,1,,b9"])
    assert run("potency", write(tmp_path / "b.csv", connected), "--design", "rbd")["missing"] == 1


def test_a_clear_five_parameter_curve_is_valid_although_b_and_f_trade_off(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    text = "preparation,dose,response\n" + "".join(
        f"{p},{d},{0.2 + 10 / (1 + (d * r / 3) ** -1.2) + rng.normal(0, 0.25):.4f}\n"
        for p, r in (("S", 1), ("T", 2))
        for d in (0.1, 0.3, 1, 3, 10, 30, 100)
        for _ in range(3)
    )
    file = write(tmp_path / "c.csv", text)
    five, four = analyse_potency(file, "five-parameter"), analyse_potency(file, "four-parameter")
    # the slope at the midpoint is as well known under either curve
    assert five.potencies[0].g == pytest.approx(four.potencies[0].g, rel=0.2)
    slope = next(c for c in five.similarity.equivalence if "slope" in c.quantity)  # type: ignore[union-attr]
    assert slope.quantity == "slope at the midpoint ratio" and 0.7 < slope.lower < 1 < slope.upper < 1.4
    # its reciprocal when the preparations change places
    other = analyse_potency(file, "five-parameter", standard="T", rules=Rules())
    back = next(c for c in other.similarity.equivalence if "slope" in c.quantity)  # type: ignore[union-attr]
    assert slope.estimate * back.estimate == pytest.approx(1.0, rel=1e-5)
    assert slope.lower * back.upper == pytest.approx(1.0, rel=1e-5)


def test_slope_at_the_midpoint_is_that_of_the_curve() -> None:
    from cartsight.evidence.quality.potency.curve_fit import CurveFit
    from cartsight.evidence.quality.potency.curves import _log_slope
    from cartsight.evidence.quality.potency.logistic import FIVE_PARAMETER

    def fit(b: float, log_f: float) -> CurveFit:
        curves = np.array([[b, 0.0, 1.0, 0.0, log_f]])
        place = np.array([[0, 1, 2, 3, 4]])
        none = np.zeros(0)
        return CurveFit(curves, place, curves[0], np.eye(5), 1.0, 1, none, none, none, True)

    b, log_f = 2.5, math.log(0.47)
    value, gradient = _log_slope(FIVE_PARAMETER, fit(b, log_f), 0)
    middle, _ = FIVE_PARAMETER.effective_dose(0.5, b, 0.0, log_f)
    step = 1e-5
    (up, down), _ = FIVE_PARAMETER.share(np.array([middle + step, middle - step]), b, 0.0, log_f)
    assert math.exp(value) == pytest.approx((down - up) / (2 * step), rel=1e-6)
    for place, moved in ((0, (b + step, log_f)), (4, (b, log_f + step))):
        numeric = (_log_slope(FIVE_PARAMETER, fit(*moved), 0)[0] - value) / step
        assert gradient[place] == pytest.approx(numeric, rel=1e-3)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("shewhart", ["--lambda", "0.3"]),
        ("ewma", ["--h", "4"]),
        ("westgard", ["--width", "2"]),
        ("cusum", ["--L", "2"]),
    ],
)
def test_a_chart_refuses_options_of_another_chart(tmp_path: Path, kind: str, options: list[str]) -> None:
    file = write(tmp_path / "v.csv", "value\n" + "\n".join(f"{10 + i % 3}" for i in range(24)))
    with pytest.raises(InputError, match="has no use for it"):
        run("chart", file, "--chart", kind, *options)


def test_repeated_labels_are_said_to_be_taken_as_crossed(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    text = "site,donor,value\n" + "".join(
        f"s{s},d{d},{v:.4f}\n" for s in range(4) for d in range(5) for v in 10 + rng.normal() + rng.normal(0, 0.2, 3)
    )
    file = write(tmp_path / "n.csv", text)
    crossed = run("variance", file, "--draws", 0)
    assert crossed["structure"] == "crossed" and any("--structure nested" in word for word in crossed["warnings"])
    nested = run("variance", file, "--draws", 0, "--structure", "nested")
    assert not any("--structure nested" in word for word in nested["warnings"])
    assert nested["components"]["donor"]["estimate"] > 3 * crossed["components"]["donor"]["estimate"]


def test_margins_and_differences_that_mean_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "g.csv", "group,value\na,1\na,2\na,3\nb,1\nb,2.5\nb,3\n")
    with pytest.raises(InputError, match="must be finite"):
        run("comparability", file, "--margin", "inf")
    with pytest.raises(InputError, match="ratio above zero"):
        run("comparability", file, "--margin", "1.5", "--scale", "log", "--assumed-difference", "-1")
    with pytest.raises(InputError, match="finite number"):
        run("capability", file, "--usl", "inf")
    with pytest.raises(InputError, match="zero or more"):
        run("sterility", "--day", "-1")


@pytest.mark.parametrize(
    ("cell", "value"), [("87.5", None), ("87,5", 87.5), ("1.234,5", 1234.5), ("1.234", 1234.0), ("<0,1", 0.1)]
)
def test_a_decimal_comma_never_turns_87_5_into_875(cell: str, value: float | None) -> None:
    found = parse_value(cell, decimal_comma=True)
    assert (None if found is None else found[0]) == value


def test_numbers_and_dates_of_a_workbook_are_read_as_they_are(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    import datetime

    from cartsight.evidence.quality.results_table import read_mapping, read_spreadsheet

    book = openpyxl.Workbook()
    book.active.append(["Lot", "Test", "Result", "Unit", "Tested"])
    book.active.append(["A", "viability", 88.5, "percent", datetime.datetime(2026, 2, 3)])
    book.active.append(["B", "viability", "87,5", "percent", "04.02.2026"])
    book.save(tmp_path / "r.xlsx")
    mapping = write(
        tmp_path / "m.toml",
        'decimal_comma = true\ndate_format = "%d.%m.%Y"\n[columns]\nbatch = "Lot"\nattribute = "Test"\nvalue = "Result"\n'
        'unit = "Unit"\ndate = "Tested"\n',
    )
    table = read_spreadsheet(tmp_path / "r.xlsx", read_mapping(mapping))
    assert [(r.value, r.date) for r in table.results] == [(88.5, "2026-02-03"), (87.5, "2026-02-04")]


def test_a_table_survives_the_way_through_json(tmp_path: Path) -> None:
    rows = (
        Result("A", "dose", 2.5e6, "1e6 cells", donor="d1", site="s1", lab="west", replicate=2, censored="<"),
        Result("A", "car", 40.1, "percent", donor="d1", lab="east", assay="flow", events=12345, date="2026-01-02"),
        Result("B", "car", 41.0, "percent", run="r7", specification="v3", assay="flow"),
    )
    again = read_allotrope(write_table(ResultTable(rows), tmp_path / "t.json"))

    def key(result: Result) -> tuple[object, ...]:
        return (*result.identity, result.value, result.unit, result.censored, result.events, result.specification)

    assert sorted(map(key, again.results), key=str) == sorted(map(key, rows), key=str)
    assert data_report(again).dropped == 0


def test_a_measurement_without_a_quantity_is_reported(tmp_path: Path) -> None:
    document = {
        "x aggregate document": {
            "x document": [
                {
                    "measurement aggregate document": {
                        "measurement document": [{"sample document": {"sample identifier": "A"}}]
                    }
                }
            ]
        }
    }
    table = read_allotrope(write(tmp_path / "a.json", json.dumps(document)))
    assert [row.reason for row in table.dropped] == ["no processed or calculated quantity"]


def test_one_laboratory_is_said_in_words() -> None:
    report = data_report(ResultTable((Result("A", "v", 1.0, "percent"),)))
    assert report.remarks and not any(word.startswith(("v: 0", "v: 1")) for word in report.remarks)


def test_an_attribute_without_a_limit_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "s.toml", "[attributes.v]\nmean = 1\nsd = 1\nassay = { sd = 0.5 }\n")
    assert any("no limit is in force" in word for word in remarks(read_release_specification(file)))


def test_a_difference_of_no_lot_keeps_an_error(tmp_path: Path) -> None:
    file = write(
        tmp_path / "s.toml",
        "[safety.sterility]\nprior = 0.01\norganisms_per_ml = 1\nsample_ml = 1\nmedian_days = 3\nlog_sd = 0.3\nread_day = 14\n"
        "false_positive = 0.002\n[safety.sterility.rapid]\nmedian_days = 1.5\nlog_sd = 0.3\nread_day = 7\nsample_ml = 1\n"
        "false_positive = 0.002\n[sampling]\nproduct_volume_ml = 70\n",
    )
    quick = run("release", file, "--lots", 20_000)["marginal_values"][0]
    assert quick["contaminated_released"]["difference"] == 0.0
    assert quick["contaminated_released"]["standard_error"] == pytest.approx(math.sqrt(0.5) / 20_000)
    assert quick["days_to_release"] == {"difference": -7.0, "standard_error": 0.0}


def test_a_perfect_dilution_series_is_not_told_off_by_its_own_interval(tmp_path: Path) -> None:
    rows = "".join(f"{x},{1e6 * x * e}\n" for x in (1, 0.75, 0.5, 0.25) for e in (1.01, 0.98, 1.03))
    found = run("cell-count", write(tmp_path / "c.csv", "dilution_fraction,count\n" + rows))
    assert found["proportionality_index"] < found["proportionality_index_lower"]
    assert any("no departure is seen" in word for word in found["warnings"])


@pytest.mark.parametrize(("day", "said"), [(8.0, True), (9.0, False)])
def test_a_day_before_the_first_results_is_named(tmp_path: Path, day: float, said: bool) -> None:
    file = write(
        tmp_path / "s.toml",
        "[process]\ndays = 7\n[attributes.v]\nmean = 85\nsd = 5\nlimits = { lower = 80 }\nassay = { sd = 3, days = 2 }\n"
        f"[disposition]\nas_of_day = {day}\n",
    )
    words = remarks(read_release_specification(file))
    assert any("before the first results (day 9)" in word for word in words) == said
