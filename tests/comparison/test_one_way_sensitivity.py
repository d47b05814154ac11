"""The tornado on a model whose answers are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from cartsight.comparison import one_way_sensitivity, tornado_table
from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]

BASE = {"price": 400.0, "effect": 5.0, "nuisance": 1.0}


def net_benefit(values: Float) -> Float:
    price, effect, _ = values.T
    return np.column_stack([np.zeros_like(price), 100.0 * effect - price])


def test_rows_fall_by_swing_and_name_the_switch() -> None:
    result = one_way_sensitivity(
        net_benefit, BASE, {"nuisance": (0.0, 9.0), "price": (300.0, 700.0), "effect": (4.5, 5.5)}, points=5
    )
    assert result.base_incremental == 100.0
    assert [row.parameter for row in result.rows] == ["price", "effect", "nuisance"]
    price = result.rows[0]
    assert price.swing == 400.0
    assert price.incremental.tolist() == [200.0, 100.0, 0.0, -100.0, -200.0]
    assert price.switches_at == (500.0,)
    assert price.best.tolist() == [1, 1, 0, 0, 0]
    assert result.rows[1].switches_at == ()
    assert result.rows[2].swing == 0.0
    assert tornado_table(result, 1) == [
        {
            "parameter": "price",
            "base": 400.0,
            "low": 300.0,
            "high": 700.0,
            "incremental_low": 200.0,
            "incremental_high": -200.0,
            "swing": 400.0,
            "switches_at": 500.0,
        }
    ]


def test_the_model_is_called_once_with_all_runs() -> None:
    calls: list[tuple[int, ...]] = []

    def counted(values: Float) -> Float:
        calls.append(values.shape)
        return net_benefit(values)

    one_way_sensitivity(counted, BASE, {"price": (300.0, 700.0), "effect": (4.5, 5.5)}, points=2)
    assert calls == [(5, 3)]


def test_switch_between_points_is_interpolated() -> None:
    result = one_way_sensitivity(net_benefit, BASE, {"price": (480.0, 580.0)}, points=2)
    assert result.rows[0].switches_at == (pytest.approx(500.0),)


@pytest.mark.parametrize(
    ("ranges", "points", "message"),
    [
        ({"prize": (1.0, 2.0)}, 3, "price"),
        ({"price": (2.0, 1.0)}, 3, "low end"),
        ({"price": (1.0, 2.0)}, 1, "two points"),
        ({}, 3, "no parameter"),
    ],
)
def test_bad_ranges(ranges: dict[str, tuple[float, float]], points: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        one_way_sensitivity(net_benefit, BASE, ranges, points=points)


def test_a_model_that_returns_the_wrong_shape() -> None:
    with pytest.raises(InputError, match="one finite net benefit per run"):
        one_way_sensitivity(lambda values: values[:, 0], BASE, {"price": (1.0, 2.0)})
