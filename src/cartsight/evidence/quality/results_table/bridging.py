"""Bridging between laboratories or methods through a common reference material: ratio to reference.

Each laboratory's results of an attribute are divided by its own geometric mean of the reference and multiplied by the
assigned value. That removes whatever multiplies all results of a laboratory alike, adds the error of its reference mean,
and removes nothing else; both are reported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.results_table.table import Dropped, Result, ResultTable

GROUPS = ("lab", "assay", "site", "run", "date")


@dataclass(frozen=True)
class BridgeFactor:
    """What multiplies the results of one group, and how sure that is."""

    attribute: str
    group: tuple[str, ...]
    factor: float
    lower: float
    upper: float
    reference_results: int
    relative_standard_error: float


@dataclass(frozen=True)
class BridgeEffect:
    """Between-group spread on the material that groups share (the reference aside), before and after bridging.

    Standard deviations of ln between group means of the same batches, NaN when fewer than two groups share a batch.
    """

    attribute: str
    shared_batches: int
    groups: int
    between_sd_before: float
    between_sd_after: float


@dataclass(frozen=True)
class Bridged:
    """The bridged table, its factors and what they did."""

    table: ResultTable
    factors: tuple[BridgeFactor, ...]
    effects: tuple[BridgeEffect, ...]
    remarks: tuple[str, ...]


def bridge(
    table: ResultTable,
    reference: str,
    *,
    assigned: Mapping[str, float] | None = None,
    by: Sequence[str] = ("lab",),
    confidence: float = 0.95,
) -> Bridged:
    """Return the table with every result expressed relative to a common reference.

    Parameters
    ----------
    table : ResultTable
    reference : str
        Batch identifier of the reference material.
    assigned : dict, optional
        Assigned value of the reference by attribute; without one, the geometric mean over groups.
    by : sequence of str
        What has a calibration of its own: ``lab``, ``assay``, ``site``, ``run``, ``date``.

    Raises
    ------
    InputError
        No result of the reference, or an unknown grouping. Results of a group without the reference are dropped, with
        the reason.
    """
    from scipy import stats

    for name in by:
        if name not in GROUPS:
            raise InputError("unknown grouping", field="--by", found=name, allowed=", ".join(GROUPS))
    references = [row for row in table.results if row.batch == reference and not row.censored and row.value > 0]
    if not references:
        batches = sorted({row.batch for row in table.results})
        raise InputError(
            "no usable result of the reference material", found=reference, hint=nearest(reference, batches)
        )
    logs: dict[tuple[str, tuple[str, ...]], list[float]] = {}
    for row in references:
        logs.setdefault((row.attribute, _group(row, by)), []).append(math.log(row.value))
    means = {key: float(np.mean(values)) for key, values in logs.items()}
    target = _targets(means, assigned or {})
    factors = []
    for (attribute, group), values in logs.items():
        centre = target[attribute] - means[attribute, group]
        n = len(values)
        error = float(np.std(values, ddof=1)) / math.sqrt(n) if n > 1 else math.nan
        half = float(stats.t.ppf(0.5 + confidence / 2, n - 1)) * error if n > 1 else math.nan
        factors.append(
            BridgeFactor(attribute, group, math.exp(centre), math.exp(centre - half), math.exp(centre + half), n, error)
        )
    kept, dropped = [], list(table.dropped)
    for row in table.results:
        key = (row.attribute, _group(row, by))
        if row.attribute not in target:
            kept.append(row)
        elif key not in means:
            dropped.append(Dropped(row.source, row.line, "its group never measured the reference", " / ".join(key[1])))
        else:
            kept.append(replace(row, value=row.value * math.exp(target[row.attribute] - means[key])))
    after = replace(table, results=tuple(kept), dropped=tuple(dropped))
    untouched = sorted({row.attribute for row in table.results} - set(target))
    remarks = [f"{name}: the reference was not measured, so results are unchanged" for name in untouched]
    remarks += [
        f"{f.attribute}, {' / '.join(f.group)}: one result of the reference, so its error is unknown"
        for f in factors
        if f.reference_results == 1
    ]
    effects = tuple(
        BridgeEffect(
            attribute,
            *_shared(table, attribute, reference, by),
            _between(table, attribute, reference, by),
            _between(after, attribute, reference, by),
        )
        for attribute in target
    )
    return Bridged(after, tuple(factors), effects, tuple(remarks))


def _group(row: Result, by: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(getattr(row, name)) for name in by)


def _targets(means: Mapping[tuple[str, tuple[str, ...]], float], assigned: Mapping[str, float]) -> dict[str, float]:
    measured = {attribute for attribute, _ in means}
    for name, value in assigned.items():
        if name not in measured:
            raise InputError(
                "assigned value for an attribute the reference lacks", found=name, hint=nearest(name, measured)
            )
        if not value > 0:
            raise InputError("an assigned value must be above zero", field=name, found=value)
    return {
        attribute: math.log(assigned[attribute])
        if attribute in assigned
        else float(np.mean([mean for (name, _), mean in means.items() if name == attribute]))
        for attribute in sorted(measured)
    }


def _cells(
    table: ResultTable, attribute: str, reference: str, by: Sequence[str]
) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the mean ln result of every (batch, group), for batches that two groups or more measured."""
    values: dict[str, dict[tuple[str, ...], list[float]]] = {}
    for row in table.results:
        if row.attribute == attribute and row.batch != reference and not row.censored and row.value > 0:
            values.setdefault(row.batch, {}).setdefault(_group(row, by), []).append(math.log(row.value))
    return {
        batch: {group: float(np.mean(x)) for group, x in groups.items()}
        for batch, groups in values.items()
        if len(groups) > 1
    }


def _shared(table: ResultTable, attribute: str, reference: str, by: Sequence[str]) -> tuple[int, int]:
    cells = _cells(table, attribute, reference, by)
    return len(cells), len({group for groups in cells.values() for group in groups})


def _between(table: ResultTable, attribute: str, reference: str, by: Sequence[str]) -> float:
    """Return the sd of group means of ln results, each centred on its batch's mean over groups."""
    centred: dict[tuple[str, ...], list[float]] = {}
    for groups in _cells(table, attribute, reference, by).values():
        middle = float(np.mean(list(groups.values())))
        for group, mean in groups.items():
            centred.setdefault(group, []).append(mean - middle)
    if len(centred) < 2:
        return math.nan
    return float(np.std([float(np.mean(x)) for x in centred.values()], ddof=1))
