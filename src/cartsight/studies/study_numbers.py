"""Numbers that a study needs beyond its scenario: a TOML file of the same `Number` fields, drawn by the same keys."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from cartsight.comparison.parameter_draws import keyed_latin_hypercube
from cartsight.core.errors import InputError
from cartsight.scenario.model import amounts_in, replace_numbers, walk_numbers
from cartsight.scenario.numbers import Frozen
from cartsight.scenario.shared_numbers import resolve_shared

Table = TypeVar("Table", bound=Frozen)


def read_study_numbers(path: Path, table: type[Table], money: str | None = None) -> Table:
    """Return the validated numbers of a study's file, its amounts in `money` where one is named.

    Raises
    ------
    InputError
        A number without origin, unit or bounds, or a field that the study does not know.
    """
    try:
        found = table.model_validate(resolve_shared(tomllib.loads(path.read_text(encoding="utf-8"))))
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            str(first["msg"]), field=".".join(map(str, first["loc"])), found=first.get("input"), file=path
        ) from None
    converted = found if money is None else amounts_in(found, money)
    assert isinstance(converted, table)
    return converted


def draw_study_numbers(table: Table, draws: int, seed: int, study: str) -> list[Table]:
    """Return the numbers at each of `draws` parameter draws, every column keyed by study and field path."""
    numbers = {path: number for path, number in walk_numbers(table, "") if number.same_as is None}
    columns = {
        path: number.quantity.draw(keyed_latin_hypercube(draws, f"study {study}{path}", seed))
        for path, number in numbers.items()
        if number.quantity.is_uncertain
    }
    return [
        at_values(table, {path.removeprefix("."): float(column[k]) for path, column in columns.items()})
        for k in range(draws)
    ]


def at_values(table: Table, values: dict[str, float]) -> Table:
    """Return the numbers at other values: {field path: value in the field's own unit}."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        branch = tree
        *parents, leaf = path.split(".")
        for part in parents:
            branch = branch.setdefault(part, {})
        branch[leaf] = value
    moved = replace_numbers(table, tree)
    assert isinstance(moved, type(table))
    return moved


def stated_assumptions(table: Frozen) -> tuple[str, ...]:
    """Return the assumed numbers of a study in words, in file order."""
    return tuple(
        f"{path.removeprefix('.').replace('_', ' ')} = {number.x:g} {number.quantity.unit}: {number.quantity.provenance.statement}"
        for path, number in walk_numbers(table, "")
        if number.same_as is None and number.quantity.provenance.origin == "assumed"
    )
