"""The two in vivo arms beside the autologous arm, through the whole simulation: run once per course of doses, priced many times.

Costs leave the in vivo product out and count the discounted doses given instead, so that any cost of a dose can be put to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cartsight.comparison.parameter_draws import draw_parameters
from cartsight.comparison.single_arm import price_arm
from cartsight.core.units import DAYS_PER_YEAR
from cartsight.economics.cost_of_goods import cost_of_goods
from cartsight.economics.discounting import present_value
from cartsight.economics.pricing import price_patients
from cartsight.outcomes import Outcomes, PatientDraws, simulate_outcomes
from cartsight.scenario import Scenario, load_scenario
from cartsight.scenario.arms import AutologousArm, InVivoArm
from cartsight.simulation.pathways import ArmFlow, generate_patients, observation_window, run_flow
from cartsight.simulation.pathways.trajectory import DOSE_TAKEN, Trajectories
from cartsight.studies.answers import Progress
from cartsight.studies.draws import over_blocks
from cartsight.studies.factorial import settings

Float = npt.NDArray[np.float64]
HERE = Path(__file__).parent

LEVERS: dict[str, str] = {
    "doses": "one dose per course",
    "lots": "lots alike, none lost",
    "expression": "every course makes cells",
    "response": "response as autologous",
    "durability": "durability as autologous",
    "toxicity": "toxicity as autologous",
}
"""Levers that need the simulation; the cost of a dose is the seventh, and enters when the runs are priced."""
MANUFACTURING = ("dose cost", "doses", "lots")


@dataclass(frozen=True, slots=True)
class Platform:
    """An in vivo platform in its scenario.

    Parameters
    ----------
    key : str
        "mrna" or "vector".
    indication : str
        Of plants.toml.
    doses : tuple of int
        Doses per course of the map; the scenario's own is among them.
    durations_years : tuple of float
        Median durations of effect of the map.
    """

    key: str
    title: str
    file: str
    autologous: str
    in_vivo: str
    indication: str
    doses: tuple[int, ...]
    durations_years: tuple[float, ...]

    def scenario(self) -> Scenario:
        """Return the platform's scenario."""
        return load_scenario(HERE / self.file)


PLATFORMS: tuple[Platform, ...] = (
    Platform(
        "mrna", "mRNA nanoparticles, lupus", "sle.toml", "autologous-cd19", "in-vivo-mrna", "lupus",
        (1, 3, 6), (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0),
    ),
    Platform(
        "vector", "lentiviral vector, myeloma", "myeloma.toml", "autologous-bcma", "in-vivo-lentiviral", "myeloma",
        (1, 2), (0.5, 1.0, 2.0, 4.0, 8.0, 16.0),
    ),
)  # fmt: skip
OTHER = "other-care"


@dataclass(frozen=True, eq=False, slots=True)
class Priced:
    """Means per referred patient of the in vivo arm without its product.

    Parameters
    ----------
    cost, effect : float
        Discounted cost without the product, QALYs.
    doses : float
        Discounted doses given, those of repeat courses and of treatment at relapse included.
    remission_years : float
        Discounted years from the last dose to relapse or death, of responders.
    """

    cost: float
    effect: float
    doses: float
    remission_years: float

    def net_benefit(self, dose_cost: npt.ArrayLike, threshold: float) -> Float:
        """Return net benefit at a cost of a dose."""
        return np.asarray(threshold * self.effect - self.cost - np.asarray(dose_cost) * self.doses)


