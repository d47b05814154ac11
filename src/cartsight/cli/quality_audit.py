"""Which program and which data a result of the quality room rests on: the `audit` key of every ``--json``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cartsight.cli.output import plain, print_json


def print_audited(result: Any, files: Iterable[Path] = (), seed: int | None = None) -> None:
    """Print a result as JSON with `audit`: version, name and SHA-256 of every file read, seed of what was drawn."""
    import cartsight

    audit: dict[str, Any] = {
        "cartsight_version": cartsight.__version__,
        "files": [{"name": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()} for file in files],
    }
    if seed is not None:
        audit["seed"] = seed
    print_json({**plain(result), "audit": audit})


def seed_of(seed: int | None, default: int) -> int:
    """Return the seed of a command's draws; a negative one is an InputError."""
    from cartsight.core.errors import InputError

    if seed is not None and seed < 0:
        raise InputError("a seed is a whole number from 0", field="--seed", found=seed)
    return default if seed is None else seed
