"""Who wants to hear of changes, and who is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from scopedtools.admission.places import Places
from scopedtools.catalog.primitives import Kind
from scopedtools.context.context import Context
from scopedtools.exceptions import StoreUnavailableError
from scopedtools.limits import Limits
from scopedtools.protocol import meta
from scopedtools.protocol.session import Push
from scopedtools.types import Principal

_log: Final = logging.getLogger(__name__)

_PATIENCE_S: Final = 5.0
"""A server that stops waits so long for hooks that tell what a list is."""

LISTS: Final[Mapping[str, tuple[Kind, ...]]] = MappingProxyType(
    {"tools": ("tool",), "prompts": ("prompt",), "resources": ("resource", "template")}
)
"""Which kinds of rows each list notification is about."""

Revisions = Callable[[Context, Kind], Awaitable[str]]
"""Takes a context and a kind; returns the revision of that list as the context would get it now."""


@dataclass(slots=True, eq=False)
class Listener:
    """One stream of notifications.

    Attributes:
        ctx: Whose lists it is about.
        lists: The lists that it wants to hear of: ``tools``, ``prompts``, ``resources``.
        uris: The resources that it wants to hear of; may change while it listens.
        push: Sends it a notification, and does not wait for a client that is slow to read.
        seen: Revision of each list when it last heard of it.
        ready: Whether each list was seen at least once.
        stale: Whether something changed while it was not ready.
        looking: Held by who looks at its lists: what an earlier look saw is older than what a later one did.
    """

    ctx: Context
    lists: tuple[str, ...]
    uris: Collection[str]
    push: Push
    seen: dict[Kind, str] = field(default_factory=dict)
    ready: bool = False
    stale: bool = False
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)


class Listeners:
    """The listeners of one process.

    Args:
        revisions: Tells what list a context would get.
        limits: How many streams there may be. Sessions are bounded on their own.
    """

    def __init__(self, revisions: Revisions, *, limits: Limits) -> None:
        self._revisions = revisions
        self._places = Places(limits.listeners, limits.listeners_per_principal, "streams")
        self._listeners: set[Listener] = set()
        self._of_context: dict[bytes, set[Listener]] = {}
        self._looks: dict[bytes, asyncio.Task[None]] = {}
        self._changed: set[bytes] = set()
        self._ended = asyncio.Event()

    async def add(self, listener: Listener) -> Callable[[], None]:
        """Begin to tell a listener; returns what ends it."""
        self._listeners.add(listener)
        if listener.ctx.key is not None:
            self._of_context.setdefault(listener.ctx.key, set()).add(listener)
        try:
            # An author's hook that takes long for one caller must not hold up all others, so that those who
            # tell of a change do not wait for this look; it is repeated.
            await self._see(listener)
            listener.ctx.listens = True
            while listener.stale:
                await self._see(listener)
        except BaseException:
            self._remove(listener)
            raise
        listener.ready = True
        return lambda: self._remove(listener)

    async def _see(self, listener: Listener) -> None:
        listener.stale = False
        for name in listener.lists:
            for kind in LISTS[name]:
                listener.seen[kind] = await self._revisions(listener.ctx, kind)

    def _remove(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        key = listener.ctx.key
        if key is not None and (others := self._of_context.get(key)) is not None:
            others.discard(listener)
            if not others:
                del self._of_context[key]

    @contextmanager
    def place(self, principal: Principal) -> Iterator[None]:
        """Hold a place for a stream that a client opened, from before any hook is asked for it.

        Raises:
            LimitError: There is none.
        """
        self._places.enter(principal)
        try:
            yield
        finally:
            self._places.leave(principal)

    @asynccontextmanager
    async def listening(self, listener: Listener) -> AsyncIterator[None]:
        """Tell a stream for as long as this is held."""
        end = await self.add(listener)
        try:
            yield
        finally:
            end()

    async def until_end(self) -> None:
        """Wait until the server stops."""
        await self._ended.wait()

    def begin(self) -> None:
        """Let streams last until `end`."""
        self._ended = asyncio.Event()

    def end(self) -> None:
        """End all streams, each with its result."""
        self._ended.set()

    async def stop(self) -> None:
        """Tell what is to be told yet, then end all streams."""
        looks = set(self._looks.values())
        if looks:
            _, late = await asyncio.wait(looks, timeout=_PATIENCE_S)
            for look in late:
                look.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self.end()

    async def lists_changed(self) -> None:
        """Tell each listener of the lists that are others for its context than before."""
        for listener in tuple(self._listeners):
            await self._tell(listener)

    def context_changed(self, key: bytes) -> None:
        """Tell the listeners of one context of the lists that are others than before, beside all else.

        One look at a time for each context; what changes meanwhile is looked at once more.
        """
        if key not in self._of_context:
            return
        self._changed.add(key)
        if key not in self._looks:
            self._looks[key] = asyncio.create_task(self._look(key), name="tell of a view that grew")

    async def _look(self, key: bytes) -> None:
        try:
            while key in self._changed:
                self._changed.discard(key)
                for listener in tuple(self._of_context.get(key, ())):
                    await self._tell(listener)
        finally:
            self._changed.discard(key)
            del self._looks[key]

    async def _tell(self, listener: Listener) -> None:
        if not listener.ready:
            listener.stale = True
            return
        async with listener.looking:
            try:
                for name in listener.lists:
                    if await self._has_changed(listener, LISTS[name]):
                        await listener.push(f"notifications/{name}/list_changed", {})
            except StoreUnavailableError:  # what is kept can be asked for again later, and is then
                _log.debug("cannot tell now whether lists changed", exc_info=True)
            except Exception:  # noqa: BLE001 - an author's hook; others are told all the same
                _log.exception("cannot tell %r whether its lists changed", listener.ctx)

    async def resource_updated(self, uri: str) -> None:
        """Tell those who subscribed to a resource that it holds something else."""
        for listener in tuple(self._listeners):
            if listener.ready and uri in listener.uris:
                await listener.push("notifications/resources/updated", {"uri": uri})

    async def _has_changed(self, listener: Listener, kinds: tuple[Kind, ...]) -> bool:
        # All before any is noted: where the second fails, the first is a change still when it is asked again.
        now = {kind: await self._revisions(listener.ctx, kind) for kind in kinds}
        changed = any(listener.seen.get(kind) != revision for kind, revision in now.items())
        listener.seen.update(now)
        return changed


class News:
    """Notifications on their way to one listener.

    They wait here for a client that is slow to read, so that nobody else waits for it; of those that say the
    same only one does.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._woken = asyncio.Event()

    async def put(self, method: str, params: Mapping[str, Any]) -> None:
        """Take a notification."""
        self._waiting[method, str(params.get("uri", ""))] = params
        self._woken.set()

    async def forward(self, push: Push) -> None:
        """Send what comes, until cancelled."""
        while True:
            while self._waiting:
                method, uri = next(iter(self._waiting))
                await push(method, self._waiting.pop((method, uri)))
            self._woken.clear()
            await self._woken.wait()


