"""Operating characteristic: the probability of acceptance of a lot with a given true value, attribute by attribute."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from cartsight.core.streams import Stream
from cartsight.evidence.quality.release.measurement import measure
from cartsight.evidence.quality.release.quadrature import acceptance_on_scale, normal_result
from cartsight.evidence.quality.release.specification import Attribute, ReleaseSpecification

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OperatingCharacteristic:
    """Acceptance (first result, retests included, given a valid run) against the true value."""

    name: str
    unit: str
    true_value: Float
    accepted: Float
    standard_error: Float
    method: str


def operating_characteristic(
    specification: ReleaseSpecification, *, points: int = 41, lots: int = 4000, seed: int | None = None
) -> tuple[OperatingCharacteristic, ...]:
    """Return the operating characteristic of every limited attribute.

    Parameters
    ----------
    specification : ReleaseSpecification
    points : int
        True values, evenly spaced on the attribute's scale over the lots that occur and the limits.
    lots : int
        Lots simulated at each true value where there is no closed form.
    seed : int, optional
    """
    seed = specification.seed if seed is None else seed
    return tuple(
        _curve(attribute, points, lots, seed) for attribute in specification.attributes if not attribute.limits.open
    )


def _curve(attribute: Attribute, points: int, lots: int, seed: int) -> OperatingCharacteristic:
    theta = np.linspace(*_range(attribute), points)
    if normal_result(attribute) and attribute.assay.result_sd > 0:
        low, high = acceptance_on_scale(attribute)
        centre, s = theta + attribute.assay.bias, attribute.assay.result_sd
        accepted = ndtr((high - centre) / s) - ndtr((low - centre) / s)
        return OperatingCharacteristic(
            attribute.name, attribute.unit, attribute.scale.inverse(theta), accepted, np.zeros(points), "closed form"
        )
    entities = np.arange(points * lots, dtype=np.uint64)
    lot, labs = Stream(seed, "release characteristic", entities), Stream(seed, "release characteristic lab", entities)
    found = measure(attribute, np.repeat(theta, lots), lot, labs, 1)
    valid = (~found.invalid).reshape(points, lots)
    passed = (found.passed & ~found.invalid).reshape(points, lots)
    n = np.maximum(valid.sum(axis=1), 1)
    accepted = passed.sum(axis=1) / n
    shrunk = (accepted * n + 0.5) / (n + 1.0)
    return OperatingCharacteristic(
        attribute.name,
        attribute.unit,
        attribute.scale.inverse(theta),
        accepted,
        np.sqrt(shrunk * (1.0 - shrunk) / n),
        "simulation",
    )


def _range(attribute: Attribute) -> tuple[float, float]:
    s = attribute.assay.result_sd
    spread = 3.0 * math.hypot(attribute.true_sd, s) or 1.0
    edges = [attribute.true_mu - spread, attribute.true_mu + spread]
    for limit in attribute.true_limits:
        if math.isfinite(limit):
            edges += [limit - 4.0 * s, limit + 4.0 * s]
    low, high = min(edges), max(edges)
    if attribute.scale.name == "identity" and attribute.limits.lower >= 0 and attribute.centre > 0:
        low = max(low, 0.0)
    return low, high
