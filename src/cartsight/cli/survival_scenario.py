"""`cartsight survival fit --toml`: a fitted law as the numbers of a scenario."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cartsight.cli.output import print_json, stderr_console
from cartsight.cli.survival_background import UNITS_PER_YEAR

if TYPE_CHECKING:
    from cartsight.evidence.survival.background import BackgroundRates
    from cartsight.evidence.survival.models import ModelName
    from cartsight.evidence.survival.observations import SurvivalData
    from cartsight.evidence.survival.scenario_law import ScenarioLaw

DEFAULT_PATH = "arms.NAME.efficacy.relapse"
_PART = re.compile(r"[^\W_][\w +%()-]{0,63}")
_BARE = re.compile(r"[A-Za-z0-9_-]+")

Toml = Annotated[bool, typer.Option("--toml", help="Print a scenario's survival law instead, ready to be pasted.")]
Model = Annotated[
    str | None,
    typer.Option("--model", help="With --toml: this model (default: lowest AIC that a scenario can state)."),
]
Only = Annotated[str | None, typer.Option("--only", help="With --toml: the group to print, where there are several.")]
LawPath = Annotated[
    str | None,
    typer.Option("--path", help=f"With --toml: field path of the law (default: {DEFAULT_PATH})."),
]


def check_options(toml: bool, model: str | None, only: str | None, path: str | None, covariates: str | None) -> None:
    """Refuse options that go with --toml only, and covariates, which a scenario's law has not."""
    from cartsight.core.errors import InputError

    for name, value in (("--model", model), ("--only", only), ("--path", path)):
        if value is not None and not toml:
            hint = "Use --models to choose what is fitted" if name == "--model" else None
            raise InputError(f"{name} goes with --toml", field=name, found=value, hint=hint)
    if toml and covariates:
        raise InputError(
            "a scenario's law has no covariates", field="--covariates", found=covariates, hint="Use --group and --only"
        )


