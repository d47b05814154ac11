"""Run one arm's flow: build, compile, simulate, and gather the trajectory table and the plant record."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.normal import normal_quantile
from cartsight.core.streams import Stream
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AllogeneicArm, AutologousArm, InVivoArm
from cartsight.simulation import Arrivals, CompiledModel, FlowResult, compile_model, simulate
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.build import build_model
from cartsight.simulation.pathways.floor import autologous_floor
from cartsight.simulation.pathways.lot_counts import lot_record
from cartsight.simulation.pathways.material import FAILURE, covariates, material_columns, material_record
from cartsight.simulation.pathways.patients import Window, generate_patients, observation_window
from cartsight.simulation.pathways.plant import PlantRecord, ResourceUse
from cartsight.simulation.pathways.plant_counts import autologous_batches, count_drivers, lots_made
from cartsight.simulation.pathways.supplies import supply_counts

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ArmFlow:
    """The flow of one arm at one parameter draw."""

    trajectories: t.Trajectories
    plant: PlantRecord | None


def compile_arm(scenario: Scenario, arm_name: str, *, extra_wait_days: float = 0.0) -> CompiledModel:
    """Return the flow model of an arm, compiled with every structural check."""
    return compile_model(build_model(scenario, arm_name, observation_window(scenario), extra_wait_days))


def run_flow(
    scenario: Scenario,
    arm_name: str,
    seed: int,
    *,
    patients: t.Patients | None = None,
    extra_wait_days: float = 0.0,
    keep_batches: bool = False,
) -> ArmFlow:
    """Return the trajectories of the counted patients of one arm, and what its plants did.

    Parameters
    ----------
    scenario : Scenario
        At one parameter draw.
    arm_name : str
    seed : int
        Seed of patients and lots; the same for all arms that are compared.
    patients : Patients, optional
        From `generate_patients`, to share between arms.
    extra_wait_days : float
        Waiting added for every patient before the way to the product.
    keep_batches : bool
        Keep the table of batches or lots with what became of each; arms with costs by activity always do.
    """
    window = observation_window(scenario)
    everyone = generate_patients(scenario, seed, window) if patients is None else patients
    compiled = compile_model(build_model(scenario, arm_name, window, extra_wait_days), check=False)
    result = simulate_patients(scenario, compiled, everyone, seed, window, arm_name=arm_name)
    arm = scenario.arms[arm_name]
    plant = None if arm.modality == "other_care" else _plant(scenario, arm, result, window, keep_batches)
    trajectories = _trajectories(everyone, result, arm.modality)
    if isinstance(arm, AutologousArm) and arm.starting_material is not None:
        trajectories.extra.update(material_record(arm.starting_material, everyone, result, seed))
    return ArmFlow(trajectories, plant)


def simulate_patients(
    scenario: Scenario,
    compiled: CompiledModel,
    everyone: t.Patients,
    seed: int,
    window: Window,
    *,
    arm_name: str | None = None,
) -> FlowResult:
    """Return the flow of everyone through a compiled arm, with their frailty and starting material.

    Raises
    ------
    InputError
        The arm has effects of the starting material, and `arm_name` does not say which arm it is.
    """
    stream = Stream(seed, "patient", everyone.identity)
    frailty_sd = scenario.population.frailty_sd.x
    frailty = frailty_sd * normal_quantile(stream("frailty")) - 0.5 * frailty_sd**2
    arm = scenario.arms[arm_name] if arm_name is not None else None
    material = arm.starting_material if isinstance(arm, AutologousArm) else None
    if material is None and covariates(FAILURE) in compiled.attributes:
        raise InputError("which arm is this? its starting material has effects", field="arm_name")
    person = {"age": everyone.age, "female": everyone.female.astype(np.float64)}
    return simulate(
        compiled,
        Arrivals(
            time=everyone.referral_day,
            identity=everyone.identity,
            attributes={
                "region": everyone.region.astype(np.float64),
                "hospital": everyone.hospital.astype(np.float64),
                "frailty": frailty,
                "starting_material": normal_quantile(stream("starting material")),
                **{name: values for name, values in person.items() if name in compiled.attributes},
                **({} if material is None else material_columns(scenario, material, everyone, seed)),
            },
        ),
        seed=seed,
        window=(window.start, window.end),
    )


def _trajectories(everyone: t.Patients, result: FlowResult, modality: str) -> t.Trajectories:
    rows = np.flatnonzero(everyone.counted)
    counted = everyone.rows(rows)
    flow = result.patients
    start = counted.referral_day
    day = {name: flow.mark_values[rows, column] - start for column, (name, _) in enumerate(flow.mark_names)}
    infusion = day.get(t.INFUSION)
    end_day = flow.end_time[rows] - start
    if infusion is not None:
        end_day = np.where(np.isnan(infusion), end_day, infusion)
    place = np.full(len(everyone), -1, dtype=np.int64)
    place[rows] = np.arange(rows.size)
    event_row = place[flow.log.entity]
    kept = event_row >= 0
    event_row = event_row[kept]
    expressed = flow.attribute("expressed")[rows] > 0 if modality == "in_vivo" else np.ones(rows.size, dtype=np.bool_)
    return t.Trajectories(
        patients=counted,
        statuses=flow.statuses,
        status=flow.end_status[rows].astype(np.int64),
        end_day=end_day,
        day=day,
        worsened=flow.attribute("worsened")[rows] > 0,
        out_of_specification=flow.attribute("out_of_specification")[rows] > 0,
        expressed=expressed,
        bridged=flow.attribute("bridging")[rows] > 0,
        courses=flow.attribute("courses")[rows].astype(np.int64),
        lot_effect=flow.attribute("lot_effect")[rows],
        event_kinds=flow.log.names,
        event_patient=event_row,
        event_kind=flow.log.code[kept].astype(np.int64),
        event_day=flow.log.time[kept] - start[event_row],
        extra={"bad_lot": flow.attribute("bad_lot")[rows]} if "bad_lot" in flow.attribute_names else {},
    )


def _in_window(times: Float, window: Window) -> int:
    return int(np.count_nonzero((times >= window.start) & (times < window.end)))


def _logged(result: FlowResult, name: str, window: Window) -> int:
    if name not in result.patients.log.names:
        return 0
    return _in_window(result.patients.log.of(name)[1], window)


def _plant(
    scenario: Scenario,
    arm: AutologousArm | AllogeneicArm | InVivoArm,
    result: FlowResult,
    window: Window,
    keep_batches: bool,
) -> PlantRecord:
    uses = _resource_uses(result)
    infused = _logged(result, t.INFUSION, window)
    shipments = _logged(result, t.SHIPMENT, window)
    keep_batches |= arm.costs.itemised
    if isinstance(arm, AutologousArm):
        hospitals = sum(region.hospitals for region in scenario.population.regions.values())
        if arm.at_every_hospital is not None:
            sites, lines = hospitals, hospitals * arm.at_every_hospital.lines
        else:
            assert arm.sites is not None
            sites, lines = len(arm.sites), sum(site.lines for site in arm.sites.values())
        plant = PlantRecord(
            years=window.years,
            sites=sites,
            lines=lines,
            started=_logged(result, t.BATCH_STARTED, window),
            failed=_logged(result, t.BATCH_FAILED, window),
            out_of_specification=_logged(result, t.OUT_OF_SPECIFICATION, window),
            released=_logged(result, t.PRODUCT_RELEASED, window),
            infused=infused,
            shipments=shipments,
            resources=uses,
            batches=autologous_batches(result, window, arm.process.manufacturing.distribution.mean)
            if keep_batches
            else None,
        )
        counts = count_drivers(arm, plant, result, _logged(result, t.LEUKAPHERESIS, window), hospitals)
        plant = replace(plant, counts=counts | supply_counts(result, arm.supplies, window))
        return autologous_floor(plant, scenario, arm, result, window)
    lots = result.lots
    stock = result.stock("doses", window=True)
    ended = (lots.end_time >= window.start) & (lots.end_time < window.end)
    plant = PlantRecord(
        years=window.years,
        sites=arm.lots.sites,
        lines=arm.lots.sites * arm.lots.lines,
        started=_in_window(lots.mark("lot started"), window),
        failed=int(np.count_nonzero(ended & lots.ended("failed"))),
        out_of_specification=int(np.count_nonzero(ended & lots.ended("rejected"))),
        released=_in_window(lots.mark("lot released"), window),
        infused=infused,
        shipments=shipments,
        doses_received=stock.received,
        doses_taken=stock.taken,
        doses_expired=stock.expired,
        stock_out_fraction=stock.stock_out / (window.end - window.start),
        resources=uses,
        batches=lots_made(result, window, arm.lots.manufacturing.distribution.mean) if keep_batches else None,
    )
    plant = lot_record(plant, arm, result, window)
    return replace(plant, counts=count_drivers(arm, plant, result, 0, 0) | plant.counts)


def _resource_uses(result: FlowResult) -> tuple[ResourceUse, ...]:
    """Return the use of each kind of resource, all sites together ("line/boston 1" is a "line")."""
    kinds: dict[str, list[str]] = {}
    for name in result.resource_names:
        kinds.setdefault(name.split("/", 1)[0], []).append(name)
    uses = []
    for kind, names in kinds.items():
        records = [result.resource(name, window=True) for name in names]
        present = sum(use.capacity + use.drain for use in records)
        seizes = sum(use.seizes for use in records)
        uses.append(
            ResourceUse(
                name=kind,
                units=len(names),
                capacity=sum(use.capacity for use in records) / (result.window[1] - result.window[0]),
                utilisation=sum(use.busy for use in records) / present if present > 0 else 0.0,
                mean_queue_days=sum(use.queue for use in records) / seizes if seizes > 0 else 0.0,
            )
        )
    return tuple(uses)
