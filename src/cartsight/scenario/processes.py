"""Several processes under one licence, comparability between them, and other products on the same lines."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from cartsight.scenario.numbers import (
    Duration,
    Frozen,
    OddsRatio,
    Probability,
    Rate,
    Ratio,
    VariableDuration,
)

STANDARD = "standard"
"""The process of the arm's `process` section."""


class Comparability(Frozen):
    """What must be shown before batches of a new version may be used beside the standard process.

    From `starts_on_day` comparability lots are made, one after the other, on one line of each plant that will run the
    version; then the study is done and filed. When a difference is found, further lots and time follow.
    """

    starts_on_day: float = Field(ge=0, le=36500, description="Day from the start of the simulation.")
    lots: int = Field(ge=1, le=100, description="Comparability lots per plant.")
    days_per_lot: Duration = Field(description="A line is held so long for each lot.")
    study: Duration = Field(description="Analysis, filing and approval, after the last lot.")
    divergence: Probability = Field(
        description="Studies that find a difference; see `cartsight quality` for the power."
    )
    further_lots: int = Field(0, ge=0, le=100, description="Lots per plant after a difference is found.")
    further_time: Duration | None = Field(
        None, description="From a difference found to the second decision, lots apart."
    )
    before: Literal["standard", "at_risk"] = Field(
        "standard",
        description="standard: patients get the standard process until the decision. "
        "at_risk: the version is used from the end of the lots on, and batches not released at a divergence are rejected.",
    )

    @model_validator(mode="after")
    def _divergence(self) -> Self:
        if self.divergence.x > 0.0 and self.further_time is None:
            raise ValueError("further_time is needed where a divergence is possible")
        return self


class ProcessVersion(Frozen):
    """Another process for the same product. What is absent is as in the standard process."""

    manufacturing: VariableDuration | None = None
    release_testing: VariableDuration | None = None
    manufacturing_failure: Probability | None = None
    out_of_specification: Probability | None = None
    odds_ratio_response: OddsRatio | None = Field(None, description="Of the product, against the standard process.")
    share: Probability | None = Field(
        None, description="Share of starts at plants that run it beside the standard process; all when absent."
    )
    only_worsened: bool = Field(False, description="Only for patients who worsened before the start.")
    comparability: Comparability | None = Field(None, description="Absent: licensed from the first day.")

    @model_validator(mode="after")
    def _above_zero(self) -> Self:
        if self.odds_ratio_response is not None and self.odds_ratio_response.x <= 0.0:
            raise ValueError("odds_ratio_response must be above zero")
        return self


class Changeover(Frozen):
    """What a line needs between two different products or processes."""

    time: VariableDuration = Field(description="Clearance, cleaning and set-up; the line is held.")
    longest_campaign: int | None = Field(
        None, ge=1, le=1000, description="Runs in a row after which a line turns to what waits; absent: no campaigns."
    )


class OtherProduct(Frozen):
    """Batches of another product that take lines of the arm's plants, in numbers that do not depend on its patients."""

    batches_per_year: Rate = Field(description="At each plant that makes it.")
    manufacturing: VariableDuration
    sites: tuple[str, ...] | None = Field(None, description="Plants that make it; all when absent.")
    first: bool = Field(False, description="Whether it goes before the arm's own batches in the queue for a line.")


class Learning(Frozen):
    """Learning by doing at a plant: effects per doubling of the batches that it has made."""

    batches_before: float = Field(ge=1, le=1e6, description="Batches made before the simulation starts.")
    doublings_at_most: float = Field(gt=0, le=20, description="Doublings after which nothing is learned any more.")
    ratio_of_manufacturing_time: Ratio | None = None
    odds_ratio_of_failure: OddsRatio | None = Field(None, description="On manufacturing failure.")

    @model_validator(mode="after")
    def _effects(self) -> Self:
        for number in (self.ratio_of_manufacturing_time, self.odds_ratio_of_failure):
            if number is not None and number.x <= 0.0:
                raise ValueError("effects of learning are ratios above zero")
        return self
