"""Who bears the plants' budget: activity-based allocation to batches, doses and idle capacity, to the cent.

Every line of the budget is borne by the batches or lots that caused it, as its cost driver says: materials by every
batch started, release testing by those that finished, a fixed line by the days each batch held a line. What a fixed
line bought beyond the time used is idle and stays a row of its own. Amounts are whole cents; the largest-remainder rule
places the cents that rounding leaves, so the rows add up to the budget exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.economics.cost_of_goods.budget import idle_part
from cartsight.economics.cost_of_goods.result import CostLine, CostOfGoods
from cartsight.scenario.cost_drivers import Carrier, supply_of
from cartsight.simulation.pathways.plant import BatchTable, PlantRecord

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

IN_SPECIFICATION = "infused in specification"
OUT_OF_SPECIFICATION = "infused out of specification"
NOT_INFUSED = "released, not infused"
GIVEN, EXPIRED, STOCK = "doses taken for patients", "doses expired", "doses added to stock"
EXPIRED_SUPPLY = "supplies expired"
ABANDONED = "abandoned, patient died or left"
DISCARDED = "lost after release testing"
FAILED = "failed in the run"
OTHER_WORK = "other work on the lines"
NOT_CARRIED = "borne by no batch of the window"
_IDLE_ROWS = {
    "lines": "idle lines",
    "capital": "idle capital",
    "staff": "idle staff",
    None: "idle sites and quality overhead",
}

_ROW_OF_FATE = {
    "infused": IN_SPECIFICATION,
    "infused out of specification": OUT_OF_SPECIFICATION,
    "released": NOT_INFUSED,
    "abandoned": ABANDONED,
    "discarded": DISCARDED,
    "failed": FAILED,
}
_LOST_AT = {
    FAILED: "during the run",
    DISCARDED: "after release testing",
    ABANDONED: "when the patient died or left",
    NOT_INFUSED: "after release",
    EXPIRED: "in stock",
    EXPIRED_SUPPLY: "in the store of supplies",
}
_BOUGHT = ("lots ordered", "lots received", "lots from the second source", "units received")


@dataclass(frozen=True, slots=True)
class ReconciliationRow:
    """What one group of batches, doses or idle capacity bears, in cents of the scenario's money.

    `count` is batches, lots or doses (NaN for idle capacity); `per_year_cents` is its part of the annual budget.
    """

    name: str
    count: float
    cents: int
    fixed_cents: int
    variable_cents: int
    per_year_cents: int
    by_kind: dict[str, int]

    @property
    def each(self) -> float:
        """Money per batch, lot or dose; NaN where there is none."""
        return self.cents / 100.0 / self.count if self.count > 0 else math.nan


@dataclass(frozen=True, slots=True)
class SunkCost:
    """What was spent on batches, lots or doses that helped nobody, by the step at which they were lost."""

    step: str
    what: str
    count: float
    total: float
    variable: float
    each: float


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The budget beside what bears it.

    Attributes
    ----------
    budget_cents, budget_per_year_cents : int
        The plants' spending in the window and per year, from the budget's lines.
    rows : tuple of ReconciliationRow
        They add up to the budget, in the window and per year.
    batch_cents : int array, shape (n,)
        What each batch or lot started in the window bears, in order of start.
    line_cents : tuple of int
        Cents of each line of the budget in the window, in the order of `CostOfGoods.lines`.
    """

    budget_cents: int
    budget_per_year_cents: int
    rows: tuple[ReconciliationRow, ...]
    batch_cents: Int
    line_cents: tuple[int, ...]

    @property
    def difference_cents(self) -> int:
        """Budget less all rows, in the window: zero when it reconciles."""
        return self.budget_cents - sum(row.cents for row in self.rows)

    @property
    def difference_per_year_cents(self) -> int:
        """Annual budget less all rows: zero when it reconciles."""
        return self.budget_per_year_cents - sum(row.per_year_cents for row in self.rows)

    def row(self, name: str) -> ReconciliationRow | None:
        """Return a row by name."""
        return next((row for row in self.rows if row.name == name), None)

    @property
    def sunk(self) -> tuple[SunkCost, ...]:
        """What was spent on batches, lots or doses that were lost, by the step at which they were."""
        return tuple(
            SunkCost(_LOST_AT[row.name], row.name, row.count, row.cents / 100.0, row.variable_cents / 100.0, row.each)
            for row in self.rows
            if row.name in _LOST_AT
        )


