"""The literature tables as a user meets them: rows, search, citations, messages, and bad files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cartsight.core.errors import InputError
from cartsight.evidence.literature import THEMES, load_evidence, read_tables
from cartsight.evidence.literature import tables as tables_module
from cartsight.evidence.literature.bibliography import read_bibliography


def test_a_row_is_typed_and_keeps_its_record() -> None:
    row = load_evidence().row("Q001")
    assert (row.value, row.low, row.high, row.unit) == (16.0, 11.4, 21.7, "percent")
    assert (row.events, row.sample_size, row.denominator) == (34, 212, "aphereses")
    assert row.interval == "confidence_95" and row.has_uncertainty
    assert row.source_key == "outofspec2025ciltacel"
    assert "212" in row.source.title
    assert row.original_unit == "% of aphereses"


def test_money_carries_its_price_year_and_how_it_is_known() -> None:
    table = load_evidence()
    research = table.row("DEV-001")
    assert (research.value, research.low, research.unit) == (1.943e9, 1.395e9, "usd_2023")
    assert (research.original_value, research.original_unit, research.factor) == ("1943", "USD million", 1e6)
    assert research.price_year_basis == "publication_year"
    assert table.row("EC251").price_year == 2020 and table.row("EC251").price_year_basis == "stated"


def test_traps_are_cautions() -> None:
    table = load_evidence()
    assert "price is not a cost of goods" in table.row("EC069").caution
    assert "not a batch failure rate" in table.row("Q018").caution
    assert "not zero risk" in table.row("EC125").caution
    assert "not turnaround" in table.row("LA018").caution


def test_unknown_ids_name_the_nearest_and_left_out_ids_the_reason() -> None:
    table = load_evidence()
    with pytest.raises(InputError, match="Did you mean 'EC001'"):
        table.row("ec1")
    with pytest.raises(InputError, match="left out of the tables: no value found"):
        table.row("MFG107")
    with pytest.raises(InputError, match="evidence search"):
        table.row("zzzzzzzz")
    with pytest.raises(InputError, match="no source has this key"):
        table.source("neelapu2023zuma2")
    assert table.source("neelapu2023zuma1").year == 2023


def test_search_ranks_and_filters() -> None:
    table = load_evidence()
    found = [row.id for row in table.search("axi-cel vein-to-vein US-only")]
    assert set(found[:2]) == {"LA018", "MFG053"}
    assert table.search("EC001")[0].id == "EC001"
    assert all(row.unit == "days" for row in table.search("infusion", unit="days"))
    assert table.search("nosuchwordatall") == []
    # A word that no row holds does not hide the rows that hold the others.
    assert "EC001" in [row.id for row in table.search("ORR ZUMA-1 nosuchwordatall")]
    with pytest.raises(InputError, match="at least one word"):
        table.search("   ")
    with pytest.raises(InputError, match="Did you mean 'quality'"):
        table.search("viability", theme="qualty")


def test_citations_name_the_source_and_flag_what_was_not_read() -> None:
    table = load_evidence()
    assert table.row("EC154").citation() == (
        "Crump 2017 Blood 130:1800 (SCHOLAR-1); CI from Lymphoma Hub report. "
        "https://doi.org/10.1182/blood-2017-03-769620 [EC154]"
    )
    assert table.row("EC033").citation().endswith("[EC033; figure not read in the source]")


def test_bibtex_round_trip(tmp_path: Path) -> None:
    table = load_evidence()
    path = tmp_path / "sources.bib"
    path.write_text("\n\n".join(source.bibtex() for source in table.sources) + "\n", encoding="utf-8")
    assert tuple(read_bibliography(path).values()) == table.sources


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no entry here", "not a bibliography entry"),
        ("@misc{a,\n  title = {A},\n  editor = {B},\n}\n", "unreadable bibliography field"),
        ("@misc{a,\n  year = {2020},\n}\n", "without a title"),
        ("@misc{a,\n  title = {A},\n  year = {twenty},\n}\n", "year must be a number"),
        ("@misc{a,\n  title = {A},\n}\n\n@misc{a,\n  title = {B},\n}\n", "key given twice"),
    ],
)
def test_a_broken_bibliography_is_one_message(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "sources.bib"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        read_bibliography(path)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("percent,aphereses,confidence_95,34", "furlongs,aphereses,confidence_95,34", "unknown unit"),
        ("percent,aphereses,confidence_95,34", "percent,aphereses,confidence_99,34", "unknown interval"),
        ("percent,aphereses,confidence_95,34", "percent,aphereses,confidence_95,many", "not a whole number"),
        ("Q001,out-of-specification rate,16,", "Q001,out-of-specification rate,sixteen,", "not a number"),
        ("Q001,out-of-specification rate,16,", "Q001,out-of-specification rate,nan,", "not a finite number"),
        ("outofspec2025ciltacel", "nobody1900nothing", "unknown source"),
        ("Q002,", "Q001,", "given twice"),
    ],
)
def test_a_broken_table_is_one_message_with_its_line(tmp_path: Path, old: str, new: str, problem: str) -> None:
    folder = tmp_path / "tables"
    shutil.copytree(tables_module.FOLDER, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    path = folder / "quality.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=problem) as raised:
        read_tables(folder)
    if "twice" not in problem:
        assert raised.value.line == 2


def test_themes_are_the_tables() -> None:
    assert {row.theme for row in load_evidence()} == set(THEMES)
