"""Expected payments of a contract on a stated curve without simulation, clause by clause, where they exist.

With S the curve of the clause's endpoint, A that of survival (one when none is stated), lambda the hazard of loss to
follow-up and t the date of the visit, the probability of counting as a success is::

    e^(-lambda t) [ se S(t) + (1 - sp) (A(t) - S(t)) ] + missing(t)

    missing(t) = 0                                         missing data are failures
               = integral_0^t lambda e^(-lambda x) A(x) dx   ... successes
               = integral_0^t lambda e^(-lambda x) S(x) dx   ... as last seen

Constant hazards of changing payer and of default multiply it by e^(-mu t). A warranty owes the integral of its weight
over the failures, a pooled threshold the binomial expectation of failures above it. Integrals are Gauss-Legendre on
smooth pieces, so "closed form" means exact to about ten digits.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.economics.contracts.clauses import (
    Annuity,
    Clause,
    FreeRemake,
    Milestone,
    OutOfSpecification,
    Refund,
    Sized,
    UpFront,
)
from cartsight.economics.contracts.cohort import ContractCohort, CurvePatients, Endpoint, enrolment
from cartsight.economics.contracts.contract import Contract
from cartsight.economics.contracts.curve import StatedCurve
from cartsight.economics.contracts.pooled_clauses import PooledFailure, PriceVolume, SpendingCap, Subscription
from cartsight.economics.contracts.settlement import MONTHS_PER_YEAR
from cartsight.economics.discounting import discount_factor

Float = npt.NDArray[np.float64]
Weight = Callable[[Float], Float]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_PIECES = 8


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """Expected net payment per patient, and by clause as (nominal, present value)."""

    nominal: float
    present_value: float
    by_clause: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class NoClosedForm:
    """Why a contract has no closed form here."""

    reason: str


class _Unavailable(Exception):
    """A term without a closed form; the message says which."""


def integrate(function: Weight, first: float, last: float, breaks: tuple[float, ...] = ()) -> float:
    """Return the integral of a function that is smooth between `breaks`, by composite Gauss-Legendre."""
    if last <= first:
        return 0.0
    inside = [b for b in breaks if first < b < last]
    edges = sorted({first, last, *inside, *np.linspace(first, last, _PIECES + 1).tolist()})
    total = 0.0
    for a, b in itertools.pairwise(edges):
        half = 0.5 * (b - a)
        total += half * float(np.dot(_WEIGHTS, function(a + half * (_NODES + 1.0))))
    return total


def closed_form(
    contract: Contract, patients: CurvePatients, *, pool_patients: int, enrolment_years: float = 1.0
) -> ClosedForm | NoClosedForm:
    """Return the exact expected payment per patient, or why there is none.

    Parameters
    ----------
    contract : Contract
    patients : CurvePatients
    pool_patients : int
        Size of the pool, for pooled clauses.
    enrolment_years : float
        Over which the pool is infused, evenly.
    """
    try:
        return _Expectation(contract, patients, pool_patients, enrolment_years).total()
    except _Unavailable as reason:
        return NoClosedForm(str(reason))


class _Expectation:
    def __init__(self, contract: Contract, patients: CurvePatients, pool: int, years: float) -> None:
        self.contract, self.patients, self.pool, self.years = contract, patients, pool, years
        self.terms = contract.terms
        self.rate = self.terms.payer_rate
        self.lost = self.terms.follow_up.lost_per_year
        self.leave = self.terms.turnover.leaves_per_year
        price = contract.price
        for clause in contract.clauses:
            if isinstance(clause, OutOfSpecification):
                price *= 1.0 - patients.out_of_specification * (1.0 - clause.share)
            elif isinstance(clause, PriceVolume):
                price *= float(np.mean(clause.price_factor(_calendar(pool, years))))
            elif isinstance(clause, SpendingCap):
                raise _Unavailable("a cap on spending depends on all outcomes of a year together")
            else:
                factor = clause.price_factor(_calendar(1, 1.0))
                assert isinstance(factor, float)
                price *= factor
        self.price = price

    def curve(self, endpoint: Endpoint) -> StatedCurve:
        if endpoint == "survival":
            if self.patients.survival is None:
                raise _Unavailable("no curve of survival")
            return self.patients.survival
        return self.patients.remission

    def alive(self, years: Float) -> Float:
        if self.patients.survival is None:
            return np.ones_like(years)
        return self.patients.survival.survival(years)

    def total(self) -> ClosedForm:
        clauses = self.contract.clauses
        refunds = [c for c in clauses if isinstance(c, (Refund, PooledFailure))]
        if refunds:
            self._check_limit(clauses, refunds)
        by_clause = {}
        for clause in clauses:
            nominal, value = 0.0, 0.0
            for plain, discounted in self._terms_of(clause):
                nominal += plain
                value += discounted
            by_clause[clause.name] = (nominal, value)
        return ClosedForm(sum(n for n, _ in by_clause.values()), sum(v for _, v in by_clause.values()), by_clause)

    def _check_limit(self, clauses: tuple[Clause, ...], refunds: list[Refund | PooledFailure]) -> None:
        """Refunds have a closed form only where their limit, what was paid by then, can never bind."""
        at_infusion = sum(self._size(c) for c in clauses if isinstance(c, UpFront) and c.month == 0.0)
        at_infusion += sum(
            c.amount_per_year / (c.patients_per_year * c.volume_ratio) for c in clauses if isinstance(c, Subscription)
        )
        largest = 0.0
        for clause in refunds:
            size = self._size(clause)
            if isinstance(clause, Refund) and clause.steps:
                size *= max(share for _, share in clause.steps)
            largest += size
        if largest > at_infusion * (1.0 + 1e-12):
            raise _Unavailable("a refund may exceed what was paid by its date, and is then cut")
        scaled = any(isinstance(c, (OutOfSpecification, PriceVolume)) for c in clauses)
        if scaled and any(isinstance(c, Sized) and c.amount is not None for c in clauses):
            raise _Unavailable("refunds with amounts beside a price that differs between patients")

    def _size(self, clause: Sized) -> float:
        return float(clause.size(np.array([self.price]))[0])

    def _terms_of(self, clause: Clause) -> Iterator[tuple[float, float]]:
        if isinstance(clause, UpFront):
            yield from self._owed(self._size(clause), clause.month)
        elif isinstance(clause, Milestone):
            yield from self._milestone(clause)
        elif isinstance(clause, Annuity):
            yield from self._annuity(clause)
        elif isinstance(clause, Refund):
            yield from self._refund(clause)
        elif isinstance(clause, PooledFailure):
            yield from self._pooled(clause)
        elif isinstance(clause, Subscription):
            yield from self._owed(clause.amount_per_year / (clause.patients_per_year * clause.volume_ratio), 0.0)
        elif isinstance(clause, FreeRemake):
            p = self.patients.remake
            extra = p ** (clause.free + 1) / (1.0 - p) if p > 0.0 else 0.0
            yield from self._owed(self._size(clause) * extra, 0.0)

    def success(self, endpoint: Endpoint, missing: str, years: Float) -> Float:
        """Return the probability of counting as a success at each date."""
        curve, assessment = self.curve(endpoint), self.terms.assessment
        s, a = curve.survival(years), self.alive(years)
        se, sp = (1.0, 1.0) if endpoint == "survival" else (assessment.sensitivity, assessment.specificity)
        seen = np.exp(-self.lost * years) * (se * s + (1.0 - sp) * (a - s))
        if self.lost == 0.0 or missing == "failure":
            return np.asarray(seen)
        of: Weight = self.alive if missing == "success" else curve.survival

        def density(x: Float) -> Float:
            return np.asarray(self.lost * np.exp(-self.lost * x) * of(x))

        breaks = self._breaks()
        return np.asarray(seen + np.array([integrate(density, 0.0, float(t), breaks) for t in np.atleast_1d(years)]))

    def _breaks(self) -> tuple[float, ...]:
        """Return the kinks of curves given by points."""
        return tuple(y for c in (self.patients.remission, self.patients.survival) for y in getattr(c, "years", ()))

    def _paid(self, amount: Float, years: Float) -> tuple[Float, Float]:
        """Return nominal and present value of expected amounts due at dates, under indexation and default."""
        default = self.terms.default
        kept = np.exp(-default.payer_per_year * years)
        kept = kept + (1.0 - kept) * default.recovery
        nominal = amount * kept * (1.0 + self.terms.indexation_per_year) ** years
        return nominal, nominal * discount_factor(years, self.rate)

    def _dated(self, full: float, visit: float, chance: float, endpoint: Endpoint | None) -> tuple[float, float]:
        """Return the expected payment of `full` with a chance at a visit, under turnover."""
        years = np.array([visit + self._delay(endpoint)])
        stay = 1.0
        lump = (0.0, 0.0)
        rule = self.terms.turnover.rule
        if self.leave > 0.0 and rule != "transfer" and years[0] > 0.0:
            if self.patients.survival is not None and (endpoint is None or self.lost > 0.0):
                raise _Unavailable("turnover of patients who may have died")
            if self.patients.survival is not None and self._delay(endpoint) > 0.0:
                raise _Unavailable("turnover between a visit and a delayed payment of patients who may die")
            stay = float(np.exp(-self.leave * years[0]))
            if rule == "lump_sum":
                lump = self._lump_sum(full, float(years[0]), endpoint)
        nominal, value = self._paid(np.array([full * chance * stay]), years)
        return float(nominal[0]) + lump[0], float(value[0]) + lump[1]

    def _delay(self, endpoint: Endpoint | None) -> float:
        return 0.0 if endpoint is None else self.terms.assessment.payment_delay_months / MONTHS_PER_YEAR

    def _lump_sum(self, full: float, until: float, endpoint: Endpoint | None) -> tuple[float, float]:
        default, share = self.terms.default, self.terms.turnover.lump_sum_share

        def settled(x: Float) -> Float:
            s = np.ones_like(x) if endpoint is None else self.curve(endpoint).survival(x)
            kept = np.exp(-default.payer_per_year * x)
            kept = kept + (1.0 - kept) * default.recovery
            return np.asarray(self.leave * np.exp(-self.leave * x) * s * kept * share * full)

        def discounted(x: Float) -> Float:
            return settled(x) * discount_factor(x, self.rate)

        breaks = self._breaks()
        return integrate(settled, 0.0, until, breaks), integrate(discounted, 0.0, until, breaks)

    def _owed(self, amount: float, month: float) -> Iterator[tuple[float, float]]:
        yield self._dated(amount, month / MONTHS_PER_YEAR, 1.0, None)

    def _milestone(self, clause: Milestone) -> Iterator[tuple[float, float]]:
        full = self._size(clause)
        first = clause.month / MONTHS_PER_YEAR
        if clause.window_months == 0.0:
            chance = float(self.success(clause.endpoint, clause.missing_data, np.array([first]))[0])
            yield self._dated(full, first, chance, clause.endpoint)
            return
        width = clause.window_months / MONTHS_PER_YEAR
        visits = first + width * 0.5 * (_NODES + 1.0)
        chances = self.success(clause.endpoint, clause.missing_data, visits)
        for visit, chance, weight in zip(visits, chances, _WEIGHTS / 2.0, strict=True):
            nominal, value = self._dated(full, float(visit), float(chance), clause.endpoint)
            yield nominal * weight, value * weight

    def _annuity(self, clause: Annuity) -> Iterator[tuple[float, float]]:
        each = self._size(clause) / clause.payments_count
        if clause.stop_on is None:
            for month in clause.months:
                yield self._dated(each, month / MONTHS_PER_YEAR, 1.0, None)
            return
        assessment = self.terms.assessment
        if clause.stop_on != "survival" and min(assessment.sensitivity, assessment.specificity) < 1.0:
            raise _Unavailable("an annuity that stops for good, under errors of assessment")
        visits = np.array([month / MONTHS_PER_YEAR for month in clause.months])
        if self.lost > 0.0 and clause.missing_data == "success":
            if self.patients.survival is not None:
                raise _Unavailable("an annuity that goes on for lost patients who may have died")
            chances = self._until_lost(clause.stop_on, visits)
        else:
            chances = self.success(clause.stop_on, clause.missing_data, visits)
        for visit, chance in zip(visits, chances, strict=True):
            endpoint = None if visit == 0.0 else clause.stop_on
            yield self._dated(each, float(visit), float(chance), endpoint)

    def _until_lost(self, endpoint: Endpoint, visits: Float) -> Float:
        """Return the chance of no failure found at any visit so far, when the lost count as successes."""
        curve = self.curve(endpoint)
        seen = np.exp(-self.lost * visits)
        edges = np.concatenate([[0.0], visits])
        stayed = np.exp(-self.lost * edges)
        # Lost between two visits: all that is known is no failure at the visit before.
        lost_between = (stayed[:-1] - stayed[1:]) * curve.survival(edges[:-1])
        return np.asarray(seen * curve.survival(visits) + np.cumsum(lost_between))

    def _back(self, amount: Float, years: Float) -> tuple[Float, Float]:
        default = self.terms.default
        kept = np.exp(-default.manufacturer_per_year * years)
        kept = kept + (1.0 - kept) * default.recovery
        if self.leave > 0.0 and self.terms.turnover.rule != "transfer":
            if self.patients.survival is not None:
                raise _Unavailable("refunds under turnover of patients who may have died")
            kept = kept * np.exp(-self.leave * years)
        nominal = -amount * kept
        return nominal, nominal * discount_factor(years, self.rate)

    def _refund(self, clause: Refund) -> Iterator[tuple[float, float]]:
        full = self._size(clause)
        delay = self.terms.assessment.payment_delay_months / MONTHS_PER_YEAR
        if clause.month is not None:
            visit = np.array([clause.month / MONTHS_PER_YEAR])
            chance = 1.0 - self.success(clause.endpoint, clause.missing_data, visit)
            nominal, value = self._back(full * chance, visit + delay)
            yield float(nominal[0]), float(value[0])
            return
        assert clause.until_month is not None
        if self.lost > 0.0 and clause.missing_data == "failure":
            raise _Unavailable("a warranty that refunds at the loss to follow-up")
        if self.patients.survival is not None and (
            self.lost > 0.0 or (clause.endpoint != "survival" and self.terms.assessment.specificity < 1.0)
        ):
            raise _Unavailable("a warranty when deaths and missed failures are mixed")
        found = 1.0 if clause.endpoint == "survival" else self.terms.assessment.specificity
        until = clause.until_month / MONTHS_PER_YEAR
        curve = self.curve(clause.endpoint)
        if clause.visit_every_months > 0.0:
            step = clause.visit_every_months / MONTHS_PER_YEAR
            edges = np.append(np.arange(0.0, until, step), until)
            detected = np.ceil(edges[1:] / step - 1e-9) * step
        else:
            edges, detected = np.array([0.0, until]), None
        for k in range(edges.size - 1):
            first, last = float(edges[k]), float(edges[k + 1])
            at = None if detected is None else float(detected[k])
            yield self._warranty(clause, curve, full * found, first, last, at, delay)

    def _warranty(
        self,
        clause: Refund,
        curve: StatedCurve,
        full: float,
        first: float,
        last: float,
        detected: float | None,
        delay: float,
    ) -> tuple[float, float]:
        """Return the refund for failures between two times, integrated over the share of patients who fail."""

        def owed(share: Float) -> tuple[Float, Float]:
            failure = np.clip(curve.quantile(share), first, last)
            found = failure if detected is None else np.full(failure.shape, detected)
            amount = full * clause.weight(failure) * np.exp(-self.lost * found)
            return self._back(amount, found + delay)

        ends = [m / MONTHS_PER_YEAR for m, _ in clause.steps]
        breaks = tuple(curve.survival(np.array([*ends, *self._breaks()])).tolist())
        high, low = float(curve.survival(first)), float(curve.survival(last))
        return (
            integrate(lambda u: owed(u)[0], low, high, breaks),
            integrate(lambda u: owed(u)[1], low, high, breaks),
        )

    def _pooled(self, clause: PooledFailure) -> Iterator[tuple[float, float]]:
        from scipy.stats import binom

        if any(isinstance(c, (OutOfSpecification, PriceVolume)) for c in self.contract.clauses):
            raise _Unavailable("a pooled refund of prices that differ between patients")
        visit = np.array([clause.month / MONTHS_PER_YEAR])
        chance = 1.0 - float(self.success(clause.endpoint, clause.missing_data, visit)[0])
        failures = np.arange(self.pool + 1, dtype=np.float64)
        expected = float(np.dot(binom.pmf(failures, self.pool, chance), clause.counted(failures, self.pool)))
        delay = self.terms.assessment.payment_delay_months / MONTHS_PER_YEAR
        nominal, value = self._back(np.array([self._size(clause) * expected / self.pool]), visit + delay)
        yield float(nominal[0]), float(value[0])


def _calendar(pool: int, years: float) -> ContractCohort:
    start = enrolment(1, pool, years)
    return ContractCohort(remission_end_years=np.full(start.shape, np.inf), start_years=start)
