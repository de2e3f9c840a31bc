"""Vectors in PostgreSQL with pgvector: one copy for all processes, and none in their memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Final

import numpy as np
import psycopg
from psycopg.conninfo import conninfo_to_dict

from scopedtools.exceptions import VectorsUnavailableError
from scopedtools.retrieval.databases.pg_connections import Connection, Connections
from scopedtools.retrieval.databases.pg_table import (
    GRAPH_FROM,
    MOST_DIMENSIONS,
    PgTable,
    Tables,
    for_searches,
)
from scopedtools.retrieval.databases.remote import RemoteVectors
from scopedtools.retrieval.layout import Ordinals
from scopedtools.retrieval.vector_store import Texts

_PORTION: Final = 1024
"""Texts encoded between two additions: as many are lost where a process dies."""

_LOOK_AGAIN_S: Final = 0.1
"""Seconds between two looks at whether another process is done."""

_ORDINARY_S: Final = 10.0
"""Seconds for statements that touch little."""

_DAY_S: Final = 86_400.0


class PgVectors:
    """Keeps vectors in PostgreSQL; a ``VectorStore``.

    Each encoder has two tables: vectors by the hash of their text, which all catalogs share, and for each
    catalog the numbers of its vectors. So a changed catalog costs what is new in it, and the earlier one goes
    on answering. The database needs pgvector 0.8 or later, and connections of their own (a pooler in
    transaction mode would lose their settings).

    Args:
        url: Such as ``postgresql://user:password@host/database``.
        connections: Most searches at once.
        timeout_s: Seconds that a search may take, longer than which words alone answer.
        unused_s: Seconds after which a catalog that no process uses is removed, an hour at least.
        remembered: Most vectors that a process remembers of those it fetched; 16,384 of 384 dimensions
            are 25 MB.
        graph_memory_mb: Memory that the database may take to build a graph; 1,000,000 vectors of 384
            dimensions are built fast with 2,500.

    Raises:
        ValueError: A number is too small, or the URL cannot be read, which is not repeated.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = 8,
        timeout_s: float = 2.0,
        unused_s: float = _DAY_S,
        remembered: int = 16_384,
        graph_memory_mb: int = 512,
    ) -> None:
        for name, value, least in (
            ("connections", connections, 1),
            ("timeout_s", timeout_s, 0.001),
            ("unused_s", unused_s, 3600),
            ("remembered", remembered, 1),
            ("graph_memory_mb", graph_memory_mb, 1),
        ):
            if value < least:
                raise ValueError(f"{name} must be >= {least}, got {value}")
        try:
            conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            raise ValueError(
                "a URL of vectors must be postgresql://user:password@host:port/database; write special "
                "characters of a password as %XX"
            ) from None
        self._connections = Connections(
            url, size=connections, timeout_s=timeout_s, configure=for_searches(timeout_s)
        )
        self._unused_s = unused_s
        self._remembered = remembered
        self._graph_memory_mb = graph_memory_mb

    def keep(self, texts: Texts, given_up: threading.Event) -> RemoteVectors:
        """Have the vectors of all these texts, and return them to be searched; see ``VectorStore``."""
        tables = Tables(texts.encoder, texts.dimensions)
        keys = [bytes.fromhex(key) for key in texts.keys]
        catalog = blake2b(b"".join(keys), digest_size=16).digest()
        with self._connections.alone(patience_s=_ORDINARY_S) as connection:
            numbers = tables.numbers(connection, catalog) if tables.are_there(connection) else None
            if numbers is None:
                numbers = self._build(connection, tables, catalog, texts, given_up)
            size = self._searchable(connection, tables)
        self._connections.open()
        return RemoteVectors(
            PgTable(self._connections, tables, catalog, size=size),
            numbers,
            texts.row_of,
            dimensions=texts.dimensions,
            remembered=self._remembered,
        )

    def close(self) -> None:
        """Let go of connections. A later ``keep`` opens new ones."""
        self._connections.close()

    def _build(
        self,
        connection: Connection,
        tables: Tables,
        catalog: bytes,
        texts: Texts,
        given_up: threading.Event,
    ) -> Ordinals:
        with _alone(connection, tables, catalog, given_up) as built:
            if built is not None:
                return built
            tables.create(connection)
            numbers = self._fill(connection, tables, texts, given_up)
            tables.register(connection, catalog, numbers)
            with _patient(connection):
                tables.tidy(connection, unused_s=self._unused_s)
            return numbers

    def _searchable(self, connection: Connection, tables: Tables) -> int:
        """Return how many vectors a graph leads through; build one first unless another process does.

        Where there is none, 0: then all that are allowed are compared.
        """
        size = tables.size(connection)
        if tables.has_graph(connection):
            return size
        if size < GRAPH_FROM or tables.dimensions > MOST_DIMENSIONS or not _locked(connection, tables):
            return 0
        try:
            with _patient(connection):
                tables.build_graph(connection, memory_mb=self._graph_memory_mb)
        finally:
            _unlock(connection, tables)
        return size

    def _fill(
        self, connection: Connection, tables: Tables, texts: Texts, given_up: threading.Event
    ) -> Ordinals:
        """Encode and add what is not there; return the number of each text."""
        keys = {bytes.fromhex(key): key for key in texts.keys}
        known = tables.known(connection, keys)
        missing = [key for key in keys if key not in known]
        for start in range(0, len(missing), _PORTION):
            if given_up.is_set():
                raise _nobody()
            portion = missing[start : start + _PORTION]
            vectors = texts.encode([keys[key] for key in portion])
            tables.add(connection, portion, vectors)
        known.update(tables.known(connection, missing))
        return np.array([known[bytes.fromhex(key)] for key in texts.keys], dtype=np.int64)


@contextmanager
def _alone(
    connection: Connection, tables: Tables, catalog: bytes, given_up: threading.Event
) -> Iterator[Ordinals | None]:
    """Wait until no other process fills the tables, or until one has added this catalog; yield it then."""
    while not _locked(connection, tables):
        if tables.are_there(connection):
            built = tables.numbers(connection, catalog)
            if built is not None:
                yield built
                return
        if given_up.wait(_LOOK_AGAIN_S):
            raise _nobody()
    try:
        yield tables.numbers(connection, catalog) if tables.are_there(connection) else None
    finally:
        _unlock(connection, tables)


@contextmanager
def _patient(connection: Connection) -> Iterator[None]:
    """Let statements take as long as they take, as those do that delete or build."""
    connection.patience_s = None
    yield
    connection.patience_s = _ORDINARY_S


def _nobody() -> VectorsUnavailableError:
    return VectorsUnavailableError("nobody waits for the vectors any more")


def _locked(connection: Connection, tables: Tables) -> bool:
    found = connection.execute("SELECT pg_try_advisory_lock(%s)", (tables.lock,)).fetchone()
    return found is not None and bool(found[0])


def _unlock(connection: Connection, tables: Tables) -> None:
    if not connection.closed:  # which lets go of it too
        connection.execute("SELECT pg_advisory_unlock(%s)", (tables.lock,))
