"""The scale on which an attribute varies: identity, log (positive amounts) or logit (shares between two bounds)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]
ScaleName = Literal["identity", "log", "logit"]
SCALE_NAMES: tuple[ScaleName, ...] = ("identity", "log", "logit")


@dataclass(frozen=True)
class Scale:
    """A strictly increasing map from reported units to the model's scale.

    Attributes
    ----------
    name : {"identity", "log", "logit"}
    low, high : float
        Bounds of a logit scale in reported units (0 and 100 for per cent).
    """

    name: ScaleName = "identity"
    low: float = 0.0
    high: float = 100.0

    def __post_init__(self) -> None:
        if self.name not in SCALE_NAMES:
            raise InputError("unknown scale", found=self.name, allowed=", ".join(SCALE_NAMES))
        if self.name == "logit" and not self.low < self.high:
            raise InputError("the bounds of a logit scale must be in order", found=(self.low, self.high))

    def transform(self, value: float) -> float:
        """Return one value in reported units on the model's scale; limits may sit at or beyond the edges."""
        if math.isinf(value) or self.name == "identity":
            return value
        if self.name == "log":
            return math.log(value) if value > 0 else -math.inf
        if value <= self.low:
            return -math.inf
        if value >= self.high:
            return math.inf
        return math.log((value - self.low) / (self.high - value))

    def inverse(self, theta: npt.ArrayLike) -> Float:
        """Return values on the model's scale in reported units."""
        x = np.asarray(theta, dtype=np.float64)
        if self.name == "identity":
            return x
        if self.name == "log":
            return np.exp(np.minimum(x, 700.0))
        return self.low + self.share(x) * (self.high - self.low)

    def share(self, theta: npt.ArrayLike) -> Float:
        """Return the share between the bounds, for a logit scale."""
        x = np.asarray(theta, dtype=np.float64)
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))

    def inside(self, value: float) -> bool:
        """Return whether a finite model value belongs to `value`."""
        return math.isfinite(value) and math.isfinite(self.transform(value))
