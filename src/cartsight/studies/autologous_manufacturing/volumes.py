"""Question 1: cost per infused patient, vein-to-vein and share treated of four networks from 500 to 50 000 referrals a year."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt

from cartsight.comparison.metrics import metric
from cartsight.comparison.parameter_draws import ParameterDraws
from cartsight.comparison.single_arm import ArmRun, run_arms
from cartsight.reporting.charts.style import money_axis, points, svg
from cartsight.reporting.palette import CATEGORIES
from cartsight.scenario import Scenario
from cartsight.studies.answers import Answer, Figure, Progress
from cartsight.studies.autologous_manufacturing.networks import (
    CENTRAL,
    CLOSED,
    NETWORKS,
    TITLES,
    network_scenario,
)
from cartsight.studies.autologous_manufacturing.numbers import NetworkNumbers
from cartsight.studies.draws import at_draws, over_blocks
from cartsight.studies.intervals import span

Float = npt.NDArray[np.float64]

QUESTION = (
    "What manufacturing model makes autologous CAR-T viable at scale: cost per infused patient, vein-to-vein and share treated "
    "for central, regional, decentralised and point-of-care plants from 500 to 50 000 patients a year, and where do they break even?"
)
VOLUMES = (500.0, 1500.0, 5000.0, 15000.0, 50000.0)
REFERENCE_VOLUME = 5000.0
METRICS = (
    "cost_of_goods_per_infused",
    "median_vein_to_vein_days",
    "share_infused_of_referred",
    "qalys_per_referred",
    "cost_per_referred",
    "line_utilisation",
)
COST, VEIN, SHARE, QALYS, PAID, BUSY = range(len(METRICS))

ASSUMPTIONS = (
    "One closed process with the times, failures and materials of the shipped point-of-care arm runs in all four networks, so that only "
    "place, scale, transport and the order of lymphodepletion differ.",
    "Patients whose cells are grown within a day's drive receive lymphodepletion while they grow (fresh product); cells from central and "
    "regional plants arrive frozen and lymphodepletion follows. Lymphodepletion given before a failure of the batch is not priced.",
    "About 45 referrals a year and hospital, up to 60 hospitals in each of four regions; beyond that hospitals grow. Beds and places for "
    "leukapheresis grow with volume, so that only manufacturing can bind; what they cost a hospital is in its charges.",
    "Plants are planned in each parameter draw for its own process times: lines for the load plus one square root of it and never above "
    "90 % busy, operators in whole persons with a smallest team.",
    "Efficacy is the same wherever cells are made: no comparison of decentralised with central products exists.",
)


@dataclass(frozen=True, slots=True)
class Block:
    """One parameter draw of the study."""

    scenario: Scenario
    numbers: NetworkNumbers
    seed: int
    volumes: tuple[float, ...]


def run_block(block: Block) -> Float:
    """Return the metrics of every network and volume at one draw, shape (networks, volumes, metrics)."""
    found = np.full((len(NETWORKS), len(block.volumes), len(METRICS)), math.nan)
    for i, network in enumerate(NETWORKS):
        for j, volume in enumerate(block.volumes):
            planned = network_scenario(block.scenario, block.numbers, network, volume)
            run = run_arms(planned, block.seed, (network,))[network]
            found[i, j] = values(run)
    return found


def values(run: ArmRun) -> list[float]:
    """Return the study's metrics of a run."""
    return [metric(name).value(run) for name in METRICS]


def break_even(volumes: Float, first: Float, second: Float) -> float:
    """Return the volume from which `first` is no dearer than `second`, by interpolation on the logarithm of volume.

    Parameters
    ----------
    volumes, first, second : arrays, shape (v,)
        Rising volumes and the value of each at them (lower is better).

    Returns
    -------
    float
        0 when `first` is no dearer at the smallest volume and at all others, infinity when it is dearer at the largest.
    """
    gap = np.asarray(first) - np.asarray(second)
    if gap[-1] > 0.0:
        return math.inf
    dearer = np.flatnonzero(gap > 0.0)
    if dearer.size == 0:
        return 0.0
    i = int(dearer[-1])
    place = gap[i] / (gap[i] - gap[i + 1])
    x = np.log(volumes)
    return float(np.exp(x[i] + place * (x[i + 1] - x[i])))


