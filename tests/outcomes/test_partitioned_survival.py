"""Partitioned survival: closed forms, the case in which it must agree with the patients, crossings left as they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.core.errors import InputError
from cartsight.core.units import DAYS_PER_MONTH, DAYS_PER_YEAR
from cartsight.evidence.survival import Exponential, Law, Weibull
from cartsight.outcomes.background import BackgroundHazard, background_hazard
from cartsight.outcomes.infused_curves import (
    EmpiricalCurve,
    PopulationBackground,
    SurvivalCurve,
    empirical_curves,
    fitted_curves,
    infused_times,
)
from cartsight.outcomes.partitioned_survival import (
    StateValues,
    occupancy,
    partition,
)
from cartsight.outcomes.quality_of_life import AgeAdjustment
from cartsight.outcomes.result import ALIVE, DISEASE, Outcomes

HORIZON = 60.0 * DAYS_PER_YEAR


@dataclass(frozen=True)
class LawCurve:
    """A law of time in years as a curve in days."""

    law: Law
    label: str = "law"

    def survival(self, days: np.ndarray) -> np.ndarray:
        return self.law.survival(np.asarray(days) / DAYS_PER_YEAR)

    def jumps(self) -> None:
        return None


def outcomes_of(progression: np.ndarray, death: np.ndarray, horizon: float = HORIZON, wait: float = 0.0) -> Outcomes:
    """Return outcomes of patients infused on day `wait`; times are days since infusion, death caps progression."""
    n = death.size
    no, zero = np.zeros(n, dtype=np.bool_), np.zeros(n)
    death_day = np.where(death + wait <= horizon, death + wait, np.inf)
    survival = np.minimum(death_day, horizon)
    progressed = np.where(progression + wait < survival, progression + wait, np.inf)
    return Outcomes(
        arm_name="test",
        horizon_days=horizon,
        infused=~no,
        exit_day=np.full(n, wait),
        infusion_day=np.full(n, wait),
        last_course_day=np.full(n, wait),
        response=np.full(n, 2, dtype=np.int8),
        cured=np.isinf(progression),
        progression_day=progressed,
        relapse_day=progressed,
        relapse_care_day=progressed,
        death_day=death_day,
        death_cause=np.where(np.isinf(death_day), ALIVE, DISEASE).astype(np.int8),
        adverse_events={},
        adverse_events_second_course={},
        aplasia=no,
        aplasia_second_course=no,
        retreated=no,
        responded_again=no,
        survival_days=survival,
        life_years=survival / DAYS_PER_YEAR,
        life_years_discounted=zero,
        qalys=zero,
        qalys_discounted=zero,
    )


def independent_hazards(n: int, progression: float, death: float, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return days of progression and death with constant yearly hazards, death the same before and after progression."""
    rng = np.random.default_rng(seed)
    return rng.exponential(DAYS_PER_YEAR / progression, n), rng.exponential(DAYS_PER_YEAR / death, n)


VALUES = StateValues(
    utility_progression_free=0.8,
    utility_progressed=0.5,
    follow_up_first_year_per_day=10.0,
    follow_up_later_per_day=2.0,
    progressed_per_day=30.0,
    at_progression=5_000.0,
    at_death=20_000.0,
    progressions_of_events=0.75,
)


def exponential_partition(pfs_rate: float, death_rate: float, discount: float):
    return partition(
        LawCurve(Exponential(pfs_rate)),
        LawCurve(Exponential(death_rate)),
        VALUES,
        horizon_days=HORIZON * 10.0,
        discount_rate_costs=discount,
        discount_rate_effects=discount,
    )


