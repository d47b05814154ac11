"""The one validated file: sections, TOML with one `extends`, readable errors, JSON Schema, parameter draws."""

from cartsight.scenario.loading import find_scenario, load_scenario, shipped_scenarios, validate
from cartsight.scenario.model import SCHEMA_VERSION, Scenario
from cartsight.scenario.numbers import Number, describe

__all__ = [
    "SCHEMA_VERSION",
    "Number",
    "Scenario",
    "describe",
    "find_scenario",
    "load_scenario",
    "shipped_scenarios",
    "validate",
]
