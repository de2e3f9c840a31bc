"""What a store does for requests while its engine stands still, is broken, or is gone."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from scopedtools.exceptions import StoreUnavailableError
from scopedtools.storage import Addition, ContextRecord
from scopedtools.stores import GuardedStore
from scopedtools.types import Turn
from tests.stores.failing import DOWN, KEY, OTHER, Engine, back, fail, guarded, record, until

pytestmark = pytest.mark.anyio


async def test_while_the_engine_answers_all_is_read_from_it_and_written_to_it() -> None:
    async with guarded() as (store, engine):
        assert await store.get(KEY) is None
        assert await store.add(KEY, record(1)) == record(1)
        assert await store.add(KEY, record(2)) == record(1)
        assert await store.replace(KEY, record(1), record(1, 2))
        assert not await store.replace(KEY, record(1), record(1, 3))
        await engine.change(record(1, 2), record(1, 2, 4))
        assert await store.get(KEY) == record(1, 2, 4) == await engine.kept()
        assert await store.put_value(KEY, "x", b"1")
        assert await store.add_value(KEY, "x", b"2") == b"1"
        assert (await store.get_value(KEY, "x"), await store.value_names(KEY)) == (b"1", ["x"])
        await store.delete_value(KEY, "x")
        assert await store.value_names(KEY) == []
        assert not store.is_degraded


async def test_whatever_an_engine_raises_a_context_keeps_what_it_had() -> None:
    async with guarded() as (store, engine):
        await store.add(KEY, record(1))
        for problem in (DOWN, ConnectionError(), RuntimeError("loop"), TimeoutError(), KeyError("x")):
            engine.problem = problem
            assert await store.get(KEY) == record(1)
            assert await store.get(OTHER) is None
            assert store.is_degraded
            await back(store, engine)


async def test_nobody_waits_longer_than_the_timeout_and_once_it_is_left_alone_nobody_waits() -> None:
    async with guarded(timeout_s=0.1, open_s=30) as (store, engine):
        await store.add(KEY, record(1))
        engine.stands_still = True
        for _ in range(3):
            assert await store.get(KEY) == record(1)
        engine.calls = 0
        started = time.perf_counter()
        for _ in range(200):
            assert await store.get(KEY) == record(1)
            with pytest.raises(StoreUnavailableError):
                await store.get_value(KEY, "x")
            await store.publish(b"x")
        assert time.perf_counter() - started < 200 * 0.1
        assert engine.calls == 0


async def test_the_engine_is_tried_beside_all_calls_and_one_attempt_is_enough() -> None:
    async with guarded(timeout_s=5, open_s=0.05) as (store, engine):
        await fail(store, engine)
        engine.problem, engine.stands_still, engine.calls = None, True, 0
        await until(lambda: engine.calls)
        assert await asyncio.wait_for(store.get(KEY), 1) is None
        assert engine.calls == 1


async def test_a_few_failures_among_many_calls_do_not_open_it_and_a_third_of_them_does() -> None:
    async with guarded(open_s=30) as (store, engine):
        for failing in range(20):
            engine.problem = DOWN
            await store.get(KEY)
            engine.problem = None
            for _ in range(20):
                await store.get(b"%d" % failing)
        before = engine.calls
        await store.get(KEY)
        assert engine.calls == before + 1
        for _ in range(6):
            engine.problem = DOWN
            await store.get(KEY)
            engine.problem = None
            await store.get(OTHER)
            await store.get(OTHER)
        before = engine.calls
        await store.get(OTHER)
        assert engine.calls == before


async def test_a_process_that_was_busy_itself_does_not_take_the_engine_for_slow() -> None:
    class Prompt(Engine):
        async def get(self, key: bytes) -> ContextRecord | None:
            answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(0.01, answered.set_result, None)
            await answered
            for _ in range(5):  # as a driver, which has to make something of what came
                await asyncio.sleep(0)
            return await super().get(key)

    engine = Prompt()
    async with GuardedStore(engine, timeout_s=0.1) as store:
        await engine.add(KEY, record(1))
        asking = asyncio.create_task(store.get(KEY))
        await asyncio.sleep(0)
        time.sleep(0.2)  # noqa: ASYNC251 - as a catalog that is read
        assert await asking == record(1)
        assert not store.is_degraded


async def test_a_caller_who_goes_away_is_no_failure_of_the_engine() -> None:
    async with guarded(timeout_s=30) as (store, engine):
        engine.stands_still = True
        asking = asyncio.create_task(store.get(KEY))
        await until(lambda: engine.calls == 2)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert not store.is_degraded


async def test_a_context_grows_in_an_outage_and_the_engine_is_brought_what_it_became() -> None:
    async with guarded() as (store, engine):
        await store.add(KEY, record(1))
        await fail(store, engine)
        assert await store.replace(KEY, record(1), record(1, 2))
        assert not await store.replace(KEY, record(1), record(1, 3))
        assert not await store.replace(OTHER, record(1), record(1, 3))
        assert await store.add(OTHER, record(7)) == record(7)
        assert await store.add(OTHER, record(8)) == record(7)
        assert (await store.get(KEY), await store.get(OTHER)) == (record(1, 2), record(7))
        await back(store, engine)
        assert (await engine.kept(), await engine.kept(OTHER)) == (record(1, 2), record(7))
        assert (await store.get(KEY), await store.get(OTHER)) == (record(1, 2), record(7))


async def test_where_others_were_faster_what_they_kept_stays_and_the_rest_is_appended() -> None:
    mine = ContextRecord(
        "v", (1, 5, 2), (Turn("mine"),), (Addition(5, "search", "mine"), Addition(2, "search", "mine")), True
    )
    theirs = ContextRecord("v", (1, 3, 2), (Turn("theirs"),), (Addition(3, "search", "theirs"),))
    async with guarded() as (store, engine):
        await store.add(KEY, record(1))
        await fail(store, engine)
        assert await store.replace(KEY, record(1), mine)
        await store.add(OTHER, record(7))
        await engine.change(record(1), theirs)
        engine.problem = None
        await back(store, engine)
        assert await engine.kept() == ContextRecord(
            "v",
            (1, 3, 2, 5),
            (Turn("theirs"),),
            (Addition(3, "search", "theirs"), Addition(5, "search", "mine")),
            seeded=True,
        )
        assert await store.get(KEY) == await engine.kept()


@pytest.mark.parametrize("step", ["add", "replace"])
async def test_a_change_of_which_only_the_answer_was_lost_is_made_once(step: str) -> None:
    async with guarded() as (store, engine):
        await store.add(KEY, record(1))
        engine.problem, engine.after = DOWN, True
        if step == "add":
            assert await store.add(OTHER, record(7)) == record(7)
        else:
            assert await store.replace(KEY, record(1), record(1, 2))
        engine.after = False
        await back(store, engine)
        assert await engine.kept() == (record(1) if step == "add" else record(1, 2))
        assert await engine.kept(OTHER) == (record(7) if step == "add" else None)


async def test_one_lost_change_is_read_from_here_until_the_engine_has_it() -> None:
    async with guarded(open_s=0.2) as (store, engine):
        await store.add(KEY, record(1))
        engine.problem = DOWN
        assert await store.replace(KEY, record(1), record(1, 2))
        engine.problem = None
        assert await store.get(KEY) == record(1, 2)
        assert await store.replace(KEY, record(1, 2), record(1, 2, 3))
        assert await engine.kept() == record(1)
        assert await store.add(OTHER, record(7)) == await engine.kept(OTHER)
        await back(store, engine)
        assert await engine.kept() == record(1, 2, 3)


async def test_an_answer_that_was_under_way_takes_nothing_back_of_what_was_changed_here_meanwhile() -> None:
    class Slow(Engine):
        go_on = asyncio.Event()

        async def get(self, key: bytes) -> ContextRecord | None:
            kept = await super().get(key)
            if key == KEY:
                await self.go_on.wait()
            return kept

    engine = Slow()
    async with GuardedStore(engine, timeout_s=5, open_s=0.05) as store:
        await store.add(KEY, record(1))
        calls = engine.calls
        asking = asyncio.create_task(store.get(KEY))
        await until(lambda: engine.calls > calls)
        engine.problem = DOWN
        assert await store.replace(KEY, record(1), record(1, 2))
        engine.go_on.set()
        assert await asking == record(1, 2)
        await back(store, engine)
        assert await engine.kept() == record(1, 2)


async def test_a_change_is_brought_again_where_the_engine_fails_once_more_meanwhile() -> None:
    class Relapsing(Engine):
        failures = 2

        async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
            if self.problem is None and key == OTHER and self.failures:
                self.failures -= 1
                raise ConnectionError
            return await super().add(key, record)

    engine = Relapsing()
    async with GuardedStore(engine, timeout_s=1, open_s=0.02) as store:
        engine.problem = DOWN
        assert await store.add(OTHER, record(7)) == record(7)
        await back(store, engine)
        assert engine.failures == 0
        assert await engine.kept(OTHER) == record(7)


async def test_what_a_context_becomes_while_it_is_brought_to_the_engine_is_brought_too() -> None:
    class Slow(Engine):
        reached, go_on = asyncio.Event(), asyncio.Event()

        async def replace(self, key: bytes, before: ContextRecord, after: ContextRecord) -> bool:
            done = await super().replace(key, before, after)
            self.reached.set()
            await self.go_on.wait()
            return done

    engine = Slow()
    async with GuardedStore(engine, timeout_s=5, open_s=0.05) as store:
        await store.add(KEY, record(1))
        await fail(store, engine)
        assert await store.replace(KEY, record(1), record(1, 2))
        engine.problem = None
        await engine.reached.wait()
        assert await store.replace(KEY, record(1, 2), record(1, 2, 3))
        assert await store.get(KEY) == record(1, 2, 3)
        engine.go_on.set()
        await back(store, engine)
        assert await engine.kept() == record(1, 2, 3)


async def test_a_change_that_the_engine_does_not_take_keeps_no_other_from_it() -> None:
    class Picky(Engine):
        async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
            if key == OTHER:
                raise ValueError("too large")
            return await super().add(key, record)

    engine = Picky()
    async with GuardedStore(engine, timeout_s=1, open_s=0.02) as store:
        await store.add(KEY, record(1))
        await store.add(OTHER, record(7))
        engine.problem = DOWN
        assert await store.replace(KEY, record(1), record(1, 2))
        await back(store, engine)
        assert await engine.kept() == record(1, 2)
        assert await store.get(OTHER) is None


async def test_values_are_never_made_up() -> None:
    async with guarded() as (store, engine):
        await store.put_value(KEY, "x", b"1")
        engine.problem = DOWN
        calls: tuple[Callable[[], Awaitable[Any]], ...] = (
            lambda: store.get_value(KEY, "x"),
            lambda: store.put_value(KEY, "x", b"2"),
            lambda: store.get_value(KEY, "x"),
            lambda: store.add_value(KEY, "x", b"2"),
            lambda: store.delete_value(KEY, "x"),
            lambda: store.value_names(KEY),
        )
        for call in calls:
            with pytest.raises(StoreUnavailableError, match="try again later"):
                await call()
        await back(store, engine)
        assert await store.get_value(KEY, "x") == b"1"


async def test_who_takes_views_for_a_restriction_gets_no_copy_of_one() -> None:
    async with guarded(when_unavailable="refuse", open_s=1.5) as (store, engine):
        await store.add(KEY, record(1))
        engine.problem = DOWN
        for _ in range(5):
            for call in (store.get(KEY), store.add(KEY, record(2)), store.replace(KEY, record(1), record(2))):
                with pytest.raises(StoreUnavailableError) as refusal:
                    await call
        assert (refusal.value.code, refusal.value.retry_after_s) == (503, 2)
        assert await engine.kept() == record(1)


async def test_an_outage_is_two_lines_in_the_log_and_no_line_tells_a_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with guarded() as (store, engine):
        engine.problem = ConnectionError("redis://:hunter2@cache")
        for number in range(100):
            await store.get(KEY)
            await store.add(b"%d" % number, record(1))
            with pytest.raises(StoreUnavailableError):
                await store.get_value(KEY, "x")
        await back(store, engine)
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "the context store does not answer (ConnectionError); going on without it"),
        ("WARNING", "the context store answers again"),
    ]
    assert all(one.exc_info is None for one in caplog.records)


async def test_a_server_starts_without_its_engine_which_is_entered_once_it_is_there() -> None:
    engine = Engine()
    engine.problem = ConnectionError()
    store = GuardedStore(engine, open_s=0.02)
    async with store, store:
        assert store.is_degraded
        assert await store.add(KEY, record(1)) == record(1)
        await back(store, engine)
        assert engine.events == ["entered"]
        assert await engine.kept() == record(1)
    assert engine.events == ["entered", "left"]
    async with store:
        assert engine.events == ["entered", "left", "entered"]


async def test_those_who_listen_hear_messages_and_that_they_may_have_missed_some() -> None:
    heard: list[bytes | None] = []
    async with guarded() as (store, engine), store.listening(heard.append):
        await store.publish(b"one")
        await fail(store, engine)
        await store.publish(b"two")
        await back(store, engine)
        await store.publish(b"three")
    assert heard == [b"one", None, b"three"]
    assert engine.heard == []


@pytest.mark.parametrize(
    "options",
    [
        {"timeout_s": 0},
        {"open_s": -1},
        {"failures": 0},
        {"max_copies": 0},
        {"max_copies_bytes": 0},
        {"when_unavailable": "panic"},
    ],
)
def test_a_guard_that_could_not_guard_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="got"):
        GuardedStore(Engine(), **options)
