"""The partitioned view of a scenario's arm: agrees where it must, warns where it does not, patches nothing."""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.comparison.partitioned_view import partitioned_view, patients_after_infusion, year_below_population
from cartsight.comparison.single_arm import ArmRun, run_arms
from cartsight.core.errors import InputError
from cartsight.core.units import DAYS_PER_YEAR
from cartsight.evidence.survival import Exponential
from tests.outcomes.test_partitioned_survival import LawCurve
from tests.scenario_builder import build, minimal_scenario, months, number, probability, utility


def run(raw: dict | None = None, arm: str = "autologous", patients: int = 600) -> ArmRun:
    raw = minimal_scenario() if raw is None else raw
    raw["analysis"]["patients"] = patients
    return run_arms(build(raw), 7, (arm,))[arm]


def without_cure() -> dict:
    """Everybody responds, nobody is cured or dies in remission, exponential relapse and death: three states suffice."""
    raw = minimal_scenario()
    arm = raw["arms"]["autologous"]
    arm["efficacy"] |= {
        "complete_response": probability(1.0),
        "overall_response": probability(1.0),
        "relapse": {"law": "exponential", "median": months(12)},
        "survival_after_relapse": {"law": "exponential", "median": months(8)},
        "non_relapse_mortality": probability(0.0),
    }
    del arm["efficacy"]["cure"]
    raw["population"]["background_mortality"]["standardised_mortality_ratio"] = number(0.0, "ratio")
    raw["population"]["utility_by_age"] = {
        "constant": number(1.0, "ratio"),
        "per_year": number(0.0, "ratio"),
        "per_year_squared": number(0.0, "ratio"),
    }
    for event in arm["toxicity"]["events"].values():
        event["utility_loss"] = utility(0.0)
    return raw


def test_complete_follow_up_agrees_where_three_states_suffice() -> None:
    view = partitioned_view(run(without_cure()))
    for row in view.complete_rows:
        # Same patients, same days in each state. Immunoglobulin goes to random patients, in the view to all alike: the
        # costs differ by sampling.
        assert row.relative_difference == pytest.approx(0.0, abs=5e-3 if row.quantity == "cost" else 1e-3), row.quantity
        assert not row.beyond_tolerance
    assert not [warning for warning in view.warnings if "complete follow-up" in warning]


def test_separate_extrapolation_of_a_cure_is_called_out() -> None:
    view = partitioned_view(run(), model="exponential", follow_up_months=12.0)
    life_years = next(row for row in view.extrapolated_rows if row.quantity == "life_years")
    assert life_years.relative_difference < -0.3
    assert life_years.beyond_tolerance
    warning = next(warning for warning in view.warnings if "extrapolated apart" in warning)
    assert "ignores that death depends on progression" in warning
    assert "never relapse" in warning


def test_crossings_are_reported_with_their_dates() -> None:
    raw = minimal_scenario()
    # Deaths follow relapse at once, so the two fitted curves lie on each other and cross by sampling alone.
    raw["arms"]["autologous"]["efficacy"]["survival_after_relapse"] = {"law": "exponential", "median": months(0.5)}
    view = partitioned_view(run(raw, patients=300), model="weibull", follow_up_months=24.0)
    assert view.extrapolated.crossing is not None
    assert view.extrapolated.life_years["progressed"] < view.patients_by_state["life_years"]["progressed"] + 1.0
    assert any("left as they are" in warning for warning in view.warnings) == (
        view.extrapolated.crossing.largest_gap > 0.001
    )


def test_patients_after_infusion_are_the_patients_of_the_run() -> None:
    arm = run()
    each, parts = patients_after_infusion(arm)
    infused = arm.outcomes.infused
    after = (arm.outcomes.survival_days - arm.outcomes.infusion_day)[infused] / DAYS_PER_YEAR
    np.testing.assert_allclose(each["life_years"], after, rtol=1e-12)
    assert sum(parts["qalys"].values()) == pytest.approx(each["qalys"].mean(), rel=1e-12)
    assert sum(parts["costs"].values()) == pytest.approx(each["cost"].mean(), rel=1e-12)
    view = partitioned_view(arm)
    assert view.complete.totals["life_years"] == pytest.approx(float(after.mean()), rel=1e-3)


def test_a_fitted_hazard_below_that_of_the_population() -> None:
    arm = run()
    # One death in ten thousand a year is less than at any age of adults; one in two is more until very old age.
    assert year_below_population(arm, LawCurve(Exponential(1e-4))) == 0.0
    assert year_below_population(arm, LawCurve(Exponential(0.7))) is None


def test_background_mortality_keeps_extrapolation_above_that_of_the_population() -> None:
    arm = run()
    with_background = partitioned_view(arm, model="log_normal", follow_up_months=24.0)
    without = partitioned_view(arm, model="log_normal", follow_up_months=24.0, background=False)
    assert with_background.background and not without.background
    assert with_background.below_population_from_year is None
    assert without.below_population_from_year is not None
    assert any("Nothing is capped" in warning for warning in without.warnings)
    assert with_background.extrapolated.totals["life_years"] < without.extrapolated.totals["life_years"]


def test_retreated_arm_runs() -> None:
    view = partitioned_view(run(arm="allogeneic"), follow_up_months=24.0)
    assert view.patients_by_state["costs"]["retreatment"] > 0.0
    assert view.complete.costs["relapse care"] > 0.0


@pytest.mark.parametrize(
    ("arm", "keywords", "message"),
    [
        ("other_care", {}, "arm with a product"),
        ("autologous", {"tolerance": 0.0}, "tolerance must be above zero"),
        ("autologous", {"model": "wiebull"}, "unknown survival model"),
        ("autologous", {"follow_up_months": -1.0}, "follow-up must be above zero"),
    ],
)
def test_bad_input(arm: str, keywords: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        partitioned_view(run(arm=arm, patients=100), **keywords)
