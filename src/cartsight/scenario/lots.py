"""Arms whose product is made in lots: allogeneic cells from a bank, and vectors that work in the body."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field, model_validator

from cartsight.scenario.bank import CellBank, DonorBank
from cartsight.scenario.depots import AcceptanceSampling, Depot, Recall
from cartsight.scenario.drug_substance import DrugSubstance
from cartsight.scenario.expansion import Expansion
from cartsight.scenario.fill import Fill, FillLine, SharedLine
from cartsight.scenario.numbers import (
    Count,
    Duration,
    Frozen,
    LogOdds,
    Money,
    Probability,
    Rate,
    Ratio,
    VariableDuration,
)
from cartsight.scenario.plant import LotPlant, Site
from cartsight.scenario.plant_costs import LotCosts
from cartsight.scenario.processes import Learning
from cartsight.scenario.product import Arm
from cartsight.scenario.release_fields import LOTS, from_specification
from cartsight.scenario.supplies import Supply

Float = npt.NDArray[np.float64]


class StageFailure(Frozen):
    """A way to lose a lot in the run, and when it is found: the cost up to then is sunk."""

    probability: Probability = Field(description="Of lots that got so far.")
    found_at: Probability = Field(description="Share of the run that is over when the failure is found.")


class LotProcess(Frozen):
    """From a bank or a vector to released doses. A failed lot is lost whole.

    Doses per lot are either stated (`doses_per_lot`) or follow from `expansion` or `drug_substance`, and `fill`.
    """

    lines: int = Field(ge=1, le=5000)
    sites: int = Field(1, ge=1, le=200)
    manufacturing: VariableDuration
    release_testing: VariableDuration
    failure: Probability = Field(description="Lots that yield nothing, found at the end of the run.")
    rejection: Probability = Field(description="Finished lots that fail release.")
    doses_per_lot: Count | None = Field(None, description="Doses of a released lot; or leave it to `fill`.")
    shelf_life: VariableDuration
    reorder_point: int = Field(ge=0, description="Doses on hand or in making at which a new lot is started.")
    order_up_to: int = Field(ge=1, description="Doses on hand or in making to reach with new lots.")
    initial_stock: int = Field(0, ge=0)
    lot_effect_sd: LogOdds = Field(description="Sd of the effect of a lot on the log-odds of response.")
    doses_per_lot_cv: Ratio | None = Field(None, description="Coefficient of variation of the doses between lots.")
    release_specification: str | None = Field(
        None,
        min_length=1,
        max_length=400,
        description="Release specification (TOML) that the failures come from, beside this file.",
    )
    release_region: str | None = Field(None, description="Specification set of this region instead of the file's own.")

    donors: DonorBank | None = Field(None, description="Donors that lots start from (cell_source donor).")
    cell_bank: CellBank | None = Field(None, description="Bank that lots start from (cell_source ipsc).")
    expansion: Expansion | None = None
    drug_substance: DrugSubstance | None = None
    fill: Fill | None = None
    fill_line: FillLine | None = Field(None, description="Fill and finish on a line of its own, after `manufacturing`.")
    shared: SharedLine | None = Field(None, description="Another use of the lines that make the lots.")
    stage_failures: dict[str, StageFailure] = Field(
        default_factory=dict, max_length=20, description="In order of the run, before `failure`."
    )
    sampling: AcceptanceSampling | None = Field(None, description="Inspection of vials at release, beside `rejection`.")
    recall: Recall | None = None
    depots: dict[str, Depot] = Field(default_factory=dict, max_length=50)
    supplies: dict[str, Supply] = Field(
        default_factory=dict,
        max_length=20,
        description="Vector, media and other materials that lots start from, in lots of their own.",
    )
    thaw_loss: Probability | None = Field(None, description="Doses lost at thaw or on the way; another is ordered.")
    plant: LotPlant | None = Field(None, description="People, release testing and calendar of each of the `sites`.")
    quality_assurance_review: VariableDuration | None = Field(
        None, description="Review of the batch record, after release testing."
    )
    clean_down: VariableDuration | None = Field(None, description="A line is held so long after each run.")
    learning: Learning | None = Field(None, description="By doubling of the lots started at a plant.")

    model_config = ConfigDict(
        json_schema_extra=from_specification(tuple(name for name in LOTS if name != "doses_per_lot"))
    )

    @model_validator(mode="after")
    def _levels(self) -> Self:
        if self.order_up_to <= self.reorder_point:
            raise ValueError("order_up_to must be above reorder_point")
        return self

    @model_validator(mode="after")
    def _start(self) -> Self:
        if self.donors is not None and self.cell_bank is not None:
            raise ValueError("give donors or cell_bank, not both")
        if self.donors is not None and self.donors.screening_failure.x >= 1.0:
            raise ValueError("donors.screening_failure must be below 1: no donor is ever found")
        if self.expansion is None:
            return self
        limit = self.expansion.doublings_limit
        asked = self.doublings_before + (0.0 if self.expansion.doublings is None else self.expansion.doublings.x)
        if limit is not None and asked > limit.x:
            raise ValueError(
                f"expansion.doublings with those of the bank ({asked:g}) exceed expansion.doublings_limit ({limit.x:g})"
            )
        culture = self.expansion.culture
        if culture is not None and culture.x > self.manufacturing.distribution.mean + 1e-9:
            raise ValueError("expansion.culture is a part of manufacturing and cannot be longer")
        return self

    @model_validator(mode="after")
    def _doses(self) -> Self:
        bulk = [name for name in ("expansion", "drug_substance") if getattr(self, name) is not None]
        if len(bulk) > 1:
            raise ValueError("give expansion (cells) or drug_substance (vector or mRNA), not both")
        if self.doses_per_lot is not None and bulk:
            raise ValueError(f"doses_per_lot and {bulk[0]} both say how many doses a lot has: give one")
        if self.doses_per_lot is None and not bulk:
            raise ValueError("give doses_per_lot, or fill with expansion or drug_substance")
        if bool(bulk) != (self.fill is not None):
            raise ValueError("fill and expansion or drug_substance belong together")
        if self.doses_per_lot_cv is not None and bulk:
            raise ValueError(
                "doses_per_lot_cv goes with doses_per_lot; with fill, lots differ by expansion.yield_cv or the law of the bulk"
            )
        if self.fill is None:
            if self.fill_line is not None and self.fill_line.vials_per_hour is not None:
                raise ValueError("fill_line.vials_per_hour needs fill; give fill_line.time")
            return self
        unit = "cells" if self.drug_substance is None else self.drug_substance.unit
        if self.fill.amount_per_dose.quantity.unit != unit:
            raise ValueError(f"fill.amount_per_dose must be in {unit}, not {self.fill.amount_per_dose.quantity.unit}")
        typical = float(self.fill.doses(self.mean_amount, self.sampled_vials))
        if typical < 1.0:
            raise ValueError("an average lot gives no dose: check the amounts, fill.amount_per_dose and the samples")
        if self.fill.minimum_doses is not None and self.fill.minimum_doses > typical:
            raise ValueError(
                f"fill.minimum_doses ({self.fill.minimum_doses}) is above what an average lot gives ({typical:.0f})"
            )
        return self

    @model_validator(mode="after")
    def _risks(self) -> Self:
        if self.donors is not None and self.donors.yield_sd is not None and self.doses_per_lot is not None:
            raise ValueError("donors.yield_sd needs expansion: stated doses per lot do not follow the donor's cells")
        if self.release_probability <= 0.0:
            raise ValueError("no lot is ever released: failures, rejection and inspection together lose every one")
        if self.thaw_loss is not None and self.thaw_loss.x >= 1.0:
            raise ValueError("thaw_loss must be below 1: no dose would ever reach a patient")
        if self.recall is not None and (self.recall.probability is None) == (self.sampling is None):
            raise ValueError("recall takes its probability from `sampling`, or states it: one of the two")
        for name, supply in self.supplies.items():
            if supply.stock_out == "lose" or supply.allocation != "first_in_line":
                raise ValueError(
                    f"supplies.{name}: lots wait for material in the order they ask: no other rule fits them"
                )
        served: set[str] = set()
        for name, depot in self.depots.items():
            twice = served.intersection(depot.regions)
            if twice:
                raise ValueError(
                    f"depots.{name}.regions: {', '.join(sorted(twice))} is served by another depot already"
                )
            served.update(depot.regions)
        if self.fill is not None and self.order_up_to < self.mean_doses:
            raise ValueError(
                f"order_up_to ({self.order_up_to}) is below the doses of one lot ({self.mean_doses:.0f}): raise it, or make "
                "smaller lots"
            )
        return self

    @model_validator(mode="after")
    def _floor(self) -> Self:
        plant = self.plant
        if plant is not None:
            plant.check_ramp_up(self.lines)
            reviewers = plant.quality_assurance_reviewers is not None or plant.quality_assurance_days is not None
            if reviewers and self.quality_assurance_review is None:
                raise ValueError(
                    "quality_assurance_review is needed where plant has quality_assurance_reviewers or _days"
                )
        if self.shared is None:
            return self
        if self.clean_down is not None or (plant is not None and plant.changes_starts):
            raise ValueError(
                "shared says when the other use has each line: clean_down and what closes, adds or breaks lines in plant do "
                "not fit beside it"
            )
        if self.sites > 1 and (plant is not None or self.learning is not None):
            raise ValueError("shared lines belong to no plant: plant and learning beside shared need sites = 1")
        return self

    @property
    def site(self) -> Site:
        """One of the `sites`, all of which are alike."""
        return (self.plant or LotPlant()).at(self.lines)

    @property
    def doublings_before(self) -> float:
        """Cumulative doublings of what a lot starts from."""
        return 0.0 if self.cell_bank is None else self.cell_bank.doublings.x

    @property
    def sampled_vials(self) -> int:
        """Vials used up by the inspection at release."""
        return 0 if self.sampling is None else self.sampling.sample_size

    @property
    def mean_amount(self) -> float:
        """Bulk of an average lot, in the unit of fill.amount_per_dose."""
        if self.drug_substance is not None:
            return self.drug_substance.amount.mean
        assert self.expansion is not None
        return self.expansion.harvested_cells(self.doublings_before)

    @property
    def yield_sigma(self) -> float:
        """Sd of the log of the cells harvested, between lots of one donor or bank (`expansion` only)."""
        if self.expansion is None or self.expansion.yield_cv is None:
            return 0.0
        return math.sqrt(math.log1p(self.expansion.yield_cv.x**2))

    @property
    def donor_yield_sd(self) -> float:
        """Sd between donors of the log of the cells harvested."""
        return 0.0 if self.donors is None or self.donors.yield_sd is None else self.donors.yield_sd.x

    @property
    def donor_effect_sd(self) -> float:
        """Sd between donors of the log-odds of response."""
        return 0.0 if self.donors is None or self.donors.effect_sd is None else self.donors.effect_sd.x

    @property
    def response_sd(self) -> float:
        """Sd of the log-odds of response over all lots, donors included."""
        return math.hypot(self.lot_effect_sd.x, self.donor_effect_sd)

    def amount_quantiles(self, count: int = 401) -> Float:
        """Return bulk amounts of lots at `count` equally likely mid-quantiles, donors included, shape (count,)."""
        from cartsight.core.normal import normal_quantile

        levels = (np.arange(count) + 0.5) / count
        if self.drug_substance is not None:
            return np.asarray(self.drug_substance.amount.quantile(levels))
        sigma = math.hypot(self.yield_sigma, self.donor_yield_sd)
        return np.asarray(self.mean_amount * np.exp(sigma * normal_quantile(levels) - 0.5 * sigma**2))

    @property
    def partial_share(self) -> float:
        """Share of lots below the fewest doses that are released (0 where doses are stated)."""
        if self.fill is None:
            return 0.0
        doses = self.fill.doses(self.amount_quantiles(), self.sampled_vials)
        return float(np.mean(doses < self.fill.smallest_released()))

    @property
    def mean_doses(self) -> float:
        """Doses of an average lot that does not fail; partial lots that are rejected count as none."""
        if self.fill is None:
            assert self.doses_per_lot is not None
            return self.doses_per_lot.x
        doses = self.fill.doses(self.amount_quantiles(), self.sampled_vials)
        return float(np.mean(np.where(doses < self.fill.smallest_released(), 0.0, doses)))

    @property
    def further_passes(self) -> float:
        """Probability that a lot passes what `failure`, `rejection` and the rule for partial lots leave out."""
        passed = math.prod(1.0 - stage.probability.x for stage in self.stage_failures.values())
        if self.fill_line is not None:
            passed *= 1.0 - self.fill_line.failure.x
        if self.sampling is not None:
            bad = self.sampling.bad_lots.x
            passed *= bad * self.sampling.consumers_risk + (1.0 - bad) * (1.0 - self.sampling.producers_risk)
        return passed

    @property
    def release_probability(self) -> float:
        """Probability that a lot that is started is released, partial lots aside."""
        return (1.0 - self.failure.x) * (1.0 - self.rejection.x) * self.further_passes

    @property
    def bad_share_of_released(self) -> float:
        """Share of released lots that are bad, whether or not that is ever found."""
        if self.sampling is None:
            return 0.0 if self.recall is None or self.recall.probability is None else self.recall.probability.x
        bad = self.sampling.bad_lots.x * self.sampling.consumers_risk
        good = (1.0 - self.sampling.bad_lots.x) * (1.0 - self.sampling.producers_risk)
        return bad / (bad + good) if bad + good > 0.0 else 0.0

    def check_regions(self, regions: Iterable[str], path: str) -> None:
        """Raise ValueError where a depot names a region that the population does not have; `path` is this section's."""
        from cartsight.core.errors import nearest

        known = list(regions)
        for name, depot in self.depots.items():
            for region in depot.regions:
                if region not in known:
                    raise ValueError(
                        f"{path}.depots.{name}.regions: unknown region {region!r}; allowed: {', '.join(known)}. "
                        f"{nearest(region, known) or ''}"
                    )


