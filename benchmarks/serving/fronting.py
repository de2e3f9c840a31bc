"""The server that a gateway's rows are served by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scopedtools import ScopedServer
from scopedtools.gateway import Gateway, GatewayConfig


def fronting(servers: Mapping[str, Mapping[str, Any]], **options: Any) -> ScopedServer:
    """Make a server in front of others, whose rows keep their names.

    Args:
        servers: Their configuration by name.
        **options: Whatever `ScopedServer` takes.
    """
    described = {name: {**one, "prefix": ""} for name, one in servers.items()}
    server = ScopedServer(**options)
    server.mount(Gateway(GatewayConfig.of({"mcpServers": described}, variables={})))
    return server
