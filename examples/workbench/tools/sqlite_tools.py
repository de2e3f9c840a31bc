"""Tools for SQLite databases in the workbench folder.

Reading opens the file read-only and an authorizer allows nothing but reading. Writing may not attach
other files or change settings. Each statement has a time limit, and results have a size limit.
"""

import csv
import io
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from examples.workbench.sandbox import SandboxPath, clear_errors, existing_file, resolve, shown, write_bytes

Sql = Annotated[str, Field(min_length=1, max_length=10_000)]
Table = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
Value = (
    Annotated[str, Field(max_length=100_000)]
    | Annotated[int, Field(ge=-(2**63), lt=2**63)]
    | float
    | bool
    | None
)
Parameters = Annotated[list[Value], Field(max_length=100)]
Cell = str | int | float | None

_SECONDS = 2.0
_MAX_RESULT = 1_000_000
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_REFUSED = {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_CREATE_VTABLE}
_PRAGMAS = {"table_info", "table_xinfo", "index_list", "index_info", "foreign_key_list"}


@dataclass(frozen=True)
class TableName:
    name: str
    kind: Literal["table", "view"]


@dataclass(frozen=True)
class ColumnInfo:
    name: str
    type: str
    required: bool
    primary_key: bool


@dataclass(frozen=True)
class TableSchema:
    name: str
    columns: list[ColumnInfo]
    sql: str | None


@dataclass(frozen=True)
class QueryResult:
    columns: list[str]
    rows: list[list[Cell]]
    truncated: bool


@dataclass(frozen=True)
class Executed:
    rows_changed: int
    last_row_id: int | None


@dataclass(frozen=True)
class Exported:
    path: str
    rows: int
    bytes: int


def _permit(action: int, first: str | None, *, write: bool) -> int:
    if action == sqlite3.SQLITE_PRAGMA:
        allowed = first in _PRAGMAS
    elif action == sqlite3.SQLITE_FUNCTION:
        allowed = True  # load_extension is off in Python unless it is asked for
    else:
        allowed = action not in _REFUSED if write else action in _READING
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


@contextmanager
def _open(path: str, *, write: bool = False) -> Iterator[sqlite3.Connection]:
    """Open a database under all limits; SQLite's errors become `ValueError`."""
    target = resolve(path) if write else existing_file(path)
    if write:
        with clear_errors(path):
            target.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _SECONDS
    try:
        with closing(
            sqlite3.connect(f"{target.as_uri()}?mode={'rwc' if write else 'ro'}", uri=True, timeout=1)
        ) as connection:
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_RESULT)
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA max_page_count = 5000")  # 20 MB in pages of 4 KiB
            connection.set_authorizer(lambda action, first, *_: _permit(action, first, write=write))
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 1_000)
            yield connection
            connection.commit()
    except (sqlite3.Error, sqlite3.Warning) as error:
        if str(error) == "interrupted":
            raise ValueError(f"the statement must finish within {_SECONDS:g} s: ask for less") from error
        mode = "one statement" if write else "one statement that only reads"
        raise ValueError(f"SQL on {path!r} must be {mode} that SQLite accepts, got: {error}") from error


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _plain(cell: Cell | bytes) -> Cell:
    """Return a cell as JSON can hold it: blobs in hexadecimal, infinity as text."""
    if isinstance(cell, bytes):
        return cell.hex()
    return str(cell) if cell in {float("inf"), float("-inf")} else cell


def _select(
    connection: sqlite3.Connection, sql: str, parameters: list[Value] | None, limit: int
) -> QueryResult:
    cursor = connection.execute(sql, parameters or [])
    rows: list[list[Cell]] = []
    size = 0
    truncated = False
    for row in cursor:
        if len(rows) == limit:
            truncated = True
            break
        rows.append([_plain(cell) for cell in row])
        size += sum(len(str(cell)) for cell in rows[-1])
        if size > _MAX_RESULT:
            raise ValueError(
                f"the result must be at most {_MAX_RESULT:,} characters: ask for fewer rows or columns"
            )
    columns = [name for name, *_ in cursor.description or []]
    return QueryResult(columns, rows, truncated)


def _names(connection: sqlite3.Connection) -> list[TableName]:
    rows = connection.execute(
        "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
    )
    return [TableName(name, kind) for name, kind in rows if not name.startswith("sqlite_")]


def sqlite_tables(path: SandboxPath) -> list[TableName]:
    """List the tables and views of a SQLite database in the workbench folder.

    Args:
        path: The database file, relative to the workbench folder.
    """
    with _open(path) as connection:
        return _names(connection)