def print_scenario_law(
    groups: dict[str, SurvivalData],
    backgrounds: dict[str, BackgroundRates | None],
    models: Sequence[ModelName] | None,
    *,
    file: str,
    time_column: str,
    unit: str | None,
    model: str | None,
    only: str | None,
    path: str | None,
    background: str | None,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Fit one group and print its law as a scenario states it; what was passed over goes to stderr."""
    from cartsight.core.errors import CartsightError, InputError
    from cartsight.evidence.survival.fitting import fit
    from cartsight.evidence.survival.models import parse_model
    from cartsight.evidence.survival.scenario_law import (
        SCENARIO_MODELS,
        best_scenario_law,
        check_statable,
        scenario_law,
    )

    group = _chosen_group(groups, only)
    parts = _path_parts(DEFAULT_PATH if path is None else path)
    stated_unit = _time_unit(unit, time_column)
    data, rates = groups[group], backgrounds[group]
    passed: tuple[str, ...] = ()
    if model is not None:
        named = parse_model(model)
        check_statable(named)
        law = scenario_law(fit(data, named, background=rates), seed=seed)
    else:
        wanted = [parse_model(name) for name in SCENARIO_MODELS] if models is None else list(models)
        statable = [m for m in wanted if str(m) in SCENARIO_MODELS]
        if not statable:
            check_statable(wanted[0])
        fits, failed = [], [f"{m}: a scenario cannot state it" for m in wanted if m not in statable]
        for one in statable:
            try:
                fits.append(fit(data, one, background=rates))
            except CartsightError as problem:
                failed.append(str(problem))
        if not fits:
            raise InputError("no model could be fitted", found="; ".join(failed))
        law, better = best_scenario_law(fits, seed=seed)
        passed = (*failed, *better)
    statement = _statement(law, file, group, background)
    tables = _tables(law, stated_unit, statement)
    reason = f"joint draws of the coefficients of {law.fitted.name} fitted to {file}, group {group}"
    dotted = ".".join(parts)
    correlations = [
        {"first": f"{dotted}.{a}", "second": f"{dotted}.{b}", "rho": round(rho, 4), "reason": reason}
        for a, b, rho in law.correlations
    ]
    console = stderr_console(quiet)
    for line in (*(f"passed over: {p}" for p in passed), *(f"note: {n}" for n in law.fitted.notes)):
        console.print(line, markup=False)
    if background is not None:
        console.print(
            "note: the law is that of the excess hazard; in a field of all causes the background deaths would be missing",
            markup=False,
        )
    if as_json:
        head = {"model": law.fitted.name, "aic": law.fitted.aic, "group": group, "passed_over": list(passed)}
        print_json({**head, "path": dotted, "law": {"law": law.law, **tables}, "correlations": correlations})
        return
    typer.echo("\n".join(_lines(parts, law.law, tables, correlations)))


def _lines(parts: list[str], law: str, tables: dict[str, Any], correlations: list[dict[str, Any]]) -> list[str]:
    from cartsight.evidence.quality.estimated_number import toml_table

    absent = [key for key in ("shape", "cured") if key not in tables]
    lines = []
    if absent:
        words = " and ".join(f"{key} = {{ remove = true }}" for key in absent)
        lines.append(f"# In a file that extends another: {words} below, where the parent states it.")
    header = ".".join(part if _BARE.fullmatch(part) else f'"{part}"' for part in parts)
    lines += [f"[{header}]", f'law = "{law}"']
    lines += [f"{key} = {toml_table(table)}" for key, table in tables.items()]
    if correlations:
        lines += [
            "",
            "# Where [analysis] has a list `correlations`, here or in the parent, put these into that list instead.",
        ]
    for pair in correlations:
        keys = {key: toml_table({key: value})[2:-2] for key, value in pair.items()}
        lines += ["[[analysis.correlations]]", *keys.values()]
    return lines


def _tables(law: ScenarioLaw, unit: str, statement: str) -> dict[str, Any]:
    from cartsight.evidence.quality.estimated_number import EstimatedNumber

    units = {"median": unit, "shape": "ratio", "cured": "probability"}
    return {
        name: EstimatedNumber(n.value, units[name], statement, n.low, n.high, "confidence_95").table()
        for name, n in law.numbers.items()
    }


def _statement(law: ScenarioLaw, file: str, group: str, background: str | None) -> str:
    data = law.fitted.data
    text = (
        f"maximum likelihood, {file}, n = {data.weight.sum():g}, events = {data.weight[data.event].sum():g}, "
        f"model {law.fitted.name}, group {group}; interval by the delta method on the log or logit scale"
    )
    return text if background is None else f"{text}; excess hazard over background mortality ({background})"


def _chosen_group(groups: dict[str, SurvivalData], only: str | None) -> str:
    from cartsight.core.errors import InputError, nearest

    if only is None and len(groups) == 1:
        return next(iter(groups))
    if only not in groups:
        raise InputError(
            "a scenario's law is of one group" if only is None else "no such group",
            field="--only",
            found=only,
            allowed=", ".join(groups),
            hint=None if only is None else nearest(only, list(groups)),
        )
    return only


def _path_parts(path: str) -> list[str]:
    from cartsight.core.errors import InputError

    parts = path.split(".")
    if not all(_PART.fullmatch(part) for part in parts):
        raise InputError("not a field path", field="--path", found=path, allowed=f"for example {DEFAULT_PATH}")
    return parts


def _time_unit(unit: str | None, time_column: str) -> str:
    from cartsight.core.errors import InputError, nearest

    words = [word for word in UNITS_PER_YEAR if word in time_column.lower()]
    stated = unit if unit is not None else (words[0] if len(words) == 1 else None)
    if stated not in UNITS_PER_YEAR:
        raise InputError(
            "a scenario's median needs its unit of time",
            field="--time-unit",
            found=unit if unit is not None else time_column,
            allowed=", ".join(UNITS_PER_YEAR),
            hint=None if unit is None else nearest(unit, list(UNITS_PER_YEAR)),
        )
    return stated
