"""The reference interpreter: the same tables in plain Python, written for reading, not for speed.

Entities are objects, queues are lists, the event list is `heapq` and statistics are sums of intervals. Only the order
of arithmetic that decides a trajectory is shared with the kernel, so that times agree to the last bit.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cartsight.core.normal import (
    CENTRAL_CONSTANT,
    CENTRAL_DENOMINATOR,
    CENTRAL_LIMIT,
    CENTRAL_NUMERATOR,
    MIDDLE_DENOMINATOR,
    MIDDLE_LIMIT,
    MIDDLE_NUMERATOR,
    MIDDLE_SHIFT,
    TAIL_DENOMINATOR,
    TAIL_NUMERATOR,
)
from cartsight.core.streams import GOLDEN, MASK, MIX_1, MIX_2, UNIFORM_SCALE, stable_hash
from cartsight.simulation import tables as t
from cartsight.simulation.state import (
    BATCHES,
    CAPACITY_CHANGE,
    CHILD,
    CLOCK,
    CULPRIT,
    CULPRIT_GROUP,
    DOSED,
    EVENTS,
    EXPIRY,
    LOGGED,
    PATIENT,
    REPAIRED,
    ROWS,
    STEP_END,
    RunState,
    initial_state,
)

RUNNING, DELAYED, QUEUEING, IN_STOCK_QUEUE, JOINING = "running", "delayed", "queueing", "in stock queue", "joining"


class Stopped(Exception):
    """The run cannot go on."""

    def __init__(self, outcome: int, culprit: int = -1, group: int = -1) -> None:
        self.outcome, self.culprit, self.group = outcome, culprit, group


def absorb(state: int, word: int) -> int:
    """Absorb a 64-bit word into a key."""
    x = ((state ^ word) + GOLDEN) & MASK
    x = ((x ^ (x >> 30)) * MIX_1) & MASK
    x = ((x ^ (x >> 27)) * MIX_2) & MASK
    return x ^ (x >> 31)


def uniform(key: int, slot: int, occurrence: int, flip: int = 0) -> float:
    """Return the uniform of a key, slot and occurrence."""
    return (((absorb(absorb(key, slot), occurrence) ^ flip) >> 12) + 0.5) * UNIFORM_SCALE


def _ratio(x: float, numerator: tuple[float, ...], denominator: tuple[float, ...]) -> float:
    top, bottom = numerator[7], denominator[7]
    for i in range(6, -1, -1):
        top, bottom = top * x + numerator[i], bottom * x + denominator[i]
    return top / bottom


def normal_quantile(p: float) -> float:
    """Return the standard normal quantile (Wichura 1988, AS 241)."""
    q = p - 0.5
    if abs(q) <= CENTRAL_LIMIT:
        return q * _ratio(CENTRAL_CONSTANT - q * q, CENTRAL_NUMERATOR, CENTRAL_DENOMINATOR)
    r = math.sqrt(-math.log(p if q < 0.0 else 1.0 - p))
    if r <= MIDDLE_LIMIT:
        z = _ratio(r - MIDDLE_SHIFT, MIDDLE_NUMERATOR, MIDDLE_DENOMINATOR)
    else:
        z = _ratio(r - MIDDLE_LIMIT, TAIL_NUMERATOR, TAIL_DENOMINATOR)
    return -z if q < 0.0 else z


@dataclass
class Unit:
    """One server that remembers its product, or breaks down."""

    resource: int
    number: int
    product: int
    run: int = 0
    state: str = "idle"
    taken: float = 0.0
    left: float = 0.0
    breaks: int = 0


@dataclass
class Entity:
    """One entity in the system."""

    row: int
    kind: int
    key: int
    pc: int
    attributes: list[float]
    origin: float
    state: int = 0
    own_class: int = 0
    class_now: int = 0
    mode: str = RUNNING
    version: int = 0
    step_time: float = math.inf
    ticket: int = 0
    # resource, group, since, unit, row of the seize
    held: list[tuple[int, int, float, Unit | None, int]] = field(default_factory=list)
    product: int = -1
    change: int = -1  # entry of the changeover matrix to be drawn
    changing: int = -1  # resource being changed over
    change_since: float = 0.0
    wanted: list[tuple[int, int]] = field(default_factory=list)
    waits_for: int = -1
    waits_since: float = 0.0
    budget: dict[int, float] = field(default_factory=dict)
    factor: dict[int, float] = field(default_factory=dict)
    due: dict[int, float] = field(default_factory=dict)
    hazard_time: float = 0.0
    counts: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    marks: dict[int, float] = field(default_factory=dict)
    parent: int = -1
    children: int = 0
    ordered: float = 0.0
    gone: bool = False

    @property
    def clock_time(self) -> float:
        """When the first clock fires, or the first server held breaks down."""
        return min(self.break_time, min(self.due.values(), default=math.inf))

    @property
    def break_time(self) -> float:
        """When the first server held breaks down."""
        return min((held[3].taken + held[3].left for held in self.held if held[3] is not None), default=math.inf)


@dataclass
class Batch:
    """Doses of one lot on hand."""

    lot: Entity | int
    left: int
    expiry: float
    number: int
    stock: int
    day: float
    doses: int
    expired: int = 0
    withdrawn: int = 0
    removed: float = math.nan


class Interpreter:
    """One run."""

    def __init__(self, tables: t.ModelTables, inputs: t.EntityInputs, window: tuple[float, float], limit: int) -> None:
        # Python numbers throughout, so that nothing is done in other precision.
        self.T: Any = t.ModelTables(*(column.tolist() for column in tables))
        self.slot_hash = tables.slot_hash.tolist()
        self.inputs = inputs
        self.window, self.limit = window, limit
        self.size = tables.sizes.tolist()
        self.arrivals = inputs.time.size
        self.width = self.size[t.SIZE_ATTRIBUTES]
        self.kind_state = inputs.kind_state.tolist()
        self.flip = int(inputs.flip[0])
        self.now = 0.0
        self.work = 0
        self.events: list[tuple[float, int, int, int]] = []
        self.ready: deque[Entity] = deque()
        self.entities: dict[int, Entity] = {}
        self.ended: dict[int, tuple[float, int, Entity]] = {}
        self.started: list[tuple[float, int, int, int]] = []  # dynamic rows: start, stock, number, parent
        self.log: list[tuple[int, int, float]] = []
        self.patients = 0
        self.tickets = 0
        resources, stocks = len(self.T.initial_capacity), len(self.T.stock_rule)
        self.capacity = list(self.T.initial_capacity)
        self.free = list(self.capacity)
        self.queues: list[list[Entity]] = [[] for _ in range(resources)]
        self.change = [0] * resources
        self.shift = [0.0] * resources
        self.use = np.zeros((resources, t.RESOURCE_STATISTICS))
        self.down = [0] * resources
        self.units: list[list[Unit]] = []
        for r, rule in enumerate(self.T.server_rule):
            first = rule[t.UNIT_FIRST]
            units = [Unit(r, i, self.T.initial_product[first + i]) for i in range(rule[t.UNITS])]
            self.units.append(units)
            for unit in units:
                self.renew(unit)
        self.counter = list(self.T.counter_start)
        self.doses: list[tuple[int, int, int, int, float]] = []  # taker, lot, doses, stock, day
        self.capacity_since = [0.0] * resources
        self.busy_since = [0.0] * resources
        self.idle_changes = 0
        self.batches: list[list[Batch]] = [[] for _ in range(stocks)]
        self.batch_of: list[tuple[int, Batch]] = []
        self.stock_queues: list[list[Entity]] = [[] for _ in range(stocks)]
        self.on_order = [0.0] * stocks
        self.lots = [0] * stocks
        self.children_started = 0
        self.review = [True] * stocks
        self.to_start = [0] * stocks
        self.stock_use = np.zeros((stocks, t.STOCK_STATISTICS))
        self.stock_since = [0.0] * stocks
        self.open_calendars()
        self.put_initial_stock()

    # Sums over time ----------------------------------------------------------------------------------------------

    def inside(self) -> float:
        return 1.0 if self.window[0] <= self.now < self.window[1] else 0.0

    def clip(self, day: float) -> float:
        return min(max(day, self.window[0]), self.window[1])

    def integrate(self, sums: np.ndarray, column: int, value: float, since: float) -> None:
        sums[column] += value * (self.now - since)
        sums[column + 1] += value * (self.clip(self.now) - self.clip(since))

    def count(self, sums: np.ndarray, column: int, value: float = 1.0) -> None:
        sums[column] += value
        sums[column + 1] += value * self.inside()

    def settle_resource(self, r: int) -> None:
        over = max(0, -(self.free[r] + self.down[r]))
        self.integrate(self.use[r], t.DRAIN, over, self.busy_since[r])
        self.busy_since[r] = self.now

    def settle_stock(self, s: int) -> None:
        doses = self.on_hand(s)
        self.integrate(self.stock_use[s], t.ON_HAND, doses, self.stock_since[s])
        self.integrate(self.stock_use[s], t.STOCK_OUT, float(doses == 0), self.stock_since[s])
        self.stock_since[s] = self.now

    # Laws --------------------------------------------------------------------------------------------------------

    def quantile(self, law: int, u: float) -> float:
        kind, first, value, knots = self.T.law_code[law]
        p0, p1, p2, p3 = self.T.law_parameter[law]
        if kind == t.CONSTANT:
            return float(p0)
        if kind == t.EXPONENTIAL:
            return float(-p0 * math.log1p(-u))
        if kind == t.UNIFORM:
            return float(p0 + p1 * u)
        if kind == t.TRIANGULAR:
            if u < p3:
                return float(p0 + math.sqrt(u * (p2 - p0) * (p1 - p0)))
            return float(p2 - math.sqrt((1.0 - u) * (p2 - p0) * (p2 - p1)))
        if kind == t.NORMAL:
            return float(p0 + p1 * normal_quantile(u))
        if kind == t.LOGNORMAL:
            return math.exp(p0 + p1 * normal_quantile(u))
        if kind == t.WEIBULL:
            return float(p0 * math.pow(-math.log1p(-u), p1))
        probabilities = self.T.knot_probability[first : first + knots]
        at = min(max(bisect_right(probabilities, u) - 1, 0), knots - 2)
        share = (u - probabilities[at]) / (probabilities[at + 1] - probabilities[at])
        below, above = self.T.knot_value[value + at : value + at + 2]
        return float(p0 + p1 * (below + share * (above - below)))

    def effects(self, entity: Entity, first: int, count: int) -> float:
        total = 0.0
        for i in range(first, first + count):
            total += self.T.effect_beta[i] * entity.attributes[self.T.effect_attribute[i]]
        return total

    def occurrence(self, entity: Entity, counter: int) -> int:
        if counter < 0:
            return 0
        entity.counts[counter] += 1
        return entity.counts[counter] - 1

    def draw(self, entity: Entity, row: list[int], which: int = 0) -> float:
        seen = self.occurrence(entity, row[t.OCCURRENCE])
        return uniform(entity.key, self.slot_hash[entity.pc][which], seen, self.flip)

    # Clocks ------------------------------------------------------------------------------------------------------

    def pieces(self, entity: Entity, k: int) -> list[tuple[float, float, float]]:
        """Return (start, end, rate) of the hazard in the present state, by time since arrival."""
        clock = self.T.clock_rule[k]
        days = [*self.T.clock_break[clock[4] : clock[4] + clock[5]], math.inf]
        first = clock[6] + entity.state * clock[5]
        return [(days[i], days[i + 1], self.T.clock_rate[first + i] * entity.factor[k]) for i in range(clock[5])]

    def hazard_due(self, entity: Entity, k: int) -> float:
        pieces, left = self.pieces(entity, k), entity.budget[k]
        if len(pieces) == 1:
            rate = pieces[0][2]
            return self.now + left / rate if rate > 0.0 else math.inf
        age = self.now - entity.origin
        for i, (_, end, rate) in enumerate(pieces):
            if end <= age:
                continue
            used = rate * (end - age) if i + 1 < len(pieces) else math.inf if rate > 0.0 else 0.0
            if rate > 0.0 and used >= left:
                return max(self.now, entity.origin + age + left / rate)
            left -= used
            age = end
        return math.inf

    def use_hazards(self, entity: Entity) -> None:
        if self.now > entity.hazard_time:
            for k in sorted(entity.budget):
                if self.T.clock_rule[k][0] == t.HAZARD:
                    left = entity.budget[k] - self.used(entity, k)
                    entity.budget[k] = left if left > 0.0 else 0.0
        entity.hazard_time = self.now

    def used(self, entity: Entity, k: int) -> float:
        pieces = self.pieces(entity, k)
        if len(pieces) == 1:
            return pieces[0][2] * (self.now - entity.hazard_time)
        start, until = entity.hazard_time - entity.origin, self.now - entity.origin
        total = 0.0
        for low, high, rate in pieces:
            if min(until, high) > max(start, low):
                total += rate * (min(until, high) - max(start, low))
        return total

    def clock_factor(self, entity: Entity, k: int) -> float:
        first, count = self.T.clock_rule[k][8:10]
        return _exp(self.effects(entity, first, count)) if count else 1.0

    def rescale_hazards(self, entity: Entity) -> None:
        for k in sorted(entity.budget):
            if self.T.clock_rule[k][0] == t.HAZARD:
                entity.factor[k] = self.clock_factor(entity, k)
                entity.due[k] = self.hazard_due(entity, k)

    def arm(self, entity: Entity, k: int) -> None:
        clock = self.T.clock_rule[k]
        u = uniform(entity.key, self.T.clock_slot[k], self.occurrence(entity, clock[10]), self.flip)
        entity.factor[k] = self.clock_factor(entity, k)
        if clock[0] == t.DEADLINE:
            entity.budget[k] = 0.0
            entity.due[k] = self.now + self.quantile(clock[7], u) * entity.factor[k]
        else:
            entity.budget[k] = -math.log1p(-u)
            entity.due[k] = self.hazard_due(entity, k)

    def disarm(self, entity: Entity, k: int) -> None:
        for table in (entity.budget, entity.factor, entity.due):
            table.pop(k, None)

    # Queues and resources ----------------------------------------------------------------------------------------

    def schedule(self, entity: Entity) -> None:
        entity.version += 1
        if entity.mode == DELAYED and entity.step_time <= entity.clock_time:
            heapq.heappush(self.events, (entity.step_time, STEP_END, entity.row, entity.version))
        elif entity.clock_time < math.inf:
            heapq.heappush(self.events, (entity.clock_time, CLOCK, entity.row, entity.version))

    def blocking(self, entity: Entity) -> int:
        return next((r for r, _ in entity.wanted if self.free[r] <= 0), -1)

    def take_servers(self, entity: Entity) -> None:
        for r, group in entity.wanted:
            self.settle_resource(r)
            self.free[r] -= 1
            unit = self.take_unit(entity, r) if self.units[r] else None
            entity.held.append((r, group, self.now, unit, entity.pc))
            self.count(self.use[r], t.SEIZES)
        entity.wanted = []

    def wait_for(self, entity: Entity, r: int) -> None:
        entity.mode, entity.waits_for, entity.waits_since = QUEUEING, r, self.now
        self.queues[r].append(entity)
        self.queues[r].sort(key=lambda e: (e.class_now, e.ticket))

    def stop_waiting(self, entity: Entity) -> None:
        r = entity.waits_for
        self.queues[r].remove(entity)
        self.integrate(self.use[r], t.QUEUE, 1.0, entity.waits_since)

    def serve(self, r: int) -> None:
        while self.free[r] > 0 and self.queues[r]:
            entity = self.next_in_queue(r)
            self.stop_waiting(entity)
            other = self.blocking(entity)
            if other < 0:
                self.take_servers(entity)
                if entity.change < 0:
                    self.go_on(entity)
                else:
                    entity.mode = RUNNING
                    self.ready.append(entity)
            else:
                self.wait_for(entity, other)

    def go_on(self, entity: Entity) -> None:
        entity.pc += 1
        entity.mode = RUNNING
        self.ready.append(entity)

    def give_back(self, entity: Entity, groups: list[int] | None) -> None:
        returned = []
        order = entity.held if groups is None else [h for g in groups for h in entity.held if h[1] == g]
        for held in list(order):
            r, _, since, unit, _ = held
            self.settle_resource(r)
            entity.held.remove(held)
            if unit is not None:
                unit.state = "idle"
                unit.left = max(0.0, unit.left - (self.now - unit.taken))
            self.free[r] += 1
            self.integrate(self.use[r], t.BUSY, 1.0, since)
            returned.append(r)
        for r in returned:
            self.serve(r)

    # Servers that differ -----------------------------------------------------------------------------------------

    def unit_draw(self, unit: Unit, law: int, name: str, occurrence: int) -> float:
        key = absorb(self.kind_state[2 + len(self.T.stock_rule) + unit.resource], unit.number)
        return self.quantile(law, uniform(key, stable_hash(name), occurrence, self.flip))

    def renew(self, unit: Unit) -> None:
        """Draw the running time to the next breakdown."""
        law = self.T.server_rule[unit.resource][t.BREAKDOWN]
        unit.left = math.inf if law < 0 else self.unit_draw(unit, law, "running time to breakdown", unit.breaks)

    def ready_units(self, r: int) -> list[Unit]:
        return [unit for unit in self.units[r][: self.capacity[r]] if unit.state == "idle"]

    def entry(self, r: int, made: int, product: int) -> int:
        rule = self.T.server_rule[r]
        return int(rule[t.CHANGEOVER] + (made + 1) * rule[t.PRODUCTS] + product)

    def take_unit(self, entity: Entity, r: int) -> Unit:
        has_setup = self.T.server_rule[r][t.PRODUCTS] > 0
        wanted = entity.product

        def cost(unit: Unit) -> float:
            if not has_setup:
                return 0.0
            return -1.0 if unit.product == wanted else self.T.setup_mean[self.entry(r, unit.product, wanted)]

        unit = min(self.ready_units(r), key=cost)
        unit.state, unit.taken = "busy", self.now
        if has_setup:
            entry = self.entry(r, unit.product, wanted)
            if self.T.setup_law[entry] >= 0:
                entity.change, entity.changing = entry, r
            if unit.product == wanted:
                unit.run += 1
            else:
                if unit.product >= 0:
                    self.count(self.use[r], t.CHANGEOVERS)
                unit.product, unit.run = wanted, 1
        return unit

    def next_in_queue(self, r: int) -> Entity:
        """Return the first in line, or who goes on with the campaign of a free server."""
        queue = self.queues[r]
        campaign = self.T.server_rule[r][t.CAMPAIGN]
        if campaign > 1:
            for unit in self.ready_units(r):
                if unit.product >= 0 and unit.run < campaign:
                    for entity in queue:
                        if entity.class_now == queue[0].class_now and entity.product == unit.product:
                            return entity
        return queue[0]

    def end_changeover(self, entity: Entity) -> None:
        if entity.changing >= 0:
            self.integrate(self.use[entity.changing], t.SETUP, 1.0, entity.change_since)
            entity.changing = -1

    def fail_unit(self, entity: Entity) -> int:
        """Put the server that breaks down out of service, and return the row to go on at."""
        due = entity.break_time
        held = next(h for h in entity.held if h[3] is not None and h[3].taken + h[3].left == due)
        r, _, since, unit, seize = held
        assert unit is not None
        entity.held.remove(held)
        self.settle_resource(r)
        self.down[r] += 1
        unit.state, unit.taken = "down", self.now
        self.integrate(self.use[r], t.BUSY, 1.0, since)
        self.count(self.use[r], t.BREAKDOWNS)
        days = self.unit_draw(unit, self.T.server_rule[r][t.REPAIR_LAW], "repair", unit.breaks)
        unit.breaks += 1
        first = self.T.server_rule[r][t.UNIT_FIRST]
        heapq.heappush(self.events, (self.now + days, REPAIRED, first + unit.number, 0))
        return int(self.T.program[seize][t.EXTRA])

    def repaired(self, number: int) -> None:
        unit = next(
            unit for r, units in enumerate(self.units) for unit in units
            if self.T.server_rule[r][t.UNIT_FIRST] + unit.number == number
        )  # fmt: skip
        r = unit.resource
        self.settle_resource(r)
        self.integrate(self.use[r], t.DOWN, 1.0, unit.taken)
        unit.state = "idle"
        self.renew(unit)
        self.down[r] -= 1
        self.free[r] += 1
        self.serve(r)

    def choose(self, entity: Entity, g: int) -> int:
        rule, column, start, count, route, rows, overflow = self.T.group_rule[g]
        candidates = self.T.candidate[start : start + count]
        if rule == t.FIXED:
            return 0
        if rule in (t.BY_ATTRIBUTE, t.NEAREST):
            value = entity.attributes[column]
            if not 0.0 <= value < (rows or count):
                raise Stopped(t.BAD_ROUTE, entity.pc, g)
            line = int(value)
            if rule == t.BY_ATTRIBUTE:
                return line if rows == 0 else int(self.T.route[route + line])
            preference = self.T.route[route + line * count : route + (line + 1) * count]
            for i in preference:
                if self.free[candidates[i]] > 0 or len(self.queues[candidates[i]]) < overflow:
                    return int(i)
            return int(preference[0])
        if rule == t.FIRST_FREE:
            for i, r in enumerate(candidates):
                if self.free[r] > 0:
                    return i
        loads = [(len(self.queues[r]) + self.capacity[r] - self.free[r]) / max(self.capacity[r], 1) for r in candidates]
        return loads.index(min(loads))

    # Calendars and gates -----------------------------------------------------------------------------------------

    def open_calendars(self) -> None:
        for r, (start, count, loop) in enumerate(self.T.calendar_rule):
            if count > 1:
                self.change[r] = start + 1
            elif loop >= 0:
                self.change[r], self.shift[r] = loop, self.T.calendar_period[r]
            else:
                continue
            self.plan_change(r)

    def plan_change(self, r: int) -> None:
        heapq.heappush(self.events, (self.T.change_time[self.change[r]] + self.shift[r], CAPACITY_CHANGE, r, 0))

    def change_capacity(self, r: int) -> None:
        self.settle_resource(r)
        self.integrate(self.use[r], t.CAPACITY, self.capacity[r], self.capacity_since[r])
        self.capacity_since[r] = self.now
        new = self.T.change_capacity[self.change[r]]
        self.free[r] += new - self.capacity[r]
        self.capacity[r] = new
        start, count, loop = self.T.calendar_rule[r]
        self.change[r] += 1
        if self.change[r] == start + count:
            self.change[r] = loop
            self.shift[r] += self.T.calendar_period[r]
        if self.change[r] >= 0:
            self.plan_change(r)
        self.serve(r)

    def next_open(self, g: int) -> float:
        first, once, repeat, repeats = self.T.gate_rule[g]
        start, period = self.T.gate_period[g]
        now = self.now
        if now < start:
            for i in range(first, first + once):
                if self.T.window_close[i] > now:
                    return float(max(now, self.T.window_open[i]))
            now = start
        if repeats == 0:
            return math.inf
        shift = math.floor((now - start) / period) * period
        for i in range(repeat, repeat + repeats):
            if self.T.window_close[i] + shift > now:
                return float(max(now, self.T.window_open[i] + shift))
        return float(self.T.window_open[repeat] + shift + period)

    # Stocks ------------------------------------------------------------------------------------------------------

    def on_hand(self, s: int) -> int:
        return sum(batch.left for batch in self.batches[s])

    def put_initial_stock(self) -> None:
        for i, s in enumerate(self.T.initial_stock):
            self.started.append((0.0, s, -1, -1))
            lot = Entity(self.arrivals + i, s, 0, -1, list(self.T.default_attribute), 0.0)
            self.ended[lot.row] = (0.0, self.size[t.SIZE_INITIAL_STATUS], lot)
            self.store(s, lot, self.T.initial_doses[i], self.T.initial_shelf_life[i])

    def store(self, s: int, lot: Entity, doses: int, expiry: float) -> None:
        self.settle_stock(s)
        batch = Batch(lot, doses, expiry, len(self.batch_of), s, self.now, doses)
        self.batch_of.append((s, batch))
        self.batches[s].append(batch)
        self.batches[s].sort(key=lambda b: (b.expiry, b.number))
        if expiry < math.inf:
            heapq.heappush(self.events, (expiry, EXPIRY, batch.number, 0))

    def expire(self, number: int) -> None:
        s, batch = self.batch_of[number]
        if batch.left > 0:
            self.settle_stock(s)
            self.count(self.stock_use[s], t.EXPIRED, batch.left)
            batch.expired, batch.removed, batch.left = batch.left, self.now, 0
            self.batches[s].remove(batch)
            self.review[s] = True

    def hand_out(self, s: int, taker: Entity) -> None:
        row = self.T.program[taker.pc]
        need = row[t.B]
        self.settle_stock(s)
        self.count(self.stock_use[s], t.TAKEN, need)
        source = self.batches[s][0].lot
        while need > 0:
            batch = self.batches[s][0]
            part = min(need, batch.left)
            batch.left -= part
            need -= part
            assert isinstance(batch.lot, Entity)
            self.doses.append((taker.row, batch.lot.row, part, s, self.now))
            if batch.left == 0:
                self.batches[s].pop(0)
        assert isinstance(source, Entity)
        for i in range(row[t.C], row[t.C] + row[t.D]):
            taker.attributes[self.T.copy_to[i]] = source.attributes[self.T.copy_from[i]]
        if row[t.E] >= 0:
            taker.attributes[row[t.E]] = float(source.row - self.arrivals)

    def leave_stock_queue(self, taker: Entity) -> None:
        s = taker.waits_for
        self.stock_queues[s].remove(taker)
        self.integrate(self.stock_use[s], t.WAITING, 1.0, taker.waits_since)

    def serve_stock(self, s: int) -> None:
        while self.stock_queues[s]:
            taker = self.stock_queues[s][0]
            if self.on_hand(s) < self.T.program[taker.pc][t.B]:
                break
            self.leave_stock_queue(taker)
            self.hand_out(s, taker)
            self.go_on(taker)

    def review_stock(self, s: int) -> None:
        rule = self.T.stock_rule[s][0]
        if rule == t.NO_REVIEW or (self.patients == 0 and self.upcoming >= self.arrivals):
            return
        level, target, planned, until = self.T.stock_level[s]
        if self.now >= until:
            level, target = -1.0, 0.0 if rule == t.ORDER_UP_TO else 1.0
        short = sum(self.T.program[e.pc][t.B] for e in self.stock_queues[s])
        position = self.on_hand(s) + self.on_order[s] + planned * self.to_start[s] - short
        while position <= level:
            lots = math.ceil((target - position if rule == t.ORDER_UP_TO else target) / planned)
            self.to_start[s] += lots
            position += lots * planned

    # Births and deaths -------------------------------------------------------------------------------------------

    def arrive(self) -> None:
        i = self.upcoming
        self.upcoming += 1
        self.patients += 1
        key = absorb(self.kind_state[0], int(self.inputs.identity[i]))
        attributes = self.inputs.attribute[i * self.width : (i + 1) * self.width].tolist()
        entity = Entity(i, PATIENT, key, int(self.inputs.entry[i]), attributes, self.now, int(self.inputs.state[i]))
        entity.hazard_time = self.now
        for k, clock in enumerate(self.T.clock_rule):
            if clock[3]:
                self.arm(entity, k)
        self.entities[i] = entity
        self.advance(entity)

    def start(self, kind: int, key: int, entry: int, number: int, parent: int) -> Entity:
        row = self.arrivals + len(self.started)
        self.started.append((self.now, kind, number, parent))
        entity = Entity(row, kind, key, entry, list(self.T.default_attribute), self.now, parent=parent)
        self.entities[row] = entity
        return entity

    def start_lot(self, s: int) -> None:
        self.to_start[s] -= 1
        key = absorb(self.kind_state[1 + s], self.lots[s])
        lot = self.start(s, key, self.T.stock_rule[s][1], self.lots[s], -1)
        self.lots[s] += 1
        lot.ordered = self.T.stock_level[s][2]
        self.on_order[s] += lot.ordered
        self.advance(lot)

    def end(self, entity: Entity, status: int) -> None:
        self.give_back(entity, None)
        self.ended[entity.row] = (self.now, status, entity)
        del self.entities[entity.row]
        if entity.kind == PATIENT:
            self.patients -= 1
        elif entity.kind >= 0:
            self.on_order[entity.kind] -= entity.ordered
            self.review[entity.kind] = True
        parent = self.entities.get(entity.parent)
        if parent is not None:
            parent.children -= 1
            if parent.children == 0 and parent.mode == JOINING:
                self.go_on(parent)

    # The program -------------------------------------------------------------------------------------------------

    def priority(self, entity: Entity, row: list[int]) -> int:
        if row[t.CLASS_KIND] == t.FROM_ENTITY:
            return entity.own_class
        if row[t.CLASS_KIND] == t.FROM_CONSTANT:
            return row[t.CLASS_VALUE]
        return int(min(max(entity.attributes[row[t.CLASS_VALUE]], 0.0), self.size[t.SIZE_CLASSES] - 1.0))

    def advance(self, entity: Entity) -> None:
        entity.mode = RUNNING
        while True:
            self.work += 1
            if self.work > self.limit:
                raise Stopped(t.EVENT_CAP, entity.pc)
            row = self.T.program[entity.pc]
            if row[t.OP] == t.END:
                self.end(entity, row[t.A])
                return
            if not getattr(self, f"do_{t.OPERATION_NAMES[row[t.OP]].replace(' ', '_')}")(entity, row):
                if entity.mode != RUNNING:
                    self.schedule(entity)
                return

    def do_delay(self, entity: Entity, row: list[int]) -> bool:
        days = self.quantile(row[t.LAW], self.draw(entity, row))
        if row[t.EFFECTS]:
            days *= _exp(self.effects(entity, row[t.EFFECT], row[t.EFFECTS]))
        entity.step_time, entity.mode = self.now + days, DELAYED
        return False

    def do_chance(self, entity: Entity, row: list[int]) -> bool:
        u = self.draw(entity, row)
        p, log_odds = self.T.step_value[entity.pc]
        if row[t.EFFECTS]:
            exponent = -(log_odds + self.effects(entity, row[t.EFFECT], row[t.EFFECTS]))
            p = 1.0 / (1.0 + _exp(exponent))
        entity.pc = entity.pc + 1 if u < p else row[t.B]
        return True

    def do_switch(self, entity: Entity, row: list[int]) -> bool:
        u = self.draw(entity, row)
        at = row[t.A]
        while u >= self.T.branch_cumulative[at]:
            at += 1
        entity.pc = self.T.branch_target[at]
        return True

    def do_seize(self, entity: Entity, row: list[int]) -> bool:
        if entity.change >= 0:
            counter = row[t.OCCURRENCE]
            seen = entity.counts[counter] - 1 if counter >= 0 else 0
            u = uniform(entity.key, self.slot_hash[entity.pc][0], seen, self.flip)
            days = self.quantile(self.T.setup_law[entity.change], u)
            entity.change, entity.change_since = -1, self.now
            entity.step_time, entity.mode = self.now + days, DELAYED
            return False
        self.occurrence(entity, row[t.OCCURRENCE])
        groups = self.T.seize_group[row[t.A] : row[t.A] + row[t.B]]
        entity.wanted = []
        for i, g in enumerate(groups):
            chosen = self.choose(entity, g)
            if i == 0 and row[t.C] >= 0:
                entity.attributes[row[t.C]] = float(chosen)
            r = self.T.candidate[self.T.group_rule[g][2] + chosen]
            entity.wanted.append((r, g))
            rule = self.T.server_rule[r]
            if rule[t.PRODUCTS]:
                arriving = entity.row < self.arrivals
                value = entity.attributes[rule[t.PRODUCT_OF_PATIENT if arriving else t.PRODUCT_OF_LOT]]
                if not 0.0 <= value < rule[t.PRODUCTS]:
                    raise Stopped(t.BAD_PRODUCT, entity.pc, r)
                entity.product = int(value)
        other = self.blocking(entity)
        if other < 0:
            self.take_servers(entity)
            entity.pc += entity.change < 0
            return True
        self.tickets += 1
        entity.class_now, entity.ticket = self.priority(entity, row), self.tickets
        self.wait_for(entity, other)
        return False

    def do_free(self, entity: Entity, row: list[int]) -> bool:
        self.give_back(entity, self.T.seize_group[row[t.A] : row[t.A] + row[t.B]] if row[t.B] else None)
        entity.pc += 1
        return True

    def do_jump(self, entity: Entity, row: list[int]) -> bool:
        entity.pc = row[t.A]
        return True

    def do_set(self, entity: Entity, row: list[int]) -> bool:
        amount, times = self.T.step_value[entity.pc]
        if row[t.B] == t.FROM_ATTRIBUTE:
            amount = entity.attributes[row[t.C]]
        elif row[t.B] == t.FROM_LAW:
            amount = self.quantile(row[t.LAW], self.draw(entity, row))
        elif row[t.B] == t.FROM_COUNTER:
            at = row[t.LAW]
            if row[t.C] >= 0:
                value = entity.attributes[row[t.C]]
                if not 0.0 <= value < row[t.SECOND_LAW]:
                    raise Stopped(t.BAD_COUNTER, entity.pc)
                at += int(value)
            self.counter[at] += amount
            amount = self.counter[at]
        elif row[t.B] == t.FROM_TIME:
            amount = self.now
        if row[t.EXTRA] > t.IDENTITY:
            amount = self.applied(entity, row[t.EXTRA], amount)
        if row[t.A] < 0:
            entity.pc += 1
            return True
        amount *= times
        if row[t.EFFECTS]:
            amount *= _exp(self.effects(entity, row[t.EFFECT], row[t.EFFECTS]))
        if row[t.E]:
            self.use_hazards(entity)
        entity.attributes[row[t.A]] = entity.attributes[row[t.A]] + amount if row[t.D] else amount
        if row[t.E]:
            self.rescale_hazards(entity)
        entity.pc += 1
        return True

    def applied(self, entity: Entity, function: int, x: float) -> float:
        if (function == t.LOG and not x > 0.0) or (function == t.RECIPROCAL and x == 0.0):
            raise Stopped(t.BAD_FUNCTION, entity.pc)
        if function == t.LOG:
            return math.log(x)
        if function == t.EXP:
            return _exp(x)
        return float(math.floor(x)) if function == t.FLOOR else 1.0 / x

    def do_test(self, entity: Entity, row: list[int]) -> bool:
        x = entity.attributes[row[t.A]]
        y = self.T.step_value[entity.pc][0] if row[t.C] < 0 else entity.attributes[row[t.C]]
        holds = (x < y, x <= y, x == y, x != y, x > y, x >= y)[row[t.B]]
        entity.pc = entity.pc + 1 if holds else row[t.D]
        return True

    def do_in_state(self, entity: Entity, row: list[int]) -> bool:
        entity.pc = entity.pc + 1 if entity.state == row[t.A] else row[t.B]
        return True

    def do_state(self, entity: Entity, row: list[int]) -> bool:
        if entity.state != row[t.A]:
            self.use_hazards(entity)
            entity.state = row[t.A]
            self.rescale_hazards(entity)
        entity.pc += 1
        return True

    def do_retry(self, entity: Entity, row: list[int]) -> bool:
        if entity.counts[row[t.OCCURRENCE]] < row[t.C]:
            entity.counts[row[t.OCCURRENCE]] += 1
            entity.pc = row[t.A]
        else:
            entity.pc = row[t.B]
        return True

    def do_mark(self, entity: Entity, row: list[int]) -> bool:
        first, last, code = self.T.mark_rule[row[t.A]]
        if first >= 0:
            entity.marks.setdefault(first, self.now)
        if last >= 0:
            entity.marks[last] = self.now
        if code >= 0:
            self.log.append((entity.row, code, self.now))
        entity.pc += 1
        return True

    def do_arm(self, entity: Entity, row: list[int]) -> bool:
        self.use_hazards(entity)
        self.arm(entity, row[t.A])
        entity.pc += 1
        return True

    def do_disarm(self, entity: Entity, row: list[int]) -> bool:
        self.disarm(entity, row[t.A])
        entity.pc += 1
        return True

    def do_gate(self, entity: Entity, row: list[int]) -> bool:
        opens = self.next_open(row[t.A])
        if opens > self.now:
            entity.step_time, entity.mode = opens, DELAYED
            return False
        entity.pc += 1
        return True

    def do_priority(self, entity: Entity, row: list[int]) -> bool:
        entity.own_class = self.priority(entity, row)
        entity.pc += 1
        return True

    def do_take(self, entity: Entity, row: list[int]) -> bool:
        s = self.choose_stock(entity, row)
        self.review[s] = True
        self.tickets += 1
        entity.class_now, entity.ticket = self.priority(entity, row), self.tickets
        entity.mode, entity.waits_for, entity.waits_since = IN_STOCK_QUEUE, s, self.now
        self.stock_queues[s].append(entity)
        self.stock_queues[s].sort(key=lambda e: (e.class_now, e.ticket))
        if self.stock_queues[s][0] is entity and self.on_hand(s) >= row[t.B]:
            self.stock_queues[s].remove(entity)
            self.hand_out(s, entity)
            entity.mode = RUNNING
            entity.pc += 1
            return True
        self.count(self.stock_use[s], t.WAITED)
        return False

    def choose_stock(self, entity: Entity, row: list[int]) -> int:
        start, count, patient, lot, route, rows, length = self.T.depot_rule[row[t.A]]
        if patient < 0 and lot < 0:
            return row[t.A]
        value = entity.attributes[patient if entity.row < self.arrivals else lot]
        if not 0.0 <= value < (rows or count):
            raise Stopped(t.BAD_DEPOT, entity.pc, row[t.A])
        chosen = int(value)
        if rows:
            preference = self.T.route[route + chosen * length : route + (chosen + 1) * length]
            chosen = preference[0]
            if row[t.OP] == t.TAKE:
                for i in reversed(preference):
                    s = self.T.candidate[start + i]
                    if self.on_hand(s) >= row[t.B] and not self.stock_queues[s]:
                        chosen = i
        if row[t.OP] == t.TAKE and row[t.EXTRA] >= 0:
            entity.attributes[row[t.EXTRA]] = float(chosen)
        return int(self.T.candidate[start + chosen])

    def do_withdraw(self, entity: Entity, row: list[int]) -> bool:
        s = row[t.A]
        mine = [batch for batch in self.batches[s] if batch.lot is entity]
        if mine:
            self.settle_stock(s)
        for batch in mine:
            batch.withdrawn, batch.removed, batch.left = batch.left, self.now, 0
            self.batches[s].remove(batch)
        total = sum(batch.withdrawn for batch in mine)
        self.count(self.stock_use[s], t.WITHDRAWN, total)
        if row[t.E] >= 0:
            entity.attributes[row[t.E]] = float(total)
        self.review[s] = True
        entity.pc += 1
        return True

    def do_put(self, entity: Entity, row: list[int]) -> bool:
        s = self.choose_stock(entity, row)
        seen = self.occurrence(entity, row[t.OCCURRENCE])
        amounts = []
        for which, (source, column, law) in enumerate(
            ((row[t.B], row[t.C], row[t.LAW]), (row[t.D], row[t.E], row[t.SECOND_LAW]))
        ):
            amount = self.T.step_value[entity.pc][which]
            if source == t.FROM_ATTRIBUTE:
                amount = entity.attributes[column]
            elif source == t.FROM_LAW:
                amount = self.quantile(law, uniform(entity.key, self.slot_hash[entity.pc][which], seen, self.flip))
            amounts.append(amount)
        doses = math.floor(amounts[0] + 0.5)
        if entity.ordered > 0.0:
            self.on_order[entity.kind] -= entity.ordered
            self.review[entity.kind] = True
            entity.ordered = 0.0
        if doses > 0:
            self.store(s, entity, doses, self.now + amounts[1])
            self.count(self.stock_use[s], t.RECEIVED, doses)
            self.serve_stock(s)
        self.review[s] = True
        entity.pc += 1
        return True

    def do_spawn(self, entity: Entity, row: list[int]) -> bool:
        seen = self.occurrence(entity, row[t.OCCURRENCE])
        key = absorb(self.kind_state[1 + len(self.T.stock_rule)], entity.key)
        key = absorb(absorb(key, self.slot_hash[entity.pc][0]), seen)
        child = self.start(CHILD, key, row[t.A], self.children_started, entity.row)
        self.children_started += 1
        for i in range(row[t.C], row[t.C] + row[t.D]):
            child.attributes[self.T.copy_to[i]] = entity.attributes[self.T.copy_from[i]]
        entity.children += 1
        self.ready.append(child)
        entity.pc += 1
        return True

    def do_join(self, entity: Entity, row: list[int]) -> bool:
        if entity.children > 0:
            entity.mode = JOINING
            return False
        entity.pc += 1
        return True

    # Events ------------------------------------------------------------------------------------------------------

    def fire(self, entity: Entity) -> None:
        broken = entity.break_time <= self.now
        k = -1 if broken else min(k for k, due in entity.due.items() if due == self.now)
        clock = self.T.clock_rule[k] if not broken else []
        if not broken and clock[1] == t.FIRE_STATE:
            self.use_hazards(entity)
            entity.state = clock[2]
            self.disarm(entity, k)
            self.rescale_hazards(entity)
            if clock[0] == t.HAZARD:
                self.arm(entity, k)
            self.schedule(entity)
            return
        entity.version += 1
        if entity.mode == QUEUEING:
            self.stop_waiting(entity)
        elif entity.mode == IN_STOCK_QUEUE:
            s = entity.waits_for
            self.leave_stock_queue(entity)
            self.review[s] = True
            self.serve_stock(s)
        entity.wanted = []
        entity.mode = RUNNING
        self.end_changeover(entity)
        if broken:
            entity.pc = self.fail_unit(entity)
            self.give_back(entity, None)
            self.advance(entity)
            return
        self.disarm(entity, k)
        self.give_back(entity, None)
        if clock[1] == t.FIRE_GOTO:
            entity.pc = clock[2]
            self.advance(entity)
        else:
            self.end(entity, clock[2])

    def happen(self) -> None:
        """Carry out the next event or arrival."""
        while self.events:
            _, kind, row, version = self.events[0]
            entity = self.entities.get(row)
            if kind in (STEP_END, CLOCK) and (entity is None or entity.version != version):
                heapq.heappop(self.events)
                continue
            break
        if self.upcoming < self.arrivals:
            arrival = float(self.inputs.time[self.upcoming])
            if not self.events or arrival < self.events[0][0]:
                self.now = arrival
                self.work += 1
                self.arrive()
                return
        if not self.events:
            raise Stopped(t.STUCK if self.patients > 0 else t.OK)
        self.now, kind, row, version = heapq.heappop(self.events)
        self.work += 1
        if self.work > self.limit:
            raise Stopped(t.EVENT_CAP)
        if kind == CAPACITY_CHANGE:
            self.change_capacity(row)
            self.idle_changes += 1
            if self.idle_changes > 100_000 and self.upcoming >= self.arrivals:
                raise Stopped(t.STUCK if self.patients > 0 else t.OK)
            return
        if kind == REPAIRED:
            self.repaired(row)
            return
        if kind == EXPIRY:
            self.expire(row)
            return
        self.idle_changes = 0
        entity = self.entities[row]
        if kind == CLOCK:
            self.fire(entity)
        else:
            self.end_changeover(entity)
            entity.pc += 1
            self.advance(entity)

    upcoming = 0

    def run(self) -> None:
        """Run to the end."""
        while True:
            if self.ready:
                self.advance(self.ready.popleft())
                continue
            lot = -1
            for s in range(len(self.review)):
                if self.review[s]:
                    self.review[s] = False
                    self.review_stock(s)
                if self.to_start[s] > 0:
                    lot = s
                    break
            if lot >= 0:
                self.start_lot(lot)
            elif not self.entities and self.upcoming >= self.arrivals:
                break
            else:
                self.happen()


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def run_reference(
    tables: t.ModelTables, inputs: t.EntityInputs, window: tuple[float, float], limit: int
) -> tuple[int, RunState]:
    """Interpret the tables, and return what the kernel would."""
    run = Interpreter(tables, inputs, window, limit)
    state = initial_state(tables, inputs, window)
    try:
        run.run()
    except Stopped as stop:
        if stop.outcome == t.OK:  # what is left are lots that wait for a stock which never comes
            return _finished(run, state)
        state.registers[CULPRIT], state.registers[CULPRIT_GROUP] = stop.culprit, stop.group
        state.clock_and_ticket[0] = run.now
        return stop.outcome, state
    return _finished(run, state)


def _finished(run: Interpreter, state: RunState) -> tuple[int, RunState]:
    for entity in run.entities.values():  # lots that wait for what never comes, with what they hold
        for r, _, since, _, _ in entity.held:
            run.integrate(run.use[r], t.BUSY, 1.0, since)
        if entity.mode == QUEUEING:
            run.integrate(run.use[entity.waits_for], t.QUEUE, 1.0, entity.waits_since)
        elif entity.mode == IN_STOCK_QUEUE:
            run.integrate(run.stock_use[entity.waits_for], t.WAITING, 1.0, entity.waits_since)
    n, m = run.arrivals, len(run.started)
    size = run.size
    attribute_width, mark_width = (
        (size[t.SIZE_ATTRIBUTES], size[t.SIZE_DYNAMIC_ATTRIBUTES]),
        (size[t.SIZE_MARKS], size[t.SIZE_DYNAMIC_MARKS]),
    )
    end_time, status = np.full(n + m, np.nan), np.zeros(n + m, np.int16)
    attributes: list[float] = []
    marks: list[float] = []
    for row in range(n + m):
        end_time[row], status[row], entity = run.ended.get(row) or (math.nan, 0, run.entities[row])
        attributes += entity.attributes
        marks += [entity.marks.get(i, math.nan) for i in range(mark_width[row >= n])]
    del attribute_width
    for r in range(len(run.capacity)):
        run.settle_resource(r)
        run.integrate(run.use[r], t.CAPACITY, run.capacity[r], run.capacity_since[r])
        for unit in run.units[r]:
            if unit.state == "down":
                run.integrate(run.use[r], t.DOWN, 1.0, unit.taken)
    for s in range(len(run.batches)):
        run.settle_stock(s)
    state.registers[[ROWS, LOGGED, EVENTS]] = n + m, len(run.log), run.work
    state.registers[[DOSED, BATCHES]] = len(run.doses), len(run.batch_of)
    batches = [batch for _, batch in run.batch_of]
    state.clock_and_ticket[0] = run.now
    return t.OK, state._replace(
        end_time=end_time,
        status=status,
        attribute=np.array(attributes, dtype=np.float64),
        marks=np.array(marks, dtype=np.float64),
        dynamic=np.array([row[1:] for row in run.started], dtype=np.int32).reshape(m, 3),
        dynamic_start=np.array([row[0] for row in run.started], dtype=np.float64),
        log_row=np.array([row[0] for row in run.log], dtype=np.int32),
        log_code=np.array([row[1] for row in run.log], dtype=np.int16),
        log_time=np.array([row[2] for row in run.log], dtype=np.float64),
        statistics=run.use,
        batch_row=np.array([b.lot.row for b in batches if isinstance(b.lot, Entity)], dtype=np.int64),
        batch_stock=np.array([b.stock for b in batches], dtype=np.int64),
        batch_left=np.array([b.left for b in batches], dtype=np.int64),
        batch_expiry=np.array([b.expiry for b in batches]),
        batch_time=np.array([(b.day, b.removed) for b in batches]).reshape(-1, 2),
        batch_record=np.array(
            [(b.doses, b.expired + b.withdrawn, 2 if b.withdrawn else int(b.expired > 0)) for b in batches],
            dtype=np.int64,
        ).reshape(-1, 3),
        dose_record=np.array([d[:4] for d in run.doses], dtype=np.int32).reshape(-1, 4),
        dose_time=np.array([d[4] for d in run.doses], dtype=np.float64),
        counter=np.array(run.counter, dtype=np.float64),
        stock_statistics=run.stock_use,
        on_hand=np.array([run.on_hand(s) for s in range(len(run.batches))], dtype=np.int64),
    )
