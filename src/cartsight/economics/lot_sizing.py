"""Closed forms for planners of lot-made products: how large a lot, how much stock, what expires.

They take demand as Poisson or steady and one product on its own; the simulation has what they leave out (lines that
queue, release testing, depots, recalls). Used to choose a first setting and to check the simulation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from cartsight.core.errors import InputError

Success = float | Callable[[int], float]


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0.0):
            raise InputError("must be above zero", field=name, found=value, allowed="a finite number above 0")


def _not_negative(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value >= 0.0):
            raise InputError("must not be negative", field=name, found=value, allowed="a finite number from 0")


def _chance(name: str, value: float) -> float:
    if not 0.0 < value <= 1.0:
        raise InputError("a success rate lies above 0 and up to 1", field=name, found=value, allowed="(0, 1]")
    return value


@dataclass(frozen=True, slots=True)
class LotCost:
    """What a lot costs: so much whatever its size, and so much for each dose that is planned in it."""

    per_lot: float
    per_dose: float

    def __post_init__(self) -> None:
        _not_negative(per_lot=self.per_lot, per_dose=self.per_dose)

    def of(self, doses: int) -> float:
        """Return the cost of a lot of `doses`, sunk whether or not it succeeds."""
        return self.per_lot + self.per_dose * doses


def cost_per_released_dose(cost: LotCost, doses: int, success: Success) -> float:
    """Return the expected cost of a lot over its expected released doses: (F + v n) / (n p).

    Parameters
    ----------
    cost : LotCost
    doses : int
        Doses of a lot that succeeds.
    success : float or callable
        Probability that a lot is released, or a function of its doses.
    """
    _positive(doses=doses)
    chance = _chance("success", success(doses) if callable(success) else success)
    return cost.of(doses) / (doses * chance)


def break_even_success(cost: LotCost, doses: int, other_cost: float) -> float:
    """Return the success rate at which lots of `doses` cost `other_cost` per released dose.

    Above 1: no success rate makes these lots as cheap.
    """
    _positive(doses=doses, other_cost=other_cost)
    return cost.of(doses) / (doses * other_cost)


def poisson_probability(count: int, mean: float) -> float:
    """Return P(N = count) of a Poisson number."""
    if count < 0:
        return 0.0
    if mean <= 0.0:
        return float(count == 0)
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


def poisson_at_least(count: int, mean: float) -> float:
    """Return P(N >= count) of a Poisson number, accurate in both tails."""
    from scipy.special import pdtrc

    if count <= 0:
        return 1.0
    return 0.0 if mean <= 0.0 else float(pdtrc(count - 1, mean))


def expected_expired(doses: int, demand_per_day: float, shelf_life_days: float) -> float:
    """Return the expected doses of one lot that expire: E[(Q - N)+], N Poisson demand over the shelf life.

    The lot is used alone and from the day it is released: stock beside it, or behind it, expires more.
    """
    _not_negative(demand_per_day=demand_per_day, shelf_life_days=shelf_life_days)
    mean = demand_per_day * shelf_life_days
    # E[(Q - N)+] = Q P(N <= Q) - mean P(N <= Q - 1)
    below = 1.0 - poisson_at_least(doses + 1, mean)
    return max(doses * below - mean * (1.0 - poisson_at_least(doses, mean)), 0.0)


def cost_per_dose_used(
    cost: LotCost, doses: int, success: Success, demand_per_day: float, shelf_life_days: float
) -> float:
    """Return the expected cost per dose that is used before it expires, with one lot at a time on hand."""
    used = doses - expected_expired(doses, demand_per_day, shelf_life_days)
    if used <= 0.0:
        return math.inf
    return cost_per_released_dose(cost, doses, success) * doses / used


def best_lot_size(
    cost: LotCost,
    success: Success,
    demand_per_day: float,
    shelf_life_days: float,
    *,
    largest: int = 2000,
) -> int:
    """Return the lot size with the lowest `cost_per_dose_used`, up to `largest` doses."""
    _positive(demand_per_day=demand_per_day, shelf_life_days=shelf_life_days, largest=largest)
    return min(
        range(1, largest + 1),
        key=lambda doses: cost_per_dose_used(cost, doses, success, demand_per_day, shelf_life_days),
    )


def economic_lot_size(
    demand_per_year: float,
    cost_per_lot: float,
    holding_per_dose_year: float,
    *,
    success: float = 1.0,
    shelf_life_years: float = math.inf,
) -> float:
    """Return the lot size with the lowest cost of lots and stock under steady demand (Harris 1913).

    Q = sqrt(2 D K / (p h)), not above what is used within the shelf life, D x life: the cost falls up to Q, so that the
    cap binds where it lies below. K / p is the cost of the lots started per lot released.
    """
    _positive(demand_per_year=demand_per_year, cost_per_lot=cost_per_lot, holding_per_dose_year=holding_per_dose_year)
    _chance("success", success)
    if shelf_life_years <= 0.0:
        raise InputError("must be above zero", field="shelf_life_years", found=shelf_life_years)
    size = math.sqrt(2.0 * demand_per_year * cost_per_lot / (success * holding_per_dose_year))
    return min(size, demand_per_year * shelf_life_years)


def newsvendor_quantity(mean_demand: float, shortage_cost: float, excess_cost: float) -> int:
    """Return the doses to have for one period of Poisson demand: the smallest q with P(N <= q) >= b / (b + h).

    Parameters
    ----------
    mean_demand : float
        Expected doses wanted in the period.
    shortage_cost, excess_cost : float
        Cost of a dose too few (b) and of a dose too many (h), which expires.
    """
    _not_negative(mean_demand=mean_demand)
    _positive(shortage_cost=shortage_cost, excess_cost=excess_cost)
    wanted = shortage_cost / (shortage_cost + excess_cost)
    quantity = 0
    while 1.0 - poisson_at_least(quantity + 1, mean_demand) < wanted:
        quantity += 1
    return quantity


def newsvendor_cost(quantity: int, mean_demand: float, shortage_cost: float, excess_cost: float) -> float:
    """Return the expected cost of having `quantity` doses for one period of Poisson demand."""
    left_over = expected_expired(quantity, mean_demand, 1.0)
    short = mean_demand - quantity + left_over
    return excess_cost * left_over + shortage_cost * short


def reorder_point(demand_per_day: float, lead_time_days: float, no_stock_out: float) -> int:
    """Return the smallest reorder point s with P(N <= s) >= `no_stock_out`, N Poisson demand over the lead time.

    A lot is ordered when the position falls to s; with batch orders P(N <= s) is the chance that a cycle passes without
    a stock-out. Lots that fail lengthen the lead time: see `lead_time_with_failures`.
    """
    _not_negative(demand_per_day=demand_per_day, lead_time_days=lead_time_days)
    if not 0.0 < no_stock_out < 1.0:
        raise InputError("a probability between 0 and 1", field="no_stock_out", found=no_stock_out, allowed="(0, 1)")
    mean = demand_per_day * lead_time_days
    level = 0
    while 1.0 - poisson_at_least(level + 1, mean) < no_stock_out:
        level += 1
    return level


def lead_time_with_failures(lead_time_days: float, success: float) -> float:
    """Return the mean time to a released lot when each failure, found at the end, starts another: L / p."""
    _not_negative(lead_time_days=lead_time_days)
    return lead_time_days / _chance("success", success)


def expired_share_of_base_stock(level: int, demand_per_day: float, shelf_life_days: float) -> float:
    """Return the share of units that expire under an (S - 1, S) policy with immediate replacement and Poisson demand.

    Every unit used or expired is replaced at once, the oldest goes first. The ages a_1 > ... > a_S have the stationary
    density C exp(-demand x a_1) below the shelf life m, so that the oldest has a truncated Erlang age and

        share = P(N = S - 1) / P(N >= S - 1),  N Poisson with mean demand x m

    (the lead time zero case of Schmidt and Nahmias 1985, doi:10.1287/mnsc.31.6.719; for S = 1 it is exp(-demand x m)).
    """
    _positive(level=level)
    _not_negative(demand_per_day=demand_per_day, shelf_life_days=shelf_life_days)
    mean = demand_per_day * shelf_life_days
    return poisson_probability(level - 1, mean) / poisson_at_least(level - 1, mean) if mean > 0.0 else 1.0


def doses_per_line_year(
    doses_per_lot: float, success: float, line_days_per_lot: float, own_share: float = 1.0
) -> float:
    """Return the most doses that a line gives in a year of 365.25 days, never idle.

    `own_share` is the part of the year that the line is not lent to another use.
    """
    _positive(doses_per_lot=doses_per_lot, line_days_per_lot=line_days_per_lot)
    if not 0.0 <= own_share <= 1.0:
        raise InputError("a share lies between 0 and 1", field="own_share", found=own_share, allowed="[0, 1]")
    return 365.25 * own_share / line_days_per_lot * doses_per_lot * _chance("success", success)
