"""What servers answered, kept for each unit of work apart.

Official clients key a list by its method alone. That is right as long as everybody with the same
authorization gets the same list, and hands one unit's tools to another where not. Here the context is part of
the key of everything, also of lists that a server calls public: one request more for each unit, and none can
ever see what another was shown.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from scopedtools.client.unit import UnitOfWork
from scopedtools.protocol.meta import VIEW

LISTS: Final = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
READ: Final = "resources/read"

_ENTRY_BYTES: Final = 1024
"""What an entry weighs besides its body."""


class Owner(NamedTuple):
    """Whose answers: those of one server to one authorization in one context.

    Attributes:
        server: Identity of the server.
        partition: Identity of the authorization.
        context: Context ID, or ``None`` for requests without one.
    """

    server: str
    partition: str
    context: str | None


class Place(NamedTuple):
    """What was asked.

    Attributes:
        version: Revision of the protocol, which answers differ by.
        method: The method.
        params: Its parameters without ``_meta``, as canonical JSON.
    """

    version: str | None
    method: str
    params: str

    @classmethod
    def of(cls, version: str | None, method: str, params: Mapping[str, Any]) -> Place:
        asked = {key: value for key, value in params.items() if key != "_meta" and value is not None}
        return cls(version, method, _canonical(asked))

    @property
    def is_first_page(self) -> bool:
        return self.params == "{}"


@dataclass(slots=True)
class _Entry:
    """An answer that is kept; stale ones are kept for their revision."""

    body: bytes
    unit: UnitOfWork | None
    revision: str | None
    fresh_until_s: float


@dataclass(slots=True, eq=False)
class Ticket:
    """A request under way whose answer may be kept.

    Attributes:
        owner: Who asks.
        place: For what.
        unit: As it described itself.
        held: The stale answer that the server is asked about, or ``None``.
        revision: Of that answer: what the request names, or ``None``.
        outdated: Something happened meanwhile that makes the answer old when it comes.
    """

    owner: Owner
    place: Place
    unit: UnitOfWork | None
    held: bytes | None = None
    revision: str | None = None
    outdated: bool = False


class ContextCache:
    """Keeps lists and resources by server, authorization and context.

    Each connection has one of its own by default. Give one to several where they should share: entries are
    shared only between connections to the same server that name the same ``partition``. Use it from one
    event loop.

    What it keeps is fresh for as long as the server says, and stale as soon as the unit says a new intent,
    searches for tools, or hears that the list has changed. A stale list is asked for by its revision, and
    kept where the server says that it is the same.

    Args:
        max_bytes: Most memory for answers; those unused for longest go first. 0 keeps nothing.
        clock: Seconds that only go forward.

    Raises:
        ValueError: ``max_bytes`` is negative.
    """

    def __init__(self, *, max_bytes: int = 32 * 2**20, clock: Callable[[], float] = time.monotonic) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes must be >= 0, got {max_bytes}")
        self.max_bytes = max_bytes
        self.bytes_kept = 0
        self._clock = clock
        self._entries: OrderedDict[tuple[Owner, Place], _Entry] = OrderedDict()
        self._lists: dict[Owner, set[Place]] = {}
        self._open: dict[Owner, set[Ticket]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Forget everything; answers that are under way are not kept as fresh."""
        for tickets in self._open.values():
            for ticket in tickets:
                ticket.outdated = True
        for key in list(self._entries):
            self._drop(key)

    # Asking

    def fresh(self, owner: Owner, place: Place) -> dict[str, Any] | None:
        """Return a result that may be used without asking, or ``None``."""
        entry = self._entries.get((owner, place))
        if entry is None or entry.fresh_until_s <= self._clock():
            return None
        self._entries.move_to_end((owner, place))
        return _decode(entry.body)

    def begin(self, owner: Owner, place: Place, unit: UnitOfWork | None, *, conditional: bool) -> Ticket:
        """Note that a request goes out; `settle` or `abandon` the ticket.

        Args:
            owner: Who asks.
            place: For what.
            unit: As it describes itself on this request.
            conditional: Ask about the revision that is held, if any.
        """
        ticket = Ticket(owner, place, unit)
        entry = self._entries.get((owner, place)) if conditional else None
        if entry is not None:
            ticket.held, ticket.revision = entry.body, entry.revision
        self._open.setdefault(owner, set()).add(ticket)
        return ticket

    def abandon(self, ticket: Ticket) -> None:
        """Note that no answer came."""
        tickets = self._open.get(ticket.owner)
        if tickets is not None:
            tickets.discard(ticket)
            if not tickets:
                del self._open[ticket.owner]

    def settle(self, ticket: Ticket, result: dict[str, Any], *, ttl_s: float) -> dict[str, Any]:
        """Keep what was answered, if it may be; return the result for the client.

        Args:
            ticket: Of the request.
            result: As the client shall get it.
            ttl_s: How long it is fresh.
        """
        self.abandon(ticket)
        now_s = self._clock()
        fresh_until_s = 0.0 if ticket.outdated else now_s + ttl_s
        view = view_of(result)
        if view.get("notModified") is True:
            if ticket.held is None:  # a server that says so without being asked
                return result
            # Where it speaks of another revision, it is asked again next time.
            if not ticket.outdated and view.get("revision") == ticket.revision:
                self._renew(ticket, fresh_until_s)
            return _decode(ticket.held)
        there = self._entries.get((ticket.owner, ticket.place))
        if ticket.outdated and there is not None and there.fresh_until_s > now_s:
            return result  # one that was asked for later came first
        revision = view.get("revision")
        revision = revision if isinstance(revision, str) else None
        if ticket.place.is_first_page:
            self._drop_other_pages(ticket.owner, ticket.place, revision)
        self._drop((ticket.owner, ticket.place))
        if ttl_s > 0 or revision is not None:
            self._keep(ticket, msgspec.json.encode(result), revision, fresh_until_s)
        return result

    # What makes answers old

    def describe(self, owner: Owner, unit: UnitOfWork | None) -> None:
        """Note how a unit describes itself now: lists that came under another intent are stale."""
        self._expire(owner, lambda place, told: place.method in LISTS and told != unit)

    def expire(self, owner: Owner, methods: Iterable[str]) -> None:
        """Make lists stale."""
        methods = frozenset(methods)
        self._expire(owner, lambda place, _: place.method in methods)

    def expire_everywhere(self, server: str, partition: str, methods: Iterable[str]) -> None:
        """Make lists stale in every context of a server and authorization."""
        methods = frozenset(methods)
        for owner in {*self._lists, *self._open}:
            if owner[:2] == (server, partition):
                self.expire(owner, methods)

    def forget_resource(self, server: str, partition: str, uri: str) -> None:
        """Drop what a resource held, in every context of a server and authorization."""
        params = _canonical({"uri": uri})

        def is_of(owner: Owner, place: Place) -> bool:
            return owner[:2] == (server, partition) and place[1:] == (READ, params)

        for key in [key for key in self._entries if is_of(*key)]:
            self._drop(key)
        for ticket in [ticket for tickets in self._open.values() for ticket in tickets]:
            ticket.outdated |= is_of(ticket.owner, ticket.place)

    def forget_list(self, owner: Owner, method: str) -> None:
        """Drop all pages of a list, and keep none that is under way as fresh."""
        self.expire(owner, [method])
        for place in [place for place in self._lists.get(owner, ()) if place.method == method]:
            self._drop((owner, place))

    def _expire(self, owner: Owner, applies: Callable[[Place, UnitOfWork | None], bool]) -> None:
        for place in self._lists.get(owner, ()):
            entry = self._entries[owner, place]
            if applies(place, entry.unit):
                entry.fresh_until_s = 0.0
        for ticket in self._open.get(owner, ()):
            ticket.outdated |= applies(ticket.place, ticket.unit)

    # Entries

    def _renew(self, ticket: Ticket, fresh_until_s: float) -> None:
        """Keep a list, all pages of it, since the server says that it is the same."""
        owner, first = ticket.owner, ticket.place
        if (owner, first) not in self._entries and ticket.held is not None:
            self._keep(ticket, ticket.held, ticket.revision, fresh_until_s)
        for place in self._pages(owner, first):
            entry = self._entries[owner, place]
            if entry.revision == ticket.revision:
                entry.unit, entry.fresh_until_s = ticket.unit, fresh_until_s
                self._entries.move_to_end((owner, place))

    def _drop_other_pages(self, owner: Owner, first: Place, revision: str | None) -> None:
        for place in self._pages(owner, first):
            if revision is None or self._entries[owner, place].revision != revision:
                self._drop((owner, place))

    def _pages(self, owner: Owner, first: Place) -> list[Place]:
        return [place for place in self._lists.get(owner, ()) if place[:2] == first[:2]]

    def _keep(self, ticket: Ticket, body: bytes, revision: str | None, fresh_until_s: float) -> None:
        key = ticket.owner, ticket.place
        if len(body) + _ENTRY_BYTES > self.max_bytes:
            return
        self._entries[key] = _Entry(body, ticket.unit, revision, fresh_until_s)
        self.bytes_kept += len(body) + _ENTRY_BYTES
        if ticket.place.method in LISTS:
            self._lists.setdefault(ticket.owner, set()).add(ticket.place)
        while self.bytes_kept > self.max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: tuple[Owner, Place]) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self.bytes_kept -= len(entry.body) + _ENTRY_BYTES
        owner, place = key
        places = self._lists.get(owner, set())
        places.discard(place)
        if not places:
            self._lists.pop(owner, None)


def view_of(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a result says of the view that it shows, or an empty mapping."""
    own = result.get("_meta")
    view = own.get(VIEW) if isinstance(own, dict) else None
    return view if isinstance(view, dict) else {}


def _canonical(params: Mapping[str, Any]) -> str:
    return msgspec.json.encode(params, order="deterministic").decode()


def _decode(body: bytes) -> dict[str, Any]:
    # Kept as bytes and decoded each time: whoever gets a result may change it.
    result: dict[str, Any] = msgspec.json.decode(body)
    return result
