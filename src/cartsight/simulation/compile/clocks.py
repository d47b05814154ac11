"""Rows of the clocks: what fires, where it leads, and hazards by state and piece."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from cartsight.core.errors import nearest
from cartsight.simulation import steps as s
from cartsight.simulation import tables as t
from cartsight.simulation.compile.rows import Rows, draw_slot
from cartsight.simulation.model import Clock, Goto, Rates, SetState


class Clocks(Rows):
    """Builds the tables of the clocks."""

    def build_clocks(self) -> dict[str, Any]:
        self.entity = "patient"
        rows: list[list[int]] = []
        breaks: list[float] = []
        rates: list[float] = []
        slots: list[int] = []
        for name, clock in self.model.clocks.items():
            self.step = f"clock {name}"
            row = [0] * 11
            self.act(clock, row)
            row[3] = int(clock.armed)
            row[4] = len(breaks)
            row[6] = len(rates)
            if clock.hazard_per_day is not None:
                row[0] = t.HAZARD
                days, table = self.hazard(clock)
                breaks += days
                rates += table
                row[5] = len(days)
            else:
                row[0] = t.DEADLINE
                assert clock.law is not None
                row[7] = self.laws.add(clock.law, self.step)
            row[8], row[9] = self.effects(clock.log_effects)
            rows.append(row)
            slots.append(draw_slot(name))
        return {"rows": rows, "breaks": breaks, "rates": rates, "slots": slots}

    def act(self, clock: Clock, row: list[int]) -> None:
        match clock.on_fire:
            case s.End(status):
                row[1], row[2] = t.FIRE_END, self.status(status)
            case Goto(label):
                places = [p for p in self.labels if self.model.entities[p] == "patient" and label in self.labels[p]]
                if len(places) != 1:
                    known = [
                        n for p, names in self.labels.items() if self.model.entities[p] == "patient" for n in names
                    ]
                    self.fail(
                        "the label that a clock goes to must exist in exactly one patient program",
                        label,
                        ", ".join(known),
                        nearest(label, known),
                    )
                row[1] = t.FIRE_GOTO
                row[2] = self.labels[places[0]][label]
            case SetState(state):
                row[1], row[2] = t.FIRE_STATE, self.find(self.states, state, "health state")
            case _:
                self.fail("unknown action of a clock", clock.on_fire, "End, Goto or SetState")

    def hazard(self, clock: Clock) -> tuple[list[float], list[float]]:
        given = clock.hazard_per_day
        by_state: Mapping[str, Rates]
        if isinstance(given, Mapping):
            for state in given:
                self.find(self.states, state, "health state")
            by_state = given
        else:
            assert given is not None
            by_state = dict.fromkeys(self.states, given)
        pieces = {state: _pieces(rate) for state, rate in by_state.items()}
        days = sorted({day for piece in pieces.values() for day, _ in piece} | {0.0})
        table: list[float] = []
        for state in self.states:
            piece = pieces.get(state, [(0.0, 0.0)])
            if piece[0][0] != 0.0 or any(b[0] <= a[0] for a, b in pairwise(piece)):
                self.fail("pieces of a hazard start at day 0 and rise", [day for day, _ in piece])
            for day in days:
                rate = next(r for d, r in reversed(piece) if d <= day)
                if not 0.0 <= rate < math.inf:
                    self.fail("a hazard must be zero or more per day", rate)
                table.append(rate)
        return days, table


def _pieces(rate: Rates) -> list[tuple[float, float]]:
    if isinstance(rate, (int, float)):
        return [(0.0, float(rate))]
    return [(float(day), float(value)) for day, value in rate]
