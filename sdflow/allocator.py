"""Tells the C library to keep large blocks, and in one place for all threads: rendering allocates
and frees 64 MB at a time."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # glibc's malloc.h


@cache
def tune_allocator() -> bool:
    """Keeps freed memory in the process, once; says whether it could (Linux with glibc only).

    Without it every large temporary is mapped, page-faulted and unmapped again, which costs the
    differentiable generator two thirds of its time. A server answers in many threads: did each
    keep memory of its own, one that renders for the first time would take four times as long.
    Threads that have allocated before keep theirs, so call it early.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    settings = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_ARENA_MAX: 1}
    return all([mallopt(name, value) for name, value in settings.items()])
