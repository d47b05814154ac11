"""The state that every part of the reference interpreter shares: the day, the event list, sums over time and draws."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from typing import Any

import numpy as np

from cartsight.simulation import tables as t
from cartsight.simulation.reference.draws import normal_quantile, uniform
from cartsight.simulation.reference.entities import Entity


class Run:
    """One run: what has happened so far."""

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
        self.upcoming = 0
        self.idle_changes = 0
        self.tickets = 0
        self.children_started = 0
        self.counter = list(self.T.counter_start)

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

    # Draws -------------------------------------------------------------------------------------------------------

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
