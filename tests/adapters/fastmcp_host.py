"""A FastMCP server that gains context views; runs where FastMCP is installed.

Run: python -m tests.adapters.fastmcp_host [--port PORT] [--auth] [--middleware | --whole]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from scopedtools.adapters.for_sdk import ScopedViews as Middleware
from scopedtools.retrieval.hashing import HashingEncoder
from tests.adapters.stock import THINGS, asker, functions, reader

# By name: the environment in which this project is checked does not have it.
fastmcp = import_module("fastmcp")
server_auth = import_module("fastmcp.server.auth")
transform = import_module("scopedtools.adapters.for_fastmcp")

TOKENS: Final = {
    "ann": {"client_id": "desk", "scopes": ["orders"], "sub": "ann"},
    "bob": {"client_id": "desk", "scopes": [], "sub": "bob"},
}


def shop(*, auth: Any = None) -> Any:
    """Make the server. Where it knows its callers, orders need a scope."""
    mcp = fastmcp.FastMCP("shop", auth=auth)
    for function in functions():
        orders = auth is not None and function.__name__.startswith("order_")
        mcp.tool(function, tags={"trade"}, auth=server_auth.require_scopes("orders") if orders else None)
    for number in range(30):
        thing = f"{THINGS[number % len(THINGS)]}_{number}"
        mcp.resource(f"shop://about/{thing}")(reader(thing))
        mcp.prompt(asker(number))
    mcp.tool(toggle(mcp), name="open_garden")
    mcp.tool(lambda: "for people", name="for_people", meta={"ui": {"visibility": ["app"]}})
    return mcp


def toggle(mcp: Any) -> Any:
    def water_garden(minutes: int) -> str:
        """Water the garden tonight."""
        return f"watered for {minutes} minutes"

    def open_garden(open_it: bool) -> str:  # noqa: FBT001 - an argument of a tool
        """Open or close the gate."""
        if open_it:
            mcp.tool(water_garden)
        else:
            mcp.local_provider.remove_tool("water_garden")
        return "done"

    return open_garden


def main(options: Mapping[str, Any]) -> None:
    """Serve over stdio, or over HTTP at a port of this machine."""
    verifier = import_module("fastmcp.server.auth.providers.jwt").StaticTokenVerifier
    mcp = shop(auth=verifier(tokens=TOKENS) if options["auth"] else None)
    if options["middleware"]:
        mcp._mcp_server.middleware.append(Middleware(encoder=HashingEncoder()))
    elif not options["whole"]:
        mcp.add_transform(transform.ScopedViews(encoder=HashingEncoder()))
    if options["port"] is None:
        mcp.run(show_banner=False, log_level="ERROR")
    else:
        quiet = {"log_level": "error"}
        mcp.run("http", host="127.0.0.1", port=options["port"], show_banner=False, uvicorn_config=quiet)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    for flag in ("auth", "middleware", "whole"):
        parser.add_argument(f"--{flag}", action="store_true")
    main(vars(parser.parse_args()))