def apportion(total_cents: int, weights: Float) -> Int:
    """Return whole cents in proportion to weights that add up to `total_cents` (largest-remainder rule).

    Parameters
    ----------
    total_cents : int
    weights : array, shape (n,)
        Their sum must not be zero.

    Returns
    -------
    int array, shape (n,)
        Each within one cent of its exact share; equal remainders go to the first.
    """
    weights = np.asarray(weights, dtype=np.float64)
    shares = weights / math.fsum(weights) * total_cents
    cents = np.floor(shares).astype(np.int64)
    left = total_cents - int(cents.sum())
    if left:
        # Rounding of the shares themselves can leave a cent too many as well as too few.
        order = np.argsort(cents - shares if left > 0 else shares - cents, kind="stable")
        cents[order[: abs(left)]] += 1 if left > 0 else -1
    return cents


def reconcile(goods: CostOfGoods, plant: PlantRecord) -> Reconciliation:
    """Return who bears the budget, to the cent.

    Parameters
    ----------
    goods : CostOfGoods
    plant : PlantRecord
        With its table of batches (`run_flow(..., keep_batches=True)`, or an arm with costs by activity).

    Raises
    ------
    InputError
        The plant's record holds no table of batches.
    """
    if plant.batches is None:
        raise InputError("a reconciliation needs the table of batches", hint="Run the flow with keep_batches=True.")
    budget = round(math.fsum(line.total for line in goods.lines) * 100.0)
    sheet = _Sheet(plant)
    totals = np.array([line.total for line in goods.lines])
    line_cents = apportion(budget, totals) if budget else np.zeros(totals.size, dtype=np.int64)
    for line, cents in zip(goods.lines, line_cents.tolist(), strict=True):
        if cents:
            sheet.post(line, cents)
    annual = round(math.fsum(line.total for line in goods.lines) / goods.years * 100.0)
    rows = sheet.rows(annual)
    return Reconciliation(budget, annual, rows, sheet.batch_cents, tuple(line_cents.tolist()))


