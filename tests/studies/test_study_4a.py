"""Study 4A: questions answered with computed figures; its statistics against closed forms and simulation."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from cartsight.evidence.quality.release import read_release_specification
from cartsight.studies import StudyResult, find_study, study_codes
from cartsight.studies.quality import matrix, portability, study
from cartsight.studies.quality.cultures import DAYS, simulate_cultures
from cartsight.studies.quality.patients import (
    ARM,
    RELEASE,
    after,
    draw_variances,
    follow,
    relabelled_odds_ratio,
    response_lost,
    worlds,
)


@pytest.fixture(scope="module")
def result() -> StudyResult:
    monkey = pytest.MonkeyPatch()
    monkey.setattr(study, "worlds", lambda count, seed: worlds(count, seed, patients=500, lots=2000))
    try:
        return find_study("4a").run(draws=2)
    finally:
        monkey.undo()


def test_every_question_has_figures_a_chart_and_what_would_change_it(result: StudyResult) -> None:
    assert "4A" in study_codes()
    assert [answer.question for answer in result.answers] == list(find_study("4A").questions)
    for answer in result.answers:
        assert answer.figures and answer.rows and answer.would_change and answer.weakest
        assert answer.chart.startswith("<svg") and "aria-label" in answer.chart
        assert any(figure.low is not None for figure in answer.figures)
        for figure in answer.figures:
            assert math.isfinite(figure.value)
            if figure.low is not None and figure.high is not None:
                assert figure.low <= figure.high
        assert "nan" not in answer.answer
    json.dumps(result.as_dict(charts=False), allow_nan=False)
    assert result.assumptions and result.sources


def test_a_matrix_never_finds_fewer_bad_lots_and_shared_errors_cost_it() -> None:
    validity = np.array([0.5, 0.4, 0.4, 0.25])
    gains = [matrix.gain(validity, shared) for shared in (0.0, 0.3, 0.6)]
    assert all(g.matrix_r >= g.best_r for g in gains)
    assert gains[0].matrix_found > gains[1].matrix_found


def test_bad_lots_found_at_the_ends_and_by_simulation() -> None:
    assert matrix.bad_found(0.0) == pytest.approx(0.05, abs=1e-6)
    assert matrix.bad_found(0.999999) == pytest.approx(1.0, abs=0.01)
    rng = np.random.default_rng(1)
    truth = rng.normal(size=400_000)
    seen = 0.6 * truth + 0.8 * rng.normal(size=truth.size)
    bad = truth < -1.6448536
    assert matrix.bad_found(0.6) == pytest.approx(np.mean(seen[bad] < -1.6448536), abs=0.012)


def test_optimal_combination_is_multiple_correlation() -> None:
    rng = np.random.default_rng(2)
    validity = np.array([0.5, 0.4, 0.4, 0.25])
    single, assays = matrix.correlations(validity, 0.3)
    covariance = np.block([[assays, single[:, None]], [single[None, :], np.ones((1, 1))]])
    data = rng.multivariate_normal(np.zeros(5), covariance, 200_000)
    fitted = np.linalg.lstsq(data[:, :4], data[:, 4], rcond=None)[0]
    r = np.corrcoef(data[:, :4] @ fitted, data[:, 4])[0, 1]
    assert matrix.matrix_correlation(single, assays) == pytest.approx(r, abs=0.01)


def test_lots_for_association_have_the_power_they_promise() -> None:
    n = math.ceil(matrix.lots_for_association(0.5))
    assert matrix.power_of_evidence(0.5, n) == pytest.approx(0.8, abs=0.02)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(4000, n))
    y = 0.5 * x + math.sqrt(0.75) * rng.normal(size=x.shape)
    r = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(x, y, strict=True)])
    # Fisher's z against the simulated law of r: within three points of the power
    assert np.mean(np.arctanh(r) * math.sqrt(n - 3) > 1.6449) == pytest.approx(0.8, abs=0.03)


def test_choosing_after_the_data_accepts_more_useless_matrices() -> None:
    fixed, chosen = matrix.false_acceptance(30, 1)
    assert fixed == pytest.approx(0.05, abs=0.015)
    assert chosen > 2 * fixed


def test_measures_remove_what_they_say() -> None:
    specification = read_release_specification(RELEASE)
    before = portability.between_laboratories(specification)
    after = portability.between_laboratories(portability.with_reference(specification, specification.names))
    assert after < portability.between_laboratories(portability.with_reference(specification, ["potency"])) < before
    assert portability.between_laboratories(portability.with_common_format(specification)) == before
    drawn = draw_variances(specification, 1, 0)
    assert drawn != specification and drawn == draw_variances(specification, 1, 0)


def test_more_failures_leave_fewer_infused() -> None:
    world = worlds(1, 3, patients=500, lots=2000)[0]
    base = follow(world, world.numbers, infuse_out_of_specification=0.0)
    worse = follow(world, world.numbers, infuse_out_of_specification=0.0, out_of_specification=0.5)
    assert worse.infused < base.infused
    assert worse.qalys < base.qalys


def test_cultures_fail_for_growth_and_for_what_nobody_sees() -> None:
    cultures = simulate_cultures(400, 1)
    assert 0.03 < cultures.failed.mean() < 0.3
    assert np.any(cultures.failed & ~cultures.seen_cause)
    assert np.corrcoef(cultures.harvest_day, cultures.signals["capacitance"][:, -1])[0, 1] < -0.7
    assert 0 < cultures.raman_error["glucose"] < 0.2


def test_a_new_name_for_the_same_product_does_not_heal() -> None:
    response, ratio, before, now = 0.59, 0.75, 0.36, 0.20
    failed = 0.06
    bad = failed * (1 - before)
    # the same bad products, fewer good ones called out of specification beside them
    called = bad / (1 - now)
    changed = relabelled_odds_ratio(response, ratio, before, now)
    was = failed * after(response, ratio) + (1 - failed) * response
    now_is = called * after(response, changed) + (1 - called) * response
    assert now_is == pytest.approx(was, abs=1e-12)
    assert changed < ratio and relabelled_odds_ratio(response, ratio, before, before) == ratio
    # a bad product released in specification loses what a bad one out of specification loses
    assert bad * response_lost(response, ratio, before) == pytest.approx(
        failed * (response - after(response, ratio)), abs=1e-12
    )


def test_infusing_every_product_leaves_nothing_to_gain_from_relabelling() -> None:
    world = worlds(1, 3, patients=4000, lots=4000)[0]
    everything = world.scenario.with_values(
        {
            f"arms.{ARM}.process.infuse_out_of_specification": 1.0,
            f"arms.{ARM}.process.out_of_specification_approval": 0.0,
        }
    )
    world = replace(
        world, scenario=everything, numbers=replace(world.numbers, failed_good=0.5, out_of_specification=0.2)
    )
    clear = replace(world.numbers, failed_good=0.0, out_of_specification=0.1)
    relabelled = follow(world, clear).qalys - follow(world, world.numbers).qalys
    naive = follow(world, replace(clear, failed_good=0.5)).qalys - follow(world, world.numbers).qalys
    # a tenth of the products, called by another name, would heal if the odds ratio stayed with the name
    assert naive > 0.01
    assert abs(relabelled) < 0.4 * naive


def test_what_all_measurements_find_together_is_said_of_all(result: StudyResult) -> None:
    answer = result.answers[1]
    together = next(row for row in answer.rows if row["measurement"] == "all")
    assert f"all together {together['area_under_curve']:.2f})" in answer.answer
    assert not answer.answer.startswith(f"By day {DAYS[-1]} glucose and lactate separates")
