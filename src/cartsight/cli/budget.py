"""Budget impact: `cartsight economics budget`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cartsight.cli.contracts import product_arm, with_specification
from cartsight.cli.output import Json, Quiet, Seed, print_json, stderr_console, stdout_console

if TYPE_CHECKING:
    from cartsight.economics.budget_impact import BudgetYear
    from cartsight.economics.contracts import ContractFile
    from cartsight.scenario import Scenario

_BUDGET_FIELDS = (
    "patients_treated",
    "gross_product_cost",
    "net_product_cost",
    "other_costs",
    "displaced",
    "net",
    "cumulative_net",
)
_FEWEST_DRAWS = 20


def register(app: typer.Typer) -> None:
    """Add the command to the economics group."""
    app.command("budget")(budget)


def budget(
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of a shipped scenario.")],
    arm: Annotated[str | None, typer.Option("--arm", help="Product launched (default: the reference arm).")] = None,
    comparator: Annotated[
        str | None,
        typer.Option("--comparator", help="Care it displaces (default: other care, else the reference arm)."),
    ] = None,
    years: Annotated[int, typer.Option("--years", help="Calendar years after launch.")] = 5,
    prevalent: Annotated[int, typer.Option("--prevalent", help="Patients already waiting for it at launch.")] = 0,
    agreement: Annotated[
        str | None, typer.Option("--contract", help="Contract file or agreement: when the product is paid.")
    ] = None,
    cap: Annotated[
        float | None, typer.Option("--cap", help="Yearly budget for the product; years above it are named.")
    ] = None,
    draws: Annotated[int, typer.Option("--draws", help="Parameter draws behind the intervals; 0 for none.")] = 40,
    as_json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Budget impact by calendar year: incident and prevalent patients through the simulated capacity, undiscounted."""
    import math

    import numpy as np

    from cartsight.comparison.parameter_draws import draw_parameters
    from cartsight.core.errors import InputError, nearest
    from cartsight.economics.budget_impact import arm_budget, budget_years, comparator_of, launch_population
    from cartsight.economics.contracts import load_contract
    from cartsight.scenario import load_scenario
    from cartsight.scenario.arms import as_product

    if not 0 <= draws <= 10_000:
        raise InputError("must be from 0 to 10 000", field="--draws", found=draws)
    if cap is not None and not (math.isfinite(cap) and cap >= 0.0):
        raise InputError("must be a finite amount, not negative", field="--cap", found=cap)
    loaded = load_scenario(scenario)
    chosen = product_arm(loaded, arm)
    if comparator is not None and comparator not in loaded.arms:
        raise InputError(
            "unknown arm",
            field="--comparator",
            found=comparator,
            allowed=", ".join(loaded.arms),
            hint=nearest(comparator, loaded.arms),
        )
    if comparator == chosen:
        raise InputError("the comparator is the arm itself", field="--comparator", found=comparator)
    against = comparator or comparator_of(loaded, chosen)
    used = loaded.analysis.seed if seed is None else seed
    read = None if agreement is None else load_contract(agreement)
    if read is not None:
        _same_money(read, loaded.analysis.money)

    def at(values: Scenario) -> list[BudgetYear]:
        product = as_product(values.arms[chosen])
        assert product is not None
        agreed = None
        if read is not None:
            from dataclasses import replace

            agreed = replace(read.contract, price=product.price.per_patient.x)
            agreed = with_specification(agreed, product.price.paid_if_out_of_specification)
        population = launch_population(values, used, years, prevalent=prevalent)
        new = arm_budget(population, chosen, used, contract=agreed)
        after.append(new.product_after)
        old = arm_budget(population, against, used) if against is not None else None
        return budget_years(new, old, cap=cap)

    after: list[float] = []
    base = at(loaded)
    left = after[0]
    table = np.zeros((0, years, len(_BUDGET_FIELDS)))
    if draws:
        parameters = draw_parameters(loaded, draws, used)
        moved = [at(loaded.with_values(parameters.at(k), known=True)) for k in range(draws)]
        table = np.array([[[float(getattr(row, f)) for f in _BUDGET_FIELDS] for row in rows] for rows in moved])
    rows: list[dict[str, Any]] = []
    from dataclasses import asdict

    for place, row in enumerate(base):
        record: dict[str, Any] = asdict(row)
        if table.size:
            low, high = np.quantile(table[:, place], (0.025, 0.975), axis=0)
            record["interval_95"] = {name: [float(low[k]), float(high[k])] for k, name in enumerate(_BUDGET_FIELDS)}
        rows.append(record)
    warnings = []
    if against is None:
        warnings.append("no arm to compare with: nothing is displaced")
    if draws < _FEWEST_DRAWS:
        warnings.append(f"fewer than {_FEWEST_DRAWS} parameter draws: intervals are missing or rough")
    if any(row.cap_exceeded for row in base):
        warnings.append(
            "the product costs more than the cap in year " + ", ".join(str(r.year) for r in base if r.cap_exceeded)
        )
    document = {
        "scenario": loaded.name,
        "arm": chosen,
        "comparator": against,
        "money": loaded.analysis.money,
        "contract": None if read is None else read.name,
        "seed": used,
        "draws": draws,
        "prevalent": prevalent,
        "referrals_per_year": loaded.referrals_per_day * 365.25,
        "years": rows,
        "product_payments_after": left,
        "warnings": warnings,
    }
    for warning in warnings:
        stderr_console(quiet).print(f"remark: {warning}", soft_wrap=True, markup=False)
    if as_json:
        print_json(document)
    else:
        _print_budget(document, loaded.arms[chosen].label)


