"""The few messages of the ONNX format that a graph needs, as bytes.

The format is protobuf, of which this takes so little that a library for it is not worth installing. Numbers
of fields and types: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32] | npt.NDArray[np.int8]

_IR_VERSION: Final = 8
_OPSETS: Final = {"": 17, "com.microsoft": 1}
_TYPES: Final = {"float32": 1, "int8": 3, "int32": 6}
_EXTERNAL: Final = 1
_FLOAT, _INT = 1, 2


class Value(NamedTuple):
    """What goes into a graph or comes out of it.

    Attributes:
        name: Its name.
        dtype: ``"float32"``, ``"int8"`` or ``"int32"``.
        shape: Sizes; a size that is known only at a run is a name.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]


def model(
    nodes: Iterable[bytes], weights: Mapping[str, Array], *, inputs: Iterable[Value], output: Value
) -> bytes:
    """Return a ``ModelProto`` that names its weights; a session is given them beside it."""
    graph = [
        *(_message(1, [one]) for one in nodes),
        _text(2, "graph"),
        *(_message(5, _weight(name, array)) for name, array in weights.items()),
        *(_message(11, _value(one)) for one in inputs),
        _message(12, _value(output)),
    ]
    opsets = (_message(8, [_text(1, domain), _int(2, number)]) for domain, number in _OPSETS.items())
    return b"".join([_int(1, _IR_VERSION), _text(2, "scopedtools"), _message(7, graph), *opsets])


def node(
    kind: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    domain: str = "",
    settings: Mapping[str, float] | None = None,
) -> bytes:
    """Return a ``NodeProto``; settings are integers or floats, as their operator declares them."""
    return b"".join(
        [
            *(_text(1, name) for name in inputs),
            *(_text(2, name) for name in outputs),
            _text(4, kind),
            *(_message(5, _attribute(name, value)) for name, value in (settings or {}).items()),
            _text(7, domain),
        ]
    )


def _attribute(name: str, value: float) -> list[bytes]:
    if isinstance(value, int):
        return [_text(1, name), _int(3, value), _int(20, _INT)]
    return [_text(1, name), _key(2, 5) + struct.pack("<f", value), _int(20, _FLOAT)]


def _weight(name: str, array: Array) -> list[bytes]:
    return [
        *(_int(1, size) for size in array.shape),
        _int(2, _TYPES[array.dtype.name]),
        _text(8, name),
        # A place is required, and never looked into.
        _message(13, [_text(1, "location"), _text(2, "weights")]),
        _int(14, _EXTERNAL),
    ]


def _value(value: Value) -> list[bytes]:
    sizes = [
        _message(1, [_int(1, size) if isinstance(size, int) else _text(2, size)]) for size in value.shape
    ]
    kind = [_int(1, _TYPES[value.dtype]), _message(2, sizes)]
    return [_text(1, value.name), _message(2, [_message(1, kind)])]


def _message(field: int, parts: Sequence[bytes]) -> bytes:
    return _bytes(field, b"".join(parts))


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _key(field, 2) + _varint(len(value)) + value


def _int(field: int, value: int) -> bytes:
    return _key(field, 0) + _varint(value)


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes([value])
    return bytes([value & 0x7F | 0x80]) + _varint(value >> 7)
