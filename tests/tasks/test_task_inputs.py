"""What a task asks its client, and how it goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scopedtools import Context, tool
from scopedtools.testing import Client, WireError
from tests.tasks.kitchen import FORM, Kitchen, answered, begin, filling, follower, look

pytestmark = pytest.mark.anyio


async def test_a_question_waits_for_its_answer_and_the_call_goes_on_from_there() -> None:
    kitchen = Kitchen()
    async with follower(kitchen) as client:
        task_id = await begin(client, "fill")
        waiting = await look(client, task_id, "input_required")
        assert waiting["inputRequests"] == {
            "filling": {
                "method": "elicitation/create",
                "params": {"mode": "form", "message": "Which filling?", "requestedSchema": FORM},
            }
        }
        assert await look(client, task_id, "input_required") == waiting
        acknowledged = await answered(client, task_id, filling=filling("plums"))
        completed = await look(client, task_id, "completed")
    assert set(acknowledged) == {"resultType", "_meta"}
    assert acknowledged["resultType"] == "complete"
    assert completed["result"]["content"][0]["text"] == "accept: plums"
    assert "inputRequests" not in completed
    assert kitchen.runs == 1


async def test_several_questions_are_answered_one_by_one() -> None:
    async with follower(Kitchen()) as client:
        task_id = await begin(client, "fill_two")
        both = await look(client, task_id, "input_required")
        assert set(both["inputRequests"]) == {"first", "second"}
        await answered(client, task_id, second=filling("pears"))
        assert set((await look(client, task_id, "input_required"))["inputRequests"]) == {"first"}
        await answered(client, task_id, second=filling("ignored"), first=filling("plums"))
        completed = await look(client, task_id, "completed")
    assert completed["result"]["content"][0]["text"] == "plums and pears"


async def test_an_answer_that_does_not_fit_is_asked_for_again_under_another_key() -> None:
    async with follower(Kitchen()) as client:
        task_id = await begin(client, "fill")
        key, seen = "filling", []
        for wrong in ({"action": "accept", "content": 5}, {"action": "shrug"}, {}):
            await look(client, task_id, "input_required")
            await answered(client, task_id, **{key: wrong})
            (key,) = (await look(client, task_id, "input_required"))["inputRequests"]
            seen.append(key)
        await answered(client, task_id, **{key: {"action": "decline"}})
        completed = await look(client, task_id, "completed")
    assert len({"filling", *seen}) == 4
    assert completed["result"]["content"][0]["text"] == "decline: None"


async def test_an_answer_that_nobody_waits_for_is_acknowledged_and_dropped() -> None:
    kitchen = Kitchen()
    async with follower(kitchen) as client:
        for name, status in (("fill", "input_required"), ("bake", "working"), ("burn", "completed")):
            task_id = await begin(client, name, **({"how": "told"} if name == "burn" else {}))
            before = await look(client, task_id, status)
            assert (await answered(client, task_id, other={"ignored": True}, more=5))[
                "resultType"
            ] == "complete"
            assert await client.request("tasks/get", taskId=task_id) == before


@pytest.mark.parametrize("answer", [5, None, "plums", [1]])
async def test_an_answer_is_an_object(answer: Any) -> None:
    async with follower(Kitchen()) as client:
        task_id = await begin(client, "fill_two")
        before = await look(client, task_id, "input_required")
        with pytest.raises(WireError, match="must be an object") as caught:
            await answered(client, task_id, first=filling("plums"), second=answer)
        assert caught.value.wire_code == -32602
        assert await client.request("tasks/get", taskId=task_id) == before


@pytest.mark.parametrize("answers", [{}, {"inputResponses": 5}, {"inputResponses": [1]}])
async def test_an_update_brings_answers(answers: Any) -> None:
    async with follower(Kitchen()) as client:
        with pytest.raises(WireError) as caught:
            await client.request("tasks/update", taskId=await begin(client, "fill"), **answers)
    assert caught.value.wire_code == -32602


async def test_a_client_that_cannot_answer_is_not_asked() -> None:
    async with Client(Kitchen(), tasks=True) as client:
        failed = await look(client, await begin(client, "fill"), "failed")
    assert failed["error"]["code"] == -32021
    assert failed["error"]["data"] == {"requiredCapabilities": {"elicitation": {}}}


class Curious(Kitchen):
    """Asks in unusual ways."""

    @tool(task="optional")
    async def twice(self, ctx: Context) -> str:
        """Ask for roots and for words."""
        roots = await ctx.roots()
        sampled = await ctx.sample("Say something")
        return f"{roots[0]['uri']} {sampled.text}"

    @tool(task="optional")
    async def give_up(self, ctx: Context) -> str:
        """Stop waiting for an answer."""
        asking = asyncio.create_task(ctx.elicit("Which filling?", FORM, key="filling"))
        await self.gate.wait()
        asking.cancel()
        await asyncio.wait([asking])
        self.started.set()
        await asyncio.Event().wait()
        return "never"


async def test_whatever_a_client_can_be_asked_it_is_asked_in_a_task() -> None:
    async with Client(Curious(), tasks=True, capabilities={"roots": {}, "sampling": {}}) as client:
        task_id = await begin(client, "twice")
        assert set((await look(client, task_id, "input_required"))["inputRequests"]) == {"roots-1"}
        await answered(client, task_id, **{"roots-1": {"roots": [{"uri": "file:///home"}]}})
        assert set((await look(client, task_id, "input_required"))["inputRequests"]) == {"sampling-2"}
        said = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "hello"}}
        await answered(client, task_id, **{"sampling-2": said})
        completed = await look(client, task_id, "completed")
    assert completed["result"]["content"][0]["text"] == "file:///home hello"


async def test_a_question_is_withdrawn_when_the_tool_no_longer_waits() -> None:
    kitchen = Curious()
    async with follower(kitchen) as client:
        task_id = await begin(client, "give_up")
        await look(client, task_id, "input_required")
        kitchen.gate.set()
        await kitchen.started.wait()
        assert "inputRequests" not in await look(client, task_id, "working")
        assert (await answered(client, task_id, filling=filling("late")))["resultType"] == "complete"
