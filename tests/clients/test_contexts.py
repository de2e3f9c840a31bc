"""Official clients that name their context: each unit of work sees a short list, and can use all the rest."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pytest
from mcp import Client
from mcp.client.caching import CacheConfig, InMemoryResponseCacheStore
from mcp.client.streamable_http import streamable_http_client

from tests.clients.driving import Step
from tests.clients.roster import ALL, marked

if TYPE_CHECKING:
    from tests.clients.conftest import Peer, Seen, Servers

pytestmark = pytest.mark.slow

SEARCH: Final = ["search_tools", "call_tool"]


@dataclass(frozen=True, slots=True)
class Work:
    """A unit of work, and how a client names it on each carrier."""

    intent: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def headers(self) -> dict[str, str]:
        return {"Mcp-Client-Session-Id": self.id, "Mcp-Context-Intent": self.intent}

    @property
    def meta(self) -> dict[str, Any]:
        return {"_meta": {"clientSessionId": self.id, "io.github.scopedtools/intent": self.intent}}

    @property
    def extensions(self) -> dict[str, Any]:
        return {"io.github.scopedtools/context": {"contextId": self.id, "intent": self.intent}}


BILLING: Final = "Send invoices to customers and record their payments."
TRIP: Final = "Book a flight and a hotel for a trip."


@pytest.fixture
def billing() -> Work:
    return Work(BILLING)


@pytest.fixture
def trip() -> Work:
    return Work(TRIP)


LIST: Final[Step] = ("tools/list", {})


def listing(work: Work) -> Step:
    return "tools/list", work.meta


def calling(work: Work, name: str, /, **arguments: Any) -> Step:
    return "tools/call", {"name": name, "arguments": arguments, **work.meta}


def require_lists_of_their_own(bills: list[str], flights: list[str]) -> None:
    for tools in (bills, flights):
        assert tools[:2] == SEARCH
        assert len(tools) == len(set(tools)) <= 18
    assert {"send_invoice", "record_payment"} <= set(bills)
    assert {"book_flight", "book_hotel"} <= set(flights)
    assert not {"book_flight", "book_hotel"} & set(bills)
    assert not {"send_invoice", "record_payment"} & set(flights)


@pytest.mark.parametrize("transport", ["http"], indirect=True)
def test_two_clients_that_send_a_header_see_two_short_lists_that_stay(
    peer: Peer, billing: Work, trip: Work
) -> None:
    bills, flights = peer.visit_at_once(
        peer.plan(LIST, LIST, headers=billing.headers), peer.plan(LIST, LIST, headers=trip.headers)
    )

    require_lists_of_their_own(bills.tools[0], flights.tools[0])
    assert bills.tools[0] == bills.tools[1]
    assert flights.tools[0] == flights.tools[1]


@pytest.mark.parametrize("transport", ["http"], indirect=True)
def test_a_client_that_comes_back_with_its_id_alone_sees_the_list_it_had(peer: Peer, trip: Work) -> None:
    before = peer.visit(LIST, headers=trip.headers).tools
    after = peer.visit(LIST, headers={"Mcp-Client-Session-Id": trip.id}).tools

    assert after == before


@pytest.mark.parametrize(
    # mcp 1.30 has no way to declare an extension.
    "client",
    marked(tuple(name for name in ALL if not name.startswith("mcp-1"))),
    indirect=True,
)
def test_two_clients_that_declare_the_extension_see_two_short_lists_that_stay(
    peer: Peer, billing: Work, trip: Work
) -> None:
    # A legacy client declares it once, so over HTTP the server has to keep a session.
    app = "vault" if peer.mode == "legacy" and peer.transport == "http" else "app"
    bills, flights = peer.visit_at_once(
        peer.plan(LIST, LIST, app=app, extensions=billing.extensions),
        peer.plan(LIST, LIST, app=app, extensions=trip.extensions),
    )

    require_lists_of_their_own(bills.tools[0], flights.tools[0])
    assert bills.tools[0] == bills.tools[1]
    assert flights.tools[0] == flights.tools[1]


@pytest.fixture(scope="session")
def day(peer: Peer) -> Seen:
    """Let one client work in two contexts by turns, and once in none."""
    billing, trip = Work(BILLING), Work(TRIP)
    return peer.visit(
        listing(billing),
        listing(trip),
        listing(billing),
        listing(trip),
        LIST,
        calling(billing, "book_flight", subject="Ada"),
        calling(billing, "search_tools", query="book a flight for a traveller"),
        calling(billing, "call_tool", name="book_flight", arguments={"subject": "Grace"}),
    )


def test_one_client_in_two_contexts_never_gets_the_list_of_one_for_the_other(day: Seen) -> None:
    bills, flights, bills_again, flights_again = day.tools[:4]

    require_lists_of_their_own(bills, flights)
    assert bills_again == bills
    assert flights_again == flights


def test_after_a_context_the_same_client_without_one_sees_the_whole_catalog(day: Seen) -> None:
    whole = day.tools[4]

    assert len(whole) == 66
    assert not set(SEARCH) & set(whole)


def test_after_the_whole_catalog_the_same_client_in_a_context_sees_its_short_list(
    peer: Peer, trip: Work
) -> None:
    whole, short = peer.visit(LIST, listing(trip)).tools

    assert len(whole) == 66
    assert short[:2] == SEARCH
    assert "book_flight" in short


def test_one_intent_leads_to_one_list_whatever_the_context_and_the_process(
    peer: Peer, day: Seen, trip: Work
) -> None:
    # On stdio each visit starts a process of its own.
    (there,) = peer.visit(listing(trip)).tools

    assert there == day.tools[1]


def test_a_short_list_says_that_it_is_one(day: Seen) -> None:
    result = day.answers[1]

    view = result["_meta"]["io.github.scopedtools/view"]
    assert (view["shown"], view["total"]) == (len(result["tools"]), 66)
    assert (view["cacheScope"], view["ttlMs"]) == ("private", 0)


def test_a_hidden_tool_is_found_and_can_be_called_by_name_or_through_call_tool(day: Seen) -> None:
    by_name, found, through = day.answers[5:]

    assert "book_flight" not in day.tools[0]
    assert by_name["structuredContent"] == {"tool": "book_flight", "subject": "Ada"}
    assert found["structuredContent"]["tools"][0]["name"] == "book_flight"
    assert through["structuredContent"] == {"tool": "book_flight", "subject": "Grace"}


@pytest.mark.anyio
async def test_two_clients_that_share_a_cache_never_share_a_short_list(
    servers: Servers, billing: Work, trip: Work
) -> None:
    url = servers.url("app")
    cache = CacheConfig(store=InMemoryResponseCacheStore(), partition="one user", target_id=url)

    async def tools(work: Work) -> list[str]:
        async with (
            httpx2.AsyncClient(headers=work.headers, timeout=20) as http,
            Client(streamable_http_client(url, http_client=http), cache=cache) as client,
        ):
            return [tool.name for tool in (await client.list_tools()).tools]

    require_lists_of_their_own(await tools(billing), await tools(trip))
