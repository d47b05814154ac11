"""--seed and --quiet on every command, so that a script can pass them without knowing which command draws or talks.

A command declares those it uses. The others are added here and change nothing: a command that draws nothing at random has
no use for a seed, and one that says nothing beside its result has nothing to be quiet about.
"""

from __future__ import annotations

import copy
from typing import Any

import typer
from typer.main import get_command

from cartsight.cli.output import Quiet, Seed


def _declared(seed: Seed = None, quiet: Quiet = False) -> None:
    """Hold the declaration of the two options."""


def complete_options(command: Any) -> Any:
    """Add the missing ones of --seed and --quiet to a command and all commands under it, and return it."""
    template = typer.Typer(add_completion=False)
    template.command()(_declared)
    _add(command, [option for option in get_command(template).params if option.name in ("seed", "quiet")])
    return command


def _add(command: Any, options: list[Any]) -> None:
    children = getattr(command, "commands", None)
    if children is not None:
        for child in children.values():
            _add(child, options)
        return
    present = {name for parameter in command.params for name in getattr(parameter, "opts", ())}
    for option in options:
        if f"--{option.name}" in present:
            continue
        added = copy.copy(option)
        added.expose_value = False
        added.opts = [f"--{option.name}"]
        command.params.append(added)
