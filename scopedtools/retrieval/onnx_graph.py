"""BERT with mean pooling as an ONNX graph, made from the weights alone.

The file format is protobuf with a dozen message types, of which a graph needs few fields: writing them here
takes less than a library would take to import. The operators are those that ONNX Runtime fuses such a model
into itself (https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md), so the session has
nothing to optimise. The numbers of the fields are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from scopedtools.exceptions import DefinitionError

if TYPE_CHECKING:
    from scopedtools.retrieval.weights import Tensors

_Array = npt.NDArray[np.float32] | npt.NDArray[np.int8]

_IR_VERSION: Final = 8
_OPSETS: Final = {"": 17, "com.microsoft": 1}
_TYPES: Final = {"float32": 1, "int8": 3, "int32": 6}
_FLOAT: Final = _TYPES["float32"]
_INT32: Final = _TYPES["int32"]
_INT8_MOST: Final = 64
"""Processors without VNNI add pairs of products in 16 bits; weights of 7 bits do not overflow there."""


class Shape(NamedTuple):
    """What of a model's settings its tensors do not say.

    Attributes:
        layers: Number of transformer layers.
        heads: Number of attention heads.
        epsilon: Added to the variance in each layer normalisation.
    """

    layers: int
    heads: int
    epsilon: float


class Graph(NamedTuple):
    """A model and its weights apart, so that weights need not be copied into the model.

    It takes, for ``n`` texts of at most ``length`` tokens, float32 ``embeddings`` of words and positions,
    ``(n, length, dimensions)``, int32 ``mask``, ``(n, length)``, and float32 ``counted``, ``(n, 1, length)``,
    both 1 for tokens and 0 for padding. It gives float32 ``vectors``, ``(n, 1, dimensions)``, of unit length.

    Attributes:
        model: The ``ModelProto``.
        weights: By name, all that the model says is kept elsewhere.
    """

    model: bytes
    weights: Mapping[str, _Array]


def bert(tensors: Tensors, shape: Shape, *, int8: bool = False) -> Graph:
    """Return the graph of a BERT whose vectors are the normalised means of its last layer.

    Args:
        tensors: Weights, named as transformers names them.
        shape: The settings.
        int8: Multiply in 8 bits: weights with a scale for each column, inputs with a scale for each batch.

    Raises:
        DefinitionError: The weights are not those of such a model.
    """
    builder = _Builder(tensors, shape, int8=int8)
    try:
        hidden = builder.embeddings()
        for layer in range(shape.layers):
            hidden = builder.layer(f"encoder.layer.{layer}.", hidden)
        builder.pooled(hidden)
        return Graph(builder.model(), builder.weights)
    except KeyError as error:
        raise DefinitionError(
            f"the weights of a BERT must have {error} in float32, got {len(tensors)} others; "
            "use SentenceTransformerEncoder for them"
        ) from error


class _Builder:
    """Collects nodes and weights; each method adds some and returns the name of what comes out."""

    def __init__(self, tensors: Tensors, shape: Shape, *, int8: bool) -> None:
        self.weights: dict[str, _Array] = {}
        self._tensors = tensors
        self._shape = shape
        self._int8 = int8
        self._nodes: list[bytes] = []

    def embeddings(self) -> str:
        inputs = ["embeddings", *self._norm("embeddings.")]
        return self._node("LayerNormalization", inputs, epsilon=self._shape.epsilon)

    def layer(self, part: str, hidden: str) -> str:
        attended = self._attention(part + "attention.self.", hidden)
        hidden = self._added(part + "attention.output.", attended, hidden)
        grown = self._multiplied(part + "intermediate.dense.weight", hidden)
        grown = self._fused("BiasGelu", [grown, self._kept(part + "intermediate.dense.bias")])
        return self._added(part + "output.", grown, hidden)

    def pooled(self, hidden: str) -> None:
        # The divisor of the mean goes away with the length of the vector.
        total = self._node("MatMul", ["counted", hidden])
        self._node("LpNormalization", [total], output="vectors")

    def model(self) -> bytes:
        length = len(self._tensors["embeddings.LayerNorm.weight"])
        graph = [
            *(_message(1, [node]) for node in self._nodes),
            _text(2, "bert"),
            *(_message(5, _initializer(name, array)) for name, array in self.weights.items()),
            _message(11, _value("embeddings", _FLOAT, ["batch", "length", length])),
            _message(11, _value("mask", _INT32, ["batch", "length"])),
            _message(11, _value("counted", _FLOAT, ["batch", 1, "length"])),
            _message(12, _value("vectors", _FLOAT, ["batch", 1, length])),
        ]
        opsets = (_message(8, [_text(1, domain), _int(2, number)]) for domain, number in _OPSETS.items())
        return b"".join([_int(1, _IR_VERSION), _text(2, "scopedtools"), _message(7, graph), *opsets])

    def _attention(self, part: str, hidden: str) -> str:
        weights, biases = (
            np.concatenate([self._tensors[f"{part}{name}.{what}"] for name in ("query", "key", "value")])
            for what in ("weight", "bias")
        )
        bias = self._new(part + "bias", biases)
        settings = {"num_heads": self._shape.heads, "mask_filter_value": float(np.finfo(np.float32).min)}
        if not self._int8:
            weight = self._new(part + "weight", np.ascontiguousarray(weights.T))
            return self._fused("Attention", [hidden, weight, bias, "mask"], **settings)
        weight, scale = self._quantised(part + "weight", weights)
        rounded, step, zero = (f"{part}input.{name}" for name in ("rounded", "step", "zero"))
        self._nodes.append(_node("DynamicQuantizeLinear", [hidden], [rounded, step, zero]))
        return self._fused("QAttention", [rounded, weight, bias, step, scale, "mask", zero], **settings)

    def _added(self, part: str, result: str, hidden: str) -> str:
        result = self._multiplied(part + "dense.weight", result)
        inputs = [result, hidden, *self._norm(part), self._kept(part + "dense.bias")]
        return self._fused("SkipLayerNormalization", inputs, epsilon=self._shape.epsilon)

    def _multiplied(self, name: str, hidden: str) -> str:
        if self._int8:
            return self._fused("DynamicQuantizeMatMul", [hidden, *self._quantised(name, self._tensors[name])])
        return self._node("MatMul", [hidden, self._new(name, np.ascontiguousarray(self._tensors[name].T))])

    def _quantised(self, name: str, weights: npt.NDArray[np.float32]) -> list[str]:
        scale = np.maximum(np.abs(weights).max(axis=1), 1e-9) / _INT8_MOST
        rounded = np.rint(weights / scale[:, None]).astype(np.int8)
        return [
            self._new(name, np.ascontiguousarray(rounded.T)),
            self._new(f"{name}.scale", scale.astype(np.float32)),
        ]

    def _norm(self, part: str) -> list[str]:
        return [self._kept(f"{part}LayerNorm.{name}") for name in ("weight", "bias")]

    def _kept(self, name: str) -> str:
        return self._new(name, self._tensors[name])

    def _new(self, name: str, array: _Array) -> str:
        self.weights[name] = array
        return name

    def _fused(self, kind: str, inputs: Sequence[str], **settings: float) -> str:
        return self._node(kind, inputs, domain="com.microsoft", **settings)

    def _node(
        self, kind: str, inputs: Sequence[str], output: str = "", domain: str = "", **settings: float
    ) -> str:
        output = output or f"{kind}.{len(self._nodes)}"
        self._nodes.append(_node(kind, inputs, [output], domain, settings))
        return output


def _node(
    kind: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    domain: str = "",
    settings: Mapping[str, float] | None = None,
) -> bytes:
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
        return [_text(1, name), _int(3, value), _int(20, 2)]
    return [_text(1, name), _key(2, 5) + struct.pack("<f", value), _int(20, 1)]


def _initializer(name: str, array: _Array) -> list[bytes]:
    dimensions = [_int(1, size) for size in array.shape]
    kind = _int(2, _TYPES[array.dtype.name])
    # The place is never looked into: the session is given the weights by name.
    place = _message(13, [_text(1, "location"), _text(2, "weights")])
    return [*dimensions, kind, _text(8, name), place, _int(14, 1)]


def _value(name: str, kind: int, shape: Sequence[int | str]) -> list[bytes]:
    sizes = [_message(1, [_int(1, size) if isinstance(size, int) else _text(2, size)]) for size in shape]
    return [_text(1, name), _message(2, [_message(1, [_int(1, kind), _message(2, sizes)])])]


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
