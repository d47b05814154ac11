"""`cartsight quality monitor`: in-line measurements as early warning, and batch trajectories under control."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cartsight.cli.output import Json, Quiet, Seed, plain, stderr_console, stdout_console
from cartsight.cli.quality_audit import print_audited, seed_of

if TYPE_CHECKING:
    from cartsight.evidence.quality.process_analytics.monitoring import Monitoring


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("monitor")(monitor_batches)


def monitor_batches(
    file: Annotated[
        Path, typer.Argument(help="CSV: batch, day, one column per signal; failed and harvest_day of finished batches.")
    ],
    until: Annotated[float | None, typer.Option(help="Judge by measurements up to this day.")] = None,
    signals: Annotated[str | None, typer.Option(help="Signals to use, separated by commas (default: all).")] = None,
    spectra: Annotated[
        Path | None, typer.Option(help="Spectra (Raman): CSV with batch, day and one column per channel.")
    ] = None,
    calibrate: Annotated[
        str | None, typer.Option(help="Signal that the spectra are calibrated against and then stand for.")
    ] = None,
    derivative: Annotated[int, typer.Option(min=0, max=2, help="Savitzky-Golay derivative of the spectra.")] = 0,
    value_per_day: Annotated[
        float | None, typer.Option(min=0.0, help="Worth of knowing a failure one day sooner.")
    ] = None,
    loss_of_good_batch: Annotated[
        float | None, typer.Option(min=0.0, help="Loss when a good batch is stopped, in the same unit.")
    ] = None,
    decision_days: Annotated[float, typer.Option(min=0.0, help="Days that the decision takes.")] = 0.0,
    alpha: Annotated[float, typer.Option(help="Share of good batches outside each control limit.")] = 0.01,
    components: Annotated[int | None, typer.Option(min=1, help="Principal components of the control model.")] = None,
    penalty: Annotated[float, typer.Option(min=1e-6, help="Ridge of the logistic regression.")] = 1.0,
    folds: Annotated[int, typer.Option(min=2, max=1000, help="Folds of the cross-validation, by batch.")] = 10,
    seed: Seed = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Predict failure and harvest day of every batch, control its trajectory, and value stopping early."""
    from cartsight.core.errors import InputError
    from cartsight.evidence.quality.process_analytics.monitoring import calibrate_spectra, monitor
    from cartsight.evidence.quality.process_analytics.trajectories import read_spectra, read_trajectories

    if (spectra is None) != (calibrate is None):
        raise InputError("--spectra and --calibrate belong together: which signal do the spectra stand for")
    for option, value in (
        ("--until", until),
        ("--value-per-day", value_per_day),
        ("--loss-of-good-batch", loss_of_good_batch),
    ):
        if value is not None and not math.isfinite(value):
            raise InputError("a finite number is expected", field=option, found=value)
    chosen = tuple(name.strip() for name in signals.split(",")) if signals is not None else ()
    table = read_trajectories(file, signals=chosen, until=math.inf if until is None else until)
    calibration = None
    start = seed_of(seed, 1)
    if spectra is not None and calibrate is not None:
        table, calibration = calibrate_spectra(
            table, read_spectra(spectra, table), calibrate.strip().lower(), times=derivative, seed=start
        )
    try:
        found = monitor(
            table,
            value_per_day=value_per_day,
            loss_of_good_batch=loss_of_good_batch,
            decision_days=decision_days,
            alpha=alpha,
            components=components,
            penalty=penalty,
            folds=folds,
            seed=start,
            spectra=calibration,
        )
    except InputError as error:
        raise error.located(file=file) from None
    if as_json:
        print_audited(plain(found), [file] if spectra is None else [file, spectra], start)
    else:
        _print(found)
    console = stderr_console(quiet)
    for word in found.warnings:
        console.print(f"note: {word}", markup=False)


def _print(found: Monitoring) -> None:
    from rich.table import Table

    console = stdout_console()
    console.print(
        f"Day {found.day:g}: {found.finished} finished batches ({found.failed} failed), {found.running} running; signals "
        + ", ".join(found.signals),
        soft_wrap=True,
    )
    if found.spectra is not None:
        s = found.spectra
        console.print(
            f"{s.signal} from spectra: error {s.error:.3g} ({s.relative_error:.0%}) on batches left out, Q² {s.q_squared:.2f}, "
            f"{s.components} components"
        )
    if found.warning is not None:
        w = found.warning
        console.print(
            f"Failure: area under the curve {w.area_under_curve:.2f} ({w.area_lower:.2f} to {w.area_upper:.2f}), Brier score "
            f"{w.brier:.3f} (base rate {w.brier_of_base_rate:.3f}), calibration slope {w.calibration_slope:.2f}"
        )
    if found.harvest_day is not None:
        h = found.harvest_day
        console.print(
            f"Harvest day: error {h.error_days:.2f} days on batches left out (they differ by sd {h.sd_days:.2f})"
        )
    if found.stopping is not None:
        v = found.stopping
        console.print(
            f"Stopping above {v.threshold:.0%}: stops {v.stopped:.0%} of batches ({v.rightly:.1%} rightly, {v.wrongly:.1%} wrongly); "
            f"net value {v.net_value:.4g} per batch ({v.net_lower:.4g} to {v.net_upper:.4g}), {v.days_saved:.2f} days saved per batch"
        )
    if found.control is not None:
        c = found.control
        console.print(
            f"Control: {c.components} components of {c.reference_batches} good batches hold {c.explained:.0%}; T² limit "
            f"{c.t_squared_limit:.3g}, squared prediction error limit {c.prediction_error_limit:.3g}"
        )
    table = Table(title="Batches (finished ones predicted by models that did not see them)")
    for header in ("batch", "status", "P(failure)", "harvest day", "T²", "SPE", "outside", "drivers"):
        table.add_column(header, justify="left" if header in ("batch", "status", "drivers") else "right")
    for batch in found.batches:
        table.add_row(
            batch.batch,
            batch.status,
            _cell(batch.failure_probability, ".3f"),
            _cell(batch.predicted_harvest_day, ".1f"),
            _cell(batch.t_squared, ".3g"),
            _cell(batch.prediction_error, ".3g"),
            {None: "", True: "yes", False: ""}[batch.outside],
            "; ".join(batch.drivers),
        )
    console.print(table)


def _cell(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)
