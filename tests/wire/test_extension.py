"""The specification of the extension, sections 1 to 5: how a client says its context, and what a view is."""

from __future__ import annotations

import base64
import itertools
import re
from pathlib import Path
from typing import Any, Final

import pytest

import scopedtools
from scopedtools import Catalog, Principal, ScopedServer, ViewSettings
from scopedtools.assembly import SEARCH_TOOLS
from scopedtools.auth import StaticTokens
from scopedtools.catalog.primitives import Tool
from scopedtools.context.hosts import CARRIERS
from scopedtools.protocol import meta
from tests.context.office import PIN, Office, of
from tests.wire.exchange import LEGACY, legacy
from tests.wire.saying import KNOWN, LISTS, ask, listed, names_of, view_of

pytestmark = pytest.mark.anyio

DEFAULT: Final = [*SEARCH_TOOLS, PIN]
TOPICS: Final = ("invoice", "payment", "refund", "flight")
SPECIFICATION: Final = (Path(scopedtools.__file__).parent / "EXTENSION.md").read_text()


def told(field: str, values: tuple[str, ...]) -> dict[str, Any]:
    """Say something in each of its four places, first place first; an empty text is left out."""
    in_settings, in_meta, in_header, in_query = values
    key = {"intent": meta.INTENT, "parent": meta.PARENT}[field]
    return {
        "settings": {"contextId": "c"} | ({field: in_settings} if in_settings else {}),
        "said": {key: in_meta} if in_meta else {},
        "headers": [(f"Mcp-Context-{field.title()}", in_header)] if in_header else [],
        "query": f"{field}={in_query}" if in_query else "",
    }


# 1. Negotiation


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("contextId", [7, True, [], {}, None, ["a"]]),
        ("intent", [7, True, [], {"text": "invoice"}, None, ["invoice"]]),
        ("parent", [7, True, [], {"contextId": "p"}, None, ["p"]]),
        ("growth", [1, "true", [], {}, None]),
        ("cacheScopes", [1, "context", {"context": True}, None, [["context"]], [None]]),
        ("unknown", [1, "context", {"context": True}, None]),
    ],
)
async def test_values_of_a_wrong_type_and_unknown_fields_are_as_good_as_none(
    field: str, wrong: list[Any]
) -> None:
    good: dict[str, Any] = {"contextId": "a", "intent": "invoice", "parent": "p", "growth": False}
    good = {key: value for key, value in (good | KNOWN).items() if key != field}

    async def answered(settings: dict[str, Any]) -> bytes:
        office = Office()
        await ask(office, settings={"contextId": "p", "intent": "visa"})
        return (await ask(office, settings=settings)).body

    without = await answered(good)
    for value in wrong:
        assert await answered(good | {field: value}) == without


@pytest.mark.parametrize("settings", [True, 1, "a", [], ["contextId"]])
async def test_settings_that_are_no_object_say_nothing(settings: Any) -> None:
    assert view_of((await ask(Office(), settings=settings)).result) == {}


@pytest.mark.parametrize("method", LISTS)
async def test_every_list_that_is_said_to_depend_on_the_context_tells_what_it_is(method: str) -> None:
    office = Office()
    offer = (await ask(office, "server/discover")).result["capabilities"]["extensions"][meta.EXTENSION]
    assert set(offer["affects"]) == set(LISTS)
    assert set(view_of((await ask(office, method, settings={})).result)) == {
        *("revision", "shown", "total", "cacheScope", "ttlMs")
    }


@pytest.mark.parametrize("growth", ["negotiated", "always", "never"])
async def test_a_server_declares_the_same_in_discover_and_in_initialize(growth: Any) -> None:
    office = Office(views=ViewSettings(growth=growth))
    offer = (await ask(office, "server/discover")).result["capabilities"]["extensions"][meta.EXTENSION]
    assert (type(offer["version"]), offer["version"], offer["growth"]) == (int, 1, growth)
    assert set(offer) == {"version", "carriers", "affects", "cacheScopes", "growth"}
    for revision in LEGACY:
        opening = {
            "protocolVersion": revision,
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "0"},
        }
        opened = (await legacy(office, revision, "initialize", opening)).result["capabilities"]
        assert opened["experimental"] == {meta.EXTENSION: offer}
        assert "extensions" not in opened


# 2. The ID and its carriers


