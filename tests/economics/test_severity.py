"""QALY shortfall: worked examples by hand, life expectancy as a check, cut-offs of the manual, properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.core.errors import InputError
from cartsight.economics.severity import (
    ARA_BRAZIER_2010,
    PopulationUtility,
    population_qalys,
    qaly_shortfall,
    severity_weight,
)
from cartsight.evidence.life_tables import LifeTable, life_table

# One in ten dies each year of age, for ever: the hazard is -ln 0.9 = 0.1053605.
CONSTANT = LifeTable.from_death_probabilities("nowhere", 2000, "2000", "by hand", [0.1] * 111, [0.1] * 111)
FULL_HEALTH = PopulationUtility(1.0, 0.0, 0.0, 0.0, "by hand")


def test_worked_example() -> None:
    """A = 0.9 / (0.1053605 + ln 1.035) = 0.9 / 0.1397619 = 6.43952; B = 0.5: shortfall 5.93952, 0.92235, weight 1.2."""
    utility = PopulationUtility(0.9, 0.0, 0.0, 0.0, "by hand")
    without = float(population_qalys(CONSTANT, [30.0], [True], utility=utility)[0])
    assert without == pytest.approx(6.43952, abs=1e-4)
    found = qaly_shortfall(without, 0.5)
    assert found.absolute == pytest.approx(5.93952, abs=1e-4)
    assert found.proportional == pytest.approx(0.92235, abs=1e-5)
    assert (found.weight, found.weight_by_absolute, found.weight_by_proportional) == (1.2, 1.0, 1.2)
    assert found.to_next_cut_off["absolute"] == pytest.approx(12.0 - 5.93952, abs=1e-4)
    assert found.to_next_cut_off["proportional"] == pytest.approx(0.95 - 0.92235, abs=1e-5)


def test_falling_utility_at_a_constant_hazard() -> None:
    # u = 1 - 0.004 age from age 20: integral of exp(-r t)(0.92 - 0.004 t) = 0.92/r - 0.004/r^2, r = 0.1397619.
    utility = PopulationUtility(1.0, 0.0, -0.004, 0.0, "by hand")
    rate = -math.log(0.9) + math.log(1.035)
    found = float(population_qalys(CONSTANT, [20.0], [False], utility=utility)[0])
    # The integral is cut at age 121: exp(-101 x 0.14) = 7e-7 of it is missing.
    assert found == pytest.approx(0.92 / rate - 0.004 / rate**2, rel=2e-6)


@pytest.mark.parametrize(("age", "female"), [(0.0, True), (40.5, False), (62.3, True), (99.0, False)])
def test_in_full_health_undiscounted_it_is_life_expectancy(age: float, female: bool) -> None:
    table = life_table("us", 2019)
    found = population_qalys(table, [age], [female], discount_rate=0.0, utility=FULL_HEALTH)
    expected = table.remaining_life_expectancy(age, "female" if female else "male")
    assert float(found[0]) == pytest.approx(float(expected), rel=1e-6)


def test_stopping_after_some_years() -> None:
    found = population_qalys(CONSTANT, [30.25], [True], discount_rate=0.0, utility=FULL_HEALTH, years=2.5)
    hazard = -math.log(0.9)
    assert float(found[0]) == pytest.approx(-math.expm1(-2.5 * hazard) / hazard, rel=1e-12)


def test_published_population_norms() -> None:
    # Ara & Brazier 2010: 0.9508566 + 0.0212126 - 0.0002587 x 60 - 0.0000332 x 3600 = 0.8370272 for a man of 60.
    assert float(ARA_BRAZIER_2010.at(np.array(60.0), np.array(False))) == pytest.approx(0.8370272, abs=1e-9)
    assert float(ARA_BRAZIER_2010.at(np.array(60.0), np.array(True))) == pytest.approx(0.8158146, abs=1e-9)


@pytest.mark.parametrize(
    ("absolute", "proportional", "weight"),
    [
        (11.99, 0.849, 1.0),
        (12.0, 0.2, 1.2),
        (3.0, 0.85, 1.2),
        (17.99, 0.9499, 1.2),
        (18.0, 0.1, 1.7),
        (2.0, 0.95, 1.7),
        (12.0, 0.95, 1.7),
        (-1.0, -0.1, 1.0),
    ],
)
def test_cut_offs_of_the_manual(absolute: float, proportional: float, weight: float) -> None:
    assert severity_weight(absolute, proportional) == weight


@settings(max_examples=50, deadline=None)
@given(st.floats(0.1, 40.0), st.floats(0.0, 40.0), st.floats(0.0, 5.0))
def test_more_health_with_the_disease_never_raises_the_weight(without: float, with_disease: float, more: float) -> None:
    first, second = qaly_shortfall(without, with_disease), qaly_shortfall(without, with_disease + more)
    assert second.weight <= first.weight
    assert first.weight == severity_weight(first.absolute, first.proportional)
    assert first.absolute == pytest.approx(first.proportional * without, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.0, 95.0), st.booleans(), st.floats(0.0, 0.06))
def test_discounting_and_age_only_lower_what_is_left(age: float, female: bool, rate: float) -> None:
    table = life_table("us", 2019)
    now = population_qalys(table, [age], [female], discount_rate=rate)[0]
    assert 0.0 < now <= population_qalys(table, [age], [female], discount_rate=0.0)[0] + 1e-12
    assert now <= population_qalys(table, [age], [female], discount_rate=rate, utility=FULL_HEALTH)[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: population_qalys(CONSTANT, [-1.0], [True]), "ages must lie"),
        (lambda: population_qalys(CONSTANT, [float("nan")], [True]), "ages must lie"),
        (lambda: population_qalys(CONSTANT, [50.0], [True], discount_rate=-0.1), "must not be negative"),
        (lambda: population_qalys(CONSTANT, [50.0], [True], years=0.0), "must be above zero"),
        (lambda: qaly_shortfall(0.0, 1.0), "without the disease"),
        (lambda: qaly_shortfall(10.0, float("nan")), "must be finite"),
        (lambda: severity_weight(float("inf"), 0.5), "must be finite"),
    ],
)
def test_bad_input(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
