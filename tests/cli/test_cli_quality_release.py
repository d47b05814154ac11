"""`cartsight quality release`: keys, overrides, tables, bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError

runner = CliRunner()

ONE = """
[attributes.viability]
mean = 85
sd = 5
assay = { sd = 3 }
limits = { lower = 80 }
"""

MANY = """
product = "p"
region = "us"
lots = 5000
[attributes.viability]
scale = "logit"
median = 90
sd = { site = 0.1, donor = 0.35, run = 0.25 }
assay = { sd = { lab = 0.1, replicate = 0.1 }, replicates = 2, rounding = 1, retest = { results = 2, days = 1 } }
[attributes.dose]
scale = "log"
median = 250
sd = { donor = 0.6, run = 0.3 }
assay = { sd = 0.1 }
[[correlation]]
between = ["viability", "dose"]
value = 0.5
[sampling]
product_volume_ml = 60
dose_attribute = "dose"
[safety.sterility]
prior = 0.01
organisms_per_ml = 1.0
sample_ml = "ph_eur_2.6.27"
median_days = 3.0
log_sd = 0.3
read_day = 7
rapid = { median_days = 1.5, log_sd = 0.3, read_day = 3, sample_ml = 1.0 }
[specifications.p.us]
viability = { lower = 80 }
dose = { lower = 60, upper = 600 }
[specifications.p.eu]
viability = { lower = 70 }
dose = { lower = 60, upper = 600 }
[disposition]
use_out_of_specification = 0.5
[loss]
released_bad = 1.0
rejected_good = 0.5
"""


@pytest.fixture
def many(tmp_path: Path) -> str:
    path = tmp_path / "many.toml"
    path.write_text(MANY, encoding="utf-8")
    return str(path)


def run(*arguments: str) -> dict[str, Any]:
    result = runner.invoke(app, ["quality", "release", *arguments, "--json"])
    assert result.exception is None, result.exception
    return json.loads(result.stdout)


def test_one_attribute_json(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(ONE, encoding="utf-8")
    found = run(str(path))
    assert found["method"] == "quadrature"
    assert found["true_bad"] == pytest.approx(0.15866, abs=6e-6)
    assert found["rejected"] == pytest.approx(0.19559, abs=6e-6)
    assert found["consumers_risk"]["joint"] == pytest.approx(0.03876, abs=6e-6)
    assert found["consumers_risk"]["conditional"] == pytest.approx(0.04819, abs=6e-6)
    assert found["consumers_risk"]["conditional_on"] == "released"
    assert found["producers_risk"]["joint"] == pytest.approx(0.07569, abs=6e-6)
    assert found["producers_risk"]["conditional"] == pytest.approx(0.07569 / 0.84134, abs=1e-5)
    assert found["states"]["in_specification"]["probability"] == pytest.approx(1 - 0.19559, abs=6e-6)
    assert {"operating_characteristic", "guard_band", "marginal_values", "attributes"} <= set(found)
    assert found["attributes"][0]["variance_shares"]["replicate"] == pytest.approx(9 / 34)


def test_many_attributes_regions_and_seed(many: str) -> None:
    us, eu, again = run(many), run(many, "--region", "eu"), run(many)
    assert us == again
    assert us["rejected"] > eu["rejected"]
    assert run(many, "--seed", "2")["rejected"] != us["rejected"]
    assert {value["action"] for value in us["marginal_values"]} >= {"one more replicate", "rapid test"}
    assert us["sampled_ml"] == pytest.approx(0.6)
    assert set(us["dose"]) == {"mean", "p25", "median", "p75"}


def test_pathway_numbers(many: str) -> None:
    numbers = run(many, "--pathway")["pathway"]
    assert 0 < numbers["out_of_specification"] < 0.5
    assert numbers["patient_sd"] > 0
    assert numbers["odds_ratio_if_worsened"] is None


def test_tables(many: str) -> None:
    result = runner.invoke(app, ["quality", "release", many, "--pathway"])
    assert result.exception is None, result.exception
    assert "used out of specification" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_unknown_region(many: str) -> None:
    result = runner.invoke(app, ["quality", "release", many, "--region", "uss"])
    assert isinstance(result.exception, InputError)
    assert "Did you mean 'us'" in str(result.exception)
