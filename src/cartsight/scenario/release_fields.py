"""Which numbers of an arm a release specification can supply, and how the JSON Schema says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

AUTOLOGOUS = (
    "manufacturing_failure",
    "out_of_specification",
    "odds_ratio_if_worsened",
    "patient_sd",
    "infuse_out_of_specification",
    "out_of_specification_approval",
    "release_testing",
)
"""Fields of `process` that may be left out where the specification states what they rest on."""

LOTS = ("failure", "rejection", "release_testing", "doses_per_lot")
"""Fields of `lots`, likewise."""


def from_specification(fields: tuple[str, ...]) -> Callable[[dict[str, Any]], None]:
    """Return the change of a section's JSON Schema: `fields` are required unless a release specification is named."""

    def change(schema: dict[str, Any]) -> None:
        required = schema.get("required", [])
        schema["required"] = [name for name in required if name not in fields]
        schema["if"] = {"not": {"required": ["release_specification"]}}
        schema["then"] = {"required": [name for name in fields if name in required]}

    return change
