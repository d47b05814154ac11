"""Stage 3: designs in the simulation, on common random numbers, and what survives.

The design becomes the arm's plants; the arm's own pathway is run with queues, calendars, remakes, deaths and beds. Costs are
posted by plant and lane, so that plants may differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.ranking_and_selection import Selection, select_best
from cartsight.planning.demand_scenarios import DemandScenarios
from cartsight.planning.network_inputs import DAYS_PER_YEAR, NetworkProblem
from cartsight.planning.screening import NetworkDesign
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AutologousArm, Site
from cartsight.simulation import Calendar, FlowModel, compile_model
from cartsight.simulation import steps as s
from cartsight.simulation.pathways.build import build_model
from cartsight.simulation.pathways.flow import simulate_patients
from cartsight.simulation.pathways.patients import Window, generate_patients, observation_window
from cartsight.simulation.pathways.trajectory import (
    BATCH_FAILED,
    BATCH_STARTED,
    INFUSION,
    LEUKAPHERESIS,
    SHIPMENT,
    Patients,
)
from cartsight.simulation.result import FlowResult

Float = npt.NDArray[np.float64]

SHIPPING_OUT, SHIPPING_BACK = "shipping to the plant", "shipping to the hospital"
SERVED_SHARE = 0.02
"""A region is served by a plant that makes at least this share of its patients in the expected plan."""


@dataclass(frozen=True, slots=True)
class SimulatedYear:
    """One replication of a design.

    Attributes
    ----------
    cost_per_infused, cost_per_year : float
        Cost of goods in the window.
    share_infused : float
        Of referred.
    vein_to_vein_days : float
        Median of the infused.
    line_utilisation : float
    line_wait_days, bed_wait_days, collection_wait_days : float
        Mean wait for a line, an infusion bed, a leukapheresis place: what the optimiser does not see.
    net_cost_per_referred : float
        Cost of goods and the price of every patient who is not infused, per referred patient.
    """

    cost_per_infused: float
    cost_per_year: float
    share_infused: float
    vein_to_vein_days: float
    line_utilisation: float
    line_wait_days: float
    bed_wait_days: float
    collection_wait_days: float
    net_cost_per_referred: float


@dataclass(frozen=True, slots=True, eq=False)
class Proof:
    """Designs after the simulation; means and 95 % intervals by design.

    Attributes
    ----------
    survivors : tuple of int
        Designs not ruled out on net cost per referred patient.
    replications : tuple of int
        By design.
    indifference, alpha : float
    measures : list of dict of name to (mean, low, high)
    values : list of dict of name to array, shape (replications,)
    """

    survivors: tuple[int, ...]
    replications: tuple[int, ...]
    indifference: float
    alpha: float
    measures: list[dict[str, tuple[float, float, float]]]
    values: list[dict[str, Float]]


def with_future(problem: NetworkProblem, futures: DemandScenarios, i: int) -> Scenario:
    """Return the scenario in one future: a year's referrals by region, and the yield of the process; one year is counted.

    The split of demand over quarters is left to the optimiser: arrivals of the pathway have one rate by region.
    """
    factor = futures.demand[i].sum(axis=0) / problem.demand
    rates = problem.referrals * factor
    path = f"arms.{problem.arm_name}.process"
    values = {
        f"population.regions.{region}.referrals_per_year": float(rate) / DAYS_PER_YEAR
        for region, rate in zip(problem.regions, rates, strict=True)
    }
    values[f"{path}.manufacturing_failure"] = float(futures.manufacturing_failure[i])
    values[f"{path}.out_of_specification"] = float(futures.out_of_specification[i])
    counted = max(50, round(float(rates.sum())))
    return problem.scenario.with_values(values).with_analysis(patients=counted)


def with_design(
    problem: NetworkProblem, design: NetworkDesign, assigned: Float, scenario: Scenario, outages: Float | None = None
) -> Scenario:
    """Return a scenario with a design's plants.

    Parameters
    ----------
    problem : NetworkProblem
    design : NetworkDesign
    assigned : array, shape (regions, plants)
        Patients per year in the expected plan; decides which plants serve a region.
    scenario : Scenario
        The problem's, or one of its futures.
    outages : array, shape (quarters, plants, 2), optional
        Days of the counted year without new starts, NaN where there are none.
    """
    arm = scenario.arms[problem.arm_name]
    assert isinstance(arm, AutologousArm)
    template = arm.at_every_hospital if arm.sites is None else next(iter(arm.sites.values()))
    assert template is not None
    process = arm.process
    testing = process.release_testing.x / problem.load.line_days
    share = assigned / np.maximum(assigned.sum(axis=1, keepdims=True), 1e-9)
    share[:, design.lines == 0] = 0.0
    sites = {}
    for plant in np.flatnonzero(design.lines):
        lines = int(design.lines[plant])
        load = lines * testing
        serves = tuple(problem.regions[r] for r in range(len(problem.regions)) if share[r, plant] >= SERVED_SHARE)
        if not serves:
            continue
        sites[problem.plants[plant].name] = Site(
            lines=lines,
            # Testing lanes cost nothing in the plant's costs, so they are sized not to bind: three standard deviations.
            quality_control_lanes=math.ceil(load + 3.0 * math.sqrt(load)) + 1,
            serves=serves,
            closed_to_starts=template.closed_to_starts,
            yearly_shutdown_days=template.yearly_shutdown_days,
            outages=() if outages is None else dated(outages[:, plant], observation_window(scenario)),
        )
    changed = arm.model_copy(update={"sites": sites, "at_every_hospital": None})
    return scenario.model_copy(update={"arms": {**scenario.arms, problem.arm_name: changed}})


def dated(days: Float, window: Window) -> tuple[tuple[float, float], ...]:
    """Return days of the counted year, shape (n, 2), as days of the simulation; NaN rows are left out."""
    known = days[~np.isnan(days[:, 0])] + window.start
    return tuple((float(first), float(last)) for first, last in known if last > first)


def modes_by_region(problem: NetworkProblem, assigned: Float) -> npt.NDArray[np.int64]:
    """Return the transport mode that carries most of each region's patients, shape (regions,); zeros without modes."""
    if problem.lane_mode is None:
        return np.zeros(len(problem.regions), dtype=np.int64)
    carried = [np.where(problem.lane_mode == m, assigned, 0.0).sum(axis=1) for m in range(len(problem.modes))]
    return np.asarray(np.argmax(carried, axis=0))


