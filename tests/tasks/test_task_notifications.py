"""Tasks on a stream of notifications, instead of looking again and again."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from scopedtools.context.store import MemoryTaskStore
from scopedtools.listeners import Watches
from scopedtools.protocol import meta
from tests.tasks.kitchen import TOKENS, Clock, Kitchen, answered, begin, filling, follower, look, stream
from tests.wire.exchange import ENVELOPE, http, message, mirrored

pytestmark = pytest.mark.anyio


def listening(*task_ids: str) -> dict[str, Any]:
    return {"notifications": {"taskIds": list(task_ids)}}


def states(said: dict[str, Any]) -> dict[str, Any]:
    """Return the state in a notification, as ``tasks/get`` tells it."""
    assert said["method"] == "notifications/tasks"
    params: dict[str, Any] = said["params"]
    assert params["_meta"] == {meta.SUBSCRIPTION_ID: 1}
    return {name: value for name, value in params.items() if name != "_meta"}


async def test_a_listener_is_told_how_a_task_is_and_of_each_change() -> None:
    kitchen = Kitchen()
    async with follower(kitchen) as client:
        task_id = await begin(client, "fill")
        waiting = await look(client, task_id, "input_required")
        async with stream(kitchen, "subscriptions/listen", listening(task_id, "unknown")) as came:
            acknowledged = await came.get()
            assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
            assert acknowledged["params"]["notifications"] == {"taskIds": [task_id]}
            told = states(await came.get())
            assert told == {name: waiting[name] for name in waiting if name not in ("_meta", "resultType")}
            await answered(client, task_id, filling=filling("plums"))
            while (told := states(await came.get()))["status"] != "completed":
                assert told["status"] == "working"
            assert told["result"]["content"][0]["text"] == "accept: plums"
            assert came.empty()


async def test_a_listener_is_told_of_no_other_task() -> None:
    kitchen = Kitchen(verifier=TOKENS)
    async with follower(kitchen, token="a") as ann, follower(kitchen, token="b") as bob:
        mine, other, of_bob = await begin(ann, "bake"), await begin(ann, "bake"), await begin(bob, "bake")
        token = {"authorization": "Bearer a"}
        async with stream(kitchen, "subscriptions/listen", listening(of_bob, mine), **token) as came:
            assert (await came.get())["params"]["notifications"] == {"taskIds": [mine]}
            assert states(await came.get())["status"] == "working"
            await bob.request("tasks/cancel", taskId=of_bob)
            await ann.request("tasks/cancel", taskId=other)
            await look(bob, of_bob, "cancelled")
            await look(ann, other, "cancelled")
            await ann.request("tasks/cancel", taskId=mine)
            last = states(await came.get())
            assert (last["taskId"], last["status"]) == (mine, "cancelled")
            assert came.empty()


async def test_a_listener_to_nothing_that_is_known_is_told_nothing() -> None:
    kitchen = Kitchen()
    async with kitchen, stream(kitchen, "subscriptions/listen", listening("unknown")) as came:
        assert (await came.get())["params"]["notifications"] == {}
        kitchen.end_streams()
        assert (await came.get())["result"]["_meta"][meta.SUBSCRIPTION_ID] == 1


async def test_a_listener_is_not_told_of_a_task_that_is_forgotten() -> None:
    clock = Clock()
    kitchen = Kitchen(task_store=MemoryTaskStore(clock=clock))
    async with follower(kitchen) as client:
        task_id = await begin(client, "bake")
        async with stream(kitchen, "subscriptions/listen", listening(task_id)) as came:
            assert (await came.get())["params"]["notifications"] == {"taskIds": [task_id]}
            assert states(await came.get())["status"] == "working"
            clock.now = 3600
            kitchen.gate.set()
            await kitchen.ended.wait()
            kitchen.end_streams()
            assert "result" in await came.get()


async def test_a_stream_about_tasks_ends_with_the_others() -> None:
    kitchen = Kitchen()
    async with follower(kitchen) as client:
        task_id = await begin(client, "bake")
        await kitchen.started.wait()
        async with stream(kitchen, "subscriptions/listen", listening(task_id)) as came:
            assert (await came.get())["method"] == "notifications/subscriptions/acknowledged"
            assert states(await came.get())["status"] == "working"
            kitchen.end_streams()
            assert (await came.get())["result"]["_meta"][meta.SUBSCRIPTION_ID] == 1


async def test_who_listens_slowly_is_told_the_latest_only_and_holds_nobody_up() -> None:
    watches = Watches()
    changes = watches.changes([b"one", b"two"])
    assert [await anext(changes), await anext(changes)] == [b"one", b"two"]
    for key in (b"two", b"other", b"two", b"one", b"two"):
        watches.changed(key)
    assert [await anext(changes), await anext(changes)] == [b"two", b"one"]
    waiting = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)
    assert not waiting.done()
    watches.changed(b"one")
    assert await waiting == b"one"
    await changes.aclose()


@pytest.mark.parametrize("task_ids", [["known"], ["unknown"]])
async def test_whoever_listens_to_tasks_declares_the_extension(task_ids: list[str]) -> None:
    kitchen = Kitchen()
    async with follower(kitchen) as client:
        known = await begin(client, "bake")
        asked = [known if task_id == "known" else task_id for task_id in task_ids]
        request = message("subscriptions/listen", {"_meta": ENVELOPE, **listening(*asked)})
        answer = await http(kitchen, msgspec.json.encode(request), mirrored(request))
    assert answer.refusal == (400, -32021)
    assert answer.error["data"] == {"requiredCapabilities": {"extensions": {meta.TASKS: {}}}}
