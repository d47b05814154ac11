"""Clocks of an entity: hazards by state and age, and deadlines."""

from __future__ import annotations

import math

from cartsight.simulation import tables as t
from cartsight.simulation.reference.draws import exp, uniform
from cartsight.simulation.reference.entities import Entity
from cartsight.simulation.reference.run import Run


class Clocks(Run):
    """Armed, rescaled and disarmed clocks."""

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
        return exp(self.effects(entity, first, count)) if count else 1.0

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
