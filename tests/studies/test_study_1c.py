"""Study 1C: plants against demand, the map of redosing and durability, tests by the value of what they would reveal."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.comparison.single_arm import run_arms
from cartsight.studies import StudyResult, find_study, study_codes
from cartsight.studies.in_vivo_manufacturing import designs, simulated_supply, study
from cartsight.studies.in_vivo_manufacturing.analytics import Decision, Ranked
from cartsight.studies.in_vivo_manufacturing.arms import PLATFORMS, lever_values, run_platforms, with_doses
from cartsight.studies.in_vivo_manufacturing.chain import make_chain
from cartsight.studies.in_vivo_manufacturing.contours import crossing
from cartsight.studies.in_vivo_manufacturing.designs import Test, load_analytics, seen_values, summary
from cartsight.studies.in_vivo_manufacturing.plants import (
    draw_plants,
    load_plants,
    patients_per_year,
    point_values,
)
from cartsight.studies.in_vivo_manufacturing.supply import rounded
from cartsight.studies.page import study_page

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def result() -> StudyResult:
    monkey = pytest.MonkeyPatch()
    monkey.setattr(study, "PATIENTS", 100)
    monkey.setattr(study, "PLANT_DRAWS", 200)
    monkey.setattr(study, "MAP_DRAWS", 3)
    monkey.setattr(study, "LEVER_DRAWS", 2)
    monkey.setattr(simulated_supply, "LEVELS", (300,))
    monkey.setattr(simulated_supply, "REPLICATIONS", 2)
    monkey.setattr("cartsight.studies.in_vivo_manufacturing.arms.BLOCK", 64)
    monkey.setattr("cartsight.studies.in_vivo_manufacturing.analytics.DATA_SETS", 2)
    monkey.setattr("cartsight.studies.in_vivo_manufacturing.analytics.CHANCE_FITS", 2)
    try:
        return find_study("1c").run(draws=4)
    finally:
        monkey.undo()


def test_every_question_has_figures_a_chart_and_what_would_change_it(result: StudyResult) -> None:
    assert "1C" in study_codes()
    assert [answer.question for answer in result.answers] == list(find_study("1C").questions)
    assert result.draws == 40
    for answer in result.answers:
        assert answer.figures and answer.rows and answer.would_change and answer.weakest
        assert answer.chart.startswith("<svg") and "aria-label" in answer.chart
        for figure in answer.figures:
            assert math.isfinite(figure.value), figure
            if figure.low is not None and figure.high is not None:
                assert figure.low <= figure.high, figure
        assert not re.search(r"\b(nan|inf)\b", answer.answer)
    assert any("mRNA drug substance" in str(row["stage"]) for row in result.answers[0].rows)
    assert len(result.assumptions) > 50


def test_page_and_json(result: StudyResult) -> None:
    page = study_page(result)
    assert page.count("<svg") == 3 and "<script" not in page
    document = json.loads(json.dumps(result.as_dict(charts=False), allow_nan=False))
    assert len(document["answers"]) == 3


def test_study_is_listed() -> None:
    listed = RUNNER.invoke(app, ["study", "list", "--json"])
    assert listed.exit_code == 0 and "1C" in [s["code"] for s in json.loads(listed.stdout)["studies"]]


# ------------------------------------------------------------------------------------------------------------- chains


def test_vector_line_by_hand() -> None:
    # 200 l x 1.5e7 TU/ml x 0.3 x 0.6 / 2e8 TU = 2 700 doses a lot; 18 lots a year, 89 % released.
    chain = make_chain("vector", point_values(load_plants()))
    assert chain.lot_doses[0] == pytest.approx(2_700.0)
    assert chain.stages[0].doses_per_line_year[0] == pytest.approx(2_700.0 * 18 * 0.89)
    # The shipped myeloma scenario has 124 doses from 5.5 litres with the same titre, recovery and dose, before polishing.
    assert chain.lot_doses[0] / 0.6 * 5.5 / 200.0 == pytest.approx(124.0, rel=0.01)


def test_messenger_line_agrees_with_the_vaccine_model_it_cites() -> None:
    # 842.1 kg from 55 lines a year (Public Citizen 2021): 15.3 kg a line.
    at = point_values(load_plants())
    kilograms = (
        at["mrna.reactor_litres"]
        * at["mrna.titre_grams_per_litre"]
        * at["mrna.purification_yield"]
        * at["mrna.batches_per_year"]
    )
    assert kilograms[0] / 1000.0 == pytest.approx(842.1 / 55, rel=0.02)


@settings(max_examples=30)
@given(st.sampled_from(["mrna", "vector"]), st.floats(100.0, 1e6), st.floats(1.0, 20.0))
def test_chain_properties(platform: str, patients: float, factor: float) -> None:
    at = point_values(load_plants())
    chain = make_chain(platform, at)
    assert chain.lines_needed(factor * patients) == pytest.approx(factor * chain.lines_needed(patients))
    booked, own = (chain.cost_per_dose(patients, booked=b)[0] for b in (True, False))
    more = chain.cost_per_dose(factor * patients, booked=True)[0]
    assert 0.0 < more <= booked * (1.0 + 1e-12)
    # Own lines cost at least what their busy part costs without a markup.
    assert own >= booked / (1.0 + at["shared.booking_markup"][0]) - 1e-9
    # A larger dose never serves more patients at any stage.
    dearer = make_chain(platform, {**at, f"{platform}.dose": at[f"{platform}.dose"] * factor})
    assert np.all(dearer.served() <= chain.served() * (1.0 + 1e-12))


def test_patients_a_year_by_hand_and_draws_keyed_by_name() -> None:
    plants = load_plants()
    lupus = patients_per_year(plants, point_values(plants))["lupus"][0]
    assert lupus == pytest.approx(335e6 * 72.8e-5 * 0.14 * 0.10)
    draws = draw_plants(plants, 50, 1)
    again = draw_plants(plants, 50, 1)
    assert all(np.array_equal(draws[name], again[name]) for name in draws)
    path = "vector.titre"
    assert draws[path].min() >= 3e6 and draws[path].max() <= 6e7
    assert np.unique(draws[path]).size == 50
    assert np.all(draws["vector.reactor_litres"] == 200.0)


def test_simulated_chain_has_the_doses_of_the_analytic_one() -> None:
    at = point_values(load_plants())
    for platform in PLATFORMS:
        arm = platform.scenario().arms[platform.in_vivo]
        lots = simulated_supply.chain_lots(platform, arm, at, 1_000, shared=True)  # type: ignore[arg-type]
        chain = make_chain(platform.key, at)
        assert lots.mean_doses == pytest.approx(chain.lot_doses[0], rel=0.01)
        assert lots.release_probability == pytest.approx(chain.lot_success[0])
        assert lots.fill_line is not None and lots.fill_line.shared is not None


# --------------------------------------------------------------------------------------------------------------- arms


def test_dose_cost_put_to_doses_is_the_cost_of_an_ordinary_run() -> None:
    platform = PLATFORMS[1]
    runs = run_platforms(7, 2, lambda *_: None, map_draws=1, lever_draws=0, patients=150)
    run = next(r for r in runs if r.platform is platform)
    sample = {path: float(column[0]) for path, column in run.parameters.items()}
    from cartsight.comparison.parameter_draws import draw_parameters

    seed = draw_parameters(run.scenario, 2, 7).patient_seed(0)
    ordinary = run_arms(run.scenario.with_values(sample, known=True), seed, (platform.autologous, platform.in_vivo))
    draw = run.draws[0]
    vivo = ordinary[platform.in_vivo]
    product = vivo.costs.of("product").mean()
    assert draw.in_vivo.cost == pytest.approx(float(vivo.cost.mean() - product))
    assert draw.in_vivo.effect == pytest.approx(float(vivo.effect.mean()))
    assert draw.autologous_cost == pytest.approx(float(ordinary[platform.autologous].cost.mean()))
    # One dose a course and no repeats: discounted doses are the discounted product payments over their price, but for the
    # days between order and infusion and the few who die in them.
    assert vivo.goods is not None
    assert draw.in_vivo.doses == pytest.approx(float(product) / vivo.goods.per_infused, rel=0.02)
    longer = [draw.grid[1, years].effect for years in platform.durations_years]
    assert np.all(np.diff(longer) > 0.0)


def test_levers_and_doses_change_what_they_say() -> None:
    platform = PLATFORMS[0]
    scenario = platform.scenario()
    arm = scenario.arms[platform.in_vivo]
    assert with_doses(scenario, platform.in_vivo, 3) is scenario
    six = with_doses(scenario, platform.in_vivo, 6).arms[platform.in_vivo]
    assert six.doses_per_course == 6 and six.lots.order_up_to == 2 * arm.lots.order_up_to  # type: ignore[union-attr]
    closed = lever_values(
        platform, scenario, frozenset({"durability", "expression", "toxicity", "response", "lots", "doses"})
    )
    moved, reference = closed.arms[platform.in_vivo], closed.arms[platform.autologous]
    assert moved.efficacy.relapse.median.x == reference.efficacy.relapse.median.x  # type: ignore[union-attr]
    assert moved.efficacy.complete_response.x == reference.efficacy.complete_response.x  # type: ignore[union-attr]
    assert moved.expression.x == 1.0 and moved.doses_per_course == 1 and moved.lots.failure.x == 0.0  # type: ignore[union-attr]
    assert lever_values(platform, scenario, frozenset()).arms[platform.in_vivo] == arm


def test_crossing_of_the_map() -> None:
    years = np.array([1.0, 2.0, 4.0])
    assert crossing(years, np.array([-1.0, 1.0, 3.0])) == pytest.approx(math.sqrt(2.0))
    assert crossing(years, np.array([0.0, 1.0, 3.0])) == 1.0
    assert crossing(years, np.array([-3.0, -2.0, -1.0])) == math.inf


# -------------------------------------------------------------------------------------------------------------- tests


def _test(n: int, design: str) -> Test:
    money = {"value": 1.0, "unit": "usd_2024", "assumed": "a test"}
    return Test.model_validate(
        {
            "platform": "mrna",
            "label": "x",
            "units": "patients",
            "n": n,
            "months": 6,
            "fixed": money,
            "per_unit": money,
            "reads": [{"parameter": "p", "design": design, "carries": 1.0}],
        }
    )


def test_value_of_data_against_a_normal_known_answer() -> None:
    # Net benefit b ~ N(0, s) of one arm beside 0: perfect information is worth s / sqrt(2 pi). A duration seen in n patients
    # all followed to the event has a log-rate of variance about 1/n, so data are worth s rho / sqrt(2 pi) with
    # rho^2 = v / (v + 1/n). 4 000 draws: Monte Carlo error about 2 %, tolerance 8 %.
    generator = np.random.default_rng(5)
    draws, n, log_sd, scale = 4_000, 10, 0.5, 1_000.0
    log_median = log_sd * generator.standard_normal(draws)
    costs = np.zeros((draws, 2))
    effects = np.column_stack([np.zeros(draws), scale * log_median / log_sd])
    choice = Decision("x", 1.0, costs, effects, 1.0)
    perfect = choice.perfect()[0]
    assert perfect == pytest.approx(scale / math.sqrt(2 * math.pi), rel=0.05)
    test = _test(n, "duration").model_copy(update={"follow_up_years": 1e6})
    data = summary(test, test.reads[0], 100.0 * np.exp(log_median), generator)
    rho = math.sqrt(log_sd**2 / (log_sd**2 + 1.0 / n))
    assert choice.partial(data, 1)[0] == pytest.approx(rho * scale / math.sqrt(2 * math.pi), rel=0.08)


@pytest.mark.parametrize("design", ["share", "odds_ratio", "onset", "duration", "lot_spread", "mean"])
def test_data_follow_their_parameter(design: str) -> None:
    generator = np.random.default_rng(3)
    values = np.linspace(0.05, 0.95, 400) * (400.0 if design == "duration" else 0.1 if design == "onset" else 1.0)
    few, many = (
        abs(float(np.corrcoef(values, summary(_test(n, design), _test(n, design).reads[0], values, generator))[0, 1]))
        for n in (5, 500)
    )
    assert many > 0.85 and many >= few - 0.02


def test_a_surrogate_carries_the_share_it_states() -> None:
    generator = np.random.default_rng(11)
    values = generator.lognormal(size=20_000)
    seen = seen_values(values, 0.5, generator)
    ranks = [np.argsort(np.argsort(x)) for x in (values, seen)]
    # Spearman's rho of a Gaussian copula with correlation sqrt(0.5).
    expected = 6.0 / math.pi * math.asin(math.sqrt(0.5) / 2.0)
    assert float(np.corrcoef(*ranks)[0, 1]) == pytest.approx(expected, abs=0.02)
    assert np.array_equal(seen_values(values, 1.0, generator), values)


def test_every_test_names_parameters_that_draws_move_and_has_a_cost() -> None:
    plants = {path for path, number in load_plants().numbers().items() if number.quantity.is_uncertain}
    scenarios = {p.key: p.scenario().numbers() for p in PLATFORMS}
    for test in load_analytics().tests.values():
        for read in test.reads:
            numbers = scenarios[test.platform]
            assert read.parameter in plants or numbers[read.parameter].quantity.is_uncertain
        assert test.cost == pytest.approx(test.fixed.x + test.n * test.per_unit.x)
    assert designs.load_analytics().population.reached_by_autologous.x == 0.2


def test_verdicts() -> None:
    test = _test(9, "share")

    def verdict(sample: float, error: float, at_cost: float) -> str:
        return Ranked("k", test, 9.0, sample, error, at_cost, 0.0, 10.0, 1.0).verdict

    assert test.cost == 10.0
    assert verdict(2.0, 0.1, 2.0) == "start now"
    assert verdict(2.0, 0.1, 0.5) == "start now if sold at its value"
    assert verdict(2.0, 3.0, 0.5) == "open"
    assert verdict(0.5, 0.1, 0.5) == "not for this choice"


def test_rounded() -> None:
    assert [rounded(x) for x in (253_412.0, -1_234.0, 12.34, 0.01234, 0.0)] == [
        "253,000",
        "-1,230",
        "12.3",
        "0.0123",
        "0",
    ]
