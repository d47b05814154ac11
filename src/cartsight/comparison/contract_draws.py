"""A contract over the parameter draws of a scenario: how uncertain its expected net price is, beside the Monte Carlo error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cartsight.comparison.executor import executor_for
from cartsight.comparison.parameter_draws import ParameterDraws, draw_parameters
from cartsight.comparison.single_arm import run_arms
from cartsight.comparison.spread import shrink_draw_means, split_variance_of_means
from cartsight.core.errors import InputError
from cartsight.economics.contracts import Contract, contract_cohort, run_contract, simulated_patients
from cartsight.scenario import Scenario
from cartsight.scenario.arms import as_product

Float = npt.NDArray[np.float64]

FEWEST_DRAWS = 10
BLOCK = 8


@dataclass(frozen=True, slots=True)
class UncertainAmount:
    """Money per infused patient over parameter draws.

    Attributes
    ----------
    mean : float
    low, high : float
        2.5 and 97.5 percentile over the draws, noise of finite patients taken out: parameter uncertainty.
    standard_error : float
        Monte Carlo, of the mean.
    """

    mean: float
    low: float
    high: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class ContractDraws:
    """Expected net price of a contract over parameter draws, and the share of the price that it is."""

    draws: int
    nominal: UncertainAmount
    present_value: UncertainAmount
    share_of_price: UncertainAmount


@dataclass(frozen=True, slots=True)
class _Block:
    scenario: Scenario
    draws: ParameterDraws
    first: int
    last: int
    arm: str
    contract: Contract
    price_of_scenario: bool
    patients: int | None
    pool_patients: int
    pool_years: float


def contract_draws(
    contract: Contract,
    scenario: Scenario,
    arm: str,
    *,
    draws: int,
    seed: int,
    price_of_scenario: bool = False,
    patients: int | None = None,
    pool_patients: int = 100,
    pool_years: float = 1.0,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ContractDraws:
    """Return the expected net price of a contract over joint draws of a scenario's uncertain numbers.

    Parameters
    ----------
    contract : Contract
    scenario : Scenario
    arm : str
        An arm with a product; each draw has its own patients.
    draws, seed : int
    price_of_scenario : bool
        Whether the price is the scenario's, which may be uncertain too; else it is the contract's own.
    patients, pool_patients, pool_years
        As `evaluate_contract`.
    workers : int, optional
        Worker processes; results do not depend on it.
    progress : callable, optional
        Called with (draws done, draws in all).

    Raises
    ------
    InputError
        Fewer than 10 draws, or a draw in which nobody is infused.
    """
    if draws < FEWEST_DRAWS:
        raise InputError("an interval needs more parameter draws", found=draws, allowed=f"at least {FEWEST_DRAWS}")
    parameters = draw_parameters(scenario, draws, seed)
    blocks = [
        _Block(
            scenario=scenario,
            draws=parameters,
            first=first,
            last=min(first + BLOCK, draws),
            arm=arm,
            contract=contract,
            price_of_scenario=price_of_scenario,
            patients=patients,
            pool_patients=pool_patients,
            pool_years=pool_years,
        )
        for first in range(0, draws, BLOCK)
    ]
    found: list[Float] = []
    for rows in executor_for(workers, len(blocks)).map_blocks(run_block, blocks):
        found += rows
        if progress is not None:
            progress(len(found), draws)
    table = np.stack(found)
    return ContractDraws(draws, *(_amount(table[:, part]) for part in range(3)))


def run_block(block: _Block) -> list[Float]:
    """Return (mean, variance, units) of nominal, present value and share of the price, shape (3, 3), for each draw."""
    rows = []
    for draw in range(block.first, block.last):
        scenario = block.scenario.with_values(block.draws.at(draw), known=True)
        seed = block.draws.patient_seed(draw)
        product = as_product(scenario.arms[block.arm])
        assert product is not None
        contract = block.contract
        if block.price_of_scenario:
            contract = replace(contract, price=product.price.per_patient.x)
        try:
            run = run_arms(scenario, seed, (block.arm,))[block.arm]
            source = simulated_patients(run.trajectories, run.outcomes, assessment_days=product.efficacy.assessment.x)
        except InputError as error:
            raise InputError(f"parameter draw {draw}: {error.problem}", field=error.field, found=error.found) from None
        cohort = contract_cohort(contract, source, seed, block.patients, block.pool_patients, block.pool_years)
        ledger = run_contract(contract, cohort)
        nominal, value = ledger.nominal(), ledger.present_value()
        share = nominal / contract.price if contract.price > 0.0 else np.zeros(nominal.shape)
        rows.append(np.array([_moments(amount, contract) for amount in (nominal, value, share)]))
    return rows


def _moments(values: Float, contract: Contract) -> tuple[float, float, float]:
    # Patients of a pool depend on each other under pooled terms.
    units = values.mean(axis=1) if contract.pool_matters and values.shape[0] > 1 else values.ravel()
    return float(units.mean()), float(units.var(ddof=1)) if units.size > 1 else 0.0, float(units.size)


def _amount(moments: Float) -> UncertainAmount:
    means, within, units = moments.T
    clean = means
    if np.all(units >= 2.0) and float(means.std()) > 0.0:
        clean = shrink_draw_means(means, split_variance_of_means(means, within, units))
    low, high = np.quantile(clean, [0.025, 0.975])
    error = float(means.std(ddof=1) / np.sqrt(means.size))
    return UncertainAmount(float(means.mean()), float(low), float(high), error)
