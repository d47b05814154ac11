"""The whole evaluation of a contract: patients of a scenario, pools, flat equivalent, tracking, risks."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.economics.contracts import (
    Administration,
    Contract,
    CounterpartyDefault,
    CurvePatients,
    FollowUp,
    Milestone,
    MixtureCurve,
    OutOfSpecification,
    Refund,
    SimulatedPatients,
    Subscription,
    Terms,
    Turnover,
    UpFront,
    evaluate_contract,
    flat_contract,
    run_cohort_size,
    run_contract,
)

PRICE = 100_000.0
CURVE = CurvePatients(MixtureCurve(cured=0.4))


def simulated(success: float, n: int = 400) -> SimulatedPatients:
    """Patients of whom a share never fails and the others fail after half a year; a tenth out of specification."""
    ends = np.where(np.arange(n) < success * n, np.inf, 0.5)
    return SimulatedPatients(
        remission_end_years=ends,
        complete_response_end_years=np.minimum(ends, np.where(np.arange(n) % 4 == 0, 0.1, np.inf)),
        death_years=np.where(np.isfinite(ends), 2.0, 30.0),
        out_of_specification=np.arange(n) % 10 == 0,
        remakes=(np.arange(n) % 5 == 0).astype(np.int64),
        calendar_years=np.linspace(1.0, 3.0, n),
        referred=500,
    )


def test_every_infused_patient_counts_once() -> None:
    item = Contract(PRICE, (UpFront("u", share=0.5), Milestone("m", share=0.5, month=12)))
    found = evaluate_contract(item, simulated(0.3), cohort_sizes=(15,))
    assert found.patients == 400
    assert found.expected_nominal == pytest.approx(PRICE * (0.5 + 0.5 * 0.3))
    assert found.cash_flow_by_year[0]["payer"] > 0 and found.flat_rebate.rebate_share > 0.35
    assert simulated(0.3).infused_share == 0.8


def test_endpoints_of_simulated_patients() -> None:
    source = simulated(0.4)

    def share(endpoint: str, month: float) -> float:
        item = Contract(1.0, (Milestone("m", share=1.0, month=month, endpoint=endpoint),))  # type: ignore[arg-type]
        return float(run_contract(item, source.all(1)).nominal().mean())

    assert share("remission", 12) == pytest.approx(0.4)
    assert share("complete_response", 12) == pytest.approx(0.3)
    assert share("survival", 12) == 1.0
    assert share("survival", 36) == pytest.approx(0.4)
    off = Contract(1.0, (UpFront("u", share=1.0), OutOfSpecification("o", 0.25)))
    assert run_contract(off, source.all(1)).nominal().mean() == pytest.approx(0.9 + 0.1 * 0.25)


def test_the_trial_behind_resampled_patients_widens_the_spread() -> None:
    item = Contract(1.0, (Milestone("m", share=1.0, month=12),), Terms(0.0, 0.0))
    found = run_cohort_size(item, simulated(0.4), 50, 3, trial_patients=60, pools=4_000)
    answer = math.sqrt(0.24 * ((1 - 1 / 60) / 50 + 1 / 60))
    assert found.nominal.sd == pytest.approx(answer, rel=0.035)


def test_a_default_hits_pools_and_not_single_patients() -> None:
    item = Contract(
        PRICE,
        (UpFront("u", share=1.0), Refund("r", share=1.0, month=12)),
        Terms(0.0, 0.0, default=CounterpartyDefault(manufacturer_per_year=0.5)),
    )
    found = evaluate_contract(item, simulated(0.0), patients=40_000, pool_patients=40, cohort_sizes=(40,))
    # All fail by 12 months; the refund comes when the firm lives: e^-0.5 of pools pay nothing, the others everything.
    assert found.expected_nominal == pytest.approx(PRICE * (1 - math.exp(-0.5)), abs=4 * found.standard_error)
    spread = PRICE * math.sqrt(math.exp(-0.5) * (1 - math.exp(-0.5)) / 1000)
    assert found.standard_error == pytest.approx(spread, rel=0.05)
    whole = evaluate_contract(item, simulated(0.0), pool_patients=40, cohort_sizes=(40,))
    assert whole.patients > 400


def test_flat_contract_costs_the_same() -> None:
    item = Contract(PRICE, (UpFront("u", share=0.4), Milestone("m", share=0.6, month=24)))
    found = evaluate_contract(item, CURVE, patients=10_000, cohort_sizes=(15, 100))
    flat = flat_contract(item, found.expected_present_value)
    again = evaluate_contract(flat, CURVE, patients=1_000, cohort_sizes=(15,))
    assert again.expected_present_value == pytest.approx(found.expected_present_value)
    assert again.sizes[0].nominal.sd == pytest.approx(0.0, abs=1e-6)
    premiums = [c.payer_risk_premium for c in found.flat_rebate.certainty_equivalents]
    assert premiums[0] > premiums[1] > 0.0


def test_tracking_follows_patients_until_they_die_or_are_lost() -> None:
    terms = Terms(administration=Administration(5_000.0, 300.0, months=30.0))
    item = Contract(PRICE, (UpFront("u", share=1.0),), terms)
    ledger = run_contract(item, simulated(0.5).all(1))
    # Half die after 2 years, the others are followed for 2.5.
    assert ledger.administration().mean() == pytest.approx(5_000 / 400 + 300 * (0.5 * 2.0 + 0.5 * 2.5))
    assert ledger.payer_cost().mean() == pytest.approx(PRICE + ledger.administration().mean())
    firm = Contract(
        PRICE, item.clauses, replace(terms, administration=replace(terms.administration, paid_by="manufacturer"))
    )
    paid = run_contract(firm, simulated(0.5).all(1))
    assert paid.payer_cost().mean() == pytest.approx(PRICE)
    assert paid.manufacturer_present_value().mean() < PRICE


def test_who_bears_which_risk() -> None:
    up_front = evaluate_contract(Contract(PRICE, (UpFront("u", share=1.0),)), CURVE, patients=2_000, cohort_sizes=(15,))
    assert [(r.risk, r.borne_by) for r in up_front.risks] == [("outcomes", "payer")]
    item = Contract(
        PRICE,
        (Milestone("m", share=1.0, month=12),),
        Terms(turnover=Turnover(0.3, "stop"), follow_up=FollowUp(0.2), administration=Administration(0.0, 500.0)),
    )
    rows = {r.risk: r for r in evaluate_contract(item, CURVE, patients=20_000, cohort_sizes=(15,)).risks}
    assert rows["outcomes"].borne_by == "both"
    assert rows["turnover"].borne_by == rows["data loss"].borne_by == "manufacturer"
    assert rows["administration"].borne_by == "payer"
    fee = Contract(PRICE, (Subscription("s", 1e6, 10),))
    volume = {r.risk: r for r in evaluate_contract(fee, CURVE, patients=2_000, cohort_sizes=(15,)).risks}["volume"]
    assert volume.payer == pytest.approx(25_000.0) and volume.borne_by == "payer"


def test_survival_needs_a_curve() -> None:
    item = Contract(PRICE, (Milestone("m", share=1.0, month=12, endpoint="survival"),))
    with pytest.raises(InputError, match="survival"):
        evaluate_contract(item, CURVE, patients=1_000)