@dataclass(frozen=True, eq=False, slots=True)
class DrawResult:
    """One parameter draw of one platform; means per referred patient, in the scenario's money.

    Parameters
    ----------
    autologous_cost : float
        At cost of goods.
    autologous_cost_without, autologous_paid : float
        Without the product, and the discounted times its price is paid.
    in_vivo : Priced
        At the draw's own duration and doses.
    own_dose_cost : float
        Cost of goods per dose given by the plant of the scenario's catchment.
    noise_variance : float
        Variance of the difference in net benefit (product left out) that the finite number of patients causes.
    grid : dict of (doses, duration in years) to Priced
        Empty when not asked for.
    levers : dict of frozenset of lever to Priced
        Empty when not asked for.
    """

    autologous_cost: float
    autologous_cost_without: float
    autologous_paid: float
    autologous_effect: float
    other_cost: float
    other_effect: float
    in_vivo: Priced
    own_dose_cost: float
    noise_variance: float
    grid: dict[tuple[int, float], Priced]
    levers: dict[frozenset[str], Priced]


@dataclass(frozen=True, eq=False, slots=True)
class PlatformRuns:
    """A platform's parameter draws."""

    platform: Platform
    scenario: Scenario
    parameters: dict[str, Float]
    draws: tuple[DrawResult, ...]

    @property
    def threshold(self) -> float:
        """Money per QALY."""
        return self.scenario.analysis.decision_threshold

    def column(self, read: Callable[[DrawResult], float]) -> Float:
        """Return something of every draw, shape (draws,)."""
        return np.array([read(draw) for draw in self.draws])


def with_doses(scenario: Scenario, arm_name: str, doses: int) -> Scenario:
    """Return the scenario with so many doses per course, stock rules in proportion."""
    arm = scenario.arms[arm_name]
    assert isinstance(arm, InVivoArm)
    if doses == arm.doses_per_course:
        return scenario
    factor = doses / arm.doses_per_course
    lots = arm.lots.model_copy(
        update={
            name: max(round(factor * getattr(arm.lots, name)), 1)
            for name in ("reorder_point", "order_up_to", "initial_stock")
        }
    )
    changed = arm.model_copy(
        update={
            "doses_per_course": doses,
            "dose_interval": arm.dose_interval or arm.redosing.interval,
            "lots": lots,
        }
    )
    return scenario.model_copy(update={"arms": {**scenario.arms, arm_name: changed}})


def _doses_given(trajectories: Trajectories, outcomes: Outcomes, doses: int, rate: float) -> float:
    _, day = trajectories.events(DOSE_TAKEN)
    again = outcomes.relapse_day[outcomes.retreated]
    years = np.concatenate([day, again]) / DAYS_PER_YEAR
    return float(doses * present_value(np.ones_like(years), years, rate).sum() / len(outcomes))


def _remission_years(outcomes: Outcomes, rate: float) -> float:
    who = outcomes.infused & (outcomes.response > 0)
    start = outcomes.last_course_day[who] / DAYS_PER_YEAR
    end = np.minimum(outcomes.relapse_care_day[who], outcomes.survival_days[who]) / DAYS_PER_YEAR
    delta = np.log1p(rate)
    span = np.maximum(end - start, 0.0)
    years = np.exp(-delta * start) * (-np.expm1(-delta * span) / delta if delta > 0 else span)
    return float(years.sum() / len(outcomes))


class _Run:
    """One draw of one platform: patients and their random numbers, shared by everything that is run on them."""

    def __init__(self, platform: Platform, scenario: Scenario, seed: int) -> None:
        self.platform, self.scenario, self.seed = platform, scenario, seed
        self.patients = generate_patients(scenario, seed, observation_window(scenario))
        self.draws = PatientDraws(self.patients.rows(np.flatnonzero(self.patients.counted)), seed)

    def flow(self, scenario: Scenario, arm: str) -> ArmFlow:
        return run_flow(scenario, arm, self.seed, patients=self.patients)

    def price(self, scenario: Scenario, arm: str, flow: ArmFlow) -> tuple[Priced, Float, Float]:
        """Return the arm without its product, and each patient's cost and QALYs."""
        outcomes = simulate_outcomes(flow.trajectories, scenario, arm, self.seed, draws=self.draws)
        costs = price_patients(flow.trajectories, outcomes, scenario, arm, product_cost_per_infused=0.0)
        cost, effect = costs.total_discounted, outcomes.qalys_discounted
        made = scenario.arms[arm]
        doses = made.doses_per_course if isinstance(made, InVivoArm) else 0
        priced = Priced(
            float(cost.mean()),
            float(effect.mean()),
            _doses_given(flow.trajectories, outcomes, doses, scenario.analysis.discount_rate_costs),
            _remission_years(outcomes, scenario.analysis.discount_rate_effects),
        )
        return priced, cost, effect


