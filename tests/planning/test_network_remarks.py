"""A network study says which pieces of the plant's floor its optimiser does not read."""

from __future__ import annotations

import pytest

from cartsight.core.errors import InputError
from cartsight.planning.network_inputs import network_problem
from cartsight.planning.network_study import NetworkOptions
from tests.scenario_builder import build, days


def test_pieces_of_the_floor_that_the_optimiser_leaves_out_are_named() -> None:
    plain = network_problem(build(), "autologous")
    assert not any("does not read" in remark for remark in plain.remarks)
    cleaned = network_problem(build(arms={"autologous": {"process": {"clean_down": days(1)}}}), "autologous")
    assert any("does not read clean-down" in remark for remark in cleaned.remarks)


def test_too_few_replications_are_named_as_the_option_is() -> None:
    with pytest.raises(InputError) as caught:
        NetworkOptions(replications=2, first_replications=2)
    assert caught.value.field == "replications"
