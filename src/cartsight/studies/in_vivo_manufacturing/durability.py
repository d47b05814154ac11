"""Question 2: the map of dose cost, doses per course and duration of effect, and which part of the gap manufacturing can close."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.studies.answers import Answer, Figure
from cartsight.studies.factorial import interactions, strongest_interaction
from cartsight.studies.in_vivo_manufacturing.arms import (
    MANUFACTURING,
    PlatformRuns,
    autologous_net_benefit,
    incremental,
)
from cartsight.studies.in_vivo_manufacturing.contours import PlatformMap, equal_duration, platform_map, room
from cartsight.studies.in_vivo_manufacturing.levers import ALL_LEVERS, LEVER_NAMES, WIDER, lever_share
from cartsight.studies.in_vivo_manufacturing.map_chart import map_chart
from cartsight.studies.in_vivo_manufacturing.supply import currency, rounded
from cartsight.studies.intervals import span

Float = npt.NDArray[np.float64]

QUESTION = (
    "Redosing, cost and durability: which part is a manufacturing problem (map of dose cost, doses per course and duration of effect "
    "against the autologous arm)?"
)


def redosing_and_durability(
    runs: tuple[PlatformRuns, ...], scale_cost: dict[str, Float], scale_patients: int
) -> Answer:
    """Return the answer to question 2.

    Parameters
    ----------
    runs : tuple of PlatformRuns
    scale_cost : dict of platform key to array, shape (draws,)
        Cost of a dose on booked lines at `scale_patients` a year, at the same parameter draws.
    scale_patients : int
    """
    found = [platform_map(run, scale_cost[run.platform.key]) for run in runs]
    money = runs[0].scenario.analysis.money
    words = currency(money)
    figures: list[Figure] = []
    rows: list[dict[str, Any]] = []
    for item in found:
        figures += _figures(item, scale_patients, money)
        rows += _rows(item)
    figures += _noise(runs, scale_cost, money)
    return Answer(
        QUESTION,
        " ".join(_text(item, scale_patients, words) for item in found),
        tuple(figures),
        tuple(rows),
        map_chart(found, money, scale_patients),
        tuple(line for item in found for line in _would_change(item, words)),
        (
            "median duration of effect: follow-up of three months in five patients (mRNA), six months in five (vector)",
            "response given expression: five patients each; four evaluable with the vector",
            "duration of the autologous arm in lupus: no relapse in eight patients over 18 months",
            "that the effect does not depend on the number of doses: nothing was read that says how it does",
            "one course at relapse at most (mRNA); further repeats are not modelled",
        ),
    )


def _figures(item: PlatformMap, patients: int, money: str) -> list[Figure]:
    title, own = item.run.platform.title, item.own_doses
    spread = "95 % over parameter draws, value at equal expectations"
    figures = []
    own_line = next(line for line in item.contours if line.doses == own)
    for years, mean, low, high in own_line.rows():
        figures.append(
            Figure(
                f"{title}: dose cost equal to autologous at cost, {own} a course, effect of {years:g} years",
                mean,
                low,
                high,
                money,
                spread,
            )
        )
    longest = item.run.platform.durations_years[-1]
    for name, (mean, draws) in (("autologous at cost", item.equal), ("no cell therapy", item.equal_none)):
        low, high = np.quantile(np.minimum(draws, longest), (0.025, 0.975))
        label = f"{title}: median duration at which it equals {name}, dose at scale (at most the map's {longest:g})"
        figures.append(
            Figure(
                label, min(mean, longest), min(float(low), mean), max(float(high), min(mean, longest)), "years", spread
            )
        )
    for name, column in zip(ALL_LEVERS, item.shares.T, strict=True):
        figures.append(
            Figure(
                f"{title}: net benefit of the lever '{LEVER_NAMES[name]}' (Shapley)",
                float(column.mean()),
                *span(column),
                money,
            )
        )
    gap, closed = item.table[:, 0], item.table[:, -1]
    figures.append(Figure(f"{title}: net benefit less autologous, as it is", float(gap.mean()), *span(gap), money))
    figures.append(
        Figure(f"{title}: net benefit less autologous, all levers pulled", float(closed.mean()), *span(closed), money)
    )
    share = lever_share(item.shares)
    figures.append(
        Figure(f"{title}: manufacturing's part of what the levers are worth", share[0], share[1], share[2], "share")
    )
    wider = lever_share(item.shares, WIDER)
    figures.append(
        Figure(f"{title}: the same with expression counted as manufacturing", wider[0], wider[1], wider[2], "share")
    )
    again = item.repeats
    figures.append(
        Figure(
            f"{title}: left for repeat courses per year in remission, biology as autologous",
            again.per_year,
            again.low,
            again.high,
            money,
        )
    )
    return figures


def _rows(item: PlatformMap) -> list[dict[str, Any]]:
    reference = autologous_net_benefit(item.run)
    rows = []
    prices = dict(zip(item.at_price.years.tolist(), item.at_price.mean.tolist(), strict=True))
    none = dict(zip(item.no_therapy.years.tolist(), item.no_therapy.mean.tolist(), strict=True))
    for line in item.contours:
        for years, mean, low, high in line.rows():
            left, given = room(item.run, line.doses, float(years), reference)
            at_scale, own = left - item.scale * given, left - item.own_cost * given
            rows.append(
                {
                    "platform": item.run.platform.title,
                    "doses per course": line.doses,
                    "median duration, years": float(years),
                    "dose cost at equality": float(mean),
                    "low": float(low),
                    "high": float(high),
                    "dose price at equality, autologous at list price": prices[years]
                    if line.doses == item.own_doses
                    else None,
                    "dose cost at equality, no cell therapy": none[years] if line.doses == item.own_doses else None,
                    "net benefit at scale less autologous": float(at_scale.mean()),
                    "P(better), dose cost at scale": float((at_scale > 0).mean()),
                    "P(better), dose cost of a small plant": float((own > 0).mean()),
                }
            )
    return rows


def _noise(runs: tuple[PlatformRuns, ...], scale_cost: dict[str, Float], money: str) -> list[Figure]:
    figures = []
    for run in runs:
        difference = incremental(run, scale_cost[run.platform.key])
        noise = run.column(lambda d: d.noise_variance)
        error = float(np.sqrt(noise.sum()) / len(run.draws))
        mean = float(difference.mean())
        figures.append(
            Figure(
                f"{run.platform.title}: net benefit less autologous at dose cost at scale, expected", mean, mean - 1.96 * error,
                mean + 1.96 * error, money, "95 % Monte Carlo error of the finite number of patients",
            )
        )  # fmt: skip
        figures.append(
            Figure(
                f"{run.platform.title}: part of the spread over draws that is patient noise",
                float(noise.mean() / max(float(difference.var(ddof=1)), 1e-9)),
                unit="share",
            )
        )
    return figures


def _years(value: float, longest: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else f"more than {longest:g}"


def _text(item: PlatformMap, patients: int, money: str) -> str:
    platform = item.run.platform
    longest = platform.durations_years[-1]
    order = np.argsort(-item.shares.mean(axis=0))
    first, second = (ALL_LEVERS[int(i)] for i in order[:2])
    share = lever_share(item.shares)
    gap, closed = item.table[:, 0], item.table[:, -1]
    fully = [ALL_LEVERS.index(name) for name in MANUFACTURING]
    only = item.table[:, sum(1 << i for i in fully)]
    low, high = np.quantile(item.equal[1], (0.025, 0.975), method="nearest")
    pair = strongest_interaction(interactions(item.table), [LEVER_NAMES[name] for name in ALL_LEVERS])
    return (
        f"{platform.title}: with {item.own_doses} dose{'s' if item.own_doses > 1 else ''} a course and a dose at scale "
        f"({rounded(float(np.median(item.scale)))} {money} at {patients:,} patients a year), the arm equals the autologous arm at a median duration of "
        f"{_years(item.equal[0], longest)} years (95 % {_years(float(low), longest)} to {_years(float(high), longest)}; the scenario has {item.own_years:.1f}), and care "
        f"without cell therapy at {_years(item.equal_none[0], longest)}. It falls {rounded(-float(gap.mean()))} {money} of net benefit per referred patient short of the "
        f"autologous arm; manufacturing alone (dose cost, doses, lots) leaves it {rounded(-float(only.mean()))} short, all levers together put it "
        f"{rounded(float(closed.mean()))} ahead. Of what the levers are worth {share[0]:.0%} ({share[1]:.0%} to {share[2]:.0%}) is manufacturing; the largest are {LEVER_NAMES[first]} "
        f"({rounded(float(item.shares[:, order[0]].mean()))}) and {LEVER_NAMES[second]} ({rounded(float(item.shares[:, order[1]].mean()))}), and {pair[0]} with {pair[1]} interact most "
        f"({rounded(pair[2])}). " + _repeats_text(item, money)
    )


def _repeats_text(item: PlatformMap, money: str) -> str:
    again = item.repeats
    if not np.isfinite(again.months):
        return "Even with the biology of the autologous arm nothing would be left for repeat courses."
    return (
        f"If response and toxicity were those of the autologous arm and courses repeated to hold the effect, {rounded(again.per_year)} {money} a year in "
        f"remission would be left for them: a course of {rounded(again.course_cost)} could be repeated every {again.months:.1f} months, immunity set aside."
    )


def _would_change(item: PlatformMap, money: str) -> tuple[str, ...]:
    platform = item.run.platform
    longest = platform.durations_years[-1]
    reference = autologous_net_benefit(item.run)
    own_years = item.own_years
    found = []
    for doses in platform.doses:
        at = equal_duration(item.run, doses, item.scale, reference)[0]
        small = equal_duration(item.run, doses, item.own_cost, reference)[0]
        found.append(
            f"{platform.title}, {doses} a course: equal to autologous at {_years(at, longest)} years of effect with the dose cost at "
            f"scale, at {_years(small, longest)} with that of a plant for the catchment alone ({rounded(float(np.median(item.own_cost)))} {money} a dose)."
        )
    own = next(line for line in item.contours if line.doses == item.own_doses)
    here = float(np.interp(np.log(own_years), np.log(own.years), own.mean))
    short = -here * float(np.mean([d.in_vivo.doses for d in item.run.draws]))
    found.append(
        f"{platform.title}: at the scenario's duration of {own_years:.1f} years "
        + (
            f"it turns at a dose cost of {rounded(here)} {money}."
            if here > 0
            else f"no dose cost turns it: with free doses it stays {rounded(short)} {money} of net benefit short per referred patient."
        )
    )
    priced = float(np.interp(np.log(own_years), np.log(item.at_price.years), item.at_price.mean))
    found.append(
        f"{platform.title}: against the autologous arm at its list price "
        + (
            f"it turns at a dose price of {rounded(priced)} {money}."
            if priced > 0
            else "no dose price turns it: the gap is in health."
        )
    )
    wider = lever_share(item.shares, WIDER)
    found.append(
        f"{platform.title}: were expression a matter of manufacturing and not of biology, manufacturing's part would be {wider[0]:.0%}."
    )
    return tuple(found)
