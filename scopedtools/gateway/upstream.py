"""One upstream server, watched: connected while it runs, tried again while it does not."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any, Final, Literal

import anyio

from scopedtools.context.context import Context
from scopedtools.context.local import ContextLocal
from scopedtools.exceptions import ToolError
from scopedtools.gateway.config import ServerConfig
from scopedtools.gateway.connection import Connection, connect
from scopedtools.gateway.conversation import Conversation
from scopedtools.gateway.errors import DownError, RefusedError, UpstreamError
from scopedtools.gateway.forwarding import askable, envelope, upstream_id
from scopedtools.gateway.interest import Interest
from scopedtools.gateway.listing import Definitions, list_all
from scopedtools.gateway.oauth import ClientCredentials
from scopedtools.gateway.parked import Parked
from scopedtools.gateway.passing import More, Passing
from scopedtools.protocol.inputs import InputRequired

_log: Final = logging.getLogger(__name__)

_BACKOFF_S: Final = 0.5
_MAX_BACKOFF_S: Final = 60.0
_STEADY_S: Final = 10.0
"""Seconds that a connection has to hold before a failure counts as the first again."""

_HEARTBEAT_S: Final = 60.0
_PROBE_S: Final = 10.0
_SETTLE_S: Final = 0.1
"""Seconds in which changes that a server tells are one change."""

_LAST_CALLS_S: Final = 1.0
"""Seconds in which a request may come to its call."""

_WAIT_S: Final = 10.0
"""Seconds that a call waits for a server that is connecting for the first time."""

_SHARED: Final[Mapping[str, Any]] = {"elicitation": {"form": {}, "url": {}}, "sampling": {}}
"""What a connection that many clients share declares: a client that cannot answer refuses its own question.
Not roots, which servers ask for when nobody's call is under way, and which would be one client's for all."""


class Upstream:
    """A server behind the gateway.

    Args:
        config: Which.
        known: What it had when it was last seen.
        changed: Called when it has something else.

    Attributes:
        config: Which.
        definitions: What it has, as last known.
        state: Whether it is there.
        problem: Why it is not, or ``""``.
        settled: Set once it was listed, or could not be.
        interest: Who wants to hear of its resources.
    """

    def __init__(self, config: ServerConfig, known: Definitions, changed: Callable[[Upstream], None]) -> None:
        self.config = config
        self.definitions = known
        self.state: Literal["connecting", "up", "down"] = "connecting"
        self.problem = ""
        self.settled = asyncio.Event()
        self.interest = Interest(config.name, max_resources=config.limits.max_subscriptions)
        self._changed = changed
        self._connection: Connection | None = None
        self._legacy = config.protocol == "legacy"
        self._failures = 0
        self._doubt = asyncio.Event()
        self._relist = asyncio.Event()
        self._parked = Parked()
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()
        self._auth = None
        if config.oauth is not None and config.url is not None:
            self._auth = ClientCredentials(config.oauth, config.url)
        self._sessions: ContextLocal[Connection] = ContextLocal(
            self._open_session, ttl_s=config.context_idle_s, max_objects=config.max_contexts
        )

    # Being there

    async def run(self) -> None:
        """Keep it connected, until cancelled."""
        async with self._sessions:
            try:
                while not _cancelled():
                    await self._live_once()
                    if not _cancelled():
                        await self._pause()
            finally:
                self._parked.end()  # before the sessions, which wait for the calls that use them

    async def _live_once(self) -> None:
        loop = asyncio.get_running_loop()
        began, held = loop.time(), False
        try:
            async with connect(
                self.config,
                capabilities=_SHARED,
                legacy=self._legacy,
                auth=self._auth,
                changed=self._relist.set,
                heard=self.interest.heard,
            ) as connection:
                self._legacy = not connection.is_modern
                await self._list(connection)
                self._connection, self.state, self.problem = connection, "up", ""
                held = True
                self.settled.set()
                _log.info("%s is up, %s", self.config.name, connection.version)
                try:
                    await self._watch(connection)
                finally:  # now, and not when it is closed: a server that is stuck takes seconds to end
                    self._connection, self.state = None, "down"
            problem = "the connection ended"
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on and this one is tried again
            problem = reason(error)
        is_new, told = problem != self.problem, f"{self.config.name} is down: {problem}"
        self._failures = 1 if held and loop.time() - began > _STEADY_S else self._failures + 1
        self._connection, self.state, self.problem = None, "down", problem
        self.settled.set()
        if is_new:
            _log.warning("%s; trying again, with growing pauses", told)
        else:
            _log.debug("%s", told)

    async def _pause(self) -> None:
        longest = min(_MAX_BACKOFF_S, _BACKOFF_S * 2 ** min(self._failures - 1, 10))
        await asyncio.sleep(longest * random.uniform(0.5, 1))  # noqa: S311 - spreads load

    async def _watch(self, connection: Connection) -> None:
        """Return when the connection is of no more use."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow_changes, connection)
            tasks.start_soon(self.interest.keep, connection)
            if connection.is_modern:
                tasks.start_soon(self._listen, connection)
            await self._probe_until_lost(connection)
            tasks.cancel_scope.cancel()

    async def _probe_until_lost(self, connection: Connection) -> None:
        while not connection.closed.is_set():
            doubted = await self._doubted(connection)
            if connection.closed.is_set() or (connection.is_busy and not doubted):
                continue  # a server that does one thing at a time answers when it is done
            try:
                await connection.request(
                    "server/discover" if connection.is_modern else "ping", {}, timeout_s=_PROBE_S
                )
            except RefusedError:
                continue  # an answer all the same
            except DownError as error:
                raise DownError(f"it {error}" if doubted else f"it {error} when it was idle") from error

    async def _doubted(self, connection: Connection) -> bool:
        """Wait for a doubt, the end, or the time to look; tell whether there is a doubt."""
        waits = [asyncio.create_task(one.wait()) for one in (connection.closed, self._doubt)]
        try:
            await asyncio.wait(waits, timeout=_HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        doubted = self._doubt.is_set()
        self._doubt.clear()
        return doubted

    async def _listen(self, connection: Connection) -> None:
        """Hold a stream of changes open; after a gap everything is listed anew."""
        offered = connection.capabilities
        wanted = {f"{name}ListChanged": True for name in ("tools", "prompts", "resources") if name in offered}
        pause = _BACKOFF_S
        while wanted:
            began = asyncio.get_running_loop().time()
            try:
                await connection.request("subscriptions/listen", {"notifications": wanted})
            except RefusedError as error:
                if error.code == -32601:
                    return
            except DownError:
                self._doubt.set()
            pause = _BACKOFF_S if asyncio.get_running_loop().time() - began > _STEADY_S else pause * 2
            await anyio.sleep(min(pause, _MAX_BACKOFF_S))
            self._relist.set()

    async def _follow_changes(self, connection: Connection) -> None:
        while True:
            await self._relist.wait()
            await anyio.sleep(_SETTLE_S)
            self._relist.clear()
            try:
                await self._list(connection)
            except UpstreamError as error:
                # What is known stays; whether the server is still there is looked at.
                _log.warning("%s cannot be listed: %s", self.config.name, error)
                self._doubt.set()

    async def _list(self, connection: Connection) -> None:
        found = await list_all(connection, self.config, self.definitions)
        if found != self.definitions:
            self.definitions = found
            self._changed(self)

    # Requests

    async def send(
        self,
        ctx: Context,
        method: str,
        params: Mapping[str, Any],
        *,
        more: Callable[[Connection], More] = lambda _: More(),
    ) -> dict[str, Any]:
        """Pass a request on and return the result as it came.

        Args:
            ctx: Whose request it is.
            method: Such as ``tools/call``.
            params: Its parameters.
            more: Tells what else goes over a connection.

        Raises:
            UpstreamError: There is no result.
        """
        asker = (ctx.principal.name, ctx.key or object())
        same = (ctx.principal.name, ctx.key, method, repr(sorted(params.items())))
        call = self._parked.take(same, ctx)
        if call is None:

            async def run(conversation: Conversation) -> dict[str, Any]:
                return await self._converse(conversation, ctx, method, params, more)

            call = Conversation(run, asker=asker, timeout_s=self.config.timeout_ms / 1000)
        self._users += 1
        self._unused.clear()
        try:
            return await call.attend(ctx)
        except InputRequired:
            self._parked.park(same, call)
            raise
        except DownError as error:
            self._doubt.set()
            raise DownError(f"The server {self.config.name!r} is down: {error}; try again later") from error
        except RefusedError:
            raise
        except UpstreamError as error:
            raise UpstreamError(f"The server {self.config.name!r} failed: {error}") from error
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    async def unused(self) -> None:
        """Wait until nobody waits for an answer, where nobody asks for something new."""
        # Whoever began on an earlier catalog may be about to ask still.
        await asyncio.sleep(_LAST_CALLS_S)
        await self._unused.wait()

    async def _converse(
        self,
        conversation: Conversation,
        ctx: Context,
        method: str,
        params: Mapping[str, Any],
        more: Callable[[Connection], More],
    ) -> dict[str, Any]:
        follows = ctx.meta.get("progressToken") is not None or ctx.follows_tasks
        async with self._use(ctx) as connection:
            around = envelope(
                ctx,
                self.config.forward,
                is_modern=connection.is_modern,
                offers_context=connection.offers_context,
            )
            passing = Passing(connection, conversation, around, more(connection), progress=follows)
            return await passing.run(method, params)

    # Connections

    def _use(self, ctx: Context) -> AbstractAsyncContextManager[Connection]:
        return self._use_session(ctx) if ctx.key is not None else self._use_shared()

    @asynccontextmanager
    async def _use_shared(self) -> AsyncIterator[Connection]:
        yield await self._shared()

    async def _shared(self) -> Connection:
        if self._connection is None and self.state == "connecting":
            with anyio.move_on_after(_WAIT_S):
                await self.settled.wait()
        if self._connection is None:
            raise DownError(self.problem or "it is still starting")
        return self._connection

    @asynccontextmanager
    async def _use_session(self, ctx: Context) -> AsyncIterator[Connection]:
        """Use the connection of a context, where it has one of its own."""
        shared = await self._shared()
        own = self.config.per_context
        if own is False or (own is None and not shared.is_stateful):
            yield shared
            return
        async with AsyncExitStack() as use:
            try:
                connection = await use.enter_async_context(self._sessions.use(ctx))
                if connection.closed.is_set():
                    # Nothing waits in between, so that it is this one that goes.
                    await self._sessions.discard(ctx)
                    await use.aclose()
                    connection = await use.enter_async_context(self._sessions.use(ctx))
            except ToolError as error:
                raise UpstreamError(str(error)) from error
            yield connection

    @asynccontextmanager
    async def _open_session(self, ctx: Context) -> AsyncIterator[Connection]:
        """Open the connection of a context, which names itself on every request."""
        forward, headers = self.config.forward, dict(self.config.headers)
        name = upstream_id(ctx, forward)
        if name is not None and forward.context_header:
            headers[forward.context_header] = name
        config = replace(self.config, headers=headers)
        capabilities = askable(ctx)
        del ctx
        async with connect(
            config, capabilities=capabilities, legacy=self._legacy, auth=self._auth
        ) as connection:
            yield connection


def reason(error: BaseException) -> str:
    """Return what to say of a failure, out of the groups that it may be in."""
    if isinstance(error, BaseExceptionGroup):
        return next(iter(sorted(map(reason, error.exceptions), key=len, reverse=True)))
    if isinstance(error, UpstreamError):
        return str(error)
    return f"it failed ({type(error).__name__})"


def _cancelled() -> bool:
    """Tell whether this task is to end; a connection that fails at the same moment may have hidden that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
