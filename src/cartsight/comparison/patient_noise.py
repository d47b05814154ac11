"""Take what is left of patient noise out of draw means, for all arms and for costs and effects together.

The mean of a draw has covariance B + W/n between its components: parameter uncertainty plus patient noise. Decision
uncertainty (acceptability, value of information) must come from B alone, or a short run looks more uncertain than the
evidence. The draws are moved by the linear map that takes covariance B + W/n to B with the least change (the optimal
transport map between normals: Olkin & Pukelsheim 1982, doi:10.1016/0024-3795(82)90112-4).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]


def _root(matrix: Float) -> Float:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T)


def without_patient_noise(means: Float, noise_covariance: Float) -> Float:
    """Return draw means with the covariance of the parameter uncertainty alone.

    Parameters
    ----------
    means : array, shape (draws, components)
        Mean of each component in each draw, for example costs of all arms, then effects.
    noise_covariance : array, shape (components, components)
        Average over draws of the covariance between patients over the number of patients.

    Returns
    -------
    array, shape (draws, components)
        The same means overall. Unchanged when there are too few draws to tell a covariance (fewer than three per
        component).
    """
    draws, components = means.shape
    if draws < 3 * components:
        return means.copy()
    centre = means.mean(axis=0)
    scale = means.std(axis=0, ddof=1)
    scale = np.where(scale > 0, scale, 1.0)
    z = (means - centre) / scale
    observed = np.cov(z, rowvar=False)
    noise = noise_covariance / np.outer(scale, scale)
    values, vectors = np.linalg.eigh(observed - noise)
    wanted = (vectors * np.clip(values, 0.0, None)) @ vectors.T
    root = _root(observed)
    values, vectors = np.linalg.eigh(root)
    tiny = 1e-9 * max(float(values.max()), 1e-300)
    inverse = (vectors * np.where(values > tiny, 1.0 / np.maximum(values, tiny), 0.0)) @ vectors.T
    transport = inverse @ _root(root @ wanted @ root) @ inverse
    return np.asarray(centre + (z @ transport) * scale)
