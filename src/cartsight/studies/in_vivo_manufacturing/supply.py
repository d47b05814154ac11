"""Question 1: mRNA and vector plants against demand, stage by stage, and what existing plants close."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt

from cartsight.reporting.charts.style import points, svg
from cartsight.reporting.palette import INK
from cartsight.studies.answers import Answer, Figure
from cartsight.studies.in_vivo_manufacturing.chain import Chain
from cartsight.studies.in_vivo_manufacturing.plants import PLATFORMS, PlantDraws, Plants, patients_per_year
from cartsight.studies.in_vivo_manufacturing.simulated_supply import SimulatedSupply, in_words

Float = npt.NDArray[np.float64]

QUESTION = (
    "mRNA-LNP and viral-vector plants against demand: which existing infrastructure closes which gap, and how many doses a year "
    "does a line make?"
)
LEVELS: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
MIDDLE = 100_000


def quantiles(values: Float) -> tuple[float, float, float]:
    """Return median, 2.5 and 97.5 percentile."""
    low, middle, high = np.quantile(values, (0.025, 0.5, 0.975))
    return float(middle), float(low), float(high)


def rounded(value: float, digits: int = 3) -> str:
    """Return a number with three digits that mean something."""
    if value == 0.0 or not np.isfinite(value):
        return f"{value:g}"
    places = digits - 1 - int(np.floor(np.log10(abs(value))))
    return f"{round(value, places):,.{max(places, 0)}f}"


def currency(money: str) -> str:
    """Return the currency of a money unit as prose prints it."""
    return money.split("_")[0].upper()


def figure(label: str, values: Float, unit: str = "") -> Figure:
    """Return the median of parameter draws with its 95 % interval."""
    middle, low, high = quantiles(values)
    return Figure(label, middle, low, high, unit, "95 % over parameter draws, value is the median")


def plants_against_demand(
    plants: Plants, values: PlantDraws, chains: dict[str, Chain], simulated: tuple[SimulatedSupply, ...], money: str
) -> Answer:
    """Return the answer to question 1.

    Parameters
    ----------
    plants, values : the study's plants and their parameter draws
    chains : dict of platform to Chain
        At the same draws.
    simulated : tuple of SimulatedSupply
        Chains run in the event simulation.
    money : str
    """
    demand = patients_per_year(plants, values)
    total = np.sum(list(demand.values()), axis=0)
    figures = [
        figure(f"patients a year, {plants.demand.indications[name].label}", x, "patients") for name, x in demand.items()
    ]
    figures.append(figure("patients a year, all eight indications", total, "patients"))
    rows: list[dict[str, Any]] = []
    for key, chain in chains.items():
        title = PLATFORMS[key]
        figures += [
            figure(f"doses a year per line, {title}: {stage.name}", stage.doses_per_line_year, "doses")
            for stage in chain.stages
        ]
        figures.append(
            figure(f"patients a year on existing lines at the stated shares, {title}", chain.served().min(axis=0))
        )
        figures += [
            figure(
                f"cost of a dose at {level:,} patients a year, {title}, {how}",
                chain.cost_per_dose(level, booked=booked),
                money,
            )
            for level in LEVELS
            for how, booked in (("booked lines", True), ("own lines", False))
        ]
        rows += _rows(key, chain)
    for run in simulated:
        figures += run.figures()
    return Answer(
        QUESTION,
        _text(plants, demand, total, chains, rows, simulated, money),
        tuple(figures),
        (*rows,),
        _chart(rows),
        _would_change(values, chains),
        (
            "lines that exist and the share that could be booked: counts of suites, coupled-particle lines, filling lines and "
            "testing lanes are ours, guided by company announcements",
            "dose: one level in five patients (vector), 2 and 4 mg in five patients from an automated digest (mRNA)",
            "scale and yield of antibody-coupled particles: no figure was read",
            "titre of a targeted vector at 200 litres: the row is 5.5 litres with another envelope",
            "eligible shares and the yearly share of a prevalent pool",
        ),
    )


def _rows(key: str, chain: Chain) -> list[dict[str, Any]]:
    found = []
    for level in LEVELS:
        need = chain.doses_needed(level)
        for stage, lines in zip(chain.stages, chain.lines_needed(level), strict=True):
            booked = stage.existing_lines * stage.share
            middle, low, high = quantiles(lines)
            missing = np.ceil(np.maximum(lines - booked, 0.0) - 1e-9)
            found.append(
                {
                    "platform": PLATFORMS[key],
                    "patients a year": level,
                    "stage": stage.name,
                    "existing plants": stage.infrastructure,
                    "lines needed": middle,
                    "lines, low": low,
                    "lines, high": high,
                    "lines bookable": float(np.median(booked)),
                    "P(existing suffice)": float((stage.bookable_doses >= need).mean()),
                    "lines to build": float(np.median(missing)),
                    "lines to build, high": float(np.quantile(missing, 0.975)),
                }
            )
    return found


def binding(chain: Chain) -> list[tuple[str, float]]:
    """Return the share of draws in which each stage is the first to bind, largest first."""
    first = chain.served().argmin(axis=0)
    shares = [(stage.name, float((first == i).mean())) for i, stage in enumerate(chain.stages)]
    return sorted(shares, key=lambda item: -item[1])


def _text(
    plants: Plants,
    demand: dict[str, Float],
    total: Float,
    chains: dict[str, Chain],
    rows: list[dict[str, Any]],
    simulated: tuple[SimulatedSupply, ...],
    money: str,
) -> str:
    middle, low, high = quantiles(total)
    per_million = middle / plants.demand.people.x * 1e6
    largest = max(demand, key=lambda name: float(np.median(demand[name])))
    text = (
        f"Eight indications in the United States come to {rounded(middle)} patients a year ({rounded(low)} to {rounded(high)}), "
        f"{plants.demand.indications[largest].label} the largest; a million a year would take that eligibility in "
        f"{1e6 / per_million / 1000:,.1f} billion people. "
    )
    for key, chain in chains.items():
        served = quantiles(chain.served().min(axis=0))
        order = binding(chain)
        lines = "; ".join(
            f"{stage.name} {rounded(float(np.median(stage.doses_per_line_year)))}" for stage in chain.stages
        )
        text += (
            f"{PLATFORMS[key]}: doses a year per line are {lines}. Existing lines at the stated shares serve {rounded(served[0])} patients "
            f"a year ({rounded(served[1])} to {rounded(served[2])}), stopped by {order[0][0]} in {order[0][1]:.0%} and by {order[1][0]} in "
            f"{order[1][1]:.0%} of draws. "
        )
        text += _closes(PLATFORMS[key], rows)
        costs = [(level, quantiles(chain.cost_per_dose(level, booked=True))) for level in (1_000, MIDDLE)]
        own = quantiles(chain.cost_per_dose(1_000, booked=False))
        text += (
            f"A dose costs {rounded(costs[0][1][0])} {currency(money)} at 1,000 patients a year on booked lines, {rounded(own[0])} on lines of its own, "
            f"and {rounded(costs[1][1][0])} ({rounded(costs[1][1][1])} to {rounded(costs[1][1][2])}) at {MIDDLE:,}. "
        )
    return text + in_words(simulated)


def _closes(platform: str, rows: list[dict[str, Any]]) -> str:
    """Say at the middle level which plants are enough and which are not."""
    mine = [r for r in rows if r["platform"] == platform and r["patients a year"] == MIDDLE]
    enough = [r for r in mine if r["P(existing suffice)"] >= 0.5]
    short = [r for r in mine if r["P(existing suffice)"] < 0.5]

    def words(items: list[dict[str, Any]], lines: bool) -> str:
        return ", ".join(
            f"{r['stage']} ({r['existing plants']}, {r['P(existing suffice)']:.0%} of draws"
            + (f"; {r['lines to build']:.0f} more lines" if lines else "")
            + ")"
            for r in items
        )

    text = f"At {MIDDLE:,} patients a year "
    if enough:
        text += f"existing plants close the gap in {words(enough, False)}"
    if short:
        text += (", but not in " if enough else "they close it nowhere: ") + words(short, True)
    return text + ". "


def _would_change(values: PlantDraws, chains: dict[str, Chain]) -> tuple[str, ...]:
    found = []
    for key, chain in chains.items():
        served = dict(zip((s.key for s in chain.stages), chain.served(), strict=True))
        unit = "mg of mRNA" if key == "mrna" else "transducing units"
        for level in (10_000, MIDDLE):
            # Doses of a lot are in inverse proportion to the dose; filling, whose changeovers do not shrink, is left out.
            upstream = np.min([x for name, x in served.items() if name != "filling"], axis=0)
            middle, low, high = quantiles(values[f"{key}.dose"] * upstream / level)
            found.append(
                f"{PLATFORMS[key]}: at a dose below {rounded(middle)} {unit} ({rounded(low)} to {rounded(high)}) existing lines at the stated shares "
                f"serve {level:,} patients a year; the median of the doses used is {rounded(float(np.median(values[f'{key}.dose'])))}."
            )
        for stage in chain.stages:
            share = chain.doses_needed(MIDDLE) / (stage.existing_lines * stage.doses_per_line_year)
            middle, low, high = quantiles(share)
            found.append(
                f"{PLATFORMS[key]}, {stage.name}: {MIDDLE:,} patients a year need {middle:.1%} ({low:.1%} to {high:.1%}) of existing lines; "
                f"{float(np.median(stage.share)):.0%} is assumed bookable."
            )
    return tuple(found)


def _chart(rows: list[dict[str, Any]]) -> str:
    data = [
        {
            "platform": r["platform"],
            "patients": f"{r['patients a year']:,}",
            "stage": r["stage"],
            "suffice": r["P(existing suffice)"],
            "text": f"{_short(r['lines needed'])} of {_short(r['lines bookable'])}",
        }
        for r in rows
    ]
    panels = []
    for platform in dict.fromkeys(r["platform"] for r in data):
        mine = [r for r in data if r["platform"] == platform]
        base = alt.Chart(points(mine)).encode(
            x=alt.X(
                "patients:O",
                sort=[f"{level:,}" for level in LEVELS],
                title="Patients a year",
                axis=alt.Axis(labelAngle=0, orient="top"),
            ),
            y=alt.Y(
                "stage:N", sort=list(dict.fromkeys(r["stage"] for r in mine)), title=None, axis=alt.Axis(labelColor=INK)
            ),
        )
        cells = base.mark_rect(stroke="white", strokeWidth=2).encode(
            color=alt.Color(
                "suffice:Q",
                scale=alt.Scale(domain=[0, 0.5, 1], range=["#d98c6a", "#f3ead9", "#7fb8a0"]),
                legend=alt.Legend(title="P(existing lines suffice)", format="%", orient="bottom", gradientLength=220),
            )
        )
        text = base.mark_text(fontSize=12, color=INK).encode(text="text:N")
        title = f"{platform}: lines needed of lines bookable today"
        panels.append((cells + text).properties(width=480, height=alt.Step(34), title=title))
    return svg(
        alt.vconcat(*panels, spacing=24),
        "plants",
        "Lines needed at each stage of the mRNA and vector chains at four levels of demand, coloured by the probability that existing lines suffice",
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"
