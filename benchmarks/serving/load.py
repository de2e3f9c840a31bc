"""A client that costs next to nothing: connections that are kept, requests that are bytes already."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol, cast

import httptools

from benchmarks.serving.wire import HOST, Template


class AnswerError(Exception):
    """A server answered with something else than it did before, or not at all."""


class Answer(NamedTuple):
    """One answer.

    Attributes:
        status: Of HTTP.
        headers: By name in small letters.
        body: Without the framing of HTTP.
    """

    status: int
    headers: dict[str, str]
    body: bytes


class Taken(NamedTuple):
    """What a number of requests took, as this side sees it.

    Attributes:
        wall_s: From the first request to the last answer.
        latencies_ms: Of each request, in the order of answers.
    """

    wall_s: float
    latencies_ms: Sequence[float]


class Asking(Protocol):
    """Whoever asks over a connection.

    Attributes:
        keeping: Whether answers are wanted, not only their lengths.
    """

    keeping: bool

    def answered(self, one: Connection) -> None:
        """Take note of an answer."""
        ...

    def lost(self, error: Exception | None) -> None:
        """Take note of a connection that ended."""
        ...


class Connection(asyncio.Protocol):
    """A connection that is kept, with one request under way at a time.

    Args:
        client: Is told of answers.
    """

    def __init__(self, client: Asking) -> None:
        self._client = client
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self.length = 0
        self.sent_s = 0.0

    @property
    def status(self) -> int:
        return self._parser.get_status_code()

    def send(self, data: bytes) -> None:
        if self._transport is None:
            raise AnswerError("the connection is not open")
        self.length = 0
        self.sent_s = time.perf_counter()
        self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its type

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.lost(exc)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._client.keeping:
            self.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self.length += len(body)
        if self._client.keeping:
            self.chunks.append(body)

    def on_message_complete(self) -> None:
        self._client.answered(self)


class Client:
    """Asks one server over a fixed number of connections, each of which has one request under way.

    Use `connected`.

    Args:
        numbers: Of the requests; where one iterator serves all clients, none is ever sent twice.
    """

    def __init__(self, numbers: Iterator[int]) -> None:
        self.keeping = False
        self._connections: list[Connection] = []
        self._numbers = numbers
        self._left = self._expected = 0
        self._template = Template((b"",))
        self._length: int | None = None
        self._latencies: list[float] = []
        self._done: asyncio.Future[None] | None = None

    async def open(self, port: int, connections: int) -> None:
        """Connect."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, one = await loop.create_connection(lambda: Connection(self), HOST, port)
            self._connections.append(one)

    def close(self) -> None:
        """Close all connections."""
        self._done = None
        for one in self._connections:
            one.close()

    async def run(self, template: Template, times: int, *, length: int | None = None) -> Taken:
        """Ask as often as is told, as fast as answers come.

        Args:
            template: What is asked.
            times: How often, over all connections.
            length: Bytes that every body has, where that is known.

        Raises:
            AnswerError: An answer has another status than 200 or another length, or a connection ended.
        """
        self._template, self._length, self._latencies = template, length, []
        self._left = self._expected = times
        done = self._done = asyncio.get_running_loop().create_future()
        start = time.perf_counter()
        for one in self._connections[:times]:
            self._next(one)
        await done
        return Taken(time.perf_counter() - start, self._latencies)

    async def ask(self, template: Template) -> Answer:
        """Ask once; returns the whole answer, whatever it is."""
        self.keeping = True
        first = self._connections[0]
        first.headers, first.chunks = {}, []
        try:
            await self.run(template, 1)
        finally:
            self.keeping = False
        return Answer(first.status, first.headers, b"".join(first.chunks))

    def answered(self, one: Connection) -> None:
        """Take note of an answer, and send the next request."""
        self._latencies.append((time.perf_counter() - one.sent_s) * 1000)
        wrong = one.status != 200 or (self._length is not None and one.length != self._length)
        if wrong and not self.keeping:
            self._fail(f"status {one.status}, {one.length} bytes where {self._length} were expected")
        elif self._left:
            self._next(one)
        elif len(self._latencies) == self._expected and self._done is not None and not self._done.done():
            self._done.set_result(None)

    def lost(self, error: Exception | None) -> None:
        """Take note of a connection that ended."""
        self._fail(f"a connection ended: {error or 'closed by the server'}")

    def _next(self, one: Connection) -> None:
        self._left -= 1
        one.send(self._template.numbered(next(self._numbers)))

    def _fail(self, why: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(AnswerError(why))


@asynccontextmanager
async def connected(port: int, numbers: Iterator[int], connections: int = 1) -> AsyncIterator[Client]:
    """Connect to a server; the connections are closed at the end."""
    client = Client(numbers)
    try:
        await client.open(port, connections)
        yield client
    finally:
        client.close()
