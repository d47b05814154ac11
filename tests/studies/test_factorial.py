"""Shapley values and interactions of a two-level factorial, against hand results and their axioms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cartsight.core.errors import InputError
from cartsight.studies.factorial import alone, interactions, last, settings, shapley_values, strongest_interaction

RESPONSES = arrays(np.float64, (16,), elements=st.floats(-1e3, 1e3))


def test_glove_game() -> None:
    # Two left gloves, one right glove, a pair is worth 1: the right glove gets 2/3, each left one 1/6.
    worth = [float(setting[2] and (setting[0] or setting[1])) for setting in settings(3)]
    assert shapley_values(worth) == pytest.approx([1 / 6, 1 / 6, 2 / 3])


def test_hand_result_of_a_product() -> None:
    # y = 2 a + 3 b + 4 a b: alone 2 and 3, last 6 and 7, Shapley 4 and 5, interaction 4.
    y = [2.0 * a + 3.0 * b + 4.0 * a * b for a, b in settings(2)]
    assert alone(y) == pytest.approx([2.0, 3.0])
    assert last(y) == pytest.approx([6.0, 7.0])
    assert shapley_values(y) == pytest.approx([4.0, 5.0])
    assert float(interactions(y)[0, 1]) == pytest.approx(4.0)
    assert strongest_interaction(interactions(y), ("a", "b")) == ("a", "b", pytest.approx(4.0))


@given(RESPONSES, RESPONSES)
def test_efficiency_additivity_and_the_lever_that_does_nothing(first: np.ndarray, second: np.ndarray) -> None:
    values = shapley_values(first)
    assert values.sum() == pytest.approx(first[-1] - first[0], abs=1e-8)
    assert shapley_values(first + second) == pytest.approx(values + shapley_values(second), abs=1e-8)
    idle = np.concatenate([first, first])
    assert shapley_values(idle)[-1] == pytest.approx(0.0, abs=1e-9)
    assert shapley_values(np.stack([first, second]))[1] == pytest.approx(shapley_values(second), abs=1e-9)


def test_settings_that_are_no_factorial_are_refused() -> None:
    with pytest.raises(InputError, match="power of its levers"):
        shapley_values([1.0, 2.0, 3.0])
