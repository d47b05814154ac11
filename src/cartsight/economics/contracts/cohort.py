"""The patients of a contract: what an agreement can depend on, in pools that share its pooled clauses.

All arrays have shape (pools, patients): a pool is what one payer treats under one agreement. Years count from each
patient's infusion; `start_years` places the infusion on the calendar of the agreement.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.streams import Stream
from cartsight.core.units import DAYS_PER_YEAR
from cartsight.economics.contracts.curve import StatedCurve, check_order
from cartsight.outcomes.result import Outcomes
from cartsight.simulation.pathways import trajectory as t
from cartsight.simulation.pathways.trajectory import Trajectories

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Int = npt.NDArray[np.int64]

Endpoint = Literal["remission", "survival", "complete_response"]
ENDPOINTS: tuple[Endpoint, ...] = ("remission", "survival", "complete_response")


@dataclass(frozen=True, eq=False)
class ContractCohort:
    """Patients of one or more pools.

    Parameters
    ----------
    remission_end_years : array, shape (pools, patients)
        Progression, relapse or death; infinite when it never comes.
    death_years : array or None
        None when nothing is known of survival; then nobody dies.
    complete_response_end_years : array or None
        As `remission_end_years`, but patients without complete response fail at their first assessment.
    start_years : array
        Infusion on the agreement's calendar, from 0 at its first day.
    out_of_specification : bool array or None
    remakes : array or None
        Batches started beyond the first.
    seed : int
    key : str
        Names the draws of this cohort: patients of different keys are independent.
    """

    remission_end_years: Float
    start_years: Float
    death_years: Float | None = None
    complete_response_end_years: Float | None = None
    out_of_specification: Bool | None = None
    remakes: Int | None = None
    seed: int = 1
    key: str = "contract"

    @property
    def shape(self) -> tuple[int, int]:
        """(pools, patients)."""
        pools, patients = self.remission_end_years.shape
        return pools, patients

    @cached_property
    def _stream(self) -> Stream:
        pools, patients = self.shape
        return Stream(self.seed, f"{self.key}: patient", np.arange(pools * patients, dtype=np.uint64))

    @cached_property
    def _pool_stream(self) -> Stream:
        return Stream(self.seed, f"{self.key}: pool", np.arange(self.shape[0], dtype=np.uint64))

    def uniform(self, step: str) -> Float:
        """Return one uniform in (0, 1) per patient, keyed by what it is for."""
        return self._stream(step).reshape(self.shape)

    def pool_uniform(self, step: str) -> Float:
        """Return one uniform per pool, shape (pools, 1)."""
        return self._pool_stream(step)[:, None]

    def event_years(self, endpoint: Endpoint) -> Float:
        """Return the time of failure of an endpoint per patient.

        Raises
        ------
        InputError
            Survival is asked for and nothing is known of it.
        """
        if endpoint == "survival":
            if self.death_years is None:
                raise InputError("the contract pays on survival and no survival is given", field="survival_curve")
            return self.death_years
        if endpoint == "complete_response" and self.complete_response_end_years is not None:
            return self.complete_response_end_years
        return self.remission_end_years


class PatientSource(Protocol):
    """Where a contract's patients come from."""

    def cohort(
        self, pools: int, patients: int, seed: int, *, key: str, trial_patients: int | None, enrolment_years: float
    ) -> ContractCohort:
        """Return `pools` x `patients` patients; with `trial_patients` the truth behind each pool is uncertain."""


def enrolment(pools: int, patients: int, years: float) -> Float:
    """Return infusion dates spread evenly over the enrolment, the same in every pool."""
    dates = (np.arange(patients) + 0.5) / patients * years
    return np.broadcast_to(dates, (pools, patients))


