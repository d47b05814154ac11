"""Value of information: bounds, populations, groups, odd parameters and bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cartsight.comparison import (
    affected_population,
    expected_value_of_partial_perfect_information,
    expected_value_of_perfect_information,
    partial_information_by_parameter,
)
from cartsight.core.errors import InputError

GENERATOR = np.random.default_rng(77)
X = GENERATOR.normal(size=(2000, 4))
EFFECTS = np.column_stack([np.zeros(2000), 0.5 + X[:, 0] + 0.5 * X[:, 1], 0.2 + X[:, 2]])
COSTS = np.column_stack([np.zeros(2000), 20_000 + 5_000 * X[:, 1], 10_000 + 1_000 * X[:, 3]])
GRID = np.array([0.0, 20_000.0, 50_000.0, 100_000.0])


def test_every_value_lies_between_zero_and_perfect_information() -> None:
    perfect = expected_value_of_perfect_information(COSTS, EFFECTS, GRID)
    results = partial_information_by_parameter(
        COSTS,
        EFFECTS,
        {f"x{i}": X[:, i] for i in range(4)},
        GRID,
        groups={"first two": ["x0", "x1"], "all": ["x0", "x1", "x2", "x3"]},
    )
    assert list(results) == ["x0", "x1", "x2", "x3", "first two", "all"]
    for item in results.values():
        assert np.all(item.value >= 0.0)
        assert np.all(item.value <= perfect.value)
        assert np.all(np.isfinite(item.standard_error))
    # Knowing every parameter leaves no noise here.
    assert results["all"].value == pytest.approx(perfect.value, rel=0.01, abs=1.0)
    assert np.all(results["first two"].value >= results["x0"].value - results["x0"].standard_error)
    assert results["x3"].value == pytest.approx(np.zeros(4), abs=300.0)


def test_a_constant_parameter_is_worth_nothing() -> None:
    result = expected_value_of_partial_perfect_information(COSTS, EFFECTS, np.ones(2000), GRID)
    assert result.method == "constant"
    assert result.value == pytest.approx(np.zeros(4), abs=1e-6)


def test_rescaling_a_parameter_changes_nothing() -> None:
    plain = expected_value_of_partial_perfect_information(COSTS, EFFECTS, X[:, 0], GRID)
    scaled = expected_value_of_partial_perfect_information(COSTS, EFFECTS, np.exp(3.0 * X[:, 0]) - 7.0, GRID)
    assert scaled.value == pytest.approx(plain.value, rel=1e-9)


def test_duplicated_parameters_in_a_group() -> None:
    single = expected_value_of_partial_perfect_information(COSTS, EFFECTS, X[:, 0], GRID)
    twice = expected_value_of_partial_perfect_information(COSTS, EFFECTS, X[:, [0, 0]], GRID)
    assert twice.value == pytest.approx(single.value, rel=0.05, abs=100.0)


def test_population() -> None:
    assert affected_population(incidence_per_year=100.0, horizon_years=10.0, discount_rate=0.0) == 1000.0
    expected = 50.0 + 100.0 * (1.0 - 1.03**-10) / math.log(1.03)
    assert affected_population(
        incidence_per_year=100.0, horizon_years=10.0, discount_rate=0.03, prevalent=50.0
    ) == pytest.approx(expected)
    with pytest.raises(InputError, match="incidence"):
        affected_population(incidence_per_year=-1.0, horizon_years=10.0, discount_rate=0.03)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="40 draws"):
        expected_value_of_partial_perfect_information(COSTS[:20], EFFECTS[:20], X[:20, 0], GRID)
    with pytest.raises(InputError, match="numbers of draws"):
        expected_value_of_partial_perfect_information(COSTS, EFFECTS, X[:50, 0], GRID)
    with pytest.raises(InputError, match="finite"):
        expected_value_of_partial_perfect_information(COSTS, EFFECTS, np.full(2000, math.nan), GRID)
    with pytest.raises(InputError, match="too many parameters"):
        expected_value_of_partial_perfect_information(COSTS[:60], EFFECTS[:60], X[:60], GRID)
    with pytest.raises(InputError, match="x0"):
        partial_information_by_parameter(COSTS, EFFECTS, {"x0": X[:, 0]}, GRID, groups={"g": ["x00"]})
    with pytest.raises(InputError, match="name of its own"):
        partial_information_by_parameter(COSTS, EFFECTS, {"x0": X[:, 0]}, GRID, groups={"x0": ["x0"]})
