"""The house: file names and sizes, start-up, what may be imported, nothing that ties the package to a machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "cartsight"
FILES = sorted(SOURCE.rglob("*.py"))


def test_no_drawer_for_odds_and_ends() -> None:
    forbidden = {"utils.py", "common.py", "helpers.py", "misc.py"}
    assert not [path for path in FILES if path.name in forbidden]


def test_no_star_imports_and_no_work_with_global_randomness() -> None:
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert all(alias.name != "*" for alias in node.names), path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                assert not (
                    node.value.attr == "random" and node.attr in {"seed", "rand", "randn", "normal", "uniform"}
                ), path


def test_files_stay_readable() -> None:
    long = {str(path.relative_to(SOURCE)): n for path in FILES if (n := len(path.read_text().splitlines())) > 1000}
    # One exception: the compiled interpreter is one function by design (docs/decisions/0001-event-engine.md).
    assert set(long) <= {"simulation/kernel.py"}, long


def test_no_machine_path_and_no_registry_host() -> None:
    pattern = re.compile(r"/(home|root|work)/[a-z]|files\.pythonhosted|/simple/")
    for path in [
        *FILES,
        *ROOT.glob("docs/**/*.md"),
        ROOT / "README.md",
        ROOT / "Makefile",
        ROOT / "requirements" / "dev.lock",
    ]:
        match = pattern.search(path.read_text(encoding="utf-8"))
        assert match is None, f"{path}: {match}"


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['cartsight', '--help']\n"
        "from cartsight.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'scipy', 'numba', 'pandas', 'pydantic', 'altair', 'lifelines', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_simulation_does_not_import_pandas() -> None:
    code = "import sys, cartsight.simulation, cartsight.scenario, cartsight.core\nassert 'pandas' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
