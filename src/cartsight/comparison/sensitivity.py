"""One-way sensitivity on net benefit: which parameter moves the decision, and at which value it turns.

On net benefit and not on the ratio, which jumps where effects change sign (Briggs, Sculpher & Claxton 2006,
chapter 1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OneWayRow:
    """One parameter moved over its range, the others at their base values.

    Attributes
    ----------
    parameter : str
    base : float
    values : array, shape (points,)
        Rising, from the low to the high end of the range.
    net_benefit : array, shape (points, arms)
    incremental : array, shape (points,)
        Net benefit of the arm of interest minus that of its comparator.
    swing : float
        Largest minus smallest `incremental`.
    best : array of int, shape (points,)
        Arm with the highest net benefit; the first of equals.
    switches_at : tuple of float
        Values at which `incremental` crosses zero, by linear interpolation between points.
    """

    parameter: str
    base: float
    values: Float
    net_benefit: Float
    incremental: Float
    swing: float
    best: npt.NDArray[np.intp]
    switches_at: tuple[float, ...]


@dataclass(frozen=True)
class OneWaySensitivity:
    """A tornado: rows by falling swing.

    Attributes
    ----------
    arm, comparator : int
    base_net_benefit : array, shape (arms,)
    base_incremental : float
    rows : tuple of OneWayRow
    """

    arm: int
    comparator: int
    base_net_benefit: Float
    base_incremental: float
    rows: tuple[OneWayRow, ...]


def one_way_sensitivity(
    evaluate: Callable[[Float], npt.ArrayLike],
    base: Mapping[str, float],
    ranges: Mapping[str, tuple[float, float]],
    *,
    arm: int = 1,
    comparator: int = 0,
    points: int = 3,
) -> OneWaySensitivity:
    """Return how net benefit answers to each parameter alone.

    Parameters
    ----------
    evaluate : callable
        Takes parameter values of shape (runs, parameters), columns in the order of `base`, and returns net
        benefit of shape (runs, arms). It is called once with all runs, so that a vectorised or parallel model
        can use that; runs must share their random numbers, or noise looks like sensitivity.
    base : mapping of str to float
        Base value of every parameter.
    ranges : mapping of str to (low, high)
        The parameters to move, for example between their 2.5 % and 97.5 % quantiles.
    arm, comparator : int
        Arms whose difference is followed.
    points : int
        Values per parameter, evenly spaced from low to high, at least two.

    Returns
    -------
    OneWaySensitivity

    Raises
    ------
    InputError
        When a range names an unknown parameter, is empty, reversed or not finite; when `points` is below two;
        when `evaluate` returns another shape or a number that is not finite.
    """
    names = list(base)
    if points < 2:
        raise InputError("a range needs at least two points", field="points", found=points)
    if not ranges:
        raise InputError("there is no parameter to move", field="ranges")
    design = [np.asarray([base[name] for name in names], dtype=np.float64)]
    grids: dict[str, Float] = {}
    for name, (low, high) in ranges.items():
        if name not in base:
            raise InputError(
                "unknown parameter",
                field="ranges",
                found=name,
                allowed=", ".join(names),
                hint=nearest(name, names),
            )
        if not (np.isfinite(low) and np.isfinite(high)) or low >= high:
            raise InputError("a range needs a low end below its high end", field=name, found=(low, high))
        grids[name] = np.linspace(low, high, points)
        for value in grids[name]:
            run = design[0].copy()
            run[names.index(name)] = value
            design.append(run)
    benefit = np.asarray(evaluate(np.vstack(design)), dtype=np.float64)
    if benefit.ndim != 2 or benefit.shape[0] != len(design) or not np.all(np.isfinite(benefit)):
        raise InputError(
            "the model must return one finite net benefit per run and arm",
            found=f"shape {benefit.shape}",
            allowed=f"({len(design)}, arms)",
        )
    if not (0 <= arm < benefit.shape[1] and 0 <= comparator < benefit.shape[1]) or arm == comparator:
        raise InputError("arm and comparator must be two of the arms", found=(arm, comparator))
    rows = []
    for number, (name, grid) in enumerate(grids.items()):
        block = benefit[1 + number * points : 1 + (number + 1) * points]
        incremental = block[:, arm] - block[:, comparator]
        rows.append(
            OneWayRow(
                parameter=name,
                base=float(base[name]),
                values=grid,
                net_benefit=block,
                incremental=incremental,
                swing=float(np.ptp(incremental)),
                best=block.argmax(axis=1),
                switches_at=_zero_crossings(grid, incremental),
            )
        )
    rows.sort(key=lambda row: -row.swing)
    return OneWaySensitivity(
        arm=arm,
        comparator=comparator,
        base_net_benefit=benefit[0],
        base_incremental=float(benefit[0, arm] - benefit[0, comparator]),
        rows=tuple(rows),
    )


def _zero_crossings(values: Float, results: Float) -> tuple[float, ...]:
    """Return where a curve given by points meets zero; an end or a touched point counts once."""
    found = []
    for left in range(values.size):
        if results[left] == 0.0:
            found.append(float(values[left]))
        elif left + 1 < values.size and results[left] * results[left + 1] < 0.0:
            share = results[left] / (results[left] - results[left + 1])
            found.append(float(values[left] + share * (values[left + 1] - values[left])))
    return tuple(found)


def tornado_table(result: OneWaySensitivity, limit: int | None = None) -> Sequence[dict[str, float | str | None]]:
    """Return the tornado as flat records, one per parameter, by falling swing."""
    return [
        {
            "parameter": row.parameter,
            "base": row.base,
            "low": float(row.values[0]),
            "high": float(row.values[-1]),
            "incremental_low": float(row.incremental[0]),
            "incremental_high": float(row.incremental[-1]),
            "swing": row.swing,
            "switches_at": row.switches_at[0] if row.switches_at else None,
        }
        for row in result.rows[:limit]
    ]
