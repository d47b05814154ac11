"""A TOML table that knows its place in the file, so that every complaint names file and key."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from cartsight.core.errors import InputError, nearest

INFINITE = math.inf


class Table:
    """A TOML table that knows its place in the file and refuses unknown keys."""

    def __init__(self, values: Any, file: str, place: str) -> None:
        if not isinstance(values, Mapping):
            raise InputError("a table is expected here", file=file, field=place, found=values)
        self.values: dict[str, Any] = dict(values)
        self.file, self.place = file, place

    def at(self, key: str) -> str:
        """Return the dotted path of a key."""
        return f"{self.place}.{key}" if self.place else key

    def error(self, key: str, problem: str, **more: Any) -> InputError:
        """Return an error about a key."""
        return InputError(problem, file=self.file, field=self.at(key), **more)

    def only(self, allowed: Iterable[str]) -> None:
        """Raise InputError for the first key that is not in `allowed`."""
        names = list(allowed)
        for key in self.values:
            if key not in names:
                raise self.error(key, "unknown key", allowed=", ".join(names), hint=nearest(key, names))

    def number(self, key: str, default: float | None = None, low: float = -INFINITE, high: float = INFINITE) -> float:
        """Return a finite number within [low, high]."""
        if key not in self.values:
            if default is None:
                raise self.error(key, "a number is missing")
            return default
        value = self.values[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise self.error(key, "a finite number is expected", found=value)
        if not low <= value <= high:
            raise self.error(key, "out of range", found=value, allowed=f"{low:g} to {high:g}")
        return float(value)

    def whole(self, key: str, default: int, low: int = 0, high: int = 10**9) -> int:
        """Return a whole number within [low, high]."""
        value = self.number(key, float(default), low, high)
        if value != int(value):
            raise self.error(key, "a whole number is expected", found=value)
        return int(value)

    def probability(self, key: str, default: float | None = None) -> float:
        """Return a number in [0, 1]."""
        return self.number(key, default, 0.0, 1.0)

    def flag(self, key: str) -> bool:
        """Return true or false, false when absent."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self.error(key, "true or false is expected", found=value)
        return value

    def text(self, key: str, default: str | None = None, allowed: Iterable[str] | None = None) -> str:
        """Return a text, one of `allowed` when given."""
        value = self.values.get(key, default)
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, "a text is expected", found=value)
        if allowed is not None and value not in (names := list(allowed)):
            raise self.error(key, "unknown choice", found=value, allowed=", ".join(names), hint=nearest(value, names))
        return value

    def table(self, key: str) -> Table:
        """Return a sub-table, empty when absent."""
        return Table(self.values.get(key, {}), self.file, self.at(key))

    def numbers(self, key: str) -> dict[str, float]:
        """Return a table of numbers."""
        inner = self.table(key)
        return {name: inner.number(name) for name in inner.values}

    def has(self, key: str) -> bool:
        """Return whether the key is present."""
        return key in self.values
