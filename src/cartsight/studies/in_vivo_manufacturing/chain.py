"""From bioreactor or transcription to vials: doses a year per line and stage, lines needed, cost of a dose.

Each stage of a chain is a number of like lines. A line's doses a year follow from its batch (volume x titre x yields over the
dose) and its batches a year; filling pays a changeover per lot; a release lane holds one lot at a time. Nothing queues here:
the event simulation shows waits and stock-outs (`simulated_supply`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.units import DAYS_PER_YEAR
from cartsight.studies.in_vivo_manufacturing.plants import PlantDraws

Float = npt.NDArray[np.float64]

LINES_PER_SITE = 10.0


@dataclass(frozen=True, eq=False, slots=True)
class Stage:
    """One stage of a chain over parameter draws, arrays of shape (draws,).

    Parameters
    ----------
    key, name, infrastructure : str
        Name of the stage, and of the plants that have such lines today.
    doses_per_line_year : array
        Released doses that one line lets pass in a year.
    existing_lines, share : array
        Lines that stand today, and the fraction that could be booked.
    line_cost : array
        Money per line and year.
    """

    key: str
    name: str
    infrastructure: str
    doses_per_line_year: Float
    existing_lines: Float
    share: Float
    line_cost: Float

    @property
    def bookable_doses(self) -> Float:
        """Released doses a year that existing lines could make at the stated share, shape (draws,)."""
        return self.existing_lines * self.share * self.doses_per_line_year


@dataclass(frozen=True, eq=False, slots=True)
class Chain:
    """A platform's stages in order, over parameter draws, arrays of shape (draws,).

    Parameters
    ----------
    stages : tuple of Stage
    lot_doses : array
        Doses of one lot before release.
    lot_success : array
    doses_per_patient : array
        Per patient and year of treatment: doses per course times courses.
    wastage : array
        Doses made and not given, as a share of those given.
    lot_cost, dose_cost : array
        Materials and testing of a lot; what each vial adds.
    site_cost, markup, least_lots : array
    """

    stages: tuple[Stage, ...]
    lot_doses: Float
    lot_success: Float
    doses_per_patient: Float
    wastage: Float
    lot_cost: Float
    dose_cost: Float
    site_cost: Float
    markup: Float
    least_lots: Float

    def doses_needed(self, patients: float) -> Float:
        """Return released doses a year for so many patients a year, wastage included, shape (draws,)."""
        return patients * self.doses_per_patient * (1.0 + self.wastage)

    def lines_needed(self, patients: float) -> Float:
        """Return lines a year at each stage, not rounded, shape (stages, draws)."""
        need = self.doses_needed(patients)
        return np.stack([need / stage.doses_per_line_year for stage in self.stages])

    def served(self) -> Float:
        """Return patients a year that existing lines serve stage by stage, shape (stages, draws)."""
        per_patient = self.doses_per_patient * (1.0 + self.wastage)
        return np.stack([stage.bookable_doses / per_patient for stage in self.stages])

    def lots_per_year(self, patients: float) -> Float:
        """Return lots started a year: what demand needs, and no fewer than the rule of supply asks."""
        return np.maximum(self.doses_needed(patients) / (self.lot_doses * self.lot_success), self.least_lots)

    def cost_per_dose(self, patients: float, *, booked: bool) -> Float:
        """Return cost per dose given, shape (draws,).

        Parameters
        ----------
        patients : float
            Patients a year.
        booked : bool
            Lines booked by the lot in plants that others share (a markup, no idle time), or own lines (whole lines and sites,
            idle or not).
        """
        lots = self.lots_per_year(patients)
        made = lots * self.lot_doses * self.lot_success
        lines = np.stack([made / stage.doses_per_line_year for stage in self.stages])
        cost = np.stack([stage.line_cost for stage in self.stages])
        if booked:
            fixed = (lines * cost).sum(axis=0) * (1.0 + self.markup)
        else:
            whole = np.ceil(lines - 1e-9)
            fixed = (whole * cost).sum(axis=0) + self.site_cost * np.ceil(whole.sum(axis=0) / LINES_PER_SITE)
        given = patients * self.doses_per_patient
        return np.asarray((fixed + lots * self.lot_cost + made * self.dose_cost) / given)


def make_chain(platform: str, values: PlantDraws) -> Chain:
    """Return the chain of a platform ("mrna" or "vector") at parameter draws."""
    at = {path.removeprefix(f"{platform}."): x for path, x in values.items() if path.startswith(f"{platform}.")}
    # Number classes hold durations in days and shares as they are; milligrams, TU and TU/ml are the file's own units.
    if platform == "mrna":
        mass = at["reactor_litres"] * at["titre_grams_per_litre"] * at["purification_yield"]
        before_filling = at["formulation_yield"] * 1000.0 / at["dose"]
        lot = at["formulation_grams_per_batch"] * before_filling
        upstream = [
            ("drug_substance", "mRNA drug substance", "mRNA vaccine plants", mass * before_filling * at["batches_per_year"]),
            ("formulation", "coupled particles", "developers' suites", lot * at["formulation_batches_per_year"]),
        ]  # fmt: skip
        filling, release = "mRNA vaccine filling lines", "quality laboratories"
        per_dose = (
            at["dose"] * (at["costs.materials_per_unit"] + at["costs.targeting_per_unit"]) / at["formulation_yield"]
        )
    else:
        units = at["reactor_litres"] * 1000.0 * at["titre"] * at["recovery"] * at["polishing_yield"]
        lot = units / at["dose"]
        upstream = [
            ("drug_substance", "vector suites, 200 L", "vector contract makers", lot * at["batches_per_year"]),
            ("purification", "purification", "vector contract makers", lot * at["purification_runs_per_year"]),
        ]
        filling, release = "vector filling suites", "virus-testing laboratories"
        per_dose = np.zeros_like(lot)
    days_per_lot = at["changeover_days"] + lot / at["vials_per_day"]
    filled = at["filling_days_per_year"] / days_per_lot * lot
    tested = DAYS_PER_YEAR / at["testing_days"] * lot
    stages = [
        *upstream,
        ("filling", "fill-finish", filling, filled),
        ("release", "release testing", release, tested),
    ]
    return Chain(
        stages=tuple(_stage(at, key, name, who, doses * at["lot_success"]) for key, name, who, doses in stages),
        lot_doses=lot,
        lot_success=at["lot_success"],
        doses_per_patient=at["doses_per_course"] * at["courses_per_patient"],
        wastage=at["wastage"],
        lot_cost=at["costs.materials_per_lot"] + at["costs.quality_control_per_lot"],
        dose_cost=per_dose + at["costs.vial_and_storage"],
        site_cost=values["shared.site_per_year"],
        markup=values["shared.booking_markup"],
        least_lots=values["shared.least_lots_per_year"],
    )


def _stage(at: PlantDraws, key: str, name: str, infrastructure: str, doses: Float) -> Stage:
    kind = "lanes" if key == "release" else "lines"
    return Stage(
        key,
        name,
        infrastructure,
        doses,
        at[f"existing.{key}_{kind}"],
        at[f"existing.{key}_share"],
        at[f"costs.{key}_{kind[:-1]}_per_year"],
    )
