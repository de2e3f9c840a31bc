"""HTTP requests that stay open: a client that reads at its own pace and leaves when it likes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, NamedTuple

import msgspec
from starlette.types import ASGIApp, Message, Scope

from tests.wire.exchange import ENVELOPE, JSON_HEADERS, message, mirrored

LIMIT_S: Final = 10.0
"""Only ever reached where a test fails."""

CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
EVERYTHING: Final[Mapping[str, Any]] = {"elicitation": {}, "sampling": {}, "roots": {}}


class Event(NamedTuple):
    """A server-sent event."""

    id: str
    data: dict[str, Any]
    retry: str
    comment: str


class Opened:
    """A request that was sent. The client stays until it says otherwise."""

    def __init__(self, app: ASGIApp, scope: Scope, body: bytes) -> None:
        self.left = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self.broken = False
        self.sent = 0
        self._body: bytes | None = body
        self._parts: asyncio.Queue[Message] = asyncio.Queue()
        self._text = b""
        self._over = False
        self._start: Message | None = None
        self.done = asyncio.create_task(self._run(app, scope))

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive, self._send)
        finally:
            await self._parts.put({"type": "end"})

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, part: Message) -> None:
        await self.reading.wait()
        if self.broken:
            raise ConnectionResetError("the client is gone")
        self.sent += 1
        await self._parts.put(part)

    async def start(self) -> Message:
        """Wait for status and headers."""
        if self._start is None:
            async with asyncio.timeout(LIMIT_S):
                self._start = await self._parts.get()
            if self._start["type"] != "http.response.start":
                await self.done
                raise AssertionError(self._start)
        return self._start

    async def status(self) -> int:
        return int((await self.start())["status"])

    async def header(self, name: str) -> str | None:
        headers = {key.decode(): value.decode() for key, value in (await self.start())["headers"]}
        return headers.get(name)

    async def json(self) -> dict[str, Any]:
        """Wait for an answer of one piece."""
        assert await self.header("content-type") == "application/json"
        async with asyncio.timeout(LIMIT_S):
            await self.done
        body = b"".join([part.get("body", b"") for part in self._left_over()])
        answer: dict[str, Any] = msgspec.json.decode(body)
        return answer

    async def answer(self) -> dict[str, Any]:
        """Wait for the answer, which is the last of several messages or the only one."""
        if await self.header("content-type") == "application/json":
            return await self.json()
        return (await self.messages())[-1]

    def _left_over(self) -> list[Message]:
        return [self._parts.get_nowait() for _ in range(self._parts.qsize())]

    async def next(self) -> Event | None:
        """Wait for the next event; ``None`` where the stream is over."""
        assert await self.header("content-type") == "text/event-stream", await self.start()
        async with asyncio.timeout(LIMIT_S):
            while b"\n\n" not in self._text and not self._over:
                part = await self._parts.get()
                self._text += part.get("body", b"")
                self._over = part["type"] == "end" or not part.get("more_body")
        if not self._text:
            return None
        event, _, self._text = self._text.partition(b"\n\n")
        return _event(event.decode())

    async def message(self) -> dict[str, Any]:
        """Wait for the next JSON-RPC message in the stream."""
        while (event := await self.next()) is not None:
            if event.data:
                return event.data
        raise AssertionError("the stream is over")

    async def messages(self) -> list[dict[str, Any]]:
        """Wait for the end of the stream; return what came until then."""
        found = []
        while (event := await self.next()) is not None:
            if event.data:
                found.append(event.data)
        return found

    async def end(self) -> None:
        """Wait until the server is done with the request."""
        async with asyncio.timeout(LIMIT_S):
            await self.done

    async def leave(self) -> None:
        """Close the connection."""
        self.left.set()
        self.reading.set()
        await self.end()


def _event(text: str) -> Event:
    fields = {"id": "", "data": "", "retry": "", "": "", "event": ""}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields[name] += value.strip()
    data = msgspec.json.decode(fields["data"]) if fields["data"] else {}
    return Event(fields["id"], data, fields["retry"], fields[""])


@asynccontextmanager
async def opened(
    app: ASGIApp,
    request: Mapping[str, Any] | None,
    headers: Mapping[str, str] = JSON_HEADERS,
    *,
    method: str = "POST",
) -> AsyncIterator[Opened]:
    """Send a request; close the connection at the end."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": "/mcp",
        "raw_path": b"/mcp",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    one = Opened(app, scope, b"" if request is None else msgspec.json.encode(request))
    try:
        yield one
    finally:
        one.left.set()
        one.reading.set()
        async with asyncio.timeout(LIMIT_S):
            await asyncio.wait([one.done])


def modern(
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    message_id: Any = 1,
    can: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a request of the stateless revision."""
    envelope = {**ENVELOPE, CAPABILITIES: dict(can or {}), **(meta or {})}
    return message(method, {**(params or {}), "_meta": envelope}, message_id=message_id)


def opened_modern(
    app: ASGIApp, request: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> AbstractAsyncContextManager[Opened]:
    """Send a request of the stateless revision."""
    return opened(app, request, mirrored(request) | dict(headers or {}))


async def asked(
    app: ASGIApp, request: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Send a request of the stateless revision and return the last message of its answer."""
    async with opened_modern(app, request, headers) as one:
        return await one.answer()


async def call(
    app: ASGIApp,
    name: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    can: Mapping[str, Any] | None = EVERYTHING,
    answers: Mapping[str, Any] | None = None,
    state: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Call a tool at the stateless revision; return the last message."""
    params: dict[str, Any] = {"name": name, "arguments": dict(arguments or {})}
    params |= {} if answers is None else {"inputResponses": dict(answers)}
    params |= {} if state is None else {"requestState": state}
    return await asked(app, modern("tools/call", params, can=can), headers)


def text(answer: Mapping[str, Any]) -> str:
    """Return the text of a result."""
    return str(answer["result"]["content"][0]["text"])
