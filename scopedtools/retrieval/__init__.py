"""Finds the rows that fit a request. Knows texts, not MCP; heavy libraries are imported when used."""

from scopedtools.retrieval.encoders import SentenceTransformerEncoder, default_encoder
from scopedtools.retrieval.hashing import HashingEncoder
from scopedtools.retrieval.index import Index
from scopedtools.retrieval.learning import Learning
from scopedtools.retrieval.onnx_encoder import OnnxEncoder
from scopedtools.retrieval.recipe import Recipe
from scopedtools.retrieval.saved import known_vectors, verify
from scopedtools.retrieval.selector import HybridSelector

__all__ = [
    "HashingEncoder",
    "HybridSelector",
    "Index",
    "Learning",
    "OnnxEncoder",
    "Recipe",
    "SentenceTransformerEncoder",
    "default_encoder",
    "known_vectors",
    "verify",
]
