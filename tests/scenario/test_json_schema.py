"""The JSON Schema accepts what the loader accepts: whole files, and children that state only what differs."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

import pytest

from cartsight.scenario.schema import scenario_schema

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = scenario_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def shipped() -> list[str]:
    folder = resources.files("cartsight.scenario") / "shipped"
    return sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))


@pytest.mark.parametrize("name", shipped())
def test_shipped_scenarios_are_valid(validator: Any, name: str) -> None:
    text = (resources.files("cartsight.scenario") / "shipped" / name).read_text(encoding="utf-8")
    assert [error.message for error in validator.iter_errors(tomllib.loads(text))] == []


def test_a_child_states_only_what_differs_and_may_take_an_arm_away(validator: Any) -> None:
    child = {
        "extends": "lbcl-third-line-us",
        "name": "child",
        "analysis": {"draws": 64},
        "arms": {"in-vivo": {"remove": True}, "autologous-central": {"collection": {"beds_per_hospital": 3}}},
    }
    assert validator.is_valid(child)
    assert not validator.is_valid({**child, "analysis": {"drawss": 64}})
    assert not validator.is_valid({key: value for key, value in child.items() if key != "extends"})
