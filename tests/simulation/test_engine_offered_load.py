"""Offered load with changeovers and repairs: numbers by hand, the theory of restarted runs, and the simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from cartsight.core.distributions import Distribution, Exponential
from cartsight.core.errors import InputError
from cartsight.simulation import Arrivals, FlowModel, compile_model, offered_load, poisson_arrivals, simulate
from cartsight.simulation import steps as s

CHANGEOVER = [[0.5, 2.0], [4.0, 0.5]]


def two_products(run: Distribution | float = 3.0, campaign: int = 1, lines: int = 1) -> FlowModel:
    m = FlowModel("two products")
    m.attribute("product")
    m.resource("line", lines)
    m.setup("line", attribute="product", products=2, changeover=CHANGEOVER, campaign=campaign)
    m.program("patient", [s.Seize("line"), s.Delay("run", run), s.Free(), s.End("made")])
    return m


def fragile(then: Sequence[s.Step], lines: int = 1) -> FlowModel:
    """Runs of 3 days on servers that run 20 days to a breakdown and are repaired in 4."""
    m = FlowModel("fragile")
    m.resource("line", lines)
    m.resource("operator", 5)
    m.breakdown("line", running_days=Exponential(20.0), repair_days=4.0)
    m.program(
        "patient",
        [
            s.Label("again"),
            s.Seize("operator"),
            s.Seize("line", breakdown="lost"),
            s.Delay("run", 3.0),
            s.Free(),
            s.End("made"),
            s.Label("lost"),
            *then,
        ],
    )
    return m


@pytest.mark.parametrize(
    ("campaign", "products", "changeover"),
    [
        (1, None, 0.25 * (2.0 + 4.0) + 0.5 * 0.5),  # products share evenly where nothing is known
        (1, [0, 1], 0.25 * (2.0 + 4.0) + 0.5 * 0.5),
        (1, [0, 0, 0, 1], 3 / 16 * (2.0 + 4.0) + 10 / 16 * 0.5),
        (2, [0, 1], 0.125 * (2.0 + 4.0) + 0.75 * 0.5),
        (1, [1, 1], 0.5),
    ],
)
def test_changeovers_by_hand(campaign: int, products: list[int] | None, changeover: float) -> None:
    given = None if products is None else {"product": np.array(products)}
    load = offered_load(compile_model(two_products(campaign=campaign)), 0.1, attributes=given)[0]
    assert load.offered == pytest.approx(0.1 * (3.0 + changeover), rel=1e-12)


def test_changeovers_count_for_who_waits_with_the_run_and_against_the_capacity() -> None:
    """3 days of run alone fit 0.3 a day on one line; 3 + 1.75 days do not, and the queue never empties."""
    compile_model(two_products(), arrivals_per_day=0.2)
    with pytest.raises(InputError, match=r"line.*never empties"):
        compile_model(two_products(), arrivals_per_day=0.3)
    m = two_products()
    m.resource("operator", 2)
    m.programs["patient"] = (s.Seize(("line", "operator")), *m.programs["patient"][1:])
    by_name = {load.name: load.offered for load in offered_load(compile_model(m), 0.1)}
    assert by_name == pytest.approx({"line": 0.475, "operator": 0.475}, rel=1e-12)


def test_the_busy_share_of_one_line_in_order_is_the_offered_load() -> None:
    rng = np.random.default_rng(5)
    days = poisson_arrivals("one", 0.15, 200_000.0, seed=5)
    products = (rng.random(days.size) < 0.25).astype(np.float64)
    compiled = compile_model(two_products(Exponential(3.0)))
    window = (0.0, 200_000.0)
    use = simulate(compiled, Arrivals(days, attributes={"product": products}), seed=5, window=window).resource(
        "line", window=True
    )
    offered = offered_load(compiled, days.size / 200_000.0, attributes={"product": products})[0].offered
    # Beside the arrivals, 30 000 exponential runs and pairs of products: a standard deviation of 0.5 %.
    assert use.busy / 200_000.0 == pytest.approx(offered, rel=0.02)


@pytest.mark.parametrize(("share", "campaign"), [(0.5, 2), (0.5, 6), (0.1, 3)])
def test_campaigns_change_at_least_as_often_as_counted(share: float, campaign: int) -> None:
    """On a line with a queue that never ends, changes per run lie between the counted ones and one per campaign."""
    n = 20_000
    m = two_products(campaign=campaign, lines=1)
    products = (np.random.default_rng(3).random(n) < share).astype(np.float64)
    use = simulate(compile_model(m), Arrivals(np.zeros(n), attributes={"product": products}), seed=1).resource("line")
    counted = 2.0 * share * (1.0 - share) / campaign
    assert 0.98 * counted <= use.changeovers / n <= 1.0 / campaign


def test_repairs_and_restarted_runs_by_hand() -> None:
    """With restarts until made, a run takes (R + D)(e^(d/R) - 1) of the line; the operator is given back with it."""
    load = {each.name: each for each in offered_load(compile_model(fragile([s.Jump("again")])), 0.1)}
    assert load["line"].offered == pytest.approx(0.1 * 24.0 * math.expm1(3.0 / 20.0), rel=1e-12)
    once = fragile([s.Retry("remake", 1, "again", s.End("lost"))])
    lost = -math.expm1(-3.0 / 20.0)
    expected = 0.1 * (1.0 + lost) * 20.0 * lost * (1.0 + 4.0 / 20.0)
    assert {each.name: each for each in offered_load(compile_model(once), 0.1)}["line"].offered == pytest.approx(
        expected, rel=1e-12
    )


def test_the_operator_is_held_as_long_as_the_run_lasts_until_it_breaks_down() -> None:
    m = fragile([s.End("lost")])
    load = {each.name: each.offered for each in offered_load(compile_model(m), 0.1)}
    assert load["operator"] == pytest.approx(0.1 * 20.0 * -math.expm1(-3.0 / 20.0), rel=1e-12)
    assert load["line"] == pytest.approx(1.2 * load["operator"], rel=1e-12)


def test_busy_and_down_in_the_simulation_are_the_offered_load() -> None:
    compiled = compile_model(fragile([s.Jump("again")], lines=2))
    days = poisson_arrivals("one", 0.4, 50_000.0, seed=9)
    use = simulate(compiled, Arrivals(days), seed=9, window=(0.0, 50_000.0)).resource("line", window=True)
    offered = {each.name: each.offered for each in offered_load(compiled, days.size / 50_000.0)}["line"]
    assert (use.busy + use.down) / 50_000.0 == pytest.approx(offered, rel=0.02)
