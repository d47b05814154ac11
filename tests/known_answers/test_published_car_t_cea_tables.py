"""Printed results of CAR-T economic evaluations, checked against their own costs and QALYs.

Sources: the review table PMC8051992, table 2 (rows Lin, Whittington, Sarkar, Furzer, with its spaces as
thousands separators); Roth et al. 2018 J Med Econ 21:1238; Ribera Santasusana et al., PMC7237114; third-line
follicular lymphoma, Blood Adv 2023;7:801. The review prints the ratios of Lin 2018 against clofarabine
monotherapy and blinatumomab in each other's place, and a row of Furzer 2020 whose ratio does not follow from
its totals.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cartsight.economics import ConsistencyRow, ConsistencyStatus, check_published_rows, read_published_rows

TABLE = """study,strategy,comparator,cost,qaly,icer
Lin 2018,CAR-T,,599 000,8.74,
,Clo-M,,314 000,3.12,61 315
,Clo-C,,374 000,3.52,43 103
,Blina,,282 000,3.57,50 712
Whittington 2018,CAR-T,Clo-M,666 754,9.28,"45,871"
Whittington 2018,Clo-M,,337 256,2.10,
Sarkar 2019,CAR-T,Clo-C,968 800,16.76,64 600
Sarkar 2019,Clo-C,,440 600,8.58,
Furzer 2020,CAR-T,Chemotherapy and transplant,442 098,14.90,53 933
Furzer 2020,Chemotherapy and transplant,,86 597,5.05,
Roth 2018,axi-cel,R-DHAP,"552,921",7.7,"58,146"
Roth 2018,R-DHAP,,"172,737",1.1,
"""

INCREMENTS = """Study,Incremental cost,QALYs gained (difference),ICER
Ribera 2020,"€258,378.40",8.97,"€28,818.52"
Ribera 2020 life-years,"€258,378.40",10.10,"€25,576.80"
"""


def check(text: str, folder: Path) -> dict[tuple[str, str], ConsistencyRow]:
    path = folder / "published.csv"
    path.write_text(text, encoding="utf-8")
    return {(row.study, row.strategy): row for row in check_published_rows(read_published_rows(path))}


def test_recomputed_ratios(tmp_path: Path) -> None:
    rows = check(TABLE, tmp_path)
    expected = {
        ("Lin 2018", "Clo-M"): 50_712,
        ("Lin 2018", "Clo-C"): 43_103,
        ("Lin 2018", "Blina"): 61_315,
        ("Whittington 2018", "CAR-T"): 45_891,
        ("Sarkar 2019", "CAR-T"): 64_572,
        ("Furzer 2020", "CAR-T"): 36_091,
        ("Roth 2018", "axi-cel"): 57_604,
    }
    for key, ratio in expected.items():
        assert rows[key].icer_recomputed == pytest.approx(ratio, abs=0.5)


def test_the_two_swapped_rows_and_the_inconsistent_one_are_flagged_and_no_other(tmp_path: Path) -> None:
    rows = check(TABLE, tmp_path)
    assert {key for key, row in rows.items() if row.flagged} == {
        ("Lin 2018", "Clo-M"),
        ("Lin 2018", "Blina"),
        ("Furzer 2020", "CAR-T"),
    }
    assert rows["Lin 2018", "Clo-M"].agrees_with == "Blina vs CAR-T"
    assert rows["Lin 2018", "Blina"].agrees_with == "Clo-M vs CAR-T"
    assert rows["Furzer 2020", "CAR-T"].agrees_with is None
    assert rows["Roth 2018", "axi-cel"].implied_incremental_qaly == pytest.approx(6.538, abs=0.0005)
    assert rows["Lin 2018", "CAR-T"].status is ConsistencyStatus.REFERENCE


def test_dominated_comparators_are_noted(tmp_path: Path) -> None:
    rows = check(TABLE, tmp_path)
    assert any("Clo-C is dominated" in text for text in rows["Lin 2018", "Clo-C"].warnings)


def test_increments_with_their_rounding(tmp_path: Path) -> None:
    rows = list(check(INCREMENTS, tmp_path).values())
    assert [row.icer_recomputed for row in rows] == [
        pytest.approx(28_804.7, abs=0.05),
        pytest.approx(25_582.0, abs=0.05),
    ]
    assert not any(row.flagged for row in rows)
    low, high = rows[0].rounding_interval or (0.0, 0.0)
    assert low < 28_804.7 < high and low < 28_818.52 < high


def test_wide_layout(tmp_path: Path) -> None:
    text = (
        "study,cost,qaly,comparator_cost,comparator_qaly,incremental_qaly,icer\n"
        'Blood Adv 2023,"731,682",,"458,490",,1.50,"182,127"\n'
        'Whittington 2018,"666,754",9.28,"337,256",2.10,7.18,"45,871"\n'
    )
    rows = check(text, tmp_path)
    assert rows["Whittington 2018", "row 3"].icer_recomputed == pytest.approx(45_891, abs=0.5)
    row = rows["Blood Adv 2023", "row 2"]
    assert row.icer_recomputed == pytest.approx(182_128, abs=0.5)
    assert not rows["Whittington 2018", "row 3"].flagged
    assert not row.flagged
