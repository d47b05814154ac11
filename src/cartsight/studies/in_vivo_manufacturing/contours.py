"""Dose costs and durations at which an in vivo arm equals another arm, over parameter draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.units import DAYS_PER_YEAR
from cartsight.scenario.arms import InVivoArm, as_product
from cartsight.studies.factorial import shapley_values
from cartsight.studies.in_vivo_manufacturing.arms import DrawResult, PlatformRuns, autologous_net_benefit
from cartsight.studies.in_vivo_manufacturing.levers import Repeats, lever_table, repeats

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Contour:
    """Dose costs at which the in vivo arm equals a reference, for one number of doses per course, over durations.

    Parameters
    ----------
    years : array, shape (t,)
    mean : array, shape (t,)
        At which the expected net benefits are equal; negative where no dose cost is low enough.
    low, high : array, shape (t,)
        95 % of parameter draws.
    """

    doses: int
    years: Float
    mean: Float
    low: Float
    high: Float

    def rows(self) -> list[tuple[float, float, float, float]]:
        """Return (duration, mean, low, high) of each duration."""
        return [
            (float(a), float(b), float(c), float(d))
            for a, b, c, d in zip(self.years, self.mean, self.low, self.high, strict=True)
        ]


def mapped(run: PlatformRuns) -> PlatformRuns:
    """Return the run with only the draws that hold the map."""
    chosen = tuple(d for d in run.draws if d.grid)
    return PlatformRuns(run.platform, run.scenario, run.parameters, chosen)


def contour(run: PlatformRuns, doses: int, reference: Float) -> Contour:
    """Return the contour of equality with a reference's net benefit, shape (draws,), given as money per referred patient."""
    means, lows, highs = [], [], []
    for years in run.platform.durations_years:
        left, given = room(run, doses, years, reference)
        means.append(float(left.mean() / given.mean()))
        low, high = np.quantile(left / given, (0.025, 0.975))
        lows.append(float(low))
        highs.append(float(high))
    return Contour(doses, np.array(run.platform.durations_years), np.array(means), np.array(lows), np.array(highs))


def room(run: PlatformRuns, doses: int, years: float, reference: Float) -> tuple[Float, Float]:
    cells = [d.grid[doses, years] for d in run.draws]
    benefit = np.array([float(cell.net_benefit(0.0, run.threshold)) for cell in cells])
    return benefit - reference, np.array([cell.doses for cell in cells])


def equal_duration(run: PlatformRuns, doses: int, dose_cost: Float, reference: Float) -> tuple[float, Float]:
    """Return the duration (years) at which expected net benefits are equal, and that of each draw.

    Straight lines between the map's durations on their logarithm; infinite where even the longest does not reach, the
    shortest where it is reached already.
    """
    years = np.array(run.platform.durations_years)
    gaps = []
    for y in run.platform.durations_years:
        left, given = room(run, doses, float(y), reference)
        gaps.append(left - dose_cost * given)
    table = np.stack(gaps)
    return crossing(years, table.mean(axis=1)), np.array([crossing(years, column) for column in table.T])


def crossing(years: Float, gap: Float) -> float:
    if gap[0] >= 0.0:
        return float(years[0])
    rising = np.flatnonzero((gap[:-1] < 0.0) & (gap[1:] >= 0.0))
    if not rising.size:
        return float("inf")
    i = int(rising[0])
    share = -gap[i] / (gap[i + 1] - gap[i])
    return float(np.exp(np.log(years[i]) + share * (np.log(years[i + 1]) - np.log(years[i]))))


@dataclass(frozen=True, eq=False, slots=True)
class PlatformMap:
    run: PlatformRuns
    own_doses: int
    own_years: float
    scale: Float
    own_cost: Float
    contours: tuple[Contour, ...]
    at_price: Contour
    no_therapy: Contour
    equal: tuple[float, Float]
    equal_none: tuple[float, Float]
    table: Float
    shares: Float
    repeats: Repeats


def platform_map(run: PlatformRuns, scale_cost: Float) -> PlatformMap:
    part = mapped(run)
    scale = scale_cost[: len(part.draws)]
    arm = run.scenario.arms[run.platform.in_vivo]
    autologous = as_product(run.scenario.arms[run.platform.autologous])
    assert isinstance(arm, InVivoArm) and autologous is not None and arm.efficacy.relapse.median is not None
    price = autologous.price.per_patient.x
    reference = autologous_net_benefit(part)
    none = part.column(lambda d: run.threshold * d.other_effect - d.other_cost)

    def paid(d: DrawResult) -> float:
        return run.threshold * d.autologous_effect - d.autologous_cost_without - price * d.autologous_paid

    own = arm.doses_per_course
    table = lever_table(run, scale_cost)
    return PlatformMap(
        run=part,
        own_doses=own,
        own_years=arm.efficacy.relapse.median.x / DAYS_PER_YEAR,
        scale=scale,
        own_cost=part.column(lambda d: d.own_dose_cost),
        contours=tuple(contour(part, doses, reference) for doses in run.platform.doses),
        at_price=contour(part, own, part.column(paid)),
        no_therapy=contour(part, own, none),
        equal=equal_duration(part, own, scale, reference),
        equal_none=equal_duration(part, own, scale, none),
        table=table,
        shares=shapley_values(table),
        repeats=repeats(part, scale),
    )
