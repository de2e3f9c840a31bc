"""How tasks end before they are done, whose they are, and how many there may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from scopedtools import Context, tool
from scopedtools.context.store import MemoryTaskStore
from scopedtools.handlers import tasks as handlers
from scopedtools.storage import TaskRecord
from scopedtools.tasks import TaskSettings
from scopedtools.testing import WireError
from tests.tasks.kitchen import TOKENS, Clock, Kitchen, answered, begin, filling, follower, look, stream

pytestmark = pytest.mark.anyio


async def test_a_task_that_is_cancelled_stops() -> None:
    kitchen = Kitchen()
    async with follower(kitchen) as client:
        task_id = await begin(client, "bake")
        await kitchen.started.wait()
        acknowledged = await client.request("tasks/cancel", taskId=task_id)
        await kitchen.ended.wait()
        cancelled = await look(client, task_id, "cancelled")
    assert set(acknowledged) == {"resultType", "_meta"}
    assert acknowledged["resultType"] == "complete"
    assert cancelled["statusMessage"] == "The client cancelled it"
    assert not {"result", "error", "inputRequests"} & set(cancelled)


async def test_a_task_that_waits_for_an_answer_can_be_cancelled() -> None:
    async with follower(Kitchen()) as client:
        task_id = await begin(client, "fill")
        await look(client, task_id, "input_required")
        await client.request("tasks/cancel", taskId=task_id)
        assert "inputRequests" not in await look(client, task_id, "cancelled")
        await answered(client, task_id, filling=filling("late"))
        await look(client, task_id, "cancelled")


async def test_cancelling_what_has_ended_changes_nothing() -> None:
    kitchen = Kitchen()
    kitchen.gate.set()
    async with follower(kitchen) as client:
        task_id = await begin(client, "bake")
        completed = await look(client, task_id, "completed")
        assert (await client.request("tasks/cancel", taskId=task_id))["resultType"] == "complete"
        assert await client.request("tasks/get", taskId=task_id) == completed


async def test_a_tool_may_finish_although_it_is_cancelled() -> None:
    class Stubborn(Kitchen):
        @tool(task="optional")
        async def finish(self) -> str:
            """Finish."""
            self.started.set()
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                return "done anyway"
            return "done"

    kitchen = Stubborn()
    async with follower(kitchen) as client:
        task_id = await begin(client, "finish")
        await kitchen.started.wait()
        await client.request("tasks/cancel", taskId=task_id)
        completed = await look(client, task_id, "completed")
    assert completed["result"]["content"][0]["text"] == "done anyway"
    assert "statusMessage" not in completed


async def test_what_is_said_after_the_end_changes_nothing() -> None:
    class Chatty(Kitchen):
        @tool(task="optional")
        async def chat(self, ctx: Context) -> str:
            """Go on talking."""
            self.talking = asyncio.create_task(self.talk(ctx))
            return "that is all"

        async def talk(self, ctx: Context) -> None:
            await self.gate.wait()
            await ctx.report_progress(1, message="one more thing")

    kitchen = Chatty()
    async with follower(kitchen) as client:
        task_id = await begin(client, "chat")
        completed = await look(client, task_id, "completed")
        kitchen.gate.set()
        await kitchen.talking
        assert await client.request("tasks/get", taskId=task_id) == completed


async def test_a_client_that_goes_before_there_is_a_task_cancels_the_call() -> None:
    class Slow(Kitchen):
        @tool(task="optional", detached=False)
        async def wait(self) -> str:
            """Wait and never become a task."""
            return await Kitchen.bake(self)

    kitchen = Slow()
    async with kitchen, stream(kitchen, "tools/call", {"name": "wait"}):
        await kitchen.started.wait()
        assert not kitchen.ended.is_set()
    assert kitchen.ended.is_set()


async def test_a_client_that_goes_when_there_is_a_task_leaves_it_running() -> None:
    kitchen = Kitchen()
    async with follower(kitchen) as client:
        async with stream(kitchen, "tools/call", {"name": "bake"}) as came:
            created = (await came.get())["result"]
        assert not kitchen.ended.is_set()
        kitchen.gate.set()
        await look(client, created["taskId"], "completed")


class SlowStore(MemoryTaskStore):
    """Takes its time to say that a task is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: asyncio.Queue[bytes] = asyncio.Queue()
        self.gate = asyncio.Event()

    async def add(self, key: bytes, record: TaskRecord) -> bool:
        kept = await super().add(key, record)
        await self.kept.put(key)
        await self.gate.wait()
        return kept


async def test_a_client_that_goes_while_a_task_begins_leaves_one_that_is_cancelled() -> None:
    store = SlowStore()
    kitchen = Kitchen(task_store=store)
    async with kitchen:
        async with stream(kitchen, "tools/call", {"name": "bake"}):
            key = await store.kept.get()
        async with asyncio.timeout(5):
            while (record := await store.get(key)) is not None and record.status != "cancelled":  # noqa: ASYNC110
                await asyncio.sleep(0)
    assert record is not None
    assert not kitchen.started.is_set()


async def test_a_tool_that_begins_a_task_although_its_client_is_gone_finishes_it() -> None:
    class Late(Kitchen):
        @tool(task="optional", detached=False)
        async def late(self, ctx: Context) -> str:
            """Become a task when nobody waits any more."""
            self.started.set()
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                await ctx.detach()
            self.ended.set()
            return "late"

    store = MemoryTaskStore()
    kitchen = Late(task_store=store)
    async with kitchen:
        async with stream(kitchen, "tools/call", {"name": "late"}):
            await kitchen.started.wait()
        await kitchen.ended.wait()
    assert len(store) == 1


