"""Where the trail is kept: one table, one index for timelines, and triggers that refuse changes.

Needs the extra ``audit``.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from scopedtools.audit.errors import AuditError
from scopedtools.audit.sql import sa
from scopedtools.exceptions import DefinitionError, MissingDependencyError

BUSY_S: Final = 2.0
"""Seconds that SQLite waits for another process that writes; after them the writer waits and tries again."""

_CONNECT_S: Final = 5
_LOCK: Final = 0x5C0BED_A0D17
"""Of PostgreSQL: held while the table is made, so that processes which start together make it once."""

ENDED: Final = "ended"
STARTED: Final = "started"
GAP: Final = "gap"

IS_GAP: Final = sa.text(f"phase = '{GAP}'")
_HAS_PARENT: Final = sa.text("parent IS NOT NULL")

_metadata: Final = sa.MetaData()

EVENTS: Final = sa.Table(
    "scopedtools_audit",
    _metadata,
    sa.Column("id", sa.String, primary_key=True),
    # A row is never changed. What still runs when it is written is 'started'; its end is another row.
    sa.Column("phase", sa.String, primary_key=True),
    sa.Column("started_at", sa.BigInteger, nullable=False, comment="microseconds since 1970, UTC"),
    sa.Column("duration_us", sa.BigInteger, comment="microseconds"),
    sa.Column("principal", sa.String, nullable=False),
    sa.Column("context_id", sa.String),
    sa.Column("context_digest", sa.String),
    sa.Column("parent", sa.String),
    sa.Column("carrier", sa.String),
    sa.Column("method", sa.String, nullable=False),
    sa.Column("target", sa.String),
    sa.Column("tool", sa.String),
    sa.Column("protocol_version", sa.String, nullable=False),
    sa.Column("rpc_id", sa.String),
    sa.Column("client_name", sa.String),
    sa.Column("client_version", sa.String),
    sa.Column("trace_id", sa.String),
    sa.Column("span_id", sa.String),
    sa.Column("view", sa.String),
    sa.Column("shown", sa.Integer),
    sa.Column("total", sa.Integer),
    sa.Column("status", sa.String),
    sa.Column("code", sa.Integer),
    sa.Column("server", sa.String, nullable=False),
    sa.Column("process", sa.String, nullable=False),
    sa.Column("arguments", sa.String, comment="JSON"),
    sa.Column("result", sa.String, comment="JSON"),
    sa.Column("missing", sa.Integer, nullable=False),
)
sa.Index(
    "scopedtools_audit_timeline",
    EVENTS.c.context_id,
    EVENTS.c.principal,
    EVENTS.c.started_at,
    EVENTS.c.id,
)
sa.Index(
    "scopedtools_audit_children",
    EVENTS.c.parent,
    EVENTS.c.principal,
    EVENTS.c.context_id,
    sqlite_where=_HAS_PARENT,
    postgresql_where=_HAS_PARENT,
)
sa.Index("scopedtools_audit_gaps", EVENTS.c.started_at, sqlite_where=IS_GAP, postgresql_where=IS_GAP)

_COLUMNS: Final = tuple(column.name for column in EVENTS.columns)
_INSERT: Final = f"INSERT INTO {EVENTS.name} ({', '.join(_COLUMNS)}) VALUES"
_STATEMENT_ROWS: Final = 50

_REFUSAL: Final = "the audit trail is append-only"

_SQLITE_TRIGGERS: Final = tuple(
    f"CREATE TRIGGER IF NOT EXISTS scopedtools_audit_no_{event.lower()} BEFORE {event} ON scopedtools_audit "
    f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    for event in ("UPDATE", "DELETE")
)

_POSTGRESQL_TRIGGERS: Final = (
    f"""
    CREATE OR REPLACE FUNCTION scopedtools_audit_refuse() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$
    """,
    """
    CREATE TRIGGER scopedtools_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON scopedtools_audit
    FOR EACH STATEMENT EXECUTE FUNCTION scopedtools_audit_refuse()
    """,
)


def parse_url(store: str) -> sa.URL:
    """Read where a trail is: an SQLAlchemy URL, or the path of an SQLite file.

    Raises:
        DefinitionError: It is neither, or of a database that is not supported.
    """
    try:
        url = sa.make_url(store) if "://" in store else sa.URL.create("sqlite", database=store)
    except (sa.exc.ArgumentError, ValueError):
        # Neither what was given nor the cause is told: either may hold a password.
        raise DefinitionError(
            "the URL of an audit trail is like sqlite:///audit.db or postgresql+psycopg://USER@HOST/NAME, "
            "got one that cannot be read; write %40 for an @ in a password"
        ) from None
    if url.drivername == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise DefinitionError(
            f"an audit trail is kept in sqlite or postgresql+psycopg, got {url.drivername!r}"
        )
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise DefinitionError("an audit trail in memory would be gone with the process; name a file")
    return url


def writing_engine(url: sa.URL) -> sa.Engine:
    """Return an engine for the writer, which makes the table where it is missing; connects later.

    Raises:
        MissingDependencyError: The driver is not installed.
    """
    if url.get_backend_name() == "postgresql":
        return _postgresql_engine(url)
    path = Path(str(url.database))

    def connect() -> sqlite3.Connection:
        _make_private(path)
        connection = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)
        # What is committed survives the end of the process; a loss of power may take the last commits.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    return _engine("sqlite://", creator=connect, poolclass=sa.pool.QueuePool)


def reading_engine(url: sa.URL) -> sa.Engine:
    """Return an engine that changes nothing.

    Raises:
        AuditError: There is no such file.
        MissingDependencyError: The driver is not installed.
    """
    if url.get_backend_name() == "postgresql":
        return _postgresql_engine(url, options="-c default_transaction_read_only=on")
    path = Path(str(url.database))
    if not path.is_file():
        raise AuditError(f"there is no audit trail at {path}")
    address = f"file:{quote(str(path.absolute()))}?mode=ro"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(address, uri=True, timeout=_CONNECT_S, check_same_thread=False)

    return _engine("sqlite://", creator=connect, poolclass=sa.pool.QueuePool)


def create(connection: sa.Connection) -> None:
    """Make the table, its indexes and its triggers, unless the table is there."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        triggers: tuple[str, ...] = _POSTGRESQL_TRIGGERS
    else:
        # Python's driver begins no transaction before a CREATE.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        triggers = _SQLITE_TRIGGERS
    if sa.inspect(connection).has_table(EVENTS.name):
        return
    _metadata.create_all(connection)
    for statement in triggers:
        connection.exec_driver_sql(statement)


