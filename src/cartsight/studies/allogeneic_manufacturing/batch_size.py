"""Question 1: iPSC- against donor-derived cells, at which batch size and success rate each wins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt

from cartsight.economics.lot_sizing import expected_expired
from cartsight.reporting.charts.style import points, svg
from cartsight.reporting.palette import CATEGORIES
from cartsight.studies.allogeneic_manufacturing.numbers import LotNumbers, SharedNumbers, Source
from cartsight.studies.answers import Answer, Figure, Progress
from cartsight.studies.intervals import span

Float = npt.NDArray[np.float64]

QUESTION = (
    "iPSC- versus donor-derived cells: at which batch size and success rate does each win, and where is the evidence?"
)
SIZES = (50, 100, 200, 500, 1000, 2000, 5000, 10000)
DEMANDS = (500.0, 2000.0, 10000.0)
REFERENCE_DEMAND = 2000.0
MOST_UTILISED = 0.8

ASSUMPTIONS = (
    "Cost per dose that is used: the lot's cost over what it releases and what of it is used before it expires (lots are used one after "
    "the other), lines in whole numbers at most 80 % busy, the site, the bank, fill and storage (cartsight.economics.lot_sizing).",
    "Both sources give the same dose and the same effect here; what a difference of durability is worth is the third question.",
    "A lot's cost follows its size by one exponent for both sources.",
)


def cost_per_used_dose(source: Source, shared: SharedNumbers, doses: float, success: float, demand: float) -> float:
    """Return the cost of one used dose.

    Parameters
    ----------
    source, shared : numbers at one parameter draw
    doses : float
        Planned doses of a lot.
    success : float
        Probability that a lot is released.
    demand : float
        Doses used a year.
    """
    used = used_of_lot(source, doses, demand)
    return _at_success(source, shared, doses, used, success, demand)


def used_of_lot(source: Source, doses: float, demand: float) -> float:
    """Return the expected doses of a released lot that are used before they expire."""
    size = max(round(doses), 1)
    return size - expected_expired(size, demand / 365.25, source.shelf_life.x)


def _at_success(
    source: Source, shared: SharedNumbers, doses: float, used: float, success: float, demand: float
) -> float:
    lot = source.cost_of_reference_lot.x * (doses / source.reference_doses.x) ** shared.size_exponent.x
    lots_started = demand / (used * success)
    lines = max(1, math.ceil(lots_started * source.line_days_per_lot.x / 365.25 / MOST_UTILISED))
    fixed = shared.site_per_year.x + lines * shared.line_per_year.x + source.bank_per_year.x
    return float((lots_started * lot + fixed) / demand) + shared.fill_and_storage_per_dose.x


def success_that_equals(numbers: LotNumbers, doses: float, demand: float, target: float) -> float:
    """Return the iPSC success rate at which its dose costs `target`; infinite where none does."""
    used = used_of_lot(numbers.ipsc, doses, demand)

    def gap(success: float) -> float:
        return _at_success(numbers.ipsc, numbers.shared, doses, used, success, demand) - target

    if gap(1.0) > 0.0:
        return math.inf
    low, high = 1e-3, 1.0
    if gap(low) <= 0.0:
        return low
    # The cost falls in the success rate, in steps where a line is saved: bisection finds where it crosses.
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if gap(middle) > 0.0 else (low, middle)
    return high


def batch_size(draws: Sequence[LotNumbers], money: str, progress: Progress) -> Answer:
    """Return the answer to question 1, from the numbers at each parameter draw."""
    needed = np.full((len(draws), len(DEMANDS), len(SIZES)), math.nan)
    donor, ipsc = np.full((2, len(draws), len(DEMANDS)), math.nan)
    for k, numbers in enumerate(draws):
        for j, demand in enumerate(DEMANDS):
            donor[k, j], ipsc[k, j] = (
                cost_per_used_dose(source, numbers.shared, source.doses_per_lot.x, source.success.x, demand)
                for source in (numbers.donor, numbers.ipsc)
            )
            needed[k, j] = [success_that_equals(numbers, size, demand, float(donor[k, j])) for size in SIZES]
        progress("batch sizes", k + 1, len(draws))
    own = np.array([numbers.ipsc.success.x for numbers in draws])
    wins = own[:, None, None] >= needed
    rows: list[dict[str, Any]] = []
    for j, demand in enumerate(DEMANDS):
        for i, size in enumerate(SIZES):
            finite = np.where(np.isfinite(needed[:, j, i]), needed[:, j, i], 1.0)
            rows.append(
                {
                    "doses a year": int(demand),
                    "iPSC doses per lot": size,
                    "success needed, median": float(np.median(finite)),
                    "low": float(np.quantile(finite, 0.1)),
                    "high": float(np.quantile(finite, 0.9)),
                    "no success rate suffices": float(np.mean(~np.isfinite(needed[:, j, i]))),
                    "iPSC cheaper in draws": float(np.mean(wins[:, j, i])),
                }
            )
    return _answer(rows, donor, ipsc, wins, len(draws), money)


def _first_winning_size(wins: npt.NDArray[np.bool_], demand: int) -> int | None:
    share = wins[:, demand].mean(axis=0)
    found = np.flatnonzero(share >= 0.5)
    return SIZES[int(found[0])] if found.size else None


def _answer(
    rows: list[dict[str, Any]], donor: Float, ipsc: Float, wins: npt.NDArray[np.bool_], count: int, money: str
) -> Answer:
    figures = []
    for j, demand in enumerate(DEMANDS):
        gap = ipsc[:, j] - donor[:, j]
        figures += [
            Figure(
                f"donor-derived: cost of a used dose, {demand:,.0f} a year",
                float(donor[:, j].mean()),
                *span(donor[:, j]),
                money,
            ),
            Figure(
                f"iPSC-derived: cost of a used dose, {demand:,.0f} a year",
                float(ipsc[:, j].mean()),
                *span(ipsc[:, j]),
                money,
            ),
            Figure(f"iPSC less donor, {demand:,.0f} a year", float(gap.mean()), *span(gap), money),
        ]
    sizes = [_first_winning_size(wins, j) for j in range(len(DEMANDS))]
    j = DEMANDS.index(REFERENCE_DEMAND)
    middle = [row for row in rows if row["doses a year"] == int(REFERENCE_DEMAND)]
    at = {row["iPSC doses per lot"]: row for row in middle}
    answer = (
        "A cell bank wins by volume. "
        + " ".join(
            f"At {demand:,.0f} doses a year iPSC lots are cheaper in at least half of the draws from {size:,} doses a lot on."
            if size is not None
            else f"At {demand:,.0f} doses a year no lot size makes them cheaper in half of the draws."
            for demand, size in zip(DEMANDS, sizes, strict=True)
        )
        + f" At {REFERENCE_DEMAND:,.0f} doses a year a lot of 100 has to succeed in {at[100]['success needed, median']:.0%} of runs to match "
        f"donor lots ({at[100]['no success rate suffices']:.0%} of draws: never), one of 1 000 in {at[1000]['success needed, median']:.0%}, one "
        f"of 10 000 in {at[10000]['success needed, median']:.0%}: beyond what is used within a shelf life a larger lot only expires. With "
        f"today's ranges a used dose costs {donor[:, j].mean():,.0f} {money} from donors and {ipsc[:, j].mean():,.0f} from a bank, and iPSC is "
        f"cheaper in {float(np.mean(ipsc[:, j] < donor[:, j])):.0%} of draws. The evidence stands nowhere on this map: no source states doses "
        "per lot or the share of lots released for either (MFG117, MFG118 and MFG120 are gaps), so the donor point and the ranges are "
        "priors, and the first thing to measure is the released share of large iPSC lots."
    )
    return Answer(
        question=QUESTION,
        answer=answer,
        figures=tuple(figures),
        rows=tuple(rows),
        chart=_chart(rows),
        would_change=(
            "Demand: a bank's yearly cost is spread over doses, so a product for a rare disease does not repay it; the curves for "
            + ", ".join(f"{demand:,.0f}" for demand in DEMANDS)
            + " doses a year show by how much.",
            "Donor lots of 200 doses in place of 80, at the upper end of the prior, move every curve up.",
            "How the cost of a lot grows with its size: at proportional cost (an exponent of 1) a larger lot saves nothing but testing.",
        ),
        weakest=(
            "doses per lot and released share of both sources: no published figure",
            "cost of an iPSC lot and of its bank: no published figure",
            "the exponent of lot cost on size",
            f"intervals rest on {count} parameter draws",
        ),
    )


def _chart(rows: list[dict[str, Any]]) -> str:
    names = [f"{demand:,.0f} doses a year" for demand in DEMANDS]
    data = [
        {
            "size": row["iPSC doses per lot"],
            "demand": f"{row['doses a year']:,} doses a year",
            "needed": row["success needed, median"],
            "low": row["low"],
            "high": row["high"],
        }
        for row in rows
    ]
    base = alt.Chart(points(data)).encode(
        x=alt.X(
            "size:Q",
            title="Doses per iPSC lot",
            scale=alt.Scale(type="log"),
            axis=alt.Axis(values=[50, 100, 500, 1000, 5000, 10000], format=",", grid=False),
        ),
        color=alt.Color(
            "demand:N",
            title=None,
            sort=names,
            scale=alt.Scale(domain=names, range=list(CATEGORIES[: len(names)])),
            legend=alt.Legend(orient="top"),
        ),
    )
    band = base.mark_area(opacity=0.12).encode(
        y=alt.Y(
            "low:Q",
            title="Released share of lots at which iPSC costs what donor lots cost",
            axis=alt.Axis(format="%"),
            scale=alt.Scale(domain=[0, 1]),
        ),
        y2="high:Q",
    )
    line = base.mark_line(strokeWidth=2.4, point=True).encode(y="needed:Q")
    return svg(
        (band + line).properties(width=520, height=300),
        "batch",
        "Success rate at which iPSC lots cost what donor lots cost, by doses per lot and demand; above a curve iPSC is cheaper",
    )
