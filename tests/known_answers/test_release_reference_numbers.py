"""Lot release: reference numbers of one normal attribute, joint pass probabilities, sterility sampling.

R1 to R4 are the bivariate normal of true value (mean 85, sd 5) and reported result against a lower limit of 80, computed
independently with SciPy and printed to five digits, so the tolerance is half a unit of the fifth digit. Equicorrelated
identity: k standard normals with correlation 1/2 are all positive with probability 1/(k+1) (one common component).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cartsight.evidence.quality.release import (
    build_release_specification,
    draw_patients,
    evaluate,
    exact_risk,
    generate_lots,
    joint_pass_probability,
)
from cartsight.evidence.quality.release.guard_band import choose_guard_band, detection_probability
from cartsight.evidence.quality.release.risk import risks, share

HALF_DIGIT = 5.1e-6


def one(assay_sd: float, **attribute: Any) -> dict[str, Any]:
    replicates = attribute.pop("replicates", 1)
    body = {"mean": 85, "sd": 5, "assay": {"sd": assay_sd, "replicates": replicates}, "limits": {"lower": 80}}
    return {"attributes": {"viability": {**body, **attribute}}}


CASES = {
    "R1 assay sd 1": (one(1), (0.15866, 0.16340, 0.01693, 0.02167, 0.02024)),
    "R2 assay sd 3": (one(3), (0.15866, 0.19559, 0.03876, 0.07569, 0.04819)),
    "R2b three replicates": (one(3, replicates=3), (0.15866, 0.17235, 0.02654, 0.04023, 0.03206)),
    "R3 guard band 1.645 sd": (one(3, guard_band=1.645 * 3), (0.15866, 0.49555, 0.00239, 0.33929, 0.00474)),
    "R4 assay sd 5": (one(5), (0.15866, 0.23975, 0.05059, 0.13168, 0.06654)),
}


@pytest.mark.parametrize("case", CASES)
def test_bivariate_normal_to_printed_digits(case: str) -> None:
    values, expected = CASES[case]
    risk = evaluate(build_release_specification(values), lots=1000)
    assert risk.method == "quadrature"
    found = (
        risk.true_bad.probability,
        risk.rejected.probability,
        risk.consumers_risk.joint,
        risk.producers_risk.joint,
        risk.consumers_risk.conditional,
    )
    assert found == pytest.approx(expected, abs=HALF_DIGIT)
    assert risk.consumers_risk.joint_standard_error < 1e-9


def test_guard_band_rejects_a_third_of_all_lots_and_four_in_ten_good_ones() -> None:
    risk = evaluate(build_release_specification(CASES["R3 guard band 1.645 sd"][0]), lots=1000)
    assert risk.producers_risk.joint == pytest.approx(0.34, abs=0.005)
    assert risk.producers_risk.conditional == pytest.approx(0.40, abs=0.005)


def test_guard_band_is_found_back_from_its_consumers_risk() -> None:
    values = {**one(3), "guard_band": {"consumers_risk": 0.00239270}}
    band = choose_guard_band(build_release_specification(values))
    assert band is not None and band.for_risk is not None and band.for_risk.reached
    assert band.for_risk.point.multiple == pytest.approx(1.645, abs=2e-5)
    assert band.for_risk.limits[0].lower == pytest.approx(84.935, abs=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_simulation_agrees_with_quadrature(case: str) -> None:
    # 4.5 standard errors: one failure in 150 000 such comparisons
    specification = build_release_specification(CASES[case][0])
    exact = exact_risk(specification.attributes[0])
    made = generate_lots(specification, draw_patients(specification, 40_000, 5), 5)
    consumer, producer = risks(made)
    for found, error, expected in (
        (share(made.bad).probability, share(made.bad).standard_error, exact.bad_released + exact.bad_rejected),
        (consumer.joint, consumer.joint_standard_error, exact.bad_released),
        (producer.joint, producer.joint_standard_error, exact.good_rejected),
    ):
        assert abs(found - expected) < 4.5 * error


@pytest.mark.parametrize(("rho", "expected"), [(0.0, 0.81451), (0.3, 0.83648), (0.5, 0.85589), (0.8, 0.89416)])
def test_four_attributes_that_each_pass_with_95_percent(rho: float, expected: float) -> None:
    # the second figure is 0.836486, printed as .83648: cut, not rounded; hence one unit of the fifth digit
    matrix = np.full((4, 4), rho)
    np.fill_diagonal(matrix, 1.0)
    found = joint_pass_probability(np.full(4, stats.norm.ppf(0.05)), np.full(4, math.inf), matrix)
    assert found.probability == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("k", [2, 3, 5, 8])
def test_equicorrelated_orthant_is_one_over_k_plus_one(k: int) -> None:
    matrix = np.full((k, k), 0.5)
    np.fill_diagonal(matrix, 1.0)
    assert joint_pass_probability(np.zeros(k), np.full(k, math.inf), matrix).probability == pytest.approx(
        1.0 / (k + 1), abs=1e-9
    )


def test_unequal_correlations_agree_with_the_trivariate_orthant_formula() -> None:
    # P(Z > 0) = 1/8 + (arcsin r12 + arcsin r13 + arcsin r23) / (4 pi)   (Sheppard 1898)
    r12, r13, r23 = 0.6, -0.2, 0.3
    matrix = np.array([[1, r12, r13], [r12, 1, r23], [r13, r23, 1]])
    expected = 0.125 + sum(map(math.asin, (r12, r13, r23))) / (4.0 * math.pi)
    found = joint_pass_probability(np.zeros(3), np.full(3, math.inf), matrix)
    assert found.probability == pytest.approx(expected, abs=5e-5)


def test_joint_pass_of_a_specification_agrees_with_its_simulation() -> None:
    attribute = {"mean": 0.0, "sd": 1.0, "limits": {"lower": -1.6448536269514722}}
    values = {"attributes": dict.fromkeys("abcd", attribute), "correlation": {"all": 0.5}, "lots": 60_000}
    risk = evaluate(build_release_specification(values))
    assert risk.joint_pass is not None
    assert risk.joint_pass.probability == pytest.approx(0.85589, abs=HALF_DIGIT)
    assert abs(risk.released.probability - 0.85589) < 4.5 * risk.released.standard_error


@pytest.mark.parametrize(("load", "volume", "expected"), [(0.1, 1.0, 0.0952), (0.1, 10.0, 0.6321), (1.0, 1.0, 0.6321)])
def test_sterility_sees_only_what_the_sample_holds(load: float, volume: float, expected: float) -> None:
    # 1 - exp(-c v); a late reading and a sensitivity of one leave sampling as the only reason to miss
    test = {
        "prior": 1.0, "organisms_per_ml": load, "sample_ml": volume, "median_days": 1.0, "log_sd": 0.1, "read_day": 14.0,
    }  # fmt: skip
    values = {"safety": {"sterility": test}, "sampling": {"product_volume_ml": 100}, "lots": 40_000}
    specification = build_release_specification(values)
    assert detection_probability(specification.safety[0]) == pytest.approx(expected, abs=5e-5)
    found = evaluate(specification).safety[0].detected_if_contaminated
    assert abs(found.probability - expected) < 4.5 * found.standard_error + 5e-5
