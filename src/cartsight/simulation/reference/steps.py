"""What each step does: `do_<operation>` returns whether the entity goes on at once."""

from __future__ import annotations

import math

from cartsight.simulation import tables as t
from cartsight.simulation.reference.clocks import Clocks
from cartsight.simulation.reference.draws import absorb, exp, uniform
from cartsight.simulation.reference.entities import DELAYED, IN_STOCK_QUEUE, JOINING, RUNNING, Entity, Stopped
from cartsight.simulation.reference.stocks import Stocks
from cartsight.simulation.state import CHILD


class Steps(Clocks, Stocks):
    """One method per operation of the tables."""

    def priority(self, entity: Entity, row: list[int]) -> int:
        if row[t.CLASS_KIND] == t.FROM_ENTITY:
            return entity.own_class
        if row[t.CLASS_KIND] == t.FROM_CONSTANT:
            return row[t.CLASS_VALUE]
        return int(min(max(entity.attributes[row[t.CLASS_VALUE]], 0.0), self.size[t.SIZE_CLASSES] - 1.0))

    def start(self, kind: int, key: int, entry: int, number: int, parent: int) -> Entity:
        row = self.arrivals + len(self.started)
        self.started.append((self.now, kind, number, parent))
        entity = Entity(row, kind, key, entry, list(self.T.default_attribute), self.now, parent=parent)
        self.entities[row] = entity
        return entity

    def do_delay(self, entity: Entity, row: list[int]) -> bool:
        days = self.quantile(row[t.LAW], self.draw(entity, row))
        if row[t.EFFECTS]:
            days *= exp(self.effects(entity, row[t.EFFECT], row[t.EFFECTS]))
        entity.step_time, entity.mode = self.now + days, DELAYED
        return False

    def do_chance(self, entity: Entity, row: list[int]) -> bool:
        u = self.draw(entity, row)
        p, log_odds = self.T.step_value[entity.pc]
        if row[t.EFFECTS]:
            exponent = -(log_odds + self.effects(entity, row[t.EFFECT], row[t.EFFECTS]))
            p = 1.0 / (1.0 + exp(exponent))
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
            amount *= exp(self.effects(entity, row[t.EFFECT], row[t.EFFECTS]))
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
            return exp(x)
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
