"""How the trail is written: what may go wrong, and that it says so."""

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
import stat
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from scopedtools import ScopedServer
from scopedtools.audit import AuditError, AuditTrail
from scopedtools.audit.reader import AuditReader
from scopedtools.audit.tables import EVENTS, parse_url
from scopedtools.audit.writer import Store
from scopedtools.exceptions import DefinitionError
from scopedtools.testing import Client
from tests.audit.depot import brief, depot, timeline, until

pytestmark = pytest.mark.anyio


def statuses(store: str, context_id: str = "wf-1") -> list[str]:
    try:
        return [event.status for event in timeline(store, context_id)]
    except AuditError:  # there is no trail yet
        return []


def rows(store: str) -> list[tuple[Any, ...]]:
    """Return ID and phase of each row of the table, if there is one."""
    try:
        with AuditReader(store) as reader:
            return [tuple(row) for row in reader._read(sa.select(EVENTS.c.id, EVENTS.c.phase))]
    except AuditError:
        return []


async def test_a_call_that_runs_long_is_there_before_it_ends(store: str) -> None:
    server = depot(store, flush_ms=20)
    async with Client(server, context="wf-1") as client:
        await client.list_tools()
        call = asyncio.create_task(client.call_tool("hold"))
        await server.arrived.wait()
        await until(lambda: statuses(store) == ["ok", "unfinished"])
        running = timeline(store, "wf-1")[1]
        assert (running.target, running.duration_ms, running.context_id) == ("hold", None, "wf-1")
        server.released.set()
        await call
        await until(lambda: statuses(store) == ["ok", "ok"])
    ended = timeline(store, "wf-1")[1]
    assert (ended.id, ended.started_at) == (running.id, running.started_at)
    assert sorted(phase for row, phase in rows(store) if row == ended.id) == ["ended", "started"]


async def test_a_call_that_the_client_leaves_is_there_as_cancelled(store: str) -> None:
    server = depot(store)
    async with server, Client(server, context="wf-1") as client:
        call = asyncio.create_task(client.call_tool("hold"))
        await server.arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert brief(timeline(store, "wf-1")) == [("tools/call", "hold", "cancelled")]


async def test_a_stop_writes_what_ended_before_it_at_once(store: str) -> None:
    began = time.monotonic()
    async with Client(depot(store, flush_ms=60_000, batch=10_000), context="wf-1") as client:
        for _ in range(300):
            await client.request("prompts/list")
    # The thread sleeps for a minute unless it is woken.
    assert time.monotonic() - began < 30
    assert statuses(store) == ["ok"] * 300


async def test_a_full_batch_is_written_before_its_time(store: str) -> None:
    async with Client(depot(store, flush_ms=60_000, batch=10), context="wf-1") as client:
        for _ in range(9):
            await client.request("prompts/list")
        assert rows(store) == []
        await client.request("prompts/list")
        await until(lambda: len(rows(store)) == 10)


class Faulty(Store):
    """A database that can be taken away."""

    def __init__(self, url: str) -> None:
        super().__init__(parse_url(url))
        self.gone = False
        self.tries = 0

    def add(self, rows: Any) -> None:
        self.tries += 1
        if self.gone:
            raise OSError("gone")
        super().add(rows)


async def test_of_requests_that_find_no_room_the_trail_says_how_many_and_when(
    store: str, caplog: pytest.LogCaptureFixture
) -> None:
    trail = AuditTrail(store, flush_ms=10, batch=5, capacity=20)
    database = trail._writer._store = Faulty(store)
    server = ScopedServer(observers=[trail])
    async with Client(server, context="wf-1") as client:
        await client.request("tools/list")
        await until(lambda: database.tries == 1)
        database.gone = True
        await client.request("tools/list")
        await until(lambda: database.tries >= 2)  # one waits in the thread, 20 find room
        for _ in range(100):
            await client.request("tools/list")
        database.gone = False
        await until(lambda: "gap" in statuses(store))
        await client.request("tools/list")
    events = timeline(store, "wf-1")
    gaps = [event for event in events if event.status == "gap"]
    assert [event.status for event in events if event.status != "gap"] == ["ok"] * 23
    assert [gap.missing for gap in gaps] == [80]
    last = events[-1]
    assert gaps[0].ended_at is not None
    assert gaps[0].started_at <= gaps[0].ended_at <= last.started_at
    assert caplog.text.count("requests are missing") == 1


