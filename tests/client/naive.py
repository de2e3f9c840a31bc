"""A server of 2026-07-28 in a few lines, which says of its answers what a test wants it to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Answer = Callable[[str | None, dict[str, Any]], dict[str, Any]]
"""Takes the context in the header and the parameters; returns a result, or an error with a ``code``."""


def naive(**answers: Answer) -> ASGIApp:
    """Make an app that answers methods, named with ``_`` for ``/``."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        message = msgspec.json.decode(await request.body())
        context = request.headers.get("mcp-client-session-id")
        if message["method"] == "server/discover":
            result = _discovered()
        else:
            answer = answers[message["method"].replace("/", "_")]
            result = answer(context, message["params"])
        key = "error" if "code" in result else "result"
        body = {"jsonrpc": "2.0", "id": message["id"], key: result}
        response = Response(msgspec.json.encode(body), media_type="application/json")
        await response(scope, receive, send)

    return app


def _discovered() -> dict[str, Any]:
    return {
        "resultType": "complete",
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {}, "resources": {}},
        "ttlMs": 1000,
        "cacheScope": "context",  # nonsense here, and no reason to fail
    }


def tools(*names: str, ttl_ms: int = 60_000, scope: str = "public", **more: Any) -> dict[str, Any]:
    """Return a list of tools."""
    rows = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
    return {"resultType": "complete", "tools": rows, "ttlMs": ttl_ms, "cacheScope": scope} | more
