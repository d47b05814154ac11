"""`cartsight quality release`: from a release specification to states, risks, guard band and marginal values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cartsight.cli.output import Json, Quiet, Seed, plain, print_json, stderr_console, stdout_console
from cartsight.cli.quality_audit import print_audited, seed_of

if TYPE_CHECKING:
    from cartsight.evidence.quality.release.guard_band import GuardBand
    from cartsight.evidence.quality.release.marginal_values import Change, MarginalValue
    from cartsight.evidence.quality.release.risk import ReleaseRisk
    from cartsight.evidence.quality.release.specification import ReleaseSpecification


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("release")(release)


def release(
    specification: Annotated[Path, typer.Argument(help="Release specification (TOML).", show_default=False)],
    region: Annotated[str | None, typer.Option(help="Specification set of this region instead of the file's.")] = None,
    product: Annotated[
        str | None, typer.Option(help="Specification set of this product instead of the file's.")
    ] = None,
    lots: Annotated[int | None, typer.Option(min=1000, max=5_000_000, help="Simulated lots.")] = None,
    pathway: Annotated[
        bool, typer.Option("--pathway", help="Also what a scenario's autologous process needs, per patient effect.")
    ] = False,
    toml: Annotated[
        str | None,
        typer.Option("--toml", help="Print the numbers of a scenario's arm instead: autologous or lots."),
    ] = None,
    seed: Seed = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Probability of each lot state, producer's and consumer's risk, guard band, marginal values."""
    from dataclasses import replace

    from cartsight.evidence.quality.release.calibration import pathway_numbers
    from cartsight.evidence.quality.release.guard_band import choose_guard_band
    from cartsight.evidence.quality.release.marginal_values import marginal_values
    from cartsight.evidence.quality.release.operating_characteristic import operating_characteristic
    from cartsight.evidence.quality.release.reading import read_release_specification
    from cartsight.evidence.quality.release.risk import evaluate

    spec = read_release_specification(specification, region=region, product=product)
    spec = replace(spec, lots=lots or spec.lots, seed=seed_of(seed, spec.seed))
    if toml is not None:
        _print_numbers(spec, toml, specification.name, as_json)
        return
    risk = evaluate(spec)
    curves = operating_characteristic(spec)
    band = choose_guard_band(spec)
    values = marginal_values(spec)
    numbers = pathway_numbers(spec) if pathway else None
    if as_json:
        document: dict[str, Any] = {
            "product": spec.product,
            "region": spec.region,
            "method": risk.method,
            "lots": risk.lots,
            "seed": risk.seed,
            "states": plain(risk.states),
            "visited": plain(risk.visited),
            "true_bad": risk.true_bad.probability,
            "true_bad_standard_error": risk.true_bad.standard_error,
            "rejected": risk.rejected.probability,
            "rejected_standard_error": risk.rejected.standard_error,
            "released": risk.released.probability,
            "consumers_risk": plain(risk.consumers_risk),
            "producers_risk": plain(risk.producers_risk),
            "bad_given_released": risk.consumers_risk.conditional,
            "attributes": [
                {**plain(a), "unit": spec.attribute(a.name).unit, "limits": plain(spec.attribute(a.name).limits)}
                for a in risk.attributes
            ],
            "safety": plain(risk.safety),
            "joint_pass": plain(risk.joint_pass),
            "operating_characteristic": [plain(curve) for curve in curves],
            "guard_band": plain(band),
            "marginal_values": plain(values),
            "sampled_ml": spec.sampled_ml,
            "sampled_fraction": spec.sampled_fraction,
            "days": risk.days,
            "cost_per_lot": risk.cost_per_lot,
            "dose": risk.dose,
            "over_attempts": plain(risk.course),
            "warnings": list(risk.warnings),
        }
        if numbers is not None:
            document["pathway"] = plain(numbers)
        print_audited(document, [specification], spec.seed)
    else:
        _print(risk, band, values)
        if numbers is not None:
            _print_pathway(plain(numbers))
    console = stderr_console(quiet)
    for word in risk.warnings:
        console.print(f"note: {word}", markup=False)


def _print_numbers(spec: ReleaseSpecification, kind: str, name: str, as_json: bool) -> None:
    """Print what a scenario's arm takes, ready to be pasted: a table, or TOML with its section's name to be filled in."""
    from cartsight.core.errors import InputError, nearest
    from cartsight.evidence.quality.estimated_number import toml_table
    from cartsight.evidence.quality.release.scenario_numbers import autologous_numbers, numbers_of_lots

    makers = {"autologous": ("process", autologous_numbers), "lots": ("lots", numbers_of_lots)}
    if kind not in makers:
        raise InputError(
            "no such kind of arm", field="--toml", found=kind, allowed=", ".join(makers), hint=nearest(kind, makers)
        )
    section, make = makers[kind]
    tables = {
        key: {k: n.table() for k, n in number.items()} if isinstance(number, dict) else number.table()
        for key, number in make(spec, name=f"estimated from {name}").items()
    }
    costs = {key: tables.pop(key) for key in list(tables) if key.startswith("quality_control_per")}
    if as_json:
        print_json({section: tables, "costs": costs})
        return
    lines = [f"[arms.NAME.{section}]", *(f"{key} = {toml_table(table)}" for key, table in tables.items())]
    if costs:
        lines += ["", "[arms.NAME.costs]", *(f"{key} = {toml_table(table)}" for key, table in costs.items())]
    typer.echo("\n".join(lines))


