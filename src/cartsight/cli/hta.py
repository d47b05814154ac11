"""What reviewers of health technology assessments ask for: partitioned survival, severity, scenarios, CHEERS, xlsx."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cartsight.cli.output import Json, Quiet, Seed, print_json, stderr_console

if TYPE_CHECKING:
    from cartsight.comparison.reviewer_draws import ReviewerDraws
    from cartsight.comparison.scenario_analyses import ScenarioAnalysis
    from cartsight.scenario import Scenario

app = typer.Typer(help="Views for reviewers of health technology assessments.", no_args_is_help=True)

ScenarioArgument = Annotated[str, typer.Argument(help="A scenario file, or the name of a shipped scenario.")]
RunFolder = Annotated[Path, typer.Argument(help="A run folder that compare has written.")]
Patients = Annotated[
    int | None, typer.Option("--patients", help="Expected patients per arm (default: the scenario's).")
]
Draws = Annotated[
    int, typer.Option("--draws", help="Parameter draws for intervals (default 0: point values only; at least 10).")
]


@app.command()
def partitioned(
    scenario: ScenarioArgument,
    arm: Annotated[list[str] | None, typer.Option("--arm", help="Only this arm; may be given several times.")] = None,
    model: Annotated[
        str, typer.Option("--model", help="Survival model of both curves, or 'best': lowest AIC for each by itself.")
    ] = "best",
    follow_up: Annotated[
        float, typer.Option("--follow-up-months", help="Follow-up that the extrapolated view sees.")
    ] = 36.0,
    background: Annotated[
        bool,
        typer.Option(
            "--background/--no-background", help="Extrapolate the excess over background mortality, or all causes."
        ),
    ] = True,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Relative difference that is still called agreement.")
    ] = 0.05,
    patients: Patients = None,
    json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Partitioned survival view of the infused beside what the same patients did, with a warning where they disagree."""
    from cartsight.comparison.partitioned_view import partitioned_view
    from cartsight.comparison.single_arm import run_arms
    from cartsight.core.errors import InputError, nearest
    from cartsight.scenario.arms import as_product

    loaded = _load(scenario, seed, patients)
    products = [name for name in loaded.arms if as_product(loaded.arms[name]) is not None]
    for name in arm or []:
        if name not in products:
            raise InputError(
                "no arm of this name has a product",
                field="--arm",
                found=name,
                allowed=", ".join(products),
                hint=nearest(name, products),
            )
    chosen = tuple(dict.fromkeys(arm)) if arm else tuple(products)
    if not chosen:
        raise InputError("no arm of this scenario has a product", field="arms", found=list(loaded.arms))
    with stderr_console(quiet).status("simulating and fitting"):
        runs = run_arms(loaded, loaded.analysis.seed, chosen)
        views = [
            partitioned_view(
                runs[name], model=model, follow_up_months=follow_up, tolerance=tolerance, background=background
            )
            for name in chosen
        ]
    if json:
        from cartsight.reporting.hta_document import partitioned_document

        print_json({**_head(loaded), "arms": [partitioned_document(view) for view in views]})
    else:
        from cartsight.cli.hta_print import print_partitioned

        print_partitioned(loaded, views)
    _warn([warning for view in views for warning in view.warnings], quiet)