def add_transport(
    flow: FlowModel,
    problem: NetworkProblem,
    mode: npt.NDArray[np.int64],
    delays: list[tuple[tuple[float, float], ...]] | None,
) -> None:
    """Give regions their own transport mode, and close their courier on the days of a delay."""
    late = [] if delays is None else [r for r, days in enumerate(delays) if days]
    other = [r for r, m in enumerate(mode) if m]
    if not late and not other:
        return
    for r in late:
        assert delays is not None
        flow.gate(f"courier/{problem.regions[r]}", Calendar(outages=delays[r]))
    program: list[s.Step] = []
    for step in flow.programs["patient"]:
        if isinstance(step, s.Delay) and step.name in (SHIPPING_OUT, SHIPPING_BACK):
            end = f"after {step.name}"
            for r in late if step.name == SHIPPING_OUT else []:
                after = f"courier of {problem.regions[r]} runs"
                program += [
                    s.Test("region", "==", float(r), otherwise=after),
                    s.Gate(f"courier/{problem.regions[r]}"),
                    s.Label(after),
                ]
            for r in other:
                law = problem.modes[mode[r]].out if step.name == SHIPPING_OUT else problem.modes[mode[r]].back
                after = f"{step.name}, not {problem.regions[r]}"
                program += [
                    s.Test("region", "==", float(r), otherwise=after),
                    s.Delay(f"{step.name}, {problem.regions[r]}", law),
                    s.Jump(end),
                    s.Label(after),
                ]
            program += [step, s.Label(end)] if other else [step]
        else:
            program.append(step)
    flow.programs["patient"] = tuple(program)


def simulate_design(
    problem: NetworkProblem,
    design: NetworkDesign,
    assigned: Float,
    seed: int,
    not_infused_cost: float,
    future: tuple[DemandScenarios, int] | None = None,
) -> SimulatedYear:
    """Run a design once, in one future if given; the seed keys the patients and every draw of theirs, whatever the design."""
    if future is None:
        scenario = with_design(problem, design, assigned, problem.scenario)
        window = observation_window(scenario)
        delays = None
    else:
        futures, i = future
        scenario = with_design(problem, design, assigned, with_future(problem, futures, i), futures.outages[i])
        window = observation_window(scenario)
        delays = [dated(days, window) for days in futures.courier_outages[i].transpose(1, 0, 2)]
    everyone = generate_patients(scenario, seed, window)
    flow = build_model(scenario, problem.arm_name, window)
    mode = modes_by_region(problem, assigned)
    add_transport(flow, problem, mode, delays)
    result = simulate_patients(
        scenario, compile_model(flow, check=False), everyone, seed, window, arm_name=problem.arm_name
    )
    arm = scenario.arms[problem.arm_name]
    names = list(arm.sites)  # type: ignore[union-attr, arg-type]
    spent = _spending(problem, design, names, mode, everyone, result, window)
    infused_in_window = _within(result, INFUSION, window)
    day = result.patients.mark(INFUSION)[everyone.counted]
    collected = result.patients.mark(LEUKAPHERESIS)[everyone.counted]
    infused = ~np.isnan(day)
    share = float(infused.mean())
    lines = [result.resource(name, window=True) for name in result.resource_names if name.startswith("line/")]
    referred = float(everyone.counted.sum())
    present = sum(use.capacity + use.drain for use in lines)
    return SimulatedYear(
        cost_per_infused=spent / infused_in_window if infused_in_window else math.nan,
        cost_per_year=spent / window.years,
        share_infused=share,
        vein_to_vein_days=float(np.median((day - collected)[infused])) if infused.any() else math.nan,
        line_utilisation=sum(use.busy for use in lines) / present if present else math.nan,
        line_wait_days=_mean_wait(result, "line/"),
        bed_wait_days=_mean_wait(result, "infusion bed/"),
        collection_wait_days=_mean_wait(result, "leukapheresis place/"),
        net_cost_per_referred=spent / referred + not_infused_cost * (1.0 - share),
    )


