"""One thread per linear-algebra call: the suite runs in two processes, and small factorisations stall on shared threads."""

from __future__ import annotations

import os

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from hypothesis import settings

# The same examples on every run, so that a gate never flickers; CARTSIGHT_RANDOM_EXAMPLES=1 looks for new ones.
settings.register_profile("steady", derandomize=True)
settings.register_profile("searching", derandomize=False)
settings.load_profile("searching" if os.environ.get("CARTSIGHT_RANDOM_EXAMPLES") else "steady")
