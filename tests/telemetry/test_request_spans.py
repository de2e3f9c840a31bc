"""Each request is a span, named and described as the semantic conventions say."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.context import get_current
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from scopedtools.protocol import meta
from scopedtools.testing import Client, WireError
from tests.telemetry.seen import TOKENS, Seen, Shop

pytestmark = pytest.mark.anyio

LIMIT_S = 20


async def test_a_tool_call_is_a_server_span_with_the_names_of_the_conventions() -> None:
    seen = Seen()
    async with Client(Shop(seen, verifier=TOKENS), context="chat-1234", token="a") as client:
        await client.call_tool("sell", item="tea")
    (span,) = seen.spans
    attributes = dict(span.attributes or {})
    digest = attributes.pop("gen_ai.conversation.id")
    assert (span.name, span.kind) == ("tools/call sell", SpanKind.SERVER)
    assert attributes == {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2026-07-28",
        "jsonrpc.request.id": "1",
        "gen_ai.tool.name": "sell",
        "gen_ai.operation.name": "execute_tool",
        "enduser.id": "ann",
        "network.transport": "tcp",
        "scopedtools.outcome": "ok",
    }
    assert isinstance(digest, str)
    assert len(digest) == 32
    assert "chat-1234" not in repr(span.to_json())
    assert span.status.status_code is StatusCode.UNSET


async def test_whoever_has_no_name_and_no_context_gets_no_attribute_for_it() -> None:
    seen = Seen()
    async with Client(Shop(seen)) as client:
        await client.request("server/discover")
    attributes = seen.span("server/discover").attributes or {}
    assert "enduser.id" not in attributes
    assert "gen_ai.conversation.id" not in attributes
    assert "gen_ai.operation.name" not in attributes


async def test_prompts_stand_in_the_name_of_a_span_and_uris_do_not() -> None:
    seen = Seen()
    async with Client(Shop(seen)) as client:
        await client.request("prompts/get", name="praise")
        await client.request("resources/read", uri="shop://shelf")
    assert (seen.span("prompts/get praise").attributes or {})["gen_ai.prompt.name"] == "praise"
    assert (seen.span("resources/read").attributes or {})["mcp.resource.uri"] == "shop://shelf"


async def test_a_narrowed_list_leaves_its_revision_on_the_span() -> None:
    seen = Seen()
    async with Client(Shop(seen), context="c-1234567", intent="sell tea") as client:
        page = await client.request("tools/list")
    view = page["_meta"][meta.VIEW]
    assert (seen.span("tools/list").attributes or {})["scopedtools.view.revision"] == view["revision"]


async def test_a_tool_that_fails_is_an_error_of_the_span() -> None:
    seen = Seen()
    async with Client(Shop(seen)) as client:
        await client.call_tool("refuse")
        await client.call_tool("crash")
    for name in ("tools/call refuse", "tools/call crash"):
        span = seen.span(name)
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})["error.type"] == "tool_error"
        assert "rpc.response.status_code" not in (span.attributes or {})


async def test_a_name_that_a_client_made_up_stays_out_of_the_name_of_the_span() -> None:
    seen = Seen()
    made_up = "x" * 5000
    async with Client(Shop(seen)) as client:
        with pytest.raises(WireError):
            await client.call_tool(made_up)
    span = seen.span("tools/call")
    attributes = span.attributes or {}
    assert span.status.status_code is StatusCode.ERROR
    assert (attributes["error.type"], attributes["rpc.response.status_code"]) == ("-32602", "-32602")
    assert attributes["gen_ai.tool.name"] == made_up[:512]


async def test_a_call_through_call_tool_says_which_tool_it_reached() -> None:
    seen = Seen()
    async with Client(Shop(seen)) as client:
        await client.call_tool("call_tool", name="sell", arguments={"item": "tea"})
    attributes = seen.span("tools/call call_tool").attributes or {}
    assert attributes["gen_ai.tool.name"] == "call_tool"
    assert attributes["scopedtools.tool.name"] == "sell"


async def test_a_question_to_the_client_is_no_failure() -> None:
    seen = Seen()
    async with Client(Shop(seen), capabilities={"elicitation": {"form": {}}}) as client:
        asked = await client.call_tool("measure")
        answers = {key: {"action": "accept", "content": {}} for key in asked["inputRequests"]}
        await client.request(
            "tools/call",
            name="measure",
            arguments={},
            inputResponses=answers,
            requestState=asked["requestState"],
        )
    outcomes = [(span.attributes or {})["scopedtools.outcome"] for span in seen.spans]
    assert outcomes == ["input_required", "ok"]
    assert all(span.status.status_code is StatusCode.UNSET for span in seen.spans)


async def test_a_call_that_is_cancelled_ends_its_span_and_is_no_error() -> None:
    seen = Seen()
    shop = Shop(seen)
    async with Client(shop) as client, asyncio.timeout(LIMIT_S):
        calling = asyncio.create_task(client.call_tool("order"))
        await shop.began.wait()
        calling.cancel()
        await asyncio.wait([calling])
    span = seen.span("tools/call order")
    assert (span.attributes or {})["scopedtools.outcome"] == "cancelled"
    assert "error.type" not in (span.attributes or {})
    assert span.status.status_code is StatusCode.UNSET


async def test_a_task_ends_the_span_of_its_call_and_its_id_is_nowhere() -> None:
    seen = Seen()
    shop = Shop(seen)
    async with Client(shop, tasks=True) as client:
        created = await client.call_tool("order")
        shop.gate.set()
        await client.request("tasks/get", taskId=created["taskId"])
    assert (seen.span("tools/call order").attributes or {})["scopedtools.outcome"] == "task"
    assert (seen.span("tasks/get").attributes or {})["scopedtools.outcome"] == "ok"
    assert not any(created["taskId"] in (span.to_json() or "") for span in seen.spans)


async def test_spans_of_authors_nest_in_that_of_the_request_and_threads_see_it() -> None:
    seen = Seen()
    async with Client(Shop(seen)) as client:
        await client.call_tool("pack", item="tea")
    outer, inner = seen.span("tools/call pack"), seen.span("wrap")
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id


class Broken(SpanProcessor):
    """Fails when a span begins, or when it ends."""

    def __init__(self, at: str) -> None:
        self._at = at

    def on_start(self, span: Span, parent_context: object = None) -> None:
        if self._at == "begin":
            raise RuntimeError(self._at)

    def on_end(self, span: ReadableSpan) -> None:
        if self._at == "end":
            raise RuntimeError(self._at)


@pytest.mark.parametrize("at", ["begin", "end"])
async def test_a_span_processor_that_fails_harms_no_request_and_leaves_nothing_behind(at: str) -> None:
    seen = Seen()
    seen.tracer_provider.add_span_processor(Broken(at))
    before = get_current()
    async with Client(Shop(seen)) as client:
        assert (await client.call_tool("sell", item="tea"))["content"][0]["text"] == "tea"
    assert get_current() == before