def _same_money(read: ContractFile, money: str) -> None:
    """Refuse a contract with amounts of its own in another money than the scenario's; shares need no money."""
    from cartsight.core.errors import InputError
    from cartsight.economics.contracts import SpendingCap, Subscription

    amounts = [
        clause.name
        for clause in read.contract.clauses
        if isinstance(clause, (SpendingCap, Subscription)) or getattr(clause, "amount", None) is not None
    ]
    costs = read.contract.terms.administration
    if costs.set_up_cost > 0.0 or costs.cost_per_patient_year > 0.0:
        amounts.append("administration")
    if amounts and read.contract.currency != money:
        raise InputError(
            f"amounts of the contract ({', '.join(amounts)}) are not in the scenario's money",
            file=read.path,
            field="currency",
            found=read.contract.currency,
            allowed=money,
            hint="State shares of the price, or amounts in that money.",
        )


def _print_budget(document: dict[str, Any], label: str) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    console = stdout_console()
    against = document["comparator"] or "nothing"
    table = Table(
        title=f"Budget impact of {label} over {against}: millions of {document['money']}, undiscounted",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in ("Year", "Referred", "Treated", "At price", "Paid", "Other", "Displaced", "Net", "95 %"):
        table.add_column(name, justify="right")
    for row in document["years"]:
        interval = row.get("interval_95", {}).get("net")
        table.add_row(
            str(row["year"]),
            f"{row['referred']:,}",
            f"{row['patients_treated']:,}",
            *(
                f"{row[key] / 1e6:,.1f}"
                for key in ("gross_product_cost", "net_product_cost", "other_costs", "displaced", "net")
            ),
            f"{interval[0] / 1e6:,.0f}..{interval[1] / 1e6:,.0f}" if interval else "",
        )
    console.print(table)
    last = document["years"][-1]
    console.print(f"Net over {last['year']} years: {last['cumulative_net'] / 1e6:,.1f} million.", soft_wrap=True)
    if document["contract"] is not None:
        console.print(
            f"Due after the last year under {document['contract']}: {document['product_payments_after'] / 1e6:,.1f} million.",
            soft_wrap=True,
        )
