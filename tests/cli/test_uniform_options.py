"""Every command takes --json, --seed and --quiet."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from cartsight.cli import app
from cartsight.cli.uniform_options import complete_options


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from commands(child, (*path, name))


def test_every_command_has_the_three_options() -> None:
    found = list(commands(complete_options(get_command(app))))
    assert len(found) > 30
    for path, command in found:
        names = {name for parameter in command.params for name in getattr(parameter, "opts", ())}
        assert {"--json", "--seed", "--quiet"} <= names, path


def test_an_option_without_use_changes_nothing() -> None:
    words = [sys.executable, "-m", "cartsight", "evidence", "show", "EC001", "--json"]
    plain = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    with_both = subprocess.run([*words, "--seed", "3", "--quiet"], capture_output=True, text=True, check=True).stdout
    assert plain == with_both
    wrong = subprocess.run([*words, "--seed", "x"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
