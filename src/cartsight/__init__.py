"""Foresight for CAR-T: simulate every patient from referral to outcome, cost and payment, for every modality.

The public names, loaded when first used:

load_scenario, shipped_scenarios
    A validated scenario from a TOML file or a shipped name.
check_scenario, citations
    What a scenario rests on.
compare
    All arms on the same patients over all parameter draws.
run_arms, run_flow, price_arm
    The stages one by one: run once, price many.
summarise, report_html
    The document of a comparison, and the HTML report made from it.
load_evidence, life_table
    The literature tables and background mortality.
Quantity, InputError
    The number with an origin, and the error that speaks to the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "InputError": "cartsight.core.errors",
    "Quantity": "cartsight.core.quantity",
    "check_scenario": "cartsight.comparison.checking",
    "citations": "cartsight.comparison.citing",
    "compare": "cartsight.comparison.compare",
    "life_table": "cartsight.evidence.life_tables",
    "load_evidence": "cartsight.evidence.literature",
    "load_scenario": "cartsight.scenario",
    "price_arm": "cartsight.comparison.single_arm",
    "report_html": "cartsight.reporting.html",
    "run_arms": "cartsight.comparison.single_arm",
    "run_flow": "cartsight.simulation.pathways",
    "shipped_scenarios": "cartsight.scenario",
    "summarise": "cartsight.reporting.summary",
}
__all__ = [
    "InputError",
    "Quantity",
    "__version__",
    "check_scenario",
    "citations",
    "compare",
    "life_table",
    "load_evidence",
    "load_scenario",
    "price_arm",
    "report_html",
    "run_arms",
    "run_flow",
    "shipped_scenarios",
    "summarise",
]

if TYPE_CHECKING:
    from cartsight.comparison.checking import check_scenario
    from cartsight.comparison.citing import citations
    from cartsight.comparison.compare import compare
    from cartsight.comparison.single_arm import price_arm, run_arms
    from cartsight.core.errors import InputError
    from cartsight.core.quantity import Quantity
    from cartsight.evidence.life_tables import life_table
    from cartsight.evidence.literature import load_evidence
    from cartsight.reporting.html import report_html
    from cartsight.reporting.summary import summarise
    from cartsight.scenario import load_scenario, shipped_scenarios
    from cartsight.simulation.pathways import run_flow


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'cartsight' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return list(__all__)
