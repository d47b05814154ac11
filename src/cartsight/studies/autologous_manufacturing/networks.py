"""Four networks of plants at any volume: where the plants stand, how large they are, what they cost.

A network is planned knowing its demand and its process: lines by square-root staffing (Halfin & Whitt 1981), operators in
whole persons with a smallest team, facility and quality unit by a power of the plant's size. Beds and places for
leukapheresis follow the volume, so that only manufacturing can bind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cartsight.core.distributions import Constant
from cartsight.scenario import Scenario, load_scenario
from cartsight.scenario.arms import AutologousArm, Site
from cartsight.scenario.numbers import VariableDuration
from cartsight.simulation.pathways import check_arm
from cartsight.studies.autologous_manufacturing.numbers import NetworkNumbers, Transport, read_numbers

SCENARIO = Path(__file__).parent / "scenario.toml"
CENTRAL, CLOSED = "autologous-central", "autologous-point-of-care"
NETWORKS = ("central", "regional", "decentralised", "point-of-care")
TITLES = {
    "central": "one central plant",
    "regional": "a plant in each of four regions",
    "decentralised": "a plant for every five hospitals",
    "point-of-care": "a plant in every hospital",
}
PATIENTS_PER_HOSPITAL = 45.0
FEWEST_HOSPITALS, MOST_HOSPITALS = 2, 60
HOSPITALS_PER_PLANT = 5
"""Of the decentralised network."""
SERVICE = 1.0
"""Spare lines in square roots of the offered load: about one start in five waits for a line."""
MOST_UTILISED = 0.9
"""A plan never counts on busier lines than this, however large the pool."""
SPARE_BEDS = 3.0
SHORTEST_WINDOW_DAYS = 45.0


@dataclass(frozen=True, slots=True)
class Demand:
    """What the pilot run of a volume found at the point values, by region: starts a day, places and beds a hospital."""

    referred_per_year: float
    hospitals: tuple[int, ...]
    starts_per_day: tuple[float, ...]
    places_per_hospital: tuple[float, ...]
    beds_per_hospital: tuple[float, ...]


def base_scenario() -> Scenario:
    """Return the study's scenario at its point values."""
    return load_scenario(SCENARIO)


def at_volume(scenario: Scenario, referred_per_year: float) -> Scenario:
    """Return the scenario with a number of referrals a year, and hospitals as they are needed for it."""
    regions = scenario.population.regions
    total = sum(region.referrals_per_year.x for region in regions.values())
    changed = {}
    for name, region in regions.items():
        own = referred_per_year * region.referrals_per_year.x / total
        hospitals = round(own / PATIENTS_PER_HOSPITAL)
        changed[name] = region.model_copy(
            update={
                "referrals_per_year": region.referrals_per_year.at(own / 365.25),
                "hospitals": min(max(hospitals, FEWEST_HOSPITALS), MOST_HOSPITALS),
            }
        )
    patients = max(scenario.analysis.patients, math.ceil(referred_per_year / 365.25 * SHORTEST_WINDOW_DAYS))
    return scenario.model_copy(
        update={
            "population": scenario.population.model_copy(update={"regions": changed}),
            "analysis": scenario.analysis.model_copy(update={"patients": patients}),
        }
    )


def _constant(number: VariableDuration, days: float) -> VariableDuration:
    """Return a duration that is the same for all patients, with the origin of the number it replaces."""
    moved = number.model_copy(update={"law": "constant", "cv": None, "bounds": None, "quartiles": None}).at(days)
    moved._unit_law = Constant(1.0)
    return moved


def _arm(scenario: Scenario, network: str, transport: Transport) -> AutologousArm:
    """Return the arm of a network without its plants: one product, one closed process, its own transport."""
    central, closed = scenario.arms[CENTRAL], scenario.arms[CLOSED]
    assert isinstance(central, AutologousArm) and isinstance(closed, AutologousArm)
    process = closed.process.model_copy(
        update={
            "shipping_out": _constant(closed.process.shipping_out, transport.out.x),
            "shipping_back": _constant(closed.process.shipping_back, transport.back.x),
        }
    )
    # Fresh cells reach the bed within a day, so lymphodepletion runs while they grow; frozen cells are awaited first.
    fresh = network in ("decentralised", "point-of-care")
    return central.model_copy(
        update={
            "label": TITLES[network],
            "process": process,
            "lymphodepletion": closed.lymphodepletion if fresh else central.lymphodepletion,
        }
    )


def line_days(arm: AutologousArm) -> float:
    """Return the mean days a run holds its line: fresh cells reserve it from the booking of the collection."""
    process, collection = arm.process, arm.collection
    times = (collection.wait_for_slot, collection.time, process.shipping_out, process.manufacturing)
    return sum(float(time.distribution.mean) for time in times)


