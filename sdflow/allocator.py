"""Tells the C library to keep large blocks: rendering allocates and frees 64 MB at a time."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h


@cache
def tune_allocator() -> bool:
    """Keeps freed memory in the process, once; says whether it could (Linux with glibc only).

    Without it every large temporary is mapped, page-faulted and unmapped again, which costs the
    differentiable generator two thirds of its time.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
