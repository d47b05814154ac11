"""Commands that choose a network: plan instance, plan network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cartsight.cli.output import Json, Quiet, Seed, print_json, stderr_console, stdout_console

if TYPE_CHECKING:
    from cartsight.planning import ExpansionPlan, NetworkOptions, PlannedStudy
    from cartsight.scenario import Scenario

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
    max_sites: Annotated[
        int | None, typer.Option("--max-sites", help="Most plants that may open (default: no limit).")
    ] = None,
    hold: Annotated[int, typer.Option("--hold", help="Longest wait at the plant before making starts, in days.")] = 0,
    time_limit: Annotated[
        float, typer.Option("--time-limit", help="Seconds after which the best network so far is given.")
    ] = 110.0,
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
    table = Table(
        "Site", "Lines", "Patients", "Busy at once", "Utilisation", "Fixed cost", box=None, padding=(0, 2, 0, 0)
    )
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


@app.command("schema")
def schema_command(json: Json = False) -> None:
    """Print the JSON Schema of a plan file (JSON with and without --json)."""
    from cartsight.planning import plan_schema

    print(plan_schema())


@app.command("examples")
def examples_command(json: Json = False) -> None:
    """List the plan files that come with the package, with their place on this machine."""
    from cartsight.planning import load_plan, shipped_plans

    rows = [{"name": name, "title": load_plan(path).title, "file": str(path)} for name, path in shipped_plans().items()]
    if json:
        print_json(rows)
        return
    for row in rows:
        stdout_console().print(f"{row['name']}: {row['title']}\n  {row['file']}", soft_wrap=True, markup=False)


@app.command("network")
def network_command(
    scenario: Annotated[
        str, typer.Argument(help="A scenario or plan file, or the name of a shipped scenario or plan.")
    ],
    arm: Annotated[str | None, typer.Option("--arm", help="Autologous arm to plan for (default: the first).")] = None,
    candidates: Annotated[
        str | None, typer.Option("--candidates", help="Names of candidate plants, separated by commas.")
    ] = None,
    sites: Annotated[
        Path | None,
        typer.Option(
            "--sites",
            help="CSV of candidate plants: site[, maximum_lines, site_per_year, quality_overhead_per_year, line_per_year, region].",
        ),
    ] = None,
    lanes: Annotated[
        Path | None, typer.Option("--lanes", help="CSV of lanes: site, region, shipping (per shipment).")
    ] = None,
    patients_per_year: Annotated[
        float | None, typer.Option("--patients-per-year", help="Scale the referrals (and hospitals) to this total.")
    ] = None,
    draws: Annotated[int, typer.Option("--draws", help="Futures per sample of the stochastic programme.")] = 50,
    samples: Annotated[
        int, typer.Option("--samples", help="Independent samples: each gives a bound and a design.")
    ] = 4,
    out_of_sample: Annotated[int, typer.Option("--out-of-sample", help="Fresh futures that judge the designs.")] = 1000,
    information: Annotated[
        int,
        typer.Option("--information", help="Futures planned for with foreknowledge (value of perfect information)."),
    ] = 50,
    processes: Annotated[
        int, typer.Option("--processes", help="Processes of a plan file that go beyond the screening.")
    ] = 2,
    service: Annotated[
        float | None, typer.Option("--service", help="Mean share served in the worst tail of futures, at least.")
    ] = None,
    tail: Annotated[float, typer.Option("--tail", help="Worst share of futures that --service looks at.")] = 0.10,
    safety: Annotated[float, typer.Option("--safety", help="Square-root safety capacity of a plant.")] = 1.0,
    lost_patient: Annotated[
        float | None,
        typer.Option("--lost-patient", help="Price of a patient lost (default: the plan's, else the product's price)."),
    ] = None,
    longest_hold: Annotated[
        float, typer.Option("--longest-hold", help="Longest wait of a patient across the end of a quarter, in days.")
    ] = 91.3125,
    demand_cv: Annotated[float, typer.Option("--demand-cv", help="Variation of a region's yearly demand.")] = 0.20,
    disruption_probability: Annotated[
        float, typer.Option("--disruption-probability", help="Per plant and quarter.")
    ] = 0.02,
    region_disruption_probability: Annotated[
        float, typer.Option("--region-disruption-probability", help="Per region and quarter: all its plants at once.")
    ] = 0.005,
    courier_delay_probability: Annotated[
        float, typer.Option("--courier-delay-probability", help="Per region and quarter.")
    ] = 0.05,
    courier_delay_days: Annotated[
        float, typer.Option("--courier-delay-days", help="Days without collections in such a delay.")
    ] = 3.0,
    top: Annotated[int, typer.Option("--top", help="Designs that go into the simulation.")] = 4,
    replications: Annotated[int, typer.Option("--replications", help="Simulated years per design, at most.")] = 16,
    time_limit: Annotated[float, typer.Option("--time-limit", help="Seconds for the optimisation.")] = 180.0,
    seed: Seed = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Choose plants and lines for an autologous arm: screening, stochastic programme, proof in the simulation.

    With a plan file also technology, fresh or frozen material, transport mode and the years in which lines are added.
    """
    from cartsight.cli.planning_report import network_document, print_network
    from cartsight.core.errors import InputError
    from cartsight.planning import (
        NetworkOptions,
        Uncertainties,
        find_plan,
        in_year,
        load_plan,
        network_problem,
        planned_scenario,
        planned_study,
        study_network,
    )
    from cartsight.scenario import load_scenario

    options = NetworkOptions(
        draws=draws,
        samples=samples,
        out_of_sample=out_of_sample,
        information=information,
        processes=processes,
        longest_hold_days=longest_hold,
        safety=safety,
        lost_patient=lost_patient,
        service=service,
        tail=tail,
        top=top,
        first_replications=min(8, replications),
        replications=replications,
        time_limit=time_limit,
        uncertainties=Uncertainties(
            demand_cv=demand_cv,
            disruption_probability=disruption_probability,
            region_disruption_probability=region_disruption_probability,
            courier_delay_probability=courier_delay_probability,
            courier_delay_days=courier_delay_days,
        ),
    )
    remarks = stderr_console(quiet)

    def say(text: str) -> None:
        remarks.print(text, soft_wrap=True, markup=False)

    def seeded(loaded: Scenario) -> Scenario:
        return loaded if seed is None else loaded.with_analysis(seed=seed)

    file = find_plan(scenario)
    if file is None:
        problem = network_problem(
            seeded(load_scenario(scenario)),
            arm,
            candidates=None if candidates is None else [name.strip() for name in candidates.split(",")],
            sites_file=sites,
            lanes_file=lanes,
            patients_per_year=patients_per_year,
        )
        for remark in problem.remarks:
            say(f"remark: {remark}")
        document = network_document(study_network(problem, options, say), list(problem.remarks))
    else:
        if candidates is not None or sites is not None or lanes is not None:
            raise InputError(
                "a plan file names its own plants and lanes", field="candidates, sites, lanes", found=str(file)
            )
        plan = load_plan(file)
        planned = planned_study(
            plan, seeded(planned_scenario(plan, file)), arm_name=arm, patients_per_year=patients_per_year
        )
        for remark in planned.remarks:
            say(f"remark: {remark}")
        options, expansion = _years_ahead(planned, options, say)
        year = 1.0
        if plan.years is not None:
            year = plan.years.demand[(plan.years.planned_for or plan.years.count) - 1]
        problems = [(p.name, in_year(p, year, planned.discount_rate)) for p in planned.processes]
        study = study_network(problems, options, say)
        document = network_document(study, list(planned.remarks), planned=planned, expansion=expansion, year=year)
    if json:
        print_json(document)
    else:
        print_network(document, stdout_console())


def _years_ahead(planned: PlannedStudy, options: NetworkOptions, say: Any) -> tuple[NetworkOptions, ExpansionPlan]:
    """Plan the years ahead, and return the options with the plan's own price of a lost patient and the time that is left."""
    from dataclasses import replace

    from cartsight.planning import Horizon, plan_expansion

    plan, problem = planned.plan, planned.processes[0].problem
    if options.lost_patient is None and plan.lost_patient is not None:
        options = replace(options, lost_patient=plan.money(plan.lost_patient, problem.scenario.analysis.money))
    years, horizon = plan.years, Horizon()
    if years is not None:
        horizon = Horizon(
            years.demand, years.lead_time.x, years.orders_before_start, planned.discount_rate, years.may_close
        )
    say(f"screening {len(planned.processes)} processes over {len(horizon.demand)} years")
    price = problem.arm.price.per_patient.x if options.lost_patient is None else options.lost_patient
    expansion = plan_expansion(
        planned.processes, horizon, safety=options.safety, lost_patient=price, one_process=plan.one_process,
        time_limit=options.time_limit / 4,
    )  # fmt: skip
    return replace(options, time_limit=options.time_limit * 3 / 4), expansion
