"""The ledger against the same agreement read out patient by patient in plain Python.

Both take a patient's uniforms from the same keys; everything after that is written twice.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.economics.contracts import (
    Annuity,
    Assessment,
    Clause,
    Contract,
    ContractCohort,
    CurvePatients,
    FollowUp,
    Milestone,
    MixtureCurve,
    Refund,
    Terms,
    Turnover,
    UpFront,
    run_contract,
)

PRICE = 1000.0
INFINITE = math.inf


class PlainPatient:
    """One patient's payments, one after the other."""

    def __init__(self, cohort: ContractCohort, terms: Terms, place: tuple[int, int]) -> None:
        self.terms = terms
        self.u = lambda step: float(cohort.uniform(step)[place])
        self.death = float(cohort.death_years[place]) if cohort.death_years is not None else INFINITE
        self.relapse = float(cohort.remission_end_years[place])
        self.lost = self._first("lost to follow-up", terms.follow_up.lost_per_year)
        self.leaves = self._first("changes payer", terms.turnover.leaves_per_year)
        self.paid: list[tuple[float, float]] = []

    def _first(self, step: str, rate: float) -> float:
        if rate == 0.0:
            return INFINITE
        time = -math.log(self.u(step)) / rate
        return time if time < self.death else INFINITE

    def end(self, endpoint: str | None) -> float:
        return self.death if endpoint == "survival" else self.relapse

    def success(self, clause: Milestone | Annuity | Refund, endpoint: str, month: float, when: float) -> bool:
        if self.lost < when:
            if clause.missing_data == "last":
                return self.end(endpoint) > self.lost
            return clause.missing_data == "success"
        truth = self.end(endpoint) > when
        if endpoint == "survival":
            return truth
        assessment = self.terms.assessment
        if assessment.sensitivity == 1.0 and assessment.specificity == 1.0:
            return truth
        error = self.u(f"assessment {clause.name} {month:g}")
        if truth:
            return error < assessment.sensitivity
        return error < 1.0 - assessment.specificity and self.death > when

    def pay(self, full: float, due: bool, when: float, endpoint: str | None) -> None:
        if when <= self.leaves or self.terms.turnover.rule == "transfer":
            if due:
                self.paid.append((when, full * (1.0 + self.terms.indexation_per_year) ** when))
        elif self.terms.turnover.rule == "lump_sum" and (endpoint is None or self.end(endpoint) > self.leaves):
            self.paid.append((self.leaves, full * self.terms.turnover.lump_sum_share))

    def refund(self, owed: float, when: float) -> float:
        """Return what the refund takes in the end: at once, or set off against later payments."""
        if self.leaves < when and self.terms.turnover.rule != "transfer":
            return 0.0
        return owed

    def net(self, clauses: tuple[Clause, ...]) -> float:
        delay = self.terms.assessment.payment_delay_months / 12.0
        for clause in clauses:
            if isinstance(clause, UpFront):
                self.pay(PRICE * (clause.share or 0.0), True, clause.month / 12.0, None)
            elif isinstance(clause, Milestone):
                when = clause.month / 12.0
                if clause.window_months:
                    when += self.u(f"visit {clause.name}") * clause.window_months / 12.0
                due = self.success(clause, clause.endpoint, clause.month, when)
                self.pay(PRICE * (clause.share or 0.0), due, when + delay, clause.endpoint)
            elif isinstance(clause, Annuity):
                running = True
                for month in clause.months:
                    when = month / 12.0
                    endpoint = clause.stop_on if month > 0.0 else None
                    if endpoint is not None:
                        running = running and self.success(clause, endpoint, month, when)
                        when += delay
                    self.pay(PRICE * (clause.share or 0.0) / clause.payments_count, running, when, endpoint)
        back = 0.0
        for clause in clauses:
            if not isinstance(clause, Refund):
                continue
            full = PRICE * (clause.share or 0.0)
            if clause.month is not None:
                when = clause.month / 12.0
                if not self.success(clause, clause.endpoint, clause.month, when):
                    back += self.refund(full, when + delay)
                continue
            assert clause.until_month is not None
            until, failure = clause.until_month / 12.0, self.end(clause.endpoint)
            found = failure
            if clause.visit_every_months and math.isfinite(failure):
                step = clause.visit_every_months / 12.0
                found = math.ceil(failure / step) * step
            if failure > until or self.lost < found:
                continue
            if clause.endpoint != "survival" and self.terms.assessment.specificity < 1.0:
                seen = self.u(f"recognised {clause.name}") < self.terms.assessment.specificity
                if not seen and not self.death <= found:
                    continue
            weight = 1.0 - failure / until if clause.decline == "linear" else 1.0
            back += self.refund(full * weight, found + delay)
        return max(sum(amount for _, amount in self.paid) - back, 0.0)


