"""What a network study needs from a scenario: demand, load per patient, candidate plants, lanes and their costs.

The load of a patient on the plants (batches, line-days, who is infused) is not assumed: the arm's own pathway is run once
with unlimited capacity, so that attrition, remakes and deaths on the way count as they are.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.core.distributions import Distribution
from cartsight.core.errors import InputError, nearest
from cartsight.scenario import Scenario
from cartsight.scenario.arms import AutologousArm
from cartsight.simulation import compile_model
from cartsight.simulation.pathways.build import build_model
from cartsight.simulation.pathways.flow import simulate_patients
from cartsight.simulation.pathways.patients import generate_patients, observation_window
from cartsight.simulation.pathways.trajectory import BATCH_STARTED, INFUSION, LEUKAPHERESIS

Float = npt.NDArray[np.float64]

UNLIMITED = 1_000_000
PATIENTS_FOR_LOAD = 10_000
DAYS_PER_YEAR = 365.25
LARGEST_TABLE_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class CandidatePlant:
    """A plant that may be opened, with what it costs per year; money in the analysis's unit.

    Plants of one `region` are disrupted together; an empty region is no region's. A plant with existing lines is open with
    at least these.
    """

    name: str
    maximum_lines: int
    site_per_year: float
    quality_overhead_per_year: float
    line_per_year: float
    region: str = ""
    existing_lines: int = 0

    @property
    def fixed_per_year(self) -> float:
        """Cost of the open plant without lines."""
        return self.site_per_year + self.quality_overhead_per_year


@dataclass(frozen=True, slots=True, eq=False)
class TransportLaw:
    """A transport mode: days out and back, the price of one shipment by lane, shape (regions, plants), and the median
    vein-to-vein time of patients who never wait for a plant."""

    name: str
    out: Distribution
    back: Distribution
    shipping: Float
    vein_to_vein_days: float


@dataclass(frozen=True, slots=True)
class PatientLoad:
    """What a referred patient asks of plants that never make anyone wait.

    Attributes
    ----------
    collected : float
        Leukapheresed, of referred.
    batches : float
        Batches started per collected patient, remakes included.
    line_days : float
        Days that a batch holds a line.
    infused : float
        Infused, of referred.
    vein_to_vein_days : float
        Median of the infused.
    remakes : float
        Of `batches`, those after the patient's first.
    saved_by_remake : float
        Infused after more than one batch, per collected patient.
    """

    collected: float
    batches: float
    line_days: float
    infused: float
    vein_to_vein_days: float
    remakes: float
    saved_by_remake: float


@dataclass(frozen=True, slots=True, eq=False)
class NetworkProblem:
    """A network study.

    Attributes
    ----------
    plants : tuple of CandidatePlant
    regions : tuple of str
    referrals : array, shape (regions,)
        Per year.
    load : PatientLoad
    shipping : array, shape (regions, plants)
        Cost of one shipment; infinite where there is no lane.
    batch_cost : float
        Materials, vector, labour and quality control per batch.
    batches_per_line : float
        Batches per year of a line that is never idle.
    remarks : tuple of str
        What was assumed where neither scenario nor tables say.
    lost_share : array, shape (regions, plants)
        Collected patients who are lost because the lane's transport is slower than the arm's own, beside `load`.
    relative_loss : float
        Collected patients not infused, beyond those of the arm that a plan of technologies compares with; its price is part
        of every assignment, so that a process which infuses fewer is not merely cheaper.
    lane_mode : array of int, shape (regions, plants), optional
        Transport mode of each lane, a number into `modes`; None without modes. Mode 0 is the arm's own in `scenario`.
    modes : tuple of TransportLaw
        Empty: the arm's own transport.
    lines_per_module : int
        Lines are bought in modules of this size.
    """

    scenario: Scenario
    arm_name: str
    plants: tuple[CandidatePlant, ...]
    regions: tuple[str, ...]
    referrals: Float
    load: PatientLoad
    shipping: Float
    batch_cost: float
    batches_per_line: float
    remarks: tuple[str, ...]
    lost_share: Float
    relative_loss: float = 0.0
    lane_mode: npt.NDArray[np.int64] | None = None
    modes: tuple[TransportLaw, ...] = ()
    lines_per_module: int = 1

    @property
    def arm(self) -> AutologousArm:
        """The autologous arm."""
        arm = self.scenario.arms[self.arm_name]
        assert isinstance(arm, AutologousArm)
        return arm

    @property
    def demand(self) -> Float:
        """Collected patients per year and region, shape (regions,)."""
        return self.referrals * self.load.collected


def _unread(arm: AutologousArm) -> list[str]:
    """Return the pieces of the plant's floor that take lines, time or money and that the optimiser leaves out."""
    process, sites = arm.process, arm.plants
    stated = {
        "supplies (stock-outs and the cost of lots)": bool(arm.supplies),
        "other products": bool(arm.other_products),
        "changeovers": arm.changeover is not None,
        "comparability lots": any(version.comparability is not None for version in arm.processes.values()),
        "clean-down": process.clean_down is not None,
        "operators": any(site.operator_teams or site.operator_shifts for site in sites),
        "stores": any(site.starting_material_places or site.product_places for site in sites),
        "breakdowns": any(site.breakdown is not None for site in sites),
        "media fills": any(site.media_fills is not None for site in sites),
        "learning": process.learning is not None,
    }
    return [name for name, is_stated in stated.items() if is_stated]


