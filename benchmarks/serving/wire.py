"""The requests that every system gets, as bytes with a place for a number."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from benchmarks.serving.rows import ECHO, INTENT
from scopedtools.protocol import meta

Era = Literal["2026-07-28", "2025-11-25"]
Operation = Literal["view", "full", "call", "search", "first", "read", "prompt"]

ERAS: Final[tuple[Era, ...]] = get_args(Era)
MODERN: Final[Era] = ERAS[0]
OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)
MEANINGS: Final[Mapping[Operation, str]] = MappingProxyType(
    {
        "view": "`tools/list` in a context that has its view",
        "full": "`tools/list` of everything, in one answer",
        "call": "`tools/call` of a tool that returns its argument",
        "search": "`tools/call` of `search_tools`, the vector of the query cached",
        "first": "`tools/list`, each in a context that never was, of an intent whose vector is cached",
        "read": "`resources/read`",
        "prompt": "`prompts/get`",
    }
)

HOST: Final = "127.0.0.1"
_NUMBER: Final = 12345678
"""Stands where a number of a request goes; all numbers have as many digits, so lengths stay."""

_CONTEXT: Final = "benchmark"
_CALLS: Final[Mapping[str, tuple[str, dict[str, Any], str]]] = MappingProxyType(
    {
        "call": ("tools/call", {"name": ECHO, "arguments": {"text": "hello"}}, ECHO),
        "search": (
            "tools/call",
            {"name": "search_tools", "arguments": {"query": "merge the routes and sort the dates"}},
            "search_tools",
        ),
        "read": ("resources/read", {"uri": "note://today"}, "note://today"),
        "prompt": ("prompts/get", {"name": "greet", "arguments": {"name": "Ada"}}, "greet"),
    }
)


class Template(NamedTuple):
    """A request over HTTP, cut where its number goes.

    Attributes:
        parts: Its bytes between the places of the number.
    """

    parts: tuple[bytes, ...]

    def numbered(self, number: int) -> bytes:
        """Return the request with a number of its own; it is the ID of its JSON-RPC message."""
        return (b"%d" % (10_000_000 + number)).join(self.parts)


def template(
    operation: Operation,
    era: Era,
    *,
    path: str = "/mcp",
    headers: Mapping[str, str] = MappingProxyType({}),
    intent: str = INTENT,
) -> Template:
    """Write the request of an operation.

    Args:
        operation: What is asked for.
        era: Protocol revision in which it is asked.
        path: Of the endpoint.
        headers: More of them, such as the ID of a session.
        intent: What the context is about, where one is named.
    """
    method, params, name = _CALLS.get(operation, ("tools/list", {}, ""))
    context = {"view": _CONTEXT, "first": f"new-{_NUMBER}", "full": None}.get(operation, _CONTEXT)
    lines = {"mcp-protocol-version": era, **headers}
    if era == MODERN:
        params = {**params, "_meta": _envelope(context, intent)}
        lines |= {"mcp-method": method, **({"mcp-name": name} if name else {})}
    elif context is not None:
        lines |= {"mcp-client-session-id": context, "mcp-context-intent": intent}
    return post(path, {"jsonrpc": "2.0", "id": _NUMBER, "method": method, "params": params}, lines)


def _envelope(context: str | None, intent: str) -> dict[str, Any]:
    settings = {} if context is None else {meta.EXTENSION: {"contextId": context, "intent": intent}}
    return {
        meta.PROTOCOL_VERSION: MODERN,
        meta.CLIENT_INFO: {"name": "benchmark", "version": "1"},
        meta.CLIENT_CAPABILITIES: {"extensions": settings},
    }


def post(path: str, message: Mapping[str, Any], headers: Mapping[str, str]) -> Template:
    """Write a JSON message as an HTTP request."""
    body = msgspec.json.encode(message)
    lines = {
        "host": f"{HOST}:80",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "content-length": str(len(body)),
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    whole = f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body
    return Template(tuple(whole.split(b"%d" % _NUMBER)))
