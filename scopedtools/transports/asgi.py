"""The ASGI app around the endpoint: routes and lifespan."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send


def build_app(
    endpoint: ASGIApp, *, path: str, lifespan: Callable[[], AbstractAsyncContextManager[Any]]
) -> ASGIApp:
    """Make the app.

    Args:
        endpoint: Answers MCP messages.
        path: Where the endpoint is, when the app is not mounted in another.
        lifespan: Held while the app runs.
    """

    @asynccontextmanager
    async def held(_: Any) -> AsyncIterator[None]:
        async with lifespan():
            yield

    router = Router([Route(path, endpoint)], lifespan=held)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # The one hot path is told apart by hand; a router costs as much as all the rest of a list.
        if scope["type"] == "http" and _is_endpoint(scope, path):
            await endpoint(scope, receive, send)
        else:
            await router(scope, receive, send)

    return app


def _is_endpoint(scope: Scope, path: str) -> bool:
    root = scope.get("root_path", "")
    if not root:
        return bool(scope["path"] == path)
    return scope["path"].removeprefix(root) in ("", "/", path)
