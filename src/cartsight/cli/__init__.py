"""The command line. Each module holds one group of commands and calls only public functions of the rooms.

Heavy imports live inside the commands, so that ``cartsight --help`` stays quick.
"""

from __future__ import annotations

import typer

app = typer.Typer(
    name="cartsight",
    help="Foresight for CAR-T: one scenario file in, one defensible comparison of autologous, allogeneic and in vivo CAR-T out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(value: bool) -> None:
    if value:
        from cartsight import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


from cartsight.cli import comparison as comparison_commands

comparison_commands.register(app)
from cartsight.cli import scenarios as scenario_commands

scenario_commands.register(app)
from cartsight.cli import sweep as sweep_command

sweep_command.register(app)
from cartsight.cli import replicate as replicate_command

replicate_command.register(app)
from cartsight.cli import economics

app.add_typer(economics.app, name="economics")
from cartsight.cli import budget, contracts, goods

contracts.register(economics.app)
budget.register(economics.app)
goods.register(economics.app)
from cartsight.cli import survival

app.add_typer(survival.app, name="survival")
from cartsight.cli import evidence

app.add_typer(evidence.app, name="evidence")
from cartsight.cli import quality

app.add_typer(quality.app, name="quality")
from cartsight.cli import planning

app.add_typer(planning.app, name="plan")
from cartsight.cli import hta

app.add_typer(hta.app, name="hta")
from cartsight.cli import studies

studies.register(app)
