"""Arrays in one file, mapped into memory by whoever reads them. The format is safetensors."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]

_TYPES: Final = {"F32": "<f4", "I64": "<i8", "I32": "<i4", "U8": "|u1"}
_NAMES: Final = {np.dtype(kind): name for name, kind in _TYPES.items()}
_ALIGNED: Final = 64


class _Entry(msgspec.Struct):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def save(path: Path, arrays: Arrays) -> None:
    """Write arrays of float32, int64, int32 or uint8 to a new file."""
    # The format has no gaps, so the widest come first: then each begins where its numbers may begin.
    ordered = sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize)
    header, end = {}, 0
    for name, array in ordered:
        start, end = end, end + array.nbytes
        header[name] = _Entry(_NAMES[array.dtype], array.shape, (start, end))
    encoded = msgspec.json.encode(header)
    encoded += b" " * (-(len(encoded) + 8) % _ALIGNED)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        for _, array in ordered:
            file.write(np.ascontiguousarray(array).data)


def load(path: Path) -> Arrays:
    """Map the arrays of a file; they cannot be written to, and the file must never change.

    Returns:
        Those of the types that ``save`` writes, by name.

    Raises:
        ValueError: It is not such a file.
    """
    try:
        mapped = np.memmap(path, dtype=np.uint8, mode="r").view(np.ndarray)
        size = int(mapped[:8].view("<u8")[0])
        entries = msgspec.json.decode(mapped[8 : 8 + size].tobytes(), type=dict[str, msgspec.Raw])
        entries.pop("__metadata__", None)
        found = {name: msgspec.json.decode(raw, type=_Entry) for name, raw in entries.items()}
        data = mapped[8 + size :]
        return {name: _array(data, entry) for name, entry in found.items() if entry.dtype in _TYPES}
    except (IndexError, ValueError, msgspec.DecodeError) as error:
        raise ValueError(f"{path} must be a file of arrays, got: {error}") from error


def _array(data: npt.NDArray[np.uint8], entry: _Entry) -> npt.NDArray[Any]:
    start, end = entry.data_offsets
    kind = np.dtype(_TYPES[entry.dtype])
    if end - start != kind.itemsize * prod(entry.shape) or not 0 <= start <= end <= len(data):
        raise ValueError(f"{entry.dtype} of shape {entry.shape} at bytes {start} to {end} of {len(data)}")
    return data[start:end].view(kind).reshape(entry.shape)