def autologous_arm(scenario: Scenario, name: str | None) -> str:
    """Return the name of the arm to plan for: the one given, or the first autologous arm."""
    autologous = [key for key, arm in scenario.arms.items() if isinstance(arm, AutologousArm)]
    if not autologous:
        raise InputError("a network study needs an autologous arm", field="arms", found=", ".join(scenario.arms))
    if name is None:
        return autologous[0]
    if name not in autologous:
        raise InputError(
            "not an autologous arm of this scenario",
            field="arm",
            found=name,
            allowed=", ".join(autologous),
            hint=nearest(name, autologous),
        )
    return name


def patient_load(scenario: Scenario, arm_name: str) -> PatientLoad:
    """Run the arm with unlimited capacity and return what a patient asks of the plants."""
    # Every later figure rests on these shares, so that their Monte Carlo error is kept below half a percentage point.
    scenario = scenario.with_analysis(patients=max(scenario.analysis.patients, PATIENTS_FOR_LOAD))
    window = observation_window(scenario)
    model = build_model(scenario, arm_name, window)
    model.resources = {
        name: replace(resource, capacity=UNLIMITED, calendar=None) for name, resource in model.resources.items()
    }
    model.setups = {}  # servers without end would each remember a product
    seed = scenario.analysis.seed
    everyone = generate_patients(scenario, seed, window)
    result = simulate_patients(scenario, compile_model(model, check=False), everyone, seed, window, arm_name=arm_name)
    counted = everyone.counted
    patients = int(counted.sum())
    batches = result.patients.log.count(BATCH_STARTED, len(everyone))[counted]
    started = batches.sum()
    collected = ~np.isnan(result.patients.mark(LEUKAPHERESIS)[counted])
    days = result.patients.mark(INFUSION)[counted] - result.patients.mark(LEUKAPHERESIS)[counted]
    lines = [result.resource(name) for name in result.resource_names if name.startswith("line/")]
    if not patients or not collected.any() or not started:
        raise InputError("nobody is collected in this arm, even with unlimited capacity", field=f"arms.{arm_name}")
    return PatientLoad(
        collected=float(collected.mean()),
        batches=float(started) / float(collected.sum()),
        line_days=sum(use.busy for use in lines) / max(sum(use.seizes for use in lines), 1.0),
        infused=float((~np.isnan(days)).mean()),
        vein_to_vein_days=float(np.nanmedian(days)),
        remakes=float(np.maximum(batches - 1, 0).sum()) / float(collected.sum()),
        saved_by_remake=float(((batches > 1) & ~np.isnan(days)).sum()) / float(collected.sum()),
    )


