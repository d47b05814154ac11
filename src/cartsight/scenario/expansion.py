"""From starting cells to harvested product cells: doublings with senescence, edits, depletion, recovery.

Doublings slow down with the cumulative doublings P: dP/dt = (1 - P / limit) / doubling_time, so that after a culture of
t days P = limit - (limit - P0) exp(-t / (limit x doubling_time)). In cell number this is Gompertz growth (Laird 1964,
Br J Cancer 18:490, the same law for tumours); the limit is that of Hayflick and Moorhead 1961 (Exp Cell Res 25:585).
The linear decline is an assumption of form: no fit to CAR-T cells was found.
"""

from __future__ import annotations

import math
from typing import Self

from pydantic import Field, model_validator

from cartsight.scenario.numbers import Count, Duration, Frozen, LogOdds, Probability, Ratio
from cartsight.scenario.supplies import Cells


def doublings_in_culture(days: float, doubling_time: float, before: float = 0.0, limit: float = math.inf) -> float:
    """Return the population doublings of a culture.

    Parameters
    ----------
    days : float
        Length of the culture.
    doubling_time : float
        Days per doubling of cells that have not aged.
    before : float
        Doublings that the cells have behind them.
    limit : float
        Cumulative doublings at which growth stops.
    """
    if limit == math.inf:
        return days / doubling_time
    left = max(limit - before, 0.0)
    return -left * math.expm1(-days / (limit * doubling_time)) if limit > 0.0 else 0.0


def days_for_doublings(doublings: float, doubling_time: float, before: float = 0.0, limit: float = math.inf) -> float:
    """Return the length of a culture that gives the doublings; infinite when the limit does not allow them."""
    if limit == math.inf:
        return doublings * doubling_time
    left = limit - before
    if doublings >= left:
        return math.inf if doublings > 0.0 else 0.0
    return -limit * doubling_time * math.log1p(-doublings / left)


class Depletion(Frozen):
    """Removal of cells that lack an edit, for example of cells that keep their T-cell receptor."""

    recovery: Probability = Field(description="Fully edited cells that are kept.")
    carry_over: Probability = Field(description="Other cells that slip through.")


class Expansion(Frozen):
    """Cells of one lot, from culture to harvest. Give `doublings`, or `culture` and `doubling_time`."""

    starting_cells: Cells = Field(description="Viable cells put into culture for one lot.")
    doublings: Count | None = Field(None, description="Population doublings of the lot.")
    culture: Duration | None = Field(None, description="Days in culture; a part of `manufacturing`, not added to it.")
    doubling_time: Duration | None = Field(None, description="Of cells that have not aged.")
    doublings_limit: Count | None = Field(
        None, description="Cumulative doublings, the bank's included, at which growth stops."
    )
    edits: dict[str, Probability] = Field(
        default_factory=dict, description="Share of cells that get each edit or the CAR; taken as independent."
    )
    depletion: Depletion | None = None
    recovery: Probability = Field(description="Cells that survive harvest, wash and concentration.")
    yield_cv: Ratio | None = Field(
        None, description="Coefficient of variation of the harvest between lots of one donor or bank; lognormal."
    )
    effect_per_doubling: LogOdds | None = Field(
        None, description="Shift of the log-odds of response per cumulative doubling beyond `reference_doublings`."
    )
    reference_doublings: Count | None = Field(
        None, description="Cumulative doublings at which the stated response holds."
    )

    @model_validator(mode="after")
    def _stated_once(self) -> Self:
        timed = self.culture is not None and self.doubling_time is not None
        if (self.doublings is None) == (self.culture is None and self.doubling_time is None) or (
            self.doublings is None and not timed
        ):
            raise ValueError("give either doublings, or culture and doubling_time")
        if self.doubling_time is not None and self.doubling_time.x <= 0.0:
            raise ValueError("doubling_time must be above zero")
        if (self.effect_per_doubling is None) != (self.reference_doublings is None):
            raise ValueError("effect_per_doubling and reference_doublings belong together")
        return self

    def lot_doublings(self, before: float) -> float:
        """Return the doublings in the lot's own culture, of cells with `before` doublings behind them."""
        limit = math.inf if self.doublings_limit is None else self.doublings_limit.x
        if self.doublings is not None:
            return min(self.doublings.x, max(limit - before, 0.0))
        assert self.culture is not None and self.doubling_time is not None
        return doublings_in_culture(self.culture.x, max(self.doubling_time.x, 1e-9), before, limit)

    @property
    def edited_share(self) -> float:
        """Share of cells with every edit, before depletion."""
        return math.prod(edit.x for edit in self.edits.values())

    @property
    def purity(self) -> float:
        """Share of the harvested cells that have every edit."""
        share = self.edited_share
        if self.depletion is None:
            return share
        kept, other = share * self.depletion.recovery.x, (1.0 - share) * self.depletion.carry_over.x
        return kept / (kept + other) if kept + other > 0.0 else 0.0

    def harvested_cells(self, before: float) -> float:
        """Return the expected cells with every edit at harvest, of an average donor."""
        kept = 1.0 if self.depletion is None else self.depletion.recovery.x
        return (
            self.starting_cells.x * math.exp2(self.lot_doublings(before)) * self.edited_share * kept * self.recovery.x
        )

    def response_shift(self, before: float) -> float:
        """Return the shift of the log-odds of response that the cumulative doublings cause."""
        if self.effect_per_doubling is None or self.reference_doublings is None:
            return 0.0
        beyond = max(before + self.lot_doublings(before) - self.reference_doublings.x, 0.0)
        return self.effect_per_doubling.x * beyond
