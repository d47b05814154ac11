"""Scenario analyses and severity over parameter draws."""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.comparison.parameter_draws import draw_parameters
from cartsight.comparison.reviewer_draws import reviewer_draws
from cartsight.comparison.scenario_analyses import ScenarioAnalysis, changed_scenario
from cartsight.comparison.single_arm import run_arms
from cartsight.core.errors import InputError
from cartsight.scenario import Scenario
from tests.scenario_builder import build, minimal_scenario, months, probability

DRAWS = 12
PRICE = "arms.autologous.price.per_patient"


def uncertain(patients: int = 150) -> Scenario:
    raw = minimal_scenario()
    raw["analysis"]["patients"] = patients
    raw["arms"]["autologous"]["efficacy"]["complete_response"] = probability(0.5, low=0.3, high=0.7, interval="range")
    raw["population"]["other_care"]["survival"]["median"] = months(8, low=2, high=40, interval="range")
    return build(raw)


CHEAPER = ScenarioAnalysis("cheaper", "Half the price", values={PRICE: 200_000.0})
SHORT = ScenarioAnalysis("short", "Five years", analysis={"horizon_years": 5})


def test_rows_are_the_draws_run_one_by_one() -> None:
    scenario = uncertain()
    parameters = draw_parameters(scenario, DRAWS, 7)
    found = reviewer_draws(scenario, [CHEAPER, SHORT], parameters=parameters, workers=1)
    assert [row.name for row in found.rows] == ["base case", "cheaper", "short"]
    names, reference = list(scenario.arms), scenario.reference_arm
    for position, change in enumerate([None, CHEAPER, SHORT]):
        increments = []
        for draw in range(DRAWS):
            of = scenario.with_values(parameters.at(draw))
            of = of if change is None else changed_scenario(of, change)
            runs = run_arms(of, parameters.patient_seed(draw))
            benefit = {
                name: of.analysis.decision_threshold * run.effect.mean() - run.cost.mean() for name, run in runs.items()
            }
            increments.append([benefit[name] - benefit[reference] for name in names])
        mean = np.mean(increments, axis=0)
        for arm, exact in zip(found.rows[position].arms, mean, strict=True):
            assert arm.incremental_net_benefit == pytest.approx(exact, rel=1e-9, abs=1e-6)
            assert arm.low <= arm.high
            assert 0.0 <= arm.probability_best <= 1.0
        assert sum(arm.probability_best for arm in found.rows[position].arms) == pytest.approx(1.0)


def test_a_change_of_price_alone_has_hardly_any_uncertainty() -> None:
    # The change of net benefit is the saved price times the infused: response does not move it, the draws' patients do.
    found = reviewer_draws(uncertain(400), [CHEAPER], draws=DRAWS, workers=1)
    base, cheaper = found.rows
    arm = next(arm for arm in cheaper.arms if arm.arm == "autologous")
    reference = found.reference_arm
    assert all(one.change == 0.0 and one.change_low == one.change_high == 0.0 for one in base.arms)
    assert base.probability_decision_changes == 0.0
    if reference != "autologous":
        assert arm.change > 50_000.0
    others = [one for one in cheaper.arms if one.arm not in ("autologous", reference)]
    moved = [arm] if reference != "autologous" else others
    for one in moved:
        width = one.change_high - one.change_low
        wide = next(row for row in base.arms if row.arm == one.arm)
        assert width < 0.25 * (wide.high - wide.low)


def test_results_do_not_depend_on_workers() -> None:
    scenario = uncertain(60)
    one, two = (reviewer_draws(scenario, [SHORT], current_care="other_care", draws=12, workers=n) for n in (1, 2))
    assert one == two


def test_severity_moves_with_what_is_uncertain() -> None:
    scenario = uncertain(300)
    found = reviewer_draws(scenario, current_care="other_care", draws=16, workers=1).severity
    assert found is not None
    mean, low, high = found.absolute
    assert low < mean < high and high - low > 0.5
    assert sum(found.probability_of_weight.values()) == pytest.approx(1.0)
    fixed = build(analysis={"patients": 300})
    still = reviewer_draws(fixed, current_care="other_care", draws=16, workers=1).severity
    assert still is not None
    # Nothing is uncertain: what is left is patient noise, which the cleaning takes out.
    assert still.absolute[2] - still.absolute[1] < 0.5 * (high - low)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"draws": 5}, "needs more parameter draws"),
        ({"analyses": [ScenarioAnalysis("x", "", values={"arms.nobody.price.per_patient": 1.0})]}, "no number"),
    ],
)
def test_bad_input(keywords: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        reviewer_draws(uncertain(60), **{"draws": 12, "workers": 1, **keywords})
