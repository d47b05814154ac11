"""A cached comparison starts computing within two seconds, so what it imports first is kept small."""

from __future__ import annotations

import subprocess
import sys

SLOW = ("scipy.stats", "scipy.interpolate", "pandas", "pyarrow", "altair", "jinja2", "statsmodels")


def test_compare_imports_nothing_slow_before_it_computes() -> None:
    code = f"import sys, cartsight.comparison.compare; print([name for name in {SLOW!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
