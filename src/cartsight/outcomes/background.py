"""Background mortality: everybody has one natural date of death, which no therapy can push back.

The hazard is the life table's at the patient's age and sex times the standardised mortality ratio (SMR). Within a year
of age it is constant, so that the cumulative hazard is linear between birthdays and inverts exactly. Mixture cure on
background mortality: Lambert, Thompson, Weston & Dickman 2007, doi:10.1093/biostatistics/kxl030.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.units import DAYS_PER_YEAR
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
        Cumulative hazard at those ages, not falling; linear between them. The slope of the last piece continues.
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
    def from_probabilities(cls, male: npt.ArrayLike, female: npt.ArrayLike) -> BackgroundHazard:
        """Return the hazard of yearly death probabilities q at ages 0, 1, 2, ...; the first q of one ends the table.

        Within a year the hazard is -ln(1 - q). A closing q of one, which only says that the table ends there, is
        replaced by the hazard of the age before it or one per year, whichever is larger.
        """
        curves = []
        for q in (np.asarray(male, dtype=np.float64), np.asarray(female, dtype=np.float64)):
            if q.ndim != 1 or q.size < 2 or not np.all((q >= 0.0) & (q <= 1.0)):
                raise InputError("a life table needs at least two yearly death probabilities in [0, 1]")
            closes = np.flatnonzero(q >= 1.0)
            end = int(closes[0]) if closes.size else q.size
            hazard = -np.log1p(-q[:end])
            hazard = np.append(hazard, np.full(q.size - end, max(float(hazard[-1]) if end else 0.0, 1.0)))
            curves.append(np.concatenate([[0.0], np.cumsum(hazard)]))
        size = curves[0].size
        if curves[1].size != size:
            raise InputError("a life table needs equally many ages for both sexes")
        return cls(np.arange(size, dtype=np.float64), curves[0], curves[1])

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
    from cartsight.evidence.life_tables import life_table

    table = life_table(country, year)
    return BackgroundHazard.from_probabilities(table.male, table.female)


def natural_death_day(
    patients: Patients,
    draws: PatientDraws,
    hazard: BackgroundHazard,
    standardised_mortality_ratio: float,
    at_risk_from_day: Float,
) -> Float:
    """Return the day of death from background mortality, from referral.

    The date is the same in every arm: cumulative hazard from the age at referral reaches E / SMR. Deaths while
    waiting are the pathway's (all causes), so a patient who is alive when the pathway ends at `at_risk_from_day` has
    survived until then; where the common date lies before that day, its uniform is spread over the time after it.
    That is the exact conditional law and needs no second draw.

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
