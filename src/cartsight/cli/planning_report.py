"""What `plan network` prints: one document, as JSON or as tables."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from cartsight.planning import ExpansionPlan, NetworkProblem, NetworkStudy, PlannedStudy


def _sites(problem: NetworkProblem, lines: Any) -> list[dict[str, Any]]:
    return [{"site": problem.plants[s].name, "lines": int(n)} for s, n in enumerate(lines) if n > 0]


def _intervals(measures: dict[str, tuple[float, float, float]]) -> dict[str, dict[str, float]]:
    return {name: {"mean": mean, "low": low, "high": high} for name, (mean, low, high) in measures.items()}


def network_document(
    study: NetworkStudy,
    remarks: list[str],
    *,
    planned: PlannedStudy | None = None,
    expansion: ExpansionPlan | None = None,
    year: float = 1.0,
) -> dict[str, Any]:
    """Return everything a study found as plain data."""
    problem, proof = study.problem, study.proof
    named = {process.name: process.problem for process in study.processes}
    designs = []
    for i, item in enumerate(study.designs):
        proven = i < len(proof.measures)
        process = study.processes[item.process]
        designs.append(
            {
                "process": process.name,
                "sites": _sites(process.problem, item.design.lines),
                "lines": int(item.design.lines.sum()),
                "modes": _modes(process.problem, item.evaluation.assigned),
                "proposed_by": item.design.origin,
                "fixed_cost_per_year": item.design.fixed_cost,
                "out_of_sample_cost_per_year": item.evaluation.mean,
                "out_of_sample_standard_error": item.evaluation.standard_error,
                "out_of_sample_futures": int(item.evaluation.cost.size),
                "mean_service": float(item.evaluation.service.mean()),
                "worst_service": item.evaluation.worst_service(study.options.tail),
                "overtime_batches_per_year": item.evaluation.overtime_batches,
                "held_patients_per_year": item.evaluation.held,
                "lost_for_want_of_remake_per_year": item.evaluation.not_remade,
                "predicted": study.predictions[i] if proven else None,
                "simulated": _intervals(proof.measures[i]) if proven else None,
                "prediction_error": _intervals(study.prediction_error[i]) if proven else None,
                "replications": proof.replications[i] if proven else 0,
                "survives": i in proof.survivors,
            }
        )
    one = len(proof.survivors) == 1
    information = study.information
    return {
        "scenario": problem.scenario.name,
        "plan": None if planned is None else planned.plan.name,
        "arm": problem.arm_name,
        "money": problem.scenario.analysis.money,
        "patients_per_year": float(problem.referrals.sum()),
        "year_factor": year,
        "candidate_sites": max(len(process.problem.plants) for process in study.processes),
        "draws": study.options.draws,
        "gap": max(result.gap for result in study.samples),
        "years_ahead": None if expansion is None or planned is None else _expansion(expansion, planned),
        "screening": [
            {
                "process": item.name,
                "sites": _sites(named[item.name], item.design.lines) if item.name in named else None,
                "lines": int(item.design.lines.sum()),
                "cost_per_year": item.cost,
                "gap": item.gap,
            }
            for item in study.screening
        ],
        "samples": [
            {
                "process": study.processes[k].name,
                "objective": result.objective,
                "bound": result.bound,
                "gap": result.gap,
                "relaxed_bound": result.relaxed_bound,
                "rounds": result.rounds,
                "cuts": result.cuts,
                "seconds": result.seconds,
                "sites": _sites(study.processes[k].problem, result.design.lines),
            }
            for result, k in zip(study.samples, study.sample_process, strict=True)
        ],
        "lower_bound": study.lower_bound,
        "lower_bound_standard_error": study.lower_bound_error,
        "optimality_gap": study.optimality_gap,
        "optimality_gap_standard_error": study.optimality_gap_error,
        "optimality_gap_high_95": study.optimality_gap_high,
        "value_of_stochastic_solution": study.value_of_stochastic_solution,
        "value_of_stochastic_solution_standard_error": study.value_of_stochastic_solution_error,
        "information": None
        if information is None
        else {
            "futures": int(information.by_future.shape[0]),
            "wait_and_see": information.wait_and_see,
            "recourse_problem": information.recourse_problem,
            "expected_value_solution": information.expected_value_solution,
            "value_of_perfect_information": information.perfect_information,
            "value_of_stochastic_solution": information.stochastic_solution,
            "largest_gap": information.gap,
        },
        "designs": designs,
        "indifference": proof.indifference,
        "alpha": proof.alpha,
        "recommended": designs[proof.survivors[0]]["sites"] if one else None,
        "claim": (
            "One design survives the simulation."
            if one and len(proof.measures) > 1
            else "One design was proposed, and nothing was compared with it."
            if one
            else f"{len(proof.survivors)} designs survive: the simulation does not tell them apart within the replications allowed."
        ),
        "load": asdict(problem.load),
        "recourse": asdict(study.processes[0].costs),
        "uncertainties": asdict(study.options.uncertainties),
        "seconds": study.seconds,
        "remarks": remarks,
    }


def _modes(problem: NetworkProblem, assigned: Any) -> dict[str, str] | None:
    from cartsight.planning.proof import modes_by_region

    if not problem.modes:
        return None
    chosen = modes_by_region(problem, assigned)
    return {region: problem.modes[m].name for region, m in zip(problem.regions, chosen, strict=True)}


def _expansion(expansion: ExpansionPlan, planned: PlannedStudy) -> dict[str, Any]:
    names = [plant.name for plant in planned.processes[0].problem.plants]
    years = planned.plan.years
    before = 0 if years is None else years.orders_before_start
    opened = [s for s, k in enumerate(expansion.process) if k >= 0]
    return {
        "present_value": expansion.objective,
        "bound": expansion.bound,
        "gap": expansion.gap,
        "costs": expansion.costs,
        "plants": [
            {
                "site": names[s],
                "process": planned.processes[expansion.process[s]].name,
                "ordered_lines": {str(o - before + 1): int(n) for o, n in enumerate(expansion.ordered_lines[:, s])},
                "usable_lines": [float(n) for n in expansion.usable_lines[:, s]],
            }
            for s in opened
        ],
        "modes": list(expansion.mode),
        "served": [float(share) for share in expansion.served],
        "seconds": expansion.seconds,
    }


def print_network(document: dict[str, Any], console: Console) -> None:
    """Print a document as tables."""
    console.print(
        f"{document['scenario']} / {document['arm']}: {document['patients_per_year']:,.0f} referrals a year, "
        f"{document['candidate_sites']} candidate plants, {document['draws']} futures a sample, money in {document['money']}",
        soft_wrap=True,
        markup=False,
    )
    if document["years_ahead"] is not None:
        _print_years(document["years_ahead"], console)
    _print_optimisation(document, console)
    _print_designs(document, console)
    _print_proof(document, console)


def _print_years(ahead: dict[str, Any], console: Console) -> None:
    from rich.table import Table

    console.print(
        f"Stage 1, years ahead: present value {ahead['present_value'] / 1e6:,.1f} M, optimality gap {ahead['gap']:.2%}; "
        f"modes {', '.join(ahead['modes'])}; served " + ", ".join(f"{share:.0%}" for share in ahead["served"]),
        soft_wrap=True,
        markup=False,
    )
    table = Table(
        "Plant", "Process", "Lines usable by year", "Orders (year: lines in all)", box=None, padding=(0, 2, 0, 0)
    )
    for plant in ahead["plants"]:
        steps, last = [], 0
        for when, lines in plant["ordered_lines"].items():
            if lines != last:
                steps.append(f"{when}: {lines}")
            last = lines
        table.add_row(
            plant["site"],
            plant["process"],
            ", ".join(f"{lines:g}" for lines in plant["usable_lines"]),
            ", ".join(steps),
        )
    console.print(table)


def _millions(amount: float) -> str:
    return f"{amount / 1e6:,.2f} M"


def _print_optimisation(document: dict[str, Any], console: Console) -> None:
    console.print(
        "Stage 1, expected year: "
        + "; ".join(
            f"{item['process']} {item['cost_per_year'] / 1e6:,.1f} M with {item['lines']} lines (gap {item['gap']:.2%})"
            for item in document["screening"]
        ),
        soft_wrap=True,
        markup=False,
    )
    high = document["optimality_gap_high_95"]
    console.print(
        "Stage 2, optimality gap of each sample: "
        + ", ".join(f"{sample['gap']:.2%}" for sample in document["samples"])
        + f". Best design above the bounds, on the same futures: {_millions(document['optimality_gap'])} a year"
        + (f" (95 %: at most {_millions(high)})." if math.isfinite(high) else " (too few samples for an interval)."),
        soft_wrap=True,
    )
    if math.isfinite(document["value_of_stochastic_solution"]):
        console.print(
            f"Value of the stochastic solution, fresh futures: {_millions(document['value_of_stochastic_solution'])} a year "
            f"(standard error {_millions(document['value_of_stochastic_solution_standard_error'])}).",
            soft_wrap=True,
        )
    information = document["information"]
    if information is not None:
        console.print(
            f"First sample, {information['futures']} futures: wait and see {_millions(information['wait_and_see'])}, "
            f"stochastic optimum {_millions(information['recourse_problem'])}, expected-value design "
            f"{_millions(information['expected_value_solution'])}. Expected value of perfect information "
            f"{_millions(information['value_of_perfect_information'])}, value of the stochastic solution "
            f"{_millions(information['value_of_stochastic_solution'])} (largest gap {information['largest_gap']:.2%}).",
            soft_wrap=True,
        )


def _print_designs(document: dict[str, Any], console: Console) -> None:
    from rich.table import Table

    several = len({design["process"] for design in document["designs"]}) > 1 or document["plan"] is not None
    table = Table("", "Design", "Cost/year", "Served", "Worst", "Proposed by", box=None, padding=(0, 2, 0, 0))
    for number, design in enumerate(document["designs"], start=1):
        sites = ", ".join(f"{site['site']} {site['lines']}" for site in design["sites"])
        table.add_row(
            str(number),
            f"{design['process']}: {sites}" if several else sites,
            f"{design['out_of_sample_cost_per_year'] / 1e6:,.1f} M",
            f"{design['mean_service']:.1%}",
            f"{design['worst_service']:.1%}",
            design["proposed_by"],
        )
    console.print(table)


ROWS = (
    ("cost_per_infused", "Cost of goods per infused", "{:,.0f}"),
    ("share_infused", "Infused, of referred", "{:.3f}"),
    ("vein_to_vein_days", "Vein-to-vein, days", "{:.1f}"),
    ("line_wait_days", "Wait for a line, days", "{:.1f}"),
    ("line_utilisation", "Lines in use", "{:.2f}"),
)


def _print_proof(document: dict[str, Any], console: Console) -> None:
    from rich.table import Table

    console.print("Stage 3, in the simulation, in the same futures (error: simulated minus predicted, 95 % interval):")
    proof = Table("", "Measure", "Predicted", "Simulated", "Error", box=None, padding=(0, 2, 0, 0))
    for number, design in enumerate(document["designs"], start=1):
        if design["simulated"] is None:
            continue
        for name, title, form in ROWS:
            error = design["prediction_error"][name]
            wrong = error["low"] > 0.0 or error["high"] < 0.0
            proof.add_row(
                str(number),
                title,
                form.format(design["predicted"][name]),
                form.format(design["simulated"][name]["mean"]),
                f"{form.format(error['mean'])} ({form.format(error['low'])} to {form.format(error['high'])})"
                + (" *" if wrong else ""),
            )
        seen = design["simulated"]
        proof.add_row(
            str(number), "Wait for a bed, days", "0.0", f"{seen['bed_wait_days']['mean']:.1f}",
            "survives" if design["survives"] else "ruled out",
        )  # fmt: skip
    console.print(proof)
    console.print("* The optimiser was wrong here: the interval leaves out zero.", markup=False)
    console.print(document["claim"], markup=False)