@pytest.mark.parametrize("discount", [0.0, 0.03])
def test_exponential_curves_have_closed_forms(discount: float) -> None:
    pfs_rate, death_rate, delta = 0.8, 0.2, math.log1p(discount)
    found = exponential_partition(pfs_rate, death_rate, discount)
    free, alive = 1.0 / (pfs_rate + delta), 1.0 / (death_rate + delta)
    # Weekly panels, in which survival and discount factor are averaged apart: six digits.
    assert found.life_years_discounted["progression-free"] == pytest.approx(free, rel=1e-6)
    assert found.life_years_discounted["progressed"] == pytest.approx(alive - free, rel=1e-6)
    assert found.qalys["progression-free"] == pytest.approx(0.8 * free, rel=1e-6)
    assert found.qalys["progressed"] == pytest.approx(0.5 * (alive - free), rel=1e-6)
    year = -math.expm1(-(pfs_rate + delta)) * free
    follow_up = DAYS_PER_YEAR * (10.0 * year + 2.0 * (free - year))
    assert found.costs["follow-up"] == pytest.approx(follow_up, rel=1e-6)
    # Events are discounted at the middle of their week: five digits.
    relapse = DAYS_PER_YEAR * 30.0 * (alive - free) + 5_000.0 * 0.75 * pfs_rate * free
    assert found.costs["relapse care"] == pytest.approx(relapse, rel=1e-5)
    assert found.costs["end of life"] == pytest.approx(20_000.0 * death_rate * alive, rel=1e-5)
    assert found.crossing is None


def test_complete_follow_up_gives_the_time_in_states_of_the_patients_exactly() -> None:
    progression, death = independent_hazards(400, 1.0, 0.4)
    progression[:100] = np.inf
    outcomes = outcomes_of(progression, death, horizon=10.0 * DAYS_PER_YEAR, wait=40.0)
    found = partition(
        *empirical_curves(outcomes),
        VALUES,
        horizon_days=outcomes.horizon_days - 40.0,
        discount_rate_costs=0.0,
        discount_rate_effects=0.0,
    )
    end = outcomes.survival_days - 40.0
    free = np.minimum(outcomes.progression_day - 40.0, end)
    assert found.life_years["progression-free"] == pytest.approx(free.mean() / DAYS_PER_YEAR, rel=1e-12)
    assert found.life_years["progressed"] == pytest.approx((end - free).mean() / DAYS_PER_YEAR, rel=1e-12)
    assert found.costs["end of life"] == pytest.approx(20_000.0 * outcomes.dead.mean(), rel=1e-12)
    assert found.crossing is None


def test_it_agrees_where_it_must() -> None:
    """Constant hazards, no cure, the same mortality before and after progression: separate extrapolation is right."""
    pfs_rate, death_rate = 0.9, 0.25
    progression, death = independent_hazards(20_000, pfs_rate - death_rate, death_rate)
    outcomes = outcomes_of(progression, death)
    curves = fitted_curves(outcomes, model="exponential", follow_up_months=24.0)
    found = partition(*curves, VALUES, horizon_days=HORIZON, discount_rate_costs=0.03, discount_rate_effects=0.03)
    truth = exponential_partition(pfs_rate, death_rate, 0.03)
    # About 8 000 events in two years: the fitted rates are known to about 1.2 %, and so are the means; three errors.
    for name, value in truth.totals.items():
        assert found.totals[name] == pytest.approx(value, rel=0.036), name


