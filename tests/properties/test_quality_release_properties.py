"""Release: what must hold whatever the numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartsight.evidence.quality.release import build_release_specification, draw_patients, exact_risk, generate_lots
from cartsight.evidence.quality.release.specification import Attribute

CENTRES = st.floats(60, 110)
SDS = st.floats(0.2, 20)


def attribute(centre: float, sd: float, assay_sd: float, lower: float, band: float = 0.0) -> Attribute:
    body = {"mean": centre, "sd": sd, "assay": {"sd": assay_sd}, "limits": {"lower": lower}, "guard_band": band}
    return build_release_specification({"attributes": {"v": body}}).attributes[0]


@settings(max_examples=40, deadline=None)
@given(CENTRES, SDS, SDS, CENTRES)
def test_the_four_probabilities_sum_to_one_and_match_the_marginals(
    centre: float, sd: float, assay_sd: float, lower: float
) -> None:
    risk = exact_risk(attribute(centre, sd, assay_sd, lower))
    parts = (risk.good_released, risk.good_rejected, risk.bad_released, risk.bad_rejected)
    assert sum(parts) == pytest.approx(1.0, abs=1e-9)
    assert min(parts) > -1e-9
    # the reported result is normal with both variances
    z = (lower - centre) / math.hypot(sd, assay_sd)
    assert risk.good_rejected + risk.bad_rejected == pytest.approx(0.5 * math.erfc(-z / math.sqrt(2)), abs=1e-8)


@settings(max_examples=25, deadline=None)
@given(CENTRES, SDS, SDS, CENTRES, st.floats(0.0, 3.0))
def test_a_guard_band_trades_consumers_for_producers_risk(
    centre: float, sd: float, assay_sd: float, lower: float, multiple: float
) -> None:
    bare = exact_risk(attribute(centre, sd, assay_sd, lower))
    banded = exact_risk(attribute(centre, sd, assay_sd, lower, band=multiple * assay_sd))
    assert banded.bad_released <= bare.bad_released + 1e-9
    assert banded.good_rejected >= bare.good_rejected - 1e-9


@settings(max_examples=25, deadline=None)
@given(CENTRES, SDS, SDS, CENTRES, st.floats(0.1, 100.0), st.floats(-50.0, 50.0))
def test_units_do_not_matter(
    centre: float, sd: float, assay_sd: float, lower: float, factor: float, shift: float
) -> None:
    a = exact_risk(attribute(centre, sd, assay_sd, lower))
    b = exact_risk(attribute(factor * centre + shift, factor * sd, factor * assay_sd, factor * lower + shift))
    assert (b.good_released, b.bad_released) == pytest.approx((a.good_released, a.bad_released), abs=1e-8)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.05, 0.5), st.integers(0, 3), st.floats(0.0, 1.0), st.integers(0, 2**31))
def test_every_lot_is_in_one_state_and_bad_or_good_or_terminated(
    spread: float, retests: int, use: float, seed: int
) -> None:
    values = {
        "attributes": {
            "v": {
                "scale": "logit", "median": 85, "sd": {"donor": spread, "run": spread}, "limits": {"lower": 80},
                "assay": {"sd": 0.2, "invalid_probability": 0.1, "rounding": 1, "retest": {"results": retests}},
            }
        },
        "process": {"termination_probability": 0.1},
        "disposition": {"use_out_of_specification": use},
    }  # fmt: skip
    specification = build_release_specification(values)
    made = generate_lots(specification, draw_patients(specification, 500, seed), seed)
    terminated = made.in_state("terminated")
    assert np.array_equal(made.good.astype(int) + made.bad + terminated, np.ones(500))
    released = made.in_state("in_specification")
    assert not np.any(released & made.confirmed)
    assert np.all(made.attributes[0].passed[released])
    assert np.all(made.decision_day >= made.first_result_day - 1e-9)
