"""A scenario at other values is a scenario: nothing else moves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.comparison.parameter_draws import draw_parameters, keyed_latin_hypercube
from cartsight.core.errors import InputError
from tests.scenario_builder import build, minimal_scenario, probability

UNCERTAIN = minimal_scenario()
UNCERTAIN["population"]["female"] = probability(0.4, low=0.3, high=0.5, interval="confidence_95")
UNCERTAIN["arms"]["autologous"]["efficacy"]["complete_response"] = probability(0.58, events=58, of=100)
SCENARIO = build(UNCERTAIN)


@given(value=st.floats(0.0, 1.0), which=st.sampled_from(sorted(SCENARIO.numbers())))
@settings(max_examples=40, deadline=None)
def test_setting_one_number_sets_that_number_only(value: float, which: str) -> None:
    before = {path: number.x for path, number in SCENARIO.numbers().items()}
    after = {path: number.x for path, number in SCENARIO.with_values({which: value}).numbers().items()}
    assert after.pop(which) == value
    before.pop(which)
    assert after == before


def test_unknown_paths_are_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"Did you mean 'population\.female'"):
        SCENARIO.with_values({"population.femal": 0.5})


@given(n=st.integers(2, 200), seed=st.integers(0, 2**40))
@settings(max_examples=30, deadline=None)
def test_every_stratum_of_a_latin_hypercube_holds_one_draw(n: int, seed: int) -> None:
    column = keyed_latin_hypercube(n, "a.b", seed)
    assert sorted((column * n).astype(int).tolist()) == list(range(n))
    assert column.min() > 0.0 and column.max() < 1.0


def test_adding_a_parameter_moves_no_other_draw() -> None:
    more = minimal_scenario()
    more["population"]["female"] = UNCERTAIN["population"]["female"]
    alone = draw_parameters(build(more), 64, seed=5)
    both = draw_parameters(SCENARIO, 64, seed=5)
    np.testing.assert_array_equal(
        alone.values[:, alone.paths.index("population.female")], both.values[:, both.paths.index("population.female")]
    )
    assert len(both.paths) == len(alone.paths) + 1
    seeds = {both.patient_seed(i) for i in range(64)}
    assert len(seeds) == 64
