"""Variance components of Dyestuff, Dyestuff2, Penicillin (Davies & Goldsmith 1972; Box & Tiao 1973) and
Pastes.

Answers of R's lme4 (Bates et al. 2015, doi:10.18637/jss.v067.i01), to the digits printed there.
"""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.formula.api as smf
from pandas import DataFrame

from cartsight.evidence.quality import build_study, estimate_variance_components
from cartsight.evidence.quality.gauge import gauge_study
from cartsight.evidence.quality.reml import fit_likelihood

DYESTUFF = (
    "1545 1440 1440 1520 1580 1540 1555 1490 1560 1495 1595 1550 1605 1510 1560 "
    "1445 1440 1595 1465 1545 1595 1630 1515 1635 1625 1520 1455 1450 1480 1445"
)
DYESTUFF_2 = (
    "7.298 3.846 2.434 9.566 7.990 5.220 6.556 0.608 11.788 -0.892 0.110 10.386 13.434 5.510 8.166 "
    "2.212 4.852 7.092 9.288 4.980 0.282 9.014 4.458 9.446 7.198 1.722 4.782 8.106 0.758 3.758"
)
PENICILLIN = {
    "A": "27 27 25 26 25 24 24 26 24 24 26 25 26 26 26 25 25 25 24 26 25 25 24 24",
    "B": "23 23 21 23 22 22 20 22 21 21 23 22 24 23 23 22 21 22 21 23 21 22 21 21",
    "C": "26 26 25 25 26 25 23 26 24 24 26 26 26 26 25 25 24 24 23 26 24 25 24 24",
    "D": "23 23 24 23 22 23 21 24 22 23 24 24 24 23 24 23 23 23 21 24 22 22 22 22",
    "E": "23 23 24 23 23 22 22 24 22 22 24 24 25 23 24 23 23 23 21 24 22 22 24 21",
    "F": "21 21 20 20 20 19 19 21 20 19 21 20 22 20 22 20 20 19 19 21 18 20 19 18",
}
PASTES = (
    "62.8 62.6 60.1 62.3 62.7 63.1 60 61.4 57.5 56.9 61.1 58.9 58.7 57.5 63.9 63.1 65.4 63.7 57.1 56.4 "
    "56.9 58.6 64.7 64.5 "
    "55.1 55.1 54.7 54.2 58.8 57.5 63.4 64.9 59.3 58.1 60.5 60 62.5 62.6 61 58.7 56.9 57.7 59.2 59.4 "
    "65.2 66 64.8 64.1 "
    "54.8 54.8 64 64 57.7 56.8 58.3 59.3 59.2 59.2 58.9 56.6"
)
BATCHES = [name for name in "ABCDEF" for _ in range(5)]


def numbers(text: str) -> np.ndarray:
    return np.array([float(v) for v in text.split()])


def test_dyestuff() -> None:
    result = estimate_variance_components(build_study(numbers(DYESTUFF), {"batch": BATCHES}), draws=1000)
    batch, residual = result.components["batch"], result.components["residual"]
    assert [line.ms for line in result.anova] == pytest.approx([11271.5, 2451.25])
    assert batch.estimate == pytest.approx(1764.05, abs=5e-3)
    assert residual.estimate == pytest.approx(2451.25, abs=5e-3)
    assert batch.maximum_likelihood == pytest.approx(1388.33, abs=5e-3)
    assert result.mean == pytest.approx(1527.5)
    assert result.mean_standard_error == pytest.approx(19.383, abs=5e-4)
    # closed form: balanced mean squares and restricted likelihood agree
    assert batch.moment.estimate == pytest.approx((11271.5 - 2451.25) / 5)
    assert batch.lower < 1764.05 < batch.upper
    assert batch.posterior is not None
    assert batch.posterior.lower > 0


def test_dyestuff_2_is_at_the_boundary_and_never_a_bare_zero() -> None:
    result = estimate_variance_components(build_study(numbers(DYESTUFF_2), {"batch": BATCHES}), draws=1000)
    batch = result.components["batch"]
    assert batch.estimate == 0.0
    assert result.components["residual"].estimate == pytest.approx(13.8063, abs=5e-5)
    assert batch.at_boundary
    assert batch.lower == 0.0
    assert batch.upper > 1.0
    assert batch.moment.estimate < 0
    assert batch.posterior is not None
    assert 0 < batch.posterior.median < batch.upper
    assert any("compatible with the data" in word for word in result.warnings)


