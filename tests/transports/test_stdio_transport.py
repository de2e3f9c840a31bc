"""stdio over real pipes: requests side by side, both eras, and clients that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
import msgspec
import pytest
from mcp_types.methods import validate_server_result

from scopedtools import ScopedServer, tool
from scopedtools.limits import Limits
from scopedtools.transports.stdio import StdioTransport
from tests.wire.exchange import ENVELOPE, LEGACY, MODERN, message

pytestmark = pytest.mark.anyio

LIMIT_S = 20


class Pipes:
    """The client's ends of two pipes."""

    def __init__(
        self, to_server: asyncio.WriteTransport, replies: asyncio.StreamReader, reading: asyncio.ReadTransport
    ) -> None:
        self.to_server = to_server
        self._replies = replies
        self._reading = reading

    def write(self, line: bytes) -> None:
        self.to_server.write(line)

    def send(self, method: str, params: Any = None, message_id: Any = 1) -> None:
        self.write(msgspec.json.encode(message(method, params, message_id=message_id)) + b"\n")

    def call(self, name: str, message_id: Any = 1) -> None:
        self.send("tools/call", {"name": name}, message_id)

    async def read(self) -> dict[str, Any]:
        line = await self._replies.readline()
        assert line.endswith(b"\n")
        reply = msgspec.json.decode(line)
        assert isinstance(reply, dict)
        assert reply["jsonrpc"] == "2.0"
        return reply

    async def ask(self, method: str, params: Any = None, message_id: Any = 1) -> dict[str, Any]:
        self.send(method, params, message_id)
        reply = await self.read()
        assert reply["id"] == message_id
        return reply

    def stop_reading(self) -> None:
        self._reading.close()


@asynccontextmanager
async def connected(server: ScopedServer, **options: Any) -> AsyncIterator[Pipes]:
    """Serve over two pipes; at the end close them and see the server end as well."""
    source_fd, to_server_fd = os.pipe()
    from_server_fd, sink_fd = os.pipe()
    replies = asyncio.StreamReader(limit=2**22)
    loop = asyncio.get_running_loop()
    reading, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(replies), os.fdopen(from_server_fd, "rb")
    )
    to_server, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(to_server_fd, "wb"))
    source, sink = os.fdopen(source_fd, "rb"), os.fdopen(sink_fd, "wb")
    serving = asyncio.create_task(StdioTransport(server.dispatcher, **options).serve(source, sink))
    try:
        async with asyncio.timeout(LIMIT_S):
            yield Pipes(to_server, replies, reading)
            to_server.close()
            await serving
    finally:
        to_server.close()
        reading.close()
        serving.cancel()
        await asyncio.wait([serving])
        source.close()
        with contextlib.suppress(BrokenPipeError):
            sink.close()


class Shop(ScopedServer):
    """Sells books."""

    @tool(title="Count books")
    async def count(self) -> int:
        """Count the books."""
        return 7


async def test_requests_of_both_eras_are_answered_on_one_pipe() -> None:
    async with connected(Shop()) as client:
        opening = {
            "protocolVersion": "2025-03-26",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "0"},
        }
        opened = await client.ask("initialize", opening)
        validate_server_result("initialize", "2025-03-26", opened["result"])
        assert opened["result"]["protocolVersion"] == "2025-03-26"
        client.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        for _ in range(2):
            old = (await client.ask("tools/list"))["result"]
            validate_server_result("tools/list", "2025-03-26", old)
            assert set(old["tools"][0]) == {"name", "description", "inputSchema"}
            assert not {"resultType", "ttlMs", "cacheScope"} & set(old)
            new = (await client.ask("tools/list", {"_meta": ENVELOPE}))["result"]
            validate_server_result("tools/list", MODERN, new)
            assert new["tools"][0]["title"] == "Count books"
            assert new["resultType"] == "complete"
        called = await client.ask("tools/call", {"_meta": ENVELOPE, "name": "count"})
        assert called["result"]["structuredContent"] == {"result": 7}
        assert "structuredContent" not in (await client.ask("tools/call", {"name": "count"}))["result"]
        assert (await client.ask("server/discover", {"_meta": ENVELOPE}))["result"]["supportedVersions"]


async def test_a_revision_named_by_a_request_is_its_own_and_lasts_no_longer() -> None:
    async with connected(Shop()) as client:
        meta = {"io.modelcontextprotocol/protocolVersion": "2025-03-26"}
        assert "title" not in (await client.ask("tools/list", {"_meta": meta}))["result"]["tools"][0]
        assert "title" in (await client.ask("tools/list"))["result"]["tools"][0]


