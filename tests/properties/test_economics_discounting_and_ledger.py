"""Properties of discounting and of the cost ledger."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.economics import (
    CostLedger,
    annuity_present_value,
    discount_factor,
    discounted_integral,
    discounted_life_years,
    present_value,
)

rates = st.floats(0.0, 0.3)
years = st.floats(0.0, 80.0)
money = st.floats(-1e7, 1e7, allow_nan=False)


@settings(max_examples=30)
@given(years, years, rates)
def test_factors_multiply_and_fall_with_time(first: float, second: float, rate: float) -> None:
    product = float(discount_factor(first, rate) * discount_factor(second, rate))
    assert product == pytest.approx(float(discount_factor(first + second, rate)), rel=1e-12)
    assert float(discount_factor(first + second, rate)) <= float(discount_factor(first, rate))


@settings(max_examples=30)
@given(years, rates, rates)
def test_a_higher_rate_never_raises_a_present_value(time: float, first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert float(present_value(100.0, time, high)) <= float(present_value(100.0, time, low))
    assert float(discounted_life_years(time, high)) <= float(discounted_life_years(time, low)) * (1 + 1e-14)


@settings(max_examples=30)
@given(years, years, years, st.floats(0.0, 1.0), st.floats(0.0, 1.0), rates)
def test_integrals_add_over_a_split(a: float, b: float, c: float, u: float, v: float, rate: float) -> None:
    start, middle, end = sorted((a, b, c))
    share = (middle - start) / (end - start) if end > start else 0.0
    between = u + (v - u) * share
    whole = discounted_integral(start, end, u, v, discount_rate=rate)
    parts = discounted_integral(start, middle, u, between, discount_rate=rate) + discounted_integral(
        middle, end, between, v, discount_rate=rate
    )
    assert float(whole) == pytest.approx(float(parts), rel=1e-9, abs=1e-9)


@settings(max_examples=30)
@given(years, st.floats(0.0, 1.0), st.floats(0.0, 1.0), rates)
def test_qalys_never_exceed_life_years(end: float, u: float, v: float, rate: float) -> None:
    qalys = discounted_integral(0.0, end, u, v, discount_rate=rate)
    assert 0.0 <= float(qalys) <= float(discounted_life_years(end, rate)) * (1 + 1e-12)


@settings(max_examples=20)
@given(st.integers(0, 60), st.floats(1e-10, 0.3))
def test_an_annuity_is_the_sum_of_its_payments(payments: int, rate: float) -> None:
    direct = float(present_value(1.0, np.arange(1, payments + 1), rate).sum())
    assert float(annuity_present_value(1.0, payments, rate)) == pytest.approx(direct, rel=1e-9)


@st.composite
def ledgers(draw: st.DrawFn) -> CostLedger:
    rows = draw(st.integers(0, 60))
    return CostLedger(
        np.array(draw(st.lists(st.integers(0, 4), min_size=rows, max_size=rows)), dtype=np.int64),
        np.array(draw(st.lists(st.floats(0.0, 20_000.0), min_size=rows, max_size=rows))),
        np.array(draw(st.lists(st.integers(0, 2), min_size=rows, max_size=rows)), dtype=np.int64),
        np.array(draw(st.lists(money, min_size=rows, max_size=rows))),
        ("product", "hospital", "other care"),
        5,
    )


@settings(max_examples=40)
@given(ledgers(), rates)
def test_every_way_of_adding_a_ledger_gives_its_total(ledger: CostLedger, rate: float) -> None:
    for version in (ledger, ledger.discounted(rate)):
        total = version.total()
        # The groups are exact; adding the few of them rounds once each.
        slack = 1e-15 * (math.fsum(np.abs(version.amount)) + 1e-300) * 10
        assert math.fsum(version.by_patient()) == pytest.approx(total, abs=slack)
        assert math.fsum(version.by_category().values()) == pytest.approx(total, abs=slack)
        assert math.fsum(version.by_year()) == pytest.approx(total, abs=slack)
        assert math.fsum(version.by_patient_and_category().ravel()) == pytest.approx(total, abs=slack)


@settings(max_examples=30)
@given(ledgers(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_bit(ledger: CostLedger, random: object) -> None:
    order = np.arange(len(ledger))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = CostLedger(
        ledger.patient[order],
        ledger.time_days[order],
        ledger.category[order],
        ledger.amount[order],
        ledger.categories,
        ledger.patients,
    )
    assert np.array_equal(ledger.by_patient(), shuffled.by_patient())
    assert ledger.by_category() == shuffled.by_category()
    assert ledger.total() == shuffled.total()


@settings(max_examples=20)
@given(ledgers())
def test_no_discounting_keeps_every_amount(ledger: CostLedger) -> None:
    assert np.array_equal(ledger.discounted(0.0).amount, ledger.amount)
