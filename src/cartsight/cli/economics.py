"""Cost-effectiveness of anyone's results: frontier, decision uncertainty, check of published tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cartsight.cli.output import Json, Quiet, Seed, print_json, stderr_console, stdout_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from cartsight.comparison import PartialInformation
    from cartsight.economics import ConsistencyRow, FrontierRow

    Float = npt.NDArray[np.float64]

app = typer.Typer(
    help="Cost-effectiveness of anyone's results, from plain CSV files: no scenario needed.",
    no_args_is_help=True,
)

_MOST_THRESHOLDS = 2001
_SHOWN_THRESHOLDS = 6


def _money(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _effect(value: float | None) -> str:
    return "" if value is None else f"{value:,.4f}"


def parse_willingness_to_pay(text: str) -> list[float]:
    """Return the grid in ``start:stop:step`` (both ends included), ``a,b,c`` or a single number.

    Raises
    ------
    InputError
        When the text is none of these, a value is negative, or the grid is longer than 2001 values.
    """
    import math

    from cartsight.core.errors import InputError

    allowed = "start:stop:step such as 0:300000:5000, or values such as 50000,100000"
    try:
        parts = [float(part) for part in text.split(":" if ":" in text else ",")]
    except ValueError:
        raise InputError("cannot read the willingness to pay", field="--wtp", found=text, allowed=allowed) from None
    if any(not math.isfinite(part) or part < 0.0 for part in parts):
        raise InputError("willingness to pay must be finite and at least 0", field="--wtp", found=text, allowed=allowed)
    if ":" in text:
        if len(parts) != 3 or parts[2] == 0.0 or parts[1] < parts[0]:
            raise InputError("cannot read the willingness to pay", field="--wtp", found=text, allowed=allowed)
        start, stop, step = parts
        count = math.floor((stop - start) / step + 1e-9) + 1
        if count <= _MOST_THRESHOLDS:
            return [start + step * k for k in range(count)]
        parts = [0.0] * (_MOST_THRESHOLDS + 1)
    if len(parts) > _MOST_THRESHOLDS:
        raise InputError(
            "the grid is too fine", field="--wtp", found=text, allowed=f"at most {_MOST_THRESHOLDS} values"
        )
    return sorted(set(parts))


def _frontier_records(rows: Sequence[FrontierRow]) -> list[dict[str, Any]]:
    return [
        {
            "strategy": row.strategy,
            "cost": row.cost,
            "effect": row.effect,
            "status": row.status.value,
            "incremental_cost": row.incremental_cost,
            "incremental_effect": row.incremental_effect,
            "icer": row.icer,
            "compared_with": row.compared_with,
            "dominated_by": list(row.dominated_by),
        }
        for row in rows
    ]


def _print_frontier(rows: Sequence[FrontierRow]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        title="Fully incremental analysis",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("Strategy", overflow="fold")
    for name in ("Cost", "Effect", "+ cost", "+ effect", "ICER"):
        table.add_column(name, justify="right")
    for name in ("Status", "Against"):
        table.add_column(name, overflow="fold")
    for row in rows:
        against = " and ".join(row.dominated_by) or row.compared_with or ""
        table.add_row(
            row.strategy,
            _money(row.cost),
            _effect(row.effect),
            _money(row.incremental_cost),
            _effect(row.incremental_effect),
            _money(row.icer),
            row.status.value.replace("_", " "),
            against,
        )
    stdout_console().print(table)


@app.command()
def frontier(
    file: Annotated[Path, typer.Argument(help="CSV with the columns strategy, cost, effect.")],
    as_json: Json = False,
) -> None:
    """Fully incremental analysis with strong and extended dominance."""
    from cartsight.economics import cost_effectiveness_frontier, read_strategy_results

    results = read_strategy_results(file)
    rows = cost_effectiveness_frontier(results.strategies, results.costs, results.effects)
    if as_json:
        print_json({"strategies": _frontier_records(rows)})
    else:
        _print_frontier(rows)


def _per_strategy(strategies: Sequence[str], values: Float) -> dict[str, list[float]]:
    """Return columns of an array of shape (w, arms) by the name of the arm."""
    return {name: [float(v) for v in values[:, column]] for column, name in enumerate(strategies)}


def _shown(grid: Sequence[float]) -> list[int]:
    """Return positions of a few thresholds for a table, the first and the last among them."""
    count = min(len(grid), _SHOWN_THRESHOLDS)
    if count == 1:
        return [0]
    return [round(k * (len(grid) - 1) / (count - 1)) for k in range(count)]


def _threshold_table(title: str, grid: Sequence[float], rows: Sequence[tuple[str, Sequence[str]]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("Willingness to pay", overflow="fold", min_width=11)
    for position in _shown(grid):
        table.add_column(_money(grid[position]), justify="right")
    for name, cells in rows:
        table.add_row(name, *[cells[position] for position in _shown(grid)])
    stdout_console().print(table)


def _parse_groups(texts: Sequence[str]) -> dict[str, list[str]]:
    return {text.replace(" ", ""): [part.strip() for part in text.split("+") if part.strip()] for text in texts}


@app.command()
def uncertainty(
    file: Annotated[Path, typer.Argument(help="CSV with the columns draw, strategy, cost, effect.")],
    wtp: Annotated[str, typer.Option("--wtp", help="Willingness to pay: start:stop:step, or a,b,c.")] = "0:300000:5000",
    parameters: Annotated[
        Path | None,
        typer.Option("--parameters", help="CSV with the column draw and one column per parameter."),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", help="EVPPI of parameters learned together: a+b. Repeatable."),
    ] = None,
    incidence: Annotated[
        float | None,
        typer.Option(
            "--population-per-year",
            "--incidence",
            help="New patients a year: adds EVPI and EVPPI of the population; needs --years.",
        ),
    ] = None,
    horizon: Annotated[
        float | None,
        typer.Option("--years", "--horizon", help="Years for which the decision stays relevant: your assumption."),
    ] = None,
    discount_rate: Annotated[
        float, typer.Option("--discount-rate", help="Per year, for the value of the population.")
    ] = 0.03,
    as_json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Means, frontier, CEAC, CEAF, expected loss, EVPI, and EVPPI per parameter."""
    import math

    import numpy as np

    from cartsight.comparison import (
        affected_population,
        cost_effectiveness_acceptability_curve,
        cost_effectiveness_acceptability_frontier,
        expected_loss_curves,
        expected_value_of_perfect_information,
        partial_information_by_parameter,
    )
    from cartsight.core.errors import InputError
    from cartsight.economics import (
        cost_effectiveness_frontier,
        net_monetary_benefit,
        read_draw_parameters,
        read_draw_results,
        summarise_draws,
    )

    grid = parse_willingness_to_pay(wtp)
    if group and parameters is None:
        raise InputError("a group needs a file of parameters", field="--group", hint="Add --parameters FILE.csv")
    if (incidence is None) != (horizon is None):
        raise InputError(
            "patients a year and the lifetime of the decision belong together",
            field="--years" if horizon is None else "--population-per-year",
            hint="Give both --population-per-year and --years: the lifetime is an assumption that is yours to state.",
        )
    patients = None
    if incidence is not None and horizon is not None:
        if horizon == 0.0:
            raise InputError("must be above zero", field="--years", found=horizon)
        if not 0.0 <= discount_rate < math.inf:
            raise InputError("a discount rate must not be negative", field="--discount-rate", found=discount_rate)
        try:
            patients = affected_population(
                incidence_per_year=incidence, horizon_years=horizon, discount_rate=discount_rate
            )
        except InputError as error:
            option = {"incidence_per_year": "--population-per-year", "horizon_years": "--years"}
            field = option.get(error.field or "", error.field)
            raise InputError(error.problem, field=field, found=error.found) from None
    results = read_draw_results(file)
    names, costs, effects = results.strategies, results.costs, results.effects
    values = read_draw_parameters(parameters, results.draws) if parameters is not None else {}
    information: dict[str, PartialInformation] = {}
    if values:
        try:
            information = partial_information_by_parameter(
                costs,
                effects,
                values,
                grid,
                groups=_parse_groups(group or []),
                seed=1 if seed is None else seed,
            )
        except InputError as error:
            raise error.located(file=parameters) from None
    rows = cost_effectiveness_frontier(names, costs.mean(axis=0), effects.mean(axis=0))
    curve = cost_effectiveness_acceptability_curve(costs, effects, grid)
    best = cost_effectiveness_acceptability_frontier(costs, effects, grid)
    loss = expected_loss_curves(costs, effects, grid)
    perfect = expected_value_of_perfect_information(costs, effects, grid)
    summaries = [(summarise_draws(costs[:, a]), summarise_draws(effects[:, a])) for a in range(len(names))]
    if as_json:
        benefit = [
            [summarise_draws(net_monetary_benefit(costs[:, a], effects[:, a], threshold)) for a in range(len(names))]
            for threshold in grid
        ]
        evpi: dict[str, Any] = {"wtp": grid, "value": perfect.value, "standard_error": perfect.standard_error}
        if patients is not None:
            evpi |= {
                "population_patients": patients,
                "population_value": perfect.value * patients,
                "population_assumption": {
                    "patients_per_year": incidence,
                    "years": horizon,
                    "discount_rate": discount_rate,
                },
            }
        print_json(
            {
                "draws": len(results.draws),
                "strategies": names,
                "wtp": grid,
                "means": [
                    {
                        "strategy": name,
                        "cost": cost.mean,
                        "cost_standard_error": cost.standard_error,
                        "cost_interval": [cost.low, cost.high],
                        "effect": effect.mean,
                        "effect_standard_error": effect.standard_error,
                        "effect_interval": [effect.low, effect.high],
                    }
                    for name, (cost, effect) in zip(names, summaries, strict=True)
                ],
                "frontier": _frontier_records(rows),
                "net_benefit": {
                    "wtp": grid,
                    **{
                        field: _per_strategy(names, np.array([[getattr(b, field) for b in row] for row in benefit]))
                        for field in ("mean", "standard_error", "low", "high")
                    },
                },
                "ceac": {
                    "wtp": grid,
                    "probability": _per_strategy(names, curve.probability),
                    "standard_error": _per_strategy(names, curve.standard_error),
                    "tied_draws": curve.tied_draws,
                },
                "ceaf": {
                    "wtp": grid,
                    "strategy": [names[a] for a in best.best],
                    "probability": best.probability,
                    "switches_at": best.switches_at,
                },
                "evpi": evpi,
                "expected_loss": {
                    "wtp": grid,
                    "loss": _per_strategy(names, loss.loss),
                    "standard_error": _per_strategy(names, loss.standard_error),
                },
                "evppi": {
                    name: {
                        "wtp": grid,
                        "value": item.value,
                        "standard_error": item.standard_error,
                        "regression_bias": item.regression_bias,
                        **({} if patients is None else {"population_value": item.value * patients}),
                        "parameters": item.parameters,
                        "method": item.method,
                    }
                    for name, item in information.items()
                },
            }
        )
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        title=f"Means of {len(results.draws):,} draws, Monte Carlo error, central 95 % of the draws",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("Strategy", overflow="fold")
    for heading in ("Cost", "±", "2.5 %", "97.5 %", "Effect", "±", "2.5 %", "97.5 %"):
        table.add_column(heading, justify="right")
    for name, (cost, effect) in zip(names, summaries, strict=True):
        table.add_row(
            name,
            _money(cost.mean),
            _money(cost.standard_error),
            _money(cost.low),
            _money(cost.high),
            f"{effect.mean:.3f}",
            f"{effect.standard_error:.3f}",
            f"{effect.low:.3f}",
            f"{effect.high:.3f}",
        )
    stdout_console().print(table)
    _print_frontier(rows)
    _threshold_table(
        "Probability of being the best strategy (CEAC; ties split evenly)",
        grid,
        [(name, [f"{p:.3f}" for p in curve.probability[:, a]]) for a, name in enumerate(names)]
        + [("best on average (CEAF)", [names[a] for a in best.best])],
    )
    _threshold_table(
        "Expected loss per patient if chosen",
        grid,
        [(name, [_money(v) for v in loss.loss[:, a]]) for a, name in enumerate(names)]
        + [("EVPI per patient", [_money(v) for v in perfect.value])]
        + [("± MC error", [_money(v) for v in perfect.standard_error])]
        + ([("EVPI, millions", [f"{v * patients / 1e6:,.1f}" for v in perfect.value])] if patients is not None else []),
    )
    if information:
        ordered = sorted(information.items(), key=lambda item: -float(item[1].value.max()))
        _threshold_table(
            "EVPPI per patient (± standard error)",
            grid,
            [
                (name, [f"{v:,.0f} ± {e:,.0f}" for v, e in zip(item.value, item.standard_error, strict=True)])
                for name, item in ordered
            ]
            + (
                [
                    (f"{name}, population, millions", [f"{v * patients / 1e6:,.1f}" for v in item.value])
                    for name, item in ordered[:3]
                ]
                if patients is not None
                else []
            ),
        )
    if patients is not None:
        stdout_console().print(
            f"Population: {incidence:,.0f} patients a year over {horizon:g} years (assumed), {patients:,.0f} after discounting.",
            soft_wrap=True,
        )
    if not values:
        stderr_console(quiet).print("No EVPPI: give the parameter draws with --parameters FILE.csv")


