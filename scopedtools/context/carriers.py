"""Finding the context ID of a request: a table of places, read in order.

The places are those that SEP-2822, A2A, OpenTelemetry and the hosts of 2026 use, so that a server sees a
unit of work without any of them changing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias, TypeGuard
from urllib.parse import parse_qs, unquote

import msgspec
from msgspec import UNSET

from scopedtools.context.hosts import CARRIERS, Carrier, Place
from scopedtools.exceptions import InvalidRequestError
from scopedtools.protocol.meta import declared_settings
from scopedtools.protocol.methods import CallParams
from scopedtools.protocol.request import Request

__all__ = ["CARRIERS", "Carrier", "CarrierTable", "Found", "is_context_id", "query_values"]

_log: Final = logging.getLogger(__name__)

_MAX_CHARACTERS: Final = 256
_ID: Final = re.compile(rf"[\x21-\x7e]{{1,{_MAX_CHARACTERS}}}")
_NOT_VISIBLE: Final = re.compile(r"[^\x21-\x7e]")

_BAGGAGE: Final = b"baggage"

_Rows: TypeAlias = tuple[tuple[int, Carrier], ...]
"""The carriers that share a name, each with its rank in the table."""

_Hit: TypeAlias = tuple[int, str, Carrier]
"""Rank, ID and carrier."""


class Found(NamedTuple):
    """A context ID and where it was.

    Attributes:
        id: The ID.
        carrier: The first that has it.
        echo: What ``_meta`` of the result repeats.
    """

    id: str
    carrier: Carrier
    echo: Mapping[str, str] = MappingProxyType({})


class CarrierTable:
    """Finds the context ID of a request. Built once; looks at what a request has, not at each carrier.

    Args:
        carriers: In order of precedence.
        strict: Refuse a malformed ID on any carrier instead of treating it as none.
        environment: Variables that this process was started with, as ``os.environ`` holds them. They count
            only where the client is who started it.
    """

    def __init__(
        self,
        carriers: Iterable[Carrier] = CARRIERS,
        *,
        strict: bool = False,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.carriers = tuple(carriers)
        self._strict = strict
        self._extension = self._at("extension")
        self._meta = self._at("meta")
        self._items = self._at("baggage")
        self._query = self._at("query")
        self._arguments = self._at("argument")
        self._headers: dict[bytes, _Rows] = {name.encode(): rows for name, rows in self._at("header").items()}
        if self._items:
            self._headers.setdefault(_BAGGAGE, ())
        self._inherited = [
            (rank, said, carrier)
            for name, rows in self._at("environment").items()
            for rank, carrier in rows
            if is_context_id(said := environment.get(name))
        ]
        self._warned: set[tuple[Carrier, Carrier]] = set()

    @property
    def header_names(self) -> tuple[str, ...]:
        """The HTTP headers that an ID may ride in, in order: what answers vary by."""
        names: dict[str, str] = {}
        for carrier in self.carriers:
            if carrier.place in ("header", "baggage"):
                name = carrier.key if carrier.place == "header" else "baggage"
                names.setdefault(name.lower(), name)
        return tuple(names.values())

    def find(self, request: Request) -> Found | None:
        """Return the context ID of the first carrier that has a well-formed one, or ``None``.

        Raises:
            InvalidRequestError: A carrier's header came in two lines; or an ID is malformed, and its carrier
                or the table is strict.
        """
        hits = self._hits(request)
        if not hits:
            return None
        hits.sort()
        _, context_id, carrier = hits[0]
        if len(hits) == 1 and not carrier.echoed:
            return Found(context_id, carrier)
        echo = {}
        for _, other_id, other in hits:
            if other_id == context_id:
                if other.echoed:
                    echo[other.key] = context_id
            elif not other.legacy and other.place != "environment":
                self._warn(carrier, other)
        return Found(context_id, carrier, MappingProxyType(echo)) if echo else Found(context_id, carrier)

    def _at(self, place: Place) -> dict[str, _Rows]:
        rows: dict[str, _Rows] = {}
        for rank, carrier in enumerate(self.carriers):
            if carrier.place == place:
                key = carrier.key.lower() if place in ("header", "meta") else carrier.key
                rows[key] = (*rows.get(key, ()), (rank, carrier))
        return rows

    def _hits(self, request: Request) -> list[_Hit]:
        hits: list[_Hit] = []
        ingress, request_meta = request.ingress, request.meta
        baggage = self._read_headers(request, hits) if ingress.headers else []
        known = self._meta
        for key, value in request_meta.items():
            if rows := known.get(key.lower()):
                self._take(hits, rows, value, request)
        if self._extension and (settings := declared_settings(request.client_capabilities)):
            self._look_up(hits, self._extension, settings, request)
        if ingress.query and self._query:
            self._look_up(hits, self._query, query_values(ingress.query), request)
        if self._items:
            own = request_meta.get("baggage")
            lines = [own, *baggage] if isinstance(own, str) else baggage
            if lines:
                self._look_up(hits, self._items, _baggage_items(",".join(lines)), request)
        if self._arguments:
            self._look_up(hits, self._arguments, _arguments(request), request)
        if self._inherited and ingress.unscoped:
            hits += self._inherited
        return hits

    def _read_headers(self, request: Request, hits: list[_Hit]) -> list[str]:
        """Add what is in headers; return lines of baggage."""
        known = self._headers
        baggage: list[str] = []
        seen: list[bytes] = []
        for name, raw_value in [line for line in request.ingress.headers if line[0] in known]:
            value = raw_value.decode("latin-1").strip()
            if name == _BAGGAGE:
                baggage.append(value)
            rows = known[name]
            if rows and name in seen:
                raise InvalidRequestError(f"The header {rows[0][1].key} came in two lines, send one")
            seen.append(name)
            self._take(hits, rows, value, request)
        return baggage

    def _look_up(
        self, hits: list[_Hit], known: Mapping[str, _Rows], values: Mapping[str, Any], request: Request
    ) -> None:
        for key, rows in known.items():
            if (value := values.get(key)) is not None:
                self._take(hits, rows, value, request)

    def _take(self, hits: list[_Hit], rows: _Rows, value: Any, request: Request) -> None:
        # Of one value the first row counts: an object may name the unit of work and, beside it, a wider one.
        for rank, carrier in rows:
            if carrier.legacy and request.revision.stateless:
                continue
            said = value if carrier.field is None else _field(value, carrier.field)
            if said is not None and self._well_formed(carrier, said):
                hits.append((rank, said, carrier))
                return

    def _well_formed(self, carrier: Carrier, said: Any) -> bool:
        if is_context_id(said):
            return True
        if self._strict or (carrier.strict and said != ""):
            raise InvalidRequestError(
                f"The context ID in {carrier} is malformed: got {_problem(said)}; "
                f"send 1 to {_MAX_CHARACTERS} visible ASCII characters"
            )
        return False

    def _warn(self, used: Carrier, ignored: Carrier) -> None:
        # Once for each pair of carriers: their number is bounded by the table, that of requests is not.
        if (used, ignored) not in self._warned:
            self._warned.add((used, ignored))
            _log.warning("two carriers name different contexts: using %s, ignoring %s", used, ignored)


def is_context_id(value: object) -> TypeGuard[str]:
    """Tell whether a value is a well-formed context ID: 1 to 256 visible ASCII characters."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def query_values(query: bytes) -> dict[str, str]:
    """Return the first value of each query parameter; nothing of a query that is unreasonably long."""
    try:
        parsed = parse_qs(query.decode("latin-1"), errors="replace", max_num_fields=100)
    except ValueError:  # more fields than anybody sends
        return {}
    return {name: values[0] for name, values in parsed.items()}


def _problem(said: Any) -> str:
    """Say what is wrong with an ID, without repeating it."""
    if not isinstance(said, str):
        return f"a value of type {type(said).__name__}"
    if len(said) > _MAX_CHARACTERS:
        return f"{len(said)} characters"
    wrong = _NOT_VISIBLE.search(said)
    return f"U+{ord(wrong[0]):04X} as character {wrong.start() + 1}" if wrong else "an empty one"


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _arguments(request: Request) -> Mapping[str, Any]:
    """Return the arguments of a call; nothing where they cannot be read, which its handler says better."""
    params = request.params
    if not isinstance(params, CallParams) or params.arguments is UNSET:
        return {}
    try:
        arguments = msgspec.json.decode(params.arguments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return arguments if isinstance(arguments, dict) else {}


def _baggage_items(text: str) -> dict[str, str]:
    items: dict[str, str] = {}
    for member in text.split(","):
        name, equals, rest = member.partition("=")
        if equals:
            items.setdefault(name.strip(), unquote(rest.partition(";")[0].strip()))
    return items
