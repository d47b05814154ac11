"""Every ```python block of the documentation runs, in a folder of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _blocks() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        code = BLOCK.findall(page.read_text(encoding="utf-8"))
        if code:
            # The blocks of a page are one session: later ones may use names of earlier ones.
            found.append((str(page.relative_to(ROOT)), "\n".join(code)))
    return found


@pytest.mark.parametrize(("page", "code"), _blocks(), ids=lambda x: x if x.endswith(".md") else "")
def test_snippets_run(page: str, code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{page}:\n{done.stderr[-3000:]}"
    assert done.stdout.strip(), f"{page}: the snippets print nothing"
