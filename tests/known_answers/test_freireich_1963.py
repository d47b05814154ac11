"""Remission times of Freireich et al. 1963 (Blood 21:699), the worked example of most textbooks.

Kaplan-Meier values and standard errors as printed in Kleinbaum & Klein, Survival Analysis, and Collett,
Modelling Survival Data; log-rank chi-squared 16.79. Printed digits are the tolerance.
"""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.evidence.survival import SurvivalData, fit, kaplan_meier, log_rank, number_at_risk

MP6 = SurvivalData(
    np.array([6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35], dtype=float),
    np.array([1] * 9 + [0] * 12),
)
PLACEBO = SurvivalData(
    np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], dtype=float),
    np.ones(21),
)


def test_printed_curve_and_standard_errors() -> None:
    curve = kaplan_meier(MP6)
    assert curve.time.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.survival == pytest.approx([0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=5e-4)
    standard_error = curve.survival * np.sqrt(curve.log_variance)
    assert standard_error == pytest.approx([0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346], abs=5e-5)
    assert curve.at_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]


def test_medians_and_numbers_at_risk() -> None:
    assert kaplan_meier(MP6).median.value == 23
    assert kaplan_meier(PLACEBO).median.value == 8
    assert number_at_risk(MP6, [0, 10, 20, 30]).tolist() == [21, 15, 8, 4]


def test_plain_and_log_log_intervals() -> None:
    plain, loglog = kaplan_meier(MP6, interval="plain"), kaplan_meier(MP6)
    # At 10 weeks: 0.753 +- 1.96 * 0.0963, and on the log-log scale as R's survfit prints it: 0.503, 0.889.
    assert plain.low_at([10])[0] == pytest.approx(0.753 - 1.96 * 0.0963, abs=1e-3)
    assert loglog.low_at([10])[0] == pytest.approx(0.503, abs=1e-3)
    assert loglog.high_at([10])[0] == pytest.approx(0.889, abs=1e-3)


def test_log_rank() -> None:
    test = log_rank([MP6, PLACEBO])
    assert test.chi_squared == pytest.approx(16.79, abs=5e-3)
    assert test.expected == pytest.approx([19.25, 10.75], abs=5e-3)


def test_exponential_rates_are_events_over_exposure() -> None:
    # 9 / 359 and 21 / 182 relapses per week.
    assert fit(MP6, "exponential").parameters["rate"] == pytest.approx(9 / 359, rel=1e-9)
    assert fit(PLACEBO, "exponential").parameters["rate"] == pytest.approx(21 / 182, rel=1e-9)


def test_restricted_mean_is_the_area_under_the_printed_steps() -> None:
    curve = kaplan_meier(MP6)
    area, _ = curve.restricted_mean(23)
    by_hand = 6 + 0.857143 * 1 + 0.806723 * 3 + 0.752941 * 3 + 0.690196 * 3 + 0.627451 * 6 + 0.537815 * 1
    assert area == pytest.approx(by_hand, abs=1e-5)