def _mean_wait(result: FlowResult, prefix: str) -> float:
    uses = [result.resource(name, window=True) for name in result.resource_names if name.startswith(prefix)]
    asked = sum(use.seizes for use in uses)
    return sum(use.queue for use in uses) / asked if asked else 0.0


def _within(result: FlowResult, event: str, window: Window) -> int:
    if event not in result.patients.log.names:
        return 0
    _, days = result.patients.log.of(event)
    return int(np.count_nonzero((days >= window.start) & (days < window.end)))


def _spending(
    problem: NetworkProblem,
    design: NetworkDesign,
    names: list[str],
    mode: npt.NDArray[np.int64],
    everyone: Patients,
    result: FlowResult,
    window: Window,
) -> float:
    costs = problem.arm.costs
    place = {plant.name: number for number, plant in enumerate(problem.plants)}
    opened = [place[name] for name in names]
    fixed = sum(
        problem.plants[number].fixed_per_year + problem.plants[number].line_per_year * int(design.lines[number])
        for number in opened
    )
    started = _within(result, BATCH_STARTED, window)
    failed = _within(result, BATCH_FAILED, window)
    batches = started * (costs.materials_per_batch.x + costs.vector_per_batch.x + costs.labour_per_batch.x)
    batches += (started - failed) * costs.quality_control_per_batch.x
    entity, days = result.patients.log.of(SHIPMENT)
    entity = entity[(days >= window.start) & (days < window.end)]
    at = np.array(opened)[result.patients.attribute("site")[entity].astype(np.int64)]
    region = everyone.region[entity]
    price = problem.shipping
    if problem.modes:
        price = np.stack([problem.modes[m].shipping[r] for r, m in enumerate(mode)])
        # A region's own mode may lack one of its lanes; then the lane's mode is charged.
        price = np.where(np.isfinite(price), price, problem.shipping)
    return fixed * window.years + batches + float(price[region, at].sum())


def prove(
    problems: list[NetworkProblem],
    designs: list[NetworkDesign],
    assigned: list[Float],
    *,
    futures: list[DemandScenarios],
    not_infused_cost: float,
    indifference: float,
    first: int,
    most: int,
    alpha: float = 0.05,
) -> Proof:
    """Run the designs on common random numbers until one is selected or the replications run out.

    Replication i of every design is future i with the patients of seed i. Problem, plants and futures are given by design.
    """
    if min(len(sample) for sample in futures) < most:
        raise InputError("fewer futures than replications", found=min(map(len, futures)), allowed=f"at least {most}")
    years: dict[tuple[int, int], SimulatedYear] = {}

    def one(system: int, replication: int) -> float:
        problem = problems[system]
        seed = problem.scenario.analysis.seed + 7919 * (replication + 1)
        years[system, replication] = simulate_design(
            problem,
            designs[system],
            assigned[system],
            seed,
            not_infused_cost,
            (futures[system], replication),
        )
        return years[system, replication].net_cost_per_referred

    selection: Selection | None = None
    if len(designs) == 1:
        for replication in range(first):
            one(0, replication)
    else:
        selection = select_best(
            lambda replication, alive: [one(system, replication) for system in alive],
            len(designs), indifference=indifference, alpha=alpha, first_stage=first, maximise=False, most=most,
        )  # fmt: skip
    values = []
    for system in range(len(designs)):
        mine = [year for (index, _), year in sorted(years.items()) if index == system]
        values.append(
            {name: np.array([getattr(year, name) for year in mine]) for name in SimulatedYear.__dataclass_fields__}
        )
    measures = [{name: interval(column) for name, column in columns.items()} for columns in values]
    counts = tuple(sum(index == system for index, _ in years) for system in range(len(designs)))
    return Proof((0,) if selection is None else selection.survivors, counts, indifference, alpha, measures, values)


def interval(values: Float, level: float = 0.95) -> tuple[float, float, float]:
    """Return mean and Student-t interval of replications, shape (n,), NaN left out."""
    from scipy.stats import t

    known = values[~np.isnan(values)]
    if not known.size:
        return math.nan, math.nan, math.nan
    mean = float(known.mean())
    if known.size < 2:
        return mean, math.nan, math.nan
    half = float(t.ppf(0.5 + level / 2.0, known.size - 1) * known.std(ddof=1) / math.sqrt(known.size))
    return mean, mean - half, mean + half
