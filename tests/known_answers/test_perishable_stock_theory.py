"""The engine's stocks against theory: perishable base stock, the pipeline of M/G/infinity, one lot at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cartsight.core.distributions import Exponential, LogNormal
from cartsight.economics.lot_sizing import expected_expired, expired_share_of_base_stock
from cartsight.simulation import Arrivals, FlowModel, compile_model, poisson_arrivals, simulate
from cartsight.simulation import steps as s

DAYS = 40_000.0


@pytest.mark.parametrize(("level", "rate", "life"), [(1, 0.2, 5.0), (3, 0.2, 12.0), (6, 0.5, 14.0)])
def test_base_stock_with_a_fixed_life_and_immediate_replacement(level: int, rate: float, life: float) -> None:
    m = FlowModel("perishable base stock")
    m.stock(
        "doses",
        initial=[(1, life * (i + 1) / level) for i in range(level)],
        reorder_point=level - 1,
        order_up_to=level,
        lot_program="unit",
    )
    m.program("patient", [s.Take("doses"), s.End("served")])
    m.program("unit", [s.Put("unit", "doses", 1, life), s.End("made")], entity="lot")
    result = simulate(
        compile_model(m), Arrivals(poisson_arrivals("north", rate, DAYS, seed=4)), seed=4, window=(200.0, DAYS)
    )
    use = result.stock("doses", window=True)
    units = use.expired + use.taken
    share = expired_share_of_base_stock(level, rate, life)
    # Neighbouring units are correlated over about `level` of them: four standard errors.
    assert abs(use.expired / units - share) < 4 * math.sqrt(level * share * (1 - share) / units)
    assert use.waited == 0.0


def test_units_on_order_are_those_of_an_infinite_server_whatever_the_law() -> None:
    # (S - 1, S) without expiry: orders are the demands, so units on order are Poisson(rate x lead time) (Palm 1938).
    for law in (Exponential(12.0), LogNormal(math.log(12.0) - 0.5 * 0.25, 0.5)):
        m = FlowModel("pipeline")
        m.stock("doses", initial=[(80, math.inf)], reorder_point=79, order_up_to=80, lot_program="unit")
        m.program("patient", [s.Take("doses"), s.End("served")])
        m.program("unit", [s.Delay("lead time", law), s.Put("unit", "doses", 1, math.inf), s.End("made")], entity="lot")
        result = simulate(
            compile_model(m),
            Arrivals(poisson_arrivals("north", 1.0, 20_000.0, seed=9)),
            seed=9,
            window=(300.0, 20_000.0),
        )
        on_order = 80 - result.stock("doses", window=True).on_hand / 19_700.0
        # Sd of the time average of a Poisson(12) level with a correlation time of 12 days.
        assert abs(on_order - 12.0) < 4 * math.sqrt(12.0 * 2 * 12.0 / 19_700.0)


def test_one_lot_at_a_time_expires_what_poisson_demand_leaves() -> None:
    # A lot of 30 every 100 days that lives 100 days: demand in each period is Poisson(25), what is left expires.
    rate, life, doses, periods = 0.25, 100.0, 30, 400
    m = FlowModel("one lot at a time")
    m.clock("goes without", s.End("not served"), law=1e-6, armed=False)
    m.stock("doses")
    m.program("patient", [s.Arm("goes without"), s.Take("doses"), s.Disarm("goes without"), s.End("served")])
    maker = [
        s.Label("again"),
        s.Put("lot", "doses", doses, life - 1e-9),
        s.Delay("period", life),
        s.Retry("periods", periods - 1, to="again", otherwise=s.End("done")),
    ]
    m.program("maker", maker, entity="lot")
    m.program("start", [s.Spawn("start making", "maker"), s.End("started")])
    demand = poisson_arrivals("north", rate, life * periods, seed=6)
    times = np.concatenate([[0.0], demand])
    result = simulate(
        compile_model(m),
        Arrivals(times, program=["start"] + ["patient"] * demand.size),
        seed=6,
        window=(0.0, life * periods),
    )
    expired = result.stock("doses").expired / periods
    expected = expected_expired(doses, rate, life)
    assert expected > 3.0
    # Left over is at most 30 and has an sd below that of demand, 5.
    assert abs(expired - expected) < 4 * 5.0 / math.sqrt(periods)
