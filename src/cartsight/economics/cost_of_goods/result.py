"""The cost of goods as a result: spending by category and by line, and what it comes to per unit."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from cartsight.scenario.cost_drivers import Carrier


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line of the plants' budget over the window: so many of a driver at so much each.

    Attributes
    ----------
    name, kind, driver : str
    count : float
        Of the driver, in the window.
    unit_cost, total : float
        Money per one of the driver, and in all.
    fixed : bool
        Whether it runs whatever is made.
    used : float
        Share of a fixed line that was used; 1 for a variable one.
    carriers : tuple of (carrier, share)
        Which batches or lots bear the used part; shares add up to 1.
    staff : bool
        Whether it pays people on duty.
    """

    name: str
    kind: str
    driver: str
    count: float
    unit_cost: float
    total: float
    fixed: bool
    used: float
    carriers: tuple[tuple[Carrier, float], ...]
    staff: bool = False

    @property
    def idle(self) -> float:
        """The part that bought unused time."""
        return self.total * (1.0 - self.used)


@dataclass(frozen=True, slots=True)
class CostOfGoods:
    """Spending in the window by category, in the scenario's money, and the denominators.

    `idle` is what lines, capital and staff cost while they stood idle (`idle_parts`); it is contained in `categories`.
    """

    categories: dict[str, float]
    fixed: float
    variable: float
    idle: float
    started: int
    released: int
    infused: int
    years: float
    lines: tuple[CostLine, ...] = ()
    idle_parts: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Spending in the window."""
        return sum(self.categories.values())

    @property
    def per_started(self) -> float:
        """Cost per batch or lot started."""
        return _over(self.total, self.started)

    @property
    def per_released(self) -> float:
        """Cost per batch or lot released (infused out of specification included, since it left the plant)."""
        return _over(self.total, self.released)

    @property
    def per_infused(self) -> float:
        """Cost per patient infused in the window."""
        return _over(self.total, self.infused)

    @property
    def per_year(self) -> float:
        """Spending per year."""
        return self.total / self.years

    @property
    def by_kind(self) -> dict[str, float]:
        """Spending by kind of cost (materials, labour, capital, ...), largest first."""
        kinds: dict[str, list[float]] = {}
        for line in self.lines:
            kinds.setdefault(line.kind, []).append(line.total)
        sums = {kind: math.fsum(totals) for kind, totals in kinds.items()}
        return dict(sorted(sums.items(), key=lambda item: -item[1]))


def _over(amount: float, count: int) -> float:
    return amount / count if count > 0 else math.nan