def manufacturing_models(
    scenario: Scenario,
    parameters: ParameterDraws,
    numbers: Sequence[NetworkNumbers],
    progress: Progress,
) -> Answer:
    """Return the answer to question 1.

    Parameters
    ----------
    scenario : Scenario
        At the point values.
    parameters : ParameterDraws
    numbers : sequence of NetworkNumbers
        One for each draw.
    progress : callable
    """
    blocks = [
        Block(draw.scenario, own, draw.seed, VOLUMES)
        for draw, own in zip(at_draws(scenario, parameters), numbers, strict=True)
    ]
    draws = np.stack(over_blocks(run_block, blocks, "networks and volumes", progress))
    shipped = {name: values(run) for name, run in run_arms(scenario, parameters.seed, (CENTRAL, CLOSED)).items()}
    return _answer(scenario, draws, shipped)


def _net_benefit(table: Float, threshold: float) -> Float:
    return np.asarray(threshold * table[..., QALYS] - table[..., PAID])


def _volume_text(volume: float) -> str:
    return (
        "at none of these volumes" if math.isinf(volume) else "at every volume" if volume == 0.0 else f"{volume:,.0f}"
    )


def _answer(scenario: Scenario, draws: Float, shipped: dict[str, list[float]]) -> Answer:
    point = draws.mean(axis=0)
    threshold, money = scenario.analysis.decision_threshold, scenario.analysis.money
    benefit, benefits = _net_benefit(point, threshold), _net_benefit(draws, threshold)
    grid = np.asarray(VOLUMES)
    reference = VOLUMES.index(REFERENCE_VOLUME)
    rows: list[dict[str, Any]] = []
    for j, volume in enumerate(VOLUMES):
        for i, network in enumerate(NETWORKS):
            low, high = span(draws[:, i, j, COST])
            rows.append(
                {
                    "referred a year": int(volume),
                    "network": network,
                    "cost per infused": float(point[i, j, COST]),
                    "low": low,
                    "high": high,
                    "vein to vein, days": float(point[i, j, VEIN]),
                    "infused of referred": float(point[i, j, SHARE]),
                    "lines busy": float(point[i, j, BUSY]),
                    "net benefit per referred": float(benefit[i, j]),
                    "cheapest in draws": float(np.mean(np.argmin(draws[:, :, j, COST], axis=1) == i)),
                    "highest net benefit in draws": float(np.mean(np.argmax(benefits[:, :, j], axis=1) == i)),
                }
            )
    figures = []
    central, hospital = NETWORKS.index("central"), NETWORKS.index("point-of-care")
    for i, network in enumerate(NETWORKS):
        for name, column, unit in (
            ("cost per infused patient", COST, money),
            ("vein to vein, median", VEIN, "days"),
            ("infused of referred", SHARE, "share"),
        ):
            figures.append(
                Figure(
                    f"{network}: {name}, {REFERENCE_VOLUME:,.0f} referred a year",
                    float(point[i, reference, column]),
                    *span(draws[:, i, reference, column]),
                    unit,
                )
            )
    texts = {}
    for i, network in enumerate(NETWORKS):
        if i == central:
            continue
        by_cost = [break_even(grid, draw[i, :, COST], draw[central, :, COST]) for draw in draws]
        texts[network] = (
            break_even(grid, point[i, :, COST], point[central, :, COST]),
            float(np.mean(np.isfinite(by_cost))),
        )
        gap = draws[:, i, :, COST] - draws[:, central, :, COST]
        figures.append(
            Figure(
                f"{network} over central: cost per infused patient, 50 000 referred a year",
                float(point[i, -1, COST] - point[central, -1, COST]),
                *span(gap[:, -1]),
                money,
            )
        )
        figures.append(
            Figure(
                f"{network} over central: net benefit per referred patient, {REFERENCE_VOLUME:,.0f} referred a year",
                float(benefit[i, reference] - benefit[central, reference]),
                *span(benefits[:, i, reference] - benefits[:, central, reference]),
                money,
            )
        )
    cheapest = [NETWORKS[int(i)] for i in np.argmin(point[:, :, COST], axis=0)]
    best = [NETWORKS[int(i)] for i in np.argmax(benefit, axis=0)]
    best_share = [
        float(np.mean(np.argmax(benefits[:, :, j], axis=1) == NETWORKS.index(best[j]))) for j in range(len(grid))
    ]
    own_lymphodepletion = float(_lymphodepletion(scenario, CENTRAL) - _lymphodepletion(scenario, CLOSED))
    sooner = float(point[central, reference, VEIN] - point[hospital, reference, VEIN])
    answer = (
        f"With one closed process everywhere, the cost of an infused patient falls from {point[:, 0, COST].min():,.0f} to "
        f"{point[:, -1, COST].min():,.0f} {money} between 500 and 50 000 referrals a year and the networks lie close together: at "
        f"{REFERENCE_VOLUME:,.0f} a year "
        + ", ".join(f"{point[i, reference, COST]:,.0f} ({network})" for i, network in enumerate(NETWORKS))
        + ". Cheapest by volume: "
        + ", ".join(f"{network} at {volume:,.0f}" for network, volume in zip(cheapest, VOLUMES, strict=True))
        + ". Break-even with the central plant on cost alone: "
        + "; ".join(
            f"{network} {_volume_text(volume)} ({share:.0%} of draws reach it within 50 000)"
            for network, (volume, share) in texts.items()
        )
        + f". Point of care infuses {sooner:.0f} days after leukapheresis instead of {point[central, reference, VEIN]:.0f}, of which "
        f"{own_lymphodepletion:.0f} come from lymphodepletion while the cells grow and the rest from transport; that raises the share "
        f"infused from {point[central, reference, SHARE]:.1%} to {point[hospital, reference, SHARE]:.1%}. With outcomes counted at "
        f"{threshold:,.0f} {money} a QALY the highest net benefit is "
        + ", ".join(
            f"{network} at {volume:,.0f} ({share:.0%} of draws)"
            for network, volume, share in zip(best, VOLUMES, best_share, strict=True)
        )
        + f". As the two kinds of plant are evidenced today, each with its own process and cost boundary, the central arm of the scenario "
        f"costs {shipped[CENTRAL][COST]:,.0f} and the point-of-care arm {shipped[CLOSED][COST]:,.0f} per infused patient: most of that gap "
        f"is the boundary of the sources and not the place."
    )
    return Answer(
        question=QUESTION,
        answer=answer,
        figures=tuple(figures),
        rows=tuple(rows),
        chart=_chart(rows, money),
        would_change=_would_change(point, grid, money),
        weakest=(
            "what a quality unit costs in a plant of three lines and how it grows with size: no source separates them",
            "the smallest team that must stand by in a hospital, in persons",
            "materials of a closed process (20 000 with vector: a developer's claim)",
            "equal failure and efficacy wherever cells are made",
            f"intervals rest on {len(draws)} parameter draws",
        ),
    )


