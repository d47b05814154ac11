"""How every command speaks: data on stdout, progress and words on stderr, one JSON object with --json."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no remarks on stderr.")]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed", help="Seed of all random draws (default: the scenario's); commands that draw nothing take it too."
    ),
]


def plain(value: Any) -> Any:
    """Return `value` as JSON types: arrays as lists, NaN and infinities as null, dataclasses as objects."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, (Sequence, set, frozenset)):
        return [plain(item) for item in value]
    return str(value)


def print_json(value: Any) -> None:
    """Print one JSON object on stdout."""
    sys.stdout.write(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def stdout_console() -> Console:
    """Return a rich console for data (tables) on stdout."""
    from rich.console import Console

    return Console(highlight=False)


def stderr_console(quiet: bool = False) -> Console:
    """Return a rich console for progress and remarks on stderr."""
    from rich.console import Console

    return Console(stderr=True, quiet=quiet, highlight=False)
