"""Apps on real sockets of this machine, served by uvicorn in the event loop of the test."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from scopedtools import ScopedServer

GRACE_S: Final = 20
"""Seconds that requests under way have when the server ends."""


@asynccontextmanager
async def hosted(
    app: ASGIApp, *, server: ScopedServer | None = None, **options: Any
) -> AsyncIterator[tuple[str, int]]:
    """Serve an app on a free port.

    Args:
        app: What to serve.
        server: The server in it, whose streams end with it; by default the app, if it is one.
        options: Of uvicorn.

    Yields:
        Address and port.
    """
    own = app if server is None and isinstance(app, ScopedServer) else server
    with socket.create_server(("127.0.0.1", 0)) as listening:
        settings: dict[str, Any] = {"log_level": "error", "timeout_graceful_shutdown": GRACE_S} | options
        host = uvicorn.Server(uvicorn.Config(app, **settings))
        running = asyncio.create_task(host.serve(sockets=[listening]))
        try:
            yield listening.getsockname()
        finally:
            if own is not None:
                own.end_streams()
            host.should_exit = True
            async with asyncio.timeout(2 * GRACE_S):
                await running