async def test_a_task_is_forgotten_when_its_time_to_live_is_over() -> None:
    clock = Clock()
    kitchen = Kitchen(task_store=MemoryTaskStore(clock=clock), tasks=TaskSettings(ttl_s=60))
    kitchen.gate.set()
    async with follower(kitchen) as client:
        task_id = await begin(client, "bake")
        clock.now = 59.9
        await look(client, task_id, "completed")
        clock.now = 60.0
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            with pytest.raises(WireError, match="Unknown task") as caught:
                await client.request(method, taskId=task_id, inputResponses={})
            assert caught.value.wire_code == -32602


async def test_a_task_that_outlives_its_time_is_cancelled() -> None:
    kitchen = Kitchen(tasks=TaskSettings(ttl_s=0.01))
    async with follower(kitchen) as client, asyncio.timeout(5):
        await begin(client, "bake")
        await kitchen.ended.wait()
    assert not kitchen.gate.is_set()


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_a_task_of_somebody_else_is_as_unknown_as_one_that_never_was(method: str) -> None:
    kitchen = Kitchen(verifier=TOKENS)
    async with follower(kitchen, token="a") as ann, follower(kitchen, token="b") as bob:
        task_id = await begin(ann, "bake")
        said = []
        for asked in (task_id, "x" * len(task_id)):
            with pytest.raises(WireError) as caught:
                await bob.request(method, taskId=asked, inputResponses={})
            assert (caught.value.wire_code, caught.value.status, caught.value.data) == (-32602, 400, None)
            said.append(str(caught.value).replace(asked, "ID"))
        assert said[0] == said[1]
        assert (await ann.request("tasks/get", taskId=task_id))["status"] == "working"


async def test_ids_are_long_and_never_the_same() -> None:
    async with follower(Kitchen()) as client:
        ids = {await begin(client, "bake") for _ in range(50)}
    assert len(ids) == 50
    assert min(map(len, ids)) >= 32


async def test_there_are_only_so_many_tasks_of_one_principal_and_in_all() -> None:
    clock = Clock()
    store = MemoryTaskStore(max_tasks=3, max_per_owner=2, clock=clock)
    kitchen = Kitchen(verifier=TOKENS, task_store=store)
    async with follower(kitchen, token="a") as ann, follower(kitchen, token="b") as bob:
        for _ in range(2):
            await begin(ann, "bake")
        refused = await ann.call_tool("bake")
        assert (refused["resultType"], refused["isError"]) == ("complete", True)
        assert refused["content"][0]["text"].startswith("There are too many tasks")
        await begin(bob, "bake")
        assert (await bob.call_tool("bake"))["isError"] is True
        assert len(store) == 3
        clock.now = 3600
        await begin(ann, "bake")
        assert len(store) == 1


async def test_a_store_that_does_not_keep_a_task_lets_no_more_of_it_in() -> None:
    clock = Clock()
    store = MemoryTaskStore(clock=clock)
    record = TaskRecord(b"ann", 0, 0, ttl_ms=1000, poll_interval_ms=1)
    assert await store.add(b"key", record)
    await store.put(b"key", record._replace(status="completed"))
    assert (await store.get(b"key")) == record._replace(status="completed")
    clock.now = 1
    await store.put(b"key", record)
    assert await store.get(b"key") is None
    assert len(store) == 0


@pytest.mark.parametrize("bound", ["max_tasks", "max_per_owner"])
def test_bounds_are_positive(bound: str) -> None:
    with pytest.raises(ValueError, match=f"{bound} must be >= 1, got 0"):
        MemoryTaskStore(**{bound: 0})  # type: ignore[arg-type]


class Orderly(Kitchen):
    """Notes the order in which things end."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[str] = []

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        yield
        self.ends.append("lifespan")

    @tool(task="optional")
    async def run(self) -> str:
        """Run until the end."""
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.ends.append("task")
        return "never"


async def test_a_server_that_stops_cancels_its_tasks_before_its_lifespan_ends() -> None:
    kitchen = Orderly()
    async with follower(kitchen) as client:
        task_id = await begin(client, "run")
        await kitchen.started.wait()
    assert kitchen.ends == ["task", "lifespan"]
    async with follower(kitchen) as client:
        cancelled = await look(client, task_id, "cancelled")
        assert cancelled["statusMessage"] == "The server stopped"
        kitchen.gate.set()
        await look(client, await begin(client, "bake"), "completed")


async def test_a_task_that_does_not_stop_does_not_keep_the_server_from_stopping(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Endless(Kitchen):
        @tool(task="optional")
        async def run(self) -> str:
            """Run on whatever happens."""
            self.started.set()
            try:
                await asyncio.Event().wait()
            finally:
                await self.gate.wait()
                self.ended.set()
            return "never"

    monkeypatch.setattr(handlers, "_GRACE_S", 0.01)
    kitchen = Endless()
    async with follower(kitchen) as client:
        await begin(client, "run")
        await kitchen.started.wait()
    assert "1 tasks run on although they were cancelled" in caplog.text
    kitchen.gate.set()
    await kitchen.ended.wait()