def _lymphodepletion(scenario: Scenario, name: str) -> float:
    arm = scenario.arms[name]
    time = getattr(arm, "lymphodepletion", None)
    return 0.0 if time is None else float(time.distribution.mean)


def _would_change(point: Float, grid: Float, money: str) -> tuple[str, ...]:
    """Return, for the reference volume, by how much a number has to move for point of care to cost what the centre costs."""
    j = int(np.flatnonzero(grid == REFERENCE_VOLUME)[0])
    central, hospital = NETWORKS.index("central"), NETWORKS.index("point-of-care")
    gap = float(point[hospital, j, COST] - point[central, j, COST])
    days = float(point[central, j, VEIN] - point[hospital, j, VEIN])
    return (
        f"A hospital's standing cost (room, team, quality unit): {gap:,.0f} {money} less per infused patient makes point of care cost what "
        f"the centre costs at {REFERENCE_VOLUME:,.0f} referrals a year; sharing a quality unit between hospitals is the way there.",
        f"A central process that also releases before lymphodepletion ends: the {days:.0f} days between the networks are worth what the net "
        "benefit shows, and most of them are lymphodepletion and not transport.",
        "A lower failure rate where teams make many batches: an advantage of large plants that is held equal here.",
    )


def _chart(rows: list[dict[str, Any]], money: str) -> str:
    titles = [TITLES[network] for network in NETWORKS]
    data = [
        {
            "volume": row["referred a year"],
            "network": TITLES[row["network"]],
            "cost": row["cost per infused"],
            "low": row["low"],
            "high": row["high"],
        }
        for row in rows
    ]
    base = alt.Chart(points(data)).encode(
        x=alt.X(
            "volume:Q",
            title="Referrals a year",
            scale=alt.Scale(type="log"),
            axis=alt.Axis(values=[int(v) for v in VOLUMES], format=",", grid=False),
        ),
        color=alt.Color(
            "network:N",
            title=None,
            sort=titles,
            scale=alt.Scale(domain=titles, range=list(CATEGORIES[: len(titles)])),
            legend=alt.Legend(orient="top", columns=2),
        ),
    )
    band = base.mark_area(opacity=0.10).encode(
        y=alt.Y(
            "low:Q",
            title="Cost of goods per infused patient",
            axis=money_axis(money, tickCount=5),
            scale=alt.Scale(zero=True),
        ),
        y2="high:Q",
    )
    line = base.mark_line(strokeWidth=2.4, point=True).encode(y="cost:Q")
    return svg(
        (band + line).properties(width=520, height=300),
        "networks",
        "Cost of goods per infused patient by referrals a year for four networks, 95 % over parameter draws",
    )
