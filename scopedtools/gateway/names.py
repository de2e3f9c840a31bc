"""Names that rows of several servers have side by side: stable, and never the same."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.catalog.names import fitting, mark, marked, prefixed
from scopedtools.catalog.primitives import Kind


class Names:
    """Gives out names. What was given once stays, whoever comes and goes.

    Every provider of models takes them; see `scopedtools.catalog.names`.
    """

    def __init__(self) -> None:
        self._owners: dict[tuple[Kind, str], tuple[str, str]] = {
            ("tool", name): ("", name) for name in SEARCH_TOOLS
        }
        self._given: dict[tuple[Kind, str, str], str] = {}

    def name(self, kind: Kind, server: str, original: str, *, prefix: str) -> str:
        """Return the name of a tool or prompt.

        Args:
            kind: Of the row.
            server: Where it comes from.
            original: What it is called there.
            prefix: What its name begins with, or ``""``.
        """
        plain = fitting(prefixed(prefix, original), of=(server, original))
        others = (marked(plain, of=(server, of)) for of in _variants(original))
        return self._give(kind, server, original, itertools.chain((plain,), others))

    def uri(self, kind: Kind, server: str, original: str) -> str:
        """Return the URI of a resource, or the URI template: its own, unless another server has the same."""
        scheme = scheme_of(server)
        others = (f"{scheme}-{mark(server, of)}+{original}" for of in _variants(original))
        return self._give(kind, server, original, itertools.chain((original, f"{scheme}+{original}"), others))

    def known_uri(self, server: str, original: str) -> str | None:
        """Return the URI that a resource has here, if it ever had one."""
        return self._given.get(("resource", server, original))

    def _give(self, kind: Kind, server: str, original: str, wanted: Iterable[str]) -> str:
        if (given := self._given.get((kind, server, original))) is not None:
            return given
        free = next(name for name in wanted if (kind, name) not in self._owners)
        self._owners[kind, free] = (server, original)
        self._given[kind, server, original] = free
        return free


def _variants(original: str) -> Iterator[str]:
    """Yield what marks are made of, without end: a server may know them, and take the names itself."""
    yield original
    yield from (f"{original} {number}" for number in itertools.count(2))


def scheme_of(server: str) -> str:
    """Return what stands before ``+`` in URIs of a server that are not free here."""
    return "x-" + re.sub(r"[^a-z0-9.-]", "-", server.lower())