class AllogeneicArm(Arm):
    """Doses from donor or stem-cell lots, from stock."""

    modality: Literal["allogeneic"]
    cell_source: Literal["donor", "ipsc"]
    lots: LotProcess
    order_to_delivery: VariableDuration
    doses_per_course: int = Field(1, ge=1, le=10)
    costs: LotCosts

    @model_validator(mode="after")
    def _bank(self) -> Self:
        if self.lots.donors is not None and self.cell_source != "donor":
            raise ValueError("lots.donors needs cell_source = 'donor'")
        if self.lots.cell_bank is not None and self.cell_source != "ipsc":
            raise ValueError("lots.cell_bank needs cell_source = 'ipsc'")
        if self.lots.drug_substance is not None:
            raise ValueError("lots.drug_substance is for in vivo arms; cells take lots.expansion")
        return self


class Redosing(Frozen):
    """Further doses when the first does not take."""

    maximum_courses: int = Field(1, ge=1, le=6)
    interval: Duration
    immunity: Rate = Field(description="Onset of neutralising immunity against the vector after the first dose.")
    visit_cost: Money


class InVivoArm(Arm):
    """A vector or mRNA from vial stock, infused as such; the patient's body makes the cells."""

    modality: Literal["in_vivo"]
    vector: Literal["lentiviral", "mrna_lnp", "aav"]
    lots: LotProcess
    order_to_delivery: VariableDuration
    doses_per_course: int = Field(1, ge=1, le=10)
    dose_interval: Duration | None = None
    expression: Probability = Field(description="Courses that produce CAR-expressing cells.")
    redosing: Redosing
    costs: LotCosts

    @model_validator(mode="after")
    def _interval(self) -> Self:
        if self.doses_per_course > 1 and self.dose_interval is None:
            raise ValueError("dose_interval is needed for more than one dose per course")
        cells = [name for name in ("donors", "cell_bank", "expansion") if getattr(self.lots, name) is not None]
        if cells:
            raise ValueError(f"lots.{cells[0]} is for allogeneic arms; a vector takes lots.drug_substance")
        substance = self.lots.drug_substance
        if substance is not None and (substance.kind == "mrna") != (self.vector == "mrna_lnp"):
            raise ValueError(f"lots.drug_substance.kind = {substance.kind!r} does not fit vector = {self.vector!r}")
        return self