def network_problem(
    scenario: Scenario,
    arm_name: str | None = None,
    *,
    candidates: Sequence[str] | None = None,
    sites_file: str | Path | None = None,
    lanes_file: str | Path | None = None,
    patients_per_year: float | None = None,
) -> NetworkProblem:
    """Return the network study of a scenario's autologous arm.

    Parameters
    ----------
    scenario : Scenario
    arm_name : str, optional
        The first autologous arm by default.
    candidates : sequence of str, optional
        Names of candidate plants at the arm's own costs, instead of a file.
    sites_file : path, optional
        CSV with a column ``site`` and optionally ``maximum_lines``, ``site_per_year``, ``quality_overhead_per_year``,
        ``line_per_year``, ``region``; an empty cell takes the arm's own cost. Plants of one region are disrupted together;
        the region need not be one of patients. Without it: one candidate per region and one more.
    lanes_file : path, optional
        CSV with columns ``site``, ``region``, ``shipping`` (cost of one shipment). A pair that is not listed is no lane.
        Without it every plant serves every region at the arm's shipping cost.
    patients_per_year : float, optional
        Scales the referrals of all regions to this total.

    Raises
    ------
    InputError
        With file and line.
    """
    scenario = scenario.in_money()
    name = autologous_arm(scenario, arm_name)
    arm = scenario.arms[name]
    assert isinstance(arm, AutologousArm)
    if arm.costs.itemised:
        raise InputError(
            "a network study reads plant costs per site, line, batch and shipment, not by activity",
            field=f"arms.{name}.costs",
            allowed="an arm without activities, staff and capital",
        )
    regions = tuple(scenario.population.regions)
    # Rates are per day inside a scenario.
    referrals = np.array(
        [region.referrals_per_year.x * DAYS_PER_YEAR for region in scenario.population.regions.values()]
    )
    if patients_per_year is not None:
        if not (math.isfinite(patients_per_year) and patients_per_year > 0):
            raise InputError("must be above zero", field="patients-per-year", found=patients_per_year)
        factor = patients_per_year / float(referrals.sum())
        referrals = referrals * factor
        scenario = scaled_referrals(scenario, factor)
    load = patient_load(scenario, name)
    costs = arm.costs
    remarks: list[str] = []
    unread = _unread(arm)
    if unread:
        remarks.append(
            f"The optimiser does not read {', '.join(unread)}: it plans lines for the arm's own batches. The simulation of stage 3 has "
            "them, so where its errors leave out zero, believe the simulation."
        )
    if patients_per_year is not None:
        remarks.append(
            "Hospitals, and with them leukapheresis places and infusion beds, were scaled with the patients."
        )
    batches = float(referrals.sum()) * load.collected * load.batches
    per_line = DAYS_PER_YEAR / load.line_days
    enough = max(4, math.ceil(1.6 * batches / per_line) + 4)
    default = CandidatePlant(
        "", enough, costs.site_per_year.x, costs.quality_overhead_per_site_year.x, costs.line_per_year.x
    )
    if sites_file is not None and candidates is not None:
        raise InputError("give either candidates or a table of sites", field="candidates")
    if candidates is not None:
        if not candidates or len(set(candidates)) != len(candidates) or not all(candidates):
            raise InputError("candidates need distinct names", field="candidates", found=", ".join(candidates))
        plants = tuple(replace(default, name=plant, region=plant if plant in regions else "") for plant in candidates)
    elif sites_file is None:
        plants = tuple(
            replace(default, name=plant, region=plant if plant in regions else "") for plant in ("central", *regions)
        )
        remarks.append(
            "No candidate plants were named (--candidates, --sites): one per region and one central were assumed, at the arm's own costs."
        )
    else:
        plants = tuple(_read_plants(Path(sites_file), default))
    shipping = np.full((len(regions), len(plants)), costs.shipping_per_shipment.x)
    if lanes_file is None:
        remarks.append(
            "No table of lanes (--lanes): every plant serves every region at one shipping cost, so geography decides nothing."
        )
    else:
        shipping = _read_lanes(Path(lanes_file), regions, [plant.name for plant in plants])
    return NetworkProblem(
        scenario=scenario,
        arm_name=name,
        plants=plants,
        regions=regions,
        referrals=referrals,
        load=load,
        shipping=shipping,
        batch_cost=costs.materials_per_batch.x
        + costs.vector_per_batch.x
        + costs.labour_per_batch.x
        + costs.quality_control_per_batch.x,
        batches_per_line=per_line,
        remarks=tuple(remarks),
        lost_share=np.zeros_like(shipping),
    )


