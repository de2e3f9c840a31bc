"""Where a context ID can ride on a request: a table, read in order.

The table holds the places that SEP-2822, A2A, OpenTelemetry and the hosts of 2026 use, so that a server
sees a unit of work without any of them changing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import parse_qs, unquote

from scopedtools.exceptions import InvalidRequestError
from scopedtools.protocol.meta import extension_settings
from scopedtools.protocol.request import Request

_log: Final = logging.getLogger(__name__)

_ID: Final = re.compile(r"[\x21-\x7e]{1,256}")

Place: TypeAlias = Literal["extension", "header", "meta", "baggage", "query"]


@dataclass(frozen=True, slots=True)
class Carrier:
    """A place on a request where a context ID can ride.

    Attributes:
        place: ``extension``: settings of our extension; ``header``: an HTTP header; ``meta``: a key of
            ``_meta``; ``baggage``: a W3C baggage item, in ``_meta`` or the header; ``query``: the URL.
        key: Name there. Names of headers and of ``_meta`` keys match in any case.
        field: Where the value is an object, the field of it that holds the ID.
        legacy: Looked at only for requests of revisions before 2026-07-28.
    """

    place: Place
    key: str
    field: str | None = None
    legacy: bool = False

    def __str__(self) -> str:
        return f"{self.place}:{self.key}" + (f".{self.field}" if self.field else "")


CARRIERS: Final = (
    Carrier("extension", "contextId"),
    # SEP-2822, with the prefix that its open question asks for, and the spelling seen in the wild
    Carrier("header", "Mcp-Client-Session-Id"),
    Carrier("meta", "clientSessionId"),
    Carrier("meta", "io.modelcontextprotocol/clientSessionId"),
    Carrier("header", "X-Mcp-Client-Session-Id"),
    # A2A, and the proposals that followed SEP-2822
    Carrier("meta", "contextId"),
    Carrier("meta", "io.modelcontextprotocol/conversation-handle", "conversationId"),
    Carrier("meta", "io.modelcontextprotocol/conversation-handle", "handle"),
    Carrier("meta", "io.modelcontextprotocol/session", "sessionId"),
    # hosts, by what they send today
    Carrier("meta", "openai/session"),
    Carrier("meta", "vscode.conversationId"),
    Carrier("meta", "threadId"),
    Carrier("meta", "x-codex-turn-metadata", "thread_id"),
    Carrier("meta", "ai.opencode/sessionID"),
    Carrier("meta", "sessionID"),
    Carrier("meta", "agent-session-id"),
    Carrier("meta", "goose-session-id"),
    Carrier("meta", "antigravity.google/conversation_id"),
    Carrier("meta", "com.zcode/request-context", "session_id"),
    Carrier("meta", "session_id"),
    Carrier("meta", "conversation_id"),
    Carrier("header", "Mcp-Conversation-Id"),
    Carrier("header", "X-OpenHands-Conversation-ID"),
    Carrier("header", "X-Databricks-Conversation-Id"),
    Carrier("header", "X-Kagent-Session-Id"),
    Carrier("header", "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id"),
    # OpenTelemetry
    Carrier("baggage", "gen_ai.conversation.id"),
    Carrier("baggage", "session.id"),
    # hosts that can set nothing but a URL
    Carrier("query", "context"),
    # minted by servers, seldom one to a conversation: better than nothing, where there is nothing
    Carrier("header", "Mcp-Session-Id", legacy=True),
)
"""The carriers that a server reads by default, first match first."""


class Found(NamedTuple):
    """A context ID and where it was."""

    id: str
    carrier: Carrier


class CarrierTable:
    """Finds the context ID of a request. Built once; looks at what a request has, not at each carrier.

    Args:
        carriers: In order of precedence.
        strict: Refuse a malformed ID instead of treating it as none.
    """

    def __init__(self, carriers: Iterable[Carrier] = CARRIERS, *, strict: bool = False) -> None:
        self.carriers = tuple(carriers)
        self._strict = strict
        self._by_place: dict[Place, dict[str, list[tuple[int, Carrier]]]] = {}
        for rank, carrier in enumerate(self.carriers):
            places = self._by_place.setdefault(carrier.place, {})
            places.setdefault(_fold(carrier.place, carrier.key), []).append((rank, carrier))
        self._warned: set[tuple[Carrier, Carrier]] = set()

    def find(self, request: Request) -> Found | None:
        """Return the context ID of the first carrier that has a well-formed one, or ``None``.

        Raises:
            InvalidRequestError: A carrier's header came in two lines, or, where the table is strict, an
                ID is malformed.
        """
        found = sorted(
            (rank, Found(value, carrier))
            for rank, carrier, value in self._values(request)
            if (request.revision.stateless is False or not carrier.legacy)
            and self._well_formed(carrier, value)
        )
        if not found:
            return None
        first = found[0][1]
        for _, other in found[1:]:
            if other.id != first.id and not other.carrier.legacy:
                self._warn(first.carrier, other.carrier)
        return first

    def _values(self, request: Request) -> Iterator[tuple[int, Carrier, Any]]:
        yield from self._headers(request)
        yield from self._lookup("meta", request.meta)
        if "extension" in self._by_place:
            yield from self._lookup("extension", extension_settings(request.client_capabilities))
        if request.ingress.query and "query" in self._by_place:
            yield from self._lookup("query", query_values(request.ingress.query))
        yield from self._baggage(request)

    def _headers(self, request: Request) -> Iterator[tuple[int, Carrier, str]]:
        known = self._by_place.get("header", {})
        seen = set()
        for raw_name, raw_value in request.ingress.headers:
            name = raw_name.decode("latin-1")
            carriers = known.get(name, ())
            if carriers and name in seen:
                raise InvalidRequestError(f"The header {carriers[0][1].key} came in two lines, send one")
            seen.add(name)
            for rank, carrier in carriers:
                yield rank, carrier, raw_value.decode("latin-1").strip()

    def _lookup(self, place: Place, values: Mapping[str, Any]) -> Iterator[tuple[int, Carrier, Any]]:
        known = self._by_place.get(place, {})
        for key, value in values.items():
            for rank, carrier in known.get(_fold(place, key), ()):
                found = value if carrier.field is None else _field(value, carrier.field)
                if found is not None:
                    yield rank, carrier, found

    def _baggage(self, request: Request) -> Iterator[tuple[int, Carrier, str]]:
        if "baggage" not in self._by_place:
            return
        own = request.meta.get("baggage")
        lines = [own] if isinstance(own, str) else []
        lines += [value.decode("latin-1") for name, value in request.ingress.headers if name == b"baggage"]
        if lines:
            yield from self._lookup("baggage", _baggage_items(",".join(lines)))

    def _well_formed(self, carrier: Carrier, value: Any) -> bool:
        if isinstance(value, str) and _ID.fullmatch(value):
            return True
        if self._strict:
            raise InvalidRequestError(
                f"The context ID in {carrier} is malformed; send 1 to 256 visible ASCII characters"
            )
        return False

    def _warn(self, used: Carrier, ignored: Carrier) -> None:
        # Once for each pair of carriers: their number is bounded by the table, that of requests is not.
        if (used, ignored) not in self._warned:
            self._warned.add((used, ignored))
            _log.warning("two carriers name different contexts: using %s, ignoring %s", used, ignored)


def query_values(query: bytes) -> dict[str, str]:
    """Return the first value of each query parameter; nothing of a query that is unreasonably long."""
    try:
        parsed = parse_qs(query.decode("latin-1"), errors="replace", max_num_fields=100)
    except ValueError:  # more fields than anybody sends
        return {}
    return {name: values[0] for name, values in parsed.items()}


def _fold(place: Place, key: str) -> str:
    return key.lower() if place in ("header", "meta") else key


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _baggage_items(text: str) -> dict[str, str]:
    items: dict[str, str] = {}
    for member in text.split(","):
        name, equals, rest = member.partition("=")
        if equals:
            items.setdefault(name.strip(), unquote(rest.partition(";")[0].strip()))
    return items
