"""Commands that choose a network: plan instance, plan network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cartsight.cli.output import Json, Quiet, Seed, print_json, stderr_console, stdout_console

if TYPE_CHECKING:
    from cartsight.planning import NetworkStudy

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


@app.command("network")
def network_command(
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of a shipped scenario.")],
    arm: Annotated[str | None, typer.Option("--arm", help="Autologous arm to plan for (default: the first).")] = None,
    candidates: Annotated[str | None, typer.Option("--candidates", help="Names of candidate plants, separated by commas.")] = None,
    sites: Annotated[Path | None, typer.Option("--sites", help="CSV of candidate plants: site[, maximum_lines, site_per_year, quality_overhead_per_year, line_per_year].")] = None,
    lanes: Annotated[Path | None, typer.Option("--lanes", help="CSV of lanes: site, region, shipping (per shipment).")] = None,
    patients_per_year: Annotated[float | None, typer.Option("--patients-per-year", help="Scale the referrals (and hospitals) to this total.")] = None,
    draws: Annotated[int, typer.Option("--draws", help="Futures per sample of the stochastic programme.")] = 50,
    samples: Annotated[int, typer.Option("--samples", help="Independent samples: each gives a bound and a design.")] = 3,
    out_of_sample: Annotated[int, typer.Option("--out-of-sample", help="Fresh futures that judge the designs.")] = 200,
    service: Annotated[float | None, typer.Option("--service", help="Mean share served in the worst tail of futures, at least.")] = None,
    tail: Annotated[float, typer.Option("--tail", help="Worst share of futures that --service looks at.")] = 0.10,
    safety: Annotated[float, typer.Option("--safety", help="Square-root safety capacity of a plant.")] = 1.0,
    lost_patient: Annotated[float | None, typer.Option("--lost-patient", help="Price of a patient lost (default: the product's price).")] = None,
    demand_cv: Annotated[float, typer.Option("--demand-cv", help="Variation of a region's yearly demand.")] = 0.20,
    disruption_probability: Annotated[float, typer.Option("--disruption-probability", help="Per plant and quarter.")] = 0.02,
    top: Annotated[int, typer.Option("--top", help="Designs that go into the simulation.")] = 4,
    replications: Annotated[int, typer.Option("--replications", help="Simulated years per design, at most.")] = 16,
    time_limit: Annotated[float, typer.Option("--time-limit", help="Seconds for the optimisation.")] = 180.0,
    seed: Seed = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Choose plants and lines for a scenario's autologous arm: screening, stochastic programme, proof in the simulation."""
    from cartsight.planning import NetworkOptions, Uncertainties, network_problem, study_network
    from cartsight.scenario import load_scenario

    options = NetworkOptions(
        draws=draws,
        samples=samples,
        out_of_sample=out_of_sample,
        safety=safety,
        lost_patient=lost_patient,
        service=service,
        tail=tail,
        top=top,
        first_replications=min(8, replications),
        replications=replications,
        time_limit=time_limit,
        uncertainties=Uncertainties(demand_cv=demand_cv, disruption_probability=disruption_probability),
    )
    loaded = load_scenario(scenario)
    if seed is not None:
        loaded = loaded.with_analysis(seed=seed)
    problem = network_problem(
        loaded,
        arm,
        candidates=None if candidates is None else [name.strip() for name in candidates.split(",")],
        sites_file=sites,
        lanes_file=lanes,
        patients_per_year=patients_per_year,
    )
    remarks = stderr_console(quiet)
    for remark in problem.remarks:
        remarks.print(f"remark: {remark}", soft_wrap=True, markup=False)
    study = study_network(problem, options, lambda text: remarks.print(text, markup=False))
    document = _network_document(study)
    if json:
        print_json(document)
    else:
        _print_network(document)


