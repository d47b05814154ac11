"""Who bears which risk: the contract with one thing changed at a time, on the same patients and draws.

The change in what payers spend and in what the firm earns, each at its own discount rate. Worse outcomes always cost the
payer, in patients treated without success; the figures say whether the firm shares that. Under an up-front price it
does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from cartsight.economics.contracts.clauses import Clause
from cartsight.economics.contracts.cohort import ContractCohort
from cartsight.economics.contracts.contract import Contract, run_contract
from cartsight.economics.contracts.pooled_clauses import Subscription
from cartsight.economics.contracts.terms import (
    Administration,
    Assessment,
    CounterpartyDefault,
    FollowUp,
    Turnover,
)

WORSE_OUTCOMES = 0.8
LESS_VOLUME = 0.8


@dataclass(frozen=True, slots=True)
class RiskRow:
    """Effect of one risk per patient, in present value.

    Parameters
    ----------
    risk : str
    change : str
        What was changed.
    payer : float
        Change of the payers' spending (administration included).
    manufacturer : float
        Change of the firm's revenue less its administration.
    borne_by : {"payer", "manufacturer", "both", "nobody"}
        Who is worse off by it, beyond one per mille of the price. Worse outcomes: the payer in any case, and both
        when the firm's revenue falls.
    """

    risk: str
    change: str
    payer: float
    manufacturer: float
    borne_by: Literal["payer", "manufacturer", "both", "nobody"]


def earlier_failures(cohort: ContractCohort, factor: float) -> ContractCohort:
    """Return the cohort with every time to failure and death multiplied by `factor`."""
    return replace(
        cohort,
        remission_end_years=cohort.remission_end_years * factor,
        death_years=None if cohort.death_years is None else cohort.death_years * factor,
        complete_response_end_years=None
        if cohort.complete_response_end_years is None
        else cohort.complete_response_end_years * factor,
    )


def _values(contract: Contract, cohort: ContractCohort) -> tuple[float, float]:
    ledger = run_contract(contract, cohort)
    return float(ledger.payer_cost(ledger.payer_rate).mean()), float(ledger.manufacturer_present_value().mean())


def risk_bearing(contract: Contract, cohort: ContractCohort) -> list[RiskRow]:
    """Return how payers and firm fare when outcomes are worse, volume is lower, and with each modifier as stated.

    Rows about modifiers compare the contract as stated with the same contract without that modifier, so a modifier
    that is not stated has no row.
    """
    base = _values(contract, cohort)
    terms = contract.terms
    rows: list[tuple[str, str, tuple[float, float]]] = []
    worse = _values(contract, earlier_failures(cohort, WORSE_OUTCOMES))
    rows.append(("outcomes", "failures come 20 % earlier", (worse[0] - base[0], worse[1] - base[1])))
    if any(isinstance(clause, Subscription) for clause in contract.clauses):
        fewer: tuple[Clause, ...] = tuple(
            replace(c, volume_ratio=c.volume_ratio * LESS_VOLUME) if isinstance(c, Subscription) else c
            for c in contract.clauses
        )
        less = _values(replace(contract, clauses=fewer), cohort)
        rows.append(("volume", "20 % fewer patients than expected", (less[0] - base[0], less[1] - base[1])))

    def without(risk: str, change: str, stated: bool, **changes: object) -> None:
        if stated:
            ideal = _values(contract.with_terms(**changes), cohort)
            rows.append((risk, change, (base[0] - ideal[0], base[1] - ideal[1])))

    without("data loss", "loss to follow-up as stated", terms.follow_up != FollowUp(), follow_up=FollowUp())
    exact = Assessment(payment_delay_months=terms.assessment.payment_delay_months)
    without("assessment", "errors as stated", terms.assessment != exact, assessment=exact)
    without("turnover", f"{terms.turnover.rule} as stated", terms.turnover.leaves_per_year > 0.0, turnover=Turnover())
    without("counterparty default", "as stated", terms.default != CounterpartyDefault(), default=CounterpartyDefault())
    without(
        "administration",
        "set-up and tracking as stated",
        terms.administration != Administration(),
        administration=Administration(),
    )
    scale = 1e-3 * max(contract.price, 1e-300)
    return [
        RiskRow(risk, change, payer, firm, _bearer(risk == "outcomes" or payer > scale, firm < -scale))
        for risk, change, (payer, firm) in rows
    ]


def _bearer(payer_worse: bool, firm_worse: bool) -> Literal["payer", "manufacturer", "both", "nobody"]:
    if payer_worse and firm_worse:
        return "both"
    if payer_worse:
        return "payer"
    return "manufacturer" if firm_worse else "nobody"


def revenue_at_risk(revenue: npt.NDArray[np.float64]) -> float:
    """Return the expected revenue per patient less its 5th percentile over pools."""
    return float(revenue.mean() - np.quantile(revenue, 0.05))