async def test_the_carriers_stand_in_the_order_of_the_specification() -> None:
    offer = (await ask(Office(), "server/discover")).result["capabilities"]["extensions"][meta.EXTENSION]
    table = SPECIFICATION.partition("| carrier | where |")[2].partition("\n\n")[0]
    places = "extension|header|meta|baggage|query|argument|environment"
    named = re.findall(rf"`((?:{places}):[^.`][^`]*)`", table)
    assert len(named) == 8
    assert [one for one in offer["carriers"] if one in named] == named
    assert offer["carriers"][0] == "extension:contextId"
    assert all(re.fullmatch(rf"(?:{places}):\S+", one) for one in offer["carriers"])
    # Only where the operator says so.
    assert not [one for one in offer["carriers"] if one.startswith(("argument:", "environment:"))]


async def test_carriers_that_differ_are_no_error_and_the_first_counts() -> None:
    office = Office()
    for context, intent in (("a", "invoice"), ("b", "visa")):
        await ask(office, settings={"contextId": context, "intent": intent})
    first, then = [("Mcp-Client-Session-Id", "a")], {"clientSessionId": "b"}
    assert await listed(office, headers=first, said=then) == [*DEFAULT, *of("invoice")]
    assert await listed(office, settings={"contextId": "b"}, headers=first) == [*DEFAULT, *of("visa")]


@pytest.mark.parametrize("malformed", ["two words", "x" * 257, "\u00e9", "a\tb"])
async def test_a_malformed_id_is_none_and_a_later_carrier_counts(malformed: str) -> None:
    office = Office()
    await ask(office, settings={"contextId": "b", "intent": "visa"})
    for told in ({"settings": {"contextId": malformed}}, {"headers": [("Mcp-Client-Session-Id", malformed)]}):
        assert len(await listed(office, **told)) == 61
        assert await listed(office, said={"clientSessionId": "b"}, **told) == [*DEFAULT, *of("visa")]


ASKED: Final = [
    ("tools/list", {}),
    ("server/discover", {}),
    ("tools/call", {"name": "help", "arguments": {"what": "x"}}),
    ("subscriptions/listen", {"notifications": {}}),
]


@pytest.mark.parametrize("header", [one.key for one in CARRIERS if one.place == "header"])
@pytest.mark.parametrize(("method", "params"), ASKED)
async def test_a_carriers_header_in_two_lines_is_refused_whatever_is_asked(
    header: str, method: str, params: dict[str, Any]
) -> None:
    answer = await ask(
        Office(), method, settings={"contextId": "a"}, headers=[(header, "b"), (header, "b")], **params
    )
    assert answer.refusal == (400, -32600)
    assert header in answer.error["message"]


async def test_baggage_is_a_list_and_may_come_in_several_lines() -> None:
    office = Office()
    await ask(office, settings={"contextId": "b", "intent": "visa"})
    lines = [("baggage", "user=7"), ("baggage", "gen_ai.conversation.id=b")]
    assert await listed(office, headers=lines) == [*DEFAULT, *of("visa")]


# 3. Intent


FROM_EACH_PLACE: Final = [(TOPICS[at], (*[""] * at, *TOPICS[at:])) for at in range(4)]
"""What counts, and what is said in each place where the first ones are left out."""


@pytest.mark.parametrize(("counts", "values"), FROM_EACH_PLACE)
async def test_an_intent_is_looked_for_in_four_places_in_order(counts: str, values: tuple[str, ...]) -> None:
    assert await listed(Office(), **told("intent", values)) == [*DEFAULT, *of(counts)]


@pytest.mark.parametrize("blank", ["", "  ", "\n\t"])
async def test_a_blank_intent_is_none_and_a_later_place_counts(blank: str) -> None:
    own: dict[str, Any] = {"settings": {"contextId": "c", "intent": blank}, "said": {meta.INTENT: blank}}
    assert await listed(Office(), **own) == DEFAULT
    assert await listed(Office(), **own, query="intent=visa") == [*DEFAULT, *of("visa")]


async def test_the_first_8192_characters_of_an_intent_are_read() -> None:
    intent = "visa".rjust(8192, ".").replace(".visa", " visa")
    assert len(intent) == 8192
    assert await listed(Office(), settings={"contextId": "c", "intent": intent}) == [*DEFAULT, *of("visa")]


def encoded(text: str) -> str:
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


@pytest.mark.parametrize("text", ["visa for Zo\u00eb", "\u67e5\u8a62 visa", " visa ", "a\nvisa"])
async def test_a_header_that_no_header_can_hold_is_carried_in_base64(text: str) -> None:
    headers = [("Mcp-Context-Intent", encoded(text)), ("Mcp-Client-Session-Id", "c")]
    assert await listed(Office(), headers=headers) == [*DEFAULT, *of("visa")]


