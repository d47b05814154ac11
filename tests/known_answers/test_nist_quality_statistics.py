"""Tolerance factors, equivalence, capability, charts and run lengths with published or exactly recomputed
answers.

Sources: NIST/SEMATECH e-Handbook (6.1.6, 6.3.2.3, 6.3.2.4, 7.2.6.3); tolerance factors from exact
integration, as tabled in ISO 16269-6; PlantGrowth (Dobson 1983) with statsmodels; average run lengths of the
R package spc. Tolerances are half a unit of the last printed digit unless a comment says otherwise.
"""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.weightstats import ttost_ind

from cartsight.evidence.quality import (
    compare,
    cusum_chart,
    detection_by_containers,
    detection_by_volume,
    ewma_chart,
    out_of_specification_probability,
)
from cartsight.evidence.quality.capability import capability, cpk_interval
from cartsight.evidence.quality.run_length import (
    cusum_average_run_length,
    cusum_run_length_by_markov_chain,
    ewma_average_run_length,
    shewhart_average_run_length,
)
from cartsight.evidence.quality.tolerance import (
    howe_factor,
    natrella_one_sided_factor,
    non_parametric_size,
    one_sided_factor,
    two_sided_factor,
)


@pytest.mark.parametrize(
    ("n", "k1", "k2", "howe", "k1_99", "k2_99"),
    [
        (3, 7.6559, 9.7888, 9.9928, 10.5527, 12.6471),
        (5, 4.2027, 5.0769, 5.0935, 5.7411, 6.5980),
        (10, 2.9110, 3.3934, 3.3819, 3.9811, 4.4369),
        (20, 2.3960, 2.7603, 2.7523, 3.2952, 3.6210),
        (30, 2.2198, 2.5549, 2.5496, 3.0639, 3.3546),
        (50, 2.0650, 2.3816, 2.3788, 2.8624, 3.1288),
        (100, 1.9265, 2.2339, 2.2328, 2.6840, 2.9355),
    ],
)
def test_tolerance_factors(n: int, k1: float, k2: float, howe: float, k1_99: float, k2_99: float) -> None:
    assert one_sided_factor(n, 0.95, 0.95) == pytest.approx(k1, abs=5e-5)
    assert two_sided_factor(n, 0.95, 0.95) == pytest.approx(k2, abs=5e-5)
    assert howe_factor(n, 0.95, 0.95) == pytest.approx(howe, abs=5e-5)
    assert one_sided_factor(n, 0.99, 0.95) == pytest.approx(k1_99, abs=5e-5)
    assert two_sided_factor(n, 0.99, 0.95) == pytest.approx(k2_99, abs=5e-5)


def test_nist_handbook_tolerance_example() -> None:
    assert one_sided_factor(43, 0.90, 0.99) == pytest.approx(1.8740, abs=5e-5)
    assert natrella_one_sided_factor(43, 0.90, 0.99) == pytest.approx(1.8752, abs=5e-5)
    assert howe_factor(43, 0.90, 0.99) == pytest.approx(2.2173, abs=5e-5)
    assert two_sided_factor(43, 0.90, 0.99) == pytest.approx(2.2228, abs=5e-5)
    assert non_parametric_size(0.95, 0.95, two_sided=False) == 59
    assert non_parametric_size(0.99, 0.95, two_sided=False) == 299
    assert non_parametric_size(0.95, 0.95, two_sided=True) == 93


CONTROL = np.array([4.17, 5.58, 5.18, 6.11, 4.50, 4.61, 5.17, 4.53, 5.33, 5.14])
TREATMENT_1 = np.array([4.81, 4.17, 4.41, 3.59, 5.87, 3.83, 6.03, 4.89, 4.32, 4.69])
TREATMENT_2 = np.array([6.31, 5.12, 5.54, 5.50, 5.37, 5.29, 4.92, 6.15, 5.80, 5.26])


def test_plant_growth_equivalence() -> None:
    result = compare(TREATMENT_1, CONTROL, -1.0, 1.0)
    assert result.mean_difference == pytest.approx(-0.371, abs=1e-12)
    assert result.sd == pytest.approx(0.6963895, abs=5e-8)
    assert (result.lower, result.upper) == pytest.approx((-0.911048, 0.169048), abs=5e-7)
    assert result.p == pytest.approx(0.0292791, abs=5e-8)
    assert result.equivalent
    assert result.welch is not None
    assert result.welch.p == pytest.approx(0.0299693, abs=5e-8)
    assert compare(TREATMENT_2, CONTROL, -1.0, 1.0).p == pytest.approx(0.0211411, abs=5e-8)


@pytest.mark.parametrize("test", [TREATMENT_1, TREATMENT_2])
def test_equivalence_against_statsmodels(test: np.ndarray) -> None:
    ours = compare(test, CONTROL, -0.8, 1.1)
    p, _, _ = ttost_ind(test, CONTROL, -0.8, 1.1, usevar="pooled")
    assert ours.p == pytest.approx(p, rel=1e-10)
    assert ours.welch is not None
    assert ours.welch.p == pytest.approx(ttost_ind(test, CONTROL, -0.8, 1.1, usevar="unequal")[0], rel=1e-10)


