"""How the kernel and its helpers are compiled.

No reference counting (`_nrt=False`): the kernel allocates nothing, and counting references to its ninety arrays cost
two thirds of its time. No wrappers for helpers that only compiled code calls, which halves the time to compile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

_HELPER = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

helper = njit(**_HELPER)
inlined = njit(forceinline=True, **_HELPER)


def _sources() -> str:
    """Return a digest of every file whose code the kernel contains."""
    here = Path(__file__).parent
    names = ("draws.py", "event_list.py", "jit.py", "state.py", "tables.py")
    files = [
        *here.glob("kernel*.py"),
        *(here / name for name in names),
        here.parent / "core" / "normal.py",
        here.parent / "core" / "streams.py",
    ]
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files) if file.exists())).hexdigest()


def kernel(function: Callable[..., Any]) -> Any:
    """Compile the interpreter, cached on disk until any of its sources changes (Numba looks at one file only)."""
    compiled = njit(nogil=True, cache=True, _nrt=False, no_cfunc_wrapper=True)(function)
    cache = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if cache is not None:
        cache._source_stamp = (cache._source_stamp, _sources())
    return compiled
