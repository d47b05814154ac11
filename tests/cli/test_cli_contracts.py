"""`cartsight economics contract`, as a user calls it."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from scenario_builder import build, minimal_scenario, probability
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError
from cartsight.economics.contracts import load_contract, shipped_contracts

RUNNER = CliRunner()

SPAIN = """
price = 320000
currency = "EUR"
discount_rate = 0.03
[[clause]]
kind = "upfront"
share = 0.52
[[clause]]
kind = "milestone"
share = 0.48
date_months = 18
endpoint = "remission"
[curve]
cured = 0.4
rate_per_year = 1.0
"""


def toml(value: Any) -> str:
    """Return a value as inline TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value)


def write(folder: Path, text: str, name: str = "contract.toml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def run_json(*arguments: str) -> dict[str, Any]:
    result = RUNNER.invoke(app, ["economics", "contract", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def refuse(*arguments: str) -> InputError:
    result = RUNNER.invoke(app, ["economics", "contract", *arguments])
    assert isinstance(result.exception, InputError), (result.exception, result.output)
    return result.exception


def test_the_printed_answer_by_simulation_and_closed_form(tmp_path: Path) -> None:
    out = run_json(write(tmp_path, SPAIN))
    assert out["closed_form"]["nominal"] == pytest.approx(248_403.68, abs=0.005)
    assert out["closed_form"]["present_value"] == pytest.approx(244_847.21, abs=0.005)
    assert abs(out["expected_nominal"] - 248_403.68) < 4 * out["standard_error"]
    assert abs(out["expected_present_value"] - 244_847.21) < 4 * out["standard_error"]
    assert [row["cohort_size"] for row in out["by_cohort_size"]] == [15, 100, 1000]
    for row in out["by_cohort_size"]:
        sd = 320_000 * 0.48 * math.sqrt(0.533878 * 0.466122 / row["cohort_size"])
        assert row["sd"] == pytest.approx(sd, rel=0.08)
        assert row["low_95"] < row["mean"] < row["high_95"]
    assert out["by_clause"]["up front"]["nominal"] == pytest.approx(166_400)
    assert sum(row["payer"] for row in out["cash_flow_by_year"]) / out["pool_patients"] == pytest.approx(
        out["expected_nominal"]
    )
    flat = out["flat_rebate_equivalent"]
    assert flat["net_price"] == pytest.approx(out["expected_present_value"])
    assert flat["rebate_share"] == pytest.approx(1 - out["expected_present_value"] / 320_000)


def test_the_seed_is_the_result(tmp_path: Path) -> None:
    path = write(tmp_path, SPAIN)
    assert run_json(path, "--seed", "7") == run_json(path, "--seed", "7")
    assert run_json(path, "--seed", "7")["by_cohort_size"] != run_json(path, "--seed", "8")["by_cohort_size"]


@pytest.mark.parametrize(
    "clause",
    [
        'kind = "up_front"\nshare = 0.5',
        'type = "Up-front"\npercent = 50',
        'kind = "upfront"\namount = 160000',
    ],
)
def test_spellings_of_up_front(tmp_path: Path, clause: str) -> None:
    text = SPAIN.replace('kind = "upfront"\nshare = 0.52', clause)
    assert run_json(write(tmp_path, text))["by_clause"]["up front"]["nominal"] == pytest.approx(160_000)


@pytest.mark.parametrize("date", ["month = 18", "date_months = 18", "year = 1.5", "day = 547.875"])
def test_spellings_of_a_date(tmp_path: Path, date: str) -> None:
    text = SPAIN.replace("date_months = 18", date)
    assert run_json(write(tmp_path, text))["closed_form"]["nominal"] == pytest.approx(248_403.68, abs=0.005)


EVERYTHING = """
price = 100
discount_rate = 0.03
manufacturer_discount_rate = 0.08
[[clause]]
kind = "up_front"
share = 0.4
[[clause]]
kind = "milestone"
share = 0.1
month = 12
window_months = 3
missing_data = "last"
[[clause]]
kind = "annuity"
share = 0.3
payments = 4
stop_on = "relapse"
[[clause]]
kind = "warranty"
share = 0.2
until_month = 24
declining = true
[[clause]]
kind = "price_volume"
tiers = [{ above = 20, rebate = 0.1 }, { above = 50, rebate = 0.2 }]
cap_per_year = 6000
[[clause]]
kind = "subscription"
fee_per_year = 100
patients_per_year = 50
[[clause]]
kind = "pooled_failure"
threshold = 0.3
month = 12
share = 0.1
[[clause]]
kind = "free_remake"
free = 1
share = 0.2
[[clause]]
kind = "out_of_specification"
paid = false
[curve]
law = "weibull"
shape = 0.9
median_months = 8
cured = 0.4
[survival_curve]
rate_per_year = 0.3
cured = 0.45
[patients]
out_of_specification = 0.05
remake = 0.1
trial_patients = 100
[assessment]
sensitivity = 0.95
specificity = 0.9
payment_delay_months = 1
[follow_up]
lost_per_year = 0.1
[turnover]
leaves_per_year = 0.12
rule = "lump_sum"
lump_sum_share = 0.9
[administration]
set_up_cost = 500
cost_per_patient_year = 1
[default]
manufacturer_per_year = 0.02
payer_per_year = 0.01
recovery = 0.3
[indexation]
per_year = 0.02
[registry]
value_of_success = 150
registry_patients = 200
[risk]
aversion = 2
[pool]
patients = 80
years = 2
start_year = 2026
"""


def test_every_clause_and_modifier_together(tmp_path: Path) -> None:
    text = EVERYTHING.replace("rate_per_year = 0.3", "rate_per_year = 0.1").replace("cured = 0.45", "cured = 0.6")
    out = run_json(write(tmp_path, text), "--patients", "8000")
    assert out["closed_form"] is None and "cap" in out["closed_form_reason"]
    assert {row["risk"] for row in out["risks"]} == {
        "outcomes",
        "volume",
        "data loss",
        "assessment",
        "turnover",
        "counterparty default",
        "administration",
    }
    assert out["cash_flow_by_year"][0]["year"] == 2026
    assert 0 < out["assumed_share"] < 1
    assert 0 <= out["registry_information"]["per_patient"] <= out["registry_information"]["perfect_per_patient"]
    assert out["manufacturer_present_value"] < out["expected_present_value"]


def test_on_a_scenario(tmp_path: Path) -> None:
    text = SPAIN.replace("price = 320000\n", "").split("[curve]")[0]
    out = run_json(write(tmp_path, text), "--scenario", "lbcl-third-line-us", "--arm", "autologous-central")
    assert out["arm"] == "autologous-central" and out["closed_form"] is None
    assert 0.5 < out["infused_share"] < 1.0
    assert 0.5 * out["price"] < out["expected_nominal"] < out["price"]
    assert out["by_clause"]["up front"]["nominal"] < 0.52 * out["price"]


def test_other_money_than_the_scenario_is_said(tmp_path: Path) -> None:
    raw = minimal_scenario()
    raw["analysis"]["patients"] = 60
    scenario = write(tmp_path, "\n".join(f"{key} = {toml(value)}" for key, value in raw.items()), "small.toml")
    for currency, said in (("EUR", True), (build().analysis.money.upper(), False)):
        text = f'price = 320000\ncurrency = "{currency}"\n[[clause]]\nkind = "up_front"\n'
        out = run_json(write(tmp_path, text), "--scenario", scenario, "--arm", "autologous", "--cohort-size", "15")
        assert any("nothing is converted" in remark for remark in out["warnings"]) == said


def test_parameter_draws_on_a_scenario(tmp_path: Path) -> None:
    raw = minimal_scenario()
    raw["analysis"]["patients"] = 120
    raw["arms"]["autologous"]["efficacy"]["complete_response"] = probability(0.5, low=0.2, high=0.74, interval="range")
    text = "\n".join(f"{key} = {toml(value)}" for key, value in raw.items())
    path = write(tmp_path, text, "small.toml")
    agreed = write(
        tmp_path, SPAIN.partition("[curve]")[0].replace("price = 320000", "").replace('currency = "EUR"', "")
    )
    options = ("--scenario", path, "--arm", "autologous", "--quiet", "--cohort-size", "15")
    out = run_json(agreed, *options, "--draws", "16")
    over = out["parameter_draws"]
    assert over["draws"] == 16
    for key in ("nominal", "present_value"):
        assert over[key]["low"] < over[key]["mean"] < over[key]["high"]
    # More complete responders are in remission at 18 months: the interval is wider than Monte Carlo error alone.
    assert over["nominal"]["high"] - over["nominal"]["low"] > 4.0 * over["nominal"]["standard_error"]
    assert abs(over["nominal"]["mean"] - out["expected_nominal"]) < 0.15 * out["price"]
    assert over["share_of_price"]["mean"] == pytest.approx(over["nominal"]["mean"] / out["price"], rel=1e-6)
    assert run_json(agreed, *options)["parameter_draws"] is None
    result = RUNNER.invoke(app, ["economics", "contract", agreed, *options, "--draws", "10"], catch_exceptions=False)
    assert "95 % interval of the draws" in result.stdout


def test_ledger_file(tmp_path: Path) -> None:
    target = tmp_path / "ledger.csv"
    run_json(write(tmp_path, SPAIN), "--ledger", str(target), "--patients", "1000")
    rows = list(csv.DictReader(target.read_text(encoding="utf-8").splitlines()))
    assert {"patient", "day", "payer", "counterparty", "amount", "clause", "observed"} <= set(rows[0])
    first = [row for row in rows if row["clause"] == "up front"]
    assert len(first) == 100 and all(float(row["amount"]) == pytest.approx(166_400) for row in first)


@pytest.mark.parametrize("name", sorted(shipped_contracts()))
def test_shipped_agreements_say_where_they_come_from(name: str) -> None:
    from cartsight.evidence.literature import load_evidence

    table = load_evidence()
    read = load_contract(name)
    assert read.title and read.description and read.confidence and read.sources and read.patients
    known = set(table.ids) | {row.id for row in table.excluded}
    for source in read.sources:
        assert source.says and (source.evidence is None or source.evidence in known)
    result = RUNNER.invoke(app, ["economics", "contract", name, "--patients", "500"], catch_exceptions=False)
    assert result.exit_code == 0


def test_list() -> None:
    assert {row["name"] for row in run_json("list")["agreements"]} == set(shipped_contracts())


def test_rebate_variance_of_a_small_payer(tmp_path: Path) -> None:
    """A rebate of the price for each failure, p = 0.75 known from 100 patients: 0.1194 at 15 and 0.0611 at 100."""
    text = """
price = 1
discount_rate = 0
trial_patients = 100
[[clauses]]
type = "upfront"
[[clauses]]
type = "money_back"
date = 12
[curve]
cured = 0.75
rate_per_year = 300
"""
    out = run_json(write(tmp_path, text), "--cohort-size", "15", "--cohort-size", "100")
    sds = [row["sd"] for row in out["by_cohort_size"]]
    assert sds == pytest.approx([0.1194, 0.0611], rel=0.06)


def test_payments_above_the_price_are_remarked(tmp_path: Path) -> None:
    out = run_json(write(tmp_path, SPAIN.replace("share = 0.52", "share = 0.9")))
    assert any("138%" in remark for remark in out["warnings"])


BAD = {
    "percent as share": (SPAIN.replace("share = 0.52", "share = 52"), "0.52 for 52 %"),
    "percent as rate": (SPAIN.replace("discount_rate = 0.03", "discount_rate = 3"), "0.03"),
    "unknown key": (SPAIN.replace("share = 0.52", "shar = 0.52"), "share"),
    "unknown table": (SPAIN + "[turnovr]\nrule = 'stop'\n", "turnover"),
    "unknown kind": (SPAIN.replace('"milestone"', '"milstone"'), "milestone"),
    "unknown endpoint": (SPAIN.replace('"remission"', '"remision"'), "remission"),
    "text in a number": (SPAIN.replace("share = 0.52", 'share = "half"'), "finite number"),
    "nan": (SPAIN.replace("price = 320000", "price = nan"), "finite number"),
    "negative": (SPAIN.replace("date_months = 18", "date_months = -18"), "from 0 to 1 200"),
    "no clause": ("price = 3\n[curve]\nrate_per_year = 1\n", "[[clause]]"),
    "no curve": (SPAIN.split("[curve]")[0], "[curve]"),
    "no price": (SPAIN.replace("price = 320000", ""), "price"),
    "no date": (SPAIN.replace("date_months = 18", ""), "month"),
    "two dates": (SPAIN.replace("date_months = 18", "month = 18\nyear = 1"), "one date"),
    "two rates": (SPAIN + "median_years = 2\n", "exactly one"),
    "no shape": (SPAIN + 'law = "weibull"\n', "shape"),
    "cured above one": (SPAIN.replace("cured = 0.4", "cured = 1.4"), "share from 0 to 1"),
    "curves that cross": (SPAIN + "[survival_curve]\nrate_per_year = 2\n", "in remission than alive"),
    "clause as text": (SPAIN.split("[[clause]]")[0] + "clause = 'x'\n", "[[clause]]"),
    "not TOML": ("price = = 3", "TOML"),
    "empty": ("  \n", "empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_words(tmp_path: Path, name: str) -> None:
    text, word = BAD[name]
    error = refuse(write(tmp_path, text))
    assert word in str(error) and "contract.toml" in str(error)


def test_bad_calls_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, SPAIN)
    assert "spain-kymriah" in str(refuse("spain-kymria"))
    assert "folder" in str(refuse(str(tmp_path)))
    assert "--scenario" in str(refuse(path, "--arm", "autologous-central"))
    assert "Did you mean" in str(refuse(path, "--scenario", "lbcl-third-line-us", "--arm", "autologous-centrel"))
    assert "from 2" in str(refuse(path, "--patients", "1"))
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in str(refuse(str(binary)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--draws", "20"), "need a scenario"),
        (("--scenario", "lbcl-third-line-us", "--draws", "3"), "out of range"),
        (("--scenario", "lbcl-third-line-us", "--draws", "-5"), "out of range"),
    ],
)
def test_draws_are_refused(tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    assert words in str(refuse(write(tmp_path, SPAIN), *options))
