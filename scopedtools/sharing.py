"""What the processes of one server share: a store, a secret, and news of what changed."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import Final

from scopedtools.context.store import MemoryStore
from scopedtools.exceptions import DefinitionError
from scopedtools.listeners import Listeners
from scopedtools.storage import Bus, ContextStore, Degradable

SECRET_VARIABLE: Final = "SCOPEDTOOLS_SECRET"  # noqa: S105 - where it is found, not what it is
"""Environment variable that ``secret`` is taken from where it is not given."""

STORE_VARIABLE: Final = "SCOPEDTOOLS_STORE"
"""Environment variable that the URL of a ``store`` is taken from where it is not given."""

_WAITING: Final = 10_000
"""Most news that wait to be told. Where there are more, others look at all lists instead."""

_LAST_WORDS_S: Final = 1.0
"""Seconds that a server which stops has to tell what is to be told yet."""

_TOKEN_BYTES: Final = 8

_CONTEXT: Final = b"c"
_LISTS: Final = b"l"
_RESOURCE: Final = b"r"

_log: Final = logging.getLogger(__name__)


def chosen(store: ContextStore | None, secret: bytes | None) -> tuple[ContextStore, bytes]:
    """Return where a server keeps contexts, and its secret, ``b""`` for a random one.

    Args:
        store: As the author gave it, or ``None``.
        secret: Likewise.

    Raises:
        DefinitionError: The environment names a store that there is not, or other processes share the store,
            and have no way to know the secret.
    """
    secret = secret or os.environ.get(SECRET_VARIABLE, "").encode()
    if store is None and (url := os.environ.get(STORE_VARIABLE, "")):
        from scopedtools.stores import open_store  # noqa: PLC0415 - most servers need none

        store = open_store(url)
    if isinstance(store, Bus) and not secret:
        raise DefinitionError(
            "processes that share a store must have the same secret, or none finds what another keeps; set "
            f"{SECRET_VARIABLE} to a random text, the same for all of them, or give secret="
        )
    return (store if store is not None else MemoryStore()), secret


class Replicas:
    """The other processes that share a store with this one: tells them what changed, and hears it from them.

    Nobody is told what changed, only what to look at, and each looks at its own listeners alone.

    Args:
        store: Does nothing here unless it is a `Bus`.
        name: Of the server; others may use the same store.
        listeners: Of this process.
    """

    def __init__(self, store: ContextStore, *, name: str, listeners: Listeners) -> None:
        self._store = store
        self._degradable = store if isinstance(store, Degradable) else None
        self._bus = store if isinstance(store, Bus) else None
        self._listeners = listeners
        self._server = hashlib.blake2b(name.encode(), digest_size=_TOKEN_BYTES).digest()
        self._says: _Waiting | None = None
        self._hears: _Waiting | None = None
        self._sender = b""
        self._again: dict[bytes, None] = {}  # a set in order

    def context_changed(self, key: bytes) -> None:
        """Have the lists of one context looked at, here and elsewhere."""
        self._listeners.context_changed(key)
        self._say(_CONTEXT, key)

    async def lists_changed(self) -> None:
        """Have all lists looked at, here and elsewhere."""
        self._say(_LISTS)
        await self._listeners.lists_changed()

    async def resource_updated(self, uri: str) -> None:
        """Tell those who subscribed to a resource, here and elsewhere."""
        self._say(_RESOURCE, uri.encode("utf-8", "surrogatepass"))
        await self._listeners.resource_updated(uri)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold the store, and what is said and heard through it."""
        async with AsyncExitStack() as held:
            if isinstance(self._store, AbstractAsyncContextManager):
                await held.enter_async_context(self._store)
            if self._bus is not None:
                # Not before: processes that are forked from one another are not the same.
                self._sender = secrets.token_bytes(_TOKEN_BYTES)
                self._hears = await held.enter_async_context(_working(self._do))
                self._says = await held.enter_async_context(_working(self._bus.publish))
                held.callback(self._be_silent)
                await held.enter_async_context(self._bus.listening(self._heard))
            yield

    def _be_silent(self) -> None:
        self._says = self._hears = None

    def _say(self, kind: bytes, what: bytes = b"") -> None:
        if self._says is not None:
            has_room = self._says.has_room and len(self._again) < _WAITING
            said = (kind, what) if has_room else (_LISTS, b"")
            message = b"".join((self._sender, self._server, *said))
            self._says.put(message)
            if self._is_degraded():
                self._again[message] = None

    def _say_again(self) -> None:
        """Tell once more what was told while the store was away: nobody heard, or nothing was there yet."""
        if self._says is not None and not self._is_degraded():
            again, self._again = self._again, {}
            for message in again:
                self._says.put(message)

    def _is_degraded(self) -> bool:
        return self._degradable is not None and self._degradable.is_degraded

    def _heard(self, message: bytes | None) -> None:
        if self._hears is None:
            return
        if not message:
            self._hears.put(_LISTS)
            self._say_again()
            return
        sender, rest = message[:_TOKEN_BYTES], message[_TOKEN_BYTES:]
        server, told = rest[:_TOKEN_BYTES], rest[_TOKEN_BYTES:]
        if sender == self._sender or server != self._server:
            return
        if told.startswith(_CONTEXT):
            self._listeners.context_changed(told[1:])  # which keeps nobody waiting
        elif told.startswith(_LISTS) or self._hears.has_room:
            self._hears.put(told)

    async def _do(self, told: bytes) -> None:
        if told.startswith(_LISTS):
            await self._listeners.lists_changed()
        elif told.startswith(_RESOURCE):
            await self._listeners.resource_updated(told[1:].decode("utf-8", "surrogatepass"))


class _Waiting:
    """What is to be done, in order; what comes again while it waits is done once."""

    def __init__(self, do: Callable[[bytes], Awaitable[None]]) -> None:
        self._do = do
        self._waiting: OrderedDict[bytes, None] = OrderedDict()
        self._woken = asyncio.Event()

    @property
    def has_room(self) -> bool:
        return len(self._waiting) < _WAITING

    def put(self, what: bytes) -> None:
        self._waiting[what] = None
        self._woken.set()

    async def work(self) -> None:
        while True:
            await self.finish()
            self._woken.clear()
            await self._woken.wait()

    async def finish(self) -> None:
        while self._waiting:
            what, _ = self._waiting.popitem(last=False)
            try:
                await self._do(what)
            except Exception:  # noqa: BLE001 - the next news are told all the same
                _log.exception("news between processes were lost")


@asynccontextmanager
async def _working(do: Callable[[bytes], Awaitable[None]]) -> AsyncIterator[_Waiting]:
    waiting = _Waiting(do)
    task = asyncio.create_task(waiting.work(), name="scopedtools: news between processes")
    try:
        yield waiting
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await waiting.finish()