@app.command()
def severity(
    scenario: ScenarioArgument,
    current_care: Annotated[
        str | None,
        typer.Option(
            "--current-care", help="Arm that stands for established practice (default: the one without a product)."
        ),
    ] = None,
    draws: Draws = 0,
    patients: Patients = None,
    json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """QALY shortfall under established practice, and the severity weight of NICE."""
    from cartsight.comparison.reviewer_views import severity_view

    loaded = _load(scenario, seed, patients)
    with stderr_console(quiet).status("simulating"):
        view = severity_view(loaded, current_care=current_care)
        uncertain = _over_draws(loaded, draws, [], view.current_care)
    spread = None if uncertain is None else uncertain.severity
    if json:
        from cartsight.reporting.hta_document import severity_document

        print_json({**_head(loaded), **severity_document(view), "parameter_draws": spread})
        return
    from cartsight.cli.hta_print import print_severity

    print_severity(loaded, view, spread)


@app.command()
def scenarios(
    scenario: ScenarioArgument,
    file: Annotated[
        Path | None, typer.Option("--file", help="TOML file with your own analyses: tables [scenarios.<name>].")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only the analysis of this name; may be given several times.")
    ] = None,
    draws: Draws = 0,
    patients: Patients = None,
    json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Scenario analyses at the point values on the same patients: discounting, horizon, cure, prices, waiting, your own."""
    from cartsight.comparison.scenario_analyses import read_analyses, standard_analyses
    from cartsight.comparison.scenario_table import run_scenario_table
    from cartsight.core.errors import InputError, nearest

    loaded = _load(scenario, seed, patients)
    analyses = [*standard_analyses(loaded), *(read_analyses(file) if file is not None else ())]
    if only:
        names = [one.name for one in analyses]
        for name in only:
            if name not in names:
                raise InputError(
                    "no scenario analysis of this name",
                    field="--only",
                    found=name,
                    allowed=", ".join(names),
                    hint=nearest(name, names),
                )
        analyses = [one for one in analyses if one.name in only]
    with stderr_console(quiet).status("running scenario analyses"):
        table = run_scenario_table(loaded, analyses)
        uncertain = _over_draws(loaded, draws, analyses, None)
    if json:
        print_json(
            {
                **_head(loaded),
                "reference_arm": table.reference_arm,
                "counted_patients": table.patients,
                "rows": table.rows,
                "parameter_draws": None if uncertain is None else {"draws": uncertain.draws, "rows": uncertain.rows},
            }
        )
        return
    from cartsight.cli.hta_print import print_scenarios

    print_scenarios(loaded, table, uncertain)


@app.command("single-therapy")
def single_therapy(
    scenario: ScenarioArgument,
    comparator: Annotated[
        str | None, typer.Option("--comparator", help="Arm whose care is saved (default: the one without a product).")
    ] = None,
    patients: Patients = None,
    json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Value-based price of a one-time therapy when savings are credited in full, shared, or capped."""
    from cartsight.comparison.reviewer_views import single_therapy_view

    loaded = _load(scenario, seed, patients)
    with stderr_console(quiet).status("simulating"):
        views = single_therapy_view(loaded, comparator=comparator)
    remarks = [views[0].scenarios.remark]
    if not loaded.analysis.money.startswith("usd"):
        remarks.append(
            f"The cap is applied to amounts in {loaded.analysis.money}, although it is stated in US dollars."
        )
    if json:
        print_json({**_head(loaded), "comparator": views[0].comparator, "arms": views, "remarks": remarks})
        return
    from cartsight.cli.hta_print import print_single_therapy

    print_single_therapy(loaded, views, remarks)


@app.command()
def equity(
    scenario: ScenarioArgument,
    aversion: Annotated[
        list[float] | None,
        typer.Option(
            "--aversion",
            help="Atkinson's aversion to inequality; may be given several times (default: 0, 1, 5, 10.95).",
        ),
    ] = None,
    age_limit: Annotated[
        list[float] | None,
        typer.Option(
            "--age-limit", help="Limit between age groups, years; may be given several times (default: 50, 65)."
        ),
    ] = None,
    remaining: Annotated[
        bool, typer.Option("--remaining", help="Count health from referral only, not over the whole life.")
    ] = False,
    patients: Patients = None,
    json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Who gains health: by region, age and sex, with the equally distributed equivalent at stated aversion."""
    from cartsight.comparison.reviewer_views import equity_views
    from cartsight.economics.equity import AGE_EDGES, AVERSIONS

    loaded = _load(scenario, seed, patients)
    with stderr_console(quiet).status("simulating"):
        views = equity_views(
            loaded,
            aversions=aversion or AVERSIONS,
            age_edges=sorted(age_limit) if age_limit else AGE_EDGES,
            lifetime=not remaining,
        )
    if json:
        health = "remaining QALYs, undiscounted" if remaining else "lifetime QALYs, undiscounted"
        print_json({**_head(loaded), "health": health, "reference_arm": loaded.reference_arm, "arms": views})
        return
    from cartsight.cli.hta_print import print_equity

    print_equity(loaded, views, lifetime=not remaining)


@app.command()
def cheers(
    source: Annotated[str, typer.Argument(help="A scenario file, a shipped scenario, or a run folder.")],
    json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """The CHEERS 2022 checklist, filled in where the scenario or the run answers it."""
    from cartsight.reporting.cheers import CITATION, cheers_checklist, cheers_counts
    from cartsight.reporting.run_folder import read_results
    from cartsight.scenario import load_scenario

    path = Path(source)
    if path.is_dir():
        with _whole_document(path):
            items = cheers_checklist(read_results(path))
    else:
        items = cheers_checklist(load_scenario(source))
    if json:
        print_json({"source": source, "citation": CITATION, "counts": cheers_counts(items), "items": list(items)})
        return
    from cartsight.cli.hta_print import print_cheers

    print_cheers(items)


@app.command()
def export(
    run_folder: RunFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="Workbook to write, ends in .xlsx.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Write a run folder as one xlsx workbook: inputs with sources, results, costs, QALYs, frontier, CEAC, draws."""
    from cartsight.reporting.workbook import write_workbook

    with stderr_console(quiet).status("writing"), _whole_document(run_folder):
        sheets = write_workbook(run_folder, output, force=force)
    rows = [{"name": sheet.name, "rows": len(sheet.rows), "columns": len(sheet.header)} for sheet in sheets]
    if json:
        print_json({"workbook": str(output), "run_folder": str(run_folder), "sheets": rows})
        return
    from cartsight.cli.hta_print import print_export

    print_export(output, rows)


@app.command()
def convergence(
    run_folder: RunFolder,
    wtp: Annotated[
        float | None, typer.Option("--wtp", help="Willingness to pay per QALY (default: the scenario's threshold).")
    ] = None,
    json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Whether a run made enough parameter draws: running means, margin of the best arm, value of information."""
    from cartsight.reporting.run_convergence import run_convergence

    with _whole_document(run_folder):
        document = run_convergence(run_folder, wtp=wtp)
    if json:
        print_json({"run_folder": str(run_folder), **document})
        return
    from cartsight.cli.hta_print import print_convergence

    print_convergence(document)


def _load(name: str, seed: int | None, patients: int | None) -> Scenario:
    """Return the scenario at the seed and number of patients asked for, checked."""
    from cartsight.comparison.checking import check_arms
    from cartsight.core.errors import InputError
    from cartsight.scenario import load_scenario

    loaded = load_scenario(name)
    changes = {key: value for key, value in {"seed": seed, "patients": patients}.items() if value is not None}
    if changes:
        try:
            loaded = loaded.with_analysis(**changes)
        except InputError as error:
            option = "--" + (error.field or "").removeprefix("analysis.")
            raise InputError(error.problem, field=option, found=error.found) from None
    check_arms(loaded)
    return loaded


def _over_draws(
    loaded: Scenario, draws: int, analyses: list[ScenarioAnalysis], current_care: str | None
) -> ReviewerDraws | None:
    """Return the same views over parameter draws, where any are asked for."""
    from cartsight.core.errors import InputError

    if draws == 0:
        return None
    from cartsight.comparison.reviewer_draws import FEWEST_DRAWS, reviewer_draws

    if not FEWEST_DRAWS <= draws <= 100_000:
        raise InputError("out of range", field="--draws", found=draws, allowed=f"0, or {FEWEST_DRAWS} to 100000")
    return reviewer_draws(loaded, analyses, current_care=current_care, draws=draws)


@contextmanager
def _whole_document(folder: Path) -> Iterator[None]:
    """Turn a part that is missing from a run folder's results into one message."""
    from cartsight.core.errors import InputError

    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(
            "the results of this run folder are damaged: a part is missing or of the wrong kind",
            file=folder / "results.json",
            found=f"{type(error).__name__}: {error}",
            hint="Run compare again.",
        ) from error


def _head(loaded: Scenario) -> dict[str, Any]:
    analysis = loaded.analysis
    return {
        "scenario": loaded.name,
        "hash": loaded.content_hash(),
        "seed": analysis.seed,
        "money": analysis.money,
        "perspective": analysis.perspective,
        "labels": {name: arm.label for name, arm in loaded.arms.items()},
    }


def _warn(warnings: list[str], quiet: bool) -> None:
    for warning in warnings:
        stderr_console(quiet).print(f"warning: {warning}", soft_wrap=True, markup=False)