def _percent(value: float, error: float = 0.0) -> str:
    text = f"{100 * value:.3f} %"
    return f"{text} ± {100 * error:.3f}" if error > 1e-7 else text


def _print(risk: ReleaseRisk, band: GuardBand | None, values: tuple[MarginalValue, ...]) -> None:
    from rich.table import Table

    console = stdout_console()
    exact = "quadrature" if risk.method == "quadrature" else f"{risk.lots} simulated lots; ± one standard error"
    table = Table(title=f"State of a lot ({exact})")
    table.add_column("state")
    table.add_column("probability", justify="right")
    for name, estimate in risk.states.items():
        table.add_row(name.replace("_", " "), _percent(estimate.probability, estimate.standard_error))
    console.print(table)

    table = Table(title="Risk")
    table.add_column("risk")
    table.add_column("joint, per lot", justify="right")
    table.add_column("conditional", justify="right")
    table.add_column("given")
    consumer, producer = risk.consumers_risk, risk.producers_risk
    table.add_row("truly bad", _percent(risk.true_bad.probability, risk.true_bad.standard_error), "", "")
    table.add_row("rejected", _percent(risk.rejected.probability, risk.rejected.standard_error), "", "")
    table.add_row("consumer's: bad and released", _percent(consumer.joint), _percent(consumer.conditional), "released")
    table.add_row("producer's: good and rejected", _percent(producer.joint), _percent(producer.conditional), "good")
    console.print(table)

    if len(risk.attributes) > 1:
        table = Table(title="By attribute")
        table.add_column("attribute", no_wrap=True)
        for header in ("truly bad", "first result out", "confirmed", "bad accepted", "good rejected"):
            table.add_column(header, justify="right")
        for item in risk.attributes:
            cells = (item.true_bad, item.first_out, item.confirmed, item.bad_accepted, item.good_rejected)
            table.add_row(item.name, *(f"{100 * cell.probability:.2f} %" for cell in cells))
        console.print(table)
        if risk.joint_pass is not None:
            console.print(
                f"All first results inside: {_percent(risk.joint_pass.probability)} ({risk.joint_pass.method})"
            )
    for test in risk.safety:
        console.print(
            f"{test.name}: contaminated {_percent(test.contaminated.probability)}, found if contaminated "
            f"{_percent(test.detected_if_contaminated.probability)}, released contaminated "
            f"{_percent(test.released_contaminated.probability)}, false alarm {_percent(test.false_alarm.probability)}"
        )
    if risk.days:
        console.print(f"Start to release: median {risk.days['median']:.1f} days")
    if risk.dose:
        console.print(
            f"Dose at infusion: median {risk.dose['median']:.4g} ({risk.dose['p25']:.4g} to {risk.dose['p75']:.4g})"
        )
    course = risk.course
    if course is not None and course.attempts_allowed > 1:
        cost = f"; cost {course.cost_per_patient:.0f} per patient" if course.cost_per_patient > 0 else ""
        median = f"median {course.days['median']:.1f} days from the first start, " if course.days else ""
        console.print(
            f"Over {course.attempts_allowed} attempts: product for {_percent(1.0 - course.no_product, course.standard_error)} "
            f"of patients ({_percent(course.used_out_of_specification)} out of specification), {median}"
            f"{course.attempts_mean:.3f} batches per patient{cost}"
        )
    if band is not None:
        _print_band(band)
    if values:
        table = Table(title="What one change is worth (change per 100 lots, ± one standard error)")
        table.add_column("change")
        table.add_column("of", no_wrap=True)
        for header in ("rejected", "bad released", "good rejected", "patient-days saved"):
            table.add_column(header, justify="right")
        for value in values:
            table.add_row(
                value.action,
                value.subject,
                *(_change(c) for c in (value.rejected, value.bad_released, value.good_rejected)),
                f"{round(value.patient_days_saved_per_100_lots) + 0:d}",
            )
        console.print(table)


def _change(change: Change) -> str:
    """Return a change per 100 lots; exact differences have no error to show."""
    text = f"{100 * change.difference:+.2f}"
    return text if change.standard_error < 1e-6 else f"{text} ± {100 * change.standard_error:.2f}"


def _print_band(band: GuardBand) -> None:
    console = stdout_console()
    for choice in (band.for_risk, band.for_patients):
        if choice is None:
            continue
        point = choice.point
        limits = "; ".join(f"{limit.name} {limit.lower:.5g} to {limit.upper:.5g}" for limit in choice.limits)
        reached = "" if choice.reached else " (not reached by any band)"
        console.print(
            f"Guard band, {choice.rule}{reached}: {point.multiple:.3f} result sd ({limits}); rejects "
            f"{_percent(point.rejected)}, consumer's {_percent(point.consumers_risk_joint)} joint, producer's "
            f"{_percent(point.producers_risk_joint)} joint"
        )
    for floor in band.safety_floor:
        day = "no day meets it" if floor.read_day_needed is None else f"met from day {floor.read_day_needed:.1f}"
        console.print(
            f"{floor.name}: contaminated and not stopped {_percent(floor.released_contaminated)}, floor "
            f"{_percent(floor.floor)}: {'met' if floor.met else 'not met'}; {day}"
        )


def _print_pathway(numbers: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title="For a scenario's process", show_header=False)
    table.add_column("name")
    table.add_column("value")
    for name, value in numbers.items():
        if isinstance(value, (int, float)):
            table.add_row(name, f"{value:.5g}")
    stdout_console().print(table)
