"""Commands to a Redis or Valkey server, or to a cluster of them. Needs the extra ``redis``.

redis-py has a client for clusters, which is not used: where one of several calls side by side learns that a
server was lost or a key moved, it closes the connections of the others, and after such an error it leaves
sockets open. Commands with keys of one slot need little of it: the server of the slot, and its redirections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from scopedtools.exceptions import MissingDependencyError
from scopedtools.stores.redis_scripts import Script
from scopedtools.stores.redis_topology import Address, Topology

try:
    from redis.asyncio import BlockingConnectionPool, Connection, Redis
    from redis.asyncio.connection import parse_url
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import AskError, MovedError, NoScriptError, TryAgainError
    from redis.exceptions import ConnectionError as ConnectionLostError
except ImportError as error:
    raise MissingDependencyError('redis-py is not installed; run pip install "scopedtools[redis]"') from error

_PORT: Final = 6379
_CLUSTER: Final = "+cluster"
_REDIRECTIONS: Final = 5
_PAUSE_S: Final = 0.02


class _Place(NamedTuple):
    """What a URL names.

    Attributes:
        nodes: Hosts and ports; of a cluster those that are asked for the others.
        is_cluster: Whether it is one.
        options: Of each connection, as redis-py takes them, without host and port.
        connection: Class of the connections.
    """

    nodes: tuple[tuple[str, int], ...]
    is_cluster: bool
    options: dict[str, Any]
    connection: type[Connection]


class Engine:
    """Connects when it is first asked, and anew in each event loop that asks.

    Args:
        url: ``redis://``, ``rediss://`` for TLS, ``unix://``, or ``redis+cluster://`` and ``rediss+cluster://``
            with one or more nodes, separated by commas. Its query may name options of redis-py, such as
            ``ssl_ca_certs``.
        max_connections: Most connections, of a cluster to each node. Who needs another one waits.
        timeout_s: Seconds that it may take to get an answer, and before that to get a connection.

    Raises:
        ValueError: The URL is none of those. The message does not repeat it, since it may hold a password.
    """

    def __init__(self, url: str, *, max_connections: int, timeout_s: float) -> None:
        self._place = place = _place(url)
        self._max_connections = max_connections
        self._timeout_s = timeout_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._servers: dict[Address, Redis] = {}
        self._topology = Topology(place.nodes)
        self._learning = asyncio.Lock()
        try:
            place.connection(**self._options(), **_address(place, place.nodes[0]))
        except TypeError as error:
            raise ValueError(f"the URL of the store has an option that redis-py does not: {error}") from None

    def __repr__(self) -> str:
        nodes = ",".join(f"{host}:{port}" for host, port in self._place.nodes)
        where = self._place.options.get("path", nodes)
        return f"{'cluster' if self._place.is_cluster else 'server'} {where}"

    @property
    def is_cluster(self) -> bool:
        """Whether keys are spread over several servers."""
        return self._place.is_cluster

    async def run(self, key: bytes, *command: bytes | str | int) -> Any:
        """Run a command about a key, or about several in the same slot; returns what redis-py returns."""
        if not self._place.is_cluster:
            return await self._sent(self._place.nodes[0], command)
        address = await self._primary_of(key)
        for _ in range(_REDIRECTIONS):
            try:
                return await self._sent(address, command)
            except MovedError as moved:
                self._topology.is_current = False
                address = (moved.host or address[0], moved.port)
            except AskError as asked:  # the key is on its way, and only there yet
                return await self._asked((asked.host or address[0], asked.port), command)
            except TryAgainError:  # some of the keys are
                await asyncio.sleep(_PAUSE_S)
            except NoScriptError:
                raise
            except Exception:
                self._topology.is_current, self._topology.suspect = False, address
                raise
        raise ConnectionLostError("the key is moved from server to server")

    async def call(self, script: Script, keys: Sequence[bytes], *arguments: bytes | str | int) -> Any:
        """Run a script, which is sent where the server does not know it: after a restart, or a failover."""
        try:
            return await self.run(keys[0], "EVALSHA", script.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self.run(keys[0], "EVAL", script.text, len(keys), *keys, *arguments)

    async def connection(self, key: bytes) -> Connection:
        """Open a connection of its own to the server of a key; the caller closes it."""
        place, address = self._place, self._place.nodes[0]
        if place.is_cluster:
            await self.run(key, "EXISTS", key)  # notices where another server has it now
            address = await self._primary_of(key)
        connection = place.connection(**self._options(), **_address(place, address))
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def close(self) -> None:
        """Close all connections; what is asked afterwards connects anew."""
        servers, self._servers = self._servers, {}
        self._topology = Topology(self._place.nodes)
        if self._loop is asyncio.get_running_loop():
            await asyncio.gather(*(server.aclose() for server in servers.values()))

    async def _primary_of(self, key: bytes) -> Address:
        if not self._topology.is_current:
            await self._learn()
        address = self._topology.primary_of(key)
        if address is None:
            self._topology.is_current = False
            raise ConnectionLostError("no server of the cluster has this key now")
        return address

    async def _learn(self) -> None:
        async with self._learning:
            if self._topology.is_current:
                return
            for address in self._topology.to_ask():
                try:
                    answer = await self._sent(address, ("CLUSTER", "SLOTS"))
                except Exception as error:  # noqa: BLE001 - drivers raise more than their own errors
                    failed = error
                    continue
                self._topology.learn(answer, address)
                await self._forget_others()
                return
            raise ConnectionLostError("no server of the cluster answers") from failed

    async def _forget_others(self) -> None:
        """Close the connections to servers that have left the cluster."""
        for address in self._servers.keys() - self._topology.servers:
            await self._servers.pop(address).aclose()

    async def _sent(self, address: Address, command: Sequence[bytes | str | int]) -> Any:
        async with asyncio.timeout(self._timeout_s):
            return await self._server(address).execute_command(*command)  # type: ignore[no-untyped-call]

    async def _asked(self, address: Address, command: Sequence[bytes | str | int]) -> Any:
        server = self._server(address)
        async with asyncio.timeout(self._timeout_s), server.pipeline(transaction=False) as both:
            both.execute_command("ASKING")
            both.execute_command(*command)
            return (await both.execute())[1]

    def _server(self, address: Address) -> Redis:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._servers, self._learning = loop, {}, asyncio.Lock()
        if address not in self._servers:
            pool = BlockingConnectionPool(
                max_connections=self._max_connections,
                timeout=None,
                connection_class=self._place.connection,
                **self._options(),
                **_address(self._place, address),
            )
            self._servers[address] = Redis.from_pool(pool)
        return self._servers[address]

    def _options(self) -> dict[str, Any]:
        """Return the options of a connection. Waiting for a server that is gone is left to who asks."""
        return {
            # The time of a command is limited as a whole. redis-py would make a task for each that it sends, and
            # wait for it in a way that loses a cancellation at the wrong moment, in Python 3.11.
            "socket_timeout": None,
            "socket_connect_timeout": self._timeout_s,
            # Once and at once: a connection may have been closed while nobody used it.
            "retry": Retry(NoBackoff(), 1, (ConnectionLostError,)),
            **self._place.options,
            "protocol": 2,  # what is published comes like any answer then
        }


def _place(url: str) -> _Place:
    try:
        parts = urlsplit(url)
        is_cluster = parts.scheme.endswith(_CLUSTER)
        login, at, hosts = parts.netloc.rpartition("@")
        names = hosts.split(",") if is_cluster else [hosts]
        scheme = parts.scheme.removesuffix(_CLUSTER)
        read = [
            parse_url(urlunsplit(parts._replace(scheme=scheme, netloc=f"{login}{at}{name}")))
            for name in names
        ]
    except ValueError:
        raise ValueError(
            "the URL of the store must be redis://, rediss://, unix:// or redis+cluster://, with"
            " user:password@host:port; write special characters of a password as %XX"
        ) from None
    nodes = tuple((one.get("host", "localhost"), one.get("port", _PORT)) for one in read)
    options: dict[str, Any] = {name: of for name, of in read[-1].items() if name not in {"host", "port"}}
    if is_cluster and options.get("db"):
        raise ValueError(f"a cluster has no databases besides 0, got {options['db']}")
    return _Place(nodes, is_cluster, options, options.pop("connection_class", Connection))


def _address(place: _Place, address: Address) -> dict[str, Any]:
    return {} if "path" in place.options else {"host": address[0], "port": address[1]}
