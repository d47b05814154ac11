"""Arms that differ in modality alone do not differ: no cost, delay or risk hangs on the name of the modality."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from cartsight.comparison.single_arm import run_arms
from tests.scenario_builder import build, days, minimal_scenario, number, probability

SHARED = ("efficacy", "toxicity", "long_term", "price", "hospital", "lymphodepletion")


@pytest.mark.parametrize("seed", [3, 4])
def test_three_modalities_with_the_same_product_and_no_way_to_it_are_one(seed: int) -> None:
    raw = minimal_scenario()
    own = raw["arms"]["autologous"]
    own["hospital"].pop("leukapheresis", None)
    own["process"] |= {
        name: days(0.0) for name in ("shipping_out", "shipping_back", "manufacturing", "release_testing")
    }
    own["process"] |= {name: probability(0.0) for name in ("manufacturing_failure", "out_of_specification")}
    own["process"].pop("quality_assurance_review", None)
    own["collection"] |= {"wait_for_slot": days(0.0), "time": days(0.0), "failure": probability(0.0)}
    for name in ("allogeneic", "in_vivo"):
        arm = raw["arms"][name]
        for section in SHARED:
            if section in own:
                arm[section] = copy.deepcopy(own[section])
        arm["lots"]["lot_effect_sd"] = number(0.0, "log_odds")
        arm["order_to_delivery"] = days(0.0)
        arm["doses_per_course"] = 1
        arm.pop("retreatment", None)
    own.pop("retreatment", None)
    raw["arms"]["in_vivo"]["expression"] = probability(1.0)
    runs = run_arms(build(raw), seed)
    first = runs["autologous"]
    for name in ("allogeneic", "in_vivo"):
        np.testing.assert_array_equal(runs[name].trajectories.infused, first.trajectories.infused)
        np.testing.assert_allclose(runs[name].effect, first.effect, rtol=1e-12)
        np.testing.assert_allclose(runs[name].costs.amount, first.costs.amount, rtol=1e-12)
