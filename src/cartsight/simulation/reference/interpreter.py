"""The reference interpreter: the same tables in plain Python, written for reading, not for speed.

Entities are objects, queues are lists, the event list is `heapq` and statistics are sums of intervals. Only the order
of arithmetic that decides a trajectory is shared with the kernel, so that times agree to the last bit.
"""

from __future__ import annotations

import heapq
import math

from cartsight.simulation import tables as t
from cartsight.simulation.reference.draws import absorb
from cartsight.simulation.reference.entities import (
    DELAYED,
    IN_STOCK_QUEUE,
    JOINING,
    QUEUEING,
    RUNNING,
    Entity,
    Stopped,
)
from cartsight.simulation.reference.steps import Steps
from cartsight.simulation.state import CAPACITY_CHANGE, CLOCK, EXPIRY, PATIENT, REPAIRED, STEP_END


class Interpreter(Steps):
    """One run, event by event."""

    def schedule(self, entity: Entity) -> None:
        entity.version += 1
        if entity.mode == DELAYED and entity.step_time <= entity.clock_time:
            heapq.heappush(self.events, (entity.step_time, STEP_END, entity.row, entity.version))
        elif entity.clock_time < math.inf:
            heapq.heappush(self.events, (entity.clock_time, CLOCK, entity.row, entity.version))

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

    def start_lot(self, s: int) -> None:
        self.to_start[s] -= 1
        key = absorb(self.kind_state[1 + s], self.lots[s])
        lot = self.start(s, key, self.T.stock_rule[s][1], self.lots[s], -1)
        self.lots[s] += 1
        lot.ordered = self.T.stock_level[s][2]
        self.on_order[s] += lot.ordered
        self.advance(lot)

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