def test_penicillin_crossed() -> None:
    y = np.concatenate([numbers(text) for text in PENICILLIN.values()])
    samples = [name for name in PENICILLIN for _ in range(24)]
    plates = [str(k) for _ in PENICILLIN for k in range(24)]
    study = build_study(y, {"plate": plates, "sample": samples})
    assert study.structure == "crossed"
    result = estimate_variance_components(study, draws=0)
    estimates = {name: item.estimate for name, item in result.components.items()}
    # lme4 stops its search 3e-6 short of the closed form of a balanced layout, 0.7169082
    assert estimates["plate"] == pytest.approx(0.716905, abs=5e-6)
    assert estimates["plate"] == pytest.approx(result.components["plate"].moment.estimate, rel=1e-9)
    # and 2e-4 above it here (3.7309179; other lme4 versions print 3.7309)
    assert estimates["sample"] == pytest.approx(3.731132, abs=3e-4)
    assert estimates["sample"] == pytest.approx(result.components["sample"].moment.estimate, rel=1e-9)
    assert estimates["residual"] == pytest.approx(0.302415, abs=1e-6)
    assert result.mean == pytest.approx(22.97222, abs=5e-6)


def test_pastes_nested() -> None:
    batch = [name for name in "ABCDEFGHIJ" for _ in range(6)]
    cask = [name for _ in range(10) for name in "aabbcc"]
    study = build_study(numbers(PASTES), {"batch": batch, "cask": cask}, "nested")
    result = estimate_variance_components(study, draws=0)
    values = [item.estimate for item in result.components.values()]
    assert values == pytest.approx([1.657, 8.434, 0.678], abs=5e-4)
    assert result.mean == pytest.approx(60.0533, abs=5e-5)
    assert list(result.components) == ["batch", "cask", "residual"]


def test_unbalanced_restricted_likelihood_against_statsmodels() -> None:
    y, batches = numbers(DYESTUFF), np.array(BATCHES)
    keep = np.ones(30, dtype=bool)
    keep[[1, 7, 8, 20]] = False
    study = build_study(y[keep], {"batch": list(batches[keep])})
    assert not study.balanced
    ours = fit_likelihood(study)
    frame = DataFrame({"y": y[keep], "batch": batches[keep]})
    theirs = smf.mixedlm("y ~ 1", frame, groups="batch").fit(reml=True)
    assert ours.components[1] == pytest.approx(float(theirs.scale), rel=1e-4)
    assert ours.components[0] == pytest.approx(float(theirs.cov_re.iloc[0, 0]), rel=1e-3)
    assert ours.deviance == pytest.approx(-2 * float(theirs.llf), abs=1e-5)


def test_gauge_study_by_hand() -> None:
    """Two-way random model, 3 parts x 2 operators x 2 replicates: components from the mean squares of the
    textbook."""
    y = np.array([10.0, 10.2, 10.5, 10.4, 12.1, 12.0, 12.6, 12.9, 14.0, 14.3, 14.9, 14.6])
    part = ["1"] * 4 + ["2"] * 4 + ["3"] * 4
    operator = ["a", "a", "b", "b"] * 3
    result = gauge_study(y, part, operator, pool_above_p=1.0, tolerance=6.0)
    cube = y.reshape(3, 2, 2)
    grand, parts, operators, cells = cube.mean(), cube.mean((1, 2)), cube.mean((0, 2)), cube.mean(2)
    ms_part = 4 * np.sum((parts - grand) ** 2) / 2
    ms_operator = 6 * np.sum((operators - grand) ** 2) / 1
    ms_cell = 2 * np.sum((cells - parts[:, None] - operators[None] + grand) ** 2) / 2
    ms_error = np.sum((cube - cells[:, :, None]) ** 2) / 6
    assert result.repeatability == pytest.approx(ms_error)
    assert result.components["interaction"].estimate == pytest.approx((ms_cell - ms_error) / 2)
    assert result.components["operator"].estimate == pytest.approx((ms_operator - ms_cell) / 6)
    assert result.part == pytest.approx((ms_part - ms_cell) / 4)
    assert result.gauge == pytest.approx(result.repeatability + result.reproducibility)
    assert result.precision_to_tolerance == pytest.approx(6 * np.sqrt(result.gauge) / 6.0)
