"""One table of a contract file: take known keys under any of their spellings, then refuse what is left."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from cartsight.core.errors import InputError, nearest


class Table:
    """A table being read.

    Parameters
    ----------
    name : str
        As messages name it; empty for the top of the file.
    raw : dict
        Emptied while it is read.
    """

    def __init__(self, name: str, raw: dict[str, Any]) -> None:
        self.name = name
        self.raw = raw
        self.known: list[str] = []

    def path(self, key: str) -> str:
        """Return the field path of a key."""
        return f"{self.name}.{key}" if self.name and key else key or self.name

    def take(self, *keys: str) -> Any:
        """Return the value under the first key or any other spelling, None when absent; refuse two of them."""
        self.known.append(keys[0])
        present = [key for key in keys if key in self.raw]
        if len(present) > 1:
            raise InputError("two spellings of the same key", field=self.path(present[0]), found=present)
        return self.raw.pop(present[0]) if present else None

    def text(self, *keys: str, default: str) -> str:
        """Return a text."""
        value = self.take(*keys)
        if value is None:
            return default
        if not isinstance(value, str):
            raise InputError("must be text in quotes", field=self.path(keys[0]), found=value)
        return value

    def optional(self, *keys: str) -> float | None:
        """Return a finite number, or None when absent."""
        value = self.take(*keys)
        return None if value is None else self._finite(keys[0], value)

    def number(self, *keys: str, default: float) -> float:
        """Return a finite number."""
        value = self.optional(*keys)
        return default if value is None else value

    def integer(self, *keys: str, default: int) -> int:
        """Return a whole number."""
        value = self.take(*keys)
        if value is None:
            return default
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value != int(value) or value < 0:
            raise InputError("must be a whole number, not negative", field=self.path(keys[0]), found=value)
        return int(value)

    def numbers(self, *keys: str) -> tuple[float, ...] | None:
        """Return a list of finite numbers, or None when absent."""
        value = self.take(*keys)
        if value is None:
            return None
        if not isinstance(value, list) or not value:
            raise InputError("must be a list of numbers", field=self.path(keys[0]), found=value)
        return tuple(self._finite(keys[0], item) for item in value)

    def choice(
        self,
        key: str,
        options: Iterable[str],
        *other_keys: str,
        default: str | None,
        spellings: Mapping[str, str] | None = None,
    ) -> str | None:
        """Return one of the options, other spellings of it translated."""
        value = self.take(key, *other_keys)
        if value is None:
            return default
        names = list(options)
        plain = value.strip().lower() if isinstance(value, str) else value
        for form in (plain, plain.replace("-", "_").replace(" ", "_") if isinstance(plain, str) else plain):
            form = (spellings or {}).get(form, form) if isinstance(form, str) else form
            if form in names:
                return str(form)
        raise InputError(
            "not one of the choices",
            field=self.path(key),
            found=value,
            allowed=", ".join(names),
            hint=nearest(str(value), [*names, *(spellings or {})]),
        )

    def finish(self, extra: Iterable[str] = ()) -> None:
        """Refuse keys that nobody asked for."""
        if self.raw:
            key = next(iter(self.raw))
            options = list(dict.fromkeys([*self.known, *extra]))
            raise InputError(
                "unknown key", field=self.path(key), found=key, allowed=", ".join(options), hint=nearest(key, options)
            )

    def _finite(self, key: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise InputError("must be a finite number", field=self.path(key), found=value)
        return float(value)
