"""Question 2: one lot for many sites: stock, expiry, a bad lot's reach, sampling plans and what a recall costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt

from cartsight.comparison.single_arm import ArmRun, run_arms
from cartsight.reporting.charts.style import points, svg
from cartsight.reporting.palette import CATEGORIES, INK
from cartsight.scenario import Scenario, load_scenario
from cartsight.scenario.arms import AllogeneicArm, LotProcess
from cartsight.scenario.depots import Depot
from cartsight.scenario.numbers import Duration
from cartsight.studies.answers import Answer, Figure, Progress
from cartsight.studies.draws import ScenarioDraw, over_blocks, scenario_draws
from cartsight.studies.intervals import span

Float = npt.NDArray[np.float64]

QUESTION = (
    "Cryopreservation, release testing and lot-to-lot comparability when one lot serves many sites: stock, expiry, how far a bad lot "
    "reaches, which sampling plan, and what does a recall cost?"
)
SCENARIO = Path(__file__).parent / "scenario.toml"
ARM = "allogeneic-donor"
BAD_SHARE = 0.25
"""Share of released lots that are bad in the runs that measure what one bad lot does; divided out again."""
PLANS = (0, 5, 13, 30, 60)
DOSES_PER_REFERRAL = 0.75
"""Courses per referral that stock is planned for: about what reaches the order in the scenario."""
DEPOT_DAYS = 14.0
NEVER_DAYS = 36500.0
COVER = 1.25
"""Reorder levels hold this many times the mean use of a lead time, and one lot that fails."""

TRANSPORT = Duration(value=2.0, unit="days", assumed="Dry shipper to a region", certain="a choice of the design")

RESPONSES = ("cost", "days", "share", "benefit", "waited", "expired", "lots")
COST, DAYS, SHARE, BENEFIT, WAITED, EXPIRED, LOTS = range(len(RESPONSES))

ASSUMPTIONS = (
    "Reorder levels follow use and lead time in each design and draw: 1.25 times the mean use of a lead time and one lot.",
    f"How far one bad lot reaches is measured in runs in which {BAD_SHARE:.0%} of released lots are bad and nothing inspects them, per bad "
    "lot; what it does to a patient in runs in which every lot is. Plans are then compared by the bad lots they let through (binomial).",
    "A recall withdraws doses on hand and harms response of those treated from the lot; what it does to trust, to trials and to a licence "
    "is not modelled.",
)


def _arm(scenario: Scenario) -> AllogeneicArm:
    arm = scenario.arms[ARM]
    assert isinstance(arm, AllogeneicArm)
    return arm


def stocked(lots: LotProcess, doses_per_day: float) -> LotProcess:
    """Return the lots with reorder levels for a use: cover of the lead time, a lot that fails, and a lot at a time."""
    lead = lots.manufacturing.distribution.mean + lots.release_testing.distribution.mean
    size = max(lots.mean_doses, 1.0)
    level = math.ceil(doses_per_day * lead * COVER + size * (1.0 - lots.release_probability))
    donors = lots.donors
    if donors is not None:
        lots_per_day = doses_per_day / (size * lots.release_probability)
        search = donors.lead_time.distribution.mean / (1.0 - donors.screening_failure.x)
        material = math.ceil(lots_per_day * search * COVER) + donors.lots_per_leukapheresis
        donors = donors.model_copy(
            update={
                "reorder_point": material,
                "order_up_to": material + donors.lots_per_leukapheresis,
                "initial_material": material,
            }
        )
    return lots.model_copy(
        update={
            "donors": donors,
            "reorder_point": level,
            "order_up_to": level + max(1, math.ceil(0.9 * size)),
            "initial_stock": level,
            "lines": max(2, math.ceil(doses_per_day * lots.manufacturing.distribution.mean / (size * 0.6))),
        }
    )


def with_lots(
    scenario: Scenario, change: Callable[[LotProcess], LotProcess] | None, *, bad: float = 0.0, found: bool = True
) -> Scenario:
    """Return the scenario with one arm whose lots are changed and stocked.

    A share `bad` of the lots that are released is bad, without inspection; unless `found`, no recall ever comes.
    """
    arm = _arm(scenario)
    lots = arm.lots if change is None else change(arm.lots)
    assert arm.lots.recall is not None and arm.lots.sampling is not None
    if bad > 0.0:
        recall = arm.lots.recall.model_copy(update={"probability": arm.lots.sampling.bad_lots.at(bad)})
        if not found:
            recall = recall.model_copy(update={"found_after": recall.found_after.at(NEVER_DAYS)})
        lots = lots.model_copy(update={"recall": recall, "sampling": None})
    else:
        lots = lots.model_copy(update={"recall": None})
    per_day = scenario.referrals_per_day * DOSES_PER_REFERRAL * arm.doses_per_course
    changed = arm.model_copy(update={"lots": stocked(lots, per_day)})
    analysis = scenario.analysis.model_copy(update={"reference_arm": None, "correlations": ()})
    return scenario.model_copy(update={"arms": {ARM: changed}, "analysis": analysis})


def times_cells(factor: float) -> Callable[[LotProcess], LotProcess]:
    """Return a change of the cells that a lot starts from, and of all that it gives."""

    def change(lots: LotProcess) -> LotProcess:
        assert lots.expansion is not None
        cells = lots.expansion.starting_cells
        return lots.model_copy(
            update={"expansion": lots.expansion.model_copy(update={"starting_cells": cells.at(cells.x * factor)})}
        )

    return change


def testing_days(days: float) -> Callable[[LotProcess], LotProcess]:
    """Return a change of the mean time of release testing."""
    return lambda lots: lots.model_copy(update={"release_testing": lots.release_testing.at(days)})


def shelf_life(days: float) -> Callable[[LotProcess], LotProcess]:
    """Return a change of the shelf life."""
    return lambda lots: lots.model_copy(update={"shelf_life": lots.shelf_life.at(days)})


def inspected(sample_size: int) -> Callable[[LotProcess], LotProcess]:
    """Return a change of the number of vials inspected per lot, none of which may be defective."""

    def change(lots: LotProcess) -> LotProcess:
        if sample_size == 0:
            return lots.model_copy(update={"sampling": None})
        assert lots.sampling is not None
        plan = lots.sampling.model_copy(update={"sample_size": sample_size, "acceptance": 0})
        return lots.model_copy(update={"sampling": plan})

    return change


def at_depots(scenario: Scenario) -> Callable[[LotProcess], LotProcess]:
    """Return a change that keeps two weeks of each region's doses in a depot of its own."""
    arm = _arm(scenario)
    depots = {}
    for name, region in scenario.population.regions.items():
        use = DOSES_PER_REFERRAL * region.referrals_per_year.x * DEPOT_DAYS
        level = math.ceil(use + 2.0 * math.sqrt(use))
        depots[name] = Depot(
            regions=(name,),
            reorder_point=level,
            order_up_to=level + max(1, math.ceil(use)),
            initial_stock=level,
            transport=TRANSPORT,
            delivery=arm.order_to_delivery.at(0.5 * arm.order_to_delivery.x),
        )
    return lambda lots: lots.model_copy(update={"depots": depots})


