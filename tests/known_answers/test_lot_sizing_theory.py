"""Lot sizing against textbook closed forms, sums by hand and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.economics.lot_sizing import (
    LotCost,
    best_lot_size,
    break_even_success,
    cost_per_dose_used,
    cost_per_released_dose,
    doses_per_line_year,
    economic_lot_size,
    expected_expired,
    expired_share_of_base_stock,
    lead_time_with_failures,
    newsvendor_cost,
    newsvendor_quantity,
    poisson_at_least,
    poisson_probability,
    reorder_point,
)


def test_cost_per_released_dose_and_the_break_even_between_two_sizes() -> None:
    cost = LotCost(per_lot=600_000.0, per_dose=500.0)
    # (600 000 + 80 x 500) / (80 x 0.9), by hand.
    assert cost_per_released_dose(cost, 80, 0.9) == pytest.approx(640_000.0 / 72.0)
    small = cost_per_released_dose(cost, 40, 0.95)
    at = break_even_success(cost, 200, small)
    assert cost_per_released_dose(cost, 200, at) == pytest.approx(small)
    # A large lot that succeeds less often than that is the dearer one.
    assert cost_per_released_dose(cost, 200, at - 0.01) > small > cost_per_released_dose(cost, 200, at + 0.01)


def test_success_that_falls_with_size_gives_an_optimum_inside() -> None:
    cost = LotCost(500_000.0, 1_000.0)
    # p = exp(-n / 200): cost per dose (F + v n) exp(n/200) / n has its minimum where v n^2 + F n = 200 F.
    root = (-500_000 + math.sqrt(500_000**2 + 4 * 1_000 * 200 * 500_000)) / (2 * 1_000)
    best = best_lot_size(cost, lambda n: math.exp(-n / 200.0), 50.0, 10_000.0, largest=400)
    assert abs(best - root) < 1.0


def test_poisson_tails_are_those_of_scipy() -> None:
    from scipy.stats import poisson

    for mean in (0.3, 4.0, 60.0, 900.0):
        for count in (0, 1, 3, 50, 80, 1000):
            assert poisson_probability(count, mean) == pytest.approx(poisson.pmf(count, mean), rel=1e-9, abs=1e-300)
            assert poisson_at_least(count, mean) == pytest.approx(poisson.sf(count - 1, mean), rel=1e-8, abs=1e-13)


def test_expected_expired_is_the_sum_over_demand() -> None:
    for doses, rate, life in ((10, 0.05, 100.0), (40, 0.2, 180.0), (5, 3.0, 1.0)):
        mean = rate * life
        brute = math.fsum((doses - k) * poisson_probability(k, mean) for k in range(doses))
        assert expected_expired(doses, rate, life) == pytest.approx(brute, rel=1e-9)
    assert expected_expired(10, 0.0, 100.0) == 10.0
    # Longer life, fewer expired; and a dose used costs at least a dose released.
    assert expected_expired(40, 0.2, 200.0) < expected_expired(40, 0.2, 150.0)
    cost = LotCost(1e6, 0.0)
    assert cost_per_dose_used(cost, 40, 0.9, 0.2, 180.0) > cost_per_released_dose(cost, 40, 0.9)


def test_economic_lot_size_is_the_square_root_of_harris_and_a_short_life_caps_it() -> None:
    assert economic_lot_size(1000.0, 50.0, 4.0) == pytest.approx(math.sqrt(2 * 1000 * 50 / 4))
    assert economic_lot_size(1000.0, 50.0, 4.0, success=0.25) == pytest.approx(2 * math.sqrt(2 * 1000 * 50 / 4))
    assert economic_lot_size(1000.0, 50.0, 4.0, shelf_life_years=0.1) == pytest.approx(100.0)


def test_newsvendor_quantity_is_the_critical_fractile_and_the_cheapest() -> None:
    from scipy.stats import poisson

    for mean, short, over in ((12.0, 9.0, 1.0), (30.0, 1.0, 1.0), (4.0, 1.0, 5.0)):
        quantity = newsvendor_quantity(mean, short, over)
        assert quantity == poisson.ppf(short / (short + over), mean)
        costs = [newsvendor_cost(q, mean, short, over) for q in range(80)]
        assert int(np.argmin(costs)) == quantity


def test_reorder_point_covers_lead_time_demand() -> None:
    from scipy.stats import poisson

    # 2 doses a day over 40 days: the 95 % quantile of Poisson(80).
    assert reorder_point(2.0, 40.0, 0.95) == poisson.ppf(0.95, 80.0)
    assert lead_time_with_failures(40.0, 0.8) == pytest.approx(50.0)


def test_base_stock_of_one_expires_with_the_exponential_and_more_units_with_brute_force() -> None:
    assert expired_share_of_base_stock(1, 0.1, 20.0) == pytest.approx(math.exp(-2.0))
    # Brute force: D_n = min(D_{n-S} + m, D_{n-1} + Exp); four standard errors.
    rng = np.random.default_rng(5)
    for level, rate, life in ((2, 0.1, 20.0), (4, 0.2, 20.0)):
        departures = [0.0] * level
        expired, units = 0, 60_000
        for gap in rng.exponential(1.0 / rate, units):
            limit, used = departures[-level] + life, departures[-1] + gap
            expired += limit <= used
            departures.append(min(limit, used))
        share = expired_share_of_base_stock(level, rate, life)
        # Neighbouring units are correlated over about `level` of them.
        assert abs(expired / units - share) < 4 * math.sqrt(level * share * (1 - share) / units)


def test_doses_per_line_year_by_hand_and_bad_input() -> None:
    # 36.525 lots of ten days, 80 doses, 0.9 released, half the year lent to another use.
    assert doses_per_line_year(80.0, 0.9, 10.0) == pytest.approx(36.525 * 72)
    assert doses_per_line_year(80.0, 0.9, 10.0, 0.5) == pytest.approx(36.525 * 36)
    with pytest.raises(InputError, match="success"):
        cost_per_released_dose(LotCost(1.0, 1.0), 10, 0.0)
    with pytest.raises(InputError, match="demand_per_year"):
        economic_lot_size(-1.0, 1.0, 1.0)
    with pytest.raises(InputError, match="no_stock_out"):
        reorder_point(1.0, 1.0, 1.0)
