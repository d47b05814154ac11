"""The reduced network model of an instance as a mixed-integer programme, for given plants or with the choice of plants.

Patients who arrive at one collection site on one day are one group, so that the columns are integer flows
(group, plant, lane) instead of a binary for every patient, plant, mode and day. What happens after the lane is chosen
follows from it, except for bounded waiting at the plant, which is one balance of waiting batches by plant and day.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.planning.instance import Lane, NetworkInstance, lanes
from cartsight.planning.mixed_integer import MipModel

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Group:
    """Patients collected at one site on one day."""

    site: int
    day: int
    size: int


@dataclass(slots=True)
class ReducedModel:
    """The programme and where its columns and rows are.

    Attributes
    ----------
    open_column : dict of plant to column
        Empty when the plants are given.
    flow : dict of (group, plant, lane number) to column
    window_row : dict of (plant, last day) to row
        Starts in the last `making_days` days against the lines.
    left_out : dict of group to column
        Patients left out, when that is allowed.
    """

    programme: MipModel
    groups: list[Group]
    lanes: list[list[tuple[Lane, ...]]]
    open_column: dict[int, int] = field(default_factory=dict)
    flow: dict[tuple[int, int, int], int] = field(default_factory=dict)
    window_row: dict[tuple[int, int], int] = field(default_factory=dict)
    left_out: dict[int, int] = field(default_factory=dict)


def patient_groups(instance: NetworkInstance) -> list[Group]:
    """Return the groups of patients, by collection site and day."""
    keys, sizes = np.unique(np.stack([instance.patient_site, instance.patient_day]), axis=1, return_counts=True)
    return [Group(int(c), int(day), int(n)) for (c, day), n in zip(keys.T, sizes, strict=True)]


def dominated_plants(instance: NetworkInstance) -> list[tuple[int, int]]:
    """Return pairs (worse, better): swapping the worse plant for the better one never costs more or fits less.

    Of two plants that dominate each other, the one named first in the file counts as the better.
    """
    table = lanes(instance)
    costs = [
        [{lane.offset: lane.cost for lane in table[c][m]} for c in range(len(instance.collection_sites))]
        for m in range(len(instance.sites))
    ]

    def at_least_as_good(a: int, b: int) -> bool:
        if instance.lines[a] < instance.lines[b] or instance.site_cost_per_day[a] > instance.site_cost_per_day[b]:
            return False
        return all(
            own.get(offset, math.inf) <= cost
            for own, other in zip(costs[a], costs[b], strict=True)
            for offset, cost in other.items()
        )

    pairs = []
    for a in range(len(instance.sites)):
        for b in range(len(instance.sites)):
            if a != b and at_least_as_good(a, b) and (a < b or not at_least_as_good(b, a)):
                pairs.append((b, a))
    return pairs


def smallest_pool(instance: NetworkInstance, hold_days: int) -> int:
    """Return the fewest lines in all that could serve everyone if every line were at one plant with every lane.

    The linear relaxation of that pooled problem, rounded up: no set of plants with fewer lines is feasible.
    """
    table = lanes(instance)
    model = MipModel()
    pool = model.column(1.0)
    starts: dict[int, list[int]] = {}
    for group in patient_groups(instance):
        offsets = {lane.offset for m in range(len(instance.sites)) for lane in table[group.site][m]}
        days = sorted({group.day + offset + wait for offset in offsets for wait in range(hold_days + 1)})
        columns = [model.column() for _ in days]
        for day, column in zip(days, columns, strict=True):
            starts.setdefault(day, []).append(column)
        model.row(columns, [1.0] * len(columns), lower=group.size, upper=group.size)
    for day in sorted(starts):
        window = _window(starts, day, instance.making_days)
        model.row([*window, pool], [*[1.0] * len(window), -1.0], upper=0.0)
    return math.ceil(model.solve(relaxed=True).objective - 1e-6)


def check_lanes(instance: NetworkInstance) -> None:
    """Raise `InputError` when a collection site has no lane at all, or a return falls beyond the horizon."""
    table = lanes(instance)
    for c in sorted(set(instance.patient_site.tolist())):
        if not any(table[c]):
            modes = range(len(instance.modes))
            raise InputError(
                f"infeasible: from {instance.collection_sites[c]} no pair of modes returns within the limit",
                found=f"{min(instance.return_days(i, k) for i in modes for k in modes)} days at the fastest",
                allowed=f"up to {instance.return_limit_days} days (ND)",
            )
    last = int(instance.patient_day.max())
    if last + instance.return_limit_days > instance.horizon_days:
        raise InputError(
            "a patient is collected too late to be back by the end of the horizon",
            field=f"INC {instance.patients[int(instance.patient_day.argmax())]}",
            found=f"day {last}",
            allowed=f"up to day {instance.horizon_days - instance.return_limit_days}",
        )


def build_model(
    instance: NetworkInstance,
    hold_days: int,
    *,
    plants: Sequence[int] | None = None,
    maximum_sites: int | None = None,
    left_out_cost: float | None = None,
    cost_scale: float = 1.0,
) -> ReducedModel:
    """Return the programme.

    Parameters
    ----------
    instance : NetworkInstance
    hold_days : int
        Longest wait at the plant between arrival and start.
    plants : sequence of int, optional
        Plants that are open; their fixed cost is then left out. By default the programme chooses.
    maximum_sites : int, optional
        Most plants that may be open, when the programme chooses.
    left_out_cost : float, optional
        Allow leaving patients out, at this cost each.
    cost_scale : float
        Factor on every other cost; 0 asks for the fewest patients left out.
    """
    programme = MipModel()
    model = ReducedModel(programme, patient_groups(instance), lanes(instance))
    candidates = list(range(len(instance.sites))) if plants is None else list(plants)
    if plants is None:
        for m in candidates:
            model.open_column[m] = programme.column(cost_scale * float(instance.site_cost[m]), 0.0, 1.0, integer=True)
    arrivals: dict[int, dict[int, list[int]]] = {m: {} for m in candidates}
    for g, group in enumerate(model.groups):
        whole: list[int] = []
        for m in candidates:
            here = []
            for number, lane in enumerate(model.lanes[group.site][m]):
                column = programme.column(cost_scale * lane.cost, 0.0, group.size, integer=True)
                model.flow[g, m, number] = column
                arrivals[m].setdefault(group.day + lane.offset, []).append(column)
                here.append(column)
            if here and plants is None:
                programme.row([*here, model.open_column[m]], [*[1.0] * len(here), -float(group.size)], upper=0.0)
            whole += here
        if left_out_cost is not None:
            model.left_out[g] = programme.column(left_out_cost, 0.0, group.size, integer=True)
            whole.append(model.left_out[g])
        programme.row(whole, [1.0] * len(whole), lower=group.size, upper=group.size)
    for m in candidates:
        _line_windows(instance, model, m, arrivals[m], hold_days)
    if plants is None:
        opened = list(model.open_column.values())
        programme.row(opened, [1.0] * len(opened), upper=len(opened) if maximum_sites is None else maximum_sites)
        for worse, better in dominated_plants(instance):
            programme.row([model.open_column[worse], model.open_column[better]], [1.0, -1.0], upper=0.0)
    return model


def _window(starts: dict[int, list[int]], day: int, length: int) -> list[int]:
    return [column for d in range(day - length + 1, day + 1) for column in starts.get(d, ())]


def _line_windows(
    instance: NetworkInstance, model: ReducedModel, m: int, arrivals: dict[int, list[int]], hold_days: int
) -> None:
    """Batches started within any `making_days` days hold a line each: at most the lines of an open plant."""
    if not arrivals:
        return
    programme, lines = model.programme, float(instance.lines[m])
    starts = _waiting(instance, programme, arrivals, hold_days) if hold_days > 0 else arrivals
    for day in sorted(starts):
        window = _window(starts, day, instance.making_days)
        if m in model.open_column:
            row = programme.row([*window, model.open_column[m]], [*[1.0] * len(window), -lines], upper=0.0)
        else:
            row = programme.row(window, [1.0] * len(window), upper=lines)
        model.window_row[m, day] = row


def last_start_day(instance: NetworkInstance, last_arrival: int, hold_days: int) -> int:
    """Return the last day on which a batch that waited may start, so that it is back within the horizon."""
    latest = (
        instance.horizon_days - instance.making_days - instance.quality_control_days - int(instance.days_back.max())
    )
    return min(last_arrival + hold_days, max(latest, last_arrival))


def _waiting(
    instance: NetworkInstance, programme: MipModel, arrivals: dict[int, list[int]], hold_days: int
) -> dict[int, list[int]]:
    """Add starts and waiting batches by day, first come first started, nobody waiting beyond `hold_days`."""
    final = last_start_day(instance, max(arrivals), hold_days)
    starts: dict[int, list[int]] = {}
    before: list[int] = []
    for day in range(min(arrivals), final + 1):
        start = programme.column(integer=True)
        starts[day] = [start]
        balance = [*before, *arrivals.get(day, []), start]
        signs = [1.0] * (len(balance) - 1) + [-1.0]
        if day == final:
            programme.row(balance, signs, lower=0.0, upper=0.0)
            break
        waiting = programme.column(integer=True)
        programme.row([*balance, waiting], [*signs, -1.0], lower=0.0, upper=0.0)
        recent = _window(arrivals, day, hold_days)
        programme.row([waiting, *recent], [1.0, *[-1.0] * len(recent)], upper=0.0)
        before = [waiting]
    return starts