def responses(run: ArmRun, threshold: float) -> list[float]:
    """Return the responses of the question."""
    assert run.goods is not None and run.plant is not None
    counts = run.plant.counts
    infused = run.trajectories.infused
    orders = max(counts.get("dose orders", 0.0), 1.0)
    return [
        run.goods.per_infused,
        float(run.trajectories.day["infusion"][infused].mean()),
        float(infused.mean()),
        float(threshold * run.effect.mean() - run.cost.mean()),
        counts.get("dose orders that waited", 0.0) / orders,
        run.plant.doses_expired / max(run.plant.doses_received, 1.0),
        float(run.plant.released) / run.plant.years,
    ]


def bad_lot(run: ArmRun, harm: float) -> list[float]:
    """Return what one bad lot does: patients treated from it, doses withdrawn, and net benefit lost.

    Parameters
    ----------
    run : ArmRun
        With some bad lots, recalled.
    harm : float
        Net benefit lost per patient who is treated from a bad lot.
    """
    assert run.plant is not None and run.goods is not None
    counts = run.plant.counts
    released = max(counts.get("bad lots released", 0.0), 1.0)
    reached = counts.get("patients treated from bad lots", 0.0) / released
    withdrawn = counts.get("doses withdrawn", 0.0) / released
    return [reached, withdrawn, reached * harm + withdrawn * run.goods.variable / max(run.plant.doses_received, 1.0)]


