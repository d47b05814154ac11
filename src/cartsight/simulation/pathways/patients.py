"""Who arrives and when: the same patients for every arm.

Arrivals invert the cumulative referral rate of each region (unit-exponential gaps over the rate), so that a higher rate
brings the same patients sooner, and another region changes nobody in this one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cartsight.core.errors import InputError
from cartsight.core.streams import Stream, patient_ids
from cartsight.scenario import Scenario
from cartsight.simulation.pathways.trajectory import Patients

RUN_OUT_DAYS = 180.0
"""Patients keep arriving this long after the window, so that the last counted ones meet a loaded network."""

LONGEST_WINDOW_YEARS = 1000.0
"""A longer window is a slip in a referral rate: lots and calendars would be simulated for ever."""

MOST_ARRIVALS = 20_000_000
"""Counted patients and those who only load the network; a thousand times a shipped scenario."""


@dataclass(frozen=True, slots=True)
class Window:
    """The observation window: patients referred in [start, end) are counted, all others only load the network."""

    start: float
    end: float
    arrivals_end: float

    @property
    def years(self) -> float:
        """Length of the window in years."""
        return (self.end - self.start) / 365.25


def observation_window(scenario: Scenario) -> Window:
    """Return the window in which the expected number of referrals is ``analysis.patients``.

    Raises
    ------
    InputError
        So few referrals that the window would be longer than `LONGEST_WINDOW_YEARS`, or so many that more than
        `MOST_ARRIVALS` people would arrive.
    """
    per_day = sum(region.referrals_per_year.x for region in scenario.population.regions.values())
    start = scenario.analysis.warm_up_days
    patients = scenario.analysis.patients
    if not patients <= per_day * LONGEST_WINDOW_YEARS * 365.25:
        raise InputError(
            f"too few referrals for {patients} patients within {LONGEST_WINDOW_YEARS:g} years",
            field="population.regions",
            found=f"{per_day * 365.25:g} referrals a year in all regions together",
            allowed=f"{patients / LONGEST_WINDOW_YEARS:g} a year or more; or fewer analysis.patients",
        )
    end = start + patients / per_day
    window = Window(start, end, end + RUN_OUT_DAYS)
    if per_day * window.arrivals_end > MOST_ARRIVALS:
        raise InputError(
            "too many referrals to simulate, with those of the warm-up",
            field="population.regions",
            found=f"{per_day * 365.25:g} referrals a year in all regions together",
            allowed=f"up to {MOST_ARRIVALS:,} arrivals in all; model a catchment, or shorten analysis.warm_up_days",
        )
    return window


def generate_patients(scenario: Scenario, seed: int, window: Window) -> Patients:
    """Return everyone referred from day 0 to the end of arrivals, in order of referral."""
    population = scenario.population
    identities, days, regions, hospitals = [], [], [], []
    first_hospital = 0
    for index, (name, region) in enumerate(population.regions.items()):
        rate = region.referrals_per_year.x
        if rate == 0.0:
            first_hospital += region.hospitals
            continue
        expected = rate * window.arrivals_end
        # Six standard deviations above the mean; the cut below decides who is in.
        count = int(expected + 6.0 * np.sqrt(expected) + 20)
        identity = patient_ids(name, population.indication, count)
        stream = Stream(seed, "patient", identity)
        day = np.cumsum(-np.log1p(-stream("referral gap"))) / rate
        inside = day < window.arrivals_end
        identities.append(identity[inside])
        days.append(day[inside])
        regions.append(np.full(int(inside.sum()), index, dtype=np.int64))
        hospital = (stream("hospital")[inside] * region.hospitals).astype(np.int64)
        hospitals.append(first_hospital + hospital)
        first_hospital += region.hospitals
    identity = np.concatenate(identities)
    day = np.concatenate(days)
    order = np.lexsort((identity, day))
    identity, day = identity[order], day[order]
    stream = Stream(seed, "patient", identity)
    age = population.age.distribution.quantile(stream("age"))
    return Patients(
        identity=identity,
        referral_day=day,
        region=np.concatenate(regions)[order],
        hospital=np.concatenate(hospitals)[order],
        age=np.clip(age, population.minimum_age, population.maximum_age),
        female=stream("sex") < population.female.x,
        counted=(day >= window.start) & (day < window.end),
    )
