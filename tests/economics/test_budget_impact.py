"""Budget impact: patients and money of two worlds by calendar year."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scenario_builder import build
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError
from cartsight.economics.budget_impact import arm_budget, budget_years, comparator_of, launch_population
from cartsight.economics.contracts import Contract, Milestone, Terms, UpFront
from cartsight.scenario import Scenario
from cartsight.scenario.arms import as_product

RUNNER = CliRunner()
YEARS = 3


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build()


def product_arm(scenario: Scenario) -> str:
    return next(name for name, arm in scenario.arms.items() if as_product(arm) is not None)


def test_patients_are_conserved(scenario: Scenario) -> None:
    population = launch_population(scenario, 3, YEARS, prevalent=40)
    new = arm_budget(population, product_arm(scenario), 3)
    assert new.referred.sum() == population.incident + 40
    assert np.all(new.treated.cumsum() + new.waiting <= new.referred.cumsum())
    assert new.treated.sum() > 0


def test_prevalent_patients_leave_the_incident_ones_alone(scenario: Scenario) -> None:
    alone = launch_population(scenario, 3, YEARS)
    together = launch_population(scenario, 3, YEARS, prevalent=25)
    incident = np.isin(together.patients.identity, alone.patients.identity)
    assert np.array_equal(together.patients.referral_day[incident], alone.patients.referral_day)
    assert np.count_nonzero(~incident) == 25
    assert together.patients.hospital[~incident].max() <= alone.patients.hospital.max()


def test_money_adds_up(scenario: Scenario) -> None:
    name = product_arm(scenario)
    population = launch_population(scenario, 3, YEARS)
    new = arm_budget(population, name, 3)
    old_name = comparator_of(scenario, name)
    old = arm_budget(population, old_name, 3) if old_name else None
    rows = budget_years(new, old, cap=0.0)
    for k, row in enumerate(rows):
        assert row.net == pytest.approx(row.net_product_cost + row.other_costs - row.displaced)
        assert row.cumulative_net == pytest.approx(sum(r.net for r in rows[: k + 1]))
        assert row.cap_exceeded is (row.net_product_cost > 0.0)
    same = budget_years(new, new)
    assert all(row.net == pytest.approx(0.0, abs=1e-6) for row in same)


def test_up_front_contract_is_the_price(scenario: Scenario) -> None:
    name = product_arm(scenario)
    product = as_product(scenario.arms[name])
    assert product is not None
    price = product.price.per_patient.x
    population = launch_population(scenario, 3, YEARS)
    plain = arm_budget(population, name, 3)
    paid = Contract(price, (UpFront("a", share=1.0),), Terms())
    if not product.price.paid_if_out_of_specification:
        from cartsight.economics.contracts import OutOfSpecification

        paid = replace(paid, clauses=(*paid.clauses, OutOfSpecification("b", 0.0)))
    under = arm_budget(population, name, 3, contract=paid)
    assert under.product_net == pytest.approx(plain.product_net)
    later = arm_budget(population, name, 3, contract=Contract(price, (Milestone("m", share=1.0, month=12),)))
    assert later.product_net[0] < under.product_net[0]
    assert later.product_net.sum() + later.product_after <= under.product_net.sum() * 1.05
    assert later.product_after > 0.0


@pytest.mark.parametrize(
    "bad",
    [dict(years=0), dict(years=31), dict(years=2, prevalent=-1), dict(years=1, prevalent_within_days=900.0)],  # noqa: C408
)
def test_bad_input(scenario: Scenario, bad: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        launch_population(scenario, 1, **bad)


def run_json(*arguments: str) -> dict[str, Any]:
    result = RUNNER.invoke(app, ["economics", "budget", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_command() -> None:
    out = run_json(
        "lbcl-third-line-us", "--years", "3", "--draws", "4", "--prevalent", "100", "--contract", "spain-kymriah"
    )
    assert len(out["years"]) == 3 and out["comparator"] == "other-care"
    first = out["years"][0]
    assert {"patients_treated", "gross_product_cost", "other_costs", "displaced", "net"} <= set(first)
    assert first["net_product_cost"] < first["gross_product_cost"]
    low, high = first["interval_95"]["net"]
    assert low < high
    assert out["product_payments_after"] > 0
    plain = RUNNER.invoke(app, ["economics", "budget", "sle-refractory-us", "--draws", "0", "--years", "2"])
    assert plain.exit_code == 0 and "Displaced" in plain.stdout


def test_command_refuses() -> None:
    def refuse(*arguments: str) -> str:
        result = RUNNER.invoke(app, ["economics", "budget", *arguments])
        assert isinstance(result.exception, InputError), result.output
        return str(result.exception)

    assert "years" in refuse("lbcl-third-line-us", "--years", "0", "--draws", "0")
    assert "Did you mean" in refuse("lbcl-third-line-us", "--arm", "autologous-centrl")
    assert "no product" in refuse("lbcl-third-line-us", "--arm", "other-care")
    assert "itself" in refuse("lbcl-third-line-us", "--comparator", "autologous-central")
    assert "money" in refuse("lbcl-third-line-us", "--contract", "spain-yescarta", "--draws", "0")
