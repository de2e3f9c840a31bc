"""What comes back from an API, as the result of a tool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import jsonschema_rs
import msgspec
from msgspec import UNSET, Raw

from scopedtools.catalog.convert import text_result
from scopedtools.openapi.definitions import assembled, budget_of, size_of
from scopedtools.openapi.document import Dialect, Node
from scopedtools.openapi.keywords import Schema
from scopedtools.openapi.operations import Operation, media_type
from scopedtools.openapi.schemas import Detail, SchemaWriter, TooLargeError
from scopedtools.openapi.sending import Answer
from scopedtools.openapi.words import plain
from scopedtools.protocol.content import Audio, Content, EmbeddedResource, Image, ResourceContents, Text
from scopedtools.protocol.results import CallResult

MAX_OUTPUT_SCHEMA_BYTES: Final = 4 * 1024

_ERROR_CHARACTERS: Final = 4000
_DETAILS: Final = (Detail(), Detail(None, 1), Detail(4, 1), Detail(2, 1), Detail(1, 1))
_TOLD_HEADERS: Final = (
    "location",
    "retry-after",
    "content-length",
    "content-type",
    "etag",
    "last-modified",
    "link",
)


@dataclass(frozen=True, slots=True)
class Output:
    """What a tool promises of its results.

    Attributes:
        schema: Of the structured content, or ``None``.
        wrapped: The answer stands under ``result``, since it is no object.
        accept: The header ``Accept`` of a request.
        redirects: Statuses of redirects that the description names, so that they are answers like others.
    """

    schema: Schema | None
    wrapped: bool
    accept: str
    redirects: frozenset[int]


def read_output(operation: Operation, dialect: Dialect) -> Output:
    """Read what an operation answers where all went well.

    Raises:
        CatalogError: A reference cannot be followed.
    """
    answers = [one for status, one in operation.responses.items() if status.startswith("2")]
    types: dict[str, None] = {}
    found: list[Node] = []
    for answer in answers:
        for name, content in answer.child("content").items():
            types[name] = None
            promised = content.child("schema")
            if (
                is_json(name)
                and promised.value is not None
                and promised.value not in [one.value for one in found]
            ):
                found.append(promised)
    schema, wrapped = _schema(found, dialect)
    ordered = sorted(types, key=lambda name: not is_json(name))
    accept = ", ".join([*ordered[:8], "*/*;q=0.1"]) if ordered else "application/json, */*;q=0.1"
    redirects = frozenset(
        int(status) for status in operation.responses if status.isdigit() and status[0] == "3"
    )
    return Output(schema, wrapped, _header(accept), redirects)


def _header(text: str) -> str:
    return text if text.isascii() and text.isprintable() else "*/*"


def is_json(name: str) -> bool:
    """Tell whether a media type is JSON."""
    base = media_type(name)
    return base in ("application/json", "text/json") or base.endswith("+json")


def _schema(found: list[Node], dialect: Dialect) -> tuple[Schema | None, bool]:
    known: dict[int, bool] = {}
    kinds = {_is_object(node, known) for node in found}
    if len(kinds) != 1:
        return None, False
    wrapped = kinds == {False}
    for detail in _DETAILS:
        writer = SchemaWriter(dialect, "response", detail=detail, budget=budget_of(MAX_OUTPUT_SCHEMA_BYTES))
        try:
            written = [writer.write(node) for node in found]
        except TooLargeError:
            continue
        schema = _root(written, writer.definitions, wrapped=wrapped)
        if size_of(schema) <= MAX_OUTPUT_SCHEMA_BYTES:
            return (schema, wrapped) if jsonschema_rs.meta.is_valid(schema) else (None, False)
    return None, False


def _root(written: list[Schema], definitions: Mapping[str, Schema], *, wrapped: bool) -> Schema:
    root = written[0] if len(written) == 1 else {"anyOf": written}
    if wrapped:
        return assembled({"type": "object", "properties": {"result": root}}, definitions)
    schema = assembled(root, definitions)
    return {"type": "object"} | schema | {"type": "object"}


def _is_object(node: Node, known: dict[int, bool]) -> bool:
    """Tell whether a schema is of objects alone; ``known`` holds what was found before, by identity."""
    whole = node.followed()
    if id(whole.value) not in known:
        known[id(whole.value)] = False  # what is made of nothing but itself
        known[id(whole.value)] = _says_object(whole, known)
    return known[id(whole.value)]


def _says_object(whole: Node, known: dict[int, bool]) -> bool:
    kind = whole.mapping.get("type")
    if kind is not None:
        return "object" in (kind if isinstance(kind, list) else [kind])
    if isinstance(whole.mapping.get("properties"), dict):
        return True
    if any(_is_object(one, known) for one in whole.child("allOf").elements()):
        return True
    either = [one for keyword in ("oneOf", "anyOf") for one in whole.child(keyword).elements()]
    return bool(either) and all(_is_object(one, known) for one in either)


class Results:
    """Turns answers of one operation into results.

    Args:
        output: What the tool promises.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._validator: Any = None

    def result(self, answer: Answer) -> CallResult:
        """Make the result of an answer; everything but success is an error that the model reads."""
        told = answer.status in self._output.redirects
        if not 200 <= answer.status < 300 and not told:
            return text_result(_failure(answer), is_error=True)
        if not answer.whole:
            return text_result(
                f"{_status(answer)}, but the answer is left out: it is larger than {len(answer.body)} bytes; "
                "ask for less of it, if the tool has arguments for that",
                is_error=True,
            )
        kind = media_type(answer.headers.get("content-type", ""))
        if answer.body and is_json(kind):
            return self._structured(answer)
        promised: Any = Raw(b"{}") if self._output.schema is not None else UNSET
        return CallResult(content=list(_content(answer, kind)), structured_content=promised)

    def _structured(self, answer: Answer) -> CallResult:
        try:
            value = msgspec.json.decode(answer.body)
            # Without line breaks, which end a message on some transports; numbers as the API wrote them.
            raw = msgspec.json.format(answer.body, indent=-1)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return text_result(
                f"{_status(answer)}, and what should be JSON is not: {_readable(answer)}", is_error=True
            )
        if self._output.wrapped or not isinstance(value, dict):
            structured, value = b'{"result":%b}' % raw, {"result": value}
        else:
            structured = raw
        wrong = self._mismatch(value)
        if wrong is not None:
            # Clients refuse a result that does not fit its schema; so the model still reads what came.
            said = f"{_status(answer)}, but not what the API's description promises ({wrong}): {raw.decode()}"
            return text_result(said, is_error=True)
        return CallResult(content=[Text(raw.decode())], structured_content=Raw(structured))

    def _mismatch(self, value: Any) -> str | None:
        if self._output.schema is None:
            return None
        if self._validator is None:
            self._validator = jsonschema_rs.Draft202012Validator(self._output.schema, offline=True)
        error = next(iter(self._validator.iter_errors(value)), None)
        if error is None:
            return None
        return plain(f"{'.'.join(map(str, error.instance_path)) or 'the answer'}: {error.message}", 300)


