"""A server with narrowed lists on a real socket, a record of what it was asked, and clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

import pytest
from mcp import Client
from mcp_types import RequestParamsMeta
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scopedtools import Context, ScopedServer, ViewSettings, prompt, resource, tool, tools_from
from scopedtools.client import UnitOfWork, connect
from scopedtools.protocol import meta
from scopedtools.protocol.meta import CLIENT_CAPABILITIES, EXTENSION
from scopedtools.retrieval import HybridSelector
from scopedtools.testing import HashingEncoder
from tests.hosting import hosted as listening

LIMIT_S: Final = 20.0

Mode = Literal["auto", "legacy"]
both = pytest.mark.parametrize("mode", ["auto", "legacy"])

NOUNS: Final = ("invoice", "payment", "flight", "hotel", "visa", "mailbox", "archive", "contract")
VERBS: Final = ("create", "find", "update", "cancel", "export")


@dataclass
class Day:
    day: str


def _doing(verb: str, noun: str) -> Callable[[str], str]:
    def run(what: str) -> str:
        return f"{verb} {noun}: {what}"

    run.__name__ = f"{verb}_{noun}"
    run.__doc__ = f"{verb.capitalize()} the {noun} of a customer."
    return run


class Workplace(ScopedServer):
    """Forty tools and more, of which each unit of work sees what it needs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(selector=HybridSelector(HashingEncoder()), **options)

    work = tools_from([_doing(verb, noun) for noun in NOUNS for verb in VERBS])

    @tool(pinned=True)
    def whoami(self, ctx: Context) -> dict[str, Any]:
        """Say which unit of work is asking."""
        return {"id": ctx.id, "carrier": str(ctx.carrier), "intent": ctx.intent, "parent": ctx.parent}

    @tool
    async def ask_for_day(self, ctx: Context) -> str:
        """Ask the user for a day."""
        answer = await ctx.elicit("Which day?", Day)
        return answer.data.day if answer.data else "none"

    @resource("workplace://{name}/note")
    def note(self, name: str) -> str:
        """A note."""
        return f"note of {name}"

    @prompt
    def hello(self) -> str:
        """Say hello."""
        return "Hello."


@dataclass(frozen=True)
class Asked:
    """A request as it reached the server.

    Attributes:
        verb: HTTP method.
        header: ``Mcp-Client-Session-Id``, or ``None``.
        query: Of the URL.
        body: The message, or ``{}``.
    """

    verb: str
    header: str | None
    query: str
    body: dict[str, Any]

    @property
    def method(self) -> str:
        return str(self.body.get("method", "answer" if self.body else ""))

    @property
    def meta(self) -> dict[str, Any]:
        return dict(self.body.get("params", {}).get("_meta", {}))

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the extension."""
        return dict(self.meta.get(CLIENT_CAPABILITIES, {}).get("extensions", {}).get(EXTENSION, {}))

    @property
    def ids(self) -> set[Any]:
        """The contexts that it names, in all the places for one; one, if all is right."""
        found = {self.header}
        if "id" in self.body and self.method != "answer":
            found.add(self.meta.get("clientSessionId"))
            if self.method != "initialize":
                found.add(self.settings.get("contextId"))
        return found


@dataclass
class Wire:
    """What went over the wire to a server.

    Attributes:
        url: Of the endpoint.
        seen: Requests in the order in which they came.
        gates: Events by method: the next request waits for it after the server has answered and before the
            answer leaves.
        arrived: Set when a request waits at a gate.
    """

    url: str = ""
    seen: list[Asked] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, *methods: str) -> list[Asked]:
        return [asked for asked in self.seen if asked.method in methods]

    def lists(self) -> int:
        """Return how many lists of tools were asked for."""
        return len(self.of("tools/list"))


@asynccontextmanager
async def hosted(app: ASGIApp) -> AsyncIterator[Wire]:
    """Host an app on a free port of this machine, and record what it is asked."""
    wire = Wire()
    server = app if isinstance(app, ScopedServer) else None
    async with listening(_recorded(app, wire), server=server) as (host, port):
        wire.url = f"http://{host}:{port}/mcp"
        yield wire


def _recorded(app: ASGIApp, wire: Wire) -> ASGIApp:
    async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        body = await _read(receive) if scope["method"] == "POST" else b""
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        asked = Asked(
            scope["method"],
            headers.get("mcp-client-session-id"),
            scope["query_string"].decode(),
            json.loads(body) if body else {},
        )
        wire.seen.append(asked)
        unread: list[Message] = [{"type": "http.request", "body": body}]

        async def again() -> Message:
            return unread.pop() if unread else await receive()

        async def gated(message: Message) -> None:
            if message["type"] == "http.response.start" and (gate := wire.gates.pop(asked.method, None)):
                wire.arrived.set()
                await gate.wait()
            await send(message)

        await app(scope, again, gated)

    return recorded


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if not message.get("more_body"):
            return body


def names(rows: Iterable[Any]) -> list[str]:
    return [row.name for row in rows]


# Clients


UNIT = UnitOfWork(intent="find invoice", id="unit")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def working(
    unit: UnitOfWork | None = UNIT, *, views: ViewSettings | None = None, **options: Any
) -> AsyncIterator[tuple[Wire, Client]]:
    """Host a server and connect a client to it."""
    server = Workplace(views=views) if views else Workplace()
    async with hosted(server) as wire, connect(wire.url, unit, **options) as client:
        yield wire, client


async def listed(client: Client) -> list[str]:
    return names((await client.list_tools()).tools)


def saying(key: str, value: object) -> RequestParamsMeta:
    return cast("RequestParamsMeta", {key: value})


def conditions(wire: Wire) -> list[Any]:
    """Return the revision that each request for a list named."""
    return [asked.meta.get(meta.IF_REVISION) for asked in wire.of("tools/list")]


app = Workplace()
