"""What a server has: its lists, read to the end, with an end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from scopedtools.catalog.primitives import KINDS, Kind
from scopedtools.gateway.config import ServerConfig
from scopedtools.gateway.connection import Connection
from scopedtools.gateway.errors import RefusedError, UpstreamError
from scopedtools.gateway.trust import IDENTITY, UnusableError, clean

_log: Final = logging.getLogger(__name__)

Definitions: TypeAlias = Mapping[Kind, tuple[Mapping[str, Any], ...]]

NOTHING: Final[Definitions] = dict.fromkeys(KINDS, ())

_TOLD: Final = 10
"""Rows that are left out and named in the log, of one list."""


class _List(NamedTuple):
    method: str
    field: str
    capability: str


_LISTS: Final[Mapping[Kind, _List]] = {
    "tool": _List("tools/list", "tools", "tools"),
    "resource": _List("resources/list", "resources", "resources"),
    "template": _List("resources/templates/list", "resourceTemplates", "resources"),
    "prompt": _List("prompts/list", "prompts", "prompts"),
}


async def list_all(connection: Connection, config: ServerConfig, known: Definitions) -> Definitions:
    """Return all that a server has.

    Args:
        connection: To the server.
        config: Of the server.
        known: What was known before; it stays for a kind whose list cannot be read.
    """
    found: dict[Kind, tuple[Mapping[str, Any], ...]] = {}
    for kind, place in _LISTS.items():
        if place.capability not in connection.capabilities:
            found[kind] = ()
            continue
        try:
            found[kind] = await _list(connection, config, kind, place)
        except RefusedError as error:
            if error.code != -32601:
                _log.warning("%s: %s failed: %s", config.name, place.method, error)
            found[kind] = () if error.code == -32601 else known[kind]
    return found


async def _list(
    connection: Connection, config: ServerConfig, kind: Kind, place: _List
) -> tuple[Mapping[str, Any], ...]:
    limits = config.limits
    rows: dict[str, Mapping[str, Any]] = {}
    left_out: list[str] = []
    params: dict[str, Any] = {}
    seen: set[str] = set()
    for _ in range(limits.max_pages):
        page = await connection.request(place.method, params, timeout_s=config.connect_timeout_ms / 1000)
        given = page.get(place.field)
        if not isinstance(given, list):
            raise UpstreamError(f"its answer to {place.method} has no list {place.field!r}")
        for one in given:
            _take(kind, one, config, rows, left_out)
        cursor = page.get("nextCursor")
        if not isinstance(cursor, str) or cursor in seen or len(rows) >= limits.max_rows:
            break
        seen.add(cursor)
        params = {"cursor": cursor}
    if left_out:
        told = "; ".join(left_out[:_TOLD])
        _log.warning("%s: %d rows of %s are left out: %s", config.name, len(left_out), place.method, told)
    return tuple(rows.values())


def _take(
    kind: Kind, one: Any, config: ServerConfig, rows: dict[str, Mapping[str, Any]], left_out: list[str]
) -> None:
    try:
        definition = clean(kind, one, config.limits)
    except UnusableError as error:
        name = one.get("name") if isinstance(one, dict) else None
        left_out.append(f"{str(name)[:80]!r} {error}")
        return
    if len(rows) < config.limits.max_rows:
        rows.setdefault(definition[IDENTITY[kind]], definition)
    else:
        left_out.append(f"{definition['name'][:80]!r} is one too many")
