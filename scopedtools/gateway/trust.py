"""Definitions from upstream are data of somebody else: bounded, cleaned, and never followed anywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import mcp_types
import msgspec
from pydantic import BaseModel, ValidationError

from scopedtools.catalog.hidden import hides, visible
from scopedtools.catalog.primitives import Kind
from scopedtools.exceptions import DefinitionError
from scopedtools.gateway.config import Limits
from scopedtools.protocol.mirrors import mirrored_parameters

IDENTITY: Final[Mapping[Kind, str]] = {
    "tool": "name",
    "resource": "uri",
    "template": "uriTemplate",
    "prompt": "name",
}

_MODELS: Final[Mapping[Kind, type[BaseModel]]] = {
    "tool": mcp_types.Tool,
    "resource": mcp_types.Resource,
    "template": mcp_types.ResourceTemplate,
    "prompt": mcp_types.Prompt,
}
_URI_CHARACTERS: Final = 2048
_TITLE_CHARACTERS: Final = 1000
_DEPTH: Final = 64
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_TEXTS: Final = frozenset({"title", "description", "$comment"})


class UnusableError(ValueError):
    """A definition that is left out; the message says why, without repeating what it holds."""


def clean(kind: Kind, definition: Any, limits: Limits) -> dict[str, Any]:
    """Return a definition as it may go on.

    Args:
        kind: Of the row.
        definition: As the upstream sent it.
        limits: What is too much.

    Raises:
        UnusableError: It is malformed or too large.
    """
    if not isinstance(definition, dict):
        raise UnusableError("is no object")
    _require_size(definition, limits)
    name, identity = definition.get("name"), definition.get(IDENTITY[kind])
    if not isinstance(name, str) or not visible(name) or not isinstance(identity, str) or not identity:
        raise UnusableError("has no name or no URI")
    if len(name) > limits.max_name_chars or len(identity) > _URI_CHARACTERS:
        raise UnusableError("has a name or a URI that is too long")
    if visible(identity) != identity:
        raise UnusableError("has characters in its name or URI that cannot be seen")
    cleaned = dict(definition) | {"name": visible(name)}
    cleaned["description"] = _text(definition.get("description"), limits.max_description_chars)
    cleaned["title"] = _text(definition.get("title"), _TITLE_CHARACTERS)
    cleaned = {key: value for key, value in cleaned.items() if value is not None}
    if kind == "tool":
        _clean_schemas(cleaned, limits)
    if kind == "prompt":
        cleaned["arguments"] = _arguments(definition.get("arguments"), limits)
    hints = cleaned.get("annotations")
    if isinstance(hints, dict) and isinstance(hints.get("title"), str):
        cleaned["annotations"] = hints | {"title": _text(hints["title"], _TITLE_CHARACTERS)}
    return _acceptable(kind, cleaned)


def _acceptable(kind: Kind, cleaned: dict[str, Any]) -> dict[str, Any]:
    """Return a definition without fields that clients refuse; one row that they refuse fails a whole list."""
    try:
        _MODELS[kind].model_validate_json(msgspec.json.encode(cleaned), strict=True, by_name=False)
    except ValidationError as error:
        refused = {str(problem["loc"][0]) for problem in error.errors(include_input=False) if problem["loc"]}
        if refused & {"name", IDENTITY[kind], "inputSchema"} or not refused & cleaned.keys():
            raise UnusableError("is not what the protocol has") from error
        return _acceptable(kind, {key: value for key, value in cleaned.items() if key not in refused})
    return cleaned


def _require_size(definition: Mapping[str, Any], limits: Limits) -> None:
    try:
        size = len(msgspec.json.encode(definition))
    except (RecursionError, ValueError, TypeError) as error:
        raise UnusableError("cannot be written down as JSON") from error
    if size > limits.max_definition_bytes:
        raise UnusableError(f"has {size} bytes, {limits.max_definition_bytes} may be")


def _clean_schemas(tool: dict[str, Any], limits: Limits) -> None:
    given = tool.get("inputSchema")
    if given is not None and not isinstance(given, dict):
        raise UnusableError("has an inputSchema that is no object")
    schema = _schema(given or {}, limits, 0)
    tool["inputSchema"] = schema if schema.get("type") == "object" else {**schema, "type": "object"}
    try:
        mirrored_parameters(tool["inputSchema"], where="it")
    except DefinitionError as error:
        raise UnusableError("marks its arguments with x-mcp-header wrongly") from error
    output = tool.get("outputSchema")
    if isinstance(output, dict):
        tool["outputSchema"] = _schema(output, limits, 0)
    else:
        tool.pop("outputSchema", None)
    if hides(tool["inputSchema"]) or hides(tool.get("outputSchema")):
        raise UnusableError("has characters in the names or values of its schemas that cannot be seen")


def _schema(schema: Any, limits: Limits, depth: int) -> Any:
    """Return a schema without references that lead out of it, and with texts that can be read."""
    if depth > _DEPTH:
        raise UnusableError(f"has a schema more than {_DEPTH} levels deep")
    if isinstance(schema, list):
        return [_schema(one, limits, depth + 1) for one in schema]
    if not isinstance(schema, dict):
        return schema
    cleaned: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _REFERENCES and isinstance(value, str) and not value.startswith("#"):
            continue  # what stands elsewhere is not fetched, neither by us nor by those who get this
        if key in _TEXTS and isinstance(value, str):
            cleaned[key] = _text(value, limits.max_description_chars)
        else:
            cleaned[key] = _schema(value, limits, depth + 1)
    return cleaned


def _arguments(given: Any, limits: Limits) -> list[dict[str, Any]]:
    if not isinstance(given, list):
        return []
    usable = [one for one in given if isinstance(one, dict) and isinstance(one.get("name"), str)]
    if any(visible(one["name"]) != one["name"] for one in usable):
        raise UnusableError("has characters in the names of its arguments that cannot be seen")
    return [
        one | {"description": _text(one["description"], limits.max_description_chars)}
        if isinstance(one.get("description"), str)
        else {key: value for key, value in one.items() if key != "description"}
        for one in usable
    ]


def _text(value: Any, limit: int) -> str | None:
    if not isinstance(value, str):
        return None
    text = visible(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def digest(definition: Mapping[str, Any]) -> str:
    """Return what tells two definitions apart; equal wherever it is computed."""
    canonical = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
