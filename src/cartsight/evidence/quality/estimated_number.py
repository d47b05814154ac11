"""An estimate in the three shapes it is needed in: a `Quantity`, a number of a scenario, and the TOML that states it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cartsight.core.distributions import PERT, Constant, Distribution
from cartsight.core.errors import InputError
from cartsight.core.fitting import from_events, from_mean_interval, from_mean_sd
from cartsight.core.quantity import Provenance, Quantity, Uncertainty

Z95 = 1.959963984540054
Interval = Literal["credible_95", "confidence_95", "range"]


@dataclass(frozen=True)
class EstimatedNumber:
    """A number with origin `estimated`.

    Attributes
    ----------
    value : float
    unit : str
    statement : str
        Method and data.
    low, high : float or None
    interval : str or None
        What they mean; ``range`` is a PERT, the others a law of the unit (beta, lognormal, normal).
    events, of : int or None
        Counts, in place of an interval.
    certain : str or None
        Why the number is held fixed.
    law, cv : str or None, float or None
        How entities (batches, lots) differ, for times.
    """

    value: float
    unit: str
    statement: str
    low: float | None = None
    high: float | None = None
    interval: Interval | None = None
    events: int | None = None
    of: int | None = None
    certain: str | None = None
    law: str | None = None
    cv: float | None = None

    @property
    def quantity(self) -> Quantity:
        """The number as a Quantity."""
        law, basis = self._uncertainty()
        return Quantity(
            self.value,
            self.unit,
            Provenance("estimated", self.statement),
            None if law is None else Uncertainty(law, basis),
        )

    def _uncertainty(self) -> tuple[Distribution | None, str]:
        if self.events is not None and self.of is not None:
            return from_events(self.events, self.of), f"Beta from {self.events} of {self.of} (Jeffreys prior)"
        if self.low is None or self.high is None:
            return None, ""
        basis = f"{(self.interval or '').replace('_', ' ')} {self.low:g} to {self.high:g}"
        if self.low == self.high:
            return Constant(self.value), basis
        if self.interval == "range":
            return PERT(self.low, self.value, self.high), basis
        if self.unit == "probability":
            sd = min((self.high - self.low) / (2.0 * Z95), 0.95 * math.sqrt(self.value * (1.0 - self.value)))
            return from_mean_sd("beta", self.value, sd), basis
        kind = "lognormal" if self.low > 0.0 and self.unit != "log_odds" else "normal"
        return from_mean_interval(kind, self.value, self.low, self.high, 0.95), basis

    def table(self) -> dict[str, Any]:
        """Return the number as a scenario file's table."""
        found: dict[str, Any] = {"value": self.value, "unit": self.unit, "estimated": self.statement}
        for key in ("low", "high", "interval", "events", "of", "certain", "law", "cv"):
            if getattr(self, key) is not None:
                found[key] = getattr(self, key)
        return found

    def toml(self) -> str:
        """Return the number as TOML, ready to be pasted behind ``name =``."""
        return toml_table(self.table())


def toml_table(table: dict[str, Any]) -> str:
    """Return an inline TOML table; numbers to ten digits."""
    return "{ " + ", ".join(f"{key} = {_toml_value(value)}" for key, value in table.items()) + " }"


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return toml_table(value)
    if isinstance(value, str):
        import json

        return json.dumps(value, ensure_ascii=False)
    return f"{value:.10g}"


def estimated_share(
    value: float, of: int, statement: str, draws: Sequence[float] = (), fewest: int = 4000
) -> EstimatedNumber:
    """Return a share from generated lots.

    Parameters
    ----------
    value : float
    of : int
        Lots behind it: its Monte Carlo error.
    statement : str
    draws : sequence of float
        The share at draws of what it rests on; none takes that as known.
    fewest : int
        Lots behind each draw: a draw of 0 or 1 is taken half a lot away from it.

    Raises
    ------
    InputError
        Not a probability: no lot was finished.
    """
    if not 0.0 <= value <= 1.0:
        raise InputError("no batch is ever finished, so nothing can be estimated", found=value)
    error = math.sqrt(value * (1.0 - value) / of)
    text = f"{statement}; Monte Carlo error {error:.2g}"
    if not draws or value in (0.0, 1.0):
        return EstimatedNumber(value, "probability", text, events=round(value * of), of=of)
    floor = 0.5 / fewest
    logits = [_logit(min(max(p, floor), 1.0 - floor)) for p in draws if not math.isnan(p)]
    sd = math.hypot(_sd(logits), error / (value * (1.0 - value)))
    low, high = (1.0 / (1.0 + math.exp(-(_logit(value) + sign * Z95 * sd))) for sign in (-1.0, 1.0))
    return EstimatedNumber(value, "probability", text, low, high, "credible_95")


def estimated_positive(
    value: float, error: float, unit: str, statement: str, draws: Sequence[float] = ()
) -> EstimatedNumber:
    """Return a number that is not negative: a ratio, a count, or a standard deviation on the log-odds.

    `error` is its Monte Carlo standard error and `draws` its values at draws of what it rests on.
    """
    error = 0.0 if math.isnan(error) else error
    text = f"{statement}; Monte Carlo error {error:.2g}"
    if unit == "log_odds":
        # near zero no normal law fits; a PERT of three standard errors either way cannot turn negative
        reach = 3.0 * math.hypot(_sd([d for d in draws if not math.isnan(d)]), error)
        if reach > 0.0:
            return EstimatedNumber(value, unit, text, max(value - reach, 0.0), value + reach, "range")
    else:
        sd = math.hypot(_sd([math.log(d) for d in draws if d > 0.0]), error / value if value > 0 else 0.0)
        if sd > 0.0 and value > 0.0:
            reach = Z95 * sd
            return EstimatedNumber(value, unit, text, value * math.exp(-reach), value * math.exp(reach), "credible_95")
    return EstimatedNumber(value, unit, text, certain="without error as far as generated lots show")


def estimated_effect(value: float, unit: str, statement: str, draws: Sequence[float] = ()) -> EstimatedNumber:
    """Return a number of either sign."""
    sd = _sd(draws)
    if sd == 0.0:
        return EstimatedNumber(value, unit, statement, certain="what it rests on is taken as known")
    return EstimatedNumber(value, unit, statement, value - Z95 * sd, value + Z95 * sd, "credible_95")


def _logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)


def _sd(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
