"""The trace that a client named goes on in the server: from ``_meta`` first, from HTTP headers else."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Final

import pytest
from opentelemetry import baggage, propagate, trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from scopedtools import ScopedServer, tool
from scopedtools.telemetry import Telemetry
from scopedtools.testing import Client
from tests.telemetry.seen import Seen, Shop, logged

pytestmark = pytest.mark.anyio

LIMIT_S: Final = 60
TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = "00f067aa0ba902b7"
MESSAGE: Final = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
CARRIED: Final = {"traceparent": "00-11111111111111111111111111111111-2222222222222222-01"}


class Porter(ScopedServer):
    """Carries."""

    @tool
    async def luggage(self) -> str:
        """Say what came along."""
        return ",".join(f"{name}={value}" for name, value in sorted(baggage.get_all().items()))


async def span_of(sent: dict[str, Any], headers: dict[str, str] | None = None) -> ReadableSpan:
    seen = Seen()
    async with Client(Shop(seen), headers=headers) as client:
        await client.request("server/discover", meta=sent)
    return seen.span("server/discover")


def ids(context: trace.SpanContext | None) -> tuple[str, str]:
    assert context is not None
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)


async def test_the_message_names_the_parent() -> None:
    span = await span_of(dict(MESSAGE))
    assert ids(span.parent) == (TRACE, PARENT)
    assert span.parent is not None
    assert span.parent.is_remote
    assert span.context is not None
    assert span.context.trace_state.get("vendor") == "1"
    assert not span.links


async def test_where_the_message_names_none_the_headers_do() -> None:
    span = await span_of({}, CARRIED)
    assert ids(span.parent) == ("1" * 32, "2" * 16)
    assert not span.links


async def test_where_both_name_one_that_of_the_headers_is_a_link() -> None:
    span = await span_of(dict(MESSAGE), CARRIED)
    assert ids(span.parent) == (TRACE, PARENT)
    assert [ids(link.context) for link in span.links] == [("1" * 32, "2" * 16)]


async def test_where_both_name_the_same_there_is_no_link() -> None:
    span = await span_of(dict(MESSAGE), {"traceparent": MESSAGE["traceparent"]})
    assert ids(span.parent) == (TRACE, PARENT)
    assert not span.links


async def test_a_span_of_an_instrumented_transport_is_linked_instead_of_the_headers() -> None:
    seen = Seen()
    async with Client(Shop(seen), headers=CARRIED) as client:
        with seen.tracer.start_as_current_span("POST /mcp") as transport:
            await client.request("server/discover", meta=dict(MESSAGE))
            await client.request("tools/list")
    linked = seen.span("server/discover")
    assert ids(linked.parent) == (TRACE, PARENT)
    assert [ids(link.context) for link in linked.links] == [ids(transport.get_span_context())]
    assert ids(seen.span("tools/list").parent) == ids(transport.get_span_context())


@pytest.mark.parametrize(
    "sent",
    [
        {"traceparent": 5},
        {"traceparent": ["00-" + TRACE]},
        {"traceparent": "nonsense"},
        {"traceparent": f"00-{'0' * 32}-{PARENT}-01"},
        {"tracestate": {"a": 1}, "baggage": None},
        {"baggage": "=;=,\n,%%"},
    ],
)
async def test_what_is_no_trace_context_is_ignored(sent: dict[str, Any]) -> None:
    assert (await span_of(sent)).parent is None


@pytest.mark.parametrize("place", ["meta", "headers"])
async def test_baggage_is_there_for_the_author(place: str) -> None:
    sent = {"baggage": "tenant=acme,trip=7"}
    server = Porter(observers=[Telemetry()])
    async with Client(server, headers=sent if place == "headers" else None) as client:
        result = await client.request("tools/call", name="luggage", meta=sent if place == "meta" else {})
    assert result["content"][0]["text"] == "tenant=acme,trip=7"


async def test_logs_carry_the_trace_of_the_client_where_nothing_makes_spans() -> None:
    with logged() as lines:
        async with Client(Porter(observers=[Telemetry()]), context="c-1234567") as client:
            await client.request("tools/call", name="luggage", meta=dict(MESSAGE))
            await client.request("tools/call", name="luggage")
    traced, untraced = lines.read("scopedtools.requests")
    assert (traced["trace_id"], traced["span_id"]) == (TRACE, PARENT)
    assert "trace_id" not in untraced
    assert untraced["mcp_context"] == traced["mcp_context"]


async def test_what_the_process_does_not_propagate_is_not_read_whenever_that_was_said() -> None:
    server = Porter(observers=[Telemetry()])
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(TraceContextTextMapPropagator())
    try:
        async with Client(server) as client:
            result = await client.request("tools/call", name="luggage", meta={"baggage": "tenant=acme"})
    finally:
        propagate.set_global_textmap(before)
    assert result["content"] == []


PROGRAM: Final = """
import asyncio
from opentelemetry import metrics, trace
from scopedtools.telemetry import Telemetry
from scopedtools.testing import Client
from tests.telemetry.seen import Seen, Shop

shop = Shop(observers=[Telemetry()])
seen = Seen()
trace.set_tracer_provider(seen.tracer_provider)
metrics.set_meter_provider(seen.meter_provider)

async def main():
    async with Client(shop) as client:
        await client.call_tool("sell", item="tea")

asyncio.run(main())
(point,) = seen.points("mcp.server.operation.duration")
print(seen.span("tools/call sell").name, point.count, point.explicit_bounds[0])
"""


def test_providers_that_a_process_configures_after_the_server_was_made_are_used() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=LIMIT_S
    )
    assert run.stdout.split() == ["tools/call", "sell", "1", "0.01"]
