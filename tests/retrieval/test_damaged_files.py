"""Files that are not what their readers take them for: refused, whatever a hash said of them."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scopedtools.exceptions import DefinitionError
from scopedtools.retrieval import arrays, weights
from scopedtools.retrieval.vectors import EXACT, VectorIndex

N = EXACT + 100
ROWS = np.arange(N)
MARK_BYTES = 16

Tail = dict[str, Any]


def vectors(n: int = N) -> np.ndarray:
    made = np.random.default_rng(0).normal(size=(n, 8)).astype(np.float32)
    unit: np.ndarray = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


@pytest.mark.parametrize(
    "damage",
    [
        lambda tail: tail | {"at": 1 << 40},
        lambda tail: tail | {"at": -64},
        lambda tail: tail | {"sizes": [1 << 40]},
        lambda tail: tail | {"sizes": [-32]},
        lambda tail: tail | {"sizes": [N - 64]},
        lambda tail: tail | {"sizes": [N, 0]},
        lambda tail: tail | {"trained": 1 << 40},
        lambda tail: tail | {"trained": -1},
        lambda tail: tail | {"trained": 8},
    ],
    ids=["at", "before", "many", "negative", "other vectors", "lists", "learned", "less than none", "cut"],
)
def test_codes_that_are_not_where_the_file_says_are_refused(
    tmp_path: Path, damage: Callable[[Tail], Tail]
) -> None:
    path = tmp_path / "index"
    VectorIndex.build(vectors(), ROWS).save(path)
    data = path.read_bytes()
    end = len(data) - MARK_BYTES - 8
    length = int.from_bytes(data[end : end + 8], "little")
    tail = json.dumps(damage(json.loads(data[end - length : end]))).encode()
    path.write_bytes(data[: end - length] + tail + len(tail).to_bytes(8, "little") + data[-MARK_BYTES:])

    with pytest.raises((ValueError, RuntimeError)):
        VectorIndex.load(path, ROWS)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 400]},
        {"dtype": "F32", "shape": [4], "data_offsets": [8, 16]},
        {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]},
        {"dtype": "I64", "shape": [4], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": "4", "data_offsets": [0, 16]},
    ],
    ids=["beyond the file", "shape", "before the file", "type", "no shape"],
)
def test_arrays_that_are_not_where_the_file_says_are_refused(tmp_path: Path, entry: Tail) -> None:
    header = json.dumps({"a": entry}).encode()
    path = tmp_path / "arrays"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))

    with pytest.raises(ValueError, match="must be a file of arrays"):
        arrays.load(path)
    with pytest.raises(DefinitionError, match="must be a safetensors file"):
        weights.read(path)


def test_of_a_file_with_other_types_of_numbers_the_known_ones_are_read(tmp_path: Path) -> None:
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "half": {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]},
            "ids": {"dtype": "I64", "shape": [1], "data_offsets": [8, 16]},
            "a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [16, 24]},
        }
    ).encode()
    path = tmp_path / "weights"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(24))

    assert set(arrays.load(path)) == {"ids", "a"}
    assert {name: array.shape for name, array in weights.read(path).items()} == {"a": (2, 1)}
