"""Apps on real loopback sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import uvicorn
from starlette.types import ASGIApp


@contextmanager
def served(make: Callable[[str], ASGIApp], *, lifespan: Literal["on", "off"] = "off") -> Iterator[str]:
    """Serve an app in a thread of its own.

    Args:
        make: Takes the origin at which the app will be, returns the app.
        lifespan: Whether the app has one.

    Yields:
        The origin.
    """
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)  # requests that come before the server is up wait here
        origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(make(origin), log_level="error", lifespan=lifespan))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield origin
        finally:
            server.should_exit = True
            thread.join()
