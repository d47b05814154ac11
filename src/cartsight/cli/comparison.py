"""The main commands: compare, run, report, warmup."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cartsight.cli.output import Json, Quiet, Seed, print_json, stderr_console, stdout_console

ScenarioArgument = Annotated[str, typer.Argument(help="A scenario file, or the name of a shipped scenario.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Run folder to make; must not exist (default: runs/<scenario>-<time>)."),
]
Patients = Annotated[
    int | None, typer.Option("--patients", help="Expected patients per arm and draw (default: the scenario's).")
]
Report = Annotated[bool, typer.Option("--report/--no-report", help="Write the HTML report.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command("compare")(compare)
    app.command("run")(run)
    app.command("report")(report)
    app.command("warmup")(warmup)


def compare(
    scenario: ScenarioArgument,
    draws: Annotated[int | None, typer.Option("--draws", help="Parameter draws (default: the scenario's).")] = None,
    patients: Patients = None,
    seed: Seed = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", help="Worker processes (default: all cores). Results do not depend on it."),
    ] = None,
    reviewer: Annotated[
        bool,
        typer.Option(
            "--reviewer", help="Add partitioned survival and intervals of scenario analyses: takes as long again."
        ),
    ] = False,
    decision_years: Annotated[
        float | None,
        typer.Option(
            "--decision-years", help="Years the decision holds, for the population's value of information (5)."
        ),
    ] = None,
    output: Output = None,
    html: Report = True,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare the arms of a scenario, with uncertainty, and write a run folder with a report."""
    from datetime import UTC, datetime

    from cartsight.core.errors import InputError
    from cartsight.reporting.run_folder import default_run_folder, source_files
    from cartsight.scenario import load_scenario

    if workers is not None and workers < 1:
        raise InputError("must be at least 1", field="--workers", found=workers)
    if decision_years is not None and not 0.0 < decision_years <= 100.0:
        raise InputError("out of range", field="--decision-years", found=decision_years, allowed="above 0, at most 100")
    started = datetime.now(UTC)
    loaded = load_scenario(scenario).with_analysis(**_given(draws=draws, patients=patients, seed=seed))
    target = output if output is not None else default_run_folder(loaded.name, datetime.now())
    _check_output(target)
    with _progress(quiet) as tell:
        tell("point values", 0, 1)
        from cartsight.comparison.compare import DECISION_YEARS
        from cartsight.comparison.compare import compare as run_comparison

        years = DECISION_YEARS if decision_years is None else decision_years
        comparison = run_comparison(
            loaded, draws=draws, patients=patients, seed=seed, workers=workers, decision_years=years, progress=tell
        )
        tell("report", 0, 1)
        from cartsight.reporting import tables
        from cartsight.reporting.run_folder import RunRecord, write_run_folder
        from cartsight.reporting.summary import summarise

        document = summarise(
            comparison,
            reviewer=reviewer,
            workers=workers,
            progress=lambda done, total: tell("views for reviewers", done, total),
        )
        document["timing"] |= {"started": started.isoformat(timespec="seconds")}
        page = _page(document) if html else None
        record = RunRecord(
            document=document,
            scenario=comparison.scenario,
            sources=source_files(scenario),
            tables={
                "patients": tables.patient_table(comparison.base),
                "draws": tables.draw_table(comparison),
                "draw_results": tables.draw_result_table(comparison),
                "numbers": tables.number_table(document["numbers"]),
            },
            report=page,
        )
        write_run_folder(target, record, started=started)
        tell("report", 1, 1)
    _speak(document, target, html, json, quiet)