def harm_per_patient(good: ArmRun, bad: ArmRun, threshold: float) -> float:
    """Return the net benefit lost per patient treated from a bad lot, from a world in which every lot is bad."""
    lost = threshold * (good.effect - bad.effect).mean() - (good.cost - bad.cost).mean()
    return float(lost / bad.trajectories.infused.mean())


def designs(scenario: Scenario) -> dict[str, Callable[[LotProcess], LotProcess] | None]:
    """Return the designs by name: one change each from the scenario."""
    found: dict[str, Callable[[LotProcess], LotProcess] | None] = {"as in the scenario": None}
    found |= {f"{factor:g} x the doses per lot": times_cells(factor) for factor in (0.5, 2.0, 4.0)}
    found |= {f"release testing {days:g} days": testing_days(days) for days in (14.0, 60.0)}
    found |= {f"shelf life {years:g} years": shelf_life(365.25 * years) for years in (0.25, 0.5, 1.0)}
    found["a depot in each region"] = at_depots(scenario)
    return found


REACH = (0.5, 1.0, 2.0, 4.0)
"""Lot sizes, over that of the scenario, at which the reach of a bad lot is measured."""


def run_block(draw: ScenarioDraw) -> tuple[Float, Float, Float, Float]:
    """Return one draw: designs x responses, reach sizes x consequences, plans x responses, plans x risks."""
    scenario = draw.scenario
    threshold = scenario.analysis.decision_threshold

    def go(change: Callable[[LotProcess], LotProcess] | None, *, bad: float = 0.0, found: bool = True) -> ArmRun:
        return run_arms(with_lots(scenario, change, bad=bad, found=found), draw.seed, (ARM,))[ARM]

    table = [responses(go(change), threshold) for change in designs(scenario).values()]
    harm = harm_per_patient(go(inspected(0)), go(None, bad=1.0, found=False), threshold)
    reach = [bad_lot(go(times_cells(factor), bad=BAD_SHARE), harm) for factor in REACH]
    plans, risks = [], []
    sampling = _arm(scenario).lots.sampling
    assert sampling is not None
    for size in PLANS:
        plans.append(responses(go(inspected(size)), threshold))
        plan = None if size == 0 else sampling.model_copy(update={"sample_size": size, "acceptance": 0})
        consumer = 1.0 if plan is None else plan.consumers_risk
        producer = 0.0 if plan is None else plan.producers_risk
        bad = sampling.bad_lots.x * consumer
        risks.append([consumer, producer, bad / (bad + (1.0 - sampling.bad_lots.x) * (1.0 - producer))])
    return np.array(table), np.array(reach), np.array(plans), np.array(risks)


def many_sites(draws: int, seed: int, progress: Progress, patients: int | None = None) -> Answer:
    """Return the answer to question 2; `patients` replaces the scenario's."""
    scenario = load_scenario(SCENARIO)
    if patients is not None:
        scenario = scenario.with_analysis(patients=patients)
    found = over_blocks(run_block, scenario_draws(scenario, draws, seed), "one lot for many sites", progress)
    tables = tuple(np.stack([result[i] for result in found]) for i in range(4))
    return _answer(scenario, tables[0], tables[1], tables[2], tables[3])


def _middle(sample: npt.ArrayLike) -> float:
    """Return the median over draws: where a lot comes out tiny in a draw its cost has no upper end."""
    return float(np.nanmedian(np.asarray(sample, dtype=np.float64)))


