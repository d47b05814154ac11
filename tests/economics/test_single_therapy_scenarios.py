"""Scenarios for single or short-term therapies: an example by hand, limits, properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.core.errors import InputError
from cartsight.economics.ledger import CostLedger
from cartsight.economics.single_therapy_scenarios import cost_by_year, single_therapy_scenarios, years_of

EXAMPLE = {
    "incremental_qalys": 2.0,
    "paid_per_patient": 0.8,
    "price": 500_000.0,
    "wtp": 100_000.0,
    "discount_rate": 0.0,
}


def test_worked_example() -> None:
    """Offsets of 300 000, 100 000 and -20 000: S = 380 000, half of it 190 000, capped 150 000 + 100 000 - 20 000."""
    found = single_therapy_scenarios([310_000.0, 100_000.0, 0.0], [10_000.0, 0.0, 20_000.0], **EXAMPLE)
    rules = {rule.name: rule for rule in found.rules}
    assert {name: rule.credited for name, rule in rules.items()} == {
        "full credit": 380_000.0,
        "shared savings": 190_000.0,
        "capped offsets": 230_000.0,
    }
    # p = (100 000 x 2 + S) / 0.8, cost per QALY = (500 000 x 0.8 - S) / 2.
    assert rules["full credit"].value_based_price == pytest.approx(725_000.0)
    assert rules["shared savings"].value_based_price == pytest.approx(487_500.0)
    assert rules["capped offsets"].value_based_price == pytest.approx(537_500.0)
    assert [rule.icer for rule in found.rules] == pytest.approx([10_000.0, 105_000.0, 85_000.0])
    assert "abstract read" in found.remark


def test_a_therapy_that_saves_nothing_has_nothing_to_share() -> None:
    found = single_therapy_scenarios([0.0, 0.0], [5_000.0, 1_000.0], **EXAMPLE)
    assert len({rule.credited for rule in found.rules}) == 1
    assert found.rules[0].credited == -6_000.0


def test_years_are_discounted_at_their_middle() -> None:
    found = single_therapy_scenarios([100.0, 100.0], [0.0, 0.0], **{**EXAMPLE, "discount_rate": 0.03})
    np.testing.assert_allclose(found.discounted_by_year, [100 * 1.03**-0.5, 100 * 1.03**-1.5])


def test_no_gain_in_qalys_has_no_ratio() -> None:
    found = single_therapy_scenarios([1.0], [0.0], **{**EXAMPLE, "incremental_qalys": 0.0})
    assert all(rule.icer is None for rule in found.rules)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 4e5), st.floats(0, 4e5)), min_size=1, max_size=8),
    st.floats(0.0, 0.06),
)
def test_neither_rule_credits_more_than_full(years: list[tuple[float, float]], rate: float) -> None:
    comparator, other = zip(*years, strict=True)
    found = single_therapy_scenarios(comparator, other, **{**EXAMPLE, "discount_rate": rate})
    full, shared, capped = (rule.credited for rule in found.rules)
    assert shared <= full + 1e-6
    assert capped <= full + 1e-6
    # At the value-based price the therapy's net benefit over its comparator is zero.
    for rule in found.rules:
        assert 2.0 * 100_000.0 + rule.credited - 0.8 * rule.value_based_price == pytest.approx(0.0, abs=1e-5)


def test_no_cap_and_the_whole_share_are_full_credit() -> None:
    found = single_therapy_scenarios([9e5, 1e5], [0.0, 0.0], shared_fraction=1.0, yearly_cap=1e9, **EXAMPLE)
    assert len({rule.credited for rule in found.rules}) == 1


def test_costs_by_year_of_a_ledger() -> None:
    ledger = CostLedger(
        np.array([0, 0, 1]),
        np.array([10.0, 400.0, 20.0]),
        np.array([0, 1, 1]),
        np.array([100.0, 60.0, 40.0]),
        ("product", "care"),
        2,
    )
    np.testing.assert_allclose(cost_by_year(ledger, 3), [70.0, 30.0, 0.0])
    np.testing.assert_allclose(cost_by_year(ledger, 3, without=("product",)), [20.0, 30.0, 0.0])
    assert years_of(365.25 * 5) == 5
    assert years_of(400.0) == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"paid_per_patient": 0.0}, "paid_per_patient"),
        ({"price": -1.0}, "price"),
        ({"discount_rate": float("nan")}, "discount_rate"),
        ({"shared_fraction": 1.5}, "shared_fraction"),
        ({"yearly_cap": -1.0}, "yearly_cap"),
    ],
)
def test_numbers_out_of_range(changes: dict[str, float], field: str) -> None:
    with pytest.raises(InputError, match=field):
        single_therapy_scenarios([1.0], [0.0], **{**EXAMPLE, **changes})


def test_years_must_match() -> None:
    with pytest.raises(InputError, match="same years"):
        single_therapy_scenarios([1.0, 2.0], [0.0], **EXAMPLE)
