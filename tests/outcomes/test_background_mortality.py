"""Background mortality: inversion of the life table, one date for every arm, the law after the pathway."""

from __future__ import annotations

import numpy as np
import pytest
import trajectory_builder as tb

from cartsight.core.errors import InputError
from cartsight.evidence.life_tables import life_table
from cartsight.outcomes.background import BackgroundHazard, background_hazard, natural_death_day
from cartsight.outcomes.draws import PatientDraws

US = background_hazard("us", 2019)


def constant(per_year: float) -> BackgroundHazard:
    edges = np.array([0.0, 120.0])
    return BackgroundHazard(edges, edges * per_year, edges * per_year)


def test_agrees_with_the_life_table_patient_by_patient() -> None:
    people = tb.patients(2000)
    draws = PatientDraws(people, 3)
    ours = natural_death_day(people, draws, US, 1.7, np.zeros(2000)) / 365.25
    theirs = life_table("us", 2019).sample_death_time(draws.uniform("background death"), people.age, people.female, 1.7)
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_survivors_of_the_pathway_keep_their_date_or_get_one_after_it() -> None:
    people = tb.patients(4000, age=85.0)
    draws = PatientDraws(people, 3)
    at_referral = natural_death_day(people, draws, US, 3.0, np.zeros(4000))
    exit_day = np.full(4000, 200.0)
    later = natural_death_day(people, draws, US, 3.0, exit_day)
    kept = at_referral >= 200.0
    assert 0.05 < 1.0 - kept.mean() < 0.5
    assert np.array_equal(later[kept], at_referral[kept])
    assert np.all(later >= 200.0)


def test_law_after_the_pathway_is_the_conditional_one() -> None:
    n, rate, smr = 40_000, 0.2, 2.0
    people = tb.patients(n)
    later = natural_death_day(people, PatientDraws(people, 9), constant(rate), smr, np.full(n, 365.25))
    remaining = later / 365.25 - 1.0
    # A constant hazard has no memory: exponential with mean 1 / (rate smr), whatever happened before.
    assert remaining.mean() == pytest.approx(2.5, abs=4 * 2.5 / np.sqrt(n))
    assert np.mean(remaining > 1.0) == pytest.approx(np.exp(-0.4), abs=4 * 0.5 / np.sqrt(n))


def test_without_background_mortality_nobody_dies_of_it() -> None:
    people = tb.patients(10)
    assert np.all(np.isinf(natural_death_day(people, PatientDraws(people, 1), US, 0.0, np.zeros(10))))


def test_the_last_hazard_of_the_table_goes_on() -> None:
    short = BackgroundHazard(np.array([0.0, 1.0]), np.array([0.0, 0.5]), np.array([0.0, 0.5]))
    age = short.age_at(np.array([10.0]), np.array([True]))
    assert age[0] == pytest.approx(20.0)


@pytest.mark.parametrize("curve", [[0.0, -1.0], [0.0, np.nan], [1.0, 1.0]])
def test_bad_curves_are_refused(curve: list[float]) -> None:
    with pytest.raises(InputError):
        BackgroundHazard(np.array([0.0, 1.0]), np.array(curve), np.array([0.0, 1.0]))


def test_unknown_life_table() -> None:
    with pytest.raises(InputError):
        background_hazard("atlantis", 2019)
