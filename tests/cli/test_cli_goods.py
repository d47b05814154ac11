"""`cartsight economics goods`, and cost of goods by activity in the report, as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cartsight.cli import app
from cartsight.core.errors import InputError
from cartsight.scenario.cost_drivers import find_driver

RUNNER = CliRunner()

BOTTOM_UP = """
extends = "lbcl-third-line-us"
name = "bottom-up"

[arms.autologous-central.costs]
site_per_year = { value = 0, unit = "usd_2024/site_year", assumed = "in capital", certain = "in capital" }
line_per_year = { value = 0, unit = "usd_2024/year", assumed = "in capital", certain = "in capital" }

[arms.autologous-central.costs.capital]
lang_factor = { value = 5.4, unit = "ratio", evidence = "MFG070", low = 2.3, high = 8.5, interval = "range" }
equipment_life = { value = 10, unit = "years", assumed = "usual", low = 7, high = 15, interval = "range" }
interest_rate = { value = 0.08, unit = "fraction", assumed = "usual", low = 0.04, high = 0.12, interval = "range" }

[arms.autologous-central.costs.capital.line_equipment.device]
purchase_cost = { value = 200000, unit = "usd_2024/unit", assumed = "test", low = 1e5, high = 3e5, interval = "range" }

[arms.autologous-central.costs.capital.site_equipment.laboratory]
purchase_cost = { value = 2e6, unit = "usd_2024/unit", assumed = "test", low = 1e6, high = 3e6, interval = "range" }

[arms.autologous-central.costs.activities.air]
driver = "line years"
kind = "utilities"
amount = { value = 40000, unit = "usd_2024/line", assumed = "test", low = 2e4, high = 8e4, interval = "range" }
"""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("goods") / "bottom-up.toml"
    path.write_text(BOTTOM_UP, encoding="utf-8")
    return str(path)


def goods_json(*arguments: str) -> dict[str, Any]:
    result = RUNNER.invoke(app, ["economics", "goods", *arguments, "--json", "--quiet"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_json_reconciles_and_names_known_drivers(scenario: str) -> None:
    document = goods_json(scenario, "--patients", "300")
    assert set(document["arms"]) == {
        "autologous-central", "autologous-point-of-care", "allogeneic-donor", "in-vivo-lentiviral"
    }  # fmt: skip
    for arm in document["arms"].values():
        table = arm["reconciliation"]
        assert table["difference_cents"] == table["difference_per_year_cents"] == 0
        assert sum(row["cents"] for row in table["rows"]) == table["budget_cents"]
        assert table["budget_cents"] == pytest.approx(100 * arm["budget"]["total"], abs=0.51)
        assert all(find_driver(line["driver"]) is not None for line in arm["budget"]["lines"])
        assert arm["per_infused"] * arm["counts"]["infused"] == pytest.approx(arm["budget"]["total"])
    bottom_up = document["arms"]["autologous-central"]
    assert bottom_up["itemised"] is True
    assert bottom_up["capital"]["line"]["fixed_capital"] == pytest.approx(5.4 * 200_000)
    assert {row["kind"] for row in bottom_up["by_kind"]} >= {"capital", "utilities"}
    assert document["arms"]["allogeneic-donor"]["capital"] is None


def test_same_seed_same_answer_and_one_arm_alone_is_as_among_others(scenario: str) -> None:
    both = goods_json(
        scenario, "--patients", "200", "--seed", "5", "--arm", "allogeneic-donor", "--arm", "autologous-central"
    )
    alone = goods_json(scenario, "--patients", "200", "--seed", "5", "--arm", "autologous-central")
    assert alone["arms"]["autologous-central"] == both["arms"]["autologous-central"]


def test_tables_for_people(scenario: str) -> None:
    result = RUNNER.invoke(app, ["economics", "goods", scenario, "--arm", "autologous-central", "--patients", "200"])
    assert result.exit_code == 0, result.output
    for words in ("Who bears it", "idle capital", "per infused", "capital of a line", "Infused per year"):
        assert words in result.stdout


def test_an_arm_that_makes_nothing_is_refused() -> None:
    result = RUNNER.invoke(app, ["economics", "goods", "lbcl-third-line-us", "--arm", "other-care"])
    assert isinstance(result.exception, InputError)
    assert result.exception.field == "--arm"


def test_report_shows_the_budget_and_who_bears_it(scenario: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    result = RUNNER.invoke(
        app,
        ["run", scenario, "--arm", "autologous-central", "--arm", "allogeneic-donor", "--patients", "200", "--output", str(target), "--quiet"],
        catch_exceptions=False,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    results = json.loads((target / "results.json").read_text(encoding="utf-8"))
    arms = {arm["name"]: arm["cost_of_goods"] for arm in results["arms"]}
    assert arms["allogeneic-donor"]["by_activity"] is None
    detail = arms["autologous-central"]["by_activity"]
    assert detail["reconciliation"]["difference_cents"] == 0
    assert sum(row["total"] for row in arms["autologous-central"]["categories"]) == pytest.approx(
        detail["budget"]["total"]
    )
    page = (target / "report.html").read_text(encoding="utf-8")
    assert "cost of goods by activity" in page
    assert 'id="figure-bearers"' in page


def test_numbers_of_activities_are_cited(scenario: str) -> None:
    result = RUNNER.invoke(app, ["cite", scenario, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "MFG070" in result.stdout
