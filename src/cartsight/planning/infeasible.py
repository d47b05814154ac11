"""Why no network serves everyone: the collection days and the lines that cannot be reconciled."""

from __future__ import annotations

import math

import numpy as np

from cartsight.core.errors import InputError
from cartsight.planning.instance import NetworkInstance, lanes
from cartsight.planning.instance_model import build_model

EXPLANATION_SECONDS = 20.0


def explain(instance: NetworkInstance, maximum_sites: int, hold_days: int) -> InputError:
    """Return the error for an instance that no network of at most `maximum_sites` plants serves."""
    largest = np.argsort(-instance.lines, kind="stable")[:maximum_sites]
    names = ", ".join(instance.sites[m] for m in largest)
    total = int(instance.lines[largest].sum())
    limit = "all plants" if maximum_sites == len(instance.sites) else f"the {maximum_sites} largest plants"
    hint = "Allow more plants (--max-sites), waiting at the plant (--hold), or add lines (FCAP)."
    window = _overfull_window(instance, total, hold_days)
    if window is not None:
        first, last, patients, earliest, latest, room = window
        return InputError(
            f"infeasible: {patients} patients collected on days {first} to {last} must start on days {earliest} to {latest}, "
            f"and the {total} lines of {limit} ({names}) can start at most {room} then",
            hint=hint,
        )
    return _left_out(instance, maximum_sites, hold_days, limit, hint)


def _overfull_window(
    instance: NetworkInstance, lines: int, hold_days: int
) -> tuple[int, int, int, int, int, int] | None:
    """Return the most overfull run of collection days, where plain counting shows it."""
    table = lanes(instance)
    offsets = [lane.offset for c in set(instance.patient_site.tolist()) for row in table[c] for lane in row]
    soonest, longest = min(offsets), max(offsets) + hold_days
    per_day = np.bincount(instance.patient_day)
    before = np.concatenate([[0], np.cumsum(per_day)])
    worst, found = 0.0, None
    days = np.flatnonzero(per_day).tolist()
    for i, first in enumerate(days):
        for last in days[i:]:
            patients = int(before[last + 1] - before[first])
            length = last + longest - (first + soonest) + 1
            room = math.ceil(length / max(instance.making_days, 1)) * lines
            if patients > room and (patients - room) / patients > worst:
                worst = (patients - room) / patients
                found = (first, last, patients, first + soonest, last + longest, room)
    return found


def _left_out(instance: NetworkInstance, maximum_sites: int, hold_days: int, limit: str, hint: str) -> InputError:
    """Leave out as few patients as possible and say who, and which lines are full when they would start."""
    model = build_model(instance, hold_days, maximum_sites=maximum_sites, left_out_cost=1.0, cost_scale=0.0)
    solved = model.programme.solve(absolute_gap=0.5, time_limit=EXPLANATION_SECONDS)
    if not solved.has_solution:
        return InputError(f"infeasible: no network of {limit} serves every patient", hint=hint)
    over = {g: round(solved.values[column]) for g, column in model.left_out.items() if solved.values[column] > 0.5}
    group = model.groups[next(iter(over))]
    opened = [m for m, column in model.open_column.items() if solved.values[column] > 0.5]
    days = sorted(
        {
            group.day + lane.offset + wait
            for m in opened
            for lane in model.lanes[group.site][m]
            for wait in (0, hold_days)
        }
    )
    span = f"days {days[0]} to {days[-1]}" if days else "any day"
    return InputError(
        f"infeasible: {sum(over.values())} patients cannot be served by {limit}; for example {over[next(iter(over))]} collected at "
        f"{instance.collection_sites[group.site]} on day {group.day}, who would start on {span}, when the lines of "
        f"{', '.join(instance.sites[m] for m in opened)} are full",
        hint=hint,
    )
