"""Contracts about a product: dated ledgers per patient from composable clauses, and what they are worth to whom."""

from cartsight.economics.contracts.clauses import (
    Annuity,
    Clause,
    FlatRebate,
    FreeRemake,
    Milestone,
    OutOfSpecification,
    Refund,
    UpFront,
)
from cartsight.economics.contracts.closed_form import ClosedForm, NoClosedForm, closed_form
from cartsight.economics.contracts.cohort import (
    ContractCohort,
    CurvePatients,
    SimulatedPatients,
    simulated_patients,
)
from cartsight.economics.contracts.cohort_sizes import (
    COHORT_SIZES,
    CohortSizeResult,
    Spread,
    by_cohort_size,
    rebate_standard_deviation,
    run_cohort_size,
)
from cartsight.economics.contracts.contract import Contract, flat_contract, run_contract
from cartsight.economics.contracts.contract_file import ContractFile, find_contract, load_contract, shipped_contracts
from cartsight.economics.contracts.curve import MixtureCurve, PointCurve, StatedCurve
from cartsight.economics.contracts.evaluate import ContractResult, contract_cohort, evaluate_contract
from cartsight.economics.contracts.flat_rebate import (
    CertaintyEquivalent,
    FlatRebateEquivalent,
    certainty_equivalent_cost,
)
from cartsight.economics.contracts.information import RegistryInformation, registry_information
from cartsight.economics.contracts.ledger import ContractLedger, PaymentBlock
from cartsight.economics.contracts.pooled_clauses import PooledFailure, PriceVolume, SpendingCap, Subscription
from cartsight.economics.contracts.risk_bearing import RiskRow, risk_bearing
from cartsight.economics.contracts.terms import (
    Administration,
    Assessment,
    CounterpartyDefault,
    FollowUp,
    Terms,
    Turnover,
)

__all__ = [
    "COHORT_SIZES",
    "Administration",
    "Annuity",
    "Assessment",
    "CertaintyEquivalent",
    "Clause",
    "ClosedForm",
    "CohortSizeResult",
    "Contract",
    "ContractCohort",
    "ContractFile",
    "ContractLedger",
    "ContractResult",
    "CounterpartyDefault",
    "CurvePatients",
    "FlatRebate",
    "FlatRebateEquivalent",
    "FollowUp",
    "FreeRemake",
    "Milestone",
    "MixtureCurve",
    "NoClosedForm",
    "OutOfSpecification",
    "PaymentBlock",
    "PointCurve",
    "PooledFailure",
    "PriceVolume",
    "Refund",
    "RegistryInformation",
    "RiskRow",
    "SimulatedPatients",
    "SpendingCap",
    "Spread",
    "StatedCurve",
    "Subscription",
    "Terms",
    "Turnover",
    "UpFront",
    "by_cohort_size",
    "certainty_equivalent_cost",
    "closed_form",
    "contract_cohort",
    "evaluate_contract",
    "find_contract",
    "flat_contract",
    "load_contract",
    "rebate_standard_deviation",
    "registry_information",
    "risk_bearing",
    "run_cohort_size",
    "run_contract",
    "shipped_contracts",
    "simulated_patients",
]
