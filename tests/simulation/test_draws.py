"""The kernel draws what `core.streams` draws, and the keyed uniforms behave like independent uniforms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from cartsight.core import distributions as d
from cartsight.core.streams import Stream, entity_key, stable_hash, uniform
from cartsight.simulation import Arrivals, FlowModel, compile_model, simulate, simulate_reference
from cartsight.simulation import steps as s
from cartsight.simulation.laws import beta_knots, gamma_knots, knot_grid

LAWS = [
    d.Exponential(3.0),
    d.Uniform(1.0, 4.0),
    d.Triangular(0.0, 1.0, 5.0),
    d.Normal(20.0, 2.0),
    d.LogNormal(1.0, 0.4),
    d.Weibull(0.8, 5.0),
    d.Gamma(2.5, 2.0),
    d.Gamma(0.5, 1.0),
    d.Beta(2.0, 5.0, 1.0, 3.0),
    d.PERT(1.0, 2.0, 6.0),
    d.QuantileTable((0.0, 0.2, 0.9, 1.0), (1.0, 2.0, 3.0, 9.0)),
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.kind)
def test_a_delay_is_the_quantile_of_the_keyed_uniform(law: d.Distribution) -> None:
    m = FlowModel("one delay")
    m.program(
        "patient", [s.Set("x", law, name="draw") if isinstance(law, d.Normal) else s.Delay("draw", law), s.End("e")]
    )
    m.attribute("x")
    n = 20_000
    ids = np.arange(n, dtype=np.uint64) + np.uint64(10**12)
    result = simulate(compile_model(m), Arrivals(np.zeros(n), identity=ids), seed=5)
    drawn = result.patients.attribute("x") if isinstance(law, d.Normal) else result.patients.end_time
    exact = law.quantile(Stream(5, "patient", ids)("draw"))
    # Closed forms agree to rounding; tabulated laws to the accuracy stated in laws.knot_grid.
    tabulated = isinstance(law, (d.Gamma, d.Beta, d.PERT))
    assert np.abs(drawn - exact).max() <= (1.5e-3 * law.sd if tabulated else 1e-12 * max(1.0, np.abs(exact).max()))
    assert stats.kstest(drawn, lambda x: np.searchsorted(np.sort(exact), x, side="right") / n).statistic < 1e-3
    assert abs(drawn.mean() - law.mean) < 4 * law.sd / math.sqrt(n)


def test_tables_keep_mean_and_variance() -> None:
    p = knot_grid()
    for values, law in (
        (gamma_knots(0.4), d.Gamma(0.4, 1.0)),
        (gamma_knots(9.0), d.Gamma(9.0, 1.0)),
        (beta_knots(0.7, 3.0), d.Beta(0.7, 3.0)),
    ):
        assert values.size <= 1025
        table = d.QuantileTable(tuple(p), tuple(values))
        assert table.mean == pytest.approx(law.mean, rel=1e-4)
        assert table.variance == pytest.approx(law.variance, rel=5e-4)


def test_uniforms_are_uniform_and_uncorrelated() -> None:
    """Means, serial tests and correlations between slots, occurrences, seeds and consecutive ids.

    200 000 ids; a correlation of independent uniforms has standard error 0.0022, and about 60 are looked at.
    """
    n = 200_000
    ids = np.arange(n, dtype=np.uint64)
    keys = entity_key(12345, stable_hash("patient"), ids)
    columns = [uniform(keys, stable_hash(f"step {i}")) for i in range(6)]
    columns += [uniform(keys, stable_hash("step 0"), k) for k in (1, 2)]
    columns.append(uniform(entity_key(12346, stable_hash("patient"), ids), stable_hash("step 0")))
    columns.append(uniform(entity_key(12345, stable_hash("lot/doses"), ids), stable_hash("step 0")))
    u = np.array(columns)
    assert (np.abs(u.mean(axis=1) - 0.5) < 4.5 * math.sqrt(1 / 12 / n)).all()
    assert (np.abs(u.var(axis=1) - 1 / 12) < 4.5 * math.sqrt(1 / 180 / n)).all()
    between = np.corrcoef(u)[np.triu_indices(len(columns), 1)]
    assert np.abs(between).max() < 4.5 / math.sqrt(n)
    for lag in (1, 2, 3, 64, 1024):
        lagged = [np.corrcoef(row[:-lag], row[lag:])[0, 1] for row in u]
        assert np.abs(lagged).max() < 4.5 / math.sqrt(n)
    for row in u:
        assert stats.chisquare(np.bincount((row * 1024).astype(int), minlength=1024)).pvalue > 1e-4
        pairs = (row[0::2] * 32).astype(int) * 32 + (row[1::2] * 32).astype(int)
        assert stats.chisquare(np.bincount(pairs, minlength=1024)).pvalue > 1e-4


def test_extreme_words_stay_inside_the_unit_interval() -> None:
    from cartsight.core.streams import UNIFORM_SCALE

    for word in (0, 2**64 - 1):
        u = (float(word >> 12) + 0.5) * UNIFORM_SCALE
        assert 0.0 < u < 1.0


def test_adding_a_step_or_a_patient_shifts_no_draw() -> None:
    def model(extra: bool) -> FlowModel:
        m = FlowModel("m")
        m.attribute("a")
        m.attribute("b")
        steps: list[s.Step] = [s.Set("a", d.Exponential(1.0), name="a")]
        steps += [s.Set("b", d.Exponential(1.0), name="new"), s.Mark("new")] if extra else []
        steps += [
            s.Label("again"),
            s.Add("a", d.LogNormal(0.0, 1.0), name="c"),
            s.Chance("ok", 0.5, "again"),
            s.End("e"),
        ]
        m.program("patient", steps)
        return m

    few = simulate(compile_model(model(False)), Arrivals(np.arange(50.0)), seed=3)
    many = simulate(
        compile_model(model(True)),
        Arrivals(np.arange(200.0)[::-1].copy(), identity=np.arange(200, dtype=np.uint64)),
        seed=3,
    )
    np.testing.assert_array_equal(few.patients.attribute("a"), many.patients.attribute("a")[:50])
    slow = simulate_reference(compile_model(model(False)), Arrivals(np.arange(50.0)), seed=3)
    np.testing.assert_array_equal(few.patients.attribute("a"), slow.patients.attribute("a"))
