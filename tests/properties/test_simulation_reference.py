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


def made(seed: int) -> tuple[CompiledModel, Arrivals]:
    model, arrivals = ModelMaker(seed).make()
    return compile_model(model), arrivals


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_kernel_and_reference_agree(seed: int) -> None:
    tables, arrivals = made(seed)
    try:
        fast = simulate(tables, arrivals, seed=seed, window=(3.0, 30.0))
    except SimulationError as stopped:
        with pytest.raises(SimulationError, match=str(stopped)[:30]):
            simulate_reference(tables, arrivals, seed=seed, window=(3.0, 30.0))
        return
    same(fast, simulate_reference(tables, arrivals, seed=seed, window=(3.0, 30.0)))


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
    stock = result.stock("doses")
    initial = 6 if len(result.lots.stock) else 0
    assert initial + stock.received == stock.taken + stock.expired + result.on_hand["doses"]


@pytest.mark.slow
def test_kernel_and_reference_agree_on_many_models() -> None:
    for seed in range(600):
        tables, arrivals = made(seed)
        same(simulate(tables, arrivals, seed=seed), simulate_reference(tables, arrivals, seed=seed))
