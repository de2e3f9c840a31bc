"""BERT with mean pooling as an ONNX graph, made from the weights alone.

The operators are those that ONNX Runtime fuses such a model into, so a session has nothing left to optimise:
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from scopedtools.exceptions import DefinitionError
from scopedtools.retrieval import onnx_file
from scopedtools.retrieval.onnx_file import Array, Value

if TYPE_CHECKING:
    from scopedtools.retrieval.weights import Tensors

_FUSED: Final = frozenset(
    {"Attention", "BiasGelu", "DynamicQuantizeMatMul", "QAttention", "SkipLayerNormalization"}
)
_MASKED: Final = float(np.finfo(np.float32).min)
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
        weights: By name.
    """

    model: bytes
    weights: Mapping[str, Array]


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
        return builder.pooled(hidden)
    except KeyError as error:
        raise DefinitionError(
            f"the weights of a BERT must have {error} in float32, got {len(tensors)} others; "
            "use SentenceTransformerEncoder for them"
        ) from error


class _Builder:
    """Collects nodes and weights; most methods add some and return the name of what comes out."""

    def __init__(self, tensors: Tensors, shape: Shape, *, int8: bool) -> None:
        self._tensors = tensors
        self._shape = shape
        self._int8 = int8
        self._weights: dict[str, Array] = {}
        self._nodes: list[bytes] = []

    def embeddings(self) -> str:
        inputs = ["embeddings", *self._norm("embeddings.")]
        return self._node("LayerNormalization", inputs, {"epsilon": self._shape.epsilon})

    def layer(self, part: str, hidden: str) -> str:
        attended = self._attention(part + "attention.self.", hidden)
        hidden = self._added(part + "attention.output.", attended, hidden)
        grown = self._multiplied(part + "intermediate.dense.weight", hidden)
        grown = self._node("BiasGelu", [grown, self._kept(part + "intermediate.dense.bias")])
        return self._added(part + "output.", grown, hidden)

    def pooled(self, hidden: str) -> Graph:
        # The divisor of the mean goes away with the length of the vector.
        vectors = self._node("LpNormalization", [self._node("MatMul", ["counted", hidden])])
        size = len(self._tensors["embeddings.LayerNorm.weight"])
        inputs = (
            Value("embeddings", "float32", ("n", "length", size)),
            Value("mask", "int32", ("n", "length")),
            Value("counted", "float32", ("n", 1, "length")),
        )
        output = Value(vectors, "float32", ("n", 1, size))
        return Graph(onnx_file.model(self._nodes, self._weights, inputs=inputs, output=output), self._weights)

    def _attention(self, part: str, hidden: str) -> str:
        weights, biases = (
            np.concatenate([self._tensors[f"{part}{name}.{what}"] for name in ("query", "key", "value")])
            for what in ("weight", "bias")
        )
        bias = self._new(part + "bias", biases)
        settings = {"num_heads": self._shape.heads, "mask_filter_value": _MASKED}
        if not self._int8:
            weight = self._new(part + "weight", np.ascontiguousarray(weights.T))
            return self._node("Attention", [hidden, weight, bias, "mask"], settings)
        weight, scale = self._rounded(part + "weight", weights)
        rounded, step, zero = (f"{part}input.{name}" for name in ("rounded", "step", "zero"))
        self._nodes.append(onnx_file.node("DynamicQuantizeLinear", [hidden], [rounded, step, zero]))
        return self._node("QAttention", [rounded, weight, bias, step, scale, "mask", zero], settings)

    def _added(self, part: str, result: str, hidden: str) -> str:
        result = self._multiplied(part + "dense.weight", result)
        inputs = [result, hidden, *self._norm(part), self._kept(part + "dense.bias")]
        return self._node("SkipLayerNormalization", inputs, {"epsilon": self._shape.epsilon})

    def _multiplied(self, name: str, hidden: str) -> str:
        weights = self._tensors[name]
        if self._int8:
            return self._node("DynamicQuantizeMatMul", [hidden, *self._rounded(name, weights)])
        return self._node("MatMul", [hidden, self._new(name, np.ascontiguousarray(weights.T))])

    def _rounded(self, name: str, weights: npt.NDArray[np.float32]) -> tuple[str, str]:
        scale = np.maximum(np.abs(weights).max(axis=1), 1e-9) / _INT8_MOST
        rounded = np.rint(weights / scale[:, None]).astype(np.int8)
        weight = self._new(name, np.ascontiguousarray(rounded.T))
        return weight, self._new(f"{name}.scale", scale.astype(np.float32))

    def _norm(self, part: str) -> tuple[str, str]:
        return self._kept(f"{part}LayerNorm.weight"), self._kept(f"{part}LayerNorm.bias")

    def _kept(self, name: str) -> str:
        return self._new(name, self._tensors[name])

    def _new(self, name: str, array: Array) -> str:
        self._weights[name] = array
        return name

    def _node(self, kind: str, inputs: Sequence[str], settings: Mapping[str, float] | None = None) -> str:
        output = f"{kind}.{len(self._nodes)}"
        domain = "com.microsoft" if kind in _FUSED else ""
        self._nodes.append(onnx_file.node(kind, inputs, [output], domain=domain, settings=settings))
        return output
