"""Views of reviewers on an arm with later lines, transplant and secondary malignancy."""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.comparison.partitioned_view import partitioned_view
from cartsight.comparison.scenario_analyses import changed_scenario, standard_analyses
from cartsight.comparison.scenario_table import run_scenario_table, touches_the_flow
from cartsight.comparison.single_arm import ArmRun, run_arms
from tests.scenario_builder import build, later_tables, minimal_scenario, number


def scenario(rate: float = 0.0) -> ArmRun:
    raw = minimal_scenario()
    raw["analysis"] |= {"patients": 800, "discount_rate_costs": rate, "discount_rate_effects": rate}
    raw["arms"]["autologous"] |= later_tables()
    raw["population"]["utility_by_age"] = {
        "constant": number(1.0, "ratio"),
        "per_year": number(0.0, "ratio"),
        "per_year_squared": number(0.0, "ratio"),
    }
    return run_arms(build(raw), 7, ("autologous",))["autologous"]


def test_states_hold_later_lines_as_averages_that_agree_without_discounting() -> None:
    # Undiscounted and without age, an average utility and an average cost of a state are exact.
    view = partitioned_view(scenario())
    patients, view_costs = view.patients_by_state, view.complete.costs
    assert patients["costs"]["later lines"] > 1_000.0
    for name in ("later lines", "transplant", "secondary malignancy"):
        assert view_costs[name] == pytest.approx(patients["costs"][name], rel=2e-3), name
    # The view pays the follow-up of a later response with the care of its state.
    care = ("relapse care", "follow-up")
    assert sum(view_costs[name] for name in care) == pytest.approx(
        sum(patients["costs"][name] for name in care), rel=2e-3
    )
    for name in ("transplant", "secondary malignancy"):
        assert view.complete.qalys[name] == pytest.approx(patients["qalys"][name], rel=1e-9), name
    after = patients["qalys"]["after relapse or no response"] + patients["qalys"]["in response to a later line"]
    assert view.complete.qalys["progressed"] == pytest.approx(after, rel=2e-3)


def test_a_disagreement_names_what_three_states_cannot_hold() -> None:
    view = partitioned_view(scenario(0.1), tolerance=1e-4)
    warning = next(text for text in view.warnings if "complete follow-up" in text)
    for words in ("responses to later lines (", "transplants (", "secondary malignancies ("):
        assert words in warning


def test_scenario_table_takes_them_away_on_the_same_patients() -> None:
    of = build(analysis={"patients": 300}, arms={"autologous": later_tables()})
    changes = {one.name: one for one in standard_analyses(of)}
    wanted = ("no later lines", "no transplant", "no secondary malignancy")
    assert set(wanted) <= set(changes)
    assert not [path for name in wanted for path in changes[name].values if touches_the_flow(path)]
    table = run_scenario_table(of, [changes[name] for name in wanted])
    base, _, _, healthy = table.rows
    for row, other in zip(base.arms, healthy.arms, strict=True):
        assert (other.qalys > row.qalys) == (row.arm == "autologous")
    without = run_arms(changed_scenario(of, changes["no later lines"]), 7)["autologous"]
    assert without.outcomes.later is not None
    assert not any(np.isfinite(line.start_day).any() for line in without.outcomes.later.lines.values())
    assert without.costs.of("later lines").sum() == 0.0
