"""`cartsight quality potency` and `cartsight quality combine`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cartsight.cli.output import Json, Quiet, plain, stderr_console, stdout_console
from cartsight.cli.quality_audit import print_audited

if TYPE_CHECKING:
    from cartsight.evidence.quality.potency.combination import Combination
    from cartsight.evidence.quality.potency.results import PotencyResult

File = Annotated[Path, typer.Argument(help="CSV file.", show_default=False)]


def number(value: float | None, digits: int = 6) -> str:
    """Return a number for a table; a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    return f"{value:.{digits}g}"


def pairs(values: list[str] | None, option: str) -> dict[str, float]:
    """Read ``NAME=NUMBER`` options."""
    from cartsight.core.errors import InputError

    found = {}
    for value in values or []:
        name, mark, text = value.rpartition("=")
        try:
            if not mark:
                raise ValueError
            found[name.strip()] = float(text)
        except ValueError:
            raise InputError("needs NAME=NUMBER", field=option, found=value) from None
    return found


def read_assumed(values: list[str] | None) -> float | dict[str, float]:
    """Read ``--assumed-potency``: one number for all preparations, or NAME=NUMBER several times."""
    from cartsight.core.errors import InputError

    if not values:
        return 1.0
    if len(values) == 1 and "=" not in values[0]:
        try:
            return float(values[0])
        except ValueError:
            raise InputError("needs a number or NAME=NUMBER", field="--assumed-potency", found=values[0]) from None
    return pairs(values, "--assumed-potency")


def read_limits(values: list[str] | None) -> dict[str, tuple[float, float]]:
    """Read ``--limit NAME=LOW:HIGH`` options; either side may be left out."""
    from cartsight.core.errors import InputError

    found = {}
    for value in values or []:
        name, _, text = value.partition("=")
        low, mark, high = text.partition(":")
        try:
            if not mark:
                raise ValueError
            found[name.strip()] = (float(low) if low else -math.inf, float(high) if high else math.inf)
        except ValueError:
            raise InputError("needs NAME=LOW:HIGH", field="--limit", found=value) from None
        if not found[name.strip()][0] <= found[name.strip()][1]:
            raise InputError("LOW must not be above HIGH", field="--limit", found=value)
    return found


def register(app: typer.Typer) -> None:
    """Add the two commands to the group."""
    app.command("potency")(potency)
    app.command("combine")(combine)


