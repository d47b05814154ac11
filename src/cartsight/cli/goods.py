"""cartsight economics goods: what a product costs to make, by activity, and who bears it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cartsight.cli.output import Json, Quiet, Seed, print_json, stderr_console, stdout_console


def register(app: typer.Typer) -> None:
    """Add the command to the group of economics commands."""
    app.command("goods")(goods)


def goods(
    scenario: Annotated[str, typer.Argument(help="Scenario file, or the name of a shipped scenario.")],
    arm: Annotated[list[str] | None, typer.Option("--arm", help="Only this arm; may be given several times.")] = None,
    patients: Annotated[
        int | None, typer.Option("--patients", help="Counted patients (default: the scenario's).")
    ] = None,
    seed: Seed = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Cost of goods by activity at the point values: budget, idle and sunk cost, reconciled to the cent."""
    from cartsight.core.errors import InputError, nearest
    from cartsight.economics.cost_of_goods import cost_of_goods
    from cartsight.reporting.goods_document import goods_document
    from cartsight.scenario import load_scenario
    from cartsight.scenario.arms import as_product
    from cartsight.simulation.pathways import generate_patients, observation_window, run_flow

    loaded = load_scenario(scenario)
    given = {"patients": patients, "seed": seed}
    loaded = loaded.with_analysis(**{name: value for name, value in given.items() if value is not None})
    made = [name for name, one in loaded.arms.items() if as_product(one) is not None]
    for name in arm or []:
        if name not in made:
            raise InputError(
                "no arm of this name makes a product",
                field="--arm",
                found=name,
                allowed=", ".join(made) or None,
                hint=nearest(name, made),
            )
    chosen = list(dict.fromkeys(arm)) if arm else made
    if not chosen:
        raise InputError("no arm of this scenario makes a product", found=loaded.name)
    remarks = stderr_console(quiet)
    everyone = generate_patients(loaded, loaded.analysis.seed, observation_window(loaded))
    arms: dict[str, Any] = {}
    for name in chosen:
        remarks.print(f"{name}: simulating", markup=False)
        product = as_product(loaded.arms[name])
        flow = run_flow(loaded, name, loaded.analysis.seed, patients=everyone, keep_batches=True)
        assert product is not None and flow.plant is not None
        found = cost_of_goods(product, flow.plant)
        arms[name] = {
            "label": product.label,
            "itemised": product.costs.itemised,
            **goods_document(product, found, flow.plant, loaded.analysis.money),
        }
    document = {
        "scenario": loaded.name,
        "hash": loaded.content_hash(),
        "seed": loaded.analysis.seed,
        "money": loaded.analysis.money,
        "arms": arms,
    }
    if json:
        print_json(document)
        return
    for one in arms.values():
        _print(one)


def _print(one: dict[str, Any]) -> None:
    console = stdout_console()
    unit = one["unit"]
    console.print(
        f"{one['label']}: {unit}, {one['years']:g} years, {one['counts']['started']} started, "
        f"{one['counts']['released']} released, {one['counts']['infused']} infused",
        markup=False,
        soft_wrap=True,
    )
    budget = _table("Budget", "Kind", "Driver", "Count", "Each", "Total", "Used")
    for line in one["budget"]["lines"]:
        used = "" if line["used"] is None else f"{line['used']:.0%}"
        budget.add_row(
            line["name"], line["kind"], line["driver"], _count(line["count"]), _amount(line["unit_cost"]),
            _amount(line["total"]), used,
        )  # fmt: skip
    console.print(budget)
    console.print(
        f"fixed {_amount(one['budget']['fixed'])}, variable {_amount(one['budget']['variable'])}, "
        f"total {_amount(one['budget']['total'])}, per year {_amount(one['budget']['per_year'])}, "
        f"idle {_amount(one['idle']['total'])} ({_share(one['idle']['share'])})",
        markup=False,
        soft_wrap=True,
    )
    console.print(
        f"per started {_amount(one['per_started'])}, per released {_amount(one['per_released'])}, "
        f"per infused {_amount(one['per_infused'])}",
        markup=False,
        soft_wrap=True,
    )
    bearers = _table("Who bears it", "Count", "Each", "Window", "Per year")
    table = one["reconciliation"]
    for row in table["rows"]:
        bearers.add_row(
            row["name"],
            _amount(row["count"]),
            _amount(row["each"]),
            _cents(row["cents"]),
            _cents(row["per_year_cents"]),
        )
    bearers.add_row(
        "all rows",
        "",
        "",
        _cents(sum(r["cents"] for r in table["rows"])),
        _cents(sum(r["per_year_cents"] for r in table["rows"])),
    )
    bearers.add_row("budget", "", "", _cents(table["budget_cents"]), _cents(table["budget_per_year_cents"]))
    console.print(bearers)
    if one["capital"] is not None:
        for part, estimate in one["capital"].items():
            if estimate is not None:
                console.print(
                    f"capital of a {part}: {_amount(estimate['fixed_capital'])}, {_amount(estimate['annual_charge'])} a year",
                    markup=False,
                    soft_wrap=True,
                )
    if one["volume"] is not None:
        curve = _table("Infused per year", "Sites", "Lines", "Per infused")
        volume = one["volume"]
        for row in zip(
            volume["infused_per_year"], volume["sites"], volume["lines"], volume["per_infused"], strict=True
        ):
            curve.add_row(*(_amount(value) for value in row))
        console.print(curve)


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for i, name in enumerate(columns):
        words = i == 0 or name in ("Kind", "Driver")
        table.add_column(name, justify="left" if words else "right", overflow="fold")
    return table


def _amount(value: float | None) -> str:
    import math

    return "" if value is None or math.isnan(value) else f"{value:,.0f}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:,.2f}"


def _share(value: float) -> str:
    import math

    return "no cost" if math.isnan(value) else f"{value:.0%}"


def _cents(value: int) -> str:
    sign, size = ("-" if value < 0 else ""), abs(value)
    return f"{sign}{size // 100:,}.{size % 100:02d}"
