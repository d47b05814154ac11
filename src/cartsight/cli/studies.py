"""The studies of the agenda: `cartsight study CODE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cartsight.cli.output import Json, Quiet, Seed, print_json, stderr_console, stdout_console


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command("study")(study)


def study(
    code: Annotated[str, typer.Argument(help="Code of the study, for example 3C; 'list' shows them.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for study.html and study.json.")] = None,
    draws: Annotated[int | None, typer.Option("--draws", help="Parameter draws (default: the study's).")] = None,
    as_json: Json = False,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Run a study of the agenda: its questions, answered with computed figures and charts."""
    from cartsight.core.errors import InputError
    from cartsight.studies import find_study, study_codes

    if code.strip().lower() == "list":
        found = [find_study(name) for name in study_codes()]
        if as_json:
            records = [{"code": s.code, "title": s.title, "questions": list(s.questions)} for s in found]
            print_json({"studies": records})
            return
        for item in found:
            stdout_console().print(f"{item.code}  {item.title}", soft_wrap=True, markup=False)
        return
    chosen = find_study(code)
    if draws is not None and not 2 <= draws <= 10_000:
        raise InputError("must be from 2 to 10 000", field="--draws", found=draws)
    if output is not None and output.exists() and not output.is_dir():
        raise InputError("is a file, not a folder", field="--output", file=output)
    console = stderr_console(quiet)
    with console.status(f"study {chosen.code}") as status:
        result = chosen.run(
            seed=seed,
            draws=draws,
            progress=lambda stage, done, total: status.update(f"study {chosen.code}: {stage} {done} of {total}"),
        )
    if output is not None:
        from cartsight.studies.page import write_study

        page, _ = write_study(result, output)
        console.print(f"written to {page}", soft_wrap=True, markup=False)
    if as_json:
        print_json(result.as_dict(charts=False))
        return
    from cartsight.studies.page import figure_text

    out = stdout_console()
    out.print(f"Study {result.code}: {result.title}\n", soft_wrap=True, markup=False)
    for answer in result.answers:
        out.print(answer.question, style="bold", markup=False)
        out.print(answer.answer, markup=False)
        for figure in answer.figures:
            out.print(f"  {figure.label}: {figure_text(figure)}", soft_wrap=True, markup=False)
        for line in answer.would_change:
            out.print(f"  would change: {line}", soft_wrap=True, markup=False)
        for line in answer.weakest:
            out.print(f"  weak: {line}", soft_wrap=True, markup=False)
        out.print("")
