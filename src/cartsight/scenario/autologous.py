"""An autologous arm: collection, the process from the patient's cells to a released product, and its plants."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from cartsight.scenario.numbers import Duration, Frozen, LogOdds, OddsRatio, Probability, VariableDuration
from cartsight.scenario.plant import Site
from cartsight.scenario.plant_costs import PlantCosts
from cartsight.scenario.product import Arm
from cartsight.scenario.release_fields import AUTOLOGOUS, from_specification


class Collection(Frozen):
    """Leukapheresis."""

    wait_for_slot: VariableDuration = Field(
        description="From the decision to the collection, apart from queueing for a line."
    )
    beds_per_hospital: int = Field(ge=1, le=200, description="Leukapheresis places per hospital.")
    time: VariableDuration
    failure: Probability
    attempts: int = Field(2, ge=1, le=5)


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

    model_config = ConfigDict(json_schema_extra=from_specification(AUTOLOGOUS))


class AutologousArm(Arm):
    """One batch per patient, from the patient's own cells."""

    modality: Literal["autologous"]
    collection: Collection
    process: AutologousProcess
    sites: dict[str, Site] | None = Field(None, description="Named plants; give these or `at_every_hospital`.")
    at_every_hospital: Site | None = Field(None, description="Point of care: one small plant per hospital.")
    costs: PlantCosts

    @model_validator(mode="after")
    def _network(self) -> Self:
        if (self.sites is None) == (self.at_every_hospital is None):
            raise ValueError("give either sites or at_every_hospital")
        plants = [self.at_every_hospital] if self.at_every_hospital is not None else list((self.sites or {}).values())
        reviewers = any(site.quality_assurance_reviewers is not None for site in plants)
        if reviewers and self.process.quality_assurance_review is None:
            raise ValueError("process.quality_assurance_review is needed where a site has quality_assurance_reviewers")
        if self.process.starting_material == "fresh" and self.process.fresh_window is None:
            raise ValueError("process.fresh_window is needed for fresh starting material")
        return self
