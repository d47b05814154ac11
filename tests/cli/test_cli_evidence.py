"""`cartsight evidence list | show | search`: tables, JSON keys, messages."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cartsight", "evidence", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": "/usr/bin:/bin",
            "COLUMNS": "90",
            "PYTHONPATH": ":".join(filter(None, sys.path)),
            "PYTHONUTF8": "1",
        },
    )


def test_show_says_everything_about_a_row() -> None:
    done = run("show", "EC125")
    assert done.returncode == 0, done.stderr
    for text in ("0 of 33", "not zero risk", "locke2025cemacel", "interval"):
        assert text in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 90


def test_show_json_has_stable_keys() -> None:
    shown = json.loads(run("show", "Q001", "--json").stdout)
    assert list(shown) == [
        "id",
        "theme",
        "quantity",
        "applies_to",
        "value",
        "low",
        "high",
        "unit",
        "denominator",
        "interval",
        "interval_meaning",
        "events",
        "sample_size",
        "statistic",
        "status",
        "price_year",
        "price_year_basis",
        "price_year_meaning",
        "caution",
        "note",
        "citation",
        "source",
        "original",
    ]
    assert shown["source"]["key"] == "outofspec2025ciltacel" and shown["events"] == 34


def test_search_prints_a_table_that_fits_and_json_that_counts() -> None:
    done = run("search", "axi-cel", "vein-to-vein", "US-only")
    assert done.returncode == 0 and done.stdout.index("LA018") >= 0
    assert max(len(line) for line in done.stdout.splitlines()) <= 90
    assert "rows match" in done.stderr and "rows match" not in done.stdout
    found = json.loads(run("search", "axi-cel", "vein-to-vein", "--json").stdout)
    assert found["count"] == len(found["rows"]) > 5 and found["query"] == "axi-cel vein-to-vein"


def test_list_filters_and_shows_what_was_left_out() -> None:
    rows = json.loads(run("list", "--theme", "quality", "--status", "unverified", "--json").stdout)["rows"]
    assert rows and all(row["theme"] == "quality" and row["status"] == "unverified" for row in rows)
    left_out = json.loads(run("list", "--excluded", "--json").stdout)
    assert left_out["count"] == len(left_out["excluded"]) and all(row["reason"] for row in left_out["excluded"])
    quiet = run("list", "--theme", "biology", "--quiet")
    assert quiet.returncode == 0 and quiet.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "EC01"), "Did you mean 'EC001'"),
        (("show", "MFG107"), "left out"),
        (("list", "--theme", "qualty"), "Did you mean 'quality'"),
        (("list", "--status", "red"), "read, unverified"),
        (("search", " "), "at least one word"),
        (("list", "--excluded", "--status", "read"), "--excluded goes with --theme only"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""
