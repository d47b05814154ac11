"""Promises of the literature tables: typed, sourced, named, and nothing dropped in silence."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from cartsight.core.units import unit
from cartsight.evidence.literature import (
    INTERVAL_MEANING,
    PRICE_YEAR_BASES,
    STATISTICS,
    THEMES,
    load_evidence,
)

RECORDS = 1092
# Rows read after the first records were taken in.
ADDED = frozenset({"EC286", "EC287", "EC288", "EC289", "EC290", "EC291", "EC292"})
RAW = Path(__file__).resolve().parents[3] / "shared" / "evidence"

# Rows whose value lies outside its own limits, with the reason. None is known.
VALUE_OUTSIDE_LIMITS: dict[str, str] = {}


def test_every_record_is_typed_or_left_out_with_a_reason() -> None:
    table = load_evidence()
    typed, left_out = set(table.ids), [row.id for row in table.excluded]
    assert len(left_out) == len(set(left_out)) and not typed & set(left_out)
    assert len(typed) + len(left_out) == RECORDS + len(ADDED)
    assert typed >= ADDED
    assert len(typed) >= 950
    assert all(row.reason.strip() for row in table.excluded)


@pytest.mark.skipif(not RAW.is_dir(), reason="the raw records are not here")
def test_the_records_are_those_taken_in() -> None:
    raw: dict[str, dict[str, str]] = {}
    for path in sorted(RAW.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            raw.update({record["id"]: record for record in csv.DictReader(file)})
    table = load_evidence()
    assert set(raw) == (set(table.ids) | {row.id for row in table.excluded}) - ADDED
    for row in table:
        if row.id in ADDED:
            continue
        record = raw[row.id]
        assert (row.quantity, row.applies_to, row.status, row.original_value, row.original_unit) == (
            record["quantity"].strip(),
            record["applies_to"].strip(),
            record["status"],
            record["value"].strip(),
            record["unit"].strip(),
        ), row.id


def test_every_row_has_known_units_sources_and_kinds() -> None:
    table = load_evidence()
    for row in table:
        unit(row.unit)
        assert table.source(row.source_key) is row.source
        assert row.interval in INTERVAL_MEANING
        assert row.statistic in STATISTICS
        assert row.price_year_basis in PRICE_YEAR_BASES
        assert row.theme in THEMES
        assert row.quantity and row.source_detail


def test_no_source_is_an_orphan() -> None:
    table = load_evidence()
    assert {source.key for source in table.sources} == {row.source_key for row in table}


def test_limits_have_a_named_kind_and_hold_the_value() -> None:
    for row in load_evidence():
        limits = row.low is not None or row.high is not None
        if limits:
            assert row.interval != "none", row.id
        if row.interval not in ("none", "bound_lower", "bound_upper"):
            assert limits, row.id
        if isinstance(row.value, float) and row.id not in VALUE_OUTSIDE_LIMITS:
            assert row.low is None or row.low <= row.value, row.id
            assert row.high is None or row.value <= row.high, row.id
        if row.low is not None and row.high is not None:
            assert row.low <= row.high, row.id


def test_a_row_holds_a_number_limits_or_text() -> None:
    for row in load_evidence():
        if row.unit in ("text", "calendar_date"):
            assert isinstance(row.value, str) and row.value, row.id
        else:
            assert row.value is not None or row.low is not None or row.high is not None, row.id
            assert row.value is None or (isinstance(row.value, float) and math.isfinite(row.value)), row.id


def test_shares_and_counts_are_possible() -> None:
    top = {"fraction": 1.0, "probability": 1.0, "percent": 100.0}
    for row in load_evidence():
        if row.unit in top and isinstance(row.value, float):
            assert 0.0 <= row.value <= top[row.unit], row.id
        if row.events is not None:
            assert row.sample_size is not None and 0 <= row.events <= row.sample_size, row.id
        if row.events is not None and row.sample_size and row.unit in top and isinstance(row.value, float):
            # Shares are printed to whole per cents at worst, and once as 8 % for 25 of 344.
            assert abs(row.events / row.sample_size - row.value / top[row.unit]) < 0.0085, row.id


def test_money_has_a_price_year_with_a_basis() -> None:
    for row in load_evidence():
        parsed = unit(row.unit)
        assert (row.price_year is not None) == parsed.is_money, row.id
        assert (row.price_year_basis != "none") == parsed.is_money, row.id
        assert row.price_year == parsed.price_year, row.id


def test_numbers_are_the_recorded_ones_times_their_factor() -> None:
    for row in load_evidence():
        if not isinstance(row.value, float) or not row.original_value:
            continue
        try:
            original = float(row.original_value)
        except ValueError:
            assert row.id == "EC113", row.id  # "day 28"
            continue
        assert row.value == pytest.approx(original * row.factor, rel=1e-12), row.id


def test_unverified_rows_are_flagged_wherever_they_are_cited() -> None:
    unverified = load_evidence().select(status="unverified")
    assert unverified
    assert all("not read in the source" in row.citation() and not row.verified for row in unverified)


def test_judgement_is_never_called_read() -> None:
    for row in load_evidence():
        if "NOT EVIDENCE" in row.note:
            assert row.status == "unverified" and row.interval in ("judgement_range", "unstated"), row.id


def test_prices_warn_that_they_are_no_cost_of_goods() -> None:
    for row in load_evidence():
        if row.statistic == "price":
            assert "not a cost of goods" in row.caution, row.id
