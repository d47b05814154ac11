"""Commands that choose a network: plan instance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cartsight.cli.output import Json, Quiet, print_json, stderr_console, stdout_console

app = typer.Typer(
    help="Choose a manufacturing network: optimised with a proven gap, then scored in the simulation.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Choose a manufacturing network: optimised with a proven gap, then scored in the simulation."""


@app.command("instance")
def instance_command(
    file: Annotated[Path, typer.Argument(help="An instance file (.dat): sets c, h, j, m, p and their parameters.")],
    max_sites: Annotated[int | None, typer.Option("--max-sites", help="Most plants that may open (default: no limit).")] = None,
    hold: Annotated[int, typer.Option("--hold", help="Longest wait at the plant before making starts, in days.")] = 0,
    time_limit: Annotated[float, typer.Option("--time-limit", help="Seconds after which the best network so far is given.")] = 110.0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Solve a published-format network instance to proven optimality and replay it in the simulation."""
    from cartsight.planning import load_instance, replay, solve_instance

    remarks = stderr_console(quiet)
    instance = load_instance(file)
    for remark in instance.remarks:
        remarks.print(f"remark: {remark}", soft_wrap=True, markup=False)
    solution = solve_instance(instance, maximum_sites=max_sites, hold_days=hold, time_limit=time_limit)
    check = replay(instance, solution)
    plants = [
        {
            "site": instance.sites[m],
            "lines": int(instance.lines[m]),
            "patients": int((solution.plant == m).sum()),
            "largest_occupancy": int(check.largest_occupancy[m]),
            "utilisation": solution.utilisation(int(m)),
            "cost": float(instance.site_cost[m]),
        }
        for m in solution.opened
    ]
    if json:
        print_json(
            {
                "instance": instance.name,
                "status": solution.status,
                "objective": round(solution.objective, 2),
                "opened_sites": solution.opened_sites,
                "lines": solution.lines,
                "cost_per_therapy": solution.cost_per_therapy,
                "mean_return_days": float(solution.return_days.mean()),
                "gap": solution.gap,
                "seconds": solution.seconds,
                "bound": solution.bound,
                "patients": len(instance.patients),
                "max_sites": max_sites,
                "hold_days": hold,
                "mean_wait_days": float(solution.waits.mean()),
                "largest_return_days": int(solution.return_days.max()),
                "cost": {
                    "sites": solution.site_cost,
                    "transport": solution.transport_cost,
                    "materials": solution.material_cost,
                    "quality_control": solution.quality_control_cost,
                },
                "sites": plants,
                "replay_cost": round(check.cost, 2),
                "replay_matches": check.matches,
                "replay_late_patients": check.late_patients,
                "proof": solution.method,
                "remarks": instance.remarks,
            }
        )
        return
    from rich.table import Table

    console = stdout_console()
    console.print(
        f"{instance.name}: {len(instance.patients)} patients, {solution.status}, gap {solution.gap:.2g}, "
        f"{solution.seconds:.1f} s ({solution.method})",
        soft_wrap=True,
        markup=False,
    )
    table = Table("Site", "Lines", "Patients", "Busy at once", "Utilisation", "Fixed cost", box=None, padding=(0, 2, 0, 0))
    for plant in plants:
        table.add_row(
            str(plant["site"]),
            str(plant["lines"]),
            str(plant["patients"]),
            str(plant["largest_occupancy"]),
            f"{plant['utilisation']:.1%}",
            f"{plant['cost']:,.2f}",
        )
    console.print(table)
    for label, amount in (
        ("Objective", solution.objective),
        ("of which sites", solution.site_cost),
        ("of which transport", solution.transport_cost),
        ("of which materials and quality control", solution.material_cost + solution.quality_control_cost),
        ("Per therapy", solution.cost_per_therapy),
    ):
        console.print(f"{label}: {amount:,.2f}", markup=False)
    console.print(
        f"Return after {solution.return_days.mean():.2f} days on average, {solution.return_days.max()} at most; "
        f"waiting at the plant {solution.waits.mean():.2f} days on average."
    )
    console.print(
        f"Replayed in the simulation: cost {check.cost:,.2f}, {check.late_patients} patients on another day than planned: "
        + ("the plan holds." if check.matches else "THE PLAN DOES NOT HOLD."),
        soft_wrap=True,
    )
