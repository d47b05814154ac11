"""Lines that make and fill lots, and the calendar of lines that another use has part of the time."""

from __future__ import annotations

from cartsight.scenario.fill import SharedLine
from cartsight.scenario.lots import LotProcess
from cartsight.simulation import Calendar, FlowModel
from cartsight.simulation.pathways.patients import Window
from cartsight.simulation.pathways.plants import LINE, calendar_of, servers_of

FILL_LINE = "fill line"
LONGEST_PERIOD_DAYS = 1e6


def shared_calendar(shared: SharedLine, number: int, lines: int, window: Window) -> Calendar | None:
    """Return when line `number` of `lines` is open to this product; campaigns of the lines follow one another."""
    surges = () if shared.priority_in_surge == "own_product" else shared.surges
    surges = tuple((first, last) for first, last in surges if first < window.arrivals_end)
    share = min(shared.other_use_fraction.x, 0.999)
    # A share so small that a campaign comes once in thousands of years is none.
    if shared.campaign.x <= 0.0 or share * LONGEST_PERIOD_DAYS <= shared.campaign.x:
        return Calendar(outages=surges) if surges else None
    period = shared.campaign.x / share
    return Calendar(
        windows=((shared.campaign.x, period),),
        outages=surges,
        period_days=period,
        first_day=period * number / lines,
    )


def declare_lines(model: FlowModel, lots: LotProcess, window: Window) -> None:
    """Declare the lines of every site and the fill lines, each line on its own where another use shares them."""
    if lots.shared is None:
        names = [f"{LINE}/{i + 1}" for i in range(lots.sites)]
        site = lots.site
        for name in names:
            model.resource(name, servers_of(site, LINE) or 1, calendar=calendar_of(site, LINE, window))
        model.group(LINE, names, rule="first_free" if len(names) > 1 else "fixed")
    else:
        _shared(model, LINE, lots.lines * lots.sites, lots.shared, window)
    line = lots.fill_line
    if line is None:
        return
    if line.shared is None:
        model.resource(f"{FILL_LINE}/1", line.lines)
        model.group(FILL_LINE, [f"{FILL_LINE}/1"], rule="fixed")
    else:
        _shared(model, FILL_LINE, line.lines, line.shared, window)


def _shared(model: FlowModel, pool: str, lines: int, shared: SharedLine, window: Window) -> None:
    names = [f"{pool}/{i + 1}" for i in range(lines)]
    for number, name in enumerate(names):
        model.resource(name, 1, calendar=shared_calendar(shared, number, lines, window))
    model.group(pool, names, rule="first_free" if lines > 1 else "fixed")


def own_share(lots: LotProcess, pool: str) -> float:
    """Return the share of the time that a pool of lines is left to this product, surges aside."""
    shared = lots.shared if pool == LINE else lots.fill_line.shared if lots.fill_line is not None else None
    return 1.0 if shared is None or pool not in (LINE, FILL_LINE) else 1.0 - shared.other_use_fraction.x
