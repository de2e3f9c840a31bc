"""What the C library does with memory that is let go."""

from __future__ import annotations

import ctypes
from typing import Final

_MIB: Final = 2**20

# From malloc.h of glibc.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def return_large_arrays() -> None:
    """Have memory of large arrays go back to the system, before this process has threads; forks inherit it.

    By default each of dozens of threads keeps what it ever needed: among a million rows, hundreds of
    megabytes in each worker.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # another C library, which has ways of its own
    mallopt(_MMAP_THRESHOLD, 2 * _MIB)
    mallopt(_TRIM_THRESHOLD, 8 * _MIB)
    mallopt(_ARENA_MAX, 2)