@cache
def demand(referred_per_year: float) -> Demand:
    """Return the load of a volume, from a pilot run of regional plants with unlimited servers."""
    scenario = at_volume(base_scenario(), referred_per_year)
    arm = _arm(scenario, "regional", read_numbers(scenario.analysis.money).transport["regional"])
    names = list(scenario.population.regions)
    places = 1000
    wide = arm.model_copy(
        update={
            "sites": {name: Site(lines=places, quality_control_lanes=places, serves=(name,)) for name in names},
            "collection": arm.collection.model_copy(update={"beds_per_hospital": 100}),
        }
    )
    pathway = scenario.care_pathway
    bed = pathway.infusion_bed.model_copy(update={"beds_per_hospital": 100})
    pilot = scenario.model_copy(
        update={
            "arms": {CENTRAL: wide},
            "care_pathway": pathway.model_copy(update={"infusion_bed": bed}),
            "analysis": scenario.analysis.model_copy(update={"patients": 4000, "reference_arm": None}),
        }
    )
    offered = check_arm(pilot, CENTRAL).offered
    hospitals = tuple(region.hospitals for region in scenario.population.regions.values())
    share = [region.referrals_per_year.x for region in scenario.population.regions.values()]
    busy = offered["line"] * places * len(names)
    return Demand(
        referred_per_year=referred_per_year,
        hospitals=hospitals,
        starts_per_day=tuple(busy * own / sum(share) / line_days(arm) for own in share),
        places_per_hospital=tuple(offered[f"leukapheresis place/{name}"] * 100 for name in names),
        beds_per_hospital=tuple(offered[f"infusion bed/{name}"] * 100 for name in names),
    )


def _enough(load: float, service: float = SERVICE) -> int:
    return max(1, math.ceil(max(load + service * math.sqrt(load), load / MOST_UTILISED)))


def plants(network: str, load: Demand, names: tuple[str, ...]) -> list[tuple[tuple[str, ...] | None, float]]:
    """Return (regions served, starts per day) of every plant of a network; at every hospital apart."""
    if network == "central":
        return [(None, sum(load.starts_per_day))]
    if network == "regional":
        return [((name,), starts) for name, starts in zip(names, load.starts_per_day, strict=True)]
    found: list[tuple[tuple[str, ...] | None, float]] = []
    for name, starts, hospitals in zip(names, load.starts_per_day, load.hospitals, strict=True):
        count = max(1, round(hospitals / HOSPITALS_PER_PLANT))
        found += [((name,), starts / count)] * count
    return found


def network_scenario(scenario: Scenario, numbers: NetworkNumbers, network: str, volume: float) -> Scenario:
    """Return the scenario with one arm, named as its network, planned for a volume.

    Parameters
    ----------
    scenario : Scenario
        At one parameter draw.
    numbers : NetworkNumbers
        At the same draw.
    network : str
        One of `NETWORKS`.
    volume : float
        Referrals a year.
    """
    load = demand(volume)
    sized = at_volume(scenario, volume)
    names = tuple(sized.population.regions)
    arm = _arm(sized, network, numbers.transport[network])
    hold = line_days(arm)
    lanes = float(arm.process.release_testing.distribution.mean)
    update: dict[str, object] = {}
    if network == "point-of-care":
        starts = sum(load.starts_per_day) / sum(load.hospitals)
        site = Site(lines=_enough(starts * hold), quality_control_lanes=_enough(starts * lanes))
        update = {"sites": None, "at_every_hospital": site}
        built = [(site.lines, starts)] * sum(load.hospitals)
    else:
        sites, built = {}, []
        for number, (regions, starts) in enumerate(plants(network, load, names)):
            site = Site(lines=_enough(starts * hold), quality_control_lanes=_enough(starts * lanes), serves=regions)
            sites[f"plant-{number + 1}"] = site
            built.append((site.lines, starts))
        update = {"sites": sites, "at_every_hospital": None}
    plant, count = numbers.plant, len(built)
    size = sum((lines / 3.0) ** plant.size_exponent.x for lines, _ in built) / count
    operators = sum(
        max(math.ceil(plant.fewest_operators.x), math.ceil(starts * 365.25 / plant.batches_per_operator_year.x))
        for _, starts in built
    )
    standing = plant.facility_of_three_lines.x * size
    standing += plant.operator_per_year.x * operators / count
    own = arm.costs
    update["costs"] = own.model_copy(
        update={
            "site_per_year": own.site_per_year.at(standing),
            "line_per_year": own.line_per_year.at(plant.line_per_year.x),
            "quality_overhead_per_site_year": own.quality_overhead_per_site_year.at(
                plant.quality_unit_of_three_lines.x * size
            ),
            "materials_per_batch": own.materials_per_batch.at(plant.materials_per_batch.x),
            "vector_per_batch": own.vector_per_batch.at(0.0),
            "labour_per_batch": own.labour_per_batch.at(0.0),
            "quality_control_per_batch": own.quality_control_per_batch.at(plant.quality_control_per_batch.x),
            "shipping_per_shipment": own.shipping_per_shipment.at(numbers.transport[network].per_shipment.x),
        }
    )
    places = _enough(max(load.places_per_hospital), SPARE_BEDS)
    update["collection"] = arm.collection.model_copy(update={"beds_per_hospital": places})
    pathway = sized.care_pathway
    beds = _enough(max(load.beds_per_hospital), SPARE_BEDS)
    bed = pathway.infusion_bed.model_copy(update={"beds_per_hospital": beds})
    return sized.model_copy(
        update={
            "arms": {network: arm.model_copy(update=update)},
            "care_pathway": pathway.model_copy(update={"infusion_bed": bed}),
            "analysis": sized.analysis.model_copy(update={"reference_arm": None, "correlations": ()}),
        }
    )
