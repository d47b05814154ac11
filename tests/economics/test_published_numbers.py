"""Reading numbers and column names as papers print them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cartsight.core.errors import InputError
from cartsight.economics import check_published_rows, read_printed_number, read_published_rows
from cartsight.economics.published_numbers import Verdict, read_verdict
from cartsight.economics.published_tables import column_role


@pytest.mark.parametrize(
    ("text", "value", "half"),
    [
        ("666,754", 666_754, 0.5),
        ("314 000", 314_000, 500),
        ("61k", 61_000, 500),
        ("$45,871", 45_871, 0.5),
        ("S$45,840", 45_840, 5),
        ("€258,378.40", 258_378.40, 0.005),
        ("258.378,40", 258_378.40, 0.005),
        ("8,97", 8.97, 0.005),
        ("8.74", 8.74, 0.005),
        ("7", 7, 0.5),
        ("600000", 600_000, 500),
        ("5000", 5_000, 50),
        ("0.48M", 480_000, 5_000),
        ("£1.2 million", 1_200_000, 50_000),
        ("(1,200)", -1_200, 50),
        ("−0.5", -0.5, 0.05),
        ("1'234'567", 1_234_567, 0.5),
        ("45,871 USD/QALY", 45_871, 0.5),
        ("1\u202f234", 1_234, 0.5),
    ],
)
def test_value_and_rounding(text: str, value: float, half: float) -> None:
    number = read_printed_number(text)
    assert number is not None
    assert number.value == pytest.approx(value)
    assert number.high - number.value == pytest.approx(half)
    assert number.value - number.low == pytest.approx(half)


def test_ranges_blanks_and_words() -> None:
    number = read_printed_number("37,000–78,000")
    assert number is not None
    assert (number.low, number.high) == (36_500, 78_500)
    over = read_printed_number("> 150,000")
    assert over is not None and over.value == 150_000 and over.high == float("inf") and over.low < 150_000
    assert [read_printed_number(text) for text in ("", "–", "NA", "not reported")] == [None] * 4
    assert read_verdict("Dominant") is Verdict.DOMINANT
    assert read_verdict("is dominated by B") is Verdict.DOMINATED
    assert read_verdict("45,871") is None


@pytest.mark.parametrize("text", ["abc", "12 and 13", "1,23,456", "12 abc 13"])
def test_unreadable(text: str) -> None:
    with pytest.raises(InputError, match="printed number"):
        read_printed_number(text)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("ICER ($/QALY)", "icer"),
        ("Cost per QALY", "icer"),
        ("Total costs (2017 USD)", "cost"),
        ("ΔCost", "incremental_cost"),
        ("delta_qaly", "incremental_qaly"),
        ("dCost", "incremental_cost"),
        ("cost_comparator", "comparator_cost"),
        ("QALYs control", "comparator_qaly"),
        ("Author", "study"),
        ("Intervention", "strategy"),
        ("vs", "comparator"),
        ("Country", None),
        ("discount rate", None),
    ],
)
def test_column_roles(name: str, role: str | None) -> None:
    assert column_role(name) == role


def checked(tmp_path: Path, text: str) -> list[tuple[str, bool, str]]:
    path = tmp_path / "rows.csv"
    path.write_text(text, encoding="utf-8")
    return [
        (row.status.value, row.flagged, " ".join(row.reasons))
        for row in check_published_rows(read_published_rows(path))
    ]


def test_dominance_in_words_and_ratios(tmp_path: Path) -> None:
    rows = checked(
        tmp_path,
        "study,strategy,comparator,cost,qaly,icer\n"
        'a,X,Y,"100,123",5.00,dominant\n'
        'a,Y,,"120,456",4.00,\n'
        'b,X,Y,"120,456",5.00,dominant\n'
        'b,Y,,"100,123",4.00,\n'
        'c,X,Y,"100,123",5.00,"-20,333"\n'
        'c,Y,,"120,456",4.00,\n'
        'd,X,Y,"120,456",4.00,"20,333"\n'
        'd,Y,,"100,123",5.00,\n',
    )
    assert rows[0][:2] == ("consistent", False)
    assert rows[2][1] and "dominant" in rows[2][2]
    assert rows[4][1] and "no meaning" in rows[4][2]
    assert rows[6][1] and "dominated" in rows[6][2]


def test_a_difference_that_may_be_zero_is_undetermined_and_not_flagged(tmp_path: Path) -> None:
    rows = checked(tmp_path, "study,strategy,cost,qaly,icer\na,X,2000,1.0,90000\na,Y,1000,1.0,\n")
    assert rows[0][:2] == ("undetermined", False)
    assert rows[1][0] == "reference"


def test_printed_increments_against_printed_totals(tmp_path: Path) -> None:
    rows = checked(
        tmp_path,
        "study,cost,qaly,comparator_cost,comparator_qaly,incremental_cost,incremental_qaly,icer\n"
        "a,50123,5.00,20456,4.00,39667,1.00,39667\n",
    )
    assert rows[0][1] and "printed difference in cost" in rows[0][2]


def test_a_bound_is_consistent_with_everything_beyond_it(tmp_path: Path) -> None:
    text = "study,strategy,cost,qaly,icer\na,X,400123,2.00,{}\na,Y,100123,1.00,\n"
    assert not checked(tmp_path, text.format("> 150000"))[0][1]
    assert checked(tmp_path, text.format("> 350000"))[0][1]
    assert checked(tmp_path, text.format("<150000"))[0][1]


def test_an_unknown_comparator_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="comparator") as caught:
        checked(tmp_path, "study,strategy,comparator,cost,qaly,icer\na,X,Z,2000,1.0,90000\na,Y,,1000,0.5,\n")
    assert caught.value.line == 2
