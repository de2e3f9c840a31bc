"""What a hosted server is made of."""

from __future__ import annotations

from typing import NamedTuple

from scopedtools.cli.target import TargetError, load_server
from scopedtools.server import ScopedServer


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
        server = load_server(self.target) if self.target is not None else ScopedServer(name="gateway")
        for config in self.configs:
            from scopedtools.gateway import Gateway  # noqa: PLC0415 - needs an extra

            server.mount(Gateway(config))
        return server