def test_it_is_far_off_where_death_follows_progression() -> None:
    """Half never progress and never die of the disease; the others die soon after: separate laws miss the plateau."""
    rng = np.random.default_rng(5)
    n = 4_000
    progression = rng.exponential(200.0, n)
    progression[: n // 2] = np.inf
    death = np.minimum(progression + rng.exponential(300.0, n), rng.exponential(15.0 * DAYS_PER_YEAR, n))
    outcomes = outcomes_of(progression, death)
    curves = fitted_curves(outcomes, model="exponential", follow_up_months=12.0)
    found = partition(*curves, VALUES, horizon_days=HORIZON, discount_rate_costs=0.0, discount_rate_effects=0.0)
    assert found.totals["life_years"] < 0.5 * outcomes.life_years.mean()


def test_crossed_curves_are_reported_and_left_as_they_are() -> None:
    pfs, alive = LawCurve(Exponential(0.1)), LawCurve(Exponential(0.2))
    found = partition(pfs, alive, VALUES, horizon_days=HORIZON, discount_rate_costs=0.0, discount_rate_effects=0.0)
    assert found.crossing is not None
    assert found.crossing.first_month == 0.0
    # exp(-0.1 t) - exp(-0.2 t) is largest, 1/4, at t = 10 ln 2.
    assert found.crossing.largest_gap == pytest.approx(0.25, abs=1e-4)
    area = (1 - math.exp(-12.0)) / 0.2 - (1 - math.exp(-6.0)) / 0.1
    assert found.crossing.negative_life_years == pytest.approx(area, rel=1e-6)
    assert found.life_years["progressed"] == pytest.approx(area, rel=1e-6)
    assert found.totals["life_years"] == pytest.approx((1 - math.exp(-12.0)) / 0.2, rel=1e-6)
    shares = occupancy(pfs, alive, [24.0])
    assert shares["progressed"][0] < 0.0
    assert sum(float(share[0]) for share in shares.values()) == pytest.approx(1.0)


def test_a_crossing_that_begins_late_is_dated() -> None:
    # Weibull of shape 0.5 and exponential meet where (t/2)^0.5 = t/4: at t = 8 years.
    found = partition(
        LawCurve(Weibull(scale=2.0, shape=0.5)),
        LawCurve(Exponential(0.25)),
        VALUES,
        horizon_days=HORIZON,
        discount_rate_costs=0.0,
        discount_rate_effects=0.0,
    )
    assert found.crossing is not None
    assert found.crossing.first_month == pytest.approx(96.0, abs=0.5)


def test_losses_of_adverse_events_run_while_patients_live() -> None:
    values = StateValues(0.8, 0.5, while_alive=((0.5, 0.2, 0.0, 100.0), (1.0, 0.0, 7.0, 100.0)))
    found = partition(
        LawCurve(Exponential(0.8)),
        LawCurve(Exponential(0.4)),
        values,
        horizon_days=HORIZON,
        discount_rate_costs=0.0,
        discount_rate_effects=0.0,
    )
    alive = -math.expm1(-0.4 * 100.0 / DAYS_PER_YEAR) / 0.4
    assert found.qalys["adverse events"] == pytest.approx(-0.5 * 0.2 * alive, rel=1e-6)
    assert found.costs["immunoglobulin"] == pytest.approx(7.0 * alive * DAYS_PER_YEAR, rel=1e-6)


def test_age_lowers_utility_by_its_mean_over_the_time_alive() -> None:
    # m(t) = 1 - 0.01 t and exponential survival: the integral of exp(-r t)(1 - 0.01 t) is 1/r - 0.01/r^2.
    adjustment = AgeAdjustment(np.array([-0.01]), np.array([0.0]))
    found = partition(
        LawCurve(Exponential(0.5)),
        LawCurve(Exponential(0.5)),
        StateValues(1.0, 1.0),
        horizon_days=HORIZON,
        discount_rate_costs=0.0,
        discount_rate_effects=0.0,
        age_adjustment=adjustment,
    )
    assert found.totals["qalys"] == pytest.approx(1 / 0.5 - 0.01 / 0.25, rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0.05, 3.0),
    st.floats(0.05, 3.0),
    st.floats(0.0, 0.06),
    st.floats(1.0, 40.0),
)
def test_states_sum_to_survival_and_discounting_only_lowers(
    first: float, second: float, rate: float, years: float
) -> None:
    def run(discount: float):
        return partition(
            LawCurve(Exponential(first)),
            LawCurve(Weibull(scale=1.0 / second, shape=0.8)),
            VALUES,
            horizon_days=years * DAYS_PER_YEAR,
            discount_rate_costs=discount,
            discount_rate_effects=discount,
        )

    plain, discounted = run(0.0), run(rate)
    assert plain.totals["life_years"] == pytest.approx(
        Weibull(scale=1.0 / second, shape=0.8).restricted_mean(years), rel=2e-4
    )
    assert discounted.totals["life_years_discounted"] <= plain.totals["life_years"] * (1 + 1e-12)
    assert discounted.totals["life_years"] == pytest.approx(plain.totals["life_years"], rel=1e-12)


