"""Commands to a Redis or Valkey server, or to a cluster of them. Needs the extra ``redis``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from scopedtools.exceptions import MissingDependencyError
from scopedtools.stores.redis_scripts import Script

try:
    from redis.asyncio import BlockingConnectionPool, Connection, Redis, RedisCluster, SSLConnection
    from redis.asyncio.cluster import ClusterNode
    from redis.asyncio.connection import parse_url
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as ConnectionLostError
    from redis.exceptions import NoScriptError
except ImportError as error:
    raise MissingDependencyError('redis-py is not installed; run pip install "scopedtools[redis]"') from error

_PORT: Final = 6379
_CLUSTER: Final = "+cluster"


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
        timeout_s: Seconds that it may take to get one, to connect, and to get an answer, each.

    Raises:
        ValueError: The URL is none of those. The message does not repeat it, since it may hold a password.
    """

    def __init__(self, url: str, *, max_connections: int, timeout_s: float) -> None:
        self._place = place = _place(url)
        self._max_connections = max_connections
        self._timeout_s = timeout_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Redis | RedisCluster | None = None
        self._turns = asyncio.Semaphore(max_connections)
        try:
            self._opened()
            place.connection(**self._options(), **_address(place, *place.nodes[0]))
        except Exception as error:  # noqa: BLE001 - some of redis-py's errors are its own, some are not
            raise ValueError(f"the URL of the store has options that do not fit: {error}") from None

    def __repr__(self) -> str:
        nodes = ",".join(f"{host}:{port}" for host, port in self._place.nodes)
        where = self._place.options.get("path", nodes)
        return f"{'cluster' if self._place.is_cluster else 'server'} {where}"

    @property
    def is_cluster(self) -> bool:
        """Whether keys are spread over several servers."""
        return self._place.is_cluster

    async def run(self, *command: bytes | str | int) -> Any:
        """Run a command; returns what redis-py makes of the answer."""
        client = self._connected()
        if not self._place.is_cluster:
            return await client.execute_command(*command)
        # The connections of a cluster do not wait for one another, they fail.
        async with asyncio.timeout(self._timeout_s):
            await self._turns.acquire()
        try:
            return await client.execute_command(*command)
        finally:
            self._turns.release()

    async def call(self, script: Script, keys: Sequence[bytes], *arguments: bytes | str | int) -> Any:
        """Run a script, which is sent where the server does not know it: after a restart, or a failover."""
        try:
            return await self.run("EVALSHA", script.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self.run("EVAL", script.text, len(keys), *keys, *arguments)

    async def connection(self, key: bytes) -> Connection:
        """Open a connection of its own to the server of a key; the caller closes it."""
        place = self._place
        host, port = place.nodes[0]
        client = self._connected()
        if isinstance(client, RedisCluster):
            await self.run("EXISTS", key)  # learns who has the key now, if that has changed
            node = client.get_node_from_key(key.decode("latin-1"))
            if node is None:
                raise ConnectionLostError("no server of the cluster has this key now")
            host, port = node.host, int(node.port)
        connection = place.connection(**self._options(), **_address(place, host, port))
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def close(self) -> None:
        """Close all connections; what is asked afterwards connects anew."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()

    def _connected(self) -> Redis | RedisCluster:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._loop, self._client = loop, self._opened()
            self._turns = asyncio.Semaphore(self._max_connections)
        return self._client

    def _opened(self) -> Redis | RedisCluster:
        place = self._place
        if place.is_cluster:
            return RedisCluster(
                startup_nodes=[ClusterNode(host, port) for host, port in place.nodes],
                ssl=place.connection is SSLConnection,
                max_connections=self._max_connections,
                require_full_coverage=False,  # who has lost a shard goes on with the others
                **self._options() | {"retry": Retry(NoBackoff(), 0)},
            )
        pool = BlockingConnectionPool(
            max_connections=self._max_connections,
            timeout=self._timeout_s,
            connection_class=place.connection,
            **self._options(),
            **_address(place, *place.nodes[0]),
        )
        return Redis.from_pool(pool)

    def _options(self) -> dict[str, Any]:
        """Return the options of a connection. Waiting for a server that is gone is left to who asks."""
        return {
            "socket_timeout": self._timeout_s,
            "socket_connect_timeout": self._timeout_s,
            # Once and at once: a connection may have been closed while nobody used it.
            "retry": Retry(NoBackoff(), 1, (ConnectionLostError,)),
            "protocol": 2,
            **self._place.options,
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
    options: dict[str, Any] = {name: of for name, of in read[0].items() if name not in {"host", "port"}}
    return _Place(nodes, is_cluster, options, options.pop("connection_class", Connection))


def _address(place: _Place, host: str, port: int) -> dict[str, Any]:
    return {} if "path" in place.options else {"host": host, "port": port}
