"""The replicate command: how precise are the differences between arms as a simulation result?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cartsight.cli.output import Json, Quiet, Seed, print_json, stderr_console, stdout_console

if TYPE_CHECKING:
    from cartsight.comparison.simulation_statistics.scenario_replications import ScenarioReplications, VariancePilot
    from cartsight.scenario import Scenario


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("replicate")(replicate)


def replicate(
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of a shipped scenario.")],
    arm: Annotated[
        list[str] | None,
        typer.Option("--arm", help="Only this arm; repeat for several. The first is the reference."),
    ] = None,
    metric: Annotated[str, typer.Option("--metric", help="Metric whose differences are made precise.")] = (
        "qalys_per_referred"
    ),
    precision: Annotated[
        float, typer.Option("--precision", help="Wanted error of each difference, relative to the difference.")
    ] = 0.05,
    absolute_precision: Annotated[
        float | None,
        typer.Option("--absolute-precision", help="Or: a half-width in the metric's unit that is small enough."),
    ] = None,
    max_replications: Annotated[int, typer.Option("--max-replications", help="Stop here and say so.")] = 200,
    level: Annotated[float, typer.Option("--level", help="Confidence level.")] = 0.95,
    patients: Annotated[
        int | None, typer.Option("--patients", help="Expected patients per arm and replication.")
    ] = None,
    indifference: Annotated[
        float | None,
        typer.Option("--indifference", help="Also select the best arm; smaller differences do not matter to you."),
    ] = None,
    minimise: Annotated[bool, typer.Option("--minimise", help="With --indifference: the smallest is best.")] = False,
    variance_split: Annotated[
        bool,
        typer.Option(
            "--variance-split", help="Also split the variance into parameters, replications and patients (a pilot run)."
        ),
    ] = False,
    workers: Annotated[int | None, typer.Option("--workers", help="Worker processes (default: all cores).")] = None,
    json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Replicate a scenario at its point values until the differences between its arms are precise."""
    from cartsight.comparison.simulation_statistics.scenario_replications import (
        ordered_arms,
        select_best_arm,
        variance_pilot,
    )
    from cartsight.comparison.simulation_statistics.scenario_replications import replicate as run_replications
    from cartsight.comparison.simulation_statistics.stopping import StoppingRule
    from cartsight.core.errors import InputError
    from cartsight.scenario import load_scenario

    if workers is not None and workers < 1:
        raise InputError("must be at least 1", field="--workers", found=workers)
    if minimise and indifference is None:
        raise InputError("needs --indifference", field="--minimise")
    rule = StoppingRule(relative=precision, absolute=absolute_precision, level=level, most=max_replications)
    loaded = load_scenario(scenario)
    if patients is not None:
        loaded = loaded.with_analysis(patients=patients)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    names = tuple(arm or ())
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=stderr_console(quiet)
    ) as bar:
        task = bar.add_task("replications", total=max_replications)
        found = run_replications(
            loaded,
            arms=names,
            metric=metric,
            rule=rule,
            seed=seed,
            workers=workers,
            progress=lambda done: bar.update(task, completed=done),
        )
        bar.update(task, total=found.sequence.replications, completed=found.sequence.replications)
        document = _document(loaded, found, precision)
        if indifference is not None:
            chosen, record = select_best_arm(
                loaded, metric, indifference=indifference, arms=found.arms, alpha=1.0 - level, maximise=not minimise, seed=seed
            )  # fmt: skip
            document["selection"] = {
                "best": chosen,
                "indifference": indifference,
                "probability_of_correct_selection_at_least": level,
                "direction": "minimise" if minimise else "maximise",
                "arms": [
                    {"name": name, "replications": int(n), "eliminated_after": int(out) or None}
                    for name, n, out in zip(found.arms, record.replications, record.eliminated_after, strict=True)
                ],
            }
        if variance_split:
            reference, *others = ordered_arms(loaded, found.arms)
            pilots: list[tuple[str | None, VariancePilot]] = [
                (other, variance_pilot(loaded, other, metric, reference=reference, seed=seed)) for other in others
            ]
            if not others:
                pilots = [(None, variance_pilot(loaded, reference, metric, seed=seed))]
            document["variance_split"] = [_pilot(found, name, reference, pilot, rule) for name, pilot in pilots]
    if json:
        print_json(document)
    else:
        _print(document)


