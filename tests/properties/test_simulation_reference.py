"""The kernel and the plain Python interpreter follow the same trajectories, to the last bit, on random models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.simulation import Arrivals, CompiledModel, FlowResult, compile_model, simulate, simulate_reference
from cartsight.simulation.run import SimulationError
from tests.simulation.random_models import ModelMaker


def same(a: FlowResult, b: FlowResult) -> None:
    for x, y in ((a.patients, b.patients), (a.lots, b.lots)):
        for name in ("start", "end_time", "end_status", "attribute_values", "mark_values"):
            np.testing.assert_array_equal(getattr(x, name), getattr(y, name), err_msg=name)
        for name in ("entity", "code", "time"):
            np.testing.assert_array_equal(getattr(x.log, name), getattr(y.log, name), err_msg=name)
    for name in ("stock", "number", "parent"):
        np.testing.assert_array_equal(getattr(a.lots, name), getattr(b.lots, name), err_msg=name)
    # Sums over time are formed differently on purpose, so they agree to rounding only.
    np.testing.assert_allclose(a.resource_statistics, b.resource_statistics, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(a.stock_statistics, b.stock_statistics, rtol=1e-9, atol=1e-7)
    assert a.on_hand == b.on_hand
    for name in ("patient", "taker_lot", "lot", "doses", "day", "stock"):
        np.testing.assert_array_equal(getattr(a.doses, name), getattr(b.doses, name), err_msg=name)
    for name in ("lot", "stock", "day", "doses", "expiry", "expired", "withdrawn", "on_hand", "removed_day"):
        np.testing.assert_array_equal(getattr(a.batches, name), getattr(b.batches, name), err_msg=name)
    for name, values in a.counters.items():
        np.testing.assert_array_equal(values, b.counters[name], err_msg=name)


def made(seed: int) -> tuple[CompiledModel, Arrivals]:
    model, arrivals = ModelMaker(seed).make()
    return compile_model(model), arrivals


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_kernel_and_reference_agree(seed: int) -> None:
    tables, arrivals = made(seed)
    try:
        fast = simulate(tables, arrivals, seed=seed, window=(3.0, 30.0), antithetic=seed % 2 == 1)
    except SimulationError as stopped:
        with pytest.raises(SimulationError, match=str(stopped)[:30]):
            simulate_reference(tables, arrivals, seed=seed, window=(3.0, 30.0), antithetic=seed % 2 == 1)
        return
    same(fast, simulate_reference(tables, arrivals, seed=seed, window=(3.0, 30.0), antithetic=seed % 2 == 1))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_conservation(seed: int) -> None:
    tables, arrivals = made(seed)
    try:
        result = simulate(tables, arrivals, seed=seed)
    except SimulationError:
        return
    assert np.isfinite(result.patients.end_time).all()
    assert (result.patients.end_time >= result.patients.start).all()
    assert result.patients.count().get("in progress", 0) == 0
    for name in tables.resources:
        use = result.resource(name)
        assert -1e-9 <= use.busy <= use.capacity + use.drain + 1e-6
        assert use.queue >= -1e-9
        assert -1e-9 <= use.setup <= use.busy + 1e-9
        assert use.down >= -1e-9
    for name, initial in (("doses", 6), ("north", 2), ("south", 4)):
        stock = result.stock(name)
        gone = stock.taken + stock.expired + stock.withdrawn + result.on_hand[name]
        assert initial + stock.received == gone
    b, given = result.batches, result.doses
    taken = np.bincount(given.lot, given.doses, minlength=len(result.lots))
    put, lost = (np.bincount(b.lot, x, minlength=taken.size) for x in (b.doses, b.expired + b.withdrawn + b.on_hand))
    np.testing.assert_array_equal(put, taken + lost)


@pytest.mark.slow
def test_kernel_and_reference_agree_on_many_models() -> None:
    for seed in range(600):
        tables, arrivals = made(seed)
        same(simulate(tables, arrivals, seed=seed), simulate_reference(tables, arrivals, seed=seed))
