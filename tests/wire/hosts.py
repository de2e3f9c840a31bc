"""Requests as hosts send them, a server that says which context it saw, and the ways to reach it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import httpx2
import msgspec

from scopedtools import Context, tool
from scopedtools.protocol import meta
from tests.context.office import Office
from tests.transports.test_stdio_transport import Pipes, connected
from tests.wire.exchange import ENVELOPE, JSON_HEADERS, MODERN, message, mirrored

NOVEMBER: Final = "2025-11-25"
URL: Final = "http://in-process/mcp"


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a host puts on its requests, as data.

    Attributes:
        host: Its row in the table of hosts.
        carrier: Where a server finds the ID; ``None`` where there is none.
        ids: Two that it could send; ``$ID`` stands for one of them elsewhere.
        headers: On every request.
        meta: In ``_meta`` of every request.
        query: Of the URL.
        environment: That it starts servers in.
        call_headers: On ``tools/call`` besides.
        call_meta: In ``_meta`` of ``tools/call`` besides.
        arguments: Of every tool besides the tool's own.
        on_lists: Whether lists say the ID too.
    """

    host: str
    carrier: str | None
    ids: tuple[str, ...]
    headers: dict[str, str] = {}
    meta: dict[str, Any] = {}
    query: str = ""
    environment: dict[str, str] = {}
    call_headers: dict[str, str] = {}
    call_meta: dict[str, Any] = {}
    arguments: dict[str, str] = {}
    on_lists: bool = False

    @property
    def label(self) -> str:
        return f"{self.host}: {self.carrier}"

    @property
    def needs_http(self) -> bool:
        return bool(self.headers or self.call_headers or self.query)

    def of(self, context_id: str) -> Shape:
        """Return what the host sends in one conversation."""
        said = msgspec.json.encode(self).replace(b"$ID", context_id.encode())
        return msgspec.json.decode(said, type=Shape)

    def params(self, method: str, revision: str, **params: Any) -> dict[str, Any]:
        """Return the parameters of a request."""
        own = (dict(ENVELOPE) if revision == MODERN else {}) | self.meta
        if method == "tools/call":
            params["arguments"] = params.get("arguments", {}) | self.arguments
            own |= self.call_meta
        return {**params, "_meta": own}


SHAPES: Final = msgspec.json.decode(
    (Path(__file__).parents[1] / "context" / "host_requests.json").read_bytes(), type=list[Shape]
)


class Seen(Office):
    """Knows what two conversations are about, and tells which context it saw."""

    def __init__(self, topics: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._topics = topics or {}

    async def intent(self, ctx: Context) -> str | None:
        return self._topics.get(ctx.id or "")

    @tool(pinned=True)
    def where(
        self, conversation_id: str | None = None, thread_id: str | None = None, *, ctx: Context
    ) -> list[str | None]:
        """Say which context this is, and where its name was."""
        return [ctx.id, str(ctx.carrier) if ctx.carrier else None]


class Conversation(Protocol):
    """One conversation of a host with a server."""

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request as the host does; return the reply."""
        ...


class OverHttp:
    """A conversation over HTTP."""

    def __init__(self, app: Office, shape: Shape, revision: str) -> None:
        self._app = app
        self._shape = shape
        self._revision = revision

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        shape = self._shape
        asked = message(method, shape.params(method, self._revision, **params))
        modern = self._revision == MODERN
        headers = mirrored(asked) if modern else JSON_HEADERS | {"mcp-protocol-version": self._revision}
        headers = headers | shape.headers | (shape.call_headers if method == "tools/call" else {})
        transport = httpx2.ASGITransport(app=self._app)
        async with httpx2.AsyncClient(transport=transport, timeout=20) as client:
            url = f"{URL}?{shape.query}" if shape.query else URL
            response = await client.post(url, content=msgspec.json.encode(asked), headers=headers)
        reply = response.json()
        assert isinstance(reply, dict)
        return reply


class OverStdio:
    """A conversation over a pipe that others may share; takes turns, so a reply is to its request."""

    def __init__(self, pipes: Pipes, shape: Shape, revision: str) -> None:
        self._pipes = pipes
        self._shape = shape
        self._revision = revision

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        return await self._pipes.ask(method, self._shape.params(method, self._revision, **params))


@asynccontextmanager
async def over_stdio(
    server: Office, shapes: Sequence[Shape], revision: str
) -> AsyncIterator[list[OverStdio]]:
    """Hold conversations over one pipe."""
    async with connected(server) as pipes:
        if revision != MODERN:
            opening = {
                "protocolVersion": revision,
                "capabilities": {},
                "clientInfo": {"name": "t", "version": "0"},
            }
            await pipes.ask("initialize", opening)
        yield [OverStdio(pipes, shape, revision) for shape in shapes]


async def where(conversation: Conversation) -> tuple[str | None, str | None]:
    """Return which context a call was seen in, and where its name was."""
    reply = await conversation.ask("tools/call", name="where", arguments={})
    context_id, carrier = reply["result"]["structuredContent"]["result"]
    return context_id, carrier


async def listed(conversation: Conversation) -> tuple[list[str], bool]:
    """Return the tools on the first page, and whether the list was narrowed."""
    result = (await conversation.ask("tools/list"))["result"]
    view = result.get("_meta", {}).get(meta.VIEW)
    return [row["name"] for row in result["tools"]], bool(view) and view["shown"] < view["total"]
