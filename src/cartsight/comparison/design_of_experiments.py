"""Where to draw the uncertain parameters: designs in the unit cube, and how to correlate them.

A design is an array of shape (draws, parameters) with entries strictly inside (0, 1); each column becomes a
parameter by the inverse of its distribution function, so that any design serves any distribution.

Sources: Sobol' 1967, doi:10.1016/0041-5553(67)90144-9; Owen 1998, doi:10.1006/jcom.1998.0487 (scrambling);
McKay, Beckman & Conover 1979, doi:10.2307/1268522 (Latin hypercube); Iman & Conover 1982,
doi:10.1080/03610918208812265 (rank correlation of any sample).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from cartsight.core.errors import InputError, nearest

Float = npt.NDArray[np.float64]
Design = Literal["sobol", "latin_hypercube", "random"]

DESIGNS: tuple[str, ...] = ("sobol", "latin_hypercube", "random")

_SMALLEST = 2.0**-54
_LARGEST = 1.0 - 2.0**-53


def _inside(u: Float) -> Float:
    return np.clip(u, _SMALLEST, _LARGEST)


def unit_cube_design(draws: int, parameters: int, *, method: Design = "sobol", seed: int) -> Float:
    """Return a design in the open unit cube.

    Parameters
    ----------
    draws : int
        Number of points, at least one. A Sobol sequence is balanced best when this is a power of two; for
        other numbers the leading points of the next power of two are returned.
    parameters : int
        Number of columns, at least one.
    method : {"sobol", "latin_hypercube", "random"}
        Scrambled Sobol sequence (Owen), Latin hypercube with one jittered point per stratum, or independent
        uniforms.
    seed : int
        The same seed gives the same design.

    Returns
    -------
    array of float64, shape (draws, parameters)
        Entries strictly between 0 and 1; each point is uniform on the cube over seeds.

    Raises
    ------
    InputError
        On a size below one, an unknown method, or more columns than Sobol direction numbers exist for (21
        201).
    """
    from scipy.stats import qmc

    if draws < 1 or parameters < 1:
        raise InputError("a design needs at least one draw and one parameter", found=(draws, parameters))
    generator = np.random.Generator(np.random.PCG64(seed))
    if method == "sobol":
        if parameters > qmc.Sobol.MAXDIM:
            raise InputError(
                "too many parameters for a Sobol sequence",
                found=parameters,
                allowed=f"at most {qmc.Sobol.MAXDIM}",
            )
        sequence = qmc.Sobol(parameters, scramble=True, rng=generator)
        points = np.asarray(sequence.random_base2(max(0, (draws - 1).bit_length())), dtype=np.float64)[:draws]
    elif method == "latin_hypercube":
        points = np.empty((draws, parameters))
        for column in range(parameters):
            points[:, column] = (generator.permutation(draws) + generator.random(draws)) / draws
    elif method == "random":
        points = generator.random((draws, parameters))
    else:
        raise InputError(
            "unknown design",
            field="method",
            found=method,
            allowed=", ".join(DESIGNS),
            hint=nearest(method, DESIGNS),
        )
    return _inside(points)


def checked_correlation(correlation: npt.ArrayLike, parameters: int) -> Float:
    """Return `correlation` as a positive definite array, or raise `InputError` naming what is wrong."""
    matrix = np.asarray(correlation, dtype=np.float64)
    if matrix.shape != (parameters, parameters):
        raise InputError(
            "the correlation matrix has the wrong shape",
            field="correlation",
            found=matrix.shape,
            allowed=f"{(parameters, parameters)}",
        )
    if not np.all(np.isfinite(matrix)) or np.any(np.abs(matrix) > 1.0):
        raise InputError("correlations lie between -1 and 1", field="correlation")
    if not np.allclose(np.diag(matrix), 1.0) or not np.allclose(matrix, matrix.T):
        raise InputError("a correlation matrix is symmetric with ones on its diagonal", field="correlation")
    smallest = float(np.linalg.eigvalsh(matrix)[0])
    if smallest <= 1e-12:
        raise InputError(
            "the stated correlations contradict each other: no joint distribution has them all",
            field="correlation",
            found=f"smallest eigenvalue {smallest:.3g}",
            allowed="a positive definite matrix",
        )
    return matrix


def pearson_of_spearman(rank_correlation: npt.ArrayLike) -> Float:
    """Return the correlation of normal scores that gives a Gaussian copula this Spearman correlation.

    rho = 2 sin(pi rho_S / 6) (Pearson 1907).
    """
    return np.asarray(2.0 * np.sin(np.pi * np.asarray(rank_correlation, dtype=np.float64) / 6.0))


def correlate_gaussian_copula(uniforms: npt.ArrayLike, rank_correlation: npt.ArrayLike) -> Float:
    """Return the design with dependence between its columns added by a Gaussian copula.

    Parameters
    ----------
    uniforms : array_like, shape (draws, parameters)
        Independent columns in (0, 1).
    rank_correlation : array_like, shape (parameters, parameters)
        Spearman rank correlations wanted.

    Returns
    -------
    array of float64, shape (draws, parameters)
        Still uniform in each column. The first column is unchanged; column j changes only if it is correlated
        with an earlier one.

    Raises
    ------
    InputError
        When the matrix is not a correlation matrix.
    """
    u = np.asarray(uniforms, dtype=np.float64)
    spearman = checked_correlation(rank_correlation, u.shape[1])
    normal_correlation = pearson_of_spearman(spearman)
    np.fill_diagonal(normal_correlation, 1.0)
    factor = np.linalg.cholesky(checked_correlation(normal_correlation, u.shape[1]))
    result = ndtr(ndtri(_inside(u)) @ factor.T)
    alone = np.all(factor == np.eye(u.shape[1]), axis=1)
    result[:, alone] = u[:, alone]
    return _inside(np.asarray(result, dtype=np.float64))


def correlate_iman_conover(sample: npt.ArrayLike, rank_correlation: npt.ArrayLike, *, seed: int) -> Float:
    """Return the sample with each column reordered so that the columns have the wanted rank correlation.

    Values are only permuted, so that every margin (and the stratification of a Latin hypercube) stays
    exactly.

    Parameters
    ----------
    sample : array_like, shape (draws, parameters)
        Any real values: a unit-cube design or parameters already transformed. More draws than parameters.
    rank_correlation : array_like, shape (parameters, parameters)
        Spearman rank correlations wanted; met approximately, with an error of order 1/sqrt(draws) removed by
        the method's own correction for the correlation of the scores.
    seed : int
        Seed of the permutations of the scores.

    Raises
    ------
    InputError
        When the matrix is not a correlation matrix or there are not more draws than parameters.
    """
    x = np.asarray(sample, dtype=np.float64)
    draws, parameters = x.shape
    if draws <= parameters:
        raise InputError("a reordered sample needs more draws than parameters", found=(draws, parameters))
    wanted = pearson_of_spearman(checked_correlation(rank_correlation, parameters))
    np.fill_diagonal(wanted, 1.0)
    target = np.linalg.cholesky(checked_correlation(wanted, parameters))
    generator = np.random.Generator(np.random.PCG64(seed))
    van_der_waerden = ndtri(np.arange(1, draws + 1) / (draws + 1.0))
    scores = np.column_stack([generator.permutation(van_der_waerden) for _ in range(parameters)])
    present = np.linalg.cholesky(np.atleast_2d(np.corrcoef(scores, rowvar=False)))
    scores = scores @ np.linalg.solve(present, np.eye(parameters)).T @ target.T
    result = np.empty_like(x)
    for column in range(parameters):
        ranks = np.argsort(np.argsort(scores[:, column], kind="stable"), kind="stable")
        result[:, column] = np.sort(x[:, column])[ranks]
    return result
