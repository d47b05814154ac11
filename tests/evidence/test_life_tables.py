"""Life tables against the published life expectancies, and death times against the tables."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.core.errors import InputError
from cartsight.evidence.life_tables import LifeTable, available_life_tables, life_table
from cartsight.evidence.life_tables.shipped import published_life_expectancy

TABLES = [(country, year, sex) for country, year in available_life_tables() for sex in ("female", "male")]
# e(x) is printed to 0.1 years by the National Center for Health Statistics and to 0.01 by the others.
ROUNDING = {("us", 2023): 0.05, ("us", 2019): 0.005, ("de", 2017): 0.005, ("de", 2023): 0.005}


@pytest.mark.parametrize(("country", "year", "sex"), TABLES)
def test_survival_gives_the_published_life_expectancies(country: str, year: int, sex: str) -> None:
    """Publishers take half a year lived in the year of death; so computed, e(x) agrees to its rounding.

    The tolerance adds 0.007 years: published columns come from rounded l(x), and infants die early in their
    first year.
    """
    table = life_table(country, year)
    published = np.array(published_life_expectancy(country, year, sex))[:100]
    alive = np.append(1.0, np.cumprod(1.0 - table.annual_death_probability(np.arange(100.0), sex)))
    lived = alive[1:] + 0.5 * (alive[:-1] - alive[1:])
    lived[0] = alive[1] + 0.1 * (alive[0] - alive[1])
    end = published_life_expectancy(country, year, sex)[100] * alive[100]
    total = np.cumsum(lived[::-1])[::-1] + end
    tolerance = ROUNDING[country, year] + 0.007
    assert np.abs(total / alive[:-1] - published).max() < tolerance


@pytest.mark.parametrize(("country", "year", "sex"), TABLES)
def test_life_expectancy_with_a_constant_hazard_within_each_year(country: str, year: int, sex: str) -> None:
    """A constant hazard puts deaths before the middle of the year: by h/12 of a year, 0.03 at age 99."""
    table = life_table(country, year)
    published = np.array(published_life_expectancy(country, year, sex))[:101]
    ages = np.arange(101.0)
    difference = np.abs(table.remaining_life_expectancy(ages, sex) - published)
    assert difference[:80].max() < ROUNDING[country, year] + 0.02
    assert difference.max() < ROUNDING[country, year] + 0.045


def test_united_states_2023_headline_figures() -> None:
    # National Vital Statistics Reports 74(6): 75.8 years for men and 81.1 for women at birth; at 65, 18.2
    # and 20.7.
    table = life_table("us", 2023)
    expectancy = table.remaining_life_expectancy(
        np.array([0.0, 65.0, 0.0, 65.0]), np.array(["male", "male", "female", "female"])
    )
    np.testing.assert_allclose(expectancy, [75.8, 18.2, 81.1, 20.7], atol=0.06)


@pytest.mark.parametrize("sex", ["female", "male"])
@pytest.mark.parametrize("smr", [0.5, 1.0, 3.0])
def test_death_times_follow_the_survival(sex: str, smr: float) -> None:
    table = life_table("us", 2019)
    uniform = (np.arange(20_000) + 0.5) / 20_000
    times = table.sample_death_time(uniform, 61.3, sex, smr)
    assert np.all(np.diff(times) >= 0.0)
    for years in (0.4, 1.0, 5.0, 17.2, 40.0):
        assert np.mean(times > years) == pytest.approx(table.survival(61.3, sex, years, smr), abs=1e-4)
    # The midpoint rule over 20 000 strata is exact to about 1e-3 years.
    assert times.mean() == pytest.approx(table.remaining_life_expectancy(61.3, sex, smr), abs=5e-3)


@given(
    age=st.floats(0, 119),
    years=st.floats(0, 60),
    more=st.floats(0, 60),
    female=st.booleans(),
    smr=st.floats(0.2, 10),
)
@settings(max_examples=60, deadline=None)
def test_survival_multiplies_along_a_path_and_inverts(
    age: float, years: float, more: float, female: bool, smr: float
) -> None:
    table = life_table("de", 2023)
    sex = "female" if female else "male"
    first, rest = table.survival(age, sex, years, smr), table.survival(age + years, sex, more, smr)
    assert table.survival(age, sex, years + more, smr) == pytest.approx(first * rest, rel=1e-9, abs=1e-300)
    dead = 1.0 - float(first)
    if 1e-9 < dead < 1.0 - 1e-6:
        assert table.sample_death_time(dead, age, sex, smr) == pytest.approx(years, rel=1e-5, abs=1e-6)
    assert table.survival(age, sex, years, 1.0) == pytest.approx(
        table.survival(age, female, years) if female else first ** (1 / smr)
    )


def test_women_and_men_by_name_or_flag_and_in_arrays() -> None:
    table = life_table("us", 2019)
    named = table.annual_hazard([50.0, 50.0], ["female", "male"])
    np.testing.assert_array_equal(named, table.annual_hazard(50.0, np.array([True, False])))
    assert named[0] < named[1]
    assert table.sample_death_time(np.full((3, 2), 0.5), 50.0, ["female", "male"]).shape == (3, 2)


def test_closing_is_gompertz_and_keeps_the_last_published_figure() -> None:
    table = life_table("us", 2023)
    assert table.last_published_age == 99
    steps = np.diff(np.log(table.hazard[:, 99:]), axis=1)
    np.testing.assert_allclose(steps, steps[:, :1] * np.ones_like(steps), rtol=1e-9)
    assert np.all(steps > 0)
    np.testing.assert_allclose(table.remaining_life_expectancy(100.0, ["female", "male"]), [2.3, 2.0], atol=1e-6)
    # Without a published end the slope is that of the last ten years.
    gompertz = -np.expm1(-1e-4 * np.exp(0.09 * np.arange(90)))
    closed = LifeTable.from_death_probabilities("x", 2000, "2000", "made up", gompertz, gompertz)
    np.testing.assert_allclose(closed.hazard[0], 1e-4 * np.exp(0.09 * np.arange(121)), rtol=1e-9)


def test_a_million_death_times_take_well_under_a_second() -> None:
    table = life_table("us", 2019)
    uniform = np.random.default_rng(1).random(1_000_000)
    started = time.perf_counter()
    times = table.sample_death_time(uniform, 40.0 + 40.0 * uniform, uniform < 0.5)
    # 0.3 s on one core of a small machine; the limit leaves room for a busy one.
    assert time.perf_counter() - started < 2.0
    assert np.all(times >= 0.0)


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda t: t.annual_hazard(-1.0, "male"), "age: must be 0 or more"),
        (lambda t: t.annual_hazard(np.nan, "male"), "age: must be 0 or more"),
        (lambda t: t.annual_hazard(50.0, "M"), "unknown sex"),
        (lambda t: t.survival(50.0, "male", -1.0), "years: must be 0 or more"),
        (lambda t: t.survival(50.0, "male", 1.0, 0.0), "smr: must be above 0"),
        (lambda t: t.sample_death_time(1.0, 50.0, "male"), "uniforms"),
    ],
)
def test_bad_arguments_are_one_message(call: object, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        call(life_table("us", 2019))  # type: ignore[operator]


def test_unknown_tables_name_those_there_are() -> None:
    with pytest.raises(InputError, match="us 2019, us 2023"):
        life_table("us", 1850)
    with pytest.raises(InputError, match="between 0 and 1"):
        LifeTable.from_death_probabilities("x", 2000, "2000", "made up", [0.5] * 11 + [1.0], [0.5] * 12)
    with pytest.raises(InputError, match="one probability per year"):
        LifeTable.from_death_probabilities("x", 2000, "2000", "made up", [0.5], [0.5])
