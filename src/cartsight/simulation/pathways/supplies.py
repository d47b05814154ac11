"""Stocks of vector and other materials, the lots that refill them, and what a run does when there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from cartsight.core.distributions import Constant
from cartsight.scenario.supplies import SecondSource, Supply, SupplySource
from cartsight.simulation import Calendar, FlowModel, FlowResult, Goto
from cartsight.simulation import steps as s
from cartsight.simulation.pathways.patients import Window
from cartsight.simulation.pathways.plants import UNLIMITED

FIRST = 1
"""Class in the queue of a stock of what refills a reserve: before patients who have not worsened."""

RECEIVED, REJECTED = "supply received", "supply rejected"
STOCK_OUT = "stock-out"
"""Start of the mark of a run that found a stock empty: "stock-out: vector"."""

UNITS, TODAY = "units of the lot", "today"
LEFT = "days left"
RESERVE_ROW = "row of stocks"
"""Attribute of the taker: 0 the common stock only, 1 the common stock, then the reserve."""

RESTOCKED, TOO_OLD = "moved to the reserve", "expired before the reserve"


def stock_of(name: str) -> str:
    """Return the name of the engine's stock of a supply."""
    return f"supply: {name}"


def reserve_of(name: str) -> str:
    """Return the name of the engine's stock that is kept back for patients who worsened."""
    return f"supply reserve: {name}"


def expires_of(name: str) -> str:
    """Return the lot attribute that holds the day of expiry of a unit of a supply with a reserve."""
    return f"expires on: {name}"


def source_of(name: str, supply: Supply) -> str:
    """Return what a run takes from: a stock, or the choice between the common stock and the reserve."""
    return f"supply or reserve: {name}" if supply.reserve else stock_of(name)


def declare_supplies(model: FlowModel, supplies: Mapping[str, Supply], window: Window) -> None:
    """Declare the stock and the lots of every supply.

    Lot programs use lot attributes that are declared here.
    """
    if not supplies:
        return
    for attribute in (UNITS, TODAY):
        if attribute not in model.lot_attributes:
            model.attribute(attribute, entity="lot")
    for name, supply in supplies.items():
        model.program(f"lot of {name}", _lot(model, name, supply), entity="lot")
        kept = min(supply.reserve, supply.initial_stock)
        common = supply.initial_stock - kept
        model.stock(
            stock_of(name),
            initial=[(common, supply.source.shelf_life.x)] if common else [],
            reorder_point=float(supply.reorder_point),
            order_up_to=float(supply.order_up_to),
            lot_program=f"lot of {name}",
            doses_per_lot=supply.expected_units_per_order(),
            review_until=window.arrivals_end,
        )
        if supply.reserve:
            _declare_reserve(model, name, supply, kept, window)


def _declare_reserve(model: FlowModel, name: str, supply: Supply, kept: int, window: Window) -> None:
    """Declare the stock kept back: what is taken from it is moved from the common stock, one unit at a time."""
    # Stock at the start has the shelf life of the first source.
    expires = expires_of(name)
    model.attribute(expires, supply.source.shelf_life.x, entity="lot")
    if LEFT not in model.lot_attributes:
        model.attribute(LEFT, entity="lot")
    if RESERVE_ROW not in model.attributes:
        model.attribute(RESERVE_ROW)
    program = f"to the reserve of {name}"
    model.program(
        program,
        [
            s.Take(stock_of(name), 1, copy={expires: expires}, priority=FIRST),
            s.Now(LEFT, times=-1.0),
            s.Add(LEFT, expires),
            s.Test(LEFT, ">", 0.0, otherwise=s.End(TOO_OLD)),
            s.Put(program, reserve_of(name), 1, LEFT),
            s.End(RESTOCKED),
        ],
        entity="lot",
    )
    model.stock(
        reserve_of(name),
        initial=[(kept, supply.source.shelf_life.x)] if kept else [],
        reorder_point=float(supply.reserve - 1),
        order_up_to=float(supply.reserve),
        lot_program=program,
        review_until=window.arrivals_end,
    )
    model.depots(
        source_of(name, supply),
        [stock_of(name), reserve_of(name)],
        attribute=RESERVE_ROW,
        matrix=[[0, 0], [0, 1]],
    )


