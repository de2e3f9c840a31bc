"""A server whose rows are those of other servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from scopedtools.catalog.catalog import Catalog
from scopedtools.context.context import Context
from scopedtools.gateway.config import GatewayConfig
from scopedtools.gateway.gateway import Gateway
from scopedtools.gateway.listing import Definitions
from scopedtools.server import ScopedServer

_log: Final = logging.getLogger(__name__)


class GatewayServer(ScopedServer):
    """Fronts MCP servers: one catalog, one search, a view for each context.

    ::

        app = GatewayServer("mcp.json")

    Subclass it to add tools of its own, or to override hooks such as `permitted`; rows are tagged with the
    name of their server.

    Args:
        config: Which servers, or the path of a configuration file.
        catalog: Rows besides those of the servers.
        **options: Whatever `ScopedServer` takes.

    Raises:
        ConfigError: The configuration is wrong.
    """

    def __init__(
        self, config: GatewayConfig | str | Path, *, catalog: Catalog | None = None, **options: Any
    ) -> None:
        self._more = catalog if catalog is not None else Catalog()
        own = [*(declared.bind(self) for declared in self._declared), *self._more.rows]
        read = config if isinstance(config, GatewayConfig) else GatewayConfig.read(config)
        known = {} if hasattr(self, "update") else _discovered(read)
        self.gateway = Gateway(read, reserved=own, known=known)
        super().__init__(catalog=self._more + self.gateway.catalog, **options)

    async def complete(
        self, ctx: Context, ref: str, argument: str, value: str, filled: Mapping[str, str]
    ) -> Sequence[str]:
        for kind in ("prompt", "template"):
            ordinal = self.catalog.find(kind, ref)
            if ordinal is not None and self.catalog.rows[ordinal].group:
                return await self.gateway.complete(ctx, self.catalog.rows[ordinal], argument, value, filled)
        return await super().complete(ctx, ref, argument, value, filled)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        async with self.gateway.running(self._changed):
            yield

    async def _changed(self, catalog: Catalog) -> None:
        update = getattr(self, "update", None)
        if update is None:
            _log.warning("the servers have other rows than before; start again to serve them")
        else:
            await update(self._more + catalog)


def _discovered(config: GatewayConfig) -> Mapping[str, Definitions]:
    """Return what the servers have now, for a server whose rows cannot change after it was made."""

    async def discover() -> Mapping[str, Definitions]:
        async with Gateway(config).running() as gateway:
            return gateway.definitions

    # In a thread: there may be an event loop here already.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, discover()).result()
