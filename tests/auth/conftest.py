from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from tests.auth.issuer import Issuer, KeyServer


@pytest.fixture(scope="session")
def key_server() -> Iterator[KeyServer]:
    """A real HTTP server on loopback that publishes keys."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)  # requests that come before the server is up wait here
        keys = KeyServer(f"http://127.0.0.1:{listening.getsockname()[1]}")
        config = uvicorn.Config(keys.app, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield keys
        server.should_exit = True
        thread.join()


@pytest.fixture
def issuer(key_server: KeyServer) -> Iterator[Issuer]:
    """An issuer that publishes its keys on the key server, none so far."""
    one = key_server.issuer()
    yield one
    one.gate.set()
