"""The plan file: a question about the network of one scenario, as data.

Technologies, starting material, transport modes, candidate plants, lanes and the years ahead. Amounts and probabilities are
numbers with an origin, as in a scenario; counts that are design choices are plain.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from cartsight.core.errors import InputError, nearest
from cartsight.scenario.loading import read_toml
from cartsight.scenario.numbers import (
    NOT_A_NUMBER,
    Duration,
    Frozen,
    Money,
    MoneyPerBatch,
    MoneyPerShipment,
    MoneyPerYear,
    OddsRatio,
    Rate,
    Ratio,
    VariableDuration,
    Years,
)

SHIPPED = Path(__file__).parent / "shipped"


class Technology(Frozen):
    """How far the making is automated, in relation to the arm of the scenario."""

    description: str = ""
    lines_per_module: int = Field(1, ge=1, le=500, description="Lines are bought in modules of this size.")
    line_cost_ratio: Ratio = Field(description="Times the arm's line_per_year.")
    labour_ratio: Ratio = Field(description="Times the arm's labour_per_batch.")
    failure_odds_ratio: OddsRatio = Field(description="On the arm's manufacturing_failure.")
    manufacturing: VariableDuration | None = Field(None, description="Instead of the arm's own.")
    equipment_per_module: Money | None = Field(None, description="Paid once when a module is ordered.")
    equipment_life: Years | None = Field(
        None, description="After which it is worth nothing; straight line. Ten years when absent."
    )


class Material(Frozen):
    """Fresh or frozen cells between collection and plant."""

    starting_material: Literal["fresh", "cryopreserved"]
    fresh_window: Duration | None = Field(None, description="How long fresh cells keep; the arm's own when absent.")
    cryopreservation_per_batch: MoneyPerBatch | None = None
    freezing: Duration | None = Field(None, description="Added to the way to the plant.")

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        if self.starting_material == "fresh" and (self.cryopreservation_per_batch or self.freezing):
            raise ValueError("cryopreservation_per_batch and freezing belong to cryopreserved material")
        return self


class TransportMode(Frozen):
    """One way to ship: its price and its days."""

    shipping: MoneyPerShipment = Field(description="Of one shipment, on lanes without a price of their own.")
    out: VariableDuration
    back: VariableDuration


class PlannedPlant(Frozen):
    """A candidate plant; costs that are absent are the arm's own."""

    region: str = Field("", description="Plants of one region are disrupted together.")
    maximum_lines: int | None = Field(None, ge=1, le=5000)
    existing_lines: int = Field(
        0, ge=0, le=5000, description="Running at the start, with the first technology and material."
    )
    site_per_year: MoneyPerYear | None = None
    quality_overhead_per_year: MoneyPerYear | None = None
    line_per_year: MoneyPerYear | None = Field(None, description="Before the technology's ratio.")
    technologies: tuple[str, ...] = Field((), description="Possible here; all when empty.")


class Lane(Frozen):
    """One way from a region to a plant. When lanes are given, a pair of region and plant that is not listed is no lane."""

    plant: str
    region: str
    mode: str
    shipping: MoneyPerShipment


class YearsAhead(Frozen):
    """The years ahead: demand, when lines can be added, and how money later is weighed."""

    count: int = Field(ge=1, le=20)
    demand: tuple[float, ...] = Field(description="Referrals of each year over those of the scenario.")
    lead_time: Years = Field(description="From the order of lines to their first start.")
    orders_before_start: int = Field(0, ge=0, le=5, description="Years before the first in which orders can be placed.")
    discount_rate: Rate
    may_close: bool = Field(False, description="Whether lines may be given up again; equipment is then lost.")
    planned_for: int | None = Field(
        None, ge=1, description="Year whose demand stages 2 and 3 plan for; the last when absent."
    )

    @model_validator(mode="after")
    def _years(self) -> Self:
        if len(self.demand) != self.count:
            raise ValueError(f"demand needs one figure per year: {self.count}, not {len(self.demand)}")
        if not all(0.0 < value < 100.0 for value in self.demand):
            raise ValueError("demand must be above 0 and below 100 in every year")
        if self.planned_for is not None and self.planned_for > self.count:
            raise ValueError(f"planned_for is one of the {self.count} years")
        return self