shares = st.sampled_from([0.2, 0.5, 0.9])
endpoints = st.sampled_from(["remission", "survival"])
rules = st.sampled_from(["success", "failure", "last"])


@st.composite
def agreements(draw: st.DrawFn) -> tuple[Clause, ...]:
    clauses: list[Clause] = [
        UpFront("a", share=draw(shares), month=draw(st.sampled_from([0.0, 6.0]))),
        Milestone(
            "b",
            share=draw(shares),
            month=draw(st.sampled_from([3.0, 18.0])),
            endpoint=draw(endpoints),
            window_months=draw(st.sampled_from([0.0, 5.0])),
            missing_data=draw(rules),
        ),
        Annuity("c", share=draw(shares), payments_count=3, stop_on=draw(endpoints), missing_data=draw(rules)),
    ]
    if draw(st.booleans()):
        clauses.append(
            Refund(
                "d",
                share=draw(shares),
                until_month=24.0,
                endpoint=draw(endpoints),
                decline=draw(st.sampled_from(["none", "linear"])),
                visit_every_months=draw(st.sampled_from([0.0, 5.0])),
            )
        )
    if draw(st.booleans()):
        clauses.append(Refund("e", share=draw(shares), month=12.0, endpoint=draw(endpoints), missing_data=draw(rules)))
    return tuple(clauses)


@settings(max_examples=40, deadline=None)
@given(
    agreements(),
    st.sampled_from([0.0, 0.4]),
    st.sampled_from([0.0, 0.4]),
    st.sampled_from(["stop", "transfer", "lump_sum"]),
    st.sampled_from([Assessment(), Assessment(0.9, 0.75, 2.0)]),
    st.booleans(),
    st.integers(1, 99),
)
def test_ledger_is_the_agreement_read_out(
    clauses: tuple[Clause, ...],
    lost: float,
    leaves: float,
    rule: str,
    assessment: Assessment,
    deaths: bool,
    seed: int,
) -> None:
    terms = Terms(
        0.03,
        0.03,
        indexation_per_year=0.02,
        assessment=assessment,
        follow_up=FollowUp(lost),
        turnover=Turnover(leaves, rule, 0.8),  # type: ignore[arg-type]
    )
    survival = MixtureCurve(rate_per_year=0.4, cured=0.4)
    cohort = CurvePatients(MixtureCurve(rate_per_year=1.0, cured=0.3), survival).cohort(2, 12, seed)
    if not deaths:
        clauses = tuple(c for c in clauses if "survival" not in (getattr(c, "endpoint", ""), getattr(c, "stop_on", "")))
        if not clauses:
            return
        cohort = CurvePatients(MixtureCurve(rate_per_year=1.0, cured=0.3)).cohort(2, 12, seed)
    ledger = run_contract(Contract(PRICE, clauses, terms), cohort)
    plain = np.array([[PlainPatient(cohort, terms, (pool, i)).net(clauses) for i in range(12)] for pool in range(2)])
    assert ledger.nominal() == pytest.approx(plain, abs=1e-6)
