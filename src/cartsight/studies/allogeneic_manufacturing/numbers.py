"""The numbers of study 1B: lots of two cell sources at any size."""

from __future__ import annotations

from pathlib import Path

from cartsight.scenario.numbers import (
    Count,
    Duration,
    Frozen,
    MoneyPerDose,
    MoneyPerLot,
    MoneyPerYear,
    Probability,
    Ratio,
)
from cartsight.studies.study_numbers import read_study_numbers

NUMBERS = Path(__file__).parent / "numbers.toml"


class Source(Frozen):
    """Lots of one cell source."""

    doses_per_lot: Count
    success: Probability
    cost_of_reference_lot: MoneyPerLot
    reference_doses: Count
    shelf_life: Duration
    line_days_per_lot: Duration
    bank_per_year: MoneyPerYear


class SharedNumbers(Frozen):
    """What does not depend on the source."""

    size_exponent: Ratio
    site_per_year: MoneyPerYear
    line_per_year: MoneyPerYear
    fill_and_storage_per_dose: MoneyPerDose


class LotNumbers(Frozen):
    """All numbers of the batch-size question."""

    donor: Source
    ipsc: Source
    shared: SharedNumbers


def read_numbers(money: str) -> LotNumbers:
    """Return the numbers of the study's file, with amounts in `money`."""
    return read_study_numbers(NUMBERS, LotNumbers, money)
