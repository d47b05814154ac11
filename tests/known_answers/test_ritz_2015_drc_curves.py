"""Curves of the R package drc 3.0-1 (Ritz et al. 2015, doi:10.1371/journal.pone.0146021) and NIST StRD Rat43.

Data: ryegrass (Inderjit et al. 2002), spinach (Streibig 1998), finney71 (Finney 1971). drc stops its
quasi-Newton search at a relative tolerance near 1e-7 in the sum of squares, which leaves the fourth or fifth
digit of poorly determined parameters open: tolerances below are half a unit of the last printed digit, or
1e-3 relative for those.
"""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from cartsight.evidence.quality.potency import Assay, curve_potency, quantal_potency

RYEGRASS = {
    0: "7.58 8 8.3285714 7.25 7.375 7.9625",
    0.94: "8.3555556 6.9142857 7.75",
    1.88: "6.8714286 6.45 5.9222222",
    3.75: "1.925 2.8857143 4.2333333",
    7.5: "1.1875 .85714286 1.0571429",
    15: ".6875 .525 .825",
    30: ".25 .22 .44",
}
SPINACH = {
    "1": {
        0: "1.81295 1.86704 1.95606",
        0.62: "1.39073 1.15721 1.06126",
        1.85: "0.99409 0.83298 0.8334",
        5.56: "0.72513 0.69548 0.65299",
        16.67: "0.49855 0.36873 0.42617",
        50: "0.26666 0.26896 0.25989",
        150: "0.16074 0.16404 0.1475",
    },
    "2": {
        0: "1.02654 0.91306 0.89371",
        0.62: "0.59074 0.669 0.5965",
        1.85: "0.37561 0.44823 0.42093",
        5.56: "0.31874 0.27342 0.2725",
        16.67: "0.27182 0.21752 0.19981",
        50: "0.17332 0.17949 0.15623",
        150: "0.12855 0.14524 0.11533",
    },
    "3": {
        0: "1.03872 1.0917 1.10324",
        0.15: "0.94274 0.91256 1.02352",
        0.59: "0.78689 0.69706 0.65989",
        2.34: "0.5372 0.51324 0.54981",
        9.38: "0.37401 0.34033 0.32491",
        37.5: "0.30518 0.24593 0.289",
        150: "0.17414 0.12275 0.14788",
    },
    "4": {
        0: "2.20963 2.27931 2.14703",
        0.01: "2.18831 2.08863 2.06676",
        0.03: "2.18827 2.10748 1.84474",
        0.1: "1.78805 1.75547 1.61381",
        0.3: "0.70295 0.6983 0.74045",
        1: "0.20673 0.20784 0.22402",
        3: "0.05268 0.06519 0.09258",
    },
    "5": {
        0: "1.94033 1.80193 1.71586",
        0.01: "1.71586 1.98471 1.74905",
        0.03: "1.87795 1.64081 1.53094",
        0.1: "1.50709 1.41035 1.35367",
        0.3: "0.64427 0.62185 0.60337",
        1: "0.14073 0.12928 0.15016",
        3: "8e-05 0.00262 0.00303",
    },
}
RAT43 = "16.08 33.83 65.80 97.20 191.55 326.20 386.87 520.53 590.03 651.92 724.93 699.56 689.96 637.56 717.41"


def build(curves: dict[str, dict[float, str]]) -> Assay:
    names = tuple(curves)
    rows = [
        (names.index(name), float(dose), float(v))
        for name, curve in curves.items()
        for dose, text in curve.items()
        for v in text.split()
    ]
    prep, dose, y = (np.array(column) for column in zip(*rows, strict=True))
    return Assay(names, prep.astype(np.intp), dose, y, np.ones(len(y)), (), np.arange(2, len(y) + 2))


def test_ryegrass_four_parameter() -> None:
    result = curve_potency(build({"rye": RYEGRASS}))
    entry = result.details["parameters"][0]
    assert [entry[k] for k in "bcde"] == pytest.approx([2.98222, 0.481413, 7.79296, 3.05795], rel=1e-5)
    assert [entry["standard_errors"][k] for k in "bcde"] == pytest.approx(
        [0.46506, 0.212192, 0.188567, 0.185731], rel=2e-5
    )
    assert result.residual_mean_square**0.5 == pytest.approx(0.519626, abs=5e-7)
    assert result.residual_df == 20
    ed = entry["ed"]
    assert ed["10"]["estimate"] == pytest.approx(1.46371, abs=6e-6)
    assert ed["50"]["estimate"] == pytest.approx(3.05795, abs=6e-6)
    assert (ed["50"]["lower"], ed["50"]["upper"]) == pytest.approx((2.67053, 3.44538), abs=6e-6)
    assert ed["90"]["estimate"] == pytest.approx(6.38864, rel=5e-6)
    lack = next(line for line in result.anova if line.source == "lack of fit")
    assert (lack.f, lack.p) == pytest.approx((0.24106, 0.86648), abs=6e-6)
    assert result.details["log_likelihood"] == pytest.approx(-16.15514, abs=6e-6)
    assert result.potencies == ()
    assert any("no relative potency" in word for word in result.warnings)