def _status(answer: Answer) -> str:
    try:
        phrase = f" {HTTPStatus(answer.status).phrase}"
    except ValueError:
        phrase = ""
    return f"HTTP {answer.status}{phrase}"


def _failure(answer: Answer) -> str:
    lines = [_status(answer)]
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS and "retry-after" in answer.headers:
        lines[0] += f", retry after {plain(answer.headers['retry-after'], 80)}"
    if 300 <= answer.status < 400:
        lines[0] += f", not followed to {plain(answer.headers.get('location', 'nowhere'), 2000)}"
    body = _readable(answer)
    return "\n".join([*lines, body] if body else lines)


def _readable(answer: Answer) -> str:
    text = answer.body[: 4 * _ERROR_CHARACTERS].decode("utf-8", "replace")
    return plain(text, _ERROR_CHARACTERS)


def _content(answer: Answer, kind: str) -> Iterator[Content]:
    if not answer.body:
        told = (
            f"{name}: {plain(answer.headers[name], 2000)}" for name in _TOLD_HEADERS if name in answer.headers
        )
        yield Text("\n".join([_status(answer), *told]))
    elif kind.startswith("image/") and kind != "image/svg+xml":
        yield Image(data=answer.body, mime_type=kind)
    elif kind.startswith("audio/"):
        yield Audio(data=answer.body, mime_type=kind)
    elif _is_textual(kind):
        yield Text(_decoded(answer))
    else:
        held = ResourceContents(answer.url, kind or "application/octet-stream", blob=answer.body)
        yield EmbeddedResource(resource=held)


def _is_textual(kind: str) -> bool:
    return (
        kind.startswith("text/")
        or kind.endswith(("xml", "json", "yaml", "javascript", "graphql"))
        or kind in ("application/x-www-form-urlencoded", "application/toml", "application/sql")
    )


def _decoded(answer: Answer) -> str:
    _, _, after = answer.headers.get("content-type", "").lower().partition("charset=")
    charset = after.partition(";")[0].strip(" \"'") or "utf-8"
    try:
        return answer.body.decode(charset, "replace")
    except (LookupError, ValueError):
        return answer.body.decode("utf-8", "replace")
