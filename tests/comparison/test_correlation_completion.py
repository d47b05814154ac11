"""Stated correlations are met; the rest follow with the largest entropy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.comparison.correlation_completion import complete_correlation, spearman_of_pearson
from cartsight.comparison.design_of_experiments import pearson_of_spearman
from cartsight.core.errors import InputError


def test_along_a_chain_correlations_multiply() -> None:
    matrix = complete_correlation({(0, 1): 0.7, (1, 2): 0.5, (2, 3): 0.9}, 4)
    assert matrix[0, 2] == pytest.approx(0.35, abs=1e-8)
    assert matrix[0, 3] == pytest.approx(0.315, abs=1e-8)


def test_a_cycle_is_met_and_unstated_pairs_have_zero_partial_correlation() -> None:
    pairs = {(0, 1): 0.5, (1, 2): 0.4, (2, 3): 0.3, (0, 3): 0.2}
    matrix = complete_correlation(pairs, 4)
    for (i, j), rho in pairs.items():
        assert matrix[i, j] == pytest.approx(rho, abs=1e-8)
    concentration = np.linalg.inv(matrix)
    assert abs(concentration[0, 2]) < 1e-7
    assert abs(concentration[1, 3]) < 1e-7


def test_contradictions_are_refused() -> None:
    with pytest.raises(InputError, match="contradict"):
        complete_correlation({(0, 1): 0.9, (1, 2): 0.9, (0, 2): -0.9}, 3)


@given(rho=st.floats(-0.99, 0.99))
@settings(max_examples=25, deadline=None)
def test_rank_and_product_moment_correlations_convert_both_ways(rho: float) -> None:
    assert float(spearman_of_pearson(pearson_of_spearman(rho))) == pytest.approx(rho, abs=1e-12)
