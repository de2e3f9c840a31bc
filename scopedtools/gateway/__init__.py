"""A gateway: the rows of other MCP servers in one catalog, with their calls passed on in context.

It needs the extra ``gateway``.
"""

from __future__ import annotations

from scopedtools.exceptions import MissingDependencyError

try:
    import mcp.shared.jsonrpc_dispatcher  # noqa: F401 - looked for before what needs it
except ImportError as error:
    raise MissingDependencyError(
        'a gateway needs mcp 2.3 or later; run pip install "scopedtools[gateway]"'
    ) from error

from scopedtools.gateway.config import Approval, Forward, GatewayConfig, Limits, OAuth, ServerConfig
from scopedtools.gateway.errors import ConfigError
from scopedtools.gateway.gateway import Gateway, Status

__all__ = [
    "Approval",
    "ConfigError",
    "Forward",
    "Gateway",
    "GatewayConfig",
    "Limits",
    "OAuth",
    "ServerConfig",
    "Status",
]
