"""The vectorised stages against the same rules in plain Python, patient by patient."""

from __future__ import annotations

import numpy as np
import pytest
import trajectory_builder as tb
from plain_patient import follow
from scenario_builder import build, later_tables, months, number, probability

from cartsight.economics.pricing import price_patients
from cartsight.outcomes import CAUSES_OF_DEATH, simulate_outcomes

PATIENTS = 30
MORE_PATIENTS = 120


@pytest.mark.parametrize("arm", ["autologous", "allogeneic", "in_vivo", "other_care"])
@pytest.mark.parametrize("horizon", [1.5, 40.0])
def test_every_patient_agrees(arm: str, horizon: float) -> None:
    again = {"share": probability(0.6), "odds_ratio_of_response": number(0.8, "odds_ratio")}
    scenario = build(
        analysis={"horizon_years": horizon, "discount_rate_costs": 0.05},
        population={"background_mortality": {"standardised_mortality_ratio": number(6.0, "ratio")}},
        arms={"allogeneic": {"retreatment": again}, "in_vivo": {"retreatment": again}},
    )
    flow = tb.trajectories(
        PATIENTS,
        modality=arm,
        lot_effect_sd=0.3 if arm != "autologous" else 0.0,
        people=tb.patients(PATIENTS, age=72.0),
    )
    result = simulate_outcomes(flow, scenario, arm, 21)
    costs = price_patients(flow, result, scenario, arm)
    plain = [follow(row, flow, scenario, arm, 21) for row in range(PATIENTS)]
    assert [CAUSES_OF_DEATH[code] for code in result.death_cause] == [p.cause for p in plain]
    assert result.response.tolist() == [p.response for p in plain]
    # Bisection leaves about 1e-13 of a date; integrals of 24 points more on long stays.
    np.testing.assert_allclose(result.death_day, [p.death for p in plain], rtol=1e-9)
    np.testing.assert_allclose(result.life_years, [p.life_years for p in plain], rtol=1e-9)
    np.testing.assert_allclose(result.qalys_discounted, [p.qalys_discounted for p in plain], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(costs.total, [p.cost for p in plain], rtol=1e-9)
    np.testing.assert_allclose(costs.total_discounted, [p.cost_discounted for p in plain], rtol=1e-9)


@pytest.mark.parametrize(("arm", "share"), [("autologous", 0.05), ("allogeneic", 0.6), ("in_vivo", 0.3)])
def test_later_lines_transplant_and_secondary_malignancy_agree(arm: str, share: float) -> None:
    tables = later_tables()
    tables["transplant"]["share_in_first_response"] = probability(share)
    tables["transplant"]["share_in_later_response"] = probability(0.8)
    tables["secondary_malignancy"]["probability"] = probability(share)
    again = {"share": probability(0.5), "odds_ratio_of_response": number(0.8, "odds_ratio")}
    scenario = build(
        analysis={"horizon_years": 30.0, "discount_rate_costs": 0.05},
        arms={arm: {**tables, "retreatment": again}},
    )
    flow = tb.trajectories(
        MORE_PATIENTS,
        modality=arm,
        lot_effect_sd=0.3 if arm != "autologous" else 0.0,
        infused_share=0.95,
        people=tb.patients(MORE_PATIENTS, age=55.0),
    )
    result = simulate_outcomes(flow, scenario, arm, 22)
    costs = price_patients(flow, result, scenario, arm)
    plain = [follow(row, flow, scenario, arm, 22) for row in range(MORE_PATIENTS)]
    assert [CAUSES_OF_DEATH[code] for code in result.death_cause] == [p.cause for p in plain]
    assert {"transplant or later line", "secondary malignancy", "disease after infusion"} <= {p.cause for p in plain}
    assert result.later is not None
    assert all(line.responded.any() for line in result.later.lines.values())
    np.testing.assert_allclose(result.death_day, [p.death for p in plain], rtol=1e-9)
    np.testing.assert_allclose(result.qalys_discounted, [p.qalys_discounted for p in plain], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(costs.total, [p.cost for p in plain], rtol=1e-9)
    np.testing.assert_allclose(costs.total_discounted, [p.cost_discounted for p in plain], rtol=1e-9)


@pytest.mark.parametrize("cured", [None, 0.2])
def test_gompertz_relapse_agrees(cured: float | None) -> None:
    law = {"law": "gompertz", "median": months(14), "shape": number(1.5, "ratio")}
    if cured is not None:
        law["cured"] = probability(cured)
    scenario = build(arms={"autologous": {"efficacy": {"relapse": law}}})
    flow = tb.trajectories(PATIENTS, modality="autologous", people=tb.patients(PATIENTS, age=60.0))
    result = simulate_outcomes(flow, scenario, "autologous", 23)
    plain = [follow(row, flow, scenario, "autologous", 23) for row in range(PATIENTS)]
    assert np.isfinite(result.progression_day).any()
    np.testing.assert_allclose(result.death_day, [p.death for p in plain], rtol=1e-9)
    np.testing.assert_allclose(result.life_years, [p.life_years for p in plain], rtol=1e-9)