def _lot(model: FlowModel, name: str, supply: Supply) -> list[s.Step]:
    steps: list[s.Step] = [s.Mark(f"{name}: ordered")]
    other = supply.second_source
    if other is not None:
        if other.qualified_on_day > 0.0:
            steps += [s.Now(TODAY), s.Test(TODAY, ">=", other.qualified_on_day, otherwise="first")]
        steps += [
            *_while_closed(name, supply.source),
            s.Chance(f"{name}: from the second source", other.share.x, otherwise="first"),
            s.Label("second"),
            *_from(model, f"{name}, second source", name, other, supply.reserve > 0),
            s.Label("first"),
        ]
    return [*steps, *_from(model, name, name, supply.source, supply.reserve > 0)]


def _while_closed(name: str, source: SupplySource) -> list[s.Step]:
    """Return the steps that send an order to the second source while the first is closed."""
    steps: list[s.Step] = [s.Now(TODAY)] if source.outages else []
    for number, (first, last) in enumerate(source.outages):
        following = f"{name}: not outage {number + 1}"
        steps += [
            s.Test(TODAY, ">=", first, otherwise=following),
            s.Test(TODAY, "<", last, otherwise=following),
            s.Jump("second"),
            s.Label(following),
        ]
    return steps


def _put(who: str, name: str, source: SupplySource, dated: bool) -> list[s.Step]:
    life = source.shelf_life.distribution
    if not dated:
        return [s.Put(f"{who}: to stock", stock_of(name), UNITS, life)]
    return [
        s.Set(LEFT, life, name=f"{who}: shelf life"),
        s.Now(expires_of(name)),
        s.Add(expires_of(name), LEFT),
        s.Put(f"{who}: to stock", stock_of(name), UNITS, LEFT),
    ]


def _from(model: FlowModel, who: str, name: str, source: SupplySource, dated: bool) -> list[s.Step]:
    lead: list[s.Step] = [s.Delay(f"{who}: lead time", source.lead_time.distribution)]
    if source.lots_at_once is not None or source.outages:
        calendar = Calendar(outages=source.outages) if source.outages else None
        model.resource(f"supplier/{who}", source.lots_at_once or UNLIMITED, calendar=calendar)
        lead = [s.Seize(f"supplier/{who}"), *lead, s.Free(f"supplier/{who}")]
    hold: list[s.Step] = []
    if source.quality_control_hold is not None:
        hold = [s.Delay(f"{who}: quality control hold", source.quality_control_hold.distribution)]
    return [
        *([s.Mark(f"{name}: second source")] if isinstance(source, SecondSource) else []),
        *lead,
        s.Mark(f"{name}: received"),
        *hold,
        s.Chance(f"{who}: lot passes", 1.0 - source.failure.x, otherwise=s.End(REJECTED)),
        s.Set(UNITS, source.law_of_units, name=f"{who}: units of the lot"),
        # A stock rounds to the nearest whole unit; what is not enough for a run is of no use.
        s.Add(UNITS, -0.5 + 1e-9),
        *_put(who, name, source, dated),
        s.End(RECEIVED),
    ]


def take_supplies(model: FlowModel, supplies: Mapping[str, Supply], by_class: str, *, on_line: bool) -> list[s.Step]:
    """Return the steps that take what a run needs, just before its start.

    Parameters
    ----------
    by_class : str
        Attribute with the class of the taker, for supplies that go to worsened patients first.
    on_line : bool
        Whether a run that finds nothing waits with its line (fresh cells), instead of giving it back.
    """
    steps: list[s.Step] = []
    for name, supply in supplies.items():
        take = s.Take(source_of(name, supply), supply.units_per_run, priority=_class(supply, by_class))
        if on_line:
            steps.append(take)
            continue
        clock = f"no {name}"
        model.clock(clock, Goto(clock), law=Constant(0.0), armed=False)
        steps += [s.Arm(clock), take, s.Disarm(clock)]
    return steps


