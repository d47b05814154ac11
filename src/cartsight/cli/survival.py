"""`cartsight survival`: Kaplan-Meier tables, fits, curve reconstruction, fits to published landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cartsight.cli.output import Json, Quiet, Seed, print_json, stderr_console, stdout_console
from cartsight.cli.survival_background import Age, LifeTableName, Sex, TimeUnit, table_background
from cartsight.cli.survival_files import (
    clicks_from_file,
    comma_words,
    groups_from_file,
    positive_numbers,
    published_landmarks_from_file,
    risk_table_from_file,
    rows_by_group,
    times_option,
    write_individuals,
)
from cartsight.cli.survival_print import print_curves, print_landmark_fit, print_models, print_reconstruction
from cartsight.cli.survival_scenario import LawPath, Model, Only, Toml, check_options, print_scenario_law

if TYPE_CHECKING:
    pass

app = typer.Typer(
    help="Survival curves: estimate, fit, reconstruct from a published figure.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Time = Annotated[str | None, typer.Option("--time", help="Column of times (default: found by name).")]
Event = Annotated[
    str | None, typer.Option("--event", help="Column of event indicators, 1 or 0 (default: found by name).")
]
Group = Annotated[str | None, typer.Option("--group", help="Column that names the group, for example the arm.")]
Entry = Annotated[str | None, typer.Option("--entry", help="Column of entry times (left truncation).")]
Weight = Annotated[str | None, typer.Option("--weight", help="Column of frequency weights.")]
At = Annotated[str | None, typer.Option("--landmarks", help="Times of the landmark table, for example 6,12,24.")]
Level = Annotated[float, typer.Option("--level", help="Coverage of all intervals.")]
Kind = Annotated[str, typer.Option("--interval", help="Interval of the curve: log-log or plain.")]
File = Annotated[Path, typer.Argument(help="CSV file with a header, one row per patient.")]


@app.command()
def km(
    file: File,
    time: Time = None,
    event: Event = None,
    group: Group = None,
    entry: Entry = None,
    weight: Weight = None,
    landmarks: At = None,
    level: Level = 0.95,
    interval: Kind = "log-log",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Kaplan-Meier curves: median, landmarks, numbers at risk, restricted mean, log-rank test."""
    from cartsight.evidence.survival.summary import compare_groups, describe_curve

    table, columns, groups = groups_from_file(file, time, event, group, entry, None, weight, quiet)
    times = times_option(landmarks, max(g.last_time for g in groups.values()))
    records = [
        describe_curve(data, name, times, level=level, interval=interval, with_curve=json)  # type: ignore[arg-type]
        for name, data in groups.items()
    ]
    test = compare_groups(groups)
    if json:
        print_json({"file": table.file, **columns, "groups": records, "log_rank": test})
        return
    print_curves(records, test)


