"""What a command works on: a server given as ``module:app``, a catalog file, or a URL."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from scopedtools.catalog.catalog import Catalog
from scopedtools.exceptions import ScopedToolsError
from scopedtools.server import ScopedServer


class TargetError(ScopedToolsError):
    """The argument of a command names nothing that it can work on."""


def load_server(target: str) -> ScopedServer:
    """Import a server.

    Args:
        target: ``package.module:attribute``, found from the current folder as well.

    Raises:
        TargetError: There is no such module or attribute, or it is not a `ScopedServer`.
    """
    module_name, colon, attribute = target.partition(":")
    if not colon or not module_name or not attribute:
        raise TargetError(f"{target!r} is not module:attribute, such as examples.bookshop.server:app")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise TargetError(f"cannot import {module_name!r}: {error}") from error
    server = getattr(module, attribute, None)
    if not isinstance(server, ScopedServer):
        raise TargetError(
            f"{module_name!r} has no ScopedServer named {attribute!r}, got {type(server).__name__}"
        )
    return server


def load_catalog_server(target: str) -> ScopedServer:
    """Import a server, or make one that describes the tools of a JSON-lines file.

    Raises:
        TargetError: It is neither.
        CatalogError: The file cannot be read.
    """
    if target.endswith((".jsonl", ".jsonl.gz")):
        return ScopedServer(name=Path(target).name, catalog=Catalog.from_jsonl(target))
    return load_server(target)


def is_url(target: str) -> bool:
    """Tell whether a target is the URL of a running server."""
    return target.startswith(("http://", "https://"))
