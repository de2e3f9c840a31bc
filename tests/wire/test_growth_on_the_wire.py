"""Views that grow, as they are on the wire: revisions, cursors, bytes, and clients of each era."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import pytest
from mcp_types.methods import validate_server_result

from scopedtools import Catalog, ScopedServer, ViewSettings
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.catalog.primitives import Tool
from scopedtools.context.store import MemoryStore
from scopedtools.protocol import meta
from tests.context.office import PIN, Office, of
from tests.streams.opened import opened
from tests.transports.test_stdio_transport import Pipes, connected
from tests.wire.exchange import (
    ENVELOPE,
    JSON_HEADERS,
    LEGACY,
    MODERN,
    Answer,
    http,
    judged,
    legacy,
    message,
    modern,
)

pytestmark = pytest.mark.anyio

FIRST: Final = [*SEARCH_TOOLS, PIN]
ID_HEADER: Final = "mcp-client-session-id"


def capabilities(**own: Any) -> dict[str, Any]:
    return {"extensions": {meta.EXTENSION: {"contextId": "a", "growth": True, **own}}}


def told(intent: str | None = None, **own: Any) -> dict[str, Any]:
    """Return the ``_meta`` of a stateless client in a context that grows."""
    said = {} if intent is None else {meta.INTENT: intent}
    return {**ENVELOPE, meta.CLIENT_CAPABILITIES: capabilities(**own), **said}


async def asked(app: ScopedServer, intent: str | None = None, **own: Any) -> Answer:
    return await modern(app, "tools/list", {"_meta": told(intent, **own)})


async def searched(app: ScopedServer, query: str) -> Answer:
    params = {"name": "search_tools", "arguments": {"query": query}, "_meta": told()}
    return await modern(app, "tools/call", params)


def names(result: Mapping[str, Any]) -> list[str]:
    return [row["name"] for row in result["tools"]]


def view(answer: Answer) -> dict[str, Any]:
    said: dict[str, Any] = answer.result["_meta"][meta.VIEW]
    return said


# The revision of today


async def test_a_list_that_grew_has_another_revision_and_one_that_did_not_has_the_same() -> None:
    office = Office()
    first = view(await asked(office, "invoice"))
    assert (first["shown"], first["total"]) == (8, 61)
    assert view(await asked(office, "invoice")) == first
    grown = view(await asked(office, "cancel hotel"))
    assert (grown["shown"], grown["total"]) == (9, 61)
    assert view(await asked(office)) == grown
    await searched(office, "visa")
    found = view(await asked(office))
    assert found["shown"] == 12
    assert len({one["revision"] for one in (first, grown, found)}) == 3


async def test_a_list_that_may_grow_is_kept_by_nobody() -> None:
    answer = await asked(Office(), "invoice")
    assert (answer.result["ttlMs"], answer.result["cacheScope"]) == (0, "private")
    assert answer.headers["cache-control"] == "private, no-store"


async def test_a_cursor_from_before_the_list_grew_is_refused_and_a_new_one_goes_on() -> None:
    office = Office(views=ViewSettings(page_rows=5))
    first = await asked(office, "invoice")
    cursor = first.result["nextCursor"]
    rest = await modern(office, "tools/list", {"_meta": told("invoice"), "cursor": cursor})
    assert names(first.result) + names(rest.result) == [*FIRST, *of("invoice")]
    await searched(office, "cancel visa")
    refused = await modern(office, "tools/list", {"_meta": told("invoice"), "cursor": cursor})
    assert refused.refusal == (400, -32602)
    again = await asked(office, "invoice")
    assert names(again.result) == names(first.result)
    cursor = again.result["nextCursor"]
    rest = await modern(office, "tools/list", {"_meta": told("invoice"), "cursor": cursor})
    assert names(rest.result) == [*of("invoice")[2:], "cancel_visa"]


async def test_a_cursor_with_a_new_intent_is_of_another_list() -> None:
    office = Office(views=ViewSettings(page_rows=5))
    cursor = (await asked(office, "invoice")).result["nextCursor"]
    refused = await modern(office, "tools/list", {"_meta": told("cancel hotel"), "cursor": cursor})
    assert refused.refusal == (400, -32602)


async def dialogue(office: ScopedServer) -> list[bytes]:
    """Take the same steps with any server; return all that it answered."""
    answers = [await asked(office, "invoice"), await searched(office, "find folder")]
    call = {"name": "cancel_visa", "arguments": {"what": "x"}, "_meta": told()}
    answers.append(await modern(office, "tools/call", call))
    answers += [await asked(office, intent) for intent in ("update", "cancel hotel", "update", None)]
    return [answer.body for answer in answers]


async def test_servers_that_are_told_the_same_list_the_same_bytes() -> None:
    first = await dialogue(Office(secret=b"one"))
    assert await dialogue(Office(secret=b"two")) == first
    assert first[-1] == first[-2] == first[-3] != first[0]


async def test_a_server_goes_on_with_what_another_began_where_they_share_a_store() -> None:
    def replica() -> Office:
        return Office(store=store, secret=b"shared")

    store = MemoryStore()
    await asked(replica(), "invoice")
    await searched(replica(), "cancel visa")
    grown = await asked(replica(), "find hotel")
    assert names(grown.result)[8:] == ["cancel_visa", "find_hotel"]
    assert (await asked(replica())).body == grown.body


async def test_a_grown_list_goes_on_at_a_server_with_another_catalog() -> None:
    store = MemoryStore()
    office = Office(store=store, secret=b"shared")
    await asked(office, "invoice")
    await asked(office, "cancel hotel")
    more = Catalog([Tool(name="count_archive", description="Count.")])
    larger = Office(store=store, secret=b"shared", catalog=more)
    assert names((await asked(larger)).result)[8:] == ["cancel_hotel"]
    assert names((await asked(larger, "count visa archive")).result)[8:] == ["cancel_hotel", "count_archive"]
    # A row that this one does not have keeps its place for those that do.
    assert names((await asked(office, "find hotel")).result)[8:] == ["cancel_hotel", "find_hotel"]
    assert names((await asked(larger)).result)[8:] == ["cancel_hotel", "count_archive", "find_hotel"]


@pytest.mark.parametrize("growth", [False, None, "true", 1, {"yes": True}])
async def test_growth_is_negotiated_with_true_alone(growth: Any) -> None:
    office = Office()
    first = await asked(office, "invoice", growth=growth)
    assert (await asked(office, "cancel hotel", growth=growth)).body == first.body


@pytest.mark.parametrize("reply", [None, 7, ["x"], {"a": 1}, True, "", "\x00", "😀" * 10_000])
async def test_whatever_comes_as_a_reply_a_list_is_answered(reply: Any) -> None:
    office = Office()
    await asked(office, "invoice")
    own = told("cancel hotel") | {meta.REPLY: reply}
    answer = await modern(office, "tools/list", {"_meta": own})
    assert names(answer.result) == [*FIRST, *of("invoice"), "cancel_hotel"]


# Earlier revisions


async def begun(app: ScopedServer, revision: str, **own: Any) -> dict[str, str]:
    """Open a session with capabilities; return the headers of its requests."""
    opening = message(
        "initialize",
        {
            "protocolVersion": revision,
            "capabilities": capabilities(**own),
            "clientInfo": {"name": "test", "version": "0"},
        },
    )
    answer = await http(app, msgspec.json.encode(opening), JSON_HEADERS)
    assert judged(answer, "initialize", revision).status == 200
    return JSON_HEADERS | {
        "mcp-protocol-version": revision,
        "mcp-session-id": answer.headers["mcp-session-id"],
    }


async def in_session(
    app: ScopedServer, headers: Mapping[str, str], method: str, params: Mapping[str, Any]
) -> dict[str, Any]:
    async with opened(app, message(method, params), headers) as one:
        result: dict[str, Any] = (await one.answer())["result"]
    validate_server_result(method, headers["mcp-protocol-version"], result)
    return result


@pytest.mark.parametrize("revision", LEGACY)
async def test_a_client_with_a_session_negotiates_growth_when_it_opens_it(revision: str) -> None:
    office = Office(sessions=True)
    async with office:
        headers = await begun(office, revision)
        lists = [
            names(await in_session(office, headers, "tools/list", {"_meta": {meta.INTENT: intent}}))
            for intent in ("invoice", "cancel hotel")
        ]
        query = {"name": "search_tools", "arguments": {"query": "find visa", "limit": 1}}
        await in_session(office, headers, "tools/call", query)
        lists.append(names(await in_session(office, headers, "tools/list", {})))
    seed = [*FIRST, *of("invoice")]
    assert lists == [seed, [*seed, "cancel_hotel"], [*seed, "cancel_hotel", "find_visa"]]


@pytest.mark.parametrize("revision", LEGACY)
async def test_what_a_request_says_counts_before_the_intent_that_its_session_began_with(
    revision: str,
) -> None:
    office = Office(sessions=True)
    async with office:
        headers = await begun(office, revision, intent="invoice")
        lists = [
            names(await in_session(office, headers, "tools/list", said))
            for said in ({}, {"_meta": {meta.INTENT: "cancel hotel"}}, {})
        ]
    seed = [*FIRST, *of("invoice")]
    assert lists == [seed, [*seed, "cancel_hotel"], [*seed, "cancel_hotel"]]


@pytest.mark.parametrize("revision", LEGACY)
async def test_a_client_with_a_session_that_did_not_negotiate_growth_keeps_its_list(revision: str) -> None:
    office = Office(sessions=True)
    async with office:
        headers = await begun(office, revision, growth=False)
        lists = [
            names(await in_session(office, headers, "tools/list", {"_meta": {meta.INTENT: intent}}))
            for intent in ("invoice", "cancel hotel")
        ]
    assert lists == [[*FIRST, *of("invoice")]] * 2


@pytest.mark.parametrize("revision", LEGACY)
async def test_a_client_without_a_session_has_negotiated_nothing(revision: str) -> None:
    office = Office()
    own = {"clientSessionId": "a"}
    lists = [
        names((await legacy(office, revision, "tools/list", {"_meta": {**own, meta.INTENT: intent}})).result)
        for intent in ("invoice", "cancel hotel")
    ]
    assert lists == [[*FIRST, *of("invoice")]] * 2


async def listed_on(pipes: Pipes, params: Mapping[str, Any]) -> list[str]:
    """List on a pipe, past what the client is told of its own growing list."""
    pipes.send("tools/list", params)
    while "id" not in (said := await pipes.read()):
        assert said["method"] == "notifications/tools/list_changed"
    return names(said["result"])


@pytest.mark.parametrize("revision", [MODERN, *LEGACY])
async def test_on_stdio_clients_of_each_revision_negotiate_growth(revision: str) -> None:
    async with connected(Office()) as pipes:
        if revision == MODERN:
            own = told()
        else:
            about = {"name": "test", "version": "0"}
            opening = {"protocolVersion": revision, "capabilities": capabilities(), "clientInfo": about}
            await pipes.ask("initialize", opening)
            own = {}
        lists = [
            await listed_on(pipes, {"_meta": {**own, meta.INTENT: intent}})
            for intent in ("invoice", "cancel hotel")
        ]
    assert lists == [[*FIRST, *of("invoice")], [*FIRST, *of("invoice"), "cancel_hotel"]]