@app.command()
def fit(
    file: File,
    time: Time = None,
    event: Event = None,
    group: Group = None,
    models: Annotated[
        str | None, typer.Option("--models", help="Comma-separated models (default: eleven of them).")
    ] = None,
    entry: Entry = None,
    upper: Annotated[
        str | None, typer.Option("--upper", help="Column of interval ends (interval-censored events).")
    ] = None,
    weight: Weight = None,
    covariates: Annotated[str | None, typer.Option("--covariates", help="Columns on the location parameter.")] = None,
    cure_covariates: Annotated[
        str | None, typer.Option("--cure-covariates", help="Columns on the logit of the cured fraction.")
    ] = None,
    background_hazard: Annotated[
        str | None,
        typer.Option("--background-hazard", help="Column: population hazard at the exit, per time unit."),
    ] = None,
    background_cumulative: Annotated[
        str | None,
        typer.Option("--background-cumulative", help="Column: cumulative population hazard at the exit."),
    ] = None,
    background_entry: Annotated[
        str | None,
        typer.Option("--background-entry", help="Column: cumulative population hazard at the entry."),
    ] = None,
    life_table: LifeTableName = None,
    age: Age = None,
    sex: Sex = None,
    time_unit: TimeUnit = None,
    smr: Annotated[float, typer.Option("--smr", help="Standardised mortality ratio on the background.")] = 1.0,
    cut: Annotated[float | None, typer.Option("--cut", help="Early-cut validation: follow-up time of the cut.")] = None,
    landmarks: At = None,
    level: Level = 0.95,
    interval: Kind = "log-log",
    draws: Annotated[
        int,
        typer.Option("--draws", help="Joint coefficient draws behind the landmark intervals.", min=50, max=100_000),
    ] = 500,
    toml: Toml = False,
    model: Model = None,
    only: Only = None,
    path: LawPath = None,
    seed: Seed = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit parametric, spline and cure models per group: AIC, BIC, landmarks, cured fraction."""
    import numpy as np

    from cartsight.core.errors import InputError
    from cartsight.evidence.survival.background import BackgroundRates
    from cartsight.evidence.survival.models import DEFAULT_MODELS, parse_model
    from cartsight.evidence.survival.summary import compare_groups, fit_group

    check_options(toml, model, only, path, covariates or cure_covariates)
    names = comma_words(models) if models is not None else list(DEFAULT_MODELS)
    if not names:
        raise InputError("no models named", field="--models", allowed=", ".join(DEFAULT_MODELS))
    parsed = list(dict.fromkeys(parse_model(name) for name in names))
    table, columns, groups = groups_from_file(file, time, event, group, entry, upper, weight, quiet)
    for name, data in groups.items():
        if data.events == 0 and len(groups) == 1:
            raise InputError("no events: nothing can be fitted", file=file, field=columns["event_column"])
        if data.n < 2:
            raise InputError("one row cannot be fitted", file=file, found=f"group {name}", allowed="at least two rows")
    rows = rows_by_group(table, group)
    x = {c: table.numbers(c) for c in comma_words(covariates)}
    z = {c: table.numbers(c) for c in comma_words(cure_covariates)}
    if (background_hazard is None) != (background_cumulative is None):
        raise InputError(
            "background mortality needs both its hazard and its cumulative hazard",
            field="--background-hazard",
        )
    lives = None
    if life_table is not None:
        if background_hazard is not None:
            raise InputError(
                "state the background once: a life table or columns", field="--life-table", found=life_table
            )
        lives = table_background(table, life_table, age, sex, time_unit, str(columns["time_column"]), smr)
    rates = None
    if background_hazard is not None and background_cumulative is not None:
        at_entry = np.empty(0) if background_entry is None else table.numbers(background_entry)
        rates = BackgroundRates(
            table.numbers(background_hazard),
            table.numbers(background_cumulative),
            at_entry,
            np.empty(0),
            smr,
        )
    backgrounds = {
        name: lives.rates(data, rows[name])
        if lives is not None
        else None
        if rates is None
        else rates.subset(rows[name])
        for name, data in groups.items()
    }
    if toml:
        print_scenario_law(
            groups,
            backgrounds,
            None if models is None else parsed,
            file=file.name,
            time_column=str(columns["time_column"]),
            unit=time_unit,
            model=model,
            only=only,
            path=path,
            background=None
            if lives is None and rates is None
            else f"{'columns of the file' if lives is None else lives.citation}, times {smr:g}",
            seed=20260101 if seed is None else seed,
            as_json=json,
            quiet=quiet,
        )
        return
    times = times_option(landmarks, max(g.last_time for g in groups.values()))
    records = []
    console = stderr_console(quiet)
    for name, data in groups.items():
        chosen = rows[name]
        with console.status(f"fitting {len(parsed)} models to {name}"):
            records.append(
                fit_group(
                    data,
                    name,
                    parsed,
                    times,
                    level=level,
                    interval=interval,  # type: ignore[arg-type]
                    covariates={c: v[chosen] for c, v in x.items()},
                    cure_covariates={c: v[chosen] for c, v in z.items()},
                    background=backgrounds[name],
                    cut=cut,
                    draws=draws,
                    seed=20260101 if seed is None else seed,
                )
            )
    test = compare_groups(groups)
    if json:
        source = None if lives is None else lives.citation
        head = {"file": table.file, **columns, "level": level, "background": source}
        print_json({**head, "groups": records, "log_rank": test})
        return
    print_curves(records, test)
    for record in records:
        print_models(record)
    if lives is not None or rates is not None:
        source = "columns of the file" if lives is None else lives.citation
        stdout_console().print(
            f"background mortality, times {smr:g}: {source}; medians and landmarks of models are net of it"
        )


@app.command()
def reconstruct(
    clicks: Annotated[Path, typer.Argument(help="CSV of points read off the curve: time, survival.")],
    at_risk: Annotated[Path, typer.Option("--at-risk", help="CSV of the at-risk table: time, number.")],
    events: Annotated[int | None, typer.Option("--events", help="Published total number of events.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write the individual data (time, event) to this CSV.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Individual data from a published Kaplan-Meier figure (Guyot et al. 2012), with diagnostics."""
    from cartsight.evidence.survival.kaplan_meier import kaplan_meier
    from cartsight.evidence.survival.reconstruction import reconstruct as rebuild

    result = rebuild(*clicks_from_file(clicks), *risk_table_from_file(at_risk), events)
    for repair in result.repairs:
        stderr_console(quiet).print(f"repaired: {repair}")
    if output is not None:
        write_individuals(output, result.data)
    curve, checks = kaplan_meier(result.data), result.diagnostics
    record = {
        "n": result.data.n,
        "events": result.data.events,
        "median": curve.median.value,
        "median_interval": [curve.median.low, curve.median.high],
        "repairs": list(result.repairs),
        "diagnostics": {
            "largest_survival_error": checks.largest_survival_error,
            "largest_survival_error_time": checks.largest_error_time,
            "mean_survival_error": checks.mean_survival_error,
            "largest_at_risk_error": float(abs(checks.at_risk_errors).max()),
            "at_risk": [
                {"time": t, "published": p, "reconstructed": r, "error": r - p}
                for t, p, r in zip(
                    checks.risk_time.tolist(),
                    checks.at_risk_published.tolist(),
                    checks.at_risk_reconstructed.tolist(),
                    strict=True,
                )
            ],
            "events_published": checks.events_published,
            "events_reconstructed": checks.events_reconstructed,
            "events_error": checks.events_error,
        },
        "output": output,
        "citation": result.citation(),
    }
    if json:
        individuals = [
            {"time": t, "event": int(e)}
            for t, e in zip(result.data.time.tolist(), result.data.event.tolist(), strict=True)
        ]
        print_json({**record, "data": individuals})
        return
    print_reconstruction(record)


@app.command()
def landmarks(
    file: Annotated[
        Path,
        typer.Argument(help="CSV: time, survival[, low, high]; a median is a row with survival 0.5 and kind median."),
    ],
    model: Annotated[str, typer.Option("--model", help="Model to fit.")] = "mixture_cure_exponential",
    patients: Annotated[
        int | None, typer.Option("--patients", help="Number of patients, for rows without an interval.")
    ] = None,
    at: Annotated[str | None, typer.Option("--at", help="Times at which to print the fitted survival.")] = None,
    scale: Annotated[str, typer.Option("--scale", help="Working scale: cloglog or logit.")] = "cloglog",
    draws: Annotated[
        int, typer.Option("--draws", min=50, max=100_000, help="Joint draws behind the intervals.")
    ] = 1000,
    seed: Seed = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit a law to published landmarks only (n-year survival, median), where no curve exists."""
    import numpy as np

    from cartsight.evidence.survival.published_landmarks import fit_landmarks

    marks, median = published_landmarks_from_file(file)
    result = fit_landmarks(marks, model, median=median, n=patients, scale=scale)  # type: ignore[arg-type]
    times = times_option(at, float(result.time[-1])) if at is None else np.array(positive_numbers(at, "--at"))
    sample = result.survival_draws(times, result.draw(draws, np.random.default_rng(20260101 if seed is None else seed)))
    low, high = np.nanquantile(sample, [0.025, 0.975], axis=0)
    record = {
        "name": str(result.model),
        "parameters": result.parameters,
        "parameter_intervals": {k: list(v) for k, v in result.parameter_intervals().items()},
        "chi_squared": result.chi_squared,
        "degrees_of_freedom": result.degrees_of_freedom,
        "p_value": result.p_value,
        "just_identified": result.just_identified,
        "points": [
            {"time": t, "published": p, "fitted": f, "standard_error": s}
            for t, p, f, s in zip(result.time, result.published, result.fitted, result.standard_error, strict=True)
        ],
        "landmarks": [
            {"time": t, "survival": s, "low": a, "high": b}
            for t, s, a, b in zip(times, result.law().survival(times), low, high, strict=True)
        ],
        "notes": list(result.notes),
        "citation": result.citation(),
    }
    if json:
        print_json(record)
        return
    print_landmark_fit(record)
    for note in result.notes:
        stderr_console(quiet).print(f"note: {note}")