async def test_the_server_starts_without_the_database_and_nothing_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "later" / "audit.db"
    async with Client(depot(str(path), flush_ms=10), context="wf-1") as client:
        for _ in range(5):
            await client.request("tools/list")
        await until(lambda: "cannot be written" in caplog.text)
        path.parent.mkdir()
        await until(lambda: "is written again" in caplog.text)
        await client.request("tools/list")
    assert statuses(str(path)) == ["ok"] * 6
    assert caplog.text.count("cannot be written") == 1


async def test_a_locked_sqlite_file_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "audit.db"
    async with Client(depot(str(path), flush_ms=10), context="wf-1") as client:
        await client.request("tools/list")
        await until(lambda: len(rows(str(path))) == 1)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for _ in range(5):
            await client.request("tools/list")
        await until(lambda: "locked" in caplog.text)
        other.execute("COMMIT")
        other.close()
    assert statuses(str(path)) == ["ok"] * 6


@pytest.mark.slow
async def test_a_postgresql_that_goes_and_comes_back_loses_nothing(
    postgres: Any, new_database: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    store = new_database()
    async with Client(depot(store, flush_ms=10), context="wf-1") as client:
        await client.request("tools/list")
        await until(lambda: len(rows(store)) == 1)
        await asyncio.to_thread(postgres.stop)
        try:
            for _ in range(20):
                await client.request("tools/list")
            await until(lambda: "cannot be written" in caplog.text)
        finally:
            await asyncio.to_thread(postgres.start)
        await until(lambda: "is written again" in caplog.text)
    assert statuses(store) == ["ok"] * 21


async def test_a_stop_without_the_database_ends_and_says_what_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    began = time.monotonic()
    server = depot(str(tmp_path / "no" / "audit.db"), stop_s=0.2, flush_ms=10, batch=1, capacity=5)
    async with Client(server, context="wf-1") as client:
        await client.request("tools/list")
        await until(lambda: "cannot be written" in caplog.text)
        for _ in range(6):
            await client.request("tools/list")
    assert time.monotonic() - began < 10
    assert "the audit trail ends without 7 requests" in caplog.text


async def test_a_batch_that_is_written_twice_is_there_once(store: str) -> None:
    trail = AuditTrail(store, flush_ms=60_000)
    added: list[Any] = []

    class Forgetful(Faulty):
        def add(self, rows: Any) -> None:
            super().add(rows)
            added.append(rows)
            if len(added) == 1:
                raise OSError("the commit came through, its answer did not")

    trail._writer._store = Forgetful(store)
    async with Client(ScopedServer(observers=[trail]), context="wf-1") as client:
        for _ in range(120):
            await client.request("tools/list")
    assert [len(batch) for batch in added] == [120, 120]
    assert statuses(store) == ["ok"] * 120


async def test_what_a_database_cannot_hold_harms_nobody(store: str) -> None:
    async with Client(depot(store), context="wf-1") as client:
        for name in ("a\0b", "x" * 10_000, "🎁\u202e"):
            with pytest.raises(Exception, match="Unknown tool"):
                await client.request("tools/call", name=name)
    targets = [event.target for event in timeline(store, "wf-1")]
    assert targets == ["a\ufffdb", "x" * 2048 + "…", "🎁\u202e"]


async def test_rows_that_the_database_refuses_are_counted_and_the_others_written(
    new_database: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    store = new_database()
    trail = AuditTrail(store, flush_ms=60_000)
    made = trail._writer._rows.ended

    def spoilt(entry: Any) -> Any:
        row = made(entry)
        return row | {"target": "\0"} if row["rpc_id"] == "3" else row

    trail._writer._rows.ended = spoilt  # type: ignore[method-assign]
    async with Client(ScopedServer(observers=[trail]), context="wf-1") as client:
        for _ in range(8):
            await client.request("tools/list")
    assert [event.rpc_id for event in timeline(store, "wf-1")] == ["1", "2", "4", "5", "6", "7", "8"]
    assert "the audit trail ends without 1 requests" in caplog.text


@pytest.mark.parametrize(
    "statement", ["UPDATE scopedtools_audit SET principal = 'eve'", "DELETE FROM scopedtools_audit"]
)
async def test_the_database_refuses_to_change_what_is_there(store: str, statement: str) -> None:
    async with Client(depot(store), context="wf-1") as client:
        await client.request("tools/list")
    url = parse_url(store)
    engine = sa.create_engine(url)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
    assert statuses(store) == ["ok"]


WRITER = """
import asyncio, sys
from scopedtools import ScopedServer
from scopedtools.audit import AuditTrail
from scopedtools.testing import Client

async def main(store, context):
    server = ScopedServer(observers=[AuditTrail(store, flush_ms=2)])
    async with Client(server, context=context) as client:
        for _ in range(300):
            await client.request("tools/list")

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
def test_several_processes_write_to_one_trail_from_its_first_moment(store: str) -> None:
    contexts = ["one", "two", "three", "shared", "shared"]
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, store, context], stderr=subprocess.PIPE)
        for context in contexts
    ]
    for process in processes:
        _, noise = process.communicate(timeout=60)
        assert (process.returncode, noise) == (0, b"")
    for context in ("one", "two", "three"):
        assert [event.rpc_id for event in timeline(store, context)] == [str(n) for n in range(1, 301)]
    shared = timeline(store, "shared")
    assert len(shared) == 600
    assert len({event.process for event in shared}) == 2


async def test_a_program_that_ends_without_stopping_its_server_loses_nothing(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from scopedtools.testing import Client
from tests.audit.depot import depot

async def main():
    server = depot("audit.db", flush_ms=60_000)
    await server.__aenter__()
    client = await Client(server, context="wf-1").__aenter__()
    await client.request("tools/list")
    sys.exit(0)

asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r}){program}"]
    await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, timeout=60, capture_output=True)
    assert statuses(str(tmp_path / "audit.db")) == ["ok"]


async def test_servers_may_share_a_trail(store: str) -> None:
    trail = AuditTrail(store)
    first, second = ScopedServer(observers=[trail]), ScopedServer(observers=[trail])
    async with Client(first, context="wf-1") as one:
        async with Client(second, context="wf-1") as other:
            await other.request("tools/list")
        await one.request("prompts/list")
    async with Client(second, context="wf-1") as again:
        await again.request("tools/list")
    assert statuses(store) == ["ok"] * 3


async def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    async with Client(depot(str(path)), context="wf-1") as client:
        await client.request("tools/list")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        ("mysql://localhost/audit", "sqlite or postgresql"),
        ("sqlite://", "memory"),
        ("sqlite:///:memory:", "memory"),
        ("://", "the URL of an audit trail is like"),
    ],
)
async def test_a_store_that_cannot_be_one_is_refused_at_once(store: str, problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem):
        AuditTrail(store)


@pytest.mark.parametrize(
    "store",
    [
        "postgresql://ada:hunter2@host:port/audit",
        "postgresql://ada:a@hun:ter2@host/audit",
        "postgresql://ada:hunter2@host:54x32/audit",
        "://ada:hunter2@host/audit",
        "mysql://ada:hunter2@host/audit",
    ],
)
async def test_a_store_that_is_refused_is_not_repeated_since_it_may_hold_a_password(store: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        AuditTrail(store)
    told = "".join(traceback.format_exception(refused.value))
    assert not [part for part in ("hun", "ter2") if part in told]


async def test_a_database_that_cannot_be_reached_is_told_without_the_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    url = f"postgresql://ada:hunter2@127.0.0.1:{port}/audit"
    async with Client(depot(url, flush_ms=1, stop_s=0.01), context="wf-1") as client:
        await client.request("tools/list")
        await until(lambda: "cannot be written" in caplog.text)
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("settings", [{"flush_ms": 0}, {"batch": 0}, {"batch": 11, "capacity": 10}])
async def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="must be"):
        AuditTrail("audit.db", **settings)
