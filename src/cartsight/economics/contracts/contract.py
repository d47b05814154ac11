"""A contract: a price, clauses and modifiers; and the ledger it leaves on a cohort of patients."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from cartsight.core.errors import InputError
from cartsight.economics.contracts.clauses import Annuity, Clause, FlatRebate, Milestone, Refund, UpFront
from cartsight.economics.contracts.cohort import ContractCohort, Endpoint
from cartsight.economics.contracts.ledger import ContractLedger, PaymentBlock
from cartsight.economics.contracts.pooled_clauses import PooledFailure, PriceVolume, SpendingCap
from cartsight.economics.contracts.settlement import Settlement
from cartsight.economics.contracts.terms import DEFAULT_TERMS, Terms


@dataclass(frozen=True, slots=True)
class Contract:
    """An agreement between a payer and a manufacturer about one product.

    Parameters
    ----------
    price : float
        Per patient, before every rebate; clauses with a share refer to it.
    clauses : tuple of Clause
    terms : Terms
    name, currency : str
    """

    price: float
    clauses: tuple[Clause, ...]
    terms: Terms = DEFAULT_TERMS
    name: str = "contract"
    currency: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.price) and self.price >= 0.0):
            raise InputError("must be a finite amount, not negative", field="price", found=self.price)
        if not self.clauses:
            raise InputError("a contract needs at least one clause", field="clause", hint="Add a [[clause]] table.")
        names = [clause.name for clause in self.clauses]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise InputError("every clause needs its own name", field="clause", found=repeated[0])

    def with_terms(self, **changes: object) -> Contract:
        """Return the contract under other modifiers."""
        return replace(self, terms=replace(self.terms, **changes))  # type: ignore[arg-type]

    @property
    def pooled(self) -> bool:
        """Whether a clause looks at all patients of the pool together."""
        return any(isinstance(clause, (PriceVolume, SpendingCap, PooledFailure)) for clause in self.clauses)

    @property
    def pool_matters(self) -> bool:
        """Whether patients of a pool depend on each other: through a pooled clause or a default that hits them all."""
        default = self.terms.default
        return self.pooled or default.manufacturer_per_year > 0.0 or default.payer_per_year > 0.0

    @property
    def endpoints(self) -> set[Endpoint]:
        """Endpoints that some clause depends on."""
        found: set[Endpoint] = set()
        for clause in self.clauses:
            if isinstance(clause, (Milestone, Refund, PooledFailure)):
                found.add(clause.endpoint)
            elif isinstance(clause, Annuity) and clause.stop_on is not None:
                found.add(clause.stop_on)
        return found

    @property
    def last_month(self) -> float:
        """The last date on which the contract assesses or pays."""
        months = [0.0]
        for clause in self.clauses:
            if isinstance(clause, Annuity):
                months.append(clause.months[-1])
            elif isinstance(clause, Milestone):
                months.append(clause.month + clause.window_months)
            elif isinstance(clause, Refund):
                months.append(clause.month if clause.month is not None else clause.until_month or 0.0)
            elif isinstance(clause, (UpFront, PooledFailure)):
                months.append(clause.month)
        return max(months)


def flat_contract(contract: Contract, present_value: float) -> Contract:
    """Return the flat agreement that costs the payer the same: one payment at infusion of `present_value`."""
    share = 1.0 - present_value / contract.price if contract.price > 0.0 else 0.0
    if share >= 0.0:
        clauses: tuple[Clause, ...] = (FlatRebate("flat rebate", share), UpFront("up front", share=1.0))
    else:
        clauses = (UpFront("up front", amount=present_value),)
    return replace(contract, clauses=clauses, name=f"flat equivalent of {contract.name}")


def run_contract(contract: Contract, cohort: ContractCohort) -> ContractLedger:
    """Return the ledger of a contract on a cohort.

    Payments come first, then refunds clause by clause (each limited to what was paid for the patient, by its date or
    later), then the cap on a year's spending.

    Parameters
    ----------
    contract : Contract
    cohort : ContractCohort
        Arrays of shape (pools, patients); pooled clauses work along the second axis.

    Returns
    -------
    ContractLedger

    Raises
    ------
    InputError
        A clause pays on survival and the cohort knows nothing of it.
    """
    price = np.full(cohort.shape, contract.price)
    for clause in contract.clauses:
        factor = clause.price_factor(cohort)
        if not isinstance(factor, float) or factor != 1.0:
            price = price * factor
    settlement = Settlement(cohort, contract.terms, price)
    blocks: list[PaymentBlock] = []
    for clause in contract.clauses:
        for due in clause.payments(settlement):
            blocks.extend(settlement.payments(clause.name, due))
    for clause in contract.clauses:
        for due in clause.refunds(settlement):
            blocks.extend(list(settlement.refunds(clause.name, due, blocks)))
    for clause in contract.clauses:
        if isinstance(clause, SpendingCap):
            blocks.extend(list(clause.claw_backs(cohort, blocks)))
    blocks.extend(settlement.administration(contract.last_month))
    return ContractLedger(
        tuple(blocks), cohort.start_years, contract.terms.payer_rate, contract.terms.manufacturer_rate
    )
