"""Tables of stocks and depots."""

from __future__ import annotations

from cartsight.simulation import tables as t
from cartsight.simulation.compile.rows import Rows
from cartsight.simulation.model import Depots


class Stocks(Rows):
    """Builds the tables of stocks and depots."""

    def build_depots(self, candidates: list[int], route: list[int]) -> list[list[int]]:
        """Return `depot_rule`, one row per stock and then per choice, and append its candidates and matrix rows."""
        rows = []
        for name in self.depots:
            depots = self.model.depot_groups.get(name)
            self.step = f"depots {name}"
            rows.append([0, 1, -1, -1, 0, 0, 0] if depots is None else self.depot_row(depots, candidates, route))
        return rows

    def depot_row(self, depots: Depots, candidates: list[int], route: list[int]) -> list[int]:
        if not depots.stocks:
            self.fail("depots need stocks")
        row = [len(candidates), len(depots.stocks), *self.columns(depots.attribute), len(route), 0, 0]
        candidates.extend(self.find(self.stocks, name, "stock") for name in depots.stocks)
        for line in depots.matrix or ():
            if not line or len(line) != len((depots.matrix or ())[0]):
                self.fail("the rows of the matrix of depots need equal lengths from 1", line)
            if not all(0 <= i < len(depots.stocks) for i in line):
                self.fail("the matrix of depots holds numbers of its stocks", line, f"0 to {len(depots.stocks) - 1}")
            route.extend(line)
            row[5] += 1
            row[6] = len(line)
        return row

    def build_stocks(self) -> tuple[list[list[int]], list[list[float]], list[tuple[int, int, float]]]:
        rows, levels, initial = [], [], []
        for name, stock in self.model.stocks.items():
            self.step = f"stock {name}"
            rule, quantity, entry = t.NO_REVIEW, 0.0, 0
            if stock.reorder_point is not None:
                if (stock.order_up_to is None) == (stock.order_quantity is None):
                    self.fail("a reviewed stock needs either order_up_to or order_quantity")
                if stock.lot_program is None:
                    self.fail("a reviewed stock needs a lot program")
                if stock.order_up_to is not None:
                    rule, quantity = t.ORDER_UP_TO, stock.order_up_to
                    if quantity <= stock.reorder_point:
                        self.fail("order_up_to must exceed the reorder point", quantity)
                else:
                    assert stock.order_quantity is not None
                    rule, quantity = t.FIXED_QUANTITY, stock.order_quantity
                    if quantity <= 0:
                        self.fail("order_quantity must be above zero", quantity)
                if not stock.doses_per_lot > 0:
                    self.fail("doses_per_lot must be above zero", stock.doses_per_lot)
            if stock.lot_program is not None:
                entry = self.find(self.entries, stock.lot_program, "program")
                if self.model.entities[stock.lot_program] != "lot":
                    self.fail("the lot program of a stock needs entity='lot'", stock.lot_program)
            rows.append([rule, entry, 0])
            levels.append([stock.reorder_point or 0.0, quantity, stock.doses_per_lot, stock.review_until])
            for doses, life in stock.initial:
                if doses < 1 or not life > 0:
                    self.fail("an initial batch is (doses from 1, shelf life left above 0)", (doses, life))
                initial.append((self.stocks[name], doses, life))
        return rows, levels, initial
