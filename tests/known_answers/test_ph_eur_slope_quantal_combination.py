"""European Pharmacopoeia 5.3: slope ratio (5.2.1), quantal (5.3.1) and combination (section 6).

The published slope ratio is 0.823 (0.817 to 0.829); the further digits, and those with the blank, were
computed with an independent least-squares routine. The quantal and combined answers are the chapter's own,
recalled and recomputed.
"""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.evidence.quality.potency import Assay, AssayEstimate, combine, quantal_potency, slope_ratio

FACTOR_VIII = {
    ("S", 0.01): ".133 .133 .131 .136 .137 .136 .138 .137",
    ("S", 0.02): ".215 .215 .216 .218 .220 .220 .219 .218",
    ("S", 0.03): ".299 .299 .299 .297 .297 .305 .299 .302",
    ("T", 0.01): ".120 .119 .118 .120 .120 .121 .121 .121",
    ("T", 0.02): ".188 .188 .190 .190 .190 .191 .191 .192",
    ("T", 0.03): ".254 .253 .255 .258 .257 .257 .255 .254",
    ("blank", 0.0): ".022 .024 .024 .026 .023 .022 .022 .023",
}


def factor_viii() -> Assay:
    rows = [
        (-1 if name == "blank" else "ST".index(name), dose, float(v))
        for (name, dose), text in FACTOR_VIII.items()
        for v in text.split()
    ]
    prep, dose, y = (np.array(column) for column in zip(*rows, strict=True))
    return Assay(("S", "T"), prep.astype(np.intp), dose, y, np.ones(len(y)), (), np.arange(2, len(y) + 2))


def test_factor_viii_without_blank() -> None:
    result = slope_ratio(factor_viii(), blank="drop")
    potency = result.potencies[0]
    assert potency.ratio == pytest.approx(0.82354, abs=5e-6)
    assert (potency.lower, potency.upper) == pytest.approx((0.81740, 0.82969), abs=6e-6)
    assert [slope for _, slope, _ in result.slopes] == pytest.approx([8.22232, 6.77143], abs=5e-6)
    assert result.residual_mean_square == pytest.approx(3.96429e-6, abs=5e-12)
    assert result.residual_df == 42
    # curvature stays significant at 5 % (F(2, 42) = 3.64), which is said and makes the assay invalid by that
    # rule
    line = next(item for item in result.anova if item.source == "non-linearity")
    assert (line.f, line.p) == pytest.approx((3.639, 0.0349), abs=5e-4)
    assert not result.valid


def test_factor_viii_with_a_blank_that_breaks_linearity() -> None:
    result = slope_ratio(factor_viii())
    potency = result.potencies[0]
    assert potency.ratio == pytest.approx(0.83715, abs=5e-6)
    assert (potency.lower, potency.upper) == pytest.approx((0.83177, 0.84254), abs=6e-6)
    assert not result.valid
    assert any("blank does not lie on the lines" in word and "0.82354" in word for word in result.warnings)


@pytest.mark.parametrize(
    ("model", "estimate", "lower", "upper"),
    [("probit", 160.6, 121.0, 215.2), ("logit", 162.9, 121.1, 221.1), ("gompertz", 158.3, 118.7, 213.3)],
)
def test_diphtheria_quantal(model: str, estimate: float, lower: float, upper: float) -> None:
    r = np.array([0, 3, 6, 10, 0, 4, 8, 10.0])
    n = np.array([12, 12, 12, 11, 11, 12, 11, 11.0])
    assay = Assay(
        ("S", "T"),
        np.repeat([0, 1], 4),
        np.array([1.0, 1.6, 2.5, 4.0] * 2),
        r / n,
        np.ones(8),
        (),
        np.arange(2, 10),
        responders=r,
        total=n,
    )
    potency = quantal_potency(assay, model, assumed_potency=140.0).potencies[0]
    # printed to one decimal
    assert (potency.potency, potency.lower, potency.upper) == pytest.approx((estimate, lower, upper), abs=0.0501)


SIX = [
    (18367, 17755, 19002),
    (18003, 17415, 18610),
    (18064, 17319, 18838),
    (17832, 17253, 18429),
    (18635, 17959, 19339),
    (18269, 17722, 18834),
]


def test_combination_of_six_assays() -> None:
    result = combine([AssayEstimate(*row, 20) for row in SIX], edition="ph-eur-9")
    assert result.chi_squared == pytest.approx(4.42, abs=0.005)
    assert result.p_homogeneity == pytest.approx(0.49, abs=0.005)
    weighted = result.weighted
    assert (weighted.estimate, weighted.lower, weighted.upper) == pytest.approx((18187, 17946, 18431), abs=0.5)
    assert weighted.df == 120
    assert result.recommended == "weighted"
    assert result.edition == "ph-eur-9"


def test_editions_differ_only_in_the_semi_weighted_mean() -> None:
    assays = [AssayEstimate(*row, 20) for row in SIX]
    old, new, us = (combine(assays, edition=name) for name in ("ph-eur-9", "ph-eur-10", "usp-1034"))
    assert old.weighted == new.weighted == us.weighted
    assert old.unweighted == new.unweighted == us.unweighted
    # here the between-assay variance estimate is negative: 10th edition leaves out its second term, <1034>
    # stops at 0
    m = np.log([row[0] for row in SIX])
    assert old.between_assay_variance == pytest.approx(float(np.var(m, ddof=1)) / 6)
    assert new.between_assay_variance != old.between_assay_variance
    assert us.between_assay_variance >= 0
