"""A user's first hour: list, copy, slip, repair, run, read; without reading code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

SMALL = ["--draws", "4", "--patients", "150", "--workers", "1", "--quiet"]


def cartsight(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "cartsight", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=600,
    )


def test_copy_change_slip_repair_run(tmp_path: Path) -> None:
    listed = cartsight(tmp_path, "scenarios", "--json")
    names = [row["name"] for row in json.loads(listed.stdout)["scenarios"]]
    assert {"lbcl-third-line-us", "myeloma-late-line-us", "sle-refractory-us"} <= set(names)

    made = cartsight(tmp_path, "new", "my-case", "--from", "lbcl-third-line-us")
    assert made.returncode == 0, made.stderr
    file = tmp_path / "my-case.toml"
    text = file.read_text(encoding="utf-8")
    assert cartsight(tmp_path, "new", "my-case").returncode == 2  # never overwrites

    # A slip: a misspelt field.
    file.write_text(text.replace("frailty_sd", "frailty_ds", 1), encoding="utf-8")
    slip = cartsight(tmp_path, "check", "my-case.toml")
    assert slip.returncode == 2
    assert "my-case.toml:" in slip.stderr
    assert "Did you mean 'frailty_sd'" in slip.stderr
    assert "Traceback" not in slip.stderr

    # Repaired, with one number changed.
    changed = re.sub(r"(?m)^discount_rate_costs = .*$", "discount_rate_costs = 0.015", text)
    assert changed != text
    file.write_text(changed, encoding="utf-8")
    checked = cartsight(tmp_path, "check", "my-case.toml", "--json")
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["valid"] is True

    ran = cartsight(tmp_path, "compare", "my-case.toml", *SMALL, "--output", "first", "--json")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert len(document["arms"]) >= 4
    folder = tmp_path / "first"
    assert {"report.html", "results.json", "manifest.json"} <= {path.name for path in folder.iterdir()}
    again = cartsight(tmp_path, "compare", "my-case.toml", *SMALL, "--output", "first")
    assert again.returncode == 2  # an existing run folder is never overwritten
    assert not list(tmp_path.glob("*.partial*"))


def test_bad_input_leaves_nothing_behind(tmp_path: Path) -> None:
    failed = cartsight(tmp_path, "compare", "no-such-scenario", "--output", "out", "--quiet")
    assert failed.returncode == 2
    assert "Traceback" not in failed.stderr
    assert failed.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_queue_that_never_empties_is_named(tmp_path: Path) -> None:
    child = tmp_path / "short.toml"
    child.write_text(
        'extends = "lbcl-third-line-us"\nname = "short"\n[care_pathway.infusion_bed]\nbeds_per_hospital = 1\n'
        "[population.regions.midland]\nhospitals = 1\n",
        encoding="utf-8",
    )
    failed = cartsight(tmp_path, "check", "short.toml")
    assert failed.returncode == 2
    assert "never empties" in failed.stderr
    assert "infusion bed" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_cite_prints_assumptions_before_sources(tmp_path: Path) -> None:
    cited = cartsight(tmp_path, "cite", "lbcl-third-line-us")
    assert cited.returncode == 0, cited.stderr
    assert 0 <= cited.stdout.index("Assumptions") < cited.stdout.index("Sources") < cited.stdout.index("Methods")
    document = json.loads(cartsight(tmp_path, "cite", "lbcl-third-line-us", "--json").stdout)
    assert document["assumptions"] and document["sources"] and document["methods"]
