"""Many upstream servers as one catalog."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

import anyio
from anyio import to_thread

from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import KINDS, Kind, Primitive
from scopedtools.gateway.approval import Approvals
from scopedtools.gateway.calls import Calls
from scopedtools.gateway.config import GatewayConfig, ServerConfig
from scopedtools.gateway.listing import Definitions
from scopedtools.gateway.names import Names, scheme_of
from scopedtools.gateway.rows import rows_of
from scopedtools.gateway.snapshot import Snapshots
from scopedtools.gateway.upstream import Upstream

_log: Final = logging.getLogger(__name__)

_AGAIN_S: Final = 30.0
"""Seconds after which a catalog is told again that was not taken, such as by a selector that failed."""

Changed: TypeAlias = Callable[[Catalog], Awaitable[None]]


class Status(NamedTuple):
    """How an upstream is.

    Attributes:
        name: Of the server.
        state: Whether it is there.
        problem: Why it is not, or ``""``.
        rows: How many rows of each kind are known, whether served or not.
    """

    name: str
    state: Literal["connecting", "up", "down"]
    problem: str
    rows: Mapping[Kind, int]


class Gateway:
    """Holds the upstreams of a configuration.

    ::

        server.mount(Gateway("mcp.json"))

    Their rows are tagged with the names of the servers.

    Args:
        config: Which servers, or one, or the path of a configuration file.

    Raises:
        ConfigError: The configuration is wrong.
    """

    def __init__(self, config: GatewayConfig | ServerConfig | str | Path) -> None:
        if isinstance(config, ServerConfig):
            config = GatewayConfig(servers=(config,))
        self._file = None if isinstance(config, GatewayConfig) else Path(config)
        self.config = config if isinstance(config, GatewayConfig) else GatewayConfig.read(config)
        _warn(self.config)
        self._names = Names()
        self._approvals = Approvals(self.config.approval)
        self._snapshots = Snapshots(self.config.state_dir)
        self._news = asyncio.Event()
        self._upstreams = {one.name: self._upstream(one) for one in self.config.servers}
        self._calls = {one: self._calls_of(one) for one in self._upstreams.values()}
        self._changed: Changed | None = None
        self._running: dict[Upstream, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._catalog = self._assemble()

    @property
    def catalog(self) -> Catalog:
        """What the upstreams have, as last known."""
        return self._catalog

    @property
    def is_bound_to_process(self) -> bool:
        """True: the sessions of contexts, and calls that wait for an answer, are with its connections."""
        return True

    @property
    def may_change(self) -> bool:
        """True: its servers may have something else whenever they are asked."""
        return True

    @property
    def definitions(self) -> Mapping[str, Definitions]:
        """What each server has, as last known, cleaned."""
        return {name: one.definitions for name, one in self._upstreams.items()}

    @property
    def status(self) -> tuple[Status, ...]:
        """How each upstream is."""
        return tuple(
            Status(name, one.state, one.problem, {kind: len(one.definitions[kind]) for kind in KINDS})
            for name, one in self._upstreams.items()
        )

    @asynccontextmanager
    async def running(self, changed: Changed | None = None) -> AsyncIterator[Gateway]:
        """Connect to all upstreams side by side, and keep it so.

        It begins when each was listed or could not be, or when `GatewayConfig.startup_timeout_ms` is over.

        Args:
            changed: Told each catalog that is another than the one before.
        """
        self._changed = changed
        follow: asyncio.Task[None] | None = None
        try:
            self._start(self._upstreams.values())
            await self._wait_for_start(self._upstreams.values())
            if self._news.is_set():
                await self._tell()
            follow = asyncio.create_task(self._follow())
            yield self
        finally:
            await _ended([*self._running.values(), *self._leaving, *([follow] if follow is not None else [])])
            self._running.clear()

    async def read_again(self) -> Callable[[], Awaitable[None]]:
        """Read the file again; see `scopedtools.mounts.Reloadable`.

        Servers whose entries are as before stay connected. Those that went away, or have another entry, go
        once the calls that they were given are over.

        Raises:
            ConfigError: It cannot be read, or something in it is wrong.
        """
        if self._file is None:
            return _nothing
        config = await to_thread.run_sync(GatewayConfig.read, self._file)
        _warn(config)
        return partial(self._become, config)

    async def _become(self, config: GatewayConfig) -> None:
        before = self.config, self._approvals, self._snapshots, self._upstreams, self._calls
        self.config, self._snapshots = config, Snapshots(config.state_dir)
        if config.approval.file is not None or config.approval != before[0].approval:
            self._approvals = Approvals(config.approval)  # somebody may have approved of something meanwhile
        self._upstreams = {one.name: self._same(one) or self._upstream(one) for one in config.servers}
        self._calls = {one: before[4].get(one) or self._calls_of(one) for one in self._upstreams.values()}
        new = [one for one in self._upstreams.values() if one not in before[4]]
        try:
            self._start(new)
            await self._wait_for_start(new)
            # Also where the rows are the same: others carry them out now.
            await self._put(anyway=True)
        except BaseException:
            self.config, self._approvals, self._snapshots, self._upstreams, self._calls = before
            await _ended([self._running.pop(one) for one in new if one in self._running])
            raise
        for one in before[4]:
            if one not in self._calls:
                leaving = asyncio.create_task(self._leave(one))
                self._leaving.add(leaving)
                leaving.add_done_callback(self._leaving.discard)

    async def _leave(self, upstream: Upstream) -> None:
        """End a server that is asked for nothing new."""
        task = self._running.pop(upstream, None)
        try:
            await upstream.unused()
        finally:
            await _ended([task] if task is not None else [])

    def _start(self, upstreams: Iterable[Upstream]) -> None:
        # Tasks of their own: what goes wrong in one is its own, and so is what goes wrong in the block.
        self._running |= {one: asyncio.create_task(one.run()) for one in upstreams}

    async def _wait_for_start(self, upstreams: Collection[Upstream]) -> None:
        longest_s = self.config.startup_timeout_ms / 1000
        _log.info("starting %d servers, waiting %g s for them at most", len(upstreams), longest_s)
        with anyio.move_on_after(longest_s) as waiting:
            for upstream in upstreams:
                await upstream.settled.wait()
        if waiting.cancelled_caught:
            late = [one.config.name for one in upstreams if not one.settled.is_set()]
            _log.warning("%s did not answer so far; what it has comes when it does", ", ".join(late))

    def _upstream(self, config: ServerConfig) -> Upstream:
        return Upstream(config, self._snapshots.read(config), self._heard)

    def _same(self, config: ServerConfig) -> Upstream | None:
        there = self._upstreams.get(config.name)
        return there if there is not None and there.config == config else None

    def _calls_of(self, upstream: Upstream) -> Calls:
        return Calls(upstream, public_uri=partial(self._public_uri, upstream.config.name))

    def _heard(self, upstream: Upstream) -> None:
        self._snapshots.write(upstream.config, upstream.definitions)
        self._news.set()

    async def _follow(self) -> None:
        while True:
            await self._news.wait()
            await self._tell()

    async def _tell(self) -> None:
        try:
            await self._put()
        except Exception:  # noqa: BLE001 - the upstreams go on, and so does what is served
            _log.exception("a changed catalog was not taken; it is told again in %g s", _AGAIN_S)
            asyncio.get_running_loop().call_later(_AGAIN_S, self._news.set)

    async def _put(self, *, anyway: bool = False) -> None:
        """Tell of the catalog, if it is another than before, or anyway."""
        self._news.clear()
        before = self._catalog
        catalog = self._assemble()
        # A version is a digest of all rows, encoded: a while, where there are thousands.
        if not anyway and await to_thread.run_sync(lambda: catalog.version == before.version):
            return
        self._catalog = catalog
        try:
            if self._changed is not None:
                await self._changed(catalog)
        except BaseException:
            self._catalog = before
            raise

    def _public_uri(self, name: str, uri: str) -> str:
        """Return what a URI of a server is here, where reading it must come to no other server."""
        if (given := self._names.known_uri(name, uri)) is not None:
            return given
        rows = self._catalog.rows
        free = all(rows[ordinal].group == name for ordinal, _ in self._catalog.resources_at(uri))
        return uri if free else f"{scheme_of(name)}+{uri}"

    def _assemble(self) -> Catalog:
        return Catalog(row for name in self._upstreams for row in self._rows(name))

    def _rows(self, name: str) -> Iterator[Primitive]:
        upstream = self._upstreams[name]
        for kind in KINDS:
            admitted = self._approvals.admitted(name, kind, upstream.definitions[kind])
            yield from rows_of(
                upstream.config, kind, admitted, names=self._names, caller=self._calls[upstream]
            )


async def _nothing() -> None:
    pass


async def _ended(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _warn(config: GatewayConfig) -> None:
    for warning in config.warnings:
        _log.warning("%s", warning)
