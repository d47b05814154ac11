"""The plants of the study: demand, stages, existing lines and costs from plants.toml, and their parameter draws."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from cartsight.comparison.parameter_draws import keyed_latin_hypercube
from cartsight.scenario.model import walk_numbers
from cartsight.scenario.numbers import AnyNumber, Count, Duration, Frozen, Number, Probability, Ratio
from cartsight.studies.study_numbers import read_study_numbers

Float = npt.NDArray[np.float64]

PLANTS = Path(__file__).parent / "plants.toml"
PLATFORMS: dict[str, str] = {"mrna": "mRNA in lipid nanoparticles", "vector": "lentiviral vector"}


class Indication(Frozen):
    """Patients of one indication: new cases a year, or a prevalent pool that is worked through."""

    label: str
    incidence: AnyNumber | None = None
    prevalence: AnyNumber | None = None
    eligible: Probability

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.incidence is None) == (self.prevalence is None):
            raise ValueError("an indication needs incidence or prevalence")
        return self


class Demand(Frozen):
    """The market that the levels of demand are read against."""

    people: Count
    pool_treated_per_year: Probability
    indications: dict[str, Indication]


class _Chain(Frozen):
    doses_per_course: Count
    courses_per_patient: Ratio
    wastage: Probability
    lot_success: Probability
    reactor_litres: AnyNumber
    batches_per_year: Count
    vials_per_day: Count
    changeover_days: Duration
    filling_days_per_year: Count
    testing_days: Duration
    dose: AnyNumber
    existing: dict[str, AnyNumber]
    costs: dict[str, AnyNumber]


class MessengerChain(_Chain):
    """mRNA: transcription, coupled particles, filling, release."""

    titre_grams_per_litre: Ratio
    purification_yield: Probability
    formulation_grams_per_batch: Count
    formulation_yield: Probability
    formulation_batches_per_year: Count


class VectorChain(_Chain):
    """Lentiviral vector: suites, purification trains, filling, release."""

    titre: AnyNumber
    recovery: Probability
    polishing_yield: Probability
    purification_runs_per_year: Count


class Shared(Frozen):
    """What both chains share."""

    site_per_year: AnyNumber
    booking_markup: Probability
    least_lots_per_year: Count


class Plants(Frozen):
    """plants.toml."""

    demand: Demand
    mrna: MessengerChain
    vector: VectorChain
    shared: Shared

    def numbers(self) -> dict[str, Number]:
        """Return every number by its path in the file."""
        return {path.removeprefix("."): number for path, number in walk_numbers(self, "")}


@cache
def load_plants() -> Plants:
    """Return the study's plants."""
    return read_study_numbers(PLANTS, Plants)


PlantDraws = dict[str, Float]
"""Path in plants.toml to values over parameter draws, shape (draws,); the point value with one draw."""


def point_values(plants: Plants) -> PlantDraws:
    """Return every number at its point value, shape (1,)."""
    return {path: np.array([number.x]) for path, number in plants.numbers().items()}


def draw_plants(plants: Plants, draws: int, seed: int) -> PlantDraws:
    """Return every number over parameter draws, each from a stream keyed by its own path, shape (draws,)."""
    found: PlantDraws = {}
    for path, number in plants.numbers().items():
        if number.quantity.is_uncertain:
            found[path] = number.quantity.draw(keyed_latin_hypercube(draws, f"study 1C.{path}", seed))
        else:
            found[path] = np.full(draws, number.x)
    return found


def uncertain_plant_paths(plants: Plants) -> tuple[str, ...]:
    """Return the paths that parameter draws move."""
    return tuple(path for path, number in plants.numbers().items() if number.quantity.is_uncertain)


_PER_PERSON = {"per_100000": 1e-5, "per_100000_per_year": 1e-5, "fraction": 1.0}


def patients_per_year(plants: Plants, values: PlantDraws) -> dict[str, Float]:
    """Return eligible patients a year by indication, shape (draws,)."""
    found = {}
    for name, item in plants.demand.indications.items():
        number = item.incidence if item.incidence is not None else item.prevalence
        assert number is not None
        kind = "incidence" if item.incidence is not None else "prevalence"
        path = f"demand.indications.{name}"
        people = values["demand.people"] * values[f"{path}.{kind}"] * _PER_PERSON[number.quantity.unit]
        rate = 1.0 if item.incidence is not None else values["demand.pool_treated_per_year"]
        found[name] = np.asarray(people * values[f"{path}.eligible"] * rate)
    return found
