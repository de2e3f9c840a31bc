"""``scopedtools serve``: host a server over HTTP or stdio."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Annotated, Any, Final

import typer
import uvicorn

from scopedtools.cli.allocator import return_large_arrays
from scopedtools.cli.audit import STORE_VARIABLE
from scopedtools.cli.hosting import Hosted, LogFormat, worker
from scopedtools.cli.openapi import ApiOptions
from scopedtools.cli.origin import Origin
from scopedtools.cli.target import TargetError
from scopedtools.cli.workers import Workers, open_files, why_not_forked
from scopedtools.server import ScopedServer
from scopedtools.sharing import SECRET_VARIABLE

_log: Final = logging.getLogger(__name__)

_GRACE_S: Final = 10
"""Seconds that requests under way have to finish when the server is told to stop."""


def serve(
    target: Annotated[str | None, typer.Argument(help="The server, as module:attribute.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Processes that share the port.", min=1)] = 1,
    *,
    config: Annotated[
        list[str] | None,
        typer.Option(help="Front the mcpServers of a file, alone or beside your own. May be repeated."),
    ] = None,
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Serve one client over standard input and output.")
    ] = False,
    audit: Annotated[
        str | None,
        typer.Option(
            envvar=STORE_VARIABLE, help="Keep an audit trail in a database, such as sqlite:///audit.db."
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(help="Serve /metrics to Prometheus on this port of 127.0.0.1.", min=0, max=65535),
    ] = None,
    log_format: Annotated[LogFormat, typer.Option(help="How lines on standard error look.")] = "text",
    openapi: Annotated[
        str | None,
        typer.Option(help="Serve an API, alone or beside the rest: file or URL of its OpenAPI description."),
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="Where that API is.")] = None,
    auth: Annotated[
        list[str] | None,
        typer.Option(
            help="Credential of the API, SCHEME=VARIABLE of the environment; SCHEME=USER:PASSWORD for two, "
            "of basic authentication or of an OAuth client. May be repeated."
        ),
    ] = None,
    token_url: Annotated[
        list[str] | None, typer.Option(help="Where tokens of the API are fetched, SCHEME=URL.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(help="Header of each request to the API, NAME=VARIABLE.")
    ] = None,
    forward_context: Annotated[
        bool, typer.Option("--forward-context", help="Tell the API the context ID.")
    ] = False,
    index_dir: Annotated[
        str | None, typer.Option(help="Keep the index here between starts, without a server of your own.")
    ] = None,
) -> None:
    """Host a server at http://HOST:PORT/mcp, or over stdio."""
    settings = _several(auth), _several(token_url), _several(header), forward_context
    api = None if openapi is None else ApiOptions(openapi, base_url or "", *settings)
    hosted = Hosted(Origin(target, _several(config), api, index_dir), audit, metrics_port, log_format)
    hosted.configure_logs()
    if not stdio:
        _require_free(host, port)
    several = workers > 1 and not stdio
    if several:
        return_large_arrays()
        # Of all workers, however they are made: what one seals, another opens.
        os.environ[SECRET_VARIABLE] = os.environ.get(SECRET_VARIABLE) or secrets.token_hex(32)
    # It configures logs, which the author's module may then do otherwise.
    shared = _config(hosted, host, port, workers) if several else None
    held_before = open_files()
    server = hosted.load()
    if shared is not None:
        _require_shareable(server, hosted)
        _serve_by_workers(server, hosted, shared, why_not_forked(held_before))
        return
    with contextlib.ExitStack() as held:
        hosted.watch(server, held)
        if stdio:
            with contextlib.suppress(asyncio.CancelledError):
                asyncio.run(_until_interrupted(server))
        else:
            _Hosting(server, hosted, host, port).run()


def _several(given: list[str] | None) -> tuple[str, ...]:
    return tuple(given or ())


def _config(hosted: Hosted, host: str, port: int, workers: int) -> uvicorn.Config:
    return uvicorn.Config(
        f"{worker.__module__}:{worker.__name__}",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        timeout_graceful_shutdown=_GRACE_S,
        **_logs(hosted.log_config()),
    )


