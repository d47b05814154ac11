"""Errors that speak to the user: where, what was found, what is allowed, the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class CartsightError(Exception):
    """Base of every error that cartsight raises on purpose."""


class InputError(CartsightError):
    """Bad input from a user. The command line prints it as one message and exits with code 2.

    Parameters
    ----------
    problem : str
        One sentence that names the problem.
    file, line, field : optional
        Where it is: a file name, a line number in it, a dotted field path.
    found : optional
        The offending value, shown with ``repr`` and cut to 80 characters.
    allowed : str, optional
        What would have been accepted.
    hint : str, optional
        What to do, for example the nearest known name.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: object | None = None,
        line: int | None = None,
        field: str | None = None,
        found: Any = None,
        allowed: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.problem = problem
        self.file = None if file is None else str(file)
        self.line = line
        self.field = field
        self.found = found
        self.allowed = allowed
        self.hint = hint
        super().__init__(str(self))

    def located(self, *, file: object | None = None, line: int | None = None, field: str | None = None) -> InputError:
        """Return the same error with the places that were still unknown filled in."""
        return InputError(
            self.problem,
            file=self.file if self.file is not None else file,
            line=self.line if self.line is not None else line,
            field=self.field if self.field is not None else field,
            found=self.found,
            allowed=self.allowed,
            hint=self.hint,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the parts of the message, for ``--json`` output."""
        parts = {
            "problem": self.problem,
            "file": self.file,
            "line": self.line,
            "field": self.field,
            "found": None if self.found is None else _shorten(self.found),
            "allowed": self.allowed,
            "hint": self.hint,
        }
        return {key: value for key, value in parts.items() if value is not None}

    def __str__(self) -> str:
        where = ""
        if self.file is not None:
            where += self.file + (f":{self.line}" if self.line is not None else "") + ": "
        elif self.line is not None:
            where += f"line {self.line}: "
        if self.field is not None:
            where += f"{self.field}: "
        message = where + self.problem
        if self.found is not None:
            message += f"; found {_shorten(self.found)}"
        if self.allowed is not None:
            message += f"; allowed: {self.allowed}"
        if self.hint is not None:
            message += f". {self.hint}"
        return message


def _shorten(value: Any, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def nearest(name: str, options: Iterable[str]) -> str | None:
    """Return "Did you mean ...?" with the closest of `options`, or None when nothing is close."""
    close = difflib.get_close_matches(name, list(options), n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else None
