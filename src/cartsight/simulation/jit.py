"""How the kernel and its helpers are compiled.

No reference counting (`_nrt=False`): the kernel allocates nothing, and counting references to its ninety arrays cost
two thirds of its time. No wrappers for helpers that only compiled code calls, which halves the time to compile.
"""

from __future__ import annotations

from numba import njit

_HELPER = {"_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

helper = njit(**_HELPER)
inlined = njit(forceinline=True, **_HELPER)
kernel = njit(nogil=True, cache=True, _nrt=False, no_cfunc_wrapper=True)
