"""Replications of a scenario, and the command that prints them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.comparison.simulation_statistics.scenario_replications import (
    replicate,
    replication_seed,
    select_best_arm,
    variance_pilot,
)
from cartsight.comparison.simulation_statistics.stopping import StoppingRule
from cartsight.core.errors import InputError
from cartsight.scenario import Scenario
from tests.scenario_builder import build, minimal_scenario, probability

RUNNER = CliRunner()
FEW = StoppingRule(relative=0.01, most=12)


def small() -> Scenario:
    raw = minimal_scenario()
    raw["analysis"]["patients"] = 120
    raw["arms"]["autologous"]["efficacy"]["complete_response"] = probability(0.5, low=0.3, high=0.7, interval="range")
    return build(raw)


def refuse(*arguments: str) -> InputError:
    result = RUNNER.invoke(app, arguments)
    assert isinstance(result.exception, InputError), (result.exception, result.output)
    return result.exception


def test_replications_are_independent_of_workers_and_of_the_cap() -> None:
    scenario = small()
    first = replicate(scenario, rule=FEW, workers=1)
    again = replicate(scenario, rule=StoppingRule(relative=0.01, most=15), workers=1)
    assert np.array_equal(first.sequence.values, again.sequence.values[:12])
    assert len({replication_seed(1, i) for i in range(1000)}) == 1000
    assert replication_seed(1, 3) != replication_seed(2, 3)


def test_differences_are_on_the_same_patients_and_the_reference_comes_first() -> None:
    scenario = small()
    names = list(scenario.arms)[:2]
    found = replicate(scenario, arms=names[::-1], rule=FEW, workers=1, metric="share_infused_of_referred")
    assert found.arms == (names[1], names[0])
    values = found.sequence.values
    assert found.contrasts[0].difference.mean == pytest.approx(float((values[:, 1] - values[:, 0]).mean()))
    assert found.levels[0].mean == pytest.approx(float(values[:, 0].mean()))
    band = found.incidence[names[1]]
    # The last day of the curve holds (nearly) everyone who is ever infused.
    assert band.mean["infused"][-1] == pytest.approx(found.levels[0].mean, abs=0.05)
    total = sum(band.mean[name] for name in band.mean)
    assert np.allclose(total, 1.0)


def test_a_metric_that_an_arm_lacks_is_left_out_and_one_that_none_has_is_refused() -> None:
    scenario = small()
    found = replicate(scenario, metric="median_vein_to_vein_days", rule=FEW, workers=1)
    assert "autologous" in found.arms
    assert found.without_value
    with pytest.raises(InputError, match="no value"):
        replicate(scenario, arms=[found.without_value[0]], metric="median_vein_to_vein_days", rule=FEW)


def test_the_best_arm_is_selected_on_common_random_numbers() -> None:
    scenario = small()
    best, record = select_best_arm(scenario, "qalys_per_referred", indifference=0.5)
    means = replicate(scenario, rule=FEW, workers=1)
    top = max(zip(means.levels, means.arms, strict=True), key=lambda pair: pair[0].mean)
    assert means.levels[means.arms.index(best)].mean >= top[0].mean - 0.5
    assert record.total_replications >= 10 * len(scenario.arms)


def test_the_pilot_splits_the_variance_and_measures_costs() -> None:
    pilot = variance_pilot(small(), "autologous", "qalys_per_referred", draws=6, replications=2)
    assert pilot.split.patients > 0
    assert pilot.costs.per_patient > 0
    with pytest.raises(InputError, match="no mean over patients"):
        variance_pilot(small(), "autologous", "median_vein_to_vein_days", draws=2, replications=2)
    with pytest.raises(InputError, match="leaves some patients out"):
        variance_pilot(small(), "autologous", "complete_response_share", draws=2, replications=2)


@pytest.fixture
def scenario_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    def toml(value: Any) -> str:
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + " }"
        if isinstance(value, list | tuple):
            return "[" + ", ".join(toml(item) for item in value) + "]"
        return json.dumps(value)

    raw = minimal_scenario()
    path = tmp_path / "small.toml"
    path.write_text("\n".join(f"{key} = {toml(value)}" for key, value in raw.items()), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return "small.toml"


def test_the_command_prints_one_json_object(scenario_file: str) -> None:
    arguments = ["replicate", scenario_file, "--patients", "80", "--max-replications", "11", "--workers", "1", "--json"]
    result = RUNNER.invoke(app, [*arguments, "--indifference", "1", "--seed", "5"], catch_exceptions=False)
    document = json.loads(result.stdout)
    assert document["seed"] == 5
    assert 10 <= document["replications"] <= 11
    assert len(document["differences"]) == len(document["arms"]) - 1
    assert document["differences"][0]["minus"] == document["reference_arm"]
    assert {"mean", "low", "high", "half_width", "reached", "holm_p_value"} <= set(document["differences"][0])
    assert document["selection"]["best"] in {arm["name"] for arm in document["arms"]}
    assert {"days", "infused", "died", "other", "waiting"} <= set(document["time_to_infusion"][0])
    again = json.loads(RUNNER.invoke(app, [*arguments, "--seed", "6"]).stdout)
    assert again["arms"][0]["mean"] != document["arms"][0]["mean"]


def test_the_command_prints_tables_and_refuses_nonsense(scenario_file: str) -> None:
    few = ["--patients", "80", "--max-replications", "10", "--workers", "1"]
    result = RUNNER.invoke(
        app, ["replicate", scenario_file, *few, "--arm", "autologous", "-q", "--variance-split"], catch_exceptions=False
    )
    assert "10 replications" in result.stdout
    assert "parameter uncertainty is not in it" in result.stdout
    assert all(len(line) <= 100 for line in result.stdout.splitlines() if "standard deviation" not in line)
    assert "'autologous'" in str(refuse("replicate", scenario_file, "--arm", "autologus").hint)
    refuse("replicate", scenario_file, "--metric", "nothing")
    refuse("replicate", scenario_file, "--precision", "0")
    refuse("replicate", scenario_file, "--max-replications", "3")
    refuse("replicate", scenario_file, "--indifference", "-1", "--max-replications", "10", "--patients", "60")
    refuse("replicate", scenario_file, "--minimise")
    refuse("replicate", "no-such-scenario")
