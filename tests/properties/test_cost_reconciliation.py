"""The budget reconciles to the cent whatever the plants did and whatever costs are stated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.economics.cost_of_goods import CostLine, CostOfGoods, apportion, reconcile
from cartsight.scenario.cost_drivers import DRIVERS
from cartsight.scenario.cost_drivers import driver as find_driver
from cartsight.simulation.pathways.plant import FATES, BatchTable, PlantRecord, ResourceUse

VARIABLE = [name for name, driver in DRIVERS.items() if not driver.fixed] + ["vector lots ordered"]


@given(st.integers(0, 10**12), st.lists(st.floats(0.0, 1e9), min_size=1, max_size=60).filter(lambda w: sum(w) > 1e-6))
def test_apportioned_cents_add_up_and_are_within_a_cent_of_their_share(total: int, weights: list[float]) -> None:
    cents = apportion(total, np.array(weights))
    assert int(cents.sum()) == total
    exact = np.array(weights) / math.fsum(weights) * total
    assert np.all(np.abs(cents - exact) <= 1.0 + 1e-3)


@st.composite
def plants(draw: st.DrawFn) -> tuple[CostOfGoods, PlantRecord]:
    """Draw budget lines of any kind and a plant with any fates of its batches or lots."""
    in_lots = draw(st.booleans())
    fates = ["failed", "discarded", "released"] if in_lots else list(FATES)
    n = draw(st.integers(0, 15))
    fate = np.array([FATES.index(draw(st.sampled_from(fates))) for _ in range(n)], dtype=np.int64)
    days = np.array([draw(st.floats(0.0, 30.0)) for _ in range(n)])
    table = BatchTable(np.arange(n, dtype=np.float64), np.arange(n, dtype=np.int64), fate, days)
    years = draw(st.sampled_from([0.5, 1.0, 2.0, 3.7]))
    made = "lots started" if in_lots else "batches started"
    counts = {made: float(n), "line days in runs": draw(st.floats(0.0, 1e4)), "vector units received": 7.0}
    counts["vector units expired"] = draw(st.floats(0.0, 7.0))
    lines = []
    for i in range(draw(st.integers(1, 8))):
        fixed = draw(st.booleans())
        driver = draw(st.sampled_from(["site years", "line years"] if fixed else VARIABLE))
        total = draw(st.floats(0.0, 1e9))
        used = draw(st.floats(0.0, 1.0)) if fixed else 1.0
        carrier = "line days" if fixed else find_driver(driver).carrier
        kind = draw(st.sampled_from(["capital", "labour", "materials"]))
        staff = draw(st.booleans())
        lines.append(CostLine(f"line {i}", kind, driver, 1.0, total, total, fixed, used, ((carrier, 1.0),), staff))
    plant = PlantRecord(
        years=years, sites=1, lines=2, started=n, failed=0, out_of_specification=0, released=n, infused=n, shipments=n,
        doses_received=float(draw(st.integers(0, 5000))), doses_taken=float(draw(st.integers(0, 5000))),
        doses_expired=float(draw(st.integers(0, 500))), resources=(ResourceUse("line", 2, 2.0, 0.5, 0.0),), counts=counts,
        batches=table,
    )  # fmt: skip
    total = math.fsum(line.total for line in lines)
    fixed_total = math.fsum(line.total for line in lines if line.fixed)
    goods = CostOfGoods({"all": total}, fixed_total, total - fixed_total, 0.0, n, n, n, years, tuple(lines))
    return goods, plant


@settings(max_examples=80, deadline=None)
@given(plants())
def test_rows_add_up_to_the_budget_to_the_cent(case: tuple[CostOfGoods, PlantRecord]) -> None:
    goods, plant = case
    table = reconcile(goods, plant)
    total = math.fsum(line.total for line in goods.lines)
    assert table.budget_cents == round(total * 100)
    assert table.budget_per_year_cents == round(total / goods.years * 100)
    assert sum(row.cents for row in table.rows) == table.budget_cents
    assert sum(row.per_year_cents for row in table.rows) == table.budget_per_year_cents
    assert sum(table.line_cents) == table.budget_cents
    for row in table.rows:
        assert row.fixed_cents + row.variable_cents == row.cents == sum(row.by_kind.values())
    idle = sum(row.cents for row in table.rows if row.name.startswith("idle"))
    # Each line's idle part is rounded once.
    assert abs(idle / 100 - math.fsum(line.idle for line in goods.lines)) <= 0.01 * (len(goods.lines) + 1)


@settings(max_examples=40, deadline=None)
@given(plants())
def test_batches_bear_what_the_rows_of_batches_say(case: tuple[CostOfGoods, PlantRecord]) -> None:
    goods, plant = case
    table = reconcile(goods, plant)
    assert (table.batch_cents >= 0).all()
    if "batches started" in plant.counts:
        rows = [row for row in table.rows if row.name not in ("borne by no batch of the window", "supplies expired")]
        assert int(table.batch_cents.sum()) == sum(row.cents for row in rows if not row.name.startswith("idle"))


@settings(max_examples=40, deadline=None)
@given(plants(), st.randoms(use_true_random=False))
def test_order_of_the_lines_moves_no_more_than_a_cent_a_line(
    case: tuple[CostOfGoods, PlantRecord], random: object
) -> None:
    goods, plant = case
    shuffled = list(goods.lines)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    other = CostOfGoods(
        goods.categories, goods.fixed, goods.variable, goods.idle, goods.started, goods.released, goods.infused,
        goods.years, tuple(shuffled),
    )  # fmt: skip
    first, second = reconcile(goods, plant), reconcile(other, plant)
    assert first.budget_cents == second.budget_cents
    for row in first.rows:
        match = second.row(row.name)
        assert abs((match.cents if match else 0) - row.cents) <= 2 * len(goods.lines)


def test_a_negative_stock_change_still_adds_up() -> None:
    """More doses left than came in: the difference is drawn from stock, a negative row."""
    table = BatchTable(np.zeros(1), np.array([-1]), np.array([FATES.index("released")]), np.ones(1))
    plant = PlantRecord(
        years=1.0, sites=1, lines=1, started=1, failed=0, out_of_specification=0, released=1, infused=30, shipments=30,
        doses_received=10.0, doses_taken=30.0, doses_expired=3.0, counts={"lots started": 1.0}, batches=table,
    )  # fmt: skip
    line = CostLine("materials", "materials", "lots started", 1.0, 1000.0, 1000.0, False, 1.0, (("started", 1.0),))
    goods = CostOfGoods({"materials": 1000.0}, 0.0, 1000.0, 0.0, 1, 1, 30, 1.0, (line,))
    rows = {row.name: row.cents for row in reconcile(goods, plant).rows}
    assert rows == {"doses taken for patients": 300_000, "doses expired": 30_000, "doses added to stock": -230_000}
    assert sum(rows.values()) == pytest.approx(100_000)