def sqlite_schema(path: SandboxPath) -> list[TableSchema]:
    """Describe the tables of a SQLite database: their columns, types, keys and SQL.

    Args:
        path: The database file, relative to the workbench folder.
    """
    with _open(path) as connection:
        statements = dict(connection.execute("SELECT name, sql FROM sqlite_master").fetchall())
        return [
            TableSchema(
                table.name,
                [
                    ColumnInfo(name, kind, bool(required), bool(key))
                    for _, name, kind, required, _, key in connection.execute(
                        f"PRAGMA table_info({_quoted(table.name)})"
                    )
                ],
                statements[table.name],
            )
            for table in _names(connection)
        ]


def sqlite_row_counts(path: SandboxPath) -> dict[str, int]:
    """Count the rows of each table of a SQLite database.

    Args:
        path: The database file, relative to the workbench folder.
    """
    with _open(path) as connection:
        tables = [table.name for table in _names(connection) if table.kind == "table"]
        counts = (connection.execute(f"SELECT count(*) FROM {_quoted(name)}") for name in tables)  # noqa: S608
        return {name: count.fetchone()[0] for name, count in zip(tables, counts, strict=True)}


def sqlite_query(
    path: SandboxPath,
    sql: Sql,
    parameters: Parameters | None = None,
    limit: Annotated[int, Field(ge=1, le=1_000)] = 100,
) -> QueryResult:
    """Run a read-only SQL query (SELECT) on a SQLite database and return the rows.

    Args:
        path: The database file, relative to the workbench folder.
        sql: One SELECT statement, with `?` for each parameter.
        parameters: The values for the `?` in order.
        limit: The most rows to return.
    """
    with _open(path) as connection:
        return _select(connection, sql, parameters, limit)


def sqlite_explain(path: SandboxPath, sql: Sql, parameters: Parameters | None = None) -> list[str]:
    """Explain how SQLite would run a query: which indexes it uses and which tables it scans.

    Args:
        path: The database file, relative to the workbench folder.
        sql: One SELECT statement.
        parameters: The values for the `?` in order.
    """
    with _open(path) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters or []).fetchmany(1_000)
        return [str(row[-1]) for row in plan]


def sqlite_execute(path: SandboxPath, sql: Sql, parameters: Parameters | None = None) -> Executed:
    """Run one SQL statement that changes a SQLite database: INSERT, UPDATE, DELETE, CREATE, DROP.

    Args:
        path: The database file, relative to the workbench folder; it is created if it does not exist.
        sql: One statement, with `?` for each parameter.
        parameters: The values for the `?` in order.
    """
    with _open(path, write=True) as connection:
        cursor = connection.execute(sql, parameters or [])
        return Executed(max(cursor.rowcount, 0), cursor.lastrowid or None)


def sqlite_import_csv(
    path: SandboxPath, table: Table, text: Annotated[str, Field(min_length=1, max_length=500_000)]
) -> Executed:
    """Create a table in a SQLite database from CSV text.

    Args:
        path: The database file, relative to the workbench folder; it is created if it does not exist.
        table: The name of the new table.
        text: The CSV text; its first row names the columns, numbers are stored as numbers.
    """
    try:
        header, *rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row] or [[]]
    except csv.Error as error:
        raise ValueError(f"text must be CSV: {error}") from error
    if not header or any(len(row) != len(header) for row in rows):
        raise ValueError("text must have a header and as many cells in each row")
    columns = ", ".join(f"{_quoted(name)} NUMERIC" for name in header)  # NUMERIC keeps text that is no number
    places = ", ".join("?" * len(header))
    with _open(path, write=True) as connection:
        connection.execute(f"CREATE TABLE {_quoted(table)} ({columns})")
        connection.executemany(f"INSERT INTO {_quoted(table)} VALUES ({places})", rows)  # noqa: S608
        return Executed(len(rows), None)


def sqlite_export_csv(path: SandboxPath, sql: Sql, target_path: SandboxPath) -> Exported:
    """Write the rows of a SQL query on a SQLite database to a CSV file in the workbench folder.

    Args:
        path: The database file, relative to the workbench folder.
        sql: One SELECT statement, at most 10,000 rows.
        target_path: The CSV file to write; it must not exist.
    """
    with _open(path) as connection:
        result = _select(connection, sql, None, 10_000)
    if result.truncated:
        raise ValueError("the query must give at most 10,000 rows: add a LIMIT")
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([result.columns, *result.rows])
    data = out.getvalue().encode()
    return Exported(shown(write_bytes(target_path, data, replace=False)), len(result.rows), len(data))
