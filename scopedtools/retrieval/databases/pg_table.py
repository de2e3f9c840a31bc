"""The tables of one encoder in PostgreSQL with pgvector: what is kept there, and how it is searched."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Final, LiteralString, TypeVar

import numpy as np
from psycopg import sql

from scopedtools.retrieval.databases.pg_connections import Connection, Connections, Numbers
from scopedtools.retrieval.databases.remote import Allowed, lost
from scopedtools.retrieval.layout import Ordinals

if TYPE_CHECKING:
    from scopedtools.types import Vectors

_Value = TypeVar("_Value")

GRAPH_FROM: Final = 2_000
"""Vectors from which a table gets a graph; fewer are compared in 9 ms."""

_EXACT_MS: Final = (0.0035, 0.0008)
"""What an allowed vector costs where all are compared: once, and for each query."""

_GRAPH_MS: Final = 8.0
_GRAPH_POWER: Final = 0.8
"""What a walk through the graph costs a query where all is allowed; with less it rises by this power."""

MOST_DIMENSIONS: Final = 2000
"""Of longer vectors pgvector has no graph; all that are allowed are compared then."""

_SEARCHED: Final = 200
"""Vectors that a walk through the graph keeps in view at a time (``hnsw.ef_search``)."""

_AT_ONCE: Final = 16
"""Queries in one statement."""

_KEYS: Final = 10_000
"""Keys in one statement."""

_TOUCH_S: Final = 600.0
"""Seconds after which a catalog that is searched is marked as in use again."""

_CREATE: Final[tuple[LiteralString, ...]] = (
    "CREATE EXTENSION IF NOT EXISTS vector",
    """CREATE TABLE IF NOT EXISTS {vectors} (
    id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key bytea NOT NULL UNIQUE,
    embedding vector({d}) NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS {catalogs} (
    catalog bytea PRIMARY KEY,
    numbers int4[] NOT NULL,
    used_at timestamptz NOT NULL DEFAULT now())""",
    "COMMENT ON TABLE {vectors} IS {about}",
)

# Materialized, so that each query is read once, not for each vector.
_ASKED: Final[LiteralString] = """
WITH asked AS MATERIALIZED (
    SELECT place, query::vector({d}) AS query
    FROM unnest(%(queries)s::text[]) WITH ORDINALITY AS given(query, place))"""

# Materialized, so that the planner cannot walk through the graph and filter what it happens to meet: of the
# nearest among one row in a hundred that finds one in twenty.
_AMONG_FEW: Final[LiteralString] = (
    _ASKED  # noqa: S608 - of constants
    + """, allowed AS MATERIALIZED (
    SELECT id, embedding FROM {vectors} WHERE id = ANY(%(numbers)b))
SELECT place, near.id FROM asked CROSS JOIN LATERAL (
    SELECT id, embedding <#> query AS distance FROM allowed ORDER BY distance, id LIMIT {n}) AS near
ORDER BY place, near.distance, near.id"""
)

# A number beyond the bitmap is of a catalog that came later.
_AMONG_MANY: Final[LiteralString] = (
    _ASKED  # noqa: S608 - of constants
    + """
SELECT place, near.id FROM asked CROSS JOIN LATERAL (
    SELECT id, embedding <#> query AS distance FROM {vectors}
    WHERE CASE WHEN id < %(bits)s THEN get_bit(%(bitmap)b::bytea, id) = 1 ELSE false END
    ORDER BY embedding <#> query LIMIT {n}) AS near
ORDER BY place, near.distance, near.id"""
)


class Tables:
    """Names of the tables of one encoder, and the statements that fill them.

    Args:
        encoder: Its name and revision.
        dimensions: Length of a vector.

    Attributes:
        lock: What processes that fill them exclude each other by.
    """

    def __init__(self, encoder: tuple[str, str], dimensions: int) -> None:
        name = "\0".join((*encoder, str(dimensions))).encode()
        digest = blake2b(name, digest_size=8)
        self.lock = int.from_bytes(digest.digest(), "big", signed=True)
        self._vectors = f"scopedtools_vectors_{digest.hexdigest()}"
        self._graph = f"{self._vectors}_graph"
        self._parts = {
            "vectors": sql.Identifier(self._vectors),
            "catalogs": sql.Identifier(f"scopedtools_catalogs_{digest.hexdigest()}"),
            "graph": sql.Identifier(self._graph),
            "d": sql.Literal(dimensions),
            "about": sql.Literal(f"{encoder[0]} {encoder[1]}, {dimensions} dimensions"),
        }
        self.dimensions = dimensions

    def statement(self, text: LiteralString, **more: int) -> sql.Composed:
        """Put names and numbers into a statement."""
        return sql.SQL(text).format(**self._parts, **{key: sql.Literal(value) for key, value in more.items()})

    def create(self, connection: Connection) -> None:
        """Create what is not there yet."""
        for text in _CREATE:
            connection.execute(self.statement(text))

    def are_there(self, connection: Connection) -> bool:
        """Tell whether they have been created."""
        return _exists(connection, self._vectors)

    def has_graph(self, connection: Connection) -> bool:
        """Tell whether the graph for approximate searches has been built."""
        return _exists(connection, self._graph)

    def size(self, connection: Connection) -> int:
        """Count the vectors, of all catalogs."""
        return int(_one(connection, self.statement("SELECT count(*) FROM {vectors}")))

    def numbers(self, connection: Connection, catalog: bytes) -> Ordinals | None:
        """Mark a catalog as in use and return the number of each of its texts; ``None`` if it is not kept."""
        found = connection.execute(
            self.statement("UPDATE {catalogs} SET used_at = now() WHERE catalog = %s RETURNING numbers"),
            (catalog,),
            binary=True,
        ).fetchone()
        return None if found is None else np.array(found[0], dtype=np.int64)

    def known(self, connection: Connection, keys: Iterable[bytes]) -> dict[bytes, int]:
        """Return the numbers of those keys that are there."""
        found: dict[bytes, int] = {}
        question = self.statement("SELECT key, id FROM {vectors} WHERE key = ANY(%s)")
        for portion in _portions(keys, _KEYS):
            found.update(connection.execute(question, (portion,), binary=True).fetchall())
        return found

    def add(self, connection: Connection, keys: Sequence[bytes], vectors: Vectors) -> None:
        """Add vectors whose keys are not there."""
        head = self.dimensions.to_bytes(2, "big") + bytes(2)
        values = np.ascontiguousarray(vectors, dtype=">f4")
        statement = self.statement("COPY {vectors} (key, embedding) FROM STDIN (FORMAT BINARY)")
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for key, vector in zip(keys, values, strict=True):
                copy.write_row((key, head + vector.tobytes()))

    def register(self, connection: Connection, catalog: bytes, numbers: Ordinals) -> None:
        """Tell others that all vectors of a catalog are there."""
        text = "INSERT INTO {catalogs} (catalog, numbers) VALUES (%s, %b) ON CONFLICT (catalog) DO UPDATE "
        connection.execute(self.statement(text + "SET used_at = now()"), (catalog, Numbers(numbers)))

    def tidy(self, connection: Connection, *, unused_s: float) -> None:
        """Remove catalogs that nobody has used for so long, and vectors that are of no other."""
        gone = connection.execute(
            self.statement("DELETE FROM {catalogs} WHERE used_at < now() - make_interval(secs => %s)"),
            (unused_s,),
        )
        if gone.rowcount:
            text: LiteralString = (
                "DELETE FROM {vectors} WHERE id NOT IN (SELECT unnest(numbers) FROM {catalogs})"
            )
            connection.execute(self.statement(text))

    def build_graph(self, connection: Connection, *, memory_mb: int) -> None:
        """Build the graph; searches go on meanwhile."""
        connection.execute("SELECT set_config('maintenance_work_mem', %s, false)", (f"{memory_mb}MB",))
        text: LiteralString = (
            "CREATE INDEX IF NOT EXISTS {graph} ON {vectors} USING hnsw (embedding vector_ip_ops)"
        )
        connection.execute(self.statement(text))


class PgTable:
    """Searches the vectors of one catalog; a ``remote.Table``.

    Whichever costs less for so many allowed vectors: all of them are compared, or pgvector walks through its
    graph, in relaxed order and for as long as it takes. In strict order it drops what it meets late, which
    costs 3 points of recall at 2 % permitted. Where even so it finds too few, all are compared.

    Args:
        connections: To the database.
        tables: Of the encoder.
        catalog: Hash of the catalog.
        size: Vectors in the table, of all catalogs; 0 where it has no graph.
    """

    def __init__(self, connections: Connections, tables: Tables, catalog: bytes, *, size: int) -> None:
        self._connections = connections
        self._tables = tables
        self._catalog = catalog
        self._size = size
        self._touched = monotonic()
        self._lock = threading.Lock()

    def search(self, queries: Vectors, allowed: Allowed, n: int) -> tuple[list[Ordinals], bool]:
        """Find the ``n`` allowed vectors nearest to each query; see ``remote.Table``."""
        few = self._better_compared(len(allowed), min(len(queries), _AT_ONCE))
        found: list[Ordinals] = []
        with self._connections.searching() as connection:
            self._touch(connection)
            for portion in _portions(queries, _AT_ONCE):
                near = [] if few else self._among_many(connection, portion, allowed, n)
                if few or any(len(one) < n for one in near):
                    near = self._among_few(connection, portion, allowed, n)
                found += near
        for one in found:
            if len(one) < n:
                raise lost("PostgreSQL", expected=n, got=len(one))
        return found, few

    def fetch(self, numbers: Sequence[int]) -> Vectors:
        """Return vectors in this order; see ``remote.Table``."""
        question = self._tables.statement(
            "SELECT id, vector_send(embedding) FROM {vectors} WHERE id = ANY(%b) ORDER BY id"
        )
        asked = np.array(numbers, dtype=np.int64)
        with self._connections.searching() as connection:
            rows = connection.execute(question, (Numbers(asked),), binary=True).fetchall()
        if len(rows) != len(numbers):
            raise lost("PostgreSQL", expected=len(numbers), got=len(rows))
        sent = np.frombuffer(b"".join(row[1] for row in rows), dtype=np.uint8).reshape(len(rows), -1)
        vectors = np.ascontiguousarray(sent[:, 4:]).view(">f4").astype(np.float32)
        place = np.searchsorted([row[0] for row in rows], asked)
        return np.ascontiguousarray(vectors[place])

    def _better_compared(self, allowed: int, queries: int) -> bool:
        if not self._size:
            return True
        once, each = _EXACT_MS
        share = min(1.0, allowed / self._size)
        walked: float = queries * _GRAPH_MS * share**-_GRAPH_POWER
        return allowed * (once + each * queries) <= walked

    def _among_few(
        self, connection: Connection, queries: Sequence[Ordinals], allowed: Allowed, n: int
    ) -> list[Ordinals]:
        statement = self._tables.statement(_AMONG_FEW, n=n)
        given = {"queries": _texts(queries), "numbers": Numbers(allowed.numbers)}
        return _by_query(connection.execute(statement, given, binary=True).fetchall(), len(queries))

    def _among_many(
        self, connection: Connection, queries: Sequence[Ordinals], allowed: Allowed, n: int
    ) -> list[Ordinals]:
        statement = self._tables.statement(_AMONG_MANY, n=n)
        bitmap = allowed.bitmap
        given = {"queries": _texts(queries), "bitmap": bitmap, "bits": 8 * len(bitmap)}
        return _by_query(connection.execute(statement, given, binary=True).fetchall(), len(queries))

    def _touch(self, connection: Connection) -> None:
        """Mark the catalog as in use now and then.

        Raises:
            VectorsUnavailableError: It was removed, as one that nobody used.
        """
        with self._lock:
            if monotonic() - self._touched < _TOUCH_S:
                return
            self._touched = monotonic()
        text: LiteralString = "UPDATE {catalogs} SET used_at = now() WHERE catalog = %s"
        if not connection.execute(self._tables.statement(text), (self._catalog,)).rowcount:
            self._touched = -_TOUCH_S
            raise lost("PostgreSQL", expected=1, got=0)


def for_searches(timeout_s: float) -> Callable[[Connection], None]:
    """Return what prepares a connection for searches."""

    def prepare(connection: Connection) -> None:
        settings = {
            "statement_timeout": str(int(timeout_s * 1000)),
            "hnsw.ef_search": str(_SEARCHED),
            "hnsw.iterative_scan": "relaxed_order",
            "hnsw.max_scan_tuples": str((1 << 31) - 1),
            "hnsw.scan_mem_multiplier": "4",
            "work_mem": "32MB",
            "enable_seqscan": "off",
            "jit": "off",
        }
        # Loads the extension, whose settings are not known before.
        connection.execute("SELECT '[1]'::vector <#> '[1]'::vector")
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))

    return prepare


def _texts(queries: Sequence[Ordinals]) -> list[str]:
    return [f"[{','.join(map(repr, query.tolist()))}]" for query in queries]


def _by_query(found: Sequence[tuple[int, int]], queries: int) -> list[Ordinals]:
    if not found:
        return [np.empty(0, dtype=np.int64)] * queries
    places, numbers = np.array(found, dtype=np.int64).T
    return [numbers[places == place] for place in range(1, queries + 1)]


def _portions(values: Iterable[_Value], size: int) -> Iterator[list[_Value]]:
    rest = iter(values)
    while portion := list(islice(rest, size)):
        yield portion


def _exists(connection: Connection, name: str) -> bool:
    return bool(_one(connection, sql.SQL("SELECT to_regclass({}) IS NOT NULL").format(sql.Literal(name))))


def _one(connection: Connection, question: sql.Composed) -> int:
    found = connection.execute(question).fetchone()
    assert found is not None  # noqa: S101 - an aggregate has one row
    value: int = found[0]
    return value
