"""Resources of an upstream that somebody here wants to hear of: told once to us, passed on to each."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import anyio

from scopedtools.catalog.primitives import Updated
from scopedtools.exceptions import InvalidParamsError
from scopedtools.gateway.connection import Connection
from scopedtools.gateway.errors import DownError, RefusedError
from scopedtools.protocol import meta

_log: Final = logging.getLogger(__name__)

_ANSWER_S: Final = 10.0
_WAIT_S: Final = 5.0
"""Seconds that somebody who begins to listen waits for the server to know of it."""

_BACKOFF_S: Final = 0.5
_MAX_BACKOFF_S: Final = 60.0
_STEADY_S: Final = 10.0


@dataclass(slots=True, eq=False)
class _Wanted:
    """One resource.

    Attributes:
        listeners: Whom to tell.
        known: Set while the server tells us of it, or will not.
        missed: It may have changed while nobody told us, so that those who listen are told once it is known.
    """

    listeners: dict[object, Updated] = field(default_factory=dict)
    known: asyncio.Event = field(default_factory=asyncio.Event)
    missed: bool = False


@dataclass(slots=True, eq=False)
class _Stream:
    """A stream of 2026-07-28 in which the server tells of some resources."""

    name: str
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False


class Interest:
    """Subscribes upstream to what is listened to here, once for each resource, while it is.

    After a time in which the server could not tell of a resource, those who listen are told of it as if it
    had changed.

    Args:
        name: Of the server.
        max_resources: Most resources at a time.
    """

    def __init__(self, name: str, *, max_resources: int) -> None:
        self._name = name
        self._max_resources = max_resources
        self._wanted: dict[str, _Wanted] = {}
        self._changed = asyncio.Event()
        self._stream: _Stream | None = None
        self._live = False

    # Those who listen

    async def watch(self, uri: str, updated: Updated) -> Callable[[], None]:
        """Begin to tell somebody of a resource; returns what ends it.

        It waits a while for the server to know of it, so that what changes afterwards is told.

        Args:
            uri: Of the resource, as the server knows it.
            updated: Takes the URI, or that of something beneath it.

        Raises:
            InvalidParamsError: There are too many already.
        """
        wanted = self._wanted.get(uri)
        if wanted is None:
            if len(self._wanted) >= self._max_resources:
                raise InvalidParamsError(
                    f"{self._name!r} has {self._max_resources} subscriptions already; try again later"
                )
            wanted = self._wanted[uri] = _Wanted()
            self._changed.set()
        who = object()
        wanted.listeners[who] = updated
        end = partial(self._end, uri, wanted, who)
        try:
            async with asyncio.timeout(_WAIT_S if self._live else 0):
                await wanted.known.wait()
        except TimeoutError:
            wanted.missed = True
        except BaseException:
            end()
            raise
        return end

    def _end(self, uri: str, wanted: _Wanted, who: object) -> None:
        wanted.listeners.pop(who, None)
        if not wanted.listeners and self._wanted.get(uri) is wanted:
            del self._wanted[uri]
            self._changed.set()

    # The server

    async def heard(self, method: str, params: Mapping[str, Any]) -> None:
        """Take a notification of the server."""
        uri = params.get("uri")
        if method == "notifications/resources/updated" and isinstance(uri, str):
            for known, wanted in tuple(self._wanted.items()):
                # Servers may tell of something beneath what was subscribed to.
                if uri == known or uri.startswith(known.rstrip("/") + "/"):
                    await self._tell(wanted, uri)
        elif method == "notifications/subscriptions/acknowledged":
            self._acknowledged(params.get("_meta"))

    def _acknowledged(self, about: Any) -> None:
        named = about.get(meta.SUBSCRIPTION_ID) if isinstance(about, dict) else None
        if self._stream is not None and self._stream.name == named:
            self._stream.begun.set()

    async def _tell(self, wanted: _Wanted, uri: str) -> None:
        for updated in tuple(wanted.listeners.values()):
            try:
                await updated(uri)
            except Exception:  # noqa: BLE001 - one client that is gone; the others are told all the same
                _log.debug("%s: an update was not taken", self._name, exc_info=True)

    async def keep(self, connection: Connection) -> None:
        """Have a server tell of what is wanted, for as long as its connection lasts."""
        offered = connection.capabilities.get("resources")
        if not isinstance(offered, dict) or offered.get("subscribe") is not True:
            return
        self._live = True
        try:
            await (self._keep_stream if connection.is_modern else self._keep_subscriptions)(connection)
        finally:
            self._live = False
            self._lose()

    def _lose(self) -> None:
        for wanted in self._wanted.values():
            wanted.known.clear()
            wanted.missed = True

    async def _know(self, uri: str) -> None:
        wanted = self._wanted.get(uri)
        if wanted is not None and not wanted.known.is_set():
            wanted.known.set()
            missed, wanted.missed = wanted.missed, False
            if missed:
                await self._tell(wanted, uri)

    async def _keep_subscriptions(self, connection: Connection) -> None:
        """Subscribe and unsubscribe, as it was before 2026-07-28."""
        held: dict[str, _Wanted] = {}
        while True:
            self._changed.clear()
            for uri in [uri for uri in held if uri not in self._wanted]:
                del held[uri]
                await self._ask(connection, "resources/unsubscribe", uri)
            for uri, wanted in list(self._wanted.items()):
                if held.get(uri) is not wanted and self._wanted.get(uri) is wanted:
                    if uri not in held:
                        await self._ask(connection, "resources/subscribe", uri)
                    held[uri] = wanted
                    await self._know(uri)
            await self._changed.wait()

    async def _ask(self, connection: Connection, method: str, uri: str) -> None:
        try:
            await connection.request(method, {"uri": uri}, timeout_s=_ANSWER_S)
        except (RefusedError, DownError) as error:
            _log.info("%s: %s failed: %s", self._name, method, error)

    async def _keep_stream(self, connection: Connection) -> None:
        """Listen, as it is since 2026-07-28; another stream takes over before the one before it ends."""
        pause, uris, self._stream = _BACKOFF_S, "", None
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            for number in itertools.count():
                self._changed.clear()
                before: _Stream | None = self._stream
                wanted = sorted(self._wanted)
                began = asyncio.get_running_loop().time()
                if repr(wanted) != uris or (before is not None and before.over):
                    uris, self._stream = repr(wanted), None
                    if wanted:
                        self._stream = stream = _Stream(f"resources-{number}")
                        tasks.start_soon(self._listen, connection, stream, wanted)
                        with anyio.move_on_after(_ANSWER_S):
                            await stream.begun.wait()
                    if before is not None:
                        before.scope.cancel()
                if self._stream is not None and self._stream.over:
                    await anyio.sleep(pause)
                    pause = min(pause * 2, _MAX_BACKOFF_S)
                    continue
                for uri in wanted:
                    await self._know(uri)
                await self._changed.wait()
                if asyncio.get_running_loop().time() - began > _STEADY_S:
                    pause = _BACKOFF_S

    async def _listen(self, connection: Connection, stream: _Stream, uris: list[str]) -> None:
        with stream.scope:
            try:
                asked = {"notifications": {"resourceSubscriptions": uris}}
                await connection.request("subscriptions/listen", asked, request_id=stream.name)
            except (RefusedError, DownError) as error:
                _log.info("%s: the stream of updates ended: %s", self._name, error)
            stream.over = True
            stream.begun.set()
            if stream is self._stream:
                self._lose()
                self._changed.set()
