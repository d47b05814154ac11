"""Corners of the quality room: lost responses, steep and flat curves, Westgard's rules, sampling tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.evidence.quality import build_study, means_chart, release_risk
from cartsight.evidence.quality.control_charts import westgard_flags, westgard_run_length
from cartsight.evidence.quality.gibbs import sample_posterior
from cartsight.evidence.quality.potency import Assay, curve_potency, read_assay
from cartsight.evidence.quality.reml import fit_likelihood, profile_interval
from cartsight.evidence.quality.sterility import TimeToDetection, ph_eur_2627_volume_ml, usp_71_containers


def curve_assay(y: np.ndarray, doses: np.ndarray) -> Assay:
    half = len(y) // 2
    prep = np.repeat([0, 1], half).astype(np.intp)
    return Assay(("S", "T"), prep, doses, y, np.ones(len(y)), (), np.arange(2, len(y) + 2))


# Such fits run to their last step, seconds each: one of each model here, the others in the long validation.
@pytest.mark.parametrize(
    ("model", "steep"),
    [
        ("four-parameter", True),
        ("five-parameter", False),
        ("weibull", True),
        pytest.param("four-parameter", False, marks=pytest.mark.slow),
        pytest.param("five-parameter", True, marks=pytest.mark.slow),
        pytest.param("weibull", False, marks=pytest.mark.slow),
    ],
)
def test_curves_that_the_data_do_not_determine_are_not_valid(model: str, steep: bool) -> None:
    doses = np.tile(np.repeat([1.0, 2.0, 4.0, 8.0, 16.0], 2), 2)
    noise = np.random.default_rng(2).normal(0, 0.03, 20)
    result = curve_potency(curve_assay((doses >= 4) * (1.0 if steep else 0.0) + 1 + noise, doses), model)
    assert not result.valid
    assert any(">= 1" in word for word in result.warnings)


def test_weighted_fit_raises_no_false_outliers() -> None:
    rng = np.random.default_rng(7)
    doses = np.tile(np.repeat(2.0 ** np.arange(-4, 5), 4), 2)
    mean = 0.1 + 5 / (1 + doses**-1.3)
    result = curve_potency(curve_assay(mean * np.exp(rng.normal(0, 0.05, len(mean))), doses), weight_power=2.0)
    assert len(result.outliers) <= 1
    assert result.potencies[0].lower < 1 < result.potencies[0].upper


def test_a_lost_response_of_a_latin_square_keeps_its_line(tmp_path: object) -> None:
    square = ["S1", "S2", "T1", "T2"]
    lines = ["preparation,dose,response,row,column"]
    for row in range(4):
        for column in range(4):
            name = square[(row + column) % 4]
            response = "" if (row, column) == (1, 1) else str(10 + 3 * int(name[1]) + 0.1 * row - 0.2 * column)
            lines.append(f"{name[0]},{name[1]},{response},{row},{column}")
    path = f"{tmp_path}/square.csv"
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    assert read_assay(path, design="latin").missing == 1
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines[:-1]))
    with pytest.raises(InputError, match="Latin square"):
        read_assay(path, design="latin")


@pytest.mark.parametrize(
    ("z", "rule", "point"),
    [
        ([0, 2.1, 0], "1-2s", 1),
        ([0, -3.1], "1-3s", 1),
        ([2.1, 2.2], "2-2s", 1),
        ([2.1, -2.2], "R-4s", 1),
        ([1.1, 1.2, 1.3, 1.4], "4-1s", 3),
        ([0.1] * 10, "10-x", 9),
    ],
)
def test_westgard_rules(z: list[float], rule: str, point: int) -> None:
    assert (point, rule) in westgard_flags(np.array(z, dtype=float))


def test_stacked_rules_signal_more_often_than_one() -> None:
    stacked = westgard_run_length(runs=1000)
    alone = westgard_run_length(runs=1000, rules=["1-3s"])
    # 1 / P(|z| > 3) = 370.4
    assert abs(alone.average_run_length - 370.4) < 4 * alone.standard_error
    assert stacked.average_run_length < 0.6 * alone.average_run_length


def test_posterior_is_seeded_and_agrees_with_likelihood_when_data_are_rich() -> None:
    rng = np.random.default_rng(3)
    groups = [str(i) for i in range(40) for _ in range(4)]
    study = build_study(np.repeat(rng.normal(0, 1, 40), 4) + rng.normal(0, 0.5, 160), {"group": groups})
    one, two = (sample_posterior(study, seed=5, draws=1000) for _ in range(2))
    assert np.array_equal(one.variances, two.variances)
    summary, fit = one.summary(0), fit_likelihood(study)
    assert summary.r_hat < 1.05
    assert summary.median == pytest.approx(float(fit.components[0]), rel=0.15)
    low, high = profile_interval(study, 0, fit)
    assert low < float(fit.components[0]) < high


def test_chart_of_means_names_the_donor_trap() -> None:
    rng = np.random.default_rng(1)
    values = np.repeat(rng.normal(0, 5, 8), 3) + rng.normal(0, 0.5, 24)
    chart = means_chart(values, [str(i) for i in range(8) for _ in range(3)])
    assert any("donors" in word for word in chart.warnings)


def test_sampling_tables_and_release_curve() -> None:
    assert [usp_71_containers(n) for n in (2, 20, 60, 300, 600, 5000)] == [2, 4, 6, 10, 12, 20]
    assert [ph_eur_2627_volume_ml(v) for v in (2000, 100, 5)] == [10.0, 1.0, 0.1]
    with pytest.raises(InputError):
        ph_eur_2627_volume_ml(0.5)
    curve = TimeToDetection(2.0, 0.5, 0.95)
    risks = [
        release_risk(d, contamination_prior=0.01, organisms_per_ml=1, volume_ml=1, detection=curve) for d in (1, 3, 14)
    ]
    seen = [risk.detected_if_contaminated for risk in risks]
    assert seen == sorted(seen)
    # a sterility test is not certain however long it runs
    assert seen[-1] == pytest.approx(0.95 * -math.expm1(-1), rel=1e-3)
