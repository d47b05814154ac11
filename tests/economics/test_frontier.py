"""The frontier where textbooks are silent: ties, negative effects, lines, cost savings."""

from __future__ import annotations

import math

import pytest

from cartsight.core.errors import InputError
from cartsight.economics import FrontierRow, Quadrant, cost_effectiveness_frontier, pairwise_comparison


def statuses(names: str, costs: list[float], effects: list[float]) -> dict[str, str]:
    return {row.strategy: row.status.value for row in cost_effectiveness_frontier(list(names), costs, effects)}


def test_equal_strategies_keep_the_first() -> None:
    assert statuses("AB", [10.0, 10.0], [1.0, 1.0]) == {"A": "reference", "B": "dominated"}
    assert statuses("BA", [10.0, 10.0], [1.0, 1.0]) == {"B": "reference", "A": "dominated"}


def test_equal_effects_and_equal_costs() -> None:
    assert statuses("AB", [10.0, 20.0], [1.0, 1.0]) == {"A": "reference", "B": "dominated"}
    assert statuses("AB", [10.0, 10.0], [1.0, 2.0]) == {"A": "dominated", "B": "reference"}


def test_three_on_one_line_all_stay() -> None:
    rows = cost_effectiveness_frontier(["A", "B", "C"], [0.1, 0.2, 0.3], [1.0, 2.0, 3.0])
    assert [row.status.value for row in rows] == ["reference", "on_frontier", "on_frontier"]
    assert rows[1].icer == pytest.approx(rows[2].icer)


def test_a_cost_saving_and_better_strategy_leaves_one_on_the_frontier() -> None:
    rows = {row.strategy: row for row in cost_effectiveness_frontier(["old", "new"], [500.0, -100.0], [0.2, 0.4])}
    assert rows["new"].status.value == "reference"
    assert rows["old"].status.value == "dominated"
    assert rows["old"].dominated_by == ("new",)
    assert (rows["old"].incremental_cost, rows["old"].incremental_effect) == (600.0, pytest.approx(-0.2))
    assert rows["old"].icer is None


def test_negative_effects_are_ordinary_numbers() -> None:
    rows = {r.strategy: r for r in cost_effectiveness_frontier(["A", "B", "C"], [0, 100, 400], [-3.0, -2.0, -1.0])}
    assert rows["B"].icer == 100.0
    assert rows["C"].icer == 300.0


def test_a_strategy_dominated_only_by_one_off_the_frontier() -> None:
    """C is above and left of B alone; B itself is extended-dominated by A and D."""
    rows: dict[str, FrontierRow] = {
        r.strategy: r for r in cost_effectiveness_frontier(["A", "B", "C", "D"], [0, 90, 95, 100], [0, 1, 0.9, 10])
    }
    assert rows["B"].status.value == "extended_dominated"
    assert rows["B"].dominated_by == ("A", "D")
    assert rows["C"].status.value == "dominated"
    assert rows["C"].compared_with == "B"


@pytest.mark.parametrize(
    ("names", "costs", "effects", "message"),
    [
        (["A"], [1.0], [1.0], "at least two"),
        (["A", "A"], [1.0, 2.0], [1.0, 2.0], "its own name"),
        (["A", "B"], [1.0, math.nan], [1.0, 2.0], "not a finite"),
        (["A", "B"], [1.0], [1.0, 2.0], "one cost and one effect"),
    ],
)
def test_bad_input(names: list[str], costs: list[float], effects: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cost_effectiveness_frontier(names, costs, effects)


def test_pairwise_quadrants() -> None:
    rows = pairwise_comparison(["base", "a", "b", "c", "d", "e"], [0, 1, -1, -1, 1, 0], [0, 1, 1, -1, -1, 0], "base")
    assert [row.quadrant for row in rows] == [
        Quadrant.MORE_COSTLY_MORE_EFFECTIVE,
        Quadrant.DOMINANT,
        Quadrant.LESS_COSTLY_LESS_EFFECTIVE,
        Quadrant.DOMINATED,
        Quadrant.EQUAL,
    ]
    assert [row.icer for row in rows] == [1.0, None, 1.0, None, None]
    with pytest.raises(InputError, match="comparator"):
        pairwise_comparison(["a", "b"], [0, 1], [0, 1], "c")
