"""A store that goes on where its engine does not."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Final, Literal, Self, TypeVar

from scopedtools.exceptions import StoreUnavailableError
from scopedtools.running import Running
from scopedtools.storage import NOBODY, Bus, ContextRecord, ContextStore
from scopedtools.stores.breaker import Breaker
from scopedtools.stores.copies import Change, Copies, brought

_START_S: Final = 5.0
"""Seconds in which an engine must be ready when the server starts, which otherwise starts without it."""

_TRIAL_S: Final = 1.0
"""Seconds that an engine has to answer again, perhaps over new connections. Nobody waits for that."""

_SIDE_BY_SIDE: Final = 16
"""Changes that are brought to an engine at the same time once it answers again."""

_TRIES: Final = 3
"""How often a change is brought to an engine that answers, and does not take it."""

_STEPS: Final = 8
"""Each is one in which another process changed the same record."""

_LAST_PART: Final = 0.1

T = TypeVar("T")


class GuardedStore:
    """Keeps an engine that is slow, broken or gone from holding up requests, or from failing them.

    While it answers, everything goes to the engine, so that all processes show the same. A call that takes
    too long, or fails in whatever way, is answered from copies in this process: a context keeps its list, and
    goes on growing. One without a copy has its view chosen again, which comes out the same as the first time.
    After a few failures the engine is left alone, so that nobody waits for it, and tried again by the second;
    once it answers, it is brought what was changed meanwhile.

    Values of contexts (`Context.state`) have no such way out: what a tool keeps must not be lost silently, so
    those calls fail until the engine answers again.

    Args:
        store: Speaks to the engine. If it is an async context manager, it is entered and left with this; if
            it is a `Bus`, messages go through it.
        timeout_s: Seconds that the engine has for an answer.
        failures: Calls that may fail before the engine is left alone.
        open_s: Seconds until it is tried again.
        max_copies: Most records of principals that this process has copies of, an eighth of them of one
            principal; and most of contexts without authorization.
        max_copies_bytes: Most bytes that these may take, about, and those.
        when_unavailable: ``refuse`` answers what needs a record with `StoreUnavailableError` instead of from
            copies, for those to whom a view is a restriction, not a help.

    Raises:
        ValueError: A number is not positive, or there is no such ``when_unavailable``.
    """

    def __init__(
        self,
        store: ContextStore,
        *,
        timeout_s: float = 0.2,
        failures: int = 3,
        open_s: float = 1.0,
        max_copies: int = 50_000,
        max_copies_bytes: int = 64 * 2**20,
        when_unavailable: Literal["degrade", "refuse"] = "degrade",
    ) -> None:
        for name, value in (("timeout_s", timeout_s), ("open_s", open_s)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be > 0, got {value}")
        for name, count in (
            ("failures", failures),
            ("max_copies", max_copies),
            ("max_copies_bytes", max_copies_bytes),
        ):
            if count < 1:
                raise ValueError(f"{name} must be >= 1, got {count}")
        if when_unavailable not in ("degrade", "refuse"):
            raise ValueError(f"when_unavailable must be degrade or refuse, got {when_unavailable!r}")
        self._store = store
        self._bus = store if isinstance(store, Bus) else None
        self._timeout_s = timeout_s
        self._retry_after_s = math.ceil(open_s)
        self._refuses = when_unavailable == "refuse"
        self._copies = Copies(max_items=max_copies, max_bytes=max_copies_bytes)
        self._breaker = Breaker(
            failures=failures,
            open_s=open_s,
            probe=self._probe,
            restore=self._restore,
            restored=self._tell_restored,
        )
        self._failed_key = NOBODY
        self._hearing: list[Callable[[bytes | None], None]] = []
        self._running = Running(self._start)
        self._is_entered = False

    @property
    def is_degraded(self) -> bool:
        """Whether some of what was asked of late was answered, or will be, without the engine."""
        return not self._breaker.is_closed

    # Records

    async def get(self, key: bytes) -> ContextRecord | None:
        """Return the record and start its time to live anew, or ``None``."""
        if self._is_worth_it(key):
            try:
                record = await self._within(self._store.get(key))
                if record is None and (copy := self._copies.of_before(key)) is not None:
                    record = await self._given_back(key, copy)
            except Exception as error:  # noqa: BLE001 - drivers raise more than errors of their own
                self._failed(key, error)
            else:
                return self._seen(key, record)
        return self._else(self._copies.get)(key)

    async def add(self, key: bytes, record: ContextRecord) -> ContextRecord:
        """Keep a record unless there is one for the key; return the one that is kept."""
        if self._is_worth_it(key):
            try:
                kept = await self._within(self._store.add(key, record))
            except Exception as error:  # noqa: BLE001 - see above
                self._failed(key, error)
            else:
                return self._seen(key, kept) or kept
        return self._else(self._copies.add)(key, record)

    async def replace(self, key: bytes, before: ContextRecord, after: ContextRecord) -> bool:
        """Keep ``after`` where ``before`` is kept now; false, and nothing changes, where it is not."""
        if self._is_worth_it(key):
            try:
                done = await self._within(self._store.replace(key, before, after))
            except Exception as error:  # noqa: BLE001 - see above
                self._failed(key, error)
            else:
                if done:
                    self._seen(key, after)
                else:  # whoever was faster is read next; until then an old copy is better than none
                    self._breaker.succeeded()
                return done
        return self._else(self._copies.replace)(key, before, after)

    # Values

    async def get_value(self, key: bytes, name: str) -> bytes | None:
        """Return a value of a context, or ``None``; starts the time to live of its values anew.

        Raises:
            StoreUnavailableError: The engine does not answer; so for every method about values.
        """
        return await self._reached(key, partial(self._store.get_value, key, name))

    async def put_value(self, key: bytes, name: str, value: bytes, *, ttl_s: float | None = None) -> bool:
        """Keep a value; false where the context has no room for another."""
        return await self._reached(key, partial(self._store.put_value, key, name, value, ttl_s=ttl_s))

    async def add_value(
        self, key: bytes, name: str, value: bytes, *, ttl_s: float | None = None
    ) -> bytes | None:
        """Keep a value unless there is one of that name; return what is kept, or ``None`` for no room."""
        return await self._reached(key, partial(self._store.add_value, key, name, value, ttl_s=ttl_s))

    async def delete_value(self, key: bytes, name: str) -> None:
        """Forget a value, if it is there."""
        await self._reached(key, partial(self._store.delete_value, key, name))

    async def value_names(self, key: bytes) -> list[str]:
        """Return the names of the values of a context, sorted."""
        return await self._reached(key, partial(self._store.value_names, key))

    # Messages

    async def publish(self, message: bytes) -> None:
        """Send a message to all who listen, if the engine takes any and answers."""
        if self._bus is not None and not self._breaker.is_open:
            try:
                await self._within(self._bus.publish(message))
            except Exception as error:  # noqa: BLE001 - see above
                self._failed(NOBODY, error)

    @asynccontextmanager
    async def listening(self, heard: Callable[[bytes | None], None]) -> AsyncIterator[None]:
        """Call ``heard`` for each message, and with ``None`` each time that the engine answers again."""
        self._hearing.append(heard)
        try:
            async with AsyncExitStack() as held:
                if self._bus is not None:
                    await held.enter_async_context(self._bus.listening(heard))
                yield
        finally:
            self._hearing.remove(heard)

    # Running

    async def __aenter__(self) -> Self:
        await self._running.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._running.__aexit__(kind, error, trace)

    async def _start(self) -> AsyncExitStack:
        async with AsyncExitStack() as started:
            started.push_async_callback(self._stop)
            try:
                await self._enter()
                # Connections, scripts and tables are made when they are first needed, and that takes longer.
                async with asyncio.timeout(_START_S):
                    await self._store.get(NOBODY)
            except Exception as error:  # noqa: BLE001 - a server starts without its engine, too
                self._breaker.open(error)
                self._breaker.failed(error)
            return started.pop_all()

    async def _stop(self) -> None:
        await self._breaker.stop()
        if self._is_entered and isinstance(self._store, AbstractAsyncContextManager):
            self._is_entered = False
            await self._store.__aexit__(None, None, None)

    async def _enter(self) -> None:
        if not self._is_entered and isinstance(self._store, AbstractAsyncContextManager):
            async with asyncio.timeout(_START_S):
                await self._store.__aenter__()
            self._is_entered = True

    # With the engine, and without it

    def _is_worth_it(self, key: bytes) -> bool:
        return not self._breaker.is_open and key not in self._copies.changes

    async def _within(self, answer: Awaitable[T]) -> T:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as limit:
            # The last part begins when this process gets to it: one that was busy itself has not waited.
            timer = loop.call_later(
                (1 - _LAST_PART) * self._timeout_s,
                lambda: limit.reschedule(loop.time() + _LAST_PART * self._timeout_s),
            )
            try:
                return await answer
            finally:
                timer.cancel()

    def _failed(self, key: bytes, error: Exception) -> None:
        self._failed_key = key
        self._breaker.failed(error)

    def _seen(self, key: bytes, record: ContextRecord | None) -> ContextRecord | None:
        """Take note of what the engine answered; return what counts."""
        self._breaker.succeeded()
        if key in self._copies.changes:  # while this was under way, something else failed
            return self._copies.get(key)
        if not self._refuses:
            self._copies.see(key, record)
        return record

    def _else(self, otherwise: Callable[..., T]) -> Callable[..., T]:
        """Return what answers instead of the engine.

        Raises:
            StoreUnavailableError: Nothing does.
        """
        if self._refuses:
            raise self._unavailable()
        return otherwise

    async def _reached(self, key: bytes, call: Callable[[], Awaitable[T]]) -> T:
        if self._breaker.is_open:
            raise self._unavailable()
        try:
            answer = await self._within(call())
        except Exception as error:
            self._failed(key, error)
            raise self._unavailable() from error
        self._breaker.succeeded()
        return answer

    def _unavailable(self) -> StoreUnavailableError:
        return StoreUnavailableError(retry_after_s=self._retry_after_s)

    # Back to the engine

    async def _probe(self) -> None:
        if self._running.held:
            await self._enter()
        async with asyncio.timeout(max(_TRIAL_S, self._timeout_s)):
            await self._store.get(self._failed_key)  # of a cluster, the part that failed

    async def _restore(self) -> None:
        """Bring the engine what was changed here alone. Until it has a record, that is read from its copy."""
        self._copies.end_outage()
        while self._copies.changes:
            keys = tuple(self._copies.changes)
            for start in range(0, len(keys), _SIDE_BY_SIDE):
                some = keys[start : start + _SIDE_BY_SIDE]
                done = await asyncio.gather(*map(self._bring, some), return_exceptions=True)
                for problem in done:
                    if problem is not None:
                        raise problem

    async def _given_back(self, key: bytes, copy: ContextRecord) -> ContextRecord:
        """Return what an engine keeps that came back without what it had, as Redis does without a disk."""
        try:
            return await self._within(self._store.add(key, copy))
        except Exception:
            self._copies.see(key, copy)  # which is not tried again: it may be what is not taken
            raise

    async def _bring(self, key: bytes) -> None:
        local, change = self._copies.get(key), self._copies.changes.get(key)
        if local is None or change is None:  # there was no room for it
            self._copies.drop_change(key)
            return
        try:
            kept = await self._brought(key, change, local)
        except Exception:
            self._copies.drop_change(key)
            if change.tries < _TRIES:
                self._copies.put_change(key, change._replace(tries=change.tries + 1))
            else:
                self._copies.see(key, None)
            raise
        if self._copies.get(key) == local:
            self._copies.drop_change(key)
            self._copies.see(key, kept)
        else:  # it was changed again meanwhile
            self._copies.put_change(key, Change(b""))

    async def _brought(self, key: bytes, change: Change, local: ContextRecord) -> ContextRecord | None:
        """Return what the engine keeps now, or ``None`` where others change that all the time."""
        for _ in range(_STEPS):
            kept = await self._within(self._store.add(key, local))
            after = brought(change, kept, local)
            if after == kept or await self._within(self._store.replace(key, kept, after)):
                return after
        return None

    def _tell_restored(self) -> None:
        for heard in tuple(self._hearing):
            heard(None)
