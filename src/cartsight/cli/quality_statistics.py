"""`cartsight quality` comparability, tolerance, capability, variance, gauge, chart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cartsight.cli.output import Json, Quiet, Seed, plain
from cartsight.cli.quality_audit import print_audited, seed_of
from cartsight.cli.quality_potency import number
from cartsight.cli.quality_print import interval_text, print_rows, print_table, remarks

File = Annotated[Path, typer.Argument(help="CSV file.", show_default=False)]
Value = Annotated[str, typer.Option("--value", help="Column of the values.")]
Confidence = Annotated[float, typer.Option(help="Level of the intervals.")]

DEFAULT_SEED = 1


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command("comparability")(comparability)
    app.command("tolerance")(tolerance)
    app.command("capability")(capability)
    app.command("variance")(variance)
    app.command("gauge")(gauge)
    app.command("chart")(chart)


def _probability(value: float, option: str) -> None:
    from cartsight.core.errors import InputError

    if not 0.0 < value < 1.0:
        raise InputError("must lie between 0 and 1", field=option, found=value)


def comparability(
    file: File,
    margin: Annotated[
        float | None,
        typer.Option(help="Largest acceptable mean difference (a ratio above 1 on the log scale)."),
    ] = None,
    lower_margin: Annotated[float | None, typer.Option(help="Lower margin, if not symmetric.")] = None,
    upper_margin: Annotated[float | None, typer.Option(help="Upper margin, if not symmetric.")] = None,
    reference: Annotated[str | None, typer.Option(help="Reference group [default: the first met].")] = None,
    group: Annotated[str, typer.Option(help="Column of the group (process, site).")] = "group",
    value: Value = "value",
    pair: Annotated[str | None, typer.Option(help="Column that pairs values (split donor).")] = None,
    scale: Annotated[str, typer.Option(help="linear or log.")] = "linear",
    alpha: Annotated[float, typer.Option(help="Level of each one-sided test.")] = 0.05,
    assumed_difference: Annotated[
        float, typer.Option(help="True difference of the power statement (a ratio on the log scale).")
    ] = 0.0,
    target_power: Annotated[float, typer.Option(help="Power for lots_needed.")] = 0.8,
    k: Annotated[float, typer.Option(help="Width of the quality range in sd.")] = 3.0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Two one-sided tests of each group against the reference, with power, lots needed and quality range."""
    from cartsight.core.errors import InputError
    from cartsight.evidence.quality.comparability import compare_file

    if margin is not None:
        if (scale == "log" and margin <= 1) or margin <= 0:
            raise InputError("must be above zero (above 1 on the log scale)", field="--margin", found=margin)
        lower_margin = lower_margin if lower_margin is not None else (1 / margin if scale == "log" else -margin)
        upper_margin = upper_margin if upper_margin is not None else margin
    if lower_margin is None or upper_margin is None:
        raise InputError(
            "no margin was given",
            field="--margin",
            hint="State --margin (or --lower-margin and --upper-margin) before you look at the data.",
        )
    results = compare_file(
        file,
        lower_margin,
        upper_margin,
        reference=reference,
        group=group,
        value=value,
        pair=pair,
        scale=scale,
        alpha=alpha,
        assumed_difference=assumed_difference,
        target_power=target_power,
        k=k,
    )
    if as_json:
        print_audited({**plain(results[0]), "comparisons": [plain(result) for result in results]}, [file])
    else:
        for result in results:
            needed = "none reaches it" if result.lots_needed is None else str(result.lots_needed)
            unit = "pairs" if result.design == "paired" else "lots per group"
            rows = [
                ("mean difference", number(result.mean_difference, 5)),
                (f"{100 * (1 - 2 * alpha):.0f} % interval", interval_text(result.lower, result.upper)),
                ("margins", interval_text(result.lower_margin, result.upper_margin)),
                ("p (two one-sided tests)", number(result.p, 4)),
                ("verdict", "equivalent" if result.equivalent else "equivalence not shown"),
                ("power of this design", f"{result.power:.3f}"),
                (f"{unit} for power {target_power:g}", needed),
                ("quality range", interval_text(result.quality_range.lower, result.quality_range.upper)),
                ("test lots inside it", f"{result.quality_range.inside} of {result.quality_range.of}"),
            ]
            title = f"{result.test} - {result.reference} ({result.design}, {result.scale} scale)"
            print_rows(title, rows)
    for result in results:
        remarks([f"{result.test}: {word}" for word in result.warnings], quiet)


