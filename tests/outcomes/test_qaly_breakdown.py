"""QALYs by health state sum to the QALYs of every patient, in every kind of arm."""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.outcomes import simulate_outcomes
from cartsight.outcomes.qaly_breakdown import STATES, qalys_by_state
from tests.scenario_builder import build
from tests.trajectory_builder import trajectories

MODALITIES = {"autologous": "autologous", "allogeneic": "allogeneic", "in_vivo": "in_vivo", "other_care": "other_care"}


@pytest.mark.parametrize("arm", list(MODALITIES))
@pytest.mark.parametrize("horizon", [2, 40])
def test_states_sum_to_the_qalys_of_each_patient(arm: str, horizon: float) -> None:
    scenario = build(analysis={"horizon_years": horizon})
    flow = trajectories(600, modality=MODALITIES[arm])
    outcomes = simulate_outcomes(flow, scenario, arm, 3)
    states = qalys_by_state(outcomes, scenario, flow.patients.age)
    assert tuple(states) == STATES
    np.testing.assert_allclose(sum(states.values()), outcomes.qalys_discounted, rtol=1e-12, atol=1e-12)
    plain = qalys_by_state(outcomes, scenario, flow.patients.age, discount_rate=0.0)
    np.testing.assert_allclose(sum(plain.values()), outcomes.qalys, rtol=1e-12, atol=1e-12)
    assert np.all(states["adverse events"] <= 0.0)
    assert np.all(states["other care"][outcomes.infused] == 0.0)
    assert np.all(states["in response"][~outcomes.infused] == 0.0)


def test_ages_of_other_patients() -> None:
    scenario = build()
    flow = trajectories(50)
    outcomes = simulate_outcomes(flow, scenario, "autologous", 3)
    with pytest.raises(InputError, match="one age per patient"):
        qalys_by_state(outcomes, scenario, flow.patients.age[:-1])