async def test_two_connections_to_one_server_negotiate_apart() -> None:
    server = Shop()
    async with connected(server) as old, connected(server) as new:
        await old.ask("initialize", {"protocolVersion": "2025-03-26"})
        await new.ask("initialize", {"protocolVersion": "2025-11-25"})
        assert "title" not in (await old.ask("tools/list"))["result"]["tools"][0]
        assert "title" in (await new.ask("tools/list"))["result"]["tools"][0]


@pytest.mark.parametrize(
    ("line", "code", "message_id"),
    [
        (b"nonsense", -32700, None),
        (b'{"jsonrpc":"2.0","id":1', -32700, None),
        (b"\xff\xfe", -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', -32700, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b'{"a":' * 100_000, -32700, None),
        (b"[]", -32600, None),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600, None),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600, None),
        (b'{"jsonrpc":"2.0","id":7}', -32600, 7),
        (b'{"id":7,"method":"ping"}', -32600, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"notifications/cancelled"}', -32600, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"no/such"}', -32601, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"server/discover"}', -32601, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"tools/list","params":[]}', -32602, 7),
        (b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"nope"}}', -32602, 7),
    ],
)
async def test_what_is_wrong_is_answered_and_the_connection_goes_on(
    line: bytes, code: int, message_id: int | None
) -> None:
    async with connected(Shop()) as client:
        client.write(line + b"\n")
        reply = await client.read()
        assert (reply["error"]["code"], reply.get("id")) == (code, message_id)
        assert (await client.ask("ping"))["result"] == {}


@pytest.mark.parametrize(
    ("meta", "code"),
    [
        ({"io.modelcontextprotocol/protocolVersion": MODERN}, -32602),
        (ENVELOPE | {"io.modelcontextprotocol/clientCapabilities": 5}, -32602),
        (ENVELOPE | {"io.modelcontextprotocol/protocolVersion": 5}, -32602),
        (ENVELOPE | {"io.modelcontextprotocol/protocolVersion": "2099-01-01"}, -32022),
    ],
)
async def test_a_wrong_envelope_is_refused(meta: dict[str, Any], code: int) -> None:
    async with connected(Shop()) as client:
        error = (await client.ask("tools/list", {"_meta": meta}))["error"]
        assert error["code"] == code
        if code == -32022:
            assert error["data"]["requested"] == "2099-01-01"
            assert MODERN in error["data"]["supported"]


@pytest.mark.parametrize(
    "method", ["initialize", "ping", "logging/setLevel", "resources/subscribe", "no/such"]
)
async def test_a_method_that_the_stateless_revision_has_not_is_not_found(method: str) -> None:
    async with connected(Shop()) as client:
        params = {"_meta": ENVELOPE, "protocolVersion": LEGACY[0]}
        assert (await client.ask(method, params))["error"]["code"] == -32601


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":5}',
        b'{"jsonrpc":"2.0","method":"no/such/thing","params":{"_meta":5}}',
        b'{"jsonrpc":"2.0","method":"tools/list"}',
        b'{"jsonrpc":"2.0","method":"notifications/x","params":{"_meta":{"%s":"2099-01-01"}}}'
        % b"io.modelcontextprotocol/protocolVersion",
        b'{"jsonrpc":"2.0","id":5,"result":{}}',
        b'{"jsonrpc":"2.0","id":5,"error":{"code":1,"message":"no"}}',
        b"",
        b"   ",
        b"\r",
    ],
)
async def test_notifications_replies_and_empty_lines_are_never_answered(line: bytes) -> None:
    async with connected(Shop()) as client:
        client.write(line + b"\n")
        assert await client.ask("ping", message_id="next") == {"jsonrpc": "2.0", "id": "next", "result": {}}


async def test_lines_may_end_as_on_windows() -> None:
    async with connected(Shop()) as client:
        client.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\r\n')
        assert (await client.read())["result"] == {}


class Kitchen(ScopedServer):
    """Cooks."""

    def __init__(self) -> None:
        super().__init__()
        self.started = asyncio.Event()
        self.done = asyncio.Event()
        self.released = threading.Event()
        self.tasted = asyncio.Event()

    @tool
    async def cook(self) -> str:
        """Take long."""
        self.started.set()
        await self.done.wait()
        return "cooked"

    @tool
    def boil(self) -> str:
        """Take long in a thread."""
        self.released.wait(LIMIT_S)
        return "boiled"

    @tool
    async def taste(self) -> str:
        """Be fast."""
        self.tasted.set()
        return "good"

    @tool
    async def feast(self) -> str:
        """Return more than a pipe holds."""
        return "!" * 2**21


