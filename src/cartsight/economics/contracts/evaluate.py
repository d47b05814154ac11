"""Everything a contract is asked: expected net price, its spread, cash flow, the flat rebate beside it, risks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.economics.contracts.closed_form import ClosedForm, NoClosedForm, closed_form
from cartsight.economics.contracts.cohort import (
    ContractCohort,
    CurvePatients,
    Endpoint,
    PatientSource,
    SimulatedPatients,
)
from cartsight.economics.contracts.cohort_sizes import COHORT_SIZES, CohortSizeResult, by_cohort_size
from cartsight.economics.contracts.contract import Contract, run_contract
from cartsight.economics.contracts.contract_file import RegistryQuestion
from cartsight.economics.contracts.flat_rebate import FlatRebateEquivalent, flat_rebate_equivalent
from cartsight.economics.contracts.information import RegistryInformation, registry_information
from cartsight.economics.contracts.ledger import ContractLedger
from cartsight.economics.contracts.risk_bearing import RiskRow, revenue_at_risk, risk_bearing

Float = npt.NDArray[np.float64]

PATIENTS = 100_000
_RISK_PATIENTS = 20_000


@dataclass(frozen=True, eq=False)
class ContractResult:
    """What a contract does, per infused patient, in the contract's money.

    Parameters
    ----------
    expected_nominal, expected_present_value : float
        What all payers pay the manufacturer, refunds taken off; undiscounted, and at infusion at the payer's rate.
    standard_error, standard_error_present_value : float
        Monte Carlo. Patients are stratified by the uniform behind their outcome where a curve is stated; the error
        is that of independent patients, so it is an upper bound there.
    manufacturer_present_value : float
        Revenue at the firm's rate, less tracking that it pays.
    administration : float
        Set-up and tracking, undiscounted.
    next_payer_nominal : float
        Part of `expected_nominal` that a later payer bears.
    assumed_share : float
        Part of the absolute amounts that rests on missing-data rules.
    by_clause : dict
        nominal, present_value, assumed.
    cash_flow_by_year : list of dict
        Mean per pool of `pool_patients` (all infused patients of a scenario), undiscounted, by year of the agreement.
    sizes : list of CohortSizeResult
    flat_rebate : FlatRebateEquivalent
    revenue_at_risk : dict of int to float
        By cohort size: expected revenue less its 5th percentile over pools.
    risks : list of RiskRow
    information : RegistryInformation or None
    closed_form : ClosedForm or NoClosedForm
    ledger : ContractLedger
        Of the patients behind the means.
    """

    contract: Contract
    patients: int
    pool_patients: int
    pool_years: float
    seed: int
    trial_patients: int | None
    expected_nominal: float
    expected_present_value: float
    standard_error: float
    standard_error_present_value: float
    manufacturer_present_value: float
    administration: float
    next_payer_nominal: float
    assumed_share: float
    by_clause: dict[str, dict[str, float]]
    cash_flow_by_year: list[dict[str, float]]
    sizes: list[CohortSizeResult]
    flat_rebate: FlatRebateEquivalent
    revenue_at_risk: dict[int, float]
    risks: list[RiskRow]
    information: RegistryInformation | None
    closed_form: ClosedForm | NoClosedForm
    ledger: ContractLedger


def evaluate_contract(
    contract: Contract,
    source: CurvePatients | SimulatedPatients,
    *,
    seed: int = 1,
    patients: int | None = None,
    pool_patients: int = 100,
    pool_years: float = 1.0,
    trial_patients: int | None = None,
    risk_aversion: float = 1.0,
    cohort_sizes: Sequence[int] = COHORT_SIZES,
    question: RegistryQuestion | None = None,
) -> ContractResult:
    """Run a contract and answer every question about it.

    Parameters
    ----------
    contract : Contract
    source : CurvePatients or SimulatedPatients
    seed : int
    patients : int, optional
        Simulated for the means: 100 000 from a curve; from a scenario every infused patient once, unless stated.
    pool_patients, pool_years : int, float
        A payer's pool, evenly infused over its years: for pooled clauses and for the cash flow.
    trial_patients : int, optional
        Size of the trial the outcome is known from; it widens the spread by cohort size.
    risk_aversion : float
        Absolute risk aversion times the price.
    cohort_sizes : sequence of int
    question : RegistryQuestion, optional
        For the value of the registry; needs `trial_patients` and a value of success.

    Returns
    -------
    ContractResult

    Raises
    ------
    InputError
        Fewer than two patients, or a clause that the patients cannot serve.
    """
    if patients is not None and patients < 2:
        raise InputError("a spread needs at least two patients", field="patients", found=patients)
    cohort = contract_cohort(contract, source, seed, patients, pool_patients, pool_years)
    ledger = run_contract(contract, cohort)
    nominal, value = ledger.nominal(), ledger.present_value()
    firm = float(ledger.manufacturer_present_value().mean())
    sizes = by_cohort_size(
        contract, source, seed, sizes=cohort_sizes, trial_patients=trial_patients, enrolment_years=pool_years
    )
    flat = flat_rebate_equivalent(
        contract.price,
        float(value.mean()),
        firm,
        float(ledger.administration(ledger.payer_rate).mean()),
        sizes,
        risk_aversion,
    )
    by_clause = ledger.by_clause()
    if isinstance(source, CurvePatients):
        exact = closed_form(contract, source, pool_patients=pool_patients, enrolment_years=pool_years)
    else:
        exact = NoClosedForm("patients of a scenario have no stated curve")
    return ContractResult(
        contract=contract,
        patients=nominal.size,
        pool_patients=nominal.shape[1],
        pool_years=pool_years,
        seed=seed,
        trial_patients=trial_patients,
        expected_nominal=float(nominal.mean()),
        expected_present_value=float(value.mean()),
        standard_error=_standard_error(nominal, contract),
        standard_error_present_value=_standard_error(value, contract),
        manufacturer_present_value=firm,
        administration=float(ledger.administration().mean()),
        next_payer_nominal=float(ledger.by_payer()["next payer"].mean()),
        assumed_share=_assumed_share(ledger),
        by_clause=by_clause,
        cash_flow_by_year=ledger.cash_flow(),
        sizes=sizes,
        flat_rebate=flat,
        revenue_at_risk={result.cohort_size: revenue_at_risk(result.revenue) for result in sizes},
        risks=risk_bearing(contract, _small(contract, source, seed, pool_patients, pool_years)),
        information=_information(ledger, cohort, question, trial_patients),
        closed_form=exact,
        ledger=ledger,
    )


def contract_cohort(
    contract: Contract,
    source: CurvePatients | SimulatedPatients,
    seed: int,
    patients: int | None,
    pool_patients: int,
    pool_years: float,
) -> ContractCohort:
    """Return the patients of the means, in whole pools."""
    if isinstance(source, SimulatedPatients):
        if not contract.pool_matters and patients is None:
            return source.all(seed)
        pools = max(math.ceil((patients or 20_000) / pool_patients), 2)
        return source.cohort(pools, pool_patients, seed, enrolment_years=pool_years)
    pools = max(math.ceil((patients or PATIENTS) / pool_patients), 1)
    if pools == 1 or (patients is not None and patients < 2 * pool_patients and not contract.pool_matters):
        pools, pool_patients = 1, patients or pool_patients
    return source.cohort(pools, pool_patients, seed, enrolment_years=pool_years, stratified=True)


def _small(
    contract: Contract, source: PatientSource, seed: int, pool_patients: int, pool_years: float
) -> ContractCohort:
    pools = max(_RISK_PATIENTS // pool_patients, 1)
    return source.cohort(pools, pool_patients, seed, key="risks", trial_patients=None, enrolment_years=pool_years)


def _standard_error(values: Float, contract: Contract) -> float:
    """Return the standard error of the mean; patients of a pool depend on each other under pooled terms."""
    units = values.mean(axis=1) if contract.pool_matters and values.shape[0] > 1 else values.ravel()
    return float(units.std(ddof=1) / math.sqrt(units.size)) if units.size > 1 else math.nan


def _assumed_share(ledger: ContractLedger) -> float:
    every, assumed = 0.0, 0.0
    for block in ledger.product_blocks:
        absolute = np.abs(block.amount)
        every += float(absolute.sum())
        if block.observed is not True:
            assumed += float(np.where(block.observed, 0.0, absolute).sum())
    return assumed / every if every > 0.0 else 0.0


def _information(
    ledger: ContractLedger, cohort: ContractCohort, question: RegistryQuestion | None, trial: int | None
) -> RegistryInformation | None:
    if question is None or question.value_of_success is None or trial is None:
        return None
    endpoint: Endpoint = "remission"
    success = cohort.event_years(endpoint) > question.month / 12.0
    share = float(success.mean())
    if not 0.0 < share < 1.0:
        return None
    cost = ledger.payer_cost(ledger.payer_rate)
    return registry_information(
        success=share,
        trial_patients=trial,
        registry_patients=question.registry_patients,
        future_patients=question.future_patients,
        value_of_success=question.value_of_success,
        cost_of_success=float(cost[success].mean()),
        cost_of_failure=float(cost[~success].mean()),
        registry_cost=float(ledger.administration(ledger.payer_rate).mean()) * question.registry_patients,
    )
