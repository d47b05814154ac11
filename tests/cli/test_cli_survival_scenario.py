"""`cartsight survival fit --toml`: what is printed loads in a scenario and draws the joint uncertainty of the fit."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenario_builder import build, minimal_scenario
from scipy.stats import spearmanr
from typer.testing import CliRunner

from cartsight.cli.survival import app
from cartsight.comparison.parameter_draws import draw_parameters
from cartsight.core.errors import InputError
from cartsight.core.units import DAYS_PER_MONTH
from cartsight.evidence.survival import SurvivalData, fit
from cartsight.scenario import load_scenario

PATH = "arms.autologous.efficacy.relapse"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(11)
    lines = ["months,event,arm,age"]
    for arm, cure in (("A", 0.35), ("B", 0.0)):
        time = np.where(rng.uniform(size=300) < cure, np.inf, 8.0 * rng.weibull(1.4, 300))
        stop = rng.uniform(24, 60, 300)
        lines += [f"{min(t, c):.4f},{int(t <= c)},{arm},50" for t, c in zip(time, stop, strict=True)]
    path = tmp_path_factory.mktemp("fit") / "relapse.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def fitted_data(file: Path, arm: str) -> SurvivalData:
    rows = [line.split(",") for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    chosen = [r for r in rows if r[2] == arm]
    return SurvivalData(np.array([float(r[0]) for r in chosen]), np.array([r[1] == "1" for r in chosen]))


def printed(*words: object) -> str:
    result = CliRunner().invoke(app, ["fit", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def merged(text: str) -> dict[str, Any]:
    """Return the small scenario of the tests with the printed law in the place of its own."""
    stated = tomllib.loads(text)
    raw = minimal_scenario()
    raw["arms"]["autologous"]["efficacy"]["relapse"] = stated["arms"]["autologous"]["efficacy"]["relapse"]
    raw["analysis"]["correlations"] = stated["analysis"]["correlations"]
    return raw


@pytest.mark.parametrize(("arm", "model"), [("A", "mixture_cure_weibull"), ("B", "gompertz"), ("B", "log_normal")])
def test_round_trip_numbers_and_joint_draws(file: Path, arm: str, model: str) -> None:
    words = (file, "--group", "arm", "--only", arm, "--toml", "--path", PATH, "--model", model, "--quiet")
    text = printed(*words)
    scenario = build(merged(text))
    law = scenario.arms["autologous"].efficacy.relapse
    fitted = fit(fitted_data(file, arm), model)
    days = np.array([60.0, 200.0, 400.0])
    curve = fitted.law().survival(days / DAYS_PER_MONTH)
    assert [law.survival(d) for d in days] == pytest.approx(curve, rel=1e-6)
    assert law.median.quantity.provenance.origin == "estimated"
    assert f"relapse.csv, n = 300, events = {fitted.data.events}, model {model}, group {arm}" in str(
        law.median.estimated
    )
    if arm == "A":
        assert law.cured is not None
        assert law.cured.x == pytest.approx(fitted.parameters["cure_fraction"], rel=1e-6)

    draws = draw_parameters(scenario, 4000, 7)
    column = {path: draws.values[:, i] for i, path in enumerate(draws.paths)}
    stated = tomllib.loads(text)["analysis"]["correlations"]
    assert len(stated) == (3 if arm == "A" else 1)
    for pair in stated:
        # 4 000 draws: the error of a rank correlation is at most 0.016.
        found = spearmanr(column[pair["first"]], column[pair["second"]]).statistic
        assert found == pytest.approx(pair["rho"], abs=0.04)

    # What matters: the spread of the curve is the spread under joint draws of the coefficients, where it is closest to
    # what the correlation makes of it, and 10 % apart at most (beta for logit-normal, Monte Carlo error 1.6 %).
    wanted = fitted.survival_draws(days / DAYS_PER_MONTH, fitted.draw(4000, np.random.default_rng(5))).std(axis=0)
    got = []
    for values in zip(*(column[f"{PATH}.{name}"] for name in stated_names(stated)), strict=True):
        moved = law.model_copy(
            update={n: getattr(law, n).at(float(v)) for n, v in zip(stated_names(stated), values, strict=True)}
        )
        got.append([moved.survival(d) for d in days])
    assert np.std(got, axis=0) == pytest.approx(wanted, rel=0.1)


def stated_names(correlations: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(p[end].rsplit(".", 1)[1] for p in correlations for end in ("first", "second")))


def test_pasted_into_a_file_that_extends_a_shipped_scenario(file: Path, tmp_path: Path) -> None:
    path = "arms.autologous-central.efficacy.relapse"
    text = printed(file, "--group", "arm", "--only", "B", "--toml", "--path", path, "--model", "weibull", "--quiet")
    child = tmp_path / "child.toml"
    child.write_text(f'extends = "lbcl-third-line-us"\nname = "child"\n{text}', encoding="utf-8")
    scenario = load_scenario(child)
    law = scenario.arms["autologous-central"].efficacy.relapse
    assert law.law == "weibull"
    assert law.median.x == pytest.approx(
        float(fit(fitted_data(file, "B"), "weibull").law().quantile(0.5)) * DAYS_PER_MONTH, rel=1e-6
    )
    assert scenario.analysis.correlations[0].first == f"{path}.median"


def test_two_blocks_may_stand_in_one_file(file: Path) -> None:
    first = printed(file, "--group", "arm", "--only", "A", "--toml", "--path", "arms.x.efficacy.relapse", "--quiet")
    second = printed(file, "--group", "arm", "--only", "B", "--toml", "--path", "arms.y%.efficacy.relapse", "--quiet")
    both = tomllib.loads(first + second)
    assert set(both["arms"]) == {"x", "y%"}
    assert len(both["analysis"]["correlations"]) == 4


def test_best_is_a_cure_where_there_is_one_and_json_says_the_same(file: Path) -> None:
    words = (file, "--group", "arm", "--only", "A", "--toml", "--path", PATH, "--quiet")
    record = json.loads(printed(*words, "--json"))
    assert record["model"].startswith("mixture_cure_")
    stated = tomllib.loads(printed(*words))
    law = stated["arms"]["autologous"]["efficacy"]["relapse"]
    assert law["cured"]["value"] == pytest.approx(record["law"]["cured"]["value"], rel=1e-9)
    assert record["correlations"] == stated["analysis"]["correlations"]


def test_exponential_has_no_shape_and_says_how_to_take_the_parents_away(file: Path) -> None:
    text = printed(file, "--group", "arm", "--only", "B", "--toml", "--model", "exponential", "--quiet")
    assert "shape = { remove = true } and cured = { remove = true }" in text.splitlines()[0]
    assert set(tomllib.loads(text)["arms"]["NAME"]["efficacy"]["relapse"]) == {"law", "median"}
    assert "analysis" not in tomllib.loads(text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--toml", "--model", "royston_parmar_2"), "a spline has no single shape"),
        (("--toml", "--model", "gengamma"), "two shapes"),
        (("--toml", "--model", "non_mixture_cure_weibull"), "non-mixture"),
        (("--toml", "--models", "rp2,gengamma"), "cannot state"),
        (("--toml", "--group", "arm"), "of one group"),
        (("--toml", "--group", "arm", "--only", "C"), "no such group"),
        (("--toml", "--covariates", "age"), "no covariates"),
        (("--toml", "--path", "arms..relapse"), "not a field path"),
        (("--toml", "--time-unit", "fortnights"), "unit of time"),
        (("--model", "weibull"), "goes with --toml"),
        (("--path", PATH), "goes with --toml"),
    ],
)
def test_refusals_in_words(file: Path, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CliRunner().invoke(app, ["fit", str(file), *words], catch_exceptions=False)


def test_what_was_passed_over_is_said(file: Path) -> None:
    result = CliRunner().invoke(
        app,
        ["fit", str(file), "--group", "arm", "--only", "B", "--toml", "--models", "rp1,mixture_cure_weibull,weibull"],
    )
    assert result.exit_code == 0
    assert "passed over: royston_parmar_1: a scenario cannot state it" in result.stderr
    assert 'law = "weibull"' in result.stdout


def test_background_mortality_is_named_in_the_origin(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    time, stop = 6.0 * rng.weibull(1.2, 150), rng.uniform(8, 20, 150)
    rows = [f"{min(t, c):.4f},{int(t <= c)},65,female" for t, c in zip(time, stop, strict=True)]
    path = tmp_path / "deaths.csv"
    path.write_text("\n".join(["years,died,age,sex", *rows]) + "\n", encoding="utf-8")
    text = printed(
        path, "--toml", "--model", "weibull", "--life-table", "us-2019", "--age", "age", "--sex", "sex", "--quiet"
    )
    median = tomllib.loads(text)["arms"]["NAME"]["efficacy"]["relapse"]["median"]
    assert median["unit"] == "years"
    assert "excess hazard over background mortality" in median["estimated"]
