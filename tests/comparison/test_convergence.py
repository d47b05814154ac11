"""Running estimates and the chance that Monte Carlo error alone chose the arm."""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.comparison import (
    decision_convergence,
    draws_needed,
    replicate_standard_error,
    running_mean,
    unit_cube_design,
)
from cartsight.core.errors import InputError


def test_running_mean_ends_at_the_mean_of_all_draws() -> None:
    values = 1e6 + np.random.default_rng(3).normal(size=5000)
    result = running_mean(values)
    assert result.draws[0] == 2 and result.draws[-1] == 5000
    assert result.mean[-1] == pytest.approx(values.mean(), rel=1e-14)
    assert result.standard_error[-1] == pytest.approx(values.std(ddof=1) / 5000**0.5, rel=1e-6)
    assert np.all(result.low <= result.mean) and np.all(result.mean <= result.high)


def test_a_clear_decision_and_a_tossed_one() -> None:
    generator = np.random.default_rng(4)
    costs = np.zeros((2000, 2))
    clear = decision_convergence(costs, np.column_stack([np.zeros(2000), 1.0 + generator.normal(size=2000)]), 1.0)
    assert clear.best[-1] == 1
    assert clear.chance_of_wrong_arm < 1e-6
    assert clear.probability_best[-1].sum() == pytest.approx(1.0)
    tossed = decision_convergence(costs, np.column_stack([np.zeros(2000), generator.normal(size=2000)]), 1.0)
    assert tossed.chance_of_wrong_arm > 0.01
    assert clear.stable_since <= 2000


def test_draws_needed() -> None:
    assert draws_needed([0.0, 2.0, 0.0, 2.0], standard_error=0.1) == 134
    with pytest.raises(InputError):
        draws_needed([0.0, 2.0], standard_error=0.0)


def test_replicates_show_what_sobol_gains() -> None:
    means = [unit_cube_design(256, 3, seed=s).sum(axis=1).mean() for s in range(8)]
    independent = (3.0 / 12.0 / 256) ** 0.5
    assert replicate_standard_error(means) < 0.1 * independent
