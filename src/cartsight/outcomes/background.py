"""Background mortality: everybody has one natural date of death, which no therapy can push back.

The hazard is the life table's at the patient's age and sex times the standardised mortality ratio (SMR).
Within a year of age it is constant, so that the cumulative hazard is linear between birthdays and inverts
exactly. Mixture cure on background mortality: Lambert, Thompson, Weston & Dickman 2007,
doi:10.1093/biostatistics/kxl030.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.units import DAYS_PER_YEAR
from cartsight.evidence.life_tables import LifeTable, life_table
from cartsight.outcomes.draws import PatientDraws
from cartsight.simulation.pathways.trajectory import Patients

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

BEYOND_THE_TABLE_YEARS = 1000.0
"""The last hazard of the table continues this long, which is for ever."""


@dataclass(frozen=True, eq=False)
class BackgroundHazard:
    """Cumulative hazard by age and sex.

    Parameters
    ----------
    ages : array, shape (k,)
        Rising ages in years.
    male, female : array, shape (k,)
        Cumulative hazard at those ages, not falling; linear between them. The slope of the last piece
        continues.
    """

    ages: Float
    male: Float
    female: Float

    def __post_init__(self) -> None:
        for name in ("male", "female"):
            curve = np.asarray(getattr(self, name), dtype=np.float64)
            if curve.shape != self.ages.shape or not np.all(np.isfinite(curve)) or np.any(np.diff(curve) < 0):
                raise InputError("a cumulative hazard must be finite and not fall with age", field=name)
            if curve[-1] <= curve[-2]:
                raise InputError("mortality at the last age of a life table must be above zero", field=name)
            slope = (curve[-1] - curve[-2]) / (self.ages[-1] - self.ages[-2])
            object.__setattr__(self, name, np.append(curve, curve[-1] + slope * BEYOND_THE_TABLE_YEARS))
        object.__setattr__(self, "ages", np.append(self.ages, self.ages[-1] + BEYOND_THE_TABLE_YEARS))

    @classmethod
    def from_life_table(cls, table: LifeTable) -> BackgroundHazard:
        """Return the cumulative hazard of a life table, which closes with a constant hazard."""
        ages = np.arange(table.cumulative.shape[1] + 1, dtype=np.float64)
        female, male = np.concatenate([table.cumulative, table.cumulative[:, -1:] + table.hazard[:, -1:]], axis=1)
        return cls(ages, male, female)

    def cumulative(self, age: Float, female: Bool) -> Float:
        """Return the cumulative hazard at ages in years, shape (n,)."""
        result = np.empty(age.shape)
        for rows, curve in ((female, self.female), (~female, self.male)):
            result[rows] = np.interp(age[rows], self.ages, curve)
        return result

    def age_at(self, cumulative: Float, female: Bool) -> Float:
        """Return the ages in years at which the cumulative hazard is reached, shape (n,)."""
        result = np.empty(cumulative.shape)
        for rows, curve in ((female, self.female), (~female, self.male)):
            result[rows] = np.interp(cumulative[rows], curve, self.ages)
        return result


@lru_cache(maxsize=16)
def background_hazard(country: str, year: int) -> BackgroundHazard:
    """Return the background hazard of a country's period life table.

    Raises
    ------
    InputError
        When there is no such table.
    """
    return BackgroundHazard.from_life_table(life_table(country, year))


def natural_death_day(
    patients: Patients,
    draws: PatientDraws,
    hazard: BackgroundHazard,
    standardised_mortality_ratio: float,
    at_risk_from_day: Float,
) -> Float:
    """Return the day of death from background mortality, from referral.

    The date is the same in every arm: cumulative hazard from the age at referral reaches E / SMR. Deaths
    while waiting are the pathway's (all causes), so a patient who is alive when the pathway ends at
    `at_risk_from_day` has survived until then; where the common date lies before that day, its uniform is
    spread over the time after it. That is the exact conditional law and needs no second draw.

    Parameters
    ----------
    patients : Patients
        n patients; their age at referral and sex.
    draws : PatientDraws
        Of the same patients.
    hazard : BackgroundHazard
    standardised_mortality_ratio : float
        Zero means no background mortality.
    at_risk_from_day : array, shape (n,)
        Day on which the pathway ended.

    Returns
    -------
    array, shape (n,)
        Days, infinite without background mortality.
    """
    smr = standardised_mortality_ratio
    if smr == 0.0:
        return np.full(len(patients), np.inf)
    age, female = patients.age, patients.female
    at_referral = hazard.cumulative(age, female)
    variate = draws.exponential("background death")
    day = (hazard.age_at(at_referral + variate / smr, female) - age) * DAYS_PER_YEAR
    early = np.flatnonzero(day < at_risk_from_day)
    if early.size:
        sex = female[early]
        by_then = hazard.cumulative(age[early] + at_risk_from_day[early] / DAYS_PER_YEAR, sex)
        passed = smr * (by_then - at_referral[early])
        share = np.exp(-passed)
        rest = np.clip((np.exp(-variate[early]) - share) / (1.0 - share), 1e-300, 1.0)
        later = hazard.age_at(by_then - np.log(rest) / smr, sex)
        day[early] = np.maximum((later - age[early]) * DAYS_PER_YEAR, at_risk_from_day[early])
    return day
