"""Which calls become tasks, and what clients see of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, cast

import pytest

from scopedtools import Context, ScopedServer, View, tool
from scopedtools.exceptions import DefinitionError
from scopedtools.protocol import meta
from scopedtools.tasks import TaskSettings
from scopedtools.testing import Client, WireError
from tests.tasks.kitchen import Kitchen, begin, filling, follower, look
from tests.wire.exchange import LEGACY, legacy

pytestmark = pytest.mark.anyio

NEEDED: Final[dict[str, Any]] = {"requiredCapabilities": {"extensions": {meta.TASKS: {}}}}


async def test_a_call_is_answered_with_a_task_that_brings_the_result_later() -> None:
    kitchen = Kitchen(tasks=TaskSettings(ttl_s=60, poll_interval_ms=250))
    async with follower(kitchen) as client:
        created = await client.call_tool("bake", loaves=2)
        assert created["resultType"] == "task"
        assert (created["status"], created["ttlMs"], created["pollIntervalMs"]) == ("working", 60_000, 250)
        assert datetime.fromisoformat(created["createdAt"]) <= datetime.fromisoformat(
            created["lastUpdatedAt"]
        )
        assert not {"result", "error", "inputRequests", "requestState", "statusMessage"} & set(created)
        working = await client.request("tasks/get", taskId=created["taskId"])
        assert working["taskId"] == created["taskId"]
        assert working["resultType"] == "complete"
        kitchen.gate.set()
        completed = await look(client, created["taskId"], "completed")
    assert completed["result"]["content"] == [{"type": "text", "text": "2 loaves"}]
    assert completed["result"]["resultType"] == "complete"
    assert completed["createdAt"] == created["createdAt"]


async def test_a_client_that_follows_no_tasks_waits_for_the_result() -> None:
    kitchen = Kitchen()
    kitchen.gate.set()
    async with Client(kitchen) as client:
        result = await client.call_tool("bake")
    assert result["resultType"] == "complete"
    assert result["content"][0]["text"] == "1 loaves"


async def test_a_tool_that_is_no_task_is_answered_at_once() -> None:
    async with follower(Kitchen()) as client:
        result = await client.request("tools/call", name="boil", arguments={}, task={"ttl": 60_000})
    assert result["resultType"] == "complete"
    assert result["content"][0]["text"] == "egg"


async def test_a_client_that_cannot_follow_a_required_task_is_told_what_it_needs() -> None:
    async with Client(Kitchen()) as client:
        for call in (
            {"name": "roast", "arguments": {}},
            {"name": "call_tool", "arguments": {"name": "roast"}},
        ):
            with pytest.raises(WireError) as caught:
                await client.request("tools/call", **call)
            assert (caught.value.wire_code, caught.value.data) == (-32021, NEEDED)


@pytest.mark.parametrize("revision", LEGACY)
async def test_earlier_revisions_have_no_tasks(revision: str) -> None:
    kitchen = Kitchen()
    kitchen.gate.set()
    refused = await legacy(kitchen, revision, "tools/call", {"name": "roast", "arguments": {}})
    assert refused.error["code"] == -32021
    waited = await legacy(kitchen, revision, "tools/call", {"name": "bake", "arguments": {}})
    assert waited.result["content"][0]["text"] == "1 loaves"
    unknown = await legacy(kitchen, revision, "tasks/get", {"taskId": "x"})
    assert unknown.error["code"] == -32601


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_whoever_asks_about_a_task_declares_the_extension(method: str) -> None:
    kitchen = Kitchen()
    async with Client(kitchen) as client, follower(kitchen) as other:
        task_id = await begin(other, "bake")
        for asked in (task_id, "unknown"):
            with pytest.raises(WireError) as caught:
                await client.request(method, taskId=asked, inputResponses={})
            assert (caught.value.wire_code, caught.value.data) == (-32021, NEEDED)


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_a_header_names_the_task(method: str) -> None:
    async with follower(Kitchen(), headers={"mcp-name": "another"}) as client:
        with pytest.raises(WireError) as caught:
            await client.request(method, taskId="one", inputResponses={})
    assert (caught.value.wire_code, caught.value.status) == (-32020, 400)


@pytest.mark.parametrize("method", ["tasks/result", "tasks/list"])
async def test_methods_of_the_earlier_experiment_are_unknown(method: str) -> None:
    async with follower(Kitchen()) as client:
        with pytest.raises(WireError) as caught:
            await client.request(method, taskId="x")
    assert (caught.value.wire_code, caught.value.status) == (-32601, 404)


async def test_a_tool_that_says_why_it_failed_has_completed() -> None:
    async with follower(Kitchen()) as client:
        state = await look(client, await begin(client, "burn", how="told"), "completed")
    assert state["result"]["isError"] is True
    assert state["result"]["content"][0]["text"] == "the oven is cold"


async def test_an_authors_bug_is_a_failed_call_that_gives_nothing_away() -> None:
    async with follower(Kitchen()) as client:
        state = await look(client, await begin(client, "burn", how="bug"), "completed")
    assert state["result"]["isError"] is True
    assert "secret" not in str(state)


async def test_an_error_of_the_protocol_fails_the_task() -> None:
    async with follower(Kitchen()) as client:
        state = await look(client, await begin(client, "burn", how="protocol"), "failed")
    assert state["error"] == {"code": -32603, "message": "no gas", "data": {"pipe": 3}}
    assert state["statusMessage"] == "no gas"
    assert "result" not in state


async def test_a_call_that_does_not_fit_makes_no_task() -> None:
    async with follower(Kitchen()) as client:
        result = await client.call_tool("bake", loaves="many")
        assert (result["resultType"], result["isError"]) == ("complete", True)
        with pytest.raises(WireError) as caught:
            await client.call_tool("no_such_tool")
    assert caught.value.wire_code == -32602


async def test_a_tool_that_is_not_permitted_is_unknown_and_makes_no_task() -> None:
    class Closed(Kitchen):
        async def permitted(self, ctx: Context, rows: View) -> View:
            return rows - rows.named("roast")

    async with follower(Closed()) as client:
        with pytest.raises(WireError) as caught:
            await client.call_tool("roast")
    assert caught.value.wire_code == -32602


async def test_progress_is_the_status_message_of_a_task() -> None:
    kitchen = Kitchen()
    async with follower(kitchen) as client:
        task_id = await begin(client, "knead")
        await kitchen.started.wait()
        assert (await look(client, task_id, "working"))["statusMessage"] == "nearly"
        kitchen.gate.set()
        assert "statusMessage" not in await look(client, task_id, "completed")


async def test_progress_without_words_counts() -> None:
    class Counting(Kitchen):
        @tool(task="optional")
        async def count(self, ctx: Context) -> None:
            """Count."""
            await ctx.report_progress(1, 3)
            await self.gate.wait()

    async with follower(Counting()) as client:
        task_id = await begin(client, "count")
        assert (await look(client, task_id, "working"))["statusMessage"] == "1 of 3"


async def test_a_tool_that_asks_first_becomes_a_task_once_it_is_answered() -> None:
    kitchen = Kitchen()
    async with follower(kitchen) as client:
        asked = await client.call_tool("order")
        assert asked["resultType"] == "input_required"
        assert "taskId" not in asked
        again = {"requestState": asked["requestState"], "inputResponses": {"filling": filling("plums")}}
        created = await client.request("tools/call", name="order", arguments={}, **again)
        assert created["resultType"] == "task"
        assert not {"requestState", "inputRequests"} & set(created)
        kitchen.gate.set()
        completed = await look(client, created["taskId"], "completed")
    assert completed["result"]["content"][0]["text"] == "pie with plums"


async def test_a_tool_that_asks_first_and_is_done_then_is_answered_at_once() -> None:
    async with follower(Kitchen()) as client:
        declined = {"filling": {"action": "decline"}}
        result = await client.request("tools/call", name="order", arguments={}, inputResponses=declined)
    assert result["resultType"] == "complete"
    assert result["content"][0]["text"] == "nothing"


async def test_detaching_does_nothing_where_the_client_follows_no_tasks() -> None:
    kitchen = Kitchen()
    kitchen.gate.set()
    async with Client(kitchen, capabilities={"elicitation": {}}) as client:
        answers = {"filling": filling("plums")}
        result = await client.request("tools/call", name="order", arguments={}, inputResponses=answers)
    assert result["content"][0]["text"] == "pie with plums"


async def test_a_tool_that_was_searched_for_becomes_a_task_as_well() -> None:
    kitchen = Kitchen()
    async with follower(kitchen) as client:
        task_id = await begin(client, "call_tool", name="roast")
        kitchen.gate.set()
        completed = await look(client, task_id, "completed")
        plain = await client.call_tool("call_tool", name="boil")
    assert completed["result"]["content"][0]["text"] == "roast"
    assert plain["content"][0]["text"] == "egg"


async def test_a_thread_can_be_a_task() -> None:
    class Mill(ScopedServer):
        @tool(task="optional")
        def grind(self) -> str:
            """Grind."""
            return "flour"

    async with follower(Mill()) as client:
        completed = await look(client, await begin(client, "grind"), "completed")
    assert completed["result"]["content"][0]["text"] == "flour"


async def test_a_server_offers_the_extension_only_where_a_tool_may_be_a_task() -> None:
    class Stall(ScopedServer):
        @tool
        async def sell(self) -> str:
            """Sell."""
            return "sold"

    async with follower(Kitchen()) as client:
        assert (await client.request("server/discover"))["capabilities"]["extensions"][meta.TASKS] == {}
    async with follower(Stall()) as client:
        assert meta.TASKS not in (await client.request("server/discover"))["capabilities"]["extensions"]
        assert (await client.call_tool("call_tool", name="sell"))["resultType"] == "complete"
        with pytest.raises(WireError) as caught:
            await client.request("tasks/get", taskId="x")
    assert (caught.value.wire_code, caught.value.status) == (-32601, 404)


def test_a_tool_says_in_a_known_word_whether_it_is_a_task() -> None:
    with pytest.raises(DefinitionError, match="task must be one of never, optional, required, got 'maybe'"):
        tool(task=cast("Any", "maybe"))


@pytest.mark.parametrize("setting", ["ttl_s", "poll_interval_ms"])
def test_settings_of_tasks_are_positive(setting: str) -> None:
    with pytest.raises(DefinitionError, match=f"{setting} must be >= .*, got 0"):
        TaskSettings(**{setting: 0})
