"""In-line measurements of batches from a CSV file: one row per batch and day, one column per signal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.csv_table import CsvTable, read_csv_table

Float = npt.NDArray[np.float64]
OUTCOMES = ("failed", "harvest_day")
RESERVED = ("batch", "day", *OUTCOMES)
YES, NO = {"1", "true", "yes", "y"}, {"0", "false", "no", "n"}
FEWEST_CHANNELS = 5


@dataclass(frozen=True)
class Trajectories:
    """Batches by day and signal.

    Attributes
    ----------
    batches : tuple of str
    days : array, shape (times,)
        Days on which every batch was measured, in order, none after the day of the judgement.
    signals : tuple of str
    values : array, shape (batches, times, signals)
    failed : array, shape (batches,)
        1 failed, 0 good, NaN still running.
    harvest_day : array, shape (batches,)
        NaN where none is stated.
    remarks : tuple of str
        Days left out because a batch was not measured on them.
    """

    batches: tuple[str, ...]
    days: Float
    signals: tuple[str, ...]
    values: Float
    failed: Float
    harvest_day: Float
    remarks: tuple[str, ...] = ()

    def with_signal(self, name: str, values: Float) -> Trajectories:
        """Return the trajectories with one more signal, shape (batches, times)."""
        joined = np.concatenate([self.values, values[:, :, None]], axis=2)
        return Trajectories(
            self.batches, self.days, (*self.signals, name), joined, self.failed, self.harvest_day, self.remarks
        )


def read_trajectories(path: Path | str, *, signals: tuple[str, ...] = (), until: float = math.inf) -> Trajectories:
    """Read a file of trajectories.

    Parameters
    ----------
    path : path
        CSV with `batch`, `day`, signals, and for finished batches `failed` and, where known, `harvest_day`. An outcome is
        written on every row of its batch or on one of them; a batch without any is still running.
    signals : tuple of str
        Columns to use; by default all others.
    until : float
        Judge by measurements up to this day.

    Raises
    ------
    InputError
        Missing columns, cells that are not numbers, repeated days, contradictory outcomes, no common day, one batch.
    """
    table = read_csv_table(path, ["batch", "day"])
    available = [name for name in table.header if name not in RESERVED]
    for name in signals:
        if name.lower() not in available:
            raise InputError(
                "no such signal",
                file=path,
                found=name,
                allowed=", ".join(available) or "none",
                hint=nearest(name.lower(), available),
            )
    used = [name.lower() for name in signals] or available
    if not used:
        raise InputError("the file has no signal", file=path, line=1, allowed="columns besides batch, day and outcomes")
    names = table.text("batch")
    day = np.array(table.numbers("day"))
    batches = tuple(dict.fromkeys(names))
    if len(batches) < 2:
        raise InputError("one batch cannot be compared with any other", file=path, found=batches[0])
    row_of = _rows(table, names, day)
    wanted = [d for d in sorted(set(day.tolist())) if d <= until]
    common = [d for d in wanted if all((batch, d) in row_of for batch in batches)]
    if not common:
        raise InputError(
            "no day up to that of the judgement was measured in every batch",
            file=path,
            field="day",
            found="none" if not wanted else ", ".join(f"{d:g}" for d in wanted[:8]),
            hint="Interpolate to common days, leave out batches, or raise --until.",
        )
    columns = {name: np.array(table.numbers(name, missing=True)) for name in used}
    values = np.array([[[columns[name][row_of[b, d]] for name in used] for d in common] for b in batches])
    for i, j, k in np.argwhere(np.isnan(values)):
        raise InputError(
            f"signal {used[k]!r} is missing",
            file=path,
            line=table.lines[row_of[batches[i], common[j]]],
            found=f"{batches[i]}, day {common[j]:g}",
            hint="Fill the gap, delete the row so that the day is left out, or leave the signal out with --signals.",
        )
    left = [d for d in wanted if d not in common]
    remarks: tuple[str, ...] = ()
    if left:
        shown = ", ".join(f"{d:g}" for d in left[:6]) + (", ..." if len(left) > 6 else "")
        remarks = (f"days not measured in every batch are left out: {shown}",)
    return Trajectories(
        batches=batches,
        days=np.array(common),
        signals=tuple(used),
        values=values,
        failed=_outcome(table, names, batches, "failed"),
        harvest_day=_outcome(table, names, batches, "harvest_day"),
        remarks=remarks,
    )


def read_spectra(path: Path | str, trajectories: Trajectories) -> Float:
    """Return spectra, shape (batches, times, channels), of the batches and days of `trajectories`.

    Parameters
    ----------
    path : path
        CSV with `batch`, `day` and one column per channel, named by its position (for example a wave number).
    """
    table = read_csv_table(path, ["batch", "day"])
    channels = [name for name in table.header if name not in ("batch", "day")]
    if len(channels) < FEWEST_CHANNELS:
        raise InputError(
            "too few channels for a spectrum",
            file=path,
            line=1,
            found=len(channels),
            allowed=f"{FEWEST_CHANNELS} or more",
        )
    names = table.text("batch")
    row_of = _rows(table, names, np.array(table.numbers("day")))
    columns = np.column_stack([table.numbers(name) for name in channels])
    for batch in trajectories.batches:
        for d in trajectories.days:
            if (batch, float(d)) not in row_of:
                raise InputError("no spectrum of a batch on a day", file=path, found=f"{batch}, day {d:g}")
    return np.array([[columns[row_of[b, float(d)]] for d in trajectories.days] for b in trajectories.batches])


def _rows(table: CsvTable, names: list[str], day: Float) -> dict[tuple[str, float], int]:
    found: dict[tuple[str, float], int] = {}
    for row, (name, d) in enumerate(zip(names, day.tolist(), strict=True)):
        if (name, d) in found:
            raise InputError(
                "a batch is measured twice on one day",
                file=table.file,
                line=table.lines[row],
                found=f"{name}, day {d:g}",
                hint="Average the replicates, or give the second one its own time (day 3.5).",
            )
        found[name, d] = row
    return found


def _outcome(table: CsvTable, names: list[str], batches: tuple[str, ...], column: str) -> Float:
    result = dict.fromkeys(batches, math.nan)
    if table.has(column):
        numbers = _flags(table) if column == "failed" else table.numbers(column, missing=True)
        for name, value, line in zip(names, numbers, table.lines, strict=True):
            if math.isnan(value):
                continue
            if not math.isnan(result[name]) and result[name] != value:
                raise InputError(
                    f"a batch has two outcomes in column {column!r}", file=table.file, line=line, found=name
                )
            result[name] = value
    return np.array([result[batch] for batch in batches])


def _flags(table: CsvTable) -> list[float]:
    index = table.header.index("failed")
    found = []
    for row, line in zip(table.rows, table.lines, strict=True):
        cell = row[index].strip().lower()
        if cell in YES | NO:
            found.append(float(cell in YES))
        elif cell in {"", "na", "nan", "."}:
            found.append(math.nan)
        else:
            raise InputError(
                "column 'failed' takes yes or no",
                file=table.file,
                line=line,
                found=cell,
                allowed="0, 1, yes, no or empty",
            )
    return found