def _consistency_record(row: ConsistencyRow) -> dict[str, Any]:
    return {
        "study": row.study,
        "strategy": row.strategy,
        "comparator": row.comparator,
        "line": row.line,
        "cost": row.cost,
        "qaly": row.qaly,
        "incremental_cost": row.incremental_cost,
        "incremental_qaly": row.incremental_qaly,
        "icer_printed": row.icer_printed,
        "icer_recomputed": row.icer_recomputed,
        "rounding_interval": row.rounding_interval,
        "status": row.status.value,
        "flagged": row.flagged,
        "reasons": row.reasons,
        "agrees_with": row.agrees_with,
        "implied_incremental_qaly": row.implied_incremental_qaly,
        "frontier_status": row.frontier_status.value if row.frontier_status else None,
        "warnings": row.warnings,
    }


@app.command()
def consistency(
    file: Annotated[Path, typer.Argument(help="CSV with study, strategy, cost, qaly and icer as printed.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check published rows: recomputed ICER, the interval that rounding allows, and what does not fit."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from cartsight.core.errors import InputError
    from cartsight.economics import check_published_rows, read_published_rows

    try:
        rows = check_published_rows(read_published_rows(file))
    except InputError as error:
        raise error.located(file=file) from None
    flagged = [row for row in rows if row.flagged]
    if as_json:
        print_json(
            {
                "rows": [_consistency_record(row) for row in rows],
                "flagged": [
                    {"study": row.study, "strategy": row.strategy, "line": row.line, "reasons": row.reasons}
                    for row in flagged
                ],
                "checked": sum(row.icer_printed is not None or row.flagged for row in rows),
            }
        )
        return
    console = stdout_console()
    table = Table(
        title="Printed ratios against their own costs and QALYs",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in ("Study", "Comparison"):
        table.add_column(name, overflow="fold")
    for name in ("ICER printed", "Recomputed", "Rounding allows"):
        table.add_column(name, justify="right")
    table.add_column("Verdict", overflow="fold")
    for row in rows:
        interval = row.rounding_interval
        table.add_row(
            row.study,
            f"{row.strategy} vs {row.comparator}" if row.comparator else row.strategy,
            _money(row.icer_printed),
            _money(row.icer_recomputed),
            f"{interval[0]:,.0f} to {interval[1]:,.0f}" if interval else "",
            "FLAGGED" if row.flagged else row.status.value.replace("_", " "),
        )
    console.print(table)
    for row in rows:
        for reason in row.reasons:
            console.print(f"line {row.line}, {row.study} {row.strategy}: {reason}", markup=False, soft_wrap=True)
        for warning in row.warnings:
            console.print(f"line {row.line}, {row.study} {row.strategy}: note: {warning}", markup=False, soft_wrap=True)
    stderr_console(quiet).print(f"{len(flagged)} of {len(rows)} rows flagged")