def _draw(platform: Platform, scenario: Scenario, seed: int, *, grid: bool, levers: bool) -> DrawResult:
    run = _Run(platform, scenario, seed)
    autologous = price_arm(scenario, platform.autologous, run.flow(scenario, platform.autologous), seed, run.draws)
    other = price_arm(scenario, OTHER, run.flow(scenario, OTHER), seed, run.draws)
    flow = run.flow(scenario, platform.in_vivo)
    own, cost, effect = run.price(scenario, platform.in_vivo, flow)
    arm = scenario.arms[platform.in_vivo]
    assert isinstance(arm, InVivoArm) and autologous.goods is not None and flow.plant is not None
    threshold = scenario.analysis.decision_threshold
    difference = threshold * (effect - autologous.effect) - (cost - autologous.cost)
    paid = float(autologous.costs.of("product").mean()) / autologous.goods.per_infused
    return DrawResult(
        autologous_cost=float(autologous.cost.mean()),
        autologous_cost_without=float(autologous.cost.mean() - autologous.costs.of("product").mean()),
        autologous_paid=paid,
        autologous_effect=float(autologous.effect.mean()),
        other_cost=float(other.cost.mean()),
        other_effect=float(other.effect.mean()),
        in_vivo=own,
        own_dose_cost=cost_of_goods(arm, flow.plant).total / max(flow.plant.doses_taken, 1.0),
        noise_variance=float(difference.var(ddof=1) / difference.size),
        grid=_grid(run) if grid else {},
        levers=_levers(run) if levers else {},
    )


def _grid(run: _Run) -> dict[tuple[int, float], Priced]:
    """Return the map's cells: one flow per doses per course, priced at every duration."""
    arm = run.platform.in_vivo
    found = {}
    for doses in run.platform.doses:
        scenario = with_doses(run.scenario, arm, doses)
        flow = run.flow(scenario, arm)
        for years in run.platform.durations_years:
            moved = scenario.with_values({f"arms.{arm}.efficacy.relapse.median": years * DAYS_PER_YEAR}, known=True)
            found[doses, years] = run.price(moved, arm, flow)[0]
    return found


def lever_values(platform: Platform, scenario: Scenario, closed: frozenset[str]) -> Scenario:
    """Return the scenario with some levers of the in vivo arm pulled: each to what the autologous arm has, or to the best."""
    arm, reference = scenario.arms[platform.in_vivo], scenario.arms[platform.autologous]
    assert isinstance(arm, InVivoArm) and isinstance(reference, AutologousArm)
    head = f"arms.{platform.in_vivo}"
    values: dict[str, float] = {}
    if "lots" in closed:
        values |= {f"{head}.lots.{name}": 0.0 for name in ("lot_effect_sd", "failure", "rejection")}
    if "expression" in closed:
        values[f"{head}.expression"] = 1.0
    if "response" in closed:
        values[f"{head}.efficacy.complete_response"] = reference.efficacy.complete_response.x
        values[f"{head}.efficacy.overall_response"] = reference.efficacy.overall_response.x
    if "durability" in closed:
        median = reference.efficacy.relapse.median
        assert median is not None
        values[f"{head}.efficacy.relapse.median"] = median.x
    if "toxicity" in closed:
        values[f"{head}.efficacy.non_relapse_mortality"] = reference.efficacy.non_relapse_mortality.x
        for name in arm.toxicity.events:
            event = reference.toxicity.events.get(name)
            if event is not None:
                values[f"{head}.toxicity.events.{name}.probability"] = event.probability.x
    moved = scenario.with_values(values, known=True)
    return with_doses(moved, platform.in_vivo, 1) if "doses" in closed else moved