class _Sheet:
    """The sheet on which every line of the budget is posted, cent by cent."""

    def __init__(self, plant: PlantRecord) -> None:
        assert plant.batches is not None
        self.plant = plant
        self.table: BatchTable = plant.batches
        self.in_lots = "lots started" in plant.counts
        self.batch_cents = np.zeros(len(self.table), dtype=np.int64)
        # Row name -> (kind, fixed) -> cents.
        self.cells: dict[str, dict[tuple[str, bool], int]] = {}
        self.fates = {row: self.table.has_fate(fate) for fate, row in _ROW_OF_FATE.items()}
        held, in_runs = (plant.counts.get(f"line days {what}", 0.0) for what in ("held", "in runs"))
        # Other products, cleaning, changeovers and repairs hold lines too, and bear their part of what a line costs.
        self.other_work = max(1.0 - in_runs / held, 0.0) if held > 0 else 0.0
        self.days = _line_days(self.table, plant.counts.get("line days in runs", 0.0))

    def post(self, line: CostLine, cents: int) -> None:
        used, idle = apportion(cents, np.array([line.used, 1.0 - line.used])).tolist()
        if idle:
            self._add(_IDLE_ROWS[idle_part(line)], line, idle)
        if line.fixed and self.other_work:
            away = round(
                used * math.fsum(share for carrier, share in line.carriers if carrier == "line days") * self.other_work
            )
            if away:
                self._add(OTHER_WORK, line, away)
            used -= away
        gone = round(used * self._expired_share(line.driver))
        if gone:
            self._add(EXPIRED_SUPPLY, line, gone)
            used -= gone
        shares = np.array([share for _, share in line.carriers])
        if not used:
            return
        for (carrier, _), part in zip(line.carriers, apportion(used, shares).tolist(), strict=True):
            if part:
                self._carry(line, carrier, part)

    def _expired_share(self, driver: str) -> float:
        """Return the share of what was bought of a supply that expired, by units."""
        supply = supply_of(driver)
        if supply is None or driver not in {f"{supply} {what}" for what in _BOUGHT}:
            return 0.0
        received = self.plant.counts.get(f"{supply} units received", 0.0)
        return min(self.plant.counts.get(f"{supply} units expired", 0.0) / received, 1.0) if received > 0 else 0.0

    def _carry(self, line: CostLine, carrier: Carrier, cents: int) -> None:
        if self.in_lots and carrier in ("doses taken", "infused", "shipped"):
            self._add(GIVEN, line, cents)
            return
        if self.in_lots and carrier == "doses expired":
            self._add(EXPIRED, line, cents)
            return
        weights = self._weights(carrier)
        if not weights.any():
            self._add(NOT_CARRIED, line, cents)
            return
        each = apportion(cents, weights)
        self.batch_cents += each
        for row, mine in self.fates.items():
            amount = int(each[mine].sum())
            if not amount:
                continue
            if self.in_lots and row == NOT_INFUSED:
                self._to_doses(line, amount)
            else:
                self._add(row, line, amount)

    def _to_doses(self, line: CostLine, cents: int) -> None:
        """Cost of released lots goes with their doses; what was neither taken nor expired changes the stock."""
        received = self.plant.doses_received
        taken = round(cents * self.plant.doses_taken / received) if received > 0 else 0
        gone = round(cents * self.plant.doses_expired / received) if received > 0 else 0
        for row, amount in ((GIVEN, taken), (EXPIRED, gone), (STOCK, cents - taken - gone)):
            if amount:
                self._add(row, line, amount)

    def _weights(self, carrier: Carrier) -> Float:
        lost, thrown, dropped = (self.fates[row] for row in (FAILED, DISCARDED, ABANDONED))
        left = ~(lost | thrown | dropped)
        match carrier:
            case "started":
                return np.ones(len(self.table))
            case "finished":
                return (~lost).astype(np.float64)
            case "failed":
                return lost.astype(np.float64)
            case "out of specification":
                return (thrown | self.fates[OUT_OF_SPECIFICATION]).astype(np.float64)
            case "infused":
                return (self.fates[IN_SPECIFICATION] | self.fates[OUT_OF_SPECIFICATION]).astype(np.float64)
            case "shipped":
                return 1.0 + left.astype(np.float64)
            case "line days":
                return self.days
            case _:
                return left.astype(np.float64)

    def _add(self, row: str, line: CostLine, cents: int) -> None:
        cells = self.cells.setdefault(row, {})
        key = (line.kind, line.fixed)
        cells[key] = cells.get(key, 0) + cents

    def _count(self, row: str) -> float:
        doses = {
            GIVEN: self.plant.doses_taken,
            EXPIRED: self.plant.doses_expired,
            STOCK: self.plant.doses_received - self.plant.doses_taken - self.plant.doses_expired,
            EXPIRED_SUPPLY: math.nan,
        }
        if row in doses:
            return doses[row]
        return float(np.count_nonzero(self.fates[row])) if row in self.fates else math.nan

    def rows(self, annual_cents: int) -> tuple[ReconciliationRow, ...]:
        order = [
            *_ROW_OF_FATE.values(),
            GIVEN,
            EXPIRED,
            STOCK,
            EXPIRED_SUPPLY,
            OTHER_WORK,
            NOT_CARRIED,
            *_IDLE_ROWS.values(),
        ]
        names = [name for name in order if name in self.cells]
        if not names:
            return ()
        sums = [sum(self.cells[name].values()) for name in names]
        yearly = apportion(annual_cents, np.array(sums, dtype=np.float64)).tolist()
        rows = []
        for name, cents, per_year in zip(names, sums, yearly, strict=True):
            kinds: dict[str, int] = {}
            for (kind, _), amount in self.cells[name].items():
                kinds[kind] = kinds.get(kind, 0) + amount
            fixed = sum(amount for (_, is_fixed), amount in self.cells[name].items() if is_fixed)
            rows.append(ReconciliationRow(name, self._count(name), cents, fixed, cents - fixed, per_year, kinds))
        return tuple(rows)


def _line_days(table: BatchTable, total_days: float) -> Float:
    """Return the line days of each batch: its run, and an equal part of what lines were held beside runs."""
    if not len(table):
        return np.zeros(0)
    beside = (total_days - float(table.run_days.sum())) / len(table)
    days = table.run_days + max(beside, 0.0)
    return days if days.any() else np.ones(len(table))
