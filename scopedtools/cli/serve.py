"""``scopedtools serve``: host a server over HTTP or stdio."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from scopedtools.cli.target import load_server


def serve(
    target: Annotated[str, typer.Argument(help="The server, as module:attribute.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Processes that share the port.", min=1)] = 1,
    *,
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Serve one client over standard input and output.")
    ] = False,
) -> None:
    """Host a server at http://HOST:PORT/mcp, or over stdio."""
    # Standard output belongs to the protocol on stdio, so logs never go there.
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    with contextlib.redirect_stdout(sys.stderr):
        server = load_server(target)
    if stdio:
        asyncio.run(server.serve_stdio())
        return
    if workers > 1:
        uvicorn.run(target, host=host, port=port, workers=workers, app_dir=str(Path.cwd()))
        return
    uvicorn.run(server, host=host, port=port)
