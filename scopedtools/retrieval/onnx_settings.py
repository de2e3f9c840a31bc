"""The settings of a model in its folder, and whether `OnnxEncoder` can run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from scopedtools.exceptions import DefinitionError
from scopedtools.retrieval.onnx_graph import Shape

_NEEDED: Final = ("config.json", "modules.json", "tokenizer.json", "model.safetensors")
_PARTS: Final = ("Transformer", "Pooling", "Normalize")


class Settings(NamedTuple):
    """What a model's folder says.

    Attributes:
        shape: What the graph needs.
        tokens: Most tokens of a text; the rest is cut off.
    """

    shape: Shape
    tokens: int


class _Config(msgspec.Struct):
    model_type: str
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    layer_norm_eps: float = 1e-12
    hidden_act: str = "gelu"
    position_embedding_type: str = "absolute"


def read(folder: Path) -> Settings:
    """Read the settings of a model.

    Raises:
        DefinitionError: The model is not a BERT with mean pooling, its vectors are not normalised, it puts
            prompts before texts, or a file is missing or damaged.
    """
    try:
        _check_files(folder)
        config = msgspec.convert(_json(folder / "config.json"), _Config)
        _check("model_type", config.model_type, "bert")
        _check("hidden_act", config.hidden_act, "gelu")
        _check("position_embedding_type", config.position_embedding_type, "absolute")
        _check_parts(folder)
        tokens = _json(folder / "sentence_bert_config.json").get("max_seq_length")
    except (OSError, ValueError) as error:
        raise DefinitionError(
            f"{folder} must hold a BERT with mean pooling as sentence-transformers saves it, got: {error}; "
            "use SentenceTransformerEncoder for it"
        ) from error
    shape = Shape(config.num_hidden_layers, config.num_attention_heads, config.layer_norm_eps)
    return Settings(shape, min(tokens or config.max_position_embeddings, config.max_position_embeddings))


def _check_files(folder: Path) -> None:
    if missing := [name for name in _NEEDED if not (folder / name).is_file()]:
        raise ValueError(f"no {', '.join(missing)}")


def _check_parts(folder: Path) -> None:
    modules = msgspec.json.decode((folder / "modules.json").read_bytes(), type=list[dict[str, Any]])
    _check("modules", [module["type"].rpartition(".")[2] for module in modules], list(_PARTS))
    pooling = _json(folder / modules[1]["path"] / "config.json")
    # Later versions name the mode, earlier ones have a flag for each.
    flags = [key for key, value in pooling.items() if key.startswith("pooling_mode_") and value is True]
    named = pooling.get("pooling_mode") or ",".join(flags)
    _check("pooling", named, "mean" if "pooling_mode" in pooling else "pooling_mode_mean_tokens")
    prompts = _json(folder / "config_sentence_transformers.json").get("prompts") or {}
    _check("prompts", [prompt for prompt in prompts.values() if prompt], [])


def _check(key: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise ValueError(f"{key} {got!r} instead of {wanted!r}")


def _json(path: Path) -> dict[str, Any]:
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Any]) if path.is_file() else {}