def potency(
    file: File,
    model: Annotated[
        str,
        typer.Option(
            help="parallel-line, slope-ratio, four-parameter, five-parameter, weibull, probit, logit, gompertz."
        ),
    ] = "parallel-line",
    design: Annotated[str, typer.Option(help="crd, rbd (column block) or latin (columns row, column).")] = "crd",
    transform: Annotated[str, typer.Option(help="none, log, log10, sqrt or square.")] = "none",
    assumed_potency: Annotated[
        list[str] | None, typer.Option(help="Assumed potency of the tests: a number, or NAME=NUMBER.")
    ] = None,
    standard: Annotated[str | None, typer.Option(help="Standard preparation [default: the first met].")] = None,
    confidence: Annotated[float, typer.Option(help="Level of the potency limits.")] = 0.95,
    similarity_rule: Annotated[
        str, typer.Option(help="What decides `valid`: f-test (Ph. Eur.), equivalence (USP) or both.")
    ] = "f-test",
    ratio_limits: Annotated[tuple[float, float], typer.Option(help="Equivalence limits for parameter ratios.")] = (
        0.8,
        1.25,
    ),
    asymptote_margin: Annotated[
        float,
        typer.Option(help="Largest difference of lower asymptotes (or intercepts), as a share of the range."),
    ] = 0.2,
    blank: Annotated[str, typer.Option(help="slope-ratio: keep or drop the responses at dose 0.")] = "keep",
    weight_power: Annotated[float, typer.Option(help="Curves: variance proportional to |mean| to this power.")] = 0.0,
    fix: Annotated[list[str] | None, typer.Option(help="Curves: hold a parameter, for example c=0.")] = None,
    effect: Annotated[list[float] | None, typer.Option(help="Effective doses to report, percent.")] = None,
    residual: Annotated[str, typer.Option(help="Curves: error of the limits: curves or treatments.")] = "curves",
    natural_response: Annotated[str, typer.Option(help="Quantal: auto, none or estimate.")] = "auto",
    heterogeneity: Annotated[bool, typer.Option(help="Quantal: inflate variances by chi-squared / df.")] = False,
    limit: Annotated[list[str] | None, typer.Option(help="Suitability limit NAME=LOW:HIGH.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Relative potency of one assay, with its analysis of variance and tests of similarity."""
    from cartsight.evidence.quality.potency import Rules, analyse_potency

    result = analyse_potency(
        file,
        model,
        design=design,
        standard=standard,
        transform=transform,
        assumed_potency=read_assumed(assumed_potency),
        rules=Rules(
            confidence=confidence,
            similarity=similarity_rule,
            ratio_limits=ratio_limits,
            asymptote_margin=asymptote_margin,
        ),
        limits=read_limits(limit),
        blank=blank,
        fixed=pairs(fix, "--fix"),
        weight_power=weight_power,
        effects=tuple(effect) if effect else (10.0, 50.0, 90.0),
        residual=residual,
        natural_response=natural_response,
        heterogeneity=heterogeneity,
    )
    if as_json:
        print_audited(potency_as_json(result), [file])
    else:
        _print_potency(result)
    for warning in result.warnings:
        stderr_console(quiet).print(f"note: {warning}", markup=False)


def potency_as_json(result: PotencyResult) -> dict[str, Any]:
    """Return the result with its details beside the common keys."""
    value: dict[str, Any] = plain(result)
    details = value.pop("details")
    value["slopes"] = [
        {"preparation": name, "slope": slope, "standard_error": error} for name, slope, error in value["slopes"]
    ]
    merged: dict[str, Any] = value | details
    return merged


def _print_potency(result: PotencyResult) -> None:
    from rich.table import Table

    console = stdout_console()
    console.print(
        f"{result.model}, design {result.design}, transform {result.transform}, standard {result.standard}, "
        f"n = {result.n}",
        markup=False,
    )
    if result.potencies:
        table = Table(title="Potency")
        for name in ("preparation", "ratio", "potency", "lower", "upper", "g"):
            table.add_column(name, justify="left" if name == "preparation" else "right")
        for item in result.potencies:
            table.add_row(
                item.preparation,
                number(item.ratio),
                number(item.potency),
                number(item.lower),
                number(item.upper),
                number(item.g, 3),
            )
        console.print(table)
    _print_parameters(result)
    table = Table(title="Analysis of variance")
    for name in ("source", "df", "sum of squares", "F", "p"):
        table.add_column(name, justify="left" if name == "source" else "right")
    for line in result.anova:
        table.add_row(
            line.source,
            str(line.df),
            number(line.ss),
            number(line.f, 4),
            "-" if math.isnan(line.p) else f"{line.p:.3f}",
        )
    console.print(table)
    console.print(
        f"common slope {number(result.common_slope)}, residual mean square "
        f"{number(result.residual_mean_square)} "
        f"({number(result.residual_df)} df)",
        markup=False,
    )
    if result.similarity is not None:
        _print_similarity(result)
    for outlier in result.outliers:
        console.print(
            f"outlier signal: line {outlier.line}, {outlier.preparation} dose {outlier.dose:g}, response "
            f"{outlier.response:g} ({outlier.rule}, {outlier.statistic:.2f} against "
            f"{outlier.critical:.2f}); kept",
            markup=False,
        )
    failed = [item for item in result.suitability if item.passed is False]
    for failure in failed:
        console.print(f"suitability fails: {failure.scope} {failure.name} = {number(failure.value)}", markup=False)
    console.print("valid" if result.valid else "NOT VALID: see the notes", markup=False)


def _print_parameters(result: PotencyResult) -> None:
    from rich.table import Table

    entries = result.details.get("parameters")
    if not isinstance(entries, list):
        return
    names = [key for key in entries[0] if key not in ("preparation", "standard_errors", "ed")]
    table = Table(title="Parameters (standard error)")
    table.add_column("preparation")
    for name in names:
        table.add_column(name, justify="right")
    for entry in entries:
        table.add_row(
            str(entry["preparation"]),
            *[f"{number(entry[name])} ({number(entry['standard_errors'][name], 4)})" for name in names],
        )
    stdout_console().print(table)
    table = Table(title="Effective doses")
    for name in ("preparation", "effect", "dose", "lower", "upper"):
        table.add_column(name, justify="left" if name == "preparation" else "right")
    for entry in entries:
        for effect, ed in entry["ed"].items():
            lower, upper = ed.get("fieller_lower", ed["lower"]), ed.get("fieller_upper", ed["upper"])
            table.add_row(
                str(entry["preparation"]), f"{effect} %", number(ed["estimate"]), number(lower), number(upper)
            )
    stdout_console().print(table)


def _print_similarity(result: PotencyResult) -> None:
    from rich.table import Table

    similarity = result.similarity
    assert similarity is not None
    table = Table(title=f"Similarity (decided by {similarity.rule})")
    for name in ("kind", "preparation", "estimate", "interval", "limits", "verdict"):
        table.add_column(name)
    test = similarity.f_test
    table.add_row(
        f"{test.statistic} test",
        "all",
        number(test.value, 4),
        f"p = {test.p:.3f}",
        "-",
        "no difference found" if test.similar else "different",
    )
    for item in similarity.equivalence:
        table.add_row(
            item.quantity,
            item.preparation,
            number(item.estimate, 4),
            f"{number(item.lower, 4)} to {number(item.upper, 4)}",
            f"{item.lower_limit:g} to {item.upper_limit:g}",
            "equivalent" if item.similar else "not shown",
        )
    stdout_console().print(table)


def combine(
    file: File,
    edition: Annotated[str, typer.Option(help="ph-eur-9, ph-eur-10, usp-111 or usp-1034.")] = "ph-eur-10",
    scale: Annotated[str, typer.Option(help="log, or linear for slope-ratio assays.")] = "log",
    confidence: Annotated[float, typer.Option(help="Level of the limits, given and reported.")] = 0.95,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Combine independent assays (columns estimate, lower, upper, df)."""
    from cartsight.core.errors import InputError
    from cartsight.evidence.quality.potency import combine as combine_assays
    from cartsight.evidence.quality.potency import read_assay_estimates

    if not 0 < confidence < 1:
        raise InputError("must lie between 0 and 1", field="--confidence", found=confidence)
    result = combine_assays(read_assay_estimates(file), edition=edition, scale=scale, confidence=confidence)
    if as_json:
        print_audited(result, [file])
    else:
        _print_combination(result)
    for warning in result.warnings:
        stderr_console(quiet).print(f"note: {warning}", markup=False)


def _print_combination(result: Combination) -> None:
    from rich.table import Table

    table = Table(title=f"Combined potency of {result.n} assays")
    for name in ("mean", "estimate", "lower", "upper", "df"):
        table.add_column(name, justify="left" if name == "mean" else "right")
    for name in ("weighted", "unweighted", "semi_weighted"):
        item = getattr(result, name)
        mark = " (recommended)" if name == result.recommended else ""
        table.add_row(
            name.replace("_", "-") + mark,
            number(item.estimate),
            number(item.lower),
            number(item.upper),
            number(item.df),
        )
    console = stdout_console()
    console.print(table)
    console.print(
        f"homogeneity: chi-squared {result.chi_squared:.3f} on {result.df} df, p = "
        f"{result.p_homogeneity:.3f}; "
        f"{result.edition_name}",
        markup=False,
    )
