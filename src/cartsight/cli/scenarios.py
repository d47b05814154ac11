"""Commands on scenario files: check, new, schema, scenarios, cite, units."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cartsight.cli.output import Json, Quiet, Seed, print_json, stderr_console, stdout_console

ScenarioArgument = Annotated[str, typer.Argument(help="A scenario file, or the name of a shipped scenario.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command("scenarios")(scenarios)
    app.command("check")(check)
    app.command("new")(new)
    app.command("schema")(schema)
    app.command("cite")(cite)
    app.command("units")(units)


def scenarios(json: Json = False, seed: Seed = None, quiet: Quiet = False) -> None:
    """List the scenarios that come with cartsight."""
    from cartsight.scenario import load_scenario, shipped_scenarios

    rows: list[dict[str, Any]] = []
    for name in shipped_scenarios():
        scenario = load_scenario(name)
        rows.append(
            {
                "name": name,
                "title": scenario.title,
                "indication": scenario.population.indication,
                "arms": list(scenario.arms),
                "numbers": len(scenario.numbers()),
            }
        )
    if json:
        print_json({"scenarios": rows})
        return
    from rich.table import Table

    table = Table("Scenario", "Title", "Arms", box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(row["name"], row["title"], ", ".join(row["arms"]))
    stdout_console().print(table)


def check(scenario: ScenarioArgument, json: Json = False, seed: Seed = None, quiet: Quiet = False) -> None:
    """Check a scenario: the file, every number, every pathway, and the load on every resource."""
    from cartsight.comparison.checking import check_scenario
    from cartsight.core.errors import InputError

    try:
        report = check_scenario(scenario, seed=seed)
    except InputError as error:
        if json:
            print_json({"valid": False, "error": error.as_dict()})
            raise typer.Exit(2) from None
        raise
    if json:
        print_json({"valid": True, **report})
        return
    console = stdout_console()
    counts = report["origins"]
    console.print(
        f"{report['name']}: valid. {report['numbers']} numbers:", ", ".join(f"{n} {o}" for o, n in counts.items()) + "."
    )
    if report["unverified"]:
        console.print(
            f"{len(report['unverified'])} cited from rows that nobody has read in their source; reports list them as assumptions."
        )
    if report["without_uncertainty"]:
        console.print(
            f"{len(report['without_uncertainty'])} numbers have no stated uncertainty and stay fixed in parameter draws."
        )
    from rich.table import Table

    table = Table("Arm", "Busiest resource", "Offered load", box=None, padding=(0, 2, 0, 0))
    for arm in report["arms"]:
        table.add_row(arm["name"], arm["busiest"] or "none", f"{arm['load']:.2f}" if arm["load"] is not None else "")
    console.print(table)
    for warning in report["warnings"]:
        stderr_console(quiet).print(f"warning: {warning}", soft_wrap=True)


def new(
    name: Annotated[str, typer.Argument(help="Name of the new scenario, for example my-case.")],
    source: Annotated[
        str, typer.Option("--from", help="Scenario to copy: a shipped name or a file.")
    ] = "lbcl-third-line-us",
    extend: Annotated[
        bool, typer.Option("--extend", help="Write a short file that extends the source instead of a full copy.")
    ] = False,
    json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Copy a scenario to NAME.toml in this folder, ready to change."""
    import re

    from cartsight.core.errors import InputError
    from cartsight.scenario import find_scenario, load_scenario

    stem = name.removesuffix(".toml")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", Path(stem).name):
        raise InputError(
            "a scenario name has lower-case letters, digits and hyphens", found=name, allowed="for example my-case"
        )
    target = Path(f"{stem}.toml")
    if target.exists():
        raise InputError("this file exists already", file=target, hint="Choose another name.")
    path = find_scenario(source)
    load_scenario(path)
    if extend:
        parent = source if not Path(source).is_file() else str(Path(source).resolve())
        text = (
            f'extends = "{parent}"\nname = "{target.stem}"\n\n'
            "# Restate only what differs. A number is one decision: give it whole, with its origin.\n"
            "# [analysis]\n# draws = 512\n"
        )
    else:
        text = re.sub(r'(?m)^name\s*=\s*".*?"', f'name = "{target.stem}"', path.read_text(encoding="utf-8"), count=1)
    _write(target, text)
    if json:
        print_json({"created": str(target), "from": str(source)})
    else:
        stdout_console().print(f"{target} created from {source}. Next: cartsight check {target}")


def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file instead of stdout.")] = None,
    json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Print the JSON Schema of a scenario, for editors that check TOML while you type."""
    import json as json_module

    from cartsight.scenario.schema import scenario_schema

    document = scenario_schema()
    if output is None:
        print_json(document)
    else:
        _write(output, json_module.dumps(document, indent=2) + "\n")


def cite(scenario: ScenarioArgument, json: Json = False, seed: Seed = None, quiet: Quiet = False) -> None:
    """List what a scenario rests on: assumptions first, then estimates, sources and methods."""
    from cartsight.comparison.citing import citations
    from cartsight.scenario import load_scenario

    document = citations(load_scenario(scenario))
    if json:
        print_json(document)
        return
    console = stdout_console()
    console.print(f"[bold]Assumptions[/bold] ({len(document['assumptions'])})")
    for item in document["assumptions"]:
        console.print(
            f"  {item['path']} = {item['value']:.4g} {item['unit']}: {item['statement']}", soft_wrap=True, markup=False
        )
    if document["estimates"]:
        console.print(f"\n[bold]Estimates[/bold] ({len(document['estimates'])})")
        for item in document["estimates"]:
            console.print(
                f"  {item['path']} = {item['value']:.4g} {item['unit']}: {item['statement']}",
                soft_wrap=True,
                markup=False,
            )
    console.print(f"\n[bold]Sources[/bold] ({len(document['sources'])})")
    for source in document["sources"]:
        console.print(
            f"  {source['citation']} Used for: {', '.join(source['evidence_ids'])}.", soft_wrap=True, markup=False
        )
    console.print("\n[bold]Methods[/bold]")
    for method in document["methods"]:
        console.print(f"  {method['method']}: {method['citation']}", soft_wrap=True, markup=False)


def units(json: Json = False, seed: Seed = None, quiet: Quiet = False) -> None:
    """List the units that numbers may carry."""
    from cartsight.core.units import BASE_UNITS, CURRENCIES, DENOMINATORS

    if json:
        print_json(
            {
                "units": [{"name": name, "dimension": dimension} for name, (dimension, _) in BASE_UNITS.items()],
                "currencies": list(CURRENCIES),
                "denominators": list(DENOMINATORS),
            }
        )
        return
    from rich.table import Table

    table = Table("Unit", "Dimension", box=None, padding=(0, 2, 0, 0))
    for name, (dimension, _) in BASE_UNITS.items():
        table.add_row(name, dimension)
    console = stdout_console()
    console.print(table)
    console.print(
        f"Money: <currency>_<price year>, for example usd_2024; currencies {', '.join(CURRENCIES)}.", soft_wrap=True
    )
    console.print(f"Any of them per: {', '.join(DENOMINATORS)}.", soft_wrap=True)


def _write(target: Path, text: str) -> None:
    """Write to a temporary name and rename, so that nothing is ever half written."""
    import os

    from cartsight.core.errors import InputError

    if target.is_dir():
        raise InputError("this is a folder, not a file", file=target, field="--output")
    temporary = target.with_name(target.name + ".partial")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"cannot be written: {error.strerror}", file=target) from None
