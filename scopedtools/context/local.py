"""Objects that live in one process, one for each unit of work: a form, a browser, a connection."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Final, Generic, Protocol, Self, TypeVar

from scopedtools.context.context import Context
from scopedtools.context.state import NEEDS_CONTEXT
from scopedtools.exceptions import ToolError
from scopedtools.storage import OWNER_BYTES

_log: Final = logging.getLogger(__name__)

T = TypeVar("T")


class Timer(Protocol):
    """What was arranged, and can be called off."""

    def cancel(self) -> None: ...


class Timers(Protocol):
    """Time, and calls at a later one. An event loop is one."""

    def time(self) -> float:
        """Return seconds that only grow."""
        ...

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer:
        """Arrange a call."""
        ...


class ContextLocal(Generic[T]):
    """Makes one object for each context, keeps it while it is used, and closes it.

    ::

        class Shop(ScopedServer):
            def __init__(self) -> None:
                super().__init__()
                self.forms = ContextLocal(self.open_form)

            @asynccontextmanager
            async def lifespan(self):
                async with self.forms:
                    yield

            @tool
            async def set_field(self, field: str, value: str, ctx: Context) -> str:
                async with self.forms.use(ctx) as form:
                    ...

    First calls that arrive side by side share one object, and may use it side by side. It is never closed
    while it is used. The same ID of another principal has another object, and so has another process.

    Args:
        factory: Opens the object of a context. Enter and exit run in one task of their own, so that what is
            inside may use task groups and cancel scopes. The `Context` is that of the first call, which ends
            long before the object: keep only plain values of it, such as `Context.id`.
        ttl_s: Seconds after its last use in which an object is closed.
        max_objects: Most objects; to make another, the least recently used one that is idle is closed first.
        timers: What time is measured with; by default the event loop.
    """

    def __init__(
        self,
        factory: Callable[[Context], AbstractAsyncContextManager[T]],
        *,
        ttl_s: float = 1800,
        max_objects: int = 1000,
        timers: Timers | None = None,
    ) -> None:
        if not ttl_s > 0:
            raise ValueError(f"ttl_s must be > 0, got {ttl_s}")
        if max_objects < 1:
            raise ValueError(f"max_objects must be >= 1, got {max_objects}")
        self._factory = factory
        self._ttl_s = ttl_s
        self._max_objects = max_objects
        self._given_timers = timers
        self._timers: Timers | None = None
        self._living: dict[_Held[T], None] = {}
        self._held: OrderedDict[bytes, _Held[T]] = OrderedDict()
        self._ending: dict[bytes, _Held[T]] = {}
        self._succeeded: set[_Held[T]] = set()

    async def __aenter__(self) -> Self:
        """Begin. Enter it in the `lifespan` of the server."""
        if self._timers is not None:
            raise RuntimeError("this ContextLocal is entered already: enter it once, in lifespan")
        self._timers = self._given_timers or asyncio.get_running_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all objects, those made last first, side by side; wait for the last use of each."""
        self._timers = None
        for held in reversed(list(self._living)):
            self._discard(held)
            if not held.made.done():
                held.task.cancel()
        if self._living:
            await asyncio.wait([held.task for held in self._living])

    @asynccontextmanager
    async def use(self, ctx: Context) -> AsyncIterator[T]:
        """Use the object of a context; the first use makes it.

        Raises:
            ToolError: The request names no context, or all objects that there may be are in use.
            RuntimeError: The `ContextLocal` was not entered.
            Exception: What the factory raised. All who wait for it get it; the next use tries anew.
        """
        key = _key(ctx)
        if self._timers is None:
            raise RuntimeError(
                "this ContextLocal is not open: enter it in lifespan, 'async with self.forms: yield'"
            )
        held = self._held.get(key) or self._make(key, ctx)
        held.begin_use()
        self._held.move_to_end(key)
        try:
            # One who goes away must not take the object from those who wait for it too.
            yield await asyncio.shield(held.made)
        finally:
            self._end_use(held)

    async def discard(self, ctx: Context) -> None:
        """Close the object of a context, if there is one: now, or when its last use ends.

        The next use makes another. Waits until it is closed, unless it is in use.
        """
        held = self._held.get(_key(ctx))
        if held is not None:
            self._discard(held)
            if not held.uses:
                await asyncio.wait([held.task])

    def __len__(self) -> int:
        """Return how many objects there are, with those that are being made or closed."""
        return len(self._living)

    def _make(self, key: bytes, ctx: Context) -> _Held[T]:
        after = self._make_room(key)
        held: _Held[T] = _Held(key)
        held.task = asyncio.create_task(self._live(held, ctx, after))
        held.task.add_done_callback(partial(self._gone, held))
        self._living[held] = None
        self._held[key] = held
        return held

    async def _live(self, held: _Held[T], ctx: Context, after: set[asyncio.Task[None]]) -> None:
        if after:
            await asyncio.wait(after)
        async with self._factory(ctx) as made:
            held.made.set_result(made)
            del ctx  # a request, with all that it carried
            await held.ended.wait()

    def _make_room(self, key: bytes) -> set[asyncio.Task[None]]:
        """Return what has to end before another object is made; each that ends makes room for one."""
        before = self._ending.get(key)  # of two of one context, the first is closed when the second opens
        place = before if before not in self._succeeded else None
        if place is None and len(self._living) - len(self._succeeded) >= self._max_objects:
            place = self._leaving()
        if place is not None:
            self._succeeded.add(place)
        return {held.task for held in (before, place) if held is not None}

    def _leaving(self) -> _Held[T]:
        for held in self._ending.values():
            if held not in self._succeeded:
                return held
        for held in self._held.values():
            if not held.uses:
                self._end(held)
                return held
        raise ToolError(f"all {self._max_objects} that there may be at once are in use; try again later")

    def _end_use(self, held: _Held[T]) -> None:
        held.uses -= 1
        if held.uses or held.task.done():
            return
        if self._timers is None or self._held.get(held.key) is not held:
            self._end(held)
            return
        self._held.move_to_end(held.key)
        held.timer = self._timers.call_at(self._timers.time() + self._ttl_s, partial(self._end, held))

    def _discard(self, held: _Held[T]) -> None:
        if held.uses:
            self._forget(held)
        else:
            self._end(held)

    def _end(self, held: _Held[T]) -> None:
        self._forget(held)
        self._ending[held.key] = held
        held.end()

    def _forget(self, held: _Held[T]) -> None:
        for kept in (self._held, self._ending):
            if kept.get(held.key) is held:
                del kept[held.key]

    def _gone(self, held: _Held[T], task: asyncio.Task[None]) -> None:
        self._forget(held)
        self._living.pop(held)
        self._succeeded.discard(held)
        held.cancel_timer()
        error = (
            ToolError("the server is stopping; call again later") if task.cancelled() else task.exception()
        )
        if not held.made.done():
            held.made.set_exception(error or RuntimeError("the factory gave nothing"))
            held.made.exception()  # seen, even where nobody waits for it any more
        elif error is not None and not task.cancelled():
            _log.error("the object of context %s failed", held.key[OWNER_BYTES:].hex()[:12], exc_info=error)


class _Held(Generic[T]):
    """One object, and the task that it lives in."""

    __slots__ = ("ended", "key", "made", "task", "timer", "uses")

    task: asyncio.Task[None]

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.made: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self.uses = 0
        self.timer: Timer | None = None

    def begin_use(self) -> None:
        self.uses += 1
        self.cancel_timer()

    def cancel_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def end(self) -> None:
        """Close what was made, or stop making it."""
        self.cancel_timer()
        self.ended.set()
        if not self.made.done():
            self.task.cancel()


def _key(ctx: Context) -> bytes:
    if ctx.key is None:
        raise ToolError(NEEDS_CONTEXT)
    return ctx.key
