"""Messages that are too deep, too slow, or compressed."""

from __future__ import annotations

import asyncio
import io
import tracemalloc
from typing import Any

import msgspec
import pytest

from scopedtools.exceptions import DefinitionError
from scopedtools.limits import Limits, operated
from scopedtools.transports.stdio import StdioTransport
from tests.limits.mill import Mill
from tests.wire.exchange import ENVELOPE, JSON_HEADERS, Answer, http, message, mirrored

pytestmark = pytest.mark.anyio

SHALLOW = 8


def nested(levels: int, value: Any = "[{" * 50) -> bytes:
    """Make a call with so many objects and lists inside each other, and brackets that are none in text."""
    for level in range(levels - 3):
        value = [value] if level % 2 else {'"[\\': value}
    request = message("tools/call", {"_meta": ENVELOPE, "name": "weigh", "arguments": {"x": value}})
    return msgspec.json.encode(request)


async def sent(mill: Mill, body: bytes) -> Answer:
    request = message("tools/call", {"name": "weigh"})
    return await http(mill, body, mirrored(request))


async def test_a_message_may_be_as_deep_as_the_limit_and_no_deeper() -> None:
    mill = Mill(authorized=False, max_json_depth=SHALLOW)
    assert (await sent(mill, nested(SHALLOW))).status == 200
    too_deep = await sent(mill, nested(SHALLOW + 1))
    assert too_deep.refusal == (400, -32600)
    assert too_deep.reply["id"] == 1
    assert "8 levels" in too_deep.error["message"]


@pytest.mark.parametrize("levels", [65, 500, 990, 5_000, 500_000])
async def test_depth_never_reaches_the_limits_of_the_interpreter(levels: int) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"weigh","arguments":{"x":%b%b}}}'
    answer = await sent(Mill(authorized=False), body % (b"[" * levels, b"]" * levels))
    assert answer.status == 400
    assert answer.error["code"] in (-32600, -32700)


async def test_messages_of_a_batch_and_lines_are_as_deep_as_others() -> None:
    mill = Mill(authorized=False, max_json_depth=SHALLOW)
    batch = b"[%b,%b]" % (nested(SHALLOW), nested(SHALLOW + 1))
    answer = await http(mill, batch, JSON_HEADERS | {"mcp-protocol-version": "2025-03-26"})
    codes = [reply.get("error", {}).get("code") for reply in msgspec.json.decode(answer.body)]
    assert codes[1] == -32600
    sink = io.BytesIO()
    limits = Limits(max_json_depth=SHALLOW)
    await StdioTransport(mill.dispatcher, limits=limits).serve(io.BytesIO(nested(SHALLOW + 1) + b"\n"), sink)
    assert msgspec.json.decode(sink.getvalue())["error"]["code"] == -32600


async def test_a_body_that_trickles_is_given_up() -> None:
    mill, events = Mill(authorized=False, body_timeout_s=0.05), asyncio.Queue[Any]()
    events.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
    answer: list[Any] = []

    async def send(event: Any) -> None:
        answer.append(event)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": headers}
    async with asyncio.timeout(10):
        await mill(scope, events.get, send)
    assert answer[0]["status"] == 408
    assert (b"connection", b"close") in answer[0]["headers"]


@pytest.mark.parametrize("announced", [b"4194305", b"9" * 5_000])
async def test_a_body_that_announces_too_much_is_refused_unread(announced: bytes) -> None:
    async def receive() -> Any:
        raise AssertionError("it was read")

    statuses: list[int] = []

    async def send(event: Any) -> None:
        statuses.append(event.get("status", 0))

    headers = [(b"content-type", b"application/json"), (b"content-length", announced)]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": headers}
    await Mill(authorized=False)(scope, receive, send)
    assert statuses[0] == 413


