from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.types import ASGIApp

from tests.auth.issuer import Issuer, KeyServer
from tests.auth.loopback import served


@pytest.fixture(scope="session")
def key_server() -> Iterator[KeyServer]:
    """A real HTTP server on loopback that publishes keys."""
    made: list[KeyServer] = []

    def make(origin: str) -> ASGIApp:
        made.append(KeyServer(origin))
        return made[0].app

    with served(make):
        yield made[0]


@pytest.fixture
def issuer(key_server: KeyServer) -> Iterator[Issuer]:
    """An issuer that publishes its keys on the key server, none so far."""
    one = key_server.issuer()
    yield one
    one.gate.set()
