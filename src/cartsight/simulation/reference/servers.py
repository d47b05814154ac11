"""Resources: queues, servers that remember or break down, campaigns, groups, calendars and gates."""

from __future__ import annotations

import heapq
import math

import numpy as np

from cartsight.core.streams import stable_hash
from cartsight.simulation import tables as t
from cartsight.simulation.reference.draws import absorb, uniform
from cartsight.simulation.reference.entities import QUEUEING, RUNNING, Entity, Stopped, Unit
from cartsight.simulation.reference.run import Run
from cartsight.simulation.state import CAPACITY_CHANGE, REPAIRED


class Servers(Run):
    """Who holds what, and who waits for it."""

    def __init__(self, tables: t.ModelTables, inputs: t.EntityInputs, window: tuple[float, float], limit: int) -> None:
        super().__init__(tables, inputs, window, limit)
        resources = len(self.T.initial_capacity)
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
        self.capacity_since = [0.0] * resources
        self.busy_since = [0.0] * resources
        self.open_calendars()

    # Queues ------------------------------------------------------------------------------------------------------

    def settle_resource(self, r: int) -> None:
        over = max(0, -(self.free[r] + self.down[r]))
        self.integrate(self.use[r], t.DRAIN, over, self.busy_since[r])
        self.busy_since[r] = self.now

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
