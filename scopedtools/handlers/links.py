"""What tools linked to in their results, so that it can be read although no row stands for it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from scopedtools.catalog.catalog import MAX_URI_CHARACTERS
from scopedtools.context.context import Context

_CONTEXTS: Final = 1000
_LINKS: Final = 200


class Links:
    """Remembers which tool gave which link to whom; of those that are used least, links are forgotten.

    Whoever names no context shares with the others of one principal who name none.

    Args:
        max_contexts: Most contexts.
        max_links: Most links of one context.
    """

    def __init__(self, *, max_contexts: int = _CONTEXTS, max_links: int = _LINKS) -> None:
        self._max_contexts = max_contexts
        self._max_links = max_links
        self._contexts: OrderedDict[object, OrderedDict[bytes, dict[str, None]]] = OrderedDict()

    def remember(self, ctx: Context, tool: str, content: Iterable[Mapping[str, Any]]) -> None:
        """Remember the links in what a tool returned."""
        for uri in _uris(content):
            key = _whose(ctx)
            links = self._contexts.setdefault(key, OrderedDict())
            self._contexts.move_to_end(key)
            given = links.setdefault(_short(uri), {})
            links.move_to_end(_short(uri))
            given[tool] = None
            if len(given) > self._max_links:
                del given[next(iter(given))]
            if len(links) > self._max_links:
                links.popitem(last=False)
        while len(self._contexts) > self._max_contexts:
            self._contexts.popitem(last=False)

    def givers(self, ctx: Context, uri: str) -> tuple[str, ...]:
        """Return the tools that gave a context this link."""
        links = self._contexts.get(_whose(ctx))
        return () if links is None else tuple(links.get(_short(uri), ()))


def _uris(content: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for block in content:
        uri = block.get("uri") if block.get("type") == "resource_link" else None
        if isinstance(uri, str) and len(uri) <= MAX_URI_CHARACTERS:
            yield uri


def _whose(ctx: Context) -> object:
    return ctx.key if ctx.key is not None else ctx.principal.name


def _short(uri: str) -> bytes:
    return hashlib.blake2b(uri.encode(errors="surrogatepass"), digest_size=16).digest()