def _answer(scenario: Scenario, table: Float, reach: Float, plans: Float, risks: Float) -> Answer:
    money = scenario.analysis.money
    names = list(designs(scenario))
    base = table[:, 0]
    rows: list[dict[str, Any]] = []
    for i, name in enumerate(names):
        low, high = span(table[:, i, BENEFIT] - base[:, BENEFIT])
        rows.append(
            {
                "design": name,
                "cost per infused": _middle(table[:, i, COST]),
                "days to infusion": _middle(table[:, i, DAYS]),
                "orders that waited": _middle(table[:, i, WAITED]),
                "doses expired": _middle(table[:, i, EXPIRED]),
                "net benefit over the scenario": _middle(table[:, i, BENEFIT] - base[:, BENEFIT]),
                "low": low,
                "high": high,
            }
        )
    one = REACH.index(1.0)
    lost = reach[:, one, 2]
    lots_per_referral = table[:, 0, LOTS] / (scenario.referrals_per_day * 365.25)
    plan_benefit = plans[:, :, BENEFIT] - risks[:, :, 2] * (lots_per_referral * lost)[:, None]
    for i, size in enumerate(PLANS):
        change = plan_benefit[:, i] - plan_benefit[:, 0]
        low, high = span(change)
        rows.append(
            {
                "design": f"inspect {size} vials" if size else "inspect none",
                "cost per infused": _middle(plans[:, i, COST]),
                "days to infusion": _middle(plans[:, i, DAYS]),
                "orders that waited": _middle(plans[:, i, WAITED]),
                "doses expired": _middle(plans[:, i, EXPIRED]),
                "net benefit over the scenario": _middle(change),
                "low": low,
                "high": high,
            }
        )
    best = int(np.argmax(np.median(plan_benefit - plan_benefit[:, :1], axis=0)))
    figures = []
    for i, factor in enumerate(REACH):
        figures += [
            Figure(
                f"patients treated from a bad lot, {factor:g} x the doses",
                _middle(reach[:, i, 0]),
                *span(reach[:, i, 0]),
            ),
            Figure(
                f"doses withdrawn in a recall, {factor:g} x the doses",
                _middle(reach[:, i, 1]),
                *span(reach[:, i, 1]),
            ),
            Figure(
                f"net benefit lost by a bad lot, {factor:g} x the doses",
                _middle(reach[:, i, 2]),
                *span(reach[:, i, 2]),
                money,
            ),
        ]
    for i, size in enumerate(PLANS):
        figures.append(
            Figure(
                f"bad lots accepted when {size} vials are inspected",
                _middle(risks[:, i, 0]),
                *span(risks[:, i, 0]),
                "share",
            )
        )
    by_name = {row["design"]: row for row in rows}
    tests_short, tests_long = by_name["release testing 14 days"], by_name["release testing 60 days"]
    short_life = by_name["shelf life 0.25 years"]
    four = by_name["4 x the doses per lot"]
    depots = by_name["a depot in each region"]
    answer = (
        f"With stock in step with its lead time a lot can serve every site: {rows[0]['orders that waited']:.1%} of dose orders wait and "
        f"{rows[0]['doses expired']:.1%} of doses expire. Release testing of 14 or of 60 days changes stock more than patients: "
        f"{tests_short['orders that waited']:.1%} and {tests_long['orders that waited']:.1%} of orders wait, because stock covers it. What "
        f"binds is shelf life against lot size: at three months {short_life['doses expired']:.0%} of doses expire "
        f"({short_life['net benefit over the scenario']:,.0f} {money} per referred patient), and lots four times as large expire "
        f"{four['doses expired']:.0%} at the shelf life as it is. Depots in the regions bring doses {rows[0]['days to infusion'] - depots['days to infusion']:.1f} "
        f"days nearer; {_told(depots, money)}. A bad lot reaches "
        f"{_middle(reach[:, one, 0]):.0f} patients before it is recalled ({_middle(reach[:, REACH.index(4.0), 0]):.0f} when lots are four "
        f"times as large: a lot that waits behind others is found before it is used), {_middle(reach[:, one, 1]):.0f} doses are withdrawn, and it costs {_middle(lost) / 1e3:,.0f} thousand {money} of net "
        f"benefit, nearly all of it in those who were treated. Among plans that accept no defective vial the best by the median inspects "
        f"{PLANS[best] or 'none'} ({_middle(risks[:, best, 0]):.0%} of bad lots pass): vials inspected are doses not given, and with "
        f"{_bad_lots(scenario):.0%} of lots bad more inspection costs more than it finds."
    )
    return Answer(
        question=QUESTION,
        answer=answer,
        figures=tuple(figures),
        rows=tuple(rows),
        chart=_chart(reach, risks),
        would_change=_would_change(plan_benefit, risks, lots_per_referral, lost, money),
        weakest=(
            "share of lots that are bad and what their doses do: no recall of an allogeneic lot has been published",
            "days until a bad lot is found (assumed)",
            "shelf life and release testing of frozen allogeneic cells: no row was read",
            f"what a bad lot does is measured at {BAD_SHARE:.0%} bad lots and taken as proportional",
            f"intervals rest on {table.shape[0]} parameter draws",
        ),
    )