def lever_sets(names: Sequence[str]) -> list[frozenset[str]]:
    """Return which levers are pulled in each of `settings`, in that order."""
    return [frozenset(n for n, on in zip(names, pulled, strict=True) if on) for pulled in settings(len(names))]


def _levers(run: _Run) -> dict[frozenset[str], Priced]:
    """Return the arm under every set of levers; what changes the flow is run once per set, the rest priced on it."""
    arm = run.platform.in_vivo
    flowing = ("doses", "lots", "expression")
    found = {}
    for before in lever_sets(flowing):
        flow = run.flow(lever_values(run.platform, run.scenario, before), arm)
        for after in lever_sets([name for name in LEVERS if name not in flowing]):
            closed = before | after
            found[closed] = run.price(lever_values(run.platform, run.scenario, closed), arm, flow)[0]
    return found


@dataclass(frozen=True, slots=True)
class _Block:
    platform: Platform
    scenario: Scenario
    samples: tuple[dict[str, float], ...]
    seeds: tuple[int, ...]
    grid: tuple[bool, ...]
    levers: tuple[bool, ...]


def run_block(block: _Block) -> tuple[DrawResult, ...]:
    """Return the draws of a block."""
    return tuple(
        _draw(block.platform, block.scenario.with_values(sample, known=True), seed, grid=grid, levers=levers)
        for sample, seed, grid, levers in zip(block.samples, block.seeds, block.grid, block.levers, strict=True)
    )


BLOCK = 16


def run_platforms(
    seed: int | None, draws: int | None, progress: Progress, *, map_draws: int, lever_draws: int, patients: int | None
) -> tuple[PlatformRuns, ...]:
    """Return both platforms over their parameter draws; maps and levers on the first of them only.

    Each draw has patients of its own, the same for all arms, so that patient noise averages out of means; what of it is left in
    the spread over draws is reported (`noise_variance`).
    """
    plans = []
    blocks = []
    for platform in PLATFORMS:
        scenario = platform.scenario()
        if patients is not None:
            scenario = scenario.with_analysis(patients=patients)
        used = scenario.analysis.seed if seed is None else seed
        count = scenario.analysis.draws if draws is None else draws
        parameters = draw_parameters(scenario, count, used)
        columns = {path: parameters.values[:, i] for i, path in enumerate(parameters.paths)}
        mine = [
            _Block(
                platform,
                scenario,
                tuple(parameters.at(k) for k in rows),
                tuple(parameters.patient_seed(k) for k in rows),
                tuple(k < map_draws for k in rows),
                tuple(k < lever_draws for k in rows),
            )
            for rows in (range(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK))
        ]
        plans.append((platform, scenario, columns, len(mine)))
        blocks += mine
    results = over_blocks(run_block, blocks, "parameter draws", progress)
    found = []
    for platform, scenario, columns, size in plans:
        mine_done, results = results[:size], results[size:]
        found.append(PlatformRuns(platform, scenario, columns, tuple(d for block in mine_done for d in block)))
    return tuple(found)


def incremental(run: PlatformRuns, dose_cost: Float) -> Float:
    """Return net benefit of the in vivo arm less the autologous arm, both at cost, at a dose cost per draw, shape (draws,)."""
    vivo = np.array([d.in_vivo.net_benefit(c, run.threshold) for d, c in zip(run.draws, dose_cost, strict=True)])
    return vivo - autologous_net_benefit(run)


def autologous_net_benefit(run: PlatformRuns) -> Float:
    """Return net benefit of the autologous arm at cost of goods, shape (draws,)."""
    return run.column(lambda d: run.threshold * d.autologous_effect - d.autologous_cost)
