"""The README from a clean clone: two commands and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_make_demo_from_a_clean_clone(tmp_path: Path) -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs the git checkout to clone")
    clone = tmp_path / "cartsight"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    readme = (clone / "README.md").read_text(encoding="utf-8")
    assert "make demo" in readme and "make test" in readme
    done = subprocess.run(["make", "demo"], cwd=clone, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    reports = list(clone.glob("runs/*/report.html"))
    assert len(reports) == 1
    assert reports[0].stat().st_size > 50_000
