"""Equity view: published equivalents, identities of the Atkinson index, groups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from cartsight.core.errors import InputError
from cartsight.economics.equity import (
    atkinson_index,
    equally_distributed_equivalent,
    equity_view,
    patient_groups,
    qalys_before,
)
from cartsight.economics.severity import ARA_BRAZIER_2010

# Worked example of the documentation of the R package dceasimR (social welfare functions): five groups of equal size.
HEALTH = [52.1, 56.3, 59.8, 63.2, 66.8]
EQUAL = [0.2] * 5


@pytest.mark.parametrize(("aversion", "printed"), [(0.0, 59.64), (1.0, 59.41665), (5.0, 58.51938)])
def test_equivalents_as_printed(aversion: float, printed: float) -> None:
    # Printed to five decimals.
    assert equally_distributed_equivalent(HEALTH, EQUAL, aversion) == pytest.approx(printed, abs=6e-6)


def test_two_groups_by_hand() -> None:
    # eta = 2 is the harmonic mean: 2 / (1/40 + 1/60) = 48; the index is 1 - 48/50.
    assert equally_distributed_equivalent([40.0, 60.0], [1.0, 1.0], 2.0) == pytest.approx(48.0)
    assert atkinson_index([40.0, 60.0], [1.0, 1.0], 2.0) == pytest.approx(0.04)


def test_weights_of_gains_in_england() -> None:
    """At eta = 10.95 a QALY for the poorest fifth weighs six to seven times one for the richest (Robson et al. 2017)."""
    richest, poorest = 74.0, 62.0
    up = [equally_distributed_equivalent([poorest + d, richest + e], [1, 1], 10.95) for d, e in ((1e-5, 0), (0, 1e-5))]
    base = equally_distributed_equivalent([poorest, richest], [1, 1], 10.95)
    # Quality-adjusted life expectancy of about 62 and 74 years, round figures for fifths of England: 6.9.
    assert (up[0] - base) / (up[1] - base) == pytest.approx((richest / poorest) ** 10.95, rel=1e-3)
    assert 6.0 < (richest / poorest) ** 10.95 < 7.0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(1.0, 90.0), st.floats(0.01, 1.0)), min_size=1, max_size=6),
    st.floats(0.0, 20.0),
    st.floats(0.1, 5.0),
)
def test_properties_of_the_equivalent(groups: list[tuple[float, float]], aversion: float, factor: float) -> None:
    health, weights = (np.array(column) for column in zip(*groups, strict=True))
    mean = equally_distributed_equivalent(health, weights, 0.0)
    found = equally_distributed_equivalent(health, weights, aversion)
    assert health.min() * (1 - 1e-9) <= found <= mean * (1 + 1e-9)
    assert found >= equally_distributed_equivalent(health, weights, aversion + 1.0) * (1 - 1e-9)
    assert equally_distributed_equivalent(factor * health, weights, aversion) == pytest.approx(factor * found, rel=1e-9)
    assert 0.0 <= atkinson_index(health, weights, aversion) < 1.0
    assert atkinson_index(np.full(3, 7.0), [1, 2, 3], aversion) == pytest.approx(0.0, abs=1e-12)


def test_a_gain_for_the_worse_off_counts_for_more_than_its_mean() -> None:
    reference, group = np.array([10.0] * 30 + [20.0] * 30), np.array([0] * 30 + [1] * 30)
    to_worse, to_better = reference + np.where(group == 0, 1.0, 0.0), reference + np.where(group == 1, 1.0, 0.0)
    names = ("worse", "better")
    fair, unfair = (equity_view(reference, arm, names, group, aversions=(0.0, 3.0)) for arm in (to_worse, to_better))
    assert fair.mean_gain == unfair.mean_gain == 0.5
    assert fair.by_aversion[0].from_distribution == pytest.approx(0.0, abs=1e-12)
    assert fair.by_aversion[1].from_distribution > 0.0 > unfair.by_aversion[1].from_distribution
    assert [row.share_of_gain for row in fair.groups] == [1.0, 0.0]
    assert [row.gain for row in unfair.groups] == [0.0, 1.0]


def test_shares_sum_and_errors_are_paired() -> None:
    rng = np.random.default_rng(2)
    reference = rng.gamma(2.0, 2.0, 500)
    gain = rng.normal(0.3, 0.1, 500)
    group = rng.integers(0, 4, 500)
    view = equity_view(reference, reference + gain, tuple("abcd"), group, before=np.full(500, 50.0))
    assert sum(row.share for row in view.groups) == pytest.approx(1.0)
    assert sum(row.share_of_gain for row in view.groups) == pytest.approx(1.0)
    # Paired by patient: the error is that of the gain (0.1 / sqrt(n)), not of the wide health itself.
    assert all(row.standard_error < 0.02 for row in view.groups)
    assert all(row.reference > 50.0 for row in view.groups)


def test_error_of_the_equivalent_is_the_spread_over_samples() -> None:
    rng = np.random.default_rng(9)
    level, shift = np.array([30.0, 50.0]), np.array([1.0, 0.2])
    group = np.repeat([0, 1], 100)
    found, errors = [], []
    for _ in range(400):
        reference = level[group]
        view = equity_view(
            reference, reference + shift[group] + rng.normal(0.0, 2.0, 200), ("a", "b"), group, aversions=(3.0,)
        )
        found.append(view.by_aversion[0].gain)
        errors.append(view.by_aversion[0].standard_error)
    # 400 samples give a standard deviation to 3.5 %; three of these.
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.11)


def test_groups_of_patients() -> None:
    names, group = patient_groups(
        np.array([0, 1, 1]), ("north", "south"), np.array([49.9, 50.0, 70.0]), np.array([True, False, True])
    )
    assert [names[code] for code in group] == [
        "north, under 50, women",
        "south, 50 to 65, men",
        "south, 65 and over, women",
    ]
    assert len(names) == 12


def test_qalys_before_are_the_integral_of_the_norms() -> None:
    ages = np.linspace(0.0, 62.0, 100_001)
    curve = ARA_BRAZIER_2010.at(ages, np.zeros(ages.size, dtype=np.bool_))
    assert float(qalys_before(62.0, False)) == pytest.approx(float(integrate.trapezoid(curve, ages)), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: equally_distributed_equivalent([0.0, 1.0], [1, 1], 1.0), "above zero"),
        (lambda: equally_distributed_equivalent([1.0, 1.0], [1, -1], 1.0), "weights"),
        (lambda: equally_distributed_equivalent([1.0], [1.0], -1.0), "aversion"),
        (lambda: equally_distributed_equivalent([], [], 1.0), "one health"),
        (lambda: patient_groups(np.array([0]), ("a",), np.array([1.0]), np.array([True]), (65.0, 50.0)), "must rise"),
        (lambda: equity_view(np.ones(2), np.ones(3), ("a",), np.zeros(2, dtype=int)), "same patients"),
        (lambda: equity_view(np.ones(2), np.ones(2), ("a",), np.zeros(2, dtype=int), aversions=()), "at least one"),
    ],
)
def test_bad_input(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
