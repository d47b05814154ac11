"""The numbers of study 1A: what a plant of any size costs, and what transport takes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from cartsight.scenario.numbers import (
    Count,
    Duration,
    Frozen,
    MoneyPerBatch,
    MoneyPerShipment,
    MoneyPerYear,
    Ratio,
)
from cartsight.studies.study_numbers import read_study_numbers

NUMBERS = Path(__file__).parent / "numbers.toml"


class PlantNumbers(Frozen):
    """Cost of one plant of any number of lines, one process in all."""

    line_per_year: MoneyPerYear
    facility_of_three_lines: MoneyPerYear
    quality_unit_of_three_lines: MoneyPerYear
    size_exponent: Ratio = Field(description="Facility and quality unit cost (lines / 3) to this power.")
    batches_per_operator_year: Count
    operator_per_year: MoneyPerYear
    fewest_operators: Count
    materials_per_batch: MoneyPerBatch
    quality_control_per_batch: MoneyPerBatch


class Transport(Frozen):
    """One way of moving cells between hospital and plant."""

    out: Duration
    back: Duration
    per_shipment: MoneyPerShipment


class NetworkNumbers(Frozen):
    """All numbers of the network question."""

    plant: PlantNumbers
    transport: dict[str, Transport]


def read_numbers(money: str) -> NetworkNumbers:
    """Return the numbers of the study's file, with amounts in `money`."""
    return read_study_numbers(NUMBERS, NetworkNumbers, money)