class Watches:
    """Those who want to hear of keys whose values change."""

    def __init__(self) -> None:
        self._watches: set[_Watch] = set()

    def changed(self, key: bytes) -> None:
        """Tell those who watch a key that its value changed."""
        for watch in self._watches:
            if key in watch.keys:
                watch.news[key] = None
                watch.woken.set()

    async def changes(self, keys: Collection[bytes]) -> AsyncGenerator[bytes, None]:
        """Yield each key at once, and again after it changed; who is slow misses all but the last change."""
        watch = _Watch(frozenset(keys), dict.fromkeys(keys))
        self._watches.add(watch)
        try:
            while True:
                while watch.news:
                    key = next(iter(watch.news))
                    del watch.news[key]
                    yield key
                watch.woken.clear()
                await watch.woken.wait()
        finally:
            self._watches.discard(watch)


@dataclass(slots=True, eq=False)
class _Watch:
    keys: frozenset[bytes]
    news: dict[bytes, None]  # a set in order
    woken: asyncio.Event = field(default_factory=asyncio.Event)


def named(push: Push, subscription_id: Any) -> Push:
    """Name the subscription in each notification."""

    async def send(method: str, params: Mapping[str, Any]) -> None:
        await push(method, {**params, "_meta": {meta.SUBSCRIPTION_ID: subscription_id}})

    return send
