"""A gateway in front of the fixture server, all of whose rows keep their names.

Run: python tests/conformance/gateway.py PORT UPSTREAM_URL
"""

from __future__ import annotations

import sys

import uvicorn

from scopedtools import ScopedServer, ViewSettings
from scopedtools.gateway import Gateway, GatewayConfig


def server(url: str) -> ScopedServer:
    """Make a server that fronts the one at a URL."""
    config = GatewayConfig.of({"mcpServers": {"fixture": {"url": url, "prefix": ""}}}, variables={})
    server = ScopedServer(
        name="scopedtools-conformance-gateway",
        version="1.0",
        sessions=True,
        views=ViewSettings(whole_rows=100),
    )
    server.mount(Gateway(config))
    return server


def main() -> None:
    """Serve at the given port."""
    uvicorn.run(server(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
