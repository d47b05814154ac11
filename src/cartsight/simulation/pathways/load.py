"""Offered load of every resource before a run: what would be busy if nobody ever had to wait.

The model itself is run once with unlimited servers, so that attrition, remakes, lots and deaths on the way all count as
they are, and the work that reaches each resource is divided by the capacity on duty. A load of one or more means that a
queue grows without end and is emptied only by patients who die or become ineligible in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cartsight.core.errors import InputError
from cartsight.scenario import Scenario
from cartsight.scenario.arms import LotArm
from cartsight.simulation import FlowModel, compile_model
from cartsight.simulation.model import Resource
from cartsight.simulation.pathways.bank import MASTER_BANK, WORKING_BANK
from cartsight.simulation.pathways.build import build_model
from cartsight.simulation.pathways.flow import simulate_patients
from cartsight.simulation.pathways.patients import generate_patients, observation_window
from cartsight.simulation.pathways.plants import LINE
from cartsight.simulation.pathways.shared_lines import FILL_LINE, own_share
from cartsight.simulation.result import FlowResult

UNLIMITED = 1_000_000
BUSY = 0.9
_NUMBERED = re.compile(r" \d+$")


@dataclass(frozen=True, slots=True)
class ArmLoad:
    """Offered load by pool of resources, and warnings in words."""

    offered: dict[str, float]
    warnings: tuple[str, ...]


def check_arm(scenario: Scenario, arm_name: str) -> ArmLoad:
    """Check the pathway of an arm and return the load on its resources.

    Raises
    ------
    InputError
        A pathway that cannot work; or a load of one or more, unless the analysis allows overload.
    """
    window = observation_window(scenario)
    model = build_model(scenario, arm_name, window)
    compile_model(model)
    if not model.resources:
        return ArmLoad({}, ())
    unlimited = _unlimited(model)
    patients = generate_patients(scenario, scenario.analysis.seed, window)
    result = simulate_patients(
        scenario, compile_model(unlimited, check=False), patients, scenario.analysis.seed, window, arm_name=arm_name
    )
    arm = scenario.arms[arm_name]
    shares = {pool: own_share(arm.lots, pool) for pool in (LINE, FILL_LINE)} if isinstance(arm, LotArm) else {}
    offered = {pool: load / shares.get(pool.split("/", 1)[0], 1.0) for pool, load in _offered(model, result).items()}
    warnings = []
    if isinstance(arm, LotArm) and _bank_used_up(arm, result):
        warnings.append("cell bank: the master bank is used up before the end of the run, and no lot follows")
    for pool, load in sorted(offered.items(), key=lambda item: -item[1]):
        if load >= 1.0:
            text = f"{pool}: offered load {load:.2f}: the queue never empties"
            if not scenario.analysis.allow_overload:
                raise InputError(
                    text,
                    found=round(load, 3),
                    allowed="below 1",
                    hint="Add capacity, or set analysis.allow_overload = true when the shortage is what you study.",
                )
            warnings.append(text + "; patients leave it by infusion, death or becoming ineligible")
        elif load >= BUSY:
            warnings.append(
                f"{pool}: offered load {load:.2f}: this resource binds, and small changes move the wait much"
            )
    return ArmLoad(offered, tuple(warnings))


def _unlimited(model: FlowModel) -> FlowModel:
    copy = replace(model)
    copy.resources = {
        name: replace(resource, capacity=UNLIMITED, calendar=None) for name, resource in model.resources.items()
    }
    # Servers without end would each remember a product, and never change over.
    copy.setups = {}
    return copy


def _offered(model: FlowModel, result: FlowResult) -> dict[str, float]:
    """Return load by pool: resources that share work, or like resources of one region.

    A closed day of the week stops new starts and not the runs in progress, so that it is no loss of capacity here; the
    simulation itself shows what it costs. Shutdowns, outages and media fills cost what `lost_to_closure` says, shifts
    what their hours are short of all hours, and lines count from the day they run. Changeovers depend on the order of
    batches and are left out.
    """
    shared = {
        name
        for group in model.groups.values()
        if group.rule not in ("fixed", "by_attribute")
        for name in group.candidates
    }
    days = result.window[1] - result.window[0]
    work: dict[str, float] = {}
    capacity: dict[str, float] = {}
    for name, resource in model.resources.items():
        pool = name.split("/", 1)[0] if name in shared else _NUMBERED.sub("", name)
        use = result.resource(name, window=True)
        work[pool] = work.get(pool, 0.0) + use.busy / days
        hold = use.busy / use.seizes if use.seizes > 0 else 0.0
        capacity[pool] = capacity.get(pool, 0.0) + on_duty(resource, result.window, hold)
    return {pool: work[pool] / capacity[pool] if capacity[pool] > 0.0 else math.inf for pool in work}


def on_duty(resource: Resource, window: tuple[float, float], hold_days: float) -> float:
    """Return the mean number of servers that can be busy over the window, when each is held for `hold_days`."""
    calendar = resource.calendar
    if calendar is None:
        return float(resource.capacity)
    days = window[1] - window[0]
    changes = sorted(calendar.changes) or [(0.0, resource.capacity)]
    ends = [day for day, _ in changes[1:]] + [math.inf]
    servers = sum(
        capacity * max(0.0, min(end, window[1]) - max(day, window[0]))
        for (day, capacity), end in zip(changes, ends, strict=True)
    )
    servers /= days
    if any(len(shift) == 3 for shift in calendar.windows):
        hours = sum((shift[1] - shift[0]) * (shift[2] if len(shift) == 3 else servers) for shift in calendar.windows)
        servers = hours / calendar.period_days
    for outage in _apart(calendar.outages):
        inside = min(outage[1], window[1]) - max(outage[0], window[0])
        if inside > 0.0:
            closed = min(outage[2], servers) if len(outage) == 3 else servers
            servers -= closed * lost_to_closure(inside, hold_days) / days
    return max(servers, 0.0)


def _bank_used_up(arm: LotArm, result: FlowResult) -> bool:
    bank = arm.lots.cell_bank
    return bank is not None and not result.on_hand[MASTER_BANK] and result.on_hand[WORKING_BANK] < bank.vials_per_lot


def _apart(outages: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Return outages with those of all servers joined where they overlap: a closed day is lost once."""
    joined: list[tuple[float, ...]] = []
    for outage in sorted(outage for outage in outages if len(outage) == 2):
        if joined and outage[0] <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], outage[1]))
        else:
            joined.append(outage)
    return joined + [outage for outage in outages if len(outage) == 3]


def lost_to_closure(closed_days: float, hold_days: float) -> float:
    """Return the days that a busy server stands idle when no work starts for `closed_days`, held `hold_days` each time.

    The work in progress ends at a time that is uniform over the hold; the server then stands until the end of the
    closure: d^2 / 2L for a closure of d within a hold of L, else d - L / 2.
    """
    if closed_days <= hold_days:
        return 0.5 * closed_days**2 / hold_days
    return closed_days - 0.5 * hold_days
