"""One small comparison for all tests of the report: few patients, few draws, several kinds of origin."""

from __future__ import annotations

from typing import Any

import pytest
from scenario_builder import build, minimal_scenario, money, number, probability

from cartsight.comparison.compare import compare
from cartsight.comparison.results import Comparison
from cartsight.reporting.html import report_html
from cartsight.reporting.summary import summarise
from cartsight.scenario import Scenario

DRAWS, PATIENTS = 40, 80


def uncertain_scenario(**changes: Any) -> Scenario:
    """Return the minimal scenario with uncertain, cited, sourced and shared numbers and two validation targets."""
    raw = minimal_scenario()
    efficacy = raw["arms"]["autologous"]["efficacy"]
    efficacy["complete_response"] = probability(0.5, low=0.35, high=0.65, interval="range")
    raw["arms"]["in_vivo"]["efficacy"]["complete_response"] = probability(0.4, low=0.1, high=0.7, interval="range")
    raw["arms"]["autologous"]["price"]["per_patient"] = money(400_000, relative_sd=0.1, spread_reason="for tests")
    raw["arms"]["allogeneic"]["price"]["per_patient"] = money(250_000, relative_sd=0.1, spread_reason="for tests")
    raw["population"]["female"] = {"value": 0.4, "unit": "probability", "evidence": "EC183"}
    raw["population"]["waiting_utility"] = {"value": 0.7, "unit": "utility", "source": "crump2017scholar1"}
    raw["population"]["frailty_sd"] = number(0.4, "log_odds", "a <b>bold</b> & risky reason")
    raw["arms"]["in_vivo"]["long_term"]["utility_remission"] = {
        "same_as": "arms.autologous.long_term.utility_remission"
    }
    raw["validation"] = {
        "met": {
            "label": "A figure that is met",
            "metric": "share_infused_of_referred",
            "published": probability(0.6),
            "tolerance": 5.0,
        },
        "missed": {
            "label": "A figure that is missed",
            "arm": "in_vivo",
            "metric": "median_referral_to_infusion_days",
            "published": number(400, "days"),
            "low": 390,
            "high": 410,
        },
    }
    raw["analysis"] |= {"draws": DRAWS, "patients": PATIENTS}
    return build(raw, **changes)


@pytest.fixture(scope="session")
def comparison() -> Comparison:
    return compare(uncertain_scenario(), workers=1)


@pytest.fixture(scope="session")
def document(comparison: Comparison) -> dict[str, Any]:
    return summarise(comparison)


@pytest.fixture(scope="session")
def page(document: dict[str, Any]) -> str:
    return report_html(document)
