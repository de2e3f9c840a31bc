"""From what an author's function returns to content, structured content and their schema."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final, Union

from msgspec import UNSET, Raw
from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import SchemaError, to_json

from scopedtools.catalog.signature import CompactJsonSchema, strip_titles
from scopedtools.exceptions import DefinitionError
from scopedtools.protocol.content import (
    Audio,
    Block,
    Content,
    EmbeddedResource,
    Image,
    PromptMessage,
    ResourceContents,
    ResourceLink,
    Text,
)
from scopedtools.protocol.results import CallResult

_UNSTRUCTURED: Final = (inspect.Signature.empty, Any, None, type(None), str, CallResult)
"""Annotations that promise no structure; a schema that says "a text" would only cost tokens."""

_BLOCKS: Final = (Text, Image, Audio, ResourceLink, EmbeddedResource)


@dataclass(frozen=True, slots=True)
class Output:
    """How the return value of a tool goes out.

    Attributes:
        schema: JSON Schema of the structured content, an object, or ``None`` for text alone.
        dump: Encodes a value as JSON.
        wrapped: The value is not an object, so it stands under ``result``.
    """

    schema: dict[str, Any] | None = None
    dump: Callable[[Any], bytes] = to_json
    wrapped: bool = False

    def result(self, value: Any) -> CallResult:
        """Make the result of a call."""
        if isinstance(value, CallResult):
            return value
        if self.schema is None:
            blocks = _blocks(value)
            if blocks is not None:
                return CallResult(content=blocks)
        encoded = self.dump(value)
        structured: Any = UNSET
        if self.schema is not None:
            structured = Raw(b'{"result":%b}' % encoded if self.wrapped else encoded)
        text = value if isinstance(value, str) else encoded.decode()
        return CallResult(content=[Text(text)], structured_content=structured)


def _blocks(value: Any) -> list[Content] | None:
    """Return what a value is as content by itself, or ``None`` where it is data."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [Text(value)]
    if isinstance(value, _BLOCKS):
        return [value]
    if isinstance(value, list | tuple) and value and any(isinstance(part, _BLOCKS) for part in value):
        return [Text(part) if isinstance(part, str) else part for part in value]
    return None


def _promises_blocks(annotation: Any) -> bool:
    """Tell whether an annotation is of content blocks, alone, in a union or in a list."""
    if typing.get_origin(annotation) in (list, tuple, Union, UnionType):
        return any(_promises_blocks(part) for part in typing.get_args(annotation))
    return isinstance(annotation, type) and issubclass(annotation, Block)


def text_result(text: str, *, is_error: bool = False) -> CallResult:
    """Make a result of text alone; no text makes no content."""
    return CallResult(content=[Text(text)] if text else [], is_error=is_error)


def read_output(annotation: Any, *, where: str) -> Output:
    """Read a return annotation.

    Raises:
        DefinitionError: No JSON Schema can describe it.
    """
    if any(annotation is plain for plain in _UNSTRUCTURED) or _promises_blocks(annotation):
        return Output()
    try:
        adapter = TypeAdapter[Any](annotation)
        schema = adapter.json_schema(mode="serialization", schema_generator=CompactJsonSchema)
    except (PydanticSchemaGenerationError, PydanticUserError, SchemaError) as error:
        raise DefinitionError(f"{where}: the return annotation has no JSON Schema: {error}") from error

    def dump(value: Any) -> bytes:
        # A value of another type than the annotation promises must not reach a client as if it were one.
        # Writing it down tells most of that; reading it tells what is missing or out of bounds.
        encoded = adapter.dump_json(value, warnings="error")
        adapter.validate_python(value)
        if b"null" in encoded:
            # JSON has no NaN and no infinity, pydantic writes null, and the schema says "a number".
            json.dumps(adapter.dump_python(value, mode="json"), allow_nan=False)
        return encoded

    if _is_object(schema):
        return Output(strip_titles(schema | {"type": "object"}), dump)
    return Output(_wrap(strip_titles(schema)), dump, wrapped=True)


def _is_object(schema: dict[str, Any]) -> bool:
    reference = schema.get("$ref")  # of a class that refers to itself
    target = schema if reference is None else schema["$defs"][reference.rpartition("/")[2]]
    return bool(target.get("type") == "object")


def _wrap(schema: dict[str, Any]) -> dict[str, Any]:
    definitions = schema.pop("$defs", None)
    wrapper = {"type": "object", "properties": {"result": schema}, "required": ["result"]}
    return wrapper if definitions is None else wrapper | {"$defs": definitions}


def contents(value: Any, *, uri: str, mime_type: str | None) -> list[ResourceContents]:
    """Turn what a resource returned into what a client reads.

    Text stays text, bytes go out as base64, anything else as JSON.
    """
    if isinstance(value, ResourceContents):
        return [value]
    if isinstance(value, bytes):
        return [ResourceContents(uri, mime_type or "application/octet-stream", blob=value)]
    if isinstance(value, str):
        return [ResourceContents(uri, mime_type or "text/plain", text=value)]
    text = to_json(value, inf_nan_mode="null").decode()
    return [ResourceContents(uri, mime_type or "application/json", text=text)]


def messages(value: Any) -> list[PromptMessage]:
    """Turn what a prompt returned into messages: a text is one message of the user's."""
    parts = value if isinstance(value, list | tuple) else [value]
    return [_message(part) for part in parts]


def _message(part: Any) -> PromptMessage:
    if isinstance(part, PromptMessage):
        return part
    if isinstance(part, str):
        return PromptMessage(Text(part))
    if isinstance(part, _BLOCKS):
        return PromptMessage(part)
    raise TypeError(f"a prompt returns text, messages, or a list of them, got {type(part).__name__}")
