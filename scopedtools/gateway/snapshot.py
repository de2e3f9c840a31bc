"""The last known rows of a server, on disk, so that it has them while it is down."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from scopedtools.catalog.primitives import KINDS
from scopedtools.gateway.config import ServerConfig
from scopedtools.gateway.listing import NOTHING, Definitions
from scopedtools.gateway.trust import UnusableError, clean

_log: Final = logging.getLogger(__name__)

_FORMAT: Final = 1


def write_whole(path: Path, value: Any) -> None:
    """Write JSON to a file that is whole at every moment, and readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(value), indent=1))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class Snapshots:
    """Keeps what servers had.

    Args:
        folder: Where, or ``None`` to keep nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self, config: ServerConfig) -> Definitions:
        """Return what a server had when it was last seen, as far as that is known."""
        if self._folder is None:
            return NOTHING
        try:
            saved = msgspec.json.decode(self._path(config).read_bytes())
            if saved["format"] != _FORMAT or saved["server"] != _identity(config):
                return NOTHING
            return {kind: tuple(self._cleaned(kind, saved["rows"], config)) for kind in KINDS}
        except FileNotFoundError:
            return NOTHING
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("what is saved of %s cannot be read: %s", config.name, type(error).__name__)
            return NOTHING

    def write(self, config: ServerConfig, definitions: Definitions) -> None:
        """Keep what a server has; that it cannot be kept is logged."""
        if self._folder is None:
            return
        try:
            saved = {"format": _FORMAT, "server": _identity(config), "rows": definitions}
            write_whole(self._path(config), saved)
        except OSError as error:
            _log.warning("what %s has cannot be saved: %s", config.name, error.strerror)

    def _path(self, config: ServerConfig) -> Path:
        plain = "".join(one if one.isalnum() and one.isascii() else "-" for one in config.name)
        mark = hashlib.blake2b(config.name.encode(), digest_size=4).hexdigest()
        return Path(self._folder or "") / f"{plain[:60]}-{mark}.json"

    def _cleaned(self, kind: Any, rows: Mapping[str, Any], config: ServerConfig) -> list[dict[str, Any]]:
        kept = []
        for one in rows[kind][: config.limits.max_rows]:
            try:
                kept.append(clean(kind, one, config.limits))
            except UnusableError:
                continue
        return kept


def _identity(config: ServerConfig) -> str:
    """Return what tells two servers of one name apart, without what may be secret in it."""
    where = [config.command, *config.args] if config.command is not None else [config.url]
    return hashlib.sha256(msgspec.json.encode(where)).hexdigest()