def _document(scenario: Scenario, found: ScenarioReplications, precision: float) -> dict[str, Any]:
    sequence = found.sequence
    of_difference = len(found.arms) > 1
    differences = []
    for i, (name, contrast) in enumerate(zip(found.arms[1:], found.contrasts, strict=True)):
        pair = contrast.difference
        differences.append(
            {
                "arm": name,
                "minus": found.arms[0],
                "mean": pair.mean,
                "standard_error": pair.standard_error,
                "half_width": sequence.intervals[i].half_width,
                "low": pair.error_low,
                "high": pair.error_high,
                "joint_low": contrast.joint_low,
                "joint_high": contrast.joint_high,
                "p_value": contrast.p_value,
                "holm_p_value": contrast.holm_p_value,
                "correlation": pair.correlation,
                "variance_ratio": pair.variance_ratio,
                "wanted_half_width": found.rule.wanted_half_width(pair.mean),
                "reached": sequence.reached[i],
                "replications_needed": sequence.needed[i],
            }
        )
    return {
        "scenario": scenario.name,
        "seed": found.seed,
        "metric": found.metric,
        "unit": found.unit,
        "reference_arm": found.arms[0],
        "level": found.rule.level,
        "precision": precision,
        "absolute_precision": found.rule.absolute,
        "target": "differences" if of_difference else "level",
        "patients_per_replication": scenario.analysis.patients,
        "replications": sequence.replications,
        "max_replications": found.rule.most,
        "reached": sequence.all_reached,
        "arms": [
            {
                "name": name,
                "mean": interval.mean,
                "standard_deviation": interval.standard_deviation,
                "standard_error": interval.standard_error,
                "half_width": interval.half_width,
                "low": interval.low,
                "high": interval.high,
            }
            for name, interval in zip(found.arms, found.levels, strict=True)
        ],
        "arms_without_value": list(found.without_value),
        "differences": differences,
        "looks": [
            {"replications": look.replications, "means": look.means, "half_widths": look.half_widths}
            for look in sequence.looks
        ],
        "time_to_infusion": [
            {
                "arm": name,
                "days": band.days,
                **{
                    event: {"mean": band.mean[event], "low": band.low[event], "high": band.high[event]}
                    for event in band.mean
                },
            }
            for name, band in found.incidence.items()
        ],
        "patients_simulated": found.patients,
    }


def _pilot(
    found: ScenarioReplications, arm: str | None, reference: str, pilot: VariancePilot, rule: Any
) -> dict[str, Any]:
    from cartsight.comparison.simulation_statistics.allocation import cheapest_allocation
    from cartsight.core.errors import InputError

    split, costs = pilot.split, pilot.costs
    # The Monte Carlo error worth paying for: one tenth of the parameter uncertainty, which no run can reduce.
    wanted = 0.1 * split.parameters**0.5
    try:
        best = cheapest_allocation(split, costs, standard_error=wanted) if wanted > 0 else None
    except InputError:
        best = None
    return {
        "arm": arm or reference,
        "minus": reference if arm else None,
        "mean": split.mean,
        "standard_error": split.standard_error,
        "parameters_variance": split.parameters,
        "parameters_variance_low": split.parameters_low,
        "parameters_variance_high": split.parameters_high,
        "replications_variance": split.replications,
        "replications_resolved": split.replications_resolved,
        "patients_variance": split.patients,
        "pilot": {
            "draws": split.draws,
            "replications_per_draw": split.replications_per_draw,
            "patients_per_replication": split.patients_per_replication,
        },
        "seconds": {
            "per_draw": costs.per_draw,
            "per_replication": costs.per_replication,
            "per_patient": costs.per_patient,
        },
        "cheapest": None
        if best is None
        else {
            "wanted_standard_error": wanted,
            "draws": best.draws,
            "replications_per_draw": best.replications_per_draw,
            "patients_per_replication": best.patients_per_replication,
            "standard_error": best.standard_error,
            "seconds": best.seconds,
        },
    }


