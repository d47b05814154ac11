"""The models that can be fitted, by name: a family, with or without a cured fraction.

`mixture_cure_<family>` and `non_mixture_cure_<family>` take any family for the uncured;
`royston_parmar_<k>` has k inner knots.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.survival.families import PLAIN_FAMILIES, Family, RoystonParmar, knots_from_events
from cartsight.evidence.survival.observations import SurvivalData

Cure = Literal["none", "mixture", "non_mixture"]
MAX_INNER_KNOTS = 9
DEFAULT_MODELS = (
    "exponential",
    "weibull",
    "gompertz",
    "log_logistic",
    "log_normal",
    "generalised_gamma",
    "royston_parmar_1",
    "royston_parmar_2",
    "mixture_cure_weibull",
    "mixture_cure_log_normal",
    "non_mixture_cure_weibull",
)
_ALIASES = {
    "exp": "exponential",
    "loglogistic": "log_logistic",
    "llogis": "log_logistic",
    "lognormal": "log_normal",
    "lnorm": "log_normal",
    "gengamma": "generalised_gamma",
    "generalized_gamma": "generalised_gamma",
    "generalisedgamma": "generalised_gamma",
    "generalizedgamma": "generalised_gamma",
    "spline": "royston_parmar_2",
    "splines": "royston_parmar_2",
    "royston_parmar": "royston_parmar_2",
    "rp": "royston_parmar_2",
}
_CURES = {
    "mixture_cure": "mixture",
    "non_mixture_cure": "non_mixture",
    "nonmixture_cure": "non_mixture",
    "cure": "mixture",
}
_SPLINE = re.compile(r"^(?:royston_parmar|spline|rp)_?(\d+)$")


@dataclass(frozen=True)
class ModelName:
    """A parsed model name: how the cure enters and which family the uncured follow."""

    cure: Cure
    family: str

    def __str__(self) -> str:
        return self.family if self.cure == "none" else f"{self.cure}_cure_{self.family}"

    def family_for(self, data: SurvivalData, knots: tuple[float, ...] | None = None) -> Family:
        """Return the family; a spline's knots (log times) are placed on the events of `data` unless given."""
        match = _SPLINE.match(self.family)
        if match is None:
            return PLAIN_FAMILIES[self.family]
        placed = knots if knots is not None else knots_from_events(data, int(match.group(1)))
        if len(placed) < 2 or any(b - a <= 1e-9 for a, b in pairwise(placed)):
            raise InputError(
                f"too few distinct event times to place the knots of {self.family}",
                hint="Use fewer inner knots",
            )
        return RoystonParmar(placed)


def parse_model(name: str) -> ModelName:
    """Return the model called `name`; case, hyphens and spaces do not matter, short names are known.

    Raises
    ------
    InputError
        For an unknown name, with the nearest known one.
    """
    text = re.sub(r"[\s\-]+", "_", name.strip().lower())
    cure: Cure = "none"
    for prefix in sorted(_CURES, key=len, reverse=True):
        if text == prefix:
            text, cure = "weibull", _CURES[prefix]  # type: ignore[assignment]
        elif text.startswith(prefix + "_"):
            text, cure = text[len(prefix) + 1 :], _CURES[prefix]  # type: ignore[assignment]
        elif text.endswith("_" + prefix):
            text, cure = text[: -len(prefix) - 1], _CURES[prefix]  # type: ignore[assignment]
        else:
            continue
        break
    text = _ALIASES.get(text, text)
    match = _SPLINE.match(text)
    if match is not None and int(match.group(1)) <= MAX_INNER_KNOTS:
        return ModelName(cure, f"royston_parmar_{int(match.group(1))}")
    if text not in PLAIN_FAMILIES:
        known = [*PLAIN_FAMILIES, *DEFAULT_MODELS, "royston_parmar_3", "mixture_cure_exponential"]
        raise InputError(
            "unknown survival model",
            field="models",
            found=name,
            allowed=", ".join(PLAIN_FAMILIES) + f", royston_parmar_0 to royston_parmar_{MAX_INNER_KNOTS}, and "
            "mixture_cure_ or non_mixture_cure_ before any of them",
            hint=nearest(text if cure == "none" else f"{cure}_cure_{text}", known),
        )
    return ModelName(cure, text)