def scaled_referrals(scenario: Scenario, factor: float) -> Scenario:
    """Return the scenario with the referrals of every region times `factor`, and with them its hospitals, so that beds do not
    become the bottleneck of a plant study."""
    regions = {
        name: region.model_copy(update={"hospitals": min(max(1, math.ceil(region.hospitals * factor)), 500)})
        for name, region in scenario.population.regions.items()
    }
    grown = scenario.model_copy(update={"population": scenario.population.model_copy(update={"regions": regions})})
    rates = {
        f"population.regions.{name}.referrals_per_year": region.referrals_per_year.x * factor
        for name, region in scenario.population.regions.items()
    }
    return grown.with_values(rates)


def _table(path: Path, required: Iterable[str], optional: Iterable[str]) -> list[tuple[int, dict[str, str]]]:
    """Return (line, cells) of a CSV file, its header checked."""
    try:
        if path.stat().st_size > LARGEST_TABLE_BYTES:
            raise InputError("the file is too large for a table of plants", file=path)
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError("there is no such file", file=path) from None
    except UnicodeDecodeError:
        raise InputError("not a UTF-8 text file", file=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    reader = csv.reader(text.splitlines())
    rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    rows = [(line, row) for line, row in rows if any(row)]
    if not rows:
        raise InputError("the file is empty", file=path)
    header = rows[0][1]
    allowed = [*required, *optional]
    for column in header:
        if column not in allowed:
            raise InputError(
                "unknown column",
                file=path,
                line=rows[0][0],
                found=column,
                allowed=", ".join(allowed),
                hint=nearest(column, allowed),
            )
    for column in required:
        if column not in header:
            raise InputError("a column is missing", file=path, line=rows[0][0], field=column, found=", ".join(header))
    if len(rows) == 1:
        raise InputError("the file has a header and no rows", file=path)
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise InputError(f"a row has {len(row)} cells, the header {len(header)}", file=path, line=line)
    return [(line, dict(zip(header, row, strict=True))) for line, row in rows[1:]]


def _amount(path: Path, line: int, column: str, text: str, *, minimum: float = 0.0) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError("not a number", file=path, line=line, field=column, found=text) from None
    if not math.isfinite(value) or value < minimum:
        raise InputError(f"must be finite and at least {minimum:g}", file=path, line=line, field=column, found=text)
    return value


def _read_plants(path: Path, default: CandidatePlant) -> list[CandidatePlant]:
    money = ("site_per_year", "quality_overhead_per_year", "line_per_year")
    plants: dict[str, CandidatePlant] = {}
    for line, cells in _table(path, ("site",), ("maximum_lines", *money, "region")):
        name = cells["site"]
        if not name or name in plants:
            raise InputError("a plant needs a name of its own", file=path, line=line, field="site", found=name)
        given: dict[str, Any] = {
            column: _amount(path, line, column, cells[column]) for column in money if cells.get(column)
        }
        most = default.maximum_lines
        if cells.get("maximum_lines"):
            value = _amount(path, line, "maximum_lines", cells["maximum_lines"], minimum=1.0)
            if value != int(value):
                raise InputError(
                    "must be a whole number", file=path, line=line, field="maximum_lines", found=cells["maximum_lines"]
                )
            most = int(value)
        plants[name] = replace(default, name=name, maximum_lines=most, region=cells.get("region", ""), **given)
    return list(plants.values())


def _read_lanes(path: Path, regions: tuple[str, ...], plants: list[str]) -> Float:
    shipping = np.full((len(regions), len(plants)), np.inf)
    for line, cells in _table(path, ("site", "region", "shipping"), ()):
        place = []
        for column, names in (("region", regions), ("site", plants)):
            if cells[column] not in names:
                raise InputError(
                    f"unknown {column}",
                    file=path,
                    line=line,
                    found=cells[column],
                    allowed=", ".join(names),
                    hint=nearest(cells[column], names),
                )
            place.append(list(names).index(cells[column]))
        shipping[place[0], place[1]] = _amount(path, line, "shipping", cells["shipping"])
    served = np.isfinite(shipping).any(axis=1)
    if not served.all():
        raise InputError(
            "no lane leads from this region", file=path, field="region", found=regions[int(np.argmin(served))]
        )
    return shipping
