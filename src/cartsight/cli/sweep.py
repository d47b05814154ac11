"""The sweep command: a scenario over a grid of values, on any backend, resumable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cartsight.cli.output import Json, Quiet, Seed, print_json, stderr_console, stdout_console


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("sweep")(sweep)


def sweep(
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of a shipped scenario.")],
    vary: Annotated[
        list[str], typer.Option("--vary", help="path=v1,v2,... in the field's own unit; repeat for a grid.")
    ],
    draws: Annotated[int, typer.Option("--draws", help="Parameter draws per case; the same in every case.")] = 64,
    backend: Annotated[str, typer.Option("--backend", help="serial, threads, processes or dask.")] = "processes",
    workers: Annotated[int | None, typer.Option("--workers", help="Workers (default: all cores).")] = None,
    address: Annotated[str | None, typer.Option("--address", help="Scheduler of a running Dask cluster.")] = None,
    block: Annotated[int, typer.Option("--block", help="Draws per block: about a second of work.")] = 8,
    patients: Annotated[int | None, typer.Option("--patients", help="Expected patients per arm and draw.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder; the same command resumes an interrupted sweep.")
    ] = None,
    rerun_block: Annotated[
        list[int] | None, typer.Option("--rerun-block", help="Run only this block of the manifest again.")
    ] = None,
    metric: Annotated[str, typer.Option("--metric", help="Metric of the printed table.")] = "qalys_per_referred",
    json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Run a scenario over a grid of values, every case on the same draws and patients."""
    from cartsight.comparison.executor import make_executor
    from cartsight.comparison.metrics import metric as known_metric
    from cartsight.comparison.sweep import plan_sweep, run_sweep
    from cartsight.scenario import load_scenario

    known_metric(metric)
    loaded = load_scenario(scenario)
    if patients is not None:
        loaded = loaded.with_analysis(patients=patients)
    plan = plan_sweep(loaded, _grid(vary), draws=draws, block=block, seed=seed)
    executor = make_executor(backend, workers, address)
    folder = output if output is not None else Path("runs") / f"sweep-{loaded.name}-{plan.key}"
    console = stderr_console(quiet)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    ) as bar:
        task = bar.add_task("blocks", total=len(plan.blocks()))
        summary = run_sweep(
            plan,
            folder,
            executor,
            only=rerun_block or None,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if json:
        print_json({**summary, "folder": folder})
        return
    from rich.table import Table

    arms = list(loaded.arms)
    table = Table("Case", *arms, box=None, padding=(0, 2, 0, 0), title=f"{known_metric(metric).title}: mean (95 %)")
    for case in summary["cases"]:
        cells = []
        for arm in arms:
            found = case["arms"][arm]["metrics"].get(metric)
            cells.append(
                "" if found is None else f"{found['mean']:.4g} ({found['low_95']:.4g} to {found['high_95']:.4g})"
            )
        table.add_row(", ".join(f"{path.split('.')[-1]} = {value:g}" for path, value in case["values"].items()), *cells)
    out = stdout_console()
    out.print(table)
    out.print(f"{summary['core_hours_per_million_patients']:.3f} core-hours per million patients. Results: {folder}")


def _grid(vary: list[str]) -> dict[str, list[float]]:
    from cartsight.core.errors import InputError

    grid: dict[str, list[float]] = {}
    for text in vary:
        path, equals, values = text.partition("=")
        if not equals or not path:
            raise InputError("needs path=v1,v2,...", field="--vary", found=text)
        try:
            grid[path.strip()] = [float(value) for value in values.split(",")]
        except ValueError:
            raise InputError("values must be numbers separated by commas", field="--vary", found=text) from None
    return grid
