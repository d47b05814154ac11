"""What an amount is paid for has to fit the field, and rows keep their own units: no silent factor of 12, 30 or 365."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from cartsight.core.errors import InputError
from cartsight.scenario.numbers import (
    AnyNumber,
    Money,
    MoneyPerBatch,
    MoneyPerLot,
    MoneyPerMonth,
    MoneyPerYear,
    VariableDuration,
)
from tests.scenario_builder import REASON, build, minimal_scenario, number


def test_an_amount_per_year_is_a_twelfth_per_month_with_its_interval() -> None:
    care = MoneyPerMonth(
        value=120_000, unit="usd_2024/year", assumed=REASON, low=60_000, high=180_000, interval="range"
    )
    assert care.x == pytest.approx(10_000)
    assert care.quantity.unit == "usd_2024"
    assert care.quantity.uncertainty is not None
    low, high = care.quantity.uncertainty.law.quantile(np.array([0.0, 1.0]))
    assert (low, high) == (pytest.approx(5_000), pytest.approx(15_000))


def test_a_charge_per_day_of_a_row_becomes_a_charge_per_year() -> None:
    # MFG010: 5 540.33 dollars a day of capital of a site with ten lines.
    assert MoneyPerYear(evidence="MFG010").x == pytest.approx(5_540.33 * 365.25)


@pytest.mark.parametrize(
    ("field", "unit"),
    [
        (MoneyPerMonth, "usd_2024/lot"),
        (MoneyPerBatch, "usd_2024/lot"),
        (MoneyPerLot, "usd_2024/dose"),
        (Money, "usd_2024/qaly"),
        (Money, "usd_2024/month"),
    ],
)
def test_a_denominator_that_does_not_fit_is_refused(field: type[Money], unit: str) -> None:
    with pytest.raises(ValidationError, match="does not fit this field"):
        field(value=1.0, unit=unit, assumed=REASON)


def test_the_message_names_field_and_allowed_denominators() -> None:
    raw = minimal_scenario()
    raw["arms"]["allogeneic"]["costs"]["labour_per_lot"] = number(900.0, "usd_2024/dose")
    with pytest.raises(InputError) as caught:
        build(raw)
    assert caught.value.field == "arms.allogeneic.costs.labour_per_lot"
    assert "usd_2024/lot" in str(caught.value)


def test_a_row_of_money_is_not_relabelled_with_another_price_year() -> None:
    with pytest.raises(ValidationError, match="states its own currency and price year"):
        Money(evidence="EC083", unit="eur_2010")
    assert Money(evidence="EC083").quantity.unit == "usd_2022"


@pytest.mark.parametrize("stated", [{"value": 22 / 7, "unit": "weeks"}, {"unit": "weeks"}, {}])
def test_quartiles_of_a_row_are_read_in_the_units_of_the_row(stated: dict[str, Any]) -> None:
    # LA010: median 22 days, quartiles 15 and 28 days, whatever unit the scenario writes.
    wait = VariableDuration(evidence="LA010", law="lognormal", **stated)
    lower, median, upper = wait.distribution.quantile(np.array([0.25, 0.5, 0.75]))
    assert median == pytest.approx(22.0)
    assert upper / lower == pytest.approx(28.0 / 15.0)


def test_a_published_figure_is_converted_to_the_unit_it_is_asked_in() -> None:
    assert AnyNumber(evidence="LA010", unit="weeks").x == pytest.approx(22.0 / 7.0)
