"""What a hosted server is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from scopedtools.cli.target import TargetError, load_server
from scopedtools.server import ScopedServer

if TYPE_CHECKING:
    from scopedtools.gateway import Gateway


class Origin(NamedTuple):
    """A server of the author's own, and what is mounted in it; or what is mounted alone.

    Attributes:
        target: The server, as ``module:attribute``, or ``None`` for an empty one.
        configs: Files with ``mcpServers``, which are fronted.
    """

    target: str | None = None
    configs: tuple[str, ...] = ()

    def load(self) -> ScopedServer:
        """Import or make the server, and mount the rest.

        Raises:
            TargetError: There is nothing to host, or no such server.
            ConfigError: A file cannot be read.
        """
        if self.target is None and not self.configs:
            raise TargetError("say what to serve: module:attribute, or --config mcp.json, or both")
        gateways = self._gateways()
        server = load_server(self.target) if self.target is not None else _host(gateways)
        for gateway in gateways:
            server.mount(gateway)
        return server

    def _gateways(self) -> list[Gateway]:
        if not self.configs:
            return []
        from scopedtools.gateway import Gateway  # noqa: PLC0415 - needs an extra

        return [Gateway(config) for config in self.configs]


def _host(gateways: Sequence[Gateway]) -> ScopedServer:
    """Return an empty server, which keeps its index where the first gateway keeps what it knows."""
    kept = next((one.config.state_dir for one in gateways if one.config.state_dir is not None), None)
    return ScopedServer(name="gateway", index_dir=kept / "index" if kept is not None else None)