async def test_a_body_in_the_smallest_of_chunks_takes_little_more_memory_than_it_has_bytes() -> None:
    body = b" " * 200_000 + msgspec.json.encode(message("ping"))
    events = iter(range(0, len(body), 2))
    answer: list[Any] = []
    taken: list[int] = []

    async def receive() -> Any:
        at = next(events)
        is_last = at + 2 >= len(body)
        if at == 0 or is_last:
            taken.append(tracemalloc.get_traced_memory()[0])
        return {"type": "http.request", "body": body[at : at + 2], "more_body": not is_last}

    async def send(event: Any) -> None:
        answer.append(event)

    headers = [(name.encode(), value.encode()) for name, value in JSON_HEADERS.items()]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": headers}
    mill = Mill(authorized=False)
    tracemalloc.start()
    try:
        await mill(scope, receive, send)
    finally:
        tracemalloc.stop()
    assert answer[0]["status"] == 200
    assert taken[1] - taken[0] < 5 * len(body)


async def test_a_client_that_is_cancelled_while_its_body_comes_is_not_answered() -> None:
    reading = asyncio.Event()

    async def receive() -> Any:
        reading.set()
        await asyncio.Event().wait()

    async def send(event: Any) -> None:
        raise AssertionError(event)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": headers}
    request = asyncio.create_task(Mill(authorized=False)(scope, receive, send))
    await reading.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip", "GZIP"])
async def test_a_compressed_body_is_refused_unread(coding: str) -> None:
    body = msgspec.json.encode(message("ping"))
    answer = await http(Mill(authorized=False), body, JSON_HEADERS | {"content-encoding": coding})
    assert answer.refusal == (415, -32600)
    assert answer.headers["accept-encoding"] == "identity"


async def test_a_body_that_says_that_it_is_not_compressed_is_read() -> None:
    body = msgspec.json.encode(message("ping"))
    answer = await http(Mill(authorized=False), body, JSON_HEADERS | {"content-encoding": "Identity"})
    assert answer.status == 200


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"concurrent_calls": 0}, "concurrent_calls must be >= 1, got 0"),
        ({"call_timeout_s": 0}, "call_timeout_s must be >= 0.001, got 0"),
        ({"rate_per_principal": "often"}, "rate_per_principal must be like '600/minute', got 'often'"),
        ({"rate_per_context": "0/minute"}, "rate_per_context must be like"),
        ({"call_timeout_s": float("nan")}, "call_timeout_s must be >= 0.001, got nan"),
        ({"rate_store": "postgresql://u:secret@h"}, "got 'postgresql'"),
    ],
)
def test_limits_that_make_no_sense_are_refused_at_once(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said) as error:
        Limits(**wrong)
    assert "secret" not in str(error.value)


def test_whoever_runs_a_server_says_what_its_author_left_open_or_said_otherwise() -> None:
    said = {
        "SCOPEDTOOLS_CONCURRENT_CALLS": "5",
        "SCOPEDTOOLS_CALL_TIMEOUT_S": "1.5",
        "SCOPEDTOOLS_RATE_PER_CONTEXT": "9/second",
        "SCOPEDTOOLS_STORE": "redis://there",
    }
    limits = operated(Limits(concurrent_calls=7, max_json_depth=9), said)
    assert limits == Limits(
        concurrent_calls=5,
        max_json_depth=9,
        call_timeout_s=1.5,
        rate_per_context="9/second",
        rate_store="redis://there",
    )
    kept = "rediss://:secret@there:1/2?ttl_s=60&timeout_s=0.5&ssl_ca_certs=a.pem"
    counted = operated(None, {"SCOPEDTOOLS_STORE": kept}).rate_store
    assert counted == "rediss://:secret@there:1/2?ssl_ca_certs=a.pem", (
        "settings of contexts are none of rates"
    )
    assert operated(None, {"SCOPEDTOOLS_STORE": "postgresql://there"}) == Limits()
    with pytest.raises(DefinitionError, match="SCOPEDTOOLS_LISTENERS must be a number, got 'many'"):
        operated(None, {"SCOPEDTOOLS_LISTENERS": "many"})
