"""What lists say of how they may be kept, page by page, and what a client shows that believes them."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import pytest

from scopedtools import ScopedServer, ViewSettings
from scopedtools.catalog.primitives import KINDS as CATALOG_KINDS
from scopedtools.protocol.meta import EXTENSION, VIEW
from scopedtools.testing import Client, WireError
from tests.clients.depot import KINDS, ROWS, VIEWS, depot

pytestmark = pytest.mark.anyio

CACHES: Final = {"cacheScopes": ["context"]}

UNDECLARED: Final[Mapping[str, Any]] = {
    "nothing": None,
    "the extension": {},
    "no settings": "context",
    "growth": {"growth": True},
    "no scope": {"cacheScopes": []},
    "scopes of the protocol": {"cacheScopes": ["public", "private"]},
    "a scope of another spelling": {"cacheScopes": ["Context"]},
    "a word for a list": {"cacheScopes": "context"},
    "an object for a list": {"cacheScopes": {"context": True}},
    "no list": {"cacheScopes": None},
}

BILLING: Final = "Send invoices to customers and record their payments."
TRIP: Final = "Book a flight and a hotel for a trip."
EVERYTHING: Final = " ".join(description for _, description in ROWS)

LARGE: Final = dict.fromkeys(CATALOG_KINDS, len(ROWS))


class Listed(NamedTuple):
    """A list as it was read, page by page."""

    names: tuple[str, ...]
    caches: tuple[tuple[str, int], ...]
    views: tuple[dict[str, Any] | None, ...]


@asynccontextmanager
async def asking(
    server: ScopedServer, settings: Any, *, context: str | None = None, intent: str | None = None
) -> AsyncIterator[Client]:
    """Open a client that names a context by header, and declares settings of the extension."""
    named = {"Mcp-Client-Session-Id": context, "Mcp-Context-Intent": intent}
    headers = {name: value for name, value in named.items() if value is not None}
    capabilities = {} if settings is None else {"extensions": {EXTENSION: settings}}
    async with Client(server, headers=headers, capabilities=capabilities) as client:
        yield client


async def read(client: Client, kind: str) -> Listed:
    field = "resourceTemplates" if kind == "resources/templates" else kind
    pages = [await client.request(f"{kind}/list")]
    while (cursor := pages[-1].get("nextCursor")) is not None:
        pages.append(await client.request(f"{kind}/list", cursor=cursor))
    return Listed(
        tuple(row["name"] for page in pages for row in page[field]),
        tuple((page["cacheScope"], page["ttlMs"]) for page in pages),
        tuple(page.get("_meta", {}).get(VIEW) for page in pages),
    )


async def listed(
    server: ScopedServer, settings: Any, kind: str, *, context: str | None = None, intent: str | None = None
) -> Listed:
    async with asking(server, settings, context=context, intent=intent) as client:
        return await read(client, kind)


@asynccontextmanager
async def running(views: ViewSettings) -> AsyncIterator[ScopedServer]:
    """Start a server before its clients come, or each would start it anew."""
    started = depot(views)
    async with started:
        yield started


@pytest.fixture
async def server() -> AsyncIterator[ScopedServer]:
    async with running(VIEWS) as started:
        yield started


@pytest.mark.parametrize("growth", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_who_declared_it_may_keep_every_page_of_a_list_for_its_context(
    server: ScopedServer, kind: str, *, growth: bool
) -> None:
    settings = CACHES | {"growth": growth}
    short = await listed(server, settings, kind, context="a", intent=BILLING)

    assert len(short.names) < len(ROWS)
    assert short.caches == (("context", 60_000),) * len(short.caches)
    assert len(short.caches) > 1 or growth
    for view in short.views:
        assert view is not None
        assert (view["cacheScope"], view["ttlMs"]) == ("context", 60_000)


@pytest.mark.parametrize("kind", KINDS)
async def test_who_declared_it_and_names_no_context_is_not_told_of_one(
    server: ScopedServer, kind: str
) -> None:
    whole = await listed(server, CACHES, kind)

    assert len(whole.names) == len(ROWS)
    assert whole.caches == (("private", 0),) * 10


@pytest.mark.parametrize("growth", ["negotiated", "always", "never"])
@pytest.mark.parametrize("settings", UNDECLARED.values(), ids=UNDECLARED)
async def test_who_did_not_declare_it_may_keep_no_page_of_what_a_context_can_change(
    settings: Any, growth: Any
) -> None:
    views = ViewSettings(page_rows=6, growth=growth)
    async with running(views) as server:
        for kind in KINDS:
            for context, intent in (("a", None), ("b", TRIP), ("b", BILLING), (None, None)):
                some = await listed(server, settings, kind, context=context, intent=intent)
                assert some.caches == (("private", 0),) * len(some.caches)


@pytest.mark.parametrize("settings", [None, {}, CACHES], ids=["nothing", "the extension", "context"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_list_that_no_context_can_change_may_be_kept_by_anybody(kind: str, settings: Any) -> None:
    async with running(ViewSettings(whole_rows=len(ROWS), page_rows=25)) as server:
        for context, intent in ((None, None), ("a", BILLING), ("b", TRIP)):
            whole = await listed(server, settings, kind, context=context, intent=intent)
            assert whole.names == tuple(name for name, _ in ROWS)
            assert whole.caches == (("public", 60_000),) * 3


@pytest.mark.parametrize(
    "views",
    [
        ViewSettings(page_rows=25),
        ViewSettings(page_rows=25, growth="always"),
        ViewSettings(page_rows=25, without_context="search"),
        ViewSettings(page_rows=25, whole_rows=len(ROWS)),
        ViewSettings(page_rows=25, whole_rows=len(ROWS) - 1, rows=LARGE, budget_tokens=10**6),
        ViewSettings(page_rows=25, rows=LARGE, budget_tokens=10**6, growth="always"),
    ],
    ids=["short", "growing", "search", "whole", "room for all", "room to grow"],
)
@pytest.mark.parametrize("settings", [None, {}, {"growth": True}, CACHES], ids=str)
async def test_what_may_be_kept_whatever_the_context_is_the_same_whatever_the_context(
    settings: Any, views: ViewSettings
) -> None:
    work = ((None, None), ("a", BILLING), ("b", TRIP), ("c", EVERYTHING), ("a", EVERYTHING), ("d", None))
    async with running(views) as server:
        for kind in KINDS:
            lists = [
                await listed(server, settings, kind, context=context, intent=intent)
                for context, intent in work
            ]
            for one in lists:
                if any(scope != "context" and ttl_ms for scope, ttl_ms in one.caches):
                    assert {other.names for other in lists} == {one.names}


# A client that believes what lists say


class Keeper:
    """Keeps lists by what they say: for one context, or for whatever context of one user.

    Args:
        server: Where it lists.
        settings: What it declares.
    """

    def __init__(self, server: ScopedServer, settings: Mapping[str, Any]) -> None:
        self._server = server
        self._settings = settings
        self._kept: dict[tuple[str, str | None], tuple[Listed, float]] = {}
        self.asked = 0

    async def listed(self, kind: str, context: str | None, intent: str | None) -> Listed:
        """Return a list, from what is kept if that is fresh."""
        for key in ((kind, context), (kind, "whatever context")):
            if key in self._kept and time.monotonic() < self._kept[key][1]:
                return self._kept[key][0]
        self.asked += 1
        fresh = await listed(self._server, self._settings, kind, context=context, intent=intent)
        scope, ttl_ms = fresh.caches[0]
        kept_for = context if scope == "context" else "whatever context"
        self._kept[kind, kept_for] = (fresh, time.monotonic() + ttl_ms / 1000)
        return fresh


@pytest.mark.parametrize("growth", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_who_keeps_lists_as_they_say_never_shows_one_of_another_context(
    server: ScopedServer, kind: str, *, growth: bool
) -> None:
    settings = CACHES | {"growth": growth}
    keeper = Keeper(server, settings)
    work = {None: None, "a": BILLING, "b": TRIP, str(uuid.uuid4()): EVERYTHING}
    turns = [*work, *reversed(work), *work]
    for context in turns:
        shown = await keeper.listed(kind, context, work[context])
        alone = await listed(server, settings, kind, context=context, intent=work[context])
        assert shown.names == alone.names

    # Lists of contexts were kept; those of none were not.
    assert keeper.asked == len(work) - 1 + turns.count(None)


async def test_the_next_page_of_one_context_is_no_page_of_another(server: ScopedServer) -> None:
    async with (
        asking(server, CACHES, context="a", intent=BILLING) as billing,
        asking(server, CACHES, context="b", intent=TRIP) as trip,
        asking(server, CACHES) as nobody,
    ):
        for kind in KINDS:
            first = await billing.request(f"{kind}/list")
            for other in (trip, nobody):
                with pytest.raises(WireError, match="-32602"):
                    await other.request(f"{kind}/list", cursor=first["nextCursor"])
