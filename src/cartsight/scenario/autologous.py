"""An autologous arm: collection, the process from the patient's cells to a released product, and its plants."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from cartsight.core.errors import nearest
from cartsight.scenario.numbers import Duration, Frozen, LogOdds, OddsRatio, Probability, Ratio, VariableDuration
from cartsight.scenario.plant import Pickup, Site, Weekday
from cartsight.scenario.plant_costs import PlantCosts
from cartsight.scenario.processes import STANDARD, Changeover, Learning, OtherProduct, ProcessVersion
from cartsight.scenario.product import Arm
from cartsight.scenario.release_fields import AUTOLOGOUS, from_specification
from cartsight.scenario.starting_material import StartingMaterial
from cartsight.scenario.supplies import Supply


class Collection(Frozen):
    """Leukapheresis."""

    wait_for_slot: VariableDuration = Field(
        description="From the decision to the collection, apart from queueing for a line."
    )
    beds_per_hospital: int = Field(ge=1, le=200, description="Leukapheresis places per hospital.")
    time: VariableDuration
    failure: Probability
    attempts: int = Field(2, ge=1, le=5)
    days: tuple[Weekday, ...] | None = Field(
        None, min_length=1, description="Weekdays with leukapheresis; all when absent."
    )


class HarvestEarly(Frozen):
    """Policy: a patient who worsened before the start gets a shorter run."""

    ratio_of_manufacturing_time: Ratio
    odds_ratio_out_of_specification: OddsRatio
    odds_ratio_response: OddsRatio

    @model_validator(mode="after")
    def _above_zero(self) -> Self:
        for name in type(self).model_fields:
            if getattr(self, name).x <= 0.0:
                raise ValueError(f"{name} must be above zero")
        return self


class FailureLogOdds(Frozen):
    """Effects on the log-odds of both failures, around the average patient: the stated shares stay the average."""

    frailty: LogOdds | None = Field(None, description="Per standard deviation of the frailty that scales every clock.")
    age: LogOdds | None = Field(None, description="Per year of age.")
    female: LogOdds | None = Field(None, description="Women against men.")


class AutologousProcess(Frozen):
    """From the patient's cells to the released product."""

    starting_material: Literal["fresh", "cryopreserved"] = Field(
        description="Fresh cells need a line reserved before collection; frozen cells queue at the plant."
    )
    fresh_window: Duration | None = Field(None, description="How long fresh cells keep before the run must start.")
    shipping_out: VariableDuration
    shipping_back: VariableDuration
    manufacturing: VariableDuration
    release_testing: VariableDuration
    quality_assurance_review: VariableDuration | None = Field(
        None, description="Review of the batch record and disposition, after the last release test."
    )
    manufacturing_failure: Probability = Field(description="Batches that yield no product.")
    out_of_specification: Probability = Field(description="Finished batches that fail a release test.")
    odds_ratio_if_worsened: OddsRatio = Field(description="On both, for patients who worsened before collection.")
    patient_sd: LogOdds = Field(description="Sd of the patient effect, on the log-odds, that repeat attempts share.")
    attempts: int = Field(2, ge=1, le=5, description="Batches per patient, the first included.")
    infuse_out_of_specification: Probability = Field(description="Policy: share infused under expanded access.")
    out_of_specification_approval: VariableDuration
    odds_ratio_response_out_of_specification: OddsRatio
    release_specification: str | None = Field(
        None,
        min_length=1,
        max_length=400,
        description="Release specification (TOML) that the failures come from, beside this file.",
    )
    release_region: str | None = Field(None, description="Specification set of this region instead of the file's own.")
    remake_wait: VariableDuration | None = Field(None, description="From a failure to the start of the next attempt.")
    failure_log_odds: FailureLogOdds | None = Field(None, description="What else in a patient makes batches fail.")
    out_of_specification_causes: dict[str, Probability] = Field(
        default_factory=dict, max_length=12, description="Share of each main cause; scaled to sum to one."
    )
    priority: Literal["first_in_line", "worsened_first"] = Field(
        "first_in_line", description="Who gets the next line; worsened is judged when the queue is joined."
    )
    hands_on_start: VariableDuration | None = Field(
        None, description="Operators' work at the start. With it, teams are held for hands-on work and not for the run."
    )
    hands_on_harvest: VariableDuration | None = Field(
        None, description="Operators' work at harvest; the line waits for it."
    )
    clean_down: VariableDuration | None = Field(None, description="A line is held so long after each run.")
    pickup_from_hospital: Pickup | None = Field(None, description="Courier for the cells; any time when absent.")
    pickup_from_plant: Pickup | None = Field(None, description="Courier for the product; any time when absent.")
    maximum_days: Duration | None = Field(None, description="A run that has not reached its dose by then ends.")
    at_maximum: Literal["harvest", "fail"] = Field(
        "harvest", description="harvest: out of specification, cause low dose. fail: no product."
    )
    harvest_early: HarvestEarly | None = None
    enough_stored_cells: Probability | None = Field(
        None, description="Failures after which stored cells suffice for the next batch; else they are collected again."
    )
    stop_after_failure: Probability | None = Field(
        None, description="Policy: patients whose batch failed and who are not tried again."
    )
    learning: Learning | None = None

    model_config = ConfigDict(json_schema_extra=from_specification(AUTOLOGOUS))


