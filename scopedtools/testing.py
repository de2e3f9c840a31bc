"""A client for tests and for the command line: over HTTP, or straight into a server in this process.

It speaks revision 2026-07-28 and names its context under our extension. For applications take an official
MCP client.
"""

from __future__ import annotations

import itertools
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self

import httpx2
import msgspec
from starlette.types import ASGIApp

from scopedtools.exceptions import InternalError, ProtocolError
from scopedtools.protocol import meta, mirrors
from scopedtools.protocol.methods import METHODS
from scopedtools.protocol.revisions import LATEST
from scopedtools.retrieval.hashing import HashingEncoder
from scopedtools.server import ScopedServer

__all__ = ["Client", "HashingEncoder", "WireError"]

_IN_PROCESS: Final = "http://in-process/mcp"


class WireError(ProtocolError):
    """An error that a server answered with.

    Attributes:
        wire_code: JSON-RPC code.
        status: HTTP status.
    """

    def __init__(self, message: str, *, wire_code: int, status: int, data: Any = None) -> None:
        super().__init__(f"{message} ({wire_code}, HTTP {status})", data=data)
        self.wire_code = wire_code
        self.status = status


class Client:
    """Calls one server in one context.

    Args:
        target: A server, which is started and stopped with the client unless it runs already, any ASGI
            app, or the URL of an endpoint.
        context: Context ID, or ``None`` to name none.
        intent: What the context is about.
        token: Bearer token.
        headers: Sent with every request.
        capabilities: What the client declares that it can do, such as ``{"elicitation": {}}``.
        tasks: Follow calls as tasks, where the server makes any.
        growth: Follow lists that grow.
    """

    def __init__(
        self,
        target: ScopedServer | ASGIApp | str,
        *,
        context: str | None = None,
        intent: str | None = None,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        capabilities: dict[str, Any] | None = None,
        tasks: bool = False,
        growth: bool = False,
    ) -> None:
        self._target = target
        settings = {"contextId": context, "intent": intent, "growth": growth or None}
        declared = {key: value for key, value in settings.items() if value is not None}
        extensions = ({meta.EXTENSION: declared} if declared else {}) | ({meta.TASKS: {}} if tasks else {})
        own = capabilities or {}
        extensions = own.get("extensions", {}) | extensions
        self._capabilities = own | ({"extensions": extensions} if extensions else {})
        authorization = {"authorization": f"Bearer {token}"} if token else {}
        self._headers = authorization | (headers or {})
        self._ids = itertools.count(1)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        target = self._target
        if isinstance(target, str):
            self._url, transport = target, None
        else:
            self._url, transport = _IN_PROCESS, httpx2.ASGITransport(app=target)
            if isinstance(target, ScopedServer):
                await self._stack.enter_async_context(target)
        self._http = httpx2.AsyncClient(transport=transport, timeout=60)
        await self._stack.enter_async_context(self._http)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def request(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Send a request and return its result.

        Args:
            method: Such as ``tools/list``.
            params: Its parameters; ``meta`` adds to ``_meta``.

        Raises:
            WireError: The server answered with an error.
        """
        response = await self._http.post(
            self._url, content=self._body(method, params), headers=self._header(method, params)
        )
        try:
            reply = msgspec.json.decode(response.content)
        except msgspec.DecodeError as error:
            raise InternalError(
                f"HTTP {response.status_code}, and no JSON: {response.text[:200]!r}"
            ) from error
        if "error" in reply:
            said = reply["error"]
            data = said.get("data")
            raise WireError(said["message"], wire_code=said["code"], status=response.status_code, data=data)
        result: dict[str, Any] = reply["result"]
        return result

    async def list_tools(self) -> list[dict[str, Any]]:
        """Return all tools, page after page."""
        return await self.list_all("tools")

    async def list_all(self, kind: str) -> list[dict[str, Any]]:
        """Return all rows of ``tools``, ``resources``, ``resources/templates`` or ``prompts``."""
        field = "resourceTemplates" if kind == "resources/templates" else kind
        page = await self.request(f"{kind}/list")
        rows: list[dict[str, Any]] = page[field]
        while "nextCursor" in page:
            page = await self.request(f"{kind}/list", cursor=page["nextCursor"])
            rows += page[field]
        return rows

    async def call_tool(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its result."""
        return await self.request("tools/call", name=name, arguments=arguments)

    def _body(self, method: str, params: dict[str, Any]) -> bytes:
        request_meta = {
            meta.PROTOCOL_VERSION: LATEST.name,
            meta.CLIENT_INFO: {"name": "scopedtools", "version": "0"},
            meta.CLIENT_CAPABILITIES: self._capabilities,
            **params.get("meta", {}),
        }
        own = {name: value for name, value in params.items() if name != "meta"}
        message = {
            "jsonrpc": "2.0",
            "id": next(self._ids),
            "method": method,
            "params": own | {"_meta": request_meta},
        }
        return msgspec.json.encode(message)

    def _header(self, method: str, params: dict[str, Any]) -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            mirrors.VERSION_HEADER: LATEST.name,
            mirrors.METHOD_HEADER: method,
        }
        named_by = _named_by(method)
        if named_by is not None and named_by in params:
            headers[mirrors.NAME_HEADER] = mirrors.encode_value(params[named_by])
        return headers | self._headers


def _named_by(method: str) -> str | None:
    """Return the parameter that a header mirrors, as on the wire."""
    known = METHODS.get(method)
    fields = msgspec.structs.fields(known.params) if known is not None else ()
    return next((one.encode_name for one in fields if known is not None and one.name == known.named_by), None)
