"""Money through the index tables: published averages, round trips, chains, and messages."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.core import money
from cartsight.core.errors import InputError
from cartsight.core.money import available_years, conversion, convert

YEARS = st.integers(2000, 2024)
CURRENCIES = st.sampled_from(["usd", "eur", "gbp", "jpy", "cny", "chf"])


@pytest.mark.parametrize(
    ("year", "average"),
    # Annual averages of CUUR0000SA0 as the Bureau of Labor Statistics prints them, to the third decimal.
    [(2000, 172.2), (2009, 214.537), (2015, 237.017), (2019, 255.657), (2022, 292.655), (2024, 313.689)],
)
def test_us_consumer_price_index_is_the_published_annual_average(year: int, average: float) -> None:
    assert convert(100.0, f"usd_{year}", "usd_2024") == pytest.approx(100.0 * 313.689 / average, rel=2e-6)


def test_euro_index_and_exchange_rate() -> None:
    # HICP 2019 104.80, 2024 126.07 (2015 = 100); 0.9242 euro per dollar in 2024 (Federal Reserve G.5A).
    assert convert(1000.0, "eur_2019", "eur_2024") == pytest.approx(1000.0 * 126.07 / 104.80)
    assert convert(1000.0, "eur_2019", "usd_2024") == pytest.approx(1000.0 * 126.07 / 104.80 / 0.9242)


def test_health_care_index_is_a_choice() -> None:
    general = convert(1.0, "usd_2010", "usd_2024")
    health = convert(1.0, "usd_2010", "usd_2024", index="pce_health")
    assert health == pytest.approx(175.8483 / 136.0701)
    assert health < general


def test_denominators_travel_and_must_agree() -> None:
    assert convert(10.0, "usd_2019/dose", "usd_2024/dose") == convert(10.0, "usd_2019", "usd_2024")
    with pytest.raises(InputError, match="per different things"):
        convert(10.0, "usd_2019/dose", "usd_2024")


def test_arrays_convert_element_by_element() -> None:
    np.testing.assert_allclose(convert(np.array([1.0, 2.0]), "usd_2019", "usd_2019"), [1.0, 2.0])


@given(CURRENCIES, YEARS, YEARS, YEARS)
@settings(max_examples=50)
def test_within_a_currency_conversions_undo_and_chain(currency: str, a: int, b: int, c: int) -> None:
    names = [f"{currency}_{year}" for year in (a, b, c)]
    assert convert(convert(7.0, names[0], names[1]), names[1], names[0]) == pytest.approx(7.0)
    assert convert(convert(7.0, names[0], names[1]), names[1], names[2]) == pytest.approx(
        convert(7.0, names[0], names[2])
    )


@given(CURRENCIES, CURRENCIES, CURRENCIES, YEARS)
@settings(max_examples=50)
def test_within_a_year_conversions_undo_and_chain(a: str, b: str, c: str, year: int) -> None:
    names = [f"{currency}_{year}" for currency in (a, b, c)]
    assert convert(convert(7.0, names[0], names[1]), names[1], names[0]) == pytest.approx(7.0)
    assert convert(convert(7.0, names[0], names[1]), names[1], names[2]) == pytest.approx(
        convert(7.0, names[0], names[2])
    )


@given(CURRENCIES, CURRENCIES, YEARS, YEARS)
@settings(max_examples=50)
def test_there_and_back_is_the_change_of_the_real_exchange_rate(a: str, b: str, s: int, t: int) -> None:
    there_and_back = convert(convert(1.0, f"{a}_{s}", f"{b}_{t}"), f"{b}_{t}", f"{a}_{s}")
    inflation_a = convert(1.0, f"{a}_{s}", f"{a}_{t}")
    inflation_b = convert(1.0, f"{b}_{s}", f"{b}_{t}")
    rate_s, rate_t = convert(1.0, f"{a}_{s}", f"{b}_{s}"), convert(1.0, f"{a}_{t}", f"{b}_{t}")
    assert there_and_back == pytest.approx(inflation_a / inflation_b * rate_t / rate_s)


def test_a_conversion_names_its_steps_and_sources() -> None:
    way = conversion("eur_2020", "usd_2024")
    assert len(way.steps) == 2 and way.steps[0].startswith("eur 2020 to eur 2024")
    assert any("Eurostat" in text for text in way.citations) and any(
        "Federal Reserve" in text for text in way.citations
    )
    assert not way.provisional
    assert conversion("usd_2026", "usd_2024").provisional
    assert conversion("usd_2024", "usd_2024").steps == ()


def test_messages_name_what_is_there() -> None:
    with pytest.raises(InputError, match="1995 to 2024"):
        convert(1.0, "chf_2018", "chf_2030")
    with pytest.raises(InputError, match="cpi_u, pce_health"):
        convert(1.0, "usd_2018", "usd_2020", index="pce_helth")
    with pytest.raises(InputError, match="amount of money"):
        convert(1.0, "days", "usd_2020")
    with pytest.raises(InputError, match="no exchange rate of eur"):
        convert(1.0, "eur_1998", "usd_1998")
    assert available_years("usd") == range(1995, 2027)


def test_every_index_value_has_a_source_and_series_have_no_gaps() -> None:
    path = money._FOLDER / "price_indices.csv"
    with path.open(encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    assert {record["source"] for record in records} == set(money.price_sources())
    years: dict[tuple[str, str], list[int]] = {}
    for record in records:
        years.setdefault((record["series"], record["currency"]), []).append(int(record["year"]))
    for series, found in years.items():
        assert found == list(range(found[0], found[-1] + 1)), series
