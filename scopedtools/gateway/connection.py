"""One connection to an upstream, on the official client's dispatcher: raw messages in both directions.

Not the client class itself: its models drop what they do not know, and one row that is junk fails a whole
list. What goes through a gateway has to come out as it went in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any, Final, Protocol, TypeAlias

import anyio
import httpx2
from anyio.abc import TaskStatus
from mcp.shared.dispatcher import CallOptions, ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    NAME_BEARING_METHODS,
    encode_header_value,
)
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, METHOD_NOT_FOUND
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION

from scopedtools.client.unit import UnitOfWork
from scopedtools.gateway.config import ServerConfig
from scopedtools.gateway.errors import DownError, RefusedError
from scopedtools.gateway.http import UNREACHABLE, open_http
from scopedtools.gateway.process import run_process
from scopedtools.protocol import meta

_log: Final = logging.getLogger(__name__)

CLIENT_INFO: Final = {"name": "scopedtools-gateway", "version": "0"}
_PROBE_S: Final = 10.0
_OVER: Final = ((-32600, "Session terminated"), (CONNECTION_CLOSED, "Connection closed"))
"""What the official client says of its connection: after 404 in a session, and at the end of a stream.
Servers send the same codes for reasons of their own."""

_LOST: Final = (CONNECTION_CLOSED, "SSE stream ended without a response")


class Asking(Protocol):
    """A call that is under way, as the upstream may turn to it."""

    @property
    def asker(self) -> object:
        """Whose call it is; questions of one asker may go to any of the asker's calls."""
        ...

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the client that made the call."""
        ...

    async def tell(self, method: str, params: Mapping[str, Any]) -> None:
        """Pass a notification on to it."""
        ...


Heard: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""Takes a notification that belongs to no call: its method and parameters."""


async def _unheard(_method: str, _params: Mapping[str, Any]) -> None:
    return


