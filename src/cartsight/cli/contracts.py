"""Contracts: `cartsight economics contract`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cartsight.cli.output import Json, Quiet, Seed, print_json, stderr_console, stdout_console

if TYPE_CHECKING:
    from cartsight.economics.contracts import (
        Contract,
        ContractFile,
        ContractResult,
        CurvePatients,
        SimulatedPatients,
    )
    from cartsight.scenario import Scenario


def register(app: typer.Typer) -> None:
    """Add the commands to the economics group."""
    app.command("contract")(contract)


def product_arm(scenario: Scenario, arm: str | None) -> str:
    """Return the arm asked for, else the reference arm if it has a product, else the first that has one."""
    from cartsight.core.errors import InputError, nearest
    from cartsight.scenario.arms import as_product

    products = [name for name, item in scenario.arms.items() if as_product(item) is not None]
    if arm is not None:
        if arm not in scenario.arms:
            raise InputError(
                "unknown arm",
                field="--arm",
                found=arm,
                allowed=", ".join(scenario.arms),
                hint=nearest(arm, scenario.arms),
            )
        if arm not in products:
            raise InputError(
                "this arm has no product to pay for", field="--arm", found=arm, allowed=", ".join(products)
            )
        return arm
    if not products:
        raise InputError("no arm of this scenario has a product", found=scenario.name)
    return scenario.reference_arm if scenario.reference_arm in products else products[0]


def _patients_of_scenario(
    file: ContractFile, name: str, arm: str | None, seed: int | None
) -> tuple[SimulatedPatients, ContractFile, dict[str, Any], int]:
    """Return the infused patients of an arm, and the contract at the scenario's price where it states none."""
    from dataclasses import replace

    from cartsight.comparison.single_arm import run_arms
    from cartsight.economics.contracts import simulated_patients
    from cartsight.scenario import load_scenario
    from cartsight.scenario.arms import as_product

    scenario = load_scenario(name)
    chosen = product_arm(scenario, arm)
    product = as_product(scenario.arms[chosen])
    assert product is not None
    used = scenario.analysis.seed if seed is None else seed
    run = run_arms(scenario, used, (chosen,))[chosen]
    source = simulated_patients(run.trajectories, run.outcomes, assessment_days=product.efficacy.assessment.x)
    contract = file.contract
    if not file.price_stated:
        contract = replace(contract, price=product.price.per_patient.x, currency=scenario.analysis.money)
    stated = contract.currency
    if file.price_stated and stated.casefold() not in ("", scenario.analysis.money.casefold()):
        remark = (
            f"the contract's amounts are in {stated}, the scenario's in {scenario.analysis.money}: nothing is converted"
        )
        file = replace(file, warnings=(*file.warnings, remark))
    contract = with_specification(contract, product.price.paid_if_out_of_specification)
    about = {
        "scenario": scenario.name,
        "arm": chosen,
        "referred": source.referred,
        "infused": int(source.remission_end_years.size),
        "infused_share": source.infused_share,
    }
    return source, replace(file, contract=contract), about, used


def with_specification(agreed: Contract, paid: bool) -> Contract:
    """Return the contract with the scenario's rule for products out of specification where it has none of its own."""
    from dataclasses import replace

    from cartsight.economics.contracts import OutOfSpecification

    if paid or any(isinstance(clause, OutOfSpecification) for clause in agreed.clauses):
        return agreed
    clause = OutOfSpecification("out of specification (scenario)", 0.0)
    return replace(agreed, clauses=(*agreed.clauses, clause))


