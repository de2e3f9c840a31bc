"""The server that goes on, and the requests that it gets: some need the store of contexts, most do not."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from benchmarks.serving.rows import INTENT, rows
from scopedtools import Catalog, Context, ScopedServer, ViewSettings, tool
from scopedtools.catalog.primitives import Tool
from scopedtools.protocol import meta
from scopedtools.protocol.revisions import LATEST
from scopedtools.retrieval import HashingEncoder, HybridSelector
from scopedtools.storage import ContextStore

TOOLS: Final = 200
CONTEXTS: Final = 300

SHARES: Final[Mapping[str, float]] = MappingProxyType(
    {"list": 0.6, "first": 0.1, "search": 0.1, "call": 0.1, "state": 0.1}
)
"""Kinds of requests: a list of a context that has its view, the first list of one, a search by which a view
grows, a call of a tool that keeps nothing, and one of a tool that keeps something for its context."""

NEEDS_STORE: Final = "state"

_QUERIES: Final = ("merge the routes", "sort the dates", "draw the charts", "check the prices")


class Desk(ScopedServer):
    """Keeps notes, and has many tools that only describe.

    Args:
        store: Of contexts.
    """

    def __init__(self, store: ContextStore) -> None:
        described = [
            Tool(name=one["name"], description=one["description"], input_schema=one["inputSchema"])
            for one in rows(TOOLS)
        ]
        super().__init__(
            name="desk",
            catalog=Catalog(described[:-1]),
            selector=HybridSelector(HashingEncoder()),
            views=ViewSettings(rows={"tool": 14}, growth="always"),
            store=store,
            secret=b"a benchmark",
        )

    @tool
    async def echo(self, text: str) -> str:
        """Return a text as it is."""
        return text

    @tool
    async def note(self, text: str, ctx: Context) -> str:
        """Keep a note for this unit of work."""
        await ctx.state.set("note", text)
        return str(await ctx.state.get("note"))


class Client:
    """Asks a server in this process, over ASGI.

    Args:
        server: It runs.
    """

    def __init__(self, server: ScopedServer) -> None:
        self._server = server
        self._chance = random.Random(0)  # noqa: S311 - no secret
        self._new = itertools.count(CONTEXTS)
        self._last = 0

    def any_kind(self) -> str:
        """Return the kind of the next request, by chance."""
        return self._chance.choices(list(SHARES), list(SHARES.values()))[0]

    async def begin(self) -> None:
        """Begin the contexts that are there before anything goes wrong."""
        for number in range(CONTEXTS):
            if not await self._ask("tools/list", {}, number):
                raise RuntimeError("a list failed before anything went wrong")

    async def ask(self, kind: str) -> bool:
        """Ask; return whether the answer is a good one."""
        number = self._chance.randrange(CONTEXTS)
        match kind:
            case "list":
                return await self._ask("tools/list", {}, number)
            case "first":
                self._last = next(self._new)
                return await self._ask("tools/list", {}, self._last)
            case "search":
                arguments = {"query": self._chance.choice(_QUERIES)}
                return await self._call("search_tools", arguments, self._last)
            case "call":
                return await self._call("echo", {"text": "hello"}, number)
            case _:
                return await self._call("note", {"text": "hello"}, number)

    async def _call(self, name: str, arguments: Mapping[str, str], context: int) -> bool:
        return await self._ask("tools/call", {"name": name, "arguments": arguments}, context)

    async def _ask(self, method: str, params: Mapping[str, Any], context: int) -> bool:
        scope, body = _request(method, params, context)
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(event: Any) -> None:
            sent.append(event)

        await self._server(scope, receive, send)
        answer = msgspec.json.decode(b"".join(event.get("body", b"") for event in sent))
        result = answer.get("result", {})
        return sent[0]["status"] == 200 and bool(result) and not result.get("isError")


def _request(method: str, params: Mapping[str, Any], context: int) -> tuple[dict[str, Any], bytes]:
    settings = {"contextId": f"context-{context}", "intent": INTENT}
    envelope = {
        meta.PROTOCOL_VERSION: LATEST.name,
        meta.CLIENT_CAPABILITIES: {"extensions": {meta.EXTENSION: settings}},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": envelope}}
    headers = {
        "host": "127.0.0.1:8000",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": LATEST.name,
        "mcp-method": method,
        **({"mcp-name": params["name"]} if "name" in params else {}),
    }
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "query_string": b"",
    }
    return scope, msgspec.json.encode(message)
