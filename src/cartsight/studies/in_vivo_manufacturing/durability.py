"""Question 2: the map of dose cost, doses per course and duration of effect, and which part of the gap manufacturing can close."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt

from cartsight.reporting.charts.style import points, svg, thousands_format
from cartsight.reporting.palette import CATEGORIES, INK, MUTED
from cartsight.scenario.arms import InVivoArm, as_product
from cartsight.studies.answers import Answer, Figure
from cartsight.studies.factorial import interactions, settings, shapley_values, strongest_interaction
from cartsight.studies.in_vivo_manufacturing.arms import (
    LEVERS,
    MANUFACTURING,
    DrawResult,
    PlatformRuns,
    autologous_net_benefit,
    incremental,
)
from cartsight.studies.in_vivo_manufacturing.supply import currency, rounded

Float = npt.NDArray[np.float64]

QUESTION = (
    "Redosing, cost and durability: which part is a manufacturing problem (map of dose cost, doses per course and duration of effect "
    "against the autologous arm)?"
)
ALL_LEVERS: tuple[str, ...] = ("dose cost", *LEVERS)
LEVER_NAMES = {"dose cost": "dose cost at scale", **LEVERS}
WIDER = (*MANUFACTURING, "expression")
LOWEST, HIGHEST = 100.0, 1_000_000.0


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
        left, given = _room(run, doses, years, reference)
        means.append(float(left.mean() / given.mean()))
        low, high = np.quantile(left / given, (0.025, 0.975))
        lows.append(float(low))
        highs.append(float(high))
    return Contour(doses, np.array(run.platform.durations_years), np.array(means), np.array(lows), np.array(highs))


def _room(run: PlatformRuns, doses: int, years: float, reference: Float) -> tuple[Float, Float]:
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
        left, given = _room(run, doses, float(y), reference)
        gaps.append(left - dose_cost * given)
    table = np.stack(gaps)
    return _crossing(years, table.mean(axis=1)), np.array([_crossing(years, column) for column in table.T])


def _crossing(years: Float, gap: Float) -> float:
    if gap[0] >= 0.0:
        return float(years[0])
    rising = np.flatnonzero((gap[:-1] < 0.0) & (gap[1:] >= 0.0))
    if not rising.size:
        return float("inf")
    i = int(rising[0])
    share = -gap[i] / (gap[i + 1] - gap[i])
    return float(np.exp(np.log(years[i]) + share * (np.log(years[i + 1]) - np.log(years[i]))))


def lever_table(run: PlatformRuns, scale_cost: Float) -> Float:
    """Return net benefit less that of the autologous arm at every setting of all levers, shape (draws, 2**levers)."""
    rows = []
    for draw, cost in zip(run.draws, scale_cost, strict=True):
        if not draw.levers:
            continue
        reference = run.threshold * draw.autologous_effect - draw.autologous_cost
        row = []
        for pulled in settings(len(ALL_LEVERS)):
            names = frozenset(name for name, on in zip(ALL_LEVERS, pulled, strict=True) if on)
            used = float(cost) if "dose cost" in names else draw.own_dose_cost
            row.append(float(draw.levers[names - {"dose cost"}].net_benefit(used, run.threshold)) - reference)
        rows.append(row)
    return np.array(rows)


def _interval(values: Float) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


@dataclass(frozen=True, eq=False, slots=True)
class _Platform:
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


def _platform(run: PlatformRuns, scale_cost: Float) -> _Platform:
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
    return _Platform(
        run=part,
        own_doses=own,
        own_years=arm.efficacy.relapse.median.x / 365.25,
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
    found = [_platform(run, scale_cost[run.platform.key]) for run in runs]
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
        _chart(found, money, scale_patients),
        tuple(line for item in found for line in _would_change(item, words)),
        (
            "median duration of effect: follow-up of three months in five patients (mRNA), six months in five (vector)",
            "response given expression: five patients each; four evaluable with the vector",
            "duration of the autologous arm in lupus: no relapse in eight patients over 18 months",
            "that the effect does not depend on the number of doses: nothing was read that says how it does",
            "one course at relapse at most (mRNA); further repeats are not modelled",
        ),
    )


def _figures(item: _Platform, patients: int, money: str) -> list[Figure]:
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
                *_interval(column),
                money,
            )
        )
    gap, closed = item.table[:, 0], item.table[:, -1]
    figures.append(Figure(f"{title}: net benefit less autologous, as it is", float(gap.mean()), *_interval(gap), money))
    figures.append(
        Figure(
            f"{title}: net benefit less autologous, all levers pulled", float(closed.mean()), *_interval(closed), money
        )
    )
    share = _manufacturing(item)
    figures.append(
        Figure(f"{title}: manufacturing's part of what the levers are worth", share[0], share[1], share[2], "share")
    )
    wider = _manufacturing(item, WIDER)
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


def _manufacturing(item: _Platform, names: tuple[str, ...] = MANUFACTURING) -> tuple[float, float, float]:
    """Return some levers' share of the sum of all levers: of the means, and 95 % over draws where the sum is positive."""
    columns = [ALL_LEVERS.index(name) for name in names]
    part, whole = item.shares[:, columns].sum(axis=1), item.shares.sum(axis=1)
    usable = whole > 0.0
    low, high = _interval(part[usable] / whole[usable]) if usable.any() else (0.0, 0.0)
    middle = float(part.mean() / whole.mean())
    return middle, min(low, middle), max(high, middle)


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often courses could be repeated to hold the effect, if all else were as with the autologous arm.

    Parameters
    ----------
    per_year : float
        Money per patient-year in remission at which both arms are equal.
    low, high : float
        95 % of draws.
    course_cost : float
        Doses and visits of a course, dose cost at scale.
    """

    per_year: float
    low: float
    high: float
    course_cost: float

    @property
    def months(self) -> float:
        """Shortest interval between courses, in months; infinite where nothing is left for them."""
        return 12.0 * self.course_cost / self.per_year if self.per_year > 0.0 else float("inf")


HELD = frozenset({"expression", "response", "durability", "toxicity"})


def repeats(run: PlatformRuns, scale_cost: Float) -> Repeats:
    """Return what is left for repeat courses when the in vivo arm has the autologous arm's biology as long as it is repeated."""
    arm = run.scenario.arms[run.platform.in_vivo]
    assert isinstance(arm, InVivoArm)
    left, years, costs = [], [], []
    for draw, cost in zip(run.draws, scale_cost, strict=True):
        if draw.levers:
            held = draw.levers[HELD]
            reference = run.threshold * draw.autologous_effect - draw.autologous_cost
            left.append(float(held.net_benefit(cost, run.threshold)) - reference)
            years.append(held.remission_years)
            costs.append(arm.doses_per_course * (float(cost) + arm.redosing.visit_cost.x))
    money, span = np.array(left), np.array(years)
    low, high = _interval(money / span)
    return Repeats(float(money.mean() / span.mean()), low, high, float(np.mean(costs)))