def _class(supply: Supply, by_class: str) -> str | None:
    return None if supply.allocation == "first_in_line" else by_class


def after_stock_out(
    supplies: Mapping[str, Supply], by_class: str, again: Callable[[str], list[s.Step]], *, on_line: bool, lost: str
) -> list[s.Step]:
    """Return what follows when a stock was empty: wait off the line, or book another slot.

    `again` takes a line back after a wait, with every later supply still to take; its argument keeps names apart. `lost`
    is the label to book from.
    """
    steps: list[s.Step] = []
    if on_line:
        return steps
    names = list(supplies)
    waited = 0
    for number, (name, supply) in enumerate(supplies.items()):
        steps += [s.Label(f"no {name}"), s.Mark(f"{STOCK_OUT}: {name}", keep="first", log=True)]
        if supply.stock_out == "lose":
            assert supply.rebooking is not None
            steps += [s.Delay(f"rebooking without {name}", Constant(supply.rebooking.x)), s.Jump(lost)]
            continue
        steps.append(s.Take(source_of(name, supply), supply.units_per_run, priority=_class(supply, by_class)))
        steps += again("after a stock-out" if not waited else f"after a stock-out of {name}")
        waited += 1
        for later in names[number + 1 :]:
            after = supplies[later]
            steps.append(s.Take(source_of(later, after), after.units_per_run, priority=_class(after, by_class)))
        steps.append(s.Jump("supplied"))
    return steps


def supply_counts(result: FlowResult, supplies: Mapping[str, Supply], window: Window) -> dict[str, float]:
    """Return lots and units of every supply in the window, by name."""
    counts: dict[str, float] = {}
    days = window.end - window.start
    for name in supplies:
        use = result.stock(stock_of(name), window=True)
        kept = result.stock(reserve_of(name), window=True) if reserve_of(name) in result.on_hand else None
        counts[f"{name} lots ordered"] = _marks(result, f"{name}: ordered", window)
        counts[f"{name} lots received"] = _marks(result, f"{name}: received", window)
        counts[f"{name} lots from the second source"] = _marks(result, f"{name}: second source", window)
        counts[f"{name} units received"] = use.received
        # What moved to the reserve left the common stock and came into the other, or was too old to.
        moved = kept.received if kept is not None else 0.0
        old = _too_old(result, reserve_of(name), window) if kept is not None else 0.0
        counts[f"{name} units used"] = use.taken - moved - old + (kept.taken if kept is not None else 0.0)
        counts[f"{name} units expired"] = use.expired + old + (kept.expired if kept is not None else 0.0)
        counts[f"{name} share of days without stock"] = use.stock_out / days
        counts[f"{name} waiting days"] = use.waiting
    return counts


def _too_old(result: FlowResult, stock: str, window: Window) -> float:
    """Return the units that expired on the way to a reserve: both stocks empty at one instant when a lot expires."""
    if TOO_OLD not in result.lots.statuses:
        return 0.0
    day = result.lots.end_time
    ended = result.lots.of(stock) & result.lots.ended(TOO_OLD)
    return float(np.count_nonzero(ended & (day >= window.start) & (day < window.end)))


def supply_waits(result: FlowResult, supplies: Mapping[str, Supply]) -> dict[str, float]:
    """Return the days that runs waited for every supply in the window, summed, by name."""
    return {name: result.stock(stock_of(name), window=True).waiting for name in supplies}


def _marks(result: FlowResult, name: str, window: Window) -> float:
    if name not in {mark for mark, _ in result.lots.mark_names}:
        return 0.0
    day = result.lots.mark(name)
    return float(np.count_nonzero((day >= window.start) & (day < window.end)))
