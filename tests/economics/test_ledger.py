"""The cost ledger: totals by patient, category and calendar year, discounted and not."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.economics import CostLedger, exact_group_sums, join_ledgers


def small_ledger() -> CostLedger:
    return CostLedger(
        patient=np.array([0, 0, 2, 2]),
        time_days=np.array([0.0, 365.25, 10.0, 730.5]),
        category=np.array([0, 1, 0, 1]),
        amount=np.array([100.0, 50.0, 200.0, -30.0]),
        categories=("product", "hospital", "logistics"),
        patients=3,
    )


def test_totals() -> None:
    ledger = small_ledger()
    assert len(ledger) == 4
    assert ledger.total() == 320.0
    assert ledger.by_patient().tolist() == [150.0, 0.0, 170.0]
    assert ledger.by_category() == {"product": 300.0, "hospital": 20.0, "logistics": 0.0}
    assert ledger.by_patient_and_category().tolist() == [
        [100.0, 50.0, 0.0],
        [0.0, 0.0, 0.0],
        [200.0, -30.0, 0.0],
    ]
    assert ledger.by_year().tolist() == [300.0, 50.0, -30.0]


def test_discounting_at_event_dates() -> None:
    ledger = small_ledger().discounted(0.25)
    assert ledger.by_patient()[0] == pytest.approx(100.0 + 50.0 / 1.25)
    assert ledger.amount[3] == pytest.approx(-30.0 / 1.25**2)
    later = small_ledger().discounted(0.25, reference_day=365.25)
    assert later.amount[1] == 50.0
    assert later.amount[0] == pytest.approx(125.0)


def test_calendar_years_follow_the_calendar() -> None:
    ledger = CostLedger(np.zeros(3), np.array([0.0, 59.9, 426.0]), np.zeros(3), np.array([1.0, 2.0, 4.0]), ("x",), 1)
    # 2023-11-01 plus 59 days is 30 December; 426 days later is 31 December 2024, because 2024 is a leap year.
    assert ledger.by_calendar_year(dt.date(2023, 11, 1)) == {2023: 3.0, 2024: 4.0}
    gap = CostLedger(np.zeros(2), np.array([0.0, 800.0]), np.zeros(2), np.ones(2), ("x",), 1)
    assert gap.by_calendar_year(dt.date(2023, 1, 1)) == {2023: 1.0, 2024: 0.0, 2025: 1.0}


def test_select_and_join() -> None:
    ledger = small_ledger()
    assert ledger.select(["hospital"]).total() == 20.0
    with pytest.raises(InputError, match="hospital"):
        ledger.select(["hospitl"])
    other = CostLedger(np.array([1]), np.array([5.0]), np.array([0]), np.array([7.0]), ("hospital",), 3)
    joined = join_ledgers([ledger, other])
    assert joined.by_category()["hospital"] == 27.0
    assert joined.by_patient().tolist() == [150.0, 7.0, 170.0]


def test_sums_lose_no_digit_and_do_not_depend_on_order() -> None:
    amounts = np.array([1e16, 1.0, -1e16, 1.0, 0.1, -0.1] * 1000)
    groups = np.zeros(6000, dtype=int)
    assert exact_group_sums(groups, amounts, 1)[0] == math.fsum(amounts) == 2000.0
    shuffled = np.random.default_rng(1).permutation(6000)
    assert exact_group_sums(groups, amounts[shuffled], 1)[0] == 2000.0
    assert exact_group_sums([], [], 2).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patient": np.array([0, 0, 3, 2])}, "outside the ledger"),
        ({"category": np.array([0, 0, 3, 2])}, "outside the ledger"),
        ({"amount": np.array([0.0, math.nan, 3.0, 2.0])}, "finite"),
        ({"amount": np.array([0.0])}, "length"),
        ({"categories": ("a", "a", "b")}, "its own name"),
    ],
)
def test_bad_ledgers(change: dict[str, object], message: str) -> None:
    ledger = small_ledger()
    fields = {name: getattr(ledger, name) for name in ledger.__dataclass_fields__}
    with pytest.raises(InputError, match=message):
        CostLedger(**{**fields, **change})