def _serve_by_workers(
    server: ScopedServer, hosted: Hosted, config: uvicorn.Config, not_forked: str | None
) -> None:
    hosted.hand_over()
    if not_forked is None:
        server.preload()
    else:
        _log.info("each worker loads the catalog by itself, as this process %s", not_forked)
    make = partial(_watched, server, hosted) if not_forked is None else None
    Workers(config, [config.bind_socket()], make).run()


def _watched(server: ScopedServer, hosted: Hosted) -> ScopedServer:
    hosted.watch(server, contextlib.ExitStack())
    return server


def _logs(config: dict[str, Any] | None) -> dict[str, Any]:
    """Return uvicorn's settings of logs: lines about requests are ours where they tell the context."""
    return {} if config is None else {"log_config": config, "access_log": False}


def _require_shareable(server: ScopedServer, hosted: Hosted) -> None:
    if hosted.metrics_port is not None:
        raise TargetError(
            "several workers cannot serve metrics on one port; run one worker on each of several ports"
        )
    if server.grows_in_process:
        raise TargetError(
            "views of this server may grow, and each worker would grow its own; give it a shared store, or "
            "ViewSettings(growth='never'), or run one worker on each of several ports, behind a proxy that "
            "hashes on the context"
        )
    if server.is_bound_to_process:
        raise TargetError(
            "this server keeps sessions, tasks or connections to others in its process, so it cannot have "
            "several workers; run one worker on each of several ports, behind a proxy that hashes on the "
            "session, task or context"
        )


class _Hosting(uvicorn.Server):
    """Ends streams when it is told to stop; it would wait for them otherwise, and they for it.

    It holds the server itself: where uvicorn does, a start cannot be broken off.
    """

    def __init__(self, server: ScopedServer, hosted: Hosted, host: str, port: int) -> None:
        logs = _logs(hosted.log_config())
        # Logs of this process are configured, perhaps by the author's module since then.
        logs |= {"log_config": None} if logs else {}
        super().__init__(
            uvicorn.Config(
                server, host=host, port=port, lifespan="off", timeout_graceful_shutdown=_GRACE_S, **logs
            )
        )
        self._server = server
        self._up, self._leave = asyncio.Event(), asyncio.Event()
        self._holding: asyncio.Task[None] | None = None
        self._break_off: Callable[[], object] = lambda: None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._server.end_streams()
        super().handle_exit(sig, frame)
        if self.force_exit or not self._up.is_set():
            self._break_off()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self.should_exit:
            return
        self._holding = asyncio.create_task(self._hold())
        # Handlers of signals do not wake the loop.
        loop = asyncio.get_running_loop()
        self._break_off = partial(loop.call_soon_threadsafe, self._holding.cancel)
        up = asyncio.create_task(self._up.wait())
        await asyncio.wait([up, self._holding], return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        try:
            if self._up.is_set():
                await super().startup(sockets=sockets)
        finally:
            if not self.started:
                await self._end()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets=sockets)
        await self._end()

    async def _hold(self) -> None:
        async with self._server:
            self._up.set()
            await self._leave.wait()

    async def _end(self) -> None:
        if self._holding is None:
            return
        self._leave.set()
        await asyncio.wait([self._holding])
        if not self._holding.cancelled():
            self._holding.result()  # or why it did not start or end


def _require_free(host: str, port: int) -> None:
    """Refuse a port where another server listens, before anything is started.

    Raises:
        TargetError: It cannot be listened to.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        hint = "; --port chooses another" if error.errno == errno.EADDRINUSE else ""
        reason = str(error.strerror).partition(" (while")[0]  # it goes on to repeat the address
        raise TargetError(f"cannot listen on port {port} of {host}: {reason}{hint}") from error


async def _until_interrupted(server: ScopedServer) -> None:
    serving = asyncio.ensure_future(server.serve_stdio())
    # Through the loop: a signal may reach any thread, and one that reads a pipe would not wake the loop.
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    await serving
