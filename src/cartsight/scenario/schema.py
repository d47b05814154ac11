"""JSON Schema of a scenario file, for editors that check TOML while you type.

A file that `extends` another states only what differs, so two schemas are needed: the whole scenario for a file that
stands alone, and for a child the same one in which nothing is required and everything can be removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cartsight.scenario.model import Scenario

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = "#/$defs/"
_CHILD = "InChild"
_REMOVAL = "Removal"


def scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a scenario file, with or without ``extends``."""
    whole: dict[str, Any] = Scenario.model_json_schema()
    definitions: dict[str, Any] = whole.pop("$defs")
    numbers = {name for name, schema in definitions.items() if {"evidence", "same_as"} <= set(schema["properties"])}
    child = _child(whole, numbers)
    removal = {
        "type": "object",
        "description": "Takes an inherited arm or field away.",
        "properties": {"remove": {"const": True}},
        "required": ["remove"],
        "additionalProperties": False,
    }
    return {
        "$schema": DIALECT,
        **child,
        "properties": {
            "extends": {"type": "string", "description": "A parent file or shipped scenario."},
            **child["properties"],
        },
        "if": {"required": ["extends"]},
        "else": {"$ref": _REFERENCE + "Scenario"},
        "$defs": {
            **definitions,
            "Scenario": whole,
            _REMOVAL: removal,
            **{name + _CHILD: _child(schema, numbers) for name, schema in definitions.items() if name not in numbers},
        },
    }


def _child(schema: Any, numbers: set[str]) -> Any:
    """Return `schema` for a file that restates only a part; a number stays whole, it is one decision."""
    if isinstance(schema, list):
        return [_child(item, numbers) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    found: dict[str, Any] = {}
    for key, item in schema.items():
        if key == "$ref":
            found[key] = item if item.removeprefix(_REFERENCE) in numbers else item + _CHILD
        elif key == "properties":
            found[key] = {name: _removable(_child(inner, numbers)) for name, inner in item.items()}
        elif key == "additionalProperties" and isinstance(item, Mapping):
            found[key] = _removable(_child(item, numbers))
        elif key == "oneOf":
            # Without the modality several arms fit, and that is fine: the parent has it.
            found["anyOf"] = _child(item, numbers)
        elif key == "minProperties" or key in {"required", "discriminator"}:
            continue
        else:
            found[key] = _child(item, numbers)
    return found


def _removable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"$ref": _REFERENCE + _REMOVAL}]}