class AutologousArm(Arm):
    """One batch per patient, from the patient's own cells."""

    modality: Literal["autologous"]
    collection: Collection
    process: AutologousProcess
    sites: dict[str, Site] | None = Field(None, description="Named plants; give these or `at_every_hospital`.")
    at_every_hospital: Site | None = Field(None, description="Point of care: one small plant per hospital.")
    costs: PlantCosts
    starting_material: StartingMaterial | None = None
    supplies: dict[str, Supply] = Field(default_factory=dict, max_length=8)
    processes: dict[str, ProcessVersion] = Field(
        default_factory=dict,
        max_length=6,
        description="Further processes for the same product; plants name those they run.",
    )
    other_products: dict[str, OtherProduct] = Field(default_factory=dict, max_length=8)
    changeover: Changeover | None = Field(None, description="Between processes and products on one line.")

    @property
    def plants(self) -> tuple[Site, ...]:
        """The plants; one for all hospitals at the point of care."""
        return (self.at_every_hospital,) if self.at_every_hospital is not None else tuple((self.sites or {}).values())

    @model_validator(mode="after")
    def _network(self) -> Self:
        if (self.sites is None) == (self.at_every_hospital is None):
            raise ValueError("give either sites or at_every_hospital")
        reviewers = any(
            site.quality_assurance_reviewers is not None or site.quality_assurance_days is not None
            for site in self.plants
        )
        if reviewers and self.process.quality_assurance_review is None:
            raise ValueError("process.quality_assurance_review is needed where a site has quality_assurance_reviewers")
        if self.process.starting_material == "fresh" and self.process.fresh_window is None:
            raise ValueError("process.fresh_window is needed for fresh starting material")
        return self

    @model_validator(mode="after")
    def _floor(self) -> Self:
        process = self.process
        if process.starting_material == "fresh":
            if process.enough_stored_cells is not None:
                raise ValueError("process.enough_stored_cells is for cryopreserved starting material")
            if any(site.starting_material_places is not None for site in self.plants):
                raise ValueError("starting_material_places are for cryopreserved starting material")
            for name, supply in self.supplies.items():
                if supply.stock_out == "lose":
                    raise ValueError(
                        f"supplies.{name}.stock_out = 'lose' is for cryopreserved starting material: fresh cells cannot wait "
                        "for another slot, and wait on their line until they expire"
                    )
        if process.hands_on_harvest is not None and process.hands_on_start is None:
            raise ValueError("process.hands_on_harvest needs process.hands_on_start beside it")
        for site in self.plants:
            for name in site.processes:
                if name != STANDARD and name not in self.processes:
                    raise ValueError(
                        f"processes: a plant runs {name!r}; allowed: {', '.join((STANDARD, *self.processes))}. "
                        f"{nearest(name, self.processes) or ''}"
                    )
        for product, other in self.other_products.items():
            for name in other.sites or ():
                if name not in (self.sites or {}):
                    raise ValueError(
                        f"other_products.{product}.sites: no plant {name!r}; allowed: {', '.join(self.sites or {})}. "
                        f"{nearest(name, self.sites or {}) or ''}"
                    )
        return self