@dataclass(frozen=True, eq=False)
class CurvePatients:
    """Patients drawn from a stated curve of remission and, optionally, one of survival.

    Both times of a patient come from one uniform (comonotone), so nobody is in remission after death and the share
    at any date is that of the curve. With `trial_patients` = n the pool's patients are drawn, with replacement, from a
    trial of n that was itself drawn from the curve: the variance of a success share p over c patients is then
    p (1 - p) [(1 - 1/n) / c + 1/n], which is what a payer faces who knows p from n patients.

    Parameters
    ----------
    remission : StatedCurve
    survival : StatedCurve, optional
    out_of_specification : float
        Probability of a product out of specification.
    remake : float
        Probability that a batch fails and is made again; attempts are independent.
    """

    remission: StatedCurve
    survival: StatedCurve | None = None
    out_of_specification: float = 0.0
    remake: float = 0.0

    def __post_init__(self) -> None:
        if self.survival is not None and self.survival is not self.remission:
            check_order(self.remission, self.survival)

    def cohort(
        self,
        pools: int,
        patients: int,
        seed: int,
        *,
        key: str = "contract",
        trial_patients: int | None = None,
        enrolment_years: float = 1.0,
        stratified: bool = False,
    ) -> ContractCohort:
        """Return a cohort; `stratified` spreads the event uniforms evenly, for means with little noise."""
        n = pools * patients
        place = np.arange(n, dtype=np.uint64)
        stream = Stream(seed, f"{key}: patient", place)
        if trial_patients is not None:
            drawn = np.minimum(stream("trial patient") * trial_patients, trial_patients - 1).astype(np.uint64)
            member = (place // np.uint64(patients)) * np.uint64(trial_patients) + drawn
            u = Stream(seed, f"{key}: trial", member)("event")
        else:
            u = stream("event")
            if stratified:
                rank = np.empty(n)
                rank[np.argsort(u, kind="stable")] = np.arange(n)
                u = (rank + stream("within stratum")) / n
        shape = (pools, patients)
        death = None
        if self.survival is not None:
            death = self.survival.quantile(u).reshape(shape)
        end = self.remission.quantile(u).reshape(shape)
        off = stream("out of specification").reshape(shape) < self.out_of_specification
        remakes = None
        if self.remake > 0.0:
            remakes = np.floor(np.log(stream("remakes")) / np.log(self.remake)).astype(np.int64).reshape(shape)
        return ContractCohort(
            remission_end_years=end if death is None else np.minimum(end, death),
            death_years=death,
            start_years=enrolment(pools, patients, enrolment_years),
            out_of_specification=off if self.out_of_specification > 0.0 else None,
            remakes=remakes,
            seed=seed,
            key=key,
        )


@dataclass(frozen=True, eq=False)
class SimulatedPatients:
    """The infused patients of a simulated arm, resampled into pools.

    Parameters
    ----------
    remission_end_years, complete_response_end_years, death_years : array, shape (n,)
    out_of_specification : bool array, shape (n,)
    remakes : int array, shape (n,)
    calendar_years : array, shape (n,)
        Infusion on the calendar of the run.
    referred : int
        Patients referred, infused or not.
    """

    remission_end_years: Float
    complete_response_end_years: Float
    death_years: Float
    out_of_specification: Bool
    remakes: Int
    calendar_years: Float
    referred: int

    @property
    def infused_share(self) -> float:
        """Infused over referred."""
        return self.remission_end_years.size / self.referred if self.referred else float("nan")

    def all(self, seed: int, *, key: str = "contract", first_year: float | None = None) -> ContractCohort:
        """Return every infused patient once, as one pool; `first_year` is the agreement's first day on the calendar.

        By default the agreement starts with the first infusion.
        """
        rows = np.arange(self.remission_end_years.size)[None, :]
        origin = float(self.calendar_years.min()) if first_year is None else first_year
        return self._rows(rows, seed, key, self.calendar_years[rows] - origin)

    def cohort(
        self,
        pools: int,
        patients: int,
        seed: int,
        *,
        key: str = "contract",
        trial_patients: int | None = None,
        enrolment_years: float = 1.0,
    ) -> ContractCohort:
        """Return pools resampled with replacement, through a resampled trial where evidence is uncertain."""
        have = self.remission_end_years.size
        place = np.arange(pools * patients, dtype=np.uint64)
        pick = Stream(seed, f"{key}: patient", place)("drawn patient")
        if trial_patients is not None:
            drawn = np.minimum(pick * trial_patients, trial_patients - 1).astype(np.uint64)
            member = (place // np.uint64(patients)) * np.uint64(trial_patients) + drawn
            pick = Stream(seed, f"{key}: trial", member)("event")
        rows = np.minimum(pick * have, have - 1).astype(np.int64).reshape(pools, patients)
        return self._rows(rows, seed, key, enrolment(pools, patients, enrolment_years))

    def _rows(self, rows: Int, seed: int, key: str, start: Float) -> ContractCohort:
        return ContractCohort(
            remission_end_years=self.remission_end_years[rows],
            complete_response_end_years=self.complete_response_end_years[rows],
            death_years=self.death_years[rows],
            start_years=start,
            out_of_specification=self.out_of_specification[rows],
            remakes=self.remakes[rows],
            seed=seed,
            key=key,
        )


def simulated_patients(trajectories: Trajectories, outcomes: Outcomes, *, assessment_days: float) -> SimulatedPatients:
    """Return what a contract needs of an arm's infused patients.

    Remission ends at progression (which includes an assessment without response) or death. Complete response ends
    with it too, and at the first assessment, `assessment_days` after infusion, of everybody who has none. A batch
    started beyond the first of a patient is a remake.

    Raises
    ------
    InputError
        When nobody was infused.
    """
    infused = np.flatnonzero(outcomes.infused)
    if infused.size == 0:
        raise InputError("nobody was infused, so the contract has no patient", found=outcomes.arm_name)
    day = outcomes.infusion_day

    def to_years(event_day: Float) -> Float:
        return np.asarray((event_day[infused] - day[infused]) / DAYS_PER_YEAR)

    remission = to_years(np.minimum(outcomes.progression_day, outcomes.death_day))
    assessed = assessment_days / DAYS_PER_YEAR
    complete = np.where(outcomes.response[infused] == 2, remission, np.minimum(remission, assessed))
    started = np.zeros(len(outcomes), dtype=np.int64)
    np.add.at(started, trajectories.events(t.BATCH_STARTED)[0], 1)
    calendar = (trajectories.patients.referral_day + np.nan_to_num(day))[infused] / DAYS_PER_YEAR
    return SimulatedPatients(
        remission_end_years=remission,
        complete_response_end_years=complete,
        death_years=to_years(outcomes.death_day),
        out_of_specification=trajectories.out_of_specification[infused],
        remakes=np.maximum(started[infused] - 1, 0),
        calendar_years=np.asarray(calendar),
        referred=len(outcomes),
    )
