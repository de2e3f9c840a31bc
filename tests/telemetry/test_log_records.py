"""Every record that is emitted while a request runs says whose it is; no other record does."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import queue
from collections.abc import Mapping
from typing import Any

import anyio.to_thread
import pytest
from opentelemetry import context as otel_context

from scopedtools import Context, ScopedServer, tool
from scopedtools.telemetry import Correlation, CorrelationFilter, Telemetry, current_correlation
from scopedtools.telemetry.correlation import correlated
from scopedtools.telemetry.logs import FIELDS
from scopedtools.testing import Client, WireError
from tests.tasks.kitchen import look
from tests.telemetry.seen import TOKENS, Seen, Shop, logged

pytestmark = pytest.mark.anyio

LIMIT_S = 30


def correlation(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: line[name] for name in FIELDS if name in line}


async def test_records_of_the_author_of_threads_and_of_libraries_carry_the_request() -> None:
    seen = Seen()
    with logged() as lines:
        async with Client(Shop(seen, verifier=TOKENS), context="chat-1234", token="a") as client:
            await client.call_tool("pack", item="tea")
            await client.call_tool("weigh", item="tea")
    packed, weighed, _, weighed_alone, _ = [line for line in lines.read() if correlation(line)]
    span = seen.span("tools/call pack")
    assert span.context is not None
    trace_id = f"{span.context.trace_id:032x}"
    assert correlation(weighed) == {
        "mcp_context": (span.attributes or {})["gen_ai.conversation.id"],
        "mcp_principal": "ann",
        "mcp_method": "tools/call",
        "trace_id": trace_id,
        "span_id": f"{span.context.span_id:016x}",
    }
    inner = seen.span("wrap")
    assert inner.context is not None
    assert (packed["trace_id"], packed["span_id"]) == (trace_id, f"{inner.context.span_id:016x}")
    assert weighed_alone["mcp_context"] == weighed["mcp_context"]
    assert weighed_alone["trace_id"] != trace_id
    assert not any("chat-1234" in str(line) for line in lines.read())


async def test_what_the_server_itself_logs_of_a_failure_carries_the_request() -> None:
    with logged() as lines:
        async with Client(Shop(Seen()), context="chat-1234") as client:
            await client.call_tool("crash")
    (problem,) = lines.read("scopedtools.protocol.dispatch")
    assert problem["mcp_method"] == "tools/call"
    assert problem["mcp_context"]
    assert "the till\nis stuck" in problem["exception"]


async def test_outside_of_requests_records_carry_nothing() -> None:
    with logged() as lines:
        async with Client(Shop(Seen()), context="chat-1234") as client:
            await client.call_tool("sell", item="tea")
            logging.getLogger("a.library").info("between")
            assert current_correlation() is None
    between = [line for line in lines.read() if line["message"] == "between"]
    assert [correlation(line) for line in between] == [{}]


async def test_each_request_leaves_a_line_with_how_it_ended() -> None:
    with logged() as lines:
        async with Client(Shop(Seen())) as client:
            await client.call_tool("sell", item="tea")
            await client.call_tool("refuse")
            await client.request("resources/read", uri="shop://shelf")
            with pytest.raises(WireError):
                await client.call_tool("no\nsuch")
    told = lines.read("scopedtools.requests")
    assert [(line["target"], line["outcome"], line.get("code")) for line in told] == [
        ("sell", "ok", None),
        ("refuse", "tool_error", None),
        ("shop://shelf", "ok", None),
        ("no\nsuch", "error", -32602),
    ]
    assert all(0 <= line["ms"] < LIMIT_S * 1000 for line in told)
    assert told[0]["message"].startswith("tools/call sell ok ")


async def test_the_line_of_a_request_can_be_left_out() -> None:
    with logged() as lines:
        async with Client(Shop(observers=[Telemetry(log_requests=False)])) as client:
            await client.call_tool("sell", item="tea")
    assert lines.read("scopedtools.requests") == []
    assert len(lines.read("a.library")) == 1


async def test_a_task_goes_on_to_log_as_the_call_that_it_was() -> None:
    shop = Shop(Seen())
    with logged() as lines:
        async with Client(shop, context="chat-1234", tasks=True) as client, asyncio.timeout(LIMIT_S):
            task_id = (await client.call_tool("order"))["taskId"]
            shop.gate.set()
            await look(client, task_id, "completed")
    (came,) = lines.read("a.library")
    assert came["mcp_method"] == "tools/call"
    began = lines.read("scopedtools.requests")[0]
    assert began["outcome"] == "task"
    assert correlation(came) == correlation(began)
    assert task_id not in str(lines.read())


async def test_a_record_keeps_its_request_on_its_way_through_a_queue() -> None:
    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handler = logging.handlers.QueueHandler(waiting)
    handler.addFilter(CorrelationFilter())
    library = logging.getLogger("a.library")
    with logged() as lines:
        library.addHandler(handler)
        try:
            async with Client(Shop(Seen())) as client:
                await client.call_tool("sell", item="tea")
        finally:
            library.removeHandler(handler)
        other = correlated(Correlation("of another", "eve", "ping"), otel_context.get_current())
        token = otel_context.attach(other)
        lines.handler.handle(waiting.get_nowait())
        otel_context.detach(token)
    direct, queued = lines.read("a.library")
    assert correlation(direct) == correlation(queued) != {}


class Mill(ScopedServer):
    """Grinds for many at once; each call logs what it was called with, here and there."""

    def __init__(self, parties: int) -> None:
        super().__init__(observers=[Seen().telemetry])
        self.barrier = asyncio.Barrier(parties)

    @tool
    async def grind(self, mark: str, ctx: Context) -> str:
        """Log, wait for all others, log again from a child task and from a thread."""
        log = logging.getLogger(f"mill.{ctx.digest}")
        log.info("begin")
        await self.barrier.wait()
        await asyncio.create_task(self._child(log))
        await asyncio.to_thread(log.info, "thread")
        await anyio.to_thread.run_sync(log.info, "worker")
        if mark == "bad":
            raise RuntimeError(mark)
        return str(ctx.digest)

    async def _child(self, log: logging.Logger) -> None:
        await asyncio.sleep(0)
        log.info("child")


async def test_no_record_of_fifty_interleaved_contexts_carries_that_of_another() -> None:
    parties = 50
    mill = Mill(parties)
    with logged() as lines:
        async with mill, asyncio.timeout(LIMIT_S):
            clients = [Client(mill, context=f"context-{number:04}") for number in range(parties)]

            async def call(client: Client, number: int) -> None:
                async with client:
                    await client.call_tool("grind", mark="bad" if number % 5 == 0 else "good")

            await asyncio.gather(*(call(client, number) for number, client in enumerate(clients)))
    by_context: dict[str, set[str]] = {}
    for line in lines.read():
        if line["logger"].startswith("mill."):
            assert line["logger"] == f"mill.{line['mcp_context']}"
            by_context.setdefault(line["mcp_context"], set()).add(line["trace_id"])
    assert len(by_context) == parties
    assert all(len(traces) == 1 for traces in by_context.values())
    told = {(line["mcp_context"], line["trace_id"]) for line in lines.read("scopedtools.requests")}
    assert told == {(context, *traces) for context, traces in by_context.items()}
    assert len([line for line in lines.read() if line["logger"].startswith("mill.")]) == 4 * parties