@pytest.mark.parametrize(
    ("bias", "gcv", "n", "probability"),
    [
        (0.0, 0.2, 1, 0.059904),
        (0.12, 0.2, 1, 0.109514),
        (0.0, 0.1, 1, 0.000319),
        (0.0, 0.3, 1, 0.191046),
        (0.0, 0.2, 2, 0.0077947),
        (0.0, 0.2, 3, 0.0011187),
    ],
)
def test_out_of_specification_from_bias_and_gcv(bias: float, gcv: float, n: int, probability: float) -> None:
    value = out_of_specification_probability(0.71, 1.41, relative_bias=bias, gcv=gcv, replicates=n)
    assert value == pytest.approx(probability, abs=5e-7 if n == 1 else 5e-8)


def test_nist_capability_example() -> None:
    # any sample with mean 16 and sd 2 will do
    z = np.random.default_rng(5).standard_normal(50)
    values = 16 + 2 * (z - z.mean()) / z.std(ddof=1)
    result = capability(values, lsl=8.0, usl=20.0, target=14.0)
    assert (result.cp, result.cpk, result.cpm) == pytest.approx((1.0, 0.6667, 0.7071), abs=5e-5)
    assert cpk_interval(result.cpk, 50, 49)[0] == pytest.approx(0.5056, abs=5e-5)
    assert result.cpk_lower == pytest.approx(0.5056, abs=5e-5)


EWMA = "52.0 47.0 53.0 49.3 50.1 47.0 51.0 50.1 51.2 50.5 49.6 47.6 49.9 51.3 47.8 51.2 52.6 52.4 53.6 52.1"
EWMA_STATISTIC = (
    "50.60 49.52 50.56 50.18 50.16 49.21 49.75 49.85 50.26 50.33 "
    "50.11 49.36 49.52 50.05 49.38 49.92 50.73 51.23 51.94 51.99"
)


def test_nist_ewma_chart() -> None:
    values = np.array([float(v) for v in EWMA.split()])
    result = ewma_chart(values, centre=50.0, sigma=2.0539, weight=0.3)
    assert (result.lower_limit, result.upper_limit) == pytest.approx((47.4116, 52.5884), abs=5e-5)
    assert result.statistic == pytest.approx([float(v) for v in EWMA_STATISTIC.split()], abs=0.0051)
    assert result.signals == ()


CUSUM = (
    "324.925 324.675 324.725 324.350 325.350 325.225 324.125 324.525 325.225 324.600 324.625 325.150 "
    "328.325 327.250 327.825 "
    "328.500 326.675 327.775 326.875 328.350"
)


def test_nist_cusum_chart() -> None:
    values = np.array([float(v) for v in CUSUM.split()])
    result = cusum_chart(values, centre=325.0, k=0.3175, h=4.1959, data_units=True)
    # the printed sums carry rounding of the second digit along (the last is 19.0375 exactly, printed 19.03)
    assert result.statistic[12:] == pytest.approx([3.01, 4.94, 7.45, 10.63, 11.99, 14.44, 16.00, 19.03], abs=0.0101)
    assert max(result.second_statistic) == pytest.approx(0.715, abs=1e-9)
    assert result.signals[0].index == 14
    assert [signal.index for signal in result.signals] == list(range(14, 21))


def test_average_run_lengths_of_spc() -> None:
    assert shewhart_average_run_length() == pytest.approx(370.398, abs=5e-4)
    assert cusum_average_run_length(0.5, 4.0) == pytest.approx(167.684, abs=5e-4)
    assert cusum_average_run_length(0.5, 4.0, 1.0) == pytest.approx(8.383, abs=5e-4)
    for shift, printed, half_unit in ((0, 465.444, 5e-4), (0.5, 38.00, 5e-3), (1, 10.376, 5e-4), (2, 4.009, 5e-4)):
        assert cusum_average_run_length(0.5, 5.0, shift) == pytest.approx(printed, abs=half_unit)
    assert cusum_average_run_length(0.5, 5.0, two_sided=False) == pytest.approx(930.887, abs=5e-4)
    assert ewma_average_run_length(0.1, 2.7) == pytest.approx(368.994, abs=5e-4)
    assert ewma_average_run_length(0.1, 2.7, 1.0) == pytest.approx(9.730, abs=5e-4)
    for shift, printed in ((0, 499.580), (0.5, 31.297), (1, 10.331)):
        assert ewma_average_run_length(0.1, 2.814, shift) == pytest.approx(printed, abs=5e-4)


def test_brook_evans_chain_agrees_with_the_integral_equation() -> None:
    # the chain's error falls with the square of its states: Richardson from 100 and 200
    coarse, fine = (cusum_run_length_by_markov_chain(0.5, 5.0, states=n) for n in (100, 200))
    assert (4 * fine - coarse) / 3 == pytest.approx(cusum_average_run_length(0.5, 5.0, two_sided=False), rel=1e-5)


@pytest.mark.parametrize(("n", "printed"), [(4, 0.0394), (10, 0.0956), (20, 0.1821)])
def test_sterility_by_containers(n: int, printed: float) -> None:
    assert detection_by_containers(0.01, n) == pytest.approx(printed, abs=5e-5)


@pytest.mark.parametrize(("c", "v", "printed"), [(0.1, 1, 0.0952), (0.1, 10, 0.6321), (1, 1, 0.6321)])
def test_sterility_by_volume(c: float, v: float, printed: float) -> None:
    assert detection_by_volume(c, v) == pytest.approx(printed, abs=5e-5)