async def test_a_slow_tool_does_not_hold_up_a_fast_one() -> None:
    kitchen = Kitchen()
    async with connected(kitchen) as client:
        client.call("cook", 1)
        client.call("taste", 2)
        assert (await client.read())["id"] == 2
        kitchen.done.set()
        assert (await client.read())["id"] == 1


async def test_many_slow_tools_in_threads_do_not_hold_up_the_connection() -> None:
    kitchen = Kitchen()
    async with connected(kitchen) as client:
        for number in range(60):
            client.call("boil", number)
        client.call("taste", "fast")
        assert (await client.read())["id"] == "fast"
        kitchen.released.set()
        assert sorted([(await client.read())["id"] for _ in range(60)]) == list(range(60))


async def test_a_client_that_is_slow_to_read_does_not_hold_up_tools() -> None:
    kitchen = Kitchen()
    async with connected(kitchen) as client:
        client.call("feast", 1)
        client.call("feast", 2)
        client.call("taste", 3)
        await kitchen.tasted.wait()
        assert sorted([(await client.read())["id"] for _ in range(3)]) == [1, 2, 3]


async def test_answers_never_mix() -> None:
    kitchen = Kitchen()
    async with connected(kitchen) as client:
        for number in range(20):
            client.call("feast" if number % 2 else "taste", number)
        assert sorted([(await client.read())["id"] for _ in range(20)]) == list(range(20))


async def test_calls_that_run_when_the_client_closes_its_side_are_finished() -> None:
    kitchen = Kitchen()
    async with connected(kitchen) as client:
        client.call("cook", 1)
        client.call("cook", 2)
        await kitchen.started.wait()
        client.to_server.close()
        kitchen.done.set()
        assert sorted([(await client.read())["id"] for _ in range(2)]) == [1, 2]


async def test_a_last_line_without_its_end_is_answered() -> None:
    async with connected(Shop()) as client:
        client.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
        client.to_server.close()
        assert (await client.read())["result"] == {}


async def test_a_client_that_says_nothing_gets_nothing() -> None:
    sink = io.BytesIO()
    await StdioTransport(Shop().dispatcher).serve(io.BytesIO(), sink)
    assert sink.getvalue() == b""


@pytest.mark.parametrize("length", [1001, 1500, 2000, 2001, 2002, 3003, 100_000])
async def test_a_line_that_is_too_long_is_refused_and_the_next_one_answered(length: int) -> None:
    async with connected(Shop(), limits=Limits(max_body_bytes=1000)) as client:
        client.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}'.ljust(length) + b"\n")
        reply = await client.read()
        assert reply["error"]["code"] == -32600
        assert "1000 bytes" in reply["error"]["message"]
        assert "id" not in reply
        assert (await client.ask("ping"))["result"] == {}


async def test_a_line_of_the_largest_length_is_answered() -> None:
    async with connected(Shop(), limits=Limits(max_body_bytes=1000)) as client:
        client.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}'.ljust(999) + b"\n")
        assert (await client.read())["result"] == {}


async def test_a_last_line_that_is_too_long_is_refused() -> None:
    async with connected(Shop(), limits=Limits(max_body_bytes=1000)) as client:
        client.write(b"x" * 5000)
        client.to_server.close()
        assert (await client.read())["error"]["code"] == -32600


async def test_a_client_that_no_longer_reads_ends_nothing_but_its_answers() -> None:
    kitchen = Kitchen()
    async with connected(kitchen) as client:
        client.stop_reading()
        client.send("ping")
        client.call("cook")
        await kitchen.started.wait()
        kitchen.done.set()
        client.call("taste")
        await kitchen.tasted.wait()


async def test_a_client_at_a_socket_that_goes_away_without_reading_is_the_end_of_its_input() -> None:
    ours, theirs = socket.socketpair()
    kitchen = Kitchen()
    with theirs, theirs.makefile("rb") as source, theirs.makefile("wb") as sink:
        serving = asyncio.create_task(StdioTransport(kitchen.dispatcher).serve(source, sink))
        with ours:
            ours.sendall(msgspec.json.encode(message("tools/call", {"name": "taste"})) + b"\n")
            await kitchen.tasted.wait()
            # The answer lies unread when the socket closes, so the server is told of a reset.
            await anyio.to_thread.run_sync(lambda: ours.recv(1, socket.MSG_PEEK))
        async with asyncio.timeout(LIMIT_S):
            await serving


async def test_a_context_rides_on_stdio_as_well() -> None:
    async with connected(Shop()) as client:
        meta = {**ENVELOPE, "clientSessionId": "one"}
        assert (await client.ask("tools/list", {"_meta": meta}))["result"]["tools"]
