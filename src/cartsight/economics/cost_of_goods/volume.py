"""Cost per patient against volume: fixed and variable cost, steps of capacity, break-even between two designs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.economics.cost_of_goods.result import CostOfGoods
from cartsight.simulation.pathways.plant import PlantRecord

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LinearCost:
    """A plant of one size: so much a year whatever is made, and so much per infused patient."""

    fixed_per_year: float
    variable_per_infused: float

    def per_infused(self, infused_per_year: npt.ArrayLike) -> Float:
        """Return the cost per infused patient at yearly volumes (> 0), same shape."""
        volume = _volumes(infused_per_year)
        return np.asarray(self.fixed_per_year / volume + self.variable_per_infused)

    def at_most(self, cost_per_infused: float) -> float | None:
        """Return the least yearly volume at which the cost per infused patient is `cost_per_infused`, None if never."""
        margin = cost_per_infused - self.variable_per_infused
        return self.fixed_per_year / margin if margin > 0.0 else None


@dataclass(frozen=True, slots=True)
class SteppedCost:
    """Plants that are built as volume needs them: lines in whole numbers, sites when the lines of one are used up.

    `infused_per_line_year` is what one line makes at the utilisation that is planned for; `fewest_sites` are open at any
    volume (a hospital's own plant per hospital, or one central plant).
    """

    site_per_year: float
    line_per_year: float
    variable_per_infused: float
    infused_per_line_year: float
    lines_per_site: int
    fewest_sites: int = 1

    def __post_init__(self) -> None:
        if not self.infused_per_line_year > 0.0 or self.lines_per_site < 1 or self.fewest_sites < 1:
            raise InputError("a line must make something, and a site hold a line", found=self.infused_per_line_year)

    def lines(self, infused_per_year: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the lines needed, one per site at least."""
        needed = np.ceil(_volumes(infused_per_year) / self.infused_per_line_year - 1e-9).astype(np.int64)
        return np.maximum(needed, self.fewest_sites)

    def sites(self, infused_per_year: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the sites needed."""
        return np.maximum(-(-self.lines(infused_per_year) // self.lines_per_site), self.fewest_sites)

    def per_infused(self, infused_per_year: npt.ArrayLike) -> Float:
        """Return the cost per infused patient at yearly volumes (> 0), same shape."""
        volume = _volumes(infused_per_year)
        fixed = self.sites(volume) * self.site_per_year + self.lines(volume) * self.line_per_year
        return np.asarray(fixed / volume + self.variable_per_infused)


def _volumes(infused_per_year: npt.ArrayLike) -> Float:
    volume = np.asarray(infused_per_year, dtype=np.float64)
    if not np.all(np.isfinite(volume)) or np.any(volume <= 0.0):
        raise InputError("a volume must be above 0", field="infused_per_year", found=infused_per_year)
    return volume


def break_even_volume(fixed_a: float, variable_a: float, fixed_b: float, variable_b: float) -> float | None:
    """Return the yearly volume at which two designs cost the same; None when one is cheaper at every volume.

    Parameters
    ----------
    fixed_a, fixed_b : float
        Money per year.
    variable_a, variable_b : float
        Money per unit.

    Returns
    -------
    float or None
        (fixed_b - fixed_a) / (variable_a - variable_b) where that is above 0: below it the design with the smaller fixed
        cost is cheaper, above it the other.
    """
    values = (fixed_a, variable_a, fixed_b, variable_b)
    if not all(math.isfinite(value) for value in values):
        raise InputError("costs must be finite", found=values)
    if variable_a == variable_b:
        return None
    volume = (fixed_b - fixed_a) / (variable_a - variable_b)
    return volume if volume > 0.0 else None


def linear_cost(goods: CostOfGoods) -> LinearCost:
    """Return the plants as they are: their fixed cost a year and their variable cost per infused patient."""
    if goods.infused == 0:
        raise InputError("no patient was infused in the window, so there is no cost per infused patient")
    return LinearCost(goods.fixed / goods.years, goods.variable / goods.infused)


def stepped_cost(
    goods: CostOfGoods, plant: PlantRecord, *, utilisation: float = 0.85, fewest_sites: int = 1
) -> SteppedCost:
    """Return how the cost would follow volume if lines and sites were added as needed, from one simulated year or more.

    Parameters
    ----------
    goods, plant
        Of the same run.
    utilisation : float
        Share of the time that a line is planned to be held, above 0 and at most 1.
    fewest_sites : int
        Sites that are open at any volume.
    """
    if not 0.0 < utilisation <= 1.0:
        raise InputError(
            "the planned utilisation must be above 0 and at most 1", field="utilisation", found=utilisation
        )
    now = plant.own_utilisation("line")
    if goods.infused == 0 or now <= 0.0:
        raise InputError("no patient was infused in the window, so there is no cost per infused patient")
    per_line = math.fsum(line.total for line in goods.lines if line.fixed and line.driver != "site years")
    per_site = math.fsum(line.total for line in goods.lines if line.fixed and line.driver == "site years")
    return SteppedCost(
        site_per_year=per_site / (plant.sites * goods.years),
        line_per_year=per_line / (plant.lines * goods.years),
        variable_per_infused=goods.variable / goods.infused,
        infused_per_line_year=goods.infused / (plant.lines * goods.years) * utilisation / now,
        lines_per_site=max(1, round(plant.lines / plant.sites)),
        fewest_sites=fewest_sites,
    )
