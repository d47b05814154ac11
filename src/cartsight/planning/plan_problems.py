"""From a plan file to network problems: one per process (technology and starting material), on the same plants and regions.

What a process asks of the plants, and whom it loses, is not stated by the plan: the arm's own pathway is run with the process and
each transport mode, with unlimited capacity, on the same patients. Of the modes of a lane the one with the least price of
transport and lost patients is used; nothing limits a mode, so this loses nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.planning.network_inputs import (
    DAYS_PER_YEAR,
    CandidatePlant,
    NetworkProblem,
    PatientLoad,
    TransportLaw,
    network_problem,
    patient_load,
    scaled_referrals,
)
from cartsight.planning.plan_file import Material, NetworkPlan, Technology, TransportMode
from cartsight.scenario import Scenario, load_scenario
from cartsight.scenario.arms import AutologousArm
from cartsight.scenario.loading import find_scenario
from cartsight.scenario.numbers import Money, Number

Float = npt.NDArray[np.float64]

EQUIPMENT_LIFE_YEARS = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class PlannedProcess:
    """A technology with a starting material, ready for every stage.

    Attributes
    ----------
    name, technology, material : str
    problem : NetworkProblem
        At the referrals of the scenario (year factor one); equipment is not part of its yearly costs.
    lines_per_module : int
    equipment_per_line : float
        Paid once, in the analysis's money.
    equipment_life_years : float
    allowed : tuple of bool
        By plant.
    existing_lines : tuple of int
        By plant; they run this process.
    loads : dict of PatientLoad
        By transport mode.
    """

    name: str
    technology: str
    material: str
    problem: NetworkProblem
    lines_per_module: int
    equipment_per_line: float
    equipment_life_years: float
    allowed: tuple[bool, ...]
    existing_lines: tuple[int, ...]
    loads: dict[str, PatientLoad]


@dataclass(frozen=True, slots=True, eq=False)
class PlannedStudy:
    """A plan with its scenario and its processes, and what was left out and why."""

    plan: NetworkPlan
    processes: tuple[PlannedProcess, ...]
    discount_rate: float
    remarks: tuple[str, ...]


def planned_scenario(plan: NetworkPlan, file: Path) -> Scenario:
    """Return the scenario that a plan names: a file beside it, or a shipped one."""
    beside = file.parent / plan.scenario
    return load_scenario(beside if beside.is_file() else find_scenario(plan.scenario))


def planned_study(
    plan: NetworkPlan, scenario: Scenario, *, arm_name: str | None = None, patients_per_year: float | None = None
) -> PlannedStudy:
    """Return the processes of a plan.

    Raises
    ------
    InputError
        An unknown region, a region without a lane, or a time limit that no process meets.
    """
    base = network_problem(
        scenario,
        plan.arm if arm_name is None else arm_name,
        candidates=list(plan.plants),
        patients_per_year=patients_per_year,
    )
    plants = _plants(plan, base)
    shipping = _shipping(plan, base)
    lost_price = (
        base.arm.price.per_patient.x if plan.lost_patient is None else plan.money(plan.lost_patient, _unit(base))
    )
    most = math.inf if plan.longest_vein_to_vein is None else plan.longest_vein_to_vein.x
    processes, remarks = [], [remark for remark in base.remarks if "scaled" in remark or "does not read" in remark]
    for technology_name, technology in plan.technologies.items():
        for material_name, material in plan.materials.items():
            name = f"{technology_name}, {material_name}"
            made = {mode: _with_process(base, technology, material, way) for mode, way in plan.modes.items()}
            loads = {mode: patient_load(changed, base.arm_name) for mode, changed in made.items()}
            in_time = [mode for mode in plan.modes if loads[mode].vein_to_vein_days <= most]
            for mode in plan.modes:
                if mode not in in_time:
                    remarks.append(
                        f"{name}, {mode}: median vein-to-vein {loads[mode].vein_to_vein_days:.1f} days is over the limit; left out."
                    )
            if not in_time:
                continue
            in_time.sort(key=lambda mode: loads[mode].vein_to_vein_days)
            problem = _problem(base, plan, plants, shipping, made, loads, in_time, lost_price, technology)
            first = technology_name == next(iter(plan.technologies)) and material_name == next(iter(plan.materials))
            equipment = technology.equipment_per_module
            processes.append(
                PlannedProcess(
                    name, technology_name, material_name, problem, technology.lines_per_module,
                    0.0 if equipment is None else plan.money(equipment, _unit(base)) / technology.lines_per_module,
                    EQUIPMENT_LIFE_YEARS if technology.equipment_life is None else technology.equipment_life.x,
                    tuple(not plant.technologies or technology_name in plant.technologies for plant in plan.plants.values()),
                    tuple(plant.existing_lines if first else 0 for plant in plan.plants.values()),
                    {mode: loads[mode] for mode in in_time},
                )
            )  # fmt: skip
    if not processes:
        raise InputError("no process and mode meets the time limit", field="longest_vein_to_vein", found=most)
    best = max(process.problem.load.infused / process.problem.load.collected for process in processes)
    processes = [
        replace(p, problem=replace(p.problem, relative_loss=best - p.problem.load.infused / p.problem.load.collected))
        for p in processes
    ]
    existing = any(plant.existing_lines for plant in plan.plants.values())
    if existing and not any(any(process.existing_lines) for process in processes):
        raise InputError(
            "the process of the existing lines misses the time limit", field="longest_vein_to_vein", found=most
        )
    if existing and plan.one_process:
        processes = [process for process in processes if any(process.existing_lines)]
        remarks.append("One process, and lines exist: only their technology and material are considered.")
    rate = 0.0 if plan.years is None else plan.years.discount_rate.x * DAYS_PER_YEAR
    return PlannedStudy(plan, tuple(processes), rate, tuple(remarks))


def in_year(process: PlannedProcess, factor: float, discount_rate: float) -> NetworkProblem:
    """Return the problem of one year, for the stages that plan a single year: referrals times `factor`, equipment as a
    yearly payment over its life at the discount rate."""
    problem = process.problem
    life = process.equipment_life_years
    share = 1.0 / life if discount_rate == 0.0 else discount_rate / (1.0 - (1.0 + discount_rate) ** -life)
    plants = tuple(
        replace(plant, line_per_year=plant.line_per_year + share * process.equipment_per_line, existing_lines=existing)
        for plant, existing in zip(problem.plants, process.existing_lines, strict=True)
    )
    kept = [s for s, allowed in enumerate(process.allowed) if allowed]
    return replace(
        problem,
        scenario=problem.scenario if factor == 1.0 else scaled_referrals(problem.scenario, factor),
        referrals=problem.referrals * factor,
        plants=tuple(plants[s] for s in kept),
        shipping=problem.shipping[:, kept],
        lost_share=problem.lost_share[:, kept],
        lane_mode=None if problem.lane_mode is None else problem.lane_mode[:, kept],
        modes=tuple(replace(mode, shipping=mode.shipping[:, kept]) for mode in problem.modes),
    )


def _unit(problem: NetworkProblem) -> str:
    return problem.scenario.analysis.money


def _plants(plan: NetworkPlan, base: NetworkProblem) -> tuple[CandidatePlant, ...]:
    plants = []
    for (name, stated), plant in zip(plan.plants.items(), base.plants, strict=True):
        given: dict[str, Any] = {
            field: plan.money(number, _unit(base))
            for field, number in (
                ("site_per_year", stated.site_per_year),
                ("quality_overhead_per_year", stated.quality_overhead_per_year),
                ("line_per_year", stated.line_per_year),
            )
            if number is not None
        }
        growth = 1.0 if plan.years is None else max(plan.years.demand)
        most = math.ceil(plant.maximum_lines * growth) if stated.maximum_lines is None else stated.maximum_lines
        plants.append(replace(plant, name=name, region=stated.region, maximum_lines=most, **given))
    return tuple(plants)


def _shipping(plan: NetworkPlan, base: NetworkProblem) -> dict[str, Float]:
    """Return the price of one shipment by mode, shape (regions, plants), infinite where there is no lane."""
    shape = (len(base.regions), len(plan.plants))
    plants = list(plan.plants)
    if not plan.lanes:
        return {mode: np.full(shape, plan.money(way.shipping, _unit(base))) for mode, way in plan.modes.items()}
    shipping = {mode: np.full(shape, np.inf) for mode in plan.modes}
    for number, lane in enumerate(plan.lanes):
        if lane.region not in base.regions:
            raise InputError(
                "unknown region", field=f"lanes.{number}.region", found=lane.region,
                allowed=", ".join(base.regions), hint=nearest(lane.region, base.regions),
            )  # fmt: skip
        shipping[lane.mode][base.regions.index(lane.region), plants.index(lane.plant)] = plan.money(
            lane.shipping, _unit(base)
        )
    served = np.isfinite(np.stack(list(shipping.values()))).any(axis=(0, 2))
    if not served.all():
        raise InputError("no lane leads from this region", field="lanes", found=base.regions[int(np.argmin(served))])
    return shipping


def _scaled(number: Number, value: float) -> Number:
    """Return a number at another value, its uncertainty in proportion."""
    if number.x == 0.0 or value == number.x:
        return number.at(value)
    moved = number.model_copy()
    moved._quantity = number.quantity.scaled(value / number.x, number.quantity.unit)
    return moved


def _with_process(base: NetworkProblem, technology: Technology, material: Material, mode: TransportMode) -> Scenario:
    arm, unit = base.arm, _unit(base)
    process, costs = arm.process, arm.costs
    failure = process.manufacturing_failure.x
    odds = technology.failure_odds_ratio.x * failure / (1.0 - failure) if failure < 1.0 else math.inf
    out = mode.out
    if material.freezing is not None:
        out = _scaled(out, out.x + material.freezing.x)  # type: ignore[assignment]
    freeze = material.cryopreservation_per_batch
    changed = process.model_copy(
        update={
            "starting_material": material.starting_material,
            "fresh_window": _window(arm, material),
            "shipping_out": out,
            "shipping_back": mode.back,
            "manufacturing": technology.manufacturing or process.manufacturing,
            "manufacturing_failure": _scaled(
                process.manufacturing_failure, odds / (1.0 + odds) if odds < math.inf else 1.0
            ),
        }
    )
    paid = costs.model_copy(
        update={
            "labour_per_batch": costs.labour_per_batch.at(costs.labour_per_batch.x * technology.labour_ratio.x),
            "line_per_year": costs.line_per_year.at(costs.line_per_year.x * technology.line_cost_ratio.x),
            "materials_per_batch": costs.materials_per_batch.at(
                costs.materials_per_batch.x + (0.0 if freeze is None else _amount(freeze, unit))
            ),
            "shipping_per_shipment": costs.shipping_per_shipment.at(_amount(mode.shipping, unit)),
        }
    )
    scenario = base.scenario
    return scenario.model_copy(
        update={"arms": {**scenario.arms, base.arm_name: arm.model_copy(update={"process": changed, "costs": paid})}}
    )


def _amount(number: Money, unit: str) -> float:
    return number.in_unit(unit).x


def _window(arm: AutologousArm, material: Material) -> object:
    if material.starting_material == "cryopreserved":
        return None
    window = material.fresh_window or arm.process.fresh_window
    if window is None:
        raise InputError(
            "fresh material needs a window: the arm states none", field="materials", allowed="fresh_window"
        )
    return window


def _problem(
    base: NetworkProblem,
    plan: NetworkPlan,
    plants: tuple[CandidatePlant, ...],
    shipping: dict[str, Float],
    made: dict[str, Scenario],
    loads: dict[str, PatientLoad],
    in_time: list[str],
    lost_price: float,
    technology: Technology,
) -> NetworkProblem:
    fastest = in_time[0]
    load = loads[fastest]
    lost = [max(load.infused / load.collected - loads[mode].infused / loads[mode].collected, 0.0) for mode in in_time]
    price = np.stack([2.0 * shipping[mode] + lost_price * share for mode, share in zip(in_time, lost, strict=True)])
    best = price.argmin(axis=0)
    arms = {mode: made[mode].arms[base.arm_name] for mode in in_time}
    modes = []
    for mode in in_time:
        arm = arms[mode]
        assert isinstance(arm, AutologousArm)
        out, back = arm.process.shipping_out.distribution, arm.process.shipping_back.distribution
        modes.append(TransportLaw(mode, out, back, shipping[mode], loads[mode].vein_to_vein_days))
    arm = arms[fastest]
    assert isinstance(arm, AutologousArm)
    costs = arm.costs
    return replace(
        base,
        scenario=made[fastest],
        plants=tuple(
            replace(plant, line_per_year=plant.line_per_year * technology.line_cost_ratio.x) for plant in plants
        ),
        load=load,
        shipping=np.take_along_axis(np.stack([shipping[mode] for mode in in_time]), best[None], axis=0)[0],
        lost_share=np.array(lost)[best],
        lane_mode=best,
        modes=tuple(modes),
        batch_cost=costs.materials_per_batch.x
        + costs.vector_per_batch.x
        + costs.labour_per_batch.x
        + costs.quality_control_per_batch.x,
        batches_per_line=DAYS_PER_YEAR / load.line_days,
        lines_per_module=technology.lines_per_module,
        remarks=(),
    )
