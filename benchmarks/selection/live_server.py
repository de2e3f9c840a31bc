"""The server that the live mode drives: the tools of a set, hosted in a process of its own."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.hosting import HOST, free_port, listening
from benchmarks.selection.sample import take_sample
from scopedtools.retrieval import HybridSelector
from scopedtools.retrieval.recipe import EncoderRecipe
from scopedtools.server import ScopedServer

_SET: Final = "SCOPEDTOOLS_LIVE_SET"
_INDEX: Final = "SCOPEDTOOLS_LIVE_INDEX"
_ENCODER: Final = "SCOPEDTOOLS_LIVE_ENCODER"

_ROOT: Final = Path(__file__).parents[2]
_COMMAND: Final = (sys.executable, "-c", "from scopedtools.cli import main; main()", "serve")


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
    port = free_port()
    variables = {_SET: test_set, _ENCODER: encoder, _INDEX: str(index_dir)}
    command = [*_COMMAND, f"{__name__}:app", "--port", str(port)]
    with (
        tempfile.NamedTemporaryFile() as log,
        listening(command, port, Path(log.name), cwd=_ROOT, variables=variables),
    ):
        yield f"http://{HOST}:{port}/mcp"
