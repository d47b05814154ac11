"""`cartsight survival` where data say little: refused figures stay refused, zero events are not zero risk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cartsight.cli import app


def call(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["survival", *arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def short_follow_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nobody is cured, and follow-up ends long before the median of 14 months is certain."""
    rng = np.random.default_rng(7)
    event, censored = rng.exponential(20.0, 150), rng.uniform(2.0, 14.0, 150)
    path = tmp_path_factory.mktemp("short") / "short.csv"
    rows = zip(np.minimum(event, censored), event <= censored, strict=True)
    path.write_text("months,died\n" + "".join(f"{t:.4f},{int(e)}\n" for t, e in rows))
    return path


def test_refused_cure_is_nowhere_in_the_json(short_follow_up: Path) -> None:
    found = call("fit", str(short_follow_up), "--models", "mixture_cure_weibull", "--json")
    model = json.loads(found.stdout)["groups"][0]["models"][0]
    assert model["cure_fraction_refused"]
    assert model["cure_fraction"] is None
    assert model["parameters"]["cure_fraction"] is None
    assert model["parameter_intervals"]["cure_fraction"] == model["cure_fraction_interval"]


def test_flat_likelihood_is_named_without_numbers_from_the_inside(short_follow_up: Path) -> None:
    found = call("fit", str(short_follow_up), "--models", "generalised_gamma,weibull", "--json")
    gamma, weibull = json.loads(found.stdout)["groups"][0]["models"]
    assert weibull["aic_weight"] == 1.0
    assert "the data do not identify" in gamma["error"]
    assert "array" not in gamma["error"]


def test_no_events_come_with_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    path.write_text("months,died\n" + "".join(f"{t},0\n" for t in range(1, 31)))
    record = json.loads(call("km", str(path), "--json").stdout)["groups"][0]
    # 1 - 0.025^(1/30): Clopper-Pearson for 0 of 30.
    assert "0.116" in record["note"]
    shown = call("km", str(path)).stdout
    assert "0.116" in shown and "not reached to not reached" not in shown


def test_interval_censored_median_is_not_called_unreached(tmp_path: Path) -> None:
    path = tmp_path / "visits.csv"
    path.write_text("months,died,upper\n" + "".join(f"{3 * (i % 5)},1,{3 * (i % 5) + 3}\n" for i in range(40)))
    shown = call("fit", str(path), "--upper", "upper", "--models", "weibull").stdout
    assert "not estimated" in shown and "not reached" not in shown


def test_pooled_arms_are_said(tmp_path: Path) -> None:
    path = tmp_path / "arms.csv"
    path.write_text("months,died,arm\n1,1,A\n2,0,A\n3,1,B\n4,1,B\n")
    assert "--group arm" in call("km", str(path)).stderr
    assert "--group arm" not in call("km", str(path), "--group", "arm").stderr


def test_cure_from_landmarks_says_what_it_rests_on(tmp_path: Path) -> None:
    falling, level = tmp_path / "falling.csv", tmp_path / "level.csv"
    falling.write_text("time,survival\n12,0.52\n24,0.4\n")
    level.write_text("time,survival\n12,0.52\n24,0.41\n60,0.40\n")
    notes = {
        path: " ".join(json.loads(call("landmarks", str(path), "--patients", "100", "--json").stdout)["notes"])
        for path in (falling, level)
    }
    assert all("rests on the assumed law" in note for note in notes.values())
    assert "no plateau" in notes[falling] and "no plateau" not in notes[level]
    weibull = call("landmarks", str(falling), "--patients", "100", "--model", "weibull", "--json")
    assert "cured" not in " ".join(json.loads(weibull.stdout)["notes"])
