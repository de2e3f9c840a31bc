"""Good messages, gone wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Verbatim:
    """Stands in a message as it is written here, JSON or not."""

    text: str


@dataclass(frozen=True)
class Twice:
    """An object in which one field comes twice."""

    fields: dict[str, Any]
    again: tuple[str, Any]


def nested(depth: int, opening: str, closing: str) -> Verbatim:
    """Make arrays or objects in each other."""
    return Verbatim(opening * depth + "0" + closing * depth)


ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1.5, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 2**64),
    *("", " ", "\x00", "\ud800", "\u202e\u0000\ufeff", "\U0001f600" * 3, "a" * 5000, "2.0", "%00", "../.."),
    *([], {}, [[]], {"": {}}, {"$ref": "#"}, [None] * 50),
    *(Verbatim("1e400"), Verbatim("-1e400"), Verbatim("1" * 400), Verbatim("-0.0"), Verbatim("1E-400")),
    *(
        Verbatim("NaN"),
        Verbatim("Infinity"),
        Verbatim("01"),
        Verbatim("'a'"),
        Verbatim('"\\x"'),
        Verbatim(""),
    ),
    *(
        nested(600, "[", "]"),
        nested(600, '{"a":', "}"),
        nested(30_000, "[", "]"),
        nested(30_000, '{"a":', "}"),
    ),
)
"""What may stand where something else should."""

FIELDS: Final = (
    *("jsonrpc", "id", "method", "params", "result", "error", "_meta", "name", "arguments", "uri", "cursor"),
    *("io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities", "__proto__"),
    *("requestState", "inputResponses", "taskId", "progressToken", "", "\x00", "\ud800", "NAME", "a" * 300),
)

HEADER_NAMES: Final = (
    *(
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "mcp-param-region",
        "mcp-session-id",
        "last-event-id",
    ),
    *("content-type", "accept", "content-length", "authorization", "origin", "host", "mcp-client-session-id"),
)
HEADER_VALUES: Final = (
    *(
        b"",
        b" ",
        b"\xff\xfe",
        b"=?base64?",
        b"=?base64??=",
        b"=?base64?/w==?=",
        b"=?base64?eA==?=",
        b"*/*",
        b"0",
    ),
    *(
        b"2026-07-28",
        b"2025-03-26",
        b"2025-11-25",
        b"1999-01-01",
        b"tools/call",
        b"application/json",
        b"null",
    ),
    *(b"text/event-stream", b"application/json; charset=utf-16", b"a" * 3000, b"-1", b"9" * 40, b"\xc2\xb2"),
)


@st.composite
def mutated(draw: st.DrawFn, messages: list[dict[str, Any]]) -> bytes:
    """Draw a message, something about which may be wrong, as bytes."""
    message: Any = copy.deepcopy(draw(st.sampled_from(messages)))
    for _ in range(draw(st.integers(0, 3))):
        message = _mutate(draw, message)
    text = encode(message, ascii_only=draw(st.booleans()))
    return text.encode("utf-8", "surrogatepass")


@st.composite
def mutated_headers(draw: st.DrawFn, headers: Mapping[str, str]) -> Headers:
    """Draw headers, something about which may be wrong."""
    lines = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
        kind = draw(st.sampled_from(("drop", "change", "add")))
        if kind != "add" and lines:
            place = draw(st.integers(0, len(lines) - 1))
            name, _ = lines.pop(place)
        else:
            name = draw(st.sampled_from(HEADER_NAMES)).encode()
        if kind != "drop":
            lines.append((name, draw(st.sampled_from(HEADER_VALUES))))
    return lines


def _mutate(draw: st.DrawFn, message: Any) -> Any:
    places = list(_places(message))
    if not places:
        return _odd(draw)
    parent, key = draw(st.sampled_from(places))
    kind = draw(
        st.sampled_from(("drop", "rename", "retype", "retype", "nest", "add", "twice", "move", "whole"))
    )
    if kind == "whole":
        return draw(
            st.sampled_from(([message], [message, message], {"params": message}, [], 5, "text", None))
        )
    value = parent[key]
    if kind == "drop":
        del parent[key]
    elif kind == "rename":
        parent[draw(st.sampled_from(FIELDS)) if isinstance(parent, dict) else key] = parent.pop(key)
    elif kind == "retype":
        parent[key] = _odd(draw)
    elif kind == "nest":
        parent[key] = draw(st.sampled_from(([value], {"a": value}, {str(key): value}, [[value]])))
    elif kind == "twice" and isinstance(value, dict) and value:
        field = draw(st.sampled_from(sorted(value)))
        parent[key] = Twice(value, (field, _odd(draw)))
    elif kind == "move":
        other, other_key = draw(st.sampled_from(places))
        parent[key] = copy.deepcopy(other.get(other_key) if isinstance(other, dict) else None)
    elif isinstance(parent, dict):
        parent[draw(st.sampled_from(FIELDS))] = _odd(draw)
    return message


def _odd(draw: st.DrawFn) -> Any:
    return copy.deepcopy(draw(st.sampled_from(ODD)))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container within a value with each of its keys."""
    keys = list(value) if isinstance(value, dict) else []
    for key in keys:
        yield value, key
        yield from _places(value[key])


def encode(value: Any, *, ascii_only: bool) -> str:
    """Write a value down."""
    if isinstance(value, Verbatim):
        return value.text
    if isinstance(value, Twice):
        pairs = [*value.fields.items(), value.again]
        return _object(pairs, ascii_only=ascii_only)
    if isinstance(value, dict):
        return _object(list(value.items()), ascii_only=ascii_only)
    if isinstance(value, list):
        return f"[{','.join(encode(part, ascii_only=ascii_only) for part in value)}]"
    return json.dumps(value, ensure_ascii=ascii_only)


def _object(pairs: list[tuple[str, Any]], *, ascii_only: bool) -> str:
    fields = (
        f"{json.dumps(key, ensure_ascii=ascii_only)}:{encode(value, ascii_only=ascii_only)}"
        for key, value in pairs
    )
    return "{" + ",".join(fields) + "}"
