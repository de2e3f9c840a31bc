"""Servers on sockets, and requests as they stand on the wire."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import MCPServer

from scopedtools.client import UnitOfWork
from scopedtools.protocol import meta
from tests.hosting import hosted

LATEST: Final = "2026-07-28"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server answers.

    Attributes:
        url: Of the endpoint.
        http: Sends requests to it.
    """

    url: str
    http: httpx2.AsyncClient = field(repr=False)

    async def ask(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        unit: UnitOfWork | None = None,
        caches: bool = False,
        headers: Mapping[str, str] | None = None,
        own_meta: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send a request of 2026-07-28 and return the whole answer.

        Args:
            method: As on the wire.
            params: Without ``_meta``.
            unit: Named in the settings of the extension.
            caches: Whether the client keeps lists by context.
            headers: Besides those that the revision asks for.
            own_meta: What stands in ``_meta`` besides.
        """
        settings = {} if unit is None else unit.settings() | ({"cacheScopes": ["context"]} if caches else {})
        declared = {"extensions": {meta.EXTENSION: settings}} if settings else {}
        envelope = {meta.PROTOCOL_VERSION: LATEST, meta.CLIENT_CAPABILITIES: declared}
        params = {**(params or {}), "_meta": {**envelope, **(own_meta or {})}}
        named = {"Mcp-Name": params["name"]} if "name" in params else {}
        answer = await self.http.post(
            self.url,
            # Escaped, so that tests may send what has no bytes.
            content=json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}),
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": LATEST,
                "Mcp-Method": method,
                **named,
                **(headers or {}),
            },
        )
        parsed: dict[str, Any] = answer.json()
        return parsed

    async def tools(self, **details: Any) -> list[str]:
        """Return the names of the tools on the first page of the list."""
        answer = await self.ask("tools/list", **details)
        return names(answer["result"])


def names(result: Mapping[str, Any]) -> list[str]:
    """Return the names in a list of tools."""
    return [row["name"] for row in result["tools"]]


def view(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a result says of the view that it shows."""
    found: dict[str, Any] = result["_meta"][meta.VIEW]
    return found


@asynccontextmanager
async def served(server: MCPServer | Server[Any], **options: Any) -> AsyncIterator[Endpoint]:
    """Serve a server of the official SDK over HTTP, in JSON where it can."""
    app = server.streamable_http_app(json_response=True, **options)
    async with hosted(app) as (host, port), httpx2.AsyncClient(timeout=60) as http:
        yield Endpoint(f"http://{host}:{port}/mcp", http)
