"""FastMCP's proxy in front of the servers of a configuration; run by a Python that has fastmcp.

Run: python fastmcp_proxy.py CONFIG [PORT]
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    """Serve over HTTP at a port, or over stdio without one."""
    config, *port = sys.argv[1:]
    create_proxy: Any = import_module("fastmcp.server").create_proxy
    proxy = create_proxy(json.loads(Path(config).read_text(encoding="utf-8")), name="proxy")
    if port:
        proxy.run(transport="http", port=int(port[0]), show_banner=False, log_level="ERROR")
    else:
        proxy.run(transport="stdio", show_banner=False, log_level="ERROR")


if __name__ == "__main__":
    main()
