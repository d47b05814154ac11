"""One cited figure, with everything that a scenario or a report needs to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cartsight.evidence.literature.bibliography import Source
from cartsight.evidence.literature.vocabulary import INTERVAL_MEANING, PRICE_YEAR_BASES, SAMPLING_INTERVALS


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """A figure as a source prints it, typed.

    Parameters
    ----------
    id : str
        Stable id, for example ``EC001``.
    theme : str
        The table that the row stands in.
    quantity, applies_to : str
        What was measured and in whom, in the words of the record.
    value : float, str or None
        The figure in `unit`; text when the unit is ``text`` or ``calendar_date``; None when only limits are
        published.
    low, high : float or None
        Limits in `unit`; `interval` says what they mean.
    unit : str
        From the closed list of `cartsight.core.units`.
    denominator : str
        What a percentage, a fraction or a count is of, where the record says so.
    interval : str
        A key of `INTERVAL_MEANING`.
    events, sample_size : int or None
        The count and the number observed, where the record prints them.
    statistic : str
        What kind of figure the value is, one of `STATISTICS`.
    source : Source
        The bibliography entry.
    source_detail, locator : str
        Source and address as recorded, with the table or page.
    status : str
        ``read`` in the source named, or ``unverified``: from memory.
    price_year : int or None
        Price year of an amount of money; `price_year_basis` says how it is known.
    factor : float
        ``value = factor * original_value``.
    original_value, original_low, original_high, original_unit : str
        The record before cleaning.
    caution : str
        The trap that the record names.
    note : str
        The rest of the record.
    """

    id: str
    theme: str
    quantity: str
    value: float | str | None
    low: float | None
    high: float | None
    unit: str
    denominator: str
    interval: str
    events: int | None
    sample_size: int | None
    statistic: str
    applies_to: str
    source: Source
    source_detail: str
    locator: str
    status: str
    price_year: int | None
    price_year_basis: str
    factor: float
    original_value: str
    original_low: str
    original_high: str
    original_unit: str
    caution: str
    note: str

    @property
    def source_key(self) -> str:
        """BibTeX key of the source."""
        return self.source.key

    @property
    def is_number(self) -> bool:
        """Whether the value is a number."""
        return isinstance(self.value, float)

    @property
    def verified(self) -> bool:
        """Whether the figure was read in the source named."""
        return self.status == "read"

    @property
    def interval_meaning(self) -> str:
        """What low and high mean, in words."""
        return INTERVAL_MEANING[self.interval]

    @property
    def has_uncertainty(self) -> bool:
        """Whether the row says how uncertain its value is: an interval of a known level, or events of n."""
        counted = self.events is not None and self.sample_size is not None
        return counted or (self.interval in SAMPLING_INTERVALS and self.low is not None and self.high is not None)

    def citation(self) -> str:
        """Return the source as one line, with the row's id and its status when the figure was not read."""
        flag = "" if self.verified else "; figure not read in the source"
        return f"{self.source.citation()} [{self.id}{flag}]"

    def as_dict(self) -> dict[str, Any]:
        """Return the row with stable keys, for ``--json`` output."""
        return {
            "id": self.id,
            "theme": self.theme,
            "quantity": self.quantity,
            "applies_to": self.applies_to,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "unit": self.unit,
            "denominator": self.denominator or None,
            "interval": self.interval,
            "interval_meaning": self.interval_meaning,
            "events": self.events,
            "sample_size": self.sample_size,
            "statistic": self.statistic,
            "status": self.status,
            "price_year": self.price_year,
            "price_year_basis": self.price_year_basis,
            "price_year_meaning": PRICE_YEAR_BASES[self.price_year_basis],
            "caution": self.caution or None,
            "note": self.note or None,
            "citation": self.citation(),
            "source": {
                "key": self.source.key,
                "title": self.source.title,
                "year": self.source.year,
                "doi": self.source.doi,
                "address": self.source.address,
                "detail": self.source_detail,
                "locator": self.locator or None,
            },
            "original": {
                "value": self.original_value,
                "low": self.original_low,
                "high": self.original_high,
                "unit": self.original_unit,
                "factor": self.factor,
            },
        }


@dataclass(frozen=True, slots=True)
class ExcludedRow:
    """A record that could not be typed without guessing, with the reason."""

    id: str
    theme: str
    quantity: str
    value: str
    low: str
    high: str
    unit: str
    applies_to: str
    source: str
    locator: str
    status: str
    reason: str
    note: str