def insert(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows; one that is there already, since the answer to an earlier commit was lost, stays as it is."""
    place = "?" if connection.dialect.name == "sqlite" else "%s"
    one = f"({', '.join([place] * len(_COLUMNS))})"
    # Many rows a statement: the driver lets other threads run between statements, and each time has to wait
    # for them.
    for start in range(0, len(rows), _STATEMENT_ROWS):
        part = rows[start : start + _STATEMENT_ROWS]
        values = tuple([row[name] for row in part for name in _COLUMNS])
        connection.exec_driver_sql(f"{_INSERT} {', '.join([one] * len(part))} ON CONFLICT DO NOTHING", values)


def reason(error: Exception) -> str:
    """Say what a database complained about, without what was to be written."""
    cause = getattr(error, "orig", None) or error
    lines = str(cause).splitlines()
    return f"{type(cause).__name__}: {lines[0] if lines else ''}"


def _postgresql_engine(url: sa.URL, **connect: Any) -> sa.Engine:
    timeout = {} if "connect_timeout" in url.query else {"connect_timeout": _CONNECT_S}
    try:
        return _engine(url, connect_args=timeout | connect)
    except ImportError as error:
        raise MissingDependencyError(
            'psycopg is not installed; run pip install "scopedtools[audit]"'
        ) from error


def _engine(url: sa.URL | str, **options: Any) -> sa.Engine:
    # One connection; and errors never repeat what was written, which may be in a log that others read.
    return sa.create_engine(url, pool_size=1, max_overflow=0, hide_parameters=True, **options)


def _make_private(path: Path) -> None:
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
