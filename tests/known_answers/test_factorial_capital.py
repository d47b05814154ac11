"""Capital by factors against the worked tables of two textbooks, the annuity in closed form and the six-tenths rule."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartsight.core.errors import InputError
from cartsight.economics.capital import (
    annual_capital_charge,
    annuity_factor,
    factorial_estimate,
    lang_estimate,
    scaled_cost,
)

# Peters and Timmerhaus, Plant Design and Economics for Chemical Engineers, 4th edition, table 17: per cent of delivered
# equipment cost for plants that process solids, solids and fluids, fluids; printed totals to whole per cents.
PETERS_TIMMERHAUS = {
    "solids": ((45, 9, 16, 10, 25, 13, 40, 6), (33, 39), 264, 336, 387, 3.9),
    "solids and fluids": ((39, 13, 31, 10, 29, 10, 55, 6), (32, 34), 293, 359, 413, 4.1),
    "fluids": ((47, 18, 66, 11, 18, 10, 70, 6), (33, 41), 346, 420, 483, 4.8),
}

# Coulson and Richardson, volume 6, table 6.1: factors on purchase cost, then on the direct cost; printed products.
COULSON_RICHARDSON = {
    "fluids": ((0.40, 0.70, 0.20, 0.10, 0.15, 0.50, 0.15, 0.05, 0.15), (0.30, 0.05, 0.10), 3.40, 1.45),
    "fluids and solids": ((0.45, 0.45, 0.15, 0.10, 0.10, 0.45, 0.20, 0.05, 0.20), (0.25, 0.05, 0.10), 3.15, 1.40),
    "solids": ((0.50, 0.20, 0.10, 0.10, 0.05, 0.25, 0.25, 0.05, 0.30), (0.20, 0.05, 0.10), 2.80, 1.35),
}


def items(shares: tuple[float, ...], scale: float = 1.0) -> dict[str, float]:
    return {f"item {i}": share * scale for i, share in enumerate(shares)}


@pytest.mark.parametrize("plant", PETERS_TIMMERHAUS)
def test_peters_timmerhaus_table_17_and_18(plant: str) -> None:
    direct, indirect, direct_total, both_total, investment, lang = PETERS_TIMMERHAUS[plant]
    shares = items(direct, 0.01)
    assert factorial_estimate(100.0, shares).fixed_capital == pytest.approx(direct_total)
    engineering = {"engineering": indirect[0] / 100.0, "construction": indirect[1] / 100.0}
    both = factorial_estimate(100.0, shares, indirect_of_equipment=engineering)
    assert both.fixed_capital == pytest.approx(both_total)
    whole = factorial_estimate(
        100.0, shares, indirect_of_equipment=engineering, on_both={"contractor fee": 0.05, "contingency": 0.10}
    )
    # The book rounds fee and contingency to whole per cents before adding them.
    assert whole.fixed_capital == pytest.approx(investment, abs=1.0)
    assert whole.lang_factor == pytest.approx(lang, abs=0.05)


def test_peters_timmerhaus_example_3() -> None:
    """Delivered equipment of 100 000: direct cost 301 000, direct and indirect 367 000."""
    direct = items((0.39, 0.28, 0.31, 0.10, 0.22, 0.10, 0.55, 0.06))
    assert factorial_estimate(100_000, direct).fixed_capital == pytest.approx(301_000)
    both = factorial_estimate(100_000, direct, indirect_of_equipment={"engineering": 0.32, "construction": 0.34})
    assert both.fixed_capital == pytest.approx(367_000)


@pytest.mark.parametrize("plant", COULSON_RICHARDSON)
def test_coulson_richardson_table_6_1(plant: str) -> None:
    direct, indirect, physical, markup = COULSON_RICHARDSON[plant]
    assert factorial_estimate(1.0, items(direct)).fixed_capital == pytest.approx(physical)
    names = dict(zip(("engineering", "contractor fee", "contingency"), indirect, strict=True))
    whole = factorial_estimate(1.0, items(direct), names)
    assert whole.fixed_capital == pytest.approx(physical * markup)
    # The Lang factor of the itemised estimate gives the same investment at once.
    assert lang_estimate(7.0, whole.lang_factor).fixed_capital == pytest.approx(7.0 * physical * markup)


def test_rooms_bear_indirect_cost_and_not_direct_factors() -> None:
    whole = factorial_estimate(100.0, {"piping": 0.5}, {"contingency": 0.1}, rooms_cost=50.0)
    assert whole.items == pytest.approx({"equipment": 100.0, "piping": 50.0, "rooms": 50.0, "contingency": 20.0})


def test_annuity_of_the_textbook_tables() -> None:
    """Capital recovery factors as every engineering economics table prints them."""
    assert annuity_factor(0.08, 10) == pytest.approx(0.14903, abs=5e-6)
    assert annuity_factor(0.10, 20) == pytest.approx(0.11746, abs=5e-6)
    assert annuity_factor(0.0, 8) == 0.125


@given(st.floats(1e3, 1e9), st.floats(1e-9, 0.5), st.integers(1, 60), st.floats(0.0, 0.9))
def test_the_charge_pays_the_investment_back(investment: float, rate: float, years: int, left: float) -> None:
    """Present value of the payments plus that of what is left equals the investment."""
    charge = annual_capital_charge(investment, rate, years, salvage=left * investment)
    present = math.fsum(charge * math.exp(-t * math.log1p(rate)) for t in range(1, years + 1))
    present += left * investment * math.exp(-years * math.log1p(rate))
    assert present == pytest.approx(investment, rel=1e-9)


def test_annuity_goes_to_straight_line_without_a_jump() -> None:
    assert annuity_factor(1e-13, 10) == pytest.approx(0.1, rel=1e-11)


def test_six_tenths_rule() -> None:
    """Twice the size costs 1.516 times as much, ten times the size 3.981 times."""
    assert scaled_cost(1.0, 1.0, 2.0) == pytest.approx(1.516, abs=5e-4)
    assert scaled_cost(1.0, 5.0, 50.0) == pytest.approx(3.981, abs=5e-4)
    assert scaled_cost(2.0e6, 5.0, 8.0, 0.62) == pytest.approx(2.0e6 * 1.6**0.62)


@given(st.floats(1.0, 1e6), st.floats(0.1, 1e3), st.floats(0.1, 1e3), st.floats(0.1, 1e3), st.floats(0.0, 1.2))
def test_scaling_twice_is_scaling_once(cost: float, a: float, b: float, c: float, exponent: float) -> None:
    through = scaled_cost(scaled_cost(cost, a, b, exponent), b, c, exponent)
    assert through == pytest.approx(scaled_cost(cost, a, c, exponent), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: annuity_factor(-0.1, 10), "interest_rate"),
        (lambda: annuity_factor(0.1, 0), "years"),
        (lambda: scaled_cost(1.0, 0.0, 2.0), "reference_capacity"),
        (lambda: lang_estimate(1.0, 0.5), "lang_factor"),
    ],
)
def test_impossible_inputs_are_named(call: object, field: str) -> None:
    with pytest.raises(InputError) as caught:
        call()  # type: ignore[operator]
    assert caught.value.field == field