def _rows(item: _Platform) -> list[dict[str, Any]]:
    reference = autologous_net_benefit(item.run)
    rows = []
    prices = dict(zip(item.at_price.years.tolist(), item.at_price.mean.tolist(), strict=True))
    none = dict(zip(item.no_therapy.years.tolist(), item.no_therapy.mean.tolist(), strict=True))
    for line in item.contours:
        for years, mean, low, high in line.rows():
            left, given = _room(item.run, line.doses, float(years), reference)
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


def _text(item: _Platform, patients: int, money: str) -> str:
    platform = item.run.platform
    longest = platform.durations_years[-1]
    order = np.argsort(-item.shares.mean(axis=0))
    first, second = (ALL_LEVERS[int(i)] for i in order[:2])
    share = _manufacturing(item)
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


def _repeats_text(item: _Platform, money: str) -> str:
    again = item.repeats
    if not np.isfinite(again.months):
        return "Even with the biology of the autologous arm nothing would be left for repeat courses."
    return (
        f"If response and toxicity were those of the autologous arm and courses repeated to hold the effect, {rounded(again.per_year)} {money} a year in "
        f"remission would be left for them: a course of {rounded(again.course_cost)} could be repeated every {again.months:.1f} months."
    )


def _would_change(item: _Platform, money: str) -> tuple[str, ...]:
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
    wider = _manufacturing(item, WIDER)
    found.append(
        f"{platform.title}: were expression a matter of manufacturing and not of biology, manufacturing's part would be {wider[0]:.0%}."
    )
    return tuple(found)


def _chart(found: list[_Platform], money: str, patients: int) -> str:
    return svg(
        alt.vconcat(*(_panel(item, money, patients) for item in found), spacing=30).resolve_scale(
            color="independent", strokeDash="independent"
        ),
        "durability",
        "Dose cost at which an in vivo arm equals the autologous arm, by doses per course, over the median duration of effect, with the 95 % band",
    )