def run(
    scenario: ScenarioArgument,
    arm: Annotated[list[str] | None, typer.Option("--arm", help="Only this arm; may be given several times.")] = None,
    patients: Patients = None,
    seed: Seed = None,
    output: Output = None,
    html: Report = True,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the arms once at the point values of all numbers: patients and their flow, without uncertainty."""
    import time
    from datetime import UTC, datetime

    from cartsight.core.errors import InputError, nearest
    from cartsight.reporting.run_folder import default_run_folder, source_files
    from cartsight.scenario import load_scenario

    started, clock = datetime.now(UTC), time.perf_counter()
    loaded = load_scenario(scenario)
    for name in arm or []:
        if name not in loaded.arms:
            raise InputError(
                "unknown arm",
                field="--arm",
                found=name,
                allowed=", ".join(loaded.arms),
                hint=nearest(name, loaded.arms),
            )
    loaded = loaded.with_analysis(**_given(patients=patients, seed=seed))
    target = output if output is not None else default_run_folder(loaded.name, datetime.now())
    _check_output(target)
    with _progress(quiet) as tell:
        tell("point values", 0, 1)
        from cartsight.reporting import tables
        from cartsight.reporting.point_values import run_point_values
        from cartsight.reporting.run_folder import RunRecord, write_run_folder
        from cartsight.reporting.summary import summarise_point_values

        loaded, runs, warnings = run_point_values(
            loaded, arms=tuple(dict.fromkeys(arm or ())), patients=patients, seed=seed
        )
        document = summarise_point_values(
            loaded,
            runs,
            seed=loaded.analysis.seed,
            warnings=warnings,
            seconds={"point values": time.perf_counter() - clock},
        )
        document["timing"] |= {"started": started.isoformat(timespec="seconds")}
        record = RunRecord(
            document=document,
            scenario=loaded,
            sources=source_files(scenario),
            tables={"patients": tables.patient_table(runs), "numbers": tables.number_table(document["numbers"])},
            report=_page(document) if html else None,
        )
        write_run_folder(target, record, started=started)
        tell("point values", 1, 1)
    _speak(document, target, html, json, quiet, flow=True)


def report(
    run_folder: Annotated[Path, typer.Argument(help="A run folder that compare or run has written.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of into the run folder.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build the HTML report of a run folder again, from its results alone."""
    from cartsight.reporting.run_folder import read_results, replace_report

    path = replace_report(run_folder, _page(read_results(run_folder)), output)
    if json:
        print_json({"report": str(path), "run_folder": str(run_folder)})
    else:
        stdout_console().print(f"Report: {path}", soft_wrap=True, markup=False)


def warmup(json: Json = False, quiet: Quiet = False) -> None:
    """Compile the simulation and keep it in the cache, so that the next run starts at once."""
    import time

    clock = time.perf_counter()
    with _progress(quiet) as tell:
        tell("compiling the simulation", 0, 1)
        from cartsight.simulation import warm_up

        warm_up()
        tell("compiling the simulation", 1, 1)
    seconds = time.perf_counter() - clock
    if json:
        print_json({"seconds": seconds})
    else:
        stdout_console().print(f"The simulation is compiled ({seconds:.1f} s).")


def _check_output(target: Path) -> None:
    from cartsight.core.errors import InputError
    from cartsight.reporting.run_folder import check_target

    try:
        check_target(target)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", field="--output", found=str(target)) from None


def _given(**options: int | None) -> dict[str, int]:
    return {name: value for name, value in options.items() if value is not None}


def _page(document: dict[str, Any]) -> str:
    from cartsight.reporting.html import report_html

    return report_html(document)


def _speak(document: dict[str, Any], target: Path, html: bool, json: bool, quiet: bool, flow: bool = False) -> None:
    for warning in document["warnings"]:
        stderr_console(quiet).print(f"warning: {warning}", soft_wrap=True, markup=False)
    if json:
        print_json({**document, "run_folder": str(target)})
        return
    from cartsight.reporting.terminal import print_document, print_flow

    console = stdout_console()
    if flow:
        print_flow(console, document)
        console.print()
    print_document(console, document, report=str(target / "report.html") if html else None, folder=str(target))


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function (stage, done, in all) that draws one bar per stage on stderr."""
    if quiet:
        yield lambda stage, done, total: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bars = Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=stderr_console(),
    )
    tasks: dict[str, Any] = {}

    def tell(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            for earlier in bars.tasks:
                bars.update(earlier.id, completed=earlier.total)
            tasks[stage] = bars.add_task(stage, total=total)
        bars.update(tasks[stage], completed=done, total=total)

    with bars:
        yield tell
