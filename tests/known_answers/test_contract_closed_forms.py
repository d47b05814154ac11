"""Contracts on the curve S(t) = 0.4 + 0.6 e^-t, price 320 000, 3 % a year: printed answers and textbook formulas.

The four rows of the first table are arithmetic on the curve (to the cent). The rebate variance is that of the FoCUS
authors' rebate simulation, p (1 - p) [(1 - 1/n) / c + 1/n]. Simulation is asked to agree within four Monte Carlo
standard errors.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from cartsight.economics import annuity_present_value
from cartsight.economics.contracts import (
    Annuity,
    Assessment,
    Clause,
    ClosedForm,
    Contract,
    CounterpartyDefault,
    CurvePatients,
    FlatRebate,
    FollowUp,
    FreeRemake,
    Milestone,
    MixtureCurve,
    OutOfSpecification,
    PointCurve,
    PooledFailure,
    PriceVolume,
    Refund,
    Subscription,
    Terms,
    Turnover,
    UpFront,
    certainty_equivalent_cost,
    closed_form,
    rebate_standard_deviation,
    registry_information,
    run_cohort_size,
    run_contract,
)

PRICE = 320_000.0
PATIENTS = CurvePatients(MixtureCurve(cured=0.4))
THIRD = 1.0 / 3.0


def contract(*clauses: Clause, **terms: object) -> Contract:
    return Contract(PRICE, clauses, Terms(**terms))  # type: ignore[arg-type]


def exact(item: Contract, patients: CurvePatients = PATIENTS, pool: int = 100) -> ClosedForm:
    found = closed_form(item, patients, pool_patients=pool)
    assert isinstance(found, ClosedForm), found
    return found


def simulated(item: Contract, patients: CurvePatients = PATIENTS, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    ledger = run_contract(item, patients.cohort(600, 100, seed, stratified=True))
    return ledger.nominal(), ledger.present_value()


PRINTED = {
    "up front": ((UpFront("a", share=1.0),), 320_000.00, 320_000.00),
    "52 and 48 at 18 months": (
        (UpFront("a", share=0.52), Milestone("b", share=0.48, month=18)),
        248_403.68,
        244_847.21,
    ),
    "thirds at 0, 6, 12 months": (
        (UpFront("a", share=THIRD), Milestone("b", share=THIRD, month=6), Milestone("c", share=THIRD, month=12)),
        254_362.25,
        251_238.33,
    ),
    "thirds at 6, 9, 12 months": (
        tuple(Milestone(str(month), share=THIRD, month=month) for month in (6, 9, 12)),
        220_593.71,
        215_871.49,
    ),
}


@pytest.mark.parametrize("name", PRINTED)
def test_printed_answers_to_the_cent(name: str) -> None:
    clauses, nominal, value = PRINTED[name]
    found = exact(contract(*clauses))
    assert found.nominal == pytest.approx(nominal, abs=0.005)
    assert found.present_value == pytest.approx(value, abs=0.005)


@pytest.mark.parametrize("name", PRINTED)
def test_simulation_agrees_with_the_printed_answers(name: str) -> None:
    clauses, nominal, value = PRINTED[name]
    for values, answer in zip(simulated(contract(*clauses)), (nominal, value), strict=True):
        assert abs(values.mean() - answer) <= 4.0 * values.std() / math.sqrt(values.size) + 0.005


@pytest.mark.parametrize(("cohort", "answer"), [(15, 0.1194), (100, 0.0611)])
def test_rebate_variance(cohort: int, answer: float) -> None:
    assert rebate_standard_deviation(0.75, cohort, 100) == pytest.approx(answer, abs=5e-5)
    # A rebate of the whole price for each failure, as a contract: failures are certain within a month.
    patients = CurvePatients(MixtureCurve(rate_per_year=200.0, cured=0.75))
    item = Contract(1.0, (UpFront("a", share=1.0), Refund("b", share=1.0, month=12)), Terms(0.0, 0.0))
    found = run_cohort_size(item, patients, cohort, 5, trial_patients=100, pools=8_000)
    # The standard deviation of 8 000 pools is known to 1 / sqrt(2 x 8000) = 0.8 %; three of these are allowed.
    assert found.nominal.sd == pytest.approx(answer, rel=0.024)
    assert found.nominal.mean == pytest.approx(0.75, abs=4 * answer / math.sqrt(8_000))


def test_known_success_leaves_only_the_binomial_spread() -> None:
    assert rebate_standard_deviation(0.75, 15) == pytest.approx(math.sqrt(0.75 * 0.25 / 15))


@pytest.mark.parametrize("advance", [True, False])
def test_annuity_of_a_certain_patient_is_the_annuity_formula(advance: bool) -> None:
    patients = CurvePatients(MixtureCurve(cured=1.0))
    item = contract(Annuity("a", share=1.0, payments_count=5, first_month=0.0 if advance else 12.0))
    formula = float(annuity_present_value(PRICE / 5, 5, 0.03, in_advance=advance))
    assert exact(item, patients).present_value == pytest.approx(formula, rel=1e-12)
    assert simulated(item, patients)[1].mean() == pytest.approx(formula, rel=1e-12)


def test_annuity_with_stop() -> None:
    """Sum of S(k) v^k / 5 over five years."""
    years = np.arange(5)
    answer = PRICE / 5 * float(np.sum((0.4 + 0.6 * np.exp(-years)) * 1.03**-years))
    assert exact(contract(Annuity("a", share=1.0))).present_value == pytest.approx(answer, rel=1e-12)


def test_linear_warranty() -> None:
    """Integral of (1 - t / U) 0.6 e^-t over [0, U] is 0.6 [1 - (1 - e^-U) / U]."""
    until = 2.0
    item = contract(UpFront("a", share=1.0), Refund("b", share=1.0, until_month=24, decline="linear"))
    answer = PRICE * (1.0 - 0.6 * (1.0 - (1.0 - math.exp(-until)) / until))
    assert exact(item).nominal == pytest.approx(answer, rel=1e-10)
    # Discounted: the same with hazards and weights under v^t; delta = ln 1.03, k = 1 + delta.
    k = 1.0 + math.log(1.03)
    inside = (1.0 - math.exp(-k * until)) / k - (1.0 - math.exp(-k * until) * (1.0 + k * until)) / (k * k * until)
    assert exact(item).present_value == pytest.approx(PRICE * (1.0 - 0.6 * inside), rel=1e-10)


def test_stepped_warranty() -> None:
    item = contract(UpFront("a", share=1.0), Refund("b", share=1.0, until_month=24, steps=((6.0, 0.8), (24.0, 0.3))))
    fail = [0.6 * (1.0 - math.exp(-t)) for t in (0.5, 2.0)]
    answer = PRICE * (1.0 - 0.8 * fail[0] - 0.3 * (fail[1] - fail[0]))
    assert exact(item).nominal == pytest.approx(answer, rel=1e-10)


def test_pooled_failure_is_a_binomial_expectation() -> None:
    item = contract(UpFront("a", share=1.0), PooledFailure("b", share=1.0, threshold=0.4, month=12))
    p = 0.6 * (1.0 - math.exp(-1.0))
    k = np.arange(101)
    answer = PRICE * (1.0 - float(np.sum(binom.pmf(k, 100, p) * np.maximum(k - 40, 0))) / 100)
    assert exact(item).nominal == pytest.approx(answer, rel=1e-12)


def test_price_volume_tiers_and_subscription() -> None:
    tiers = contract(UpFront("a", share=1.0), PriceVolume("b", tiers=((30, 0.2), (60, 0.5))))
    assert exact(tiers).nominal == pytest.approx(PRICE * (30 + 30 * 0.8 + 40 * 0.5) / 100)
    whole = contract(UpFront("a", share=1.0), PriceVolume("b", tiers=((30, 0.2), (60, 0.5)), applies_to="all"))
    assert exact(whole).nominal == pytest.approx(PRICE * 0.5)
    fee = contract(Subscription("a", amount_per_year=2e6, patients_per_year=8))
    assert exact(fee).present_value == pytest.approx(250_000.0)


def test_remakes_and_products_out_of_specification() -> None:
    patients = CurvePatients(MixtureCurve(cured=0.4), out_of_specification=0.1, remake=0.2)
    item = contract(UpFront("a", share=1.0), OutOfSpecification("b", 0.25), FreeRemake("c", amount=50_000.0, free=1))
    # E (R - 1)+ of a geometric number of remakes is p^2 / (1 - p).
    answer = PRICE * (0.9 + 0.1 * 0.25) + 50_000.0 * 0.2**2 / 0.8
    assert exact(item, patients).nominal == pytest.approx(answer, rel=1e-12)
    values = simulated(item, patients)[0]
    assert abs(values.mean() - answer) <= 4.0 * values.std() / math.sqrt(values.size)


def test_loss_to_follow_up_by_rule() -> None:
    """Competing exponentials: seen e^-(0.2 t) S(t), and for `last` the integral of 0.2 e^-0.2x S(x)."""
    t, rate = 1.5, 0.2
    seen = math.exp(-rate * t) * (0.4 + 0.6 * math.exp(-t))
    lost = 1.0 - math.exp(-rate * t)
    last = rate * (0.4 * lost / rate + 0.6 * (1.0 - math.exp(-(1.0 + rate) * t)) / (1.0 + rate))
    for rule, chance in (("failure", seen), ("success", seen + lost), ("last", seen + last)):
        item = contract(
            Milestone("m", share=1.0, month=18, missing_data=rule),  # type: ignore[arg-type]
            follow_up=FollowUp(rate),
        )
        assert exact(item).nominal == pytest.approx(PRICE * chance, rel=1e-10)


def test_turnover_by_rule() -> None:
    t, mu = 1.5, 0.3
    s = 0.4 + 0.6 * math.exp(-t)
    # Leaving before the visit while in remission: integral of mu e^-(mu x) S(x).
    left = 0.4 * (1.0 - math.exp(-mu * t)) + 0.6 * mu / (1.0 + mu) * (1.0 - math.exp(-(1.0 + mu) * t))
    answers = {"transfer": s, "stop": s * math.exp(-mu * t), "lump_sum": s * math.exp(-mu * t) + 0.7 * left}
    for rule, answer in answers.items():
        item = contract(
            Milestone("m", share=1.0, month=18),
            turnover=Turnover(mu, rule, 0.7),  # type: ignore[arg-type]
        )
        assert exact(item).nominal == pytest.approx(PRICE * answer, rel=1e-10)


def test_assessment_and_indexation_and_default() -> None:
    item = contract(
        Milestone("m", share=1.0, month=12),
        assessment=Assessment(0.9, 0.8),
        indexation_per_year=0.05,
        default=CounterpartyDefault(payer_per_year=0.1, recovery=0.5),
    )
    s = 0.4 + 0.6 * math.exp(-1.0)
    paid = math.exp(-0.1) + 0.5 * (1.0 - math.exp(-0.1))
    answer = PRICE * (0.9 * s + 0.2 * (1.0 - s)) * 1.05 * paid
    assert exact(item).nominal == pytest.approx(answer, rel=1e-12)


CASES: dict[str, Contract] = {
    "everything on a milestone": contract(
        UpFront("a", share=0.3),
        Milestone("m", share=0.7, month=12, window_months=4, missing_data="last"),
        follow_up=FollowUp(0.15),
        assessment=Assessment(0.92, 0.85, 2.0),
        turnover=Turnover(0.1, "lump_sum", 0.8),
        indexation_per_year=0.02,
        default=CounterpartyDefault(0.02, 0.03, 0.4),
    ),
    "annuity, lost patients go on": contract(
        Annuity("a", share=1.0, payments_count=6, interval_months=6, missing_data="success"),
        follow_up=FollowUp(0.3),
        turnover=Turnover(0.1, "stop"),
    ),
    "warranty at visits": contract(
        UpFront("a", share=1.0),
        Refund("r", share=0.9, until_month=20, decline="linear", visit_every_months=3),
        follow_up=FollowUp(0.2),
        assessment=Assessment(specificity=0.9, payment_delay_months=1.0),
        default=CounterpartyDefault(0.05, 0.0, 0.2),
    ),
    "flat rebate before tiers": contract(
        UpFront("a", share=1.0), FlatRebate("f", 0.1), PriceVolume("v", tiers=((40, 0.3),))
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_closed_form_and_simulation_are_two_ways_to_one_number(name: str) -> None:
    item = CASES[name]
    found = exact(item)
    ledger = run_contract(item, PATIENTS.cohort(2_000, 50, 11))
    for values, answer in ((ledger.nominal(), found.nominal), (ledger.present_value(), found.present_value)):
        pools = values.mean(axis=1)
        # Tiers see pools of 50 here and of 100 in the closed form; that case has no noise and is checked alone.
        if "tiers" in name:
            fifty = exact(item, pool=50)
            assert pools.mean() == pytest.approx(fifty.nominal, rel=1e-12)
            continue
        assert abs(pools.mean() - answer) <= 4.0 * pools.std() / math.sqrt(pools.size)


@pytest.mark.parametrize(
    "curve",
    [
        MixtureCurve("weibull", 0.8, 1.4, 0.2),
        MixtureCurve("log_logistic", 0.8, 1.4, 0.2),
        MixtureCurve("lognormal", 0.8, 1.1, 0.2),
        MixtureCurve("gompertz", 0.6, -0.5),
        PointCurve((0.5, 1.0, 3.0), (0.8, 0.6, 0.55)),
    ],
)
def test_every_curve_inverts_itself(curve: MixtureCurve | PointCurve) -> None:
    u = np.linspace(0.6, 0.99, 40)
    assert curve.survival(curve.quantile(u)) == pytest.approx(u, rel=1e-9)
    assert float(curve.survival(0.0)) == 1.0


def test_certainty_equivalent_of_a_normal_cost() -> None:
    """ln E e^(aX) / a of a normal cost is its mean plus a variance / 2."""
    cost = np.random.default_rng(4).normal(100.0, 10.0, 400_000)
    assert certainty_equivalent_cost(cost, 0.02) == pytest.approx(100.0 + 0.02 * 100.0 / 2.0, abs=0.1)


def test_registry_information_against_perfect_information() -> None:
    """With prior Beta(1, 1) and a linear benefit v p - c, perfect information is worth (v - c)^2 / (2 v) - (v/2 - c)+."""
    v, c = 100.0, 60.0
    known = {"success": 0.5, "trial_patients": 2, "future_patients": 1.0, "value_of_success": v}
    large = registry_information(registry_patients=20_000, cost_of_success=c, cost_of_failure=c, **known)  # type: ignore[arg-type]
    assert large.perfect_per_patient == pytest.approx((v - c) ** 2 / (2 * v), rel=1e-12)
    assert large.per_patient == pytest.approx(large.perfect_per_patient, rel=1e-3)
    one = registry_information(registry_patients=1, cost_of_success=c, cost_of_failure=c, **known)  # type: ignore[arg-type]
    # After one success the mean is 2/3: gain (66.7 - 60) with probability 1/2.
    assert one.per_patient == pytest.approx(0.5 * (v * 2 / 3 - c), rel=1e-9)
