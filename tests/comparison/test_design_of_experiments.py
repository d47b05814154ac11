"""Designs in the unit cube and their correlation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.stats import spearmanr

from cartsight.comparison import correlate_gaussian_copula, correlate_iman_conover, unit_cube_design
from cartsight.core.errors import InputError

RANKS = np.array([[1.0, 0.7, 0.0], [0.7, 1.0, -0.3], [0.0, -0.3, 1.0]])


@pytest.mark.parametrize("method", ["sobol", "latin_hypercube", "random"])
@pytest.mark.parametrize("draws", [1, 7, 64, 1000])
def test_inside_the_cube_and_the_same_for_the_same_seed(method: str, draws: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        points = unit_cube_design(draws, 5, method=method, seed=4)  # type: ignore[arg-type]
    assert points.shape == (draws, 5)
    assert np.all((points > 0.0) & (points < 1.0))
    again = unit_cube_design(draws, 5, method=method, seed=4)  # type: ignore[arg-type]
    other = unit_cube_design(draws, 5, method=method, seed=5)  # type: ignore[arg-type]
    assert np.array_equal(points, again)
    assert not np.array_equal(points, other)


@pytest.mark.parametrize("method", ["sobol", "latin_hypercube"])
def test_one_point_in_every_stratum(method: str) -> None:
    points = unit_cube_design(128, 6, method=method, seed=9)  # type: ignore[arg-type]
    for column in points.T:
        assert sorted(np.floor(column * 128).astype(int)) == list(range(128))


def test_sobol_integrates_a_smooth_function_better_than_random_points() -> None:
    def error(method: str) -> float:
        values = [
            np.prod(1.0 + 0.5 * (unit_cube_design(1024, 6, method=method, seed=s) - 0.5), axis=1).mean() - 1.0  # type: ignore[arg-type]
            for s in range(10)
        ]
        return float(np.sqrt(np.mean(np.square(values))))

    assert error("sobol") < 0.1 * error("random")


def test_copula_gives_the_rank_correlation_and_keeps_uniform_margins() -> None:
    points = correlate_gaussian_copula(unit_cube_design(8192, 3, seed=1), RANKS)
    assert spearmanr(points).statistic == pytest.approx(RANKS, abs=0.02)
    for column in points.T:
        assert np.sort(column) == pytest.approx((np.arange(8192) + 0.5) / 8192, abs=0.02)


def test_copula_leaves_uncorrelated_columns_alone() -> None:
    points = unit_cube_design(64, 3, seed=1)
    matrix = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0], [0.5, 0.0, 1.0]])
    result = correlate_gaussian_copula(points, matrix)
    assert np.array_equal(result[:, :2], points[:, :2])
    assert not np.array_equal(result[:, 2], points[:, 2])


def test_iman_conover_only_permutes() -> None:
    points = unit_cube_design(2000, 3, method="latin_hypercube", seed=2)
    sample = np.column_stack([np.exp(points[:, 0]), -np.log(points[:, 1]), points[:, 2]])
    result = correlate_iman_conover(sample, RANKS, seed=3)
    assert np.array_equal(np.sort(result, axis=0), np.sort(sample, axis=0))
    assert spearmanr(result).statistic == pytest.approx(RANKS, abs=0.02)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(2), "shape"),
        (np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]]), "contradict"),
        (np.array([[1.0, 0.5, 0.0], [0.4, 1.0, 0.0], [0.0, 0.0, 1.0]]), "symmetric"),
        (np.full((3, 3), 2.0), "between -1 and 1"),
    ],
)
def test_bad_correlations(matrix: np.ndarray, message: str) -> None:
    points = unit_cube_design(64, 3, seed=1)
    with pytest.raises(InputError, match=message):
        correlate_gaussian_copula(points, matrix)
    with pytest.raises(InputError, match=message):
        correlate_iman_conover(points, matrix, seed=1)


def test_bad_designs() -> None:
    with pytest.raises(InputError, match="at least one"):
        unit_cube_design(0, 3, seed=1)
    with pytest.raises(InputError, match="latin_hypercube"):
        unit_cube_design(8, 3, method="latin", seed=1)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="Sobol"):
        unit_cube_design(2, 30_000, seed=1)
