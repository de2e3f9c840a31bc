"""Connections to PostgreSQL for threads that must not wait long."""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final, TypeVar

import numpy as np
import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg_pool import ConnectionPool, PoolTimeout

from scopedtools.exceptions import VectorsUnavailableError
from scopedtools.retrieval.layout import Ordinals

_Value = TypeVar("_Value")

_CONNECT_S: Final = 2
_INT4: Final = 23
_INT4_ARRAY: Final = 1007


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """Gives up on a server that does not answer, which psycopg itself would wait for without end.

    Attributes:
        patience_s: Seconds for each step; ``None`` to wait for as long as it takes.
    """

    patience_s: float | None = None

    def wait(self, gen: Any, *options: Any, **named: Any) -> Any:
        """Wait for what a statement gives; closes the connection where that takes too long."""
        if self.patience_s is not None:
            gen = _until(gen, monotonic() + self.patience_s)
        try:
            return super().wait(gen, *options, **named)
        except TimeoutError as error:
            self.close()
            raise psycopg.OperationalError(f"no answer in {self.patience_s} s") from error


class Numbers:
    """An array of integers as a parameter; a list would take a hundred times as long."""

    def __init__(self, numbers: Ordinals) -> None:
        self.numbers = numbers


class _NumbersDumper(Dumper):
    format = Format.BINARY
    oid = _INT4_ARRAY

    def dump(self, obj: Numbers) -> bytes:
        n = len(obj.numbers)
        elements = np.empty(n, dtype=[("size", ">i4"), ("value", ">i4")])
        elements["size"], elements["value"] = 4, obj.numbers
        return struct.pack(">5i", 1 if n else 0, 0, _INT4, n, 1)[: 20 if n else 12] + elements.tobytes()


class Connections:
    """A few connections that searches share, and single ones for what takes long.

    Args:
        url: Of the database.
        size: Most searches at once.
        timeout_s: Seconds that a search may take, and may wait for its turn.
        configure: Prepares a new connection for searches.
    """

    def __init__(
        self, url: str, *, size: int, timeout_s: float, configure: Callable[[Connection], None]
    ) -> None:
        self._url = url
        self._size = size
        self._timeout_s = timeout_s
        self._configure = configure
        self._pool: ConnectionPool[Connection] | None = None

    def renew(self) -> None:
        """Open new connections when they are needed, and none of those before."""
        self.close()
        self._pool = ConnectionPool(
            self._url,
            connection_class=Connection,
            kwargs={"autocommit": True, "connect_timeout": _CONNECT_S, "prepare_threshold": None},
            min_size=0,
            max_size=self._size,
            timeout=self._timeout_s,
            reconnect_timeout=self._timeout_s,
            configure=self._prepare,
            name="scopedtools-vectors",
            open=True,
        )

    def close(self) -> None:
        """Close all."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close(timeout=1)

    @contextmanager
    def searching(self) -> Iterator[Connection]:
        """Lend a connection for a search.

        Raises:
            VectorsUnavailableError: There is none, or what is done with it fails.
        """
        pool = self._pool
        if pool is None:
            raise VectorsUnavailableError("the connections to PostgreSQL are closed")
        with unavailable(), pool.connection() as connection:
            yield connection

    @contextmanager
    def alone(self, *, patience_s: float | None) -> Iterator[Connection]:
        """Open a connection, and close it afterwards.

        Raises:
            VectorsUnavailableError: There is none, or what is done with it fails.
        """
        with unavailable():
            connection = Connection.connect(
                self._url, autocommit=True, connect_timeout=_CONNECT_S, prepare_threshold=None
            )
            with connection:
                connection.patience_s = patience_s
                connection.adapters.register_dumper(Numbers, _NumbersDumper)
                yield connection

    def _prepare(self, connection: Connection) -> None:
        connection.patience_s = self._timeout_s
        connection.adapters.register_dumper(Numbers, _NumbersDumper)
        self._configure(connection)


@contextmanager
def unavailable() -> Iterator[None]:
    """Say in our words that PostgreSQL failed."""
    try:
        yield
    except (psycopg.Error, PoolTimeout, OSError) as error:
        said = str(error).strip() or type(error).__name__
        raise VectorsUnavailableError(f"PostgreSQL does not answer: {said}") from error


def _until(gen: Generator[Any, Any, _Value], deadline: float) -> Generator[Any, Any, _Value]:
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if monotonic() > deadline:
                raise TimeoutError
            wanted = gen.send(ready)
    except StopIteration as done:
        value: _Value = done.value
        return value