def _told(row: dict[str, Any], money: str) -> str:
    """Return what a design does to net benefit, or that it is not told from nothing."""
    if row["low"] < 0.0 < row["high"]:
        return "what they do to net benefit is not told from nothing"
    return f"net benefit moves by {row['net benefit over the scenario']:,.0f} {money} per referred patient"


def _bad_lots(scenario: Scenario) -> float:
    sampling = _arm(scenario).lots.sampling
    assert sampling is not None
    return sampling.bad_lots.x


def _would_change(plan_benefit: Float, risks: Float, lots: Float, lost: Float, money: str) -> tuple[str, ...]:
    gain = plan_benefit - plan_benefit[:, :1]
    last = len(PLANS) - 1
    # Inspecting most instead of none pays from this share of bad lots on, all else as it is.
    cost_of_vials = -(gain[:, last] - (risks[:, 0, 2] - risks[:, last, 2]) * lots * lost)
    needed = _middle(cost_of_vials) / _middle(lots * lost)
    inspection = (
        f"Bad lots: inspecting {PLANS[last]} vials of every lot pays against none when it keeps more than {needed:.0%} of released lots from "
        "being bad; with fewer bad lots the vials are better given."
        if needed < 1.0
        else f"Larger lots: {PLANS[last]} vials of every lot are too large a part of lots of this size to be inspected, however many are bad."
    )
    return (
        inspection,
        "A defect found sooner, or lots that wait in stock before they are used: reach counts the days between first use and recall.",
        f"Harm: at an odds ratio of response nearer to 1 a recall costs the withdrawn doses alone, a small part of the "
        f"{_middle(lost) / 1e3:,.0f} thousand {money} of today.",
    )


def _chart(reach: Float, risks: Float) -> str:
    data = [
        {
            "size": f"{factor:g} x",
            "order": factor,
            "value": _middle(reach[:, i, 0]),
            "low": span(reach[:, i, 0])[0],
            "high": span(reach[:, i, 0])[1],
        }
        for i, factor in enumerate(REACH)
    ]
    base = alt.Chart(points(data)).encode(
        x=alt.X(
            "size:N",
            sort=[row["size"] for row in data],
            title="Doses per lot, over those of the scenario",
            axis=alt.Axis(labelAngle=0, domain=False, ticks=False, labelColor=INK),
        )
    )
    rule = base.mark_rule(strokeWidth=3, opacity=0.45, color=CATEGORIES[0]).encode(
        y=alt.Y("low:Q", title="Patients treated from a bad lot before its recall"), y2="high:Q"
    )
    dot = base.mark_circle(size=70, opacity=1, color=CATEGORIES[0]).encode(y="value:Q")
    plan_data = [
        {
            "plan": str(size),
            "value": _middle(risks[:, i, 0]),
            "low": span(risks[:, i, 0])[0],
            "high": span(risks[:, i, 0])[1],
        }
        for i, size in enumerate(PLANS)
    ]
    plan_base = alt.Chart(points(plan_data)).encode(
        x=alt.X(
            "plan:N",
            sort=[row["plan"] for row in plan_data],
            title="Vials inspected per lot, none may be defective",
            axis=alt.Axis(labelAngle=0, domain=False, ticks=False, labelColor=INK),
        )
    )
    plan_rule = plan_base.mark_rule(strokeWidth=3, opacity=0.45, color=CATEGORIES[1]).encode(
        y=alt.Y("low:Q", title="Bad lots that are accepted", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
        y2="high:Q",
    )
    plan_dot = plan_base.mark_circle(size=70, opacity=1, color=CATEGORIES[1]).encode(y="value:Q")
    left = (rule + dot).properties(width=240, height=240)
    right = (plan_rule + plan_dot).properties(width=240, height=240)
    return svg(
        left | right,
        "recall",
        "Patients reached by a bad lot by lot size, and bad lots accepted by sampling plan, 95 % over parameter draws",
    )
