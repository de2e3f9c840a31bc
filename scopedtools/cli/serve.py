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
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import uvicorn

from scopedtools.cli import options
from scopedtools.cli.allocator import return_large_arrays
from scopedtools.cli.bounded_http import BoundedHttp
from scopedtools.cli.hosting import Hosted, worker
from scopedtools.cli.lifecycle import Hosting, Patience
from scopedtools.cli.openapi import ApiOptions
from scopedtools.cli.origin import Origin
from scopedtools.cli.ports import Place, PortHosting, Ports, metrics_ports, ports_of
from scopedtools.cli.target import TargetError
from scopedtools.cli.workers import Workers, open_files, why_not_forked
from scopedtools.limits import variable_of
from scopedtools.ranking import VECTORS_VARIABLE
from scopedtools.server import ScopedServer
from scopedtools.sharing import SECRET_VARIABLE, STORE_VARIABLE
from scopedtools.transports.hosts import HOSTS_VARIABLE

_log: Final = logging.getLogger(__name__)


def serve(
    target: options.Target = None,
    host: options.Host = "127.0.0.1",
    port: options.Port = 8000,
    workers: options.WorkerCount = 1,
    ports: options.PortList = None,
    *,
    config: options.Config = None,
    stdio: options.Stdio = False,
    audit: options.Audit = None,
    metrics_port: options.MetricsPort = None,
    log_format: options.LogLines = "text",
    openapi: options.Openapi = None,
    base_url: options.BaseUrl = None,
    auth: options.Auth = None,
    token_url: options.TokenUrl = None,
    header: options.Header = None,
    forward_context: options.ForwardContext = False,
    index_dir: options.IndexDir = None,
    catalog: options.CatalogFile = None,
    allowed_hosts: options.AllowedHosts = None,
    store: options.Store = None,
    vectors: options.VectorsUrl = None,
    rate_per_principal: options.RatePerPrincipal = None,
    rate_per_context: options.RatePerContext = None,
    concurrent_calls: options.ConcurrentCalls = None,
    call_timeout_s: options.CallTimeoutS = None,
    drain_s: options.DrainS = 0.0,
    grace_s: options.GraceS = 10.0,
    settings: options.SettingsFile = None,
) -> None:
    """Host a server at http://HOST:PORT/mcp, or over stdio.

    SIGHUP reads its data again, SIGTERM stops it in order, and said twice at once.
    """
    del settings  # the other options have what it says
    _hold_standard_files()
    access = _several(auth), _several(token_url), _several(header), forward_context
    api = None if openapi is None else ApiOptions(openapi, base_url or "", *access)
    origin = Origin(target, _several(config), api, index_dir, catalog)
    hosted = Hosted(origin, audit, metrics_port, log_format, Patience(drain_s, grace_s))
    hosted.configure_logs()
    return_large_arrays()
    _keep(STORE_VARIABLE, store)
    _keep(VECTORS_VARIABLE, vectors)
    _keep(HOSTS_VARIABLE, allowed_hosts)
    _keep_limits(
        rate_per_principal=rate_per_principal,
        rate_per_context=rate_per_context,
        concurrent_calls=concurrent_calls,
        call_timeout_s=call_timeout_s,
    )
    if ports is not None:
        if stdio or workers > 1:
            raise TargetError("--ports starts one process for each port: leave --stdio and --workers out")
        _serve_on_ports(hosted, host, ports_of(ports), store)
        return
    if not stdio:
        _require_free(host, port)
    several = workers > 1 and not stdio
    if several:
        _share_secret(store)
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
            Hosting(_alone(server, hosted, host, port), lambda: server, hosted.patience).run()


def _hold_standard_files() -> None:
    """Open nothing in place of standard files that were closed: a connection would get their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free, which is this one


def _serve_on_ports(hosted: Hosted, host: str, ports: Sequence[int], store: str | None) -> None:
    for port in ports:
        _require_free(host, port)
    each = [hosted._replace(metrics_port=one) for one in metrics_ports(hosted.metrics_port, ports)]
    _share_secret(store)
    held_before = open_files()
    server = hosted.load()
    not_forked = why_not_forked(held_before)
    if not_forked is None:
        server.preload()
    else:
        _log.info("each process loads the catalog by itself, as this one %s", not_forked)
    places = [
        Place(
            port,
            partial(_serve_anew, own, host, port),
            None if not_forked is not None else partial(_serve_one, server, own, host, port),
        )
        for port, own in zip(ports, each, strict=True)
    ]
    Ports(places).run()


def _serve_anew(hosted: Hosted, host: str, port: int) -> None:
    """Serve on one of several ports, in a process that loads all by itself."""
    return_large_arrays()
    hosted.configure_logs()
    _serve_one(hosted.load(), hosted, host, port)


def _serve_one(server: ScopedServer, hosted: Hosted, host: str, port: int) -> None:
    """Serve on one of several ports."""
    with contextlib.ExitStack() as held:
        hosted.watch(server, held)
        PortHosting(_alone(server, hosted, host, port), lambda: server, hosted.patience).run()


def _keep(variable: str, said: str | None) -> None:
    """Leave what was said where every process of the server finds it."""
    if said is not None:
        os.environ[variable] = said


def _share_secret(store: str | None) -> None:
    # Of all workers, however they are made: what one seals, another opens. Those of other machines cannot
    # know it, so where they share a store it has to be given.
    if store is None or store.startswith("memory:"):
        os.environ[SECRET_VARIABLE] = os.environ.get(SECRET_VARIABLE) or secrets.token_hex(32)


def _keep_limits(**given: float | str | None) -> None:
    """Leave limits where every process of the server finds them."""
    os.environ.update({variable_of(name): str(value) for name, value in given.items() if value is not None})


def _several(given: list[str] | None) -> tuple[str, ...]:
    return tuple(given or ())


def _config(hosted: Hosted, host: str, port: int, workers: int) -> uvicorn.Config:
    return uvicorn.Config(
        f"{worker.__module__}:{worker.__name__}",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        http=BoundedHttp,
        timeout_graceful_shutdown=hosted.patience.longest_s,
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
    Workers(config, [config.bind_socket()], make, hosted.patience).run()


def _watched(server: ScopedServer, hosted: Hosted) -> ScopedServer:
    hosted.watch(server, contextlib.ExitStack())
    return server


def _alone(server: ScopedServer, hosted: Hosted, host: str, port: int) -> uvicorn.Config:
    logs = _logs(hosted.log_config())
    # Logs of this process are configured, perhaps by the author's module since then.
    logs |= {"log_config": None} if logs else {}
    longest_s = hosted.patience.longest_s
    return uvicorn.Config(
        server, host=host, port=port, http=BoundedHttp, timeout_graceful_shutdown=longest_s, **logs
    )


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