def contract(
    file: Annotated[
        str, typer.Argument(help="A contract file, or the name of a shipped agreement; 'list' shows them.")
    ],
    scenario: Annotated[
        str | None, typer.Option("--scenario", help="Run it on this scenario's patients instead of the file's curve.")
    ] = None,
    arm: Annotated[str | None, typer.Option("--arm", help="Arm of the scenario (default: its reference arm).")] = None,
    draws: Annotated[
        int,
        typer.Option("--draws", help="With --scenario: parameter draws for an interval of the net price (default 0)."),
    ] = 0,
    patients: Annotated[
        int | None, typer.Option("--patients", help="Simulated patients behind the means (default 100 000).")
    ] = None,
    cohort_size: Annotated[
        list[int] | None,
        typer.Option("--cohort-size", help="Patients of a payer; repeatable (default 15, 100, 1 000)."),
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="Write the dated events of the first pool to this CSV file.")
    ] = None,
    as_json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Run a contract on a stated curve or on a scenario's patients: net price, spread, cash flow, risks."""
    from dataclasses import asdict

    from cartsight.core.errors import InputError
    from cartsight.economics.contracts import COHORT_SIZES, evaluate_contract, load_contract, shipped_contracts

    if file == "list" and not Path(file).exists():
        _list_agreements(shipped_contracts(), as_json)
        return
    if draws and scenario is None:
        raise InputError(
            "parameter draws need a scenario", field="--draws", found=draws, hint="Add --scenario SCENARIO."
        )
    if draws and not 10 <= draws <= 100_000:
        raise InputError("out of range", field="--draws", found=draws, allowed="0, or 10 to 100000")
    read = load_contract(file)
    about: dict[str, Any] = {"scenario": None, "arm": None}
    source: CurvePatients | SimulatedPatients
    if scenario is not None:
        source, read, about, used = _patients_of_scenario(read, scenario, arm, seed)
    else:
        if arm is not None:
            raise InputError("an arm needs a scenario", field="--arm", found=arm, hint="Add --scenario SCENARIO.")
        if read.patients is None:
            raise InputError(
                "the contract states no curve",
                file=read.path,
                field="curve",
                hint="Add a [curve] table, or --scenario SCENARIO.",
            )
        if not read.price_stated:
            raise InputError("missing", file=read.path, field="price")
        source = read.patients
        used = seed if seed is not None else (read.seed if read.seed is not None else 1)
    size = patients if patients is not None else read.simulated_patients
    if size is not None and not 2 <= size <= 5_000_000:
        raise InputError("must be from 2 to 5 000 000", field="--patients", found=size)
    sizes = tuple(cohort_size) if cohort_size else COHORT_SIZES
    if any(not 1 <= n <= 100_000 for n in sizes):
        raise InputError("must be from 1 to 100 000", field="--cohort-size", found=list(sizes))
    try:
        result = evaluate_contract(
            read.contract,
            source,
            seed=used,
            patients=size,
            pool_patients=read.pool_patients,
            pool_years=read.pool_years,
            trial_patients=read.trial_patients,
            risk_aversion=read.risk_aversion,
            cohort_sizes=sizes,
            question=read.registry,
        )
    except InputError as error:
        raise error.located(file=read.path) from None
    if ledger is not None:
        _write_ledger(ledger, result)
    document = contract_document(read, result, about)
    document["parameter_draws"] = None
    if draws and scenario is not None:
        from cartsight.comparison.contract_draws import contract_draws
        from cartsight.scenario import load_scenario

        with stderr_console(quiet).status("parameter draws"):
            document["parameter_draws"] = asdict(
                contract_draws(
                    read.contract,
                    load_scenario(scenario),
                    about["arm"],
                    draws=draws,
                    seed=used,
                    price_of_scenario=not read.price_stated,
                    patients=size,
                    pool_patients=read.pool_patients,
                    pool_years=read.pool_years,
                )
            )
    for remark in document["warnings"]:
        stderr_console(quiet).print(f"remark: {remark}", soft_wrap=True, markup=False)
    if as_json:
        print_json(document)
    else:
        _print_contract(document)


