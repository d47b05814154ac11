"""The quality room returns quantities: value, unit, uncertainty, origin."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError
from cartsight.core.quantity import Quantity
from cartsight.evidence.quality import (
    analyse_potency,
    build_study,
    capability,
    capability_quantity,
    combine,
    combined_quantity,
    component_quantity,
    estimate_variance_components,
    out_of_specification_quantity,
    potency_quantity,
)
from cartsight.evidence.quality.estimated_number import EstimatedNumber, estimated_share
from cartsight.evidence.quality.potency.combination import AssayEstimate
from cartsight.evidence.quality.release import build_release_specification, evaluate
from cartsight.scenario.numbers import LogOdds, OddsRatio, Probability, VariableDuration

RELEASE = {
    "lots": 5000,
    "attributes": {
        "viability": {
            "mean": 85,
            "sd": {"donor": 4, "run": 3},
            "assay": {"sd": 3, "days": 2, "retest": {"results": 2, "days": 3}},
            "limits": {"lower": 80},
        }
    },
}


def test_potency_is_log_normal_between_its_limits(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    lines = ["preparation,dose,response"]
    for name, shift in (("S", 0.0), ("T", np.log(1.3))):
        for dose in (1, 2, 4):
            lines += [f"{name},{dose},{10 + 5 * (np.log(dose) + shift) + 0.3 * rng.normal()}" for _ in range(5)]
    file = tmp_path / "assay.csv"
    file.write_text("\n".join(lines))
    result = analyse_potency(file, "parallel-line")
    found = potency_quantity(result)
    assert isinstance(found, Quantity) and found.provenance.origin == "estimated" and found.unit == "ratio"
    assert found.uncertainty is not None
    low, high = found.uncertainty.law.interval(0.95)
    # the limits are nearly symmetric on the log scale when g is small
    assert low == pytest.approx(result.potencies[0].ratio_lower, rel=0.01)
    assert high == pytest.approx(result.potencies[0].ratio_upper, rel=0.01)
    with pytest.raises(InputError, match="no such preparation"):
        potency_quantity(result, "U")


def test_combination_component_and_capability_carry_their_intervals() -> None:
    combined = combine([AssayEstimate(1.0, 0.9, 1.11, 20), AssayEstimate(1.1, 0.95, 1.27, 20)])
    found = combined_quantity(combined)
    assert found.value == combined.weighted.estimate
    values = [np.random.default_rng(k).normal(10, 1, 30) for k in range(2)]
    process = capability(values[0], lsl=7.0, usl=13.0)
    index = capability_quantity(process)
    assert index.value == process.cpk and index.uncertainty is not None
    assert index.uncertainty.law.interval(process.confidence)[0] == pytest.approx(process.cpk_lower, abs=0.05)
    with pytest.raises(InputError, match="no such index"):
        capability_quantity(process, "cpx")
    rng = np.random.default_rng(4)
    batch = np.repeat(np.arange(8), 4)
    study = build_study(rng.normal(0, 0.2, 32) + rng.normal(0, 0.5, 8)[batch], {"batch": [str(b) for b in batch]})
    components = estimate_variance_components(study)
    sd = component_quantity(components, "batch")
    assert sd.value == pytest.approx(components.components["batch"].sd) and sd.unit == "log_scale"
    assert sd.is_uncertain and float(sd.draw(1e-6)) >= 0.0
    nothing = build_study(rng.normal(0, 0.2, 32), {"batch": [str(b) for b in batch]})
    at_zero = component_quantity(estimate_variance_components(nothing), "batch")
    assert at_zero.value > 0.0
    with pytest.raises(InputError, match="no such factor"):
        component_quantity(components, "lab")


def test_share_out_of_specification_covers_the_truth_as_often_as_it_says() -> None:
    # Normal process, 2.275 % below the limit; 200 studies of 30 results: 95 % intervals, 3.5 standard errors of 200
    truth, hits = 0.0227501, 0
    for k in range(200):
        values = np.random.default_rng(1000 + k).normal(10.0, 1.0, 30)
        found = out_of_specification_quantity(capability(values, lsl=8.0), lsl=8.0)
        assert found.uncertainty is not None
        low, high = found.uncertainty.law.interval(0.95)
        hits += low <= truth <= high
    assert hits / 200 == pytest.approx(0.95, abs=3.5 * (0.95 * 0.05 / 200) ** 0.5)


def test_a_release_specification_is_a_quantity() -> None:
    risk = evaluate(build_release_specification(RELEASE))
    found = out_of_specification_quantity(risk)
    assert found.unit == "probability" and found.value == risk.rejected.probability
    assert found.uncertainty is not None and found.provenance.origin == "estimated"


def test_one_number_says_the_same_as_quantity_and_in_a_scenario() -> None:
    for number, kind in (
        (estimated_share(0.2, 400, "lots"), Probability),
        (estimated_share(0.2, 400, "lots", [0.15, 0.25, 0.2, 0.1, 0.3]), Probability),
        (EstimatedNumber(1.5, "odds_ratio", "fit", 1.0, 2.25, "credible_95"), OddsRatio),
        (EstimatedNumber(2.0, "log_odds", "fit", 1.0, 3.0, "range"), LogOdds),
        (EstimatedNumber(0.5, "log_odds", "fit", -0.5, 1.5, "credible_95"), LogOdds),
        (EstimatedNumber(7.0, "days", "tests", certain="stated", law="lognormal", cv=0.2), VariableDuration),
    ):
        table = tomllib.loads(f"x = {number.toml()}")["x"]
        scenario_number = kind.model_validate(table).quantity
        assert scenario_number.provenance.origin == "estimated"
        assert scenario_number.value == pytest.approx(number.value, rel=1e-9)
        u = np.array([0.05, 0.5, 0.95])
        assert np.allclose(scenario_number.draw(u), number.quantity.draw(u), rtol=1e-6)


@pytest.mark.parametrize("kind", ["autologous", "lots"])
def test_numbers_are_printed_ready_to_be_pasted(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "release.toml"
    file.write_text(
        'lots = 2000\nmoney = "usd_2024"\n[process]\ntermination_probability = 0.02\n'
        "[attributes.viability]\nmean = 85\nsd = 5\nlimits = { lower = 80 }\nassay = { sd = 3, cost = 50, days = 1 }\n"
    )
    result = CliRunner().invoke(app, ["quality", "release", str(file), "--toml", kind], catch_exceptions=False)
    assert result.exit_code == 0
    arm = tomllib.loads(result.stdout)["arms"]["NAME"]
    section = arm["process" if kind == "autologous" else "lots"]
    name = "out_of_specification" if kind == "autologous" else "rejection"
    assert Probability.model_validate(section[name]).x == pytest.approx(0.196, abs=0.03)
    assert next(iter(arm["costs"].values()))["unit"].startswith("usd_2024/")
    wrong = CliRunner().invoke(app, ["quality", "release", str(file), "--toml", "lot"])
    assert isinstance(wrong.exception, InputError) and "no such kind of arm" in str(wrong.exception)
