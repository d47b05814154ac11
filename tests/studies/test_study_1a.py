"""Study 1A: its arithmetic by hand, its designs by their properties, and every question answered with figures and a chart."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from cartsight.comparison.parameter_draws import draw_parameters
from cartsight.scenario import load_scenario
from cartsight.scenario.arms import AutologousArm
from cartsight.studies import find_study, study_codes
from cartsight.studies.answers import Answer
from cartsight.studies.autologous_manufacturing import levers, processes, volumes
from cartsight.studies.autologous_manufacturing.networks import NETWORKS, base_scenario, demand, network_scenario
from cartsight.studies.autologous_manufacturing.numbers import read_numbers
from cartsight.studies.study_numbers import draw_study_numbers, stated_assumptions

SEED, MONEY = 5, "usd_2024"


def quiet(stage: str, done: int, total: int) -> None:
    pass


def complete(answer: Answer) -> None:
    assert answer.figures and answer.rows and answer.would_change and answer.weakest
    assert answer.chart.startswith("<svg") and "aria-label" in answer.chart
    assert "nan" not in answer.answer and "inf " not in answer.answer
    for figure in answer.figures:
        assert math.isfinite(figure.value), figure.label
        if figure.low is not None and figure.high is not None:
            assert figure.low <= figure.high
    json.dumps(answer.rows, allow_nan=False)


def test_the_study_is_in_the_catalogue() -> None:
    study = find_study("1a")
    assert study.code == "1A" and "1A" in study_codes()
    assert study.questions == (volumes.QUESTION, levers.QUESTION, processes.QUESTION)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # Equal at the middle of two volumes on the logarithmic scale: sqrt(100 x 10 000) = 1 000.
        ([4.0, 0.0], [2.0, 2.0], 1000.0),
        ([1.0, 1.0], [2.0, 2.0], 0.0),
        ([3.0, 3.0], [2.0, 2.0], math.inf),
    ],
)
def test_break_even_by_hand(first: list[float], second: list[float], expected: float) -> None:
    found = volumes.break_even(np.array([100.0, 10_000.0]), np.array(first), np.array(second))
    assert found == pytest.approx(expected)


def test_break_even_odds_ratio_by_hand() -> None:
    # Net benefit is linear in the logarithm: equal to the target half way between 0.8 and 1.25, at 1.
    assert processes.break_even_odds_ratio(-10.0, 10.0, 0.0) == pytest.approx(1.0)
    assert math.isnan(processes.break_even_odds_ratio(10.0, 10.0, 0.0))


def test_networks_pool_lines_and_spread_fixed_costs() -> None:
    scenario, numbers = base_scenario(), read_numbers(MONEY)
    load = demand(1500.0)
    assert sum(load.starts_per_day) * 365.25 < 1500.0
    lines, fixed = {}, {}
    for network in NETWORKS:
        arm = network_scenario(scenario, numbers, network, 1500.0).arms[network]
        assert isinstance(arm, AutologousArm)
        if arm.at_every_hospital is not None:
            sites = sum(load.hospitals)
            lines[network] = sites * arm.at_every_hospital.lines
        else:
            assert arm.sites is not None
            sites = len(arm.sites)
            lines[network] = sum(site.lines for site in arm.sites.values())
        fixed[network] = sites * (arm.costs.site_per_year.x + arm.costs.quality_overhead_per_site_year.x)
    # One pool needs no more spare lines than many, and many sites cost no less to run than one.
    order = ("central", "regional", "point-of-care")
    assert [lines[name] for name in order] == sorted(lines[name] for name in order)
    assert [fixed[name] for name in order] == sorted(fixed[name] for name in order)


def test_manufacturing_models_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "VOLUMES", (500.0, 5000.0))
    scenario = base_scenario().with_analysis(patients=300)
    parameters = draw_parameters(scenario, 2, SEED)
    numbers = draw_study_numbers(read_numbers(MONEY), 2, SEED, "1A")
    answer = volumes.manufacturing_models(scenario, parameters, numbers, quiet)
    complete(answer)
    assert len(answer.rows) == 2 * len(NETWORKS)
    for row in answer.rows:
        assert 0.3 < row["infused of referred"] < 0.9
        assert row["lines busy"] < 1.0
    days = {row["network"]: row["vein to vein, days"] for row in answer.rows if row["referred a year"] == 5000}
    assert days["point-of-care"] < days["central"]


def test_levers_are_answered_and_add_up() -> None:
    answer, numbers = levers.supply_and_donors(2, SEED, quiet, patients=250)
    complete(answer)
    assert [row["lever"] for row in answer.rows] == list(levers.LEVERS)
    assert stated_assumptions(numbers)


def test_levers_change_what_they_say() -> None:
    scenario, numbers = load_scenario(levers.SCENARIO), levers.read_levers(MONEY)

    def arm(*names: str) -> AutologousArm:
        pulled = [lever in names for lever in levers.LEVERS]
        found = levers.with_levers(scenario, numbers, pulled, SEED).arms[levers.ARM]
        assert isinstance(found, AutologousArm)
        return found

    base = arm()
    assert base.supplies["vector"].second_source is None
    assert arm("second source").supplies["vector"].second_source is not None
    assert arm("safety stock").supplies["vector"].reorder_point > base.supplies["vector"].reorder_point
    cheaper = arm("cheaper vector").supplies["vector"].cost_per_lot
    assert cheaper is not None and base.supplies["vector"].cost_per_lot is not None
    assert cheaper.x == pytest.approx(0.5 * base.supplies["vector"].cost_per_lot.x)
    assert arm("supplier consolidation").supplies["kits"].second_source is None
    narrow = arm("standardisation").process
    # Less spread around the same reference batch: fewer failures in a population where failure is rare.
    assert narrow.manufacturing_failure.x < base.process.manufacturing_failure.x
    assert narrow.out_of_specification.x < base.process.out_of_specification.x


def test_outages_are_keyed_and_as_frequent_as_stated() -> None:
    found = [levers.outages(0.25 / 365.25, 120.0, seed, "first") for seed in range(400)]
    assert found[0] == levers.outages(0.25 / 365.25, 120.0, 0, "first")
    # Renewal with gaps of 4 years and outages of 120 days: 10 / 4.33 starts in ten years from a start in operation, a little
    # more for the one that begins at once; 4 standard errors of a count near Poisson.
    mean = float(np.mean([len(outage) for outage in found]))
    assert mean == pytest.approx(10.0 / (4.0 + 120.0 / 365.25), abs=4.0 * math.sqrt(2.3 / 400))
    assert levers.outages(0.0, 120.0, 1, "first") == ()


def test_two_processes_are_answered() -> None:
    answer = processes.two_processes(2, SEED, quiet, patients=400)
    complete(answer)
    by_option = {row["option"]: row for row in answer.rows}
    nine, licensed = by_option[processes.OPTIONS[processes.NINE]], by_option[processes.OPTIONS[processes.LICENSED]]
    assert licensed["days to infusion"] < nine["days to infusion"]
    assert licensed["lines busy"] < nine["lines busy"]
