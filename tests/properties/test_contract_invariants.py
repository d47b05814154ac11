"""Invariants of every contract: sums, discounting, monotony in failures, limits of refunds, conservation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.core.errors import InputError
from cartsight.economics.contracts import (
    Administration,
    Annuity,
    Assessment,
    Clause,
    Contract,
    ContractCohort,
    CounterpartyDefault,
    CurvePatients,
    FollowUp,
    Milestone,
    MixtureCurve,
    OutOfSpecification,
    PooledFailure,
    PriceVolume,
    Refund,
    SpendingCap,
    Subscription,
    Terms,
    Turnover,
    UpFront,
    run_contract,
)
from cartsight.economics.contracts.risk_bearing import earlier_failures

FEW = settings(max_examples=25, deadline=None)
shares = st.floats(0.0, 1.0)
months = st.sampled_from([0.0, 3.0, 6.0, 12.0, 18.0, 30.0])
endpoints = st.sampled_from(["remission", "survival", "complete_response"])
rules = st.sampled_from(["success", "failure", "last"])


@st.composite
def clause_lists(draw: st.DrawFn) -> tuple[Clause, ...]:
    first: list[Clause] = [UpFront("up front", share=draw(shares))]
    for k in range(draw(st.integers(0, 2))):
        first.append(
            Milestone(
                f"milestone {k}",
                share=draw(shares),
                month=draw(months),
                endpoint=draw(endpoints),
                window_months=draw(st.sampled_from([0.0, 4.0])),
                missing_data=draw(rules),
            )
        )
    if draw(st.booleans()):
        first.append(
            Annuity("annuity", share=draw(shares), stop_on=draw(st.sampled_from([None, "remission", "survival"])))
        )
    if draw(st.booleans()):
        first.append(
            Refund(
                "warranty",
                share=draw(shares),
                endpoint=draw(endpoints),
                until_month=24.0,
                decline=draw(st.sampled_from(["none", "linear"])),
                visit_every_months=draw(st.sampled_from([0.0, 5.0])),
                missing_data=draw(st.sampled_from(["success", "last"])),
            )
        )
    if draw(st.booleans()):
        first.append(Refund("refund", share=draw(shares), month=draw(months), endpoint=draw(endpoints)))
    if draw(st.booleans()):
        first.append(PooledFailure("pooled", share=draw(shares), threshold=draw(shares), month=draw(months)))
    return tuple(first)


@st.composite
def all_terms(draw: st.DrawFn) -> Terms:
    return Terms(
        payer_rate=draw(st.sampled_from([0.0, 0.03, 0.1])),
        manufacturer_rate=draw(st.sampled_from([0.0, 0.08])),
        indexation_per_year=draw(st.sampled_from([0.0, 0.02])),
        assessment=draw(st.sampled_from([Assessment(), Assessment(0.9, 0.8, 1.0)])),
        follow_up=FollowUp(draw(st.sampled_from([0.0, 0.4]))),
        turnover=Turnover(draw(st.sampled_from([0.0, 0.4])), draw(st.sampled_from(["stop", "transfer", "lump_sum"]))),
        default=draw(st.sampled_from([CounterpartyDefault(), CounterpartyDefault(0.1, 0.1, 0.3)])),
        administration=draw(st.sampled_from([Administration(), Administration(1000.0, 200.0)])),
    )


def patients(seed: int, pools: int = 6, size: int = 25) -> ContractCohort:
    source = CurvePatients(
        MixtureCurve(rate_per_year=1.2, cured=0.3),
        MixtureCurve(rate_per_year=0.5, cured=0.35),
        out_of_specification=0.2,
        remake=0.3,
    )
    return source.cohort(pools, size, seed)


@FEW
@given(clause_lists(), all_terms(), st.integers(1, 50))
def test_ledger_sums_to_its_totals(clauses: tuple[Clause, ...], terms: Terms, seed: int) -> None:
    ledger = run_contract(Contract(1000.0, clauses, terms), patients(seed))
    rows = [row for row in ledger.rows() if row["counterparty"] == "manufacturer"]
    assert sum(row["amount"] for row in rows) == pytest.approx(ledger.nominal().sum(), abs=1e-6)
    discounted = sum(row["amount"] * row["payer_discount_factor"] for row in rows)
    assert discounted == pytest.approx(ledger.present_value().sum(), abs=1e-6)
    whole = ledger.nominal().mean() + ledger.administration().mean()
    assert sum(v["nominal"] for v in ledger.by_clause().values()) == pytest.approx(whole, abs=1e-6)
    assert sum(v for v in ledger.by_payer().values()) == pytest.approx(ledger.nominal(), abs=1e-6)
    flow = ledger.cash_flow()
    pools = ledger.start_years.shape[0]
    assert sum(r["manufacturer"] for r in flow) * pools == pytest.approx(ledger.nominal().sum(), abs=1e-6)
    for row in flow:
        assert row["payer"] + row["next_payer"] == pytest.approx(row["manufacturer"] + row["registry"], abs=1e-6)
    assert ledger.cost_ledger().total() == pytest.approx(ledger.payer_cost().sum(), abs=1e-6)


@FEW
@given(clause_lists(), all_terms(), st.integers(1, 50))
def test_without_discounting_present_value_is_nominal(clauses: tuple[Clause, ...], terms: Terms, seed: int) -> None:
    ledger = run_contract(Contract(1000.0, clauses, replace(terms, payer_rate=0.0)), patients(seed))
    assert ledger.present_value() == pytest.approx(ledger.nominal(), abs=1e-9)


@FEW
@given(clause_lists(), all_terms(), st.integers(1, 50))
def test_refunds_never_exceed_what_was_paid(clauses: tuple[Clause, ...], terms: Terms, seed: int) -> None:
    cohort = patients(seed)
    ledger = run_contract(Contract(1000.0, clauses, terms), cohort)
    assert ledger.nominal().min() >= -1e-9
    # At every date of a refund, too: what has come back by then was paid by then.
    for refund in ledger.product_blocks:
        if np.all(refund.amount >= 0.0):
            continue
        balance = np.zeros(cohort.shape)
        for block in ledger.product_blocks:
            balance += np.where(block.years <= np.asarray(refund.years) + 1e-9, block.amount, 0.0)
        assert np.all((balance >= -1e-9) | (refund.amount == 0.0))


@FEW
@given(clause_lists(), st.sampled_from([Assessment(), Assessment(0.9, 0.8)]), st.integers(1, 50), st.floats(0.05, 1.0))
def test_earlier_failures_never_raise_the_payment(
    clauses: tuple[Clause, ...], assessment: Assessment, seed: int, factor: float
) -> None:
    terms = Terms(0.0, 0.0, assessment=assessment)
    item = Contract(1000.0, clauses, terms)
    cohort = patients(seed)
    before = run_contract(item, cohort).nominal()
    after = run_contract(item, earlier_failures(cohort, factor)).nominal()
    # Under a pooled refund the pool as a whole pays no more; a single patient may, when others share the refund.
    if item.pooled:
        before, after = before.sum(axis=1), after.sum(axis=1)
    assert np.all(after <= before + 1e-9)


@FEW
@given(clause_lists(), all_terms(), st.integers(1, 50))
def test_transfer_conserves_what_payers_pay_together(clauses: tuple[Clause, ...], terms: Terms, seed: int) -> None:
    item = Contract(1000.0, clauses, terms)
    cohort = patients(seed)
    moved = run_contract(item.with_terms(turnover=Turnover(0.5, "transfer")), cohort)
    stayed = run_contract(item.with_terms(turnover=Turnover()), cohort)
    assert moved.nominal() == pytest.approx(stayed.nominal(), abs=1e-9)
    assert moved.present_value() == pytest.approx(stayed.present_value(), abs=1e-9)


@FEW
@given(shares, endpoints, rules, st.integers(1, 50))
def test_milestone_at_infusion_is_up_front(share: float, endpoint: str, rule: str, seed: int) -> None:
    at_zero = Milestone("m", share=share, month=0.0, endpoint=endpoint, missing_data=rule)  # type: ignore[arg-type]
    cohort = patients(seed)
    terms = Terms(follow_up=FollowUp(0.3), turnover=Turnover(0.3, "stop"))
    first = run_contract(Contract(1000.0, (at_zero,), terms), cohort)
    second = run_contract(Contract(1000.0, (UpFront("u", share=share),), terms), cohort)
    assert first.nominal() == pytest.approx(second.nominal())
    assert first.present_value() == pytest.approx(second.present_value())


@FEW
@given(clause_lists(), st.integers(1, 50), st.floats(0.0, 0.2), st.floats(0.0, 0.2))
def test_discounting_is_monotone_without_refunds(
    clauses: tuple[Clause, ...], seed: int, low: float, more: float
) -> None:
    paying = tuple(c for c in clauses if not isinstance(c, (Refund, PooledFailure)))
    ledger = run_contract(Contract(1000.0, paying), patients(seed))
    assert np.all(ledger.present_value(low + more) <= ledger.present_value(low) + 1e-9)


@FEW
@given(st.floats(0.0, 30_000.0), st.integers(1, 50))
def test_cap_holds_in_every_year_and_lowers_nothing_below_it(cap: float, seed: int) -> None:
    item = Contract(1000.0, (UpFront("u", share=0.6), Milestone("m", share=0.4, month=9), SpendingCap("cap", cap)))
    cohort = patients(seed)
    ledger = run_contract(item, cohort)
    free = run_contract(Contract(1000.0, item.clauses[:2]), cohort)
    pools = cohort.shape[0]
    for pool in range(pools):
        rows = [r for r in ledger.rows() if r["pool"] == pool]
        loose = [r for r in free.rows() if r["pool"] == pool]
        for year in range(3):
            spent = sum(r["amount"] for r in rows if int(r["day"] / 365.25 + 1e-9) == year)
            without = sum(r["amount"] for r in loose if int(r["day"] / 365.25 + 1e-9) == year)
            assert spent == pytest.approx(min(without, cap), rel=1e-6, abs=1e-6)


@FEW
@given(st.integers(2, 60), st.integers(1, 30), st.floats(0.01, 1.0))
def test_tiers_do_not_depend_on_the_order_of_patients(size: int, above: int, rebate: float) -> None:
    clause = PriceVolume("v", tiers=((above, rebate),))
    start = np.random.default_rng(size).uniform(0.0, 2.0, (3, size))
    blank = np.full(start.shape, np.inf)
    factor = clause.price_factor(ContractCohort(blank, start))
    order = np.argsort(start, axis=1)
    again = clause.price_factor(ContractCohort(blank, np.take_along_axis(start, order, axis=1)))
    assert np.take_along_axis(factor, order, axis=1) == pytest.approx(again)
    for pool in range(3):
        for year in (0, 1):
            mine = np.floor(start[pool]) == year
            assert np.sum(factor[pool][mine] < 1.0) == max(mine.sum() - above, 0)


def test_same_seed_same_ledger_and_other_key_other_patients() -> None:
    source = CurvePatients(MixtureCurve(cured=0.3))
    assert np.array_equal(source.cohort(3, 5, 9).remission_end_years, source.cohort(3, 5, 9).remission_end_years)
    other = source.cohort(3, 5, 9, key="other").remission_end_years
    assert not np.array_equal(source.cohort(3, 5, 9).remission_end_years, other)


@pytest.mark.parametrize(
    "make",
    [
        lambda: UpFront("u"),
        lambda: UpFront("u", share=0.5, amount=3.0),
        lambda: UpFront("u", share=-0.5),
        lambda: UpFront("u", share=float("nan")),
        lambda: Milestone("m", share=1.0, month=-1.0),
        lambda: Milestone("m", share=1.0, endpoint="happiness"),  # type: ignore[arg-type]
        lambda: Milestone("m", share=1.0, missing_data="maybe"),  # type: ignore[arg-type]
        lambda: Annuity("a", share=1.0, payments_count=0),
        lambda: Annuity("a", share=1.0, interval_months=0.0),
        lambda: Refund("r", share=1.0),
        lambda: Refund("r", share=1.0, until_month=0.0),
        lambda: Refund("r", share=1.0, until_month=12.0, steps=((6.0, 0.2), (12.0, 0.9))),
        lambda: PriceVolume("v"),
        lambda: PriceVolume("v", tiers=((50, 0.5), (20, 0.6))),
        lambda: Subscription("s", 1.0, 0.0),
        lambda: OutOfSpecification("o", 1.5),
        lambda: Assessment(0.3, 0.3),
        lambda: Turnover(0.1, "vanish"),  # type: ignore[arg-type]
        lambda: FollowUp(-1.0),
        lambda: Contract(float("inf"), (UpFront("u", share=1.0),)),
        lambda: Contract(1.0, ()),
        lambda: Contract(1.0, (UpFront("u", share=1.0), UpFront("u", share=1.0))),
        lambda: MixtureCurve(cured=1.2),
        lambda: CurvePatients(MixtureCurve(cured=0.5), MixtureCurve(cured=0.2)),
    ],
)
def test_bad_terms_are_refused(make: object) -> None:
    with pytest.raises(InputError):
        make()  # type: ignore[operator]
