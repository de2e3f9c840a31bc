"""Telemetry over real sockets and pipes, with the official client."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, Final, cast

import httpx2
import mcp.shared._otel
import msgspec
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client import advertise
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import RequestParamsMeta
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

from scopedtools.protocol import meta
from tests.hosting import hosted
from tests.streams.opened import modern, opened_modern
from tests.telemetry.seen import Seen, Shop, logged
from tests.transports.test_stdio_transport import connected
from tests.wire.exchange import ENVELOPE

pytestmark = pytest.mark.anyio

LIMIT_S: Final = 30
PARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Collect the spans of the official client as well, which it makes with the providers of the process."""
    both = Seen()
    monkeypatch.setattr(mcp.shared._otel, "_tracer", both.tracer_provider.get_tracer("mcp-python-sdk"))
    return both


def naming(context: str) -> RequestParamsMeta:
    return cast("RequestParamsMeta", {"clientSessionId": context})


def sides(seen: Seen, name: str) -> tuple[ReadableSpan, ReadableSpan]:
    """Return the span of the client and that of the server of the one request of a name."""
    spans = [span for span in seen.spans if span.name.endswith(name)]
    (client,) = [span for span in spans if span.kind is SpanKind.CLIENT]
    (server,) = [span for span in spans if span.kind is SpanKind.SERVER]
    return client, server


async def test_over_http_client_and_server_are_in_one_trace(seen: Seen) -> None:
    async with hosted(Shop(seen)) as (host, port), asyncio.timeout(LIMIT_S):
        context = [advertise(meta.EXTENSION, {"contextId": "chat-1234"})]
        with logged() as lines:
            async with Client(f"http://{host}:{port}/mcp", extensions=context) as client:
                await client.call_tool("pack", {"item": "tea"})
                with pytest.raises(MCPError):
                    await client.call_tool("nothing")
    asked, served = sides(seen, "tools/call pack")
    assert asked.context is not None
    assert served.parent is not None
    assert (served.parent.trace_id, served.parent.span_id) == (asked.context.trace_id, asked.context.span_id)
    inner = seen.span("wrap")
    assert inner.context is not None
    assert inner.context.trace_id == asked.context.trace_id
    trace_id = f"{asked.context.trace_id:032x}"
    packed, weighed = lines.read("a.library")
    assert packed["trace_id"] == weighed["trace_id"] == trace_id
    assert packed["mcp_context"] == (served.attributes or {})["gen_ai.conversation.id"]


async def test_contexts_that_take_turns_on_one_connection_are_told_apart() -> None:
    seen = Seen()
    ids: dict[str, set[Any]] = {"chat-aaaa": set(), "chat-bbbb": set()}
    async with hosted(Shop(seen)) as (host, port), httpx2.AsyncClient() as http, asyncio.timeout(LIMIT_S):
        with logged() as lines:
            client = streamable_http_client(f"http://{host}:{port}/mcp", http_client=http)
            async with Client(client) as one:
                for number in range(10):
                    context = ("chat-aaaa", "chat-bbbb")[number % 2]
                    await one.call_tool("sell", {"item": context}, meta=naming(context))
    for line in lines.read("a.library"):
        ids[line["message"].removeprefix("sold ")].add(line["mcp_context"])
    assert [len(found) for found in ids.values()] == [1, 1]
    assert ids["chat-aaaa"] != ids["chat-bbbb"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_sessions_of_earlier_revisions_are_traced_as_well(seen: Seen, mode: Any) -> None:
    shop = Shop(seen, sessions=True)
    async with hosted(shop) as (host, port):
        client = Client(f"http://{host}:{port}/mcp", mode=mode)
        async with asyncio.timeout(LIMIT_S), client:
            await client.call_tool("sell", {"item": "tea"})
    asked, served = sides(seen, "tools/call sell")
    assert asked.context is not None
    assert served.parent is not None
    assert served.parent.trace_id == asked.context.trace_id
    version = (served.attributes or {})["mcp.protocol.version"]
    assert version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[mode]
    assert ("initialize" in {span.name for span in seen.spans}) is (mode == "legacy")


async def test_a_stream_of_notifications_is_a_span_that_ends_with_it() -> None:
    seen = Seen()
    shop = Shop(seen)
    async with shop:
        listening = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        async with opened_modern(shop, listening) as stream:
            assert (await stream.message())["method"] == "notifications/subscriptions/acknowledged"
            assert seen.spans == []
            await stream.leave()
    assert (seen.span("subscriptions/listen").attributes or {})["scopedtools.outcome"] == "cancelled"


async def test_on_a_pipe_requests_side_by_side_are_told_apart() -> None:
    seen = Seen()
    shop = Shop(seen)
    with logged() as lines:
        async with connected(shop) as pipes:
            for number in range(20):
                own = {**ENVELOPE, "clientSessionId": f"chat-{number:04}", "traceparent": PARENT}
                arguments = {"item": f"chat-{number:04}"}
                pipes.send("tools/call", {"name": "weigh", "arguments": arguments, "_meta": own}, number)
            for _ in range(20):
                assert not (await pipes.read())["result"].get("isError")
    by_context = {line["mcp_context"]: line["message"] for line in lines.read("a.library")}
    assert len(by_context) == len(set(by_context.values())) == 20
    attributes = [span.attributes or {} for span in seen.spans]
    assert {one["network.transport"] for one in attributes} == {"pipe"}
    assert {one["gen_ai.conversation.id"] for one in attributes} == set(by_context)


async def test_on_a_pipe_a_cancelled_call_ends_its_span() -> None:
    seen = Seen()
    shop = Shop(seen)
    async with connected(shop) as pipes:
        pipes.send("tools/call", {"name": "order", "_meta": ENVELOPE}, 7)
        await shop.began.wait()
        gone = {"method": "notifications/cancelled", "params": {"requestId": 7}}
        pipes.write(msgspec.json.encode({"jsonrpc": "2.0", **gone}) + b"\n")
        await pipes.ask("server/discover", {"_meta": ENVELOPE}, 8)
    assert (seen.span("tools/call order").attributes or {})["scopedtools.outcome"] == "cancelled"


PROGRAM: Final = """
import asyncio
from scopedtools.telemetry import Telemetry, configure_logging
from tests.telemetry.seen import Shop
configure_logging("json")
asyncio.run(Shop(observers=[Telemetry()]).serve_stdio())
"""


@pytest.mark.slow
async def test_a_process_on_stdio_without_providers_logs_the_trace_of_the_official_client(
    seen: Seen, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    parameters = StdioServerParameters(
        command=sys.executable, args=["-c", PROGRAM], env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    with told.open("w") as errors:
        async with asyncio.timeout(LIMIT_S), Client(stdio_client(parameters, errlog=errors)) as client:
            await client.call_tool("weigh", {"item": "tea"}, meta=naming("chat-1234"))
    (asked,) = [span for span in seen.spans if span.name.endswith("tools/call weigh")]
    assert asked.context is not None
    ours = [line for line in told.read_text().splitlines() if '"weighed tea"' in line]
    assert f'"trace_id": "{asked.context.trace_id:032x}"' in ours[0]
    assert '"mcp_method": "tools/call"' in ours[0]
    assert "chat-1234" not in told.read_text()