def _list_agreements(found: dict[str, Path], as_json: bool) -> None:
    from cartsight.economics.contracts import load_contract

    rows = [load_contract(name) for name in found]
    if as_json:
        records = [
            {"name": row.name, "title": row.title, "confidence": row.confidence, "price": row.contract.price}
            for row in rows
        ]
        print_json({"agreements": records})
        return
    from rich.table import Table

    table = Table("Agreement", "Title", "Confidence", box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(row.name, row.title, row.confidence or "")
    stdout_console().print(table)


def contract_document(read: ContractFile, result: ContractResult, about: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON object of a contract's result."""
    from dataclasses import asdict

    from cartsight.economics.contracts import ClosedForm

    exact = result.closed_form
    start = read.start_year or 1
    return {
        "contract": read.name,
        "title": read.title,
        "currency": result.contract.currency or None,
        "price": result.contract.price,
        **about,
        "seed": result.seed,
        "patients": result.patients,
        "discount_rate": result.contract.terms.payer_rate,
        "manufacturer_discount_rate": result.contract.terms.manufacturer_rate,
        "expected_nominal": result.expected_nominal,
        "expected_present_value": result.expected_present_value,
        "standard_error": result.standard_error,
        "standard_error_present_value": result.standard_error_present_value,
        "manufacturer_present_value": result.manufacturer_present_value,
        "administration": result.administration,
        "next_payer_nominal": result.next_payer_nominal,
        "assumed_share": result.assumed_share,
        "by_cohort_size": [
            {
                "cohort_size": size.cohort_size,
                "pools": size.pools,
                **asdict(size.nominal),
                "present_value": asdict(size.present_value),
            }
            for size in result.sizes
        ],
        "trial_patients": result.trial_patients,
        "closed_form": {
            "nominal": exact.nominal,
            "present_value": exact.present_value,
            "by_clause": {
                name: {"nominal": nominal, "present_value": value} for name, (nominal, value) in exact.by_clause.items()
            },
        }
        if isinstance(exact, ClosedForm)
        else None,
        "closed_form_reason": None if isinstance(exact, ClosedForm) else exact.reason,
        "by_clause": result.by_clause,
        "pool_patients": result.pool_patients,
        "cash_flow_by_year": [{**row, "year": start + int(row["year"]) - 1} for row in result.cash_flow_by_year],
        "flat_rebate_equivalent": asdict(result.flat_rebate),
        "revenue_at_risk": result.revenue_at_risk,
        "risks": [asdict(row) for row in result.risks],
        "registry_information": None if result.information is None else asdict(result.information),
        "confidence": read.confidence,
        "sources": [asdict(source) for source in read.sources],
        "warnings": list(read.warnings),
    }


def _write_ledger(path: Path, result: ContractResult) -> None:
    import csv
    from dataclasses import replace

    from cartsight.core.errors import InputError

    whole = result.ledger
    first = replace(
        whole,
        start_years=whole.start_years[:1],
        blocks=tuple(
            replace(
                block,
                amount=block.amount[:1],
                years=_first_row(block.years),
                payer=_first_row(block.payer),
                observed=_first_row(block.observed),
            )
            for block in whole.blocks
        ),
    )
    rows = first.rows()
    try:
        with path.open("w", encoding="utf-8", newline="") as target:
            writer = csv.DictWriter(target, fieldnames=list(rows[0]) if rows else ["patient"])
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=path) from None


def _first_row(value: Any) -> Any:
    return value[:1] if getattr(value, "ndim", 0) == 2 else value


_OVER = ("nominal", "present_value")


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _print_contract(document: dict[str, Any]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    console = stdout_console()
    money = document["currency"] or "money of the contract"

    def table(title: str, *columns: str) -> Table:
        made = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        for position, column in enumerate(columns):
            made.add_column(column, justify="left" if position == 0 else "right", overflow="fold")
        return made

    main = table(f"{document['title']}: per infused patient, {money}", "", "Nominal", "Present value")
    main.add_row("List price", f"{document['price']:,.0f}", f"{document['price']:,.0f}")
    main.add_row(
        "Expected net price (simulated)",
        f"{document['expected_nominal']:,.0f}",
        f"{document['expected_present_value']:,.0f}",
    )
    main.add_row(
        "  Monte Carlo standard error",
        f"{document['standard_error']:,.0f}",
        f"{document['standard_error_present_value']:,.0f}",
    )
    over = document["parameter_draws"]
    if over is not None:
        main.add_row(f"Mean of {over['draws']} parameter draws", *(_whole(over[k]["mean"]) for k in _OVER))
        main.add_row(
            "  95 % interval of the draws", *(f"{_whole(over[k]['low'])} to {_whole(over[k]['high'])}" for k in _OVER)
        )
    exact = document["closed_form"]
    if exact is not None:
        main.add_row("Expected net price (closed form)", f"{exact['nominal']:,.2f}", f"{exact['present_value']:,.2f}")
    for name, row in document["by_clause"].items():
        main.add_row(f"  {name}", f"{row['nominal']:,.0f}", f"{row['present_value']:,.0f}")
    console.print(main)
    flat = document["flat_rebate_equivalent"]
    console.print(
        f"Equal to a flat rebate of {flat['rebate_share']:.1%}: {flat['net_price']:,.0f} once at infusion, "
        f"without tracking of {flat['administration_saved']:,.0f}.",
        soft_wrap=True,
    )
    sizes = table("Net price per patient by cohort size", "Patients", "Mean", "SD", "95 % from", "to", "Payer premium")
    premiums = {row["cohort_size"]: row["payer_risk_premium"] for row in flat["certainty_equivalents"]}
    for row in document["by_cohort_size"]:
        sizes.add_row(
            f"{row['cohort_size']:,}",
            *(f"{row[key]:,.0f}" for key in ("mean", "sd", "low_95", "high_95")),
            f"{premiums[row['cohort_size']]:,.0f}",
        )
    console.print(sizes)
    flow = table(
        f"Cash flow of {document['pool_patients']} patients, mean", "Year", "Payer", "Next payer", "Manufacturer"
    )
    for row in document["cash_flow_by_year"]:
        flow.add_row(str(row["year"]), *(f"{row[key]:,.0f}" for key in ("payer", "next_payer", "manufacturer")))
    console.print(flow)
    risks = table(
        "Who bears which risk: change in present value per patient", "Risk", "Payers", "Manufacturer", "Borne by"
    )
    for row in document["risks"]:
        name = f"{row['risk']}: {row['change']}"
        risks.add_row(name, f"{row['payer']:+,.0f}", f"{row['manufacturer']:+,.0f}", row["borne_by"])
    console.print(risks)
    if document["registry_information"] is not None:
        found = document["registry_information"]
        console.print(
            f"The registry's information is worth {found['per_patient']:,.0f} per future patient, "
            f"{found['population']:,.0f} in all, against a cost of {found['registry_cost']:,.0f}.",
            soft_wrap=True,
        )
    for source in document["sources"]:
        evidence = f" [{source['evidence']}]" if source["evidence"] else ""
        console.print(f"source ({source['confidence']}): {source['says']}{evidence}", soft_wrap=True, markup=False)
