"""Ctrl-C in the middle of the parameter draws: one line, exit code 130, nothing half written, no word from workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
def test_ctrl_c_leaves_one_line_and_no_folder(tmp_path: Path) -> None:
    words = ["compare", "lbcl-third-line-us", "--draws", "4096", "--workers", "2", "--no-report", "--output", "run"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cartsight", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A suite started in the background of a script ignores Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        time.sleep(4.0)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 130
    assert out == ""
    assert err.rstrip().endswith("cartsight: interrupted; nothing was left half written")
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
