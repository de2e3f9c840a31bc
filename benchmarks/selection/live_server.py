"""The server that the live mode drives: the tools of a set, hosted in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from benchmarks.selection.sample import take_sample
from scopedtools.exceptions import ScopedToolsError
from scopedtools.retrieval import HybridSelector
from scopedtools.retrieval.recipe import EncoderRecipe
from scopedtools.server import ScopedServer

_SET: Final = "SCOPEDTOOLS_LIVE_SET"
_INDEX: Final = "SCOPEDTOOLS_LIVE_INDEX"
_ENCODER: Final = "SCOPEDTOOLS_LIVE_ENCODER"

_ROOT: Final = Path(__file__).parents[2]
_COMMAND: Final = (sys.executable, "-c", "from scopedtools.cli import main; main()", "serve")
_START_S: Final = 120
_STOP_S: Final = 15


class HostingError(ScopedToolsError):
    """The server did not start."""


def make_server(test_set: str, selector: HybridSelector) -> ScopedServer:
    """Return a server with the tools of a set; everything else as shipped."""
    return ScopedServer(name=test_set, catalog=take_sample(test_set, 1).catalog, selector=selector)


def make_selector(encoder: str, index_dir: Path) -> HybridSelector:
    """Return the selector that a server has by default, with an encoder by name."""
    return HybridSelector(EncoderRecipe(model=encoder).make(), index_dir=index_dir)


def __getattr__(name: str) -> ScopedServer:
    # `app` is made when it is asked for: whoever imports this module otherwise has no such variables.
    if name != "app":
        raise AttributeError(name)
    return make_server(os.environ[_SET], make_selector(os.environ[_ENCODER], Path(os.environ[_INDEX])))


@contextmanager
def hosted(test_set: str, encoder: str, index_dir: Path) -> Iterator[str]:
    """Host a set's tools with ``scopedtools serve`` on loopback.

    Yields:
        URL of the endpoint.

    Raises:
        HostingError: It does not listen; the message ends with what it logged.
    """
    port = _free_port()
    variables = {_SET: test_set, _ENCODER: encoder, _INDEX: str(index_dir)}
    command = [*_COMMAND, f"{__name__}:app", "--port", str(port)]
    with (
        tempfile.TemporaryFile() as log,
        _ended(
            subprocess.Popen(command, cwd=_ROOT, env=os.environ | variables, stdout=log, stderr=log)  # noqa: S603 - ours
        ) as server,
    ):
        _await_port(server, port, log)
        yield f"http://127.0.0.1:{port}/mcp"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_port(server: subprocess.Popen[bytes], port: int, log: IO[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        # Waiting for its end is the pause between two looks at the port.
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=0.05)
            break
    log.seek(0)
    logged = log.read().decode(errors="replace")[-1000:]
    raise HostingError(f"the server does not listen, exit status {server.poll()}: {logged}")
