"""One thread per linear-algebra call: the suite runs in two processes, and small factorisations stall on shared threads."""

from __future__ import annotations

import os

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