@pytest.mark.parametrize("broken", ["=?base64? visa ?=", "=?base64?/////w==?="])
async def test_a_header_that_cannot_be_decoded_is_no_intent_and_no_error(broken: str) -> None:
    headers = [("Mcp-Context-Intent", broken)]
    assert await listed(Office(), settings={"contextId": "c"}, headers=headers) == DEFAULT


async def test_of_two_lines_of_an_intent_the_first_counts() -> None:
    headers = [("Mcp-Context-Intent", "visa"), ("Mcp-Context-Intent", "hotel")]
    assert await listed(Office(), settings={"contextId": "c"}, headers=headers) == [*DEFAULT, *of("visa")]


# 4. Parent


@pytest.mark.parametrize(("counts", "values"), FROM_EACH_PLACE)
async def test_a_parent_is_looked_for_in_four_places_in_order(counts: str, values: tuple[str, ...]) -> None:
    office = Office()
    for topic in TOPICS:
        await ask(office, settings={"contextId": topic, "intent": topic})
    assert await listed(office, **told("parent", values)) == [*DEFAULT, *of(counts)]


@pytest.mark.parametrize("place", range(4))
async def test_nothing_tells_of_a_parent_of_another_principal_wherever_it_is_named(place: int) -> None:
    tokens = StaticTokens({"ada": Principal("ada"), "bo": Principal("bo")})

    async def child(token: str, parent: str, *, settings: dict[str, Any]) -> bytes:
        office = Office(verifier=tokens)
        await ask(
            office,
            settings={"contextId": "p", "intent": "invoice"},
            headers=[("authorization", "Bearer ada")],
        )
        own = told("parent", tuple(parent if at == place else "" for at in range(4)))
        own["headers"].append(("authorization", f"Bearer {token}"))
        own["settings"] |= settings
        return (await ask(office, **own)).body

    for settings in ({}, {"growth": True}, {"intent": "visa"}, KNOWN):
        assert b"create_invoice" in await child("ada", "p", settings=settings)
        assert await child("bo", "p", settings=settings) == await child("bo", "nobody", settings=settings)


# 5. Views


async def test_a_narrowed_list_says_what_it_is_to_those_who_do_not_know_the_extension() -> None:
    result = (await ask(Office(), headers=[("Mcp-Client-Session-Id", "a")])).result
    assert view_of(result).items() >= {"shown": 3, "total": 61, "cacheScope": "private", "ttlMs": 0}.items()


async def test_every_page_tells_of_the_whole_list() -> None:
    office = Office(views=ViewSettings(page_rows=3))
    settings = {"contextId": "a", "intent": "invoice"}
    result = (await ask(office, settings=settings)).result
    first = view_of(result)
    assert (first["shown"], first["total"], len(result["tools"])) == (8, 61, 3)
    while "nextCursor" in result:
        result = (await ask(office, settings=settings, cursor=result["nextCursor"])).result
        assert view_of(result) == first


async def test_revisions_are_equal_exactly_where_lists_are_equal() -> None:
    seen: dict[str, tuple[str, ...]] = {}
    asked = [dict(zip(("intent", "then"), pair, strict=True)) for pair in itertools.permutations(TOPICS, 2)]
    for office in (Office(), Office()):
        for number, said in enumerate([*asked, *asked]):
            settings = {"contextId": str(number), "growth": True}
            for intent in said.values():
                result = (await ask(office, settings=settings, said={meta.INTENT: intent})).result
                rows = tuple(names_of(result))
                assert seen.setdefault(view_of(result)["revision"], rows) == rows
    assert len(set(seen.values())) == len(seen) > len(TOPICS)


async def test_the_same_rows_in_another_order_have_another_revision() -> None:
    office, lists = Office(), []
    for context, queries in (("a", ["cancel visa", "find hotel"]), ("b", ["find hotel", "cancel visa"])):
        settings = {"contextId": context, "intent": "invoice", "growth": True}
        await ask(office, settings=settings)
        for query in queries:
            arguments = {"query": query, "limit": 1}
            await ask(office, "tools/call", settings=settings, name="search_tools", arguments=arguments)
        lists.append((await ask(office, settings=settings)).result)
    one, other = lists
    assert sorted(names_of(one)) == sorted(names_of(other))
    assert names_of(one) != names_of(other)
    assert view_of(one)["revision"] != view_of(other)["revision"]


async def test_the_same_names_in_another_catalog_have_another_revision() -> None:
    def revision(description: str) -> Any:
        rows = (Tool(name=f"tool_{number}", description=description) for number in range(3))
        return ask(ScopedServer(catalog=Catalog(rows)), settings={})

    one, same, other = [view_of((await revision(text)).result)["revision"] for text in ("A.", "A.", "B.")]
    assert one == same != other
