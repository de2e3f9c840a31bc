"""What a server has listed so far: a catalog that follows it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from scopedtools.adapters.rows import Definition, identity_of, row_of
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.catalog.catalog import Catalog
from scopedtools.catalog.primitives import Kind, Primitive
from scopedtools.catalog.view import View, bits_of
from scopedtools.context.policy import ViewPolicy
from scopedtools.selection import Selection

MAX_ROWS: Final = 10_000
"""A catalog with more rows gives up those that were not listed last."""

_log: Final = logging.getLogger(__name__)

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """A catalog, and what chooses from it.

    Attributes:
        catalog: The rows of one kind; with tools, the search tools first.
        search: The search tools.
        policy: Keeps what contexts are shown.
        selection: Ranks the rows.
    """

    catalog: Catalog
    search: View
    policy: ViewPolicy
    selection: Selection


class _Place(NamedTuple):
    row: int
    encoded: bytes


class Shelf:
    """The definitions of one kind that a server has listed, to whomever, each in its latest wording.

    What one caller is listed is what that caller may use, so callers of different permissions share a catalog
    and its index. A definition that is new or has changed makes a new generation.

    Args:
        kind: Of the definitions.
        search: Rows that come before them.
        pinned: What clients call those that every view shows.
        make: Makes a generation, or returns the one that has these very rows.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        search: Sequence[Primitive],
        pinned: frozenset[str],
        make: Callable[[Catalog], Generation],
    ) -> None:
        self._kind = kind
        self._search = tuple(search)
        self._pinned = pinned
        self._make = make
        self._known: dict[str, Definition] = {}
        self._places: dict[str, _Place] = {}
        self._warned = False
        self.generation: Generation | None = None

    def put(self, definitions: Iterable[Definition]) -> tuple[Generation, View]:
        """Take what one caller is listed; return the generation that has it, and these rows."""
        listed = self._listed(definitions)
        if self.generation is None or any(self._is_new(*one) for one in listed.items()):
            self._renew({identity: definition for identity, (definition, _) in listed.items()})
        assert self.generation is not None  # noqa: S101 - made above
        rows = bits_of(self._places[identity].row for identity in listed)
        return self.generation, View(self.generation.catalog, rows)

    def _listed(self, definitions: Iterable[Definition]) -> dict[str, tuple[Definition, bytes]]:
        listed: dict[str, tuple[Definition, bytes]] = {}
        for definition in definitions:
            identity = identity_of(self._kind, definition)
            if self._search and identity in SEARCH_TOOLS:
                self._warn(identity)
            else:
                listed.setdefault(identity, (definition, _encode(definition)))
        return listed

    def _is_new(self, identity: str, listed: tuple[Definition, bytes]) -> bool:
        place = self._places.get(identity)
        return place is None or place.encoded != listed[1]

    def _renew(self, listed: Mapping[str, Definition]) -> None:
        order = merged(tuple(self._known), tuple(listed))
        if len(order) > MAX_ROWS:
            order = tuple(listed)
        self._known = {identity: listed.get(identity) or self._known[identity] for identity in order}
        own = (row_of(self._kind, one, pinned=name in self._pinned) for name, one in self._known.items())
        self.generation = self._make(Catalog((*self._search, *own)))
        first = len(self._search)
        self._places = {
            identity: _Place(first + number, _encode(definition))
            for number, (identity, definition) in enumerate(self._known.items())
        }

    def _warn(self, name: str) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("the server has a tool %r of its own, which the one of the views hides", name)


def merged(known: Sequence[str], listed: Sequence[str]) -> tuple[str, ...]:
    """Return what was known in its order, and what is new where it is listed: behind what comes before it."""
    have = frozenset(known)
    new: dict[str | None, list[str]] = {}
    before: str | None = None
    for name in listed:
        if name in have:
            before = name
        else:
            new.setdefault(before, []).append(name)
    order = list(new.get(None, ()))
    for name in known:
        order.append(name)
        order += new.get(name, ())
    return tuple(order)
