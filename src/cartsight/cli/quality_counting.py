"""`cartsight quality` cell-count, oos, sterility."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cartsight.cli.output import Json, Quiet, Seed
from cartsight.cli.quality_audit import print_audited, seed_of
from cartsight.cli.quality_potency import number
from cartsight.cli.quality_print import interval_text, print_rows, print_table, remarks
from cartsight.cli.quality_statistics import DEFAULT_SEED, File


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command("cell-count")(cell_count)
    app.command("oos")(oos)
    app.command("sterility")(sterility)


def cell_count(
    file: File,
    fraction: Annotated[str, typer.Option(help="Column of the dilution fraction.")] = "dilution_fraction",
    count: Annotated[str, typer.Option(help="Column of the count.")] = "count",
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples.", min=100, max=100_000)] = 1000,
    seed: Seed = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Quality of a cell count from a dilution series: precision and proportionality."""
    from cartsight.core.errors import InputError
    from cartsight.evidence.quality.cell_counting import cell_count_quality, read_dilution_series

    fractions, counts = read_dilution_series(file, fraction=fraction, count=count)
    try:
        result = cell_count_quality(fractions, counts, seed=seed_of(seed, DEFAULT_SEED), resamples=resamples)
    except InputError as error:
        raise error.located(file=file) from None
    if as_json:
        print_audited(result, [file], seed_of(seed, DEFAULT_SEED))
    else:
        rows = []
        for name, label in (
            ("slope", "cells per unit fraction"),
            ("pooled_cv", "pooled CV"),
            ("proportionality_index", "proportionality index"),
        ):
            low, high = getattr(result, f"{name}_lower"), getattr(result, f"{name}_upper")
            rows.append((label, f"{number(getattr(result, name), 5)} ({interval_text(low, high)})"))
        rows.append(("R squared of the proportional fit", number(result.r_squared, 5)))
        print_rows(f"Cell count, {result.n} counts at {len(result.levels)} dilutions", rows)
    remarks(result.warnings, quiet)


def oos(
    lower: Annotated[float, typer.Option(help="Lower limit, relative to the true value.")],
    upper: Annotated[float, typer.Option(help="Upper limit, relative to the true value.")],
    gcv: Annotated[float, typer.Option(help="Geometric CV of one result, 0.2 for 20 %.")],
    bias: Annotated[float, typer.Option(help="Relative bias, 0.12 for 12 %.")] = 0.0,
    replicates: Annotated[int, typer.Option(help="Results averaged.")] = 1,
    as_json: Json = False,
) -> None:
    """Probability that a result is out of specification, from bias and variation."""
    from cartsight.evidence.quality.out_of_specification import (
        out_of_specification_probability,
        replicate_table,
    )

    probability = out_of_specification_probability(lower, upper, relative_bias=bias, gcv=gcv, replicates=replicates)
    table = replicate_table(lower, upper, relative_bias=bias, gcv=gcv)
    result: dict[str, Any] = {"probability_out_of_specification": probability, "by_replicates": table}
    if as_json:
        print_audited(result)
    else:
        rows = [(f"{item.replicates} result(s) averaged", number(item.probability, 5)) for item in table]
        print_rows(f"Probability out of specification: {probability:.6f}", rows)


def sterility(
    organisms_per_ml: Annotated[float, typer.Option(help="Load of a contaminated lot, CFU per mL.")] = 1.0,
    volume_ml: Annotated[float, typer.Option(help="Volume tested, mL.")] = 1.0,
    contaminated_share: Annotated[float, typer.Option(help="Share of contaminated containers.")] = 0.01,
    containers: Annotated[int, typer.Option(help="Containers tested.")] = 20,
    contamination_prior: Annotated[float, typer.Option(help="Probability that a lot is contaminated.")] = 0.001,
    median_days: Annotated[float, typer.Option(help="Median time to detection, days.")] = 1.5,
    log_sd: Annotated[float, typer.Option(help="Sd of ln time to detection.")] = 0.5,
    sensitivity: Annotated[float, typer.Option(help="Share of contaminated samples that ever turn positive.")] = 1.0,
    false_positive: Annotated[float, typer.Option(help="False positive signals per sterile lot.")] = 0.002,
    day: Annotated[list[float] | None, typer.Option(help="Release days [default: 3 5 7 14].")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What a sterility test can see: by containers, by volume, and by the day of release."""
    from cartsight.evidence.quality.sterility import (
        TimeToDetection,
        detection_by_containers,
        detection_by_volume,
        release_risk,
    )

    curve = TimeToDetection(median_days, log_sd, sensitivity)
    risks = [
        release_risk(
            when,
            contamination_prior=contamination_prior,
            organisms_per_ml=organisms_per_ml,
            volume_ml=volume_ml,
            detection=curve,
            false_positive=false_positive,
        )
        for when in (day or [3.0, 5.0, 7.0, 14.0])
    ]
    result = {
        "detection_by_containers": detection_by_containers(contaminated_share, containers),
        "detection_by_volume": detection_by_volume(organisms_per_ml, volume_ml),
        "release": risks,
    }
    if as_json:
        print_audited(result)
    else:
        print_table(
            f"Detection: by containers {result['detection_by_containers']:.4f}, by volume "
            f"{result['detection_by_volume']:.4f}",
            ["day", "detected", "released contaminated", "of the released", "stopped"],
            [
                [
                    number(item.day),
                    number(item.detected_if_contaminated, 4),
                    number(item.released_contaminated, 3),
                    number(item.contaminated_given_released, 3),
                    number(item.stopped, 4),
                ]
                for item in risks
            ],
        )
    remarks(["load, prior, detection times and false positives are assumptions unless you give them"], quiet)