class Connection:
    """A connection that has shaken hands.

    Attributes:
        version: Protocol revision.
        is_modern: Every request says all there is to know.
        is_stateful: The server keeps a session for this connection over HTTP.
        capabilities: What the server can do.
        info: Its name and version, as it says.
        closed: Set when nothing can be sent any more.
    """

    def __init__(self, dispatcher: JSONRPCDispatcher[Any], changed: Callable[[], None], heard: Heard) -> None:
        self._dispatcher = dispatcher
        self._changed = changed
        self._heard = heard
        self._calls: dict[str, Asking] = {}
        self._progress: dict[int, ProgressFnT] = {}
        self.version = ""
        self.is_modern = False
        self.is_stateful = False
        self.capabilities: Mapping[str, Any] = {}
        self.info: Mapping[str, Any] = {}
        self.closed = asyncio.Event()

    @property
    def is_busy(self) -> bool:
        """Whether any call is under way."""
        return bool(self._calls)

    @property
    def offers_context(self) -> bool:
        """Whether the server knows our extension."""
        return meta.declared_settings(self.capabilities) is not None

    async def request(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        call: Asking | None = None,
        headers: Mapping[str, str] | None = None,
        capabilities: Mapping[str, Any] | None = None,
        progress: ProgressFnT | None = None,
        timeout_s: float | None = None,
        request_id: int | str | None = None,
    ) -> dict[str, Any]:
        """Send a request and return its result as it came.

        Args:
            method: Such as ``tools/call``.
            params: Its parameters, with ``_meta`` if it has any.
            call: Whom the server may turn to meanwhile.
            headers: Further HTTP headers.
            capabilities: What the client can do, where each request says so.
            progress: Told how far it is.
            timeout_s: For the answer; by default the caller sees to it.
            request_id: JSON-RPC ID, of a request whose notifications are told apart by it.

        Raises:
            RefusedError: The server answered with an error.
            DownError: It gave no answer.
        """
        options: CallOptions = {"headers": dict(headers or {})}
        if progress is not None:
            options["on_progress"] = progress
        if request_id is not None:
            options["request_id"] = request_id
        if method in ("initialize", "server/discover", "ping"):
            options["cancel_on_abandon"] = False
        sent = self._stamped(method, params, capabilities or {}, options["headers"])
        # Over HTTP a question comes in the stream of the request that it belongs to, and the official
        # transport runs what comes there in the context of whoever sent the request.
        unit = UnitOfWork()
        if call is not None:
            self._calls[unit.id] = call
        try:
            # The dispatcher's own deadline begins when the request is sent, which may be never.
            with unit.active() if call is not None else nullcontext():
                async with asyncio.timeout(timeout_s):
                    return await self._dispatcher.send_raw_request(method, sent, options)
        except MCPError as error:
            raise self._problem(error) from error
        except TimeoutError as error:
            raise DownError("did not answer in time") from error
        except (anyio.ClosedResourceError, anyio.BrokenResourceError, RuntimeError) as error:
            raise DownError("the connection is closed") from error
        finally:
            self._calls.pop(unit.id, None)

    async def notify(self, method: str) -> None:
        """Send a notification."""
        headers: dict[str, str] = {MCP_PROTOCOL_VERSION_HEADER: self.version}
        await self._dispatcher.notify(method, None, {"headers": headers})

    def _stamped(
        self, method: str, params: Mapping[str, Any], capabilities: Mapping[str, Any], headers: dict[str, str]
    ) -> dict[str, Any]:
        if not self.version:
            return dict(params)
        headers[MCP_PROTOCOL_VERSION_HEADER] = self.version
        if not self.is_modern:
            return dict(params)
        headers[MCP_METHOD_HEADER] = method
        # The official table does not know of the tasks extension.
        name = params.get("taskId" if method.startswith("tasks/") else NAME_BEARING_METHODS.get(method, ""))
        if isinstance(name, str):
            headers[MCP_NAME_HEADER] = encode_header_value(name)
        own = {meta.PROTOCOL_VERSION: self.version, meta.CLIENT_INFO: CLIENT_INFO}
        given = params.get("_meta") or {}
        more = given.get(meta.CLIENT_CAPABILITIES) or {}
        declared = {**capabilities, **more}
        if extensions := {**capabilities.get("extensions", {}), **more.get("extensions", {})}:
            declared["extensions"] = extensions
        return {**params, "_meta": {**given, **own, meta.CLIENT_CAPABILITIES: declared}}

    def _problem(self, error: MCPError) -> Exception:
        code, message = error.error.code, error.error.message
        if (code, message) in _OVER:
            self.closed.set()
            return DownError(message)
        if code == UNREACHABLE or (code, message) == _LOST:
            return DownError(message)
        return RefusedError(message, code=code, data=error.error.data)

    # From the server

    async def _on_request(self, _: Any, method: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
        if method == "ping":
            return {}
        if method not in ("elicitation/create", "sampling/createMessage", "roots/list"):
            raise MCPError(METHOD_NOT_FOUND, f"Method not found: {method[:80]}")
        call = self._call()
        if call is None:
            raise MCPError(INTERNAL_ERROR, "It cannot be told which client this is for")
        try:
            return await call.ask(method, params or {})
        except Exception as error:
            raise MCPError(INTERNAL_ERROR, str(error)) from error

    def _call(self) -> Asking | None:
        """Return the call that a message belongs to, as far as that can be told."""
        unit = UnitOfWork.current()
        if unit is not None and unit.id in self._calls:
            return self._calls[unit.id]
        calls = list(self._calls.values())
        if not calls or any(one.asker != calls[0].asker for one in calls):
            return None  # the answer of one must not be asked of another
        return calls[-1]

    @contextmanager
    def hearing(self, request_id: int, progress: ProgressFnT) -> Iterator[None]:
        """Take progress of a request that was answered with a task, for as long as this is held."""
        self._progress[request_id] = progress
        try:
            yield
        finally:
            del self._progress[request_id]

    async def _on_progress(self, said: Mapping[str, Any]) -> None:
        token, progress = said.get("progressToken"), said.get("progress")
        total, message = said.get("total"), said.get("message")
        heard = self._progress.get(token) if isinstance(token, int) else None
        if heard is not None and isinstance(progress, int | float):
            await heard(
                float(progress),
                float(total) if isinstance(total, int | float) else None,
                message if isinstance(message, str) else None,
            )

    async def _on_notify(self, _: Any, method: str, params: Mapping[str, Any] | None) -> None:
        if method.endswith("/list_changed"):
            self._changed()
        elif method == "notifications/progress":
            await self._on_progress(params or {})
        elif method == "notifications/message" and (call := self._call()) is not None:
            await call.tell(method, params or {})
        elif method in ("notifications/resources/updated", "notifications/subscriptions/acknowledged"):
            await self._heard(method, params or {})

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Read what the server sends until the connection ends."""
        try:
            await self._dispatcher.run(self._on_request, self._on_notify, task_status=task_status)
        finally:
            self.closed.set()

    # Shaking hands

    async def shake_hands(self, capabilities: Mapping[str, Any], *, legacy: bool) -> None:
        """Find out what the server is, and begin.

        Args:
            capabilities: What we declare to a server that keeps sessions.
            legacy: Do not try the newest revision.
        """
        if legacy or not await self._discover():
            await self._initialize(capabilities)

    async def _discover(self) -> bool:
        """Ask what the server is; false where it is of an earlier revision."""
        self.version, self.is_modern = LATEST_MODERN_VERSION, True
        try:
            found = await self.request("server/discover", {}, timeout_s=_PROBE_S)
        except RefusedError:
            found = {}
        except DownError:
            if self.closed.is_set():
                raise
            found = {}  # some of the earlier ones do not answer what they do not know
        versions = found.get("supportedVersions")
        if isinstance(versions, list) and LATEST_MODERN_VERSION in versions:
            self._learn(found, (found.get("_meta") or {}).get(meta.SERVER_INFO))
            return True
        self.version, self.is_modern = "", False
        return False

    async def _initialize(self, capabilities: Mapping[str, Any]) -> None:
        asked = {
            "protocolVersion": LATEST_HANDSHAKE_VERSION,
            "capabilities": dict(capabilities),
            "clientInfo": CLIENT_INFO,
        }
        found = await self.request("initialize", asked)
        version = found.get("protocolVersion")
        if version not in HANDSHAKE_PROTOCOL_VERSIONS:
            raise DownError(f"speaks protocol revision {str(version)[:40]!r}, which is not known here")
        self.version = str(version)
        self._learn(found, found.get("serverInfo"))
        await self.notify("notifications/initialized")

    def _learn(self, found: Mapping[str, Any], info: Any) -> None:
        capabilities = found.get("capabilities")
        self.capabilities = capabilities if isinstance(capabilities, dict) else {}
        self.info = info if isinstance(info, dict) else {}


@asynccontextmanager
async def connect(
    config: ServerConfig,
    *,
    capabilities: Mapping[str, Any],
    legacy: bool = False,
    auth: httpx2.Auth | None = None,
    changed: Callable[[], None] = lambda: None,
    heard: Heard = _unheard,
) -> AsyncIterator[Connection]:
    """Connect to an upstream.

    Args:
        config: Which.
        capabilities: What we declare to a server that keeps sessions.
        legacy: Do not try the newest revision.
        auth: Puts the gateway's credential on each HTTP request.
        changed: Called when the server says that a list changed.
        heard: Told of resources that changed, and of streams that began.

    Raises:
        DownError: It cannot be reached, or does not shake hands in time; perhaps in a group.
    """
    session_began = asyncio.Event()
    transport = (
        run_process(config)
        if config.command is not None
        else open_http(config, auth=auth, session_began=session_began.set)
    )
    async with transport as (read, write), anyio.create_task_group() as tasks:
        connection = Connection(JSONRPCDispatcher(read, write), changed, heard)
        await tasks.start(connection.run)
        try:
            async with asyncio.timeout(config.connect_timeout_ms / 1000):
                await connection.shake_hands(capabilities, legacy=legacy)
        except TimeoutError as error:
            raise DownError("did not shake hands in time") from error
        connection.is_stateful = session_began.is_set() and not connection.is_modern
        try:
            yield connection
        finally:
            connection.closed.set()
            tasks.cancel_scope.cancel()