def _panel(item: _Platform, money: str, patients: int) -> alt.LayerChart:
    platform = item.run.platform
    years = platform.durations_years
    x = alt.X(
        "years:Q",
        scale=alt.Scale(type="log", domain=[years[0], years[-1]], nice=False),
        title="Median duration of effect, years",
        axis=alt.Axis(values=list(years), grid=False),
    )
    scale = alt.Scale(type="log", domain=[LOWEST, HIGHEST], nice=False, clamp=True)
    axis = alt.Axis(labelExpr=thousands_format(money), values=[100, 1e3, 1e4, 1e5, 1e6])
    y_title = f"Cost of a dose, {money.split('_')[0].upper()} {money.split('_')[1]}"
    y = alt.Y("cost:Q", scale=scale, axis=axis, title=y_title)
    own = next(line for line in item.contours if line.doses == item.own_doses)
    band = [
        {"years": float(t), "low": max(float(a), LOWEST), "high": min(max(float(b), LOWEST), HIGHEST)}
        for t, a, b in _fine(own)
    ]
    layers: list[alt.Chart] = [
        alt.Chart(points(band)).mark_area(fill=CATEGORIES[0], fillOpacity=0.16).encode(
            x=x, y=alt.Y("low:Q", scale=scale, axis=axis, title=y_title), y2="high:Q"
        )
    ]  # fmt: skip
    lines: list[dict[str, Any]] = []
    names = [f"equal to autologous at cost, {line.doses} a course" for line in item.contours]
    for name, line in zip(names, item.contours, strict=True):
        lines += _points(name, line.years, line.mean)
    price_name, none_name = "equal to autologous at list price", "equal to no cell therapy"
    lines += _points(price_name, item.at_price.years, item.at_price.mean)
    lines += _points(none_name, item.no_therapy.years, item.no_therapy.mean)
    order = [*names, price_name, none_name]
    shades = ["#9ab4d3", CATEGORIES[0], "#1f3a5f"] if len(names) == 3 else [CATEGORIES[0], "#1f3a5f"]
    colours = alt.Scale(domain=order, range=[*shades, CATEGORIES[1], MUTED])
    dashes = alt.Scale(domain=order, range=[[1, 0]] * len(names) + [[6, 3], [2, 2]])
    legend = alt.Legend(title=None, orient="right", symbolStrokeWidth=3)
    layers.append(
        alt.Chart(points(lines)).mark_line(strokeWidth=2.4).encode(
            x=x,
            y=y,
            color=alt.Color("line:N", scale=colours, sort=order, legend=legend),
            strokeDash=alt.StrokeDash("line:N", scale=dashes, sort=order, legend=legend),
        )
    )  # fmt: skip
    marks = [
        {"cost": float(np.median(item.scale)), "text": f"dose at {patients:,} patients a year"},
        {"cost": float(np.median(item.own_cost)), "text": "dose of a plant for the catchment"},
    ]
    rules = alt.Chart(points(marks))
    layers.append(rules.mark_rule(color=INK, strokeDash=[4, 3], opacity=0.6).encode(y=y))
    layers.append(
        rules.mark_text(align="right", dx=-4, dy=-7, color=INK, fontSize=11).encode(
            y=y, x=alt.value(440), text="text:N"
        )
    )
    here = alt.Chart(points([{"years": item.own_years, "text": f"scenario, {item.own_years:.1f} years"}]))
    layers.append(here.mark_rule(color=INK, opacity=0.6).encode(x=x))
    layers.append(
        here.mark_text(align="left", dx=5, dy=8, color=INK, fontSize=11).encode(x=x, y=alt.value(0), text="text:N")
    )
    title = f"{platform.title}: below a line the in vivo arm is worth more"
    return alt.layer(*layers).properties(width=440, height=300, title=title)


def _dense(years: Float, values: Float) -> tuple[Float, Float]:
    """Return a curve on many durations, straight between the map's on the logarithm of duration."""
    log = np.linspace(np.log(years[0]), np.log(years[-1]), 400)
    return np.exp(log), np.interp(log, np.log(years), values)


def _points(name: str, years: Float, values: Float) -> list[dict[str, Any]]:
    t, v = _dense(years, values)
    inside = np.flatnonzero(v >= LOWEST)
    if not inside.size:
        return []
    rows = [{"line": name, "years": float(t[i]), "cost": min(float(v[i]), HIGHEST)} for i in inside]
    first = int(inside[0])
    if first > 0:
        share = (LOWEST - v[first - 1]) / (v[first] - v[first - 1])
        rows.insert(0, {"line": name, "years": float(t[first - 1] + share * (t[first] - t[first - 1])), "cost": LOWEST})
    return rows


def _fine(line: Contour) -> list[tuple[float, float, float]]:
    t, low = _dense(line.years, line.low)
    high = _dense(line.years, line.high)[1]
    return [(float(a), float(b), float(c)) for a, b, c in zip(t, low, high, strict=True) if c > LOWEST]
