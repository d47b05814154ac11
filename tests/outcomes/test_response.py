"""Response: ordered, proportional odds, and an average over lots that stays where the scenario puts it."""

from __future__ import annotations

import numpy as np
import pytest
import trajectory_builder as tb
from scenario_builder import build, number, probability

from cartsight.outcomes import simulate_outcomes
from cartsight.outcomes.response import responses

N = 40_000
SE = 0.5 / np.sqrt(N)


def test_shares_are_those_stated_for_patients_who_have_not_worsened() -> None:
    flow = tb.trajectories(N, infused_share=1.0, worsened_share=0.0, out_of_specification_share=0.0)
    response = simulate_outcomes(flow, build(), "autologous", 1).response
    assert np.mean(response == 2) == pytest.approx(0.50, abs=4 * SE)
    assert np.mean(response >= 1) == pytest.approx(0.75, abs=4 * SE)


@pytest.mark.parametrize("sd", [0.5, 1.5])
def test_the_lot_effect_does_not_move_the_average(sd: float) -> None:
    scenario = build(arms={"allogeneic": {"lots": {"lot_effect_sd": number(sd, "log_odds")}}})
    flow = tb.trajectories(N, modality="allogeneic", infused_share=1.0, worsened_share=0.0, lot_effect_sd=sd)
    response = simulate_outcomes(flow, scenario, "allogeneic", 1).response
    assert np.mean(response == 2) == pytest.approx(0.40, abs=4 * SE)
    assert np.mean(response >= 1) == pytest.approx(0.60, abs=4 * SE)


def test_odds_ratio_of_worsened_patients() -> None:
    flow = tb.trajectories(N, infused_share=1.0, worsened_share=1.0, out_of_specification_share=0.0)
    response = simulate_outcomes(flow, build(), "autologous", 1).response
    assert np.mean(response == 2) == pytest.approx(1 / 3, abs=4 * SE)  # odds 1 x 0.5
    assert np.mean(response >= 1) == pytest.approx(0.6, abs=4 * SE)  # odds 3 x 0.5


def test_odds_ratio_of_an_out_of_specification_product() -> None:
    flow = tb.trajectories(N, infused_share=1.0, worsened_share=0.0, out_of_specification_share=1.0)
    response = simulate_outcomes(flow, build(), "autologous", 1).response
    assert np.mean(response == 2) == pytest.approx(0.7 / 1.7, abs=4 * SE)


def test_no_expression_means_no_response() -> None:
    flow = tb.trajectories(2000, modality="in_vivo", infused_share=1.0)
    result = simulate_outcomes(flow, build(), "in_vivo", 1)
    assert not np.any(result.response[~flow.expressed])
    assert np.any(result.response[flow.expressed])
    assert not np.any(result.aplasia[~flow.expressed])


@pytest.mark.parametrize(("odds_ratio", "share", "expected"), [(0.0, 1.0, 0.0), (0.5, 1.0, 1.0), (0.5, 0.0, 0.0)])
def test_certain_shares_and_an_odds_ratio_of_zero(odds_ratio: float, share: float, expected: float) -> None:
    efficacy = {
        "complete_response": probability(share),
        "overall_response": probability(share),
        "odds_ratio_if_worsened": number(odds_ratio, "odds_ratio"),
    }
    flow = tb.trajectories(500, infused_share=1.0, worsened_share=1.0)
    result = simulate_outcomes(flow, build(arms={"autologous": {"efficacy": efficacy}}), "autologous", 1)
    assert np.mean(result.response == 2) == expected


def test_complete_is_nested_in_overall() -> None:
    log_odds = np.linspace(-3.0, 3.0, 101)
    response = responses(log_odds, 0.0, (-0.5, 0.7), np.ones(101, dtype=np.bool_))
    assert set(response.tolist()) == {0, 1, 2}
    assert np.all(np.diff(response.astype(int)) <= 0)
