"""A client that asks at moments that were set before, whether or not earlier requests were answered."""

from __future__ import annotations

import asyncio
import selectors
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from benchmarks.serving.load import AnswerError, Connection
from benchmarks.serving.wire import HOST


class Arrival(NamedTuple):
    """A request to come.

    Attributes:
        at_s: When, from the beginning.
        kind: What it is counted under.
        data: Its bytes.
    """

    at_s: float
    kind: str
    data: bytes


class Served(NamedTuple):
    """How a request went.

    Attributes:
        kind: What it is counted under.
        latency_ms: From the moment that was set for it, not from when it could be sent.
        late_ms: From that moment to when it was sent.
    """

    kind: str
    latency_ms: float
    late_ms: float


def precise_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop that wakes up to the microsecond; others round up to milliseconds."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


class Client:
    """Asks one server over a fixed number of connections; what finds all of them busy waits here.

    Use `connected`.
    """

    def __init__(self) -> None:
        self.keeping = False
        self._connections: list[Connection] = []
        self._free: list[Connection] = []
        self._waiting: deque[Arrival] = deque()
        self._under_way: dict[Connection, Arrival] = {}
        self._served: list[Served] = []
        self._start_s = 0.0
        self._done: asyncio.Future[None] | None = None
        self._expected = 0

    async def open(self, port: int, connections: int) -> None:
        """Connect."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, one = await loop.create_connection(lambda: Connection(self), HOST, port)
            self._connections.append(one)
        self._free = list(self._connections)

    def close(self) -> None:
        """Close all connections."""
        self._done = None
        for one in self._connections:
            one.close()

    async def run(self, arrivals: Sequence[Arrival]) -> list[Served]:
        """Ask, each request at its moment.

        Args:
            arrivals: In the order of their moments.

        Returns:
            One for each, in the order of answers.

        Raises:
            AnswerError: An answer has another status than 200, or a connection ended.
        """
        self._served, self._expected = [], len(arrivals)
        done = self._done = asyncio.get_running_loop().create_future()
        self._start_s = time.perf_counter()
        for one in arrivals:
            if (early_s := one.at_s - self._now_s()) > 0:
                await asyncio.sleep(early_s)
            if done.done():
                break
            self._waiting.append(one)
            self._send()
        await done
        return self._served

    def answered(self, one: Connection) -> None:
        """Take note of an answer."""
        asked = self._under_way.pop(one)
        now_s = self._now_s()
        late_s = one.sent_s - self._start_s - asked.at_s
        self._served.append(Served(asked.kind, (now_s - asked.at_s) * 1000, late_s * 1000))
        self._free.append(one)
        if one.status != 200:
            self._fail(f"status {one.status} to {asked.kind}")
        elif len(self._served) == self._expected and self._done is not None and not self._done.done():
            self._done.set_result(None)
        self._send()

    def lost(self, error: Exception | None) -> None:
        """Take note of a connection that ended."""
        self._fail(f"a connection ended: {error or 'closed by the server'}")

    def _send(self) -> None:
        while self._waiting and self._free:
            one, asked = self._free.pop(), self._waiting.popleft()
            self._under_way[one] = asked
            one.send(asked.data)

    def _now_s(self) -> float:
        return time.perf_counter() - self._start_s

    def _fail(self, why: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(AnswerError(why))


@asynccontextmanager
async def connected(port: int, connections: int) -> AsyncIterator[Client]:
    """Connect to a server; the connections are closed at the end."""
    client = Client()
    try:
        await client.open(port, connections)
        yield client
    finally:
        client.close()
