"""The run folder: whole or not at all, never over an existing one, and readable again."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cartsight.comparison.results import Comparison
from cartsight.core.errors import InputError
from cartsight.reporting import run_folder, tables
from cartsight.reporting.run_folder import RunRecord, check_target, read_results, replace_report, write_run_folder

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def record(comparison: Comparison, document: dict[str, Any], tmp_path: Path) -> RunRecord:
    source = tmp_path / "case.toml"
    source.write_text('name = "case"\n', encoding="utf-8")
    made = {
        "patients": tables.patient_table(comparison.base),
        "draws": tables.draw_table(comparison),
        "draw_results": tables.draw_result_table(comparison),
        "numbers": tables.number_table(document["numbers"]),
    }
    return RunRecord(document, comparison.scenario, (source,), made, "<html></html>")


def test_content_and_manifest(record: RunRecord, comparison: Comparison, tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path / "a" / "run", record, started=STARTED)
    assert json.loads((folder / "results.json").read_text(encoding="utf-8")) == record.document
    assert read_results(folder) == record.document
    assert (folder / "scenario" / "case.toml").read_text(encoding="utf-8") == 'name = "case"\n'
    resolved = json.loads((folder / "resolved.json").read_text(encoding="utf-8"))
    assert resolved["hash"] == comparison.scenario.content_hash()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["seed"] == comparison.seed
    assert manifest["scenario_hash"] == resolved["hash"]
    assert manifest["started"] == "2026-01-02T03:04:05+00:00"
    assert "EC183" in manifest["evidence_ids"]
    listed = {row["name"]: row["sha256"] for row in manifest["files"]}
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert set(listed) == present - {"manifest.json"}
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_tables_hold_what_the_document_summarises(record: RunRecord, comparison: Comparison, tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path / "run", record, started=STARTED)
    patients = pq.read_table(folder / "tables" / "patients.parquet").to_pandas()
    arm = record.document["arms"][0]
    mine = patients[patients["arm"] == arm["name"]]
    assert len(mine) == arm["patients"]["referred"]
    assert mine["cost_discounted"].mean() == pytest.approx(arm["metrics"]["cost_per_referred"]["base"])
    assert (mine["ended_as"] == "infused").sum() == arm["patients"]["infused"]
    draws = pq.read_table(folder / "tables" / "draws.parquet")
    assert draws.column_names == ["draw", *comparison.parameters.paths]
    results = pq.read_table(folder / "tables" / "draw_results.parquet").to_pandas()
    assert len(results) == len(comparison.parameters) * len(comparison.arms)
    mean = results[results["arm"] == arm["name"]]["qalys"].mean()
    assert mean == pytest.approx(arm["metrics"]["qalys_per_referred"]["mean"])


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("a bug"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(
    record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(run_folder, "_manifest", fail)
    before = sorted(tmp_path.rglob("*"))
    expected = InputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        write_run_folder(tmp_path / "deep" / "er" / "run", record, started=STARTED)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_existing_folder_is_never_touched(record: RunRecord, tmp_path: Path) -> None:
    target = tmp_path / "run"
    target.mkdir()
    with pytest.raises(InputError, match="never overwritten"):
        write_run_folder(target, record, started=STARTED)
    assert list(target.iterdir()) == []


def test_targets_that_cannot_be_made(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="a part of the path is a file"):
        check_target(file / "run")
    with pytest.raises(InputError, match="exists already"):
        check_target(file)
    check_target(tmp_path / "new" / "run")
    assert not (tmp_path / "new").exists()


def test_default_names_do_not_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = run_folder.default_run_folder("case", STARTED)
    assert first == Path("runs/case-20260102-030405")
    first.mkdir(parents=True)
    assert run_folder.default_run_folder("case", STARTED) == Path("runs/case-20260102-030405-2")


def test_report_is_replaced_and_the_manifest_follows(record: RunRecord, tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path / "run", record, started=STARTED)
    path = replace_report(folder, "<html>new</html>", None)
    assert path == folder / "report.html"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    digest = next(row["sha256"] for row in manifest["files"] if row["name"] == "report.html")
    assert digest == hashlib.sha256(b"<html>new</html>").hexdigest()
    with pytest.raises(InputError, match="cannot be written"):
        replace_report(folder, "x", tmp_path / "no" / "such" / "folder.html")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "holds no results.json"),
        ("{", "not a results document"),
        ("[1]", "not a results document"),
        ('{"document_version": 99}', "another version"),
        ("\udcff", "not a results document"),
    ],
)
def test_folders_that_are_no_runs(tmp_path: Path, text: str | None, message: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    if text is not None:
        (folder / "results.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=message):
        read_results(folder)
    with pytest.raises(InputError, match="no such run folder"):
        read_results(tmp_path / "nowhere")


def test_source_files_follow_extends(tmp_path: Path) -> None:
    child = tmp_path / "child.toml"
    child.write_text('extends = "lbcl-third-line-us"\nname = "child"\n', encoding="utf-8")
    names = [path.name for path in run_folder.source_files(child)]
    assert names == ["child.toml", "lbcl-third-line-us.toml"]
