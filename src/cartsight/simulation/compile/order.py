"""Which rows can follow which, and which steps can be reached twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cartsight.simulation import tables as t
from cartsight.simulation.compile.rows import Rows


def successors(row: Sequence[int], pc: int, branch_target: Sequence[int]) -> list[int]:
    """Return the rows that can follow row `pc` without a clock."""
    op = row[t.OP]
    if op == t.END:
        return []
    if op == t.JUMP:
        return [row[t.A]]
    if op == t.RETRY:
        return [row[t.A], row[t.B]]
    if op == t.SWITCH:
        return list(branch_target[row[t.A] : row[t.A] + row[t.B]])
    if op in (t.CHANCE, t.IN_STATE):
        return [pc + 1, row[t.B]]
    if op == t.TEST:
        return [pc + 1, row[t.D]]
    if op == t.SEIZE and row[t.EXTRA] >= 0:
        return [pc + 1, row[t.EXTRA]]
    return [pc + 1]


class Order(Rows):
    """Numbers the counters of steps that can be reached twice."""

    def successors(self, pc: int) -> list[int]:
        row = self.rows[pc]
        return successors(row, pc, self.branch_target)

    def count_occurrences(self, clock: dict[str, Any]) -> int:
        """Number a counter for each step that can be reached twice.

        Every cycle holds a branch to an earlier row, so what is reachable from no such target happens once.
        """
        starts = [q for pc in range(len(self.rows)) for q in self.successors(pc) if q <= pc]
        starts += [row[2] for row in clock["rows"] if row[1] == t.FIRE_GOTO]
        starts += [row[t.EXTRA] for row in self.rows if row[t.OP] == t.SEIZE and row[t.EXTRA] >= 0]
        repeated: set[int] = set()
        while starts:
            pc = starts.pop()
            if pc not in repeated:
                repeated.add(pc)
                starts += self.successors(pc)
        count = 0
        for pc, row in enumerate(self.rows):
            op = row[t.OP]
            draws = op in (t.DELAY, t.CHANCE, t.SWITCH, t.PUT, t.SPAWN) or (op == t.SET and row[t.B] == t.FROM_LAW)
            draws = draws or (op == t.SEIZE and self.slots[pc][0] != 0)
            if op == t.RETRY or (draws and pc in repeated):
                row[t.OCCURRENCE] = count
                count += 1
        for row in clock["rows"]:
            row[10] = count
            count += 1
        return count
