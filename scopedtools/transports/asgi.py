"""The ASGI app around the endpoint: routes and lifespan."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from scopedtools.auth.resource import ResourceServer

_READABLE: Final = {
    # Pages in a browser look for it from other origins, some with headers that browsers ask about before.
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET",
    "access-control-allow-headers": "*",
    "cache-control": "public, max-age=3600",
}


def build_app(
    endpoint: ASGIApp,
    *,
    path: str,
    lifespan: Callable[[], AbstractAsyncContextManager[Any]],
    routes: Iterable[Route] = (),
    origins: Collection[str] = (),
) -> ASGIApp:
    """Make the app.

    Args:
        endpoint: Answers MCP messages.
        path: Where the endpoint is, when the app is not mounted in another.
        lifespan: Held while the app runs.
        routes: What is served besides.
        origins: Web origins whose pages may call and read the answers, or ``*``.
    """
    if origins:
        endpoint = CORSMiddleware(
            endpoint,
            allow_origins=tuple(origins),
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("*",),
            expose_headers=("Mcp-Session-Id", "Retry-After", "WWW-Authenticate"),
        )

    @asynccontextmanager
    async def held(_: Any) -> AsyncIterator[None]:
        async with lifespan():
            yield

    router = Router([Route(path, endpoint), *routes], lifespan=held)

    def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # The one hot path is told apart by hand; a router costs as much as all the rest of a list.
        answers = endpoint if scope["type"] == "http" and _is_endpoint(scope, path) else router
        return answers(scope, receive, send)

    return app


def metadata_route(resource_server: ResourceServer) -> Route:
    """Make the route of the metadata; it belongs at the root of the host.

    Source: RFC 9728, section 3.
    """
    metadata = resource_server.metadata()

    async def answer(request: Request) -> Response:
        return (
            Response(headers=_READABLE)
            if request.method == "OPTIONS"
            else JSONResponse(metadata, headers=_READABLE)
        )

    return Route(resource_server.metadata_path(), answer, methods=["GET", "OPTIONS"])


def _is_endpoint(scope: Scope, path: str) -> bool:
    root = scope.get("root_path", "")
    if not root:
        return bool(scope["path"] == path)
    return scope["path"].removeprefix(root) in ("", "/", path)
