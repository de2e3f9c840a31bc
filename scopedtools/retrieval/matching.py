"""Which vectors of one set are in another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scopedtools.types import Vectors

_PORTION: Final = 4096
"""Vectors that are compared at once; bounds what that takes of memory."""


def found_in(vectors: Vectors, others: Vectors) -> npt.NDArray[np.int64]:
    """Return for each of the others the number of an equal vector, -1 where there is none."""
    keys, wanted = _keys(vectors), _keys(others)
    order = np.argsort(keys, kind="stable")
    places = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(order) - 1)]
    for start in range(0, len(others), _PORTION):
        part = slice(start, start + _PORTION)
        equal = (vectors[places[part]] == others[part]).all(axis=1)
        places[part] = np.where(equal, places[part], -1)
    return places


def _keys(vectors: Vectors) -> npt.NDArray[np.uint64]:
    """Return a number for each vector that is the same for equal ones."""
    bits = np.ascontiguousarray(vectors, dtype=np.float32).view(np.uint32)
    factors = np.random.default_rng(0).integers(1 << 63, size=bits.shape[1], dtype=np.uint64) | np.uint64(1)
    keys = np.empty(len(bits), dtype=np.uint64)
    for start in range(0, len(bits), _PORTION):
        keys[start : start + _PORTION] = bits[start : start + _PORTION].astype(np.uint64) @ factors
    return keys
