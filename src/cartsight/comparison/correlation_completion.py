"""A whole correlation matrix from the few pairs that are stated.

Leaving the other pairs at zero can contradict the stated ones (A with B 0.7, B with C 0.7, A with C 0 is nearly
impossible). The completion used is that of largest entropy: unstated pairs are conditionally independent given the
rest, so along a chain correlations multiply (Dempster 1972, covariance selection, doi:10.2307/2528966; iterative
proportional scaling: Speed & Kiiveri 1986, Ann Stat 14:138-150).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]
ROUNDS = 500
TOLERANCE = 1e-9


def complete_correlation(pairs: Mapping[tuple[int, int], float], size: int) -> Float:
    """Return the maximum-entropy correlation matrix with the stated Pearson correlations.

    Parameters
    ----------
    pairs : mapping of (i, j) to correlation
    size : int

    Returns
    -------
    array, shape (size, size)

    Raises
    ------
    InputError
        No correlation matrix has all stated pairs.
    """
    concentration = np.eye(size)
    for _ in range(ROUNDS):
        for (i, j), rho in pairs.items():
            block = np.ix_([i, j], [i, j])
            covariance = np.linalg.inv(concentration)[block]
            wanted = np.linalg.inv(np.array([[1.0, rho], [rho, 1.0]]))
            concentration[block] += wanted - np.linalg.inv(covariance)
            if not np.isfinite(concentration).all():
                break
        try:
            np.linalg.cholesky(concentration)
        except np.linalg.LinAlgError:
            break
        covariance = np.linalg.inv(concentration)
        error = max((abs(covariance[i, j] - rho) for (i, j), rho in pairs.items()), default=0.0)
        error = max(error, float(np.abs(np.diag(covariance) - 1.0).max()))
        if error < TOLERANCE:
            covariance = 0.5 * (covariance + covariance.T)
            np.fill_diagonal(covariance, 1.0)
            return np.asarray(covariance)
    raise InputError(
        "the stated correlations contradict each other", allowed="pairs that one correlation matrix can have together"
    )


def spearman_of_pearson(rho: npt.ArrayLike) -> Float:
    """Return the Spearman correlation of a bivariate normal with Pearson correlation `rho`: 6/pi asin(rho/2)."""
    return np.asarray(6.0 / np.pi * np.arcsin(np.asarray(rho) / 2.0))