class NetworkPlan(Frozen):
    """One plan file."""

    schema_version: int = Field(1, ge=1, le=1)
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    title: str = ""
    description: str = ""
    scenario: str = Field(description="A scenario file beside this one, or the name of a shipped scenario.")
    arm: str | None = Field(None, description="Autologous arm; the first when absent.")
    one_process: bool = Field(True, description="All plants run one technology and material: one licence, one process.")
    longest_vein_to_vein: Duration | None = Field(
        None, description="Ways to make and ship with a longer median are left out."
    )
    lost_patient: Money | None = Field(
        None, description="Price of a patient who is not infused; the product's price when absent."
    )
    technologies: dict[str, Technology] = Field(min_length=1, max_length=6)
    materials: dict[str, Material] = Field(min_length=1, max_length=4)
    modes: dict[str, TransportMode] = Field(min_length=1, max_length=6)
    plants: dict[str, PlannedPlant] = Field(min_length=1, max_length=100)
    lanes: tuple[Lane, ...] = ()
    years: YearsAhead | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, plant in self.plants.items():
            for technology in plant.technologies:
                _known(f"plants.{name}.technologies", technology, self.technologies)
            if plant.maximum_lines is not None and plant.existing_lines > plant.maximum_lines:
                raise ValueError(f"plants.{name}: existing_lines exceeds maximum_lines")
            first = next(iter(self.technologies))
            if plant.existing_lines and plant.technologies and plant.technologies[0] != first:
                raise ValueError(f"plants.{name}.technologies: existing lines run the first technology, {first}")
            if plant.existing_lines % self.technologies[first].lines_per_module:
                raise ValueError(
                    f"plants.{name}.existing_lines: whole modules of {self.technologies[first].lines_per_module} lines"
                )
        seen = set()
        for number, lane in enumerate(self.lanes):
            _known(f"lanes.{number}.plant", lane.plant, self.plants)
            _known(f"lanes.{number}.mode", lane.mode, self.modes)
            if (key := (lane.plant, lane.region, lane.mode)) in seen:
                raise ValueError(f"lanes.{number}: {' / '.join(key)} is listed twice")
            seen.add(key)
        return self

    def money(self, number: Money, unit: str) -> float:
        """Return an amount in the analysis's unit."""
        return number.in_unit(unit).x


def _known(field: str, found: str, allowed: Any) -> None:
    if found not in allowed:
        raise ValueError(
            f"{field}: unknown {found!r}; allowed: {', '.join(allowed)}. {nearest(found, allowed) or ''}".strip()
        )


def shipped_plans() -> dict[str, Path]:
    """Return the plans that come with the package: name -> file."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def find_plan(name_or_path: str | Path) -> Path | None:
    """Return the file of a plan: a shipped plan's name, or a TOML file that names a scenario; else None."""
    shipped = shipped_plans()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    path = Path(name_or_path)
    try:
        if not path.is_file():
            return None
    except (OSError, ValueError):
        return None
    return path if isinstance(read_toml(path).get("scenario"), str) else None


def load_plan(path: Path) -> NetworkPlan:
    """Return the validated plan of a file.

    Raises
    ------
    InputError
        The first thing that is wrong with it, with file and field.
    """
    raw = read_toml(path)
    try:
        return NetworkPlan.model_validate(raw)
    except ValidationError as error:
        raise _explained(error, path) from None


def _explained(error: ValidationError, path: Path) -> InputError:
    # An unknown field is usually the cause of a missing one.
    errors = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    first = errors[0]
    place = [str(part) for part in first["loc"]]
    found: Any = first.get("input")
    if first["type"] == NOT_A_NUMBER:
        place, found = [*place, first["ctx"]["field"]], first["ctx"]["found"]
    message = first["msg"].removeprefix("Value error, ")
    allowed, hint = None, None
    if first["type"] == "extra_forbidden":
        names = _fields_beside(place)
        message, found, allowed, hint = "unknown field", place[-1], ", ".join(names) or None, nearest(place[-1], names)
    elif first["type"] == "missing":
        message, found = "missing field", None
    elif first["type"] in {"model_type", "model_attributes_type"} and isinstance(found, (int, float, str)):
        message, allowed = "a number says where it comes from", '{ value = 0.2, unit = "ratio", assumed = "why" }'
    more = f" ({len(errors) - 1} more after this one)" if len(errors) > 1 else ""
    return InputError(
        message[0].lower() + message[1:] + more, file=path, field=".".join(place) or None,
        found=None if isinstance(found, (dict, list, tuple)) else found, allowed=allowed, hint=hint,
    )  # fmt: skip


_SECTIONS: dict[str, type[Frozen]] = {
    "technologies": Technology, "materials": Material, "modes": TransportMode, "plants": PlannedPlant, "lanes": Lane,
}  # fmt: skip


def _fields_beside(place: list[str]) -> list[str]:
    if len(place) == 1:
        return list(NetworkPlan.model_fields)
    if place[0] == "years" and len(place) == 2:
        return list(YearsAhead.model_fields)
    return list(_SECTIONS[place[0]].model_fields) if place[0] in _SECTIONS and len(place) == 3 else []


def plan_schema() -> str:
    """Return the JSON Schema of a plan file."""
    return json.dumps(NetworkPlan.model_json_schema(), indent=2)


def whole_years(lead_time_years: float) -> tuple[int, float]:
    """Return whole years of a lead time and the part of a year that is left."""
    whole = math.floor(lead_time_years + 1e-9)
    return whole, max(lead_time_years - whole, 0.0)