def _print(document: dict[str, Any]) -> None:
    from rich.table import Table

    from cartsight.comparison.metrics import metric as known_metric

    out = stdout_console()
    percent = f"{100 * document['level']:g} %"
    n = document["replications"]
    out.print(f"{known_metric(document['metric']).title} ({document['unit']}), {n} replications", markup=False)
    table = Table("Arm", "Mean", f"{percent} interval", "Between runs (sd)", box=None, padding=(0, 2, 0, 0))
    for arm in document["arms"]:
        table.add_row(arm["name"], _g(arm["mean"]), _range(arm["low"], arm["high"]), _g(arm["standard_deviation"]))
    out.print(table)
    for name in document["arms_without_value"]:
        out.print(f"{name}: the metric has no value in this arm.", markup=False)
    if document["differences"]:
        out.print(f"\nMinus {document['reference_arm']}, on the same patients and draws", markup=False)
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("Arm", no_wrap=True)
        for title in ("Difference", f"{percent} interval", "Holm p", "Gain", ""):
            table.add_column(title)
        for row in document["differences"]:
            table.add_row(
                row["arm"],
                _g(row["mean"]),
                _range(row["low"], row["high"]),
                f"{row['holm_p_value']:.2g}",
                f"{row['variance_ratio']:.3g}x",
                "" if row["reached"] else _short_of(row["replications_needed"]),
            )
        out.print(table)
        out.print("Gain: how many times more runs independent random numbers would need.")
    out.print(
        f"Precision {document['precision']:g} reached."
        if document["reached"]
        else f"Precision {document['precision']:g} not reached at {n} replications."
    )
    out.print("Simulation error at the point values: parameter uncertainty is not in it.")
    table = Table(
        "Infused by day",
        *(f"{day:g}" for day in document["time_to_infusion"][0]["days"][2:]),
        box=None,
        padding=(0, 2, 0, 0),
    )
    for row in document["time_to_infusion"]:
        table.add_row(row["arm"], *(f"{100 * share:.0f} %" for share in row["infused"]["mean"][2:]))
    out.print()
    out.print(table)
    if "selection" in document:
        chosen = document["selection"]
        out.print(
            f"\nBest arm (KN, indifference {chosen['indifference']:g}, correct with probability at least "
            f"{chosen['probability_of_correct_selection_at_least']:g}): {chosen['best']}",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    for row in document.get("variance_split", []):
        _print_split(row)


def _print_split(row: dict[str, Any]) -> None:
    out = stdout_console()
    name = row["arm"] if row["minus"] is None else f"{row['arm']} minus {row['minus']}"
    out.print(
        f"\n{name}: standard deviation from parameters {_g(row['parameters_variance'] ** 0.5)}, between runs "
        f"{_g(row['replications_variance'] ** 0.5)}, between patients {_g(row['patients_variance'] ** 0.5)}.",
        markup=False, soft_wrap=True,
    )  # fmt: skip
    best = row["cheapest"]
    if best is None:
        out.print("The pilot shows no parameter uncertainty, so no allocation is best.")
        return
    out.print(
        f"Cheapest for a standard error of {_g(best['wanted_standard_error'])} (a tenth of the parameter uncertainty): "
        f"{best['draws']} draws x {best['replications_per_draw']} replications x {best['patients_per_replication']} "
        f"patients, about {best['seconds']:.0f} s on one core.",
        soft_wrap=True,
    )


def _g(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _range(low: float, high: float) -> str:
    return f"{_g(low)} to {_g(high)}"


def _short_of(needed: float) -> str:
    return "needs more" if needed == float("inf") else f"~{needed:,.0f} runs"
