"""Stocks: batches by expiry, depots, who waits for doses, and lots under review."""

from __future__ import annotations

import heapq
import math

import numpy as np

from cartsight.simulation import tables as t
from cartsight.simulation.reference.entities import Batch, Entity, Stopped
from cartsight.simulation.reference.servers import Servers
from cartsight.simulation.state import EXPIRY


class Stocks(Servers):
    """Doses on hand, on order and handed out; those who waited for doses go on as those who waited for servers do."""

    def __init__(self, tables: t.ModelTables, inputs: t.EntityInputs, window: tuple[float, float], limit: int) -> None:
        super().__init__(tables, inputs, window, limit)
        stocks = len(self.T.stock_rule)
        self.doses: list[tuple[int, int, int, int, float]] = []  # taker, lot, doses, stock, day
        self.batches: list[list[Batch]] = [[] for _ in range(stocks)]
        self.batch_of: list[tuple[int, Batch]] = []
        self.stock_queues: list[list[Entity]] = [[] for _ in range(stocks)]
        self.on_order = [0.0] * stocks
        self.lots = [0] * stocks
        self.review = [True] * stocks
        self.to_start = [0] * stocks
        self.stock_use = np.zeros((stocks, t.STOCK_STATISTICS))
        self.stock_since = [0.0] * stocks
        self.put_initial_stock()

    def on_hand(self, s: int) -> int:
        return sum(batch.left for batch in self.batches[s])

    def settle_stock(self, s: int) -> None:
        doses = self.on_hand(s)
        self.integrate(self.stock_use[s], t.ON_HAND, doses, self.stock_since[s])
        self.integrate(self.stock_use[s], t.STOCK_OUT, float(doses == 0), self.stock_since[s])
        self.stock_since[s] = self.now

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
