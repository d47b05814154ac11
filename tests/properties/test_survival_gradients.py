"""The analytic score of every model agrees with finite differences, on all kinds of data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.evidence.survival import BackgroundRates, SurvivalData
from cartsight.evidence.survival.families import PLAIN_FAMILIES, Family, RoystonParmar
from cartsight.evidence.survival.generalised_gamma import log_survival, standard_terms
from cartsight.evidence.survival.likelihood import Likelihood

FAMILIES: list[Family] = [
    *PLAIN_FAMILIES.values(),
    RoystonParmar((-1.0, 1.0)),
    RoystonParmar((-1.0, 0.4, 1.2, 2.5)),
]
# Central cores around which hypothesis moves: sensible laws for times of about 1 to 10.
CORES = {
    "exponential": [-1.5],
    "weibull": [1.5, 0.3],
    "gompertz": [-2.0, 0.1],
    "log_logistic": [1.3, 0.4],
    "log_normal": [1.2, 0.0],
    "generalised_gamma": [1.4, -0.1, 0.4],
    "royston_parmar_0": [-2.0, 1.3],
    "royston_parmar_2": [-2.0, 1.4, 0.02, -0.01],
}


def messy_data(seed: int, background: bool) -> tuple[SurvivalData, BackgroundRates | None]:
    rng = np.random.default_rng(seed)
    n = 40
    time = rng.weibull(1.3, n) * 5 + 0.05
    entry = np.where(rng.uniform(size=n) < 0.3, 0.5 * time, 0.0)
    event = rng.uniform(size=n) < 0.7
    upper = np.where(rng.uniform(size=n) < 0.3, time + rng.uniform(0.2, 2, n), np.nan)
    data = SurvivalData(time, event, entry, upper, rng.uniform(0.5, 2, n))
    if not background:
        return data, None
    rates = BackgroundRates(np.full(n, 0.02), 0.02 * time, 0.02 * entry, 0.02 * np.nan_to_num(data.upper, nan=1.0), 1.4)
    return data, rates.checked(data)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
@pytest.mark.parametrize("cure", ["none", "mixture", "non_mixture"])
@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    moves=st.lists(st.floats(-0.4, 0.4), min_size=8, max_size=8),
    background=st.booleans(),
)
def test_score_is_the_derivative(family: Family, cure: str, seed: int, moves: list[float], background: bool) -> None:
    data, rates = messy_data(seed, background)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(data.n, 1))
    z = rng.normal(size=(data.n, 1)) if cure != "none" else np.empty((data.n, 0))
    likelihood = Likelihood(data, family, cure, x, z, rates)  # type: ignore[arg-type]
    head = [-0.5, 0.3] if cure != "none" else []
    scale = [1.0] * len(head) + [0.05 if family.name.startswith("royston") else 1.0] * len(CORES[family.name]) + [1.0]
    beta = np.array([*head, *CORES[family.name], 0.2])
    beta = beta + np.array(moves[: beta.size]) * scale
    value, gradient = likelihood.value_and_gradient(beta)
    assert np.isfinite(value)
    for j in range(beta.size):
        step = np.zeros(beta.size)
        step[j] = 1e-5 * max(1.0, abs(beta[j]))
        numeric = (likelihood.value_and_gradient(beta + step)[0] - likelihood.value_and_gradient(beta - step)[0]) / (
            2 * step[j]
        )
        assert gradient[j] == pytest.approx(numeric, rel=2e-5, abs=2e-5 * (1 + abs(value)))


@settings(max_examples=60, deadline=None)
@given(q=st.floats(-4, 4), w=st.lists(st.floats(-6, 6), min_size=1, max_size=5))
def test_generalised_gamma_quadrature(q: float, w: list[float]) -> None:
    points = np.array(w)
    terms = standard_terms(points, q)
    assert np.all(np.isfinite(terms.log_survival)) and np.all(terms.log_survival <= 0)
    if abs(q) > 0.01:
        # scipy's incomplete gamma loses digits of its own in far tails and at small shapes.
        reference = log_survival(points, np.array(q))
        near = reference > -30
        assert terms.log_survival[near] == pytest.approx(reference[near], rel=1e-8, abs=1e-10)
    h = 1e-5
    slope = (standard_terms(points, q + h).log_survival - standard_terms(points, q - h).log_survival) / (2 * h)
    # Past 1e-250 the law changes over to an asymptotic tail, and a difference may straddle the two.
    inner = terms.log_survival > -575
    assert terms.d_log_survival_dq[inner] == pytest.approx(slope[inner], rel=1e-5, abs=1e-6)
    mirrored = standard_terms(-points, -q)
    assert mirrored.log_density == pytest.approx(terms.log_density, rel=1e-12)
