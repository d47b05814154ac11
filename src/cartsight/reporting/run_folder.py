"""The run folder: everything needed to read, check and repeat a run, written whole or not at all.

Files are written to a hidden sibling folder that is renamed at the end. An existing folder is never written into.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cartsight
from cartsight.comparison.citing import input_table
from cartsight.core.errors import InputError
from cartsight.reporting.plain_types import plain
from cartsight.scenario import Scenario, find_scenario
from cartsight.scenario.loading import read_toml
from cartsight.scenario.release import specification_files

if TYPE_CHECKING:
    import pyarrow as pa

RESULTS, RESOLVED, MANIFEST, REPORT = "results.json", "resolved.json", "manifest.json", "report.html"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is written: the results document, the scenario and its source files, tables by name, the report's HTML."""

    document: dict[str, Any]
    scenario: Scenario
    sources: tuple[Path, ...] = ()
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    report: str | None = None


def default_run_folder(scenario_name: str, now: datetime) -> Path:
    """Return ``runs/<scenario>-<date>-<time>``, with a number behind it when that is taken."""
    stem = Path("runs") / f"{scenario_name}-{now:%Y%m%d-%H%M%S}"
    candidate, number = stem, 2
    while candidate.exists():
        candidate, number = stem.with_name(f"{stem.name}-{number}"), number + 1
    return candidate


def check_target(target: Path) -> None:
    """Raise `InputError` unless a run folder can be made at `target`; to be called before the long computation."""
    if target.exists() or target.is_symlink():
        raise InputError(
            "this folder exists already and is never overwritten", file=target, hint="Choose another --output."
        )
    parent = target.absolute().parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        raise InputError(
            "cannot be written: a part of the path is a file, not a folder", file=target, found=str(parent)
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError("cannot be written: no permission in this folder", file=target, found=str(parent))


def source_files(name_or_path: str | Path) -> tuple[Path, ...]:
    """Return a scenario's file, through ``extends`` all files it builds on, and the release specifications they name."""
    files: list[Path] = []
    specifications: list[Path] = []
    path: Path | None = find_scenario(name_or_path)
    while path is not None and path.resolve() not in [file.resolve() for file in files]:
        files.append(path)
        raw = read_toml(path)
        specifications += [file for file in specification_files(raw, path) if file not in specifications]
        parent = raw.get("extends")
        if not isinstance(parent, str):
            break
        beside = path.parent / parent
        path = beside if beside.is_file() else find_scenario(parent)
    return (*files, *specifications)


def write_run_folder(target: Path, record: RunRecord, *, started: datetime) -> Path:
    """Write a run folder and return its path.

    Parameters
    ----------
    target : Path
        Must not exist.
    record : RunRecord
    started : datetime
        When the run began; the manifest also holds when it ended.

    Raises
    ------
    InputError
        The folder exists, or cannot be written. Nothing is left behind.
    """
    check_target(target)
    try:
        with _whole_or_nothing(target) as folder:
            _write_json(folder / RESULTS, record.document)
            _write_json(folder / RESOLVED, resolved(record.scenario))
            _copy_sources(folder / "scenario", record.sources)
            if record.tables:
                import pyarrow.parquet as pq

                (folder / "tables").mkdir()
                for name, table in record.tables.items():
                    pq.write_table(table, folder / "tables" / f"{name}.parquet", compression="zstd")
            if record.report is not None:
                (folder / REPORT).write_text(record.report, encoding="utf-8")
            _write_json(folder / MANIFEST, _manifest(folder, record, started))
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror or error}", file=target) from None
    return target


@contextmanager
def _whole_or_nothing(target: Path) -> Iterator[Path]:
    made = [parent for parent in target.absolute().parents if not parent.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        folder.mkdir()
        yield folder
        if target.exists():
            raise InputError("this folder appeared while the run was going on and is not overwritten", file=target)
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        for parent in made:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        raise


def resolved(scenario: Scenario) -> dict[str, Any]:
    """Return the scenario after ``extends`` and shared numbers, with every number in its own unit and its origin."""
    return {
        "scenario": scenario.model_dump(mode="json", exclude_none=True),
        "hash": scenario.content_hash(),
        "money": scenario.analysis.money,
        "numbers": input_table(scenario),
    }


def read_results(folder: Path) -> dict[str, Any]:
    """Return the results document of a run folder.

    Raises
    ------
    InputError
        No such folder, no results in it, not JSON, or a document of another version.
    """
    from cartsight.reporting.summary import DOCUMENT_VERSION

    if not folder.is_dir():
        raise InputError("no such run folder", file=folder)
    path = folder / RESULTS
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"holds no {RESULTS}: not a run folder", file=folder) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not a results document: {error}", file=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    if not isinstance(document, dict) or "document_version" not in document:
        raise InputError("not a results document", file=path)
    if document["document_version"] != DOCUMENT_VERSION:
        raise InputError(
            "a results document of another version",
            file=path,
            found=document["document_version"],
            allowed=str(DOCUMENT_VERSION),
        )
    return document


def replace_report(folder: Path, html: str, output: Path | None) -> Path:
    """Write the report of a run folder anew, to `output` or in place, and return its path."""
    target = output if output is not None else folder / REPORT
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        temporary.write_text(html, encoding="utf-8")
        os.replace(temporary, target)
        if output is None and (folder / MANIFEST).is_file():
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            manifest["files"] = _files(folder)
            _write_json(folder / MANIFEST, manifest)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"cannot be written: {error.strerror or error}", file=target) from None
    return target


def _copy_sources(folder: Path, sources: tuple[Path, ...]) -> None:
    if not sources:
        return
    folder.mkdir()
    for number, path in enumerate(sources):
        name = path.name if number == 0 else f"extends-{number}-{path.name}"
        shutil.copyfile(path, folder / name)


def _manifest(folder: Path, record: RunRecord, started: datetime) -> dict[str, Any]:
    import numba
    import numpy as np

    document = record.document
    return {
        "cartsight_version": cartsight.__version__,
        "kind": document["kind"],
        "scenario": document["scenario"]["name"],
        "scenario_hash": document["scenario"]["hash"],
        "seed": document["seed"],
        "draws": document["analysis"]["draws"],
        "patients": document["analysis"]["patients"],
        "evidence_ids": sorted(document["evidence_rows"]),
        "source_files": [path.name for path in record.sources],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": _files(folder),
    }


def _files(folder: Path) -> list[dict[str, Any]]:
    return [
        {
            "name": path.relative_to(folder).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    ]


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
