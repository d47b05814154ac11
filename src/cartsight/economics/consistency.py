"""Do published cost-effectiveness rows agree with themselves?

From costs and QALYs as printed follows the interval of ratios that their rounding allows. A printed ratio
outside it is a misprint, a swap of rows, another scenario or another currency; the check says which of the
first two fits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cartsight.core.errors import InputError
from cartsight.economics.frontier import FrontierStatus, cost_effectiveness_frontier
from cartsight.economics.published_numbers import PrintedNumber, Verdict
from cartsight.economics.published_tables import PublishedRow

Interval = tuple[float, float]


class ConsistencyStatus(StrEnum):
    """Outcome of the check of one row."""

    CONSISTENT = "consistent"
    INCONSISTENT = "inconsistent"
    UNDETERMINED = "undetermined"
    REFERENCE = "reference"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True)
class ConsistencyRow:
    """One published row beside what its own numbers imply.

    Attributes
    ----------
    study, strategy, comparator : str or None
    line : int
        Line of the file.
    cost, qaly : float or None
        As printed.
    incremental_cost, incremental_qaly : float or None
        From the printed increments, else from the printed totals.
    icer_printed : float or None
    icer_recomputed : float or None
        Ratio of the increments; None when the QALY difference is zero.
    rounding_interval : (float, float) or None
        All ratios that the rounding of costs and QALYs allows; None when the QALY difference may be zero.
    status : ConsistencyStatus
    flagged : bool
        True when `reasons` is not empty.
    reasons : tuple of str
        What is wrong, in words.
    agrees_with : str or None
        Another comparison of the same study whose interval holds the printed ratio: a likely swap.
    implied_incremental_qaly : float or None
        Incremental cost over printed ICER: what the QALY difference would have to be.
    frontier_status : FrontierStatus or None
        In a fully incremental analysis of the study's own totals.
    warnings : tuple of str
        What a reviewer should know although the numbers agree.
    """

    study: str
    strategy: str
    comparator: str | None
    line: int
    cost: float | None
    qaly: float | None
    incremental_cost: float | None
    incremental_qaly: float | None
    icer_printed: float | None
    icer_recomputed: float | None
    rounding_interval: Interval | None
    status: ConsistencyStatus
    flagged: bool
    reasons: tuple[str, ...]
    agrees_with: str | None
    implied_incremental_qaly: float | None
    frontier_status: FrontierStatus | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Contrast:
    """A difference of two strategies with the interval that rounding allows for cost and for QALYs."""

    cost: float
    cost_interval: Interval
    qaly: float
    qaly_interval: Interval

    @property
    def ratio(self) -> float | None:
        return self.cost / self.qaly if self.qaly else None

    @property
    def ratio_interval(self) -> Interval | None:
        low, high = self.qaly_interval
        if low <= 0.0 <= high:
            return None
        # A bound such as ">150,000" leaves a corner open; infinity over infinity is no corner.
        corners = [c / q for c in self.cost_interval for q in self.qaly_interval]
        corners = [corner for corner in corners if not math.isnan(corner)]
        return min(corners), max(corners)

    @property
    def verdict(self) -> Verdict | None:
        """Return the dominance that holds for every value the rounding allows, else None."""
        if self.cost_interval[0] > 0.0 and self.qaly_interval[1] < 0.0:
            return Verdict.DOMINATED
        if self.cost_interval[1] < 0.0 and self.qaly_interval[0] > 0.0:
            return Verdict.DOMINANT
        return None


def _difference(first: PrintedNumber, second: PrintedNumber) -> tuple[float, Interval]:
    return first.value - second.value, (first.low - second.high, first.high - second.low)


def _of_totals(
    cost: PrintedNumber | None,
    qaly: PrintedNumber | None,
    other_cost: PrintedNumber | None,
    other_qaly: PrintedNumber | None,
) -> _Contrast | None:
    if cost is None or qaly is None or other_cost is None or other_qaly is None:
        return None
    return _Contrast(*_difference(cost, other_cost), *_difference(qaly, other_qaly))


def _overlap(first: Interval, second: Interval) -> bool:
    # A relative slack of 1e-9 keeps ratios of decimal fractions from missing by binary rounding.
    slack = 1e-9 * max((abs(value) for value in (*first, *second) if math.isfinite(value)), default=0.0)
    return first[0] <= second[1] + slack and second[0] <= first[1] + slack


@dataclass
class _Study:
    rows: list[PublishedRow] = field(default_factory=list)

    def named(self, name: str) -> PublishedRow | None:
        same = [row for row in self.rows if row.strategy.casefold() == name.casefold()]
        return next((row for row in same if row.cost is not None and row.qaly is not None), None)

    def default_comparator(self) -> PublishedRow | None:
        """Return the row that the others are compared with when the table names none.

        The only row with totals and without a printed ratio; among several such rows the cheapest.
        """
        bare = [
            row
            for row in self.rows
            if row.icer is None and row.verdict is None and row.cost is not None and row.qaly is not None
        ]
        return min(bare, key=lambda row: row.cost.value if row.cost else 0.0) if bare else None


def _contrast_of(row: PublishedRow, comparator: PublishedRow | None) -> _Contrast | None:
    """Return cost and QALY differences of a row, each from its printed increment or else from the totals."""
    other = comparator if comparator is not row else None
    cost = _part(row.incremental_cost, row.cost, row.comparator_cost or (other.cost if other else None))
    qaly = _part(row.incremental_qaly, row.qaly, row.comparator_qaly or (other.qaly if other else None))
    return _Contrast(*cost, *qaly) if cost and qaly else None


def _part(
    increment: PrintedNumber | None, total: PrintedNumber | None, other: PrintedNumber | None
) -> tuple[float, Interval] | None:
    if increment is not None:
        return increment.value, (increment.low, increment.high)
    return _difference(total, other) if total is not None and other is not None else None


def _totals_disagree(row: PublishedRow, comparator: PublishedRow | None) -> list[str]:
    """Return reasons when printed increments are not the differences of the printed totals."""
    other_cost = row.comparator_cost or (comparator.cost if comparator else None)
    other_qaly = row.comparator_qaly or (comparator.qaly if comparator else None)
    reasons = []
    for name, total, other, increment in (
        ("cost", row.cost, other_cost, row.incremental_cost),
        ("QALYs", row.qaly, other_qaly, row.incremental_qaly),
    ):
        if total is None or other is None or increment is None:
            continue
        value, interval = _difference(total, other)
        if not _overlap(interval, (increment.low, increment.high)):
            reasons.append(
                f"printed difference in {name} is {increment.text}, the printed totals differ by {value:,.6g}"
            )
    return reasons


def _label(strategy: str, comparator: str | None) -> str:
    return f"{strategy} vs {comparator}" if comparator else strategy


def _frontier_statuses(study: _Study) -> dict[int, FrontierStatus]:
    """Return the status by line for studies whose rows hold totals of distinct strategies."""
    whole = [row for row in study.rows if row.cost is not None and row.qaly is not None]
    names = [row.strategy for row in whole]
    if len(whole) < 2 or len(set(names)) != len(names):
        return {}
    costs = [row.cost.value for row in whole if row.cost]
    qalys = [row.qaly.value for row in whole if row.qaly]
    status = {row.strategy: row.status for row in cost_effectiveness_frontier(names, costs, qalys)}
    return {row.line: status[row.strategy] for row in whole}


def check_published_rows(rows: Sequence[PublishedRow]) -> tuple[ConsistencyRow, ...]:
    """Return every row with its recomputed ratio, the interval that rounding allows, and what does not fit.

    Parameters
    ----------
    rows : sequence of PublishedRow
        From `read_published_rows`. Rows of one study stand for mutually exclusive strategies.

    Returns
    -------
    tuple of ConsistencyRow
        In the order given.

    Raises
    ------
    InputError
        When a row names a comparator that its study does not hold and that has no totals of its own.

    Notes
    -----
    A row is compared with, in this order: its printed increments; the comparator totals on the row; the
    strategy that the row names as comparator; the only row of the study without a printed ratio (the ratio is
    the same in both directions, so that a table may print ratios beside the comparators); the cheapest of
    several such rows.
    """
    studies: dict[str, _Study] = {}
    for row in rows:
        studies.setdefault(row.study, _Study()).rows.append(row)
    checked: dict[int, ConsistencyRow] = {}
    for study in studies.values():
        for result in _check_study(study):
            checked[result.line] = result
    return tuple(checked[row.line] for row in rows)


def _comparator_of(row: PublishedRow, study: _Study, default: PublishedRow | None) -> PublishedRow | None:
    if row.comparator is None:
        on_row = row.comparator_cost is not None or row.incremental_cost is not None
        return None if on_row or default is row else default
    found = study.named(row.comparator)
    needed = row.comparator_cost is None and row.incremental_cost is None and row.cost is not None
    if found is None and needed and (row.icer is not None or row.verdict is not None):
        raise InputError(
            "the study has no row with cost and QALYs for this comparator",
            line=row.line,
            field="comparator",
            found=row.comparator,
            allowed=", ".join(other.strategy for other in study.rows if other is not row) or None,
        )
    return found


def _check_study(study: _Study) -> list[ConsistencyRow]:
    default = study.default_comparator()
    comparators = [_comparator_of(row, study, default) for row in study.rows]
    contrasts = [_contrast_of(row, other) for row, other in zip(study.rows, comparators, strict=True)]
    names = [
        row.comparator or (other.strategy if other else None)
        for row, other in zip(study.rows, comparators, strict=True)
    ]
    frontier = _frontier_statuses(study)
    results = []
    for position, row in enumerate(study.rows):
        contrast, other = contrasts[position], comparators[position]
        status, reasons, warnings = _judge(row, contrast, directed=row.comparator is not None)
        reasons += _totals_disagree(row, other)
        agrees = None
        interval = contrast.ratio_interval if contrast else None
        if row.icer is not None and status is ConsistencyStatus.INCONSISTENT:
            agrees = _explanation(position, study, contrasts, names)
            if agrees:
                reasons.append(f"the printed ratio fits {agrees}: rows may be swapped")
        if other is not None and frontier.get(other.line) in {
            FrontierStatus.DOMINATED,
            FrontierStatus.EXTENDED_DOMINATED,
        }:
            warnings.append(f"{other.strategy} is {frontier[other.line].value.replace('_', ' ')} in this study")
        if row.icer is not None and frontier.get(row.line) in {
            FrontierStatus.DOMINATED,
            FrontierStatus.EXTENDED_DOMINATED,
        }:
            warnings.append(f"{row.strategy} is {frontier[row.line].value.replace('_', ' ')} in this study")
        if reasons:
            status = ConsistencyStatus.INCONSISTENT
        if contrast is None and status is ConsistencyStatus.NOT_CHECKED and row is default:
            status = ConsistencyStatus.REFERENCE
        results.append(
            ConsistencyRow(
                study=row.study,
                strategy=row.strategy,
                comparator=names[position],
                line=row.line,
                cost=row.cost.value if row.cost else None,
                qaly=row.qaly.value if row.qaly else None,
                incremental_cost=contrast.cost if contrast else None,
                incremental_qaly=contrast.qaly if contrast else None,
                icer_printed=row.icer.value if row.icer else None,
                icer_recomputed=contrast.ratio if contrast else None,
                rounding_interval=interval,
                status=status,
                flagged=bool(reasons),
                reasons=tuple(reasons),
                agrees_with=agrees,
                implied_incremental_qaly=contrast.cost / row.icer.value
                if contrast and row.icer and row.icer.value
                else None,
                frontier_status=frontier.get(row.line),
                warnings=tuple(warnings),
            )
        )
    return results


def _judge(
    row: PublishedRow, contrast: _Contrast | None, *, directed: bool
) -> tuple[ConsistencyStatus, list[str], list[str]]:
    """Return status, reasons and warnings of one row against its own numbers."""
    if contrast is None or (row.icer is None and row.verdict is None):
        return ConsistencyStatus.NOT_CHECKED, [], []
    if row.verdict is not None:
        holds = contrast.verdict
        reverse = {Verdict.DOMINANT: Verdict.DOMINATED, Verdict.DOMINATED: Verdict.DOMINANT}[row.verdict]
        if holds is row.verdict or (holds is reverse and not directed):
            return ConsistencyStatus.CONSISTENT, [], []
        possible = _could_dominate(contrast, row.verdict) or (not directed and _could_dominate(contrast, reverse))
        if possible:
            return ConsistencyStatus.UNDETERMINED, [], ["dominance rests on digits that were rounded away"]
        return (
            ConsistencyStatus.INCONSISTENT,
            [f"printed as {row.verdict.value}, but the printed numbers are not"],
            [],
        )
    assert row.icer is not None
    reasons, warnings = [], []
    interval = contrast.ratio_interval
    if contrast.verdict is not None:
        reasons.append(f"the printed numbers make the strategy {contrast.verdict.value}: a ratio has no meaning here")
    elif row.icer.high < 0.0:
        reasons.append("a negative ratio does not tell dominant from dominated")
    if interval is None:
        warnings.append("the QALY difference may be zero within its rounding: any ratio is possible")
        status = ConsistencyStatus.INCONSISTENT if reasons else ConsistencyStatus.UNDETERMINED
        return status, reasons, warnings
    if not _overlap(interval, (row.icer.low, row.icer.high)):
        reasons.insert(
            0,
            f"printed ICER {row.icer.text} lies outside {interval[0]:,.0f} to {interval[1]:,.0f}, "
            "which is all that rounding allows",
        )
    if contrast.cost_interval[1] < 0.0 and contrast.qaly_interval[1] < 0.0 and directed:
        warnings.append("less costly and less effective: the ratio is money saved per QALY forgone")
    return (ConsistencyStatus.INCONSISTENT if reasons else ConsistencyStatus.CONSISTENT), reasons, warnings


def _could_dominate(contrast: _Contrast, verdict: Verdict) -> bool:
    if verdict is Verdict.DOMINANT:
        return contrast.cost_interval[0] <= 0.0 and contrast.qaly_interval[1] >= 0.0
    return contrast.cost_interval[1] >= 0.0 and contrast.qaly_interval[0] <= 0.0


def _explanation(
    position: int, study: _Study, contrasts: Sequence[_Contrast | None], names: Sequence[str | None]
) -> str | None:
    """Return another comparison of the study that the printed ratio would fit, or None."""
    row = study.rows[position]
    assert row.icer is not None
    printed = (row.icer.low, row.icer.high)
    for other_position, contrast in enumerate(contrasts):
        if other_position == position or contrast is None or contrast.ratio_interval is None:
            continue
        if _overlap(contrast.ratio_interval, printed):
            return _label(study.rows[other_position].strategy, names[other_position])
    for first in study.rows:
        for second in study.rows:
            contrast = _of_totals(first.cost, first.qaly, second.cost, second.qaly)
            interval = contrast.ratio_interval if contrast and first is not second else None
            if interval is not None and contrast and contrast.verdict is None and _overlap(interval, printed):
                return _label(first.strategy, second.strategy)
    return None