def test_empirical_curve_is_the_kaplan_meier_step() -> None:
    outcomes = outcomes_of(np.array([10.0, 20.0, np.inf, 5.0]), np.array([30.0, 20.0, 40.0, 50.0]), horizon=45.0)
    pfs, alive = empirical_curves(outcomes)
    curve: SurvivalCurve = pfs
    assert isinstance(pfs, EmpiricalCurve) and curve.label == "Kaplan-Meier"
    np.testing.assert_allclose(pfs.survival(np.array([0.0, 5.0, 10.0, 20.0, 40.0])), [1.0, 0.75, 0.5, 0.25, 0.0])
    np.testing.assert_allclose(alive.survival(np.array([0.0, 20.0, 30.0, 40.0, 44.0])), [1.0, 0.75, 0.5, 0.25, 0.25])
    progression_free, overall = infused_times(outcomes)
    assert (progression_free.events, overall.events) == (4, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda o: fitted_curves(o, model="weibul"), "unknown survival model"),
        (lambda o: fitted_curves(o, follow_up_months=0.0), "follow-up must be above zero"),
        (lambda o: fitted_curves(o, follow_up_months=float("nan")), "follow-up must be above zero"),
        (lambda o: occupancy(*empirical_curves(o), [-1.0]), "months must be finite"),
        (
            lambda o: partition(
                *empirical_curves(o), VALUES, horizon_days=0.0, discount_rate_costs=0.0, discount_rate_effects=0.0
            ),
            "horizon must be above zero",
        ),
        (
            lambda o: partition(
                *empirical_curves(o), VALUES, horizon_days=9.0, discount_rate_costs=-0.1, discount_rate_effects=0.0
            ),
            "must not be negative",
        ),
    ],
)
def test_bad_input(call, message: str) -> None:
    outcomes = outcomes_of(*independent_hazards(50, 1.0, 0.5))
    with pytest.raises(InputError, match=message):
        call(outcomes)


def test_nobody_infused() -> None:
    outcomes = outcomes_of(np.array([1.0]), np.array([2.0]), horizon=5.0, wait=6.0)
    with pytest.raises(InputError, match="infused patients"):
        infused_times(outcomes)


def test_excess_over_background_is_recovered_and_goes_on_with_the_background() -> None:
    """Constant background of 0.04 and excess of 0.3 a year: both known, so the fitted excess and survival are too."""
    n = 20_000
    _, death = independent_hazards(n, 1.0, 0.34)
    outcomes = outcomes_of(np.full(n, np.inf), death)
    constant = BackgroundHazard(np.array([0.0, 120.0]), np.array([0.0, 4.8]), np.array([0.0, 4.8]))
    background = PopulationBackground(np.full(n, 40.25), np.zeros(n, dtype=np.bool_), constant)
    _, curve = fitted_curves(outcomes, model="exponential", follow_up_months=24.0, background=background)
    # About 10 000 deaths in two years: the hazard is known to 1 % of 0.34; three errors.
    assert curve.fitted.parameters["rate"] * 12.0 == pytest.approx(0.3, abs=0.0102)
    years = np.array([0.5, 5.0, 20.0])
    rate = curve.fitted.parameters["rate"] * 12.0
    np.testing.assert_allclose(curve.survival(years * DAYS_PER_YEAR), np.exp(-(rate + 0.04) * years), rtol=1e-9)
    twice = PopulationBackground(background.age, background.female, constant, standardised_mortality_ratio=2.0)
    np.testing.assert_allclose(twice.survival(years * DAYS_PER_YEAR), np.exp(-0.08 * years), rtol=1e-9)


def test_background_of_a_group_is_the_mean_of_its_people() -> None:
    hazard = background_hazard("us", 2019)
    age, female = np.array([30.0, 62.7, 85.1]), np.array([True, False, True])
    background = PopulationBackground(age, female, hazard, 1.5)
    days = np.array([0.0, 45.0, 400.0, 5_000.0, 15_000.0])
    years = days / DAYS_PER_YEAR
    passed = np.stack([hazard.cumulative(age + t, female) - hazard.cumulative(age, female) for t in years])
    # Log-linear between whole months.
    np.testing.assert_allclose(background.survival(days), np.exp(-1.5 * passed).mean(axis=1), rtol=1e-4)
    rates = background.rates(np.array([12.0, 12.0, 12.0]))
    np.testing.assert_allclose(rates.cumulative, hazard.cumulative(age + 1.0, female) - hazard.cumulative(age, female))


def test_months_and_days_agree() -> None:
    outcomes = outcomes_of(*independent_hazards(2_000, 1.0, 0.5))
    pfs, _ = fitted_curves(outcomes, model="exponential", follow_up_months=600.0)
    median = pfs.fitted.law().quantile(0.5)
    assert float(pfs.survival(np.array([float(median) * DAYS_PER_MONTH]))[0]) == pytest.approx(0.5, abs=1e-9)
