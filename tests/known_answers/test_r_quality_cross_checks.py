"""The same data through R: lme4 for variance components, spc for run lengths, base R for quantal models and k factors.

Skipped where Rscript or the package is not installed (Debian: r-base-core, r-cran-lme4, r-cran-spc). R is an independent
implementation of each method; the data are seeded here and go to R as text.
"""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Sequence

import numpy as np
import pytest

from cartsight.evidence.quality import build_study, estimate_variance_components
from cartsight.evidence.quality.gauge import gauge_study
from cartsight.evidence.quality.potency import analyse_potency
from cartsight.evidence.quality.run_length import (
    cusum_average_run_length,
    ewma_average_run_length,
    shewhart_average_run_length,
)
from cartsight.evidence.quality.tolerance import one_sided_factor

RSCRIPT = shutil.which("Rscript")
pytestmark = pytest.mark.skipif(RSCRIPT is None, reason="Rscript is not installed")


def r(code: str, package: str | None = None) -> list[float]:
    """Return the numbers that R code prints, one per line; skip where the package is missing."""
    assert RSCRIPT is not None
    guard = "" if package is None else f'if (!requireNamespace("{package}", quietly = TRUE)) quit(status = 42)\n'
    done = subprocess.run(
        [RSCRIPT, "--vanilla", "-e", guard + "options(digits = 15, warn = -1)\n" + code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode == 42:
        pytest.skip(f"the R package {package} is not installed")
    assert done.returncode == 0, done.stderr
    return [float(line) for line in done.stdout.split()]


def vector(values: Sequence[float] | np.ndarray) -> str:
    return "c(" + ",".join(repr(float(v)) for v in values) + ")"


def labels(values: Sequence[str]) -> str:
    return "c(" + ",".join(f'"{v}"' for v in values) + ")"


def nested_unbalanced() -> tuple[np.ndarray, list[str], list[str]]:
    """Return responses of donors within sites, of unequal numbers."""
    rng = np.random.default_rng(11)
    y, site, donor = [], [], []
    for s in range(6):
        at_site = rng.normal(0, 0.6)
        for d in range(2 + s % 3):
            at_donor = rng.normal(0, 0.9)
            for _ in range(2 + (s + d) % 3):
                y.append(10 + at_site + at_donor + rng.normal(0, 0.5))
                site.append(f"s{s}")
                donor.append(f"s{s}d{d}")
    return np.array(y), site, donor


def test_nested_components_agree_with_lme4() -> None:
    y, site, donor = nested_unbalanced()
    expected = r(
        f"library(lme4); d <- data.frame(y = {vector(y)}, s = {labels(site)}, d = {labels(donor)})\n"
        "for (reml in c(TRUE, FALSE)) { m <- lmer(y ~ 1 + (1 | s) + (1 | d), d, REML = reml)\n"
        "v <- as.data.frame(VarCorr(m)); cat(v$vcov[v$grp == 's'], v$vcov[v$grp == 'd'], sigma(m)^2, fixef(m),"
        " sqrt(vcov(m)[1, 1]), sep = '\\n'); cat('\\n') }",
        "lme4",
    )
    study = build_study(y, {"site": site, "donor": donor})
    found = estimate_variance_components(study, draws=500)
    ours = [found.components[name].estimate for name in ("site", "donor", "residual")]
    # both are optimisers of one likelihood; lme4 stops at a relative change of about 1e-5 of the deviance
    assert ours == pytest.approx(expected[:3], rel=2e-3)
    assert [found.mean, found.mean_standard_error] == pytest.approx(expected[3:5], rel=1e-3)
    likelihood = [found.components[name].maximum_likelihood for name in ("site", "donor", "residual")]
    assert likelihood == pytest.approx(expected[5:8], rel=2e-3)


def test_restricted_deviance_agrees_with_lme4() -> None:
    y, site, donor = nested_unbalanced()
    expected = r(
        f"library(lme4); d <- data.frame(y = {vector(y)}, s = {labels(site)}, d = {labels(donor)})\n"
        "cat(REMLcrit(lmer(y ~ 1 + (1 | s) + (1 | d), d)))",
        "lme4",
    )
    study = build_study(y, {"site": site, "donor": donor})
    assert estimate_variance_components(study, draws=500).reml_deviance == pytest.approx(expected[0], abs=1e-5)


def test_profile_interval_agrees_with_lme4() -> None:
    y, site, donor = nested_unbalanced()
    expected = r(
        f"library(lme4); d <- data.frame(y = {vector(y)}, s = {labels(site)}, d = {labels(donor)})\n"
        "m <- lmer(y ~ 1 + (1 | s) + (1 | d), d)\n"
        "ci <- confint(m, parm = 'theta_', method = 'profile', quiet = TRUE, oldNames = FALSE)\n"
        "cat(ci['sd_(Intercept)|d', ]^2, sep = '\\n')",
        "lme4",
    )
    found = estimate_variance_components(build_study(y, {"site": site, "donor": donor}), draws=500)
    component = found.components["donor"]
    assert "profile" in component.interval
    # lme4 profiles the likelihood, we the restricted one: the intervals are neighbours, not twins
    assert component.lower == pytest.approx(expected[0], rel=0.25)
    assert component.upper == pytest.approx(expected[1], rel=0.25)


def test_crossed_gauge_study_agrees_with_lme4() -> None:
    rng = np.random.default_rng(5)
    parts, operators, repeats = 10, 3, 3
    part, operator, both = (
        rng.normal(0, 2, parts),
        rng.normal(0, 0.8, operators),
        rng.normal(0, 0.5, (parts, operators)),
    )
    y, p, o = [], [], []
    for i in range(parts):
        for j in range(operators):
            for _ in range(repeats):
                y.append(50 + part[i] + operator[j] + both[i, j] + rng.normal(0, 0.4))
                p.append(f"p{i}")
                o.append(f"o{j}")
    values = np.array(y)
    expected = r(
        f"library(lme4); d <- data.frame(y = {vector(values)}, p = {labels(p)}, o = {labels(o)})\n"
        "v <- as.data.frame(VarCorr(lmer(y ~ 1 + (1 | p) + (1 | o) + (1 | p:o), d)))\n"
        "cat(v$vcov[v$grp == 'p'], v$vcov[v$grp == 'o'], v$vcov[v$grp == 'p:o'], v$vcov[v$grp == 'Residual'], sep = '\\n')",
        "lme4",
    )
    found = estimate_variance_components(
        build_study(values, {"part": p, "operator": o, "part:operator": []}), draws=500
    )
    ours = [found.components[name].estimate for name in ("part", "operator", "part:operator", "residual")]
    assert ours == pytest.approx(expected, rel=2e-3)
    gauge = gauge_study(values, p, o)
    # both as variances
    assert gauge.repeatability == pytest.approx(expected[3], rel=2e-3)


def test_run_lengths_agree_with_spc() -> None:
    cases = [(0.5, 4.0, 0.0), (0.5, 5.0, 0.5), (0.25, 8.0, 1.0), (0.75, 3.2, 0.25)]
    lines = "\n".join(f'cat(xcusum.arl({k}, {h}, {mu}, sided = "two", r = 60), "\\n")' for k, h, mu in cases)
    expected = r("library(spc)\n" + lines, "spc")
    ours = [cusum_average_run_length(k, h, mu) for k, h, mu in cases]
    assert ours == pytest.approx(expected, rel=1e-4)
    cases = [(0.1, 2.7, 0.0), (0.1, 2.814, 0.5), (0.3, 3.0, 1.0), (0.05, 2.615, 0.25)]
    lines = "\n".join(f'cat(xewma.arl({w}, {c}, {mu}, sided = "two", r = 60), "\\n")' for w, c, mu in cases)
    expected = r("library(spc)\n" + lines, "spc")
    ours = [ewma_average_run_length(w, c, mu) for w, c, mu in cases]
    assert ours == pytest.approx(expected, rel=1e-4)
    expected = r('cat(1 / (2 * pnorm(-3)), 1 / (pnorm(-4) + pnorm(-2)), sep = "\\n")')
    assert [shewhart_average_run_length(3.0), shewhart_average_run_length(3.0, 1.0)] == pytest.approx(
        expected, rel=1e-10
    )


@pytest.mark.parametrize("n", [3, 10, 43, 200])
def test_one_sided_tolerance_factor_agrees_with_the_noncentral_t_of_r(n: int) -> None:
    expected = r(f"cat(qt(0.95, {n} - 1, ncp = qnorm(0.95) * sqrt({n})) / sqrt({n}))")
    # R's noncentral t is accurate to about 1e-6
    assert one_sided_factor(n, 0.95, 0.95) == pytest.approx(expected[0], rel=1e-5)


@pytest.mark.parametrize(("model", "link"), [("probit", "probit"), ("logit", "logit")])
def test_quantal_potency_agrees_with_glm(tmp_path: object, model: str, link: str) -> None:
    from pathlib import Path

    doses = [1.0, 1.6, 2.5, 4.0]
    standard, test = [3, 8, 14, 18], [6, 12, 17, 19]
    lines = ["preparation,dose,responders,total"]
    for name, counts in (("S", standard), ("T", test)):
        lines += [f"{name},{d},{c},20" for d, c in zip(doses, counts, strict=True)]
    file = Path(str(tmp_path)) / "quantal.csv"
    file.write_text("\n".join(lines))
    expected = r(
        f"x <- log(rep({vector(doses)}, 2)); p <- rep(c('S', 'T'), each = 4); k <- {vector([*standard, *test])}\n"
        f"m <- glm(cbind(k, 20 - k) ~ 0 + p + x, family = binomial('{link}'))\n"
        "b <- coef(m); cat(exp((b['pT'] - b['pS']) / b['x']), b['x'], sqrt(vcov(m)['x', 'x']), sep = '\\n')"
    )
    found = analyse_potency(file, model, natural_response="none")
    assert found.potencies[0].ratio == pytest.approx(expected[0], rel=1e-6)
    assert found.common_slope == pytest.approx(expected[1], rel=1e-6)
    assert found.common_slope_standard_error == pytest.approx(expected[2], rel=1e-4)


def test_parallel_line_variance_table_agrees_with_aov(tmp_path: object) -> None:
    from pathlib import Path

    rng = np.random.default_rng(8)
    rows = []
    for block in range(4):
        lift = rng.normal(0, 2)
        for name, shift in (("S", 0.0), ("T", 0.2)):
            rows += [(name, d, block, 20 + 9 * (math.log(d) + shift) + lift + rng.normal()) for d in (1.0, 2.0, 4.0)]
    file = Path(str(tmp_path)) / "rbd.csv"
    file.write_text("preparation,dose,block,response\n" + "\n".join(f"{p},{d},{b},{y!r}" for p, d, b, y in rows))
    expected = r(
        f"p <- {labels([x[0] for x in rows])}; d <- {vector([x[1] for x in rows])}; b <- factor({vector([x[2] for x in rows])})\n"
        f"y <- {vector([x[3] for x in rows])}; x <- log(d)\n"
        "a <- anova(lm(y ~ b + p + x + p:x + p:factor(d)))\n"
        "cat(a['b', 'Sum Sq'], a['p', 'Sum Sq'], a['x', 'Sum Sq'], a['p:x', 'Sum Sq'], a['p:factor(d)', 'Sum Sq'],"
        " a['Residuals', 'Mean Sq'], sep = '\\n')"
    )
    found = analyse_potency(file, "parallel-line", design="rbd")
    table = {line.source: line.ss for line in found.anova}
    names = ("blocks", "preparations", "regression", "non-parallelism", "non-linearity")
    assert [table[name] for name in names] == pytest.approx(expected[:5], rel=1e-8)
    assert found.residual_mean_square == pytest.approx(expected[5], rel=1e-8)