def _network_document(study: NetworkStudy) -> dict[str, Any]:
    from dataclasses import asdict

    from cartsight.planning import predicted

    problem = study.problem
    survivors = study.proof.survivors

    def sites(lines: Any) -> list[dict[str, Any]]:
        return [{"site": problem.plants[s].name, "lines": int(n)} for s, n in enumerate(lines) if n > 0]

    designs = []
    for i, item in enumerate(study.designs):
        proven = i < len(study.proof.measures)
        expected = predicted(study, item)
        measures = study.proof.measures[i] if proven else {}
        designs.append(
            {
                "sites": sites(item.design.lines),
                "lines": int(item.design.lines.sum()),
                "proposed_by": item.design.origin,
                "fixed_cost_per_year": item.design.fixed_cost,
                "out_of_sample_cost_per_year": item.evaluation.mean,
                "out_of_sample_standard_error": item.evaluation.standard_error,
                "mean_service": float(item.evaluation.service.mean()),
                "worst_service": item.evaluation.worst_service(study.options.tail),
                "overtime_batches_per_year": item.evaluation.overtime_batches,
                "held_patients_per_year": item.evaluation.held,
                "predicted": expected,
                "simulated": {k: {"mean": m, "low": lo, "high": hi} for k, (m, lo, hi) in measures.items()} or None,
                "prediction_error": {k: measures[k][0] - v for k, v in expected.items()} if proven else None,
                "replications": study.proof.replications[i] if proven else 0,
                "survives": i in survivors,
            }
        )
    one = len(survivors) == 1
    return {
        "scenario": problem.scenario.name,
        "arm": problem.arm_name,
        "money": problem.scenario.analysis.money,
        "patients_per_year": float(problem.referrals.sum()),
        "candidate_sites": len(problem.plants),
        "draws": study.options.draws,
        "gap": max(result.gap for result in study.samples),
        "screening": {
            "sites": sites(study.screening.lines),
            "lines": int(study.screening.lines.sum()),
            "gap": study.screening_gap,
        },
        "samples": [
            {
                "objective": result.objective,
                "bound": result.bound,
                "gap": result.gap,
                "rounds": result.rounds,
                "seconds": result.seconds,
                "sites": sites(result.design.lines),
            }
            for result in study.samples
        ],
        "lower_bound": study.lower_bound,
        "lower_bound_standard_error": study.lower_bound_error,
        "optimality_gap": study.optimality_gap,
        "optimality_gap_standard_error": study.optimality_gap_error,
        "value_of_stochastic_solution": study.value_of_stochastic_solution,
        "value_of_stochastic_solution_standard_error": study.value_of_stochastic_solution_error,
        "designs": designs,
        "indifference": study.proof.indifference,
        "alpha": study.proof.alpha,
        "recommended": designs[survivors[0]]["sites"] if one else None,
        "claim": (
            "One design survives the simulation."
            if one
            else f"{len(survivors)} designs survive: the simulation does not tell them apart within the replications allowed."
        ),
        "load": asdict(problem.load),
        "recourse": asdict(study.costs),
        "uncertainties": asdict(study.options.uncertainties),
        "seconds": study.seconds,
        "remarks": problem.remarks,
    }


def _print_network(document: dict[str, Any]) -> None:
    import math

    from rich.table import Table

    console = stdout_console()
    console.print(
        f"{document['scenario']} / {document['arm']}: {document['patients_per_year']:,.0f} referrals a year, "
        f"{document['candidate_sites']} candidate plants, {document['draws']} futures a sample, money in {document['money']}",
        soft_wrap=True,
        markup=False,
    )
    console.print(
        f"Optimality gap: screening {document['screening']['gap']:.2%}; stochastic programme "
        + ", ".join(f"{sample['gap']:.2%}" for sample in document["samples"])
        + f" (samples). Out of sample {document['optimality_gap'] / 1e6:,.2f} million a year above the estimated bound "
        f"(standard error {document['optimality_gap_standard_error'] / 1e6:,.2f}).",
        soft_wrap=True,
    )
    if math.isfinite(document["value_of_stochastic_solution"]):
        console.print(
            f"Value of the stochastic solution: {document['value_of_stochastic_solution'] / 1e6:,.2f} million a year "
            f"(standard error {document['value_of_stochastic_solution_standard_error'] / 1e6:,.2f}).",
            soft_wrap=True,
        )
    table = Table("", "Design", "Cost/year", "Served", "Worst", "Proposed by", box=None, padding=(0, 2, 0, 0))
    for number, design in enumerate(document["designs"], start=1):
        table.add_row(
            str(number),
            ", ".join(f"{site['site']} {site['lines']}" for site in design["sites"]),
            f"{design['out_of_sample_cost_per_year'] / 1e6:,.1f} M",
            f"{design['mean_service']:.1%}",
            f"{design['worst_service']:.1%}",
            design["proposed_by"],
        )
    console.print(table)
    console.print("In the simulation, on common random numbers (predicted -> simulated, 95 % interval):")
    rows = (
        ("cost_per_infused", "Cost of goods per infused", "{:,.0f}"),
        ("share_infused", "Infused, of referred", "{:.3f}"),
        ("vein_to_vein_days", "Vein-to-vein, days", "{:.1f}"),
    )
    proof = Table("", "Measure", "Predicted", "Simulated", "Interval", box=None, padding=(0, 2, 0, 0))
    for number, design in enumerate(document["designs"], start=1):
        if design["simulated"] is None:
            continue
        for name, title, form in rows:
            seen = design["simulated"][name]
            proof.add_row(
                str(number),
                title,
                form.format(design["predicted"][name]),
                form.format(seen["mean"]),
                f"{form.format(seen['low'])} to {form.format(seen['high'])}",
            )
        waits = design["simulated"]
        proof.add_row(
            str(number), "Wait for line / bed, days", "0 / 0", f"{waits['line_wait_days']['mean']:.1f} / {waits['bed_wait_days']['mean']:.1f}",
            "survives" if design["survives"] else "ruled out",
        )  # fmt: skip
    console.print(proof)
    console.print(document["claim"], markup=False)