def tolerance(
    file: File,
    coverage: Annotated[float, typer.Option(help="Share of lots to cover.")] = 0.95,
    confidence: Annotated[float, typer.Option(help="Confidence.")] = 0.95,
    sides: Annotated[str, typer.Option(help="two, lower or upper.")] = "two",
    scale: Annotated[str, typer.Option(help="linear or log.")] = "linear",
    value: Value = "value",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tolerance interval with exact factors, and its distribution-free counterpart."""
    from cartsight.core.errors import InputError
    from cartsight.evidence.quality.groups import read_values
    from cartsight.evidence.quality.tolerance import tolerance_interval

    values = read_values(file, value)
    try:
        result = tolerance_interval(values, coverage=coverage, confidence=confidence, sides=sides, scale=scale)
    except InputError as error:
        raise error.located(file=file) from None
    if as_json:
        print_audited(result, [file])
    else:
        free = interval_text(result.non_parametric_lower, result.non_parametric_upper)
        print_rows(
            f"Tolerance interval: {100 * coverage:g} % of lots with {100 * confidence:g} % confidence",
            [
                ("n", str(result.n)),
                ("mean, sd", f"{number(result.mean)}, {number(result.sd)}"),
                ("k (exact)", f"{result.k:.4f}"),
                ("limits", interval_text(result.lower, result.upper)),
                ("extremes", f"{free}, confidence {result.non_parametric_confidence:.3f}"),
                ("n for a distribution-free interval", str(result.non_parametric_n)),
            ],
        )
    remarks(result.warnings, quiet)


def capability(
    file: File,
    lsl: Annotated[float | None, typer.Option(help="Lower specification limit.")] = None,
    usl: Annotated[float | None, typer.Option(help="Upper specification limit.")] = None,
    target: Annotated[float | None, typer.Option(help="Target.")] = None,
    value: Value = "value",
    subgroup: Annotated[str | None, typer.Option(help="Column of rational subgroups.")] = None,
    confidence: Confidence = 0.95,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Capability indices with intervals, and the share out of specification."""
    from cartsight.core.errors import InputError
    from cartsight.evidence.quality.capability import capability as analyse
    from cartsight.evidence.quality.csv_table import read_csv_table
    from cartsight.evidence.quality.groups import read_values

    values = read_values(file, value)
    labels = read_csv_table(file, [subgroup]).text(subgroup) if subgroup else None
    try:
        result = analyse(values, lsl=lsl, usl=usl, target=target, subgroups=labels, confidence=confidence)
    except InputError as error:
        raise error.located(file=file) from None
    if as_json:
        print_audited(result, [file])
    else:
        rows = [
            [
                name.capitalize(),
                number(getattr(result, name), 4),
                interval_text(getattr(result, f"{name}_lower"), getattr(result, f"{name}_upper")),
            ]
            for name in ("cp", "cpk", "cpm")
        ]
        rows += [[name.capitalize(), number(getattr(result, name), 4), "-"] for name in ("pp", "ppk")]
        share = number(result.out_of_specification, 3)
        print_table(
            f"Capability, n = {result.n}, sd {number(result.sd)} ({result.sd_source}), out of specification {share}",
            ["index", "estimate", f"{100 * confidence:g} % interval"],
            rows,
        )
    remarks(result.warnings, quiet)


def variance(
    file: File,
    factors: Annotated[
        str | None, typer.Option(help="Columns, widest first: site,donor,run or plate,sample,plate:sample.")
    ] = None,
    structure: Annotated[str, typer.Option(help="auto, nested or crossed.")] = "auto",
    value: Value = "value",
    confidence: Confidence = 0.95,
    draws: Annotated[int, typer.Option(help="Posterior draws; 0 for none.")] = 4000,
    seed: Seed = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Variance components: mean squares, restricted likelihood and posterior side by side."""
    from cartsight.evidence.quality.random_effects import read_study
    from cartsight.evidence.quality.variance_components import estimate_variance_components

    _probability(confidence, "--confidence")
    chosen = [name.strip().lower() for name in factors.split(",")] if factors else []
    study = read_study(file, value=value, factors=chosen, structure=structure)
    result = estimate_variance_components(study, confidence=confidence, seed=seed_of(seed, DEFAULT_SEED), draws=draws)
    if as_json:
        print_audited(result, [file], seed_of(seed, DEFAULT_SEED))
    else:
        rows = []
        for item in result.components.values():
            shown = f"at boundary (<= {number(item.upper, 4)})" if item.at_boundary else number(item.estimate)
            posterior = "-" if item.posterior is None else interval_text(item.posterior.lower, item.posterior.upper)
            rows.append(
                [
                    item.factor,
                    shown,
                    interval_text(item.lower, item.upper),
                    f"{100 * item.share:.1f} %",
                    posterior,
                ]
            )
        print_table(
            f"Variance components ({result.structure}, n = {result.n}, mean {number(result.mean)})",
            ["factor", "variance", "interval", "share", "posterior"],
            rows,
        )
        rows = [
            [
                line.source,
                str(line.df),
                number(line.ss),
                number(line.ms),
                " + ".join(f"{weight:.4g} {name}" for name, weight in line.expectation.items()),
            ]
            for line in result.anova
        ]
        print_table("Mean squares", ["source", "df", "sum of squares", "mean square", "expectation"], rows)
    remarks(result.warnings, quiet)


def gauge(
    file: File,
    part: Annotated[str, typer.Option(help="Column of the part (sample).")] = "part",
    operator: Annotated[str, typer.Option(help="Column of the operator (analyst).")] = "operator",
    value: Value = "value",
    tolerance: Annotated[float | None, typer.Option(help="Width of the specification.")] = None,
    pool_above_p: Annotated[float, typer.Option(help="Pool the interaction when its p is above this.")] = 0.25,
    confidence: Confidence = 0.95,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Gauge repeatability and reproducibility, with intervals."""
    from cartsight.core.errors import InputError
    from cartsight.evidence.quality.gauge import gauge_study, read_gauge_study

    _probability(confidence, "--confidence")
    values, parts, operators = read_gauge_study(file, part=part, operator=operator, value=value)
    try:
        result = gauge_study(
            values, parts, operators, tolerance=tolerance, pool_above_p=pool_above_p, confidence=confidence
        )
    except InputError as error:
        raise error.located(file=file) from None
    if as_json:
        print_audited(result, [file])
    else:
        print_table(
            f"Gauge study: {result.parts} parts, {result.operators} operators, "
            f"{result.distinct_categories} distinct categories",
            ["source", "variance", "interval", "% contribution", "% study"],
            [
                [
                    item.source,
                    number(item.estimate, 5),
                    interval_text(item.lower, item.upper),
                    f"{item.percent_contribution:.2f}",
                    f"{item.percent_study_variation:.2f}",
                ]
                for item in result.components.values()
            ],
        )
    remarks(result.warnings, quiet)


def chart(
    file: File,
    kind: Annotated[
        str,
        typer.Option("--chart", "--kind", help="shewhart (or individuals), means (xbar), ewma, cusum, westgard."),
    ] = "shewhart",
    target: Annotated[float | None, typer.Option(help="Centre [default: mean of the values].")] = None,
    sigma: Annotated[float | None, typer.Option(help="Known sd [default: moving range].")] = None,
    width: Annotated[
        float | None, typer.Option("--width", "--L", help="Width of the limits in sd [default: 3].")
    ] = None,
    weight: Annotated[
        float | None, typer.Option("--lambda", help="EWMA: weight of the newest value [default: 0.2].")
    ] = None,
    exact_limits: Annotated[bool, typer.Option(help="EWMA: limits that widen over the first points.")] = False,
    k: Annotated[
        float | None,
        typer.Option(help="CUSUM: reference value, in sd; in data units with --h and no --sigma."),
    ] = None,
    h: Annotated[float | None, typer.Option(help="CUSUM: decision interval, likewise.")] = None,
    value: Value = "value",
    subgroup: Annotated[str | None, typer.Option(help="means: column of the subgroup.")] = None,
    seed: Seed = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Control chart with its signals and average run lengths."""
    from cartsight.core.errors import InputError, nearest
    from cartsight.evidence.quality import control_charts as charts
    from cartsight.evidence.quality.csv_table import read_csv_table
    from cartsight.evidence.quality.groups import read_values

    kinds = ("shewhart", "individuals", "imr", "means", "xbar", "ewma", "cusum", "westgard")
    if kind not in kinds:
        raise InputError(
            "no such chart", field="--chart", found=kind, allowed=", ".join(kinds), hint=nearest(kind, kinds)
        )
    for option, given, users in (
        ("--width", width is not None, kinds[:6]),
        ("--lambda", weight is not None, ("ewma",)),
        ("--exact-limits", exact_limits, ("ewma",)),
        ("--k", k is not None, ("cusum",)),
        ("--h", h is not None, ("cusum",)),
        ("--subgroup", subgroup is not None, ("means", "xbar", "shewhart")),
    ):
        if given and kind not in users:
            raise InputError(f"a {kind} chart has no use for it", field=option, allowed=f"with {', '.join(users)}")
    width = 3.0 if width is None else width
    values = read_values(file, value)
    try:
        if kind in ("means", "xbar") or (kind == "shewhart" and subgroup):
            if subgroup is None:
                raise InputError("a chart of means needs --subgroup COLUMN")
            labels = read_csv_table(file, [subgroup]).text(subgroup)
            result = charts.means_chart(values, labels, centre=target, sigma=sigma, width=width)
        elif kind in ("shewhart", "individuals", "imr"):
            result = charts.individuals_chart(values, centre=target, sigma=sigma, width=width)
        elif kind == "ewma":
            result = charts.ewma_chart(
                values,
                centre=target,
                sigma=sigma,
                weight=0.2 if weight is None else weight,
                width=width,
                exact_limits=exact_limits,
            )
        elif kind == "cusum":
            result = charts.cusum_chart(
                values,
                centre=target,
                sigma=sigma,
                k=0.5 if k is None else k,
                h=5.0 if h is None else h,
                data_units=sigma is None and k is not None and h is not None,
            )
        else:
            result = charts.westgard_chart(values, centre=target, sigma=sigma, seed=seed_of(seed, DEFAULT_SEED))
    except InputError as error:
        raise error.located(file=file) from None
    if as_json:
        print_audited({**plain(result), "in_control": result.in_control}, [file], seed_of(seed, DEFAULT_SEED))
    else:
        rows: list[tuple[str, str]] = [
            ("centre", f"{number(result.centre)} ({result.centre_source})"),
            ("sigma", f"{number(result.sigma)} ({result.sigma_source})"),
            ("limits", interval_text(result.lower_limit, result.upper_limit)),
        ]
        rows += [(f"run length at {item.shift:g} sd", f"{item.average_run_length:.1f}") for item in result.run_lengths]
        print_rows(f"{result.chart} chart, {result.n} points, {len(result.signals)} signals", rows)
        if result.signals:
            print_table(
                "Signals",
                ["rule", "point", "value", "statistic", "kind"],
                [
                    [
                        item.rule,
                        str(item.index),
                        number(item.value),
                        number(item.statistic, 4),
                        "warning" if item.warning_only else "signal",
                    ]
                    for item in result.signals
                ],
            )
    remarks(result.warnings, quiet)