def test_ryegrass_five_parameter_and_weibull() -> None:
    result = curve_potency(build({"rye": RYEGRASS}), "five-parameter")
    entry = result.details["parameters"][0]
    assert [entry[k] for k in "bcdef"] == pytest.approx([3.92870, 0.321651, 7.76054, 2.21539, 0.468307], rel=1e-3)
    assert entry["ed"]["50"]["estimate"] == pytest.approx(3.02355, rel=3e-5)
    test = result.details["five_against_four"]
    assert (test["f"], test["p"]) == pytest.approx((0.44346, 0.51346), abs=6e-6)
    weibull = curve_potency(build({"rye": RYEGRASS}), "weibull").details["parameters"][0]
    assert weibull["ed"]["50"]["estimate"] == pytest.approx(3.08896, abs=2e-5)


def test_spinach_five_curves() -> None:
    result = curve_potency(build(SPINACH))
    e = [entry["e"] for entry in result.details["parameters"]]
    assert e == pytest.approx([1.79495, 0.945530, 1.37302, 0.197326, 0.210793], rel=1e-4)
    assert len(result.potencies) == 4
    assert not result.valid


def test_nist_rat43_certified_values() -> None:
    y = np.array([float(v) for v in RAT43.split()])
    assay = Assay(
        ("S",),
        np.zeros(15, dtype=np.intp),
        np.exp(np.arange(1.0, 16.0)),
        y,
        np.ones(15),
        (),
        np.arange(2, 17),
    )
    result = curve_potency(assay, "five-parameter", fixed={"c": 0.0})
    entry = result.details["parameters"][0]
    b1, b3, b4 = entry["d"], -entry["b"], 1 / entry["f"]
    b2 = b3 * np.log(entry["e"])
    # certified digits; the search reaches about eight of them
    assert (b1, b2, b3, b4) == pytest.approx((699.6415127, 5.2771253025, 0.75962938329, 1.2792483859), rel=1e-7)
    assert result.residual_mean_square * result.residual_df == pytest.approx(8786.404908, abs=5e-6)


def finney() -> Assay:
    r, n = np.array([44, 42, 24, 16, 6, 0.0]), np.array([50, 49, 46, 48, 50, 49.0])
    return Assay(
        ("S",),
        np.zeros(6, dtype=np.intp),
        np.array([10.2, 7.7, 5.1, 3.8, 2.6, 0.0]),
        r / n,
        np.ones(6),
        (),
        np.arange(2, 8),
        responders=r,
        total=n,
    )


def test_finney_1971_logit_and_probit() -> None:
    entry = quantal_potency(finney(), "logit").details["parameters"][0]
    ed = entry["ed"]["50"]
    # drc: 4.828897 (4.339738 to 5.318055), slope 3.103632; the maximum of the likelihood itself differs in
    # the fifth digit
    assert (ed["estimate"], ed["lower"], ed["upper"]) == pytest.approx((4.828897, 4.339738, 5.318055), rel=1e-5)
    assert entry["slope"] == pytest.approx(3.103632, rel=4e-5)
    probit = quantal_potency(finney(), "probit").details["parameters"][0]
    assert probit["intercept"] == pytest.approx(-2.887463, abs=6e-7)
    assert probit["slope"] == pytest.approx(1.829768, abs=6e-7)


@pytest.mark.parametrize("model", ["probit", "logit", "gompertz"])
def test_quantal_maximum_likelihood_against_statsmodels(model: str) -> None:
    assay = finney()
    keep = assay.dose > 0
    link = {
        "probit": sm.families.links.Probit(),
        "logit": sm.families.links.Logit(),
        "gompertz": sm.families.links.CLogLog(),
    }
    r, n = assay.responders[keep], assay.total[keep]
    glm = sm.GLM(
        np.column_stack([r, n - r]),
        sm.add_constant(np.log(assay.dose[keep])),
        family=sm.families.Binomial(link[model]),
    ).fit(tol=1e-12)
    entry = quantal_potency(assay, model).details["parameters"][0]
    assert [entry["intercept"], entry["slope"]] == pytest.approx(list(glm.params), rel=1e-8)
    # statsmodels reports the expected information at convergence, as we do
    assert [entry["standard_errors"]["intercept"], entry["standard_errors"]["slope"]] == pytest.approx(
        list(glm.bse), rel=1e-6
    )
